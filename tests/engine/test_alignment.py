"""The mask of a capture is found where it lies, without decoding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from lorun_engine.alignment import Alignment, AlignmentProgress, align, aligned
from lorun_engine.errors import LorunError
from lorun_engine.io import open_measurement
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.noise import Noise
from lorun_engine.tasks.cassi import CassiPhysics, Dispersion, simulate

BANDS, SIZE, MARGIN = 12, 96, 8


def scene_of(seed: int) -> Scene:
    """Soft random patches whose spectra are smooth and brighter in the red."""
    rng = np.random.default_rng(seed)
    patches = ndimage.gaussian_filter(rng.random((4, SIZE, SIZE)), (0, 6, 6))
    patches = (patches - patches.min()) / (patches.max() - patches.min())
    nodes = np.linspace(0, 1, BANDS)
    spectra = 0.05 + 0.8 * nodes**2 + 0.1 * np.exp(-(((nodes - rng.random((4, 1))) / 0.3) ** 2))
    return Scene((np.einsum("khw,kc->chw", patches, spectra) / 4).astype(np.float32))


def mask_of(seed: int, *, grey: bool) -> np.ndarray:
    mask = np.random.default_rng(seed).random((SIZE + 2 * MARGIN,) * 2).astype(np.float32)
    return mask if grey else (mask < 0.5).astype(np.float32)


def window_of(mask: np.ndarray, shift_y: float = 0.0, shift_x: float = 0.0) -> np.ndarray:
    moved = ndimage.shift(mask, (shift_y, shift_x), order=1)
    return np.ascontiguousarray(moved[MARGIN:-MARGIN, MARGIN:-MARGIN])


def capture(true_mask: np.ndarray, true: Dispersion, mask: np.ndarray, dispersion: Dispersion) -> Measurement:
    """A noisy capture by one camera, opened as if another had taken it."""
    y = simulate(scene_of(1), true_mask, true, noise=Noise("shot", 1000), seed=2).y
    physics = CassiPhysics(torch.from_numpy(np.ascontiguousarray(mask)), dispersion, detector_shape=y.shape[1:])
    return Measurement(task="cassi", y=y, physics=physics, input_scale=1.0)


def found(measurement: Measurement) -> Alignment:
    *_, result = align(measurement)
    return result


@pytest.mark.parametrize(
    ("grey", "axis", "shift_y", "shift_x", "step"),
    [(False, "x", 0.0, 0.0, 2.0), (False, "x", 3.4, -2.7, 2.2), (True, "y", -1.3, 3.8, 1.75)],
)
def test_an_injected_shift_and_step_are_recovered(grey, axis, shift_y, shift_x, step):
    mask = mask_of(3, grey=grey)
    true = Dispersion(BANDS, step, axis)
    result = found(capture(window_of(mask, shift_y, shift_x), true, window_of(mask), Dispersion(BANDS, 2.0, axis)))
    assert (result.best.shift_y, result.best.shift_x) == pytest.approx((shift_y, shift_x), abs=0.25)
    assert result.best.step == pytest.approx(step, abs=0.02)
    assert result.best.flip == "" and result.is_found


@pytest.mark.parametrize("flip", ["lr", "ud", "both"])
def test_a_flipped_mask_is_turned_back(flip):
    mask = window_of(mask_of(3, grey=False))
    wrong = mask[:, ::-1] if flip != "ud" else mask
    wrong = wrong[::-1] if flip != "lr" else wrong
    measurement = capture(mask, Dispersion(BANDS), wrong, Dispersion(BANDS))
    result = found(measurement)
    assert result.best.flip == flip
    np.testing.assert_allclose(aligned(measurement, result).physics.mask[0, 0].numpy(), mask, atol=0.3)


def test_the_direction_stays_as_opened_where_the_spectrum_does_not_tell_it():
    mask = window_of(mask_of(4, grey=True))
    flat = Scene(np.full((BANDS, SIZE, SIZE), 0.4, np.float32))
    for direction in "+-":
        result = found(simulate(flat, mask, Dispersion(BANDS, direction=direction), noise=Noise("shot", 1000)))
        assert result.direction == direction and result.direction_margin < 0.1


@pytest.mark.parametrize("direction", ["+", "-"])
def test_spectra_that_grow_towards_the_red_tell_the_direction(direction):
    mask = window_of(mask_of(4, grey=True))
    result = found(capture(mask, Dispersion(BANDS, direction=direction), mask, Dispersion(BANDS)))
    assert result.direction == direction and 0 < result.direction_margin < 1


def test_the_map_is_highest_where_the_mask_lies_and_progress_comes_before_the_result():
    mask = mask_of(5, grey=False)
    *progress, result = align(
        capture(window_of(mask, 2.0, -1.0), Dispersion(BANDS), window_of(mask), Dispersion(BANDS)), flips=False
    )
    row, column = np.unravel_index(result.map.argmax(), result.map.shape)
    assert (result.map_shifts[row], result.map_shifts[column]) == (2.0, -1.0)
    assert all(isinstance(event, AlignmentProgress) for event in progress)
    assert [event.done for event in progress] == list(range(1, progress[-1].total + 1))
    assert result.explained > result.explained_as_opened


def test_the_aligned_measurement_explains_what_the_opened_one_does_not():
    mask = mask_of(6, grey=False)
    measurement = capture(window_of(mask, 1.5, -2.0), Dispersion(BANDS, 2.1), window_of(mask), Dispersion(BANDS))
    corrected = aligned(measurement, found(measurement))
    assert np.array_equal(corrected.y, measurement.y) and "mask was moved" in corrected.notes[-1]
    again = found(corrected).best
    assert abs(again.shift_y) < 0.25 and abs(again.shift_x) < 0.25


def test_a_capture_smaller_than_the_search_is_searched_all_the_same():
    physics = CassiPhysics(torch.rand(8, 8, generator=torch.Generator().manual_seed(0)), Dispersion(3))
    y = physics.forward(torch.ones(1, *physics.scene_shape))[0].numpy()
    best = found(Measurement(task="cassi", y=y, physics=physics)).best
    assert abs(best.shift_y) <= 4 and abs(best.shift_x) <= 4


def test_a_mask_without_a_pattern_and_too_few_bands_are_said():
    flat = np.full((SIZE, SIZE), 0.5, np.float32)
    with pytest.raises(LorunError, match="alike"):
        list(align(capture(flat, Dispersion(BANDS), flat, Dispersion(BANDS))))
    physics = CassiPhysics(torch.rand(8, 8), Dispersion(2))
    y = np.ones(physics.measurement_shape, np.float32)
    with pytest.raises(LorunError, match="2 bands"):
        list(align(Measurement(task="cassi", y=y, physics=physics)))


@pytest.mark.slow
def test_the_masks_of_real_captures_lie_where_they_were_calibrated(lorun_data):
    for path in sorted((lorun_data / "cassi" / "real" / "tsa_net").glob("scene*.mat")):
        best = found(open_measurement([path, path.with_name("mask.mat")])).best
        assert abs(best.shift_y) < 0.5 and abs(best.shift_x) < 0.5 and best.flip == ""
