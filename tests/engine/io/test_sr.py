"""Opening low-resolution pictures: factor and kernel told, stated or estimated, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
from PIL import Image

from lorun_engine.errors import LorunError
from lorun_engine.io import OpenOptions, inspect, open_measurement, read, write_measurement
from lorun_engine.io.sr import SrGeometry, by_shape, described, read_kernels, stored
from lorun_engine.measurement import Scene
from lorun_engine.tasks.kernels import gallery, gaussian_kernel
from lorun_engine.tasks.noise import Noise
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


@pytest.mark.parametrize("border", ["circular", "mirrored"])
def test_how_the_scene_goes_on_is_stated_in_our_files_and_seen_from_a_reference(border, tmp_path):
    scene = Scene(np.random.default_rng(0).random((1, 160, 192), dtype=np.float32))
    made = simulate(scene, gaussian_kernel(1.6), 2, eight_bit=False, border=border)
    write_measurement(tmp_path / "sr.h5", made, attributes={})
    assert open_measurement([tmp_path / "sr.h5"]).physics.border == border
    np.save(tmp_path / "lr.npy", made.y)
    np.save(tmp_path / "reference.npy", made.reference)
    np.save(tmp_path / "kernel.npy", gaussian_kernel(1.6))
    table = inspect([tmp_path / f"{name}.npy" for name in ("lr", "reference", "kernel")], OpenOptions(task="sr"))
    assert table.geometry.border == border and "reference" in table.geometry.reasons["border"]


def test_a_photograph_goes_on_as_its_mirror_image_unless_the_user_says_otherwise(photograph):
    assert open_measurement([photograph]).physics.border == "mirrored"
    assert open_measurement([photograph], OpenOptions(border="circular")).physics.border == "circular"
    with pytest.raises(LorunError, match="circular or mirrored was expected"):
        open_measurement([photograph], OpenOptions(border="black"))


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


def test_the_noise_that_networks_are_told_of_comes_back_from_our_file(tmp_path):
    scene = Scene(np.random.default_rng(0).random((3, 48, 48), dtype=np.float32))
    made = simulate(scene, gaussian_kernel(1.6), 2, noise=Noise("gaussian", 0.02))
    write_measurement(tmp_path / "noisy.h5", made, attributes={})
    opened = open_measurement([tmp_path / "noisy.h5"])
    assert opened.physics.degradation().tolist() == made.physics.degradation().tolist() == [[pytest.approx(0.02), 2]]


def test_what_belongs_to_a_measurement_is_its_kernel_factor_and_noise():
    made = simulate(Scene(np.ones((1, 48, 48), np.float32)), gaussian_kernel(1.6), 4)
    (name, kernel, axes), *others = stored(made)[0]
    assert (name, axes, others) == ("kernel", "YX", [])
    np.testing.assert_array_equal(kernel, gaussian_kernel(1.6))
    assert stored(made)[1] == {"scale": 4, "noise_level": 0.0, "border": "circular"}


def test_values_that_are_no_numbers_are_refused_with_their_count(tmp_path):
    picture = np.full((40, 48, 3), 0.5, np.float32)
    picture[3, 4, 1] = np.nan
    np.save(tmp_path / "picture.npy", picture)
    with pytest.raises(LorunError, match="1 of the 5760 values of the measurement picture.npy are not finite"):
        open_measurement([tmp_path / "picture.npy"], OpenOptions(task="sr"))


def test_kernels_that_are_none_and_references_of_another_size_are_sentences(photograph, tmp_path):
    for name, values in {"negative": -np.ones((5, 5)), "nan": np.full((5, 5), np.nan)}.items():
        np.save(tmp_path / f"{name}.npy", values)
        with pytest.raises(LorunError, match="a positive sum were expected"):
            open_measurement([photograph], OpenOptions(kernel=str(tmp_path / f"{name}.npy")))
    other = tmp_path / "other.png"
    Image.fromarray(np.full((50, 50, 3), (9, 90, 200), np.uint8)).save(other)
    roles = ((str(photograph), "measurement"), (str(other), "reference"))
    with pytest.raises(LorunError, match="3 x 80 x 96 was expected"):
        open_measurement([photograph, other], OpenOptions(roles=roles, scale=2))


@pytest.mark.parametrize("height, width", [(3, 3), (8, 9), (12, 40)])
def test_a_tiny_picture_opens_with_a_kernel_that_fits_and_refuses_one_that_does_not(tmp_path, height, width):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "tiny.png")
    measurement = open_measurement([tmp_path / "tiny.png"], OpenOptions(scale=2))
    assert measurement.physics.kernel.sum() == pytest.approx(1)
    with pytest.raises(LorunError, match="is 25 x 25 pixels; the enlarged picture has"):
        open_measurement([tmp_path / "tiny.png"], OpenOptions(scale=2, kernel="gaussian 2"))


def test_the_first_kernel_of_a_cell_is_used_and_said_unless_one_is_named(photograph, tmp_path):
    cell = np.empty((1, 2), dtype=object)
    cell[0, 0], cell[0, 1] = gaussian_kernel(1.0), gaussian_kernel(2.0)
    scipy.io.savemat(tmp_path / "set.mat", {"kernels": cell})
    entries = read(tmp_path / "set.mat")
    assert [entry.key for entry in entries] == ["kernels[1]", "kernels[2]"]
    np.testing.assert_array_equal(entries[1].array, cell[0, 1])
    table = inspect([photograph, tmp_path / "set.mat"], OpenOptions(task="sr"))
    assert any("holds 2 kernels; kernels[1] is used" in note for note in table.notes)
    named = ((f"{tmp_path / 'set.mat'}::kernels[2]", "kernel"),)
    chosen = inspect([photograph, tmp_path / "set.mat"], OpenOptions(task="sr", roles=named))
    assert not any("holds 2 kernels" in note for note in chosen.notes)
    np.testing.assert_allclose(chosen.array("kernel"), gaussian_kernel(2.0), atol=1e-6)


def test_shapes_tell_the_picture_its_reference_and_its_kernel(tmp_path):
    sizes = {"large": (96, 96, 3), "small": (48, 48, 3), "blur": (9, 9)}
    for name, size in sizes.items():
        np.save(tmp_path / f"{name}.npy", np.ones(size, np.float32))
    found = [entry for name in sizes for entry in read(tmp_path / f"{name}.npy")]
    assert {number: role for number, role, _ in by_shape(found, [0, 1, 2], {})} == {
        0: "reference",
        1: "measurement",
        2: "kernel",
    }
    assert by_shape(found, [1, 2], {"measurement": (30, 30), "kernel": (5, 5), "reference": (60, 60)}) == []


def test_the_geometry_reads_as_one_line():
    assert described(SrGeometry(3, "gaussian 1.6", (25, 25))) == "× 3  ·  blur: gaussian 1.6"
