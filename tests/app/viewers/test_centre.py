"""The centre of the window: what it shows of the session, and what mouse and keyboard do to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from app.assembly import Parts
from app.document.selection import MEASUREMENT, MODES, OF_LIGHT, REFERENCE
from app.main_window import MainWindow
from app.viewers import stepping
from app.viewers.centre import CentreView
from app.viewers.exposure import STRETCHES
from app.viewers.grid import Cursor
from app.viewers.pictures import Pictures
from app.widgets import theme


@pytest.fixture
def show(qtbot):
    def make(parts: Parts) -> CentreView:
        centre = CentreView(parts)
        qtbot.addWidget(centre)
        centre.resize(900, 700)
        theme.dress(centre)
        centre.show()
        return centre

    return make


def shown_cards(centre: CentreView) -> list:
    return [card for card in centre.grid.cards if card.isVisible()]


def titles(centre: CentreView) -> list[str]:
    return [card.title.text() for card in shown_cards(centre)]


def set_panes(parts: Parts, *panes: int) -> None:
    """Shows panes and lets the layout place them."""
    parts.looking.set_panes(panes)
    QApplication.processEvents()


def click_pixel(qtbot, pane, pixel: tuple[int, int]) -> None:
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=pane.point_of(pixel).toPoint())


def lightness(image: QImage) -> int:
    return image.pixelColor(0, 0).lightness()


# ---- before decoding ---------------------------------------------------------------------------------------------


def test_without_a_measurement_the_drop_area_offers_files_and_samples(qtbot, make_parts, fake, show):
    centre = show(make_parts(fake))
    assert centre.empty.isVisible() and "Drop a measurement" in centre.empty.heading.text()
    card = centre.empty.samples["cassi"]
    with qtbot.waitSignal(centre.sample_requested) as asked:
        qtbot.mouseClick(card, Qt.MouseButton.LeftButton)
    assert asked.args == ["cassi"]
    with qtbot.waitSignal(centre.sample_requested):
        qtbot.keyClick(card, Qt.Key.Key_Return)
    with qtbot.waitSignal(centre.open_requested):
        qtbot.mouseClick(centre.empty.open_button, Qt.MouseButton.LeftButton)


def test_an_opened_measurement_is_shown_itself_with_nothing_that_needs_stages(opened, show):
    centre = show(opened)
    assert titles(centre) == ["Measurement"]
    assert not centre.stepping.isVisible()
    assert not any(button.isVisible() for button in centre.mode_buttons.buttons())


def test_files_being_read_are_announced(qtbot, make_parts, fake, show, snapshot):
    parts = make_parts(fake)
    centre = show(parts)
    parts.session.open([snapshot])
    assert "Reading" in centre.empty.heading.text()
    qtbot.waitUntil(lambda: titles(centre) == ["Measurement"])


# ---- panes -------------------------------------------------------------------------------------------------------


def test_every_pane_names_its_stage_with_residual_quality_and_time(decoded, show):
    centre = show(decoded)
    set_panes(decoded, 0, 3, REFERENCE)
    assert titles(centre) == ["Start", "Stage 3", "Reference"]
    figures = shown_cards(centre)[1].figures.toolTip()
    assert figures.startswith("residual ") and "dB" in figures and figures.endswith(" s")


def test_figures_that_do_not_fit_are_left_out_whole(decoded, show):
    centre = show(decoded)
    set_panes(decoded, 3)
    label = shown_cards(centre)[0].figures
    for width in (400, 200, 100, 10):
        label.resize(width, 20)
        assert label.fontMetrics().horizontalAdvance(label.text) <= width
        assert label.toolTip().startswith(label.text)
    assert label.text == ""


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7])
def test_any_number_of_panes_fills_a_grid_without_overlap(decoded, show, count):
    centre = show(decoded)
    set_panes(decoded, *(0, 1, 2, 3, 4, 5, REFERENCE)[:count])
    places = [card.geometry() for card in shown_cards(centre)]
    assert len(places) == count
    assert not any(a.intersects(b) for a in places for b in places if a is not b)
    for sizes in zip(*((place.width(), place.height()) for place in places), strict=True):
        assert max(sizes) - min(sizes) <= 2


def test_one_pane_can_fill_the_centre_follow_the_stage_and_go_back(qtbot, decoded, show):
    centre = show(decoded)
    set_panes(decoded, 1, 3)
    qtbot.mouseClick(centre.grid.cards[1].expand, Qt.MouseButton.LeftButton)
    assert titles(centre) == ["Result · stage 3"]
    decoded.looking.select_stage(4)
    assert titles(centre) == ["Result · stage 4"]
    qtbot.mouseClick(centre.grid.cards[0].expand, Qt.MouseButton.LeftButton)
    assert titles(centre) == ["Stage 1", "Stage 4"]


def test_a_pane_can_be_closed_but_not_the_last_one(qtbot, decoded, show):
    centre = show(decoded)
    set_panes(decoded, 1, 3)
    qtbot.mouseClick(centre.grid.cards[0].close_button, Qt.MouseButton.LeftButton)
    assert decoded.session.selection.panes == (3,)
    assert not centre.grid.cards[0].close_button.isVisible()


def test_a_click_pins_a_pixel_and_turns_to_the_stage_of_its_pane(qtbot, decoded, show):
    centre = show(decoded)
    set_panes(decoded, 1, 3, REFERENCE)
    click_pixel(qtbot, centre.grid.cards[0].pane, (5, 6))
    assert (decoded.session.selection.pixel, decoded.session.selection.stage) == ((5, 6), 1)
    click_pixel(qtbot, centre.grid.cards[2].pane, (7, 2))
    assert (decoded.session.selection.pixel, decoded.session.selection.stage) == ((7, 2), 1)


def test_hovering_tells_where_the_mouse_is_and_pins_nothing(qtbot, decoded, show):
    centre = show(decoded)
    set_panes(decoded, 1, 3)
    cursors = []
    centre.cursor_moved.connect(cursors.append)
    pane = centre.grid.cards[1].pane
    qtbot.mouseMove(pane, pane.point_of((2, 3)).toPoint())
    assert cursors == [Cursor(3, 2, 3)] and cursors[0].is_in_scene
    assert centre.grid.hub.cursor == (2, 3) and decoded.session.selection.pixel is None


def test_in_the_window_spectra_and_status_bar_follow_the_mouse(qtbot, decoded):
    window = MainWindow(decoded)
    qtbot.addWidget(window)
    window.show()
    set_panes(decoded, 1, 3)
    decoded.looking.select_pixel((5, 6))
    pane = window.centre.grid.cards[0].pane
    qtbot.mouseMove(pane, pane.point_of((2, 3)).toPoint())
    assert (
        window.statusBar().cursor.text().startswith("x 3, y 2") and "stage 1: 0.500" in window.statusBar().cursor.text()
    )
    assert "x 3, y 2 mouse" in window.spectrum.where.text()
    window.centre.cursor_moved.emit(None)
    assert window.statusBar().cursor.text().startswith("x 6, y 5") and "mouse" not in window.spectrum.where.text()


def test_a_place_in_the_measurement_is_no_place_in_the_scene(qtbot, opened, show):
    centre = show(opened)
    cursors = []
    centre.cursor_moved.connect(cursors.append)
    pane = centre.grid.cards[0].pane
    qtbot.mouseMove(pane, pane.point_of((2, 17)).toPoint())
    click_pixel(qtbot, pane, (2, 3))
    assert cursors[0] == Cursor(MEASUREMENT, 2, 17) and not cursors[0].is_in_scene
    assert centre.grid.hub.cursor is None and opened.session.selection.pixel is None


def test_another_measurement_starts_with_the_whole_picture_and_no_cursor(qtbot, decoded, show, snapshot):
    centre = show(decoded)
    cursors = []
    centre.cursor_moved.connect(cursors.append)
    centre.grid.hub.look_at(QPointF(0.2, 0.3), 5)
    centre.grid.hub.point_at((15, 13))
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.open([snapshot])
    assert (centre.grid.hub.zoom, centre.grid.hub.cursor, set(cursors)) == (1.0, None, {None})


# ---- stages and bands --------------------------------------------------------------------------------------------


def test_sliders_buttons_and_choices_move_the_selection(qtbot, decoded, show):
    centre = show(decoded)
    stepping = centre.stepping
    stepping.stage_slider.setValue(2)
    stepping.band_slider.setValue(3)
    assert (decoded.session.selection.stage, decoded.session.selection.band) == (2, 3)
    assert stepping.stage_label.text() == "2 of 5"
    assert stepping.band_label.text() == "4 of 4  ·  640.0 nm"
    buttons = [button for button in centre.mode_buttons.buttons() if button.isVisible()]
    assert [button.property("mode") for button in buttons] == [mode for mode in MODES if mode not in OF_LIGHT]
    for button in buttons:
        mode = button.property("mode")
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert decoded.session.selection.mode == mode and button.isChecked()
    for index, wanted in enumerate(STRETCHES.values()):
        centre.exposure.stretch.setCurrentIndex(index)
        centre.exposure.stretch.activated.emit(index)
        assert (decoded.session.selection.stretch, decoded.session.selection.shared_stretch) == wanted
        assert centre.exposure.stretch.currentIndex() == index


def test_moving_through_the_bands_shows_them(decoded, show):
    centre = show(decoded)
    centre.stepping.band_slider.setValue(1)
    assert decoded.session.selection.mode == "band"
    decoded.looking.set_mode("montage")
    centre.stepping.band_slider.setValue(0)
    assert decoded.session.selection.mode == "montage"


def test_arrow_keys_step_through_stages_and_bands_and_escape_lets_the_pixel_go(qtbot, decoded, show):
    centre = show(decoded)
    decoded.looking.select_stage(2)
    decoded.looking.select_band(1)
    decoded.looking.select_pixel((3, 4))
    decoded.looking.set_mode("band")
    focused = shown_cards(centre)[0].pane
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Up, Qt.Key.Key_Up, Qt.Key.Key_Down):
        qtbot.keyClick(focused, key)
    assert (decoded.session.selection.stage, decoded.session.selection.band) == (3, 2)
    decoded.looking.set_mode("montage")
    qtbot.keyClick(centre.montage.tiles, Qt.Key.Key_Escape)
    assert decoded.session.selection.pixel is None


def test_a_click_on_the_strip_shows_a_stage_and_ctrl_click_adds_or_takes_away_a_pane(qtbot, decoded, show):
    centre = show(decoded)
    strip = centre.stepping.strip
    assert strip.stages.panes == [0, 1, 2, 3, 4, 5, REFERENCE]
    set_panes(decoded, 5)

    def click(pane: int, *, with_control: bool = False) -> None:
        modifier = Qt.KeyboardModifier.ControlModifier if with_control else Qt.KeyboardModifier.NoModifier
        qtbot.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, modifier, strip.place(pane).center())

    click(4)
    assert decoded.session.selection.panes == (4,)
    click(REFERENCE)
    click(1, with_control=True)
    assert decoded.session.selection.panes == (1, 4, REFERENCE)
    click(4, with_control=True)
    click(REFERENCE)
    assert decoded.session.selection.panes == (1,)
    click(1, with_control=True)
    assert decoded.session.selection.panes == (1,)  # something is always shown


def test_thumbnails_come_one_by_one_after_the_event_and_are_made_anew_for_another_decode(qtbot, decoded, show):
    centre = show(decoded)
    stages = centre.stepping.strip.stages
    assert len(stages.missing) == 7
    qtbot.waitUntil(lambda: not stages.missing)
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.restore()
    qtbot.waitUntil(lambda: len(stages.panes) == 7 and not stages.missing)


def test_playing_runs_through_the_stages_and_stops_at_the_last(qtbot, decoded, show, monkeypatch):
    monkeypatch.setattr(stepping, "PLAY_MS", (1, 1))
    centre = show(decoded)
    seen = []
    decoded.session.selection_changed.connect(lambda: seen.append(decoded.session.selection.stage))
    qtbot.mouseClick(centre.stepping.play, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not centre.stepping.play.isChecked(), timeout=10_000)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_the_newest_stage_is_followed_until_the_user_looks_elsewhere(qtbot, opened, fake, gate_type, show):
    centre = show(opened)
    fake.gate = gate_type(at=4)
    opened.session.restore()
    qtbot.waitUntil(lambda: centre.stepping.stage_label.text() == "3 of 5")
    centre.stepping.stage_slider.setValue(1)
    with qtbot.waitSignal(opened.lanes.idle):
        fake.gate.is_open.set()
    assert centre.stepping.stage_label.text() == "1 of 5"
    assert centre.stepping.stage_slider.maximum() == 5


def test_sixty_stages_are_no_trouble(qtbot, make_parts, fake_decoder_type, snapshot, show):
    parts = make_parts(fake_decoder_type(num_stages=60))
    centre = show(parts)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    with qtbot.waitSignal(parts.lanes.idle, timeout=20_000):
        parts.session.restore()
    assert centre.stepping.stage_label.text() == "60 of 60"
    assert titles(centre) == ["Result · stage 60"]
    parts.looking.set_layout("grid")
    assert len(shown_cards(centre)) == 4
    strip = centre.stepping.strip
    qtbot.waitUntil(lambda: not strip.stages.missing)
    assert strip.horizontalScrollBar().value() > 0  # the newest is in sight
    strip.resize(strip.width() // 2, strip.height())
    qtbot.waitUntil(lambda: strip.viewport().rect().contains(strip.place(parts.session.selection.stage).center()))
    parts.looking.select_stage(0)
    assert strip.horizontalScrollBar().value() == 0


# ---- montage -----------------------------------------------------------------------------------------------------


def test_the_montage_has_a_tile_for_every_band_and_a_click_chooses_one(qtbot, decoded, show):
    centre = show(decoded)
    decoded.looking.set_mode("montage")
    QApplication.processEvents()
    montage = centre.montage.tiles
    for width in range(700, 704):
        centre.resize(width, 500)
        QApplication.processEvents()
        tiles = [montage.tile_rect(band) for band in range(4)]
        assert all(montage.viewport().rect().contains(tile) for tile in tiles), width
    assert not any(a.intersects(b) for a in tiles for b in tiles if a is not b)
    qtbot.mouseClick(montage.viewport(), Qt.MouseButton.LeftButton, pos=tiles[3].center())
    assert decoded.session.selection.band == 3
    qtbot.mouseClick(montage.viewport(), Qt.MouseButton.LeftButton, pos=tiles[0].center())
    qtbot.mouseDClick(montage.viewport(), Qt.MouseButton.LeftButton, pos=tiles[0].center())
    assert (decoded.session.selection.band, decoded.session.selection.mode) == (0, "band")


def test_the_arrow_keys_choose_a_tile_of_the_montage_and_return_shows_it_large(qtbot, decoded, show):
    centre = show(decoded)
    decoded.looking.set_mode("montage")
    decoded.looking.select_band(0)
    montage = centre.montage.tiles
    columns = sum(montage.tile_rect(band).top() == montage.tile_rect(0).top() for band in range(4))
    assert columns in (2, 4)
    qtbot.keyClick(montage, Qt.Key.Key_Right)
    assert decoded.session.selection.band == 1
    qtbot.keyClick(montage, Qt.Key.Key_End)
    assert decoded.session.selection.band == 3
    qtbot.keyClick(montage, Qt.Key.Key_Return)
    assert (decoded.session.selection.band, decoded.session.selection.mode) == (3, "band")


def test_bands_of_a_range_are_all_marked_in_the_montage(decoded, show):
    centre = show(decoded)
    decoded.looking.select_bands((1, 2))
    decoded.looking.set_mode("montage")
    assert sorted(index.row() for index in centre.montage.tiles.selectedIndexes()) == [1, 2]


def test_the_strip_can_be_walked_by_keys_and_says_what_it_shows(qtbot, decoded, show):
    centre = show(decoded)
    strip = centre.stepping.strip
    assert strip.focusPolicy() & Qt.FocusPolicy.TabFocus
    set_panes(decoded, 2, 4)
    decoded.looking.select_stage(4)

    def shown() -> list[str]:
        role = Qt.ItemDataRole.AccessibleTextRole
        return [index.data(role) for index in sorted(strip.selectedIndexes(), key=lambda index: index.row())]

    assert shown() == ["Stage 2", "Stage 4"]
    qtbot.keyClick(strip, Qt.Key.Key_Left)
    assert (decoded.session.selection.stage, shown()) == (3, ["Stage 2", "Stage 3"])
    qtbot.keyClick(strip, Qt.Key.Key_Home)
    assert decoded.session.selection.stage == 0
    qtbot.keyClick(strip, Qt.Key.Key_End)  # the reference is a pane and no stage
    assert decoded.session.selection.stage == 0
    qtbot.keyClick(strip, Qt.Key.Key_Space)
    assert shown() == ["Start", "Stage 2", "Reference"]
    qtbot.keyClick(strip, Qt.Key.Key_Return)
    assert shown() == ["Start", "Stage 2"]


# ---- what is drawn -----------------------------------------------------------------------------------------------


def test_a_shared_stretch_shows_equal_numbers_equally_in_all_panes(decoded):
    pictures = Pictures(decoded)
    set_panes(decoded, 1, 5, REFERENCE)
    for mode in ("colour", "band"):
        decoded.looking.set_mode(mode)
        for stretch in ((1, 99), (0, 100), None):
            decoded.looking.set_stretch(stretch, True)
            bands = None if mode == "colour" else decoded.session.selection.bands
            levels = {pictures.levels(pane, bands) for pane in (0, 1, 5, REFERENCE)}
            assert levels == {pictures.levels(5, bands)}
            assert lightness(pictures.picture(1)) > lightness(pictures.picture(5))  # it is 16 times as bright


def test_a_stretch_of_its_own_shows_every_pane_from_black_to_white(decoded):
    pictures = Pictures(decoded)
    decoded.looking.set_mode("band")
    decoded.looking.set_stretch((0, 100), False)
    band = decoded.session.measurement.reference[decoded.session.selection.band]
    assert pictures.levels(REFERENCE, decoded.session.selection.bands) == pytest.approx((band.min(), band.max()))
    assert pictures.levels(1, decoded.session.selection.bands)[0] == 0.5
    assert pictures.levels(5, decoded.session.selection.bands)[0] == 0.5**5


def test_the_newest_stage_sets_the_shared_levels_while_stages_come(qtbot, opened, fake, gate_type):
    pictures = Pictures(opened)
    opened.looking.set_mode("band")
    opened.looking.set_stretch((1, 99), True)
    fake.gate = gate_type(at=3)
    opened.session.restore()
    qtbot.waitUntil(lambda: opened.session.restoration.done_stages == 2)
    assert pictures.levels(0, (1, 1))[0] == 0.25
    with qtbot.waitSignal(opened.lanes.idle):
        fake.gate.is_open.set()
    assert pictures.levels(0, (1, 1))[0] == 0.5**5


def test_another_decode_is_drawn_anew(qtbot, decoded, fake):
    pictures = Pictures(decoded)
    decoded.looking.set_mode("band")
    decoded.looking.set_stretch((0, 100), False)
    before = pictures.picture(1)
    assert pictures.picture(1) is before
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.restore()
    assert pictures.picture(1) is not before


def test_looking_never_changes_a_number(decoded, show):
    stages = [decoded.session.stages.image(index).copy() for index in range(len(decoded.session.stages))]
    reference, y = decoded.session.measurement.reference.copy(), decoded.session.measurement.y.copy()
    centre = show(decoded)
    for mode in MODES:
        for stretch in STRETCHES.values():
            for look in ("grey", "own", "viridis"):
                decoded.looking.set_mode(mode)
                decoded.looking.set_stretch(*stretch)
                decoded.looking.set_look(look)
                set_panes(decoded, 0, 2, REFERENCE, MEASUREMENT)
                centre.grab()
    assert all(np.array_equal(decoded.session.stages.image(index), image) for index, image in enumerate(stages))
    assert np.array_equal(decoded.session.measurement.reference, reference) and np.array_equal(
        decoded.session.measurement.y, y
    )


def test_nan_in_a_stage_is_drawn_without_an_error(qtbot, opened, fake, show):
    with qtbot.waitSignal(opened.lanes.idle):
        opened.session.restore()
    image = np.full((4, 16, 14), np.nan, np.float32)
    image[:, 8:] = 0.5
    opened.session.measurement = replace_reference(opened, image)
    centre = show(opened)
    opened.looking.set_panes((REFERENCE, 5))
    for mode in MODES:
        for stretch in STRETCHES.values():
            opened.looking.set_mode(mode)
            opened.looking.set_stretch(*stretch)
            centre.grab()
            assert lightness(centre.pictures.picture(REFERENCE)) == 0


def replace_reference(parts: Parts, image: np.ndarray):
    """The measurement with a reference that no file could bring: what a diverging decode may leave."""
    measurement = replace(parts.session.measurement)
    object.__setattr__(measurement, "reference", image)
    return measurement


def test_bands_are_drawn_in_grey_in_their_own_colour_or_through_a_map(qtbot, decoded, show):
    centre = show(decoded)
    decoded.looking.set_mode("band")
    decoded.looking.select_band(3)  # 640 nm
    set_panes(decoded, REFERENCE)
    assert centre.look.isVisible() and not centre.light.isVisible()
    pixels = {}
    for index in range(centre.look.count()):
        centre.look.setCurrentIndex(index)
        centre.look.activated.emit(index)
        pixels[centre.look.currentData()] = centre.pictures.picture(REFERENCE).pixelColor(3, 3)
    grey, own = pixels["grey"], pixels["own"]
    assert grey.red() == grey.green() == grey.blue() and own.red() > own.green() == own.blue()
    assert len({colour.rgb() for colour in pixels.values()}) == 3


def test_colour_names_its_illuminant_and_observer(decoded, show):
    centre = show(decoded)
    assert centre.light.isVisible() and centre.light.text() == "D65 · CIE 1931"


def test_without_wavelengths_bands_have_an_index_and_colour_is_called_false(decoded, show):
    decoded.session.measurement = replace(decoded.session.measurement, wavelengths_nm=None)
    centre = show(decoded)
    assert centre.light.text() == "False colour · bands 4, 3, 1"
    decoded.looking.set_look("own")  # chosen for another measurement
    for mode in MODES:
        decoded.looking.set_mode(mode)
        centre.grab()
    assert "band index" in centre.stepping.band_label.text()
    assert [centre.look.itemData(index) for index in range(centre.look.count())] == ["grey", "viridis"]


def test_the_centre_changes_its_theme(decoded, show, wear):
    centre = show(decoded)
    for mode in MODES:
        decoded.looking.set_mode(mode)
        wear(theme.light())
        light = centre.grab().toImage()
        wear(theme.dark())
        assert centre.grab().toImage() != light


def test_a_snapshot_is_shown_while_its_geometry_is_still_in_question(qtbot, make_parts, fake, foreign, show):
    parts = make_parts(fake)
    centre = show(parts)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open(foreign)
    assert parts.session.measurement is None and parts.session.role_table.solutions
    assert titles(centre) == ["Measurement"]
    assert centre.pictures.size(MEASUREMENT) == np.load(foreign[0]).shape
    assert lightness(centre.grid.cards[0].pane.grab().toImage()) > 0
