"""The mask of a capture is found where it lies, without decoding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from lorun_engine.camera_checks.alignment import Alignment, AlignmentProgress, Supposition, align, aligned, corrected
from lorun_engine.decoding.metrics import psnr
from lorun_engine.decoding.restore import restore
from lorun_engine.errors import GeometryError, LorunError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import OpenOptions, open_measurement
from lorun_engine.io.cassi import OPTIONS
from lorun_engine.io.masks import moved
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.tasks.cassi import CassiPhysics, simulate
from lorun_engine.tasks.gap_tv import GapTv
from lorun_engine.tasks.noise import Noise

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


@pytest.mark.parametrize("grey", [False, True])
def test_a_mask_that_the_optics_blur_is_found_where_it_lies_and_not_between_pixels(grey):
    mask = mask_of(3, grey=grey)
    seen = window_of(ndimage.gaussian_filter(mask, 0.8))
    result = found(capture(seen, Dispersion(BANDS), window_of(mask), Dispersion(BANDS)))
    assert (result.best.shift_y, result.best.shift_x) == pytest.approx((0, 0), abs=0.15)
    assert result.best.step == pytest.approx(2.0, abs=0.02) and result.blur == 0.7  # the nearest that is tried


def test_a_mask_that_is_seen_sharply_is_compared_as_it_is():
    mask = mask_of(3, grey=False)
    result = found(capture(window_of(mask, 0.5, 1.5), Dispersion(BANDS), window_of(mask), Dispersion(BANDS)))
    assert result.blur == 0 and (result.best.shift_y, result.best.shift_x) == pytest.approx((0.5, 1.5), abs=0.1)


def test_a_step_is_found_where_most_of_the_light_is_in_the_bands_that_the_step_moves_least():
    mask, nodes = mask_of(5, grey=False), np.linspace(0, 1, BANDS)
    spectrum = (0.05 + np.exp(-((nodes / 0.4) ** 2))).astype(np.float32)
    brightness = ndimage.gaussian_filter(np.random.default_rng(4).random((SIZE, SIZE)), 4).astype(np.float32)
    scene = Scene(spectrum[:, None, None] * brightness / 2)
    true = Dispersion(BANDS, 1.87)
    y = simulate(scene, window_of(mask, 2.75, 2.0), true, noise=Noise("shot", 1000), seed=2).y
    physics = CassiPhysics(torch.from_numpy(window_of(mask)), Dispersion(BANDS), detector_shape=y.shape[1:])
    best = found(Measurement(task="cassi", y=y, physics=physics, input_scale=1.0)).best
    assert (best.shift_y, best.shift_x) == pytest.approx((2.75, 2.0), abs=0.25)
    assert best.step == pytest.approx(1.87, abs=0.02)


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


@pytest.mark.parametrize(
    ("opened_with", "further", "flip", "rotate"),
    [
        ((None, 0), "lr", "lr", None),
        (("lr", 0), "lr", None, None),
        (("ud", 0), "lr", None, 2),
        ((None, 1), "both", None, 3),
        (("ud", 2), "both", "ud", None),
    ],
)
def test_a_flip_that_is_found_comes_after_those_that_were_asked_for(opened_with, further, flip, rotate):
    before = OpenOptions(flip=opened_with[0], rotate=opened_with[1] or None, mask_shift=(1.0, 2.0))
    after = corrected(before, _alignment(Supposition(0.5, -0.25, 2.1, further)), num_bands=BANDS)
    assert (after.flip, after.rotate) == (flip, rotate)
    y, x = (-1.0 if further in ("ud", "both") else 1.0), (-2.0 if further in ("lr", "both") else 2.0)
    assert after.mask_shift == (y + 0.5, x - 0.25)
    assert (after.num_bands, after.step, after.direction) == (BANDS, 2.1, "-")


@pytest.mark.parametrize(("shift_y", "shift_x", "step"), [(1.5, -2.0, 2.0), (-0.6, 3.2, 2.08)])
def test_the_corrections_open_the_file_as_the_aligned_measurement_is(tmp_path, shift_y, shift_x, step):
    mask = mask_of(7, grey=False)
    measurement = capture(
        window_of(mask, shift_y, shift_x), Dispersion(BANDS, step), window_of(mask), Dispersion(BANDS)
    )
    np.save(tmp_path / "capture.npy", measurement.y[0])
    np.save(tmp_path / "mask.npy", window_of(mask))
    files = [tmp_path / "capture.npy", tmp_path / "mask.npy"]
    opened = OpenOptions(num_bands=BANDS, step=2.0, mask_shift=(0.0, 0.0), dark_level=0.0, light_beside="keep")
    result = found(open_measurement(files, opened))
    again = open_measurement(files, corrected(opened, result, num_bands=BANDS))
    expected = aligned(open_measurement(files, opened), result)
    assert np.array_equal(again.y, measurement.y)
    assert again.physics.measurement_shape == measurement.physics.measurement_shape
    torch.testing.assert_close(again.physics.mask, expected.physics.mask, atol=2e-3, rtol=0)
    assert again.physics.dispersion.step == pytest.approx(expected.physics.dispersion.step, abs=1e-3)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_misaligned_capture_is_decoded_better_once_it_is_aligned(seed):
    mask = mask_of(8 + seed, grey=False)
    scene = scene_of(1)
    measurement = capture(window_of(mask, 1.4, -2.3), Dispersion(BANDS, 2.05), window_of(mask), Dispersion(BANDS))
    result = replace(found(measurement), direction="+")  # these soft spectra are not those of things
    before, after = (psnr(_decoded(each), scene.image) for each in (measurement, aligned(measurement, result)))
    assert after > before + 1.5


def test_a_mask_is_moved_by_whole_pixels_as_it_is_and_between_them_linearly():
    mask = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(moved(mask, (1.0, -2.0)), [[0, 0, 0, 0], [2, 3, 0, 0], [6, 7, 0, 0]])
    np.testing.assert_allclose(moved(mask, (0.0, 0.25))[:, 1:], mask[:, 1:] - 0.25)
    np.testing.assert_array_equal(moved(np.stack([mask, 2 * mask]), (0.0, 1.0))[1], 2 * moved(mask, (0.0, 1.0)))
    assert moved(mask, (0.0, 0.0)) is mask
    with pytest.raises(GeometryError, match="two numbers"):
        moved(mask, (np.nan, 0.0))


@pytest.mark.parametrize("text", ["1", "1,2,3", "one,2", "inf,0", ""])
def test_a_shift_on_the_command_line_is_two_numbers(text):
    shift = next(option.parse for option in OPTIONS if option.field == "mask_shift")
    assert shift("-1.5,2") == (-1.5, 2.0)
    with pytest.raises(ValueError, match="Y,X"):
        shift(text)


def test_a_mask_whose_place_was_measured_may_have_any_step(tmp_path):
    measurement = capture(window_of(mask_of(3, grey=False)), Dispersion(BANDS), window_of(mask_of(3, grey=False)),
                          Dispersion(BANDS))  # fmt: skip
    np.save(tmp_path / "capture.npy", measurement.y[0])
    np.save(tmp_path / "mask.npy", window_of(mask_of(3, grey=False)))
    files, options = [tmp_path / "capture.npy", tmp_path / "mask.npy"], OpenOptions(num_bands=BANDS, step=2.3)
    with pytest.raises(GeometryError, match="needs a width"):
        open_measurement(files, options)
    opened = open_measurement(files, replace(options, mask_shift=(0.0, 0.5)))
    assert opened.physics.measurement_shape == measurement.physics.measurement_shape


def _decoded(measurement: Measurement) -> np.ndarray:
    *_, last = restore(GapTv(), measurement, num_stages=20)
    return last.image


def _alignment(best: Supposition) -> Alignment:
    nothing = np.zeros(1)
    return Alignment(best, "-", 1.0, 0.5, 0.1, 0.01, nothing, nothing[None], nothing)
