"""What if: a scene seen by the open camera or a changed one, decoded and scored, with nothing of the open work lost."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox

from app.document import session, what_if
from app.document.what_if import Scenario
from app.main_window import MainWindow
from app.pages import what_if as panel
from lorun_engine.errors import FileError
from lorun_engine.io import open_measurement, write_cube


@pytest.fixture
def window(qtbot):
    """A window on a session, with the page open."""

    def make(parts) -> MainWindow:
        made = MainWindow(parts)
        qtbot.addWidget(made, before_close_func=lambda window: parts.cancel_all())
        made.resize(1440, 900)
        made.show()
        made.actions_["what_if"].trigger()
        return made

    return make


def simulated(qtbot, window: MainWindow) -> MainWindow:
    """Presses the button and waits for the scores."""
    what_if = window.parts.what_if
    qtbot.mouseClick(window.what_if_page.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not what_if.is_busy, timeout=60_000)
    qtbot.waitUntil(lambda: not window.parts.lanes.is_busy, timeout=60_000)
    assert what_if.state == "done", what_if.problem
    return window


def rows_of(window: MainWindow) -> dict[str, list[str]]:
    table = window.what_if_page.table
    texts = [
        [table.item(row, column).text() for column in range(table.columnCount())] for row in range(table.rowCount())
    ]
    return {row[0]: row[1:] for row in texts}


def test_the_result_is_simulated_opened_and_decoded_with_itself_as_the_truth(qtbot, decoded, window):
    base, image = decoded.session.measurement, decoded.session.stages.image(5).copy()
    shown = simulated(qtbot, window(decoded))
    assert decoded.session.measurement is not base and decoded.what_if.is_open
    np.testing.assert_array_equal(decoded.session.measurement.reference, image)
    expected = base.physics.forward(_tensor(image))[0].numpy()
    np.testing.assert_allclose(decoded.session.measurement.y, expected, atol=1e-6)
    assert set(rows_of(shown)) == {"fake"}
    assert rows_of(shown)["fake"][0] == "5 stages"
    assert shown.aside_card.isVisible() and "6 images" in shown.aside_card.sentence.text()


def everything(session) -> tuple:
    return session.measurement, session.stages, session.recipe, session.selection, session.paths, session.options


def test_going_back_brings_everything_as_it_was(qtbot, decoded, window):
    decoded.looking.select_stage(3)
    decoded.looking.select_pixel((4, 5))
    before = everything(decoded.session)
    recent = decoded.memory.settings.recent
    shown = simulated(qtbot, window(decoded))
    assert decoded.memory.settings.recent == recent  # simulations are not remembered
    qtbot.mouseClick(shown.aside_card.back, Qt.MouseButton.LeftButton)
    after = everything(decoded.session)
    assert after == before and len(decoded.session.stages) == 6 and decoded.session.restoration.state == "done"
    np.testing.assert_array_equal(decoded.session.stages.image(1), 0.5)
    assert not shown.aside_card.isVisible() and not shown.what_if_page.base.isVisible()
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)


def test_regions_results_and_steps_to_undo_are_kept_as_they_were_left(qtbot, decoded, window):
    shown = window(decoded)
    decoded.regions.add("rectangle", [(2, 2), (6, 7)])
    decoded.regions.add("point", [(9, 9)])
    qtbot.waitUntil(lambda: len(decoded.comparing.results) == 1 and not decoded.lanes.is_busy)
    decoded.comparing.move_divider(0.25)
    kept = decoded.regions.all, decoded.regions.chosen_number, tuple(decoded.comparing.results), decoded.comparing.look
    found = decoded.checking.newest
    simulated(qtbot, shown)
    assert decoded.regions.all == () and not shown.actions_["undo"].isEnabled()
    decoded.regions.add("point", [(1, 1)])
    decoded.what_if.go_back()
    regions, comparing = decoded.regions, decoded.comparing
    assert (regions.all, regions.chosen_number, tuple(comparing.results), comparing.look) == kept
    assert np.all(decoded.shelf.image(kept[2][0]) == 0.5**5) and decoded.checking.newest is found
    assert shown.actions_["undo"].isEnabled() and "2 point" in shown.actions_["undo"].text()
    shown.actions_["undo"].trigger()
    assert [region.number for region in regions.all] == [1]
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)


def test_a_simulation_that_cannot_be_opened_leaves_everything_open(qtbot, decoded, window, monkeypatch):
    def refuse(*_):
        raise FileError("what-if.h5 cannot be read. Free space.")

    shown, before = window(decoded), everything(decoded.session)
    monkeypatch.setattr(session, "open_files", refuse)
    decoded.what_if.start(Scenario())
    qtbot.waitUntil(lambda: not decoded.what_if.is_busy)
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)
    assert decoded.what_if.state == "failed" and "Free space" in decoded.what_if.problem
    assert everything(decoded.session) == before and decoded.what_if.aside is None and len(decoded.session.stages) == 6
    assert not shown.aside_card.isVisible()


def test_opening_another_file_ends_the_decodes_that_were_to_be_compared(
    qtbot, make_parts, fake, fake_decoder_type, gate_type, snapshot, foreign
):
    slow = fake_decoder_type("slow", num_stages=40)
    parts = make_parts(fake, slow)
    for verb in (lambda: parts.session.open([snapshot]), parts.session.restore):
        with qtbot.waitSignal(parts.lanes.idle):
            verb()
    slow.gate = gate_type(at=3)
    parts.what_if.start(Scenario())
    qtbot.waitUntil(slow.gate.is_reached.is_set)
    assert parts.what_if.state == "comparing"
    parts.session.open(foreign)
    qtbot.waitUntil(lambda: parts.session.paths == foreign)
    assert parts.what_if.aside is None and parts.what_if.state == "idle"
    with qtbot.waitSignal(parts.lanes.idle):
        slow.gate.is_open.set()
    assert slow.computed[-1] == 3


def test_the_decoders_to_compare_with_say_how_long_they_still_take_while_nothing_is_told(
    qtbot, make_parts, fake, fake_decoder_type, gate_type, snapshot, window
):
    slow, late = fake_decoder_type("slow", num_stages=9), [0.0]
    slow.step_name = "iteration"
    parts = make_parts(fake, slow)
    parts.session.paces.clock = lambda: time.monotonic() + late[0]
    for verb in (lambda: parts.session.open([snapshot]), parts.session.restore):
        with qtbot.waitSignal(parts.lanes.idle):
            verb()
    page = window(parts).what_if_page
    slow.gate = gate_type(at=3)
    parts.what_if.start(Scenario())
    qtbot.waitUntil(slow.gate.is_reached.is_set)
    words = "Decoding it with slow to compare  ·  Iteration 2 of 9  ·  "
    qtbot.waitUntil(lambda: page.state.text().startswith(words))
    late[0] = 1e8  # the third iteration takes long, and the others will
    qtbot.waitUntil(lambda: "min left" in page.state.text())
    with qtbot.waitSignal(parts.lanes.idle):
        slow.gate.is_open.set()
    assert rows_of(page.window())["slow"][0] == "9 iterations" and parts.what_if.timed.pace.seconds_left == 0


def test_a_simulation_of_what_is_no_longer_open_is_dropped(qtbot, opened, gate_type, foreign, monkeypatch):
    held, measured = gate_type(at=0), what_if._measured
    monkeypatch.setattr(what_if, "_measured", lambda *arguments: (held(0), measured(*arguments))[1])
    opened.what_if.start(Scenario(source="reference"))
    qtbot.waitUntil(held.is_reached.is_set)
    opened.session.open(foreign)
    qtbot.waitUntil(lambda: opened.session.paths == foreign)
    with qtbot.waitSignal(opened.lanes.idle):
        held.is_open.set()
    assert opened.session.paths == foreign and opened.what_if.aside is None and not opened.what_if.is_busy


def test_a_second_simulation_starts_from_the_same_job(qtbot, decoded, window):
    base = decoded.session.measurement
    shown = simulated(qtbot, window(decoded))
    page = shown.what_if_page
    page.source.setCurrentIndex(page.source.findData("reference"))
    page.source.activated.emit(page.source.currentIndex())
    page.field("step").editor.setValue(1)
    simulated(qtbot, shown)
    assert decoded.what_if.base is base and decoded.session.measurement.physics.dispersion.step == 1
    np.testing.assert_array_equal(decoded.session.measurement.reference, base.reference)
    page.base.click()
    assert decoded.session.measurement is base
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)


def test_another_file_leaves_nothing_to_go_back_to(qtbot, decoded, window, foreign):
    shown = simulated(qtbot, window(decoded))
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.open(foreign)
    assert decoded.what_if.aside is None and not decoded.what_if.is_open
    assert not shown.aside_card.isVisible()


def test_the_engine_scores_the_decoders_without_weights(qtbot, make_parts, snapshot, window):
    parts = make_parts()
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([snapshot])
    page = window(parts).what_if_page
    assert parts.setup.decoder_name == "subspace-tv" and page.source.currentData() == "reference"
    parts.setup.set_num_stages(3)
    page.has_noise.setChecked(True)
    page.electrons.setValue(500)
    page.seed.setValue(7)
    shown = simulated(qtbot, page.window())
    steps, psnr, *_ = rows_of(shown)["subspace-tv"]
    assert steps == "3 stages" and rows_of(shown)["gap-tv"][0] == "60 iterations"
    assert float(psnr) == pytest.approx(parts.session.stages.row(3).metrics["psnr"], abs=0.01)
    clean = parts.session.measurement.physics.forward(_tensor(parts.session.measurement.reference))[0].numpy()
    assert 0 < np.abs(parts.session.measurement.y - clean).max() < 0.5 * clean.max()
    assert parts.session.measurement.input_scale == 1


def test_a_random_mask_and_another_direction_are_taken(qtbot, opened, window):
    page = window(opened).what_if_page
    page.field("density").label.setChecked(True)
    page.field("density").editor.setValue(30)
    choose(page.field("direction").editor, "-")
    simulated(qtbot, page.window())
    physics = opened.session.measurement.physics
    mask = physics.mask[0, 0].numpy()
    assert physics.dispersion.direction == "-" and set(np.unique(mask)) <= {0.0, 1.0} and 0.1 < mask.mean() < 0.5


def test_a_cube_of_a_file_is_brought_to_the_bands_of_the_camera(qtbot, opened, window, tmp_path, monkeypatch):
    own = np.linspace(440, 660, 9)
    cube = np.tile(((own - 400) / 300)[:, None, None], (1, 20, 30)).astype(np.float32)
    write_cube(tmp_path / "cube.h5", cube, wavelengths_nm=own, attributes={})
    page = window(opened).what_if_page
    take_file(page, tmp_path / "cube.h5", monkeypatch)
    simulated(qtbot, page.window())
    reference = opened.session.measurement.reference
    assert reference.shape == (4, 16, 14)
    np.testing.assert_allclose(reference[:, 0, 0], (opened.session.measurement.wavelengths_nm - 400) / 300, atol=1e-5)


def test_a_file_that_does_not_suit_says_why_and_leaves_everything_open(qtbot, decoded, window, tmp_path, monkeypatch):
    np.save(tmp_path / "two.npy", np.ones((20, 20, 2), np.float32))
    shown = window(decoded)
    base, stages = decoded.session.measurement, decoded.session.stages
    take_file(shown.what_if_page, tmp_path / "two.npy", monkeypatch)
    with qtbot.waitSignal(decoded.lanes.idle):
        shown.what_if_page.start.click()
    assert "2 bands" in shown.what_if_page.state.text() and shown.what_if_page.state.objectName() == "warn"
    assert decoded.session.measurement is base and decoded.session.stages is stages and decoded.what_if.aside is None


def test_the_simulation_can_be_saved_and_opens_without_a_flag(qtbot, decoded, window, tmp_path, monkeypatch):
    shown = simulated(qtbot, window(decoded))
    target = tmp_path / "kept.h5"
    monkeypatch.setattr(panel, "ask_save_file", lambda *_: str(target))
    with qtbot.waitSignal(decoded.exports.exported):
        qtbot.mouseClick(shown.what_if_page.save, Qt.MouseButton.LeftButton)
    again = open_measurement([target])
    np.testing.assert_array_equal(again.y, decoded.session.measurement.y)
    np.testing.assert_array_equal(again.reference, decoded.session.measurement.reference)
    with h5py.File(target) as file:
        assert file.attrs["noise"] == "none"


def test_saving_over_the_capture_is_refused(qtbot, decoded, window):
    simulated(qtbot, window(decoded))
    base = decoded.what_if.aside.paths[0]
    before = Path(base).read_bytes()
    with qtbot.waitSignal(decoded.lanes.problem_raised):
        decoded.what_if.save(base)
    assert Path(base).read_bytes() == before


def test_it_can_be_cancelled_while_it_decodes(qtbot, opened, fake, window, gate_type):
    shown = window(opened)
    fake.gate = gate = gate_type(at=2)
    shown.what_if_page.start.click()
    qtbot.waitUntil(gate.is_reached.is_set)
    qtbot.waitUntil(lambda: opened.what_if.state == "decoding" and opened.session.restoration.state == "running")
    assert shown.what_if_page.start.text() == "Cancel"
    shown.what_if_page.start.click()
    gate.is_open.set()
    qtbot.waitUntil(lambda: not opened.lanes.is_busy)
    assert opened.what_if.state == "failed" and "Cancelled" in opened.what_if.problem
    opened.what_if.go_back()
    assert not opened.what_if.is_open
    qtbot.waitUntil(lambda: not opened.lanes.is_busy)


@pytest.mark.parametrize(
    ("kind", "plan", "decoders"),
    [
        ("samples", Scenario("reference", changes={"ratio": 50.0}), {"pinv"}),
        (
            "low_resolution",
            Scenario("reference", changes={"kernel": "gaussian 1.6", "scale": 4}),
            {"bicubic", "tikhonov"},
        ),
    ],
)
def test_photographs_change_ratio_or_kernel_and_scale(qtbot, make_parts, window, request, kind, plan, decoders):
    parts = make_parts()
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([request.getfixturevalue(kind)])
    assert parts.session.problem is None
    page = window(parts).what_if_page
    if kind == "samples":
        assert page.field("ratio").editor.isVisible() and not page._of_task["cassi"]["step"].editor.isVisible()
        page.field("ratio").label.setChecked(True)
        page.field("ratio").editor.setValue(50)
    else:
        choose(page.field("kernel").editor, "gaussian 1.6")
        choose(page.field("scale").editor, 4)
    assert page.plan == plan
    if kind == "low_resolution":  # the built-in kernel is larger than the tiny picture allows at a quarter of its size
        choose(page.field("kernel").editor, None)
    shown = simulated(qtbot, page.window())
    assert decoders <= set(rows_of(shown))
    physics = parts.session.measurement.physics
    if kind == "samples":
        assert len(physics.sampling) == 32  # half of the 64 pixels of a block
    else:
        assert physics.scale == 4


def take_file(page: panel.WhatIfPage, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chooses a file as the scene."""
    monkeypatch.setattr(panel.QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    choose(page.source, "file")
    page.source.activated.emit(page.source.currentIndex())


def choose(box: QComboBox, value: object) -> None:
    """Chooses an entry of a list by its value."""
    box.setCurrentIndex(box.findData(value))


def _tensor(image: np.ndarray):
    import torch

    return torch.tensor(image)[None]
