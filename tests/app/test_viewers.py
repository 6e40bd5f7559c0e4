"""The viewers: what they show of the session, what mouse and keyboard do, and that a display never touches the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QWheelEvent
from PySide6.QtWidgets import QApplication

from app import render, theme
from app.session import MEASUREMENT, REFERENCE
from app.viewers.centre import STRETCHES, CentreView
from app.viewers.convergence import ConvergenceView
from app.viewers.panes import ImagePane, ViewHub
from app.viewers.spectrum import SpectrumView


@pytest.fixture
def decoded(qtbot, opened):
    """A session with all stages of the fake decoder: stage k is 0.5^k everywhere."""
    with qtbot.waitSignal(opened.worker_idle):
        opened.restore()
    return opened


@pytest.fixture
def show(qtbot):
    def make(view_class, session):
        view = view_class(session, theme.light())
        qtbot.addWidget(view)
        view.resize(900, 700)
        view.show()
        return view

    return make


def pane_names(centre: CentreView) -> list[str]:
    return [card.title.text() for card in centre.grid.cards]


# ---- rendering ---------------------------------------------------------------------------------------------------


def test_levels_are_percentiles_without_nan_and_never_equal():
    image = np.arange(101.0)
    assert render.levels_of(image, 1, 99) == pytest.approx((1, 99))
    image[50:] = np.nan
    assert render.levels_of(image, 0, 100) == (0, 49)
    black, white = render.levels_of(np.full((4, 5), 3.0), 1, 99)
    assert black == 3 and white > black
    assert render.levels_of(np.full(3, np.nan), 1, 99) == (0, 1)


def test_grey_is_linear_between_the_levels_and_nan_is_black():
    plane = np.array([[0.0, 0.5, 1.0, 2.0, -1.0, np.nan]], np.float32)
    assert render.grey_bytes(plane, (0, 1)).tolist() == [[0, 127, 255, 255, 0, 0]]


def test_a_flat_spectrum_is_grey_in_the_colour_picture_with_and_without_wavelengths():
    cube = np.full((7, 3, 4), 0.5, np.float32)
    for wavelengths_nm in (np.linspace(420, 680, 7), None):
        linear = render.linear_colour(cube, render.colour_weights(wavelengths_nm, 7))
        picture = render.colour_bytes(linear, (0, 1)).astype(int)
        assert np.ptp(picture) <= 3
        assert abs(int(picture[0, 0, 0]) - 188) <= 3  # sRGB of 0.5


def test_the_longest_band_is_red_and_the_shortest_blue():
    for wavelengths_nm in (np.linspace(450, 640, 9), None):
        weights = render.colour_weights(wavelengths_nm, 9)
        assert weights[-1].argmax() == 0 and weights[0].argmax() == 2


def test_a_montage_has_a_place_for_every_band():
    for num_bands in (1, 3, 24, 28, 31, 64):
        for aspect in (0.3, 1.0, 2.5):
            rows, columns = render.montage_grid(num_bands, aspect)
            assert (rows - 1) * columns < num_bands <= rows * columns


# ---- panes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def pane(qtbot):
    hub = ViewHub()
    pane = ImagePane(hub, theme.light())
    qtbot.addWidget(pane)
    pane.resize(300, 200)
    pane.show_image(QImage(60, 40, QImage.Format.Format_Grayscale8))
    pane.show()
    return pane


def wheel(pane: ImagePane, at: QPointF, notches: int) -> None:
    event = QWheelEvent(
        at, at, QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(pane, event)


def test_the_pixel_under_the_mouse_stays_there_while_zooming(pane):
    at = QPointF(100, 60)
    before = pane.pixel_at(at)
    for notches in (3, 4, -2):
        wheel(pane, at, notches)
        assert pane.pixel_at(at) == before
    assert pane._hub.zoom > 1


def test_zooming_out_ends_at_the_fitting_view(pane):
    wheel(pane, QPointF(10, 10), 5)
    wheel(pane, QPointF(280, 190), -50)
    assert (pane._hub.zoom, pane._hub.centre) == (1.0, QPointF(0.5, 0.5))


def test_resizing_never_moves_or_zooms_the_panes(qtbot, pane):
    other = ImagePane(pane._hub, theme.light())
    qtbot.addWidget(other)
    other.show_image(QImage(60, 40, QImage.Format.Format_Grayscale8))
    wheel(pane, QPointF(100, 60), 4)
    state = pane._hub.zoom, pane._hub.centre
    for number in range(200):
        pane.resize(200 + 7 * number % 300, 150 + 13 * number % 200)
        other.resize(500 - 3 * number % 300, 150 + 5 * number % 100)
        QApplication.processEvents()
    assert (pane._hub.zoom, pane._hub.centre) == state


def test_a_pixel_and_its_point_on_the_screen_belong_together(pane):
    wheel(pane, QPointF(100, 60), 2)
    for pixel in ((20, 20), (19, 25)):
        assert pane.pixel_at(pane.point_of(pixel)) == pixel
    assert pane.pixel_at(QPointF(-1000, 0)) is None


# ---- the centre --------------------------------------------------------------------------------------------------


def test_without_a_measurement_the_drop_area_offers_files_and_samples(qtbot, make_session, fake, show):
    centre = show(CentreView, make_session(fake))
    assert centre.empty.isVisible()
    with qtbot.waitSignal(centre.sample_requested) as asked:
        centre.empty.samples["cassi"].click()
    assert asked.args == ["cassi"]


def test_an_opened_measurement_is_shown_itself_before_it_is_decoded(opened, show):
    centre = show(CentreView, opened)
    assert pane_names(centre) == ["Measurement"]
    assert not centre.stage_slider.isEnabled()
    assert centre.stage_label.text() == "not decoded yet"


def test_every_pane_names_its_stage_and_its_residual(decoded, show):
    centre = show(CentreView, decoded)
    decoded.set_panes((0, 3, REFERENCE))
    assert pane_names(centre) == ["Initial estimate", "Stage 3", "Reference"]
    assert centre.grid.cards[1].figures.text().startswith("residual ")
    assert "dB" in centre.grid.cards[1].figures.text()


def test_sliders_buttons_and_choices_move_the_selection(qtbot, decoded, show):
    centre = show(CentreView, decoded)
    centre.stage_slider.setValue(2)
    centre.band_slider.setValue(3)
    assert (decoded.selection.stage, decoded.selection.band) == (2, 3)
    assert centre.stage_label.text() == "2 of 5"
    assert "640.0 nm" in centre.band_label.text()
    for button in centre._mode_buttons.buttons():
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert decoded.selection.mode == button.property("mode")
    centre.stretch.setCurrentIndex(3)
    centre.stretch.activated.emit(3)
    assert (*decoded.selection.stretch, decoded.selection.shared_stretch) == list(STRETCHES.values())[3]


def test_arrow_keys_step_through_stages_and_bands_and_escape_lets_the_cursor_go(qtbot, decoded, show):
    centre = show(CentreView, decoded)
    decoded.select_stage(2)
    decoded.select_band(1)
    decoded.select_pixel((3, 4))
    pane = centre.grid.cards[0].pane
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Up, Qt.Key.Key_Up, Qt.Key.Key_Down):
        qtbot.keyClick(pane, key)
    assert (decoded.selection.stage, decoded.selection.band) == (3, 2)
    qtbot.keyClick(pane, Qt.Key.Key_Escape)
    assert decoded.selection.pixel is None


def test_hovering_moves_the_cursor_and_a_click_holds_it(qtbot, decoded, show):
    centre = show(CentreView, decoded)
    pane = centre.grid.cards[-1].pane
    pane.hovered.emit((2, 3))
    assert decoded.selection.pixel == (2, 3)
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=pane.point_of((5, 6)).toPoint())
    assert decoded.selection.pixel == (5, 6)
    pane.hovered.emit((1, 1))
    assert decoded.selection.pixel == (5, 6)
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=pane.point_of((5, 6)).toPoint())
    pane.hovered.emit((1, 1))
    assert decoded.selection.pixel == (1, 1)


def test_a_click_on_the_strip_shows_a_stage_and_ctrl_click_adds_a_pane(qtbot, decoded, show):
    centre = show(CentreView, decoded)
    strip = centre.strip.strip
    assert strip.panes == [0, 1, 2, 3, 4, 5, REFERENCE]
    decoded.set_panes((5,))
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=strip.place(1).center())
    assert decoded.selection.panes == (1,)
    for position in (4, 6):
        qtbot.mouseClick(
            strip, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, strip.place(position).center()
        )
    assert decoded.selection.panes == (1, 4, REFERENCE)
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, strip.place(4).center())
    assert decoded.selection.panes == (1, REFERENCE)
    qtbot.waitUntil(lambda: len(strip._images) == 7)


def test_one_pane_can_fill_the_centre_and_go_back(qtbot, decoded, show):
    centre = show(CentreView, decoded)
    decoded.set_panes((1, 3))
    qtbot.mouseClick(centre.grid.cards[1].expand, Qt.MouseButton.LeftButton)
    assert pane_names(centre) == ["Stage 3"]
    qtbot.mouseClick(centre.grid.cards[0].expand, Qt.MouseButton.LeftButton)
    assert pane_names(centre) == ["Stage 1", "Stage 3"]


def test_playing_runs_through_the_stages_and_stops(qtbot, decoded, show):
    centre = show(CentreView, decoded)
    centre._player.setInterval(1)
    qtbot.mouseClick(centre.play, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not centre.play.isChecked())
    assert decoded.selection.stage == 5


def test_the_montage_shows_every_band_and_a_click_chooses_one(qtbot, decoded, show):
    centre = show(CentreView, decoded)
    decoded.set_mode("montage")
    assert len(centre.montage._tiles) == 4
    qtbot.mouseClick(centre.montage, Qt.MouseButton.LeftButton, pos=centre.montage._place(2).center().toPoint())
    assert decoded.selection.band == 2


def test_a_shared_stretch_shows_equal_numbers_equally_and_an_own_stretch_does_not(decoded, show):
    centre = show(CentreView, decoded)
    decoded.set_mode("band")
    decoded.set_panes((1, 5))

    def brightness() -> list[int]:
        images = [centre._pictures.picture(pane).convertToFormat(QImage.Format.Format_Grayscale8) for pane in (1, 5)]
        return [image.pixelColor(0, 0).lightness() for image in images]

    decoded.set_stretch(0, 100, True)
    first, last = brightness()
    assert first > last  # stage 1 is 16 times as bright as stage 5
    decoded.set_stretch(0, 100, False)
    assert brightness()[0] == brightness()[1]


def test_looking_never_changes_a_number(qtbot, decoded, show):
    before = [decoded.stages.image(index).copy() for index in range(len(decoded.stages))]
    reference = decoded.measurement.reference.copy()
    centre = show(CentreView, decoded)
    for mode in ("colour", "band", "montage"):
        decoded.set_mode(mode)
        decoded.set_panes((0, 2, REFERENCE, MEASUREMENT))
        centre.grab()
    assert all(np.array_equal(decoded.stages.image(index), image) for index, image in enumerate(before))
    assert np.array_equal(decoded.measurement.reference, reference)


def test_nan_in_a_stage_is_drawn_without_an_error(decoded, show):
    image = np.full((4, 16, 14), np.nan, np.float32)
    decoded.stages._images[5] = image
    centre = show(CentreView, decoded)
    for mode in ("colour", "band", "montage"):
        decoded.set_mode(mode)
        centre.grab()


def test_sixty_stages_are_no_trouble(qtbot, make_session, fake_decoder_type, snapshot, show):
    session = make_session(fake_decoder_type(num_stages=60))
    centre, convergence = show(CentreView, session), show(ConvergenceView, session)
    with qtbot.waitSignal(session.worker_idle):
        session.open([snapshot])
    with qtbot.waitSignal(session.worker_idle, timeout=20_000):
        session.restore()
    assert convergence.table.rowCount() == 61
    assert centre.stage_label.text() == "60 of 60"
    qtbot.waitUntil(lambda: len(centre.strip.strip._images) == 62)


# ---- the right column --------------------------------------------------------------------------------------------


def curves(view: SpectrumView) -> list[tuple[np.ndarray, np.ndarray]]:
    return [item.getData() for item in view.plot.getPlotItem().listDataItems()]


def test_the_spectrum_at_the_cursor_is_that_of_the_stage_and_the_reference(decoded, show):
    view = show(SpectrumView, decoded)
    decoded.select_stage(2)
    decoded.select_pixel((3, 4))
    x, y = curves(view)[-2]  # the chosen stage is drawn above the fan, the reference above it
    np.testing.assert_allclose(x, [450, 500, 560, 640])
    np.testing.assert_allclose(y, 0.25)
    np.testing.assert_allclose(curves(view)[-1][1], decoded.measurement.reference[:, 3, 4])
    assert len(curves(view)) == 7  # six stages and the reference


def test_a_box_averages_the_pixels_around_the_cursor_and_is_cut_at_the_edge(decoded, show):
    view = show(SpectrumView, decoded)
    decoded.select_pixel((0, 0))
    view.box.setCurrentIndex(1)
    expected = decoded.measurement.reference[:, :2, :2].mean(axis=(1, 2))
    np.testing.assert_allclose(curves(view)[-1][1], expected, rtol=1e-6)


def test_the_spectra_card_says_what_is_missing_and_asks_for_a_file_when_there_is_something(qtbot, opened, show):
    view = show(SpectrumView, opened)
    assert "once a snapshot is decoded" in view.where.text()
    assert not view.csv.isEnabled()
    with qtbot.waitSignal(opened.worker_idle):
        opened.restore()
    assert "Move over a picture" in view.where.text()
    opened.select_pixel((1, 1))
    with qtbot.waitSignal(view.export_requested):
        view.csv.click()


def test_the_table_lists_every_figure_and_choosing_a_row_chooses_the_stage(decoded, show):
    view = show(ConvergenceView, decoded)
    headers = [view.table.horizontalHeaderItem(column).text() for column in range(view.table.columnCount())]
    assert headers == ["stage", "residual", "PSNR", "SSIM", "SAM °", "ρ", "s"]
    assert [view.table.item(row, 0).text() for row in range(view.table.rowCount())] == list("012345")
    view.table.setCurrentCell(3, 0)
    assert decoded.selection.stage == 3
    decoded.select_stage(1)
    assert view.table.currentRow() == 1
    assert len(view.curve.getData()[0]) == 6


def test_every_view_can_change_its_theme(decoded, show):
    for view_class in (CentreView, SpectrumView, ConvergenceView):
        view = show(view_class, decoded)
        light = view.grab().toImage().pixelColor(450, 350).lightness()
        view.set_theme(theme.dark())
        assert view.grab().toImage().pixelColor(450, 350).lightness() <= light
