"""Files appear whole or not at all: their permissions, what they never take the place of, and full disks."""

from __future__ import annotations

import gc
import io
import os
import stat
import sys

import h5py
import numpy as np
import pytest

from lorun_engine.errors import FileError
from lorun_engine.io import (
    cube_file,
    discard_leftovers,
    discard_unfinished,
    made_folder,
    replacing,
    write_cube,
    write_measurement,
    writers,
)
from lorun_engine.measurement import Scene
from lorun_engine.tasks.cassi import CassiCamera, random_mask
from tests.engine.full_disk import files_end_at

BANDS = np.linspace(450, 650, 6)
CUBE = np.random.default_rng(0).random((6, 32, 40), dtype=np.float32)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")


def write_stages(path) -> None:
    with cube_file(path, wavelengths_nm=BANDS) as file:
        for index in range(4):
            file.add_stage(index, CUBE)
        file.finish(CUBE, attributes={"adapter": "none"})


def write_snapshot(path) -> None:
    camera = CassiCamera(mask=random_mask(32, 40, seed=1))
    write_measurement(path, camera.measured(Scene(CUBE, BANDS), seed=0), attributes={"noise": "none"})


def write_in(suffix: str):
    return lambda path: write_cube(path.with_suffix(suffix), CUBE, wavelengths_nm=BANDS, attributes={"adapter": "none"})


WRITERS = {
    "stages": write_stages,
    "snapshot": write_snapshot,
    **{suffix: write_in(suffix) for suffix in (".h5", ".mat", ".tif", ".npy", ".hdr")},
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_a_sentence_wherever_it_ends_and_leaves_nothing(tmp_path, name, capsys):
    path, write = tmp_path / "cube.h5", WRITERS[name]
    write(path)
    largest = max(file.stat().st_size for file in tmp_path.iterdir())
    for file in tmp_path.iterdir():
        file.unlink()
    said = r"could not be written: File too large\."
    for limit in (*range(0, 4000, 700), *range(4000, largest, largest // 12), largest - 1):
        with files_end_at(limit), pytest.raises(FileError, match=said):
            write(path)
        assert not any(file.suffix in (".h5", ".img") or file.name[0] == "." for file in tmp_path.iterdir())
    gc.collect()  # what HDF5 still held would be written now
    assert capsys.readouterr().err == ""
    write(path)


def test_a_full_disk_is_told_at_the_stage_that_did_not_fit_and_not_at_the_end(tmp_path):
    stages = []
    with files_end_at(2 * CUBE.nbytes), pytest.raises(FileError, match="could not be written"):
        with cube_file(tmp_path / "cube.h5", wavelengths_nm=BANDS) as file:
            for index in range(9):
                file.add_stage(index, CUBE)
                stages.append(index)
    assert len(stages) < 3 and list(tmp_path.iterdir()) == []


def test_what_is_pressed_while_a_cube_is_written_is_not_lost(tmp_path, monkeypatch):
    class Pressed(io.FileIO):
        def write(self, data):
            raise KeyboardInterrupt

    monkeypatch.setattr(writers, "open", lambda path, mode, buffering: Pressed(path, mode), raising=False)
    with pytest.raises(KeyboardInterrupt):
        write_stages(tmp_path / "cube.h5")
    assert list(tmp_path.iterdir()) == []


def test_hdf5_files_are_those_that_the_library_writes_itself(tmp_path):
    write_stages(tmp_path / "cube.h5")
    with h5py.File(tmp_path / "cube.h5") as file:
        np.testing.assert_array_equal(file["cube"][:], np.moveaxis(CUBE, 0, -1))
        assert file["stages"].shape == (3, 32, 40, 6) and file["cube"].attrs["adapter"] == "none"


@POSIX
@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_permissions_that_the_umask_gives(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        for write in WRITERS.values():
            write(tmp_path / "cube.h5")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {mode}


@POSIX
def test_a_device_is_never_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(FileError, match="is a device or a pipe"):
        write_cube(tmp_path / "pipe.h5", CUBE, wavelengths_nm=BANDS, attributes={})
    assert stat.S_ISFIFO((tmp_path / "pipe.h5").stat().st_mode)


def test_an_error_names_the_file_that_it_is_about(tmp_path):
    with pytest.raises(FileError, match=r"missing\.txt cannot be used: No such file"):
        with replacing(tmp_path / "out.txt") as temporary:
            temporary.write_text((tmp_path / "missing.txt").read_text())
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"Nothing can be written to .*file: "):
        write_cube(tmp_path / "file" / "cube.h5", CUBE, wavelengths_nm=BANDS, attributes={})


def test_a_name_as_long_as_the_system_allows_is_written(tmp_path):
    path = tmp_path / f"{'long' * 62}.npy"
    write_cube(path, CUBE, wavelengths_nm=BANDS, attributes={})
    assert path.is_file()


def test_leftovers_are_temporary_names_of_the_files_that_are_meant(tmp_path):
    kept = [".hidden", ".a.json", "a-0123abcd.json", ".lock", ".a-2024.json", ".b-0123abcd.json", ".a-0123abcd.txt"]
    for name in (*kept, ".a-0123abcd.json", ".a-ffffffff.json"):
        (tmp_path / name).touch()
    discard_leftovers(tmp_path / "a.json")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(kept)


def test_a_process_that_ends_at_once_removes_what_it_is_still_writing(tmp_path):
    done = tmp_path / "done.json"
    with replacing(done) as temporary:
        temporary.write_text("{}")
    with pytest.raises(FileError, match="could not be written"), replacing(tmp_path / "cut.json") as temporary:
        temporary.write_text("{")
        discard_unfinished()
        assert list(tmp_path.iterdir()) == [done]
    discard_unfinished()
    assert list(tmp_path.iterdir()) == [done]


@pytest.mark.parametrize("name", ["\ud800", "a\0b"])
def test_a_name_that_no_file_can_have_is_a_sentence(tmp_path, name):
    with pytest.raises(FileError, match="no file can have such a name"):
        made_folder(tmp_path / name)
    with pytest.raises(FileError, match="no file can have such a name"), replacing(tmp_path / name / "x.json"):
        pass
