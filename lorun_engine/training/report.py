"""The report of an adaptation: one HTML page that needs nothing else, with curves, scores, data, recipe and hashes."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from .. import __version__
from ..library.cards import Card, read_card
from ..schema import Among, json_of, salvaged
from .events import Finished, Origin, Started, Step, Stopped, TrainEvent, Validated
from .run_folder import BEST, DATA, EVENTS, RECIPE, REPORT, read_events, write_text

_WIDTH, _HEIGHT, _MARGIN = 640, 220, 48  # of a curve, in SVG units
_UNITS = {"psnr": "dB", "withheld_psnr": "dB", "sam": "°", "ssim": "", "ergas": ""}
_TITLES = {"psnr": "PSNR", "withheld_psnr": "Withheld values", "sam": "SAM", "ssim": "SSIM", "ergas": "ERGAS"}
_USES = {"learn": "learned from", "check": "withheld"}
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2230; --dim: #667085; --line: #d5d9e2; --paper: #fff; --accent: #2f6fde; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ee; --dim: #98a0b3; --line: #3a4152; --paper: #171a22; --accent: #7aa7ff; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 720px;
  margin: 40px auto; padding: 0 16px; }
h1 { font-size: 24px; margin-bottom: 4px; } h2 { font-size: 17px; margin-top: 32px; }
p.dim, td.dim, figcaption { color: var(--dim); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: 6px 8px 6px 0;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; } th { font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; padding: 12px; font-size: 13px; }
svg { width: 100%; height: auto; } svg path { fill: none; } svg text { fill: var(--dim); font-size: 12px; }
svg .axis { stroke: var(--line); } svg .start { stroke: var(--dim); stroke-dasharray: 5 4; }
svg .curve { stroke: var(--accent); stroke-width: 2; }
figure { margin: 16px 0; }
"""


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
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="dim">{html.escape(_opening(started, events))}</p>',
        "<h2>Before and after</h2>",
        _score_table({}, {}) if card is None else _score_table(card.scores("start"), card.scores("validation")),
        *_curves(events),
        "<h2>Camera</h2>",
        _table((("", ""),), [(name, str(value)) for name, value in listed.camera.items()]),
        "<h2>Data</h2>",
        _data(listed),
        "<h2>Recipe</h2>",
        f"<pre>{html.escape(recipe)}</pre>",
        "<h2>Hashes (SHA-256)</h2>",
        _hashes(origin, fields),
        f'<p class="dim">Written by LoRun {__version__}.</p>',
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _opening(started: Started | None, events: Sequence[TrainEvent]) -> str:
    """What was trained and how it ended."""
    last = next((event for event in reversed(events) if isinstance(event, Step)), None)
    end = next((event for event in reversed(events) if isinstance(event, Finished | Stopped)), None)
    origin = None if started is None else started.origin
    said = f"Adapted from {'a set' if origin is None else origin.starting_set}; its backbone is unchanged."
    if last is not None:
        device = "the CPU" if started is None else started.device
        said += f" {last.step} steps in {last.elapsed_s / 60:.1f} minutes on {device}."
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
    return _table(heads, rows) if rows else "<p>Nothing was scored.</p>"


def _curves(events: Sequence[TrainEvent]) -> Iterable[str]:
    """The curve of the deciding score with the start as a line, and that of the loss."""
    scores = [event for event in events if isinstance(event, Validated) and event.metrics]
    if scores:
        name = "withheld_psnr" if "withheld_psnr" in scores[0].metrics else "psnr"
        points = [(event.step, event.metrics[name]) for event in scores if name in event.metrics]
        start = next((event.metrics[name] for event in scores if event.is_start), None)
        yield _figure(
            points, f"{_TITLES[name]} on the withheld data, dB, by step; dashed: the starting set", line=start
        )
    steps = {event.step: event.loss for event in events if isinstance(event, Step)}
    if steps:
        stride = max(1, len(steps) // 400)
        yield _figure(_smoothed(sorted(steps.items()))[::stride], "Loss by step, a running mean")


def _smoothed(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """An exponential running mean, its start corrected."""
    found, mean, weight = [], 0.0, 0.0
    for step, value in points:
        mean, weight = 0.9 * mean + 0.1 * value, 0.9 * weight + 0.1
        found.append((step, mean / weight))
    return found


def _figure(points: Sequence[tuple[float, float]], caption: str, *, line: float | None = None) -> str:
    """A curve as inline SVG."""
    values = [value for _, value in points] + ([] if line is None else [line])
    low, high = min(values), max(values)
    high = high if high > low else low + 1e-6
    last = max(points[-1][0], 1)

    def at(step: float, value: float) -> tuple[float, float]:
        x = _MARGIN + (_WIDTH - _MARGIN - 8) * step / last
        return x, 12 + (_HEIGHT - 40) * (high - value) / (high - low)

    path = " ".join(f"{'L' if n else 'M'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(at(*p) for p in points))
    (left, top), (right, bottom) = at(0, high), at(last, low)
    drawn = [
        f'<path d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}" class="axis"/>',
        f'<text x="{left - 6:.0f}" y="{top + 4:.0f}" text-anchor="end">{high:.3g}</text>',
        f'<text x="{left - 6:.0f}" y="{bottom + 4:.0f}" text-anchor="end">{low:.3g}</text>',
        f'<text x="{left:.0f}" y="{bottom + 20:.0f}">0</text>',
        f'<text x="{right:.0f}" y="{bottom + 20:.0f}" text-anchor="end">{last:g}</text>',
    ]
    if line is not None:
        y = at(0, line)[1]
        drawn.append(f'<path d="M{left:.1f} {y:.1f}H{right:.1f}" class="start"/>')
    drawn.append(f'<path d="{path}" class="curve"/>')
    picture = (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(caption)}">{"".join(drawn)}</svg>'
    )
    return f"<figure>{picture}<figcaption>{html.escape(caption)}</figcaption></figure>"


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
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in listed.notes)
    if not rows:
        return "<p>Computed scenes alone.</p>" + notes
    return _table((("file", ""), ("use", ""), ("SHA-256, or the reason", "")), rows) + notes


def _hashes(origin: Origin | None, card: Mapping[str, Any]) -> str:
    known = [("new set", str(card["hash"]))] if "hash" in card else []
    if origin is not None:
        known += [("backbone, unchanged", origin.backbone_hash), ("starting set", origin.starting_hash)]
    return _table((("", ""),), known)


def _table(heads: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> str:
    kinds = [kind for _, kind in heads] + [""] * max((len(row) for row in rows), default=0)
    head = "".join(f'<th class="{kind}">{html.escape(text)}</th>' for text, kind in heads)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kinds[n]}">{html.escape(str(cell))}</td>' for n, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f"<table>{f'<tr>{head}</tr>' if any(text for text, _ in heads) else ''}{body}</table>"
