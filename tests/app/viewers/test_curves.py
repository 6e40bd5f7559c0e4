"""The right column: spectra at a pixel and under the mouse, and how the restoration converged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QApplication

from app.assembly import Parts
from app.document.recipe import Restoration
from app.document.selection import MEASUREMENT
from app.viewers.convergence import ConvergenceView
from app.viewers.grid import Cursor
from app.viewers.spectrum import BOXES, SpectrumView
from app.widgets import theme
from lorun_engine.decoding.restore import StageResult


@pytest.fixture
def show(qtbot):
    def make(view_class, parts: Parts):
        view = view_class(parts)
        qtbot.addWidget(view)
        view.resize(360, 400)
        theme.dress(view)
        view.show()
        return view

    return make


def points(curve) -> list[list[float]]:
    """The x and y of a curve, without the gaps; two empty lists when nothing is drawn."""
    x, y = curve.getData()
    return [[], []] if x is None else [x[np.isfinite(x)].tolist(), y[np.isfinite(y)].tolist()]


WAVELENGTHS_NM = [450.0, 500.0, 560.0, 640.0]


# ---- spectra -----------------------------------------------------------------------------------------------------


def test_the_fan_has_the_spectra_of_all_stages_and_the_chosen_last_and_true_ones_stand_out(decoded, show):
    view = show(SpectrumView, decoded)
    decoded.looking.select_stage(2)
    decoded.looking.select_pixel((3, 4))
    pinned = view.places[0]
    assert points(pinned.fan) == [6 * WAVELENGTHS_NM, np.repeat(0.5 ** np.arange(6), 4).tolist()]
    assert points(pinned.chosen) == [WAVELENGTHS_NM, 4 * [0.25]]
    assert points(pinned.last) == [WAVELENGTHS_NM, 4 * [0.5**5]]
    np.testing.assert_allclose(points(view.reference)[1], decoded.session.measurement.reference[:, 3, 4])
    assert view.reference.opts["pen"].style() == Qt.PenStyle.DashLine
    assert "x 4, y 3" in view.where.text() and "reference" in view.what.text()


def test_the_fan_leaves_a_gap_between_two_stages(decoded, show):
    view = show(SpectrumView, decoded)
    decoded.looking.select_pixel((3, 4))
    x, _ = view.places[0].fan.getData()
    assert np.isnan(x[4::5]).all() and view.places[0].fan.opts["connect"] == "finite"


def test_under_the_mouse_all_stages_are_shown_and_of_the_pinned_pixel_the_chosen_one(decoded, show):
    view = show(SpectrumView, decoded)
    decoded.looking.select_pixel((3, 4))
    view.show_cursor(Cursor(5, 7, 2))
    pinned, hovered = view.places
    assert len(points(pinned.fan)[0]) == 4 and len(points(hovered.fan)[0]) == 24
    np.testing.assert_allclose(points(view.reference)[1], decoded.session.measurement.reference[:, 7, 2])
    view.show_cursor(Cursor(MEASUREMENT, 7, 2))  # has no spectrum
    assert points(hovered.fan) == [[], []] and len(points(pinned.fan)[0]) == 24
    view.show_cursor(None)
    decoded.looking.select_pixel(None)
    assert points(pinned.chosen) == [[], []] and "Move over a picture" in view.where.text()


def test_the_curves_have_the_colours_of_their_markers(decoded, show, wear):
    view = show(SpectrumView, decoded)
    for tokens in (theme.light(), theme.dark()):
        wear(tokens)
        for place, colour in zip(view.places, tokens.curves, strict=False):
            assert place.chosen.opts["pen"].color().name() == colour


@pytest.mark.parametrize("words", list(BOXES))
def test_a_box_averages_the_pixels_around_the_place_and_is_cut_at_the_border(decoded, show, words):
    view = show(SpectrumView, decoded)
    decoded.looking.select_pixel((0, 5))
    view.box.setCurrentText(words)
    reach = BOXES[words] // 2
    box = decoded.session.measurement.reference[:, : reach + 1, 5 - reach : 6 + reach]
    np.testing.assert_allclose(points(view.reference)[1], box.mean(axis=(1, 2)), rtol=1e-6)


def test_the_band_looked_at_is_marked_at_its_wavelength(decoded, show):
    view = show(SpectrumView, decoded)
    decoded.looking.select_band(3)
    assert view.here.value() == 640


def test_without_wavelengths_the_axis_counts_bands(decoded, show):
    decoded.session.measurement = replace(decoded.session.measurement, wavelengths_nm=None)
    view = show(SpectrumView, decoded)
    decoded.looking.select_pixel((3, 4))
    assert points(view.places[0].chosen)[0] == [1, 2, 3, 4]
    assert view.plot.getPlotItem().getAxis("bottom").labelText == "band index"


def test_the_card_says_what_is_missing_and_asks_for_a_file_once_there_is_something(qtbot, opened, show):
    view = show(SpectrumView, opened)
    assert "once a snapshot is decoded" in view.where.text() and not view.csv.isEnabled()
    with qtbot.waitSignal(opened.lanes.idle):
        opened.session.restore()
    assert not view.csv.isEnabled() and "Click a pixel" in view.csv.toolTip()
    opened.looking.select_pixel((1, 1))
    with qtbot.waitSignal(view.export_requested):
        view.csv.click()


def test_another_measurement_has_no_spectra_yet(qtbot, decoded, show, snapshot):
    view = show(SpectrumView, decoded)
    decoded.looking.select_pixel((3, 4))
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.open([snapshot])
    assert points(view.places[0].fan) == [[], []] and points(view.reference) == [[], []]


# ---- convergence -------------------------------------------------------------------------------------------------


def texts(view: ConvergenceView, row: int) -> list[str]:
    return [view.figures.index(row, column).data() for column in range(view.figures.columnCount())]


def test_the_table_lists_every_figure_there_is(decoded, show):
    view = show(ConvergenceView, decoded)
    headings = [
        view.figures.headerData(column, Qt.Orientation.Horizontal) for column in range(view.figures.columnCount())
    ]
    assert headings == ["#", "residual", "PSNR", "SSIM", "SAM", "s", "ρ"]
    assert [texts(view, row)[0] for row in range(view.figures.rowCount())] == ["start", "1", "2", "3", "4", "5"]
    assert texts(view, 5)[6] == "0.500"


def test_without_a_reference_there_is_neither_psnr_nor_its_axis(qtbot, opened, show):
    opened.session.measurement = replace(opened.session.measurement, reference=None)
    view = show(ConvergenceView, opened)
    with qtbot.waitSignal(opened.lanes.idle):
        opened.session.restore()
    assert view.figures.names == ["stage", "residual", "seconds", "rho"]
    assert points(view.psnr) == [[], []] and not view.plot.getPlotItem().getAxis("right").isVisible()


def test_the_curves_are_those_of_the_rows(decoded, show):
    view = show(ConvergenceView, decoded)
    rows = decoded.session.stages.rows()
    assert points(view.residual) == [[0, 1, 2, 3, 4, 5], [row.residual for row in rows]]
    assert points(view.psnr)[1] == [row.metrics["psnr"] for row in rows]


def test_a_row_chooses_its_stage_and_the_stage_its_row(decoded, show):
    view = show(ConvergenceView, decoded)
    view.table.setCurrentIndex(view.figures.index(3, 2))
    assert decoded.session.selection.stage == 3
    decoded.looking.select_stage(1)
    assert view.table.currentIndex().row() == 1 and view.here.value() == 1


def test_a_click_on_the_curve_chooses_the_nearest_stage(qtbot, decoded, show):
    view = show(ConvergenceView, decoded)
    QApplication.processEvents()
    box = view.plot.getPlotItem().getViewBox()
    for stage, x in ((2, 2.2), (4, 3.7)):
        place = view.plot.mapFromScene(box.mapViewToScene(QPointF(x, box.viewRect().center().y())))
        qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert decoded.session.selection.stage == stage


def test_sixty_rows_come_one_by_one_and_the_chosen_one_is_in_sight(
    qtbot, make_parts, fake_decoder_type, snapshot, show
):
    parts = make_parts(fake_decoder_type(num_stages=60))
    view, spectra = show(ConvergenceView, parts), show(SpectrumView, parts)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    parts.looking.select_pixel((2, 2))
    with qtbot.waitSignal(parts.lanes.idle, timeout=20_000):
        parts.session.restore()
    assert view.figures.rowCount() == 61 and len(points(spectra.places[0].fan)[0]) == 61 * 4
    for stage in (60, 0, 30):
        parts.looking.select_stage(stage)
        place = view.table.visualRect(view.figures.index(stage, 0))
        assert view.table.viewport().rect().intersects(place)


def test_another_decode_starts_another_table(qtbot, decoded, show):
    view = show(ConvergenceView, decoded)
    counts = []
    view.figures.modelReset.connect(lambda: counts.append(view.figures.rowCount()))
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.restore()
    assert counts[0] < 6 and view.figures.rowCount() == 6


def test_no_figure_is_cut(decoded, show):
    view = show(ConvergenceView, decoded)
    for column in range(view.figures.columnCount()):
        needed = max(view.table.sizeHintForColumn(column), view.table.horizontalHeader().sectionSizeHint(column))
        assert view.table.columnWidth(column) >= needed


def test_the_figures_of_a_shipped_set_fit_into_the_right_column(opened, show, wear):
    wear(theme.light())
    image, metrics = np.zeros((4, 16, 14), np.float32), {"psnr": 31.97, "ssim": 0.924, "sam": 5.83}
    for index, residual in enumerate((0.00803, 0.0268, 0.00777)):  # the second with an arrow
        parameters = {"mu": 0.813, "nu": 1.32} if index else {}
        opened.session.stages.append(StageResult(index, image, residual, 12.3, metrics=metrics, parameters=parameters))
    opened.session.restoration = Restoration("done", done_stages=2, num_stages=2)
    opened.session.num_announced = 3
    view = show(ConvergenceView, opened)
    view.setFixedWidth(theme.RIGHT_WIDTH)
    assert view.figures.columnCount() == 8 and texts(view, 1)[5] == "12"
    widths = [view.table.columnWidth(column) for column in range(8)]
    assert sum(widths) <= view.table.viewport().width()


def test_both_cards_change_their_theme(decoded, show, wear):
    decoded.looking.select_pixel((3, 4))
    for view_class in (SpectrumView, ConvergenceView):
        wear(theme.light())
        view = show(view_class, decoded)
        light = view.grab().toImage()
        wear(theme.dark())
        assert view.grab().toImage() != light
