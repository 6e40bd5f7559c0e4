"""`lorun train --adapt`: what its flags mean. The training itself is that of `lorun train` (see `training`)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import LorunError
from ..io import OpenOptions, open_companion, open_measurement
from ..library.sets import find_set
from .flags import Context, companions, open_options

if TYPE_CHECKING:
    from ..library.cards import Card
    from ..measurement import Measurement
    from ..training.adapting import Adaptation
    from ..training.recipe import Recipe
    from ..training_data.camera import Camera

PRESETS = ("quick", "standard", "thorough")
_SAMPLES = {"cassi": "cassi.h5", "cs": "cs.h5", "sr": "sr.h5"}


def configure_adapting(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that only an adaptation has."""
    group = parser.add_argument_group("adapting a set to a camera")
    group.add_argument("--adapt", metavar="SET", help="start from this set and train only its adapters")
    group.add_argument("--route", choices=("scenes", "pairs", "captures"), default="scenes", help="what the files hold")
    group.add_argument("--check", type=Path, nargs="+", action="extend", default=[], help="files that are withheld")
    group.add_argument(
        "--like", "--preview", type=Path, nargs="+", action="extend", default=[], metavar="FILE",
        help="your capture with its mask or matrix: its camera is adapted to, and previews show it",
    )  # fmt: skip
    group.add_argument("--noise", metavar="gaussian:SIGMA|shot:PEAK", help="of your camera, for simulated measurements")
    group.add_argument("--ratio", type=float, metavar="PERCENT", help="CS: learn a new sampling matrix of this ratio")
    group.add_argument(
        "--random-masks", type=float, metavar="SHARE", help="share of the samples with another mask (default 0)"
    )
    group.add_argument("--preset", choices=PRESETS, default="quick")
    group.add_argument("--steps", type=int, metavar="N", help="number of steps instead of the preset's")
    group.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting of the recipe (repeatable)"
    )
    group.add_argument("--name", help="title of the new set")
    group.add_argument("--probe", action="store_true", help="measure what it would take, and train nothing")


def adaptation_of(args: argparse.Namespace, context: Context) -> tuple[Adaptation, Recipe]:
    """What the flags ask for, its files looked at, and the recipe."""
    from ..training.adapting import Adaptation
    from ..training_data.own_files import Reading, examined, files_among

    card = find_set(args.adapt, context.library)
    if args.task not in (None, card.task):
        raise LorunError(f"{card.name} is a set for {card.task}; --task {args.task} was asked for. Choose another set.")
    options = replace(_options(args), task=card.task)
    given = companions(_one_mask(args))
    like = open_measurement(args.like, options) if args.like else None
    camera = _camera(args, options, card, like)
    own = tuple(path for path, _ in given.values())
    reading = Reading(args.route, camera, options, own or tuple(args.like[1:]))
    learn = files_among(args.data or [])
    if not learn and not args.check:
        learn = _built_in(args, context, card)
    recipe = _recipe(args, context, card, camera, has_files=bool(args.data))
    if card.task == "cs" and camera.learns_sampling and args.route != "scenes":
        raise LorunError("A new sampling matrix is learned from scenes; samples that exist have theirs. Give scenes.")
    adaptation = Adaptation(
        card,
        context.library,
        camera,
        args.route,
        examined(learn, files_among(args.check), reading),
        options,
        reading.companions,
        tuple(path.absolute() for path in args.like),
        args.name or "",
    )
    return adaptation, recipe


def probe_document(args: argparse.Namespace, context: Context, device: str) -> dict[str, Any]:
    """The event "probe"."""
    from ..training.adapting import probe

    adaptation, recipe = adaptation_of(args, context)
    if args.recipe is not None:
        return probe(adaptation, {"recipe": recipe}, device=device)
    recipes = {}
    for preset in PRESETS:
        words = argparse.Namespace(**{**vars(args), "preset": preset})
        recipes[preset] = _recipe(words, context, adaptation.card, adaptation.camera, has_files=bool(args.data))
    return probe(adaptation, recipes, device=device)


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
    from ..tasks.noise import Noise
    from ..training_data.camera import camera_of

    noise = Noise.parse(args.noise) if args.noise else None
    if like is not None:
        return camera_of(like, noise=noise)
    if args.route != "scenes" and args.data:
        return camera_of(_first_capture(args, options), noise=noise)
    return {"cassi": _cassi, "cs": _cs, "sr": _sr}[card.task](args, options, card, noise)


def _first_capture(args: argparse.Namespace, options: OpenOptions) -> Measurement:
    """The first measurement that can be opened: the camera is that of all."""
    from ..training_data.own_files import files_among

    own, reasons = [file for file, _ in companions(_one_mask(args)).values()], []
    for path in files_among(args.data):
        try:
            return open_measurement([path, *own], options)
        except LorunError as error:
            reasons.append(str(error))
    raise LorunError(f"None of {len(reasons)} files is a measurement. {reasons[0] if reasons else 'Give some.'}")


def _cassi(args: argparse.Namespace, options: OpenOptions, card: Card, noise) -> Camera:
    from ..instrument import Dispersion
    from ..io.cassi import named_wavelengths
    from ..training_data.camera import Camera

    config = card.fields.get("task_config", {})
    if args.wavelengths:
        wavelengths_nm = named_wavelengths(args.wavelengths)
    else:
        stated = config.get("wavelengths_nm")
        wavelengths_nm = None if stated is None else np.asarray(stated, dtype=np.float64)
    known = card.fields["network"]["channels"] if wavelengths_nm is None else len(wavelengths_nm)
    num_bands = args.bands or known
    if wavelengths_nm is not None and num_bands != len(wavelengths_nm):
        raise LorunError(
            f"{num_bands} bands were asked for; {len(wavelengths_nm)} wavelengths are known. Give --wavelengths."
        )
    dispersion = Dispersion(
        num_bands,
        step=config.get("step", 2.0) if args.step is None else args.step,
        axis=args.axis or "x",
        direction=args.direction or "+",
        first_offset=args.first_offset or 0.0,
    )
    return Camera(
        "cassi", noise, mask=_companion(args, "mask", options), dispersion=dispersion, wavelengths_nm=wavelengths_nm
    )


def _cs(args: argparse.Namespace, options: OpenOptions, card: Card, noise) -> Camera:
    from ..io.cs import prepared
    from ..library.model import load_tensors
    from ..networks.lora import SAMPLING
    from ..tasks.cs import cosine_sampling
    from ..training_data.camera import Camera

    sampling = _companion(args, "sampling", options)
    if sampling is not None:
        return Camera("cs", noise, sampling=prepared({"sampling": sampling}, options)["sampling"])
    config = card.fields.get("task_config", {})
    if args.ratio is not None:
        block_size = int(config.get("block_size", 32))
        fresh = cosine_sampling(args.ratio, block_size=block_size)
        return Camera("cs", noise, sampling=fresh, learns_sampling=True)
    own = load_tensors(card)[0].get(SAMPLING)
    if own is None:
        raise LorunError(
            "No sampling matrix was given. Give one with --sampling FILE, or a ratio with --ratio PERCENT."
        )
    return Camera("cs", noise, sampling=own.numpy(), learns_sampling=True)


def _sr(args: argparse.Namespace, options: OpenOptions, card: Card, noise) -> Camera:
    from ..io.sr import USUAL_SCALE, read_kernels
    from ..training_data.camera import Camera

    kernels = [None] if args.kernel is None else read_kernels(args.kernel)
    if len(kernels) != 1:
        raise LorunError(f"{args.kernel} holds {len(kernels)} kernels; one is adapted to. Choose it, e.g. :1.")
    known = card.fields.get("task_config", {}).get("scales") or [USUAL_SCALE]
    return Camera("sr", noise, kernel=kernels[0], scale=args.scale or int(known[0]))


def _companion(args: argparse.Namespace, role: str, options: OpenOptions) -> np.ndarray | None:
    """The mask or matrix that the flags name, turned and moved as asked; None without a flag."""
    given = companions(_one_mask(args))
    if role not in given:
        return None
    path, key = given[role]
    return open_companion(path, role, replace(options, key=key or None))


def _built_in(args: argparse.Namespace, context: Context, card: Card) -> list[Path]:
    """The program's own sample where no scenes were given."""
    if args.route != "scenes":
        raise LorunError(f"The route {args.route} needs measurements. Give them with --data.")
    if context.resources is None:
        return []
    sample = context.resources / "samples" / _SAMPLES[card.task]
    return [sample] if sample.is_file() else []


def _recipe(args: argparse.Namespace, context: Context, card: Card, camera: Camera, *, has_files: bool) -> Recipe:
    """The recipe of the preset or of the user's file, with what other flags change."""
    from ..training.adapting import read_adapt_recipe
    from ..training.recipe import adapt_settings

    if args.recipe is not None:
        path = Path(args.recipe)
    elif context.resources is None:
        raise LorunError("The program's recipes were not found. Reinstall LoRun, or give a recipe with --recipe FILE.")
    else:
        path = context.resources / "recipes" / "adapt" / f"{args.preset}.toml"
    usual = adapt_settings(card.task, has_scenes=has_files or args.route != "scenes")
    return read_adapt_recipe(path, card, settings={**usual, **_settings(args)})


def _settings(args: argparse.Namespace) -> Mapping[str, Any]:
    """What `--set NAME=VALUE` and the flags with names of their own say."""
    settings: dict[str, Any] = {}
    for word in args.set:
        name, equals, text = word.partition("=")
        if not equals:
            raise LorunError(f"--set {word} was given; --set NAME=VALUE was expected, e.g. --set batch=4.")
        settings[name.strip()] = _value(text.strip())
    for name, value in (
        ("adapter_steps", args.steps),
        ("seed", args.seed),
        ("threads", args.threads),
        ("random_masks", args.random_masks),
    ):
        if value is not None:
            settings[name] = value
    return settings


def _value(text: str) -> Any:
    """A number, true or false, a list of numbers separated by commas, or a word."""
    if "," in text:
        return [_value(part.strip()) for part in text.strip("[]()").split(",")]
    try:
        return json.loads(text.lower())
    except ValueError:
        return text
