"""Points and regions: drawn by mouse and keys on any pane, measured, exported, and taken back."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QUndoStack

from app.document.region import Region
from app.document.regions import AT_ONCE
from app.document.selection import MEASUREMENT, REFERENCE
from app.viewers.centre import CentreView
from app.viewers.insets import inset_places
from app.viewers.region_panel import RegionPanel
from app.viewers.regions import region_colour
from app.widgets import theme
from lorun_engine.decoding.metrics import score
from lorun_engine.io.spectra import read_library

HEIGHT, WIDTH = 16, 14


@pytest.fixture
def stack(decoded) -> QUndoStack:
    return decoded.corrections.steps


@pytest.fixture
def show(qtbot):
    def make(parts) -> CentreView:
        view = CentreView(parts)
        qtbot.addWidget(view)
        view.resize(900, 700)
        theme.dress(view)
        view.show()
        return view

    return make


@pytest.fixture
def pane(decoded, show):
    """The only pane, with the last stage in it; a pixel of the scene is some 40 px wide."""
    view = show(decoded)
    decoded.looking.set_panes([5])
    pane = view.grid.cards[0].pane
    pane.view = view
    pane.setFocus()
    return pane


def at(pane, y: float, x: float) -> QPoint:
    """Where a point of the scene is seen."""
    return pane.parent().parent().tools.position_of(pane, (y, x)).toPoint()


def drag(qtbot, pane, start: tuple[float, float], end: tuple[float, float]) -> None:
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=at(pane, *start))
    qtbot.mouseMove(pane, at(pane, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
    qtbot.mouseMove(pane, at(pane, *end))
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=at(pane, *end))


def inside(shape: str, *corners: tuple[float, float], side: int = 1) -> np.ndarray:
    """Which pixels of the scene belong to a region."""
    (rows, columns), is_inside = Region(1, shape, corners).pixels((HEIGHT, WIDTH), side=side)
    whole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    whole[rows, columns] = is_inside
    return whole


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# ---- which pixels ------------------------------------------------------------------------------------------------


def test_a_rectangle_has_the_pixels_between_its_corners_and_ends_at_the_border():
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[2:5, 3:7] = True
    assert (inside("rectangle", (2, 3), (5, 7)) == expected).all()
    assert (inside("rectangle", (5, 7), (2, 3)) == expected).all()
    assert inside("rectangle", (14, 12), (20, 20)).sum() == 4


def test_an_ellipse_has_the_pixels_whose_middle_lies_in_it():
    y, x = np.indices((HEIGHT, WIDTH)) + 0.5
    assert (inside("ellipse", (2, 1), (10, 13)) == (((y - 6) / 4) ** 2 + ((x - 7) / 6) ** 2 <= 1)).all()


def test_a_triangle_has_half_of_its_square_and_a_hollow_polygon_not_its_notch():
    y, x = np.indices((HEIGHT, WIDTH)) + 0.5
    assert (inside("polygon", (0, 0), (8.2, 0), (0, 8.2)) == (y + x < 8.2)).all()
    notched = inside("polygon", (0, 0), (0, 6), (6, 6), (6, 4), (2, 4), (2, 2), (6, 2), (6, 0))
    assert notched.sum() == 36 - 8 and not notched[3, 3]


def test_a_point_has_the_box_around_its_pixel():
    assert inside("point", (0, 5)).sum() == 1
    assert inside("point", (0, 5), side=3).sum() == 6


# ---- keeping -----------------------------------------------------------------------------------------------------


def test_adding_moving_and_removing_are_taken_back_and_done_again(decoded, stack):
    regions = decoded.regions
    regions.add("point", [(3, 4)])
    regions.add("rectangle", [(1, 1), (4, 5)])
    for _ in range(3):
        regions.move(2, 1, 0)
    assert regions.chosen.corners == ((4, 1), (7, 5)) and stack.undoText() == "move 2 rectangle"
    regions.remove(1)
    assert [region.number for region in regions.all] == [2]
    stack.undo()
    stack.undo()  # the three steps are one
    assert [region.corners for region in regions.all] == [((3, 4),), ((1, 1), (4, 5))]
    stack.undo()
    stack.undo()
    assert regions.all == ()
    while stack.canRedo():
        stack.redo()
    assert [region.corners for region in regions.all] == [((4, 1), (7, 5))]


def test_a_place_stays_in_the_picture_and_without_a_pixel_there_is_none(decoded):
    regions = decoded.regions
    regions.add("rectangle", [(10, 8), (14, 12)])
    regions.move(1, 100, 100)
    assert regions.chosen.corners == ((12, 10), (16, 14))
    regions.move(1, -100, -100)
    assert regions.chosen.corners == ((0, 0), (4, 4))
    assert regions.add("rectangle", [(3, 3), (3, 9)]) is None
    assert regions.add("point", [(16, 0)]) is None
    assert regions.add("ellipse", [(np.nan, 0), (4, 4)]) is None
    regions.edit(1, [(2, 2), (2, 2)])
    assert regions.chosen.corners == ((0, 0), (4, 4))


def test_the_number_of_a_removed_place_is_not_given_again_while_later_ones_stay(decoded):
    regions = decoded.regions
    for x in range(3):
        regions.add("point", [(0, x)])
    regions.remove(2)
    assert regions.chosen_number == 3 and regions.add("point", [(1, 1)]).number == 4


def test_another_measurement_has_no_places_and_the_same_one_keeps_them(qtbot, decoded, snapshot, samples):
    decoded.regions.add("point", [(3, 4)])
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.open([snapshot])
    assert len(decoded.regions.all) == 1
    with qtbot.waitSignal(decoded.lanes.idle, timeout=60_000):
        decoded.session.open([samples])
    assert decoded.regions.all == () and decoded.regions.chosen is None


# ---- drawing -----------------------------------------------------------------------------------------------------


def test_the_point_tool_keeps_one_point_with_every_click(qtbot, decoded, pane):
    decoded.regions.set_tool("point")
    for y, x in ((2.5, 3.5), (8.5, 9.5)):
        qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=at(pane, y, x))
    assert [region.corners for region in decoded.regions.all] == [((2, 3),), ((8, 9),)]
    assert decoded.session.selection.pixel is None  # that is what a click without a tool pins


@pytest.mark.parametrize("shape", ["rectangle", "ellipse"])
def test_a_drag_draws_a_region_of_whole_pixels_and_lays_the_tool_down(qtbot, decoded, pane, shape):
    decoded.regions.set_tool(shape)
    drag(qtbot, pane, (10.1, 8.9), (3.9, 2.1))
    assert decoded.regions.chosen == Region(1, shape, ((4, 2), (10, 9)))
    assert decoded.regions.tool is None and pane.view.grid.hub.zoom == 1


@pytest.mark.parametrize("how", ["enter", "double click"])
def test_clicks_draw_a_polygon_that_enter_or_a_double_click_closes(qtbot, decoded, pane, how):
    decoded.regions.set_tool("polygon")
    for y, x in ((2, 2), (2, 10), (12, 10)):
        qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=at(pane, y, x))
        qtbot.mouseMove(pane, at(pane, y + 1, x))
    if how == "enter":
        qtbot.keyClick(pane, Qt.Key.Key_Return)
    else:
        qtbot.mouseMove(pane, at(pane, 12, 10))
        qtbot.mouseDClick(pane, Qt.MouseButton.LeftButton, pos=at(pane, 12, 10))
    corners = np.array(decoded.regions.chosen.corners)
    np.testing.assert_allclose(corners, [(2, 2), (2, 10), (12, 10)], atol=0.1)


def test_two_corners_are_no_polygon_and_escape_drops_them_then_the_tool_then_the_choice(qtbot, decoded, pane):
    regions, tools = decoded.regions, pane.view.grid.tools
    regions.add("point", [(1, 1)])
    regions.set_tool("polygon")
    for y, x in ((2, 2), (2, 10)):
        qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=at(pane, y, x))
    qtbot.keyClick(pane, Qt.Key.Key_Return)
    assert len(regions.all) == 1 and tools.draft
    qtbot.keyClick(pane, Qt.Key.Key_Escape)
    assert not tools.draft and regions.tool == "polygon"
    qtbot.keyClick(pane, Qt.Key.Key_Escape)
    assert regions.tool is None and regions.chosen is not None
    qtbot.keyClick(pane, Qt.Key.Key_Escape)
    assert regions.chosen is None


@pytest.mark.parametrize("shape", ["point", "rectangle", "ellipse", "polygon"])
def test_enter_draws_in_the_middle_without_a_mouse_and_arrows_move_it(qtbot, decoded, pane, shape):
    decoded.regions.set_tool(shape)
    qtbot.keyClick(pane, Qt.Key.Key_Return)
    before = decoded.regions.chosen.bounds
    qtbot.keyClick(pane, Qt.Key.Key_Up)
    qtbot.keyClick(pane, Qt.Key.Key_Right)
    qtbot.keyClick(pane, Qt.Key.Key_Right)
    after = decoded.regions.chosen.bounds
    np.testing.assert_allclose(np.subtract(after, before), [-1, 2, -1, 2], atol=1e-9)
    selection = decoded.session.selection
    assert (selection.stage, selection.band) == (5, 2)  # the arrows meant the region alone
    qtbot.keyClick(pane, Qt.Key.Key_Delete)
    assert decoded.regions.all == ()
    qtbot.keyClick(pane, Qt.Key.Key_Left)
    assert decoded.session.selection.stage == 4


def test_an_outline_is_taken_and_dragged_and_everywhere_else_a_click_pins(qtbot, decoded, pane, stack):
    regions = decoded.regions
    regions.add("rectangle", [(2, 2), (6, 6)])
    regions.choose(None)
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=at(pane, 4.5, 4.5))
    assert regions.chosen is None and decoded.session.selection.pixel == (4, 4)
    drag(qtbot, pane, (2, 4), (5, 7))
    assert regions.chosen.corners == ((5, 5), (9, 9)) and pane.view.grid.hub.zoom == 1
    stack.undo()
    assert regions.chosen.corners == ((2, 2), (6, 6))


def test_the_measurement_of_a_camera_with_a_prism_takes_no_regions(qtbot, decoded, pane):
    decoded.looking.set_panes([MEASUREMENT])
    decoded.regions.set_tool("point")
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=pane.rect().center())
    assert decoded.regions.all == ()


def test_every_pane_shows_the_markers_in_the_colour_of_their_curves(decoded, pane):
    decoded.looking.set_panes([2, REFERENCE])
    decoded.regions.add("point", [(3, 4)])
    decoded.regions.add("rectangle", [(6, 6), (12, 12)])
    for card in pane.view.grid.cards:
        picture = card.pane.grab().toImage()
        for number, (y, x) in ((1, (3.5, 4.5)), (2, (9, 6))):
            place = at(card.pane, y, x)
            assert picture.pixelColor(place).name() == region_colour(number)


# ---- measuring ---------------------------------------------------------------------------------------------------


def test_a_curve_is_the_mean_and_the_deviation_of_the_true_pixels_without_nan(decoded):
    scene = decoded.session.measurement.reference.copy()
    scene[1, 3, 4] = np.nan
    object.__setattr__(decoded.session.measurement, "reference", scene)
    region = decoded.regions.add("rectangle", [(2, 3), (5, 8)])
    curve = decoded.regions.curve(region, REFERENCE)
    window = scene[:, 2:5, 3:8].reshape(4, -1)
    assert curve.num_pixels == 15
    np.testing.assert_allclose(curve.mean, np.nanmean(window, axis=1), rtol=1e-6)
    np.testing.assert_allclose(curve.std, np.nanstd(window, axis=1), rtol=1e-5)
    assert decoded.regions.curve(region, 2).mean.tolist() == 4 * [0.25]


def test_a_large_region_is_measured_in_the_worker(qtbot, decoded, monkeypatch):
    monkeypatch.setattr("app.document.regions.AT_ONCE", 100)
    assert AT_ONCE > 100
    region = decoded.regions.add("rectangle", [(0, 0), (16, 14)])
    assert decoded.regions.curve(region, 2) is None
    with qtbot.waitSignal(decoded.regions.changed):
        pass
    assert decoded.regions.curve(region, 2).mean.tolist() == 4 * [0.25]


# ---- exporting ---------------------------------------------------------------------------------------------------


def test_all_places_are_exported_at_once_as_a_table_and_as_a_library_that_are_read_again(qtbot, decoded, tmp_path):
    regions = decoded.regions
    regions.set_side(3)
    regions.add("point", [(3, 4)])
    regions.add("ellipse", [(2, 2), (10, 9)])
    for name in ("places.csv", "places.sli"):
        with qtbot.waitSignal(decoded.exports.exported):
            regions.export(tmp_path / name)
        library = read_library(tmp_path / name)
        point, ellipse = "(x 4 y 3 mean of 3 x 3)", "(x 2 to 8 y 2 to 9)"
        assert library.names == (
            f"1 point {point} in stage 5 of fake",
            f"1 point reference {point}",
            f"2 ellipse {ellipse} in stage 5 of fake",
            f"2 ellipse reference {ellipse}",
        )
        assert library.wavelengths_nm.tolist() == [450, 500, 560, 640]
        window = decoded.session.measurement.reference[:, 2:5, 3:6]
        np.testing.assert_allclose(library.spectra[1], window.mean(axis=(1, 2)), rtol=1e-6)
        np.testing.assert_allclose(library.spectra[2], 4 * [0.5**5], rtol=1e-6)
    table = rows_of(tmp_path / "places.csv")
    assert float(table[0][f"1 point {point} in stage 5 of fake n"]) == 9
    np.testing.assert_allclose(float(table[0][f"1 point reference {point} std"]), window[0].std(), rtol=1e-5)


# ---- photographs -------------------------------------------------------------------------------------------------


def test_a_box_on_a_photograph_is_enlarged_in_every_pane_with_its_figures(
    qtbot, decode_photograph, low_resolution, show
):
    parts = decode_photograph(low_resolution, "sr")
    assert parts.regions.shapes == ("point", "rectangle")
    view = show(parts)
    parts.looking.set_panes([MEASUREMENT, 1, REFERENCE])
    parts.regions.set_tool("rectangle")
    pane = view.grid.cards[1].pane
    drag(qtbot, pane, (1, 1), (5, 7))
    region = parts.regions.chosen
    assert region.corners == ((1, 1), (5, 7))
    truth = parts.session.measurement.reference[:, 1:5, 1:7]
    expected = score(np.full_like(truth, 0.5), truth, "sr")
    assert parts.regions.figures(region, 1, parts.session.stages.image(1)) == pytest.approx(
        {name: expected[name] for name in ("psnr", "ssim")}
    )
    assert parts.regions.figures(region, MEASUREMENT, parts.session.snapshot) is None  # of another size
    for card in view.grid.cards:  # the low-resolution picture among them
        target = card.pane.target
        seen = QRectF(QPointF(at(card.pane, 1, 1)), QPointF(at(card.pane, 5, 7)))
        inset = inset_places(target.intersected(QRectF(card.pane.rect())), [(seen, 4 / 6)])[0].toRect()
        frame = card.pane.grab().toImage().pixelColor(inset.left(), inset.center().y())
        assert frame.name() == region_colour(1)


def test_the_figures_of_all_boxes_and_stages_are_exported(qtbot, decode_photograph, samples, tmp_path):
    parts = decode_photograph(samples, "cs")
    parts.regions.add("rectangle", [(0, 0), (8, 8)])
    parts.regions.add("point", [(2, 2)])
    with qtbot.waitSignal(parts.exports.exported):
        parts.regions.export(tmp_path / "boxes.csv")
    rows = rows_of(tmp_path / "boxes.csv")
    assert [row["stage"] for row in rows] == ["0", "1", "2", "3"]
    truth = parts.session.measurement.reference[:, :8, :8]
    assert float(rows[2]["psnr_db"]) == pytest.approx(score(np.full_like(truth, 0.25), truth, "cs")["psnr"])


def test_insets_lie_in_corners_of_their_own_away_from_their_boxes():
    view = QRectF(0, 0, 400, 300)
    seen = [(QRectF(300, 200, 50, 50), 1.0), (QRectF(10, 10, 50, 25), 0.5), (QRectF(10, 10, 20, 80), 4.0)]
    places = inset_places(view, seen)
    for place, (box, ratio) in zip(places, seen, strict=True):
        assert view.contains(place) and not place.intersects(box)
        assert place.height() / place.width() == pytest.approx(ratio)
    assert not any(a.intersects(b) for a in places for b in places if a is not b)


def test_a_place_that_is_gone_is_neither_edited_nor_moved_nor_removed(decoded):
    region = decoded.regions.add("rectangle", [(1, 1), (4, 4)])
    decoded.regions.remove(region.number)
    decoded.regions.edit(region.number, [(2, 2), (3, 3)])
    decoded.regions.move(region.number, 1, 1)
    decoded.regions.remove(region.number)
    decoded.regions.remove(None)
    assert decoded.regions.all == ()


def test_numbers_of_a_place_that_nobody_touches_stay_as_they_are(qtbot, decoded):
    panel = RegionPanel(decoded)
    qtbot.addWidget(panel)
    corners = ((1.25, 2.123456789), (6.5, 9.75), (8.0, 3.0))
    decoded.regions.add("polygon", corners)
    panel.place.corners.returnPressed.emit()
    assert decoded.regions.chosen.corners == corners
    decoded.regions.add("rectangle", [(1.25, 2.5), (6.5, 9.75)])
    x, y, width, height = panel.place.numbers
    y.setValue(3)
    assert decoded.regions.chosen.corners == ((3.0, 2.5), (8.25, 9.75))
