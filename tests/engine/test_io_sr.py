"""Opening low-resolution pictures: factor and kernel told, stated or estimated, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
from PIL import Image

from lorun_engine.errors import LorunError
from lorun_engine.io import OpenOptions, inspect, open_measurement, write_measurement
from lorun_engine.io.sr import read_kernels
from lorun_engine.kernels import gallery, gaussian_kernel
from lorun_engine.measurement import Scene
from lorun_engine.tasks.sr import simulate


@pytest.fixture
def photograph(tmp_path):
    y, x = np.mgrid[:40, :48]
    pixels = np.stack([128 + 100 * np.sin(x / 5), 128 + 90 * np.cos(y / 6), 4 * x], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_our_own_file_opens_without_a_word(tmp_path):
    scene = Scene(np.random.default_rng(0).random((3, 48, 60), dtype=np.float32))
    made = simulate(scene, gaussian_kernel(1.6), 3)
    write_measurement(tmp_path / "sr.h5", made, attributes={"noise": "none", "seed": 0})
    opened = open_measurement([tmp_path / "sr.h5"])
    assert opened.task == "sr" and opened.physics.scale == 3 and opened.input_scale == 1
    np.testing.assert_array_equal(opened.y, made.y)
    np.testing.assert_array_equal(opened.reference, made.reference)
    np.testing.assert_allclose(opened.physics.kernel[0], gaussian_kernel(1.6), atol=1e-6)


def test_a_photograph_opens_as_it_is_and_says_what_was_assumed(photograph):
    table = inspect([photograph])
    assert table.task == "sr" and table.problem is None
    assert table.geometry.scale == 2 and "assumed" in table.geometry.reasons["scale"]
    assert table.geometry.kernel.startswith("gaussian") and any("estimated" in note for note in table.notes)
    measurement = table.measurement()
    assert measurement.physics.scene_shape == (3, 80, 96)
    assert measurement.y[:, 0, 0] == pytest.approx(np.asarray(Image.open(photograph))[0, 0] / 255)


def test_the_user_chooses_factor_and_kernel_by_name_or_by_number_in_a_file(photograph, tmp_path):
    cell = np.empty((1, 2), dtype=object)
    cell[0, 0], cell[0, 1] = gaussian_kernel(1.0) * 3, gaussian_kernel(2.0)
    scipy.io.savemat(tmp_path / "kernels.mat", {"kernels": cell})
    options = OpenOptions(scale=3, kernel=f"{tmp_path / 'kernels.mat'}:1")
    measurement = open_measurement([photograph], options)
    assert measurement.physics.scale == 3
    np.testing.assert_allclose(measurement.physics.kernel[0], gaussian_kernel(1.0), atol=1e-6)  # its sum made 1
    named = open_measurement([photograph], OpenOptions(kernel="gaussian 2"))
    np.testing.assert_array_equal(named.physics.kernel[0], gallery()["gaussian 2"])
    assert len(read_kernels(str(tmp_path / "kernels.mat"))) == 2


def test_a_kernel_file_opened_beside_a_photograph_is_its_kernel(photograph, tmp_path):
    np.save(tmp_path / "psf.npy", gaussian_kernel(1.4))
    table = inspect([photograph, tmp_path / "psf.npy"], OpenOptions(task="sr"))
    assert table.geometry.kernel == "psf.npy" and table.geometry.kernel_size == (25, 25)


def test_the_true_picture_tells_the_factor(photograph, tmp_path):
    large = Image.open(photograph).resize((144, 120))
    large.save(tmp_path / "large.png")
    roles = ((str(photograph), "measurement"), (str(tmp_path / "large.png"), "reference"))
    measurement = open_measurement([photograph, tmp_path / "large.png"], OpenOptions(roles=roles))
    assert measurement.physics.scale == 3 and measurement.reference.shape == (3, 120, 144)
    by_size = inspect([tmp_path / "large.png", photograph])
    assert by_size.row("measurement").found.path == photograph


@pytest.mark.parametrize(
    "options, sentence",
    [
        (OpenOptions(kernel="no such kernel"), "neither in the gallery nor a file"),
        (OpenOptions(scale=9), "a whole number up to 8"),
        (OpenOptions(cube_axes="CHW", task="sr"), "channels"),
    ],
)
def test_what_does_not_fit_is_a_sentence(photograph, tmp_path, options, sentence):
    if options.cube_axes:
        np.save(tmp_path / "cube.npy", np.ones((40, 48, 3), np.float32))
        photograph = tmp_path / "cube.npy"
    with pytest.raises(LorunError, match=sentence):
        open_measurement([photograph], options)


def test_a_kernel_number_beyond_the_file_and_an_image_as_a_kernel_are_refused(tmp_path):
    np.save(tmp_path / "kernel.npy", gaussian_kernel(1.0))
    with pytest.raises(LorunError, match="1 kernels; number 3"):
        read_kernels(f"{tmp_path / 'kernel.npy'}:3")
    np.save(tmp_path / "image.npy", np.ones((100, 100)))
    with pytest.raises(LorunError, match="at most 64 x 64"):
        read_kernels(str(tmp_path / "image.npy"))


def test_sixteen_bit_pictures_alone_are_taken_for_snapshots(tmp_path):
    Image.fromarray(np.full((40, 48), 3000, dtype=np.uint16)).save(tmp_path / "frame.png")
    assert inspect([tmp_path / "frame.png"]).task == "cassi"


def test_a_snapshot_and_its_mask_of_eight_bits_are_no_photographs(tmp_path):
    for name, width in (("frame", 70), ("pattern", 64)):
        Image.fromarray(np.full((40, width), 99, dtype=np.uint8)).save(tmp_path / f"{name}.png")
    assert inspect([tmp_path / "frame.png", tmp_path / "pattern.png"]).task == "cassi"
    Image.fromarray(np.full((40, 48), 99, dtype=np.uint8)).save(tmp_path / "mask.png")
    assert inspect([tmp_path / "mask.png"]).task == "cassi"
    assert inspect([tmp_path / "pattern.png"]).task == "sr"
