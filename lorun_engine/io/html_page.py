"""A page that needs nothing else: HTML with its style, tables, curves (SVG) and pictures in it, light and dark.

No script, no link, nothing that is fetched. Whatever is put in as text is escaped.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_WIDTH, _HEIGHT, _MARGIN = 640, 220, 56  # of curves, in SVG units
_BOTTOM = 28  # below the axis
_NUM_COLOURS = 7
_FEW_PIXELS = 100  # across; such pixels are to be seen as such
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2230; --dim: #667085; --line: #d5d9e2; --paper: #fff; --accent: #2f6fde;
  --good: #187a4f; --warn: #8f5e12; --c0: #0072b2; --c1: #c24e00; --c2: #8f6a00; --c3: #00795a; --c4: #a8467f;
  --c5: #4a4f5a; --c6: #2b7fb3; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ee; --dim: #98a0b3; --line: #3a4152; --paper: #171a22; --accent: #7aa7ff; --good: #4fb286;
    --warn: #e0a84c; --c0: #56b4e9; --c1: #f0743a; --c2: #f0c33c; --c3: #2fc59a; --c4: #e59bc4; --c5: #c3c8d0;
    --c6: #4c8fd6; }
}
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 720px;
  margin: 40px auto; padding: 0 16px; overflow-wrap: anywhere; }
h1 { font-size: 24px; line-height: 1.25; margin-bottom: 4px; } h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 8px 0; } p.dim, td.dim, figcaption { color: var(--dim); }
p.good { color: var(--good); font-weight: 600; } p.warn { color: var(--warn); font-weight: 600; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: 6px 8px 6px 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } th { font-weight: 600; }
td.number, th.number { text-align: right; padding: 6px 0 6px 8px; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
td.name { white-space: nowrap; padding-right: 24px; } td.dim { width: 30%; }
td.code { font-family: ui-monospace, monospace; font-size: 11px; width: 68%; }
pre { white-space: pre-wrap; border: 1px solid var(--line); border-radius: 6px; padding: 12px; font-size: 13px; }
svg { width: 100%; height: auto; } svg path { fill: none; } svg text { fill: var(--dim); font-size: 12px; }
svg .axis { stroke: var(--line); } svg .dashed { stroke: var(--dim); stroke-width: 1.5; stroke-dasharray: 5 4; }
svg .curve { stroke: var(--accent); stroke-width: 2; }
figure { margin: 16px 0; } figcaption { font-size: 13px; margin-top: 4px; }
img { display: block; width: 100%; height: auto; } img.coarse { image-rendering: pixelated; }
figure.main { max-width: 520px; }
.row img { max-height: 240px; object-fit: contain; object-position: left top; }
.row { display: flex; flex-wrap: wrap; gap: 16px; } .row figure { flex: 1 1 140px; margin: 8px 0; max-width: 344px; }
.key { display: inline-block; width: 16px; height: 3px; margin: 0 6px 3px 0; vertical-align: middle; }
.key.dashed { height: 0; border-top: 2px dashed var(--dim); }
"""
_COLOURS = "".join(
    f"svg .c{n} {{ stroke: var(--c{n}); stroke-width: 2; }} .key.c{n} {{ background: var(--c{n}); }}\n"
    for n in range(_NUM_COLOURS)
)
_PRINTED = """
@media print {
  body { margin: 0; max-width: none; font-size: 12px; }
  figure, tr { break-inside: avoid; } h2 { break-after: avoid; }
}
"""


@dataclass(frozen=True)
class Line:
    """A curve through `points` (x, y); `look` is "curve", "dashed" or one of `colour_look`. Gaps are where y is NaN."""

    points: Sequence[tuple[float, float]]
    look: str = "curve"
    name: str = ""


def colour_look(number: int) -> str:
    """The look of the curve of this number, from 0; neighbours can be told apart."""
    return f"c{number % _NUM_COLOURS}"


def page(title: str, parts: Iterable[str]) -> str:
    """The whole page with these parts, which are HTML already."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{_STYLE}{_COLOURS}{_PRINTED}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def escaped(text: str) -> str:
    """Text that is no HTML; names of files may hold letters that no text does."""
    return html.escape(text.encode(errors="replace").decode())


def element(tag: str, text: str, look: str = "") -> str:
    """An element that holds a text."""
    return f"<{tag}{_classed(look)}>{escaped(text)}</{tag}>"


def table(heads: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; `heads` are (title, look) of the columns, a look being "number"; plain lists have no titles."""
    looks = [look for _, look in heads] + [""] * max((len(row) for row in rows), default=0)
    head = "".join(element("th", text, look) for text, look in heads)
    body = "".join(
        "<tr>" + "".join(element("td", cell, looks[n]) for n, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return f"<table>{f'<tr>{head}</tr>' if any(text for text, _ in heads) else ''}{body}</table>"


def picture(pixels: np.ndarray, caption: str, look: str = "") -> str:
    """A picture (H, W) or (H, W, 3) of uint8 with what is said of it; "main" is larger than others."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    data, (height, width) = base64.b64encode(stream.getvalue()).decode(), pixels.shape[:2]
    coarse = _classed("coarse" if width < _FEW_PIXELS else "")
    named = f'alt="{escaped(caption)}" width="{width}" height="{height}"'
    image = f'<img{coarse} {named} src="data:image/png;base64,{data}">'
    return f"<figure{_classed(look)}>{image}<figcaption>{escaped(caption)}</figcaption></figure>"


def row(figures: Iterable[str]) -> str:
    """Figures side by side, as many as there is room for."""
    return f'<div class="row">{"".join(figures)}</div>'


def curves(lines: Sequence[Line], caption: str, *, across: str = "", from_zero: bool = False) -> str:
    """Curves on common axes as inline SVG, those with a name in a key.

    `across` names the horizontal axis; with `from_zero` it begins at 0.
    """
    points = [point for line in lines for point in line.points if all(map(math.isfinite, point))] or [(0.0, 0.0)]
    first, last = (0.0 if from_zero else min(x for x, _ in points)), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    last, high = max(last, first + 1e-6), high if high > low else low + 1e-6

    def at(x: float, y: float) -> tuple[float, float]:
        across = (_WIDTH - _MARGIN - 8) * (x - first) / (last - first)
        return _MARGIN + across, 12 + (_HEIGHT - 12 - _BOTTOM) * (high - y) / (high - low)

    (left, top), (right, bottom) = at(first, high), at(last, low)
    drawn = [
        f'<path d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}" class="axis"/>',
        f'<text x="{left - 6:.0f}" y="{top + 4:.0f}" text-anchor="end">{high:.3g}</text>',
        f'<text x="{left - 6:.0f}" y="{bottom + 4:.0f}" text-anchor="end">{low:.3g}</text>',
        f'<text x="{left:.0f}" y="{bottom + 20:.0f}">{first:g}</text>',
        f'<text x="{right:.0f}" y="{bottom + 20:.0f}" text-anchor="end">{last:g}</text>',
    ]
    if across:
        middle = (left + right) / 2
        drawn.append(f'<text x="{middle:.0f}" y="{bottom + 20:.0f}" text-anchor="middle">{escaped(across)}</text>')
    drawn += [f'<path d="{_path(line.points, at)}" class="{line.look}"/>' for line in lines if line.points]
    key = " &nbsp; ".join(
        f'<span class="key {line.look}"></span>{escaped(line.name)}' for line in lines if line.name and line.points
    )
    svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escaped(caption)}">{"".join(drawn)}</svg>'
    words = "<br>".join(part for part in (key, escaped(caption)) if part)
    return f"<figure>{svg}<figcaption>{words}</figcaption></figure>"


def _path(points: Sequence[tuple[float, float]], at: Callable[[float, float], tuple[float, float]]) -> str:
    """The way through the points; it begins anew behind a gap."""
    steps, is_begun = [], False
    for x, y in points:
        if not math.isfinite(y):
            is_begun = False
            continue
        across, down = at(x, y)
        steps.append(f"{'L' if is_begun else 'M'}{across:.1f} {down:.1f}")
        is_begun = True
    return " ".join(steps)


def _classed(look: str) -> str:
    return f' class="{look}"' if look else ""
