"""Which decoder takes a measurement: the camera's own set, then sets without a remark, then those with one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lorun_engine.errors import ModelError
from lorun_engine.library.model import Model
from lorun_engine.library.suiting import first_suited, suited
from lorun_engine.tasks.camera import camera_of
from lorun_engine.tasks.gap_tv import GapTv
from tests.engine.library.test_model import BANDS, capture, new_model

OTHERS = np.linspace(500, 700, 9)  # nm, which no set here was trained on


def named(name: str, **card: object) -> Model:
    model = new_model()
    return replace(model, name=name, card={**model.card, **card})


@pytest.fixture
def decoders():
    own = camera_of(capture()).summary()
    found = (
        named("a stranger's", camera={**own, "mask_hash": "another"}),
        named("with a guide", task_config={"wavelengths_nm": BANDS.tolist(), "step": 2.0, "guide": 3}),
        named("any"),
        named("mine", camera=own),
    )
    return {decoder.name: decoder for decoder in (*found, GapTv())}


def chosen(decoders, names, measurement=None):
    refused = []
    found = first_suited(
        names,
        measurement or capture(),
        card_of=lambda name: getattr(decoders[name], "card", None),
        opened=decoders.__getitem__,
        refused=lambda name, _: refused.append(name),
    )
    return (None if found is None else (found[0], found[1].remarks)), refused


def test_the_set_of_the_very_camera_comes_first(decoders):
    assert chosen(decoders, list(decoders)) == (("mine", ()), [])
    assert suited(decoders["mine"], capture()).is_made_for


def test_a_set_without_a_remark_comes_before_one_with(decoders):
    names = [name for name in decoders if name != "mine"]
    assert chosen(decoders, names) == (("any", ()), ["with a guide"])


def test_a_set_with_a_remark_comes_before_what_needs_no_weights(decoders):
    found, refused = chosen(decoders, ["gap-tv", "with a guide", "a stranger's"])
    assert found is not None and found[0] == "gap-tv"  # it was named before
    found, refused = chosen(decoders, ["a stranger's", "with a guide", "gap-tv"])
    assert found is not None and found[0] == "a stranger's" and refused == ["with a guide"]
    assert found[1] == (
        "Adapted to a camera whose mask differs from this one's. It may serve less than a set for any.",
    )


def test_what_takes_no_such_measurement_is_heard_of(decoders):
    others = capture(OTHERS)
    assert chosen(decoders, ["any", "gap-tv"], others) == (("gap-tv", ()), ["any"])
    assert chosen(decoders, ["any"], others) == (None, ["any"])
    with pytest.raises(ModelError):
        suited(decoders["any"], others)
