"""The commands that start from scenes: `simulate` makes a measurement of one, `evaluate` scores a decoder on many."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileError, LorunError
from ..io import WAVELENGTHS, OpenOptions, open_scene, require_measurement_name, require_place, write_measurement
from ..io.cassi_bands import named_wavelengths
from ..io.folders import is_same, surveyed
from ..io.pairs import measured_beside, pairs_in
from ..io.reading import flag_of, reading_of
from ..io.roles import scene_row
from ..io.scales import FullScales, require_scene_scale
from ..task import DEFAULT, TASKS
from .flags import (
    Commands,
    Context,
    add_decoder,
    add_geometry,
    add_noise,
    as_asked,
    companion_array,
    companions,
    files_in,
    inputs_of,
    number_list,
    one,
    open_options,
    print_json,
    refuse,
    require_meant,
    require_only,
    said_of,
    tell,
)

if TYPE_CHECKING:
    from ..decoder import Decoder
    from ..decoding.evaluate import Window, WindowScore
    from ..measurement import Measurement, Scene
    from ..tasks.camera import Camera

Measure = Callable[["Scene"], "Measurement"]


def configure_simulate(sub: argparse.ArgumentParser) -> None:
    """Adds the flags of `lorun simulate`."""
    sub.add_argument("scene", type=one(Path), help="file of a spectral cube or a picture")
    sub.add_argument("-o", "--output", type=one(Path), required=True, help="measurement file (.h5)")
    sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
    sub.add_argument("--adapter", metavar="NAME", help="CS: take the sampling matrix that this set has learned")
    _add_camera(sub)


def run_simulate(args: argparse.Namespace, context: Context) -> int:
    """`lorun simulate`: the measurement file that a camera would give for a scene."""
    args.task = args.task or DEFAULT
    require_meant(args, args.task, of_scenes=True)
    decoder = None
    if args.adapter is not None:
        from ..library.model import Model, open_decoder

        decoder = open_decoder(args.adapter, library=context.library, task=args.task)
        if not isinstance(decoder, Model) or decoder.adapters.sampling is None:
            raise LorunError(f"{decoder.name} has learned no sampling matrix. Leave --adapter out.")
    require_measurement_name(args.output)
    require_place(args.output, protected=inputs_of(args.scene, args))
    cameras = list(_cameras(args, decoder=decoder).values())
    if len(cameras) != 1:
        raise LorunError(f"{args.kernel} holds {len(cameras)} kernels; one is simulated. Choose it, e.g. :1.")
    scene = _scene(args.scene, args, _opener(args, {}))
    try:
        require_scene_scale(scene, args.scene.name)
    except FileError as error:
        tell(str(error))  # a measurement of such a scene is one in its unit
    measurement = cameras[0].measured(scene, seed=args.seed or 0)
    noise = args.noise or str(cameras[0].summary()["noise"])
    for note in measurement.notes:
        tell(note)
    write_measurement(
        args.output,
        measurement,
        attributes={"noise": noise, "seed": args.seed or 0},
        protected=inputs_of(args.scene, args),
    )
    tell(f"{args.output}: {' x '.join(map(str, measurement.y.shape))} values of a {measurement.task} measurement")
    print_json({"output": str(args.output), "shape": list(measurement.y.shape), "noise": noise}, args)
    return 0


def configure_evaluate(sub: argparse.ArgumentParser) -> None:
    """Adds the flags of `lorun evaluate`."""
    sub.add_argument("--data", type=one(Path), required=True, help="folder of scenes, or one scene")
    sub.add_argument("--table", type=int, choices=range(1, 10), metavar="1..9", help="a table of the paper")
    sub.add_argument("--protocol", choices=("cave-28", "windows"), help="of CASSI; default: by the scene's source")
    sub.add_argument("--score-crop", type=number_list("L,T,R,B", 4), help="pixels at each side that do not count")
    sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
    _add_camera(sub)
    add_decoder(sub)


def run_evaluate(args: argparse.Namespace, context: Context) -> int:
    """`lorun evaluate`: scores of a decoder on a folder of scenes whose measurements are simulated."""
    from ..decoding.device import require_device
    from ..decoding.evaluate import evaluate

    device = args.device = require_device(args.device)
    if args.table is not None:
        require_only(args, {"data", "table", "device", "threads"}, "for a table: it says how everything is measured")
        return _evaluate_table(args, context, device)
    args.task = args.task or DEFAULT
    require_meant(args, args.task, of_scenes=True)
    if args.protocol and TASKS[args.task].is_photograph:
        refuse(["--protocol"], f"for {TASKS[args.task].short}")
    decoder = _decoder(args, context)
    pairs = {scene: taken for taken, scene in pairs_in(args.data, args.task)}
    measures, noise = _measures(args, decoder, pairs)
    scores, num_failed, told = [], 0, set[str]()
    given = [file for file, _ in companions(args).values()]
    paths = list(pairs) or [path for path in files_in(args.data) if not any(is_same(path, file) for file in given)]
    survey = surveyed(paths, lambda path: [scene_row(path, open_options(args))[0]])
    opened = _opener(args, survey.full_scales)
    for _, reason in survey.left_out:
        tell(f"lorun: {reason}")
    for path in survey.paths:
        try:
            for label, measure in measures.items():
                for result in evaluate(
                    decoder,
                    _windows(path, args, opened),
                    measure,
                    num_stages=args.stages,
                    device=device,
                    threads=args.threads,
                ):
                    for note in result.notes:
                        if note not in told:
                            tell(note)
                    told.update(result.notes)
                    scores.append(replace(result, name=f"{result.name} {label}".strip()))
                    tell(_line(scores[-1].name, scores[-1].metrics))
        except LorunError as error:
            num_failed += 1
            tell(f"lorun: {path.name}: {error}")
    if not scores:
        raise LorunError(f"No scene of {args.data} could be scored. Give a folder of cubes or pictures.")
    mean = _means(scores)
    tell(_line(f"mean of {len(scores)}", mean))
    document = {
        "task": args.task,
        "adapter": decoder.name,
        "protocol": args.protocol or (args.task if TASKS[args.task].is_photograph else "by source"),
        "noise": noise,
        "images": [_flat(result) for result in scores],
        "mean": mean,
    }
    print_json(document, args)
    return 1 if num_failed else 0


def _evaluate_table(args: argparse.Namespace, context: Context, device: str) -> int:
    """One table of the paper on the data sets below `--data`: our figures beside the paper's, and what is missing."""
    from ..paper.tables import TABLES, run_table

    table, cells = TABLES[args.table], []
    tell(f"Table {args.table}: {table.title}. {table.note}".strip())
    for cell in run_table(table, args.data, library=context.library, device=device, threads=args.threads):
        cells.append(cell)
        if cell.skipped is None:
            paper = "" if cell.paper_psnr is None else f"  (paper {cell.paper_psnr:.2f} dB)"
            tell(f"{cell.row:22s} {cell.column:18s} {cell.psnr:6.2f} dB  SSIM {cell.ssim:.4f}{paper}")
    skipped = Counter(cell.skipped for cell in cells if cell.skipped is not None)
    for reason, count in skipped.items():
        tell(f"{count} cells skipped: {reason}")
    if args.json:
        document = {"table": args.table, "title": table.title, "task": table.task, "note": table.note}
        print_json({**document, "cells": [asdict(cell) for cell in cells]}, args)
    if len(cells) == sum(skipped.values()):
        raise LorunError(f"No cell of the table could be computed with what lies below {args.data}.")
    return 0


COMMANDS: Commands = {
    "simulate": ("make a measurement file from a scene", configure_simulate, run_simulate),
    "evaluate": ("score a decoder on scenes", configure_evaluate, run_evaluate),
}


def _add_camera(sub: argparse.ArgumentParser) -> None:
    """The flags that say how a scene is measured."""
    add_geometry(sub, of_scenes=True)
    add_noise(sub)


def _decoder(args: argparse.Namespace, context: Context) -> Decoder:
    """The decoder that `--adapter` names; else the library's first set for the task, else one without weights."""
    from ..library.model import list_decoders, open_decoder

    name = args.adapter or list_decoders(context.library, task=args.task)[0].name
    return as_asked(open_decoder(name, library=context.library, task=args.task), args)


# ---- how a scene is measured -------------------------------------------------------------------------------------


def _cameras(args: argparse.Namespace, *, decoder: Decoder | None) -> Mapping[str, Camera]:
    """label -> the camera that the flags ask for: one, or one per kernel of a file of kernels."""
    from ..library.model import Model

    said = said_of(args, args.task, open_options(args))
    if isinstance(decoder, Model) and decoder.adapters.sampling is not None:
        said = replace(said, sampling=decoder.adapters.sampling.numpy())
    return reading_of(args.task).cameras(said)


def _measures(
    args: argparse.Namespace, decoder: Decoder, pairs: Mapping[Path, Path]
) -> tuple[Mapping[str, Measure], str]:
    """label -> what measures a scene, and its noise in words; scenes of `pairs` have a real measurement each."""
    if pairs:
        said = [field for field in (*reading_of(args.task).OF_CAMERA, "noise") if getattr(args, field) is not None]
        refuse([flag_of(field) for field in said], f"for the pairs in {args.data}")
        return {"": partial(_taken, pairs=pairs, options=open_options(args))}, "as measured"
    cameras = _cameras(args, decoder=decoder)
    noise = args.noise or str(next(iter(cameras.values())).summary()["noise"])
    return {label: partial(camera.measured, seed=args.seed or 0) for label, camera in cameras.items()}, noise


def _taken(scene: Scene, *, pairs: Mapping[Path, Path], options: OpenOptions) -> Measurement:
    """The real measurement of a scene of a folder of pairs."""
    assert scene.path is not None
    return measured_beside(pairs[scene.path], scene.path, options)


# ---- which scenes ------------------------------------------------------------------------------------------------


def _opener(args: argparse.Namespace, full_scales: FullScales) -> Callable[[Path], Scene]:
    """What opens a scene as the flags ask, and says what was applied; its axes may be told by the mask."""
    options = open_options(args)
    mask = companion_array(args, "mask", options) if "mask" in reading_of(args.task).COMPANIONS else None
    field = None if mask is None else (mask.shape[-2], mask.shape[-1])

    def opened(path: Path) -> Scene:
        scene = open_scene(path, options, field=field, full_scales=full_scales)
        for note in scene.notes:
            tell(note)
        return scene

    return opened


def _scene(path: Path, args: argparse.Namespace, opened: Callable[[Path], Scene]) -> Scene:
    """The scene of a file, a cube at the named wavelength list where one is asked for."""
    from ..decoding.evaluate import at_wavelengths

    scene = opened(path)
    if args.wavelengths is None or scene.wavelengths_nm is None:
        return scene
    return at_wavelengths(scene, np.sort(named_wavelengths(args.wavelengths)))


def _windows(path: Path, args: argparse.Namespace, opened: Callable[[Path], Scene]) -> list[Window]:
    """The windows of one scene under the protocol asked for, or under the one its source names; pictures whole."""
    from ..decoding.evaluate import Window, cave_28_windows, cave_border, cut_windows

    if TASKS[args.task].is_photograph:
        return [Window(path.stem, _scene(path, args, opened), args.score_crop or (0, 0, 0, 0))]
    scene = opened(path)
    require_scene_scale(scene, path.name)
    protocol = args.protocol or ("cave-28" if "CAVE" in scene.source else "windows")
    if protocol == "cave-28" and not args.wavelengths:
        windows = cave_28_windows(scene, np.asarray(WAVELENGTHS["cassi-28"]), name=path.stem)
        return [replace(window, score_crop=args.score_crop or window.score_crop) for window in windows]
    scene = _scene(path, args, lambda path: scene)
    height, width = scene.image.shape[1:]
    border = (cave_border(width), 0, 0, 0) if protocol == "cave-28" else (0, 0, 0, 0)
    windows = cut_windows(scene, name=path.stem, score_crop=args.score_crop or border)
    rows, columns = (size % own for size, own in zip((height, width), windows[0].scene.image.shape[1:], strict=True))
    if rows or columns:
        tell(f"{path.name}: {rows} rows at the bottom and {columns} columns at the right are left out")
    return windows


# ---- figures -----------------------------------------------------------------------------------------------------


def _flat(result: WindowScore) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(result).items() if name != "notes"}
    return {"name": fields.pop("name"), **fields.pop("metrics"), **fields}


def _means(scores: list[WindowScore]) -> dict[str, float]:
    """The mean of every figure."""
    rows = [_flat(result) for result in scores]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0] if name != "name"}


def _line(name: str, metrics: Mapping[str, float]) -> str:
    text = f"{name:40s} {metrics['psnr']:6.2f} dB  SSIM {metrics['ssim']:.4f}"
    text += f"  SAM {metrics['sam']:5.2f}°" if "sam" in metrics else ""
    if "matched_psnr" in metrics:
        text += f"  mean matched: {metrics['matched_psnr']:6.2f} dB  SSIM {metrics['matched_ssim']:.4f}"
    return text
