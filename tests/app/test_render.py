"""From numbers to pictures: levels, grey, colour and small copies, with the numbers themselves left alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app import render


def test_levels_are_percentiles_without_nan_and_never_equal():
    image = np.arange(101.0).reshape(1, 101)
    assert render.levels_of(image, (1, 99)) == pytest.approx((1, 99))
    image[:, 50:] = np.nan
    image[:, 60] = np.inf
    assert render.levels_of(image, (0, 100)) == (0, 49)
    black, white = render.levels_of(np.full((4, 5), 3.0), (1, 99))
    assert black == 3 and white > black
    assert render.levels_of(np.full((3, 3), np.nan), (1, 99)) == (0, 1)


def test_levels_of_a_large_picture_come_from_a_sample_of_all_its_parts():
    rows = np.linspace(0, 1, 900, dtype=np.float32)[:, None] * np.ones((1, 800), np.float32)
    assert render.levels_of(rows, (1, 99)) == pytest.approx((0.01, 0.99), abs=0.005)
    assert render.levels_of(rows.T, (1, 99)) == pytest.approx((0.01, 0.99), abs=0.005)


def test_grey_is_linear_between_the_levels_and_nan_is_black():
    plane = np.array([[0.0, 0.5, 1.0, 2.0, -1.0, np.nan, np.inf, -np.inf]], np.float32)
    assert render.grey_bytes(plane, (0, 1)).tolist() == [[0, 128, 255, 255, 0, 0, 255, 0]]


def test_a_flat_spectrum_is_grey_in_the_colour_picture_with_and_without_wavelengths():
    cube = np.full((7, 3, 4), 0.5, np.float32)
    for wavelengths_nm in (np.linspace(420, 680, 7), None):
        linear = render.linear_colour(cube, render.colour_weights(wavelengths_nm, 7))
        picture = render.colour_bytes(linear, (0, 1)).astype(int)
        assert picture.shape == (3, 4, 3)
        assert abs(picture - 188).max() <= 1  # IEC 61966-2-1: 0.5 linear is 187.5 of 255


def test_nan_is_black_in_the_colour_picture():
    cube = np.full((5, 2, 2), 1.0, np.float32)
    cube[2, 0, 1] = np.nan
    linear = render.linear_colour(cube, render.colour_weights(np.linspace(450, 650, 5), 5))
    picture = render.colour_bytes(linear, (0, 1))
    assert picture[0, 1].tolist() == [0, 0, 0] and (picture[1] > 250).all()


def test_the_longest_wavelength_is_red_and_the_shortest_blue():
    weights = render.colour_weights(np.linspace(450, 640, 9), 9)
    assert weights[-1].argmax() == 0 and weights[0].argmax() == 2


@pytest.mark.parametrize("num_bands", [1, 2, 3, 4, 28, 64])
def test_false_colour_shows_three_bands_as_they_are_the_last_as_red(num_bands):
    red, green, blue = render.false_colour_bands(num_bands)
    assert 0 <= blue <= green <= red < num_bands
    weights = render.colour_weights(None, num_bands)
    assert (weights.sum(axis=0) == 1).all() and weights[[red, green, blue], [0, 1, 2]].tolist() == [1, 1, 1]


def test_a_band_in_its_own_colour_goes_from_black_to_the_colour_of_its_wavelength():
    colours = render.wavelength_map(640.0)
    assert colours[0].tolist() == [0, 0, 0] and colours[255].argmax() == 0
    grey = np.array([[0, 255]], np.uint8)
    assert render.mapped_bytes(grey, colours).tolist() == [[colours[0].tolist(), colours[255].tolist()]]


def test_shrinking_keeps_the_mean_of_whole_blocks_and_leaves_out_the_rest():
    image = np.arange(5 * 7, dtype=np.float32).reshape(5, 7)
    assert render.shrunk(image, 1) is image
    blocks = image[:4, :6].reshape(2, 2, 3, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(render.shrunk(image, 2), blocks)
    assert render.shrunk(np.zeros((28, 66, 67), np.float32), 6).shape == (28, 11, 11)
    np.testing.assert_allclose(render.shrunk(np.full((9, 9), 0.3, np.float32), 4), 0.3, rtol=1e-6)


def test_a_picture_is_shrunk_only_as_far_as_it_is_seen_smaller():
    assert render.fitting_factor((660, 660), (330, 330)) == 2
    assert render.fitting_factor((660, 660), (331, 900)) == 1  # blurring one axis for the other would be seen
    assert render.fitting_factor((660, 660), (1000, 1000)) == 1
    assert render.fitting_factor((8, 8), (0, 0)) == 8


def test_a_thumbnail_is_no_larger_than_asked_for():
    for height, width in ((660, 660), (256, 310), (16, 14)):
        small = render.thumbnail(np.zeros((3, height, width), np.float32), 56)
        assert max(small.shape[1:]) <= 56 and small.shape[0] == 3


def test_a_mean_spectrum_is_cut_at_the_border_and_leaves_nan_out():
    cube = np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5)
    np.testing.assert_allclose(render.mean_spectrum(cube, (2, 3), 1), cube[:, 2, 3])
    np.testing.assert_allclose(render.mean_spectrum(cube, (0, 0), 3), cube[:, :2, :2].mean(axis=(1, 2)))
    np.testing.assert_allclose(render.mean_spectrum(cube, (3, 4), 5), cube[:, 1:, 2:].mean(axis=(1, 2)))
    cube[0, 0, 0] = np.nan
    np.testing.assert_allclose(render.mean_spectrum(cube, (0, 0), 3)[0], (1 + 5 + 6) / 3)
    assert np.isnan(render.mean_spectrum(cube, (0, 0), 1)).tolist() == [True, False]


@pytest.mark.parametrize("num_tiles", [1, 2, 4, 6, 28, 31])
def test_tiles_are_laid_out_in_the_columns_that_show_them_largest(num_tiles):
    def scale(columns: int, place: tuple[float, float]) -> float:
        return min(place[0] / math.ceil(num_tiles / columns) / 100, place[1] / columns / 120)

    for place in ((400, 1600), (700, 700), (900, 300)):
        columns = render.tiling(num_tiles, (100, 120), place, (0, 0))
        best = max(scale(other, place) for other in range(1, num_tiles + 1))
        assert scale(columns, place) >= best / 1.03


def test_the_cache_makes_a_thing_once_and_drops_the_oldest_above_its_limit():
    made = []

    def ask(cache: render.Cache, keys: str, *, num_bytes: int) -> str:
        """The keys that had to be made."""
        made.clear()
        for key in keys:
            assert cache.get(key, lambda key=key: made.append(key) or key, lambda _: num_bytes) == key
        return "".join(made)

    assert ask(render.Cache(30), "abacab", num_bytes=10) == "abc"
    assert ask(render.Cache(20), "abacab", num_bytes=10) == "abcb"  # c drops b, which was not asked for as lately as a
    assert ask(render.Cache(5), "aab", num_bytes=10) == "ab"  # the newest is kept however large
    cache = render.Cache(30)
    ask(cache, "ab", num_bytes=10)
    cache.clear()
    assert ask(cache, "abc", num_bytes=10) == "abc" and ask(cache, "abc", num_bytes=10) == ""


def test_rendering_writes_into_nothing():
    cube = np.random.default_rng(3).random((6, 20, 24), dtype=np.float32)
    cube.flags.writeable = False
    weights = render.colour_weights(np.linspace(450, 650, 6), 6)
    linear = render.linear_colour(cube, weights)
    linear.flags.writeable = False
    levels = render.levels_of(linear, (1, 99))
    render.colour_bytes(render.shrunk(linear, 2), levels)
    render.colour_bytes(linear, levels)
    render.grey_bytes(cube[0], levels)
    render.mean_spectrum(cube, (3, 3), 5)
