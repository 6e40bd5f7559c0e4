"""Reading: every format gives the numbers that were stored, every wrong claim gives one sentence."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from PIL import Image

from lorun_engine.errors import FileError
from lorun_engine.io import FoundArray, read
from lorun_engine.io.readers import as_nanometres, read_wavelengths

HEIGHT, WIDTH, BANDS = 9, 12, 4
CUBE = np.random.default_rng(0).random((HEIGHT, WIDTH, BANDS)).astype(np.float32)  # bands last
IMAGE = (np.random.default_rng(1).random((HEIGHT, WIDTH)) * 65535).astype(np.uint16)
TERABYTES = (1 << 21, 1 << 21)


def write_mat_5(path: Path, **arrays: np.ndarray) -> Path:
    scipy.io.savemat(path, arrays, appendmat=False)
    return path


def write_mat_73(path: Path, **arrays: np.ndarray) -> Path:
    """As MATLAB writes it: a text header in a user block of 512 bytes, then HDF5 with the axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array.T, chunks=array.T.shape, compression="gzip")
        file.create_group("#refs#").create_dataset("a", data=np.ones(3))
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM")
    return path


def write_hdf5(path: Path, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array)
    return path


def write_envi(header: Path, cube: np.ndarray, *, data: str = ".img", interleave: str = "bsq", **fields: str) -> Path:
    """An ENVI pair of a (lines, samples, bands) cube; `fields` replace or add header lines, "_" being a space."""
    order = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}.get(interleave, (2, 0, 1))
    lines, samples, bands = cube.shape
    code = {"uint8": 1, "int16": 2, "float32": 4, "float64": 5, "uint16": 12}[cube.dtype.newbyteorder("=").name]
    is_big = cube.dtype.byteorder == ">"
    stated = {"samples": samples, "lines": lines, "bands": bands, "header_offset": 0, "data_type": code}
    stated |= {"interleave": interleave, "byte_order": int(is_big), **fields}
    text = "\n".join(f"{name.replace('_', ' ')} = {value}" for name, value in stated.items())
    header.write_text(f"ENVI\n{text}\n")
    header.with_suffix(data).write_bytes(cube.transpose(order).tobytes())
    return header


def only(path: Path) -> FoundArray:
    (found,) = read(path)
    return found


def sentence(path: Path) -> str:
    """The one sentence that reading `path` ends in."""
    with pytest.raises(FileError) as caught:
        read(path)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 400, text
    return text


# ---- MAT and HDF5 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_mat_5, write_mat_73, write_hdf5])
def test_named_arrays_come_back_with_their_axes_and_types(tmp_path, write):
    path = write(tmp_path / "file.of.any.suffix", img=CUBE, meas=IMAGE)
    found = {entry.key: entry.array for entry in read(path)}
    assert set(found) == {"img", "meas"}
    assert np.array_equal(found["img"], CUBE) and found["img"].dtype == np.float32
    assert np.array_equal(found["meas"], IMAGE) and found["meas"].dtype == np.uint16


def test_a_key_chooses_one_array_and_a_wrong_one_lists_the_others(tmp_path):
    path = write_mat_5(tmp_path / "scene.mat", img=CUBE, meas=IMAGE)
    (found,) = read(path, key="meas")
    assert found.key == "meas"
    with pytest.raises(FileError, match="no array called 'cube'; it holds img, meas"):
        read(path, key="cube")


def test_what_is_not_numbers_is_left_out_of_a_mat_file_and_cells_are_looked_into(tmp_path):
    cell = np.array([[1], [2], ["text"]], dtype=object)
    odd = {"text": "hello", "cell": cell, "complex": CUBE[..., 0] * 1j, "struct": {"a": 1}}
    found = read(write_mat_5(tmp_path / "odd.mat", img=CUBE, **odd))
    assert [entry.key for entry in found] == ["img", "cell[1]", "cell[2]", "struct/a"]
    assert found[0].notes == (
        "'complex' of odd.mat holds complex numbers; real ones were expected. Save its magnitude or its real part.",
    )
    assert "no numbers" in sentence(write_mat_5(tmp_path / "only_text.mat", text="hello"))


@pytest.mark.parametrize("order, mark", [("<", b"IM"), (">", b"MI")])
def test_doubles_that_matlab_stores_as_bytes_stay_doubles_in_either_byte_order(tmp_path, order, mark):
    def part(kind: int, content: bytes) -> bytes:
        if len(content) <= 4:  # within the tag, whose first half is the length
            tag = struct.pack(order + "I", len(content) << 16 | kind)
            return tag + content.ljust(4, b"\0")
        return struct.pack(order + "II", kind, len(content)) + content + bytes(-len(content) % 8)

    flags, shape = struct.pack(order + "II", 6, 0), struct.pack(order + "ii", 2, 3)
    variable = part(6, flags) + part(5, shape) + part(1, b"mask") + part(2, bytes([1, 2, 3, 4, 5, 6]))
    workspace = part(6, struct.pack(order + "II", 9, 0)) + part(5, shape) + part(1, b"") + part(2, bytes(6))
    deflated = zlib.compress(part(14, variable))  # the only element that is not padded
    for name, element in (
        ("plain.mat", part(14, variable)),
        ("deflated.mat", struct.pack(order + "II", 15, len(deflated)) + deflated),
    ):
        header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(order + "H", 0x0100) + mark
        path = tmp_path / name
        path.write_bytes(header + part(14, workspace) + element)
        found = only(path)
        assert found.key == "mask" and found.array.dtype == np.float64
        assert np.array_equal(found.array, [[1, 3, 5], [2, 4, 6]])


def test_hdf5_reads_nested_compressed_sets_and_the_attributes_beside_them(tmp_path):
    path = tmp_path / "cube.h5"
    with h5py.File(path, "w") as file:
        cube = file.create_dataset("entry/cube", data=np.moveaxis(CUBE, -1, 0), compression="gzip", shuffle=True)
        cube.attrs.update({"axes": "CYX", "wavelengths_nm": np.arange(4.0), "source": np.bytes_(b"a lamp")})
        file.attrs["step"] = np.float64(2)
        file.create_dataset("names", data=np.array([b"a", b"b"]))
        file.create_dataset("nothing", data=h5py.Empty("f4"))
    found = only(path)
    assert (found.key, found.axes) == ("entry/cube", "CYX")
    assert found.attributes["source"] == "a lamp" and found.attributes["step"] == 2.0
    assert list(found.attributes["wavelengths_nm"]) == [0, 1, 2, 3]


# ---- NumPy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("array", [CUBE, np.asfortranarray(CUBE), CUBE.astype(">f4"), IMAGE, CUBE > 0.5])
def test_npy_comes_back_in_any_order_and_type(tmp_path, array):
    np.save(tmp_path / "array.npy", array)
    assert np.array_equal(only(tmp_path / "array.npy").array, array)


def test_npz_gives_every_array_by_name(tmp_path):
    np.savez_compressed(tmp_path / "arrays.npz", mask=IMAGE, cube=CUBE)
    found = {entry.key: entry.array for entry in read(tmp_path / "arrays.npz")}
    assert np.array_equal(found["mask"], IMAGE) and np.array_equal(found["cube"], CUBE)


def test_npz_leaves_out_what_is_no_array(tmp_path):
    np.savez(tmp_path / "arrays.npz", cube=CUBE, notes=np.array({"by": "me"}, dtype=object))
    with zipfile.ZipFile(tmp_path / "arrays.npz", "a") as archive:
        archive.writestr("readme.txt", "hello")
    assert only(tmp_path / "arrays.npz").key == "cube"


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["array.npy", "array.npz"])
def test_pickled_arrays_are_refused_and_never_run(tmp_path, name):
    objects = np.array([Bomb(tmp_path / "ran")], dtype=object)
    (np.save if name.endswith("npy") else np.savez)(tmp_path / name, objects)
    assert "pickled" in sentence(tmp_path / name)
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    sentence(tmp_path / "bare.npy")
    assert not (tmp_path / "ran").exists()


def test_npy_of_records_is_refused(tmp_path):
    np.save(tmp_path / "records.npy", np.zeros(3, dtype=[("a", "f4"), ("b", "i4")]))
    assert "plain numbers" in sentence(tmp_path / "records.npy")


# ---- TIFF and pictures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("array", [IMAGE, IMAGE.astype(np.float32), (IMAGE >> 8).astype(np.uint8)])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_image_comes_back_in_its_type(tmp_path, array, compression):
    tifffile.imwrite(tmp_path / "image.tif", array, compression=compression)
    found = only(tmp_path / "image.tif")
    assert np.array_equal(found.array, array) and found.array.dtype == array.dtype and found.axes == "YX"


@pytest.mark.parametrize(
    "pages", [{}, {"metadata": None}, {"ome": True, "metadata": {"axes": "CYX"}}, {"bigtiff": True}]
)
def test_the_pages_of_a_tiff_are_bands(tmp_path, pages):
    bands = np.ascontiguousarray(np.moveaxis(CUBE, -1, 0))
    tifffile.imwrite(tmp_path / "cube.tif", bands, photometric="minisblack", **pages)
    found = only(tmp_path / "cube.tif")
    assert np.array_equal(found.array, bands) and found.axes == "CYX"


def test_a_colour_tiff_has_its_bands_last_and_a_palette_gives_colours(tmp_path):
    colours = np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "colour.tif", colours, photometric="rgb")
    assert np.array_equal(only(tmp_path / "colour.tif").array, colours) and only(tmp_path / "colour.tif").axes == "YXC"
    picture = Image.fromarray(colours).quantize(16)
    picture.save(tmp_path / "palette.tif")
    assert np.array_equal(only(tmp_path / "palette.tif").array, np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_the_usual_compressions_of_tiff_are_read(tmp_path, compression):
    Image.fromarray(IMAGE).save(tmp_path / "one.tif", compression=compression)
    assert np.array_equal(only(tmp_path / "one.tif").array, IMAGE)
    first, *more = [Image.fromarray(np.ascontiguousarray(CUBE[..., band])) for band in range(BANDS)]
    first.save(tmp_path / "many.tif", compression=compression, save_all=True, append_images=more)
    found = only(tmp_path / "many.tif")
    assert np.array_equal(found.array, np.moveaxis(CUBE, -1, 0)) and found.axes == "CYX"


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_a_picture_of_8_bits_comes_back_exactly(tmp_path, suffix):
    grey = (IMAGE >> 8).astype(np.uint8)
    colour = np.stack([grey, grey[::-1], grey[:, ::-1]], axis=-1)
    for name, array, axes in (("grey", grey, "YX"), ("colour", colour, "YXC")):
        Image.fromarray(array).save(tmp_path / f"{name}.{suffix}")
        found = only(tmp_path / f"{name}.{suffix}")
        assert np.array_equal(found.array, array) and found.axes == axes and not found.notes


def test_a_png_of_16_bits_keeps_them(tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "deep.png")
    found = only(tmp_path / "deep.png")
    assert np.array_equal(found.array, IMAGE) and found.array.dtype == np.uint16


def test_a_colour_png_of_16_bits_is_read_with_8_and_says_so(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    colours = np.stack([IMAGE, IMAGE[::-1], IMAGE[:, ::-1]], axis=-1)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0))
    path = tmp_path / "deep.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    found = only(path)
    assert np.array_equal(found.array, colours >> 8)
    assert "16 bits" in found.notes[0]


def test_black_and_white_and_grey_palettes_give_one_grey_image(tmp_path):
    grey = (IMAGE >> 15).astype(np.uint8) * 255
    Image.fromarray(grey).convert("1").save(tmp_path / "bits.png")
    palette = Image.fromarray(grey // 255).convert("P")
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.save(tmp_path / "palette.png")
    for name in ("bits.png", "palette.png"):
        assert np.array_equal(only(tmp_path / name).array, grey)


def test_a_colour_palette_is_looked_up(tmp_path):
    palette = Image.fromarray((IMAGE & 1).astype(np.uint8)).convert("P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(only(tmp_path / "palette.png").array[..., 2], (IMAGE & 1) * 255)


def test_a_grey_picture_saved_in_colour_is_one_image(tmp_path):
    grey = (IMAGE >> 8).astype(np.uint8)
    Image.fromarray(grey).convert("RGB").save(tmp_path / "mask.png")
    found = only(tmp_path / "mask.png")
    assert np.array_equal(found.array, grey) and found.axes == "YX" and "grey" in found.notes[0]


@pytest.mark.parametrize("channels, axes", [(3, "YXC"), (1, "YX")])
def test_transparency_is_dropped_and_said(tmp_path, channels, axes):
    opaque = Image.fromarray(
        np.stack([IMAGE >> 8, IMAGE & 255, IMAGE >> 4 & 255], -1)[..., :channels].squeeze().astype("u1")
    )
    see_through = opaque.copy()
    see_through.putalpha(7)
    see_through.save(tmp_path / "alpha.png")
    found = only(tmp_path / "alpha.png")
    assert np.array_equal(found.array, np.asarray(opaque)) and found.axes == axes
    assert "transparency" in found.notes[0]


def test_a_photograph_is_turned_as_its_exif_orientation_says(tmp_path):
    bright_left = np.zeros((16, 32), dtype=np.uint8)
    bright_left[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored left side is the top
    Image.fromarray(bright_left).save(tmp_path / "turned.jpg", exif=exif)
    found = only(tmp_path / "turned.jpg")
    assert found.array.shape == (32, 16)
    assert found.array[:16].mean() > 250 and found.array[16:].mean() < 5
    assert "EXIF" in found.notes[0]


# ---- ENVI --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">u2", "<i2", ">f8"])
def test_envi_cubes_come_back_by_either_file(tmp_path, interleave, dtype):
    cube = (CUBE * 1000).astype(dtype)
    header = write_envi(tmp_path / "scene.hdr", cube, interleave=interleave)
    for path in (header, tmp_path / "scene.img"):
        found = only(path)
        assert np.array_equal(found.array, cube) and found.axes == "YXC" and found.array.dtype.isnative


@pytest.mark.parametrize("data", ["scene", "scene.raw", "scene.dat", "scene.bsq", "scene.DAT"])
def test_envi_data_lie_under_many_names(tmp_path, data):
    header = write_envi(tmp_path / "scene.hdr", CUBE)
    (tmp_path / "scene.img").rename(tmp_path / data)
    for path in (header, tmp_path / data):
        assert np.array_equal(only(path).array, CUBE)


def test_an_envi_header_may_keep_the_suffix_of_its_data(tmp_path):
    write_envi(tmp_path / "scene.hdr", CUBE).rename(tmp_path / "scene.img.hdr")
    for name in ("scene.img", "scene.img.hdr"):
        assert np.array_equal(only(tmp_path / name).array, CUBE)


def test_envi_micrometres_become_nanometres(tmp_path):
    path = write_envi(
        tmp_path / "scene.hdr", CUBE, wavelength="{0.45, 0.55,\n 0.65, 0.75}", wavelength_units="Micrometers"
    )
    np.testing.assert_allclose(only(path).attributes["wavelengths_nm"], [450, 550, 650, 750])


def test_envi_offset_and_missing_byte_order_are_understood(tmp_path):
    path = write_envi(tmp_path / "scene.hdr", CUBE, header_offset=10)
    data = tmp_path / "scene.img"
    data.write_bytes(b"0123456789" + data.read_bytes())
    path.write_text(path.read_text().replace("byte order = 0\n", ""))
    assert np.array_equal(only(path).array, CUBE)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_envi_values_to_ignore_become_missing_and_are_counted(tmp_path, dtype):
    cube = (CUBE * 100).astype(dtype)
    cube[2, 3] = -9999
    found = only(write_envi(tmp_path / "scene.hdr", cube, data_ignore_value="-9999"))
    assert np.array_equal(np.isnan(found.array), cube == -9999)
    assert np.array_equal(found.array[cube != -9999], cube[cube != -9999])
    assert "4 values" in found.notes[0]


def test_an_envi_band_is_an_image(tmp_path):
    found = only(write_envi(tmp_path / "image.hdr", IMAGE[..., None]))
    assert np.array_equal(found.array, IMAGE) and found.axes == "YX"


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"data_type": 6}, "data type 6"),
        ({"data_type": "x"}, "data type x"),
        ({"interleave": "zigzag"}, "bsq, bil or bip"),
        ({"lines": 10}, "asks for"),
        ({"lines": 1 << 21, "samples": 1 << 21}, "asks for"),
        ({"lines": -3}, "scene.hdr"),
        ({"lines": "many"}, "scene.hdr"),
        ({"header_offset": -1}, "scene.hdr"),
    ],
)
def test_an_envi_header_that_does_not_fit_gives_a_sentence(tmp_path, fields, expected):
    assert expected in sentence(write_envi(tmp_path / "scene.hdr", CUBE, **fields))


def test_an_envi_header_without_data_names_what_it_looked_for(tmp_path):
    header = write_envi(tmp_path / "scene.hdr", CUBE)
    (tmp_path / "scene.img").unlink()
    assert ".img" in sentence(header)


# ---- text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["1 2\n3 4\n", "a,b\n1,2\n3,4", "# note\n1;2\n\n3;4", "\ufeff1\t2\r\n3\t4\r\n"])
def test_a_table_of_numbers_is_an_array(tmp_path, text):
    (tmp_path / "table.txt").write_text(text, encoding="utf-8")
    assert np.array_equal(only(tmp_path / "table.txt").array, [[1, 2], [3, 4]])


def test_a_table_with_unequal_rows_or_a_stray_word_is_refused(tmp_path):
    for number, text in enumerate(("1 2\n3\n", "1 2\n3 x\n")):
        (tmp_path / f"{number}.txt").write_text(text)
        assert "equal rows" in sentence(tmp_path / f"{number}.txt")


@pytest.mark.parametrize("start, kind", [("1 2\n", "text"), ("ENVI\n", "header")])
def test_a_text_that_would_take_minutes_is_refused_at_once(tmp_path, start, kind):
    (tmp_path / "long.hdr").write_text(start)
    (tmp_path / "long").write_bytes(b"x")
    os.truncate(tmp_path / "long.hdr", 1 << 30)  # sparse: nothing is stored
    assert f"{kind} of 1024 MiB" in sentence(tmp_path / "long.hdr")


def test_wavelengths_come_from_a_column_a_row_or_an_array_in_either_unit(tmp_path):
    (tmp_path / "column.csv").write_text("wavelength_nm,spectrum\n450,0.1\n550,0.2\n")
    (tmp_path / "row.txt").write_text("450 550 650 750\n")
    np.save(tmp_path / "array.npy", [0.45, 0.55])
    assert list(read_wavelengths(tmp_path / "column.csv")) == [450, 550]
    assert list(read_wavelengths(tmp_path / "row.txt")) == [450, 550, 650, 750]
    np.testing.assert_allclose(read_wavelengths(tmp_path / "array.npy"), [450, 550])
    assert list(as_nanometres([400, 500])) == [400, 500]
    with pytest.raises(FileError, match="no list of wavelengths"):
        read_wavelengths(write_hdf5(tmp_path / "cube.h5", cube=CUBE))


# ---- what is no array file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mat", "h5", "npy", "npz", "tif", "png", "hdr", "txt", "docx"])
def test_prose_of_any_suffix_is_refused(tmp_path, suffix):
    path = tmp_path / f"letter.{suffix}"
    path.write_text("Dear reader, this is no image.\nYours\n")
    assert path.name in sentence(path)


def test_what_cannot_be_opened_is_named(tmp_path, monkeypatch):
    (tmp_path / "empty.mat").touch()
    assert "is empty" in sentence(tmp_path / "empty.mat")
    assert "is a folder" in sentence(tmp_path)
    assert "does not exist" in sentence(tmp_path / "nowhere.mat")
    assert "does not exist" in sentence(tmp_path / "no\0where.mat")
    np.save(tmp_path / "secret.npy", CUBE)

    def refuse(*args, **named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # root may read everything, so rights alone would not do
    assert "Permission denied" in sentence(tmp_path / "secret.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "no ordinary file" in sentence(tmp_path / "pipe")


# ---- claims ------------------------------------------------------------------------------------------------------


def _npy_header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def _claiming_npy(path: Path) -> None:
    path.write_bytes(_npy_header(TERABYTES) + bytes(64))


def _claiming_npz(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cube.npy", _npy_header(TERABYTES) + bytes(64))


def _claiming_contiguous_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("cube", shape=TERABYTES, dtype="f8")


def _claiming_chunked_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("cube", shape=TERABYTES, dtype="f8", chunks=(64, 64), fillvalue=1.0)


def _filled_hdf5(path: Path) -> None:
    """Below the limit of one array, far above what is stored."""
    with h5py.File(path, "w") as file:
        file.create_dataset("cube", shape=(1 << 14, 1 << 15), dtype="f8", chunks=(64, 64), fillvalue=1.0)


def _hdf5_of_one_huge_chunk(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("cube", shape=(4, 4), maxshape=(None, None), dtype="f8", chunks=(1 << 14, 1 << 14))


def _claiming_mat(path: Path) -> None:
    write_mat_5(path, meas=np.ones((4, 4)))
    content = bytearray(path.read_bytes())
    at = content.index(struct.pack("<ii", 4, 4))
    content[at : at + 8] = struct.pack("<ii", *TERABYTES)
    path.write_bytes(content)


def _claiming_tiff(path: Path) -> None:
    tifffile.imwrite(path, IMAGE)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for name in ("ImageWidth", "ImageLength"):
            tiff.pages[0].tags[name].overwrite(TERABYTES[0])


def _inflated_tiff(path: Path) -> None:
    """Below the limit of one array, far above what its deflated bytes can be."""
    tifffile.imwrite(path, IMAGE, compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for name in ("ImageWidth", "ImageLength"):
            tiff.pages[0].tags[name].overwrite(40_000)


def _claiming_png(path: Path) -> None:
    Image.fromarray(IMAGE).save(path, format="PNG")
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", *TERABYTES)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


@pytest.mark.parametrize(
    "write",
    [
        *(_claiming_npy, _claiming_npz, _claiming_contiguous_hdf5, _claiming_chunked_hdf5, _filled_hdf5),
        _hdf5_of_one_huge_chunk,
        *(_claiming_mat, _claiming_tiff, _inflated_tiff, _claiming_png),
    ],
)
def test_a_header_that_claims_more_than_there_is_gives_a_sentence(tmp_path, write: Callable[[Path], None]):
    write(tmp_path / "huge")
    assert "claims" in sentence(tmp_path / "huge")
