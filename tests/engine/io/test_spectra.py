"""Spectral libraries: what is read, how it is resampled, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from lorun_engine.errors import FileError, GeometryError
from lorun_engine.io.spectra import SpectralLibrary, read_library, spectral_angles, write_library

NM = np.array([400.0, 500.0, 600.0, 700.0])
RISING, FLAT = NM / 1000, np.full(4, 0.5)


def write_table(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "library.csv"
    path.write_bytes(text.encode(encoding))
    return path


def write_envi(tmp_path, spectra: np.ndarray, *, byte_order: int = 0, extra: str = "", kind: str = "Spectral Library"):
    num_spectra, num_bands = spectra.shape
    wavelengths = ", ".join(f"{value / 1000:g}" for value in np.linspace(400, 700, num_bands))
    (tmp_path / "library.hdr").write_text(
        f"ENVI\nsamples = {num_bands}\nlines = {num_spectra}\nbands = 1\nheader offset = 0\nfile type = ENVI {kind}\n"
        f"data type = 4\ninterleave = bsq\nbyte order = {byte_order}\nwavelength units = Micrometers\n"
        f"wavelength = {{{wavelengths}}}\n{extra}"
    )
    spectra.astype(">f4" if byte_order else "<f4").tofile(tmp_path / "library.sli")
    return tmp_path / "library.sli"


@pytest.mark.parametrize(
    "text",
    [
        "wavelength_nm,leaf,wall\n400,0.4,0.5\n500,0.5,0.5\n600,0.6,0.5\n700,0.7,0.5\n",
        "wavelength (µm);leaf;wall\n0,4;0,4;0,5\n0,5;0,5;0,5\n0,6;0,6;0,5\n0,7;0,7;0,5\n",
        "lambda\tleaf\twall\n0.7\t0.7\t0.5\n0.6\t0.6\t0.5\n0.5\t0.5\t0.5\n0.4\t0.4\t0.5\n",
        "# made by hand\nnm,leaf,wall\n400,0.4,0.5\n\n500,0.5,0.5\n600,0.6,0.5\n700,0.7,0.5\n",
    ],
    ids=["nm", "decimal commas in micrometres", "falling micrometres of no unit", "comments"],
)
def test_a_table_is_read_with_its_names_in_nm(tmp_path, text):
    library = read_library(write_table(tmp_path, text))
    assert library.names == ("leaf", "wall")
    np.testing.assert_allclose(library.wavelengths_nm, NM)
    np.testing.assert_allclose(library.spectra, [RISING, FLAT])


def test_a_table_in_an_old_encoding_is_read_too(tmp_path):
    library = read_library(write_table(tmp_path, "µm,grün\n0.4,1\n0.5,1\n", "latin-1"))
    assert library.names == ("grün",) and library.wavelengths_nm.tolist() == [400, 500]


def test_the_deviations_and_counts_of_our_own_export_are_no_spectra(tmp_path):
    text = "wavelength_nm,leaf mean,leaf std,leaf n,boston\n400,0.4,0.1,9,1\n500,0.5,0.1,9,1\n"
    assert read_library(write_table(tmp_path, text)).names == ("leaf", "boston")


def test_an_empty_cell_is_no_number(tmp_path):
    library = read_library(write_table(tmp_path, "nm,leaf\n400,0.4\n500,\n600,0.6\n700,0.7\n"))
    assert np.isnan(library.spectra[0]).tolist() == [False, True, False, False]


@pytest.mark.parametrize("byte_order", [0, 1])
@pytest.mark.parametrize("opened", ["library.sli", "library.hdr"])
def test_an_envi_library_is_read_in_either_byte_order_from_either_file(tmp_path, byte_order, opened):
    write_envi(tmp_path, np.array([RISING, FLAT]), byte_order=byte_order, extra="spectra names = {leaf, wall}\n")
    library = read_library(tmp_path / opened)
    assert library.names == ("leaf", "wall")
    np.testing.assert_allclose(library.wavelengths_nm, NM)
    np.testing.assert_allclose(library.spectra, [RISING, FLAT], rtol=1e-6)


def test_deleted_channels_are_missing_and_percent_are_divided(tmp_path):
    path = write_envi(tmp_path, np.array([[40, -1.23e34, 60, 70]]), extra="reflectance scale factor = 100\n")
    library = read_library(path)
    np.testing.assert_allclose(library.spectra, [[0.4, np.nan, 0.6, 0.7]], rtol=1e-6)
    assert library.names == ("spectrum 1",)


def test_what_was_written_is_read_again_and_other_programs_read_it(tmp_path):
    from spectral.io import envi

    write_library(tmp_path / "mine.sli", NM, {"region 1, a {big} one": RISING, "wall": FLAT})
    library = read_library(tmp_path / "mine.sli")
    assert library.names == ("region 1  a (big) one", "wall")
    np.testing.assert_allclose(library.wavelengths_nm, NM)
    np.testing.assert_allclose(library.spectra, [RISING, FLAT], rtol=1e-6)
    theirs = envi.open(str(tmp_path / "mine.hdr"))
    np.testing.assert_allclose(theirs.spectra, [RISING, FLAT], rtol=1e-6)


def test_a_library_never_overwrites_what_is_open(tmp_path):
    given = tmp_path / "mine.sli"
    given.write_bytes(b"precious")
    with pytest.raises(FileError, match="never overwritten"):
        write_library(given, NM, {"wall": FLAT}, protected=[given])
    assert given.read_bytes() == b"precious" and not (tmp_path / "mine.hdr").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("band,leaf\n1,0.4\n2,0.5\n", "counts bands"),
        ("nm,leaf\n400,0.4\n500,green\n", "'green'"),
        ("nm,leaf\n400,0.4\n500,0.5,0.6\n", "3 columns"),
        ("nm,leaf\n", "no table of spectra"),
        ("hello\n", "no table of spectra"),
        ("\n\n", "is empty"),
        ("nm,leaf\n0,0.4\n500,0.5\n", "positive"),
    ],
)
def test_a_table_that_is_no_library_is_refused_in_words(tmp_path, text, words):
    with pytest.raises(FileError, match=words):
        read_library(write_table(tmp_path, text))


def test_an_image_a_short_file_and_wrong_names_are_refused_in_words(tmp_path):
    two = np.array([RISING, FLAT])
    with pytest.raises(FileError, match="describes an image"):
        read_library(write_envi(tmp_path, two, kind="Standard"))
    with pytest.raises(FileError, match="2 spectra of 4 values, but 3 names"):
        read_library(write_envi(tmp_path, two, extra="spectra names = {a, b, c}\n"))
    path = write_envi(tmp_path, two)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FileError, match="28 bytes; its header asks for"):
        read_library(path)
    with pytest.raises(FileError, match="does not exist"):
        read_library(tmp_path / "nowhere.csv")


def test_resampling_is_linear_and_ends_where_the_library_does(tmp_path):
    library = SpectralLibrary(tmp_path, ("leaf",), NM, np.array([RISING]))
    np.testing.assert_allclose(
        library.at(np.array([350.0, 400, 440, 660, 700, 710])), [[np.nan, 0.4, 0.44, 0.66, 0.7, np.nan]]
    )


def test_fewer_than_three_shared_bands_are_refused_with_the_ranges(tmp_path):
    library = SpectralLibrary(tmp_path / "ir.csv", ("leaf",), NM, np.array([RISING]))
    with pytest.raises(GeometryError, match="ir.csv covers 400 to 700 nm and so 2 of the 4 bands"):
        library.at(np.array([650.0, 700, 750, 800]))


def test_angles_know_scale_and_right_angles_and_leave_out_what_is_missing():
    spectrum = np.array([1.0, 0, 1, np.nan])
    others = np.array([[7.0, 0, 7, 1], [0, 3, 0, 1], [1, 0, 0, 9], [0, 0, 0, 0], [1, np.nan, 1, 1]])
    np.testing.assert_allclose(spectral_angles(spectrum, others), [0, 90, 45, np.nan, np.nan], atol=1e-5)
