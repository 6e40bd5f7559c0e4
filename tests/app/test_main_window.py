"""The window's wiring: what its controls do to the session, and what the session does to its controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, QSize, Qt, QUrl
from PySide6.QtGui import QAccessible, QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QSpinBox,
    QTreeWidget,
)

from app.actions import ENTRIES, IS_ON
from app.main_window import MainWindow
from app.pages.training_data import DataList
from app.problems import Problem
from app.resources import resource_path
from app.training.scenes import DataFile
from app.viewers.grid import FittingLabel
from app.widgets import theme
from lorun_engine.decoding.restore import restore
from lorun_engine.errors import DeviceError
from lorun_engine.io import OpenOptions, open_measurement


@pytest.fixture
def make_window(qtbot, make_parts):
    def make(*decoders) -> MainWindow:
        window = MainWindow(make_parts(*decoders))
        qtbot.addWidget(window)
        window.show()
        return window

    return make


@pytest.fixture
def window(qtbot, make_window, fake, snapshot) -> MainWindow:
    """A window with the snapshot open and a fake decoder."""
    window = make_window(fake)
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.session.open([snapshot])
    return window


def _decode(qtbot, window: MainWindow) -> None:
    with qtbot.waitSignal(window.parts.lanes.idle, timeout=60_000):
        window.decode_card.button.click()


def _drop(window: MainWindow, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(QPoint(400, 300)),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.dropEvent(event)


def test_an_empty_window_says_what_to_do_and_why_decode_is_grey(make_window, fake):
    window = make_window(fake)
    assert not window.decode_card.button.isEnabled()
    assert window.decode_card.sentence.text() == "Open a measurement first."
    assert window.recent_card.isVisible() and not window.log_dock.isVisible()


def test_dropping_a_capture_and_its_mask_opens_them_and_offers_the_solutions(qtbot, make_window, fake, foreign):
    window = make_window(fake)
    with qtbot.waitSignal(window.parts.lanes.idle):
        _drop(window, *foreign)
    buttons = {button.text(): button for button in window.measurement_card.misfit.buttons}
    assert "4 bands, step 2" in buttons
    assert window.decode_card.sentence.text() == "Correct the measurement first."
    with qtbot.waitSignal(window.parts.lanes.idle):
        buttons["4 bands, step 2"].click()
    assert window.session.measurement.physics.scene_shape[0] == 4
    assert not window.measurement_card.misfit.isVisible()
    assert window.decode_card.button.isEnabled()


def test_one_of_several_captures_is_chosen_from_a_list(qtbot, make_window, fake, foreign):
    capture, mask = foreign
    frames = np.stack([np.load(capture) * factor for factor in (1, 2, 3)]).astype(np.float32)
    np.save(capture, frames)
    window = make_window(fake)
    with qtbot.waitSignal(window.parts.lanes.idle):
        _drop(window, capture, mask)
    chooser = window.measurement_card.misfit.captures
    assert not chooser.isHidden() and "3 captures" in window.measurement_card.misfit.sentence.text()
    assert [chooser.itemText(n) for n in range(1, 4)] == ["capture 1", "capture 2", "capture 3"]
    with qtbot.waitSignal(window.parts.lanes.idle):
        chooser.activated.emit(2)
    assert chooser.isHidden()
    assert window.session.role_table.row("measurement").found.key == ":2"
    assert np.array_equal(window.session.role_table.row("measurement").found.array, frames[1])


def test_a_correction_is_undone_and_redone(qtbot, make_window, fake, foreign):
    window = make_window(fake)
    parts, undo, redo = window.parts, window.actions_["undo"], window.actions_["redo"]
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open(foreign)
    assert not undo.isEnabled()
    with qtbot.waitSignal(parts.lanes.idle):
        window.corrections.correct(replace(parts.session.options, num_bands=4), text="4 bands")
    assert parts.session.measurement is not None and undo.text() == "Undo 4 bands"
    with qtbot.waitSignal(parts.lanes.idle):
        undo.trigger()
    assert parts.session.measurement is None and parts.session.options == OpenOptions()
    with qtbot.waitSignal(parts.lanes.idle):
        redo.trigger()
    assert parts.session.measurement is not None and parts.session.options.num_bands == 4


def test_roles_are_swapped_with_one_click(qtbot, make_window, fake, foreign):
    window = make_window(fake)
    parts = window.parts
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open(foreign)
    window.show_roles()
    assert [box.currentText() for box in window.roles_page.roles] == ["measurement", "mask"]
    box = window.roles_page.roles[0]
    with qtbot.waitSignal(parts.lanes.idle):
        box.setCurrentText("mask")
        box.activated.emit(box.currentIndex())
    assert parts.session.role_table.row("mask").found.path == foreign[0]
    assert parts.session.role_table.row("measurement").found.path == foreign[1]
    with qtbot.waitSignal(parts.lanes.idle):
        window.corrections.undo()
    assert parts.session.role_table.row("measurement").found.path == foreign[0]


def test_a_field_of_the_geometry_form_corrects_and_shows_its_reason(qtbot, window):
    page = window.roles_page
    page.show()
    step = page.form.editors["step"]
    assert step.line.placeholderText() == "2" and step.reason.text() == "stated in the file"
    step.line.setText("two")
    step.line.editingFinished.emit()
    assert "a number from 0 was expected" in step.reason.text()
    with qtbot.waitSignal(window.parts.lanes.idle):
        step.line.setText("1.5")
        step.line.editingFinished.emit()
    assert window.session.problem is not None  # the capture is too wide for it
    assert page.misfit.isVisible() and step.reason.text() == ""
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.corrections.undo()
    assert window.session.problem is None and step.line.text() == ""


def test_decode_becomes_cancel_and_cancelling_while_it_runs(qtbot, window, fake, gate_type):
    fake.gate = gate_type(at=3)
    card = window.decode_card
    assert card.button.text() == "Decode"
    card.button.click()
    qtbot.waitUntil(lambda: window.session.restoration.done_stages == 2)
    assert card.button.text() == "Cancel" and card.progress.isVisible()
    assert card.sentence.text().startswith("Stage 2 of 5")
    card.button.click()
    assert card.button.text() == "Cancelling…" and not card.button.isEnabled()
    with qtbot.waitSignal(window.parts.lanes.idle):
        fake.gate.is_open.set()
    assert card.button.text() == "Decode" and card.button.isEnabled() and not card.progress.isVisible()
    assert card.sentence.text() == "Cancelled after stage 3 of 5. 4 images kept, marked partial."


def test_a_decoder_that_does_not_fit_offers_one_that_needs_no_weights(qtbot, make_window, snapshot, fake_decoder_type):
    trained, simple = fake_decoder_type("trained"), fake_decoder_type("simple")
    trained.refusal = simple.refusal = "Made for another camera. Choose another decoder."
    window = make_window(trained, simple)
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.session.open([snapshot])
    assert "another camera" in window.model_card.fit.text() and not window.decode_card.button.isEnabled()
    assert window.model_card.instead.text() == "Use simple"
    simple.refusal = ""
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.model_card.instead.click()
    assert window.parts.setup.decoder_name == "simple" and window.decode_card.button.isEnabled()


def test_a_full_device_offers_the_cpu(qtbot, window, fake):
    parts = window.parts
    parts.setup.devices = (*parts.setup.devices, replace(parts.setup.devices[0], name="cuda:0", title="A GPU"))
    parts.setup.device = "cuda:0"
    parts.session.recipe = None
    parts.session.restoration = replace(
        parts.session.restoration, state="failed", error=DeviceError("The memory is full.")
    )
    parts.session.restoration_changed.emit()
    assert window.decode_card.on_cpu.isVisible()
    with qtbot.waitSignal(parts.lanes.idle):
        window.decode_card.on_cpu.click()
    assert parts.setup.device == "cpu" and parts.session.restoration.state == "done"


def test_a_mistake_of_the_program_shows_a_bar_with_a_report_and_blocks_nothing(qtbot, window, fake):
    fake.fail = {2: KeyError("weights")}
    _decode(qtbot, window)
    assert window.problem_bar.isVisible() and "KeyError" in window.problem_bar.details.toPlainText()
    window.problem_bar.report_button.click()
    report = QGuiApplication.clipboard().text()
    assert "KeyError" in report and "torch" in report and "16 × 14" in report.replace("x", "×")
    fake.fail = {}
    _decode(qtbot, window)
    assert window.session.restoration.state == "done"


def test_the_log_is_filtered(window):
    window.parts.lanes.log("a line about masks")
    window.parts.lanes.log("another about bands")
    window.log_dock.filter.setText("MASKS")
    assert "a line about masks" in window.log_dock.text.toPlainText()
    assert "bands" not in window.log_dock.text.toPlainText()


def test_every_action_is_enabled_when_it_would_do_something(qtbot, make_window, fake, snapshot):
    window = make_window(fake)
    parts = window.parts

    def enabled(*names: str) -> list[bool]:
        return [window.actions_[name].isEnabled() for name in names]

    assert enabled("open", "decode", "cancel", "export", "copy_command") == [True, False, False, False, False]
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    assert enabled("decode", "cancel", "export", "copy_command") == [True, False, False, True]
    _decode(qtbot, window)
    assert enabled("decode", "export", "export_stage", "export_spectra") == [True, True, False, False]
    parts.looking.select_stage(2)
    parts.looking.select_pixel((1, 2))
    assert enabled("export_stage", "export_spectra") == [True, True]
    window.actions_["next_stage"].trigger()
    assert parts.session.selection.stage == 3
    window.actions_["montage"].trigger()
    assert parts.session.selection.mode == "montage"


def test_the_menus_tick_what_is_on(qtbot, window):
    _decode(qtbot, window)
    parts = window.parts

    def ticked() -> list[str]:
        window.actions_.update()
        return [name for name in IS_ON if window.actions_[name].isChecked()]

    assert ticked() == ["colour"]
    window.actions_["colour"].trigger()
    assert ticked() == ["colour"]  # one of the modes is always on
    window.actions_["montage"].trigger()
    assert ticked() == ["montage"]
    parts.looking.set_mode("band")
    parts.looking.set_view("change")
    parts.regions.set_tool("ellipse")
    parts.ruler.take(0, 2)
    assert ticked() == ["band", "change", "draw_ellipse", "mean_of_bands"]
    window.actions_["draw_ellipse"].trigger()
    window.actions_["mean_of_bands"].trigger()
    assert ticked() == ["band", "change"]
    window.actions_["log"].trigger()
    assert window.actions_["log"].isChecked() and window.log_dock.isVisible()
    window.log_dock.close()
    assert not window.actions_["log"].isChecked()


def test_undo_names_the_step_that_it_takes_back(qtbot, window):
    _decode(qtbot, window)
    undo, redo = window.actions_["undo"], window.actions_["redo"]
    assert not undo.isEnabled() and not redo.isEnabled()
    window.parts.regions.add("point", [(3, 4)])
    assert undo.isEnabled() and undo.text() == "Undo add 1 point"
    undo.trigger()
    assert window.parts.regions.all == () and redo.text() == "Redo add 1 point"


def test_the_status_bar_shows_the_values_under_the_cursor(qtbot, window):
    _decode(qtbot, window)
    window.parts.looking.set_panes([1, 5])
    window.parts.looking.select_pixel((3, 4))
    text = window.statusBar().cursor.text()
    assert "x 4, y 3" in text and "560.0 nm" in text and "stage 1: 0.500" in text and "stage 5: 0.0312" in text


def test_exports_go_where_the_user_says(qtbot, window, tmp_path, monkeypatch):
    _decode(qtbot, window)
    monkeypatch.setattr("app.panels.exporting.ask_save_file", lambda *_: tmp_path / "result.npy")
    with qtbot.waitSignal(window.parts.exports.exported):
        window.actions_["export"].trigger()
    assert np.load(tmp_path / "result.npy").shape == (16, 14, 4)


def test_light_and_dark_are_kept_and_every_view_follows(window):
    for choice, tokens in (("dark", theme.dark()), ("light", theme.light())):
        window.parts.preferences.set_theme(choice)
        assert window.parts.memory.settings.theme == choice
        assert QApplication.instance().palette().window().color().name() == tokens.background
        for view in (window.spectrum, window.convergence):
            assert view.plot.backgroundBrush().color().name() == tokens.card


def test_every_control_has_a_name_for_screen_readers(window):
    window.show_roles()
    for page in (window, window.roles_page, window.shortcuts):
        for kind in (QAbstractButton, QComboBox, QSpinBox, QLineEdit):
            for control in page.findChildren(kind):
                is_part = isinstance(control.parent(), QComboBox | QSpinBox | QLineEdit)
                if is_part or control.objectName().startswith("qt_"):
                    continue  # of Qt's own controls
                name = control.accessibleName() or getattr(control, "text", lambda: "")()
                assert name or control.toolTip(), control


def test_the_list_of_shortcuts_leaves_none_out(window):
    listed = {label.text() for label in window.shortcuts.findChildren(QLabel)}
    assert {entry.text.removesuffix("…") for entry in ENTRIES if entry.key} <= listed


def test_what_is_told_after_closing_shows_stages_that_are_gone_to_nobody(qtbot, window, fake, gate_type):
    session = window.session
    fake.gate = gate_type(at=2)
    window.decode_card.button.click()
    qtbot.waitUntil(lambda: session.num_announced == 2)
    assert not window.parts.close(timeout_s=0.0)
    for signal in (session.selection_changed, session.restoration_changed, session.opened_changed):
        signal.emit()
    fake.gate.is_open.set()
    qtbot.waitUntil(lambda: not window.parts.lanes.is_busy)
    assert session.num_announced == len(session.stages) == 0


def test_the_text_of_labels_and_buttons_is_what_screen_readers_say(qtbot, window):
    _decode(qtbot, window)
    window.parts.lanes.problem_raised.emit(Problem("The disk is full."))
    for verb in (window.show_adapters, window.show_training, window.show_what_if, window.show_alignment):
        verb()
    window.show_roles()
    interface = QAccessible.queryAccessibleInterface(window.problem_bar.sentence)
    assert interface.text(QAccessible.Text.Name) == "The disk is full."
    for page in (window, window.roles_page):
        named = [
            part for kind in (QLabel, QAbstractButton) for part in page.findChildren(kind) if part.accessibleName()
        ]
        assert not [
            (part.text(), part.accessibleName())
            for part in named
            if part.text().removesuffix("…").lower() not in part.accessibleName().lower()
        ]
        for figures in page.findChildren(FittingLabel):
            assert figures.accessibleName() == figures.toolTip()


def test_every_menu_with_a_shortcut_has_its_heading_in_the_list_of_shortcuts(window):
    headings = {label.text() for label in window.shortcuts.findChildren(QLabel) if label.objectName() == "heading"}
    assert {entry.menu for entry in ENTRIES if entry.key} <= headings


def test_no_two_entries_have_the_same_key():
    keys = [key for entry in ENTRIES for key in entry.key.split()]
    assert len(set(keys)) == len(keys)


def _key(qtbot, window: MainWindow, widget, key: Qt.Key) -> None:
    """Presses a key where it would be pressed: in the active window, in the widget that has the focus."""
    window.activateWindow()
    widget.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is widget)
    QTest.keyClick(widget, key)


def test_escape_in_a_field_and_delete_in_a_list_of_a_page_leave_the_restoration_alone(
    qtbot, window, fake, gate_type, tmp_path
):
    window.parts.regions.add("point", [(3, 4)])
    fake.gate = gate_type(at=2)
    window.decode_card.button.click()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    window.show_training()
    _key(qtbot, window, window.training_page.findChild(QLineEdit), Qt.Key.Key_Escape)
    assert window.session.restoration.state == "running"
    window.show_what_if()
    _key(qtbot, window, window.what_if_page, Qt.Key.Key_Escape)
    assert window.session.restoration.state == "running" and window.pages.currentIndex() == 0
    window.show_adapters()
    table = QTreeWidget(window.adapters_page)
    table.show()
    for key in (Qt.Key.Key_Delete, Qt.Key.Key_P, Qt.Key.Key_3):
        _key(qtbot, window, table, key)
    assert len(window.parts.regions.all) == 1 and window.parts.regions.tool is None
    assert window.session.selection.mode != "montage"
    window.show_page(None)
    assert window.actions_["remove_region"].isEnabled()
    _key(qtbot, window, window.decode_card.button, Qt.Key.Key_Delete)
    assert window.parts.regions.all == ()
    with qtbot.waitSignal(window.parts.lanes.idle):
        fake.gate.is_open.set()


def test_return_in_a_pane_pins_a_pixel_and_arrows_and_space_pin_another(qtbot, window):
    _decode(qtbot, window)
    pane = next(card for card in window.centre.grid.cards if card.isVisible() and card.pane_id == 5).pane
    _key(qtbot, window, pane, Qt.Key.Key_Return)
    y, x = window.session.selection.pixel
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Space):
        QTest.keyClick(pane, key)
    assert window.session.selection.pixel == (y + 1, x - 1) and window.session.selection.stage == 5
    QTest.keyClick(pane, Qt.Key.Key_Escape)
    QTest.keyClick(pane, Qt.Key.Key_Left)  # the stages' again
    assert window.session.selection.pixel == (y + 1, x - 1) and window.session.selection.stage == 4


def test_delete_takes_files_off_the_list_of_a_training_and_no_region(qtbot, window, snapshot):
    window.parts.regions.add("point", [(3, 4)])
    window.show_training()
    material, table = window.parts.planning.material, window.training_page.findChild(DataList).table
    material.paths, material.files = (snapshot,), (DataFile(snapshot, "learn", "A capture."),)
    material.changed.emit()
    table.selectRow(0)
    window.actions_["remove_region"].setEnabled(True)  # whatever the rules say, the list comes first
    _key(qtbot, window, table, Qt.Key.Key_Delete)
    assert material.paths == () and len(window.parts.regions.all) == 1


def test_problems_of_no_card_show_above_the_pictures(window):
    window.parts.lanes.problem_raised.emit(Problem("The folder takes no file. Choose another one."))
    assert window.problem_bar.isVisible() and not window.problem_bar.report_button.isVisible()


def test_the_windows_decode_equals_the_engines_bit_for_bit(qtbot, make_window, snapshot):
    window = make_window()
    parts = window.parts
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([snapshot])
    assert parts.setup.decoder_name in parts.setup.decoder_names
    parts.setup.switch_decoder("gap-tv")
    window.model_card.stages.setValue(7)
    _decode(qtbot, window)
    assert len(parts.session.stages) == 8
    decoder = parts.setup.decoders.open(parts.setup.choice)
    direct = restore(
        decoder, open_measurement([snapshot], OpenOptions()), num_stages=7, device="cpu", threads=parts.setup.threads
    )
    for result in direct:
        assert np.array_equal(parts.session.stages.image(result.index), result.image)
        assert parts.session.stages.row(result.index).residual == result.residual


def test_the_built_in_sample_opens_and_decodes(qtbot, make_window):
    window = make_window()
    parts = window.parts
    assert resource_path("samples", "cassi.h5").is_file()
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        window.centre.sample_requested.emit("cassi")
    assert parts.session.problem is None and not parts.memory.settings.recent
    parts.setup.switch_decoder("gap-tv")
    parts.setup.set_num_stages(2)
    _decode(qtbot, window)
    assert parts.session.restoration.state == "done" and parts.session.stages.image(2).shape == (28, 256, 256)


def test_the_window_comes_back_where_it_was_and_as_large(qtbot, make_window):
    first = make_window()
    first.resize(1180, 700)  # no wider than the screen of a test
    first.close()
    assert make_window().size() == first.size()


def test_a_place_that_is_no_geometry_is_passed_over(qtbot, make_parts):
    parts = make_parts()
    parts.memory.remember_window("not hex at all")
    window = MainWindow(parts)
    qtbot.addWidget(window)
    fitting = QSize(1440, 900).boundedTo(window.screen().availableSize()).expandedTo(window.minimumSize())
    assert window.size() == fitting
