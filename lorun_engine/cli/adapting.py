"""`lorun train --adapt`: what its flags mean. The training itself is that of `lorun train` (see `training`)."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LorunError
from ..io import OpenOptions, open_measurement
from ..io.pairs import pairs_among, without_scenes
from ..io.reading import reading_of
from ..library.sets import find_set
from ..schema import Count, Share
from ..task import DEFAULT, TASKS
from .flags import Context, companions, noise_of, one, open_options, refuse, require_meant, said_of

if TYPE_CHECKING:
    from ..library.cards import Card
    from ..measurement import Measurement
    from ..tasks.camera import Camera
    from ..training.adapting import Adaptation
    from ..training.recipe import Recipe
    from ..training_data.folders import Found

PRESETS = ("quick", "standard", "thorough")


def configure_adapting(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that only an adaptation has."""
    group = parser.add_argument_group("adapting a set to a camera")
    group.add_argument("--adapt", metavar="SET", help="start from this set and train only its adapters")
    group.add_argument(
        "--route",
        choices=("scenes", "pairs", "captures"),
        help="what they hold (default scenes, or pairs where both of their folders are given)",
    )
    group.add_argument("--check", type=one(Path), nargs="+", action="extend", default=[], help="withheld files")
    group.add_argument(
        "--like", "--preview", type=one(Path), nargs="+", action="extend", default=[], metavar="FILE",
        help="your capture with its mask or matrix: its camera is adapted to, and previews show it",
    )  # fmt: skip
    group.add_argument("--noise", metavar="gaussian:SIGMA|shot:PEAK", help="of your camera, for simulated measurements")
    group.add_argument(
        "--random-masks", type=one(Share), metavar="SHARE", help="share of the samples with another mask (default 0)"
    )
    group.add_argument("--preset", choices=PRESETS, help=f"default: {PRESETS[0]}")
    group.add_argument("--steps", type=one(Count), metavar="N", help="number of steps instead of the preset's")
    group.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting of the recipe (repeatable)"
    )
    group.add_argument("--name", help="title of the new set")
    group.add_argument("--probe", action="store_true", help="measure what it would take, and train nothing")


def adaptation_of(args: argparse.Namespace, context: Context) -> tuple[Adaptation, Recipe]:
    """What the flags ask for, its files looked at, and the recipe."""
    from ..training.adapting import Adaptation
    from ..training_data.folders import found_among
    from ..training_data.own_files import OwnFiles, examined

    card = find_set(args.adapt, context.library)
    learn, check = found_among(args.data or []), found_among(args.check)
    args.route = args.route or ("pairs" if pairs_among(learn.files, card.task) else "scenes")
    if args.task not in (None, card.task):
        raise LorunError(f"{card.name} is a set for {card.task}; --task {args.task} was asked for. Choose another set.")
    if args.route == "captures" and not TASKS[card.task].learns_alone:
        raise LorunError(
            f"Sets for {TASKS[card.task].short} cannot learn from measurements alone. Give scenes or pairs."
        )
    _require_heeded(args, card)
    options = replace(_options(args), task=card.task)
    given = companions(_one_mask(args))
    like = open_measurement(args.like, options) if args.like else None
    camera = _camera(args, options, card, like)
    own = tuple(path for path, _ in given.values())
    reading = OwnFiles(args.route, camera, options, own or tuple(args.like[1:]))
    if not learn.files and not args.check:
        learn = replace(_built_in(args, context, card), notes=learn.notes)
    recipe = _recipe(args, context, card, camera, has_files=bool(args.data))
    if camera.new_sampling() is not None and args.route != "scenes":
        raise LorunError("A new sampling matrix is learned from scenes; samples that exist have theirs. Give scenes.")
    adaptation = Adaptation(
        card,
        context.library,
        camera,
        args.route,
        examined(learn.files, check.files, reading, notes=(*learn.notes, *check.notes)),
        options,
        reading.companions,
        tuple(path.absolute() for path in args.like),
        args.name or "",
    )
    return adaptation, recipe


def _require_heeded(args: argparse.Namespace, card: Card) -> None:
    """Refuses flags that this adaptation has no use for."""
    shows_camera = bool(args.like) or args.route != "scenes"
    require_meant(args, card.task, of_camera=not shows_camera)
    if args.preset and args.recipe:
        raise LorunError("--preset and --recipe were given; both are recipes. Choose one of them.")
    if args.random_masks is not None and "mask" not in reading_of(card.task).COMPANIONS:
        refuse(["--random-masks"], f"for {TASKS[card.task].short}")


def probe_documents(
    args: argparse.Namespace, context: Context, device: str
) -> Generator[dict[str, Any], None, dict[str, Any]]:
    """Yields events "probing" and returns the event "probe"."""
    from ..training.adapting import probe

    adaptation, recipe = adaptation_of(args, context)
    if args.recipe is not None:
        return (yield from probe(adaptation, {"recipe": recipe}, device=device))
    recipes = {}
    for preset in PRESETS:
        words = argparse.Namespace(**{**vars(args), "preset": preset})
        recipes[preset] = _recipe(words, context, adaptation.card, adaptation.camera, has_files=bool(args.data))
    return (yield from probe(adaptation, recipes, device=device))


def _options(args: argparse.Namespace) -> OpenOptions:
    """The corrections of the flags; files named for a role keep it."""
    given = companions(_one_mask(args))
    roles = tuple((f"{file}::{key}" if key else str(file), role) for role, (file, key) in given.items())
    return replace(open_options(args), roles=roles)


def _one_mask(args: argparse.Namespace) -> argparse.Namespace:
    """The flags with the last of several masks."""
    return argparse.Namespace(**{**vars(args), "mask": args.mask[-1] if args.mask else None})


def _camera(args: argparse.Namespace, options: OpenOptions, card: Card, like: Measurement | None) -> Camera:
    """The camera of the capture, else that of the flags."""
    from ..library.model import load_tensors
    from ..networks.lora import SAMPLING
    from ..tasks.camera import camera_of

    if like is not None:
        return camera_of(like, noise=noise_of(args))
    if args.route != "scenes" and args.data:
        return camera_of(_first_capture(args, options), noise=noise_of(args))
    own = load_tensors(card)[0].get(SAMPLING)
    said = replace(
        said_of(_one_mask(args), card.task, options),
        task_config=card.fields.get("task_config", {}),
        channels=card.fields["network"]["channels"],
        sampling=None if own is None else own.numpy(),
        adapts=True,
    )
    (camera,) = reading_of(card.task).cameras(said).values()
    return camera


def _first_capture(args: argparse.Namespace, options: OpenOptions) -> Measurement:
    """The first measurement that can be opened: the camera is that of all."""
    from ..training_data.folders import found_among

    own, reasons = [file for file, _ in companions(_one_mask(args)).values()], []
    for path in without_scenes(found_among(args.data).files, options.task or DEFAULT):
        try:
            return open_measurement([path, *own], options)
        except LorunError as error:
            reasons.append(str(error))
    raise LorunError(f"None of {len(reasons)} files is a measurement. {reasons[0] if reasons else 'Give some.'}")


def _built_in(args: argparse.Namespace, context: Context, card: Card) -> Found:
    """The program's own sample where no scenes were given."""
    if args.route != "scenes":
        raise LorunError(f"The route {args.route} needs measurements. Give them with --data.")
    from ..training_data.folders import Found

    if context.resources is None:
        return Found()
    sample = context.resources / "samples" / TASKS[card.task].sample
    return Found((sample,) if sample.is_file() else ())


def _recipe(args: argparse.Namespace, context: Context, card: Card, camera: Camera, *, has_files: bool) -> Recipe:
    """The recipe of the preset or of the user's file, with what other flags change."""
    from ..training.adapting import read_adapt_recipe
    from ..training.recipe import adapt_settings

    if args.recipe is not None:
        path = Path(args.recipe)
    elif context.resources is None:
        raise LorunError("The program's recipes were not found. Reinstall LoRun, or give a recipe with --recipe FILE.")
    else:
        path = context.resources / "recipes" / "adapt" / f"{args.preset or PRESETS[0]}.toml"
    usual = adapt_settings(card.task, has_scenes=has_files or args.route != "scenes")
    return read_adapt_recipe(path, card, settings={**usual, **_settings(args)})


def _settings(args: argparse.Namespace) -> Mapping[str, Any]:
    """What `--set NAME=VALUE` and the flags with names of their own say."""
    settings: dict[str, Any] = {}
    for word in args.set:
        name, equals, text = word.partition("=")
        if not equals:
            raise LorunError(f"--set {word} was given; --set NAME=VALUE was expected, e.g. --set batch=4.")
        settings[name.strip()] = text.strip()
    for name, value in (
        ("adapter_steps", args.steps),
        ("seed", args.seed),
        ("threads", args.threads),
        ("random_masks", args.random_masks),
    ):
        if value is not None:
            settings[name] = value
    return settings
