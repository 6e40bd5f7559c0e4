"""What a decode is predicted to take: of every decoder that ships, more of more pixels, less in strips."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorun_engine.instrument import Dispersion
from lorun_engine.library.memory import bytes_needed
from lorun_engine.library.model import Model, list_decoders, open_decoder
from lorun_engine.networks.lora import AdapterSet
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.lowlight import LowLightPhysics
from lorun_engine.tasks.sr import SrPhysics

LIBRARY = [Path(__file__).resolve().parents[3] / "resources" / "weights"]


def camera(rows: int, columns: int, *, axis: str = "x") -> CassiPhysics:
    return CassiPhysics(torch.ones(rows, columns), Dispersion(28, 2.0, axis=axis))


def opened(name: str, task: str = "cassi"):
    return open_decoder(name, library=LIBRARY, task=task)


@pytest.mark.parametrize("entry", list_decoders(LIBRARY, task="cassi"), ids=lambda entry: entry.name)
def test_every_decoder_of_snapshots_says_what_it_takes(entry):
    small, large = (bytes_needed(opened(entry.name), camera(size, size)) for size in (128, 512))
    cube = 4 * 28 * 512**2
    assert small < large and 4 * cube < large < 30 * cube + 2e8


@pytest.mark.parametrize("name", ["sr-x2", "tikhonov"])
def test_pictures_that_are_enlarged_take_their_spectra_too(name):
    physics = SrPhysics(torch.ones(3, 3) / 9, 2, (512, 512))
    assert bytes_needed(opened(name, "sr"), physics) > 10 * 4 * 3 * 512**2
    assert bytes_needed(opened("bicubic", "sr"), physics) is None  # next to nothing


def test_strips_take_less_of_what_is_large():
    model, large = opened("cassi-any-mask"), camera(2048, 2048)
    in_strips, at_once = (bytes_needed(model.running(tile=tile), large) for tile in ("auto", "off"))
    assert at_once - in_strips > 1e9 and in_strips < 3.7e9
    assert bytes_needed(model.sparing(), large) < in_strips
    assert bytes_needed(model.running(tile="off"), camera(256, 256)) == bytes_needed(model, camera(256, 256))


def test_a_light_that_is_sought_counts_and_columns_are_cut_where_bands_run_down():
    light = bytes_needed(opened("lowlight", "lowlight"), LowLightPhysics(3, (512, 512)))
    assert light > 4 * 4 * 512**2 * 5
    model = opened("cassi-any-mask")
    down = bytes_needed(model, CassiPhysics(torch.ones(1, 2500, 900), Dispersion(28, 2.0, axis="y")))
    assert down == bytes_needed(model, camera(900, 2500))


def test_nothing_is_said_of_what_was_not_measured():
    config = NetworkConfig(28, 1, "mamba")
    net = UnfoldingNet(config, Backbone(config), AdapterSet(1, new_step_parameters(config)))
    assert bytes_needed(Model("new", "cassi", net), camera(64, 64)) is None
