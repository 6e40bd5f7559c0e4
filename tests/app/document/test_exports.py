"""The command that does a decode again gives the same cube, bit for bit."""

from __future__ import annotations

import shlex
from dataclasses import replace

import h5py
import numpy as np
import pytest

from lorun_engine import cli
from lorun_engine.errors import LorunError


def _decoded(qtbot, session, paths, **corrections):
    """A session in which `paths` were opened, corrected and decoded with three stages of GAP-TV."""
    with qtbot.waitSignal(session.worker_idle, timeout=60_000):
        session.open(paths)
    if corrections:
        with qtbot.waitSignal(session.worker_idle):
            session.correct(replace(session.options, **corrections))
    assert session.problem is None
    session.switch_decoder("gap-tv")
    session.set_num_stages(3)
    with qtbot.waitSignal(session.worker_idle):
        session.restore()
    return session


@pytest.mark.parametrize(
    "corrections",
    [
        {"num_bands": 4, "step": 2.0},
        {"num_bands": 4, "direction": "-", "flip": "lr", "input_scale": 0.25},
        {"num_bands": 4, "rotate": 2, "crop": (2, 0, 12, 14)},
        {"num_bands": 4, "integer_scale": 255.0, "cube_axes": "CHW"},
    ],
)
def test_the_copied_command_gives_the_windows_cube(qtbot, make_session, foreign, tmp_path, monkeypatch, corrections):
    session = _decoded(qtbot, make_session(), foreign, **corrections)
    words = shlex.split(session.command())
    monkeypatch.chdir(tmp_path)
    assert words[:2] == ["lorun", "restore"] and cli.main(words[1:]) == 0
    with h5py.File(tmp_path / words[words.index("-o") + 1]) as file:
        cube = np.moveaxis(file["cube"][()], -1, 0)
    assert np.array_equal(cube, session.stages.image(3))


def test_the_command_of_our_own_file_needs_no_mask_file(qtbot, make_session, snapshot, tmp_path, monkeypatch):
    session = _decoded(qtbot, make_session(), [snapshot])
    words = shlex.split(session.command())
    assert "--mask" not in words and "--reference" not in words
    monkeypatch.chdir(tmp_path)
    assert cli.main(words[1:]) == 0


def test_roles_within_a_file_cannot_be_a_command_and_that_is_said(qtbot, make_session, snapshot):
    session = make_session()
    with qtbot.waitSignal(session.worker_idle, timeout=60_000):
        session.open([snapshot])
    row = session.role_table.row("reference")
    with qtbot.waitSignal(session.worker_idle):
        session.correct(replace(session.options, roles=((row.selector, "unused"),)))
    assert session.measurement.reference is None
    with pytest.raises(LorunError, match="files of their own"):
        session.command()


def test_roles_given_to_arrays_of_one_file_are_a_command(qtbot, make_session, foreign, tmp_path, monkeypatch):
    capture, mask = (np.load(path) for path in foreign)
    np.savez(tmp_path / "all.npz", first=capture, second=mask, third=mask * 0.5)
    path = tmp_path / "all.npz"
    roles = ((f"{path}::first", "measurement"), (f"{path}::third", "mask"))
    session = make_session()
    with qtbot.waitSignal(session.worker_idle, timeout=60_000):
        session.open([path])
    with qtbot.waitSignal(session.worker_idle):
        session.correct(replace(session.options, roles=roles, num_bands=4))
    session.set_num_stages(3)
    with qtbot.waitSignal(session.worker_idle):
        session.restore()
    words = shlex.split(session.command())
    assert f"{path}::third" in words
    monkeypatch.chdir(tmp_path)
    assert cli.main(words[1:]) == 0
    with h5py.File(tmp_path / words[words.index("-o") + 1]) as file:
        assert np.array_equal(np.moveaxis(file["cube"][()], -1, 0), session.stages.image(3))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_trained_set_decodes_in_the_window_as_on_the_command_line(
    qtbot, tmp_path, snapshot, monkeypatch, make_trained_set, precision
):
    from app.document.session import Session

    library = make_trained_set([450.0, 500.0, 560.0, 640.0])
    session = Session(library=[library])
    try:
        with qtbot.waitSignal(session.worker_idle, timeout=60_000):
            session.load_engine()
        with qtbot.waitSignal(session.worker_idle):
            session.open([snapshot])
        assert session.decoder_name == "tiny" and session.num_stages == 2
        session.set_precision(precision)
        with qtbot.waitSignal(session.worker_idle):
            session.restore()
        assert set(session.stages.row(2).parameters) == {"mu"}
        assert precision in session.command()
        words = shlex.split(session.command())
        monkeypatch.chdir(tmp_path)
        assert cli.main(words[1:], library=[library]) == 0
        with h5py.File(tmp_path / words[words.index("-o") + 1]) as file:
            assert np.array_equal(np.moveaxis(file["cube"][()], -1, 0), session.stages.image(2))
    finally:
        assert session.close(timeout_s=20)
