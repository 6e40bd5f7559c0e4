"""What measures scenes for an adaptation: the user's own mask and dispersion, sampling matrix, or kernel and factor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..errors import FileError, GeometryError
from ..instrument import Dispersion
from ..io import replacing
from ..measurement import Measurement, Scene
from ..tasks import cs, sr
from ..tasks.cassi import CassiPhysics, measure
from ..tasks.kernels import gallery
from ..tasks.noise import Noise

_ARRAYS = ("mask", "wavelengths_nm", "sampling", "kernel")
_USUAL_KERNEL = "gaussian 1.6"


@dataclass(frozen=True)
class Camera:
    """One instrument, with its noise where that is known.

    CASSI: `mask` (H, W) or (C, H, W), or None for any mask, `dispersion` and `wavelengths_nm`. CS: `sampling` (M, N),
    learned with the set where `learns_sampling`. SR: `kernel` (kh, kw), or None for any kernel, and `scale`.
    """

    task: str
    noise: Noise | None = None
    mask: np.ndarray | None = None
    dispersion: Dispersion | None = None
    wavelengths_nm: np.ndarray | None = None
    sampling: np.ndarray | None = None
    learns_sampling: bool = False
    kernel: np.ndarray | None = None
    scale: int = 2

    def measured(self, scene: Scene, *, seed: int = 0, sampling: np.ndarray | None = None) -> Measurement:
        """What this camera sees of a scene; `sampling` stands in for a matrix that is being learned."""
        if self.task == "cassi":
            return measure(scene, mask=self.mask, dispersion=self.dispersion, noise=self.noise, seed=seed)
        if self.task == "cs":
            return cs.simulate(scene, self.sampling if sampling is None else sampling, noise=self.noise, seed=seed)
        kernel = gallery()[_USUAL_KERNEL] if self.kernel is None else self.kernel
        return sr.simulate(scene, kernel, self.scale, noise=self.noise, seed=seed, eight_bit=self.noise is None)

    @property
    def axis(self) -> str:
        """The axis of the dispersion; "x" where there is none."""
        return "x" if self.dispersion is None else self.dispersion.axis

    def known_to(self, task_config: Mapping[str, Any]) -> Camera | None:
        """A camera like those that a CASSI set with this configuration was trained for; None for other tasks."""
        if self.task != "cassi":
            return None
        dispersion = Dispersion(self.dispersion.num_bands, float(task_config.get("step", 2.0)))
        return replace(self, noise=None, mask=None, dispersion=dispersion)

    def summary(self) -> dict[str, Any]:
        """What the card and the report say of it."""
        said: dict[str, Any] = {"noise": "none" if self.noise is None else str(self.noise)}
        if self.task == "cassi":
            said |= {name: value for name, value in asdict(self.dispersion).items() if name != "num_bands"}
            said["bands"] = self.dispersion.num_bands
            said["mask"] = "random" if self.mask is None else _by(self.mask.shape)
            if self.mask is not None:
                said["open_share"] = round(float((self.mask > 0.5 * self.mask.max()).mean()), 4)
                said["mask_hash"] = _mask_hash(self.mask)
        elif self.task == "cs":
            said |= {"sampling": _by(self.sampling.shape), "learned": self.learns_sampling}
        else:
            said |= {"scale": self.scale, "kernel": "random" if self.kernel is None else _by(self.kernel.shape)}
        return said

    def save(self, path: Path) -> None:
        """Writes the camera, atomically."""
        arrays = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        stored = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        facts = {
            "task": self.task,
            "noise": None if self.noise is None else str(self.noise),
            "dispersion": None if self.dispersion is None else asdict(self.dispersion),
            "learns_sampling": self.learns_sampling,
            "scale": self.scale,
        }
        with replacing(path) as temporary:
            save_file(stored or {"empty": torch.zeros(1)}, temporary, metadata={"camera": json.dumps(facts)})


def read_camera(path: Path) -> Camera:
    """The camera of a file that `Camera.save` wrote."""
    try:
        with safe_open(path, framework="np") as stored:
            facts = json.loads((stored.metadata() or {})["camera"])
            arrays = {name: stored.get_tensor(name) for name in stored.keys() if name in _ARRAYS}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise FileError(f"{path} is not the camera of a training, or is damaged. Start the training anew.") from error
    dispersion, noise = facts.pop("dispersion"), facts.pop("noise")
    return Camera(
        **facts,
        **arrays,
        noise=None if noise is None else Noise.parse(noise),
        dispersion=None if dispersion is None else Dispersion(**dispersion),
    )


def camera_of(measurement: Measurement, *, noise: Noise | None = None) -> Camera:
    """The camera that made a measurement, as far as the measurement tells it."""
    physics = measurement.physics
    if isinstance(physics, CassiPhysics):
        mask = physics.mask[0].numpy()
        return Camera(
            "cassi",
            noise,
            mask=mask[0] if len(mask) == 1 else mask,
            dispersion=physics.dispersion,
            wavelengths_nm=measurement.wavelengths_nm,
        )
    if isinstance(physics, cs.CsPhysics):
        return Camera("cs", noise, sampling=physics.sampling.detach().numpy())
    if isinstance(physics, sr.SrPhysics):
        return Camera("sr", noise, kernel=physics.kernel[0].numpy(), scale=physics.scale)
    raise GeometryError(f"Sets for {measurement.task} cannot be adapted. Open a CASSI, CS or SR measurement.")


def is_made_for(card: Mapping[str, Any], measurement: Measurement) -> bool:
    """Whether a set with these fields of its card was adapted to the camera of a CASSI measurement, mask and all."""
    known = card.get("camera", {})
    if measurement.task != "cassi" or "mask_hash" not in known:
        return False
    camera = camera_of(measurement).summary()
    return all(known.get(name) == value for name, value in camera.items() if name != "noise")


def _mask_hash(mask: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(mask, dtype="<f4").tobytes()).hexdigest()


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
