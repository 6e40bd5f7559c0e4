"""The tour: shown once by itself, beside what it speaks of, by mouse and keys, and never in the way."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QApplication

from app.assembly import Parts
from app.settings import load
from app.widgets import theme


def _place(window, widget) -> QRect:
    return QRect(widget.mapTo(window, QPoint()), widget.size())


def _assert_beside(window, widget) -> None:
    tour, place = window.tour, _place(window, widget)
    assert tour.is_shown and tour.ring.geometry().contains(place)
    assert not tour.card.geometry().intersects(tour.ring.geometry())
    assert window.centralWidget().geometry().contains(tour.card.geometry())
    sentence = tour.card.sentence
    assert sentence.height() >= sentence.heightForWidth(sentence.width()) > 0  # nothing of the words is cut


@pytest.mark.parametrize("size", [(1280, 720), (1440, 900)])
def test_three_steps_stand_beside_what_they_speak_of_and_come_once(qtbot, show, make_parts, fake, tmp_path, wear, size):
    parts = make_parts(fake)
    window = show(parts)
    window.resize(*size)
    tour, card = window.tour, window.tour.card
    assert not tour.is_shown
    window.centre.setFocus()
    tour.start_once()
    assert card.heading.text() == "1  Open" and QApplication.focusWidget() is card.next
    _assert_beside(window, window.measurement_card)
    qtbot.mouseClick(card.next, Qt.MouseButton.LeftButton)
    assert card.heading.text() == "2  Decode"
    _assert_beside(window, window.decode_card)
    wear(theme.dark())
    pixels = tour.ring.grab().toImage()
    assert pixels.pixelColor(pixels.width() // 2, 0).name() == theme.dark().accent
    qtbot.keyClick(card.next, Qt.Key.Key_Return)
    assert card.heading.text() == "3  Look and save" and card.next.text() == "Done" and not card.skip.isVisible()
    _assert_beside(window, window.centre)
    qtbot.keyClick(card.next, Qt.Key.Key_Enter)
    assert not tour.is_shown and not tour.ring.isVisible()
    assert load(tmp_path / "settings.json").has_seen_tour
    tour.start_once()
    assert not tour.is_shown
    window.actions_["tour"].trigger()
    assert tour.is_shown and card.count.text() == "1 of 3"
    qtbot.mouseClick(card.skip, Qt.MouseButton.LeftButton)
    assert not tour.is_shown


def test_it_follows_what_is_done_in_the_window_and_escape_skips_it(qtbot, show, make_parts, fake, snapshot):
    parts = make_parts(fake)
    window = show(parts)
    tour = window.tour
    tour.start()
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    qtbot.waitUntil(lambda: tour.card.heading.text() == "2  Decode")
    window.resize(1300, 760)
    qtbot.waitUntil(lambda: tour.ring.geometry().contains(_place(window, window.decode_card)))
    with qtbot.waitSignal(parts.lanes.idle):
        qtbot.mouseClick(window.decode_card.button, Qt.MouseButton.LeftButton)  # the ring lets clicks through
    assert len(parts.session.stages) == 6
    qtbot.waitUntil(lambda: tour.card.heading.text() == "3  Look and save")
    qtbot.waitUntil(lambda: tour.ring.geometry().contains(_place(window, window.saving_card)))
    _assert_beside(window, window.saving_card)
    card = window.saving_card
    card.setMinimumHeight(card.height() + 40)  # it comes to say more: all of it stays in view
    qtbot.waitUntil(lambda: card.height() == card.minimumHeight())
    qtbot.waitUntil(lambda: tour.ring.geometry().contains(_place(window, card)))
    _assert_beside(window, card)
    qtbot.keyClick(window.centre, Qt.Key.Key_2)  # the keys of the window go on
    assert parts.session.selection.mode == "band"
    qtbot.keyClick(window.centre, Qt.Key.Key_Escape)
    assert not tour.is_shown
    qtbot.keyClick(window.centre, Qt.Key.Key_Return)
    assert not tour.is_shown


def test_escape_in_the_card_skips_and_cancels_nothing(qtbot, show, opened, fake, gate_type):
    fake.gate = gate = gate_type(at=1)
    window = show(opened)
    opened.session.restore()
    qtbot.waitUntil(gate.is_reached.is_set)
    window.tour.start()
    qtbot.keyClick(window.tour.card.next, Qt.Key.Key_Escape)
    assert not window.tour.is_shown and opened.session.restoration.state == "running"
    with qtbot.waitSignal(opened.lanes.idle):
        gate.is_open.set()
    assert opened.session.restoration.state == "done"


def test_where_nothing_is_remembered_it_comes_only_when_asked_for(qtbot, show):
    parts = Parts()
    window = show(parts)
    window.tour.start_once()
    assert not window.tour.is_shown
    window.tour.start()
    assert window.tour.is_shown
    window.close()
