"""From bytes to pictures that Qt paints, and the colours that stand for numbers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyqtgraph as pg
from PySide6.QtGui import QImage

from .. import render

NAN_COLOUR = (0xD0, 0x4F, 0xC8)


def to_image(pixels: np.ndarray) -> QImage:
    """A QImage that owns its pixels, of (H, W) or (H, W, 3) uint8, in the format that is painted fastest."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    kind = QImage.Format.Format_Grayscale8 if pixels.ndim == 2 else QImage.Format.Format_RGB888
    return QImage(pixels.data, width, height, pixels.strides[0], kind).convertToFormat(QImage.Format.Format_RGB32)


@lru_cache(maxsize=1)
def viridis() -> np.ndarray:
    """The perceptually uniform map (256, 3) uint8 that people with colour-blindness read too."""
    return pg.colormap.get("viridis").getLookupTable(nPts=256, alpha=False).astype(np.uint8)


@lru_cache(maxsize=1)
def blue_red() -> np.ndarray:
    """(256, 3) uint8, even steps for the eye: blue is negative, white zero, red positive."""
    return pg.colormap.get("CET-D1").getLookupTable(nPts=256, alpha=False).astype(np.uint8)


def mapped(plane: np.ndarray, levels: tuple[float, float], colours: np.ndarray) -> np.ndarray:
    """(H, W) numbers between two levels through a (256, 3) map, (H, W, 3) uint8; what is no number has NAN_COLOUR."""
    pixels = render.mapped_bytes(render.grey_bytes(plane, levels), colours)
    pixels[~np.isfinite(plane)] = NAN_COLOUR
    return pixels
