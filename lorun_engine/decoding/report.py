"""The report of a decode: one HTML page with pictures, spectra, stages, settings, hashes and a paragraph for a paper.

It needs nothing else and says what is known: figures are those of the decode, hashes those of the files as they lie
there when it is written.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..colour import ColourTable, false_colour_bands, to_srgb
from ..decoder import Decoder
from ..errors import FileError, LorunError, by
from ..instrument import RELIT_GAMMA
from ..io import OpenOptions, RoleTable, replacing
from ..io.commands import command_line
from ..io.html_page import Line, colour_look, curves, element, page, picture, row, table
from ..io.options import Option
from ..io.quantities import duration, number, plural
from ..io.readers import envi_data_of, envi_header_of, head_of, is_envi_header
from ..io.reading import reading_of
from ..measurement import Measurement
from ..task import TASKS
from .asked import Asked
from .execution import AUTO
from .metrics import TITLES, UNITS
from .restore import StageResult

SUFFIXES = (".html", ".htm")
PERCENTILES = (1.0, 99.0)  # that become black and white where the unit of a picture is not known
_LARGE, _SMALL = 1440, 480  # pixels along the longer side of the result and of the other pictures, at most
_NUM_BANDS, _NUM_STAGES = 4, 3  # that are shown
_OF_SCENES = ("measurement", "reference", "wavelengths")  # roles that are no part of the instrument


@dataclass(frozen=True)
class MadeBy:
    """What a report says of a decoder: the `hashes` of its weights, what is to be cited, what it said of the fit."""

    hashes: Mapping[str, str] = field(default_factory=dict)
    citation: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """A point or a region: what was measured there along `x`, by name, or in figures, by the name of a stage."""

    title: str
    where: str
    across: str = ""  # what x is
    x: Sequence[float] = ()
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Everything that the page is made of.

    `stages` are the rows of all stages, `images` (C, H, W) those of some by index, the last among them. `verdict` is a
    sentence and its look, "good", "warn" or "dim"; `figure` is the number behind it. `device` is its title. `command`
    are the words that do the decode again, or a sentence why there are none.
    """

    table: RoleTable
    options: OpenOptions
    measurement: Measurement
    asked: Asked
    made_by: MadeBy
    stages: Sequence[StageResult]
    images: Mapping[int, np.ndarray]
    verdict: tuple[str, str]
    figure: str
    device: str
    command: Sequence[str] | str
    observer: ColourTable
    places: Sequence[Place] = ()

    @property
    def name(self) -> str:
        """Of the measurement's file."""
        measured = self.table.row("measurement")
        return "the measurement" if measured is None else measured.found.path.name

    @property
    def result(self) -> np.ndarray:
        """(C, H, W) of the last stage."""
        return self.images[self.stages[-1].index]


def made_by(decoder: Decoder) -> MadeBy:
    """What there is to say of a decoder that was fitted to a measurement."""
    card = getattr(decoder, "card", {})
    named = {"adapter set": card.get("hash"), "its backbone": card.get("backbone_hash")}
    hashes = {name: str(digest) for name, digest in named.items() if digest}
    return MadeBy(hashes, getattr(decoder, "citation", ""), tuple(getattr(decoder, "notes", ())))


def shown_stages(num_stages: int) -> tuple[int, ...]:
    """The stages whose images a report shows, of so many behind the start; the last among them."""
    return tuple(sorted({round(part * num_stages / (_NUM_STAGES - 1)) for part in range(_NUM_STAGES)}))


def require_report_name(path: Path) -> None:
    """Refuses a name that ends like no page."""
    if path.suffix.lower() not in SUFFIXES:
        raise FileError(
            f"{path.name} ends in {path.suffix or 'nothing'}; a report is a page of HTML. Give it a name that ends in "
            ".html."
        )


def write_report(path: Path, report: Report, *, protected: Iterable[Path | str] = ()) -> None:
    """Writes the page; none of the `protected` files is overwritten."""
    require_report_name(path)
    text = page(f"{report.name}, decoded by {report.asked.title}", _parts(report))
    with replacing(path, protected=protected) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _parts(report: Report) -> Iterator[str]:
    yield element("h1", f"{report.name}, decoded by {report.asked.title}")
    yield element("p", _opening(report), "dim")
    yield from _pictures(report)
    yield element("h2", "Is it right?")
    yield element("p", *report.verdict)
    yield element("p", report.figure, "dim")
    if report.places:
        yield element("h2", "Points and regions")
        yield from _places(report.places)
    yield element("h2", f"{report.asked.step_name.capitalize()}s")
    yield _stage_table(report.stages, report.asked.step_name)
    yield element("h2", "Settings")
    yield table((("", "name"), ("", ""), ("", "dim")), list(_settings(report)))
    yield element("h2", "What was assumed and applied")
    notes = (*report.measurement.notes, *report.made_by.notes)
    yield from (element("p", note) for note in notes or ("Nothing that has to be said.",))
    yield element("h2", "Hashes (SHA-256)")
    yield table((("", ""), ("", "code")), list(_hashes(report)))
    yield element("h2", "Program")
    yield table((("", "name"), ("", "")), list(_program(report)))
    yield element("h2", "For a methods section")
    yield element("p", methods(report))
    if report.made_by.citation:
        yield element("p", f"Cite: {report.made_by.citation}")
    yield element("h2", "The same decode again")
    command = report.command
    yield element("p", command) if isinstance(command, str) else element("pre", command_line(command))
    yield element("p", f"Written by LoRun {__version__} on {date.today().isoformat()}.", "dim")


def _opening(report: Report) -> str:
    """How far it came, in one line."""
    done, last = report.stages[-1].index, report.stages[-1]
    seconds = sum(stage.seconds for stage in report.stages)
    of = "" if done == report.asked.num_stages else f" of {report.asked.num_stages}: the result is partial"
    figures = "".join(f"  ·  {words}" for words in _figures(last.metrics))
    stages = plural(done, report.asked.step_name)
    return f"{stages}{of} in {duration(seconds)}  ·  residual {number(last.residual)}{figures}"


def _figures(metrics: Mapping[str, float]) -> list[str]:
    """As "PSNR 34.1 dB"."""
    return [f"{TITLES.get(name, name)} {_with_unit(name, value)}" for name, value in metrics.items()]


def _with_unit(name: str, value: float) -> str:
    unit = UNITS.get(name, "")
    return f"{number(value)}{'' if unit == '°' else ' ' if unit else ''}{unit}"


# ---- pictures ----------------------------------------------------------------------------------------------------


def _pictures(report: Report) -> Iterator[str]:
    """The result beside what was measured and the reference; some stages; some bands."""
    measurement, result, last = report.measurement, report.result, report.stages[-1].index
    name = report.asked.step_name
    white = float(np.nanpercentile(result, 99.5))

    def seen(image: np.ndarray, side: int) -> np.ndarray:
        return _pixels(report, _shrunk(image, side), white)

    yield picture(seen(result, _LARGE), f"Result, {name} {last}{_colour_words(report)}", "main")
    besides = [picture(_measured(report), TASKS[measurement.task].measured)]
    if measurement.reference is not None:
        besides.append(picture(seen(measurement.reference, _SMALL), "Reference"))
    others = sorted(index for index in report.images if index != last)
    besides += [
        picture(seen(report.images[index], _SMALL), f"{name.capitalize()} {index}" if index else f"Start ({name} 0)")
        for index in others
    ]
    yield row(besides)
    if not TASKS[measurement.task].is_photograph and len(result) > 1:
        bands = sorted({round(part * (len(result) - 1) / (_NUM_BANDS - 1)) for part in range(_NUM_BANDS)})
        yield row(
            picture(_grey(_shrunk(result[band], _SMALL), 0.0, white), f"Band {band + 1}{_wavelength(report, band)}")
            for band in bands
        )


def _colour_words(report: Report) -> str:
    if TASKS[report.measurement.task].is_photograph:
        return ""
    if report.measurement.wavelengths_nm is not None:
        return " (colours under D65, CIE 1931 observer)"
    red, green, blue = (band + 1 for band in false_colour_bands(len(report.result)))
    return f" (false colours: bands {red}, {green} and {blue} as red, green and blue)"


def _wavelength(report: Report, band: int) -> str:
    wavelengths_nm = report.measurement.wavelengths_nm
    return "" if wavelengths_nm is None else f", {wavelengths_nm[band]:.1f} nm"


def _pixels(report: Report, image: np.ndarray, white: float) -> np.ndarray:
    """(C, H, W) as the picture of a scene; a photograph as it is coded."""
    if TASKS[report.measurement.task].is_photograph:
        pixels = np.moveaxis(_grey(image, 0.0, 1.0), 0, -1)
        return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    white = white if white > 0 else 1.0
    wavelengths_nm = report.measurement.wavelengths_nm
    if wavelengths_nm is None:
        return np.moveaxis(_grey(image[list(false_colour_bands(len(image)))], 0.0, white), 0, -1)
    return to_srgb(image, wavelengths_nm, report.observer, white=white)


def _measured(report: Report) -> np.ndarray:
    """What was measured; samples of blocks are a matrix, a row for each sample."""
    y, kind = report.measurement.y, TASKS[report.measurement.task]
    if kind.measures == "picture":
        return _pixels(report, _shrunk(y, _SMALL), 1.0)
    plane = y.reshape(len(y), -1) if kind.measures == "blocks" else y[0]
    black, white = np.nanpercentile(plane, PERCENTILES)
    return _grey(_shrunk(plane, _SMALL), float(black), float(white))


def _grey(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """Numbers as uint8, `black` and `white` becoming 0 and 255."""
    shares = (np.nan_to_num(values) - black) / (white - black if white > black else 1.0)
    grey: np.ndarray = np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)
    return grey


def _shrunk(image: np.ndarray, side: int) -> np.ndarray:
    """(..., H, W) as means of whole blocks, so that its longer side has `side` pixels at most."""
    factor = -(-max(image.shape[-2:]) // side)
    height, width = (max(length // factor, 1) for length in image.shape[-2:])
    if factor == 1 or min(image.shape[-2:]) < factor:
        return image
    blocks = image[..., : height * factor, : width * factor]
    mean: np.ndarray = blocks.reshape(*image.shape[:-2], height, factor, width, factor).mean(axis=(-3, -1))
    return mean


# ---- figures -----------------------------------------------------------------------------------------------------


def _places(places: Sequence[Place]) -> Iterator[str]:
    """The curves of every place, and the figures of boxes."""
    drawn = 0
    for place in places:
        caption = f"{place.title}: {place.where}"
        if place.curves:
            looks = ("dashed" if name == "reference" else colour_look(drawn) for name in place.curves)
            lines = [
                Line(list(zip(place.x, values, strict=True)), look, name)
                for (name, values), look in zip(place.curves.items(), looks, strict=True)
            ]
            yield curves(lines, caption, across=place.across)
            drawn += 1
        if place.figures:
            names = list(dict.fromkeys(name for figures in place.figures.values() for name in figures))
            heads = [(caption, ""), *((_heading(name), "number") for name in names)]
            rows = [[stage, *(number(figures.get(name)) for name in names)] for stage, figures in place.figures.items()]
            yield table(heads, rows)


def _stage_table(stages: Sequence[StageResult], name: str) -> str:
    """A line for every stage, with its figures and the parameters of its data step."""
    metrics = list(stages[-1].metrics)
    parameters = list(dict.fromkeys(name for stage in stages for name in stage.parameters))
    titles = ["residual", *map(_heading, metrics), *parameters, "seconds"]
    rows = []
    for stage in stages:
        known = {**stage.metrics, **stage.parameters}
        figures = [number(known.get(name)) for name in (*metrics, *parameters)]
        rows.append([_stage_name(stage), number(stage.residual), *figures, number(stage.seconds)])
    return table([(name, ""), *((title, "number") for title in titles)], rows)


def _stage_name(stage: StageResult) -> str:
    """As "3" or "start: subspace TV", with whether it was computed for this decode."""
    method = f": {stage.method}" if stage.method else ""
    reused = ", taken from an earlier decode" if stage.is_reused else ""
    return f"{stage.index or 'start'}{method}{reused}"


def _heading(name: str) -> str:
    unit = UNITS.get(name)
    return f"{TITLES.get(name, name)}{f' ({unit})' if unit else ''}"


# ---- settings and provenance -------------------------------------------------------------------------------------


def _settings(report: Report) -> Iterator[tuple[str, str, str]]:
    """(what, value, where it comes from) of the decoder and of everything that may be said of the instrument."""
    asked, reasons = report.asked, getattr(report.table.geometry, "reasons", {})
    unset = []
    yield "Decoder", asked.title, ""
    yield f"{asked.step_name.capitalize()}s", f"{report.stages[-1].index} of {asked.num_stages}", ""
    if report.measurement.physics.num_lights:
        said = f"as you said; figures are those of gamma {RELIT_GAMMA:g}"
        gamma, reason = (RELIT_GAMMA, "as is usual") if asked.relight is None else (asked.relight, said)
        yield "Relit by gamma", f"{gamma:g}", reason
    for option in reading_of(report.table.task).OPTIONS:
        value, given = _value(report, option), getattr(report.options, option.field)
        reason = "as you said" if given not in (None, ()) else str(reasons.get(option.field, ""))
        if value:
            yield option.title, value, reason
        else:
            unset.append(option.title)
    if report.measurement.wavelengths_nm is not None:
        listed = ", ".join(f"{nm:g}" for nm in report.measurement.wavelengths_nm)
        yield "Band centres (nm)", listed, str(reasons.get("wavelengths_nm", ""))
    if unset:
        yield "Not set", "; ".join(unset), ""


def _value(report: Report, option: Option) -> str:
    """What an option became, as the command line writes it; nothing where it was not needed."""
    measured = report.table.row("measurement")
    found: dict[str, Any] = {"input_scale": report.stages[-1].input_scale}
    if measured is not None:
        found |= {"integer_scale": measured.scale, "key": measured.found.key or None}
    if report.measurement.wavelengths_nm is not None:
        found["wavelengths"] = "listed below"
    known = getattr(report.table.geometry, option.field, None)
    value = next(
        (v for v in (known, getattr(report.options, option.field), found.get(option.field)) if v is not None), None
    )
    return "" if value is None else option.text(value)


def _hashes(report: Report) -> Iterator[tuple[str, str]]:
    """(what, SHA-256) of every file that was used, and of the weights."""
    used: dict[Path, list[str]] = {}
    for entry in report.table.rows:
        if entry.role is not None:
            used.setdefault(entry.found.path, []).append(entry.role)
    for path, roles in used.items():
        for file in _files_of(path):
            yield f"{', '.join(roles)}: {file.name}", _file_hash(file)
    yield from ((f"{name}: {report.asked.decoder}" if name == "adapter set" else name, digest)
                for name, digest in report.made_by.hashes.items())  # fmt: skip


def _files_of(path: Path) -> list[Path]:
    """The file, and the other half of an ENVI pair."""
    try:
        if path.suffix.lower() == ".hdr" and is_envi_header(head_of(path)):
            return [path, envi_data_of(path)]
        header = envi_header_of(path)
        return [path] if header is None else [path, header]
    except (LorunError, OSError):
        return [path]


def _file_hash(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read any more: {error.strerror or error}"


def _program(report: Report) -> Iterator[tuple[str, str]]:
    asked = report.asked
    yield "LoRun", __version__
    yield "PyTorch, NumPy", f"{torch.__version__}, {np.__version__}"
    yield "Python, system", f"{platform.python_version()}, {platform.platform()}"
    yield "Device", f"{report.device} ({asked.device})"
    if asked.device == "cpu":
        yield "Threads", str(_threads(asked))
    yield "Precision", _precision(asked)
    if asked.path is not None:
        yield "Path", asked.path


def _threads(asked: Asked) -> int:
    """Of the processor."""
    return asked.threads or torch.get_num_threads()


# ---- for a paper -------------------------------------------------------------------------------------------------


def methods(report: Report) -> str:
    """A paragraph that says how the result was made, for a paper; every figure in it is one of the decode."""
    measurement, last = report.measurement, report.stages[-1]
    kind, (num_bands, height, width) = TASKS[measurement.task], measurement.physics.scene_shape
    measured = report.table.row("measurement")
    size = "" if measured is None else f" ({by(measured.shape)} values)"
    what = {1: "grey", 3: "colour"}.get(num_bands, "") + " picture" if kind.is_photograph else _bands(report)
    return " ".join(
        [
            f"A {what} of {height} x {width} pixels was decoded with LoRun {__version__} from the "
            f"{_lowered(kind.title)} {report.name}{size}.",
            *_instrument(report),
            _decoder_sentence(report),
            *measurement.notes,
            *report.made_by.notes,
            f"The relative residual ||y - Phi x|| / ||y|| of the result is {number(last.residual)}.",
            *([f"Against the reference it has {_listed(_figures(last.metrics))}."] if last.metrics else []),
        ]
    )


def _bands(report: Report) -> str:
    nm = report.measurement.wavelengths_nm
    span = "" if nm is None else f" centred at {nm[0]:g} to {nm[-1]:g} nm"
    return f"cube of {plural(len(report.result), 'band')}{span},"


def _instrument(report: Report) -> Iterator[str]:
    """The sentence about the operator: the files that describe the instrument, and what is known of it in numbers."""
    files = [
        f"{row.found.path.name} ({row.role})"
        for row in report.table.rows
        if row.role is not None and row.role not in _OF_SCENES
    ]
    known = []
    for option in reading_of(report.table.task).OPTIONS:
        value = getattr(report.table.geometry, option.field, None)
        if value is not None and option.role is None:
            words = {chosen: title for title, chosen in option.choices}.get(value, option.text(value))
            known.append(f"{_lowered(option.title)}: {words}")
    if files or known:
        numbers = f"{' with ' if files else ''}{'; '.join(known)}" if known else ""
        yield f"Its operator Phi was set up from {_listed(files)}{numbers}."


def _precision(asked: Asked) -> str:
    """That of the network; the start alone is in float32 whatever was asked for."""
    return "float32" if asked.precision in (None, AUTO) else asked.precision


def _decoder_sentence(report: Report) -> str:
    asked, hashes = report.asked, report.made_by.hashes
    device = f"the CPU ({plural(_threads(asked), 'thread')})" if asked.device == "cpu" else report.device
    where = f"on {device} in {_precision(asked)}"
    num_stages = plural(report.stages[-1].index, asked.step_name)
    if not hashes:
        return f"It was decoded by {num_stages} of {asked.title}, which has no trained weights, {where}."
    named = [f"{name} {digest[:12]}" for name, digest in hashes.items()]
    return (
        f"It was decoded by {num_stages} of the adapter set {asked.title}, a LoRA-unfolding network "
        f"(SHA-256: {', '.join(named)}), {where}."
    )


def _listed(words: Sequence[str]) -> str:
    """As "a, b and c"."""
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _lowered(title: str) -> str:
    """A title within a sentence; abbreviations stay."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]
