"""The commands train, adapters and params: what they print, write and refuse."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from lorun_engine.cli.training import COMMANDS
from lorun_engine.errors import FileError, LorunError, ModelError
from lorun_engine.io import WAVELENGTHS, write_cube
from lorun_engine.library.model import load_model
from lorun_engine.paper.parameters import PUBLISHED, parameter_table
from tests.engine.library.test_model import new_model, save
from tests.engine.training.test_train import smooth_cube

RECIPE = """
[network]
channels = 28
num_stages = 2
denoiser = "unet"
denoiser_settings = { widths = [4, 8] }
[data]
crop = [8, 16]
batch = 2
[training]
backbone_steps = 2
adapter_steps = 2
validation_steps = 2
"""


@dataclass(frozen=True)
class Library:
    library: tuple[Path, ...]
    resources: Path | None = None


@pytest.fixture
def context(tmp_path) -> Library:
    """A library of two sets of one backbone and one set of another."""
    folder = tmp_path / "library"
    model = new_model(seed=1)
    save(model, folder, "one")
    adapters = model.adapters.mapped({name: -tensor for name, tensor in model.adapters.tensors.items()})
    save(model.with_adapters(adapters), folder, "two")
    (folder / "two-backbone.safetensors").unlink()  # the same as one's
    save(new_model(seed=2), folder, "stranger")
    return Library((folder,))


def run(context: Library, *words: object) -> int:
    _, configure, command = COMMANDS[str(words[0])]
    parser = argparse.ArgumentParser()
    configure(parser)
    return command(parser.parse_args([str(word) for word in words[1:]]), context)


def report(capsys, context: Library, *words: object):
    assert run(context, *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_list_names_the_sets_with_their_backbones(capsys, context):
    rows = {row["name"]: row for row in report(capsys, context, "adapters", "list")}
    assert set(rows) == {"one", "two", "stranger"}
    assert rows["one"]["backbone"] == rows["two"]["backbone"] == "one-backbone"
    assert rows["one"]["stages"] == 2 and rows["one"]["gamma"] == 30


def test_show_gives_the_card_and_what_every_stage_changes(capsys, context):
    card = report(capsys, context, "adapters", "show", "one")
    assert card["task"] == "cassi" and card["network"]["denoiser"] == "unet"
    assert {row["stage"] for row in card["energies"]} == {1, 2}
    assert all(row["ratio"] > 0 for row in card["energies"])
    assert run(context, "adapters", "show", "one") == 0
    assert "stage 2: mean effective rank" in capsys.readouterr().out


def test_verify_notices_a_damaged_file(capsys, context):
    assert report(capsys, context, "adapters", "verify", "one")["verified"]
    path = context.library[0] / "one-backbone.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="other numbers"):
        run(context, "adapters", "verify", "one")


def test_diff_is_zero_for_one_set_and_twice_its_size_for_its_negative(capsys, context):
    same = report(capsys, context, "adapters", "diff", "one", "one")
    assert same["equal"] and all(stage["distance"] == 0 for stage in same["stages"])
    other = report(capsys, context, "adapters", "diff", "one", "two")
    # full differences turn round; A B stays, as both of its factors do
    assert not other["equal"] and all(0 < stage["relative"] <= 2 for stage in other["stages"])
    with pytest.raises(ModelError, match="different backbones"):
        run(context, "adapters", "diff", "one", "stranger")


def test_scale_ablate_and_interpolate_write_sets_that_do_what_they_say(capsys, context, tmp_path):
    one = load_model(context.library[0] / "one.safetensors")
    backbone = one.net.backbone.block_weights(1)

    def weights(name: str, stage: int) -> dict[str, torch.Tensor]:
        model = load_model(tmp_path / name, library=context.library)
        return model.adapters.weights(model.net.backbone.block_weights(1), stage)

    report(capsys, context, "adapters", "scale", "one", "--factor", 0.5, "-o", tmp_path / "half.safetensors")
    report(capsys, context, "adapters", "ablate", "one", "--stage", 2, "-o", tmp_path / "first.safetensors")
    between = report(
        capsys, context, "adapters", "interpolate", "one", "two", "--share", 0.5, "-o", tmp_path / "mid.safetensors"
    )
    assert between["interpolated"] == ["one", "two", 0.5]
    half, full = weights("half.safetensors", 1), one.adapters.weights(backbone, 1)
    for name in backbone:
        torch.testing.assert_close(half[name] - backbone[name], (full[name] - backbone[name]) / 2, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(weights("first.safetensors", 2)[name], backbone[name]) for name in backbone)
    biases = [name for name in backbone if name.endswith("bias")]
    middle = weights("mid.safetensors", 1)
    assert all(torch.allclose(middle[name], backbone[name], atol=1e-7) for name in biases)  # opposite differences
    with pytest.raises(FileError, match="already exists"):
        run(context, "adapters", "scale", "one", "--factor", 2, "-o", tmp_path / "half.safetensors")
    with pytest.raises(FileError, match=r"\.safetensors was expected"):
        run(context, "adapters", "scale", "one", "--factor", 2, "-o", tmp_path / "half.pt")


def test_an_exported_set_can_be_imported_elsewhere(capsys, context, tmp_path):
    written = report(capsys, context, "adapters", "export", "two", "-o", tmp_path / "mail")["written"]
    assert sorted(Path(path).name for path in written) == ["one-backbone.safetensors", "two.safetensors"]
    elsewhere = Library((tmp_path / "shipped", tmp_path / "own"))
    report(capsys, elsewhere, "adapters", "import", tmp_path / "mail" / "two.safetensors")
    rows = report(capsys, elsewhere, "adapters", "list")
    assert [row["name"] for row in rows] == ["two"] and rows[0]["path"].startswith(str(tmp_path / "own"))
    again = report(capsys, elsewhere, "adapters", "import", tmp_path / "mail" / "two.safetensors")
    assert again["written"] == []


def test_a_set_of_a_taken_name_is_not_imported(context, tmp_path):
    save(new_model(seed=5), tmp_path / "mail", "one")
    with pytest.raises(FileError, match="another set named one"):
        run(context, "adapters", "import", tmp_path / "mail" / "one.safetensors")


def test_an_unknown_set_is_a_sentence(context):
    with pytest.raises(LorunError, match="neither in the library nor a file"):
        run(context, "adapters", "show", "nothing")


def test_params_prints_a_row_a_model_beside_the_papers(capsys, context, monkeypatch):
    monkeypatch.setattr("lorun_engine.paper.parameters.PUBLISHED", PUBLISHED[5:7])  # the quickest
    rows = report(capsys, context, "params")
    assert rows == parameter_table()
    assert {"model", "variant", "stages", "gamma", "parameters", "paper", "unit", "counted", "gmac"} <= set(rows[0])
    assert run(context, "params") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(rows) and "5,300,802   5.30 x 10^6" in lines[2]


def test_train_prints_one_json_event_a_line_and_resumes(capsys, context, tmp_path):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "cubes").mkdir()
    bands = np.asarray(WAVELENGTHS["cassi-28"])
    write_cube(tmp_path / "cubes" / "a.h5", smooth_cube(1), wavelengths_nm=bands, attributes={"source": "made"})
    flags = ["--data", tmp_path / "cubes", "--recipe", tmp_path / "tiny.toml", "--out", tmp_path / "run"]
    assert run(context, "train", *flags, "--phase", "backbone", "--stages", 3, "--events", "json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in steps] == [1, 2]
    assert all(event["loss"] > 0 and event["elapsed_s"] > 0 for event in steps)
    assert load_model(tmp_path / "run" / "share.safetensors").num_stages == 3
    assert (tmp_path / "run" / "events.jsonl").read_text().splitlines()[0] == json.dumps(events[0])
    assert run(context, "train", "--resume", tmp_path / "run", "--events", "json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["event"] == "finished"


def test_a_training_goes_on_with_a_set_of_another(capsys, context, tmp_path):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "cubes").mkdir()
    bands = np.asarray(WAVELENGTHS["cassi-28"])
    write_cube(tmp_path / "cubes" / "a.h5", smooth_cube(1), wavelengths_nm=bands, attributes={"source": "made"})
    flags = ["train", "--data", tmp_path / "cubes", "--recipe", tmp_path / "tiny.toml"]
    assert run(context, *flags, "--out", tmp_path / "first") == 0
    first = load_model(tmp_path / "first" / "adapters.safetensors")
    capsys.readouterr()
    flags += ["--from", tmp_path / "first" / "adapters.safetensors"]
    more = [*flags, "--out", tmp_path / "second", "--events", "json"]
    assert run(context, *more) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["phase"] for event in events if event["event"] == "step"} == {"adapters"}
    second = load_model(tmp_path / "second" / "adapters.safetensors")
    assert second.net.config == first.net.config
    for name, tensor in second.net.backbone.state_dict().items():
        assert torch.equal(tensor, first.net.backbone.state_dict()[name])
    assert run(context, "train", "--resume", tmp_path / "second") == 0
    for words, reason in (
        (["--stages", 3], "the stages the set has 2, the recipe 3"),
        (["--gamma", 50], "gamma the set has"),
        (["--variant", "block", "--phase", "backbone"], "the denoisers the set has 1, the recipe 2"),
    ):
        with pytest.raises(LorunError, match=reason):
            run(context, *flags, "--out", tmp_path / "third", *words)
    with pytest.raises(LorunError, match="already holds a training"):
        run(context, *more)


def test_a_training_goes_on_with_the_backbone_of_a_set(capsys, context, tmp_path):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "still.toml").write_text(RECIPE + "learning_rate = 1e-12\n")
    (tmp_path / "cubes").mkdir()
    bands = np.asarray(WAVELENGTHS["cassi-28"])
    write_cube(tmp_path / "cubes" / "a.h5", smooth_cube(1), wavelengths_nm=bands, attributes={"source": "made"})
    flags = ["train", "--data", tmp_path / "cubes", "--recipe"]
    assert run(context, *flags, tmp_path / "tiny.toml", "--out", tmp_path / "first") == 0
    capsys.readouterr()
    adapters = tmp_path / "first" / "adapters.safetensors"
    flags += [tmp_path / "still.toml", "--phase", "backbone", "--events", "json"]
    assert run(context, *flags, "--out", tmp_path / "second", "--from", adapters) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["phase"] for event in events if event["event"] == "step"} == {"backbone"}
    assert run(context, *flags, "--out", tmp_path / "third", "--from", tmp_path / "second" / "share.safetensors") == 0
    first, second = load_model(adapters), load_model(tmp_path / "second" / "share.safetensors")
    for name, tensor in second.net.backbone.state_dict().items():
        torch.testing.assert_close(tensor, first.net.backbone.state_dict()[name], atol=1e-7, rtol=0)
    for name, tensor in second.adapters.tensors.items():  # the data steps, and none of its LoRA factors
        torch.testing.assert_close(tensor, first.adapters.tensors[name], atol=1e-7, rtol=0)


def test_a_training_needs_data_and_a_folder(context):
    with pytest.raises(LorunError, match="--data FOLDER and --out RUN"):
        run(context, "train", "--recipe", "x.toml")
