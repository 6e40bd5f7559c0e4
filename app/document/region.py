"""A place in a scene: a point, a rectangle, an ellipse or a polygon, and the pixels that belong to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Shape = Literal["point", "rectangle", "ellipse", "polygon"]
SHAPES: tuple[Shape, ...] = ("point", "rectangle", "ellipse", "polygon")
ON_PHOTOGRAPHS: tuple[Shape, ...] = ("point", "rectangle")

Corners = tuple[tuple[float, float], ...]  # (y, x) in pixels


@dataclass(frozen=True)
class Region:
    """A place in the scene; `number` gives its name and its colour.

    `corners` are (y, x) in pixels, 0, 0 being the upper left corner of the picture: two opposite corners of a
    rectangle or of the box around an ellipse, the corners of a polygon, and of a point the pixel itself.
    """

    number: int
    shape: Shape
    corners: Corners

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(y, x) of the first corner of the box around it and of the last."""
        ys, xs = zip(*self.corners, strict=True)
        reach = 1 if self.shape == "point" else 0
        return min(ys), min(xs), max(ys) + reach, max(xs) + reach

    @property
    def area(self) -> float:
        """Of the box around it, in pixels."""
        y0, x0, y1, x1 = self.bounds
        return (y1 - y0) * (x1 - x0)

    def moved(self, dy: float, dx: float) -> Region:
        """The same elsewhere."""
        return replace(self, corners=tuple((y + dy, x + dx) for y, x in self.corners))

    def pixels(self, size: tuple[int, int], *, side: int = 1) -> tuple[tuple[slice, slice], np.ndarray]:
        """The window of a (height, width) picture that holds it, and which pixels of that window belong to it.

        A point has `side` x `side` pixels around it. To a region belong the pixels whose middle lies in it.
        """
        (y0, x0, y1, x1), (height, width) = self.bounds, size
        if self.shape == "point":
            reach = side // 2
            y0, x0, y1, x1 = y0 - reach, x0 - reach, y1 + reach, x1 + reach
        rows = slice(max(0, int(np.floor(y0))), max(0, min(height, int(np.ceil(y1)))))
        columns = slice(max(0, int(np.floor(x0))), max(0, min(width, int(np.ceil(x1)))))
        y = np.arange(rows.start, rows.stop)[:, None] + 0.5
        x = np.arange(columns.start, columns.stop)[None, :] + 0.5
        if self.shape == "ellipse":
            radii = max((y1 - y0) / 2, 1e-9), max((x1 - x0) / 2, 1e-9)
            is_inside = ((y - (y0 + y1) / 2) / radii[0]) ** 2 + ((x - (x0 + x1) / 2) / radii[1]) ** 2 <= 1
        elif self.shape == "polygon":
            is_inside = _inside_polygon(y, x, self.corners)
        else:
            is_inside = (y >= y0) & (y <= y1) & (x >= x0) & (x <= x1)
        return (rows, columns), is_inside


def shape_words(shape: Shape, *, is_photograph: bool) -> str:
    """What a shape is called: on a photograph a row of pixels and a zoom box."""
    return {"point": "row", "rectangle": "zoom box"}.get(shape, shape) if is_photograph else shape


def _inside_polygon(y: np.ndarray, x: np.ndarray, corners: Corners) -> np.ndarray:
    """Which of (H, 1) by (1, W) points a polygon encloses, by the even-odd rule."""
    is_inside = np.zeros((len(y), x.shape[1]), dtype=bool)
    for (y0, x0), (y1, x1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if y0 != y1:
            crosses = (y0 <= y) != (y1 <= y)
            is_inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return is_inside
