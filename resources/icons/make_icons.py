"""Writes lorun-N.png, the sizes that desktops ask for, from lorun.svg: python resources/icons/make_icons.py"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SIZES = (16, 32, 48, 64, 128, 256)


def main() -> None:
    drawing = Path(__file__).with_name("lorun.svg")
    renderer = QSvgRenderer(str(drawing))
    for size in SIZES:
        image = QImage(size, size, QImage.Format.Format_ARGB32)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        renderer.render(painter)
        painter.end()
        image.save(str(drawing.with_name(f"lorun-{size}.png")))


if __name__ == "__main__":
    main()
