"""What a CUDA device must give: the CPU's images, in half precision nearly so, and a way out of a full memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.resources import resource_path
from lorun_engine.decoding.restore import restore
from lorun_engine.io import open_measurement
from lorun_engine.library.model import list_decoders, open_decoder
from lorun_engine.networks.lora import AdapterSet
from lorun_engine.networks.unfolding import UnfoldingNet
from tests.engine.networks.test_required_networks import REQUIRED, STAGES, begun

pytestmark = pytest.mark.gpu
WEIGHTS = resource_path("weights")
SETS = [entry for entry in list_decoders([WEIGHTS]) if entry.card is not None]


@pytest.fixture(autouse=True)
def exact_float32(monkeypatch):
    """TensorFloat-32 would hide differences below 1e-3."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("network", REQUIRED, ids=str)
def test_every_required_network_gives_the_images_of_the_cpu(network, record_property):
    truth, physics = network.measured()
    config = network.config(truth.shape[1])
    backbone, tensors = begun(config, physics)
    images = []
    for device in ("cpu", "cuda:0"):
        operator = physics.to(device)
        net = UnfoldingNet(config, backbone.to(device), AdapterSet(STAGES, tensors).to(device))
        with torch.no_grad():
            *_, last = net.stages(operator.forward(truth.to(device)), operator)
        images.append(last.image.cpu())
    difference = float((images[1] - images[0]).abs().max() / images[0].abs().max())
    record_property("figure", f"relative difference {difference:.1e}")
    assert difference < 1e-4


def _decoded(name: str, **execution: str) -> tuple[np.ndarray, float]:
    """The last image of a shipped set on the sample of its task, and its PSNR."""
    entry = next(entry for entry in SETS if entry.name == name)
    measurement = open_measurement([resource_path("samples", f"{entry.task}.h5")])
    device = execution.pop("device", "cuda:0")
    decoder = open_decoder(name, library=[WEIGHTS], task=entry.task).running(**execution)
    *_, last = restore(decoder, measurement, device=device)
    return last.image, last.metrics["psnr"]


@pytest.mark.parametrize("name", [entry.name for entry in SETS])
def test_shipped_sets_give_the_images_of_the_cpu(name, record_property):
    (on_cpu, _), (on_gpu, _) = _decoded(name, device="cpu"), _decoded(name)
    difference = float(np.abs(on_gpu - on_cpu).max() / np.abs(on_cpu).max())
    record_property("figure", f"relative difference {difference:.1e}")
    assert difference < 1e-4


@pytest.mark.parametrize("name", [entry.name for entry in SETS])
def test_half_precision_costs_less_than_a_twentieth_of_a_decibel(name, record_property):
    (_, full), (_, half) = _decoded(name), _decoded(name, precision="bfloat16")
    record_property("figure", f"{half - full:+.3f} dB")
    assert abs(half - full) < 0.05


@pytest.mark.parametrize("name", [entry.name for entry in SETS])
def test_the_compiled_path_gives_the_plain_image(name, record_property):
    (plain, _), (compiled, _) = _decoded(name), _decoded(name, path="compiled")
    difference = float(np.abs(compiled - plain).max() / np.abs(plain).max())
    record_property("figure", f"relative difference {difference:.1e}")
    assert difference < 1e-4


def test_a_full_memory_halves_the_batch_and_the_training_goes_on(tmp_path, record_property):
    from lorun_engine.io import WAVELENGTHS, write_cube
    from lorun_engine.training.train import train
    from lorun_engine.training_data.dataset import find_material
    from tests.engine.training.test_train import smooth_cube, tiny

    folder = tmp_path / "cubes"
    folder.mkdir()
    cube = smooth_cube(0, 64, 256)
    write_cube(folder / "a.h5", cube, wavelengths_nm=np.asarray(WAVELENGTHS["cassi-28"]), attributes={})
    data = {"crop": [64, 256], "batch": 32, "validation": []}
    recipe = tiny(warm_start_steps=0, backbone_steps=2, adapter_steps=1, data=data)
    recipe = replace(recipe, network=replace(recipe.network, denoiser_settings={"widths": [32, 64]}))
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (1 << 30) / total))  # one GiB
    try:
        events = list(train(recipe, find_material(folder), Path(tmp_path) / "run", device="cuda:0"))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    halved = [event.message for event in events if event.event == "memory"]
    record_property("figure", halved[-1] if halved else "never full")
    assert halved and events[-1].event == "finished"
