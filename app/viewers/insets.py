"""Zoom boxes as papers print them: every box of a photograph enlarged in a corner of its pane, with its own figures."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from ..document.regions import Region, Regions
from ..document.session import MEASUREMENT, REFERENCE
from .maps import MapKind
from .panes import ImagePane
from .pictures import Pictures, Reflectance

SHARE = 0.4  # of the pane's sides that an inset fills
MARGIN = 4  # px
MOST = 4  # one for each corner


def inset_places(
    view: QRectF, boxes: Sequence[tuple[QRectF, float]], *, share: float = SHARE, margin: float = MARGIN
) -> list[QRectF]:
    """Where the insets of boxes lie in a view: each in a corner of its own, away from its box where there is one.

    `boxes` are where each box is seen, and its height over its width.
    """
    places: list[QRectF] = []
    free = [(1, 1), (0, 1), (1, 0), (0, 0)]  # from the lower right corner on
    for seen, ratio in boxes[:MOST]:
        width = min(share * view.width(), share * view.height() / ratio)
        height = width * ratio
        corners = {
            (x, y): QRectF(
                view.left() + margin if x == 0 else view.right() - margin - width,
                view.top() + margin if y == 0 else view.bottom() - margin - height,
                width,
                height,
            )
            for x, y in free
        }
        corner = next((corner for corner in free if not corners[corner].intersects(seen)), free[0])
        free.remove(corner)
        places.append(corners[corner])
    return places


def figures_words(figures: dict[str, float]) -> str:
    """As "31.24 dB  0.912"."""
    parts = [f"{figures['psnr']:.2f} dB" if figures["psnr"] == figures["psnr"] else "not finite"]
    if figures["ssim"] == figures["ssim"]:
        parts.append(f"{figures['ssim']:.3f}")
    return "  ".join(parts)


def paint_insets(
    painter: QPainter,
    pane: ImagePane,
    shows: object,
    boxes: Sequence[tuple[Region, str]],
    pictures: Pictures,
    regions: Regions,
) -> None:
    """Paints every box, with its colour, enlarged in a corner; PSNR and SSIM against the reference below it."""
    image = pane.picture if boxes else None
    if image is None:
        return
    target, (height, width) = pane.target, regions.size
    view = target.intersected(QRectF(pane.rect()))
    seen, sources = [], []
    for box, _ in boxes:
        y0, x0, y1, x1 = box.bounds
        share = QRectF(x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height)
        seen.append(
            (
                QRectF(
                    target.x() + share.x() * target.width(),
                    target.y() + share.y() * target.height(),
                    share.width() * target.width(),
                    share.height() * target.height(),
                ),
                (y1 - y0) / (x1 - x0),
            )
        )
        sources.append(
            QRectF(
                share.x() * image.width(),
                share.y() * image.height(),
                share.width() * image.width(),
                share.height() * image.height(),
            )
        )
    for (box, colour), place, source in zip(boxes, inset_places(view, seen), sources, strict=False):
        place = QRectF(place.toRect())  # frames are sharp on whole pixels
        is_fine = place.width() * pane.devicePixelRatioF() < 4 * source.width()  # larger pixels are to be seen as such
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_fine)
        painter.drawImage(place, image, source)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for ink, thickness in (("#ffffff", 4), (colour, 2)):
            painter.setPen(QPen(QColor(ink), thickness))
            painter.drawRect(place)
        is_restored = shows not in (REFERENCE, MEASUREMENT) and not isinstance(shows, MapKind | Reflectance)
        compared = pictures.array(shows) if is_restored else None
        if compared is not None and (figures := regions.figures(box, shows, compared)):
            _paint_words(painter, place, figures_words(figures))


def _paint_words(painter: QPainter, place: QRectF, words: str) -> None:
    """A dark strip at the lower edge, wide enough to be read."""
    metrics = painter.fontMetrics()
    strip = QRectF(place.left(), place.bottom() - metrics.height() - 2, place.width(), metrics.height() + 2)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 170))
    painter.drawRect(strip.adjusted(1, 0, -1, -1))
    painter.setPen(QColor("#ffffff"))
    is_wide = metrics.horizontalAdvance(words) <= strip.width() - 4
    painter.drawText(strip, Qt.AlignmentFlag.AlignCenter, words if is_wide else words.partition("  ")[0])
