"""Parameter counts and cost: frozen integers, and the paper's tables within what their digits and designs allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lorun_engine.library.model import count_parameters
from lorun_engine.networks.lora import AdapterSet
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.paper.parameters import PUBLISHED, multiply_adds, parameter_table


@pytest.fixture(scope="module")
def table() -> list[dict[str, Any]]:
    return parameter_table()


def count(table: list[dict[str, Any]], number: str, model: str, variant: str, stages: int = 9) -> int:
    (row,) = (
        row
        for row in table
        if (row["table"], row["model"], row["variant"], row["stages"]) == (number, model, variant, stages)
    )
    return row["parameters"]


def test_the_counts_that_were_reconciled_with_public_networks_are_exact(table):
    assert count(table, "III", "cassi spectral", "block") == 5_427_093
    assert count(table, "III", "cassi spectral", "lorun") == 1_700_247
    assert count(table, "V", "sr resunet", "block") == 5_300_802
    assert count(table, "V", "sr resunet", "lorun") == 1_961_113
    assert count(table, "I", "cs dual-path", "block") == 15_963_885
    assert count(table, "II", "cs u-net", "block") == 4_654_386
    assert count(table, "II", "cs u-net", "lorun") == 1_402_861


def test_every_figure_of_the_paper_is_met_in_its_digits_or_within_one_point_three_percent(table):
    printed = [row for row in table if row["paper"] is not None]
    for row in printed:
        millions = row["parameters"] / {"2^20": 2**20, "10^6": 10**6}[row["unit"]]
        assert round(millions, 2) == row["paper"] or millions == pytest.approx(row["paper"], rel=0.013), row
    assert {row["table"] for row in printed} == {"I", "II", "III", "IV", "V", "VIII"}


def test_every_model_has_one_and_nine_stages_and_table_ix_has_no_figures(table):
    assert {row["table"] for row in table} == {"I", "II", "III", "IV", "V", "VIII", "IX"}
    for number in ("I", "II", "III", "IV", "V"):
        found = {(row["variant"], row["stages"]) for row in table if row["table"] == number}
        assert found == {("block", 1), ("block", 9), ("lorun", 9)}
    ninth = [row for row in table if row["table"] == "IX"]
    assert {row["stages"] for row in ninth} == {1, 4, 9, 12}
    assert all(row["paper"] is None and row["counted"] for row in ninth)


def test_the_hyper_parameter_net_has_two_outputs_a_stage():
    config = NetworkConfig(3, 9, denoiser="resunet", data_step="usrnet")
    without = count_parameters(replace(config, data_step="none")) - 9  # one lambda a stage
    assert count_parameters(config) - without == 1_746
    assert count_parameters(replace(config, num_stages=1)) - without == 1_218


@pytest.mark.parametrize(("samples", "millions"), [(10, 15.712), (40, 15.743), (102, 15.806), (256, 15.964)])
def test_the_learned_sampling_matrix_counts_at_every_ratio(samples, millions):
    nine = replace(PUBLISHED[0].config, num_blocks=9)
    assert count_parameters(nine, sampling=(samples, 1024)) / 1e6 == pytest.approx(millions, abs=5e-4)


def test_transposed_up_convolutions_give_the_public_count_of_the_dual_path_network():
    settings = {"dual_branch": True, "transposed": True}
    nine = replace(PUBLISHED[0].config, num_blocks=9, denoiser_settings=settings)
    assert count_parameters(nine, sampling=(256, 1024)) == 14_028_525


def test_multiply_adds_are_those_of_the_layers():
    config = NetworkConfig(1, 2, denoiser="unet", denoiser_settings={"widths": (2,)})
    pixels = 8 * 16
    double_convolution, out = 9 * (1 * 2 + 2 * 2), 2 * 1
    assert multiply_adds(config, 8, 16) == 2 * pixels * (double_convolution + out)


def test_stages_that_are_alike_cost_what_a_pass_through_all_of_them_does():
    config = replace(PUBLISHED[0].config, num_stages=5, denoiser_settings={"width": 8, "dual_branch": True})
    net = UnfoldingNet(config, Backbone(config), AdapterSet(5, new_step_parameters(config)))
    dual = image = torch.zeros(1, 1, 16, 24)
    passage = None
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for stage in range(1, 6):
            image, passage = net.denoised(image, dual, passage, stage)
    assert multiply_adds(config, 16, 24) == counter.get_total_flops() // 2


def test_a_multiply_add_count_computes_nothing():
    """A pass of this size would not fit into any memory."""
    config = NetworkConfig(3, 1, denoiser="resunet", data_step="usrnet")
    side = 2**17
    assert multiply_adds(config, side, side) == (side // 256) ** 2 * multiply_adds(config, 256, 256)
    assert torch.get_default_device() == torch.device("cpu")
