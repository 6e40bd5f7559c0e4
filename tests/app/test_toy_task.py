"""A task that is written here, y = x + noise decoded by a blur, goes everywhere by its one entry in the registry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from app.main_window import MainWindow
from app.resources import resource_path
from lorun_engine.cli import main
from lorun_engine.decoder import Stage, WithoutWeights
from lorun_engine.decoding.metrics import score_luma
from lorun_engine.decoding.restore import restore
from lorun_engine.io import open_measurement
from lorun_engine.io.options import INPUT_SCALE, KEY
from lorun_engine.io.resolved import Resolved
from lorun_engine.measurement import Measurement
from lorun_engine.physics import LinearPhysics, adjoint_mismatch
from lorun_engine.task import TASKS, Task
from lorun_engine.tasks.camera import Camera, camera_of
from lorun_engine.tasks.cs import luma
from lorun_engine.tasks.noise import Noise
from lorun_engine.training_data.dataset import TrainingSet
from lorun_engine.training_data.own_scenes import SceneSampler
from lorun_engine.training_data.photographs import whole_windows
from lorun_engine.training_data.settings import LocalData


class Identity(LinearPhysics):
    task = "toy"

    def __init__(self, size):
        self.scene_shape = self.measurement_shape = (1, *size)

    def forward(self, x):
        return x

    adjoint = forward

    def gram(self):
        return torch.ones(1, *self.measurement_shape)

    def prox(self, z, y, mu):
        return (y + mu * z) / (1 + mu)

    def to(self, device, dtype=None):
        return self


@dataclass(frozen=True)
class ToyCamera(Camera):
    task: ClassVar[str] = "toy"

    def measured(self, scene, *, seed=0, sampling=None):
        image = luma(scene.image)
        y = (self.noise or Noise("gaussian", 0.1)).add_to(torch.from_numpy(image), torch.Generator().manual_seed(seed))
        return Measurement("toy", y.numpy(), Identity(image.shape[1:]), reference=image, input_scale=1.0)

    def physics(self, scenes, generator, *, other_masks=0.0):
        return Identity(scenes.shape[-2:])


@dataclass(frozen=True)
class Blur(WithoutWeights):
    name: str = "blur"
    task: str = "toy"
    num_stages: int = 2

    def stages(self, y, physics, *, num_stages):
        for index in range(num_stages + 1):
            yield Stage(index, y)
            y = F.avg_pool2d(y, 3, stride=1, padding=1, count_include_pad=False)


def training_set(material, data, *, bands, step):
    scenes = [window.scene for window in whole_windows(material.pictures)]
    images = tuple(torch.from_numpy(luma(scene.image)) for scene in scenes)
    camera = ToyCamera(Noise("gaussian", 0.1))
    checks = [(whole_windows(material.validation), lambda scene, adapters: camera.measured(scene))]
    return TrainingSet(SceneSampler(data, camera, images, torch.ones(len(images)), None), checks, {})


FILES = SimpleNamespace(
    ROLES={"measurement": ("measurement", "y"), "reference": ("reference",)},
    **{"NUM_AXES": {"measurement": (2,), "reference": (2,)}, "FILE_WORDS": {}, "AXES": {}, "COMPANIONS": {}},
    **{"OPTIONS": (INPUT_SCALE, KEY), "CHANGES": (), "OF_CAMERA": (), "GEOMETRY": SimpleNamespace},
    claims=lambda found, options: False,
    by_shape=lambda found, free, taken: [],
    prepared=lambda arrays, options: {role: array.reshape(1, *array.shape[-2:]) for role, array in arrays.items()},
    resolve=lambda rows, arrays, options, hints: Resolved(arrays, SimpleNamespace(reasons={}), 1.0, ()),
    measurement=lambda arrays, geometry, *, path, input_scale, notes: Measurement(
        "toy", arrays["measurement"], Identity(arrays["measurement"].shape[1:]), None, arrays.get("reference"), 1.0
    ),
    told=lambda geometry, measurement: geometry,
    cameras=lambda said: {"": ToyCamera(said.noise)},
    described=lambda geometry: "as it is",
    stored=lambda measurement: ([], {}),
)
TRAINING = SimpleNamespace(DATA=LocalData, training_set=training_set, new_sampling=lambda data: None)
WORDS = {"title": "Noisy picture", "short": "toy", "measured": "Noisy", "channels": (1,), "measures": "picture"}
RECIPE = """task = "toy"
network = { channels = 1, num_stages = 2, denoiser = "unet", denoiser_settings = { widths = [4, 8], residual = true } }
data = { crop = [16, 16], built_in = 0.0 }
training = { backbone_steps = 4, adapter_steps = 2, validation_steps = 4 }
"""


def test_a_task_of_one_entry_is_simulated_decoded_scored_trained_adapted_and_opened(
    tmp_path, monkeypatch, capsys, make_parts, qtbot
):
    monkeypatch.setitem(TASKS, "toy", Task("toy", **WORDS, files_at=FILES, camera_at=ToyCamera, training_at=TRAINING,
                                           decoders_at={"blur": Blur}, protocol_at=score_luma))  # fmt: skip
    assert adjoint_mismatch(Identity((4, 5)), torch.Generator().manual_seed(0)) < 1e-12
    scenes, lorun = tmp_path / "scenes", lambda *words: main([str(word) for word in words], resources=resource_path())
    scenes.mkdir()
    for number in range(4):
        ramp = np.add.outer(np.arange(40), np.arange(48)) * (number + 1) % 200
        Image.fromarray(ramp.astype(np.uint8)).save(scenes / f"{number}.png")
    file, run = tmp_path / "noisy.h5", tmp_path / "run"
    assert lorun("simulate", scenes / "0.png", "--task", "toy", "--noise", "gaussian:0.1", "-o", file) == 0
    assert lorun("restore", file, "-o", tmp_path / "result.h5", "--save-stages") == 0
    assert lorun("evaluate", "--task", "toy", "--data", scenes, "--adapter", "blur", "--json") == 0
    assert json.loads(capsys.readouterr().out)["mean"]["psnr"] > 15
    measurement = open_measurement([file])
    assert isinstance(camera_of(measurement), ToyCamera) and measurement.reference is not None
    assert [stage.index for stage in restore(Blur(), measurement)] == [0, 1, 2]

    (tmp_path / "toy.toml").write_text(RECIPE)
    assert lorun("train", "--data", scenes, "--recipe", tmp_path / "toy.toml", "--out", run) == 0
    words = ("--route", "scenes", "--steps", 4, "--set", "crop=16,16", "--set", "check_size=32,32")
    adapted = tmp_path / "adapted"
    assert lorun("train", "--adapt", run / "adapters.safetensors", "--data", scenes, *words, "--out", adapted) == 0
    assert (adapted / "adapters.safetensors").is_file()

    parts = make_parts()
    window = MainWindow(parts)
    qtbot.addWidget(window)
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([file])
    parts.session.restore()
    qtbot.waitUntil(lambda: parts.session.restoration.state == "done" and not parts.lanes.is_busy, timeout=60_000)
    assert (parts.setup.decoder_name, len(parts.session.stages), window.windowTitle()[:8]) == ("blur", 3, "noisy.h5")
    qtbot.wait(1)  # what is shown last is shown while there is such a task
