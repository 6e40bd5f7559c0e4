"""Opening compressive samples: ours and foreign ones, orders and sizes told or found, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from lorun_engine.errors import LorunError
from lorun_engine.io import OpenOptions, inspect, open_measurement, write_measurement
from lorun_engine.measurement import Scene
from lorun_engine.tasks.cs import random_sampling, simulate

HEIGHT, WIDTH = 96, 64


def picture(height: int = HEIGHT, width: int = WIDTH) -> Scene:
    """Edges and slopes, not alike along rows and columns."""
    y, x = np.mgrid[:height, :width]
    image = 0.3 + 0.3 * np.sin(x / 9) * np.cos(y / 23) + 0.3 * (np.hypot(y - 40, 2 * x - 50) < 30)
    return Scene(image[None].astype(np.float32))


def blocks(image: np.ndarray, side: int) -> np.ndarray:
    """(N, rows of blocks, columns of blocks): the pixels of every block row by row."""
    rows, columns = (size // side for size in image.shape)
    return image.reshape(rows, side, columns, side).transpose(1, 3, 0, 2).reshape(side**2, rows, columns)


@pytest.fixture
def sampling() -> np.ndarray:
    return random_sampling(25, seed=1)


def test_our_own_file_opens_without_a_word(tmp_path, sampling):
    samples = simulate(picture(90, 70), sampling)
    write_measurement(tmp_path / "cs.h5", samples, attributes={"noise": "none", "seed": 0})
    opened = open_measurement([tmp_path / "cs.h5"])
    assert opened.task == "cs" and opened.input_scale == 1
    np.testing.assert_array_equal(opened.y, samples.y)
    np.testing.assert_array_equal(opened.reference, samples.reference)
    np.testing.assert_array_equal(opened.physics.sampling.numpy(), sampling)
    assert opened.physics.scene_shape == (1, 90, 70)


@pytest.mark.parametrize("pixels", ["row", "column"])
@pytest.mark.parametrize("order", ["row", "column"])
def test_foreign_samples_are_put_into_the_order_that_gives_the_smoothest_image(tmp_path, sampling, pixels, order):
    image = picture().image[0]
    expected = blocks(image, 32)  # (N, 3, 2)
    stored = expected if pixels == "row" else blocks(image.T, 32).transpose(0, 2, 1)
    y = np.einsum("mn,nhw->mhw", sampling, stored)
    y = y.reshape(len(y), -1) if order == "row" else y.transpose(0, 2, 1).reshape(len(y), -1)
    scipy.io.savemat(tmp_path / "samples.mat", {"y": y.astype(np.float64)})
    np.save(tmp_path / "phi.npy", sampling)
    table = inspect([tmp_path / "samples.mat", tmp_path / "phi.npy"], OpenOptions(image_size=(HEIGHT, WIDTH)))
    assert table.task == "cs" and table.problem is None
    assert (table.geometry.pixel_order, table.geometry.block_order) == (pixels, order)
    assert "smoothest" in table.geometry.reasons["pixel_order"]
    measurement = table.measurement()
    found = np.einsum("mn,nhw->mhw", measurement.physics.sampling.numpy(), expected)
    np.testing.assert_allclose(measurement.y, found, atol=1e-4)
    options = OpenOptions(image_size=(HEIGHT, WIDTH), pixel_order="row", block_order="row")
    told = inspect([tmp_path / "samples.mat", tmp_path / "phi.npy"], options).geometry
    assert (told.pixel_order, told.reasons["block_order"]) == ("row", "as you said")


@pytest.mark.parametrize("ratio", [1, 4, 10, 25])
def test_a_square_image_that_may_lie_on_its_side_is_said_to(tmp_path, ratio):
    phi = random_sampling(ratio, seed=1)
    image = picture(96, 96).image[0]
    upright = np.einsum("mn,nhw->mhw", phi, blocks(image, 32)).reshape(len(phi), -1)
    turned = np.einsum("mn,nhw->mhw", phi, blocks(image.T, 32)).reshape(len(phi), -1)
    for y in (upright, turned):  # the same picture to whoever does not know which way is up
        paths = save(tmp_path, samples=y, phi=phi)
        geometry = inspect(paths).geometry
        assert (geometry.pixel_order, geometry.block_order) == ("row", "row")
        assert "change both orders" in geometry.reasons["pixel_order"]


@pytest.mark.parametrize("stored", ["a column a block", "a row a block"])
def test_as_many_blocks_as_samples_of_a_block_are_told_apart(tmp_path, stored):
    phi = random_sampling(1)  # 10 samples
    y = simulate(picture(64, 160), phi).y.reshape(10, 10)
    paths = save(tmp_path, samples=y if stored == "a column a block" else y.T, phi=phi)
    options = OpenOptions(image_size=(64, 160), pixel_order="row", block_order="row")
    table = inspect(paths, options)
    np.testing.assert_array_equal(table.measurement().y, y.reshape(10, 2, 5))
    assert any("fits the matrix best" in note for note in table.notes)


@pytest.mark.parametrize(
    "attribute, value, sentence",
    [
        ("image_height", "tall", "states 'tall' and 70 as height and width"),
        ("image_width", float("nan"), "whole numbers were expected"),
        ("image_width", np.array([70, 70]), "whole numbers were expected"),
        ("image_height", -90, "Correct the image size"),
        ("block_order", "diagonal", "The block order is 'diagonal'; row or column was expected"),
        ("pixel_order", np.array([1, 2]), "row or column was expected"),
    ],
)
def test_damaged_attributes_are_a_sentence(tmp_path, attribute, value, sentence):
    write_measurement(tmp_path / "cs.h5", simulate(picture(90, 70), random_sampling(4)), attributes={})
    with h5py.File(tmp_path / "cs.h5", "r+") as file:
        file.attrs[attribute] = value
    with pytest.raises(LorunError, match=sentence):
        open_measurement([tmp_path / "cs.h5"])


def test_the_older_blocks_of_33_pixels_and_a_matrix_that_stands_are_read(tmp_path):
    phi = random_sampling(10, block_size=33)
    image = picture(99, 99).image[0]
    y = np.einsum("mn,nhw->mhw", phi, blocks(image, 33)).reshape(len(phi), -1)
    scipy.io.savemat(tmp_path / "phi_0_10_1089.mat", {"phi": phi.T})
    np.save(tmp_path / "samples.npy", y)
    table = inspect([tmp_path / "samples.npy", tmp_path / "phi_0_10_1089.mat"])
    assert table.geometry.block_size == 33 and table.geometry.image_size == (99, 99)
    assert "square" in table.geometry.reasons["image_size"]
    assert any("transposed" in note for note in table.notes)
    assert table.measurement().y.shape == (108, 3, 3)


def test_blocks_that_form_several_images_ask_for_the_size(tmp_path, sampling):
    np.save(tmp_path / "samples.npy", np.ones((256, 6)))
    np.save(tmp_path / "phi.npy", sampling)
    paths = [tmp_path / "samples.npy", tmp_path / "phi.npy"]
    with pytest.raises(LorunError, match="64x96, 96x64"):
        open_measurement(paths)
    with pytest.raises(LorunError, match="Correct the image size"):
        open_measurement(paths, OpenOptions(image_size=(64, 64)))
    assert open_measurement(paths, OpenOptions(image_size=(60, 90))).physics.scene_shape == (1, 60, 90)


def save(folder: Path, **arrays: np.ndarray) -> list[Path]:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return [folder / f"{name}.npy" for name in arrays]


@pytest.mark.parametrize(
    "arrays, sentence",
    [
        ({"phi": np.ones((5, 64))}, "No samples were found"),
        ({"samples": np.ones((5, 4)), "phi": np.ones((6, 64))}, "an axis of 6"),
        ({"samples": np.full((6, 4), np.nan), "phi": np.ones((6, 64))}, "not finite"),
        ({"samples": np.zeros((6, 4)), "phi": np.ones((6, 64))}, "is zero"),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path, arrays, sentence):
    with pytest.raises(LorunError, match=sentence):
        open_measurement(save(tmp_path, **arrays), OpenOptions(task="cs"))


def test_samples_without_their_matrix_and_references_of_another_size_are_refused(tmp_path):
    samples, phi = save(tmp_path, samples=np.ones((6, 4)), phi=np.eye(64)[:6])
    with pytest.raises(LorunError, match="Add the file with the sampling matrix"):
        open_measurement([samples], OpenOptions(task="cs"))
    (reference,) = save(tmp_path, truth=np.ones((20, 16), np.float32))
    roles = ((str(reference), "reference"),)
    with pytest.raises(LorunError, match="20 x 16 pixels .the reference has it."):
        open_measurement([samples, phi, reference], OpenOptions(task="cs", roles=roles))


def test_a_matrix_of_integers_is_taken_as_it_is(tmp_path):
    phi = np.random.default_rng(0).integers(-40, 40, (12, 64)).astype(np.int16)
    image = np.random.default_rng(1).random((16, 16))
    np.save(tmp_path / "phi.npy", phi)
    np.save(tmp_path / "samples.npy", np.einsum("mn,nhw->mhw", phi, blocks(image, 8)))
    opened = open_measurement([tmp_path / "samples.npy", tmp_path / "phi.npy"])
    np.testing.assert_array_equal(opened.physics.sampling.numpy(), phi)


def test_hdf5_samples_with_their_matrix_in_one_file_open(tmp_path, sampling):
    y = simulate(picture(64, 64), sampling).y
    with h5py.File(tmp_path / "both.h5", "w") as file:
        file["measurements"], file["phi"] = y, sampling
    opened = open_measurement([tmp_path / "both.h5"])
    np.testing.assert_array_equal(opened.y, y)
