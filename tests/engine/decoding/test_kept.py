"""The start as steps, and stages of earlier decodes that are taken again: the same bit for bit, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from lorun_engine.decoder import StartStep
from lorun_engine.decoding.kept import Conditions, KeptStages, keys_of
from lorun_engine.decoding.restore import StageResult, restore, restore_steps
from lorun_engine.errors import ModelError
from lorun_engine.instrument import Dispersion
from lorun_engine.library.model import Model
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.networks import unfolding
from lorun_engine.networks.lora import new_adapters
from lorun_engine.networks.unfolding import Backbone, Initial, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.tasks import sr
from lorun_engine.tasks.cassi import random_mask, simulate
from lorun_engine.tasks.gap_tv import GapTv
from lorun_engine.tasks.noise import Noise
from lorun_engine.tasks.subspace_tv import solutions

BANDS = np.linspace(450, 650, 9)
METHODS: dict[Initial, tuple[str, int]] = {
    "adjoint": ("back-projection", 0),
    "learned": ("learned estimate", 0),
    "gap-tv": ("GAP-TV", 10),
    "subspace-tv": ("subspace TV", 10),
    "multiscale-tv": ("multiscale subspace TV", 10),
}


def new_model(initial: Initial = "multiscale-tv", *, seed: int = 0, backbone_seed: int = 0, rank: int = 4) -> Model:
    """A model of three stages whose adapters change each of them."""
    config = NetworkConfig(
        9,
        3,
        denoiser="unet",
        denoiser_settings={"widths": (4, 8)},
        initial=initial,
        initial_iterations=10,
        initial_rank=rank,
    )
    torch.manual_seed(backbone_seed)
    backbone = Backbone(config).requires_grad_(False)
    torch.manual_seed(seed)
    adapters = new_adapters(backbone.blocks[0], num_stages=3, gamma=30)
    tensors = {name: 0.05 * torch.randn_like(tensor) for name, tensor in adapters.tensors.items()}
    adapters = adapters.mapped({**tensors, **new_step_parameters(config)})
    card = {"task_config": {"wavelengths_nm": BANDS.tolist(), "step": 2.0}, "input_scale": "none"}
    return Model("set", "cassi", UnfoldingNet(config, backbone, adapters), card=card)


def capture(*, mask_seed: int = 0, noise: Noise | None = None, step: float = 2.0) -> Measurement:
    scene = Scene(np.random.default_rng(1).random((9, 16, 20), dtype=np.float32), BANDS)
    return simulate(scene, random_mask(16, 20, seed=mask_seed), Dispersion(9, step=step), noise=noise, seed=3)


def decoded(
    decoder: Model, measurement: Measurement, kept: KeptStages | None = None, **how: object
) -> list[StageResult]:
    """The stages; `kept` changes none of their bits."""
    found = [s for s in restore_steps(decoder, measurement, kept=kept, **how) if isinstance(s, StageResult)]
    for stage, alone in zip(found, restore(decoder, measurement, **how), strict=True):
        np.testing.assert_array_equal(stage.image, alone.image)
        assert (stage.residual, stage.parameters) == (alone.residual, alone.parameters)
    return found


def reused(stages: list[StageResult]) -> list[int]:
    return [stage.index for stage in stages if stage.is_reused]


@pytest.mark.parametrize("initial", METHODS)
def test_every_start_tells_its_method_and_its_iterations_before_stage_0(initial):
    method, iterations = METHODS[initial]
    *steps, first = [step for step, _ in zip(restore_steps(new_model(initial), capture()), range(13), strict=False)][
        : iterations + 3 if iterations else 2
    ]
    assert steps[0] == StartStep(method, 0, iterations) and steps[-1] == StartStep(method, iterations, iterations)
    assert [step.iteration for step in steps] == ([0, *range(iterations + 1)] if iterations else [0])
    assert isinstance(first, StageResult) and (first.index, first.method, first.is_reused) == (0, method, False)
    assert StartStep("subspace TV", 34, 80).words == "Start: subspace TV, iteration 34 of 80"
    assert StartStep("back-projection").words == "Start: back-projection"


def test_the_iterations_of_a_start_come_to_what_its_method_comes_to_alone():
    given = capture()
    y, physics = torch.from_numpy(given.y)[None], given.physics
    net = new_model("gap-tv").net
    *_, last = GapTv().stages(y, physics, num_stages=10)
    torch.testing.assert_close(net.initial(y, physics).image, last.image, rtol=0, atol=0)
    net = new_model("multiscale-tv").net
    *_, solution = solutions(y, physics, net.backbone.known_components, num_rounds=2, rank=4)
    torch.testing.assert_close(net.initial(y, physics).image, solution.image(), rtol=0, atol=0)
    torch.testing.assert_close(net.initial(y, physics).variance, solution.variance, rtol=0, atol=0)


@pytest.mark.parametrize("initial", ["gap-tv", "subspace-tv", "multiscale-tv"])
def test_a_decode_that_is_closed_in_its_start_computes_no_further_iteration(initial, monkeypatch):
    computed = []

    def counted(name: str) -> Callable[..., Iterator[object]]:
        original = getattr(unfolding, name)

        def steps(*given: object, **named: object) -> Iterator[object]:
            for step in original(*given, **named):
                computed.append(step)
                yield step

        return steps

    monkeypatch.setattr(unfolding, "subspace_tv", counted("subspace_tv"))
    monkeypatch.setattr(unfolding, "solutions", counted("solutions"))
    gap_tv = GapTv.stages
    monkeypatch.setattr(GapTv, "stages", lambda *a, **k: (computed.append(s) or s for s in gap_tv(*a, **k)))
    kept = KeptStages()
    steps = restore_steps(new_model(initial), capture(), kept=kept)
    while next(steps).iteration < 3:
        pass
    steps.close()
    assert len(computed) == 4 and kept.num_bytes == 0  # iteration 0 is where it begins


def test_another_strength_and_another_set_take_the_start_and_an_ablated_stage_those_before_it():
    kept, model, given = KeptStages(), new_model(), capture()
    assert reused(decoded(model, given, kept)) == []
    assert reused(decoded(model, given, kept)) == [0, 1, 2, 3]
    assert reused(decoded(model.with_adapters(model.adapters.scaled(0.6)), given, kept)) == [0]
    assert reused(decoded(model.with_adapters(model.adapters.ablated(3)), given, kept)) == [0, 1, 2]
    assert reused(decoded(new_model(seed=1), given, kept)) == [0]  # another set of the same backbone
    assert reused(decoded(new_model(seed=1, backbone_seed=2), given, kept)) == [0]  # and of another one
    assert reused(decoded(model, given, kept)) == [0, 1, 2, 3]


def test_more_stages_go_on_from_those_that_are_there():
    kept, model, given = KeptStages(), new_model(), capture()
    assert reused(decoded(model, given, kept, num_stages=1)) == []
    more = decoded(model, given, kept, num_stages=3, keep_denoiser_input=True)
    assert reused(more) == [0, 1]
    assert [stage.denoiser_input is None for stage in more] == [True, False, False, False]
    assert reused(decoded(model, given, kept, num_stages=2)) == [0, 1, 2]
    with pytest.raises(ModelError, match="this network has 3"):
        list(restore_steps(model, given, num_stages=4, kept=kept))


def test_anything_else_that_is_changed_is_computed_again():
    kept, model, given = KeptStages(), new_model(), capture()
    decoded(model, given, kept)
    others = {
        "noise": (model, capture(noise=Noise("gaussian", 0.01))),
        "mask": (model, capture(mask_seed=5)),
        "step": (model, capture(step=1.0)),
        "dead pixels": (
            model,
            replace(
                given,
                physics=given.physics.seeing(
                    torch.ones(1, *given.physics.measurement_shape).index_fill(3, torch.tensor([4]), 0)
                ),
            ),
        ),
        "scale": (model, replace(given, input_scale=2.0)),
        "reference": (model, replace(given, reference=given.reference + 1)),
        "kind": (new_model("subspace-tv"), given),
        "rank": (new_model(rank=3), given),
        "bands": (model, replace(given, wavelengths_nm=BANDS + 5)),
    }
    for what, (decoder, measurement) in others.items():
        assert reused(decoded(decoder, measurement, kept)) == [], what
    assert reused(decoded(model, given, kept, threads=torch.get_num_threads() + 1)) == []
    channels_last = decoded(model.running(path="nhwc"), given, kept)
    assert reused(channels_last) == [0]  # the start knows no layout


def test_components_of_the_spectra_are_part_of_what_a_start_depends_on():
    kept, model, given = KeptStages(), new_model(), capture()
    decoded(model, given, kept)
    other = new_model()
    other.net.backbone.components.copy_(torch.eye(9).flip(0))
    assert reused(decoded(other, given, kept)) == []


def test_the_noise_level_of_an_operator_counts_though_its_numbers_are_the_same():
    scene = Scene(np.random.default_rng(1).random((3, 16, 20), dtype=np.float32))
    given = sr.simulate(scene, np.full((3, 3), 1 / 9, np.float32), 2)
    noisy = replace(
        given, physics=sr.SrPhysics(given.physics.kernel, 2, given.physics.scene_shape[1:], noise_level=0.1)
    )
    model, way = new_model("adjoint"), Conditions(1.0, "cpu", None)
    one, other = (keys_of(model, measurement, way, num_stages=1) for measurement in (given, noisy))
    assert not set(one) & set(other)
    assert one == keys_of(model, replace(given, y=given.y.copy(), notes=("another note",)), way, num_stages=1)


def test_what_is_kept_has_a_bound_and_the_last_start_stays_longest():
    model, given, room = new_model(), capture(), KeptStages()
    decoded(model, given, room, num_stages=1)
    bound = room.num_bytes
    kept = KeptStages(most_bytes=bound)
    for percent in (100, 80, 60, 40):
        decoded(model.with_adapters(model.adapters.scaled(percent / 100)), given, kept)
        assert 0 < kept.num_bytes <= bound
    assert reused(decoded(model.with_adapters(model.adapters.scaled(0.4)), given, kept)) == [0, 1]
    kept.clear()
    assert kept.num_bytes == 0 and reused(decoded(model, given, kept)) == []
