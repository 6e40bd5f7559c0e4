"""Compressive samples and low-resolution pictures on the command line: simulated, restored, scored, refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from lorun_engine.cli import main
from lorun_engine.tasks.cs import random_sampling
from lorun_engine.tasks.kernels import gaussian_kernel


def run(*argv: object) -> int:
    return main([str(word) for word in argv])


@pytest.fixture
def photograph(tmp_path) -> Path:
    y, x = np.mgrid[:64, :80]
    pixels = np.stack([128 + 90 * np.sin(x / 6), 128 + 80 * np.cos(y / 7), 3 * x], axis=-1).astype(np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "waves.png")
    return tmp_path / "photos" / "waves.png"


def test_samples_are_simulated_restored_and_scored_without_another_word(photograph, tmp_path, capsys):
    assert run("simulate", photograph, "--task", "cs", "--ratio", 25, "-o", tmp_path / "cs.h5") == 0
    capsys.readouterr()
    assert run("restore", tmp_path / "cs.h5", "-o", tmp_path / "image.png", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["task"] == "cs" and report["adapter"] == "pinv" and report["shape"] == [64, 80, 1]
    assert report["stages"][-1]["residual"] < 1e-4 and "psnr" in report["stages"][-1]
    with Image.open(tmp_path / "image.png") as picture:
        assert picture.mode == "L" and picture.size == (80, 64)


def test_the_matrix_comes_from_a_file_and_the_size_from_a_flag(photograph, tmp_path, capsys):
    phi = random_sampling(50, block_size=16, seed=3)
    np.save(tmp_path / "phi.npy", phi)
    assert run("simulate", photograph, "--task", "cs", "--sampling", tmp_path / "phi.npy", "-o", tmp_path / "a.h5") == 0
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["measurement"].shape == (128, 4, 5) and file.attrs["block_size"] == 16
        np.save(tmp_path / "samples.npy", file["measurement"][:].reshape(128, -1))
    words = ["restore", tmp_path / "samples.npy", "--sampling", tmp_path / "phi.npy", "-o", tmp_path / "b.h5"]
    assert run(*words) == 1  # 20 blocks form several images
    assert "64x80" in capsys.readouterr().err
    assert run(*words, "--image-size", "64x80") == 0
    assert run("restore", tmp_path / "a.h5", "-o", tmp_path / "c.h5") == 0
    with h5py.File(tmp_path / "b.h5") as found, h5py.File(tmp_path / "c.h5") as told:
        np.testing.assert_allclose(found["cube"], told["cube"], atol=1e-5)


def test_a_photograph_is_enlarged_with_a_kernel_by_name_or_number(photograph, tmp_path, capsys):
    cell = np.empty((1, 2), dtype=object)
    cell[0, 0], cell[0, 1] = gaussian_kernel(1.0, size=9), gaussian_kernel(2.0, size=9)
    scipy.io.savemat(tmp_path / "kernels.mat", {"kernels": cell})
    outputs = []
    for kernel in ("gaussian 1.2", f"{tmp_path / 'kernels.mat'}:2"):
        outputs.append(tmp_path / f"large{len(outputs)}.png")
        words = ["restore", photograph, "--scale", 3, "--kernel", kernel, "--adapter", "tikhonov", "-o", outputs[-1]]
        assert run(*words) == 0
        with Image.open(outputs[-1]) as picture:
            assert picture.size == (240, 192)
    assert outputs[0].read_bytes() != outputs[1].read_bytes()
    assert run("restore", photograph, "--kernel", tmp_path / "kernels.mat", "-o", tmp_path / "no.png") == 1
    assert "Choose one by its number" in capsys.readouterr().err and not (tmp_path / "no.png").exists()


def test_evaluate_takes_every_kernel_of_a_file_and_prints_means(photograph, tmp_path, capsys):
    cell = np.empty((1, 3), dtype=object)
    for number in range(3):
        cell[0, number] = gaussian_kernel(0.7 + number / 2, size=9)
    scipy.io.savemat(tmp_path / "kernels.mat", {"kernels": cell})
    words = ["--task", "sr", "--adapter", "bicubic", "--kernel", tmp_path / "kernels.mat", "--scale", 2]
    assert run("evaluate", "--data", photograph.parent, *words, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [image["name"] for image in report["images"]] == ["waves K1", "waves K2", "waves K3"]
    assert report["mean"]["psnr"] == pytest.approx(np.mean([image["psnr"] for image in report["images"]]))
    assert "sam" not in report["mean"]
    assert (
        run("evaluate", "--data", photograph.parent, "--task", "cs", "--adapter", "pinv", "--ratio", 10, "--json") == 0
    )
    assert json.loads(capsys.readouterr().out)["protocol"] == "cs"
    assert run("evaluate", "--data", photograph.parent, "--task", "cs", "--adapter", "pinv") == 1
    assert "--ratio PERCENT" in capsys.readouterr().err


def test_a_task_that_does_not_suit_the_file_is_a_sentence(photograph, tmp_path, capsys):
    assert run("restore", photograph, "--task", "cassi", "-o", tmp_path / "x.h5") == 1
    assert "No snapshot was found" in capsys.readouterr().err
    assert run("simulate", photograph, "--task", "cs", "-o", tmp_path / "x.h5") == 1
    assert "No sampling matrix" in capsys.readouterr().err


def test_a_small_training_of_samples_gives_a_set_that_decodes_what_it_measures(photograph, tmp_path, capsys):
    (tmp_path / "recipe.toml").write_text(
        'task = "cs"\n[network]\nchannels = 1\nnum_stages = 2\ndenoiser = "unet"\n'
        'denoiser_settings = { widths = [4, 8], residual = true }\ndata_step = "proximal-gradient"\n'
        "[data]\ncrop = [32, 32]\nbatch = 2\nratio = 10.0\nblock_size = 16\n"
        "[training]\nbackbone_steps = 2\nadapter_steps = 2\n"
    )
    words = [
        "--task",
        "cs",
        "--recipe",
        tmp_path / "recipe.toml",
        "--data",
        photograph.parent,
        "--out",
        tmp_path / "run",
    ]
    assert run("train", *words) == 0
    name = tmp_path / "run" / "adapters.safetensors"
    assert run("simulate", photograph, "--task", "cs", "--adapter", name, "-o", tmp_path / "own.h5") == 0
    capsys.readouterr()
    assert run("restore", tmp_path / "own.h5", "--adapter", name, "-o", tmp_path / "own.png", "--json") == 0
    assert json.loads(capsys.readouterr().out)["adapter"] == "adapters"
    assert run("evaluate", "--task", "cs", "--adapter", name, "--data", photograph.parent) == 0
