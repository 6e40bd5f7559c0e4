"""How a network is executed where nobody says it: chosen by what is quickest, once, and remembered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from lorun_engine.decoding.execution import Execution, choices_file, remember_choices_at
from lorun_engine.library import quickest as subject
from lorun_engine.library.quickest import quickest
from lorun_engine.networks.lora import AdapterSet
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters

OPEN = Execution("auto", "auto")
IMAGE = torch.rand(1, 3, 128, 160)


@pytest.fixture
def net(tmp_path, monkeypatch) -> Iterator[UnfoldingNet]:
    remember_choices_at(tmp_path / "cache" / "execution.json")
    monkeypatch.setattr(subject, "_known", {})
    torch.manual_seed(1)
    config = NetworkConfig(3, 1, "unet", {"widths": (4, 6)})
    yield UnfoldingNet(config, Backbone(config).requires_grad_(False), AdapterSet(1, new_step_parameters(config)))
    remember_choices_at(None)


@pytest.fixture
def took(monkeypatch):
    """What is timed takes what a table says, by the layout and precision of the network that is run."""
    seconds, timed = {}, []

    def seconds_of(run, **_) -> float:
        network = run.args[0]
        way = Execution(network.precision, "nhwc" if network.channels_last else "plain")
        timed.append(way)
        return seconds[way]

    monkeypatch.setattr(subject, "seconds_of", seconds_of)
    monkeypatch.setattr(subject, "_computes_bfloat16", lambda device: Execution("bfloat16", "nhwc") in seconds)
    return seconds, timed


@pytest.mark.parametrize(
    ("plain_s", "nhwc_s", "half_s", "expected"),
    [
        (1.0, 0.95, None, ("float32", "plain")),  # not worth another layout
        (1.0, 0.7, None, ("float32", "nhwc")),
        (1.0, 0.7, 0.4, ("bfloat16", "nhwc")),
        (1.0, 1.2, 0.4, ("bfloat16", "nhwc")),
        (1.0, 0.7, 0.69, ("float32", "nhwc")),
    ],
)
def test_the_quickest_wins_and_the_simplest_of_equals(net, took, plain_s, nhwc_s, half_s, expected):
    seconds, _ = took
    seconds |= {Execution(): plain_s, Execution("float32", "nhwc"): nhwc_s}
    if half_s is not None:
        seconds[Execution("bfloat16", "nhwc")] = half_s
    assert quickest(net, IMAGE, OPEN) == expected


def test_bfloat16_is_not_taken_where_it_costs_quality(net, took, monkeypatch):
    seconds, timed = took
    seconds |= {Execution(): 1.0, Execution("float32", "nhwc"): 1.0, Execution("bfloat16", "nhwc"): 0.1}
    monkeypatch.setattr(subject, "_LEAST_PSNR", 500.0)
    assert quickest(net, IMAGE, OPEN) == ("float32", "plain")
    assert Execution("bfloat16", "nhwc") not in timed
    seconds[Execution("bfloat16", "plain")] = 9.0
    assert quickest(net, IMAGE, Execution("bfloat16", "auto")) == ("bfloat16", "nhwc")  # it was demanded


def test_what_is_asked_for_is_not_tried(net, took):
    _, timed = took
    assert quickest(net, IMAGE, Execution("float32", "nhwc")) == ("float32", "nhwc")
    assert quickest(net, torch.rand(1, 3, 64, 64), OPEN) == ("float32", "plain")  # too small to matter
    assert quickest(net, torch.rand(1, 3, 64, 64), Execution("auto", "nhwc")) == ("float32", "nhwc")
    assert quickest(net, IMAGE, Execution("auto", "compiled")) == ("float32", "compiled")  # would take long to try
    assert not timed and not choices_file().exists()


def test_a_choice_is_made_once_and_again_where_it_may_differ(net, took, monkeypatch):
    seconds, timed = took
    seconds |= {Execution(): 1.0, Execution("float32", "nhwc"): 0.5}
    assert quickest(net, IMAGE, OPEN) == ("float32", "nhwc")
    tries = len(timed)
    seconds[Execution()] = 0.1
    assert quickest(net, IMAGE, OPEN) == ("float32", "nhwc") and len(timed) == tries
    monkeypatch.setattr(subject, "_known", {})  # another process
    assert quickest(net, IMAGE, OPEN) == ("float32", "nhwc") and len(timed) == tries
    assert quickest(net, torch.rand(1, 3, 192, 160), OPEN) == ("float32", "plain") and len(timed) > tries
    wider = NetworkConfig(3, 1, "unet", {"widths": (4, 8)})
    other = replace(net, config=wider, backbone=Backbone(wider))
    assert quickest(other, IMAGE, OPEN) == ("float32", "plain")
    assert len(json.loads(choices_file().read_text())) == 3


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"a": 3, "b": ["float64", "plain"]}', "[" * 5000])
def test_a_file_that_says_nothing_is_written_anew(net, took, text):
    seconds, _ = took
    seconds |= {Execution(): 1.0, Execution("float32", "nhwc"): 0.5}
    choices_file().parent.mkdir()
    choices_file().write_text(text)
    assert quickest(net, IMAGE, OPEN) == ("float32", "nhwc")
    assert list(json.loads(choices_file().read_text()).values()) == [["float32", "nhwc"]]


def test_where_nothing_can_be_remembered_it_is_tried_every_time(net, took):
    seconds, timed = took
    seconds |= {Execution(): 1.0, Execution("float32", "nhwc"): 0.5}
    choices_file().parent.write_text("a file in the place of the folder")
    assert quickest(net, IMAGE, OPEN) == ("float32", "nhwc") and timed


def test_every_way_denoises_the_same(net, monkeypatch):
    """Without a table: this machine's own choice, whatever it is."""
    chosen = quickest(net, IMAGE, OPEN)
    assert not chosen.is_open
    expected, _ = net.denoised(IMAGE, None, None, 1)
    image, _ = net.executed(chosen).denoised(IMAGE, None, None, 1)
    assert (image - expected).abs().max() < 0.02 * expected.abs().max()
