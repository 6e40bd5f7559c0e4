"""Panes side by side: one zoom, one place, one cursor, and nothing that drifts."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QFocusEvent, QImage, QWheelEvent
from PySide6.QtWidgets import QApplication

from app.viewers.panes import ImagePane, ViewHub

HEIGHT, WIDTH = 40, 60


def picture(factor: int) -> QImage:
    image = QImage(WIDTH // factor, HEIGHT // factor, QImage.Format.Format_RGB32)
    image.fill(0xFF808080)
    return image


@pytest.fixture
def hub() -> ViewHub:
    return ViewHub()


@pytest.fixture
def new_pane(qtbot, hub):
    def make(width: int = 300, height: int = 200) -> ImagePane:
        pane = ImagePane(hub)
        qtbot.addWidget(pane)
        pane.resize(width, height)
        pane.show_picture((HEIGHT, WIDTH), picture)
        pane.show()
        return pane

    return make


def wheel(pane: ImagePane, at: QPointF, notches: int) -> None:
    event = QWheelEvent(
        at, at, QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(pane, event)


def drag(qtbot, pane: ImagePane, start: QPoint, end: QPoint) -> None:
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(pane, start + (end - start) / 2)
    qtbot.mouseMove(pane, end)
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=end)


def test_the_pixel_under_the_mouse_stays_there_while_zooming(new_pane, hub):
    pane, at = new_pane(), QPointF(102, 63)
    before = pane.pixel_at(at)
    for notches in (3, 4, -2):
        wheel(pane, at, notches)
        assert pane.pixel_at(at) == before
    assert hub.zoom > 1


def test_zooming_out_ends_at_the_fitting_view(new_pane, hub):
    pane = new_pane()
    wheel(pane, QPointF(10, 10), 5)
    wheel(pane, QPointF(280, 190), -50)
    assert (hub.zoom, hub.centre) == (1.0, QPointF(0.5, 0.5))
    wheel(pane, QPointF(280, 190), 500)
    assert hub.zoom == 64


def test_resizing_a_thousand_times_neither_moves_nor_zooms(new_pane, hub):
    pane, other = new_pane(), new_pane(500, 150)
    wheel(pane, QPointF(100, 60), 4)
    state, echoes = (hub.zoom, hub.centre), []
    hub.view_changed.connect(lambda: echoes.append(hub.zoom))
    for number in range(1000):
        pane.resize(200 + 7 * number % 300, 150 + 13 * number % 200)
        other.resize(500 - 3 * number % 300, 150 + 5 * number % 100)
        if number % 50 == 0:
            QApplication.processEvents()
    assert (hub.zoom, hub.centre) == state and not echoes
    for shown in (pane, other):  # and both look at the same place
        middle = shown.pixel_at(QPointF(shown.width() / 2, shown.height() / 2))
        assert middle == (int(hub.centre.y() * HEIGHT), int(hub.centre.x() * WIDTH))


def test_what_one_pane_looks_at_all_panes_look_at(qtbot, new_pane, hub):
    one, two = new_pane(), new_pane()
    wheel(one, QPointF(150, 100), 6)
    assert two.target == one.target
    drag(qtbot, two, QPoint(150, 100), QPoint(110, 130))
    assert two.target == one.target
    assert hub.centre.x() > 0.5 > hub.centre.y()


def test_a_change_is_told_once(new_pane, hub):
    told = []
    hub.view_changed.connect(lambda: told.append(hub.zoom))
    wheel(new_pane(), QPointF(150, 100), 1)
    assert len(told) == 1
    hub.look_at(hub.centre, hub.zoom)
    assert len(told) == 1


def test_a_pixel_and_its_point_on_the_screen_belong_together(new_pane):
    pane = new_pane()
    wheel(pane, QPointF(100, 60), 2)
    for pixel in ((20, 20), (19, 25)):
        assert pane.pixel_at(pane.point_of(pixel)) == pixel
    assert pane.pixel_at(QPointF(-1000, 0)) is None


def test_a_click_reports_its_pixel_and_a_drag_does_not(qtbot, new_pane):
    pane, clicked = new_pane(), []
    pane.clicked.connect(clicked.append)
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=pane.point_of((5, 6)).toPoint())
    drag(qtbot, pane, QPoint(100, 100), QPoint(150, 120))
    qtbot.mouseClick(pane, Qt.MouseButton.RightButton, pos=pane.point_of((7, 8)).toPoint())
    assert clicked == [(5, 6)]


def test_hovering_reports_pixels_and_nowhere_beside_the_picture(qtbot, new_pane):
    pane, hovered = new_pane(600, 200), []
    pane.hovered.connect(hovered.append)
    qtbot.mouseMove(pane, pane.point_of((3, 4)).toPoint())
    qtbot.mouseMove(pane, QPoint(5, 100))
    assert hovered == [(3, 4), None]


def test_keys_zoom_and_fit(qtbot, new_pane, hub):
    pane = new_pane()
    qtbot.keyClick(pane, Qt.Key.Key_Plus)
    assert hub.zoom == pytest.approx(1.25)
    qtbot.keyClick(pane, Qt.Key.Key_Plus)
    qtbot.keyClick(pane, Qt.Key.Key_Minus)
    assert hub.zoom == pytest.approx(1.25)
    qtbot.keyClick(pane, Qt.Key.Key_0)
    assert hub.zoom == 1


def test_a_picture_is_asked_for_no_larger_than_it_is_seen(new_pane, hub):
    pane, asked = new_pane(300, 200), []
    pane.show_picture((10 * HEIGHT, 10 * WIDTH), lambda factor: asked.append(factor) or picture(factor))
    pane.grab()
    wheel(pane, QPointF(150, 100), 20)
    pane.grab()
    assert asked[0] == 2 and asked[-1] == 1


def test_the_cursor_of_one_pane_is_drawn_in_the_others_and_never_in_a_measurement(new_pane, hub):
    scene, measurement = new_pane(), new_pane()
    measurement.show_picture((HEIGHT, WIDTH), picture, is_linked=False)
    before = scene.grab().toImage(), measurement.grab().toImage()
    assert before[0] == before[1]
    hub.point_at((20, 30))
    assert scene.grab().toImage() != before[0]
    assert measurement.grab().toImage() == before[1]


def test_a_pane_without_a_picture_is_empty_and_takes_no_clicks(qtbot, new_pane):
    pane, clicked = new_pane(), []
    pane.show_picture(None, picture)
    pane.clicked.connect(clicked.append)
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton)
    wheel(pane, QPointF(10, 10), 1)
    pane.grab()
    assert clicked == []


def signals_of(pane: ImagePane) -> tuple[list, list]:
    """Where the cursor has been, and what was clicked."""
    hovered, clicked = [], []
    pane.hovered.connect(hovered.append)
    pane.clicked.connect(clicked.append)
    return hovered, clicked


def test_return_pins_the_middle_and_then_arrows_and_space_pin_any_pixel(qtbot, new_pane):
    pane = new_pane()
    hovered, clicked = signals_of(pane)
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Space):  # the view's, until a cursor lies there
        qtbot.keyClick(pane, key)
    assert not hovered and not clicked
    qtbot.keyClick(pane, Qt.Key.Key_Return)
    assert clicked == [(HEIGHT // 2, WIDTH // 2)] == hovered
    for key, times in ((Qt.Key.Key_Left, 2), (Qt.Key.Key_Down, 3)):
        for _ in range(times):
            qtbot.keyClick(pane, key)
    qtbot.keyClick(pane, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(pane, Qt.Key.Key_Space)
    assert clicked[-1] == hovered[-1] == (HEIGHT // 2 + 3, WIDTH // 2 + 8)
    qtbot.keyClick(pane, Qt.Key.Key_Escape)
    assert hovered[-1] is None
    qtbot.keyClick(pane, Qt.Key.Key_Left)
    assert hovered[-1] is None and len(clicked) == 2


def test_the_cursor_for_the_keys_stays_in_the_picture_and_in_sight(qtbot, new_pane, hub):
    pane = new_pane()
    _, clicked = signals_of(pane)
    hub.look_at(QPointF(0.5, 0.5), 8.0)
    qtbot.keyClick(pane, Qt.Key.Key_Return)
    for _ in range(9):
        qtbot.keyClick(pane, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
        qtbot.keyClick(pane, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(pane, Qt.Key.Key_Return)
    assert clicked[-1] == (0, 0) and QRectF(pane.rect()).contains(pane.point_of((0, 0)))


def test_the_cursor_begins_at_the_pinned_pixel_and_goes_with_another_picture(qtbot, new_pane):
    pane = new_pane()
    hovered, clicked = signals_of(pane)
    pane.show_marker((7, 9))
    qtbot.keyClick(pane, Qt.Key.Key_Return)
    assert clicked == [(7, 9)]
    pane.show_picture((4, 4), picture)
    qtbot.keyClick(pane, Qt.Key.Key_Left)
    assert hovered == [(7, 9)]


def test_space_pins_where_tab_has_led_into_the_pane(qtbot, new_pane):
    pane = new_pane()
    _, clicked = signals_of(pane)
    pane.setFocus(Qt.FocusReason.TabFocusReason)
    QApplication.sendEvent(pane, QFocusEvent(QEvent.Type.FocusIn, Qt.FocusReason.TabFocusReason))
    qtbot.keyClick(pane, Qt.Key.Key_Space)
    assert clicked == [(HEIGHT // 2, WIDTH // 2)]
