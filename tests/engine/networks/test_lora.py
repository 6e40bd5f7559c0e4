"""Adapter sets as values: exact identities of Eq. 3, 4 and 12, scaling, ablation, interpolation and truncation."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from lorun_engine.errors import ModelError
from lorun_engine.networks.denoisers import build_denoiser
from lorun_engine.networks.lora import AdapterSet, energies, interpolated, new_adapters, rank_of, truncated

CHANNELS, STAGES = 5, 3


class Layers(nn.Module):
    """One layer of every kind, each of which adapters treat by its own rule."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Conv2d(6, 10, 3)
        self.linear = nn.Linear(6, 4)
        self.depthwise = nn.Conv2d(6, 6, 5, groups=6)
        self.up = nn.ConvTranspose2d(6, 3, 2, 2)
        self.norm = nn.GroupNorm(6, 6)
        self.table = nn.Parameter(torch.ones(5, 2))


@pytest.fixture
def denoiser() -> nn.Module:
    torch.manual_seed(1)
    return build_denoiser("spectral", CHANNELS, {})


def random_set(denoiser: nn.Module, *, gamma: float = 40, seed: int = 3) -> AdapterSet:
    """A set that changes every stage at random, as a trained one does."""
    generator = torch.Generator().manual_seed(seed)
    adapters = new_adapters(denoiser, num_stages=STAGES, gamma=gamma, generator=generator)
    changed = {name: 0.1 * torch.randn(t.shape, generator=generator) for name, t in adapters.tensors.items()}
    steps = {f"{k}/step/mu": torch.full((1,), 0.1 * k) for k in range(1, STAGES + 1)}
    return adapters.mapped({**changed, **steps})


def weights_of(denoiser: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in denoiser.named_parameters()}


def test_zero_adapters_leave_every_stage_equal_to_the_backbone(denoiser):
    adapters = new_adapters(denoiser, num_stages=STAGES, gamma=10)
    backbone = weights_of(denoiser)
    z = torch.rand(1, CHANNELS, 32, 32)
    expected = denoiser(z)[0]
    for stage in range(1, STAGES + 1):
        weights = adapters.weights(backbone, stage)
        assert weights.keys() == backbone.keys()
        assert all(torch.equal(weights[name], backbone[name]) for name in backbone)
        assert torch.equal(functional_call(denoiser, weights, (z,))[0], expected)


def test_b_starts_random_so_that_the_first_update_can_move_a(denoiser):
    adapters = new_adapters(denoiser, num_stages=1, gamma=10, generator=torch.Generator().manual_seed(0))
    factors = [tensor for name, tensor in adapters.tensors.items() if name.endswith("/B")]
    assert factors and all(tensor.abs().min() > 0 for tensor in factors)


@pytest.mark.parametrize(
    ("channels", "rank"), [(16, 2), (28, 3), (32, 4), (56, 6), (64, 7), (112, 12), (128, 13), (256, 26), (1, 1)]
)
def test_the_rank_is_ten_percent_of_the_channels_rounded_up(channels, rank):
    assert rank_of(channels, 4 * channels, 10) == rank_of(2 * channels, channels, 10) == rank


def test_every_kind_of_layer_follows_its_rule():
    adapters = new_adapters(Layers(), num_stages=1, gamma=50)
    shapes = {name: tuple(tensor.shape) for name, tensor in adapters.tensors.items()}
    assert shapes == {
        "1/table/difference": (5, 2),  # what belongs to no layer
        "1/dense.weight/A": (30, 9),  # Cout k x r k, r = ceil(6 * 0.5)
        "1/dense.weight/B": (9, 18),  # r k x Cin k
        "1/dense.bias/difference": (10,),
        "1/linear.weight/A": (4, 2),
        "1/linear.weight/B": (2, 6),
        "1/linear.bias/difference": (4,),
        "1/depthwise.bias/difference": (6,),  # its weight is shared
        "1/up.weight/difference": (6, 3, 2, 2),
        "1/up.bias/difference": (3,),
    }


def test_merged_weights_equal_the_parallel_low_rank_branch():
    torch.manual_seed(2)
    layers, x = Layers(), torch.rand(2, 6, 12, 12)
    adapters = random_set(layers)
    merged = adapters.weights(weights_of(layers), 2)
    a, b = (adapters.tensors[f"2/dense.weight/{part}"] for part in "AB")
    branch = F.conv2d(x, (a @ b).reshape(10, 6, 3, 3), adapters.tensors["2/dense.bias/difference"])
    torch.testing.assert_close(
        F.conv2d(x, merged["dense.weight"], merged["dense.bias"]), layers.dense(x) + branch, rtol=0, atol=1e-6
    )
    a, b = (adapters.tensors[f"2/linear.weight/{part}"] for part in "AB")
    y = torch.rand(7, 6)
    parallel = layers.linear(y) + (y @ b.T) @ a.T + adapters.tensors["2/linear.bias/difference"]
    torch.testing.assert_close(F.linear(y, merged["linear.weight"], merged["linear.bias"]), parallel, rtol=0, atol=1e-6)
    difference = adapters.tensors["2/up.weight/difference"]
    torch.testing.assert_close(merged["up.weight"], layers.up.weight + difference, rtol=0, atol=0)
    assert merged["depthwise.weight"] is not None and torch.equal(merged["depthwise.weight"], layers.depthwise.weight)


def test_scale_zero_is_the_backbone_bit_for_bit_and_scales_multiply_every_difference(denoiser):
    adapters, backbone = random_set(denoiser), weights_of(denoiser)
    for stage in range(1, STAGES + 1):
        off, half, on = (adapters.scaled(s).weights(backbone, stage) for s in (0, 0.5, 1))
        for name, weight in backbone.items():
            assert torch.equal(off[name], weight)
            torch.testing.assert_close(half[name] - weight, (on[name] - weight) / 2, rtol=1e-5, atol=1e-7)


def test_an_ablated_stage_runs_the_backbone_and_the_others_do_not_change(denoiser):
    adapters, backbone = random_set(denoiser), weights_of(denoiser)
    ablated = adapters.ablated(2)
    assert all(torch.equal(ablated.weights(backbone, 2)[name], backbone[name]) for name in backbone)
    for stage in (1, 3):
        expected = adapters.weights(backbone, stage)
        assert all(torch.equal(ablated.weights(backbone, stage)[name], expected[name]) for name in backbone)
    with pytest.raises(ModelError, match="stages 1 to 3"):
        adapters.ablated(4)


def test_data_steps_are_not_scaled(denoiser):
    adapters = random_set(denoiser)
    assert torch.equal(adapters.scaled(0).step_parameters(2)["mu"], adapters.step_parameters(2)["mu"])


def with_common(adapters: AdapterSet, value: float) -> AdapterSet:
    """The set with numbers that all stages share."""
    common = {"common/step/out.weight": torch.full((4, 2), value), "common/sampling": torch.full((2, 16), value)}
    return adapters.mapped({**adapters.tensors, **common})


def test_what_all_stages_share_is_neither_scaled_nor_ablated_nor_taken_for_a_change(denoiser):
    adapters = with_common(random_set(denoiser), 0.7)
    for changed in (adapters.scaled(0), adapters.ablated(1), adapters.scaled(0.5).baked()):
        assert torch.equal(changed.common_parameters()["out.weight"], torch.full((4, 2), 0.7))
        assert torch.equal(changed.sampling, torch.full((2, 16), 0.7))
    assert "out.weight" not in adapters.step_parameters(1)
    alone = with_common(AdapterSet(STAGES, {}), 0.7)
    assert not alone.has_factors and adapters.has_factors
    assert alone.num_parameters == 4 * 2 + 2 * 16
    assert random_set(denoiser).sampling is None and random_set(denoiser).common_parameters() == {}


def test_what_all_stages_share_is_interpolated_as_numbers(denoiser):
    first, second = (with_common(random_set(denoiser), value) for value in (1.0, 3.0))
    mixed = interpolated(first, second, 0.25)
    assert torch.equal(mixed.sampling, torch.full((2, 16), 1.5))
    assert torch.equal(mixed.common_parameters()["out.weight"], torch.full((4, 2), 1.5))
    with pytest.raises(ModelError, match="data steps"):
        interpolated(first, random_set(denoiser), 0.25)
    cut, _ = truncated(first, weights_of(denoiser), 10)
    assert torch.equal(cut.sampling, first.sampling)


def test_baking_stores_the_scales_in_the_differences(denoiser):
    adapters, backbone = random_set(denoiser).scaled(0.25).ablated(3), weights_of(denoiser)
    baked = adapters.baked()
    assert baked.scales == (1.0,) * STAGES
    for stage in range(1, STAGES + 1):
        expected = adapters.weights(backbone, stage)
        for name, weight in baked.weights(backbone, stage).items():
            torch.testing.assert_close(weight, expected[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_interpolation_is_exact_in_the_differences_and_adds_ranks(denoiser, share):
    first, second, backbone = random_set(denoiser, seed=3), random_set(denoiser, gamma=20, seed=4), weights_of(denoiser)
    mixed = interpolated(first, second, share)
    for stage in range(1, STAGES + 1):
        p, q, r = (s.weights(backbone, stage) for s in (first, second, mixed))
        for name, weight in backbone.items():
            expected = (1 - share) * (p[name] - weight) + share * (q[name] - weight)
            torch.testing.assert_close(r[name] - weight, expected, rtol=1e-4, atol=1e-6)
        mu = (1 - share) * first.step_parameters(stage)["mu"] + share * second.step_parameters(stage)["mu"]
        torch.testing.assert_close(mixed.step_parameters(stage)["mu"], mu)
    name = "1/bottleneck.attention.to_qkv.weight/A"
    assert mixed.tensors[name].shape[1] == first.tensors[name].shape[1] + second.tensors[name].shape[1]


def test_sets_of_other_numbers_of_stages_are_not_interpolated(denoiser):
    with pytest.raises(ModelError, match="3 and 2 stages"):
        interpolated(random_set(denoiser), new_adapters(denoiser, num_stages=2, gamma=10), 0.5)


def test_truncation_is_the_best_approximation_of_its_rank_and_states_its_error(denoiser):
    adapters, backbone = random_set(denoiser, gamma=60), weights_of(denoiser)
    cut, error = truncated(adapters, backbone, 20)
    lost = total = 0.0
    for key, a in adapters.tensors.items():
        if key.endswith("/A"):
            name = key[:-1]
            before = a @ adapters.tensors[name + "B"]
            after = cut.tensors[name + "A"] @ cut.tensors[name + "B"]
            values = torch.linalg.svdvals(before)
            inner = cut.tensors[name + "A"].shape[1]
            torch.testing.assert_close(torch.linalg.norm(before - after), values[inner:].norm(), rtol=1e-3, atol=1e-5)
            lost, total = lost + float((before - after).square().sum()), total + float(before.square().sum())
    assert error == pytest.approx(math.sqrt(lost / total), rel=1e-3)
    whole, none_lost = truncated(adapters, backbone, 60)
    assert none_lost < 1e-6
    for name, weight in whole.weights(backbone, 1).items():
        torch.testing.assert_close(weight, adapters.weights(backbone, 1)[name], rtol=1e-4, atol=1e-6)


def test_energies_are_relative_norms_with_the_rank_used():
    layers = Layers()
    backbone = weights_of(layers)
    adapters = new_adapters(layers, num_stages=1, gamma=50)
    tensors = {name: torch.zeros_like(tensor) for name, tensor in adapters.tensors.items()}
    tensors["1/linear.weight/A"] = torch.eye(4, 2)  # A B keeps two orthogonal rows of equal length: rank 2
    tensors["1/linear.weight/B"] = torch.eye(2, 6) * 3
    rows = {row.layer: row for row in energies(adapters.mapped(tensors).scaled(0.5), backbone)}
    linear = rows["linear.weight"]
    assert linear.ratio == pytest.approx(0.5 * 3 * math.sqrt(2) / float(backbone["linear.weight"].norm()))
    assert linear.rank == 2 and linear.effective_rank == pytest.approx(2.0)
    assert rows["dense.weight"].ratio == 0 and rows["dense.weight"].effective_rank == 0
    assert rows["up.weight"].rank is None


class OddLayers(nn.Module):
    """Kernels that are no squares, along a line, in space and in groups, and layers of other kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.tall = nn.Conv2d(4, 6, (1, 5)), nn.Conv2d(4, 6, (5, 2))
        self.line, self.grouped_line = nn.Conv1d(4, 6, 3), nn.Conv1d(4, 6, 3, groups=2)
        self.space, self.grouped = nn.Conv3d(4, 6, (2, 3, 3)), nn.Conv2d(4, 6, (3, 1), groups=2)
        self.up_line, self.slope = nn.ConvTranspose1d(4, 6, 2, groups=2), nn.PReLU()
        self.norm = nn.RMSNorm(4)


def test_kernels_of_every_shape_have_factors_of_their_rank():
    layers = OddLayers()
    backbone, adapters = weights_of(layers), random_set(layers, gamma=50)
    sizes = {name: adapters.tensors[f"1/{name}.weight/A"].shape for name in ("flat", "tall", "line", "space")}
    assert sizes == {"flat": (6, 2), "tall": (30, 4), "line": (18, 2), "space": (12, 4)}
    changed = adapters.weights(backbone, 1)
    assert {name: tensor.shape for name, tensor in changed.items()} == {k: t.shape for k, t in backbone.items()}
    for name in ("grouped_line.weight", "grouped.weight", "norm.weight"):
        assert torch.equal(changed[name], backbone[name])
    for name in ("up_line.weight", "slope.weight", "flat.bias"):
        assert f"1/{name}/difference" in adapters.tensors and not torch.equal(changed[name], backbone[name])
    ranks = {row.layer: row.rank for row in energies(adapters, backbone)}
    assert [ranks[f"{name}.weight"] for name in ("flat", "tall", "line", "space")] == [2, 2, 2, 2]
    same, lost = truncated(adapters, backbone, 50)
    assert lost < 1e-6
    for name, weight in same.weights(backbone, 2).items():
        torch.testing.assert_close(weight, adapters.weights(backbone, 2)[name], atol=1e-5, rtol=1e-4)
