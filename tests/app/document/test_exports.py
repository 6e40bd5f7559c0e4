"""The command that does a decode again gives the same cube, bit for bit."""

from __future__ import annotations

import runpy
import shlex
import subprocess
from dataclasses import replace

import h5py
import numpy as np
import pytest

from app.document.exports import restore_command
from lorun_engine import cli
from lorun_engine.errors import LorunError
from lorun_engine.io.commands import command_line
from lorun_engine.library.cards import read_card


def _decoded(qtbot, parts, paths, **corrections):
    """A session in which `paths` were opened, corrected and decoded with three stages of GAP-TV."""
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open(paths)
    if corrections:
        with qtbot.waitSignal(parts.lanes.idle):
            parts.session.correct(replace(parts.session.options, **corrections))
    assert parts.session.problem is None
    parts.setup.switch_decoder("gap-tv")
    parts.setup.set_num_stages(3)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    return parts


@pytest.mark.parametrize(
    "corrections",
    [
        {"num_bands": 4, "step": 2.0},
        {"num_bands": 4, "direction": "-", "flip": "lr", "input_scale": 0.25},
        {"num_bands": 4, "rotate": 2, "crop": (2, 0, 12, 14)},
        {"num_bands": 4, "integer_scale": 255.0, "cube_axes": "CHW"},
    ],
)
def test_the_copied_command_gives_the_windows_cube(qtbot, make_parts, foreign, tmp_path, monkeypatch, corrections):
    parts = _decoded(qtbot, make_parts(), foreign, **corrections)
    words = shlex.split(parts.exports.command())
    monkeypatch.chdir(tmp_path)
    assert words[:2] == ["lorun", "restore"] and cli.main(words[1:]) == 0
    with h5py.File(tmp_path / words[words.index("-o") + 1]) as file:
        cube = np.moveaxis(file["cube"][()], -1, 0)
    assert np.array_equal(cube, parts.session.stages.image(3))
    (tmp_path / "again.py").write_text(parts.exports.script())
    assert np.array_equal(runpy.run_path(str(tmp_path / "again.py"))["cube"], parts.session.stages.image(3))


def test_the_command_of_our_own_file_needs_no_mask_file(qtbot, make_parts, snapshot, tmp_path, monkeypatch):
    parts = _decoded(qtbot, make_parts(), [snapshot])
    words = shlex.split(parts.exports.command())
    assert "--mask" not in words and "--reference" not in words
    monkeypatch.chdir(tmp_path)
    assert cli.main(words[1:]) == 0


def test_roles_within_a_file_cannot_be_a_command_and_that_is_said(qtbot, make_parts, snapshot):
    parts = make_parts()
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([snapshot])
    row = parts.session.role_table.row("reference")
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.correct(replace(parts.session.options, roles=((row.selector, "unused"),)))
    assert parts.session.measurement.reference is None
    with pytest.raises(LorunError, match="files of their own"):
        parts.exports.command()


def test_roles_given_to_arrays_of_one_file_are_a_command(qtbot, make_parts, foreign, tmp_path, monkeypatch):
    capture, mask = (np.load(path) for path in foreign)
    np.savez(tmp_path / "all.npz", first=capture, second=mask, third=mask * 0.5)
    path = tmp_path / "all.npz"
    roles = ((f"{path}::first", "measurement"), (f"{path}::third", "mask"))
    parts = make_parts()
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([path])
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.correct(replace(parts.session.options, roles=roles, num_bands=4))
    parts.setup.set_num_stages(3)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    words = shlex.split(parts.exports.command())
    assert f"{path}::third" in words
    monkeypatch.chdir(tmp_path)
    assert cli.main(words[1:]) == 0
    with h5py.File(tmp_path / words[words.index("-o") + 1]) as file:
        assert np.array_equal(np.moveaxis(file["cube"][()], -1, 0), parts.session.stages.image(3))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_trained_set_decodes_in_the_window_as_on_the_command_line(
    qtbot, tmp_path, snapshot, monkeypatch, make_trained_set, precision
):
    from app.assembly import Parts

    library = make_trained_set([450.0, 500.0, 560.0, 640.0])
    parts = Parts(library=[library])
    try:
        with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
            parts.setup.load_engine()
        with qtbot.waitSignal(parts.lanes.idle):
            parts.session.open([snapshot])
        assert parts.setup.decoder_name == "tiny" and parts.setup.num_stages == 2
        parts.setup.set_precision(precision)
        parts.setup.set_percent(60)
        parts.setup.set_ablated(1, True)
        with qtbot.waitSignal(parts.lanes.idle):
            parts.session.restore()
        assert set(parts.session.stages.row(2).parameters) == {"mu"}
        assert precision in parts.exports.command()
        words = shlex.split(parts.exports.command())
        monkeypatch.chdir(tmp_path)
        assert cli.main(words[1:], library=[library]) == 0
        with h5py.File(tmp_path / words[words.index("-o") + 1]) as file:
            assert np.array_equal(np.moveaxis(file["cube"][()], -1, 0), parts.session.stages.image(2))
        (tmp_path / "again.py").write_text(parts.exports.script())
        assert np.array_equal(runpy.run_path(str(tmp_path / "again.py"))["cube"], parts.session.stages.image(2))
        made_by, card = parts.session.stages.made_by, read_card(library / "tiny.safetensors")
        assert dict(made_by.hashes) == {"adapter set": card.hash, "its backbone": card.fields["backbone_hash"]}
    finally:
        assert parts.close(timeout_s=20)


WORDS = ("lorun", "restore", r"C:\lab files\scene 3.mat", "--key", 'a "b" c', "-o", "it's.h5", r"D:\ends in\\")


def test_a_line_is_taken_apart_into_the_same_words_by_the_shell_of_its_system():
    assert shlex.split(command_line(WORDS, platform="linux")) == list(WORDS)
    assert shlex.split(command_line(WORDS, platform="darwin")) == list(WORDS)
    line = command_line(WORDS, platform="win32")
    assert line == subprocess.list2cmdline(WORDS).replace("it's.h5", '"it\'s.h5"')
    assert r'"C:\lab files\scene 3.mat"' in line
    assert command_line(["a&b.h5", "x(1).mat", "c\\(d)\\", "plain", ""], platform="win32") == (
        '"a&b.h5" "x(1).mat" "c\\(d)\\\\" plain ""'
    )


def test_the_command_of_a_decode_is_for_the_shell_of_a_system(qtbot, decoded):
    session = decoded.session
    recipe = replace(session.recipe, decoder="a set")
    assert "--adapter 'a set'" in restore_command(recipe, session.role_table, platform="linux")
    assert '--adapter "a set"' in restore_command(recipe, session.role_table, platform="win32")
