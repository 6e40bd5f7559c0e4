"""What signals say to a command: one road for all of them, and nothing left half-written on it."""

from __future__ import annotations

import signal
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from lorun_engine.cli import commands, main
from lorun_engine.cli.interrupts import Interrupted, interruptible
from lorun_engine.io import write_cube
from tests.engine.full_disk import files_end_at
from tests.engine.library.test_model import new_model, save

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without a word")

RESOURCES = Path(__file__).resolve().parents[3] / "resources"
BANDS = np.linspace(450.0, 650.0, 6)
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def run(*argv: object, library: Path | None = None) -> int:
    return main([str(word) for word in argv], resources=RESOURCES, library=[library] if library else [])


@pytest.fixture
def snapshot(tmp_path) -> Path:
    scene = np.random.default_rng(0).random((6, 24, 32), dtype=np.float32)
    write_cube(tmp_path / "scene.h5", scene, wavelengths_nm=BANDS, attributes={})
    assert run("simulate", tmp_path / "scene.h5", "-o", tmp_path / "snapshot.h5") == 0
    return tmp_path / "snapshot.h5"


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_ends_a_decode_with_its_own_code_and_removes_what_is_half_written(
    snapshot, tmp_path, monkeypatch, capsys, number
):
    before = {path.name for path in tmp_path.iterdir()}
    write = commands.cube_file

    def told(*args, **words):
        assert any(path.name[0] == "." for path in tmp_path.iterdir())
        signal.raise_signal(number)

    def cube_file(*args, **words):
        file = write(*args, **words)
        entered = file.__enter__()
        monkeypatch.setattr(entered, "add_stage", told)
        file.__enter__ = lambda: entered
        return Entered(file, entered)

    monkeypatch.setattr(commands, "cube_file", cube_file)
    out = tmp_path / "cube.h5"
    assert run("restore", snapshot, "-o", out, "--save-stages", "--adapter", "gap-tv") == SIGNALS[number]
    assert {path.name for path in tmp_path.iterdir()} == before
    assert capsys.readouterr().err.endswith("lorun: cancelled\n")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


class Entered:
    """A context that was entered already."""

    def __init__(self, context, entered) -> None:
        self._context, self._entered = context, entered

    def __enter__(self):
        return self._entered

    def __exit__(self, *exception):
        return self._context.__exit__(*exception)


def test_an_interrupt_that_python_drops_comes_again():
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted) as told, interruptible():
        del thing  # the callback's exception goes nowhere
        for _ in range(600):
            time.sleep(0.1)
    assert told.value.number == signal.SIGTERM and reference() is None


def test_what_a_process_ignores_from_its_start_on_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_echo_does_not_disturb_the_way_out():
    way = []
    with pytest.raises(Interrupted), interruptible():
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            signal.raise_signal(signal.SIGHUP)  # a terminal that is closed says it twice
            way.append("cleaned up")
    assert way == ["cleaned up"]


@pytest.mark.parametrize("limit", [0, 1000, 5000])
def test_commands_on_a_full_disk_say_one_sentence(snapshot, tmp_path, capsys, limit):
    library = tmp_path / "library"
    save(new_model(seed=1), library, "one")
    words = {
        "simulate": (tmp_path / "scene.h5", "-o", tmp_path / "out.h5"),
        "restore": (snapshot, "-o", tmp_path / "out.h5", "--adapter", "gap-tv", "--stages", 1),
        "adapters": ("scale", "one", "--factor", 0.5, "-o", tmp_path / "half.safetensors"),
    }
    before = set(tmp_path.rglob("*"))
    for command, rest in words.items():
        capsys.readouterr()
        with files_end_at(limit):
            assert run(command, *rest, library=library) == 1
        told = capsys.readouterr().err.splitlines()
        assert told[-1].startswith("lorun: ") and "could not be written: File too large" in told[-1]
        assert "Traceback" not in "".join(told) and set(tmp_path.rglob("*")) == before


def test_output_that_has_no_room_is_a_sentence(tmp_path, monkeypatch, capsys):
    if not Path("/dev/full").exists():
        pytest.skip("only Linux has a device that is always full")
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run("adapters", "list", "--json", library=tmp_path) == 1
        monkeypatch.undo()
    assert capsys.readouterr().err == (
        "lorun: The output could not be used: No space left on device. Free space, or check the path and its rights.\n"
    )
