"""Pictures of large cubes are made aside: a coarse one stands in, and the window goes on."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtGui import QImage

from app import render
from app.document.selection import REFERENCE
from app.viewers.centre import CentreView
from app.viewers.maps import Difference, Maps
from app.viewers.pictures import Pictures

HEIGHT, WIDTH = 16, 14


@pytest.fixture
def slow(decoded, monkeypatch):
    """Pictures that take too long for even the smallest cube to be made at once."""
    monkeypatch.setattr("app.viewers.making.AT_ONCE", 0)
    return Pictures(decoded)


def pixels(image: QImage) -> np.ndarray:
    height, width = image.height(), image.width()
    return np.frombuffer(image.constBits(), np.uint8).reshape(height, width, 4).copy()


@pytest.mark.parametrize("mode", ["colour", "band", "range"])
@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_coarse_picture_of_the_same_size_stands_in_until_the_true_one_is_made(qtbot, decoded, slow, mode, factor):
    decoded.looking.set_mode("colour" if mode == "colour" else "band")
    if mode == "range":
        decoded.ruler.take(1, 3)
    expected = Pictures(decoded)
    expected.making._left = 1e9
    true = expected.picture(REFERENCE, factor)
    first = slow.picture(REFERENCE, factor)
    assert first.size() == true.size() and pixels(first).any()

    def is_made() -> bool:
        return (pixels(slow.picture(REFERENCE, factor)) == pixels(true)).all()

    qtbot.waitUntil(is_made)
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)
    assert is_made()


def test_what_was_wanted_last_is_made_first(qtbot, decoded, slow):
    cache, made = render.Cache(1 << 20), []
    for number in range(5):
        assert slow.making.get(cache, number, lambda number=number: made.append(number), lambda _: 1, cost=1) is None
    qtbot.waitUntil(lambda: len(made) == 5)
    assert made == [0, 4, 3, 2, 1]  # the first was begun before the others were wanted


def test_what_a_full_cache_dropped_is_not_made_again_and_again(qtbot, decoded, slow):
    cache, made = render.Cache(1), []

    def want(name: str):
        return slow.making.get(cache, name, lambda: made.append(name) or name, lambda _: 1, cost=1)

    for name in ("one", "other"):
        with qtbot.waitSignal(slow.making.made):
            assert want(name) is None
    assert want("one") is None and want("other") == "other"
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)
    assert made == ["one", "other"]
    decoded.looking.select_stage(2)  # the user looks elsewhere
    with qtbot.waitSignal(slow.making.made):
        want("one")
    assert made == ["one", "other", "one"]


def test_pictures_of_another_measurement_are_dropped(qtbot, decoded, slow, snapshot):
    slow.picture(REFERENCE)
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.open([snapshot])
    assert slow.picture(REFERENCE) is not None
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)


def test_a_picture_that_cannot_be_made_lets_the_others_be_made(qtbot, decoded, slow):
    cache = render.Cache(1 << 20)

    def fail() -> None:
        raise MemoryError

    slow.making.get(cache, "bad", fail, lambda _: 1, cost=1)
    slow.making.get(cache, "good", lambda: "good", lambda _: 1, cost=1)
    qtbot.waitUntil(lambda: "good" in cache)
    assert "bad" not in cache


def test_the_window_shows_what_was_made_aside(qtbot, decoded, monkeypatch):
    monkeypatch.setattr("app.viewers.making.AT_ONCE", 0)
    view = CentreView(decoded)
    qtbot.addWidget(view)
    view.resize(900, 700)
    view.show()
    decoded.looking.set_panes([REFERENCE])
    first = view.grid.cards[0].pane.grab().toImage()
    qtbot.waitUntil(lambda: view.grid.cards[0].pane.grab().toImage() != first)


def test_maps_of_large_cubes_wait_for_their_means(qtbot, decoded, slow):
    maps = Maps(decoded, slow)
    kind = Difference(5, REFERENCE)
    assert maps.plane(kind) is None and maps.range(kind) is None and maps.picture(kind) is None
    qtbot.waitUntil(lambda: maps.plane(kind) is not None)
    expected = 0.5**5 - decoded.session.measurement.reference.mean(axis=0)
    np.testing.assert_allclose(maps.plane(kind), expected, rtol=1e-5, atol=1e-6)


def test_what_may_be_wanted_next_is_made_last_and_disturbs_nobody(qtbot, decoded, slow):
    cache, made, told = render.Cache(1 << 20), [], []
    slow.making.made.connect(lambda: told.append(True))

    def make(name: str):
        return lambda: made.append(name) or name

    slow.making.get(cache, "first", make("first"), lambda _: 1, cost=1)
    for name in ("forgotten", "older", "newer"):
        slow.making.prepare(cache, name, make(name), lambda _: 1)
    slow.making.get(cache, "second", make("second"), lambda _: 1, cost=1)
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)
    assert made == ["first", "second", "newer", "older"] and len(told) == 2
    slow.making.prepare(cache, "newer", make("newer"), lambda _: 1)
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)
    assert len(made) == 4


def test_who_comes_to_wait_for_what_was_begun_ahead_is_told(qtbot, decoded, slow):
    cache = render.Cache(1 << 20)
    slow.making.prepare(cache, "ahead", lambda: "ahead", lambda _: 1)
    with qtbot.waitSignal(slow.making.made):
        assert slow.making.get(cache, "ahead", lambda: "again", lambda _: 1, cost=1) is None
    assert slow.making.get(cache, "ahead", lambda: "again", lambda _: 1, cost=1) == "ahead"


def test_the_colours_of_the_neighbours_of_a_stage_are_ready_before_they_are_shown(qtbot, decoded, monkeypatch):
    pictures, asked = Pictures(decoded), []
    decoded.looking.set_mode("colour")
    decoded.looking.select_stage(3)
    pictures.picture(3, 1)
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)
    monkeypatch.setattr("app.viewers.pictures._linear_colour", lambda *args: asked.append(args))
    for stage in (2, 4):
        assert pictures.picture(stage, 1) is not None
    assert not asked
