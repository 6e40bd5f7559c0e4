"""Exposure and gamma: what becomes of the pictures, and of the numbers nothing."""

from __future__ import annotations

import numpy as np
import pytest

from app import render
from app.kinds import Light
from app.viewers.exposure import STRETCHES, Histogram
from app.viewers.pictures import Pictures


def test_a_dark_picture_keeps_0_black_and_its_highlights_white_by_default():
    dark = np.random.default_rng(0).random((200, 200)).astype(np.float32) * 0.01 + 0.001
    black, white = render.levels_of(dark, (None, 99.9))
    assert black == 0 and white == pytest.approx(0.011, abs=1e-4)
    assert render.levels_of(-dark, (None, 99.9)) == (0.0, 1e-6)  # there is no negative light


@pytest.mark.parametrize("to_bytes", [render.grey_bytes, lambda x, *rest: render.photograph_bytes(x[None], *rest)])
def test_a_stop_doubles_the_light_and_a_gamma_lifts_the_shadows_alone(to_bytes):
    plane = np.linspace(0, 1, 256, dtype=np.float32)[None]
    brighter = to_bytes(plane, render.exposed((0.0, 1.0), 1.0))
    np.testing.assert_array_equal(brighter, to_bytes(np.minimum(2 * plane, 1), (0.0, 1.0)))
    lifted = to_bytes(plane, (0.0, 1.0), 2.0).astype(int)
    np.testing.assert_allclose(lifted, 255 * np.sqrt(plane), atol=3)
    assert lifted[0, 0] == 0 and lifted[0, -1] == 255


def test_colours_have_the_same_gamma_before_they_are_coded():
    linear = np.full((3, 1, 1), 0.09, np.float32)
    assert render.colour_bytes(linear, (0.0, 1.0), 2.0) == pytest.approx(
        render.colour_bytes(linear**0.5, (0.0, 1.0)), abs=1
    )
    assert np.array_equal(render.colour_bytes(linear, (0.0, 1.0), 1.0), render.colour_bytes(linear, (0.0, 1.0)))


def test_the_sliders_change_what_is_shown_and_never_the_numbers(decoded, show):
    window = show(decoded)
    exposure, card = window.centre.exposure, window.centre.grid.cards[0]
    decoded.looking.set_stretch(None, True)
    before = card.pane.picture.pixelColor(2, 2).lightness()
    values = decoded.session.stages.image(5).copy()
    exposure.stops.setValue(20)
    assert decoded.session.selection.light == Light(2.0, 1.0)
    brighter = card.pane.picture.pixelColor(2, 2).lightness()
    exposure.gamma.setValue(40)
    assert decoded.session.selection.light.gamma == 2.0
    assert before < brighter < card.pane.picture.pixelColor(2, 2).lightness()
    assert exposure.text() == "As it is, 0 to 1 · +2.0 EV, γ 2" and exposure.stops_label.text() == "+2.0 EV"
    exposure.reset.click()
    assert decoded.session.selection.light == Light() and not exposure.reset.isEnabled()
    assert card.pane.picture.pixelColor(2, 2).lightness() == before
    assert np.array_equal(decoded.session.stages.image(5), values)


def test_levels_of_every_stretch_are_exposed(decoded):
    pictures = Pictures(decoded)
    for stretch in STRETCHES.values():
        decoded.looking.set_stretch(*stretch)
        decoded.looking.set_light(stops=0.0)
        black, white = pictures.levels(3, None)
        decoded.looking.set_light(stops=-1.0)
        assert pictures.levels(3, None) == pytest.approx((black, black + 2 * (white - black)))


def test_the_histogram_counts_what_is_shown_and_marks_black_and_white(decoded, show, wear):
    exposure = show(decoded).centre.exposure
    decoded.looking.set_mode("band")
    exposure._refresh_histogram()
    histogram = exposure.histogram
    assert histogram.counts.sum() == 16 * 14 and "is black" in histogram.accessibleName()
    numbers = np.concatenate([np.zeros(90), np.full(10, 2.0), [np.nan, np.inf]])
    histogram.show_numbers(numbers, (0.0, 1.5))
    assert histogram.counts[0] == 90 and histogram.counts[-1] == 10 and histogram.ends == (0.0, 2.0)
    histogram.grab()
    Histogram().grab()


def test_single_bands_have_a_colour_bar_with_their_levels(decoded, show):
    window = show(decoded)
    card = window.centre.grid.cards[0]
    assert card.pane._legend is None
    decoded.looking.set_mode("band")
    plain = card.pane.grab().toImage()
    assert card.pane._legend is not None
    card.pane.show_legend(None)
    assert card.pane.grab().toImage() != plain


def test_the_histogram_of_what_a_detector_saw_has_its_own_levels(opened, show):
    exposure = show(opened).centre.exposure
    y = opened.session.measurement.y
    exposure._refresh_histogram()
    histogram = exposure.histogram
    assert histogram.ends == pytest.approx((float(y.min()), float(y.max())))
    assert histogram.levels == pytest.approx((0.0, float(np.percentile(y, 99.9))))
