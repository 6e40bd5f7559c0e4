"""The light that is given back after decoding: its slider and keys, what they change, and what leaves the window."""

from __future__ import annotations

import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QStyle, QStyleOptionSlider

from app.assembly import Parts
from app.document.relight import RelitImage
from app.document.selection import OF_LIGHT
from app.viewers.grid import Cursor
from lorun_engine import cli
from lorun_engine.decoder import Stage
from lorun_engine.instrument import RELIT_GAMMA, relit
from lorun_engine.io import write_measurement
from lorun_engine.measurement import Scene
from lorun_engine.tasks.lowlight import LowLightCamera
from tests.app.conftest import FakeDecoder

HEIGHT, WIDTH, STAGES = 24, 32, 3
RIGHT, LEFT = Qt.Key.Key_Right, Qt.Key.Key_Left


class Lamp(FakeDecoder):
    """Stage k holds a reflectance of 0.8 and a light that falls from left to right and from stage to stage."""

    task = "lowlight"

    def stages(self, y, physics, *, num_stages: int):
        channels, height, width = physics.scene_shape
        for index in range(num_stages + 1):
            light = torch.linspace(0.4, 0.1, width).expand(1, 1, height, width) / (index + 1)
            yield Stage(index, torch.cat([torch.full((1, channels, height, width), 0.8), light], dim=1))


@pytest.fixture
def dark(tmp_path) -> Path:
    scene = Scene(np.random.default_rng(5).random((3, HEIGHT, WIDTH), dtype=np.float32))
    write_measurement(tmp_path / "dark.h5", LowLightCamera().measured(scene), attributes={})
    return tmp_path / "dark.h5"


@pytest.fixture
def lit(qtbot, make_parts, dark) -> Parts:
    """Parts with a dark picture, decoded."""
    parts = make_parts(Lamp(num_stages=STAGES))
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([dark])
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    assert parts.session.restoration.state == "done"
    return parts


def drag(slider, share: float) -> None:
    """Takes the handle of a slider with the mouse and leaves it at a share of the groove, in a few moves."""
    option = QStyleOptionSlider()
    slider.initStyleOption(option)
    handle = slider.style().subControlRect(QStyle.CC_Slider, option, QStyle.SC_SliderHandle, slider).center()
    end = QPoint(round(share * (slider.width() - 1)), handle.y())
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=handle)
    for part in (0.25, 0.5, 0.75, 1.0):
        QTest.mouseMove(slider, handle + (end - handle) * part)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=end)


def test_an_image_is_relit_where_it_is_looked_at():
    rng = np.random.default_rng(0)
    image, light = rng.random((3, 6, 8), dtype=np.float32), rng.random((1, 6, 8), dtype=np.float32) + 0.01
    whole, seen = relit(image, light, 0.7), RelitImage(image, light, 0.7)
    assert (seen.shape, len(seen), seen.size) == (whole.shape, 3, whole.size)
    np.testing.assert_array_equal(np.asarray(seen), whole)
    places = (1, (slice(0, 2), 3, 4), (..., slice(0, 4, 2), slice(1, 8, 2)), (slice(None), slice(2, 3)))
    for place in places:
        np.testing.assert_allclose(seen[place], whole[place], rtol=1e-6)
    assert all(np.array_equal(one, other) for one, other in zip(seen, whole, strict=True))


def test_the_mouse_relights_what_is_shown_and_one_drag_is_one_step(lit, show):
    window = show(lit)
    centre, row = window.centre, window.centre.stepping.relight
    assert row.isVisible() and row.label.text() == "γ 0.25" and not row.usual.isEnabled()
    pane = centre.grid.cards[0].pane
    before = centre.pictures.picture(STAGES).pixelColor(WIDTH - 2, 3).lightness()
    stored = lit.session.stages.image(STAGES).copy()
    drag(row.slider, 1.0)
    assert lit.session.selection.relight == 0.0 and row.label.text() == "γ 0.00" and row.usual.isEnabled()
    shown = centre.pictures.picture(STAGES)
    assert shown.pixelColor(1, 3).lightness() == shown.pixelColor(WIDTH - 2, 3).lightness() == 204 > before
    assert centre.pictures.value(STAGES, (3, 4)) == "0.800 0.800 0.800"
    assert f"at γ {RELIT_GAMMA:g}" in centre.grid.cards[0].figures.toolTip()
    assert pane.isVisible() and np.array_equal(lit.session.stages.image(STAGES), stored)
    drag(row.slider, 0.0)
    assert lit.session.selection.relight == 1.0
    window.corrections.undo()
    assert lit.session.selection.relight == 0.0
    window.corrections.undo()
    assert lit.session.selection.relight == RELIT_GAMMA and not lit.corrections.steps.canUndo()
    assert row.label.text() == "γ 0.25"
    lit.shelf.clear()


def test_keys_relight_too_and_the_slider_has_a_name(qtbot, lit, show):
    window = show(lit)
    row = window.centre.stepping.relight
    assert row.slider.accessibleName() == "Relight" and "0.25" in row.slider.accessibleDescription()
    window.actions_["brighter"].trigger()
    window.actions_["brighter"].trigger()
    assert lit.session.selection.relight == pytest.approx(0.15)
    window.actions_["darker"].trigger()
    assert lit.session.selection.relight == pytest.approx(0.2)
    row.slider.setFocus()
    qtbot.keyClick(row.slider, LEFT)
    assert lit.session.selection.relight == pytest.approx(0.25)
    qtbot.keyClick(row.slider, Qt.Key.Key_Home)
    assert lit.session.selection.relight == 1.0
    window.actions_["usual_light"].trigger()
    assert lit.session.selection.relight == RELIT_GAMMA
    lit.corrections.steps.undo()
    assert lit.session.selection.relight == 1.0
    lit.shelf.clear()


def test_thumbnails_maps_curves_and_montages_follow_the_light(qtbot, lit, show):
    window = show(lit)
    centre, strip = window.centre, window.centre.stepping.strip
    qtbot.waitUntil(lambda: not strip.stages.missing)
    small = strip.stages._images[2].pixelColor(1, 1).lightness()
    tile = centre.pictures.tile(2, 0, 1).pixelColor(1, 1).lightness()
    shelf = next(image for item, image in centre.shelf.items._images.items() if item is not None)
    result = shelf.pixelColor(1, 1).lightness()
    lit.looking.select_pixel((3, 4))
    curve = window.spectrum.subject.curve
    lit.relight.take(1.0)
    qtbot.waitUntil(lambda: not strip.stages.missing)
    assert strip.stages._images[2].pixelColor(1, 1).lightness() < small
    assert centre.pictures.tile(2, 0, 1).pixelColor(1, 1).lightness() < tile
    shelf = next(image for item, image in centre.shelf.items._images.items() if item is not None)
    assert shelf.pixelColor(1, 1).lightness() < result
    assert window.spectrum.subject.curve.mean() < curve.mean()
    lit.looking.set_view("change")
    (content,) = centre.grid._contents(2)
    images = [0.8 * lit.session.stages.light(index)[0] for index in (1, 2)]
    np.testing.assert_allclose(centre.grid.maps.plane(content), abs(images[1] - images[0]), atol=1e-6)
    assert centre.grid.maps.range(content).high > 0
    lit.shelf.clear()


def test_a_large_picture_is_relit_aside(qtbot, lit, show, monkeypatch):
    centre = show(lit).centre
    making, grid = centre.pictures.making, centre.grid
    monkeypatch.setattr("app.viewers.making.AT_ONCE", 0)
    making._begin_turn()  # from now on nothing is small
    with qtbot.waitSignal(making.made):
        lit.relight.take(0.0)
    qtbot.waitUntil(lambda: centre.pictures.picture(STAGES).pixelColor(9, 9).lightness() == 204)
    lit.looking.set_view("change")
    lit.relight.take(1.0)
    qtbot.waitUntil(lambda: grid.maps.plane(grid.cards[0].content) is not None)
    np.testing.assert_allclose(grid.maps.plane(grid.cards[0].content)[0, 0], 0.8 * (0.4 / 3 - 0.4 / 4), rtol=1e-4)
    lit.shelf.clear()


def test_there_is_a_reflectance_and_a_light_of_every_stage(qtbot, lit, show):
    window = show(lit)
    centre = window.centre
    buttons = {button.property("mode"): button for button in centre.mode_buttons.buttons()}
    qtbot.mouseClick(buttons["reflectance"], Qt.MouseButton.LeftButton)
    assert lit.session.selection.mode == "reflectance" and buttons["reflectance"].isChecked()
    card = centre.grid.cards[0]
    assert card.title.text() == f"Reflectance, stage {STAGES}"
    assert centre.pictures.picture(card.content).pixelColor(5, 5).lightness() == 204
    assert not centre.stepping.relight.isEnabled() and centre.exposure.isVisible()
    window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_7)
    assert lit.session.selection.mode == "light" and not centre.exposure.isVisible()
    lit.looking.select_stage(1)
    assert card.title.text() == "Light, stage 1"
    light = lit.session.stages.light(1)[0]
    np.testing.assert_array_equal(centre.grid.maps.plane(card.content), light)
    assert centre.grid.maps.range(card.content).words == ("0", "0.400")  # of all stages
    lit.looking.select_pixel((0, 0))
    window.statusBar().show_cursor(Cursor(1, 0, 0))
    assert "stage 1: 0.200" in window.statusBar().cursor.text()
    assert card.value.text() == "0.200" and "L from 0 to 0.400" in card.figures.toolTip()
    assert centre.drawn().ends == ("0", "0.400") and centre.drawn().title == "Light, stage 1"
    qtbot.mouseClick(centre.stepping.side_by_side, Qt.MouseButton.LeftButton)
    titles = [card.title.text() for card in centre.grid.cards if card.isVisible()]
    assert "As taken" in titles and f"Light, stage {STAGES}" in titles
    lit.looking.set_mode("residual")
    qtbot.waitUntil(lambda: lit.checking.shown is not None)
    assert [image.title.text() for image in centre.residual.images] == [
        "Measurement y",
        "R × L of the result",
        "Residual y − R × L",
    ]
    lit.shelf.clear()


def test_other_tasks_have_neither_slider_nor_light(decoded, show):
    window = show(decoded)
    shown = {button.property("mode") for button in window.centre.mode_buttons.buttons() if button.isVisible()}
    assert not shown & set(OF_LIGHT) and not window.centre.stepping.relight.isVisible()
    assert not any(window.actions_[name].isEnabled() for name in ("brighter", "darker", "usual_light", *OF_LIGHT))
    decoded.relight.take(0.5)
    decoded.looking.set_mode("light")
    assert (decoded.session.selection.relight, decoded.session.selection.mode) == (RELIT_GAMMA, "colour")
    assert "relight" not in decoded.exports.command()


def test_disagreement_follows_the_light(qtbot, lit, show):
    window = show(lit)
    lit.setup.set_num_stages(1)
    with qtbot.waitSignal(lit.lanes.idle):
        lit.session.restore()
    qtbot.waitUntil(lambda: lit.comparing.disagreement is not None)
    before = lit.comparing.disagreement
    lit.relight.take(0.0)
    qtbot.waitUntil(lambda: lit.comparing.disagreement is not before)
    assert before.deviation.max() > 0 == pytest.approx(lit.comparing.disagreement.deviation.max(), abs=1e-6)
    assert window.isVisible()
    lit.shelf.clear()


def test_a_session_remembers_the_light_and_its_steps(qtbot, lit, tmp_path):
    lit.relight.take(0.6)
    lit.looking.set_mode("light")
    path = tmp_path / "work.lorun"
    with qtbot.waitSignal(lit.session_files.saved):
        lit.session_files.save(path)
    lit.relight.reset()
    lit.looking.set_mode("colour")
    with qtbot.waitSignal(lit.session_files.opened):
        lit.session_files.open(path)
    assert (lit.session.selection.relight, lit.session.selection.mode) == (0.6, "light")
    lit.corrections.undo()
    assert lit.session.selection.relight == RELIT_GAMMA
    lit.shelf.clear()


def written(path: Path) -> tuple[np.ndarray, dict]:
    with h5py.File(path) as file:
        return file["cube"][()], dict(file.attrs) | dict(file["cube"].attrs)


def test_what_is_exported_is_what_is_shown_bit_for_bit_with_the_real_engine(
    qtbot, make_parts, dark, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where the script writes
    parts = make_parts()
    parts.session.open([dark])
    qtbot.waitUntil(lambda: not parts.lanes.is_busy, timeout=60_000)
    parts.session.restore()
    qtbot.waitUntil(lambda: not parts.lanes.is_busy, timeout=60_000)
    assert "--relight" not in parts.exports.command()
    for gamma in (None, 0.6):
        if gamma is not None:
            parts.relight.take(gamma)
        command, script = parts.exports.command(), parts.exports.script()
        own, again = tmp_path / f"own{gamma}.h5", tmp_path / f"again{gamma}.h5"
        with qtbot.waitSignal(parts.exports.exported):
            parts.exports.export_cube(own)
        words = shlex.split(command)[1:]
        words[words.index("-o") + 1] = str(again)
        assert cli.main(words) == 0
        (cube, attributes), (expected, said) = written(own), written(again)
        assert np.array_equal(cube, expected) and attributes["relight"] == said["relight"] == (gamma or RELIT_GAMMA)
        exec(script, names := {})
        assert np.array_equal(np.moveaxis(names["cube"], 0, -1), cube)
    with qtbot.waitSignal(parts.exports.exported):
        parts.exports.export_stages(tmp_path / "stages.h5")
    assert np.array_equal(written(tmp_path / "stages.h5")[0], cube)
    with qtbot.waitSignal(parts.exports.exported):
        parts.report.export(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Relit by gamma" in text and "--relight 0.6" in text
    parts.shelf.clear()
