"""Session files: what was written comes back bit for bit; damaged, foreign and hostile ones give one sentence."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lorun_engine.errors import FileError, LorunError
from lorun_engine.io.folders import surveyed
from lorun_engine.io.session_files import (
    DOCUMENT,
    FORMAT,
    VERSION,
    SavedSession,
    keep_session,
    migrated,
    write_session,
)

ARRAYS = {
    "results/1/stage_0.npy": np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7,
    "results/1/measurement.npy": np.array([[1, 2], [3, 65535]], np.uint16),
    "results/1/stage_1.npy": np.array([[[np.nan, -0.0], [np.inf, 1e-40]]], np.float32),
}


@pytest.fixture
def session(tmp_path) -> Path:
    write_session(tmp_path / "a.lorun", {"name": "ünï", "score": 0.1 + 0.2}, ARRAYS)
    return tmp_path / "a.lorun"


def whole(path: Path) -> dict[str, bytes]:
    with SavedSession(path) as saved:
        return {name: saved.array(name).tobytes() for name in ARRAYS}


def npy(array: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def zipped(path: Path, entries: dict[str, bytes], *, packed: int = zipfile.ZIP_STORED) -> Path:
    head = {DOCUMENT: json.dumps({"format": FORMAT, "version": VERSION}).encode()}
    with zipfile.ZipFile(path, "w", packed) as archive:
        for name, content in (head | entries).items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_everything_comes_back_bit_for_bit(tmp_path, session, kind):
    path = session
    if kind == "folder":
        path = tmp_path / "kept"
        keep_session(path, {"name": "ünï", "score": 0.1 + 0.2}, ARRAYS)
    with SavedSession(path) as saved:
        assert saved.document["name"] == "ünï" and saved.document["score"] == 0.1 + 0.2
        for name, array in ARRAYS.items():
            again = saved.array(name)
            assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_a_folder_writes_every_array_once_and_drops_what_is_no_longer_known(tmp_path):
    folder = tmp_path / "kept"
    keep_session(folder, {}, ARRAYS)
    first = folder / "results/1/stage_0.npy"
    os.utime(first, ns=(1, 1))
    fewer = {name: array for name, array in ARRAYS.items() if "stage_1" not in name}
    keep_session(folder, {"name": "later"}, fewer)
    assert first.stat().st_mtime_ns == 1
    assert not (folder / "results/1/stage_1.npy").exists()
    with SavedSession(folder) as saved:
        assert saved.document["name"] == "later"
        with pytest.raises(FileError, match="holds no results/1/stage_1"):
            saved.array("results/1/stage_1.npy")


def test_a_file_of_version_1_opens_in_every_later_version(tmp_path):
    path = tmp_path / "old.lorun"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("session.json", '{"format": "lorun session", "version": 1, "paths": ["a.h5"]}')
        archive.writestr("results/1/stage_0.npy", npy(np.ones((1, 2, 2), np.float32)))
    with SavedSession(path) as saved:
        assert saved.document["paths"] == ["a.h5"] and saved.document["version"] == VERSION
        assert saved.array("results/1/stage_0.npy").sum() == 4


def test_documents_are_taken_from_version_to_version():
    steps = {1: lambda document: {**document, "files": [document["file"]]}, 2: lambda document: document | {"new": 0}}
    document = migrated({"format": FORMAT, "version": 1, "file": "a"}, name="a", version=3, steps=steps)
    assert document == {"format": FORMAT, "version": 3, "file": "a", "files": ["a"], "new": 0}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"format": FORMAT, "version": VERSION + 1}, "newer LoRun"),
        ({"format": FORMAT, "version": 0}, "does not say"),
        ({"format": FORMAT, "version": True}, "does not say"),
        ({"format": "other", "version": 1}, "does not say"),
        ([], "does not say"),
    ],
)
def test_other_documents_are_refused(tmp_path, document, words):
    with pytest.raises(FileError, match=words):
        SavedSession(zipped(tmp_path / "a.lorun", {DOCUMENT: json.dumps(document).encode()}))


@pytest.mark.parametrize(
    "name", ["../escape.npy", "/etc/escape.npy", "results/../../x.npy", "a\\..\\b.npy", "C:/x.npy", "notes.txt", "a/"]
)
def test_no_name_leaves_the_file(tmp_path, name):
    with pytest.raises(FileError, match="no whole session file"):
        SavedSession(zipped(tmp_path / "a.lorun", {name: npy(np.ones(1))}))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.lorun"]


@pytest.mark.parametrize("name", ["../secret.npy", "/etc/passwd", "results/../a.npy", ""])
def test_a_document_names_nothing_outside(tmp_path, session, name):
    keep_session(tmp_path / "kept", {}, ARRAYS)
    np.save(tmp_path / "secret.npy", np.ones(1))
    for path in (session, tmp_path / "kept"):
        with SavedSession(path) as saved, pytest.raises(FileError, match="speaks of"):
            saved.array(name)


def test_packed_files_are_refused_before_anything_unfolds(tmp_path):
    bomb = zipped(tmp_path / "a.lorun", {"x.npy": npy(np.zeros(10_000_000))}, packed=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 200_000
    with pytest.raises(FileError, match="packed, encrypted or there twice"):
        SavedSession(bomb)


def test_headers_that_claim_more_than_there_is_are_refused(tmp_path):
    huge = npy(np.zeros(4)).replace(b"(4,)", b"(9999999999999,)")
    liar = zipped(tmp_path / "a.lorun", {"x.npy": huge})
    with SavedSession(liar) as saved, pytest.raises(FileError, match="no array of numbers of its size"):
        saved.array("x.npy")


def test_nothing_is_unpickled(tmp_path):
    objects = npy(np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for content in (objects, pickle.dumps([1])):
        path = zipped(tmp_path / "a.lorun", {"x.npy": content})
        with SavedSession(path) as saved, pytest.raises(FileError):
            saved.array("x.npy")


def test_the_limit_of_all_files_holds_for_sessions(tmp_path, session, monkeypatch):
    monkeypatch.setenv("LORUN_MOST_GIB", "1e-8")
    with SavedSession(session) as saved, pytest.raises(FileError, match="LORUN_MOST_GIB"):
        saved.array("results/1/stage_0.npy")
    before = session.read_bytes()
    with pytest.raises(FileError, match="results from the shelf"):
        write_session(session, {}, ARRAYS)
    assert session.read_bytes() == before


def test_a_name_that_is_none_of_ours_is_not_written(tmp_path):
    with pytest.raises(FileError, match="ends in"):
        write_session(tmp_path / "a.h5", {}, {})
    with pytest.raises(FileError, match="no longer there"):
        SavedSession(tmp_path / "gone.lorun")


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_gives_a_sentence_or_the_numbers_that_were_written(session, seed):
    rng, content = np.random.default_rng(seed), bytearray(session.read_bytes())
    if seed % 2:
        content = content[: rng.integers(0, len(content))]
    else:
        for place in rng.integers(0, len(content), 1 + seed // 10):
            content[place] ^= int(rng.integers(1, 256))
    before = {name: array.tobytes() for name, array in ARRAYS.items()}
    session.write_bytes(content)
    try:
        assert whole(session) == before
    except LorunError as error:
        assert str(error).endswith(".") and "Traceback" not in str(error)


def test_a_session_that_lies_in_a_folder_of_captures_is_no_input(tmp_path):
    write_session(tmp_path / "work.lorun", {"name": "one"}, {"results/1/stage_0.npy": np.ones((4, 16, 16), np.float32)})
    survey = surveyed([tmp_path / "work.lorun"], lambda path: pytest.fail("it was read"))
    assert survey.paths == () and "work.lorun is a session" in survey.left_out[0][1]
