"""Damaged files: cut short or with other bytes, every format gives one sentence or numbers that are whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import tifffile
from PIL import Image

from lorun_engine.errors import LorunError
from lorun_engine.io import read
from tests.engine.io.test_readers import (
    CUBE,
    IMAGE,
    sentence,
    write_envi,
    write_hdf5,
    write_mat_5,
    write_mat_73,
)


def _samples() -> dict[str, Callable[[Path], None]]:
    bands = np.ascontiguousarray(np.moveaxis(CUBE, -1, 0))
    colour = np.repeat((IMAGE >> 8).astype(np.uint8)[..., None], 3, axis=-1)
    return {
        "mat5": lambda path: write_mat_5(path, img=CUBE, meas=IMAGE),
        "mat5-deflated": lambda path: scipy.io.savemat(path, {"img": CUBE}, appendmat=False, do_compression=True),
        "mat73": lambda path: write_mat_73(path, img=CUBE, meas=IMAGE),
        "hdf5": lambda path: write_hdf5(path, img=CUBE, meas=IMAGE),
        "npy": lambda path: path.write_bytes(_saved(np.save, CUBE)),
        "npz": lambda path: path.write_bytes(_saved(np.savez, CUBE)),
        "tiff": lambda path: tifffile.imwrite(path, bands, photometric="minisblack"),
        "tiff-pages": lambda path: tifffile.imwrite(path, bands, photometric="minisblack", metadata=None),
        "tiff-deflated": lambda path: tifffile.imwrite(path, bands, photometric="minisblack", compression="zlib"),
        "tiff-lzw": lambda path: Image.fromarray(IMAGE).save(path, format="TIFF", compression="tiff_lzw"),
        "png": lambda path: Image.fromarray(IMAGE).save(path, format="PNG"),
        "jpeg": lambda path: Image.fromarray(colour).save(path, format="JPEG"),
        "bmp": lambda path: Image.fromarray(colour).save(path, format="BMP"),
    }


def _saved(save: Callable, array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("share", [0.001, 0.02, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.97, 0.999])
@pytest.mark.parametrize("name", _samples())
def test_a_file_cut_short_gives_a_sentence_or_the_numbers_that_are_whole(tmp_path, caplog, name, share):
    path = tmp_path / "whole"
    _samples()[name](path)
    whole = {entry.key: entry.array for entry in read(path)}
    content = path.read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(content[: max(1, int(len(content) * share))])
    try:
        found = read(cut)
    except LorunError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
    else:
        assert all(np.array_equal(entry.array, whole[entry.key]) for entry in found)
    assert not caplog.records  # a library's own complaints would stand beside the sentence


@pytest.mark.parametrize("name", _samples())
def test_damaged_bytes_end_in_a_sentence_or_in_numbers(tmp_path, name):
    path = tmp_path / "file"
    _samples()[name](path)
    content = path.read_bytes()
    generator = np.random.default_rng(3)
    for _ in range(12):
        damaged = bytearray(content)
        for position in generator.integers(0, len(content), 6):
            damaged[position] = generator.integers(0, 256)
        path.write_bytes(damaged)
        try:
            assert read(path)
        except LorunError as error:
            assert str(error).endswith(".")


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_envi_data_cut_short_say_how_many_bytes_are_missing(tmp_path, share):
    header = write_envi(tmp_path / "scene.hdr", CUBE)
    data = tmp_path / "scene.img"
    data.write_bytes(data.read_bytes()[: int(CUBE.nbytes * share)])
    assert f"{CUBE.nbytes}" in sentence(header)
