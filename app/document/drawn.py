"""Pictures that leave the window: what is shown, at full size, with a caption and bars where wanted, as a file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter

from lorun_engine.io import replacing

PICTURE_SUFFIXES = {"PNG": ".png", "TIFF": ".tif", "TIFF by its long name": ".tiff", "SVG": ".svg"}
LEAST_WIDTH = 480  # of a picture with a caption; fewer pixels are enlarged by a whole number
_INK, _DIM = "#1d2330", "#667085"


@dataclass(frozen=True)
class Drawn:
    """A picture as it is seen: its `image` at full size, what it is of, and where numbers are colours, their bar.

    `colours` (256, 3) uint8 go from the first of `ends` to the second; None where there is no bar. `is_scene` says that
    its pixels are those of the scene.
    """

    image: QImage
    title: str
    words: str = ""
    colours: np.ndarray | None = None
    ends: tuple[str, str] = ("", "")
    is_scene: bool = True

    def captioned(self, words: str) -> Drawn:
        """The same with what is said of it besides."""
        return Drawn(self.image, self.title, words, self.colours, self.ends, self.is_scene)


def write_picture(path: Path, drawn: Drawn, *, has_caption: bool, protected: Sequence[Path]) -> None:
    """Writes the picture as the suffix says, whole or not at all; SVG has it as an image, its words as text."""
    if path.suffix.lower() == ".svg":
        content = _svg(drawn, has_caption=has_caption)
    else:
        image = _with_caption(drawn) if has_caption else drawn.image
        content = _encoded(image, "PNG" if path.suffix.lower() == ".png" else "TIFF")
    with replacing(path, protected=protected) as temporary:
        temporary.write_bytes(content)


def pixels_of(image: QImage) -> np.ndarray:
    """(H, W, 3) uint8 of a picture, or (H, W) where it is grey."""
    rgb = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(rgb.constBits(), np.uint8).reshape(rgb.height(), rgb.bytesPerLine())
    pixels = rows[:, : 3 * rgb.width()].reshape(rgb.height(), rgb.width(), 3)
    return pixels[..., 0].copy() if image.allGray() else pixels.copy()


def _encoded(image: QImage, kind: str) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels_of(image)).save(stream, format=kind)
    return stream.getvalue()


def _times(image: QImage) -> int:
    """By how much a picture with few pixels is enlarged under its caption."""
    return -(-LEAST_WIDTH // image.width()) if image.width() < LEAST_WIDTH else 1


def _unit(image: QImage) -> float:
    """A pixel of the caption in pixels of the picture, which may be large."""
    return max(1.0, image.width() * _times(image) / 720)


def _size(drawn: Drawn) -> QSize:
    """Of the picture with its caption."""
    times, unit = _times(drawn.image), _unit(drawn.image)
    return QSize(drawn.image.width() * times, round(drawn.image.height() * times + 64 * unit))


def _with_caption(drawn: Drawn) -> QImage:
    canvas = QImage(_size(drawn), QImage.Format.Format_RGB32)
    canvas.fill(QColor("#ffffff"))
    painter = QPainter(canvas)
    _paint(painter, drawn)
    painter.end()
    return canvas


def _svg(drawn: Drawn, *, has_caption: bool) -> bytes:
    from PySide6.QtSvg import QSvgGenerator

    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    size = _size(drawn) if has_caption else drawn.image.size()
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setResolution(96)  # a pixel of the picture is one of CSS
    generator.setSize(size)
    generator.setViewBox(QRect(0, 0, size.width(), size.height()))
    generator.setTitle(drawn.title)
    painter = QPainter(generator)
    if has_caption:
        _paint(painter, drawn)
    else:
        painter.drawImage(0, 0, drawn.image)
    painter.end()
    return bytes(content.data())


def _paint(painter: QPainter, drawn: Drawn) -> None:
    """The picture with its title, what is said of it, a bar of as many pixels, and that of its colours."""
    image, unit = drawn.image, _unit(drawn.image)
    width, height = image.width() * _times(image), image.height() * _times(image)
    painter.drawImage(QRectF(0, 0, width, height), image)
    left, top, line = 8 * unit, height + 8 * unit, 24 * unit
    half = (width - 3 * left) / 2
    _write(painter, QRectF(left, top, half, line), drawn.title, unit=unit, is_bold=True)
    _write(painter, QRectF(left, top + line, width - 2 * left, line), drawn.words, unit=unit)
    place = QRectF(width - left - half, top, half, line)
    if drawn.colours is not None:
        _paint_colours(painter, place, drawn.colours, drawn.ends, unit)
    elif drawn.is_scene:
        length = _round_length(image.width() / 4)
        shown = length * _times(image)
        middle = place.center().y()
        painter.fillRect(QRectF(place.right() - shown, middle - 2 * unit, shown, 4 * unit), QColor(_INK))
        before = place.adjusted(0, 0, -shown - 8 * unit, 0)
        _write(painter, before, f"{length} px", unit=unit, at=Qt.AlignmentFlag.AlignRight)


def _paint_colours(painter: QPainter, place: QRectF, colours: np.ndarray, ends: tuple[str, str], unit: float) -> None:
    """The bar of a map with the numbers at its ends."""
    strip = np.ascontiguousarray(colours[None], dtype=np.uint8)
    image = QImage(strip.data, len(colours), 1, strip.nbytes, QImage.Format.Format_RGB888).copy()
    room = 64 * unit
    bar = QRectF(place.right() - room - 120 * unit, place.center().y() - 5 * unit, 120 * unit, 10 * unit)
    painter.drawImage(bar, image)
    before = QRectF(place.x(), place.y(), bar.x() - place.x() - 6 * unit, place.height())
    _write(painter, before, ends[0], unit=unit, at=Qt.AlignmentFlag.AlignRight)
    _write(painter, QRectF(bar.right() + 6 * unit, place.y(), room, place.height()), ends[1], unit=unit)


def _write(
    painter: QPainter,
    place: QRectF,
    words: str,
    *,
    unit: float,
    is_bold: bool = False,
    at: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
) -> None:
    """Words in one line, shortened where there is no room."""
    font = QFont("sans-serif")
    font.setPixelSize(round(13 * unit))
    font.setBold(is_bold)
    painter.setFont(font)
    painter.setPen(QColor(_INK if is_bold else _DIM))
    shortened = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, int(place.width()))
    painter.drawText(place, int(at | Qt.AlignmentFlag.AlignVCenter), shortened)


def _round_length(longest: float) -> int:
    """1, 2 or 5 times a power of ten, not above `longest` pixels; at least 1."""
    steps = [factor * 10**power for power in range(6) for factor in (1, 2, 5)]
    return max((step for step in steps if step <= longest), default=1)
