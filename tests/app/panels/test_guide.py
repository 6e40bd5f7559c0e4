"""A guide in the window: what was assumed of it stands in the card, is corrected, and stays with its snapshot."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from app.panels.remarks import remarks
from lorun_engine.instrument import response_of
from lorun_engine.io import OpenOptions
from lorun_engine.measurement import Scene
from lorun_engine.tasks.cassi import CassiCamera

WAVELENGTHS = np.linspace(460, 640, 8)


@pytest.fixture
def files(tmp_path):
    """Two snapshots without their mask, the mask, and the guide of the first, 3 px too low."""
    y, x = np.mgrid[:48, :56]
    image = 0.2 + 0.15 * np.sin(x / 3 + np.arange(8)[:, None, None] / 3) + 0.15 * np.cos(y / 2)
    scene = Scene(image.astype(np.float32), WAVELENGTHS)
    measured = CassiCamera().measured(scene, seed=1)
    for name in ("first.h5", "second.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["snapshot"], file["wavelengths_nm"] = measured.y[0], WAVELENGTHS
    np.save(tmp_path / "mask.npy", measured.physics.mask[0, 0].numpy())
    guide = np.einsum("gc,chw->hwg", response_of("rgb", WAVELENGTHS), image)
    np.save(tmp_path / "side.npy", np.roll(guide, 3, axis=0))
    return tuple(tmp_path / name for name in ("first.h5", "second.h5", "mask.npy", "side.npy"))


def test_a_guide_is_said_in_the_card_corrected_and_not_taken_over(qtbot, make_parts, fake, files):
    first, second, mask, side = files
    parts = make_parts(fake)
    session = parts.session
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        session.open([first, mask, side])
    assert session.problem is None and session.measurement.physics.guide is not None
    said = {remark.field: remark for remark in remarks(session.role_table)}
    assert said["guide_response"].tag == "assumed" and said["guide_response"].value == "rgb"
    assert said["guide_shift"].tag == "estimated" and "-3" in said["guide_shift"].value
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.corrections.correct(OpenOptions(guide_shift=(-2.0, 0.0)), text="moving the guide")
    moved = {remark.field: remark for remark in remarks(session.role_table)}
    assert moved["guide_shift"].tag == "moved" and session.measurement.physics.guide.moved == (-2.0, 0.0)
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        session.open([second])
    assert session.problem is None and mask in session.paths and side not in session.paths
    assert session.measurement.physics.guide is None


def test_a_guide_joins_what_is_open(qtbot, make_parts, fake, files):
    first, _, mask, side = files
    parts = make_parts(fake)
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([first, mask])
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([*parts.session.paths, side])
    assert parts.session.measurement.physics.guide is not None
