"""What the commands share: the flags of geometry, decoder and noise, what they mean, and how commands answer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..decoding.execution import PATHS, PRECISIONS
from ..errors import FileError, LorunError
from ..io import OpenOptions, open_companion
from ..io.folders import each_once
from ..io.options import COMMON, Option, numbers
from ..io.reading import all_companions, all_options, reading_of
from ..io.resolved import Said
from ..schema import Factor, Percent, Seed, Stages, Threads, hints_of, parsed, value_of
from ..task import TASKS

if TYPE_CHECKING:
    import numpy as np

    from ..decoder import Decoder
    from ..tasks.noise import Noise


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


def add_geometry(
    sub: argparse.ArgumentParser,
    *,
    task: str | None = None,
    several_masks: bool = False,
    of_scenes: bool = False,
) -> None:
    """The flags that say what is known of the instrument; `task` is the default of `--task`.

    With `of_scenes` those too that matter to commands that measure scenes.
    """
    group = sub.add_argument_group("geometry", "what the program should know of the instrument; guessed where left out")
    default = "told by the files" if task is None else task
    group.add_argument("--task", choices=tuple(TASKS), default=task, help=f"default: {default}")
    for option in COMMON:
        _add_option(group, option)
    for known in TASKS.values():
        reading, group = reading_of(known.name), sub.add_argument_group(known.title)
        for role, words in reading.COMPANIONS.items():
            if role == "mask" and several_masks:
                group.add_argument(
                    "--mask", metavar="FILE[::KEY]", action="append", default=[], help=f"{words} (repeatable)"
                )
            else:
                group.add_argument(f"--{role}", metavar="FILE[::KEY]", help=words)
        of_its_scenes = (option for option in reading.CHANGES if of_scenes and option.of_scenes and option.flag)
        for option in (*reading.OPTIONS, *of_its_scenes):
            if option not in COMMON:
                _add_option(group, option)


def _add_option(group: argparse._ArgumentGroup, option: Option) -> None:
    hint = Percent if option.of_scenes else hints_of(OpenOptions)[option.field]

    def parse(text: str) -> Any:
        try:
            return parsed(text, hint) if option.parse in (int, float) else value_of(option.parse(text), hint)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    group.add_argument(
        option.flag, dest=option.field, type=parse, choices=option.values, metavar=option.metavar, help=option.help
    )


def one(hint: Any) -> Callable[[str], Any]:
    """What parses the value of a flag as an annotation says."""

    def parse(text: str) -> Any:
        try:
            return parsed(text, hint)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def add_decoder(sub: argparse.ArgumentParser) -> None:
    """The flags that choose a decoder and how it is executed."""
    group = sub.add_argument_group("decoder and execution")
    group.add_argument("--adapter", metavar="NAME", help="adapter set or decoder without weights, e.g. gap-tv")
    group.add_argument("--stages", type=one(Stages), metavar="K")
    group.add_argument("--device", default="cpu", help="cpu, cuda:0, mps or auto (default cpu)")
    group.add_argument("--threads", type=one(Threads), metavar="N", help="CPU threads")
    group.add_argument("--adapter-scale", type=one(Factor), metavar="S", help="strength of the set: 0 is its backbone")
    group.add_argument(
        "--ablate-stage",
        type=one(Stages),
        action="append",
        default=[],
        metavar="K",
        help="stage K runs the backbone alone",
    )
    group.add_argument("--precision", choices=PRECISIONS, help=f"of the network (default {PRECISIONS[0]})")
    group.add_argument("--path", choices=PATHS, help=f"how the network is executed (default {PATHS[0]})")


def add_noise(sub: argparse.ArgumentParser) -> None:
    """The flags of simulated noise."""
    group = sub.add_argument_group("noise")
    group.add_argument("--noise", metavar="gaussian:SIGMA|shot:PEAK", help="sigma on the 0..1 scale, peak in electrons")
    group.add_argument("--seed", type=one(Seed), default=0)


def number_list(form: str, count: int) -> Callable[[str], tuple[int, ...]]:
    """What parses the value of a flag with `count` whole numbers from 0, written as `form`."""

    def parse(text: str) -> tuple[int, ...]:
        try:
            return numbers(form, count)(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def companions(args: argparse.Namespace) -> dict[str, tuple[Path, str]]:
    """role -> (file, key or "") of the files that belong to a measurement, each given as FILE or FILE::KEY."""
    given = {role: getattr(args, role, None) for role in all_companions()}
    split = {role: word.partition("::") for role, word in given.items() if word}
    return {role: (Path(file), key) for role, (file, _, key) in split.items()}


def inputs_of(path: Path, args: argparse.Namespace) -> list[Path]:
    """`path` and all the files that the flags name: what no output may overwrite."""
    return list(dict.fromkeys([path, *(file for file, _ in companions(args).values())]))


def open_options(args: argparse.Namespace) -> OpenOptions:
    """The corrections that the flags stand for."""
    return OpenOptions(task=args.task, **{option.field: getattr(args, option.field) for option in all_options()})


def companion_array(args: argparse.Namespace, role: str, options: OpenOptions) -> np.ndarray | None:
    """The mask or the matrix that the flags name, turned and moved as asked; None without a flag."""
    given = companions(args)
    if role not in given:
        return None
    path, key = given[role]
    return open_companion(path, role, replace(options, key=key or None))


def said_of(args: argparse.Namespace, task: str, options: OpenOptions) -> Said:
    """What the flags say of an instrument of a task, without that of a set."""
    arrays = {role: companion_array(args, role, options) for role in reading_of(task).COMPANIONS}
    return Said(
        options,
        {role: array for role, array in arrays.items() if array is not None},
        noise=noise_of(args),
        ratio=getattr(args, "ratio", None),
        seed=args.seed or 0,
    )


def noise_of(args: argparse.Namespace) -> Noise | None:
    """The noise that the flags name."""
    from ..tasks.noise import Noise

    return Noise.parse(args.noise) if args.noise else None


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
    """The files of a folder in order of their names, each once, or the one file."""
    if not folder.exists():
        raise FileError(f"{folder} does not exist. Check the path.")
    paths = [folder] if folder.is_file() else sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] != ".")
    if not paths:
        raise FileError(f"The folder {folder} is empty. Give a folder that holds measurements or scenes.")
    return each_once(paths)


def tell(sentence: str) -> None:
    """Says something to the person at the terminal, on stderr."""
    if sys.stderr is not None:  # a windowed frozen program has none
        print(sentence, file=sys.stderr, flush=True)


def print_json(document: Mapping[str, Any] | Sequence[Any], args: argparse.Namespace) -> None:
    """The document on stdout where `--json` was given."""
    if args.json:
        print(json.dumps(document, indent=2, allow_nan=False))
