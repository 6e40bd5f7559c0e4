"""Whether a result explains its capture: computed after every decode, said in words, and looked at in the centre."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.main_window import MainWindow
from app.viewers.residual import grey_or_colour, limit_of, planes
from app.widgets import theme
from app.widgets.colours import NAN_COLOUR, blue_red, mapped
from lorun_engine.errors import LorunError


@pytest.fixture
def window(qtbot):
    """A window on a session."""

    def make(parts) -> MainWindow:
        made = MainWindow(parts)
        qtbot.addWidget(made, before_close_func=lambda window: parts.cancel_all())
        made.resize(1440, 900)
        made.show()
        return made

    return make


def test_a_decode_is_followed_by_a_verdict_on_its_camera(decoded):
    checking = decoded.checking
    assert checking.state == "done" and checking.camera is not None
    result = checking.newest
    assert result.camera is checking.camera
    y = decoded.session.measurement.y
    np.testing.assert_allclose(result.phi_x + result.residual, y, atol=1e-5)
    assert result.relative_norm == pytest.approx(decoded.session.stages.row(5).residual, rel=1e-4)
    assert checking.found.alignment is checking.camera.alignment


@pytest.mark.parametrize(("kind", "task"), [("samples", "cs"), ("low_resolution", "sr")])
def test_photographs_have_figures_and_whiteness_but_no_camera(request, decode_photograph, window, kind, task):
    parts = decode_photograph(request.getfixturevalue(kind), task)
    result = parts.checking.newest
    assert result is not None and result.camera is None and parts.checking.camera is None
    shown = window(parts)
    card = shown.check_card
    assert card.isVisible() and not card.alignment.isVisible()
    assert card.verdict.text() == result.result[0] and f"{result.relative_norm:.2%}" in card.figure.text()
    assert card.camera.isHidden()
    parts.looking.set_mode("residual")
    assert shown.centre.residual.isVisible()
    assert shown.centre.residual.images[0].size == planes(result.residual, task == "cs").shape[1:]


def test_the_card_says_the_verdict_and_its_buttons_go_deeper(qtbot, decoded, window):
    shown = window(decoded)
    card = shown.check_card
    assert card.isVisible()
    camera, result = decoded.checking.camera, decoded.checking.newest
    assert (card.camera.text(), card.camera.objectName()) == camera.look
    assert card.verdict.text().startswith("The scale is off: ") and card.verdict.objectName() == "warn"
    assert (card.verdict.text(), "warn") == result.result
    qtbot.mouseClick(card.residual, Qt.MouseButton.LeftButton)
    assert decoded.session.selection.mode == "residual" and shown.centre.residual.isVisible()
    qtbot.mouseClick(card.alignment, Qt.MouseButton.LeftButton)
    assert shown.pages.currentWidget() is shown.alignment_page
    qtbot.keyClick(shown.alignment_page, Qt.Key.Key_Escape)
    assert shown.pages.currentIndex() == 0


def test_the_card_is_not_there_before_there_is_a_capture(qtbot, make_parts, decode_photograph, low_resolution, window):
    assert not window(make_parts()).check_card.isVisible()
    parts = decode_photograph(low_resolution, "sr")
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.correct(replace(parts.session.options, border="mirrored"))
    assert not len(parts.session.stages) and not window(parts).check_card.isVisible()  # there is no camera to look at


def test_another_stage_is_measured_again_when_it_is_looked_at(qtbot, decoded, window):
    shown = window(decoded)
    shown.actions_["residual"].trigger()
    qtbot.waitUntil(lambda: decoded.checking.shown is not None)
    last = decoded.checking.shown
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.looking.select_stage(2)
    assert decoded.checking.shown.relative_norm == pytest.approx(decoded.session.stages.row(2).residual, rel=1e-4)
    assert decoded.checking.newest is last and decoded.checking.shown.camera is decoded.checking.camera
    assert "Stage 2" in shown.centre.residual.figures.text()


def test_every_mode_has_its_button_and_the_residual_gives_way_to_them(qtbot, decoded, window):
    shown = window(decoded)
    buttons = {button.property("mode"): button for button in shown.centre.mode_buttons.buttons()}
    qtbot.mouseClick(buttons["residual"], Qt.MouseButton.LeftButton)
    assert shown.centre.residual.isVisible() and buttons["residual"].isChecked()
    qtbot.mouseClick(buttons["colour"], Qt.MouseButton.LeftButton)
    assert not shown.centre.residual.isVisible() and shown.centre.grid.isVisible()


def test_the_plots_draw_what_was_measured(qtbot, decoded, window, wear):
    shown = window(decoded)
    decoded.looking.set_mode("residual")
    view, result = shown.centre.residual, decoded.checking.shown
    down, across = view.correlation.getPlotItem().listDataItems()
    assert down.getData()[1] == pytest.approx(result.autocorrelation_y)
    assert across.getData()[1] == pytest.approx(result.autocorrelation_x)
    rows, columns = view.means.getPlotItem().listDataItems()
    np.testing.assert_allclose(rows.getData()[1], result.row_means, atol=1e-6)
    np.testing.assert_allclose(columns.getData()[1], result.column_means, atol=1e-6)
    counts, gaussian = view.histogram.getPlotItem().listDataItems()
    assert counts.getData()[1].sum() <= result.residual.size
    assert gaussian.getData()[1].max() == pytest.approx(
        result.residual.size
        * np.diff(counts.getData()[0])[0]
        / (np.sqrt(2 * np.pi) * result.residual.std(dtype=np.float64)),
        rel=0.02,
    )
    wear(theme.dark())
    assert view.verdict.text()


def test_a_new_decode_and_another_file_forget_what_was_measured(qtbot, decoded, foreign):
    checking, camera, found = decoded.checking, decoded.checking.camera, decoded.checking.newest
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.setup.set_num_stages(3)
        decoded.session.restore()
    assert (
        checking.newest is checking.shown is not found and checking.newest is not None and checking.camera is camera
    )  # of the same capture
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.open(foreign)
    assert checking.newest is None and checking.camera is None and checking.found is None


def test_a_decode_does_not_wait_for_the_check(qtbot, decoded):
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.checking.search()
        decoded.session.restore()
    assert decoded.session.restoration.state == "done" and decoded.checking.alignment_state == "done"


def test_a_camera_that_cannot_be_judged_says_why(qtbot, make_parts, fake, tmp_path, monkeypatch):
    y = np.random.default_rng(0).random((8, 12)).astype(np.float32)
    np.savez(tmp_path / "flat.npz", meas=y, mask=np.full((8, 8), 0.5, np.float32))
    parts = make_parts(fake)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([tmp_path / "flat.npz"])
    if parts.session.measurement is None:
        with qtbot.waitSignal(parts.lanes.idle):
            parts.session.correct(replace(parts.session.options, num_bands=3, step=2.0))
    assert parts.checking.camera is None and "alike" in parts.checking.unjudged
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    assert parts.checking.camera is None and "alike" in parts.checking.unjudged
    assert parts.checking.newest is not None


def test_the_ends_of_the_diverging_colours_are_alike_and_no_number_has_its_own():
    plane = np.array([[-2.0, 0.0, 2.0, np.nan, 9.0, -np.inf]])
    picture = mapped(plane, (-2.0, 2.0), blue_red())
    assert picture.shape == (1, 6, 3)
    blue, white, red, nan, beyond, infinite = picture[0]
    assert blue[2] > blue[0] and red[0] > red[2] and min(white) > 230
    assert tuple(nan) == NAN_COLOUR == tuple(infinite) and tuple(beyond) == tuple(red)
    assert limit_of(np.array([[[-3.0, 1.0]]])) == pytest.approx(limit_of(np.array([[[3.0, 1.0]]])))
    assert limit_of(np.zeros((1, 2, 2))) > 0


def test_samples_of_blocks_are_shown_as_one_matrix_and_colour_stays_colour():
    samples = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    assert planes(samples, True).shape == (1, 4, 6) and planes(samples, False) is samples
    assert grey_or_colour(np.zeros((3, 4, 5), np.float32), (0, 1)).shape == (4, 5, 3)
    broken = np.zeros((1, 2, 2), np.float32)
    broken[0, 0, 0] = np.nan
    assert tuple(grey_or_colour(broken, (0, 1))[0, 0]) == NAN_COLOUR


def test_the_camera_is_looked_at_on_opening_and_not_again_after_the_decode(qtbot, opened, window):
    checking, session = opened.checking, opened.session
    assert checking.camera is not None and checking.newest is None and not checking.is_judging
    assert checking.found.alignment is checking.camera.alignment
    card = window(opened).check_card
    assert card.isVisible() and card.alignment.isVisible() and not card.residual.isVisible()
    assert card.camera.text() == checking.camera.look[0] and "fine pattern" in card.figure.text()
    assert card.verdict.isHidden()
    camera = checking.camera
    with qtbot.waitSignal(opened.lanes.idle):
        session.restore()
    assert checking.camera is camera and checking.newest.camera is camera and card.residual.isVisible()


def test_a_decode_comes_before_the_look_at_the_camera(qtbot, opened, snapshot, fake, gate_type):
    checking, session = opened.checking, opened.session
    session.opened_changed.connect(lambda: session.restore() if session.can_restore else None)
    fake.gate = gate_type(at=0)
    opened.session.open([snapshot])
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    assert session.restoration.is_busy and not checking.is_judging
    session.opened_changed.disconnect()
    with qtbot.waitSignal(opened.lanes.idle):
        fake.gate.is_open.set()
    assert checking.newest.camera is checking.camera is not None


# ---- every look ends ---------------------------------------------------------------------------------------------


class Held:
    """Stands in for a function of the engine: it waits until it is let go, and may fail then."""

    def __init__(self, work, error: Exception | None = None) -> None:
        self.work, self.error = work, error
        self.is_reached, self.may_go = threading.Event(), threading.Event()

    def __call__(self, *args, **settings):
        self.is_reached.set()
        assert self.may_go.wait(20)
        if self.error is not None:
            raise self.error
        return self.work(*args, **settings)


@pytest.fixture
def hold(monkeypatch):
    """Holds `remeasure`, or the search for the mask, before it begins."""

    def make(name: str, error: Exception | None = None) -> Held:
        from lorun_engine.camera_checks import alignment, remeasure

        module = {"remeasure": remeasure, "align": alignment}[name]
        held = Held(getattr(module, name), error)
        monkeypatch.setattr(module, name, held)
        return held

    return make


def test_a_result_that_could_not_be_measured_again_says_why(qtbot, opened, window, hold):
    held = hold("remeasure", LorunError("There is no room for it."))
    card = window(opened).check_card
    opened.session.restore()
    qtbot.waitUntil(held.is_reached.is_set)
    qtbot.waitUntil(lambda: card.verdict.text() == "Measuring again…")
    with qtbot.waitSignal(opened.lanes.idle):
        held.may_go.set()
    assert card.verdict.text() == "The result could not be measured again. There is no room for it."
    assert card.verdict.objectName() == "warn"


def test_a_measuring_that_somebody_stopped_ends_and_is_made_up_for_on_request(
    qtbot, make_parts, fake, snapshot, window, hold
):
    search, held = hold("align"), hold("remeasure")
    parts = make_parts(fake)
    card = window(parts).check_card
    parts.session.open([snapshot])
    qtbot.waitUntil(lambda: search.is_reached.is_set() and parts.session.can_restore)
    parts.session.restore()  # before the camera was judged
    qtbot.waitUntil(held.is_reached.is_set)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.lanes.cancel_all()
        search.may_go.set()
        held.may_go.set()
    assert card.verdict.text() == "The result was not measured again. Look at the residual for that."
    with qtbot.waitSignal(parts.lanes.idle):
        qtbot.mouseClick(card.residual, Qt.MouseButton.LeftButton)
    assert card.verdict.text() == parts.checking.newest.result[0]
    assert card.camera.text() == parts.checking.camera.look[0]


def test_the_result_is_measured_again_although_another_stage_was_looked_at_meanwhile(qtbot, opened, window, hold):
    held = hold("remeasure")
    card = window(opened).check_card
    opened.session.restore()
    qtbot.waitUntil(held.is_reached.is_set)
    with qtbot.waitSignal(opened.lanes.idle):
        opened.looking.select_stage(2)
        opened.looking.set_mode("residual")
        held.may_go.set()
    assert opened.checking.shown is not None and opened.session.selection.stage == 2
    assert card.verdict.text() == opened.checking.newest.result[0]


def test_another_file_that_is_opened_meanwhile_ends_it(qtbot, opened, window, hold, foreign):
    held = hold("remeasure")
    card = window(opened).check_card
    opened.session.restore()
    qtbot.waitUntil(held.is_reached.is_set)
    with qtbot.waitSignal(opened.lanes.idle):
        opened.session.open(foreign)
        qtbot.waitUntil(lambda: opened.session.measurement is None)
        held.may_go.set()
    assert opened.checking.newest is None and card.isHidden()


@pytest.mark.parametrize("error", [None, RuntimeError("out of luck")])
def test_a_look_at_the_camera_that_does_not_come_to_its_end_says_so(
    qtbot, make_parts, fake, snapshot, hold, window, error
):
    held = hold("align", error)
    parts = make_parts(fake)
    card = window(parts).check_card
    parts.session.open([snapshot])
    qtbot.waitUntil(held.is_reached.is_set)
    qtbot.waitUntil(lambda: card.camera.text() == "Looking at the camera…")
    with qtbot.waitSignal(parts.lanes.idle):
        if error is None:
            parts.lanes.cancel_all()
        held.may_go.set()
    why = "that was stopped" if error is None else "out of luck"
    assert card.camera.text() == f"The camera was not looked at: {why}." and card.camera.objectName() == "dim"


def test_a_decode_that_fails_before_its_first_stage_lets_the_camera_be_looked_at(
    qtbot, make_parts, fake, snapshot, window, hold
):
    held, fake.fail = hold("align"), {0: LorunError("There is no room for it.")}
    parts = make_parts(fake)
    card = window(parts).check_card
    parts.session.open([snapshot])
    qtbot.waitUntil(lambda: held.is_reached.is_set() and parts.session.can_restore)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
        held.may_go.set()
    assert parts.session.restoration.state == "failed" and not len(parts.session.stages)
    assert card.isVisible() and card.camera.text() == parts.checking.camera.look[0] and card.verdict.isHidden()
