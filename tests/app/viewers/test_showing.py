"""What is shown leaves the window at full size: as files in three formats, with a caption, and dragged by its name."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, Qt
from PySide6.QtGui import QDragEnterEvent
from PySide6.QtTest import QTest

from app.document.drawn import LEAST_WIDTH, pixels_of
from app.viewers import dragging


@pytest.fixture
def dragged(monkeypatch) -> list[QMimeData]:
    """What was dragged; nothing follows the mouse."""
    begun = []
    monkeypatch.setattr(dragging, "begin_drag", lambda source, mime: begun.append(mime))
    return begun


def drag(label) -> None:
    QTest.mousePress(label, Qt.MouseButton.LeftButton, pos=QPoint(4, 4))
    QTest.mouseMove(label, QPoint(30, 14))
    QTest.mouseRelease(label, Qt.MouseButton.LeftButton, pos=QPoint(30, 14))


def test_every_mode_has_a_picture_at_full_size(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.select_stage(2)
    for mode, size in (("colour", (14, 16)), ("band", (14, 16)), ("compare", (14, 16)), ("residual", (20, 16))):
        decoded.looking.set_mode(mode)
        qtbot.waitUntil(lambda: window.centre.drawn() is not None and not decoded.lanes.is_busy)
        drawn = window.centre.drawn()
        assert (drawn.image.width(), drawn.image.height()) == size, mode
    decoded.looking.set_mode("montage")
    drawn = window.centre.drawn()
    assert drawn.image.width() >= 2 * 14 and drawn.title == "Stage 2  ·  all bands"


def test_a_band_is_written_as_it_is_stretched_with_the_ends_of_its_bar(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.set_mode("band")
    decoded.looking.set_stretch(None, True)
    decoded.looking.select_stage(1)
    drawn = window.centre.drawn()
    assert (pixels_of(drawn.image) == 128).all() and drawn.ends == ("0.00", "1.00")
    assert drawn.title == f"Stage 1  ·  {window.centre.pictures.band_title(2)}"


@pytest.mark.parametrize("suffix", [".png", ".tif", ".svg"])
@pytest.mark.parametrize("has_caption", [False, True])
def test_pictures_are_written_in_every_format_with_a_caption_or_without(
    qtbot, decoded, show, tmp_path, suffix, has_caption
):
    window, path = show(decoded), tmp_path / f"picture{suffix}"
    drawn = window.centre.drawn()
    with qtbot.waitSignal(decoded.exports.exported):
        decoded.exports.export_picture(path, drawn, has_caption=has_caption)
    width = LEAST_WIDTH // 14 * 14 + 14 if has_caption else 14
    if suffix == ".svg":
        root = ElementTree.parse(path).getroot()
        texts = ["".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")]
        assert root.attrib["viewBox"] == f"0 0 {width} {root.attrib['viewBox'].split()[-1]}"
        assert sum(node.tag.endswith("image") for node in root.iter()) == 1
        assert texts == (["Stage 5", "snapshot.h5  ·  fake", "2 px"] if has_caption else [])
        return
    with Image.open(path) as picture:
        assert picture.width == width and picture.format == {".png": "PNG", ".tif": "TIFF"}[suffix]
        if not has_caption:
            assert np.array_equal(np.asarray(picture), pixels_of(drawn.image))


def test_a_pane_is_dragged_out_by_its_name_as_picture_and_file_and_nothing_is_left(qtbot, decoded, show, dragged):
    window = show(decoded)
    card = window.centre.grid.cards[0]
    drag(card.title)
    (mime,) = dragged
    (url,) = mime.urls()
    path = Path(url.toLocalFile())
    with Image.open(path) as picture:
        assert picture.size == (14, 16)
    assert mime.hasImage() and path.name.startswith("snapshot_")
    decoded.exports.close()
    assert not path.parent.exists()


def test_the_curves_are_dragged_out_as_a_table(qtbot, decoded, show, dragged):
    window = show(decoded)
    drag(window.spectrum.heading)
    assert dragged == [None]  # no place is looked at
    decoded.looking.select_pixel((3, 4))
    drag(window.spectrum.heading)
    rows = list(csv.reader(dragged[1].text().splitlines()))
    assert rows[0][:2] == ["wavelength (nm)", "stage 0 of the pinned pixel"] and rows[0][-1].startswith("reference")
    assert [float(value) for value in rows[1][:3]] == [450.0, 1.0, 0.5] and len(rows) == 5
    assert dragged[1].data("text/csv").data().decode() == dragged[1].text()


def test_what_comes_from_the_window_itself_is_not_opened(qtbot, decoded, show, tmp_path, monkeypatch):
    window, mime = show(decoded), QMimeData()
    mime.setUrls([f"file://{tmp_path / 'snapshot.h5'}"])
    event = QDragEnterEvent(
        QPoint(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    event.ignore()
    monkeypatch.setattr(QDragEnterEvent, "source", lambda event: window.centre)
    window.dragEnterEvent(event)
    assert not event.isAccepted()
