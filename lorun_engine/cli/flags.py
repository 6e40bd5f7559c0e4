"""What the commands share: the flags of geometry, decoder and noise, what they mean, and how commands answer."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..decoding.asked import Asked
from ..decoding.execution import AUTO, PATHS, PRECISIONS, Tile, why_not_compiled
from ..errors import FileError, LorunError
from ..io import OpenOptions, open_companion
from ..io.folders import files_of
from ..io.options import COMMON, Option, numbers
from ..io.reading import all_companions, all_fields, all_options, flag_of, reading_of
from ..io.resolved import Said
from ..schema import Between, Factor, Iterations, Percent, Seed, Stages, Threads, hints_of, parsed, value_of
from ..task import DEFAULT, TASKS

if TYPE_CHECKING:
    import numpy as np

    from ..decoder import Decoder
    from ..tasks.noise import Noise


@dataclass(frozen=True)
class Context:
    """Where things are: `library` folders with backbones and adapter sets, and the program's own `resources`.

    `remembered` gives the corrections that the window remembers for a folder, `opened` has the decoders by name and
    task that were loaded.
    """

    library: tuple[Path, ...]
    resources: Path | None
    remembered: Callable[[Path], OpenOptions | None]
    opened: dict[tuple[str, str], Decoder] = field(default_factory=dict)


# command -> its summary, what adds its flags, and what runs it
Commands = Mapping[
    str, tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace, Context], int]]
]


OF_SCENES = ("integer_scale", "cube_axes", "key")  # of the file of a scene


def add_geometry(sub: argparse.ArgumentParser, *, several_masks: bool = False, of_scenes: bool = False) -> None:
    """The flags that say what is known of the instrument; with `of_scenes` those that matter where scenes are measured.

    With `several_masks` all of both.
    """
    group = sub.add_argument_group("geometry", "what the program should know of the instrument; guessed where left out")
    default = DEFAULT if of_scenes else "told by the files"
    group.add_argument("--task", choices=tuple(TASKS), help=f"default: {default}")
    for option in COMMON:
        if not of_scenes or option.field in OF_SCENES:
            _add_option(group, option)
    for known in TASKS.values():
        reading, group = reading_of(known.name), sub.add_argument_group(known.title)
        for role, words in reading.COMPANIONS.items():
            if role == "mask" and several_masks:
                help_text = f"{words} (repeatable)"
                group.add_argument(
                    "--mask", type=file_and_key, metavar="FILE[::KEY]", action="append", default=[], help=help_text
                )
            else:
                group.add_argument(f"--{role}", type=file_and_key, metavar="FILE[::KEY]", help=words)
        measured = set(reading.OF_CAMERA)
        every = {option.field: option for option in (*reading.OPTIONS, *reading.CHANGES) if option.flag}
        for name, option in every.items():
            is_of_both = several_masks or (name in measured if of_scenes else not option.of_scenes)
            if option not in COMMON and is_of_both:
                _add_option(group, option)


def require_meant(args: argparse.Namespace, task: str, *, of_scenes: bool = False, of_camera: bool = False) -> None:
    """Refuses flags that mean nothing for the measurements of a task, for its scenes, or for its camera alone."""
    reading = reading_of(task)
    known = {*reading.OF_CAMERA, *(OF_SCENES if of_scenes else ())}
    if not of_scenes and not of_camera:
        known = {option.field for option in reading.OPTIONS}
    wrong = [flag_of(field) for field in all_fields() - known if getattr(args, field, None) is not None]
    foreign = set(all_companions()) - {*reading.COMPANIONS, "reference"}
    refuse([*wrong, *(f"--{role}" for role in foreign if getattr(args, role, None))], f"for {TASKS[task].short}")


def require_only(args: argparse.Namespace, known: Collection[str], what: str) -> None:
    """Refuses flags that were given and that a command heeds only in another case than `what`, as "for a queue"."""
    always = {"command", "run", "json", "library", *known}
    given = [name for name, value in vars(args).items() if name not in always and value not in (None, [], False)]
    refuse([flag_of(name) for name in given], what)


def refuse(flags: Sequence[str], what: str) -> None:
    """A LorunError that says that these flags, if there are any, mean nothing in a case."""
    if flags:
        verb, them = ("means", "it") if len(flags) == 1 else ("mean", "them")
        raise LorunError(f"{', '.join(sorted(flags))} {verb} nothing {what}. Leave {them} out.")


def _add_option(group: argparse._ArgumentGroup, option: Option) -> None:
    bounds = Percent if option.unit.strip() == "%" else Annotated[float, Between(option.least, option.most)]
    hint = hints_of(OpenOptions)[option.field] if not option.of_scenes else str if option.choices else bounds

    def parse(text: str) -> Any:
        try:
            return parsed(text, hint) if option.parse in (int, float) else value_of(option.parse(text), hint)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    group.add_argument(
        option.flag, dest=option.field, type=parse, choices=option.values, metavar=option.metavar, help=option.help
    )


def file_and_key(text: str) -> str:
    """FILE or FILE::KEY as it is; a sentence where the file has no name."""
    one(Path)(text.partition("::")[0])
    return text


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
    group.add_argument(
        "--stages",
        type=one(Iterations),
        metavar="K",
        help="how many stages, or iterations of a decoder without weights",
    )
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
    group.add_argument("--precision", choices=PRECISIONS, help="of the network (default auto: what is quickest here)")
    group.add_argument("--path", choices=PATHS, help="how the network is executed (default auto: what is quickest)")
    group.add_argument(
        "--tile",
        type=one(Tile),
        metavar="auto|off|ROWS",
        help="how many rows the network sees at once, to spare memory (default auto: all of images up to 1024 x 1024)",
    )


def add_noise(sub: argparse.ArgumentParser) -> None:
    """The flags of simulated noise."""
    group = sub.add_argument_group("noise")
    group.add_argument("--noise", metavar="gaussian:SIGMA|shot:PEAK", help="sigma on the 0..1 scale, peak in electrons")
    group.add_argument("--seed", type=one(Seed), help="of noise and random masks (default 0)")


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
    given: dict[str, Any] = {option.field: getattr(args, option.field, None) for option in all_options()}
    return OpenOptions(task=args.task, **given)


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
        words={
            option.field: value
            for option in reading_of(task).CHANGES
            if option.of_scenes and (value := getattr(args, option.field, None)) is not None
        },
        seed=args.seed or 0,
    )


def noise_of(args: argparse.Namespace) -> Noise | None:
    """The noise that the flags name."""
    from ..tasks.noise import Noise

    return Noise.parse(args.noise) if args.noise else None


def as_asked(decoder: Decoder, args: argparse.Namespace) -> Decoder:
    """The decoder with strength, ablated stages and execution as the flags say, which only a trained set has."""
    from ..library.model import Model

    if not isinstance(decoder, Model):
        if args.adapter_scale is not None or args.ablate_stage or args.precision or args.path or args.tile:
            raise LorunError(
                f"{decoder.name} has no weights; --adapter-scale, --ablate-stage, --precision, --path and --tile are "
                "for adapter sets. Leave them out, or choose a set with --adapter."
            )
        return decoder
    adapters = decoder.adapters
    if args.adapter_scale is not None:
        adapters = adapters.scaled(args.adapter_scale)
    for stage in args.ablate_stage:
        adapters = adapters.ablated(stage)
    if args.path == "compiled" and (reason := why_not_compiled(args.device)):
        args.path = "nhwc"  # the same but for the one graph
        tell(f"The network cannot be compiled here ({reason}); it runs with --path {args.path}.")
    return decoder.with_adapters(adapters).running(
        precision=args.precision or AUTO, path=args.path or AUTO, tile=args.tile or "auto"
    )


def asked_of(args: argparse.Namespace, decoder: Decoder, num_stages: int) -> Asked:
    """The decode that the flags ask for."""
    return Asked(
        decoder.name,
        num_stages,
        args.device,
        args.threads,
        args.precision,
        args.path,
        args.tile,
        1.0 if args.adapter_scale is None else args.adapter_scale,
        tuple(args.ablate_stage),
        decoder.step_name,
        getattr(args, "relight", None),
    )


def resources_of(context: Context) -> Path:
    """The program's own files; a sentence where they are not there."""
    if context.resources is None:
        raise FileError("The program's own files were not found. Reinstall LoRun.")
    return context.resources


def files_in(folder: Path) -> Sequence[Path]:
    """The files of a folder in order of their names, each once, or the one file."""
    if not folder.exists():
        raise FileError(f"{folder} does not exist. Check the path.")
    paths = [folder] if folder.is_file() else files_of(folder)
    if not paths:
        raise FileError(f"The folder {folder} is empty. Give a folder that holds measurements or scenes.")
    return paths


def tell(sentence: str) -> None:
    """Says something to the person at the terminal, on stderr."""
    if sys.stderr is not None:  # a windowed frozen program has none
        with suppress(OSError):  # a terminal that was closed
            print(sentence, file=sys.stderr, flush=True)


def say_nothing_more() -> None:
    """Lets what is said on stdout go nowhere from now on: nobody is there to read it, or its disk is full."""
    with suppress(OSError, AttributeError):  # a stream without a descriptor, or none
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(document: Mapping[str, Any] | Sequence[Any], args: argparse.Namespace) -> None:
    """The document on stdout where `--json` was given."""
    if args.json:
        print(json.dumps(document, indent=2, allow_nan=False))
