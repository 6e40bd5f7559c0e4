"""The folder of a training: one process at a time, what a kill leaves in it, full disks, and files that have moved."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lorun_engine.cli import main
from lorun_engine.errors import FileError, LorunError, NumericalError
from lorun_engine.io import write_cube
from lorun_engine.training import learning
from lorun_engine.training.run_folder import held, read_events, run_lock
from lorun_engine.training.state import Moved
from lorun_engine.training.steering import steered
from lorun_engine.training.train import resume, train
from lorun_engine.training_data.dataset import find_material
from tests.engine.full_disk import files_end_at
from tests.engine.training.test_adapting import TINY, camera, new_set, scenes
from tests.engine.training.test_train import BANDS, losses, material, smooth_cube, tiny  # noqa: F401 (a fixture)

SHORT = {"warm_start_steps": 0, "backbone_steps": 2, "adapter_steps": 0, "checkpoint_steps": 1}


def begun(events, *, steps: int = 1):
    """A training that has made its first steps and goes on."""
    while steps:
        steps -= next(events).event == "step"
    return events


def test_a_folder_is_trained_in_by_one_at_a_time(material, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    first = begun(train(tiny(**SHORT), material, run))
    for other in (lambda: train(tiny(**SHORT), material, run), lambda: resume(run)):
        with pytest.raises(FileError, match=r"run is running in another process. Wait until it ends"):
            other()
    first.close()
    assert losses(resume(run))


def test_a_training_that_never_begins_lets_its_folder_go(material, tmp_path):  # noqa: F811
    train(tiny(**SHORT), material, tmp_path / "run")
    assert losses(train(tiny(**SHORT), material, tmp_path / "run"))


def test_a_pause_keeps_the_folder(material, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    lock, words = run_lock(run), iter(["pause", None, "continue"])

    def commands():
        word = next(words, None)
        if word is None:
            with pytest.raises(FileError, match="in another process"):
                resume(run)
        return word

    events = steered(train(tiny(**SHORT), material, run, lock=lock), commands, lambda: resume(run, lock=lock))
    with held(lock):
        assert [event.event for event in events][-1] == "finished"
    assert list(resume(run))[-1].event == "finished"


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of POSIX")
def test_a_lock_does_not_survive_the_process_that_held_it(material, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    list(train(tiny(**SHORT), material, run))
    code = (
        "import os, pathlib, sys; from lorun_engine.training.run_folder import run_lock;"
        "run_lock(pathlib.Path(sys.argv[1])).acquire(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, run], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -9
    assert list(resume(run))[-1].event == "finished"


def test_what_a_kill_left_half_written_is_gone_after_resuming(material, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    list(train(tiny(**SHORT), material, run))
    for name in (".checkpoint-0123abcd.safetensors", ".checkpoint-1-0123abcd.safetensors", ".events.note"):
        (run / name).write_bytes(b"half")
    list(resume(run))
    assert {path.name for path in run.iterdir() if path.name[0] == "."} == {".events.note"}


def test_weights_have_the_permissions_that_the_umask_gives(material, tmp_path):  # noqa: F811
    if sys.platform == "win32":
        pytest.skip("Windows has no umask")
    before = os.umask(0o027)
    try:
        list(train(tiny(**SHORT), material, tmp_path / "run"))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run").iterdir()}
    assert set(modes.values()) == {0o640} and {"checkpoint.safetensors", "share.safetensors"} <= set(modes)


# ---- what is promised --------------------------------------------------------------------------------------------


def test_a_training_without_a_checkpoint_promises_none(material, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(learning, "gradients", lambda *_: float("nan"))
    with pytest.raises(NumericalError, match="It had written no checkpoint yet; start it again"):
        list(train(tiny(**SHORT), material, tmp_path / "run"))
    monkeypatch.undo()
    with files_end_at(3000), pytest.raises(FileError, match=r"File too large.* no checkpoint yet; start it again"):
        list(train(tiny(**SHORT), material, tmp_path / "run"))
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()
    assert losses(train(tiny(**SHORT), material, tmp_path / "run"))


def test_a_training_with_a_checkpoint_promises_it(material, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    events = begun(train(tiny(**{**SHORT, "backbone_steps": 6}), material, run))
    told = []
    with files_end_at(3000), pytest.raises(FileError, match=r"The checkpoint in .*run is the last good one"):
        told.extend(events)
    assert losses(resume(run))


@pytest.mark.parametrize("limit", [0, 2000, 30_000])
def test_trainings_on_a_full_disk_end_in_one_sentence(tmp_path, capsys, limit):
    new_set("cassi", tmp_path / "library")
    scenes("cassi", tmp_path / "data", count=2)
    np.save(tmp_path / "mask.npy", camera("cassi").mask)
    words = ["--adapt", tmp_path / "library" / "cassi.safetensors", "--data", tmp_path / "data"]
    words += ["--mask", tmp_path / "mask.npy", "--steps", 2, *TINY, "--out", tmp_path / "run", "--threads", 1]
    resources = Path(__file__).parents[3] / "resources"
    with files_end_at(limit):
        code = main(["train", *map(str, words)], library=[tmp_path / "library"], resources=resources)
    told = capsys.readouterr().err.splitlines()
    assert code == 1 and told[-1].startswith("lorun: ") and "File too large" in told[-1]
    assert "Traceback" not in "\n".join(told) and "Exception ignored" not in "\n".join(told)


# ---- what cannot change, and what has moved ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["--recipe", "cassi-small"],
        ["--seed", "3"],
        ["--stages", "2"],
        ["--task", "cs"],
        ["--out", "other"],
        ["--phase", "adapters"],
        ["--gamma", "5"],
        ["--set", "batch=2"],
        ["--bands", "28"],
        ["--name", "mine"],
    ],
)
def test_what_cannot_change_is_refused_when_a_training_is_resumed(tmp_path, words, capsys):
    assert main(["train", "--resume", str(tmp_path), *words]) == 1
    assert capsys.readouterr().err.startswith(f"lorun: {words[0]} means nothing when a training is resumed")


def test_files_that_have_moved_are_found_where_one_says(material, tmp_path):  # noqa: F811
    run, new = tmp_path / "run", tmp_path / "elsewhere"
    begun(train(tiny(**SHORT), material, run)).close()
    (tmp_path / "cubes").rename(new)
    with pytest.raises(FileError, match=r"first\.h5 is no longer there.*lorun train --resume .*run --data FOLDER"):
        resume(run)
    assert len(losses(resume(run, moved=Moved((new,))))) == 1
    assert main(["train", "--resume", str(run), "--data", str(new)]) == 0
    write_cube(new / "first.h5", smooth_cube(7), wavelengths_nm=BANDS, attributes={})
    with pytest.raises(FileError, match="have changed since its checkpoint"):
        resume(run, moved=Moved((new,)))


def test_an_adaptation_finds_its_files_by_their_content(tmp_path, capsys):
    new_set("cassi", tmp_path / "library")
    scenes("cassi", tmp_path / "data", count=2)
    np.save(tmp_path / "mask.npy", camera("cassi").mask)
    words = ["--adapt", tmp_path / "library" / "cassi.safetensors", "--data", tmp_path / "data"]
    words += ["--mask", tmp_path / "mask.npy", "--steps", 1, *TINY, "--out", tmp_path / "run", "--threads", 1]
    resources = Path(__file__).parents[3] / "resources"
    assert main(["train", *map(str, words)], library=[tmp_path / "library"], resources=resources) == 0
    moved = tmp_path / "moved"
    moved.mkdir()
    for number, path in enumerate(sorted((tmp_path / "data").iterdir())):
        path.rename(moved / f"renamed{number}{path.suffix}")
    (tmp_path / "mask.npy").rename(moved / "mask.npy")
    assert main(["train", "--resume", str(tmp_path / "run")]) == 1
    assert "is no longer there" in capsys.readouterr().err
    again = ["train", "--resume", tmp_path / "run", "--data", moved]
    assert main([str(word) for word in again]) == 0
    assert read_events(tmp_path / "run" / "events.jsonl")[-1].event == "finished"


# ---- which files of a folder -------------------------------------------------------------------------------------


def test_cubes_of_every_kind_and_case_are_learned_from_and_what_is_not_is_said(tmp_path):
    folder = tmp_path / "cubes"
    folder.mkdir()
    names = ["a.h5", "b.hdf5", "c.mat", "d.tif", "e.tiff", "f.npy", "g.hdr", "damask.h5", "unmasked.h5"]
    for name in names:
        write_cube(folder / name, smooth_cube(1, 8, 9), wavelengths_nm=BANDS, attributes={})
    (folder / "c.mat").rename(folder / "c.MAT")
    np.savez(folder / "h.npz", cube=np.moveaxis(smooth_cube(2, 8, 9), 0, -1))
    for name in ("notes.txt", "more.txt", "mask.npy", "codedMask_256.mat", ".hidden.h5"):
        (folder / name).touch()
    found = find_material(folder)
    kept = ["a.h5", "b.hdf5", "c.MAT", "d.tif", "damask.h5", "e.tiff", "f.npy", "g.hdr", "h.npz", "unmasked.h5"]
    assert sorted(path.name for path, _ in found.cubes) == kept
    assert sorted(path.name for path in found.masks) == ["codedMask_256.mat", "mask.npy"]
    assert len(found.notes) == 1 and found.notes[0].startswith(f"2 files in {folder} end in .txt and cannot be learned")


def test_pictures_are_told_from_masks_by_whole_words(tmp_path):
    from PIL import Image

    for name in ("damask.png", "Kernels of corn.png", "kernel_3.png", "cornkernel.JPG", "mask.png", "c.webp"):
        Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(tmp_path / name)
    found = find_material(tmp_path, task="sr")
    pictures = {path.name for path in (*found.pictures, *found.validation)}
    assert pictures == {"damask.png", "cornkernel.JPG"}
    assert sorted(note.split(" is ")[0] for note in found.notes[:-1]) == [
        "Kernels of corn.png",
        "kernel_3.png",
        "mask.png",
    ]
    assert found.notes[-1].startswith("1 file in") and ".webp" in found.notes[-1]


def test_a_training_says_what_it_passes_over(tmp_path, capsys):
    folder = tmp_path / "cubes"
    folder.mkdir()
    write_cube(folder / "a.h5", smooth_cube(1), wavelengths_nm=BANDS, attributes={})
    (folder / "readme.txt").write_text("cubes")
    (tmp_path / "r.toml").write_text(
        "[network]\nchannels = 28\nnum_stages = 2\ndenoiser = 'unet'\ndenoiser_settings = { widths = [4, 8] }\n"
        "[data]\ncrop = [8, 16]\nbatch = 2\n[training]\nbackbone_steps = 1\nadapter_steps = 0\n"
    )
    run = tmp_path / "run"
    words = ["--data", folder, "--recipe", tmp_path / "r.toml", "--out", run, "--threads", 1]
    assert main(["train", *map(str, words)]) == 0
    noted = [event for event in read_events(run / "events.jsonl") if event.event == "noted"]
    assert len(noted) == 1 and "1 file in" in noted[0].message and ".txt" in noted[0].message
    assert "cannot be learned from" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_a_sentence(material, tmp_path):  # noqa: F811
    (tmp_path / "file").touch()
    with pytest.raises(LorunError, match="cannot be made"):
        train(tiny(**SHORT), material, tmp_path / "file" / "run")
    with pytest.raises(FileError, match="is no folder"):
        resume(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
