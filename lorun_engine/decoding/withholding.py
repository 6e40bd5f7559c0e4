"""How well a decoder predicts detector pixels that it was not given: the only score of a capture without a true scene.

A share of the detector's pixels is withheld from the data step (cross-validation; Batson and Royer, ICML 2019, for
denoising). Whatever explains noise, or a wrong scene, explains the pixels it sees and not those it does not see.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..decoder import Decoder, scale_for
from ..errors import LorunError
from ..measurement import Measurement
from ..tasks.cassi import CassiPhysics
from .restore import restore


@dataclass(frozen=True)
class Prediction:
    """Relative errors ||y - Phi x|| / ||y|| over the withheld pixels, and over those that the decoder saw.

    `residual` = y - Phi x, (1, H', W') in the unit of the measurement, of the image decoded without them.
    """

    withheld: float
    seen: float
    residual: np.ndarray


def random_share(measurement: Measurement, share: float = 0.05, *, seed: int = 0) -> np.ndarray:
    """(1, H', W') bool: True at the detector pixels to withhold, drawn from `seed`."""
    if not 0 < share < 1:
        raise LorunError(f"A share of {share} was to be withheld; more than 0 and less than 1 was expected.")
    return np.random.default_rng(seed).random(measurement.y.shape) < share


def predict(decoder: Decoder, measurement: Measurement, withheld: np.ndarray) -> Prediction:
    """Decodes a CASSI measurement without the `withheld` pixels (1, H', W') and compares Phi x with them."""
    physics = measurement.physics
    if not isinstance(physics, CassiPhysics):
        raise LorunError(
            f"Pixels were to be withheld from a {measurement.task} measurement; a CASSI snapshot was expected."
        )
    seen = torch.from_numpy(~withheld)[None].float()
    scale = scale_for(decoder, measurement)
    given = replace(
        measurement, y=measurement.y * seen[0].numpy(), physics=physics.seeing(seen), input_scale=scale, reference=None
    )
    *_, last = restore(decoder, given)
    residual = measurement.y - physics.forward(torch.from_numpy(last.image)[None])[0].numpy()
    return Prediction(
        _relative(residual[withheld], measurement.y[withheld]),
        _relative(residual[~withheld], measurement.y[~withheld]),
        residual,
    )


def _relative(residual: np.ndarray, y: np.ndarray) -> float:
    return float(np.linalg.norm(residual.astype(np.float64)) / np.linalg.norm(y.astype(np.float64)))
