"""Writing: what is written reads back equal, and a file appears whole or not at all."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from lorun_engine.errors import FileError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import (
    CUBE_FORMATS,
    cube_file,
    open_measurement,
    open_scene,
    read,
    replacing,
    write_cube,
    write_measurement,
    write_spectra_csv,
)
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.tasks.cassi import CassiPhysics, random_mask, simulate

BANDS, HEIGHT, WIDTH = 5, 8, 11
CUBE = np.random.default_rng(0).random((BANDS, HEIGHT, WIDTH)).astype(np.float32) * 1.2 - 0.1  # nothing is clipped
WAVELENGTHS_NM = np.array([453.3, 476.5, 522.75, 594.4, 648.1])
ATTRIBUTES = {"adapter": "gap-tv", "source": "scene {1}.mat", "intensity_scale": 0.8}


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


# ---- cubes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", CUBE_FORMATS)
def test_a_cube_of_every_format_reads_back_bit_for_bit_with_its_wavelengths(tmp_path, suffix):
    path = tmp_path / f"cube{suffix}"
    write_cube(path, CUBE, wavelengths_nm=WAVELENGTHS_NM, attributes=ATTRIBUTES)
    scene = open_scene(path)
    assert np.array_equal(scene.image, CUBE)
    if suffix == ".npy":
        assert scene.wavelengths_nm is None
    else:
        np.testing.assert_allclose(scene.wavelengths_nm, WAVELENGTHS_NM, rtol=1e-12)
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("suffix", CUBE_FORMATS)
def test_a_cube_without_wavelengths_reads_back(tmp_path, suffix):
    write_cube(tmp_path / f"cube{suffix}", CUBE, wavelengths_nm=None, attributes={})
    scene = open_scene(tmp_path / f"cube{suffix}")
    assert np.array_equal(scene.image, CUBE) and scene.wavelengths_nm is None


STATING_AXES = [suffix for suffix in CUBE_FORMATS if suffix not in (".mat", ".npy")]


@pytest.mark.parametrize(
    "suffix, shape",
    [
        *((suffix, shape) for suffix in CUBE_FORMATS for shape in ((1, 6, 7), (6, 6, 6))),
        *((suffix, (70, 65, 80)) for suffix in STATING_AXES),  # more bands than rows look like pixels
    ],
)
def test_the_axes_of_unusual_cubes_are_told_by_what_the_file_states(tmp_path, suffix, shape):
    cube = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    write_cube(tmp_path / f"cube{suffix}", cube, wavelengths_nm=None, attributes={})
    assert np.array_equal(open_scene(tmp_path / f"cube{suffix}").image, cube)


def test_hdf5_cubes_hold_what_other_programs_look_for(tmp_path):
    write_cube(tmp_path / "cube.h5", CUBE, wavelengths_nm=WAVELENGTHS_NM, attributes=ATTRIBUTES)
    with h5py.File(tmp_path / "cube.h5") as file:
        assert file["cube"].shape == (HEIGHT, WIDTH, BANDS) and file["cube"].dtype == np.float32
        assert dict(file["cube"].attrs).items() >= ATTRIBUTES.items()


def test_a_suffix_that_holds_no_cube_lists_those_that_do(tmp_path):
    with pytest.raises(FileError, match=r"\.h5, \.hdf5, \.mat"):
        write_cube(tmp_path / "cube.xyz", CUBE, wavelengths_nm=None, attributes={})


def test_stages_are_added_one_by_one_and_the_file_appears_at_the_end(tmp_path):
    path = tmp_path / "cube.h5"
    with cube_file(path, wavelengths_nm=WAVELENGTHS_NM) as file:
        for index in range(4):
            file.add_stage(index, CUBE + index)
        assert not path.exists()
        file.finish(CUBE + 3, attributes=ATTRIBUTES)
    assert np.array_equal(open_scene(path).image, CUBE + 3)
    with h5py.File(path) as file:
        assert np.array_equal(file["initial"], np.moveaxis(CUBE, 0, -1))
        assert np.array_equal(file["stages"], np.stack([np.moveaxis(CUBE + k, 0, -1) for k in (1, 2, 3)]))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, None])
def test_a_restoration_that_ends_early_leaves_no_file_of_stages(tmp_path, error):
    path = tmp_path / "cube.h5"
    try:
        with cube_file(path, wavelengths_nm=None) as file:
            file.add_stage(0, CUBE)
            if error is not None:
                raise error
    except (KeyboardInterrupt, ValueError) as raised:
        assert type(raised) is error
    assert list(tmp_path.iterdir()) == []


def test_only_hdf5_holds_stages_and_measurements(tmp_path):
    with pytest.raises(FileError, match="HDF5"), cube_file(tmp_path / "cube.mat", wavelengths_nm=None):
        pass
    scene = Scene(CUBE, WAVELENGTHS_NM)
    measurement = simulate(scene, random_mask(HEIGHT, WIDTH), Dispersion(BANDS))
    with pytest.raises(FileError, match="HDF5"):
        write_measurement(tmp_path / "y.mat", measurement, attributes={})


# ---- measurements ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask_bands", [1, BANDS])
@pytest.mark.parametrize(
    "geometry",
    [
        {"step": 2.0},
        {"step": 1.0, "direction": "-"},
        {"step": 3.0, "axis": "y"},
        {"step": 2.0, "axis": "y", "direction": "-", "first_offset": 3.0},
        {"step": 1.25},
        {"step": 0.3, "axis": "y", "first_offset": 0.5},
        {"step": 0.0},
        {"step": 2.0, "first_offset": -1.0},
    ],
)
def test_a_measurement_of_every_geometry_opens_again_without_a_flag(tmp_path, geometry, mask_bands):
    mask = np.stack([random_mask(HEIGHT, WIDTH, seed=seed) for seed in range(mask_bands)]).squeeze()
    measurement = simulate(Scene(CUBE, WAVELENGTHS_NM), mask, Dispersion(BANDS, **geometry))
    write_measurement(tmp_path / "y.h5", measurement, attributes={"noise": "none", "seed": 0})
    opened = open_measurement([tmp_path / "y.h5"])
    assert opened.physics.dispersion == measurement.physics.dispersion
    assert torch.equal(opened.physics.mask, measurement.physics.mask)
    assert np.array_equal(opened.y, measurement.y) and np.array_equal(opened.reference, CUBE)
    assert np.array_equal(opened.wavelengths_nm, WAVELENGTHS_NM)
    assert opened.input_scale == 1.0


@pytest.mark.parametrize("scale", [None, 0.25])
def test_a_capture_whose_scale_is_left_to_the_decoder_stays_so(tmp_path, scale):
    physics = CassiPhysics(torch.from_numpy(random_mask(HEIGHT, WIDTH)), Dispersion(BANDS))
    y = np.random.default_rng(1).random(physics.measurement_shape).astype(np.float32)
    write_measurement(tmp_path / "y.h5", Measurement("cassi", y, physics, input_scale=scale), attributes={})
    opened = open_measurement([tmp_path / "y.h5"])
    assert np.array_equal(opened.y, y) and opened.input_scale == scale


# ---- spectra -----------------------------------------------------------------------------------------------------


def test_spectra_are_one_row_a_band_and_one_column_a_name(tmp_path):
    spectra = {"stage 1, here": CUBE[:, 0, 0], "stage 9": CUBE[:, 1, 1]}
    write_spectra_csv(tmp_path / "spectra.csv", WAVELENGTHS_NM, spectra)
    with open(tmp_path / "spectra.csv", newline="") as stream:
        title, *rows = csv.reader(stream)
    assert title == ["wavelength_nm", "stage 1, here", "stage 9"]
    assert np.array_equal(np.array(rows, dtype=np.float64)[:, 0], WAVELENGTHS_NM)
    assert np.array_equal(np.array(rows, dtype=np.float32)[:, 1:], CUBE[:, [0, 1], [0, 1]])


def test_spectra_without_wavelengths_count_their_bands_from_one(tmp_path):
    write_spectra_csv(tmp_path / "spectra.csv", None, {"here": [0.5, 0.25]})
    assert (tmp_path / "spectra.csv").read_bytes().split() == [b"band,here", b"1,0.5", b"2,0.25"]


# ---- whole or not at all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "cube.npy"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_gives_a_sentence_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "cube.npy"
    path.write_text("old")
    with pytest.raises(FileError, match="could not be written: No space left on device"), replacing(path):
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from lorun_engine.errors import FileError
from lorun_engine.io import CUBE_FORMATS, cube_file, write_cube

cube = np.random.default_rng(0).random((8, 100, 100)).astype(np.float32)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

def write_stages(path):
    with cube_file(path, wavelengths_nm=None) as file:
        for index in range(3):
            file.add_stage(index, cube)
        file.finish(cube, attributes={})

def write(path):
    write_cube(path, cube, wavelengths_nm=None, attributes={})

folder = Path(sys.argv[1])
for path, task in [(folder / f"cube{suffix}", write) for suffix in CUBE_FORMATS] + [(folder / "s.h5", write_stages)]:
    try:
        task(path)
        sys.exit(f"{path.name} was written")
    except FileError as error:
        assert "could not be written" in str(error), error
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the size of files is limited as on Linux")
def test_no_format_leaves_anything_behind_when_there_is_no_room(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", CUBE_FORMATS)
def test_a_writer_that_fails_in_the_middle_leaves_the_old_cube(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"cube{suffix}"
    write_cube(path, CUBE, wavelengths_nm=None, attributes={})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lorun_engine.io.atomic.os.fsync", fail)
    with pytest.raises(FileError, match="No space left"):
        write_cube(path, 2 * CUBE, wavelengths_nm=None, attributes={})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("suffix", CUBE_FORMATS)
def test_the_files_that_were_opened_are_never_overwritten(tmp_path, suffix):
    path = tmp_path / f"cube{suffix}"
    write_cube(path, CUBE, wavelengths_nm=None, attributes={})
    (tmp_path / "link").symlink_to(path)
    for opened in (path, tmp_path / "link", os.path.relpath(path)):
        with pytest.raises(FileError, match="never overwritten"):
            write_cube(path, 2 * CUBE, wavelengths_nm=None, attributes={}, protected=[tmp_path / "missing", opened])
    assert np.array_equal(open_scene(path).image, CUBE) and not leftovers(tmp_path)


@pytest.mark.parametrize("data", ["scene.img", "scene.raw"])
def test_an_opened_envi_pair_is_protected_by_either_file(tmp_path, data):
    write_cube(tmp_path / "scene.hdr", CUBE, wavelengths_nm=None, attributes={})
    (tmp_path / "scene.img").rename(tmp_path / data)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for opened in (tmp_path / "scene.hdr", tmp_path / data):
        with pytest.raises(FileError, match="never overwritten"):
            write_cube(tmp_path / "scene.hdr", 2 * CUBE, wavelengths_nm=None, attributes={}, protected=[opened])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_image_beside_a_new_envi_header_is_protected_when_it_was_opened(tmp_path):
    write_cube(tmp_path / "scene.npy", CUBE, wavelengths_nm=None, attributes={})
    (tmp_path / "scene.npy").rename(tmp_path / "scene.img")
    with pytest.raises(FileError, match="never overwritten"):
        write_cube(tmp_path / "scene.hdr", CUBE, wavelengths_nm=None, attributes={}, protected=[tmp_path / "scene.img"])
    assert [path.name for path in tmp_path.iterdir()] == ["scene.img"]


def test_measurements_and_spectra_protect_their_inputs_too(tmp_path):
    measurement = simulate(Scene(CUBE, WAVELENGTHS_NM), random_mask(HEIGHT, WIDTH), Dispersion(BANDS))
    write_measurement(tmp_path / "y.h5", measurement, attributes={})
    with pytest.raises(FileError, match="never overwritten"):
        write_measurement(tmp_path / "y.h5", measurement, attributes={}, protected=[tmp_path / "y.h5"])
    with pytest.raises(FileError, match="never overwritten"):
        write_spectra_csv(tmp_path / "y.h5", None, {"a": [1.0]}, protected=[tmp_path / "y.h5"])
    with pytest.raises(FileError, match="never overwritten"):
        with cube_file(tmp_path / "y.h5", wavelengths_nm=None, protected=[tmp_path / "y.h5"]):
            pass
    assert len(read(tmp_path / "y.h5")) == 4


def test_a_folder_that_takes_no_file_gives_a_sentence(tmp_path, monkeypatch):
    for path, sentence in ((tmp_path, "is a folder"), (tmp_path / "missing" / "cube.npy", "Nothing can be written")):
        with pytest.raises(FileError, match=sentence), replacing(path):
            pass

    def refuse(*args, **named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)  # root may write everywhere, so rights alone would not do
    with pytest.raises(FileError, match="Permission denied"):
        write_cube(tmp_path / "cube.npy", CUBE, wavelengths_nm=None, attributes={})


@pytest.mark.skipif(os.name != "posix", reason="rights are a matter of POSIX here")
def test_a_new_file_has_the_usual_rights(tmp_path):
    (tmp_path / "usual").touch()
    with replacing(tmp_path / "new") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("channels", [1, 3])
def test_photographs_are_written_as_pictures_of_eight_bits_and_cubes_are_not(tmp_path, channels):
    image = np.linspace(-0.1, 1.2, channels * 20, dtype=np.float32).reshape(channels, 4, 5)
    write_cube(tmp_path / "photo.png", image, wavelengths_nm=None, attributes={})
    expected = np.round(image.clip(0, 1) * 255) / 255
    np.testing.assert_allclose(open_scene(tmp_path / "photo.png").image, expected, atol=1e-6)
    with pytest.raises(FileError, match="this has 4 bands"):
        write_cube(tmp_path / "cube.png", np.ones((4, 4, 5), np.float32), wavelengths_nm=None, attributes={})
