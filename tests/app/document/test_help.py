"""The pages of the help: what they link to and name is there, and what stands in them is found."""

from __future__ import annotations

import re
from urllib.parse import urlparse

import pytest
from PySide6.QtGui import QTextDocument

from app.actions import ENTRIES
from app.document.help import FIRST, NAMES, HelpPage, load_pages, num_signs, search
from app.panels.shortcuts import IN_PLACES, shortcuts_page
from app.resources import resource_path

FOLDER = resource_path("help")
PAGES = load_pages(FOLDER, {"shortcuts": shortcuts_page()})
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"\*\*([A-Z]\w+) > ([^*]+)\*\*")  # **Menu > Entry**
KEY = re.compile(r"`((?:Ctrl\+|Alt\+|Shift\+)*(?:[A-Z0-9?\[\],.]|F\d+|Space|Del|Esc|Return|Home|End|Left|Right))`")
# Keys of the help that are no shortcut of the table stand in the lists of what a place answers to.
OF_PLACES = {"Return", "Esc", "Home", "End", "Left", "Right", "Space", "Del", "0"}

every_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def links_of(page: HelpPage) -> list[str]:
    return LINK.findall(page.text)


@every_page
def test_every_link_and_picture_is_there(page):
    for link in links_of(page):
        assert not urlparse(link).scheme and "#" not in link, f"{link}: the help leads to no other place"
        is_page = link.endswith(".md") and link.removesuffix(".md") in PAGES
        assert is_page or (FOLDER / link).is_file(), link


def test_every_page_is_in_the_list_and_reached_from_the_first_one():
    assert {path.stem for path in FOLDER.glob("*.md")} | {"shortcuts"} == set(NAMES)
    reached, waiting = set(), [FIRST]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [link.removesuffix(".md") for link in links_of(PAGES[name]) if link.endswith(".md")]
    assert reached == set(NAMES)


@every_page
def test_every_menu_and_key_that_a_page_names_is_in_the_table_of_actions(page):
    entries = {(entry.menu, entry.text) for entry in ENTRIES}
    assert [path for path in PATH.findall(" ".join(page.text.split())) if path not in entries] == []
    keys = {key for entry in ENTRIES for key in entry.key.split()} | OF_PLACES
    assert [key for key in KEY.findall(page.text) if key not in keys] == []


@every_page
def test_what_is_searched_is_what_is_shown(page, qapp):
    """Places are counted in signs, so that a place in the words is a place in the document."""
    shown = QTextDocument()
    shown.setMarkdown(page.text)
    signs = "".join(shown.toPlainText().replace("\ufffc", "").split())
    for block in page.blocks:
        words = "".join(block.words.replace(" · ", "").split())
        assert signs[block.start : block.start + num_signs(words)] == words
    assert page.blocks[0].is_heading and page.title


def test_the_list_of_shortcuts_has_every_entry_and_every_place():
    for entry in ENTRIES:
        if entry.key:
            assert f"| {entry.text.removesuffix('…')} |" in PAGES["shortcuts"].text
    for place, gestures in IN_PLACES.items():
        assert f"### {place}" in PAGES["shortcuts"].text
        assert all(gesture in PAGES["shortcuts"].text for gesture, _ in gestures)


def test_a_search_wants_every_word_in_one_block_and_shows_headings_first():
    text = "# Title\n\nThe *blue* button\nstarts `now`.\n\n## Blue things\n\n- one **blue**\n- two\n\n"
    page = HelpPage("page", f"{text}| a | blue |\n| --- | --- |\n")
    assert [block.words for block in page.blocks] == [
        "Title",
        "The blue button starts now.",
        "Blue things",
        "one blue",
        "two",
        "a · blue",
    ]
    assert [hit.block.words for hit in search([page], "BLUE")] == [
        "Blue things",
        "The blue button starts now.",
        "one blue",
        "a · blue",
    ]
    (hit,) = search([page], "now blue")
    assert hit.page is page and hit.block.heading == "Title" and hit.block.start == num_signs("Title")
    assert search([page], "blue two") == [] and search([page], "  ") == []


def test_an_excerpt_is_cut_between_words_around_what_was_sought():
    words = " ".join(f"word{number}" for number in range(100))
    (hit,) = search([HelpPage("page", words)], "word50")
    assert "word50" in hit.excerpt and len(hit.excerpt) < 70
    assert hit.excerpt[0] == hit.excerpt[-1] == "…" and set(hit.excerpt.strip("…").split()) <= set(words.split())
