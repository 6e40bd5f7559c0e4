"""The report of an adaptation: one HTML page that needs nothing else, with curves, scores, data, recipe and hashes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from .. import __version__
from ..decoding.metrics import TITLES, UNITS
from ..io.html_page import Line, curves, element, page, table
from ..io.quantities import duration
from ..library.cards import Card, read_card
from ..schema import Among, json_of, salvaged
from .events import Finished, Origin, Started, Step, Stopped, TrainEvent, Validated
from .run_folder import BEST, DATA, EVENTS, RECIPE, REPORT, read_events, write_text

_UNITS = {**UNITS, "withheld_psnr": "dB"}
_TITLES = {**TITLES, "withheld_psnr": "Withheld values"}
_USES = {"learn": "learned from", "check": "withheld"}


def write_report(run: Path) -> Path:
    """Writes `report.html` of the training in `run` from what lies there, and returns its path."""
    events = read_events(run / EVENTS)
    card = read_card(run / BEST) if (run / BEST).is_file() else None
    listed = _listed(run / DATA)
    recipe = (run / RECIPE).read_text(encoding="utf-8") if (run / RECIPE).is_file() else ""
    path = run / REPORT
    write_text(path, _page(events, card, listed, recipe))
    return path


@dataclass(frozen=True)
class _File:
    """A file of the data list."""

    name: str
    use: Annotated[str, Among(tuple(_USES))]
    sha256: str
    rows: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Skipped:
    """A file that was left out."""

    path: Path
    reason: str


@dataclass(frozen=True)
class _Listed:
    """The data list as `write_plan` writes it."""

    camera: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[_File, ...] = ()
    skipped: tuple[_Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def _listed(path: Path) -> _Listed:
    """The data list in `path`; what cannot be read of it is as if it were not there."""
    try:
        return salvaged(_Listed, json_of(path.read_bytes()))
    except (OSError, ValueError):
        return _Listed()


def _page(events: Sequence[TrainEvent], card: Card | None, listed: _Listed, recipe: str) -> str:
    started = next((event for event in events if isinstance(event, Started)), None)
    origin = None if started is None else started.origin
    fields = {} if card is None else card.fields
    title = str(fields.get("title") or (origin and origin.name) or "An adapted set")
    parts = [
        element("h1", title),
        element("p", _opening(started, events), "dim"),
        "<h2>Before and after</h2>",
        _score_table({}, {}) if card is None else _score_table(card.scores("start"), card.scores("validation")),
        *_curves(events),
        "<h2>Camera</h2>",
        table((("", ""),), [(name, str(value)) for name, value in listed.camera.items()]),
        "<h2>Data</h2>",
        _data(listed),
        "<h2>Recipe</h2>",
        element("pre", recipe),
        "<h2>Hashes (SHA-256)</h2>",
        _hashes(origin, fields),
        element("p", f"Written by LoRun {__version__}.", "dim"),
    ]
    return page(title, parts)


def _opening(started: Started | None, events: Sequence[TrainEvent]) -> str:
    """What was trained and how it ended."""
    last = next((event for event in reversed(events) if isinstance(event, Step)), None)
    end = next((event for event in reversed(events) if isinstance(event, Finished | Stopped)), None)
    origin = None if started is None else started.origin
    said = f"Adapted from {'a set' if origin is None else origin.starting_set}; its backbone is unchanged."
    if last is not None:
        device = "the CPU" if started is None else started.device
        said += f" {last.step} steps in {duration(last.elapsed_s)} on {device}."
    return said if end is None else f"{said} {end.message}"


def _score_table(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    rows = []
    for name, value in after.items():
        start = before.get(name)
        change = "" if start is None else f"{value - start:+.3g}"
        shown = ("" if start is None else f"{start:.4g}", f"{value:.4g}", change)
        unit = _UNITS.get(name, "")
        rows.append((f"{_TITLES.get(name, name)}{f' ({unit})' if unit else ''}", *shown))
    heads = (("On the withheld data", ""), ("before", "number"), ("after", "number"), ("change", "number"))
    return table(heads, rows) if rows else "<p>Nothing was scored.</p>"


def _curves(events: Sequence[TrainEvent]) -> Iterable[str]:
    """The curve of the deciding score with the start as a line, and that of the loss."""
    scores = [event for event in events if isinstance(event, Validated) and event.metrics]
    if scores:
        name = "withheld_psnr" if "withheld_psnr" in scores[0].metrics else "psnr"
        points = [(event.step, event.metrics[name]) for event in scores if name in event.metrics]
        start = next((event.metrics[name] for event in scores if event.is_start), None)
        caption = f"{_TITLES[name]} on the withheld data, dB, by step; dashed: the starting set"
        level = [] if start is None else [(0.0, start), (points[-1][0], start)]
        yield curves([Line(points), Line(level, "dashed")], caption, from_zero=True)
    steps = {event.step: event.loss for event in events if isinstance(event, Step)}
    if steps:
        stride = max(1, len(steps) // 400)
        yield curves([Line(_smoothed(sorted(steps.items()))[::stride])], "Loss by step, a running mean", from_zero=True)


def _smoothed(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """An exponential running mean, its start corrected."""
    found, mean, weight = [], 0.0, 0.0
    for step, value in points:
        mean, weight = 0.9 * mean + 0.1 * value, 0.9 * weight + 0.1
        found.append((step, mean / weight))
    return found


def _data(listed: _Listed) -> str:
    rows = [
        (
            entry.name + ("" if entry.rows is None else f", rows {entry.rows[0]} to {entry.rows[1]}"),
            _USES[entry.use],
            entry.sha256,
        )
        for entry in listed.files
    ]
    rows += [(entry.path.name, "left out", entry.reason) for entry in listed.skipped]
    notes = "".join(element("p", note) for note in listed.notes)
    if not rows:
        return "<p>Computed scenes alone.</p>" + notes
    return table((("file", ""), ("use", ""), ("SHA-256, or the reason", "")), rows) + notes


def _hashes(origin: Origin | None, card: Mapping[str, Any]) -> str:
    known = [("new set", str(card["hash"]))] if "hash" in card else []
    if origin is not None:
        known += [("backbone, unchanged", origin.backbone_hash), ("starting set", origin.starting_hash)]
    return table((("", ""),), known)
