"""What files say of their numbers is applied or said, by every reader that can meet it."""

from __future__ import annotations

import struct
import threading
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
import tifffile
from PIL import Image, ImageCms

from lorun_engine.errors import FileError
from lorun_engine.io import FoundArray, read, readers
from lorun_engine.io.readers import read_wavelengths

HEIGHT, WIDTH, BANDS = 6, 10, 4
CUBE = np.random.default_rng(0).random((HEIGHT, WIDTH, BANDS)).astype(np.float32)  # bands last
DEEP = (CUBE * 4000).astype(np.uint16)
IMAGE = np.ascontiguousarray(DEEP[..., 0])
CODES = {"uint8": 1, "int16": 2, "float32": 4, "complex64": 6, "uint16": 12}


def only(path: Path) -> FoundArray:
    (found,) = read(path)
    return found


def said(found: FoundArray) -> str:
    return " ".join(found.notes)


def sentence(path: Path) -> str:
    with pytest.raises(FileError) as caught:
        read(path)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and "damaged" not in text, text
    return text


def tiff(path: Path, array: np.ndarray, tags: dict[str, object] | None = None, **settings: object) -> Path:
    """A TIFF whose `tags` are overwritten after it was written."""
    tifffile.imwrite(path, array, **settings)
    if tags:
        with tifffile.TiffFile(path, mode="r+b") as file:
            for name, value in tags.items():
                file.pages[0].tags[name].overwrite(value)
    return path


def hdf5(path: Path, array: np.ndarray, **attributes: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("cube", data=array).attrs.update(attributes)
    return path


def envi(header: Path, cube: np.ndarray, *, data: str = ".img", content: bytes | None = None, **fields: object) -> Path:
    """An ENVI pair, band after band; `fields` are header lines, "_" being a space."""
    lines, samples, bands = cube.shape
    stated = {"samples": samples, "lines": lines, "bands": bands, "data_type": CODES[cube.dtype.name]}
    stated |= {"interleave": "bsq", "byte_order": 0, **fields}
    text = "\n".join(f"{name.replace('_', ' ')} = {value}" for name, value in stated.items())
    header.write_bytes(f"ENVI\n{text}\n".encode("latin-1"))
    header.with_suffix(data).write_bytes(cube.transpose(2, 0, 1).tobytes() if content is None else content)
    return header


# ---- photometric sense -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("array", [IMAGE > 2000, (IMAGE >> 4).astype(np.uint8), IMAGE, IMAGE.astype(np.int16) - 999])
def test_a_tiff_that_stores_white_as_zero_is_inverted_and_says_so(tmp_path, array):
    found = only(tiff(tmp_path / "white.tif", array, photometric="miniswhite"))
    expected = ~array if array.dtype.kind != "i" else -1 - array
    assert np.array_equal(found.array, expected) and "inverted" in said(found)


def test_white_as_zero_of_12_bits_is_inverted_within_its_12_bits(tmp_path):
    path = tiff(tmp_path / "white.tif", IMAGE, photometric="miniswhite", bitspersample=12)
    found = only(path)
    assert np.array_equal(found.array, 4095 - IMAGE) and found.attributes["scale"] == 4095


def test_real_numbers_with_white_as_zero_stay_and_that_is_said(tmp_path):
    found = only(tiff(tmp_path / "white.tif", CUBE[..., 0], {"PhotometricInterpretation": 0}))
    assert np.array_equal(found.array, CUBE[..., 0]) and "0 is white" in said(found)


def test_an_hdf5_image_with_white_as_zero_is_inverted(tmp_path):
    found = only(hdf5(tmp_path / "white.h5", IMAGE, IMAGE_WHITE_IS_ZERO=np.uint8(1)))
    assert np.array_equal(found.array, ~IMAGE) and "inverted" in said(found)


# ---- orientation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("colours", [1, 3])
def test_a_tiff_is_turned_as_pillow_turns_the_same_photograph(tmp_path, orientation, colours):
    stored = (CUBE[..., :colours].squeeze() * 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "photo.png", exif=exif)
    path = tiff(
        tmp_path / "photo.tif",
        stored,
        photometric="minisblack" if colours == 1 else "rgb",
        extratags=[(274, "H", 1, orientation, True)],
    )
    found = only(path)
    assert np.array_equal(found.array, only(tmp_path / "photo.png").array)
    assert ("orientation" in said(found)) == (orientation != 1)


@pytest.mark.parametrize("origin, rows, columns", [("UL", 1, 1), ("LL", -1, 1), ("UR", 1, -1), ("LR", -1, -1)])
def test_an_hdf5_image_is_turned_to_its_display_origin(tmp_path, origin, rows, columns):
    found = only(hdf5(tmp_path / "image.h5", IMAGE, DISPLAY_ORIGIN=np.bytes_(origin)))
    assert np.array_equal(found.array, IMAGE[::rows, ::columns]) and ("origin" in said(found)) == (origin != "UL")


# ---- missing values, gains and offsets ---------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["_FillValue", "missing_value"])
def test_missing_values_of_hdf5_become_nan_and_are_counted(tmp_path, attribute):
    found = only(hdf5(tmp_path / "cube.h5", np.where(DEEP > 3900, 65535, DEEP), **{attribute: np.uint16(65535)}))
    assert np.array_equal(np.isnan(found.array), DEEP > 3900)
    assert f"{int((DEEP > 3900).sum())} values" in said(found)


def test_missing_values_of_gdal_become_nan(tmp_path):
    array = np.where(IMAGE > 3000, 9999, IMAGE).astype(np.int16)
    found = only(tiff(tmp_path / "map.tif", array, extratags=[(42113, "s", 0, "9999", True)]))
    assert np.array_equal(np.isnan(found.array), IMAGE > 3000) and "missing" in said(found)


def test_the_scale_and_offset_of_the_cf_conventions_are_applied(tmp_path):
    found = only(hdf5(tmp_path / "cube.h5", DEEP, scale_factor=2.5e-4, add_offset=[0.5]))
    np.testing.assert_allclose(found.array, DEEP * 2.5e-4 + 0.5, rtol=1e-6)
    assert "gain" in said(found) and "offset" in said(found)


def test_the_scale_and_offset_of_every_band_of_gdal_are_applied(tmp_path):
    items = "".join(
        f'<Item name="SCALE" sample="{band}" role="scale">{band + 1}</Item>'
        f'<Item name="OFFSET" sample="{band}" role="offset">{band / 2}</Item>'
        for band in range(BANDS)
    )
    path = tiff(
        tmp_path / "map.tif",
        np.moveaxis(CUBE, -1, 0),
        photometric="minisblack",
        planarconfig="separate",
        extratags=[(42112, "s", 0, f"<GDALMetadata>{items}</GDALMetadata>", True)],
    )
    expected = np.moveaxis(CUBE * np.arange(1, 5) + np.arange(4) / 2, -1, 0)
    np.testing.assert_allclose(only(path).array, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["data", "data_reflectance"])
def test_the_gains_and_offsets_of_an_envi_header_are_applied_band_by_band(tmp_path, kind):
    stated = {f"{kind}_gain_values": "{1e-4, 2e-4,\n 3e-4, 4e-4,}", f"{kind}_offset_values": "{0, 0.1, 0.2, 0.3}"}
    found = only(envi(tmp_path / "gain.hdr", DEEP.astype(np.int16), **stated, data_ignore_value=int(DEEP[0, 0, 0])))
    expected = DEEP * np.arange(1, 5) * 1e-4 + np.arange(4) / 10
    expected[DEEP == DEEP[0, 0, 0]] = np.nan
    np.testing.assert_allclose(found.array, expected, rtol=1e-5)
    assert "0.0001 to 0.0004" in said(found)


def test_gains_for_another_number_of_bands_are_a_sentence(tmp_path):
    assert "3 gains" in sentence(envi(tmp_path / "gain.hdr", CUBE, data_gain_values="{1, 2, 3}"))


@pytest.mark.parametrize("factor", ["10000", "{10000}", "{ 1e4 , }"])
def test_a_reflectance_scale_factor_may_stand_in_braces(tmp_path, factor):
    assert only(envi(tmp_path / "cube.hdr", DEEP, reflectance_scale_factor=factor)).attributes["scale"] == 10000


@pytest.mark.parametrize(
    "field, value",
    [
        ("reflectance_scale_factor", "many"),
        ("data_ignore_value", "none"),
        ("wavelength", "{450, 460, blue, 480}"),
        ("wavelength", "{450, 460}"),
        ("data_gain_values", "{a, b, c, d}"),
    ],
)
def test_an_optional_field_that_cannot_be_read_is_said_and_the_numbers_are_there(tmp_path, field, value):
    found = only(envi(tmp_path / "cube.hdr", CUBE, **{field: value}))
    assert np.array_equal(found.array, CUBE) and "left out" in said(found)
    assert "wavelengths_nm" not in found.attributes and "scale" not in found.attributes


def test_bad_bands_of_an_envi_header_are_named(tmp_path):
    assert "(2, 4)" in said(only(envi(tmp_path / "cube.hdr", CUBE, bbl="{1, 0, 1, 0}")))


# ---- units of wavelengths ----------------------------------------------------------------------------------------

UNITS = {
    "Nanometers": (450, 460, 470, 480),
    "Micrometers": (0.45, 0.46, 0.47, 0.48),
    "um": (0.45, 0.46, 0.47, 0.48),
    "Angstroms": (4500, 4600, 4700, 4800),
    "Millimeters": (4.5e-4, 4.6e-4, 4.7e-4, 4.8e-4),
    "Centimeters": (4.5e-5, 4.6e-5, 4.7e-5, 4.8e-5),
    "Meters": (4.5e-7, 4.6e-7, 4.7e-7, 4.8e-7),
    "Wavenumber": tuple(1e7 / nm for nm in (450, 460, 470, 480)),
    "GHz": tuple(299792458 / nm for nm in (450, 460, 470, 480)),
    "Unknown": (450, 460, 470, 480),
    "": (0.45, 0.46, 0.47, 0.48),
}


@pytest.mark.parametrize("unit", UNITS)
def test_wavelengths_of_envi_and_hdf5_come_in_nm_from_every_unit(tmp_path, unit):
    words = "{" + ", ".join(map(repr, UNITS[unit])) + "}"
    found = only(envi(tmp_path / "cube.hdr", CUBE, wavelength=words, wavelength_units=unit))
    np.testing.assert_allclose(found.attributes["wavelengths_nm"], [450, 460, 470, 480])
    with h5py.File(tmp_path / "list.h5", "w") as file:
        file.create_dataset("wavelengths", data=UNITS[unit]).attrs["units"] = unit
    np.testing.assert_allclose(only(tmp_path / "list.h5").array, [450, 460, 470, 480])
    np.testing.assert_allclose(read_wavelengths(tmp_path / "list.h5"), [450, 460, 470, 480])


@pytest.mark.parametrize("unit, values", [("Index", "{1, 2, 3, 4}"), ("", "{1, 2, 3, 4}"), ("Parsec", "{5, 6, 7, 8}")])
def test_what_is_no_wavelength_is_left_out_and_said(tmp_path, unit, values):
    found = only(envi(tmp_path / "cube.hdr", CUBE, wavelength=values, wavelength_units=unit))
    assert "wavelengths_nm" not in found.attributes and "wavelengths" in said(found)


@pytest.mark.parametrize(
    "values", ["{450 nm, 460 nm, 470 nm, 480 nm}", "{450,460,470,480,}", "{.45 µm, .46 µm, .47 µm, .48 µm}"]
)
def test_units_and_a_comma_too_many_may_stand_in_the_list(tmp_path, values):
    found = only(envi(tmp_path / "cube.hdr", CUBE, wavelength=values))
    np.testing.assert_allclose(found.attributes["wavelengths_nm"], [450, 460, 470, 480])


@pytest.mark.parametrize(
    "text",
    [
        "band,nm\n1,450.5\n2,460.5\n3,470.5\n",
        "1,450.5\n2,460.5\n3,470.5\n",
        "0 450.5\n1 460.5\n2 470.5\n",
        "450,5\n460,5\n470,5\n",
        "450,5;0,1\n460,5;0,2\n470,5;0,3\n",
        "Band;Wellenlänge (µm);Wavelength (µm)\n1;9;0,4505\n2;9;0,4605\n3;9;0,4705\n",
        "value\twavelength_nm\n7\t450,5\n8\t460,5\n9\t470,5\n",
        "wavelength [nm], counts\n450.5, 7\n460.5, 9\n470.5, 8\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_wavelengths_of_a_table_are_never_the_numbers_of_its_bands(tmp_path, text, encoding):
    (tmp_path / "list.csv").write_bytes(text.encode(encoding))
    np.testing.assert_allclose(read_wavelengths(tmp_path / "list.csv"), [450.5, 460.5, 470.5])


def test_a_table_that_only_numbers_bands_holds_no_wavelengths(tmp_path):
    (tmp_path / "list.csv").write_text("band\n1\n2\n3\n")
    with pytest.raises(FileError, match="no list of wavelengths"):
        read_wavelengths(tmp_path / "list.csv")


@pytest.mark.parametrize("text", ["0,5;0,25\n1;2\n", "0,5 0,25\n1 2\n", "0.5,0.25\n1,2\n", "0,5\t0,25\n1\t2\n"])
def test_decimal_commas_are_understood_where_something_else_separates(tmp_path, text):
    (tmp_path / "kernel.csv").write_text(text)
    assert np.array_equal(only(tmp_path / "kernel.csv").array, [[0.5, 0.25], [1, 2]])


# ---- between and behind the numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("interleave, order", [("bsq", (2, 0, 1)), ("bil", (0, 2, 1)), ("bip", (0, 1, 2))])
def test_the_frame_offsets_of_an_envi_header_are_skipped(tmp_path, interleave, order):
    content = bytearray(b"head")
    for frame in CUBE.transpose(order):
        content += b"\xff" * 16
        for line in frame:
            content += b"\xfe" * 2 + line.tobytes() + b"\xfd" * 4
        content += b"\xfc" * 8
    path = envi(
        tmp_path / "frame.hdr",
        CUBE,
        content=bytes(content),
        interleave=interleave,
        header_offset=4,
        major_frame_offsets="{16, 8}",
        minor_frame_offsets="{2, 4}",
    )
    assert np.array_equal(only(path).array, CUBE)
    path.with_suffix(".img").write_bytes(content[:-40])
    assert "what lies between" in sentence(path)


@pytest.mark.parametrize("value", ["{1}", "{a, b}", "{-4, 8}", "{1.5, 2}"])
def test_frame_offsets_that_are_no_counts_are_a_sentence(tmp_path, value):
    assert "major frame offsets" in sentence(envi(tmp_path / "frame.hdr", CUBE, major_frame_offsets=value))


@pytest.mark.parametrize("data", [".img", ".IMG", ".RAW", ""])
@pytest.mark.parametrize("suffix", [".hdr", ".HDR"])
def test_the_suffixes_of_an_envi_pair_may_be_capitals(tmp_path, suffix, data):
    header = envi(tmp_path / f"cube{suffix}", CUBE, data=data)
    path = header.with_suffix(data)
    assert np.array_equal(only(header).array, CUBE) and np.array_equal(only(path).array, CUBE)


def test_an_envi_header_in_another_encoding_is_read(tmp_path):
    found = only(envi(tmp_path / "cube.hdr", CUBE, operator="{Müller}", description="{vor Öl}"))
    assert np.array_equal(found.array, CUBE) and found.attributes["source"] == "vor Öl"


def test_a_long_envi_header_takes_no_longer_than_its_lines(tmp_path):
    names = "{" + ",\n".join(f"a name {number}" for number in range(50_000)) + "}"
    assert np.array_equal(only(envi(tmp_path / "cube.hdr", CUBE, band_names=names)).array, CUBE)
    many = "{" + ",\n".join(f"a name {number}" for number in range(99_000)) + "}"
    assert "at most 1 MiB" in sentence(envi(tmp_path / "cube.hdr", CUBE, band_names=many))


def test_compressed_envi_data_are_refused(tmp_path):
    assert "compressed" in sentence(envi(tmp_path / "cube.hdr", CUBE, file_compression=1))


# ---- complex numbers, colours, alpha -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["npy", "npz", "mat", "h5", "tif", "hdr"])
def test_complex_numbers_are_named_in_every_kind_of_file(tmp_path, suffix):
    waves, path = (CUBE[..., 0] * 1j).astype(np.complex64), tmp_path / f"waves.{suffix}"
    if suffix == "npy":
        np.save(path, waves)
    elif suffix == "npz":
        np.savez(path, waves=waves)
    elif suffix == "mat":
        scipy.io.savemat(path, {"waves": waves})
    elif suffix == "h5":
        hdf5(path, waves)
    elif suffix == "tif":
        tifffile.imwrite(path, waves)
    else:
        envi(path, waves[..., None])
    assert "complex numbers" in sentence(path)


def test_complex_numbers_beside_others_are_said(tmp_path):
    np.savez(tmp_path / "both.npz", waves=CUBE * 1j, cube=CUBE)
    found = only(tmp_path / "both.npz")
    assert found.key == "cube" and "'waves' of both.npz holds complex numbers" in said(found)


def test_the_alpha_of_a_tiff_is_dropped_as_that_of_the_png_and_said(tmp_path):
    colours = (CUBE * 255).astype(np.uint8)
    Image.fromarray(colours, "RGBA").save(tmp_path / "photo.png")
    for kind in ("unassalpha", "assocalpha"):
        found = only(tiff(tmp_path / f"{kind}.tif", colours, photometric="rgb", extrasamples=[kind]))
        assert np.array_equal(found.array, only(tmp_path / "photo.png").array) and found.axes == "YXC"
        assert "transparency" in said(found)
    found = only(tiff(tmp_path / "grey.tif", colours[..., :2], photometric="minisblack", extrasamples=["unassalpha"]))
    assert np.array_equal(found.array, colours[..., 0]) and found.axes == "YX"


def test_a_fourth_band_that_is_no_alpha_stays(tmp_path):
    found = only(tiff(tmp_path / "nir.tif", DEEP, photometric="rgb", extrasamples=["unspecified"]))
    assert np.array_equal(found.array, DEEP) and found.axes == "YXC"


def test_a_colour_space_that_is_not_read_is_named(tmp_path):
    colours = (CUBE[..., :3] * 255).astype(np.uint8)
    path = tiff(tmp_path / "lab.tif", colours, {"PhotometricInterpretation": 8}, photometric="rgb")
    assert "CIELAB" in sentence(path)


def test_inks_are_converted_and_said(tmp_path):
    inks = Image.fromarray((CUBE * 255).astype(np.uint8), "CMYK")
    for name in ("inks.jpg", "inks.tif"):
        inks.save(tmp_path / name)
        found = only(tmp_path / name)
        assert found.array.shape == (HEIGHT, WIDTH, 3) and "converted to RGB" in said(found)


def test_luminance_and_chrominance_of_a_tiff_become_colours(tmp_path):
    colours = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    Image.fromarray(colours).save(tmp_path / "jpeg.tif", compression="jpeg", quality=95)
    Image.fromarray(colours).convert("YCbCr").save(tmp_path / "plain.tif")
    for name in ("jpeg.tif", "plain.tif"):
        assert np.abs(only(tmp_path / name).array.astype(int) - colours).max() <= 4


def test_a_colour_profile_other_than_srgb_is_said(tmp_path):
    colours = Image.fromarray((CUBE[..., :3] * 255).astype(np.uint8))
    usual, other = ImageCms.createProfile("sRGB"), ImageCms.createProfile("XYZ")
    for name, profile in (("usual.png", usual), ("other.png", other)):
        colours.save(tmp_path / name, icc_profile=ImageCms.ImageCmsProfile(profile).tobytes())
        assert ("not applied" in said(only(tmp_path / name))) == (name == "other.png")


def test_the_mosaic_of_a_colour_camera_is_said(tmp_path):
    assert "mosaic" in said(only(tiff(tmp_path / "raw.tif", IMAGE, {"PhotometricInterpretation": 32803})))


# ---- depths, codecs and predictors of TIFF -----------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "lzma", "zstd"])
@pytest.mark.parametrize("array", [CUBE, DEEP[..., :3], IMAGE])
def test_a_tiff_in_any_usual_codec_opens_with_its_numbers(tmp_path, compression, array):
    predictor = None if compression == "packbits" else 3 if array.dtype.kind == "f" else 2
    photometric = "rgb" if array.ndim == 3 and array.shape[2] == 3 else "minisblack"
    settings = {"compression": compression, "predictor": predictor, "photometric": photometric}
    path = tiff(tmp_path / "image.tif", array, planarconfig="contig" if array.ndim == 3 else None, **settings)
    assert np.array_equal(only(path).array, array)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_packed_depth_is_the_full_scale(tmp_path, bits):
    array = (CUBE[..., 0] * (2**bits - 1)).astype(np.uint16)
    found = only(tiff(tmp_path / "packed.tif", array, bitspersample=bits))
    assert np.array_equal(found.array, array) and found.attributes["scale"] == 2**bits - 1


def test_a_codec_that_is_not_read_is_named_with_the_remedy(tmp_path):
    text = sentence(tiff(tmp_path / "image.tif", IMAGE, {"Compression": 34926}))
    assert "codec" in text and "Save it" in text


def test_an_odd_tag_that_tifffile_complains_about_leaves_the_file_sound(tmp_path):
    path = tiff(tmp_path / "image.tif", IMAGE, extratags=[(65000, "I", 1, 7, True)])
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].tags[65000].offset
    content = bytearray(path.read_bytes())
    content[offset + 2 : offset + 4] = struct.pack("<H", 99)  # a type that does not exist
    path.write_bytes(content)
    assert np.array_equal(only(path).array, IMAGE)


def test_what_another_thread_logs_about_its_tiff_is_its_own(tmp_path, monkeypatch):
    path, asarray = tiff(tmp_path / "image.tif", IMAGE), tifffile.TiffPageSeries.asarray

    def logs_beside(series, **settings):
        log = tifffile.tifffile.logger()
        worker = threading.Thread(target=lambda: log.error("another file is cut short"))
        worker.start()
        worker.join()
        return asarray(series, **settings)

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", logs_beside)
    assert np.array_equal(only(path).array, IMAGE)


def test_reads_that_overlap_leave_the_warning_filters_as_they_were(tmp_path, monkeypatch):
    tiff(tmp_path / "image.tif", IMAGE)
    before, asarray = list(warnings.filters), tifffile.TiffPageSeries.asarray
    first_is_in, second_is_in = threading.Event(), threading.Event()

    def overlapping(series, **settings):
        if threading.current_thread() is threading.main_thread():
            first_is_in.set()
            assert second_is_in.wait(10)
        else:
            second_is_in.set()
            worker_may_end.wait(10)
        return asarray(series, **settings)

    worker_may_end = threading.Event()

    def second():
        first_is_in.wait(10)
        read(tmp_path / "image.tif")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", overlapping)
    worker = threading.Thread(target=second)
    worker.start()
    read(tmp_path / "image.tif")
    worker_may_end.set()
    worker.join()
    assert warnings.filters == before


def test_a_bug_of_ours_is_no_damage_of_the_users_file(tmp_path, monkeypatch):
    np.save(tmp_path / "cube.npy", CUBE)

    def buggy(request):
        raise ZeroDivisionError

    monkeypatch.setattr(readers, "read_npy", buggy)
    with pytest.raises(ZeroDivisionError):
        read(tmp_path / "cube.npy")
