"""The camera of an adaptation as a file beside its training."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..errors import FileError, LorunError
from ..io import replacing
from ..schema import json_of, made
from ..tasks.camera import Camera, camera_class
from ..tasks.noise import Noise


def save_camera(camera: Camera, path: Path) -> None:
    """Writes a camera, atomically: its arrays as tensors, all else as text."""
    arrays: dict[str, torch.Tensor] = {}
    facts: dict[str, Any] = {"task": camera.task}
    for field in fields(camera):
        value = getattr(camera, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = torch.from_numpy(np.ascontiguousarray(value))
        elif isinstance(value, Noise):
            facts[field.name] = str(value)
        else:
            facts[field.name] = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    with replacing(path) as temporary:
        temporary.write_bytes(save(arrays or {"empty": torch.zeros(1)}, metadata={"camera": json.dumps(facts)}))


def read_camera(path: Path) -> Camera:
    """The camera of a file that `save_camera` wrote."""
    try:
        with safe_open(path, framework="np") as stored:
            facts = json_of((stored.metadata() or {})["camera"])
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        values = {name: value for name, value in {**facts, **arrays}.items() if value is not None}
        if "noise" in values:
            values["noise"] = Noise.parse(str(values["noise"]))
        return made(camera_class(facts["task"]), values, drops_unknown=True)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError, LorunError) as error:
        raise FileError(f"{path} is not the camera of a training, or is damaged. Start the training anew.") from error
