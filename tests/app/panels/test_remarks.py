"""What the card says of values that nobody stated: assumed, subtracted, cropped, or kept from something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication

from app.main_window import MainWindow
from app.panels.remarks import remarks
from lorun_engine.io import OpenOptions, inspect
from tests.app.conftest import write_snapshot


def said_of(*paths: Path, **options) -> dict[str, tuple[str, str]]:
    """field -> (value, tag) of the remarks on some files."""
    table = inspect(paths, OpenOptions(**options))
    assert table.problem is None
    return {remark.field: (remark.value, remark.tag) for remark in remarks(table)}


def captured(folder: Path, y: np.ndarray, mask: np.ndarray) -> tuple[Path, Path]:
    np.save(folder / "meas.npy", y)
    np.save(folder / "mask.npy", mask)
    return folder / "meas.npy", folder / "mask.npy"


def plain(num_bands: int) -> tuple[np.ndarray, np.ndarray]:
    """A capture of ones of `num_bands` bands, one pixel apart, and its mask."""
    mask = (np.random.default_rng(1).random((40, 32)) < 0.5).astype(np.float32)
    y = np.zeros((40, 32 + num_bands - 1), np.float32)
    for band in range(num_bands):
        y[:, band : band + 32] += mask / num_bands
    return y, mask


def test_a_file_that_states_everything_has_no_remarks(snapshot):
    assert said_of(snapshot) == {}


def test_what_a_snapshot_leaves_open_is_said_with_its_value(tmp_path):
    y, mask = plain(28)
    said = said_of(*captured(tmp_path, y, mask), num_bands=28)
    assert said == {
        "direction": ("right or down (+)", "assumed"),
        "first_offset": ("0", "assumed"),
        "wavelengths": ("453.5 – 648.0 nm", "assumed"),
    }
    assert said_of(*captured(tmp_path, *plain(5)), num_bands=5)["wavelengths"] == ("", "not known")
    stated = {"direction": "+", "first_offset": 0.0, "wavelengths": "cassi-28"}
    assert said_of(*captured(tmp_path, y, mask), **stated) == {}


def test_full_scale_input_scale_and_corrections_are_said(tmp_path):
    y, mask = plain(28)
    stated = {"direction": "+", "first_offset": 0.0, "wavelengths": "cassi-28"}
    paths = captured(tmp_path, (4000 * y / y.max()).astype(np.uint16), mask)
    assert said_of(*paths, **stated) == {"integer_scale": ("4095", "assumed")}
    assert said_of(*paths, **stated, integer_scale=5000.0) == {}
    assert said_of(*captured(tmp_path, 20 * y, mask), **stated) == {"input_scale": ("1", "assumed")}
    turned = said_of(
        *captured(tmp_path, y, mask),
        **stated,
        crop=(0, 0, 30, 32),
        flip="lr",
        rotate=2,
        mask_shift=(0.5, 0.0),
        step=1.0,
        dark_level=0.0,
    )
    assert turned == {
        "crop": ("0, 0, 30, 32", "cropped"),
        "flip": ("left and right", "mirrored"),
        "rotate": ("180°", "turned"),
        "mask_shift": ("0.5, 0", "moved"),
    }


def test_what_was_subtracted_is_said_with_how_much(tmp_path):
    y, mask = plain(8)
    stated = {"num_bands": 8, "direction": "+", "first_offset": 0.0, "light_beside": "keep"}
    said = said_of(*captured(tmp_path, y + 0.01, mask), **stated, dark_level=0.01)
    assert said["dark_level"] == ("0.0100", "subtracted") and "light_beside" not in said
    assert "dark_level" not in said_of(*captured(tmp_path, y, mask), **stated, dark_level=0.0)


def test_light_from_beside_the_field_is_said(tmp_path):
    from tests.engine.io.test_light_beside import BANDS, CAMERAS
    from tests.engine.io.test_light_beside import captured as lit

    y, mask = lit(CAMERAS[0], goes_on=True)
    value, tag = said_of(*captured(tmp_path, y, mask), num_bands=BANDS)["light_beside"]
    assert tag == "subtracted" and 1 < float(value.removeprefix("up to ")) < 4
    kept = said_of(*captured(tmp_path, y, mask), num_bands=BANDS, light_beside="keep")
    assert "light_beside" not in kept


def test_a_picture_says_factor_blur_and_border_that_were_assumed(tmp_path):
    picture = tmp_path / "small.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(picture)
    said = said_of(picture)
    assert said["scale"] == ("× 2", "assumed") and said["border"] == ("mirrored", "assumed")
    assert said["kernel"][0].startswith("gaussian") and said["kernel"][1] == "estimated"
    assert set(said) == {"scale", "kernel", "border"}  # the full scale of 8 bits is known


def test_samples_say_the_size_and_the_orders_that_were_found_by_trying(tmp_path, samples):
    assert said_of(samples) == {}  # a file of ours
    table = inspect([samples])
    y, matrix = table.array("measurement"), table.array("sampling")
    np.savez(tmp_path / "foreign.npz", y=y[:, :, :2].reshape(len(y), -1), phi=matrix)
    said = said_of(tmp_path / "foreign.npz")
    assert said["image_size"] == ("16, 16", "assumed")
    assert {said[name][1] for name in ("pixel_order", "block_order")} == {"estimated"}


# ---- the card ----------------------------------------------------------------------------------------------------


@pytest.fixture
def window(qtbot, make_parts, fake) -> MainWindow:
    window = MainWindow(make_parts(fake))
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    return window


def opened(qtbot, window: MainWindow, *paths: Path) -> None:
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.session.open(paths)


def test_a_row_leads_to_the_field_that_corrects_it(qtbot, window, foreign):
    opened(qtbot, window, *foreign)
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.corrections.correct(replace(window.session.options, num_bands=4), text="4 bands")
    card, page = window.measurement_card, window.roles_page
    rows = {row.remark.field: row for row in card.remarks.rows}
    assert [rows[name].tag.text() for name in ("direction", "wavelengths")] == ["assumed", "not known"]
    assert rows["direction"].value.text().startswith("Direction  right or down")
    assert rows["direction"].tag.objectName() == "warn"
    said = QAccessible.queryAccessibleInterface(rows["direction"]).text(QAccessible.Text.Name)
    assert said == "Direction: right or down (+), assumed"
    qtbot.mouseClick(rows["direction"], Qt.MouseButton.LeftButton)
    assert page.isVisible()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is page.form.editors["direction"].box)
    page.close()
    window.activateWindow()
    rows["wavelengths"].setFocus()
    qtbot.keyClick(rows["wavelengths"], Qt.Key.Key_Return)
    assert page.isVisible()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is page.form.editors["wavelengths"].box)
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.corrections.correct(replace(window.session.options, direction="+"), text="direction")
    assert "direction" not in {row.remark.field for row in card.remarks.rows}  # it is stated now


def test_a_mask_that_was_kept_is_said_and_dropped(qtbot, window, foreign, tmp_path):
    capture, mask = foreign
    opened(qtbot, window, capture, mask)
    card = window.measurement_card
    assert card.kept.isHidden() and card.drop.isHidden()
    (tmp_path / "later").mkdir()
    later = tmp_path / "later" / "other.npy"
    np.save(later, 2 * np.load(capture))
    opened(qtbot, window, later)
    assert card.kept.text() == "Kept from the last capture: mask.npy."
    assert mask in window.session.paths
    with qtbot.waitSignal(window.parts.lanes.idle):
        qtbot.mouseClick(card.drop, Qt.MouseButton.LeftButton)
    assert window.session.paths == (later,) and card.kept.isHidden()
    assert "without the mask" in card.misfit.sentence.text()


def test_corrections_of_another_file_of_the_folder_are_said_and_dropped(qtbot, window, tmp_path):
    first, other = write_snapshot(tmp_path / "a.h5", seed=1), write_snapshot(tmp_path / "b.h5", seed=2)
    opened(qtbot, window, first)
    options = OpenOptions(crop=(0, 0, 8, 14), input_scale=2.0)
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.corrections.correct(options, text="crop")
    card = window.measurement_card
    assert card.kept.isHidden()  # said of this very file
    assert [row.remark.words for row in card.remarks.rows] == ["Crop the scene: 0, 0, 8, 14, cropped"]
    opened(qtbot, window, other)
    assert card.kept.text() == "Kept for this folder: Crop the scene 0, 0, 8, 14, Input scale 2."
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.corrections.correct(replace(options, input_scale=3.0), text="scale")
    assert card.kept.text() == "Kept for this folder: Crop the scene 0, 0, 8, 14."
    card.drop.setFocus()
    with qtbot.waitSignal(window.parts.lanes.idle):
        qtbot.keyClick(card.drop, Qt.Key.Key_Space)
    assert window.session.options == OpenOptions() and card.kept.isHidden() and not card.remarks.rows
    opened(qtbot, window, first)
    assert window.session.options == OpenOptions()  # dropped for the folder


def test_nothing_goes_with_a_file_of_another_folder_that_has_all_it_needs(qtbot, window, tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    here, there = (write_snapshot(tmp_path / name / "c.h5", seed=3) for name in ("here", "there"))
    opened(qtbot, window, here)
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.corrections.correct(OpenOptions(crop=(0, 0, 8, 14), flip="lr", dark_level=0.1), text="all")
    opened(qtbot, window, there)
    session, card = window.session, window.measurement_card
    assert session.options == OpenOptions() and session.paths == (there,)
    assert session.measurement.physics.scene_shape == (4, 16, 14) and session.measurement.dark_level == 0
    assert card.kept.isHidden() and not card.remarks.rows


def test_the_mask_of_a_folder_is_said_with_every_capture(qtbot, window, tmp_path, foreign):
    capture, mask = foreign
    folder = tmp_path / "captures"
    folder.mkdir()
    np.save(folder / "mask.npy", np.load(mask))
    for name, factor in (("a", 1), ("b", 2)):
        np.save(folder / f"{name}.npy", factor * np.load(capture))
    card, folder_ = window.measurement_card, window.parts.folder
    with qtbot.waitSignal(folder_.listed):
        folder_.open(folder)
    qtbot.waitUntil(lambda: window.session.role_table is not None)
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.corrections.correct(replace(window.session.options, num_bands=4), text="4 bands")
    assert card.kept.text() == "Kept for this folder: mask.npy."
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.actions_["next_capture"].trigger()
    assert window.session.name == "b.npy"
    assert card.kept.text() == "Kept for this folder: mask.npy, Bands 4."
