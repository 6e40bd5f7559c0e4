"""Every option of every command: it changes what the command does, or is refused with a sentence."""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from lorun_engine.cli import main
from lorun_engine.training.events import Noted
from lorun_engine.training.run_folder import EVENTS
from tests.fuzz import Place, made_place, parser_once

WAVELENGTHS_NM = np.linspace(450.0, 650.0, 8)
BASES: dict[str, list[str]] = {
    "restore": ["inputs/both.mat", "--bands", "8", "-o", "out.h5", "--stages", "3", "--adapter", "gap-tv"],
    "restore integers": [
        "inputs/meas.tiff",
        "--mask",
        "inputs/mask.npy",
        "--bands",
        "8",
        "--reference",
        "inputs/scene.npy",
        "-o",
        "out.h5",
        "--stages",
        "1",
        "--adapter",
        "gap-tv",
    ],
    "restore with a set": ["inputs/capture.h5", "-o", "out.h5", "--adapter", "tiny"],
    "restore samples": ["inputs/samples.mat", "-o", "out.h5", "--task", "cs", "--image-size", "12x12", "--stages", "2"],
    "restore a picture": ["inputs/picture.png", "-o", "out.h5", "--task", "sr", "--scale", "2", "--stages", "2"],
    "restore in low light": ["inputs/picture.png", "-o", "out.h5", "--task", "lowlight", "--stages", "2"],
    "demo": ["-o", "demo", "--stages", "2", "--adapter", "gap-tv"],
    "simulate": ["inputs/scene.h5", "-o", "out.h5"],
    "simulate integers": ["whole.npy", "-o", "out.h5"],
    "simulate samples": ["inputs/picture.png", "-o", "out.h5", "--task", "cs", "--ratio", "25"],
    "simulate a picture": ["inputs/picture.png", "-o", "out.h5", "--task", "sr"],
    "simulate low light": ["inputs/picture.png", "-o", "out.h5", "--task", "lowlight"],
    "evaluate": ["--data", "inputs/scene.h5", "--stages", "2", "--adapter", "gap-tv"],
    "evaluate integers": ["--data", "whole.npy", "--stages", "1", "--adapter", "gap-tv"],
    "evaluate with a set": ["--data", "inputs/scene.h5", "--adapter", "tiny"],
    "evaluate a table": ["--data", "inputs", "--table", "1"],
    "train": ["--data", "cubes", "--recipe", "small.toml", "--out", "new"],
    "train by adapting": ["--adapt", "tiny", "--data", "cubes", "--out", "new"],
    "train by a capture": ["--adapt", "tiny", "--data", "cubes", "--out", "new", "--like", "inputs/capture.h5"],
    "train as a trial": ["--adapt", "tiny", "--data", "cubes", "--probe"],
    "train on": ["--resume", "run"],
    "train a queue": ["--queue", "queue.toml", "--status"],
    "adapters list": [],
    "adapters show": ["tiny"],
    "adapters verify": ["tiny"],
    "adapters diff": ["tiny", "other"],
    "adapters scale": ["tiny", "--factor", "2", "-o", "new.safetensors"],
    "adapters interpolate": ["tiny", "other", "--share", "0.5", "-o", "new.safetensors"],
    "adapters ablate": ["tiny", "--stage", "1", "-o", "new.safetensors"],
    "adapters export": ["tiny", "-o", "exported"],
    "adapters import": ["apart/foreign.safetensors"],
    "params": [],
    "info": [],
    "self-test": [],
}
# what may be said after a flag, by its name in the namespace: one of them tells; nothing where it stands alone
SAID: dict[str, list[str]] = {
    **{
        "task": ["cs"],
        "num_bands": ["7"],
        "step": ["1"],
        "axis": ["y"],
        "direction": ["-"],
        "first_offset": ["1", "0.5"],
    },
    **{"wavelengths": ["bands.csv"], "flip": ["lr"], "rotate": ["90"], "mask_shift": ["1,0"], "crop": ["0,0,8,8"]},
    **{"dark_level": ["0.1"], "light_beside": ["keep"], "input_scale": ["2"], "integer_scale": ["3"]},
    **{"cube_axes": ["HWC", "CHW"], "key": ["meas", "mask"], "image_size": ["12x12"], "pixel_order": ["column"]},
    **{
        "block_order": ["column"],
        "ratio": ["40"],
        "scale": ["3"],
        "kernel": ["gaussian 3"],
        "border": ["circular", "mirrored"],
    },
    **{"exposure": ["0.1"], "darkening_gamma": ["2"], "electrons": ["100"], "read_noise": ["0.1"], "relight": ["0.5"]},
    **{"guide": ["inputs/picture.png"], "guide_response": ["grey"], "guide_shift": ["1,0"], "guide_encoding": ["srgb"]},
    **{"guide_camera": ["rgb"], "guide_noise": ["0.1"]},
    **{"mask": ["inputs/half.npy"], "sampling": ["matrix.npy"], "reference": ["other.npy"]},
    **{"noise": ["gaussian:0.1"], "seed": ["5"], "adapter": ["tiny"], "stages": ["1"], "device": ["cuda:7"]},
    **{"threads": ["3"], "adapter_scale": ["0.5"], "ablate_stage": ["1"], "precision": ["bfloat16"], "path": ["nhwc"]},
    **{"tile": ["16"]},
    **{
        "report": ["page.html"],
        "save_stages": [],
        "score_crop": ["1,1,1,1"],
        "protocol": ["cave-28"],
        "table": ["2"],
        "data": ["inputs"],
    },
    **{"photographs": ["inputs"], "recipe": ["adapt.toml"], "out": ["other"], "resume": ["run"], "phase": ["adapters"]},
    **{"begun_from": ["tiny"]},
    **{"variant": ["share"], "gamma": ["20"], "events": ["json"], "adapt": ["other"], "route": ["captures"]},
    **{"check": ["inputs/scene.npy"], "like": ["inputs/capture.h5"], "random_masks": ["0.5"], "preset": ["standard"]},
    **{"steps": ["7"], "set": ["batch=5"], "name": ["Mine"], "probe": [], "queue": ["queue.toml"], "status": []},
    **{"factor": ["3"], "share": ["0.25"], "half": [], "output": ["elsewhere.h5"], "json": [], "watch": []},
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Sound files of every kind, and resources with a sample that is decoded in no time."""
    place = made_place(tmp_path_factory.mktemp("options") / "sound")
    inputs, resources = place.folder / "inputs", place.folder / "resources"
    mask = np.load(inputs / "mask.npy")
    np.save(inputs / "half.npy", np.where(np.arange(16) < 8, mask, 1 - mask).astype(np.float32))
    np.save(place.folder / "matrix.npy", np.random.default_rng(3).random((4, 16)))
    np.save(place.folder / "other.npy", np.random.default_rng(4).random((16, 16, 8), np.float32))
    picture = np.random.default_rng(5).integers(0, 255, (8, 16, 16), np.uint8)
    np.save(place.folder / "whole.npy", picture)
    np.savetxt(place.folder / "bands.csv", WAVELENGTHS_NM + 3)
    shipped = Path(__file__).resolve().parents[3] / "resources"
    shutil.copytree(shipped / "colour", resources / "colour")
    shutil.copytree(shipped / "recipes", resources / "recipes")
    (resources / "samples").mkdir()
    shutil.copy(inputs / "capture.h5", resources / "samples" / "cassi.h5")
    (place.folder / "apart").mkdir()
    for name in ("tiny", "backbone"):
        shutil.copy(place.library / f"{name}.safetensors", place.folder / "apart")
    (place.folder / "apart" / "tiny.safetensors").rename(place.folder / "apart" / "foreign.safetensors")
    return place


@pytest.fixture(autouse=True)
def stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """No training takes a step, and nothing that takes long is measured: what they were asked for is told instead."""

    def told(*args: Any, **kwargs: Any) -> Iterator[Any]:
        print(args, kwargs)
        for run in (arg for arg in args if isinstance(arg, Path)):
            run.mkdir(exist_ok=True)
        return (event for event in [Noted(0.0, "It would begin.")])

    def tried(*args: Any, **kwargs: Any) -> Generator[dict[str, Any], None, dict[str, Any]]:
        yield {"event": "probing", "presets": {}, "done": 0, "total": 1}
        return {"message": repr((args, kwargs)), "path": None, "presets": {}}

    for name in ("train", "resume"):
        monkeypatch.setattr(f"lorun_engine.training.train.{name}", told)
    monkeypatch.setattr("lorun_engine.training.adapting.probe", tried)
    monkeypatch.setattr("lorun_engine.paper.tables.run_table", lambda *args, **kwargs: print(args, kwargs) or iter(()))
    monkeypatch.setattr("lorun_engine.paper.parameters.parameter_table", list)
    monkeypatch.setattr("lorun_engine.cli.self_test.SELF_TESTS", {})
    monkeypatch.setattr("lorun_engine.cli.commands._parser", parser_once)
    monkeypatch.setattr("lorun_engine.networks.unfolding.rows_of", lambda tile, *_: print(f"tile {tile}"))
    monkeypatch.setattr(torch, "set_num_threads", lambda number: print(f"threads {number}"))


# options that say how to take what only some files hold: they are tried on such files alone
OF_FILES = {
    "integer_scale": ("restore integers", "simulate integers", "evaluate integers"),
    "cube_axes": ("restore integers", "simulate integers", "evaluate integers"),
    "light_beside": ("restore",),
    "wavelengths": ("restore", "restore with a set", "simulate", "evaluate with a set"),
}


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command, or of an action of it."""
    parser = parser_once()
    for word in command.split():
        actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        parser = actions[0].choices[word] if actions and word in actions[0].choices else parser
    return parser


def cases() -> Iterator[tuple[str, str]]:
    """(base, option) for all options of all commands that a base does not say already."""
    for base, words in BASES.items():
        for action in parser_of(base)._actions:
            said = set(action.option_strings) & set(words)
            is_tried = base in OF_FILES.get(action.dest, (base,))
            if action.option_strings and not said and is_tried and action.dest not in ("help", "version"):
                yield base, action.dest


def happened(place: Place, words: list[str]) -> Any:
    """What a command says and writes, but for the seconds that it took; the place is as before then."""
    work, out, err = place.folder, io.StringIO(), io.StringIO()
    before, log = set(work.rglob("*")), (place.run / EVENTS).read_bytes()
    with contextlib.chdir(work), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words, library=[work / "library"], resources=work / "resources")
        except SystemExit as leaving:
            code = leaving.code
    new = sorted(set(work.rglob("*")) - before, reverse=True)
    contents = [(path.relative_to(work), content(path)) for path in new if path.is_file()]
    for path in new:
        path.unlink() if path.is_file() else path.rmdir()
    (place.run / EVENTS).write_bytes(log)
    return code, _without_times(out.getvalue()), err.getvalue(), contents


def _without_times(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.strip().startswith(('"seconds"', '"free_bytes"'))]


def content(path: Path) -> Any:
    """What a file holds."""
    if path.suffix != ".h5":
        return None if path.suffix in (".csv", ".json") else path.read_bytes()
    with h5py.File(path) as file:
        attributes = {name: {**file[name].attrs} for name in file} | {"": {**file.attrs}}
        return {name: file[name][()].tobytes() for name in file}, repr(attributes)


@cache
def base_of(place: Place, base: str) -> Any:
    return happened(place, words_of(base))


def words_of(base: str) -> list[str]:
    """The words of a base; an action has its name, further words of the base's name only tell it from others."""
    command, _, rest = base.partition(" ")
    action = [rest] if command == "adapters" else []
    json_too = [] if command == "train" else ["--json"]
    return [command, *action, *BASES[base], *json_too]


@pytest.mark.parametrize("base", BASES)
def test_every_base_runs(sound, base):
    (
        code,
        *_,
    ) = happened(sound, words_of(base))
    assert code == (1 if base == "evaluate a table" else 0)


@pytest.mark.parametrize(("base", "option"), list(cases()), ids=lambda word: word.replace(" ", "_"))
def test_every_option_has_an_effect_or_is_refused(sound, base, option):
    words = words_of(base)
    (action,) = [action for action in parser_of(base)._actions if action.dest == option]
    flag = max(action.option_strings, key=len)
    tries = [[f"{flag}={word}"] for word in SAID[option]] or [[flag]]
    for said in tries:
        own = [word for word in words if word != flag] if flag in words else [*words, *said]
        with_option = happened(sound, own)
        if with_option != base_of(sound, base):
            break
    else:
        pytest.fail(f"{flag} changes nothing, and is not refused")
    code, _, sentence, _ = with_option
    assert code in (0, 1, 2) and (code == 0 or sentence.strip()) and "Traceback" not in sentence
