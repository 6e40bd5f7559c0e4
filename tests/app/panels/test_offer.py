"""A dark photograph is offered as one in low light, and decoded as one where the offer is taken."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt

from app.main_window import MainWindow


@pytest.fixture
def window(qtbot, make_parts) -> MainWindow:
    window = MainWindow(make_parts())
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    return window


def photograph(folder, brightness: int):
    pixels = np.random.default_rng(0).integers(0, 2 * brightness, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f"{brightness}.png")
    return folder / f"{brightness}.png"


def test_a_dark_photograph_is_offered_opened_and_decoded_as_one_in_low_light(qtbot, window, tmp_path):
    parts, card = window.parts, window.measurement_card
    for brightness, is_dark in ((120, False), (20, True)):
        with qtbot.waitSignal(parts.lanes.idle):
            parts.session.open([photograph(tmp_path, brightness)])
        assert (parts.session.kind.name, card.take_offer.isVisible()) == ("sr", is_dark)
    assert card.offered.text() == "This picture is dark: its mean is 0.08 of white."
    assert card.take_offer.text() == "Open as low-light picture"
    with qtbot.waitSignal(parts.lanes.idle):
        qtbot.mouseClick(card.take_offer, Qt.MouseButton.LeftButton)
    assert parts.session.kind.name == "lowlight" and not card.take_offer.isVisible()
    assert parts.setup.decoder_name == "retinex"
    parts.session.restore()
    qtbot.waitUntil(lambda: parts.session.restoration.state == "done" and not parts.lanes.is_busy)
    assert parts.session.stages.light(1).shape == (1, 40, 56)
    assert parts.checking.newest is not None and parts.checking.newest.relative_norm < 1e-5
    with qtbot.waitSignal(parts.lanes.idle):
        window.corrections.undo()
    assert parts.session.kind.name == "sr" and card.take_offer.isVisible()
    parts.shelf.clear()
