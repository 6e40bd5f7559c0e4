"""What is shown, at full size, to be written, copied or dragged: the picture of a pane, all bands, or two sides."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter

from ..document.drawn import Drawn
from ..document.selection import MEASUREMENT
from ..quantities import number
from ..widgets.colours import blue_red, viridis
from .maps import Change, Difference, LightMap, MapKind, Maps, title_of_light
from .pictures import Pane, Pictures

SIDES_GAP = 8  # px at the size of the pictures
MONTAGE_GAP, MONTAGE_LABEL = 8, 20  # px at the size of the bands


def drawn_pane(pictures: Pictures, maps: Maps, content: Pane | MapKind) -> Drawn | None:
    """The picture of a pane or a map as it is shown; None where there is nothing."""
    with pictures.making.at_once():
        if isinstance(content, MapKind):
            image, ends = maps.picture(content), maps.range(content)
            if image is None or ends is None:
                return None
            colours = blue_red() if ends.low < 0 else viridis()
            return Drawn(image, _map_title(pictures, content), colours=colours, ends=ends.words)
        image = pictures.picture(content)
        if image is None:
            return None
        bands = pictures.bands_in(content)
        if bands is None:
            return Drawn(image, pictures.title(content), is_scene=content != MEASUREMENT)
        black, white = pictures.levels(content, bands)
        title = pictures.title(content) + ("" if content == MEASUREMENT else f"  ·  {pictures.bands_title(bands)}")
        ends = (number(black), number(white))
        return Drawn(image, title, colours=pictures.colours_of(content), ends=ends, is_scene=content != MEASUREMENT)


def _map_title(pictures: Pictures, content: MapKind) -> str:
    if isinstance(content, Change):
        return pictures.title_of_change(content.stage)
    if isinstance(content, LightMap):
        return title_of_light(pictures, content.stage)
    if isinstance(content, Difference):
        return f"{pictures.title(content.left)} − {pictures.title(content.right)}"
    return "Disagreement of the decoders"


def drawn_montage(pictures: Pictures, stage: int) -> Drawn | None:
    """All bands of a stage with their names, in as many columns as rows."""
    with pictures.making.at_once():
        tiles = [pictures.tile(stage, band, 1) for band in range(pictures.num_bands)]
    if not tiles or tiles[0] is None:
        return None
    height, width = tiles[0].height(), tiles[0].width()
    label = max(MONTAGE_LABEL, height // 12)
    columns = max(1, round((len(tiles) * (height + label) / width) ** 0.5))
    rows = -(-len(tiles) // columns)
    canvas = QImage(columns * (width + MONTAGE_GAP), rows * (height + label), QImage.Format.Format_RGB32)
    canvas.fill(QColor("#ffffff"))
    painter = QPainter(canvas)
    font = QFont("sans-serif")
    font.setPixelSize(round(0.7 * label))
    painter.setFont(font)
    for band, tile in enumerate(tiles):
        x, y = band % columns * (width + MONTAGE_GAP), band // columns * (height + label)
        painter.drawImage(x, y, tile)
        under = QRectF(x, y + height, width, label)
        painter.drawText(under, Qt.AlignmentFlag.AlignCenter, pictures.band_title(band))
    painter.end()
    return Drawn(canvas, f"{pictures.title(stage)}  ·  all bands", is_scene=False)


def drawn_side_by_side(pictures: Pictures, sides: tuple[Pane | None, Pane | None]) -> Drawn | None:
    """Both sides beside each other, as large as the larger one; None where one is gone."""
    with pictures.making.at_once():
        left, right = (None if side is None else pictures.picture(side) for side in sides)
    if left is None or right is None:
        return None
    size = max(left.size(), right.size(), key=lambda size: size.width() * size.height())
    canvas = QImage(2 * size.width() + SIDES_GAP, size.height(), QImage.Format.Format_RGB32)
    canvas.fill(QColor("#ffffff"))
    painter = QPainter(canvas)
    painter.drawImage(QRectF(0, 0, size.width(), size.height()), left)
    painter.drawImage(QRectF(size.width() + SIDES_GAP, 0, size.width(), size.height()), right)
    painter.end()
    return Drawn(canvas, " | ".join(pictures.title(side) for side in sides if side is not None))


def drawn_split(pictures: Pictures, sides: tuple[Pane | None, Pane | None], share: float) -> Drawn | None:
    """Both sides in one picture, with the line at a share of its width."""
    with pictures.making.at_once():
        left, right = (None if side is None else pictures.picture(side) for side in sides)
    if left is None or right is None:
        return None
    size = max(left.size(), right.size(), key=lambda size: size.width() * size.height())
    canvas = left.scaled(size).convertToFormat(QImage.Format.Format_RGB32)
    start = round(share * size.width())
    painter = QPainter(canvas)
    painter.setClipRect(start, 0, size.width() - start, size.height())
    painter.drawImage(canvas.rect(), right)
    painter.setClipping(False)
    painter.fillRect(start - 1, 0, 2, size.height(), QColor("#ffffff"))
    painter.end()
    return Drawn(canvas, " | ".join(pictures.title(side) for side in sides if side is not None))
