"""The paper's Tables I to IX, run on what is available locally, each figure beside the paper's.

A table is rows (methods) by columns (data and degradation). A cell runs when its data lies below the data folder and
the library has a set of the row's kind; every other cell is listed with the reason. Paper: LoRun, arXiv 2602.18697.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..decoder import Decoder
from ..decoding.evaluate import Window, evaluate
from ..errors import LorunError
from ..io import OpenOptions, open_companion, open_scene
from ..io.reading import reading_of
from ..io.resolved import Said
from ..library.cards import Card, cards_in
from ..library.model import Model, load_model
from ..measurement import Measurement, Scene
from ..task import TASKS
from ..training_data.photographs import picture_files

KERNELS_FILE = "kernels/kernels_12.mat"
COMPANIONS = {"mask": "cassi/mask_sim_256.mat"}  # role -> file below the data folder


@dataclass(frozen=True)
class Row:
    """A method: a classical decoder by name, or sets of a `variant` over a kind of denoiser with K stages.

    `pretrained` is the CS ratio (percent) of the backbone's training; `paper` has (PSNR, SSIM or None) per column.
    """

    label: str
    variant: str = ""
    denoiser: str = ""
    decoder: str = ""
    gamma: float | None = None
    stages: int | None = None
    data_step: str | None = None
    pretrained: float | None = None
    paper: tuple[tuple[float, float | None] | None, ...] = ()


@dataclass(frozen=True)
class Column:
    """Data below the data folder and how it is measured: CS at a `ratio` (percent), SR by a `scale` and a `kernel`.

    `scenes` names single files of the folder, without suffix.
    """

    label: str
    folder: str
    ratio: float | None = None
    scale: int | None = None
    kernel: int | None = None  # of the twelve, from 1
    scenes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of the paper."""

    title: str
    task: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """One figure, or why there is none: `psnr` in dB and `ssim` are None where `skipped` says why."""

    row: str
    column: str
    psnr: float | None = None
    ssim: float | None = None
    paper_psnr: float | None = None
    paper_ssim: float | None = None
    adapter: str | None = None
    num_images: int = 0
    skipped: str | None = None


def run_table(
    table: Table, data: Path, *, library: Sequence[Path], device: str = "cpu", threads: int | None = None
) -> Iterator[Cell]:
    """Every cell of a table, row by row."""
    cards = [card for card in cards_in(library) if card.kind == "adapters" and card.task == table.task]
    for row in table.rows:
        for number, column in enumerate(table.columns):
            paper = (row.paper[number] if row.paper else None) or (None, None)
            cell = Cell(row.label, column.label, paper_psnr=paper[0], paper_ssim=paper[1])
            try:
                decoder = _decoder(table, row, column, cards, library)
                scenes = _scenes(table, column, data)
                measure = _measure(table, column, data, decoder)
                results = list(evaluate(decoder, scenes, measure, device=device, threads=threads))
            except LorunError as error:
                yield replace(cell, skipped=str(error))
                continue
            psnr, ssim = (float(np.mean([r.metrics[name] for r in results])) for name in ("psnr", "ssim"))
            yield replace(cell, psnr=psnr, ssim=ssim, adapter=decoder.name, num_images=len(results))


# ---- what a cell needs -------------------------------------------------------------------------------------------


def _decoder(table: Table, row: Row, column: Column, cards: Sequence[Card], library: Sequence[Path]) -> Decoder:
    """The decoder of a row for a column; a sentence where there is none."""
    if row.decoder:
        return TASKS[table.task].decoders[row.decoder]
    for card in cards:
        if _is_of(card, row) and _serves(card, column):
            return load_model(card.path, library=library)
    what = f"{row.denoiser or 'any'} denoiser" + (f", {row.stages} stages" if row.stages else "")
    raise LorunError(
        f"The library has no {row.variant} set with {what} for {column.label}. Train one; `lorun params` names the "
        "network."
    )


def _is_of(card: Card, row: Row) -> bool:
    """Whether a set is of a row's kind."""
    network, training = card.fields["network"], card.fields.get("training", {})
    return (
        (not row.denoiser or network["denoiser"] == row.denoiser)
        and (row.stages is None or network["num_stages"] == row.stages)
        and (row.gamma is None or card.fields.get("gamma") == row.gamma)
        and (row.pretrained is None or training.get("pretrained", {}).get("ratio") == row.pretrained)
        and (network["data_step"] == "none") == (row.data_step == "none")
        and training.get("variant", row.variant) == row.variant
    )


def _serves(card: Card, column: Column) -> bool:
    """Whether a set was trained for a column's ratio or factor."""
    config = card.fields.get("task_config", {})
    if column.ratio is not None:
        return bool(config.get("ratio") == column.ratio)
    return column.scale is None or column.scale in config.get("scales", ())


def _scenes(table: Table, column: Column, data: Path) -> list[Window]:
    """The images of a column, whole."""
    folder = data / column.folder
    if not folder.is_dir():
        raise LorunError(f"{folder} does not exist. Put the data set there.")
    paths = picture_files([folder]) if TASKS[table.task].is_photograph else sorted(folder.glob("*.mat"))
    if column.scenes:
        paths = [path for path in paths if path.stem in column.scenes]
    if not paths:
        raise LorunError(f"{folder} holds none of the images of {column.label}. Put the data set there.")
    return [Window(path.stem, open_scene(path, OpenOptions())) for path in paths]


def _measure(table: Table, column: Column, data: Path, decoder: Decoder) -> Callable[[Scene], Measurement]:
    """What measures the scenes of a column; CS sets with the matrix they have learned."""
    own = decoder.adapters.sampling if isinstance(decoder, Model) else None
    said = Said(
        OpenOptions(
            task=table.task,
            scale=column.scale,
            kernel=None if column.kernel is None else f"{_existing(data / KERNELS_FILE)}:{column.kernel}",
        ),
        {role: _companion(data, role, table.task) for role in set(COMPANIONS) & set(reading_of(table.task).COMPANIONS)},
        words={"ratio": column.ratio if own is None else None},
        sampling=None if own is None else own.cpu().numpy(),
    )
    (camera,) = reading_of(table.task).cameras(said).values()
    return camera.measured


def _companion(data: Path, role: str, task: str) -> np.ndarray:
    return open_companion(_existing(data / COMPANIONS[role]), role, OpenOptions(task=task))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise LorunError(f"{path} does not exist. Put it there.")
    return path


# ---- the tables --------------------------------------------------------------------------------------------------

_RATIOS = (1.0, 4.0, 10.0, 25.0)
_MORE_RATIOS = (*_RATIOS, 30.0, 40.0, 50.0)


def _pairs(psnr: Sequence[float], ssim: Sequence[float] | None = None) -> tuple[tuple[float, float | None], ...]:
    found: Sequence[float | None] = ssim or [None] * len(psnr)
    return tuple(zip(psnr, found, strict=True))


def _cs_columns(folder: str, label: str, ratios: Sequence[float]) -> tuple[Column, ...]:
    return tuple(Column(f"{label} {ratio:g} %", f"images/{folder}", ratio=ratio) for ratio in ratios)


_GENERAL100, _SET11, _SET14 = (
    _cs_columns(folder, label, _RATIOS)
    for folder, label in (("general100", "General100"), ("set11", "Set11"), ("set14", "Set14"))
)
_TABLE_V = {  # method -> scale -> PSNR of K1 to K12
    "block": {
        2: (29.90, 30.31, 29.79, 28.70, 28.41, 28.29, 28.49, 27.63, 29.57, 29.49, 29.54, 29.52),
        3: (26.70, 27.37, 27.51, 27.46, 27.27, 27.21, 27.30, 27.10, 26.89, 26.78, 26.68, 26.52),
        4: (24.75, 25.60, 25.84, 25.94, 25.86, 25.75, 25.79, 25.95, 25.18, 24.92, 24.97, 24.96),
    },
    "lorun": {
        2: (29.88, 30.17, 29.73, 28.72, 28.45, 28.25, 28.42, 27.60, 29.03, 29.31, 29.43, 29.43),
        3: (26.73, 27.38, 27.52, 27.47, 27.29, 27.25, 27.22, 27.02, 26.65, 26.68, 26.43, 26.33),
        4: (24.74, 25.65, 25.89, 25.99, 25.90, 25.80, 25.75, 25.99, 25.05, 24.82, 24.72, 24.83),
    },
}
_KAIST_BLOCK = (38.88, 41.70, 44.29, 48.50, 38.16, 38.22, 38.70, 36.16, 43.12, 36.08)
_KAIST_LORUN = (38.78, 41.68, 44.11, 48.54, 38.16, 38.16, 38.63, 36.18, 42.61, 35.88)


def _kaist(count: int) -> tuple[Column, ...]:
    names = [f"scene{number:02d}" for number in range(1, count + 1)]
    return tuple(Column(name, "cassi/kaist", scenes=(name,)) for name in names)


def _table_v_row(label: str, variant: str, gamma: float | None) -> Row:
    paper = tuple(value for scale in (2, 3, 4) for value in _TABLE_V[variant][scale])
    return Row(label, variant, "resunet", gamma=gamma, stages=9, paper=_pairs(paper))


TABLES: dict[int, Table] = {
    1: Table(
        "CS on General100, Set11 and Set14",
        "cs",
        (
            Row(
                "Block-9",
                "block",
                "dual-path",
                stages=9,
                paper=_pairs(
                    (23.89, 28.60, 32.82, 38.17, 21.85, 26.83, 31.17, 36.04, 22.32, 26.54, 31.44, 34.09),
                    (0.65, 0.82, 0.91, 0.96, 0.62, 0.82, 0.92, 0.96, 0.56, 0.74, 0.87, 0.93),
                ),
            ),
            Row(
                "LoRun-9",
                "lorun",
                stages=9,
                paper=_pairs(
                    (23.92, 28.70, 32.78, 38.16, 21.89, 26.83, 30.79, 35.94, 22.34, 26.26, 29.53, 34.03),
                    (0.65, 0.82, 0.91, 0.97, 0.62, 0.82, 0.91, 0.96, 0.56, 0.74, 0.85, 0.93),
                ),
            ),
            Row("pinv", decoder="pinv"),
        ),
        (*_GENERAL100, *_SET11, *_SET14),
        note="The LoRun row takes sets over any denoiser; the paper's is the dual-path one.",
    ),
    2: Table(
        "CS on Set11 with the Transformer and the U-Net",
        "cs",
        (
            Row(
                "Transformer Block-9",
                "block",
                "transformer",
                stages=9,
                paper=_pairs((20.73, 24.50, 28.44, 33.63, 34.72)),
            ),
            Row(
                "Transformer LoRun-9",
                "lorun",
                "transformer",
                gamma=10,
                stages=9,
                paper=_pairs((21.02, 25.17, 29.14, 34.16, 35.54), (0.55, 0.75, 0.89, 0.95, 0.95)),
            ),
            Row("U-Net Block-9", "block", "unet", stages=9, paper=_pairs((21.14, 25.60, 29.57, 35.00, 36.36))),
            Row(
                "U-Net LoRun-9",
                "lorun",
                "unet",
                gamma=10,
                stages=9,
                paper=_pairs((21.13, 25.45, 29.29, 34.75, 36.17), (0.56, 0.79, 0.89, 0.95, 0.96)),
            ),
        ),
        _cs_columns("set11", "Set11", (*_RATIOS, 30.0)),
    ),
    3: Table(
        "CASSI on the ten KAIST scenes",
        "cassi",
        (
            Row("Block-9", "block", "spectral", stages=9, paper=_pairs(_KAIST_BLOCK)),
            Row("LoRun-9", "lorun", "spectral", gamma=10, stages=9, paper=_pairs(_KAIST_LORUN)),
            Row("gap-tv", decoder="gap-tv"),
        ),
        _kaist(10),
        note="scene01.mat to scene10.mat with the key img, as the public test set has them.",
    ),
    4: Table(
        "CASSI on the first KAIST scenes with the U-Net",
        "cassi",
        (
            Row(
                "Block-9",
                "block",
                "unet",
                stages=9,
                paper=_pairs((34.87, 35.32, 35.48, 40.55, 32.74), (0.94, 0.94, 0.95, 0.97, 0.95)),
            ),
            Row(
                "LoRun-9",
                "lorun",
                "unet",
                gamma=10,
                stages=9,
                paper=_pairs((34.20, 34.40, 35.23, 41.26, 32.15), (0.93, 0.92, 0.95, 0.98, 0.94)),
            ),
        ),
        _kaist(5),
    ),
    5: Table(
        "SR on BSD68 with twelve kernels",
        "sr",
        (
            _table_v_row("Block-9", "block", None),
            _table_v_row("LoRun-9", "lorun", 10),
            Row("bicubic", decoder="bicubic"),
            Row("tikhonov", decoder="tikhonov"),
        ),
        tuple(
            Column(f"x{scale} K{kernel}", "images/bsd68/color", scale=scale, kernel=kernel)
            for scale in (2, 3, 4)
            for kernel in range(1, 13)
        ),
    ),
    6: Table(
        "CS on Set11 with U-Net backbones pretrained at one ratio",
        "cs",
        (
            Row(
                "pretrained 1 %",
                "lorun",
                "unet",
                stages=9,
                pretrained=1.0,
                paper=_pairs(
                    (21.07, 25.41, 29.15, 34.47, 35.72, 38.09, 40.26), (0.55, 0.79, 0.89, 0.95, 0.96, 0.97, 0.98)
                ),
            ),
            Row(
                "pretrained 50 %",
                "lorun",
                "unet",
                stages=9,
                pretrained=50.0,
                paper=_pairs(
                    (21.08, 25.66, 29.57, 35.07, 36.31, 38.65, 40.58), (0.55, 0.79, 0.89, 0.96, 0.96, 0.98, 0.98)
                ),
            ),
        ),
        _cs_columns("set11", "Set11", _MORE_RATIOS),
    ),
    7: Table(
        "CS on Set11 with the Transformer at three rank factors",
        "cs",
        tuple(
            Row(f"gamma {gamma}", "lorun", "transformer", gamma=gamma, stages=9, paper=_pairs(psnr, ssim))
            for gamma, psnr, ssim in (
                (10, (21.02, 25.17, 29.14, 34.16, 35.54, 37.88, 40.10), (0.55, 0.75, 0.89, 0.95, 0.95, 0.97, 0.98)),
                (20, (21.08, 25.17, 29.13, 34.24, 35.56, 37.95, 40.14), (0.55, 0.75, 0.89, 0.95, 0.95, 0.97, 0.98)),
                (80, (20.97, 25.01, 28.83, 33.93, 35.30, 37.74, 39.98), (0.55, 0.74, 0.88, 0.95, 0.95, 0.97, 0.98)),
            )
        ),
        _cs_columns("set11", "Set11", _MORE_RATIOS),
    ),
    8: Table(
        "SR x3 on Set5 with and without the data step",
        "sr",
        (
            Row("Block-1", "block", "resunet", stages=1, paper=_pairs((29.62, 27.55, 28.55))),
            Row("Block-1 w/o GDM", "block", "resunet", stages=1, data_step="none", paper=_pairs((29.14, 27.28, 25.80))),
        ),
        tuple(Column(name, "images/set5", scale=3, kernel=1, scenes=(name,)) for name in ("baby", "bird", "head")),
        note="The paper names no kernel; K1 is taken.",
    ),
    9: Table(
        "CS at 10 % on Set11 with K stages",
        "cs",
        tuple(
            Row(f"{label} K = {stages}", variant, "dual-path", stages=stages, paper=((psnr, ssim),))
            for label, variant, figures in (
                ("Original", "block", ((31.08, 0.9032), (32.28, 0.9085), (32.84, 0.9128), (32.91, 0.9133))),
                ("LoRun", "lorun", ((31.28, 0.9062), (32.24, 0.9090), (32.78, 0.9125), (32.81, 0.9130))),
            )
            for stages, (psnr, ssim) in zip((1, 4, 9, 12), figures, strict=True)
        ),
        _cs_columns("set11", "Set11", (10.0,)),
        note="The paper does not say on which data and at which ratio; Set11 at 10 % is taken.",
    ),
}
