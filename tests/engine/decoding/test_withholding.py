"""Predicting detector pixels that were withheld."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lorun_engine.decoding.withholding import predict, random_share
from lorun_engine.errors import LorunError
from lorun_engine.instrument import Dispersion
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.tasks import cs
from lorun_engine.tasks.cassi import random_mask, simulate
from lorun_engine.tasks.gap_tv import GapTv


@pytest.fixture
def snapshot() -> Measurement:
    """Four flat patches under four bands, which total variation finds from fewer pixels as well."""
    image = np.zeros((4, 24, 24), np.float32)
    for band in range(4):
        image[band, :12, :12], image[band, 12:, 12:] = 0.2 + 0.1 * band, 0.6 - 0.1 * band
    return simulate(Scene(image), random_mask(24, 24), Dispersion(4, 1.0))


def test_the_share_is_withheld_and_follows_its_seed(snapshot):
    withheld = random_share(snapshot, 0.25, seed=3)
    assert withheld.shape == snapshot.y.shape and withheld.dtype == bool
    assert 0.15 < withheld.mean() < 0.35
    np.testing.assert_array_equal(withheld, random_share(snapshot, 0.25, seed=3))
    with pytest.raises(LorunError, match="more than 0 and less than 1"):
        random_share(snapshot, 1.0)


def test_withheld_pixels_have_no_say_and_are_predicted(snapshot):
    withheld = random_share(snapshot, 0.1)
    prediction = predict(GapTv(), snapshot, withheld)
    assert prediction.seen < 0.02 and prediction.withheld < 0.25

    wrong = snapshot.y.copy()
    wrong[withheld] += 5
    altered = Measurement("cassi", wrong, snapshot.physics, input_scale=snapshot.input_scale)
    np.testing.assert_allclose(
        predict(GapTv(), altered, withheld).residual[~withheld], prediction.residual[~withheld], atol=1e-6
    )


def test_a_decoder_with_the_wrong_mask_predicts_worse(snapshot):
    withheld = random_share(snapshot, 0.1)
    other = type(snapshot.physics)(torch.from_numpy(random_mask(24, 24, seed=9)), Dispersion(4, 1.0))
    mistaken = Measurement("cassi", snapshot.y, other, input_scale=1.0)
    assert predict(GapTv(), mistaken, withheld).withheld > 2 * predict(GapTv(), snapshot, withheld).withheld


def test_blocks_have_no_detector_pixels_to_withhold():
    samples = cs.simulate(Scene(np.full((1, 32, 32), 0.5, np.float32)), cs.random_sampling(10))
    with pytest.raises(LorunError, match="CASSI snapshot was expected"):
        predict(cs.PseudoInverse(), samples, random_share(samples))
