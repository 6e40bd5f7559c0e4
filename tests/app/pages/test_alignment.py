"""The page that finds where the mask lies: searched, cancelled, drawn, said, applied and taken back."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from scipy import ndimage

from app.assembly import Parts
from app.main_window import MainWindow
from app.pages.alignment import sentences
from app.widgets import theme

BANDS, SIDE, MARGIN = 8, 64, 8
SHIFT = (1.5, -2.0)


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """(BANDS, SIDE, SIDE): soft patches of different smooth spectra."""
    patches = ndimage.gaussian_filter(np.random.default_rng(1).random((3, SIDE, SIDE)), (0, 6, 6))
    patches = (patches - patches.min()) / (patches.max() - patches.min())
    nodes = np.linspace(0, 1, BANDS)
    spectra = 0.2 + 0.5 * np.exp(-(((nodes - np.array([[0.2], [0.5], [0.8]])) / 0.4) ** 2))
    return (np.einsum("khw,kc->chw", patches, spectra) / 2).astype(np.float32)


@pytest.fixture
def misaligned(tmp_path, scene) -> Path:
    """A capture through a mask that lies SHIFT from where its file says."""
    from lorun_engine.instrument import Dispersion
    from lorun_engine.io import write_measurement
    from lorun_engine.measurement import Scene
    from lorun_engine.tasks.cassi import simulate
    from lorun_engine.tasks.noise import Noise

    large = (np.random.default_rng(2).random((SIDE + 2 * MARGIN,) * 2) < 0.5).astype(np.float32)
    inner = (slice(MARGIN, -MARGIN),) * 2
    seen = np.ascontiguousarray(ndimage.shift(large, SHIFT, order=1)[inner])
    y = simulate(Scene(scene), seen, Dispersion(BANDS), noise=Noise("shot", 2000), seed=3)
    opened = simulate(Scene(scene), np.ascontiguousarray(large[inner]), Dispersion(BANDS))
    write_measurement(tmp_path / "misaligned.h5", replace(opened, y=y.y), attributes={})
    return tmp_path / "misaligned.h5"


@pytest.fixture
def parts(qtbot, make_parts, misaligned) -> Parts:
    """The engine's own decoders, with the misaligned capture open."""
    made = make_parts()
    with qtbot.waitSignal(made.lanes.idle, timeout=60_000):
        made.session.open([misaligned])
    assert made.setup.decoder_name == "subspace-tv"
    made.setup.set_num_stages(12)
    return made


@pytest.fixture
def window(qtbot, parts) -> MainWindow:
    made = MainWindow(parts)
    qtbot.addWidget(made, before_close_func=lambda window: parts.cancel_all())
    made.resize(1440, 900)
    made.show()
    made.actions_["alignment"].trigger()
    return made


def searched(qtbot, window: MainWindow) -> MainWindow:
    with qtbot.waitSignal(window.parts.lanes.idle, timeout=60_000):
        qtbot.mouseClick(window.alignment_page.search, Qt.MouseButton.LeftButton)
        assert window.alignment_page.search.text() == "Cancel"
    return window


def test_the_mask_is_found_drawn_and_said(qtbot, parts, window, wear):
    page = searched(qtbot, window).alignment_page
    best = parts.checking.found.alignment.best
    assert (best.shift_y, best.shift_x) == pytest.approx(SHIFT, abs=0.25)
    (cross,) = page._cross.points()
    assert (cross.pos().y(), cross.pos().x()) == pytest.approx((best.shift_y, best.shift_x))
    assert f"{best.shift_y:.2f} px down" in page.findings.text() and "px left" in page.findings.text()
    assert "by chance" in page.findings.text() and page.findings.objectName() == "warn"
    assert page.search.text() == "Search" and page.apply.isEnabled()
    wear(theme.dark())
    assert page.findings.text()


def test_applying_it_decodes_better_reproduces_as_a_command_and_can_be_taken_back(qtbot, parts, window, tmp_path):
    page = searched(qtbot, window).alignment_page
    page.takes_direction.setChecked(False)
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.restore()
    before = parts.session.stages.row(12).metrics["psnr"]
    assert not parts.checking.newest.is_fine and window.check_card.camera.text().startswith("Off: ")
    opened = parts.session.options
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        qtbot.mouseClick(page.apply, Qt.MouseButton.LeftButton)
    assert parts.session.options.mask_shift == pytest.approx(SHIFT, abs=0.25)
    parts.setup.set_num_stages(12)
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.restore()
    after, image = parts.session.stages.row(12).metrics["psnr"], parts.session.stages.image(12)
    assert after > before + 1
    assert parts.checking.newest.is_fine and window.check_card.camera.text().startswith("Fine")
    np.testing.assert_array_equal(decoded_by(parts.exports.command(), tmp_path), image)
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        window.actions_["undo"].trigger()
    assert parts.session.options == opened and parts.session.options.mask_shift is None


def decoded_by(command: str, folder: Path) -> np.ndarray:
    """The cube (C, H, W) that a copied command writes."""
    import h5py

    from lorun_engine import cli

    words = shlex.split(command)[1:]
    words[words.index("-o") + 1] = str(folder / "again.h5")
    assert cli.main(words, library=[]) == 0
    with h5py.File(folder / "again.h5") as file:
        return np.moveaxis(file["cube"][()], -1, 0)


def test_a_search_can_be_cancelled_and_started_again(qtbot, parts, window):
    page, found = window.alignment_page, parts.checking.found  # what was seen on opening
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        qtbot.mouseClick(page.search, Qt.MouseButton.LeftButton)
        qtbot.mouseClick(page.search, Qt.MouseButton.LeftButton)
    assert parts.checking.found is found and parts.checking.alignment_state == "done"
    assert page.search.text() == "Search" and page.search.isEnabled()
    searched(qtbot, window)
    assert parts.checking.found is not found


def test_what_the_fields_say_limits_the_search(qtbot, parts, window):
    page = window.alignment_page
    page.shift.setValue(1)
    page.flips.setChecked(False)
    searched(qtbot, window)
    best = parts.checking.found.alignment.best
    assert max(abs(best.shift_y), abs(best.shift_x)) <= 1 and best.flip == ""


def test_a_search_that_fails_says_why(qtbot, parts, window, monkeypatch):
    from lorun_engine.errors import LorunError

    def fail(*args, **kwargs):
        raise LorunError("Every pixel of the mask is alike; a pattern was expected.")
        yield

    monkeypatch.setattr("lorun_engine.camera_checks.alignment.align", fail)
    searched(qtbot, window)
    page = window.alignment_page
    assert "alike" in page.state.text() and page.state.objectName() == "warn" and page.search.isEnabled()


@pytest.mark.parametrize("kind", ["snapshot", "samples", "low_resolution"])
def test_another_file_forgets_what_was_found(qtbot, parts, window, request, kind):
    before = searched(qtbot, window).parts.checking.found
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([request.getfixturevalue(kind)])
    found = parts.checking.found
    assert found is not before and (found is None) == (kind != "snapshot")
    assert kind == "snapshot" or not window.alignment_page.apply.isEnabled()


@pytest.mark.parametrize("kind", ["samples", "low_resolution"])
def test_photographs_have_no_mask_to_search(qtbot, make_parts, request, kind):
    parts = make_parts()
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([request.getfixturevalue(kind)])
    made = MainWindow(parts)
    qtbot.addWidget(made)
    assert not made.actions_["alignment"].isEnabled()
    parts.checking.search()
    assert parts.checking.alignment_state == "nothing"


def test_the_sentences_name_flip_step_and_direction():
    from lorun_engine.camera_checks.alignment import Alignment, Supposition
    from lorun_engine.instrument import Dispersion

    nothing = np.zeros(1)
    found = Alignment(Supposition(0.1, 3.0, 2.2, "lr"), "-", 0.97, 0.5, 0.1, 0.01, nothing, nothing[None], nothing)
    first, how_sure, direction = sentences(found, Dispersion(BANDS))
    assert "3.00 px right" in first and "mirrored left to right" in first and "2.200 pixels a band, not 2" in first
    assert "50.0%" in how_sure and "very sure" in how_sure
    assert "clearly run the other way" in direction
    assert "do not tell" in sentences(replace(found, direction_margin=0.2), Dispersion(BANDS))[2]
    (lost,) = sentences(replace(found, explained=0.02), Dispersion(BANDS))
    assert "another mask" in lost
