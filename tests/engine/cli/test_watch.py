"""A folder that is watched: each capture decoded once it is whole, until a signal ends it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from lorun_engine.cli import commands, main
from lorun_engine.io import write_cube
from lorun_engine.io.folders import Arrivals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without a word")

MASK = (np.random.default_rng(1).random((16, 20)) < 0.5).astype(np.float32)


def capture(seed: int, *, highest: int = 900) -> np.ndarray:
    """A snapshot of 6 bands at step 2 as integers."""
    y = np.random.default_rng(seed).random((16, 30))
    return (y / y.max() * highest).astype(np.uint16)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two captures and their mask."""
    folder = tmp_path / "captures"
    folder.mkdir()
    np.save(folder / "mask.npy", MASK)
    for name in ("a", "b"):
        np.save(folder / f"{name}.npy", capture(ord(name)))
    return folder


@pytest.fixture
def watch(folder, tmp_path, monkeypatch):
    """Watches the folder, with something to do after every look; then a signal ends it."""
    monkeypatch.setattr(commands, "Arrivals", partial(Arrivals, rest_s=0.05, patience_s=0.5))
    pause = time.sleep

    def run(*steps: Callable[[], object], number: int = signal.SIGTERM, flags: tuple[str, ...] = ()) -> int:
        todo = iter(steps)

        def between(seconds: float) -> None:
            pause(0.06)
            step = next(todo, None)
            signal.raise_signal(number) if step is None else step()

        monkeypatch.setattr(commands.time, "sleep", between)
        words = ["restore", folder, "-o", tmp_path / "out", "--watch", "--bands", 6, "--stages", 1]
        return main([str(word) for word in (*words, "--adapter", "gap-tv", *flags)])

    return run


def nothing() -> None:
    """A look at the folder in which nothing has happened."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_lies_in_the_folder_and_what_comes_is_decoded_until_a_signal_ends_it(watch, folder, tmp_path, capsys):
    code = watch(nothing, lambda: np.save(folder / "c.npy", capture(3)), nothing, nothing, flags=("--json",))
    assert code == 143 and names(tmp_path / "out") == ["a.h5", "b.h5", "c.h5"]
    streams = capsys.readouterr()
    assert [Path(report["input"]).name for report in json.loads(streams.out)] == ["a.npy", "b.npy", "c.npy"]
    assert all(f"{name}.h5: 16 x 20 x 6" in streams.err for name in "abc")


def test_a_half_written_file_is_waited_for(watch, folder, tmp_path, capsys):
    np.save(tmp_path / "whole.npy", capture(3))
    content = (tmp_path / "whole.npy").read_bytes()
    part = folder / "c.npy"
    steps = [lambda: part.write_bytes(content[:300]), nothing, nothing, lambda: part.write_bytes(content), nothing]
    assert watch(nothing, *steps, nothing) == 143
    assert names(tmp_path / "out") == ["a.h5", "b.h5", "c.h5"] and "cannot be read" not in capsys.readouterr().err


def test_one_broken_file_is_said_once_and_stops_nothing(watch, folder, tmp_path, capsys):
    (folder / "broken.npy").write_bytes(b"\x93NUMPY and no more")
    assert watch(*[nothing] * 15, number=signal.SIGINT) == 130
    assert names(tmp_path / "out") == ["a.h5", "b.h5"]
    assert capsys.readouterr().err.count("lorun: broken.npy: ") == 1


def test_what_was_decoded_before_is_passed_over_unless_its_capture_is_newer(watch, folder, tmp_path, capsys):
    assert watch(nothing, nothing) == 143
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in ("a.h5", "b.h5")}
    np.save(folder / "b.npy", capture(5))
    later = (tmp_path / "out" / "b.h5").stat().st_mtime + 2
    os.utime(folder / "b.npy", (later, later))
    capsys.readouterr()
    assert watch(nothing, nothing) == 143
    assert "a.npy was decoded before" in capsys.readouterr().err
    after = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in ("a.h5", "b.h5")}
    assert after["a.h5"] == before["a.h5"] and after["b.h5"] > before["b.h5"]


def test_a_result_takes_the_place_of_no_other_file(watch, folder, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    other = tmp_path / "out" / "a.h5"
    write_cube(other, np.ones((2, 4, 4), np.float32), wavelengths_nm=None, attributes={})
    content = other.read_bytes()
    assert watch(nothing, nothing) == 143
    assert other.read_bytes() == content and names(tmp_path / "out") == ["a.h5", "b.h5"]
    assert "not overwritten" in capsys.readouterr().err


def test_results_beside_their_captures_are_not_decoded_again(watch, folder, tmp_path, capsys):
    (tmp_path / "out").symlink_to(folder)
    assert watch(*[nothing] * 4) == 143
    assert names(folder) == ["a.h5", "a.npy", "b.h5", "b.npy", "mask.npy"]
    assert "result of LoRun" not in capsys.readouterr().err


def test_captures_share_a_full_scale_and_a_brighter_one_says_that_it_grew(watch, folder, tmp_path, capsys):
    np.save(folder / "b.npy", capture(2, highest=3000))
    assert watch(nothing, lambda: np.save(folder / "c.npy", capture(3, highest=60000)), nothing, nothing) == 143
    said = capsys.readouterr().err
    assert "divided by 4095, the full scale of the files of this folder" in said
    assert "The full scale of uint16 in this folder is 65535 from now on, it was 4095" in said


def test_a_decoder_is_loaded_once(watch, monkeypatch):
    from lorun_engine.library import model

    loaded, load = [], model.open_decoder
    monkeypatch.setattr(model, "open_decoder", lambda name, **words: loaded.append(name) or load(name, **words))
    assert watch(nothing, nothing) == 143
    assert loaded == ["gap-tv"]


def test_a_single_file_is_not_watched(watch, tmp_path, folder, capsys):
    assert main(["restore", str(folder / "a.npy"), "-o", str(tmp_path / "out"), "--watch"]) == 1
    assert "--watch is for a folder" in capsys.readouterr().err


def test_without_watch_every_capture_is_decoded_again(folder, tmp_path):
    words = ["restore", folder, "-o", tmp_path / "out", "--bands", 6, "--adapter", "gap-tv", "--stages"]
    cubes = []
    for num_stages in (1, 3):
        assert main([str(word) for word in (*words, num_stages)]) == 0
        with h5py.File(tmp_path / "out" / "a.h5") as file:
            cubes.append(file["cube"][:])
    assert not np.array_equal(*cubes)
