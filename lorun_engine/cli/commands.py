"""The command line: the window's twin, the same engine calls. `lorun COMMAND --help` describes every flag.

Exit codes: 0 done, 1 a LorunError (one sentence on stderr), 2 wrong usage, 130 after Ctrl-C, 143 after SIGTERM, 129
after SIGHUP. With `--json` one JSON document goes to stdout and nothing else; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import io
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..decoding.execution import Execution
from ..errors import FileError, LorunError
from ..instrument import RELIT_GAMMA
from ..io import (
    Geometry,
    OpenOptions,
    cube_file,
    inspect,
    made_folder,
    open_measurement,
    replacing,
    require_cube_name,
    require_place,
    write_cube,
    write_table,
)
from ..io.folders import (
    POLL_S,
    Arrivals,
    Look,
    Survey,
    files_of,
    grown,
    is_done,
    is_same,
    require_room,
    result_stems,
    survey_of,
    surveyed,
)
from ..io.quantities import plural
from ..io.resolved import RoleRow
from ..io.roles import role_rows
from ..schema import NotNegative
from ..task import DEFAULT, TASKS
from . import scenes, training
from .flags import (
    Context,
    add_decoder,
    add_geometry,
    as_asked,
    asked_of,
    companions,
    file_and_key,
    files_in,
    inputs_of,
    one,
    open_options,
    print_json,
    refuse,
    require_meant,
    resources_of,
    say_nothing_more,
    tell,
)
from .interrupts import exit_code, interruptible
from .reporting import Reported, require_report
from .shares import own_share

if TYPE_CHECKING:
    from ..decoder import Decoder, StartStep
    from ..decoding.restore import StageResult
    from ..measurement import Measurement


def main(
    argv: Sequence[str],
    *,
    library: Sequence[Path] = (),
    resources: Path | None = None,
    remembered: Callable[[Path], OpenOptions | None] = lambda folder: None,
) -> int:
    """Runs one command and returns its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may hold what no text does
        sys.stdout.reconfigure(errors="backslashreplace")
    args = _parser().parse_args(list(argv))  # leaves with 2 on wrong usage
    try:
        with interruptible():
            return _answered(args, Context(tuple(library), resources, remembered))
    except KeyboardInterrupt as told:
        tell("lorun: cancelled")
        return exit_code(getattr(told, "number", signal.SIGINT))


def _answered(args: argparse.Namespace, context: Context) -> int:
    """Runs a command and says in a sentence what went wrong; its exit code."""
    try:
        code = int(args.run(args, context))
        if sys.stdout is not None:  # a windowed frozen program has none
            sys.stdout.flush()
        return code
    except LorunError as error:
        tell(f"lorun: {error}")
        return 1
    except BrokenPipeError:  # whoever read our output has had enough, as `| head` does
        say_nothing_more()
        return 0
    except OSError as error:  # of a file or a folder that was named: nothing else is asked of the system
        if error.errno is None:
            raise
        if error.filename is None:
            say_nothing_more()
        subject = error.filename or "The output"
        tell(f"lorun: {subject} could not be used: {error.strerror}. Free space, or check the path and its rights.")
        return 1
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):  # torch's words for it
            raise
        tell("lorun: The memory of this computer is full. Choose smaller files or settings, or close other programs.")
        return 1


# ---- commands ----------------------------------------------------------------------------------------------------


def restore_command(args: argparse.Namespace, context: Context) -> int:
    """`lorun restore`: decodes one measurement, or every measurement of a folder.

    With `--watch` it goes on with what comes into the folder until a signal ends it. A file counts once it is whole. A
    result that is there and not older than its measurement stays as it is; without `--watch` all are decoded again.
    Several processes share a folder (see `shares`).
    """
    source, share = args.input, own_share(args.input, args.output, watch=args.watch)
    args.device = share.device(args.device)
    if source.is_dir() and args.report is not None:
        refuse(["--report"], "for a folder")
    if args.watch:
        if not source.is_dir():
            raise FileError(f"--watch is for a folder; {source} is none. Name the folder, or leave --watch out.")
        return _watch(args, context)
    if not source.is_dir():
        print_json(_restore_file(source, _output_for(source, args.output), args, context, Survey()), args)
        return 0
    survey = _measurements_in(source, args, context)
    paths, stems = share.of(survey.paths), result_stems(survey.paths)
    reports = [_report_of(path, args.output / f"{stems[path]}.h5", args, context, survey) for path in paths]
    num_failed = sum("error" in report for report in reports)
    tell(f"{len(paths) - num_failed} of {len(paths)} files decoded into {args.output}{share.words}")
    print_json(reports, args)
    return 1 if num_failed else 0


def demo_command(args: argparse.Namespace, context: Context) -> int:
    """`lorun demo` without a display: the built-in sample restored into a folder."""
    from ..colour import read_observer, to_srgb

    resources = resources_of(context)
    sample = resources / "samples" / TASKS[DEFAULT].sample
    folder = made_folder(args.output or Path("lorun-demo"))
    measurement = open_measurement([sample], OpenOptions())
    wavelengths_nm = measurement.wavelengths_nm
    if wavelengths_nm is None:
        raise FileError(f"{sample.name} states no wavelengths; the built-in sample does. Reinstall LoRun.")
    decoder = _decoder_for(measurement, args, context)
    tell(f"Decoding the built-in sample {sample.name} with {decoder.name} on the CPU")
    results = []
    num_stages = decoder.num_stages if args.stages is None else args.stages
    for result in _with_progress(_restored(decoder, measurement, args), num_stages, decoder.step_name):
        image = result.image
        results.append(result.without_images())
    write_cube(
        folder / "cube.h5",
        image,
        wavelengths_nm=wavelengths_nm,
        attributes=_cube_attributes(asked_of(args, decoder, num_stages).title, sample.name, measurement, results[-1]),
    )
    observer = read_observer(resources / "colour" / "cie1931.csv")
    picture = to_srgb(image, wavelengths_nm, observer, white=float(np.percentile(image, 99.5)))
    _write_picture(folder / "colour.png", picture)
    _write_stage_table(folder / "stages.csv", results)
    report = _report(decoder, args, results, folder / "cube.h5", image.shape)
    figures = "".join(f", {name} {value:.3g}" for name, value in results[-1].metrics.items())
    tell(f"{plural(len(results) - 1, decoder.step_name)}, relative residual {results[-1].residual:.3g}{figures}")
    if args.json:
        print_json(report, args)
    else:
        print(folder.resolve())
    return 0


def info_command(args: argparse.Namespace, context: Context) -> int:
    """`lorun info`: versions, devices, memory and the decoders found."""
    import torch

    from ..decoding.device import list_devices
    from ..library.model import list_decoders

    packages: dict[str, str | None] = {}
    for name in ("torch", "numpy", "scipy", "h5py", "tifffile", "PySide6-Essentials", "pyqtgraph"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    decoders = {name: [entry.name for entry in list_decoders(context.library, task=name)] for name in TASKS}
    report = {
        "lorun": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "devices": [asdict(device) for device in list_devices()],
        "decoders": decoders,
        "library": [str(folder) for folder in context.library],
    }
    if args.json:
        print_json(report, args)
        return 0
    print(f"LoRun {__version__}, Python {report['python']}, {report['platform']}")
    print("packages:", ", ".join(f"{name} {number or 'not installed'}" for name, number in packages.items()))
    for device in list_devices():
        memory = ""
        if device.free_bytes is not None and device.total_bytes is not None:
            memory = f", {device.free_bytes / 2**30:.1f} of {device.total_bytes / 2**30:.1f} GiB free"
        print(f"device {device.name}: {device.title}{memory}")
    for task, names in decoders.items():
        print(f"decoders for {task}: {', '.join(names)}")
    return 0


def self_test_command(args: argparse.Namespace, context: Context) -> int:
    """`lorun self-test`: what every installed or packaged build must pass; prints one line a check."""
    from .self_test import SELF_TESTS

    resources, failures = resources_of(context), []
    for title, check in SELF_TESTS.items():
        try:
            check(resources)
            tell(f"ok      {title}")
        except Exception as error:  # a self-test reports whatever broke, of any kind
            failures.append(title)
            tell(f"FAILED  {title}: {type(error).__name__}: {error}")
    print_json({"passed": len(SELF_TESTS) - len(failures), "failed": failures}, args)
    if not args.json:
        print(f"{len(SELF_TESTS) - len(failures)} of {len(SELF_TESTS)} checks passed")
    return 1 if failures else 0


# ---- one restoration ---------------------------------------------------------------------------------------------


def _report_of(path: Path, output: Path, args: argparse.Namespace, context: Context, survey: Survey) -> dict[str, Any]:
    """The report of one file of a folder, or of why it failed, which stops nothing else."""
    try:
        return _restore_file(path, output, args, context, survey)
    except LorunError as error:
        tell(f"lorun: {path.name}: {error}")
        return {"input": str(path), "error": str(error)}


def _watch(args: argparse.Namespace, context: Context) -> int:
    """Decodes what lies in a folder and what comes into it, until it is interrupted."""
    arrivals, looks, reports = Arrivals(args.input), dict[Path, Look](), list[dict[str, Any]]()
    tell(f"Watching {args.input}; Ctrl-C ends it.")
    try:
        while True:
            if args.mask is None:
                _take_mask(files_of(args.input), args)
            named, before = [file for file, _ in companions(args).values()], survey_of(looks)
            come = dict(arrivals.poll(lambda path: _rows_of(path, args, context)))
            come = {path: seen for path, seen in come.items() if not any(is_same(path, file) for file in named)}
            looks |= come
            survey = survey_of(looks)
            for sentence in grown(before, survey):
                tell(sentence)
            for path, output in _wanted(come, survey, args):
                reports.append(_report_of(path, output, args, context, survey))
                arrivals.take(output)  # a result among its captures is none
            time.sleep(POLL_S)
    finally:
        print_json(reports, args)


def _wanted(come: Mapping[Path, Look], survey: Survey, args: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """(measurement, where its result goes) of what came, but for what is done and what is in the way."""
    stems = result_stems(survey.paths)
    for path, seen in come.items():
        if seen.reason:
            tell(f"lorun: {seen.reason}")
            continue
        output = args.output / f"{stems[path]}.h5"
        if is_done(path, output):
            tell(f"{path.name} was decoded before: {output}")
            continue
        try:
            if output not in survey.paths:  # those are refused for what they are
                require_room(output)
        except LorunError as error:
            tell(f"lorun: {path.name}: {error}")
            continue
        yield path, output


def _restore_file(
    path: Path, output: Path, args: argparse.Namespace, context: Context, survey: Survey
) -> dict[str, Any]:
    """Decodes one file into one cube file, none of its inputs and of those of its folder; the report of `--json`."""
    inputs = inputs_of(path, args)
    protected = [*inputs, *survey.paths]
    options, hints = _measurement_options(path, args), _remembered(path, context)
    table = inspect(inputs, options, hints=hints, full_scales=survey.full_scales)
    measurement = table.measurement()
    for note in measurement.notes:
        tell(note)
    require_meant(args, measurement.task)
    if args.relight is not None and not measurement.physics.num_lights:
        refuse(["--relight"], f"for {TASKS[measurement.task].short}")
    require_cube_name(output, num_bands=measurement.physics.scene_shape[0], with_stages=args.save_stages)
    made_folder(output.parent)
    require_place(output, protected=protected)
    if args.report is not None:
        require_report(args.report, output, protected=protected)
    decoder = _decoder_for(measurement, args, context)
    num_stages = decoder.num_stages if args.stages is None else args.stages
    wavelengths_nm, reported = measurement.wavelengths_nm, Reported(num_stages)
    results: list[StageResult] = []
    with ExitStack() as stack:
        stages = None
        if args.save_stages:
            stages = stack.enter_context(cube_file(output, wavelengths_nm=wavelengths_nm, protected=protected))
        for result in _with_progress(_restored(decoder, measurement, args), num_stages, decoder.step_name):
            if result.spared and not (results and results[-1].spared):
                tell(result.spared)
            results.append(result.without_images())
            if args.report is not None:
                reported.keep(result, relight=args.relight)
            if stages is not None:
                stages.add_stage(result.index, result.relit(args.relight))
        image = result.relit(args.relight)
        title = asked_of(args, decoder, num_stages).title
        attributes = _cube_attributes(title, path.name, measurement, result, args.relight)
        if stages is not None:
            stages.finish(image, attributes=attributes)
        else:
            write_cube(output, image, wavelengths_nm=wavelengths_nm, attributes=attributes, protected=protected)
    shape = image.shape
    if args.report is not None:
        reported.write(args, context, (table, options, measurement), decoder, results, output, protected=protected)
    tell(f"{output}: {' x '.join(map(str, (*shape[1:], shape[0])))}, relative residual {result.residual:.3g}")
    return {"input": str(path), **_report(decoder, args, results, output, shape)}


def _restored(
    decoder: Decoder, measurement: Measurement, args: argparse.Namespace
) -> Iterator[StartStep | StageResult]:
    from ..decoding.restore import restore_steps

    return restore_steps(decoder, measurement, num_stages=args.stages, device=args.device, threads=args.threads)


def _with_progress(steps: Iterator[StartStep | StageResult], num_stages: int, step_name: str) -> Iterator[StageResult]:
    """The stages among `steps`, with a progress bar on stderr where that is a terminal, which names the start.

    `step_name` is what the decoder calls a stage.
    """
    from tqdm import tqdm

    from ..decoder import StartStep

    with tqdm(total=num_stages + 1, unit=step_name, file=sys.stderr, disable=None, leave=False) as bar:
        for step in steps:
            if isinstance(step, StartStep):
                bar.set_description_str(step.words)
                continue
            yield step
            bar.set_description_str("", refresh=False)
            bar.update()


def _cube_attributes(
    adapter: str, source: str, measurement: Measurement, result: StageResult, relight: float | None = None
) -> dict[str, Any]:
    scales = {"intensity_scale": result.input_scale, "dark_level": measurement.dark_level}
    lit = {"relight": RELIT_GAMMA if relight is None else relight} if measurement.physics.num_lights else {}
    return {"adapter": adapter, "source": source, **scales, **lit}


def _report(
    decoder: Decoder, args: argparse.Namespace, results: Sequence[StageResult], output: Path, shape: tuple[int, ...]
) -> dict[str, Any]:
    precision, path = results[-1].executed or Execution()
    return {
        "task": decoder.task,
        "adapter": decoder.name,
        "device": args.device,
        "precision": precision,
        "path": path,
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


def _write_stage_table(path: Path, results: Sequence[StageResult]) -> None:
    columns = ["stage", "residual", "seconds", *results[-1].parameters, *results[-1].metrics]
    rows = [
        {"stage": r.index, "residual": r.residual, "seconds": r.seconds, **r.parameters, **r.metrics} for r in results
    ]
    write_table(path, columns, ([row.get(column, "") for column in columns] for row in rows))


# ---- what the flags mean -----------------------------------------------------------------------------------------


def _measurement_options(path: Path, args: argparse.Namespace) -> OpenOptions:
    """The options for the measurement in `path` with what belongs to it, which may lie in the same file."""
    given = companions(args)
    roles = [(f"{file}::{key}" if key else str(file), role) for role, (file, key) in given.items()]
    options = replace(open_options(args), roles=tuple(roles))
    if args.key and any(file == path for file, _ in given.values()):
        return replace(options, key=None, roles=(*options.roles, (f"{path}::{args.key}", "measurement")))
    return options


def _remembered(path: Path, context: Context) -> Geometry | None:
    """What was answered in the window about other files of this folder."""
    known = context.remembered(path.absolute().parent)
    if known is None:
        return None
    return Geometry(known.num_bands, known.step, known.axis, known.direction, known.first_offset)


def _decoder_for(measurement: Measurement, args: argparse.Namespace, context: Context) -> Decoder:
    """The decoder that `--adapter` names; without the flag the one that suits the measurement best, and it is named."""
    from ..decoding.device import require_device
    from ..library.model import list_decoders
    from ..library.suiting import first_suited, suited

    args.device = require_device(args.device)  # "auto" is recorded as what it became
    if args.adapter:
        found = suited(_opened(args.adapter, measurement.task, context), measurement)
    else:
        choice = first_suited(
            list_decoders(context.library, task=measurement.task),
            measurement,
            card_of=lambda entry: None if entry.card is None else entry.card.fields,
            opened=lambda entry: _opened(entry.name, entry.task, context),
            refused=lambda entry, error: tell(f"{entry.name} does not fit: {error}"),
        )
        if choice is None:
            raise LorunError(f"No decoder for {measurement.task} fits this measurement. Name one with --adapter.")
        _, found = choice
    decoder = as_asked(found.decoder, args)
    tell(f"decoding with {decoder.name}")
    if sentence := _too_large(decoder, measurement, args.device):
        tell(sentence)
    for remark in found.remarks:
        tell(remark)
    return decoder


def _too_large(decoder: Decoder, measurement: Measurement, name: str) -> str:
    """That a decode takes more memory than the device of that name has free; "" where it does not."""
    from ..decoding.device import list_devices
    from ..library.memory import bytes_needed

    needed = bytes_needed(decoder, measurement.physics)
    device = next((device for device in list_devices() if device.name == name), None)
    if needed is None or device is None or device.free_bytes is None or needed <= device.free_bytes:
        return ""
    return (
        f"The decode takes about {needed / 2**30:.1f} GiB of memory; {name} has {device.free_bytes / 2**30:.1f} GiB "
        "free. It may be slow or fail: close other programs, or crop the measurement with --crop."
    )


def _opened(name: str, task: str, context: Context) -> Decoder:
    """A decoder of the library, which is loaded once."""
    from ..library.model import open_decoder

    if (name, task) not in context.opened:
        context.opened[name, task] = open_decoder(name, library=context.library, task=task)
    return context.opened[name, task]


def _rows_of(path: Path, args: argparse.Namespace, context: Context) -> list[RoleRow]:
    """What the arrays of a file are taken for together with those that the flags name."""
    return role_rows(inputs_of(path, args), _measurement_options(path, args), hints=_remembered(path, context))


def _take_mask(paths: Sequence[Path], args: argparse.Namespace) -> None:
    """Makes a lone `mask.*` among the files of a folder the mask."""
    masks = [path for path in paths if path.stem.lower() == "mask"]
    if len(masks) == 1:
        args.mask = str(masks[0])
        tell(f"mask: {masks[0]}")


def _measurements_in(folder: Path, args: argparse.Namespace, context: Context) -> Survey:
    """The files of a folder but those that were named as mask or reference, and what they share."""
    paths = files_in(folder)
    if args.mask is None:
        _take_mask(paths, args)
    named = [file for file, _ in companions(args).values()]
    paths = [path for path in paths if not any(is_same(path, file) for file in named)]
    survey = surveyed(paths, lambda path: _rows_of(path, args, context))
    for _, reason in survey.left_out:
        tell(f"lorun: {reason}")
    if not survey.paths:
        raise FileError(f"{folder} holds no measurement beside its mask and results. Give a folder that holds some.")
    return survey


def _output_for(source: Path, output: Path) -> Path:
    return output / f"{source.stem}.h5" if output.is_dir() or not output.suffix else output


# ---- the parser --------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lorun",
        description="Decodes spectral snapshots (CASSI), compressive samples and low-resolution images.",
        epilog="Without a command, or with gui [FILES], lorun opens the window; so does demo where there is a display.",
    )
    parser.add_argument("--version", action="version", version=f"lorun {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace, Context], int], summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=run.__doc__)
        sub.set_defaults(run=run)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
        return sub

    sub = command("restore", restore_command, "decode a measurement or a folder of them")
    sub.add_argument("input", type=one(Path), help="measurement file or folder")
    sub.add_argument(
        "-o", "--output", type=one(Path), required=True, help="cube file (.h5 .mat .tif .hdr .npy) or folder"
    )
    sub.add_argument(
        "--reference", type=file_and_key, metavar="FILE[::KEY]", help="the true scene: every stage is scored"
    )
    sub.add_argument(
        "--report", type=one(Path), metavar="FILE.html", help="write a page with pictures, figures, settings and hashes"
    )
    sub.add_argument(
        "--watch",
        action="store_true",
        help="go on with what comes into the folder until interrupted; what is done stays",
    )
    sub.add_argument(
        "--relight",
        type=one(NotNegative),
        metavar="GAMMA",
        help=f"low light: write R L^GAMMA; 0 is the reflectance, 1 as dark as taken (default {RELIT_GAMMA:g})",
    )
    sub.add_argument("--save-stages", action="store_true", help="keep the initial estimate and every stage (HDF5)")
    add_geometry(sub)
    add_decoder(sub)

    sub = command("demo", demo_command, "decode the built-in sample")
    sub.add_argument("-o", "--output", type=one(Path), help="folder (default ./lorun-demo)")
    add_decoder(sub)

    for name, (summary, configure, run) in {**scenes.COMMANDS, **training.COMMANDS}.items():
        sub = commands.add_parser(name, help=summary, description=run.__doc__)
        sub.set_defaults(run=run)
        configure(sub)
    command("info", info_command, "versions, devices, memory, decoders")
    command("self-test", self_test_command, "what a packaged build must pass")
    return parser
