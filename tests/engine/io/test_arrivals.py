"""What comes into a folder: told once, when it is whole; what lies in the way of results."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lorun_engine.errors import FileError
from lorun_engine.io import write_cube
from lorun_engine.io.folders import Arrivals, files_of, is_done, require_room, result_stems, survey_of
from lorun_engine.io.roles import role_rows

IMAGE = np.random.default_rng(0).random((24, 32))


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arrivals(tmp_path, clock) -> Arrivals:
    return Arrivals(tmp_path, rest_s=1.0, patience_s=10.0, clock=clock)


def polled(arrivals: Arrivals, clock: Clock, *, after: float) -> dict[str, str]:
    """The names of what is told after some seconds, each with the error that was said of it."""
    clock.now += after
    return {path.name: seen.error for path, seen in arrivals.poll(lambda path: role_rows([path]))}


def test_a_file_is_told_once_and_again_when_it_has_changed(tmp_path, arrivals, clock):
    np.save(tmp_path / "a.npy", IMAGE)
    assert polled(arrivals, clock, after=0) == {}
    assert polled(arrivals, clock, after=1) == {"a.npy": ""}
    assert polled(arrivals, clock, after=5) == {}
    np.save(tmp_path / "a.npy", IMAGE[:12])
    assert polled(arrivals, clock, after=1) == {}
    assert polled(arrivals, clock, after=1) == {"a.npy": ""}


def test_a_file_that_grows_is_waited_for(tmp_path, arrivals, clock):
    np.save(tmp_path / "whole.npy", IMAGE)
    content = (tmp_path / "whole.npy").read_bytes()
    for end in range(1000, len(content), 1500):
        (tmp_path / "part.npy").write_bytes(content[:end])
        assert "part.npy" not in polled(arrivals, clock, after=5)
    (tmp_path / "part.npy").write_bytes(content)
    assert polled(arrivals, clock, after=5) == {}
    assert polled(arrivals, clock, after=1) == {"part.npy": ""}


def test_the_error_of_a_file_is_said_when_it_stays_unreadable_and_forgotten_when_it_is_completed(
    tmp_path, arrivals, clock
):
    np.save(tmp_path / "a.npy", IMAGE)
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:1000])
    assert polled(arrivals, clock, after=0) == {}
    assert polled(arrivals, clock, after=5) == {}
    assert "a.npy" in polled(arrivals, clock, after=5)["a.npy"]
    assert polled(arrivals, clock, after=50) == {}
    (tmp_path / "a.npy").write_bytes(content)
    assert polled(arrivals, clock, after=1) == {}
    assert polled(arrivals, clock, after=1) == {"a.npy": ""}


def test_an_envi_header_waits_for_its_data(tmp_path, arrivals, clock):
    write_cube(tmp_path / "a.hdr", np.float32(IMAGE)[None], wavelengths_nm=None, attributes={})
    data = (tmp_path / "a.img").read_bytes()
    (tmp_path / "a.img").write_bytes(data[:100])
    polled(arrivals, clock, after=0)
    assert polled(arrivals, clock, after=9) == {}
    (tmp_path / "a.img").write_bytes(data)
    assert polled(arrivals, clock, after=2) == {}
    assert polled(arrivals, clock, after=1) == {"a.hdr": ""}


def test_what_is_taken_for_told_and_what_is_hidden_is_not_told(tmp_path, arrivals, clock):
    for name in ("known.npy", ".hidden.npy"):
        np.save(tmp_path / name, IMAGE)
    arrivals.take(tmp_path / "known.npy")
    polled(arrivals, clock, after=0)
    assert polled(arrivals, clock, after=20) == {}


def test_masks_and_results_that_come_are_no_input(tmp_path, arrivals, clock):
    np.savez(tmp_path / "mask.npz", mask=IMAGE > 0.5)
    write_cube(tmp_path / "out.h5", np.float32(IMAGE)[None], wavelengths_nm=None, attributes={"adapter": "gap-tv"})
    np.savez(tmp_path / "a.npz", meas=IMAGE)
    list(arrivals.poll(lambda path: role_rows([path])))
    clock.now += 1
    survey = survey_of(dict(arrivals.poll(lambda path: role_rows([path]))))
    assert [path.name for path in survey.paths] == ["a.npz"]
    assert [reason for _, reason in survey.left_out] == [
        "mask.npz is taken for the mask of a measurement, not for input.",
        "out.h5 is a result of LoRun; it is not taken for input.",
    ]


def test_a_result_is_done_while_it_is_not_older_than_its_capture(tmp_path):
    capture, result = tmp_path / "a.npy", tmp_path / "a.h5"
    np.save(capture, IMAGE)
    assert not is_done(capture, result)
    write_cube(result, np.float32(IMAGE)[None], wavelengths_nm=None, attributes={"adapter": "gap-tv"})
    assert is_done(capture, result)
    os.utime(capture, (result.stat().st_mtime + 5,) * 2)
    assert not is_done(capture, result)


@pytest.mark.parametrize("suffix", [".h5", ".mat", ".tif", ".hdr"])
def test_results_make_room_for_results_and_nothing_else_does(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    require_room(path)
    write_cube(path, np.float32(IMAGE)[None], wavelengths_nm=None, attributes={"adapter": "gap-tv"})
    require_room(path)
    write_cube(path, np.float32(IMAGE)[None], wavelengths_nm=None, attributes={})
    with pytest.raises(FileError, match="not overwritten"):
        require_room(path)


def test_the_data_beside_an_envi_result_is_not_overwritten_either(tmp_path):
    (tmp_path / "a.img").write_bytes(b"somebody's")
    with pytest.raises(FileError, match=r"a\.img is there already"):
        require_room(tmp_path / "a.hdr")


def test_results_of_files_with_one_stem_keep_the_whole_name():
    paths = [Path("a.mat"), Path("a.npy"), Path("b.npy")]
    assert list(result_stems(paths).values()) == ["a.mat", "a.npy", "b"]


def test_a_folder_that_cannot_be_read_is_a_sentence(tmp_path):
    with pytest.raises(FileError, match="cannot be read"):
        files_of(tmp_path / "nothing")
