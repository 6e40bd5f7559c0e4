"""The files that come with LoRun: complete, accounted for, and what they say they are."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from app.resources import resource_path
from lorun_engine.decoding.restore import restore
from lorun_engine.io import WAVELENGTHS, OpenOptions, open_measurement
from lorun_engine.library.cards import cards_in
from lorun_engine.library.model import list_decoders, open_decoder
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.task import TASKS
from lorun_engine.tasks import cs, sr
from lorun_engine.tasks.cassi import CassiCamera, CassiPhysics
from lorun_engine.tasks.gap_tv import GapTv

WEIGHTS = resource_path("weights")
SETS = [entry for entry in list_decoders([WEIGHTS]) if entry.card is not None]


def test_every_task_has_a_sample():
    assert all(resource_path("samples", f"{task}.h5").is_file() for task in TASKS)


def test_the_cassi_sample_is_the_snapshot_of_its_own_reference():
    sample = open_measurement([resource_path("samples", "cassi.h5")], OpenOptions())
    assert sample.y.shape == (1, 256, 310) and sample.reference.shape == (28, 256, 256)
    assert 0 <= sample.reference.min() and sample.reference.max() == 1
    np.testing.assert_array_equal(sample.wavelengths_nm, WAVELENGTHS["cassi-28-exact"])
    y = sample.physics.forward(torch.from_numpy(sample.reference)[None])[0]
    np.testing.assert_allclose(y, sample.y, atol=1e-5)


def test_the_samples_of_blocks_were_taken_with_the_matrix_of_a_shipped_set():
    sample = open_measurement([resource_path("samples", "cs.h5")], OpenOptions())
    open_decoder("cs-25", library=[WEIGHTS], task="cs").fitted(sample)


def test_every_resource_is_accounted_for():
    accounts = resource_path("SOURCES.md").read_text(encoding="utf-8")
    for path in sorted(resource_path().rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".pyc") and path.name != "SOURCES.md":
            name = path.relative_to(resource_path()).as_posix()
            folder, family = Path(name).parts[0], name.rpartition("-")[0]
            named = (f"`{name}`", f"`{folder}/`", f"`{family}-*{path.suffix}`")
            assert any(text in accounts for text in named), f"SOURCES.md does not say where {name} comes from"


@pytest.mark.parametrize("entry", SETS, ids=lambda entry: entry.name)
def test_every_shipped_set_is_whole_and_beats_what_needs_no_weights_on_its_sample(entry):
    """Reading a set checks its hash and that of its backbone.

    Of the decoders of pictures it is bicubic, of those of snapshots GAP-TV: the computed picture is smooth, and what
    Tikhonov and subspace TV make of it hard to beat. Of the snapshot the upper half is decoded.
    """
    sample = open_measurement([resource_path("samples", f"{entry.task}.h5")], OpenOptions())
    model = open_decoder(entry.name, library=[WEIGHTS], task=entry.task)
    decoders = list(TASKS[entry.task].decoders.values())
    best = 0.0
    if entry.task == "cs":  # every set takes samples by its own matrix
        sample = cs.simulate(Scene(sample.reference), model.adapters.sampling.numpy())
    if entry.task == "sr":  # and every set its own factor
        (scale,) = entry.card.fields["task_config"]["scales"]
        sample = sr.simulate(Scene(sample.reference), sample.physics.kernel[0].numpy(), scale)
        decoders = [sr.Bicubic()]
    if entry.task == "cassi":
        is_guided = "guide" in entry.card.fields["task_config"]
        sample, decoders, best = upper_half_of_the_snapshot(is_guided), [], gap_tv_on_the_snapshot(is_guided)
    *_, last = restore(model, sample)
    for decoder in decoders:
        *_, without = restore(decoder, sample)
        best = max(best, without.metrics["psnr"])
    assert last.metrics["psnr"] > best + 1


@cache
def upper_half_of_the_snapshot(is_guided: bool) -> Measurement:
    """Light moves along the rows alone, so that fewer rows are a snapshot as well; or one with a guide in colours."""
    whole = open_measurement([resource_path("samples", "cassi.h5")], OpenOptions())
    physics, half = whole.physics, whole.physics.scene_shape[-2] // 2
    physics = CassiPhysics(physics.mask[..., :half, :], physics.dispersion)
    upper = replace(whole, y=whole.y[:, :half], physics=physics, reference=whole.reference[:, :half])
    if not is_guided:
        return upper
    camera = CassiCamera.of(upper).changed({"guide_camera": "rgb"})
    return camera.measured(Scene(upper.reference, wavelengths_nm=upper.wavelengths_nm))


@cache
def gap_tv_on_the_snapshot(is_guided: bool) -> float:
    """PSNR in dB."""
    *_, last = restore(GapTv(), upper_half_of_the_snapshot(is_guided))
    return last.metrics["psnr"]


def test_every_backbone_serves_a_set_and_all_weights_together_stay_small():
    cards = list(cards_in([WEIGHTS]))
    wanted = {card.fields["backbone_hash"] for card in cards if card.kind == "adapters"}
    assert {card.hash for card in cards if card.kind == "backbone"} == wanted
    assert sum(card.path.stat().st_size for card in cards) < 34e6
