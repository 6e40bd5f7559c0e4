"""What cannot work is refused before any work, with the reason, and no other command suffers from a bad file."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from app.document.set_facts import facts as set_facts
from lorun_engine.cli import main
from lorun_engine.decoding.device import require_device
from lorun_engine.decoding.execution import why_not_compiled
from lorun_engine.errors import FileError, LorunError, ModelError
from lorun_engine.io.atomic import replacing
from lorun_engine.library.cards import cards_in, read_card, unreadable_in
from lorun_engine.library.model import list_decoders
from lorun_engine.library.sets import sets_in
from lorun_engine.training.run_folder import write_json
from tests.fuzz import ODD_VALUES

WAVELENGTHS_NM = np.linspace(450.0, 650.0, 8)


def run(*words: object, library: Path | None = None) -> int:
    return main([str(word) for word in words], library=[library] if library else [])


@pytest.fixture
def snapshot(tmp_path) -> Path:
    """A measurement of 8 bands."""
    rows, columns = np.mgrid[0:16, 0:16] / 16
    scene = np.stack([0.5 + 0.3 * np.sin(2 * rows + 3 * columns + 0.3 * c) for c in range(8)], axis=-1)
    np.save(tmp_path / "scene.npy", scene.astype(np.float32))
    assert run("simulate", tmp_path / "scene.npy", "-o", tmp_path / "snapshot.h5") == 0
    return tmp_path / "snapshot.h5"


@pytest.fixture
def no_decode(monkeypatch):
    """Decoding is a failure of the test."""
    monkeypatch.setattr("lorun_engine.cli.commands._restored", lambda *_: pytest.fail("it was decoded"))


@pytest.mark.parametrize("output", ["o.xyz", "snapshot.h5", "scene.npy/o.h5", "/dev/null", "/dev/null/o.h5", "o.png"])
def test_an_output_that_cannot_be_is_refused_before_the_decode(snapshot, no_decode, output, tmp_path, capsys):
    before = snapshot.read_bytes()
    assert run("restore", snapshot, "-o", tmp_path / output, "--adapter", "gap-tv") == 1
    assert "\nlorun: " in capsys.readouterr().err and snapshot.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_stages_are_kept_in_hdf5_alone(snapshot, no_decode, tmp_path, capsys):
    assert run("restore", snapshot, "-o", tmp_path / "o.mat", "--save-stages", "--adapter", "gap-tv") == 1
    assert "cannot hold all images of a decode" in capsys.readouterr().err


def test_a_measurement_is_not_simulated_into_what_cannot_hold_it(snapshot, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lorun_engine.cli.scenes._measures", lambda *_, **__: pytest.fail("it was measured"))
    for output in ("m.mat", "scene.npy", "scene.npy/m.h5"):
        assert run("simulate", tmp_path / "scene.npy", "-o", tmp_path / output) == 1
        assert capsys.readouterr().err.startswith("lorun: ")


def test_a_folder_that_holds_only_a_mask_holds_no_measurement(tmp_path, capsys):
    folder = tmp_path / "captures"
    folder.mkdir()
    np.save(folder / "mask.npy", np.eye(8, dtype=np.float32))
    assert run("restore", folder, "-o", tmp_path / "out") == 1
    assert "holds no measurement beside" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["restore", "", "-o", "o.h5"],
        ["restore", "a.h5", "-o", ""],
        ["restore", "a.h5", "-o", "o.h5", "--mask", ""],
        ["restore", "a.h5", "-o", "o.h5", "--mask", "::mask"],
        ["simulate", "a.h5", "-o", "m.h5", "--seed", str(10**20)],
        ["simulate", "a.h5", "-o", "m.h5", "--step", "nan"],
        ["simulate", "a.h5", "-o", "m.h5", "--ratio", "nan"],
        ["restore", "a.h5", "-o", "o.h5", "--threads", "0"],
        ["restore", "a.h5", "-o", "o.h5", "--threads", str(10**6)],
        ["restore", "a.h5", "-o", "o.h5", "--stages", "0"],
        ["adapters", "scale", "tiny", "--factor", "nan", "-o", "new.safetensors"],
        ["adapters", "interpolate", "tiny", "tiny", "--share", "inf", "-o", "new.safetensors"],
        ["train", "--data", "d", "--out", "r", "--gamma", "-5"],
        ["train", "--adapt", "tiny", "--out", "r", "--random-masks", "5"],
    ],
    ids=" ".join,
)
def test_a_value_that_no_setting_can_have_is_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as leaving:
        run(*words)
    assert leaving.value.code == 2 and "was expected" in capsys.readouterr().err


def test_a_table_without_data_is_no_success(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    assert run("evaluate", "--table", "1", "--data", tmp_path / "data") == 1
    assert "No cell of the table" in capsys.readouterr().err


def test_what_fails_beside_the_file_that_is_written_is_called_by_its_own_name(tmp_path):
    with pytest.raises(FileError, match="gone.npy"), replacing(tmp_path / "new.npy"):
        (tmp_path / "gone.npy").read_bytes()
    with pytest.raises(FileError, match="is a folder"):
        write_json(tmp_path, {})


def test_where_nothing_can_be_compiled_that_is_said_and_the_network_runs_as_it_is(
    make_trained_set, snapshot, tmp_path, monkeypatch, capsys
):
    def no_compiler(function, **_):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

    monkeypatch.setattr("torch.compile", no_compiler)
    why_not_compiled.cache_clear()
    words = ["restore", snapshot, "-o", tmp_path / "o.h5", "--adapter", "tiny", "--device", "auto", "--json"]
    assert run(*words, "--path", "compiled", library=make_trained_set(WAVELENGTHS_NM)) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert "cannot be compiled here (InvalidCxxCompiler" in said.err and report["path"] == "nhwc"
    assert report["device"] == require_device("auto") != "auto"
    why_not_compiled.cache_clear()


# ---- the library -------------------------------------------------------------------------------------------------


def with_card(path: Path, changed: dict[str, object] | str) -> None:
    """Writes a weights file with other entries of its card, or another text for it."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    card = json.loads(header["__metadata__"]["card"])
    header["__metadata__"]["card"] = changed if isinstance(changed, str) else json.dumps(card | changed)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"backbone_hash": {}}, "backbone_hash is {}"),
        ({"stages": "two"}, "stages is 'two'"),
        ({"stages": 10**9}, "stages"),
        ({"gamma": [10]}, "gamma"),
        ({"network": 7}, "network"),
        ({"network": {"channels": 0}}, "channels is 0"),
        ({"task": "clouds"}, "for the task 'clouds'"),
        ({"task_config": {"wavelengths_nm": ["red"]}}, "wavelengths_nm"),
        ({"task_config": {"wavelengths_nm": [500.0]}}, "1 wavelengths for a network of 8"),
        ({"format": 2}, "format 2"),
        ({"kind": []}, "format"),
        ("[" * 100_000, "not a weights file"),
        ("{}", "not a weights file"),
    ],
    ids=str,
)
def test_a_damaged_or_newer_set_is_listed_with_the_reason_and_stops_nothing(
    changed, reason, make_trained_set, snapshot, tmp_path, capsys
):
    library = make_trained_set(WAVELENGTHS_NM)
    bad = library / "bad.safetensors"
    bad.write_bytes((library / "tiny.safetensors").read_bytes())
    with_card(bad, changed)
    with pytest.raises(ModelError, match=reason.replace("{", "[{]")):
        read_card(bad)
    assert {card.name for card in cards_in([library])} == {"tiny", "backbone"}
    assert [entry.path for entry in unreadable_in([library])] == [bad]
    capsys.readouterr()
    assert run("adapters", "list", "--json", library=library) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert "problem" not in rows["tiny"] and reason in rows["bad"]["problem"]
    assert run("restore", snapshot, "-o", tmp_path / "o.h5", "--stages", 1, "--adapter", "gap-tv", library=library) == 0
    assert run("adapters", "show", "bad", library=library) == 1
    assert reason in capsys.readouterr().err


def test_whatever_stands_in_a_card_is_read_or_refused_with_a_sentence(make_trained_set):
    library = make_trained_set(WAVELENGTHS_NM)
    path, bad = library / "tiny.safetensors", library / "bad.safetensors"
    sound = path.read_bytes()
    for name in (*read_card(path).fields, "kind", "format", "camera", "made_from", "note", "title", "imported"):
        for value in ODD_VALUES:
            bad.write_bytes(sound)
            with_card(bad, {name: value})
            with suppress(LorunError):
                read_card(bad)
                assert all(set_facts(entry) for entry in sets_in([library]))
                assert {entry.name for entry in list_decoders([library], task="cassi")} >= {"tiny", "gap-tv"}


def test_files_of_others_in_the_library_are_passed_over(make_trained_set):
    import torch
    from safetensors.torch import save_file

    library = make_trained_set(WAVELENGTHS_NM)
    save_file({"a": torch.zeros(1)}, library / "theirs.safetensors")
    assert unreadable_in([library]) == []


def test_a_set_with_tensors_of_another_shape_is_refused(make_trained_set):
    import torch
    from safetensors.torch import load_file, save_file

    from lorun_engine.library.cards import card_text
    from lorun_engine.library.model import _hashed_fields, load_model, tensor_hash

    library = make_trained_set(WAVELENGTHS_NM)
    path = library / "tiny.safetensors"
    card, sound = read_card(path), load_file(path)
    factor = next(name for name in sound if name.endswith("/A"))
    step = next(name for name in sound if "/step/" in name)
    for tensors in (
        {**sound, factor: torch.zeros(3)},
        {**sound, "9/nowhere/difference": torch.zeros(3)},
        {**sound, step: torch.zeros(2, 2)},
        {name: tensor for name, tensor in sound.items() if name != step},
    ):
        digest = tensor_hash(_hashed_fields("adapters", card.fields), tensors)
        save_file(tensors, path, metadata={"card": card_text("adapters", {**card.fields, "hash": digest})})
        with pytest.raises(ModelError, match="does not fit the network"):
            load_model(path)
