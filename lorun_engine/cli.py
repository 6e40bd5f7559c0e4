"""The command line: the window's twin, the same engine calls. `lorun COMMAND --help` describes every flag.

Exit codes: 0 done, 1 a LorunError (one sentence on stderr), 2 wrong usage, 130 cancelled. With `--json` one JSON
document goes to stdout and nothing else; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import __version__
from .cli_training import COMMANDS
from .errors import FileError, LorunError, ModelError
from .execution import PATHS, PRECISIONS
from .io import (
    WAVELENGTHS,
    Geometry,
    OpenOptions,
    cube_file,
    inspect,
    open_measurement,
    open_scene,
    replacing,
    write_cube,
    write_measurement,
)

if TYPE_CHECKING:
    from .measurement import Measurement
    from .restore import Decoder


@dataclass(frozen=True)
class Context:
    """Where things are: `library` folders with backbones and adapter sets, and the program's own `resources`.

    `remembered` gives the corrections that the window remembers for a folder.
    """

    library: tuple[Path, ...]
    resources: Path | None
    remembered: Callable[[Path], OpenOptions | None]


def main(
    argv: Sequence[str],
    *,
    library: Sequence[Path] = (),
    resources: Path | None = None,
    remembered: Callable[[Path], OpenOptions | None] = lambda folder: None,
) -> int:
    """Runs one command and returns its exit code."""
    parser = _parser()
    args = parser.parse_args(list(argv))  # leaves with 2 on wrong usage
    try:
        return args.run(args, Context(tuple(library), resources, remembered))
    except LorunError as error:
        _tell(f"lorun: {error}")
        return 1
    except KeyboardInterrupt:
        _tell("lorun: cancelled")
        return 130


# ---- commands ----------------------------------------------------------------------------------------------------


def restore_command(args: argparse.Namespace, context: Context) -> int:
    """`lorun restore`: decodes one measurement, or every measurement of a folder."""
    source = Path(args.input)
    if not source.is_dir():
        _print_json(_restore_file(source, _output_for(source, Path(args.output)), args, context, protected=()), args)
        return 0
    paths = _measurements_in(source, args)
    stems = Counter(path.stem for path in paths)
    reports, num_failed = [], 0
    for path in paths:
        name = path.stem if stems[path.stem] == 1 else path.name  # a.mat and a.npy give a.mat.h5 and a.npy.h5
        try:
            output = Path(args.output) / f"{name}.h5"
            reports.append(_restore_file(path, output, args, context, protected=paths))
        except LorunError as error:
            num_failed += 1
            reports.append({"input": str(path), "error": str(error)})
            _tell(f"lorun: {path.name}: {error}")
    _tell(f"{len(paths) - num_failed} of {len(paths)} files decoded into {args.output}")
    _print_json(reports, args)
    return 1 if num_failed else 0


def simulate_command(args: argparse.Namespace, context: Context) -> int:
    """`lorun simulate`: the measurement file that a camera would give for a scene."""
    from .evaluate import at_wavelengths
    from .noise import Noise
    from .tasks.cassi import random_mask, simulate

    noise = Noise.parse(args.noise) if args.noise else None
    scene = open_scene(Path(args.scene), _options(args))
    if args.wavelengths and args.wavelengths in WAVELENGTHS and scene.wavelengths_nm is not None:
        scene = at_wavelengths(scene, np.asarray(WAVELENGTHS[args.wavelengths]))
    height, width = scene.image.shape[1:]
    mask = random_mask(height, width, seed=args.seed) if args.mask is None else _read_mask(args)
    mask = mask[..., :height, :width]
    measurement = simulate(scene, mask, _dispersion(args, scene.image.shape[0]), noise=noise, seed=args.seed)
    write_measurement(
        Path(args.output),
        measurement,
        attributes={"noise": str(noise or "none"), "seed": args.seed},
        protected=[Path(args.scene), *(file for file, _ in _companions(args).values())],
    )
    _tell(f"{args.output}: {' x '.join(map(str, measurement.y.shape[1:]))} pixels, {scene.image.shape[0]} bands")
    _print_json({"output": str(args.output), "shape": list(measurement.y.shape), "noise": str(noise or "none")}, args)
    return 0


def evaluate_command(args: argparse.Namespace, context: Context) -> int:
    """`lorun evaluate`: scores of a decoder on a folder of scenes whose measurements are simulated."""
    from .device import require_device
    from .evaluate import evaluate_cassi
    from .noise import Noise

    noise = Noise.parse(args.noise) if args.noise else None
    decoder = _decoder(args, context, task=args.task)
    device = require_device(args.device)
    mask = None if args.mask is None else _read_mask(args)
    scores, num_failed = [], 0
    for path in _files_in(Path(args.data)):
        if any(path.resolve() == file.resolve() for file, _ in _companions(args).values()):
            continue
        try:
            windows = _windows(path, args)
            dispersion = _dispersion(args, windows[0].scene.image.shape[0]) if windows else None
            for result in evaluate_cassi(
                decoder,
                windows,
                mask=mask,
                dispersion=dispersion,
                noise=noise,
                seed=args.seed,
                num_stages=args.stages,
                device=device,
                threads=args.threads,
            ):
                scores.append(result)
                _tell(f"{result.name:40s} {result.psnr:6.2f} dB  SSIM {result.ssim:.4f}  SAM {result.sam:5.2f}°")
        except LorunError as error:
            num_failed += 1
            _tell(f"lorun: {path.name}: {error}")
    if not scores:
        raise LorunError(f"No scene of {args.data} could be scored. Give a folder of spectral cubes.")
    figures = ("psnr", "ssim", "sam", "residual", "seconds")
    mean = {name: float(np.mean([getattr(result, name) for result in scores])) for name in figures}
    _tell(
        f"{'mean of ' + str(len(scores)):40s} {mean['psnr']:6.2f} dB  SSIM {mean['ssim']:.4f}  SAM {mean['sam']:5.2f}°"
    )
    _print_json(
        {
            "task": args.task,
            "adapter": decoder.name,
            "protocol": args.protocol or "by source",
            "noise": str(noise or "none"),
            "images": [asdict(result) for result in scores],
            "mean": mean,
        },
        args,
    )
    return 1 if num_failed else 0


def demo_command(args: argparse.Namespace, context: Context) -> int:
    """`lorun demo` without a display: the built-in sample restored into a folder."""
    from .colour import read_observer, to_srgb

    if context.resources is None:
        raise FileError("The program's resources were not found; the demo needs its sample. Reinstall LoRun.")
    sample = context.resources / "samples" / "cassi.h5"
    folder = Path(args.output or "lorun-demo")
    folder.mkdir(parents=True, exist_ok=True)
    measurement = open_measurement([sample], OpenOptions())
    decoder = _decoder_for(measurement, args, context)
    _tell(f"Restoring the built-in sample {sample.name} with {decoder.name} on the CPU")
    results = []
    num_stages = decoder.num_stages if args.stages is None else args.stages
    for result in _with_progress(_restored(decoder, measurement, args), num_stages):
        image = result.image
        results.append(result.without_images())
    write_cube(
        folder / "cube.h5",
        image,
        wavelengths_nm=measurement.wavelengths_nm,
        attributes=_cube_attributes(decoder.name, sample.name, results[-1]),
    )
    observer = read_observer(context.resources / "colour" / "cie1931.csv")
    picture = to_srgb(image, measurement.wavelengths_nm, observer, white=float(np.percentile(image, 99.5)))
    _write_picture(folder / "colour.png", picture)
    _write_stage_table(folder / "stages.csv", results)
    report = _report(decoder, args, results, folder / "cube.h5", image.shape)
    figures = "".join(f", {name} {value:.3g}" for name, value in results[-1].metrics.items())
    _tell(f"{len(results) - 1} stages, relative residual {results[-1].residual:.3g}{figures}")
    if args.json:
        _print_json(report, args)
    else:
        print(folder.resolve())
    return 0


def info_command(args: argparse.Namespace, context: Context) -> int:
    """`lorun info`: versions, devices, memory and the decoders found."""
    import torch

    from .device import list_devices
    from .model import list_decoders
    from .tasks import TASKS

    packages = {}
    for name in ("torch", "numpy", "scipy", "h5py", "tifffile", "PySide6-Essentials", "pyqtgraph"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    report = {
        "lorun": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "devices": [asdict(device) for device in list_devices()],
        "decoders": {name: [entry.name for entry in list_decoders(context.library, task=name)] for name in TASKS},
        "library": [str(folder) for folder in context.library],
    }
    if args.json:
        _print_json(report, args)
        return 0
    print(f"LoRun {__version__}, Python {report['python']}, {report['platform']}")
    print("packages:", ", ".join(f"{name} {number or 'not installed'}" for name, number in packages.items()))
    for device in list_devices():
        memory = (
            ""
            if device.total_bytes is None
            else f", {device.free_bytes / 2**30:.1f} of {device.total_bytes / 2**30:.1f} GiB free"
        )
        print(f"device {device.name}: {device.title}{memory}")
    for task, names in report["decoders"].items():
        print(f"decoders for {task}: {', '.join(names)}")
    return 0


def self_test_command(args: argparse.Namespace, context: Context) -> int:
    """`lorun self-test`: what every installed or packaged build must pass; prints one line a check."""
    from .self_test import SELF_TESTS

    failures = []
    for title, check in SELF_TESTS.items():
        try:
            check(context.resources)
            _tell(f"ok      {title}")
        except Exception as error:  # a self-test reports whatever broke, of any kind
            failures.append(title)
            _tell(f"FAILED  {title}: {type(error).__name__}: {error}")
    _print_json({"passed": len(SELF_TESTS) - len(failures), "failed": failures}, args)
    if not args.json:
        print(f"{len(SELF_TESTS) - len(failures)} of {len(SELF_TESTS)} checks passed")
    return 1 if failures else 0


# ---- one restoration ---------------------------------------------------------------------------------------------


def _restore_file(
    path: Path, output: Path, args: argparse.Namespace, context: Context, *, protected: Sequence[Path]
) -> dict:
    """Decodes one file into one cube file, none of its inputs and of `protected`; the report of `--json`."""
    inputs = list(dict.fromkeys([path, *(file for file, _ in _companions(args).values())]))
    protected = [*inputs, *protected]
    measurement = open_measurement(inputs, _measurement_options(path, args), hints=_remembered(path, context))
    for note in measurement.notes:
        _tell(note)
    decoder = _decoder_for(measurement, args, context)
    num_stages = decoder.num_stages if args.stages is None else args.stages
    output.parent.mkdir(parents=True, exist_ok=True)
    wavelengths_nm, results = measurement.wavelengths_nm, []
    with ExitStack() as stack:
        stages = None
        if args.save_stages:
            stages = stack.enter_context(cube_file(output, wavelengths_nm=wavelengths_nm, protected=protected))
        for result in _with_progress(_restored(decoder, measurement, args), num_stages):
            results.append(result.without_images())
            if stages is not None:
                stages.add_stage(result.index, result.image)
        attributes = _cube_attributes(decoder.name, str(path), result)
        if stages is not None:
            stages.finish(result.image, attributes=attributes)
        else:
            write_cube(output, result.image, wavelengths_nm=wavelengths_nm, attributes=attributes, protected=protected)
    shape = result.image.shape
    _tell(f"{output}: {' x '.join(map(str, (*shape[1:], shape[0])))}, relative residual {result.residual:.3g}")
    return {"input": str(path), **_report(decoder, args, results, output, shape)}


def _restored(decoder, measurement, args: argparse.Namespace) -> Iterator:
    from .device import require_device
    from .restore import restore

    return restore(
        decoder, measurement, num_stages=args.stages, device=require_device(args.device), threads=args.threads
    )


def _with_progress(results: Iterator, num_stages: int) -> Iterator:
    """`results` with a progress bar on stderr where that is a terminal."""
    from tqdm import tqdm

    return tqdm(results, total=num_stages + 1, unit="stage", file=sys.stderr, disable=None, leave=False)


def _cube_attributes(adapter: str, source: str, result) -> dict:
    return {"adapter": adapter, "source": source, "intensity_scale": result.input_scale}


def _report(decoder, args: argparse.Namespace, results: list, output: Path, shape: tuple[int, ...]) -> dict:
    return {
        "task": decoder.task,
        "adapter": decoder.name,
        "device": args.device,
        "precision": args.precision or PRECISIONS[0],
        "path": args.path or PATHS[0],
        "intensity_scale": results[-1].input_scale,
        "stages": [
            {"index": r.index, "residual": r.residual, "seconds": r.seconds, **r.parameters, **r.metrics}
            for r in results
        ],
        "output": str(output),
        "shape": [*shape[1:], shape[0]],
    }


def _write_picture(path: Path, picture: np.ndarray) -> None:
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def _write_stage_table(path: Path, results: list) -> None:
    columns = ["stage", "residual", "seconds", *results[-1].parameters, *results[-1].metrics]
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(columns)
        for r in results:
            row = {"stage": r.index, "residual": r.residual, "seconds": r.seconds, **r.parameters, **r.metrics}
            table.writerow([row.get(column, "") for column in columns])


# ---- what the flags mean -----------------------------------------------------------------------------------------


def _companions(args: argparse.Namespace) -> dict[str, tuple[Path, str]]:
    """role -> (file, key or "") of `--mask` and `--reference`, each FILE or FILE::KEY."""
    given = {role: getattr(args, role, None) for role in ("mask", "reference")}
    split = {role: word.partition("::") for role, word in given.items() if word}
    return {role: (Path(file), key) for role, (file, _, key) in split.items()}


def _measurement_options(path: Path, args: argparse.Namespace) -> OpenOptions:
    """The options for the measurement in `path` with its mask and reference, which may lie in the same file."""
    roles = [(f"{file}::{key}" if key else str(file), role) for role, (file, key) in _companions(args).items()]
    options = replace(_options(args), roles=tuple(roles))
    if args.key and any(file == path for file, _ in _companions(args).values()):
        return replace(options, key=None, roles=(*options.roles, (f"{path}::{args.key}", "measurement")))
    return options


def _remembered(path: Path, context: Context) -> Geometry | None:
    """What was answered in the window about other files of this folder."""
    known = context.remembered(path.absolute().parent)
    if known is None:
        return None
    return Geometry(known.num_bands, known.step, known.axis, known.direction, known.first_offset)


def _options(args: argparse.Namespace) -> OpenOptions:
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
        crop=args.crop,
        input_scale=args.input_scale,
        cube_axes=args.cube_axes,
        integer_scale=args.integer_scale,
    )


def _dispersion(args: argparse.Namespace, num_bands: int):
    from .tasks.cassi import Dispersion

    return Dispersion(
        num_bands,
        step=2.0 if args.step is None else args.step,
        axis=args.axis or "x",
        direction=args.direction or "+",
        first_offset=args.first_offset or 0.0,
    )


def _decoder(args: argparse.Namespace, context: Context, *, task: str) -> Decoder:
    """The decoder that `--adapter` names; else the library's first set, else one without weights."""
    from .model import list_decoders, open_decoder

    name = args.adapter or list_decoders(context.library, task=task)[0].name
    return _as_asked(open_decoder(name, library=context.library, task=task), args)


def _decoder_for(measurement: Measurement, args: argparse.Namespace, context: Context) -> Decoder:
    """As `_decoder`; without the flag the first that fits the measurement's bands, and it is named."""
    from .model import list_decoders, open_decoder

    names = [args.adapter] if args.adapter else [e.name for e in list_decoders(context.library, task=measurement.task)]
    for name in names:
        try:
            decoder = open_decoder(name, library=context.library, task=measurement.task).fitted(measurement)
        except ModelError as error:
            if args.adapter:
                raise
            _tell(f"{name} does not fit: {error}")
            continue
        decoder = _as_asked(decoder, args)
        _tell(f"decoding with {decoder.name}")
        for note in getattr(decoder, "notes", ()):
            _tell(note)
        return decoder
    raise LorunError(f"No decoder for {measurement.task} fits this measurement. Name one with --adapter.")


def _as_asked(decoder: Decoder, args: argparse.Namespace) -> Decoder:
    """The decoder with the strength, ablated stages, precision and path of the flags, which only a trained set has."""
    from .model import Model

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


def _read_mask(args: argparse.Namespace) -> np.ndarray:
    """The (H, W) or (C, H, W) mask of `--mask`, turned and flipped as asked."""
    path, key = _companions(args)["mask"]
    table = inspect([path], replace(_options(args), key=key or None, roles=((str(path), "mask"),)))
    mask = table.array("mask")
    if mask is None:
        raise FileError(f"{path} holds no image that could be a mask. Choose another file.")
    return mask


def _windows(path: Path, args: argparse.Namespace) -> list:
    """The windows of one scene under the protocol asked for, or under the one its source names."""
    from .evaluate import at_wavelengths, cave_28_windows, cut_windows

    scene = open_scene(path, _options(args))
    protocol = args.protocol or ("cave-28" if "CAVE" in scene.source else "windows")
    if protocol == "cave-28" and not args.wavelengths:
        return cave_28_windows(scene, np.asarray(WAVELENGTHS["cassi-28"]), name=path.stem)
    if args.wavelengths in WAVELENGTHS:
        scene = at_wavelengths(scene, np.asarray(WAVELENGTHS[args.wavelengths]))
    border = (4 if scene.image.shape[2] == 512 else 2, 0, 0, 0) if protocol == "cave-28" else (0, 0, 0, 0)
    windows = cut_windows(scene, name=path.stem, score_crop=args.score_crop or border)
    dropped = (
        scene.image.shape[1] % windows[0].scene.image.shape[1],
        scene.image.shape[2] % windows[0].scene.image.shape[2],
    )
    if any(dropped):
        _tell(f"{path.name}: {dropped[0]} rows at the bottom and {dropped[1]} columns at the right are left out")
    return windows


def _files_in(folder: Path) -> list[Path]:
    if not folder.exists():
        raise FileError(f"{folder} does not exist. Check the path.")
    paths = [folder] if folder.is_file() else sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] != ".")
    if not paths:
        raise FileError(f"The folder {folder} is empty. Give a folder that holds measurements or scenes.")
    return paths


def _measurements_in(folder: Path, args: argparse.Namespace) -> list[Path]:
    """The files of a folder but those that were named as mask or reference; a lone `mask.*` there becomes the mask."""
    paths = _files_in(folder)
    if args.mask is None:
        masks = [path for path in paths if path.stem.lower() == "mask"]
        if len(masks) == 1:
            args.mask = str(masks[0])
            _tell(f"mask: {masks[0]}")
    named = {file.resolve() for file, _ in _companions(args).values()}
    return [path for path in paths if path.resolve() not in named]


def _output_for(source: Path, output: Path) -> Path:
    return output / f"{source.stem}.h5" if output.is_dir() or not output.suffix else output


# ---- the parser --------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lorun",
        description="Decodes the snapshots of coded-aperture spectral cameras (CASSI), stage by stage.",
        epilog="Without a command, or with gui [FILES], lorun opens the window; so does demo where there is a display.",
    )
    parser.add_argument("--version", action="version", version=f"lorun {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=run.__doc__)
        sub.set_defaults(run=run)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
        return sub

    sub = command("restore", restore_command, "decode a measurement or a folder of them")
    sub.add_argument("input", help="measurement file or folder")
    sub.add_argument("-o", "--output", required=True, help="cube file (.h5 .mat .tif .hdr .npy) or folder")
    sub.add_argument("--reference", metavar="FILE[::KEY]", help="the true scene: every stage is scored")
    sub.add_argument("--save-stages", action="store_true", help="keep the initial estimate and every stage (HDF5)")
    _add_geometry(sub)
    _add_decoder(sub)

    sub = command("simulate", simulate_command, "make a measurement file from a scene")
    sub.add_argument("scene", help="file of a spectral cube")
    sub.add_argument("-o", "--output", required=True, help="measurement file (.h5)")
    _add_geometry(sub)
    _add_noise(sub)

    sub = command("evaluate", evaluate_command, "score a decoder on scenes")
    sub.add_argument("--data", required=True, help="folder of scenes, or one scene")
    sub.add_argument("--protocol", choices=("cave-28", "windows"), help="default: by the scene's source")
    sub.add_argument("--score-crop", type=_numbers("L,T,R,B", 4), help="pixels at each side that do not count")
    _add_geometry(sub)
    _add_decoder(sub)
    _add_noise(sub)

    sub = command("demo", demo_command, "restore the built-in sample")
    sub.add_argument("-o", "--output", help="folder (default ./lorun-demo)")
    _add_decoder(sub)

    for name, (summary, configure, run) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=run.__doc__)
        sub.set_defaults(run=run)
        configure(sub)
    command("info", info_command, "versions, devices, memory, decoders")
    command("self-test", self_test_command, "what a packaged build must pass")
    return parser


def _add_geometry(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("geometry", "what the program should know of the instrument; guessed where left out")
    group.add_argument("--task", choices=("cassi",), default="cassi")
    group.add_argument("--mask", metavar="FILE[::KEY]", help="the coded aperture")
    group.add_argument("--bands", type=int, metavar="N")
    group.add_argument("--step", type=float, metavar="D", help="dispersion in pixels a band, fractions allowed")
    group.add_argument("--axis", choices=("x", "y"), help="dispersion along columns (x) or rows (y)")
    group.add_argument("--direction", choices=("+", "-"), help="longer wavelengths move right or down (+), or not (-)")
    group.add_argument("--first-offset", type=float, metavar="P", help="pixels before the nearest band")
    group.add_argument(
        "--wavelengths", metavar="FILE|NAME", help=f"band centres in nm: a file or {', '.join(WAVELENGTHS)}"
    )
    group.add_argument("--key", metavar="NAME", help="which array of the file")
    group.add_argument("--flip", choices=("lr", "ud"), help="mirror the mask")
    group.add_argument("--rotate", type=int, choices=(0, 90, 180, 270), help="turn the mask counter-clockwise")
    group.add_argument("--crop", type=_numbers("Y,X,H,W", 4), metavar="Y,X,H,W", help="scene window to decode")
    group.add_argument(
        "--input-scale", type=float, metavar="A", help="factor that brings the measurement to the 0..1 scale"
    )
    group.add_argument("--integer-scale", type=float, metavar="S", help="what stored integers are divided by")
    group.add_argument("--cube-axes", metavar="AXES", help="axes of a stored cube, e.g. HWC")


def _add_decoder(sub: argparse.ArgumentParser) -> None:
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


def _add_noise(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("noise")
    group.add_argument("--noise", metavar="gaussian:SIGMA|shot:PEAK", help="sigma on the 0..1 scale, peak in electrons")
    group.add_argument("--seed", type=int, default=0)


def _numbers(form: str, count: int, separator: str = ",") -> Callable[[str], tuple[int, ...]]:
    def parse(text: str) -> tuple[int, ...]:
        try:
            numbers = tuple(int(part) for part in text.lower().split(separator))
        except ValueError:
            numbers = ()
        if len(numbers) != count or min(numbers) < 0:
            raise argparse.ArgumentTypeError(f"{text!r} was given; {form} was expected")
        return numbers

    return parse


def _tell(sentence: str) -> None:
    if sys.stderr is not None:  # a windowed frozen program has none
        print(sentence, file=sys.stderr, flush=True)


def _print_json(document: dict | list, args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(document, indent=2, allow_nan=False))
