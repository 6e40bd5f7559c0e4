"""What the commands share: the flags of geometry, decoder and noise, what they mean, and how commands answer."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..decoding.execution import PATHS, PRECISIONS
from ..errors import FileError, LorunError
from ..instrument import BORDERS
from ..io import WAVELENGTHS, OpenOptions
from ..io.light_beside import LIGHT_BESIDE
from ..io.options import COMPANIONS
from ..io.reading import READING

if TYPE_CHECKING:
    from ..decoder import Decoder


@dataclass(frozen=True)
class Context:
    """Where things are: `library` folders with backbones and adapter sets, and the program's own `resources`.

    `remembered` gives the corrections that the window remembers for a folder.
    """

    library: tuple[Path, ...]
    resources: Path | None
    remembered: Callable[[Path], OpenOptions | None]


# command -> its summary, what adds its flags, and what runs it
Commands = Mapping[
    str, tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace, Context], int]]
]


def add_geometry(sub: argparse.ArgumentParser, *, task: str | None = None, several_masks: bool = False) -> None:
    """The flags that correct what is guessed of the instrument; `task` is the default of `--task`."""
    group = sub.add_argument_group("geometry", "what the program should know of the instrument; guessed where left out")
    default = "told by the files" if task is None else task
    group.add_argument("--task", choices=tuple(READING), default=task, help=f"default: {default}")
    group.add_argument("--key", metavar="NAME", help="which array of the file")
    group.add_argument("--input-scale", type=float, metavar="A", help="factor from the measurement to the 0..1 scale")
    group.add_argument("--integer-scale", type=float, metavar="S", help="what stored integers are divided by")
    group.add_argument("--cube-axes", metavar="AXES", help="axes of a stored cube, e.g. HWC")

    group = sub.add_argument_group("CASSI")
    if several_masks:
        group.add_argument("--mask", metavar="FILE[::KEY]", action="append", default=[], help="mask file (repeatable)")
    else:
        group.add_argument("--mask", metavar="FILE[::KEY]", help="the coded aperture")
    group.add_argument("--bands", type=int, metavar="N")
    group.add_argument("--step", type=float, metavar="D", help="dispersion in pixels a band, fractions allowed")
    group.add_argument("--axis", choices=("x", "y"), help="dispersion along columns (x) or rows (y)")
    group.add_argument("--direction", choices=("+", "-"), help="longer wavelengths move right or down (+), or not (-)")
    group.add_argument("--first-offset", type=float, metavar="P", help="pixels before the nearest band")
    group.add_argument(
        "--wavelengths", metavar="FILE|NAME", help=f"band centres in nm: a file or {', '.join(WAVELENGTHS)}"
    )
    group.add_argument("--flip", choices=("lr", "ud"), help="mirror the mask")
    group.add_argument("--rotate", type=int, choices=(0, 90, 180, 270), help="turn the mask counter-clockwise")
    group.add_argument("--mask-shift", type=shift, metavar="Y,X", help="move the mask down and right, in pixels")
    group.add_argument("--dark-level", type=float, metavar="B", help="what the detector reads without light")
    group.add_argument("--light-beside", choices=LIGHT_BESIDE, help="light from beside the field (default subtract)")
    group.add_argument("--crop", type=numbers("Y,X,H,W", 4), metavar="Y,X,H,W", help="scene window to decode")

    group = sub.add_argument_group("compressive samples")
    group.add_argument("--sampling", metavar="FILE[::KEY]", help="the sampling matrix, M x N")
    group.add_argument(
        "--image-size", type=numbers("HxW", 2, separator="x"), metavar="HxW", help="pixels of the sampled image"
    )
    group.add_argument("--pixel-order", choices=("row", "column"), help="how the pixels of a block are numbered")
    group.add_argument("--block-order", choices=("row", "column"), help="how the blocks are numbered")

    group = sub.add_argument_group("super-resolution")
    group.add_argument("--scale", type=int, choices=(2, 3, 4), help="factor to the low-resolution image")
    group.add_argument("--kernel", metavar="NAME|FILE[:N]", help="blur kernel: of the gallery, or the N-th of a file")
    group.add_argument("--border", choices=BORDERS, help="how the scene goes on beyond its border")


def add_decoder(sub: argparse.ArgumentParser) -> None:
    """The flags that choose a decoder and how it is executed."""
    group = sub.add_argument_group("decoder and execution")
    group.add_argument("--adapter", metavar="NAME", help="adapter set or decoder without weights, e.g. gap-tv")
    group.add_argument("--stages", type=int, metavar="K")
    group.add_argument("--device", default="cpu", help="cpu, cuda:0, mps or auto (default cpu)")
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    group.add_argument("--adapter-scale", type=float, metavar="S", help="strength of the set: 0 is its backbone alone")
    group.add_argument(
        "--ablate-stage", type=int, action="append", default=[], metavar="K", help="stage K runs the backbone alone"
    )
    group.add_argument("--precision", choices=PRECISIONS, help=f"of the network (default {PRECISIONS[0]})")
    group.add_argument("--path", choices=PATHS, help=f"how the network is executed (default {PATHS[0]})")


def add_noise(sub: argparse.ArgumentParser) -> None:
    """The flags of simulated noise."""
    group = sub.add_argument_group("noise")
    group.add_argument("--noise", metavar="gaussian:SIGMA|shot:PEAK", help="sigma on the 0..1 scale, peak in electrons")
    group.add_argument("--seed", type=int, default=0)


def numbers(form: str, count: int, *, separator: str = ",") -> Callable[[str], tuple[int, ...]]:
    """What parses `count` whole numbers from 0, written as `form`."""

    def parse(text: str) -> tuple[int, ...]:
        try:
            found = tuple(int(part) for part in text.lower().split(separator))
        except ValueError:
            found = ()
        if len(found) != count or min(found) < 0:
            raise argparse.ArgumentTypeError(f"{text!r} was given; {form} was expected")
        return found

    return parse


def shift(text: str) -> tuple[float, float]:
    """Two finite numbers written as Y,X, each of either sign."""
    try:
        y, x = (float(part) for part in text.split(","))
    except ValueError:
        y = x = math.nan
    if not (math.isfinite(y) and math.isfinite(x)):
        raise argparse.ArgumentTypeError(f"{text!r} was given; Y,X in pixels was expected, e.g. 0.5,-2")
    return y, x


def companions(args: argparse.Namespace) -> dict[str, tuple[Path, str]]:
    """role -> (file, key or "") of the files that belong to a measurement, each given as FILE or FILE::KEY."""
    given = {role: getattr(args, role, None) for role in COMPANIONS}
    split = {role: word.partition("::") for role, word in given.items() if word}
    return {role: (Path(file), key) for role, (file, _, key) in split.items()}


def inputs_of(path: Path, args: argparse.Namespace) -> list[Path]:
    """`path` and all the files that the flags name: what no output may overwrite."""
    return list(dict.fromkeys([path, *(file for file, _ in companions(args).values())]))


def open_options(args: argparse.Namespace) -> OpenOptions:
    """The corrections that the flags stand for."""
    return OpenOptions(
        task=args.task,
        num_bands=args.bands,
        step=args.step,
        axis=args.axis,
        direction=args.direction,
        first_offset=args.first_offset,
        wavelengths=args.wavelengths,
        key=args.key,
        flip=args.flip,
        rotate=(args.rotate or 0) // 90 % 4,
        mask_shift=args.mask_shift,
        crop=args.crop,
        input_scale=args.input_scale,
        cube_axes=args.cube_axes,
        integer_scale=args.integer_scale,
        dark_level=args.dark_level,
        light_beside=args.light_beside,
        image_size=args.image_size,
        pixel_order=args.pixel_order,
        block_order=args.block_order,
        scale=args.scale,
        kernel=args.kernel,
        border=args.border,
    )


def as_asked(decoder: Decoder, args: argparse.Namespace) -> Decoder:
    """The decoder with the strength, ablated stages, precision and path of the flags, which only a trained set has."""
    from ..library.model import Model

    if not isinstance(decoder, Model):
        if args.adapter_scale is not None or args.ablate_stage or args.precision or args.path:
            raise LorunError(
                f"{decoder.name} has no weights; --adapter-scale, --ablate-stage, --precision and --path are for "
                "adapter sets. Leave them out, or choose a set with --adapter."
            )
        return decoder
    adapters = decoder.adapters
    if args.adapter_scale is not None:
        adapters = adapters.scaled(args.adapter_scale)
    for stage in args.ablate_stage:
        adapters = adapters.ablated(stage)
    return decoder.with_adapters(adapters).running(
        precision=args.precision or PRECISIONS[0], path=args.path or PATHS[0]
    )


def named_as_asked(decoder: Decoder, args: argparse.Namespace) -> str:
    """Its name with the strength of the set and the stages without adapters, as a result says what made it."""
    words = decoder.name
    if args.adapter_scale not in (None, 1):
        words += f" at {100 * args.adapter_scale:g} %"
    if args.ablate_stage:
        *first, last = (str(stage) for stage in sorted(set(args.ablate_stage)))
        stages = f"stages {', '.join(first)} and {last}" if first else f"stage {last}"
        words += f" without the adapters of {stages}"
    return words


def files_in(folder: Path) -> Sequence[Path]:
    """The files of a folder in order of their names, or the one file."""
    if not folder.exists():
        raise FileError(f"{folder} does not exist. Check the path.")
    paths = [folder] if folder.is_file() else sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] != ".")
    if not paths:
        raise FileError(f"The folder {folder} is empty. Give a folder that holds measurements or scenes.")
    return paths


def tell(sentence: str) -> None:
    """Says something to the person at the terminal, on stderr."""
    if sys.stderr is not None:  # a windowed frozen program has none
        print(sentence, file=sys.stderr, flush=True)


def print_json(document: dict | list, args: argparse.Namespace) -> None:
    """The document on stdout where `--json` was given."""
    if args.json:
        print(json.dumps(document, indent=2, allow_nan=False))
