"""A set that was adapted to one camera is chosen for the measurements of that camera, and for no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.document.decoders import LibraryDecoders, first_fit
from lorun_engine.cli import main
from lorun_engine.instrument import Dispersion
from lorun_engine.io import write_measurement
from lorun_engine.library.model import load_model, save_adapters
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.tasks.camera import camera_of, is_made_for, other_camera
from lorun_engine.tasks.cassi import simulate

WAVELENGTHS_NM = (500.0, 540.0, 580.0)


def capture(*, seed: int = 0, step: float = 2.0) -> Measurement:
    """A snapshot through the random mask of `seed`."""
    rng = np.random.default_rng(seed)
    scene = Scene(rng.random((3, 8, 12), dtype=np.float32), np.array(WAVELENGTHS_NM))
    mask = (rng.random((8, 12)) < 0.5).astype(np.float32)
    return simulate(scene, mask, Dispersion(3, step=step))


@pytest.fixture
def library(make_trained_set):
    """The set "tiny" for any mask, and "z-own" that was adapted to the camera of `capture()`."""
    folder = make_trained_set(WAVELENGTHS_NM)
    model = load_model(folder / "tiny.safetensors", library=[folder])
    card = {**model.card, "camera": camera_of(capture()).summary()}
    kept = {name: card[name] for name in ("task_config", "input_scale", "camera")}
    save_adapters(
        folder / "z-own.safetensors", replace(model, name="z-own", card=kept), backbone_hash=card["backbone_hash"]
    )
    return folder


def test_a_camera_is_known_by_its_mask_and_its_dispersion():
    card = {"camera": camera_of(capture()).summary()}
    assert is_made_for(card, capture())
    assert not is_made_for(card, capture(seed=1)) and not is_made_for(card, capture(step=1.0))
    assert not is_made_for({}, capture()) and not is_made_for({"camera": {"scale": 2}}, capture())
    assert other_camera(card, capture()) == () == other_camera({}, capture())
    assert other_camera(card, capture(seed=1)) == ("mask",)
    assert other_camera(card, capture(seed=1, step=1.0)) == ("step", "mask")
    size = {"mask": "660 x 660"}  # what is open may be a part of it
    assert other_camera({"camera": card["camera"] | size}, capture(seed=1)) == ("mask or crop",)


def test_the_set_of_another_camera_fits_with_a_warning_that_says_what_differs(library):
    decoders = LibraryDecoders([library])
    (own,) = (choice for choice in decoders.choices() if choice.name == "z-own")
    looks = {
        (0, 2.0): ("Adapted to this very camera.", "good"),
        (1, 2.0): ("Adapted to a camera whose mask differs from this one's.", "warn"),
        (1, 1.5): ("Adapted to a camera whose step and mask differ from this one's.", "warn"),
    }
    for (seed, step), (words, look) in looks.items():
        choice, fit = first_fit(decoders, [own], capture(seed=seed, step=step))
        assert choice is own and fit.is_good and fit.look == look
        assert fit.sentence.startswith(words)


@pytest.mark.parametrize("seed, name", [(0, "z-own"), (1, "tiny")])
def test_the_set_of_the_very_camera_is_chosen(library, tmp_path, capsys, seed, name):
    measurement = capture(seed=seed)
    decoders = LibraryDecoders([library])
    choices = [choice for choice in decoders.choices() if choice.task == "cassi"]
    choice, fit = first_fit(decoders, choices, measurement)
    assert choice.name == name and ("this very camera" in fit.sentence) == (name == "z-own")
    write_measurement(tmp_path / "capture.h5", measurement, attributes={})
    assert main(["restore", str(tmp_path / "capture.h5"), "-o", str(tmp_path / "out.h5")], library=[library]) == 0
    assert f"decoding with {name}" in capsys.readouterr().err
