"""The page of the adapter sets and the strength slider, used as people use them: with the mouse and with keys."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QFile, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QFileDialog,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
)

from app.assembly import Parts
from app.document.recipe import Adapting
from app.document.set_facts import facts
from app.job import Job
from app.main_window import MainWindow
from app.pages.adapters import AdaptersPage
from app.pages.changes import HeatMap, MatrixWall, grouped, layer_words
from app.widgets import theme
from lorun_engine.library.inspection import ChangeTable
from tests.app.document.test_workshop import (  # noqa: F401 (fixtures)
    idle,
    library,
    make_workshop,
    measurement_file,
    named,
    names,
    open_parts,
)
from tests.engine.library.test_model import new_model, save


@pytest.fixture
def open_window(qtbot, open_parts, library):  # noqa: F811
    """A window with a measurement open, a set of the user's in the library, and the page shown."""

    def make(task: str = "cassi") -> MainWindow:
        save(new_model(seed=4), library[1], "trained")
        window = MainWindow(open_parts(task))
        qtbot.addWidget(window)
        window.show()
        window.actions_["adapters"].trigger()
        idle(qtbot, window.parts)
        return window

    return make


@pytest.fixture
def window(open_window) -> MainWindow:
    return open_window()


@dataclass(frozen=True)
class Seen:
    """The page alone with its parts: it needs no window around it."""

    parts: Parts
    adapters_page: AdaptersPage


@pytest.fixture
def seen(qtbot, open_parts, library) -> Seen:  # noqa: F811
    """The page with a measurement open and a set of the user's in the library."""
    save(new_model(seed=4), library[1], "trained")
    parts = open_parts()
    page = AdaptersPage(parts)
    qtbot.addWidget(page)
    page.resize(1100, 840)
    page.show()
    idle(qtbot, parts)
    return Seen(parts, page)


def page(window: MainWindow | Seen) -> AdaptersPage:
    return window.adapters_page


def click_set(qtbot, window: MainWindow | Seen, name: str) -> None:
    """Clicks on a set in the list, and waits until it was looked into."""
    tree = page(window).library.tree
    (item,) = tree.findItems(name, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive)
    qtbot.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=tree.visualItemRect(item).center())
    idle(qtbot, window.parts)


def words_of(window: MainWindow | Seen, name: str) -> list[str]:
    tree = page(window).library.tree
    (item,) = tree.findItems(name, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive)
    return [item.text(place) for place in range(tree.columnCount())]


def drop(window: MainWindow, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    window.dropEvent(
        QDropEvent(
            QPointF(QPoint(400, 300)),
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )


def test_the_key_shows_the_page_and_escape_brings_the_restoration_back(qtbot, window):
    assert window.pages.currentWidget() is page(window)
    qtbot.keyClick(page(window), Qt.Key.Key_Escape)
    assert window.pages.currentIndex() == 0
    window.model_card.library.click()
    assert window.pages.currentWidget() is page(window)
    page(window).back.click()
    assert window.pages.currentIndex() == 0
    idle(qtbot, window.parts)


def test_the_list_groups_sets_by_task_and_says_which_one_fits(seen):
    tree = page(seen).library.tree
    groups = [tree.topLevelItem(at).text(0) for at in range(tree.topLevelItemCount())]
    assert groups == ["CASSI snapshot", "Compressive samples", "Low-resolution image"]
    general = words_of(seen, "general")
    assert general[1].startswith("In use. Fits") and general[2] == "shipped" and general[4] == "2"
    assert words_of(seen, "trained")[2] == "trained here"
    assert words_of(seen, "cs-set")[1] == "For CS measurements; a CASSI measurement is open."


def test_a_click_shows_the_card_and_a_second_one_switches(qtbot, seen):
    click_set(qtbot, seen, "trained")
    card = page(seen).card
    assert card.name.text() == "trained" and card.use.isEnabled() and card.fit.objectName() == "good"
    card.use.click()
    assert seen.parts.setup.decoder_name == "trained" and card.use.text() == "In use"
    idle(qtbot, seen.parts)
    assert seen.parts.setup.fit.is_good and words_of(seen, "trained")[1].startswith("In use.")


def test_return_in_the_list_switches_too(qtbot, seen):
    click_set(qtbot, seen, "trained")
    qtbot.keyClick(page(seen).library.tree, Qt.Key.Key_Return)
    assert seen.parts.setup.decoder_name == "trained"
    idle(qtbot, seen.parts)


def test_a_set_that_does_not_fit_cannot_be_switched_to(qtbot, seen):
    click_set(qtbot, seen, "sr-set")
    card = page(seen).card
    assert not card.use.isEnabled() and not card.compare.isEnabled() and "For SR" in card.fit.text()
    qtbot.keyClick(page(seen).library.tree, Qt.Key.Key_Return)
    assert seen.parts.setup.decoder_name == "general"


def test_a_new_set_appears_on_the_page_by_itself(qtbot, seen, library):  # noqa: F811
    save(new_model(seed=7), library[1], "just made")
    qtbot.waitUntil(lambda: "just made" in names(seen.parts), timeout=20_000)
    idle(qtbot, seen.parts)
    assert "Fits" in words_of(seen, "just made")[1]


def test_a_set_that_cannot_be_read_is_listed_with_the_reason(qtbot, seen, library):  # noqa: F811
    content = (library[1] / "trained.safetensors").read_bytes()
    (library[1] / "torn.safetensors").write_bytes(content.replace(b'\\"format\\": 1', b'\\"format\\": 9'))
    qtbot.waitUntil(lambda: bool(seen.parts.workshop.unreadable), timeout=20_000)
    idle(qtbot, seen.parts)
    assert "format 9" in words_of(seen, "torn")[1]
    assert words_of(seen, "trained")[0] == "trained"


def test_the_heat_map_is_walked_by_keys_and_shows_the_layer(qtbot, seen):
    view, workshop = page(seen).changes.heat_map.view, seen.parts.workshop
    assert workshop.table is not None and workshop.layer is not None
    rows = page(seen).changes.heat_map.model.rows
    at = next(at for at, row in enumerate(rows) if row.layer == workshop.layer)
    assert view.currentIndex().row() == at
    key, towards = (Qt.Key.Key_Down, 1) if at < len(rows) - 1 and rows[at + 1].layer else (Qt.Key.Key_Up, -1)
    qtbot.keyClick(view, key)
    idle(qtbot, seen.parts)
    assert workshop.layer == rows[at + towards].layer
    assert page(seen).changes.heading.text() == layer_words(workshop.layer)
    assert len(workshop.changes) == 2 and "‖ΔW‖ / ‖W‖" in page(seen).changes.heat_map.value.text()


def test_a_click_on_a_cell_shows_the_change_of_that_layer(qtbot, seen):
    heat_map = page(seen).changes.heat_map
    row = next(at for at, row in enumerate(heat_map.model.rows) if row.layer and row.layer != seen.parts.workshop.layer)
    index = heat_map.model.index(row, 1)
    heat_map.view.scrollTo(index)
    qtbot.mouseClick(heat_map.view.viewport(), Qt.MouseButton.LeftButton, pos=heat_map.view.visualRect(index).center())
    idle(qtbot, seen.parts)
    assert seen.parts.workshop.layer == heat_map.model.rows[row].layer
    assert heat_map.value.text().startswith("Stage 2")


@pytest.mark.parametrize("task", ["cassi", "cs", "sr"])
def test_slider_and_ticks_set_how_much_of_the_adapters_acts(qtbot, open_window, task):
    window = open_window(task)
    strength = window.model_card.strength
    assert strength.isVisible() and [tick.text() for tick in strength.ticks] == ["1", "2"]
    strength.slider.setFocus()
    for _ in range(8):
        qtbot.keyClick(strength.slider, Qt.Key.Key_Left)
    qtbot.mouseClick(strength.ticks[1], Qt.MouseButton.LeftButton)
    assert window.parts.setup.adapting == Adapting(60, (2,)) and strength.percent.text() == "60 %"
    window.show_page(None)
    window.actions_["decode"].trigger()
    qtbot.waitUntil(lambda: window.session.restoration.state == "done", timeout=20_000)
    idle(qtbot, window.parts)
    words = "at 60 % without the adapters of stage 2"
    assert words in window.decode_card.sentence.text() and words in window.windowTitle()
    assert words in window.statusBar().result.text() and words in window.session.recipe.title
    window.actions_["whole_adapter"].trigger()
    assert strength.slider.value() == 100 and strength.ticks[1].isChecked() and not strength.whole.isVisible()


def test_decoders_without_weights_have_no_strength(qtbot, window):
    window.parts.setup.switch_decoder("gap-tv")
    idle(qtbot, window.parts)
    assert not window.model_card.strength.isVisible() and not window.actions_["whole_adapter"].isEnabled()


def test_renaming_by_hand_moves_the_file(qtbot, seen, library):  # noqa: F811
    click_set(qtbot, seen, "trained")
    card = page(seen).card
    card.rename.click()
    assert card.renaming.text() == "trained"
    card.renaming.setText("left camera")
    qtbot.keyClick(card.renaming, Qt.Key.Key_Return)
    idle(qtbot, seen.parts)
    assert (library[1] / "left camera.safetensors").exists()
    assert card.name.text() == "left camera" and "is called left camera now" in page(seen).notice.sentence.text()


def test_escape_leaves_the_name_and_the_page(qtbot, window):
    click_set(qtbot, window, "trained")
    card = page(window).card
    card.rename.click()
    qtbot.keyClick(card.renaming, Qt.Key.Key_Escape)
    assert not card.renaming.isVisible() and window.pages.currentWidget() is page(window)


def test_a_note_is_written_and_seen_again(qtbot, seen):
    click_set(qtbot, seen, "trained")
    card = page(seen).card
    assert not card.keep_note.isVisible()
    qtbot.keyClicks(card.note, "summer")
    assert card.keep_note.isVisible()
    card.keep_note.click()
    idle(qtbot, seen.parts)
    assert named(seen.parts, "trained").card.fields["note"] == "summer" and card.note.toPlainText() == "summer"
    assert not card.keep_note.isVisible()


def test_listing_again_does_not_take_away_a_note_that_is_being_written(qtbot, seen, library):  # noqa: F811
    click_set(qtbot, seen, "trained")
    qtbot.keyClicks(page(seen).card.note, "half a sent")
    save(new_model(seed=7), library[1], "just made")
    qtbot.waitUntil(lambda: "just made" in names(seen.parts), timeout=20_000)
    idle(qtbot, seen.parts)
    assert page(seen).card.note.toPlainText() == "half a sent"


def test_verify_is_one_click_and_its_result_can_be_dismissed(qtbot, seen):
    page(seen).card.verify.click()
    idle(qtbot, seen.parts)
    notice = page(seen).notice
    assert notice.isVisible() and notice.sentence.text().startswith("Verified")
    notice.close_button.click()
    assert not notice.isVisible()


def test_export_and_import_go_through_the_dialogs(qtbot, window, tmp_path, monkeypatch):
    (tmp_path / "mail").mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *words: str(tmp_path / "mail"))
    page(window).card.export.click()
    idle(qtbot, window.parts)
    assert (tmp_path / "mail" / "general.safetensors").exists()
    (tmp_path / "mail" / "general.safetensors").rename(tmp_path / "mail" / "copy.safetensors")
    chosen = [str(tmp_path / "mail" / "copy.safetensors")]
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *words: (chosen, ""))
    page(window).bring.click()
    idle(qtbot, window.parts)
    assert "already" in page(window).notice.sentence.text()  # the same numbers


def test_a_dropped_set_is_imported_and_a_dropped_measurement_opened(qtbot, window, library, tmp_path):  # noqa: F811
    path = save(new_model(seed=9), tmp_path / "mail", "guest")
    window.show_page(None)
    drop(window, path, measurement_file("sr", tmp_path))
    qtbot.waitUntil(lambda: "guest" in names(window.parts), timeout=20_000)
    idle(qtbot, window.parts)
    assert window.pages.currentWidget() is page(window) and page(window).card.name.text() == "guest"
    assert window.session.measurement.task == "sr" and words_of(window, "guest")[2] == "imported"
    assert (library[1] / "guest.safetensors").exists()


def test_escape_in_the_field_of_a_new_name_ends_the_renaming_and_nothing_else(qtbot, window, library):  # noqa: F811
    click_set(qtbot, window, "trained")
    card, cancelled = page(window).card, []
    window.session.cancelled.connect(lambda: cancelled.append(True))
    card.rename.click()
    card.renaming.setText("something else")
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is card.renaming)
    window.actions_["cancel"].setEnabled(True)  # as while a decode runs
    QTest.keyClick(card.renaming, Qt.Key.Key_Escape)
    assert not cancelled and not card.renaming.isVisible() and card.name.text() == "trained"
    assert window.pages.currentWidget() is page(window) and (library[1] / "trained.safetensors").exists()


def test_a_taken_name_is_offered_another_by_a_button(qtbot, window, tmp_path):
    drop(window, save(new_model(seed=9), tmp_path / "mail", "trained"))
    idle(qtbot, window.parts)
    notice = page(window).notice
    assert notice.offer.text() == "Import as trained-2"
    notice.offer.click()
    idle(qtbot, window.parts)
    assert "trained-2" in names(window.parts) and not notice.offer.isVisible()


def test_the_trash_button_is_for_the_users_sets(qtbot, seen, monkeypatch):
    monkeypatch.setattr(QFile, "moveToTrash", lambda path: Path(path).unlink() is None)
    card = page(seen).card
    assert not card.trash.isEnabled() and "came with LoRun" in card.trash.toolTip()
    click_set(qtbot, seen, "trained")
    card.trash.click()
    qtbot.waitUntil(lambda: "trained" not in names(seen.parts), timeout=20_000)
    idle(qtbot, seen.parts)
    assert card.name.text() == "general"


def test_compare_with_decodes_both_and_shows_them_side_by_side(qtbot, window):
    click_set(qtbot, window, "trained")
    card = page(window).card
    card.rivals.aboutToShow.emit()
    assert [action.text() for action in card.rivals.actions()] == ["general", "subspace-tv", "gap-tv"]
    card.rivals.actions()[0].trigger()
    idle(qtbot, window.parts)
    comparing = window.parts.comparing
    assert window.pages.currentIndex() == 0 and window.session.selection.mode == "compare"
    assert (comparing.left.title.split(" ")[0], comparing.right.title.split(" ")[0]) == ("trained", "general")


def test_every_control_of_the_page_has_a_name_for_screen_readers(seen):
    for kind in (QAbstractButton, QLineEdit, QPlainTextEdit, QAbstractItemView):
        for control in page(seen).findChildren(kind):
            if not control.objectName().startswith("qt_") and not isinstance(control, QHeaderView):
                assert control.accessibleName() or getattr(control, "text", lambda: "")(), control


def test_both_themes_draw_the_page(qtbot, seen, wear):
    for tokens in (theme.dark(), theme.light()):
        wear(tokens)
        assert not page(seen).grab().isNull()


# ---- the drawings ------------------------------------------------------------------------------------------------


def test_names_of_layers_are_read_as_words():
    assert layer_words("encode1.attention.to_qkv.weight") == "encode 1 · attention · qkv"
    assert layer_words("down.0.conv.bias") == "down 0 · conv, bias"
    assert layer_words("levels") == "levels"
    rows = grouped(["embed.weight", "block1.a.weight", "block1.b.bias", "out.weight"])
    assert [row.words.strip() for row in rows] == ["embed", "block 1", "a", "b, bias", "out"]
    assert [row.layer for row in rows] == ["embed.weight", None, "block1.a.weight", "block1.b.bias", "out.weight"]


def test_cells_say_their_ratio_their_ranks_and_what_has_none(qtbot):
    heat_map = HeatMap()
    qtbot.addWidget(heat_map)
    table = ChangeTable(
        ("a.weight", "b.bias"),
        np.array([[0.5, np.nan], [0.25, np.inf]]),
        np.array([[1.9, np.nan]] * 2),
        np.array([2, 0]),
    )
    heat_map.show_table(table)
    model = heat_map.model
    said = [model.words(model.index(row, stage)) for row in (0, 1) for stage in (0, 1)]
    assert said == [
        "Stage 1, a: ‖ΔW‖ / ‖W‖ 0.500, effective rank 1.9\u00a0of\u00a02",
        "Stage 2, a: ‖ΔW‖ / ‖W‖ 0.250, effective rank 1.9\u00a0of\u00a02",
        "Stage 1, b, bias: not changed",
        "Stage 2, b, bias: changed where the backbone has zeros",
    ]
    assert not heat_map.grab().isNull()


def test_matrices_are_on_one_scale_and_the_cursor_reads_them(qtbot):
    wall = MatrixWall()
    qtbot.addWidget(wall)
    wall.resize(320, 320)
    wall.show()
    first = np.zeros((4, 6), np.float32)
    first[1, 2] = -0.5
    wall.show_changes((first, np.full((4, 6), 0.25, np.float32), None))
    places = wall.pictures.places()
    assert len(places) == 3 and all(wall.pictures.rect().contains(place.toRect()) for place in places)
    assert wall.pictures.largest == 0.5
    inside = QPoint(
        int(places[0].left() + places[0].width() * 2.5 / 6), int(places[0].top() + places[0].height() * 1.5 / 4)
    )
    qtbot.mouseMove(wall.pictures, inside)
    assert wall.value.text() == "Stage 1, row 2, column 3: ΔW -0.500"
    assert not wall.grab().isNull()


def test_a_card_that_lacks_fields_says_what_it_has(seen):
    said = facts(named(seen.parts, "general"))
    assert said["Stages"] == "2" and said["Backbone"].startswith("general-backbone (") and "Trained" not in said


# ---- while a decode runs -----------------------------------------------------------------------------------------


@pytest.fixture
def hold(qtbot):
    """Keeps the lane of the decodes busy, as a long decode would, until the test has ended."""
    gates = []

    def make(parts: Parts) -> Job:
        gate = threading.Event()
        gates.append((gate, parts))
        return parts.lanes.run(lambda: gate.wait(60), doing="decoding", then=lambda _: None)

    yield make
    for gate, parts in gates:
        gate.set()
        idle(qtbot, parts)


@pytest.mark.parametrize("task", ["cassi", "cs", "sr"])
def test_cards_fits_and_tables_do_not_wait_for_the_decode_that_runs(qtbot, open_parts, library, hold, task):  # noqa: F811
    parts = open_parts(task)
    workshop, job = parts.workshop, hold(parts)
    page = AdaptersPage(parts)
    qtbot.addWidget(page)
    page.show()
    name = {"cassi": "general"}.get(task, f"{task}-set")
    workshop.show(named(parts, name))
    qtbot.waitUntil(lambda: workshop.table is not None and len(workshop.changes) > 0, timeout=20_000)
    assert workshop.suitability(named(parts, name)).look == "good"
    save(new_model(seed=4), library[1], "trained")
    qtbot.waitUntil(lambda: "trained" in names(parts), timeout=20_000)
    if task == "cassi":
        qtbot.waitUntil(lambda: workshop.suitability(named(parts, "trained")).look == "good", timeout=20_000)
        parts.setup.switch_decoder("trained")
        qtbot.waitUntil(lambda: parts.setup.fit is not None and parts.setup.fit.is_good, timeout=20_000)
    assert job in parts.lanes._decodes.jobs and parts.lanes.is_busy


def test_the_colours_are_logarithmic_where_one_change_dominates_so_that_small_ones_can_be_told_apart(qtbot):
    heat_map = HeatMap()
    qtbot.addWidget(heat_map)

    def shown(ratios: list[list[float]]) -> ChangeTable:
        array = np.array(ratios)
        layers = tuple(f"layer{number}.weight" for number in range(array.shape[1]))
        return ChangeTable(layers, array, np.full(array.shape, np.nan), np.zeros(array.shape[1], int))

    heat_map.show_table(shown([[0.1, 0.2], [0.3, 0.4]]))
    assert heat_map.model.lowest == 0 and heat_map.bar_title.text() == "‖ΔW‖ / ‖W‖"
    heat_map.show_table(shown([[0.01, 0.02, 0.0], [0.04, 10.0, 0.001]]))
    model = heat_map.model
    assert heat_map.bar_title.text() == "‖ΔW‖ / ‖W‖, logarithmic"
    assert (model.lowest, model.highest, model.is_clipped) == (0.01, 10.0, False)
    shares = [model.share(ratio) for ratio in (0.0, 0.01, 0.1, 1.0, 10.0, np.inf)]
    np.testing.assert_allclose(shares, [0, 0, 1 / 3, 2 / 3, 1, 1], atol=1e-12)
    assert len({model.colour(ratio).name() for ratio in (0.01, 0.02, 0.04, 10.0)}) == 4
