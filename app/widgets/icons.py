"""The signs that stand without a word - play, expand, close - drawn so that they are sharp at any scale."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF

from ..resources import resource_path

SIDE = 16  # px
_DETAIL = 4  # pixels of the picture per pixel of the widget

_LINES = {
    "expand": [[(9.5, 3), (13, 3), (13, 6.5)], [(13, 3), (9, 7)], [(6.5, 13), (3, 13), (3, 9.5)], [(3, 13), (7, 9)]],
    "shrink": [[(9, 3.5), (9, 7), (12.5, 7)], [(9, 7), (13, 3)], [(7, 12.5), (7, 9), (3.5, 9)], [(7, 9), (3, 13)]],
    "close": [[(4, 4), (12, 12)], [(12, 4), (4, 12)]],
    "pause": [[(5.5, 4), (5.5, 12)], [(10.5, 4), (10.5, 12)]],
}
_AREAS = {"play": [(5, 3), (13, 8), (5, 13)]}


@lru_cache(maxsize=1)
def program_icon() -> QIcon:
    """The program's own sign, in the sizes that desktops ask for."""
    sign = QIcon()
    for path in sorted(resource_path("icons").glob("lorun-*.png")):
        sign.addFile(str(path))
    return sign


def icon(name: str, colour: str) -> QIcon:
    """The sign "play", "pause", "expand", "shrink" or "close" in a colour."""
    picture = QPixmap(SIDE * _DETAIL, SIDE * _DETAIL)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(_DETAIL, _DETAIL)
    width = 2.5 if name == "pause" else 1.5
    painter.setPen(
        QPen(QColor(colour), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    )
    for line in _LINES.get(name, []):
        painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in line]))
    if name in _AREAS:
        painter.setBrush(QColor(colour))
        painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in _AREAS[name]]))
    painter.end()
    picture.setDevicePixelRatio(_DETAIL)
    return QIcon(picture)
