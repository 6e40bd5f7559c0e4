"""Low light on the command line: darkened, restored, scored on pairs, trained and resumed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from lorun_engine.cli import main
from lorun_engine.io import OpenOptions, inspect, open_measurement
from lorun_engine.io.lowlight import offered
from lorun_engine.io.pairs import measured_beside
from lorun_engine.training.recipe import recipe_from
from lorun_engine.training.train import resume, train
from lorun_engine.training_data.dataset import find_material

RESOURCES = Path(__file__).parents[3] / "resources"
RECIPE = """task = "lowlight"
data = { crop = [16, 16], batch = 2, zoom = [1.0, 1.5] }
[network]
channels = 3
num_stages = 2
denoiser = "retinex"
denoiser_settings = { widths = [4, 8], light_width = 4, cell = 8 }
data_step = "alternating"
[training]
warm_start_steps = 2
backbone_steps = 4
adapter_steps = 2
validation_steps = 2
residual_weight = 0.02
"""


def run(*argv: object) -> int:
    return main([str(word) for word in argv], resources=RESOURCES)


@pytest.fixture
def pairs(tmp_path) -> Path:
    y, x = np.mgrid[:48, :64]
    for number in range(3):
        bright = np.stack([128 + 90 * np.sin(x / (6 + number)), 128 + 80 * np.cos(y / 7), 3 * x], axis=-1)
        for name, share in (("low", 0.15), ("high", 1)):
            (tmp_path / "pairs" / "train" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray((bright * share).astype(np.uint8)).save(
                tmp_path / "pairs" / "train" / name / f"{number}.png"
            )
    return tmp_path / "pairs" / "train"


def test_a_photograph_is_darkened_as_the_file_states_and_restored(pairs, tmp_path, capsys):
    words = ("--exposure", 0.3, "--darkening-gamma", 1.5, "--electrons", 1000, "--read-noise", 0.01)
    told = ("--task", "lowlight", "-o", tmp_path / "dark.h5", "--json")
    assert run("simulate", pairs / "high" / "0.png", *told, *words) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["noise"] == "1000 electrons at white, read noise 0.01"
    assert "exposure 0.3, gamma 1.5" in told.err
    with h5py.File(tmp_path / "dark.h5") as file:
        stated = {name: file.attrs[name] for name in ("exposure", "gamma", "electrons", "read_noise")}
        assert stated == {"exposure": 0.3, "gamma": 1.5, "electrons": 1000, "read_noise": 0.01}
    opened = open_measurement([tmp_path / "dark.h5"])
    assert opened.task == "lowlight" and opened.physics.darkening.words in told.err
    assert run("restore", tmp_path / "dark.h5", "-o", tmp_path / "bright.png", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["adapter"] == "retinex" and report["stages"][-1]["residual"] < 1e-5
    assert {"psnr", "ssim", "matched_psnr", "matched_ssim"} <= report["stages"][-1].keys()


def test_the_gamma_of_the_light_acts_on_what_is_written(pairs, tmp_path, capsys):
    assert (
        run("restore", pairs / "low" / "0.png", "--task", "lowlight", "--relight", 1, "-o", tmp_path / "dark.h5") == 0
    )
    with h5py.File(tmp_path / "dark.h5") as file, Image.open(pairs / "low" / "0.png") as taken:
        np.testing.assert_allclose(file["cube"][:], np.asarray(taken) / 255, atol=1e-5)
        assert file["cube"].attrs["relight"] == 1
    words = ("--relight", 0.6, "--report", tmp_path / "report.html", "-o", tmp_path / "some.h5")
    assert run("restore", pairs / "low" / "0.png", "--task", "lowlight", *words) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "--relight 0.6" in page and "Relit by gamma" in page and "figures are those of gamma 0.25" in page
    assert run("restore", pairs / "low" / "0.png", "--relight", 1, "-o", tmp_path / "large.h5") == 1
    assert "--relight means nothing for SR" in capsys.readouterr().err


def test_pairs_are_scored_on_the_real_dark_pictures(pairs, tmp_path, capsys):
    assert run("evaluate", "--task", "lowlight", "--data", pairs, "--adapter", "retinex", "--json") == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert [image["name"] for image in found["images"]] == ["0", "1", "2"] and found["noise"] == "as measured"
    assert "mean matched" in told.err
    assert run("evaluate", "--task", "lowlight", "--data", pairs, "--adapter", "retinex", "--exposure", 1) == 1
    assert "--exposure means nothing for the pairs" in capsys.readouterr().err
    assert run("evaluate", "--task", "lowlight", "--data", pairs / "high", "--adapter", "retinex", "--json") == 0
    assert json.loads(capsys.readouterr().out)["noise"].startswith("2000 electrons")


def test_of_two_pictures_the_darker_one_is_decoded(pairs):
    options = OpenOptions(task="lowlight")
    table = inspect([pairs / "high" / "1.png", pairs / "low" / "1.png"], options)
    assert table.row("measurement").found.path.parent.name == "low"
    assert inspect([pairs / "low" / "1.png"]).task == "sr"  # unless somebody says what it is
    assert offered(table.array("measurement")) and not offered(table.array("reference"))


def test_a_picture_of_another_size_is_refused_as_a_reference(pairs, tmp_path, capsys):
    Image.new("RGB", (20, 20), (200, 200, 200)).save(tmp_path / "small.png")
    words = ("--task", "lowlight", "--reference", tmp_path / "small.png", "-o", tmp_path / "x.png")
    assert run("restore", pairs / "low" / "0.png", *words) == 1
    assert "48 x 64" in capsys.readouterr().err


def test_a_set_is_trained_and_adapted_and_decodes_grey_pictures_too(pairs, tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    words = ("--data", pairs.parent, "--recipe", tmp_path / "tiny.toml", "--out", tmp_path / "run")
    assert run("train", *words) == 0
    found = tmp_path / "run" / "adapters.safetensors"
    Image.open(pairs / "low" / "0.png").convert("L").save(tmp_path / "grey.png")
    for name, shape in ((pairs / "low" / "0.png", [48, 64, 3]), (tmp_path / "grey.png", [48, 64, 1])):
        capsys.readouterr()
        words = ("--task", "lowlight", "--adapter", found, "-o", tmp_path / "bright.png", "--json")
        assert run("restore", name, *words) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["shape"] == shape and len(report["stages"]) == 3
    words = ("--route", "scenes", "--steps", 2, "--set", "crop=16,16", "--set", "check_size=32,32")
    adapted = tmp_path / "adapted"
    assert run("train", "--adapt", found, "--data", pairs / "high", *words, "--out", adapted) == 0
    assert (adapted / "adapters.safetensors").is_file()
    capsys.readouterr()
    words, paired = words[2:-2], tmp_path / "paired"  # what the folder holds is seen
    assert run("train", "--adapt", found, "--data", pairs, *words, "--out", paired) == 0
    assert "3 pairs: a measurement in low with the scene of its name in high." in capsys.readouterr().err
    plan = json.loads((paired / "data.json").read_text())
    assert plan["route"] == "pairs"
    assert [(Path(file["path"]).parent.name, file["use"]) for file in plan["files"]] == [
        ("low", "learn"),
        ("low", "learn"),
        ("low", "check"),
    ]
    assert run("train", "--adapt", found, "--data", pairs, "--route", "captures", "--out", tmp_path / "alone") == 1
    assert "Sets for low light cannot learn from measurements alone" in capsys.readouterr().err
    assert run("train", "--adapt", found, "--data", pairs, "--route", "scenes", *words, "--out", tmp_path / "own") == 0
    assert "is the measurement of a pair; its scene" in capsys.readouterr().err


def test_a_window_of_a_pair_is_one_of_its_scene(pairs):
    capture = measured_beside(pairs / "low" / "1.png", pairs / "high" / "1.png", OpenOptions(task="lowlight"))
    y, scene = torch.from_numpy(capture.y)[None], torch.from_numpy(capture.reference)[None]
    part = capture.physics.random_part(y, scene, (16, 999), torch.Generator().manual_seed(2))
    assert part.y.shape == part.scene.shape == (1, 3, 16, 64) and part.physics.scene_shape == (3, 16, 64)
    top = next(row for row in range(33) if torch.equal(y[:, :, row : row + 16], part.y))
    torch.testing.assert_close(part.scene, scene[:, :, top : top + 16])


def test_a_resumed_training_goes_on_as_an_unbroken_one(pairs, tmp_path):
    recipe = recipe_from(tomllib.loads(RECIPE), source="test")
    material = find_material(pairs.parent, task="lowlight")
    whole = [event.loss for event in train(recipe, material, tmp_path / "whole") if event.event == "step"]
    broken, events = [], train(recipe, material, tmp_path / "broken")
    for event in events:
        if event.event == "step":
            broken.append(event.loss)
        if len(broken) == 5:
            events.close()
    broken += [event.loss for event in resume(tmp_path / "broken") if event.event == "step"]
    assert broken == whole and len(whole) == 8
