"""The stage inspector: panes added and taken away, playing, what a stage changed, and what its denoiser saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication

from app.document.selection import MEASUREMENT, REFERENCE
from app.document.stage_store import LIMIT_BYTES, StageStore, mean_change
from app.main_window import MainWindow
from app.viewers import stepping
from app.viewers.convergence import rises_in_words
from app.viewers.maps import Change, Maps
from app.viewers.pictures import Pictures, Seen
from app.widgets.colours import NAN_COLOUR, viridis
from lorun_engine.decoding.restore import StageResult


@pytest.fixture
def seeing(fake_decoder_type):
    """A decoder of five stages that tells what its denoiser saw: 0.5^k + 1 everywhere in stage k."""

    class Seeing(fake_decoder_type):
        def stages(self, y, physics, *, num_stages):
            for stage in super().stages(y, physics, num_stages=num_stages):
                yield replace(stage, denoiser_input=stage.image + 1) if stage.index else stage

    return Seeing()


def cards(window: MainWindow) -> list:
    return [card for card in window.centre.grid.cards if card.isVisible()]


def titles(window: MainWindow) -> list[str]:
    return [card.title.text() for card in cards(window)]


def press(qtbot, window: MainWindow, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    """A key of the table of actions, pressed over a picture."""
    cards(window)[0].pane.setFocus()
    qtbot.keyClick(QApplication.focusWidget() or window, key, modifier)


# ---- panes -------------------------------------------------------------------------------------------------------


def test_keys_add_panes_take_them_away_show_all_and_reset(qtbot, decoded, show):
    window = show(decoded)
    default = decoded.session.selection.panes
    decoded.looking.set_panes([2])
    press(qtbot, window, Qt.Key.Key_K)
    assert (decoded.session.selection.panes, decoded.session.selection.stage) == ((2, 3), 3)
    press(qtbot, window, Qt.Key.Key_K)
    assert decoded.session.selection.panes == (2, 3, 4)
    press(qtbot, window, Qt.Key.Key_K, Qt.KeyboardModifier.ShiftModifier)
    assert (decoded.session.selection.panes, decoded.session.selection.stage) == ((2, 3), 3)
    press(qtbot, window, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert decoded.session.selection.panes == (0, 1, 2, 3, 4, 5, REFERENCE)
    assert len(cards(window)) == 7
    press(qtbot, window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert decoded.session.selection.panes == default


def test_the_last_pane_stays_and_a_chosen_stage_beside_the_reference_is_added_first(decoded, show):
    window = show(decoded)
    decoded.looking.set_panes([3])
    window.actions_["remove_pane"].trigger()
    assert decoded.session.selection.panes == (3,)
    decoded.looking.set_panes([REFERENCE])
    window.actions_["add_pane"].trigger()
    assert decoded.session.selection.panes == (3, REFERENCE)


def test_more_panes_than_fit_are_scrolled_to_and_the_window_keeps_its_size(
    qtbot, make_parts, fake_decoder_type, snapshot, show
):
    parts = make_parts(fake_decoder_type(num_stages=40))
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    window = show(parts)
    size = window.size()
    with qtbot.waitSignal(parts.lanes.idle, timeout=20_000):
        parts.session.restore()
    window.actions_["all_panes"].trigger()
    QApplication.processEvents()
    assert len(cards(window)) == 42 and window.size() == size
    assert all(card.pane.height() >= 64 for card in cards(window))
    assert window.centre.grid.width() <= window.centre.grid.parentWidget().width()


def test_fifty_resizes_of_the_window_leave_all_panes_at_the_same_place(qtbot, decoded, show):
    window = show(decoded)
    window.actions_["all_panes"].trigger()
    QApplication.processEvents()
    pane, hub = cards(window)[2].pane, window.centre.grid.hub
    at = QPointF(pane.width() / 3, pane.height() / 2)
    event = QWheelEvent(
        at, at, QPoint(), QPoint(0, 600), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(pane, event)
    before = hub.zoom, hub.centre
    assert hub.zoom > 1
    for number in range(50):
        window.resize(1180 + 37 * number % 400, 640 + 53 * number % 300)
        QApplication.processEvents()
    assert (hub.zoom, hub.centre) == before
    middles = {card.pane.pixel_at(QPointF(card.pane.width() / 2, card.pane.height() / 2)) for card in cards(window)}
    assert middles == {(int(hub.centre.y() * 16), int(hub.centre.x() * 14))}


def test_every_pane_says_its_value_at_the_cursor_and_without_one_at_the_pinned_pixel(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.set_panes([0, 2, 5, REFERENCE])
    decoded.looking.select_band(1)
    window.centre.grid.hub.point_at((3, 4))
    assert [card.value.text() for card in cards(window)[:3]] == ["1.00", "0.250", "0.0312"]
    assert float(cards(window)[3].value.text()) == pytest.approx(
        decoded.session.measurement.reference[1, 3, 4], abs=1e-3
    )
    window.centre.grid.hub.point_at(None)
    assert not any(card.value.isVisible() for card in cards(window))
    decoded.looking.select_pixel((0, 0))
    assert cards(window)[0].value.text() == "1.00"


@pytest.mark.parametrize(("path", "task"), [("samples", "cs"), ("low_resolution", "sr")])
def test_values_changes_and_panes_work_for_photographs(request, decode_photograph, show, path, task):
    parts = decode_photograph(request.getfixturevalue(path), task)
    window = show(parts)
    window.actions_["all_panes"].trigger()
    window.centre.grid.hub.point_at((3, 4))
    by_title = {card.title.text(): card.value.text() for card in cards(window)}
    assert by_title["Stage 1"] == ("0.500" if task == "cs" else "0.500 0.500 0.500")
    window.actions_["change"].trigger()
    by_title = {card.title.text(): card.value.text() for card in cards(window)}
    assert by_title["Change in stage 1"] == "0.500" and by_title["Change in stage 3"] == "0.125"
    window.grab()


def test_the_numbers_of_three_channels_do_not_push_the_panes_into_one_column(low_resolution, decode_photograph, show):
    parts = decode_photograph(low_resolution, "sr")
    window = show(parts)
    window.resize(1280, 720)
    parts.looking.set_panes([MEASUREMENT, 0, 2, REFERENCE])
    window.centre.grid.hub.point_at((3, 4))
    QApplication.processEvents()
    assert len({card.x() for card in cards(window)}) == 2


# ---- playing -----------------------------------------------------------------------------------------------------


def test_space_plays_the_stages_and_pauses(qtbot, decoded, show, monkeypatch):
    monkeypatch.setattr(stepping, "PLAY_MS", (10_000, 10_000))
    window = show(decoded)
    press(qtbot, window, Qt.Key.Key_Space)
    assert window.centre.stepping.play.isChecked() and decoded.session.selection.stage == 0
    press(qtbot, window, Qt.Key.Key_Space)
    assert not window.centre.stepping.play.isChecked()


def test_space_still_presses_the_button_that_has_the_focus(qtbot, decoded, show):
    window = show(decoded)
    button = window.centre.mode_buttons.buttons()[1]
    button.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert decoded.session.selection.mode == "band" and not window.centre.stepping.play.isChecked()


# ---- where it changed --------------------------------------------------------------------------------------------


def test_the_change_is_the_mean_over_bands_in_colour_and_the_bands_own_alone(qtbot, decoded):
    maps = Maps(decoded, Pictures(decoded))
    np.testing.assert_allclose(maps.plane(Change(1)), 0.5)
    np.testing.assert_allclose(maps.plane(Change(4)), 0.5**4)
    assert maps.plane(Change(0)) is None
    before, after = np.zeros((4, 2, 2), np.float32), np.zeros((4, 2, 2), np.float32)
    after[1, 0, 1] = -2
    np.testing.assert_allclose(mean_change(after, before), [[0, 0.5], [0, 0]])
    decoded.session.stages = StageStore()
    for index, image in enumerate((before, after)):
        decoded.session.stages.append(StageResult(index, image, 0.5, 0.1))
    decoded.looking.set_mode("band")
    decoded.looking.select_band(1)
    np.testing.assert_allclose(maps.plane(Change(1)), [[0, 2], [0, 0]])
    decoded.looking.select_band(2)
    np.testing.assert_allclose(maps.plane(Change(1)), 0)


def test_a_shared_contrast_gives_all_changes_one_range_and_one_of_its_own_gives_each_its_own(decoded):
    maps = Maps(decoded, Pictures(decoded))
    assert {maps.range(Change(stage)).high for stage in (1, 3, 5)} == {0.5}
    decoded.looking.set_stretch((1, 99), False)
    assert [maps.range(Change(stage)).high for stage in (1, 3)] == [0.5, 0.125]


def test_what_is_no_number_in_a_change_has_a_colour_of_its_own(decoded):
    images = np.zeros((2, 4, 16, 14), np.float32)
    images[1, :, 8:] = 1
    images[1, 2, 0, 0] = np.nan
    decoded.session.stages = StageStore()
    for index, image in enumerate(images):
        decoded.session.stages.append(StageResult(index, image, 0.5, 0.1))
    decoded.session.restoration = replace(decoded.session.restoration, done_stages=1)
    decoded.session.num_announced = 2
    maps = Maps(decoded, Pictures(decoded))
    picture = maps.picture(Change(1))
    assert picture.pixelColor(0, 0).getRgb()[:3] == NAN_COLOUR
    assert picture.pixelColor(5, 2).getRgb()[:3] == tuple(viridis()[0])
    assert picture.pixelColor(5, 12).getRgb()[:3] == tuple(viridis()[255])
    assert maps.range(Change(1)).has_nan


def test_a_key_shows_where_it_changed_with_its_range_and_again_the_stages(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.set_panes([0, 2, 4])
    press(qtbot, window, Qt.Key.Key_C)
    assert titles(window) == ["Start", "Change in stage 2", "Change in stage 4"]
    assert "0 to 0.500" in cards(window)[1].figures.toolTip()
    assert window.centre.stepping.view.currentText() == "Where it changed"
    decoded.looking.select_stage(3)
    assert titles(window) == ["Start", "Change in stage 2", "Change in stage 3"]
    window.grab()
    press(qtbot, window, Qt.Key.Key_C)
    assert titles(window) == ["Start", "Stage 2", "Stage 3"]


# ---- what the denoiser saw ---------------------------------------------------------------------------------------


def test_the_denoisers_input_is_kept_on_demand_and_stands_beside_its_output(qtbot, make_parts, seeing, snapshot, show):
    parts = make_parts(seeing)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    window = show(parts)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    parts.looking.set_panes([0, 3])
    assert parts.session.stages.denoiser_input(3) is None
    press(qtbot, window, Qt.Key.Key_I)
    assert titles(window) == ["Start", "Stage 3"]
    assert "not kept" in window.centre.notice.text() and window.centre.keep_input.isVisible()
    with qtbot.waitSignal(parts.lanes.idle):
        qtbot.mouseClick(window.centre.keep_input, Qt.MouseButton.LeftButton)
    parts.looking.set_panes([0, 3])
    assert titles(window) == ["Start", "Input of stage 3", "Stage 3"] and not window.centre.notice.isVisible()
    np.testing.assert_allclose(window.centre.pictures.array(Seen(3)), 1.125)
    window.centre.grid.hub.point_at((1, 1))
    assert [card.value.text() for card in cards(window)] == ["1.00", "1.12", "0.125"]


def test_a_decoder_that_does_not_tell_what_its_denoiser_saw_says_so(qtbot, decoded, show):
    window = show(decoded)
    window.actions_["input"].trigger()
    with qtbot.waitSignal(decoded.lanes.idle):
        qtbot.mouseClick(window.centre.keep_input, Qt.MouseButton.LeftButton)
    assert "has no denoiser" in window.centre.notice.text() and not window.centre.keep_input.isVisible()


def test_inputs_count_towards_the_memory_of_the_stages():
    store, image = StageStore(limit_bytes=3 * 240), np.zeros((3, 5, 4), np.float32)
    for index in range(3):
        store.append(StageResult(index, image + index, 0.5, 0.1, denoiser_input=image - index))
    assert store.num_bytes == 3 * 240 and store.is_spilled
    assert [float(store.denoiser_input(index)[0, 0, 0]) for index in range(3)] == [0, -1, -2]
    store.close()


def test_nine_stages_of_a_large_scene_with_their_inputs_stay_below_the_limit_in_memory():
    cube = 4 * 28 * 660 * 660
    assert LIMIT_BYTES + 10 * 4 * 660 * 660 + cube < 1.2e9  # cubes, change maps, and the one that comes


# ---- figures -----------------------------------------------------------------------------------------------------


def rows(*residuals: float) -> list[StageResult]:
    empty = np.empty((0, 0, 0), np.float32)
    return [StageResult(index, empty, residual, 0.1) for index, residual in enumerate(residuals)]


def test_a_stage_whose_residual_rises_is_named_in_words():
    assert rises_in_words(rows(0.4, 0.3, 0.2)) == ""
    assert rises_in_words(rows(0.4, 0.3, 0.35, 0.1)) == "The residual rises in stage 2, from 0.300 to 0.350."
    assert rises_in_words(rows(0.1, 0.2, 0.1, 0.05)) == ""  # the first stage leaves a start that explains most
    assert rises_in_words(rows(0.1, 0.1, 0.2, 0.1, 0.2)) == "The residual rises in stages 2 and 4."
    assert rises_in_words(rows(0.1, 0.1000001)) == "" == rises_in_words(rows(2e-7, 9e-7))  # rounding
    assert "5 of 6 stages" in rises_in_words(rows(1, 2, 3, 4, 5, 6, 7))


def test_the_strip_ends_with_the_reference_and_the_measurement_is_no_part_of_it(qtbot, decoded, show):
    window = show(decoded)
    stages = window.centre.stepping.strip.stages
    assert stages.panes[-1] == REFERENCE and MEASUREMENT not in stages.panes
    qtbot.waitUntil(lambda: not stages.missing)


def test_the_range_of_a_change_is_not_deceived_by_the_grid_of_an_enlargement(decoded):
    """An interpolation leaves every other pixel as it was: those alone would say that nothing changed."""
    images = np.zeros((2, 4, 400, 512), np.float32)
    images[1, :, 1::2, 1::2] = 1
    decoded.session.stages = StageStore()
    for index, image in enumerate(images):
        decoded.session.stages.append(StageResult(index, image, 0.5, 0.1))
    decoded.session.restoration = replace(decoded.session.restoration, done_stages=1)
    decoded.session.num_announced = 2
    assert Maps(decoded, Pictures(decoded)).range(Change(1)).high == 1
