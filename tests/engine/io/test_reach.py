"""How far a file reaches: to others of its folder and no further, into its structures, and up to one limit in sum."""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
import tifffile
from PIL import Image

from lorun_engine.errors import FileError
from lorun_engine.io import read
from lorun_engine.io.readers import read_wavelengths
from lorun_engine.io.spectra import read_library
from lorun_engine.io.sr import read_kernels
from tests.engine.io.test_stated import CUBE, HEIGHT, IMAGE, WIDTH, envi, hdf5, only, sentence

# ---- sets of files -----------------------------------------------------------------------------------------------


def ome(path: Path, names: dict[str, str]) -> Path:
    """An OME-TIFF of one page whose set has the parts `names`, file name -> UUID, a plane in each."""
    planes = "".join(
        f'<TiffData IFD="0" FirstT="{number}" PlaneCount="1"><UUID FileName="{name}">{uuid}</UUID></TiffData>'
        for number, (name, uuid) in enumerate(names.items())
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="{next(iter(names.values()))}"><Image ID="Image:0"><Pixels DimensionOrder="XYCZT" ID="Pixels:0" '
        f'SizeC="1" SizeT="{len(names)}" SizeX="{WIDTH}" SizeY="{HEIGHT}" SizeZ="1" Type="uint16">'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
    )
    tifffile.imwrite(path, IMAGE, description=text.encode(), metadata=None)
    return path


def test_the_parts_of_an_ome_set_are_read_where_they_lie_beside_each_other(tmp_path):
    path = ome(tmp_path / "a.ome.tif", {"a.ome.tif": "urn:uuid:a", "b.ome.tif": "urn:uuid:b"})
    tifffile.imwrite(tmp_path / "b.ome.tif", IMAGE + 1, metadata=None)
    found = only(path)
    assert found.axes == "TYX" and np.array_equal(found.array, np.stack([IMAGE, IMAGE + 1]))


def test_a_missing_part_of_an_ome_set_is_named(tmp_path):
    path = ome(tmp_path / "a.ome.tif", {"a.ome.tif": "urn:uuid:a", "b.ome.tif": "urn:uuid:b"})
    assert "'b.ome.tif' belongs to it" in sentence(path)


@pytest.mark.parametrize("name", ["../secret.tif", "/etc/secret.tif", "sub/secret.tif", "..\\secret.tif", "link.tif"])
def test_an_ome_set_never_leads_out_of_its_folder(tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    tifffile.imwrite(tmp_path / "secret.tif", IMAGE, metadata=None)
    (folder / "link.tif").symlink_to(tmp_path / "secret.tif")
    assert "outside of its folder" in sentence(
        ome(folder / "a.ome.tif", {"a.ome.tif": "urn:uuid:a", name: "urn:uuid:b"})
    )


def test_an_ome_file_that_was_renamed_is_whole(tmp_path):
    ome(tmp_path / "a.ome.tif", {"a.ome.tif": "urn:uuid:a"}).rename(tmp_path / "b.ome.tif")
    assert np.array_equal(only(tmp_path / "b.ome.tif").array, IMAGE)


def test_an_external_link_is_followed_within_the_folder(tmp_path):
    (tmp_path / "sub").mkdir()
    hdf5(tmp_path / "target.h5", CUBE)
    hdf5(tmp_path / "sub" / "target.h5", IMAGE)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = h5py.ExternalLink("target.h5", "/cube")
        file["image"] = h5py.ExternalLink("sub/target.h5", "/cube")
        file["again"] = h5py.ExternalLink("a.h5", "/")  # itself
    found = {entry.key: entry.array for entry in read(tmp_path / "a.h5")}
    assert set(found) == {"cube", "image"} and np.array_equal(found["cube"], CUBE)
    assert np.array_equal(found["image"], IMAGE)


@pytest.mark.parametrize(
    "target, expected", [("../secret.h5", "outside"), ("{}/secret.h5", "outside"), ("no.h5", "not there")]
)
@pytest.mark.parametrize("kind", ["link", "virtual"])
def test_hdf5_never_leads_out_of_its_folder(tmp_path, kind, target, expected):
    folder = tmp_path / "folder"
    folder.mkdir()
    hdf5(tmp_path / "secret.h5", CUBE)
    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        if kind == "link":
            file["cube"] = h5py.ExternalLink(target.format(tmp_path), "/cube")
        else:
            layout = h5py.VirtualLayout(CUBE.shape, "f4")
            layout[:] = h5py.VirtualSource(target.format(tmp_path), "cube", CUBE.shape)
            file.create_virtual_dataset("cube", layout)
    assert expected in sentence(path)


def test_a_virtual_dataset_is_read_where_its_sources_lie_beside_it(tmp_path):
    hdf5(tmp_path / "target.h5", CUBE)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        layout = h5py.VirtualLayout((2, *CUBE.shape), "f4")
        layout[0] = h5py.VirtualSource("target.h5", "cube", CUBE.shape)
        layout[1] = h5py.VirtualSource("target.h5", "cube", CUBE.shape)
        file.create_virtual_dataset("cubes", layout)
    assert np.array_equal(only(tmp_path / "a.h5").array, np.stack([CUBE, CUBE]))


@pytest.mark.parametrize("through", ["", "link", "virtual"])
def test_the_raw_bytes_of_another_file_are_never_read(tmp_path, through):
    (tmp_path / "secret").write_bytes(CUBE.tobytes())
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        external = [(str(tmp_path / "secret"), 0, CUBE.nbytes)]
        file.create_dataset("cube", CUBE.shape, "f4", external=external)
    path = tmp_path / ("a.h5" if through else "raw.h5")
    if through:
        with h5py.File(path, "w") as file:
            if through == "link":
                file["cube"] = h5py.ExternalLink("raw.h5", "/cube")
            else:
                layout = h5py.VirtualLayout(CUBE.shape, "f4")
                layout[:] = h5py.VirtualSource("raw.h5", "cube", CUBE.shape)
                file.create_virtual_dataset("cube", layout)
    assert "never read" in sentence(path)


def test_a_filter_that_is_not_there_is_named_with_the_remedy(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk(IMAGE.shape)
        settings.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, ())
        h5py.h5d.create(file.id, b"image", h5py.h5t.NATIVE_UINT16, h5py.h5s.create_simple(IMAGE.shape), settings)
    text = sentence(tmp_path / "a.h5")
    assert "32001" in text and "gzip" in text


def test_names_that_are_no_utf_8_are_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(b"w\xfcrfel", data=CUBE)
        file.create_group(b"\xff").create_dataset("image", data=IMAGE)
    found = {entry.key: entry.array for entry in read(tmp_path / "a.h5")}
    assert np.array_equal(found["w\\xfcrfel"], CUBE) and np.array_equal(found["\\xff/image"], IMAGE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_pipes_are_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for opens in (read, read_wavelengths, read_library, read_kernels):
        with pytest.raises(FileError):
            opens(str(tmp_path / "pipe"))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = h5py.ExternalLink("pipe", "/cube")
    assert "not there" in sentence(tmp_path / "a.h5")
    assert "belongs to it" in sentence(ome(tmp_path / "a.tif", {"a.tif": "urn:uuid:a", "pipe": "urn:uuid:b"}))
    header = envi(tmp_path / "cube.hdr", CUBE)
    (tmp_path / "cube.img").unlink()
    os.mkfifo(tmp_path / "cube.img")
    assert "no data file" in sentence(header)


# ---- structures and sparse matrices of MATLAB ---------------------------------------------------------------------


def test_structures_are_looked_into(tmp_path):
    several = np.zeros((1, 2), dtype=[("meas", "O"), ("who", "O")])
    several[0, 0], several[0, 1] = (IMAGE, "a"), (IMAGE + 1, "b")
    scipy.io.savemat(tmp_path / "a.mat", {"data": {"meas": IMAGE, "in": {"mask": CUBE[..., 0]}}, "all": several})
    found = {entry.key: entry.array for entry in read(tmp_path / "a.mat")}
    assert set(found) == {"data/meas", "data/in/mask", "all[1]/meas", "all[2]/meas"}
    assert np.array_equal(found["data/in/mask"], CUBE[..., 0]) and np.array_equal(found["all[2]/meas"], IMAGE + 1)


@pytest.mark.parametrize("version", ["4", "5"])
def test_sparse_matrices_are_filled(tmp_path, version):
    mask = np.where(CUBE[..., 0] > 0.5, CUBE[..., 1], 0).astype(np.float64)
    scipy.io.savemat(tmp_path / "a.mat", {"mask": scipy.sparse.csc_matrix(mask), "y": CUBE[..., 2]}, format=version)
    found = {entry.key: entry.array for entry in read(tmp_path / "a.mat")}
    assert np.array_equal(found["mask"], mask) and np.array_equal(found["y"], CUBE[..., 2])


@pytest.mark.parametrize("array", [CUBE[..., 0], CUBE[..., 0].astype(np.float64), IMAGE.astype(np.uint16)])
def test_version_4_of_matlab_is_read(tmp_path, array):
    scipy.io.savemat(tmp_path / "a.mat", {"meas": array, "who": "me"}, format="4")
    assert np.array_equal(only(tmp_path / "a.mat").array, array)


def test_version_7_3_has_structures_cells_and_sparse_matrices_too(tmp_path):
    mask = scipy.sparse.csc_matrix(np.where(CUBE[..., 0] > 0.5, CUBE[..., 1], 0))
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["data/meas"] = IMAGE.T
        who = file.create_dataset("who", data=np.array([[109], [101]], np.uint16))
        who.attrs["MATLAB_class"] = np.bytes_("char")
        group = file.create_group("mask")
        group.attrs.update({"MATLAB_class": np.bytes_("double"), "MATLAB_sparse": np.uint64(HEIGHT)})
        group["data"], group["ir"], group["jc"] = mask.data, mask.indices.astype("u8"), mask.indptr.astype("u8")
        parts = [
            file.create_dataset(f"#refs#/{name}", data=image.T) for name, image in (("a", IMAGE), ("b", IMAGE + 1))
        ]
        cell = file.create_dataset("cell", (2, 1), h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
        cell[:, 0] = [part.ref for part in parts]
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    found = {entry.key: entry.array for entry in read(path)}
    assert set(found) == {"data/meas", "mask", "cell[1]", "cell[2]"}
    assert np.array_equal(found["mask"], mask.toarray()) and np.array_equal(found["data/meas"], IMAGE)
    assert np.array_equal(found["cell[2]"], IMAGE + 1)


# ---- one limit ---------------------------------------------------------------------------------------------------


def _write_many(path: Path) -> None:
    zeros = np.zeros((512, 512), np.uint8)
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for number in range(8):
                file.create_dataset(f"a{number}", data=zeros, chunks=zeros.shape, compression="gzip")
    elif path.suffix == ".npz":
        np.savez_compressed(path, **{f"a{number}": zeros for number in range(8)})
    elif path.suffix == ".mat":
        scipy.io.savemat(path, {f"a{number}": zeros for number in range(8)}, do_compression=True)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, np.zeros((8, *zeros.shape), np.uint8), compression="zlib", photometric="minisblack")
    elif path.suffix == ".png":
        Image.fromarray(np.zeros((2048, 1024), np.uint8)).save(path)
    elif path.suffix == ".npy":
        np.save(path, np.zeros((8, 512, 512), np.uint8))
    else:
        envi(path, np.zeros((512, 512, 8), np.uint8))


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".mat", ".tif", ".png", ".npy", ".hdr"])
def test_what_a_file_unfolds_to_in_sum_has_one_limit_that_can_be_set(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"many{suffix}"
    _write_many(path)
    assert read(path)
    monkeypatch.setenv("LORUN_MOST_GIB", f"{1.5 / 1024}")
    assert "LORUN_MOST_GIB" in sentence(path)
    monkeypatch.setenv("LORUN_MOST_GIB", "lots")
    assert "number of GiB" in sentence(path)


def test_one_array_of_a_large_file_can_be_chosen(tmp_path, monkeypatch):
    for suffix in (".h5", ".npz"):
        _write_many(tmp_path / f"many{suffix}")
    monkeypatch.setenv("LORUN_MOST_GIB", f"{1.5 / 1024}")
    for suffix in (".h5", ".npz"):
        (found,) = read(tmp_path / f"many{suffix}", key="a5")
        assert found.key == "a5"


def test_arrays_of_which_nothing_is_stored_are_filled_in_up_to_a_limit_of_all_together(tmp_path):
    with h5py.File(tmp_path / "filled.h5", "w") as file:
        for number in range(3):
            file.create_dataset(f"a{number}", (10_000, 10_000), "u1", chunks=(1000, 1000), fillvalue=1)
    assert (tmp_path / "filled.h5").stat().st_size < 20_000
    assert "claims" in sentence(tmp_path / "filled.h5")


def test_a_zip_that_lies_about_its_sizes_is_a_sentence(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", cube=CUBE)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 1 << 30)
    (tmp_path / "a.npz").write_bytes(content)
    assert zipfile.is_zipfile(tmp_path / "a.npz")
    try:
        read(tmp_path / "a.npz")
    except FileError as error:
        assert str(error).endswith(".")
