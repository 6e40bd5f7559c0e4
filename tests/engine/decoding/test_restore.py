"""Restoration as a generator: what every stage reports, how it stops, what it refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from lorun_engine.decoder import Stage
from lorun_engine.decoding.restore import restore
from lorun_engine.errors import DeviceError, GeometryError, LorunError, NumericalError
from lorun_engine.instrument import Dispersion
from lorun_engine.library.model import Model
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.networks.lora import AdapterSet
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.task import TASKS
from lorun_engine.tasks import cs, sr
from lorun_engine.tasks.cassi import CassiPhysics, random_mask, simulate
from lorun_engine.tasks.gap_tv import GapTv
from lorun_engine.tasks.kernels import gaussian_kernel
from lorun_engine.tasks.lowlight import LowLightCamera


def measurement() -> Measurement:
    image = np.random.default_rng(0).random((5, 16, 20), dtype=np.float32)
    return simulate(Scene(image), random_mask(16, 20), Dispersion(5))


@dataclass(frozen=True)
class Scripted:
    """A decoder whose stage k multiplies the back-projection by k; `fails_at` raises there."""

    name: str = "scripted"
    task: str = "cassi"
    step_name: str = "stage"
    num_stages: int = 4
    scale: float = 2.0
    fails_at: int | None = None
    error: Exception | None = None

    def fitted(self, measurement):
        return self

    def input_scale(self, measurement):
        return self.scale

    def stages(self, y, physics, *, num_stages):
        for index in range(num_stages + 1):
            if index == self.fails_at:
                raise self.error
            yield Stage(index, index * physics.adjoint(y), denoiser_input=physics.adjoint(y), parameters={"mu": 0.5})


def network() -> Model:
    """Two stages of a network that can be cut into strips."""
    torch.manual_seed(2)
    config = NetworkConfig(5, 2, "unet", {"widths": (2, 3)})
    backbone = Backbone(config).requires_grad_(False)
    return Model("net", "cassi", UnfoldingNet(config, backbone, AdapterSet(2, new_step_parameters(config))))


def test_the_threads_of_a_decode_are_its_own():
    before = torch.get_num_threads()
    seen = []

    class Counting(Scripted):
        def stages(self, y, physics, *, num_stages):
            for stage in super().stages(y, physics, num_stages=num_stages):
                seen.append(torch.get_num_threads())
                yield stage

    for _ in restore(Counting(), measurement(), threads=before + 1):
        assert torch.get_num_threads() == before
    assert seen == 5 * [before + 1] and torch.get_num_threads() == before


def test_every_stage_reports_its_image_residual_and_parameters():
    given = measurement()
    results = list(restore(Scripted(), given, keep_denoiser_input=True))
    assert [result.index for result in results] == [0, 1, 2, 3, 4]
    assert results[0].residual == pytest.approx(1)  # the image is zero there
    physics, y = given.physics, torch.from_numpy(given.y)[None]
    for result in results:
        assert result.image.shape == (5, 16, 20) and result.image.dtype == np.float32
        expected = (y - physics.forward(torch.from_numpy(result.image)[None])).norm() / y.norm()
        assert result.residual == pytest.approx(float(expected), rel=1e-5)
        assert result.parameters == {"mu": 0.5}
        assert set(result.metrics) == {"psnr", "ssim", "sam", "ergas"}
        assert result.denoiser_input.shape == (5, 16, 20)


def test_images_come_back_in_the_unit_of_the_file_whatever_the_input_scale():
    given = replace(measurement(), input_scale=None, reference=None)
    scaled = list(restore(Scripted(scale=8.0), given))
    plain = list(restore(Scripted(scale=1.0), given))
    assert scaled[0].input_scale == 8.0 and scaled[1].metrics == {}
    for a, b in zip(scaled, plain, strict=True):
        np.testing.assert_allclose(a.image, b.image, rtol=1e-6)
        assert a.residual == pytest.approx(b.residual, rel=1e-5)


def test_the_figures_of_a_stage_keep_no_cube_in_memory():
    result = next(restore(Scripted(), measurement(), keep_denoiser_input=True))
    figures = result.without_images()
    assert figures.image.base is None and figures.denoiser_input is None
    assert (figures.residual, figures.metrics) == (result.residual, result.metrics)


def test_a_scale_fixed_by_the_file_or_the_user_wins_over_the_decoders_rule():
    assert next(restore(Scripted(), replace(measurement(), input_scale=3.0))).input_scale == 3.0


def test_a_consumer_that_stops_keeps_what_it_has_and_nothing_more_is_computed():
    computed = []

    @dataclass(frozen=True)
    class Counting(Scripted):
        def stages(self, y, physics, *, num_stages):
            for stage in Scripted.stages(self, y, physics, num_stages=num_stages):
                computed.append(stage.index)
                yield stage

    generator = restore(Counting(), measurement())
    kept = [next(generator), next(generator)]
    generator.close()
    assert [result.index for result in kept] == computed == [0, 1]


def test_gradients_stay_on_outside_the_restoration():
    generator = restore(Scripted(), measurement())
    next(generator)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("full"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 800000000000 bytes."),
    ],
    ids=["GPU", "NumPy", "host"],
)
def test_a_full_device_is_a_sentence_and_earlier_stages_are_kept(error):
    decoder = Scripted(fails_at=2, error=error)
    kept = []
    with pytest.raises(DeviceError, match="memory of this computer is full"):
        for result in restore(decoder, measurement()):
            kept.append(result.index)
    assert kept == [0, 1]


def test_a_full_device_is_spared_and_no_stage_comes_twice():
    attempts = []

    @dataclass(frozen=True)
    class Large(Scripted):
        def stages(self, y, physics, *, num_stages):
            attempts.append(str(y.device))
            fails_at = 2 if len(attempts) == 1 else None
            able = Scripted(fails_at=fails_at, error=torch.OutOfMemoryError("full"))
            yield from able.stages(y, physics, num_stages=num_stages)

    results = list(restore(Large(), measurement(), device="cpu:0"))
    assert len(attempts) == 2
    assert [result.index for result in results] == list(range(len(list(restore(Scripted(), measurement())))))
    assert [bool(result.spared) for result in results[:3]] == [False, False, True]
    assert results[2].spared == "cpu:0 had too little memory: it was decoded on the CPU."
    for result, expected in zip(results, restore(Scripted(), measurement()), strict=True):
        np.testing.assert_array_equal(result.image, expected.image)


def test_a_network_is_spared_by_few_rows_at_a_time(monkeypatch):
    model, given = network(), measurement()
    expected = list(restore(model.running(tile="off"), given))
    denoise, tiles = UnfoldingNet.denoised, []

    def full(net, *rest):
        tiles.append(net.tile)
        if net.tile == "auto" and len(tiles) == 2:
            raise torch.OutOfMemoryError("full")
        return denoise(net, *rest)

    monkeypatch.setattr(UnfoldingNet, "denoised", full)
    results = list(restore(model, given))
    rows = model.net.config.reach.margin
    assert tiles == ["auto", "auto", rows, rows] and model.sparing().sparing() is None
    assert [result.spared for result in results[:2]] == ["", ""]
    assert results[2].spared == "This computer had too little memory: the network saw few rows at a time."
    for result, at_once in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.image, at_once.image, atol=1e-5)


def test_a_bug_in_a_decoder_is_not_hidden():
    with pytest.raises(RuntimeError, match="shapes"):
        list(restore(Scripted(fails_at=1, error=RuntimeError("shapes do not match")), measurement()))


def test_values_that_are_not_finite_stop_the_restoration_with_a_sentence():
    with pytest.raises(NumericalError, match="not finite"):
        list(restore(Scripted(scale=float("inf")), replace(measurement(), input_scale=None)))


def test_a_decoder_of_another_task_and_zero_stages_are_refused():
    with pytest.raises(LorunError, match="decodes sr measurements"):
        next(restore(Scripted(task="sr"), measurement()))
    with pytest.raises(LorunError, match="at least 1"):
        next(restore(Scripted(), measurement(), num_stages=0))
    with pytest.raises(LorunError, match="0 iterations were asked for"):
        next(restore(GapTv(), measurement(), num_stages=0))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_decoder_without_weights_that_yields_all_its_stages(task):
    picture = Scene(np.random.default_rng(0).random((1, 48, 40), dtype=np.float32))
    examples = {
        "cassi": measurement,
        "cs": lambda: cs.simulate(picture, cs.random_sampling(25)),
        "sr": lambda: sr.simulate(picture, gaussian_kernel(1.0), 2),
        "lowlight": lambda: LowLightCamera().measured(picture),
    }
    for name, decoder in TASKS[task].decoders.items():
        assert decoder.name == name and decoder.task == task
        results = list(restore(decoder, examples[task](), num_stages=3))
        assert [result.index for result in results] == [0, 1, 2, 3]
        assert all(np.isfinite(result.image).all() for result in results)


def test_the_same_restoration_twice_is_equal_bit_for_bit():
    first, second = (list(restore(GapTv(), measurement(), num_stages=5)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.image, b.image)


def test_a_measurement_is_valid_once_made():
    physics = CassiPhysics(torch.ones(16, 20), Dispersion(5))
    right = np.ones((1, 16, 28), np.float32)
    Measurement("cassi", right, physics)
    with pytest.raises(GeometryError, match=r"1 x 16 x 27; its mask, bands and step ask for 1 x 16 x 28"):
        Measurement("cassi", right[..., :-1], physics)
    with pytest.raises(GeometryError, match="not finite"):
        Measurement("cassi", np.where(np.arange(28) == 3, np.nan, right).astype(np.float32), physics)
    with pytest.raises(GeometryError, match="zero"):
        Measurement("cassi", right * 0, physics)
    with pytest.raises(GeometryError, match="reference"):
        Measurement("cassi", right, physics, reference=np.ones((5, 16, 21), np.float32))
    with pytest.raises(GeometryError, match="4 wavelengths were given for 5 bands"):
        Measurement("cassi", right, physics, wavelengths_nm=np.arange(4.0))
