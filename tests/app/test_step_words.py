"""A step is called what its decoder calls it: whatever is said of the iterations of GAP-TV speaks of iterations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QAbstractItemModel, QAbstractListModel, QModelIndex, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QAbstractItemView, QWidget

from app.document.comparing import CHOSEN
from app.document.wording import worded
from app.main_window import MainWindow
from app.pages.what_if import WhatIfPage
from app.widgets.page import Page
from lorun_engine.tasks.gap_tv import GapTv
from tests.app.test_words import said_by

STAGE = re.compile(r"\bstages?\b", re.IGNORECASE)
OF_SETS = re.compile(r"\b(sets?|adapters?|backbone)\b|^In stages$", re.IGNORECASE)  # which do have stages
ROLES = (
    *(Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.StatusTipRole),
    Qt.ItemDataRole.AccessibleTextRole,
)


def words_of(window: MainWindow) -> Iterator[str]:
    """Everything that is said of what is open and decoded; the full pages but "What if" are about sets."""
    pages = [page for page in window.findChildren(Page) if not isinstance(page, WhatIfPage)]
    for action in window.findChildren(QAction):
        yield from (action.text(), action.statusTip(), action.toolTip())
    for widget in window.findChildren(QWidget):
        if any(page is widget or page.isAncestorOf(widget) for page in pages):
            continue
        yield from said_by(widget)
        if isinstance(widget, QAbstractItemView) and widget.model() is not None:
            yield from items_of(widget.model())
    for plot in (window.convergence.plot, window.spectrum.plot):
        yield plot.getPlotItem().getAxis("bottom").labelText


def items_of(model: QAbstractItemModel) -> Iterator[str]:
    """What the rows and headings of a list or a table say."""
    for column in range(1 if isinstance(model, QAbstractListModel) else model.columnCount(QModelIndex())):
        for role in ROLES:
            yield str(model.headerData(column, Qt.Orientation.Horizontal, role) or "")
            yield from (str(model.index(row, column).data(role) or "") for row in range(model.rowCount(QModelIndex())))


def of_stages(window: MainWindow) -> set[str]:
    return {text for text in words_of(window) if STAGE.search(text) and not OF_SETS.search(text)}


def decode(qtbot, parts, name: str) -> None:
    parts.setup.switch_decoder(name)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()


@pytest.fixture
def window(qtbot, make_parts, fake, snapshot, show) -> MainWindow:
    """A window with the snapshot decoded by three iterations of GAP-TV; the other decoder has five stages."""
    window = show(make_parts(GapTv(num_stages=3), fake))
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.parts.session.open([snapshot])
    decode(qtbot, window.parts, "gap-tv")
    return window


def test_nothing_says_stage_of_the_iterations_of_gap_tv(qtbot, window):
    parts, seen = window.parts, set()
    parts.looking.select_pixel((3, 4))
    for mode in ("colour", "band", "montage", "residual", "compare"):
        parts.looking.set_mode(mode)
        qtbot.waitUntil(lambda: not parts.lanes.is_busy)
        assert not of_stages(window), mode
    parts.looking.set_mode("colour")
    parts.looking.toggle_layout()
    for view in ("change", "input", "image"):
        parts.looking.set_view(view)
        assert not of_stages(window), view
        seen |= set(words_of(window))
    parts.looking.select_stage(2)
    seen |= set(words_of(window))
    expected = ("Iteration 1", "Change in iteration 2", "Iterations", "Next iteration", "Figures per iteration")
    assert not [words for words in expected if words not in seen]
    assert any(words.startswith("3 iterations in ") for words in seen)  # below the blue button
    assert any(words.startswith("Decoded 3 iterations in ") for words in seen)  # in the status bar
    assert any("iteration 2" in words for words in seen if words.startswith("━") or "<b>" in words)  # below the spectra
    assert "3 iterations" in parts.shelf.all[0].title
    assert any("3 iterations" in line for line in parts.lanes.logged)
    parts.shelf.clear()


def test_results_of_two_decoders_have_a_word_each(qtbot, window, fake):
    parts, compare = window.parts, window.centre.compare
    decode(qtbot, parts, fake.name)
    assert [result.title for result in parts.shelf.all] == ["gap-tv · 3 iterations", "fake · 5 stages"]
    assert window.centre.pictures.title(5) == "Stage 5"
    assert window.actions_["next_stage"].text() == "Next stage"
    parts.looking.set_mode("compare")
    iterations, stages = parts.shelf.all
    parts.comparing.choose(left=iterations, right=CHOSEN)
    assert (compare.left.currentText(), compare.right.currentText()) == (iterations.title, "Chosen stage (stage 5)")
    parts.shelf.show(iterations)
    parts.comparing.choose(left=CHOSEN, right=stages)
    sides = (compare.left.currentText(), compare.right.currentText())
    assert sides == ("Chosen iteration (iteration 3)", stages.title)
    assert window.actions_["next_stage"].text() == "Next iteration"
    parts.shelf.clear()


def test_the_card_of_the_model_counts_as_the_chosen_decoder_does(window, fake):
    card = window.model_card
    assert card.stages.accessibleName() == "Number of iterations"
    window.parts.setup.switch_decoder(fake.name)
    assert card.stages.accessibleName() == "Number of stages"
    assert window.centre.stepping.stage_title.text() == "Iterations"  # what is shown is that of before
    window.parts.shelf.clear()


def test_a_decode_under_way_and_one_that_was_cancelled_count_iterations(qtbot, make_parts, fake, snapshot, gate_type):
    fake.step_name, fake.gate = "iteration", gate_type(at=3)
    parts = make_parts(fake)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    parts.session.restore()
    qtbot.waitUntil(lambda: parts.session.num_announced == 3)
    assert (parts.session.timed.pace.words, parts.session.timed.pace.part) == ("Iteration 2 of 5", "iteration")
    parts.session.cancel()
    with qtbot.waitSignal(parts.lanes.idle):
        fake.gate.is_open.set()
    assert re.fullmatch(r"Cancelled after iteration \d of 5\.", parts.session.restoration.message)


def test_a_recipe_of_before_there_were_words_has_stages(window):
    recipe = window.session.recipe
    assert (recipe.step_name, recipe.length) == ("iteration", "3 iterations")
    assert replace(recipe, step_name="stage").length == "3 stages"
    window.parts.shelf.clear()


def test_a_sentence_keeps_its_grammar():
    sentence = "A stage, stages and Stages; an aside on a stage, and backstage"
    assert worded(sentence, "stage") == sentence
    assert worded(sentence, "iteration") == (
        "An iteration, iterations and Iterations; an aside on an iteration, and backstage"
    )
    assert worded("A stage of stages", "round") == "A round of rounds"
