"""Colours of spectra: the table against colour-science's, pictures against what the CIE defines."""

from pathlib import Path

import colour
import numpy as np
import pytest

from lorun_engine.colour import read_observer, rgb_weights, srgb_encode, to_srgb, wavelength_colour
from lorun_engine.errors import FileError, LorunError

TABLE_FILE = Path(__file__).parents[2] / "resources" / "colour" / "cie1931.csv"
EVERY_5_NM = np.arange(380, 781, 5.0)
CASSI_NM = 1e7 / np.linspace(1e7 / 453.3, 1e7 / 648.1, 28)  # unequal steps, as a prism gives them


@pytest.fixture(scope="module")
def table():
    return read_observer(TABLE_FILE)


def reflectance_of_a_red_paint(nm):
    return 0.05 + 0.8 / (1 + np.exp((595 - nm) / 12))


def test_the_shipped_table_equals_the_published_one(table):
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    np.testing.assert_array_equal(table.wavelengths_nm, EVERY_5_NM)
    np.testing.assert_allclose(table.observer, observer[EVERY_5_NM], rtol=1e-9, atol=1e-12)
    for name in ("D65", "E", "A"):
        np.testing.assert_allclose(
            table.illuminants[name], colour.SDS_ILLUMINANTS[name][EVERY_5_NM], rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("illuminant", ["D65", "E", "A"])
@pytest.mark.parametrize("wavelengths_nm", [EVERY_5_NM, CASSI_NM, np.linspace(400, 700, 31), CASSI_NM[::-1]])
def test_a_flat_spectrum_is_grey_under_every_illuminant(table, wavelengths_nm, illuminant):
    weights = rgb_weights(wavelengths_nm, table, illuminant=illuminant)
    assert weights.shape == (len(wavelengths_nm), 3) and weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("step_nm", [1, 5, 10])
def test_a_paint_has_the_colour_that_colour_science_gives_it(table, step_nm):
    every_nm = np.arange(380, 781)
    visible = colour.SpectralShape(380, 780, 1)
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"].copy().align(visible)
    daylight = colour.SDS_ILLUMINANTS["D65"].copy().align(visible)
    spectrum = colour.SpectralDistribution(reflectance_of_a_red_paint(every_nm), every_nm)
    expected = colour.XYZ_to_sRGB(
        colour.sd_to_XYZ(spectrum, cmfs=observer, illuminant=daylight, method="Integration") / 100
    )
    nm = np.arange(380, 781, step_nm)
    linear = reflectance_of_a_red_paint(nm) @ rgb_weights(nm, table)
    np.testing.assert_allclose(srgb_encode(linear), np.clip(expected, 0, 1), atol=0.01)


def test_unequally_spaced_bands_give_the_colour_of_fine_ones(table):
    fine_nm = np.linspace(CASSI_NM[0], CASSI_NM[-1], 400)
    coarse = srgb_encode(reflectance_of_a_red_paint(CASSI_NM) @ rgb_weights(CASSI_NM, table))
    fine = srgb_encode(reflectance_of_a_red_paint(fine_nm) @ rgb_weights(fine_nm, table))
    np.testing.assert_allclose(coarse, fine, atol=0.02)


@pytest.mark.parametrize(("nm", "strongest"), [(650, 0), (600, 0), (530, 1), (550, 1), (450, 2), (470, 2)])
def test_single_wavelengths_have_their_hue(table, nm, strongest):
    rgb = wavelength_colour(nm, table)
    assert int(np.argmax(rgb)) == strongest
    assert max(rgb) == pytest.approx(1) and min(rgb) >= 0


def test_yellow_and_cyan_lie_between_the_primaries(table):
    red, green, blue = wavelength_colour(575, table)
    assert red > 0.8 and green > 0.8 and blue < 0.3
    red, green, blue = wavelength_colour(490, table)
    assert red < 0.3 and green > 0.8 and blue > 0.6


def test_invisible_wavelengths_contribute_nothing(table):
    weights = rgb_weights(np.array([350.0, 370.0, *EVERY_5_NM, 800.0, 850.0]), table)
    np.testing.assert_array_equal(weights[[0, 1, -2, -1]], 0)
    assert wavelength_colour(850, table) == (1, 1, 1)


@pytest.mark.parametrize("wavelengths_nm", [[550.0], [620.0, 660.0, 700.0], [800.0, 900.0]])
def test_bands_that_cannot_tell_hues_apart_give_a_grey_picture(table, wavelengths_nm):
    weights = rgb_weights(np.array(wavelengths_nm), table)
    np.testing.assert_allclose(weights, weights[:, :1].repeat(3, axis=1))
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-6)


def test_srgb_codes_linear_values_as_the_standard_says():
    linear = np.array([-1, 0, 0.0031308, 0.18, 1, 7, np.nan])
    np.testing.assert_allclose(srgb_encode(linear), [0, 0, 0.04045, 0.461356, 1, 1, 0], atol=1e-5)


def test_a_picture_maps_its_white_level_to_255(table):
    cube = np.full((28, 2, 3), 0.4, dtype=np.float32)
    cube[:, 0, 0] = 0
    picture = to_srgb(cube, CASSI_NM, table, white=0.4)
    assert picture.shape == (2, 3, 3) and picture.dtype == np.uint8
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert np.all(picture.reshape(-1, 3)[1:] == 255)


def test_an_unknown_illuminant_and_a_damaged_table_are_sentences(table, tmp_path):
    with pytest.raises(LorunError, match="choose D65, E, A"):
        rgb_weights(CASSI_NM, table, illuminant="D50")
    damaged = tmp_path / "table.csv"
    damaged.write_text("wavelength_nm,x,y\n380,1,2\n")
    with pytest.raises(FileError, match="is no colour table"):
        read_observer(damaged)
    with pytest.raises(FileError, match="is no colour table"):
        read_observer(tmp_path / "missing.csv")
