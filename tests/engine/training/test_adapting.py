"""Adapting a set to a camera: every route raises a score that it has not seen, and only the adapters change."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lorun_engine.cli.training import COMMANDS
from lorun_engine.decoding.evaluate import Window, evaluate
from lorun_engine.errors import FileError, LorunError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import write_cube, write_measurement
from lorun_engine.library.cards import read_card
from lorun_engine.library.model import Model, backbone_hash, load_model, save_adapters, save_backbone
from lorun_engine.measurement import Scene
from lorun_engine.networks.lora import SAMPLING, AdapterSet, new_adapters
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.tasks import cs, sr
from lorun_engine.tasks.camera import Camera, camera_of
from lorun_engine.tasks.cassi import CassiCamera, random_mask
from lorun_engine.tasks.kernels import gaussian_kernel
from lorun_engine.tasks.noise import Noise
from lorun_engine.tasks.withheld import withheld_for_scores
from lorun_engine.training.adapting import adapt_recipe
from lorun_engine.training.events import Finished, Previewed, TrainEvent
from lorun_engine.training.recipe import read_recipe
from lorun_engine.training.run_folder import read_events
from lorun_engine.training.selfsupervised import self_supervised_loss
from lorun_engine.training.toml import toml_text
from lorun_engine.training_data import own_files
from lorun_engine.training_data.camera import read_camera, save_camera
from lorun_engine.training_data.own_captures import CaptureSampler
from lorun_engine.training_data.own_files import OwnFiles, examined
from lorun_engine.training_data.settings import LocalData

RESOURCES = Path(__file__).parents[3] / "resources"
BANDS = np.linspace(450, 650, 6)
NETWORKS = {
    "cassi": NetworkConfig(6, 2, denoiser="unet", denoiser_settings={"widths": (4, 8)}),
    "cs": NetworkConfig(1, 2, denoiser="unet", denoiser_settings={"widths": (4, 8)}),
    "sr": NetworkConfig(3, 2, denoiser="unet", denoiser_settings={"widths": (4, 8)}),
}
TINY = ("--set", "crop=16,24", "--set", "batch=2", "--set", "built_in=0", "--set", "ema_decay=0.8")
TINY += ("--set", "warm_up_steps=2", "--set", "adapter_learning_rate=0.01", "--set", "check_size=32,48")
TINY += ("--set", "precision=float32")


@dataclass(frozen=True)
class Place:
    library: tuple[Path, ...]
    resources: Path | None = RESOURCES


def new_set(task: str, folder: Path, *, seed: int = 0) -> Path:
    """A set whose network nobody has trained, in a library folder."""
    config = NETWORKS[task]
    torch.manual_seed(seed)
    backbone = Backbone(config).requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    adapters = new_adapters(backbone.blocks[0], num_stages=2, gamma=50, generator=generator)
    tensors = {**adapters.tensors, **new_step_parameters(config)}
    facts = {
        "cassi": {"wavelengths_nm": BANDS.tolist(), "step": 2.0},
        "cs": {"ratio": 25, "block_size": 8},
        "sr": {"scales": [2]},
    }[task]
    if task == "cs":
        tensors[SAMPLING] = torch.from_numpy(cs.random_sampling(25, block_size=8))
    adapters = adapters.mapped(tensors)
    card = {"task_config": facts, "input_scale": "exposure" if task == "cassi" else "none", "training": {}}
    model = Model(task, task, UnfoldingNet(config, backbone, adapters), card=card)
    folder.mkdir(exist_ok=True)
    digest = save_backbone(folder / "backbone.safetensors", backbone, config, task=task, training={})
    save_adapters(folder / f"{task}.safetensors", model, backbone_hash=digest)
    return folder / f"{task}.safetensors"


def scene(seed: int, num_bands: int, height: int = 32, width: int = 48) -> np.ndarray:
    """(C, H, W) soft spots of random spectra."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    spots = [np.exp(-((y - rng.uniform(0, height)) ** 2 + (x - rng.uniform(0, width)) ** 2) / 50) for _ in range(5)]
    spectra = rng.uniform(0.1, 1, (5, num_bands))
    return np.einsum("nhw,nc->chw", np.stack(spots), spectra).clip(0, 1).astype(np.float32)


def scenes(task: str, folder: Path, *, count: int = 4, first: int = 0) -> list[Path]:
    """Files of scenes of the task."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"scene{number}.h5" for number in range(first, first + count)]
    for number, path in enumerate(paths, first):
        num_bands = {"cassi": 6, "cs": 1, "sr": 3}[task]
        wavelengths_nm = BANDS if task == "cassi" else None
        write_cube(path, scene(number, num_bands), wavelengths_nm=wavelengths_nm, attributes={"source": "made"})
    return paths


def camera(task: str) -> Camera:
    """A camera that the set does not know."""
    if task == "cassi":
        mask, dispersion = random_mask(32, 48, density=0.3, seed=5), Dispersion(6, 1.5, axis="y", direction="-")
        return CassiCamera(Noise("shot", 2000), mask=mask, dispersion=dispersion, wavelengths_nm=BANDS)
    if task == "cs":
        return cs.CsCamera(sampling=cs.random_sampling(40, block_size=8, seed=9))
    return sr.SrCamera(Noise("gaussian", 0.01), kernel=gaussian_kernel(0.9, size=9), scale=2)


def captures(task: str, folder: Path, *, count: int = 4, known: bool) -> list[Path]:
    """Measurement files of scenes by `camera`, with their references or without."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"capture{number}.h5" for number in range(count)]
    for number, path in enumerate(paths):
        one = Scene(scene(number, {"cassi": 6, "cs": 1, "sr": 3}[task]), BANDS if task == "cassi" else None)
        measured = camera(task).measured(one, seed=number)
        if not known:
            measured = type(measured)(
                measured.task, measured.y, measured.physics, measured.wavelengths_nm, input_scale=measured.input_scale
            )
        write_measurement(path, measured, attributes={})
    return paths


def flags(task: str, folder: Path) -> list[str]:
    """The flags of `camera`."""
    if task == "cassi":
        np.save(folder / "mask.npy", camera(task).mask)
        return [
            "--mask",
            str(folder / "mask.npy"),
            "--step",
            "1.5",
            "--axis",
            "y",
            "--direction=-",
            "--noise",
            "shot:2000",
        ]
    if task == "cs":
        np.save(folder / "matrix.npy", camera(task).sampling)
        return ["--sampling", str(folder / "matrix.npy")]
    np.save(folder / "blur.npy", camera(task).kernel)
    return ["--kernel", str(folder / "blur.npy"), "--scale", "2", "--noise", "gaussian:0.01"]


def train(library: Path, *words: object) -> int:
    _, configure, command = COMMANDS["train"]
    parser = argparse.ArgumentParser()
    configure(parser)
    return command(parser.parse_args([str(word) for word in words]), Place((library,)))


def score(model: Model, task: str) -> float:
    """The mean PSNR on scenes that no training here has seen."""
    windows = [
        Window(str(seed), Scene(scene(seed, {"cassi": 6, "cs": 1, "sr": 3}[task]), BANDS if task == "cassi" else None))
        for seed in (100, 101)
    ]
    return float(np.mean([found.metrics["psnr"] for found in evaluate(model, windows, camera(task).measured)]))


def require_better(run: Path, library: Path, task: str, *, by: float) -> TrainEvent:
    """The last event, after the new set was checked: it fits its backbone, which is unchanged, and scores better."""
    before, after = load_model(run / "start.safetensors"), load_model(run / "adapters.safetensors")
    config = after.net.config
    assert backbone_hash(after.net.backbone, config) == read_card(library / "backbone.safetensors").hash
    sampling = {SAMPLING: after.adapters.tensors[SAMPLING]} if SAMPLING in after.adapters.tensors else {}
    own = {name: tensor for name, tensor in before.adapters.tensors.items() if name != SAMPLING}
    before = before.with_adapters(AdapterSet(2, {**own, **sampling}))
    before = type(before)("start", task, before.net, card=after.card)
    assert score(after, task) > score(before, task) + by
    return read_events(run / "events.jsonl")[-1]


@pytest.mark.parametrize("task", ["cassi", "cs", "sr"])
def test_scenes_measured_by_the_own_camera_raise_the_score_with_it(task, tmp_path):
    set_file = new_set(task, tmp_path / "library")
    data = scenes(task, tmp_path / "data")
    words = ["--adapt", set_file, "--data", *data, "--out", tmp_path / "run", "--steps", 40, *TINY]
    assert train(tmp_path / "library", *words, "--set", "validation_steps=20", *flags(task, tmp_path)) == 0
    last = require_better(tmp_path / "run", tmp_path / "library", task, by=0.5)
    assert isinstance(last, Finished) and last.result.metrics["psnr"] > last.result.start_metrics["psnr"]
    card = read_card(tmp_path / "run" / "adapters.safetensors").fields
    assert card["made_from"] == {"adapted": [task, read_card(set_file).hash]}
    assert card["training"]["files"] == [path.name for path in data[:3]] and card["checked_on"] == [data[3].name]
    assert card["training"]["started_from"] == task
    scores = {name: card["metrics"][f"{name}_psnr"] for name in ("start", "validation")}
    assert scores == {"start": last.result.start_metrics["psnr"], "validation": last.result.metrics["psnr"]}


@pytest.mark.parametrize("task", ["cassi", "cs", "sr"])
def test_pairs_of_measurement_and_reference_raise_the_score(task, tmp_path):
    set_file = new_set(task, tmp_path / "library")
    data = captures(task, tmp_path / "data", known=True)
    words = ["--adapt", set_file, "--route", "pairs", "--data", *data, "--out", tmp_path / "run", "--steps", 40]
    assert train(tmp_path / "library", *words, *TINY, "--set", "validation_steps=20") == 0
    require_better(tmp_path / "run", tmp_path / "library", task, by=0.5)


@pytest.mark.parametrize("task", ["cassi", "cs", "sr"])
def test_measurements_alone_raise_the_score_on_scenes_whose_truth_is_known(task, tmp_path):
    library = tmp_path / "library"
    set_file = new_set(task, library)
    if task == "cassi":  # a mask hides most voxels for good: what lies between must have been learned somewhere
        others = scenes("cassi", tmp_path / "others", first=50)
        words = ["--adapt", set_file, "--data", *others, "--out", tmp_path / "other-camera", "--steps", 80, "--step", 1]
        assert train(library, *words, *TINY, "--set", "validation_steps=40") == 0
        set_file = library / "cassi.safetensors"
        (tmp_path / "other-camera" / "adapters.safetensors").replace(set_file)
    data = captures(task, tmp_path / "data", known=False)
    words = ["--adapt", set_file, "--route", "captures", "--data", *data, "--out", tmp_path / "run", "--steps", 40]
    words += [*TINY, "--set", "validation_steps=20", "--set", "adapter_learning_rate=0.004"]
    assert train(library, *words, *flags(task, tmp_path)) == 0
    last = require_better(tmp_path / "run", library, task, by=0.2)
    assert last.result.metrics["withheld_psnr"] > last.result.start_metrics["withheld_psnr"]


@pytest.mark.parametrize("task", ["cassi", "cs", "sr"])
def test_a_single_capture_is_never_learned_from_where_it_is_scored(task):
    capture = camera(task).measured(Scene(scene(1, NETWORKS[task].channels), BANDS if task == "cassi" else None))
    *_, hidden = withheld_for_scores(torch.from_numpy(capture.y)[None], capture.physics, 0.1)
    other = replace(capture, y=capture.y + 3 * hidden[0].numpy())
    data = LocalData(crop=(16, 24), withheld=0.1)
    samples = []
    for one in (capture, other):
        sampler = CaptureSampler.of([one], data, None, scored_alone=True)
        samples.append(sampler.sample(torch.Generator().manual_seed(2)))
    assert hidden.any() and torch.equal(samples[0].y, samples[1].y)

    def error(sample) -> float:
        estimate = torch.rand(2, *sample.physics.scene_shape, generator=torch.Generator().manual_seed(3))
        generator = torch.Generator().manual_seed(4)
        loss = self_supervised_loss(
            lambda y, physics: estimate, sample.y, sample.physics, generator, share=0.1, equivariance=0, noise=None
        )
        return float(loss)

    assert error(samples[0]) == error(samples[1]) > 0


def test_a_single_capture_says_on_which_values_it_was_checked(tmp_path):
    library = tmp_path / "library"
    set_file = new_set("cassi", library)
    (path,) = captures("cassi", tmp_path / "data", count=1, known=False)
    words = ["--adapt", set_file, "--route", "captures", "--data", path, "--out", tmp_path / "run", "--steps", 2]
    assert train(library, *words, *TINY) == 0
    card = read_card(tmp_path / "run" / "adapters.safetensors").fields
    assert card["checked_on"] == ["withheld values of capture0.h5"]
    assert {"start_withheld_psnr", "validation_withheld_psnr"} <= set(card["metrics"])


def quick_run(tmp_path: Path, *words: object, name: str = "run", steps: int = 4) -> Path:
    """A short adaptation of a CASSI set to scenes by `camera`; its folder."""
    library, run = tmp_path / "library", tmp_path / name
    set_file = library / "cassi.safetensors"
    if not set_file.exists():
        new_set("cassi", library)
    data = scenes("cassi", tmp_path / "data", count=2)
    fixed = ["--adapt", set_file, "--data", *data, "--out", run, "--steps", steps, *TINY]
    settings = ["--set", "validation_steps=2", "--set", "checkpoint_steps=1"]
    assert train(library, *fixed, *settings, *flags("cassi", tmp_path), *words) == 0
    return run


def test_the_same_seed_gives_the_same_set_and_another_one_does_not(tmp_path):
    hashes = [
        read_card(quick_run(tmp_path, "--seed", seed, name=f"run{number}") / "adapters.safetensors").hash
        for number, seed in enumerate((3, 3, 4))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_run_that_was_stopped_and_resumed_ends_with_the_set_of_an_unbroken_one(tmp_path, monkeypatch):
    whole = read_card(quick_run(tmp_path, name="whole") / "adapters.safetensors").hash
    from lorun_engine.training import steering

    orders = iter([None, "stop"])
    with monkeypatch.context() as patch:
        patch.setattr(steering.CommandFile, "__call__", lambda self: next(orders, None))
        run = quick_run(tmp_path, name="broken")
    last = read_events(run / "events.jsonl")[-1]
    assert (last.event, last.reason, last.step) == ("stopped", "asked", 2)
    assert load_model(run / "adapters.safetensors").num_stages == 2 and (run / "report.html").is_file()
    assert str(tmp_path).encode() not in (run / "checkpoint.safetensors").read_bytes()
    assert train(tmp_path / "library", "--resume", run) == 0
    assert read_card(run / "adapters.safetensors").hash == whole


def test_a_run_folder_holds_recipe_data_list_checkpoints_and_a_report_that_needs_nothing_else(tmp_path):
    run = quick_run(tmp_path, "--name", "Lab <1>")
    names = {path.name for path in run.iterdir()}
    assert names >= {
        *("recipe.toml", "data.json", "events.jsonl", "report.html", "adapters.safetensors", "start.safetensors"),
        *("checkpoint.safetensors", "checkpoint-1.safetensors", "checkpoint-2.safetensors", "camera.safetensors"),
    }
    recipe = read_recipe(run / "recipe.toml")
    assert recipe.training.adapter_steps == 4 and recipe.adapts == read_card(run / "start.safetensors").hash
    assert toml_text(recipe) == (run / "recipe.toml").read_text()
    listed = json.loads((run / "data.json").read_text())
    assert [entry["use"] for entry in listed["files"]] == ["learn", "check"]
    assert all(len(entry["sha256"]) == 64 for entry in listed["files"])
    page = (run / "report.html").read_text()
    assert "Lab &lt;1&gt;" in page and listed["files"][0]["sha256"] in page and page.count("<svg") == 2
    assert not re.search(r"https?://|<script|<link|src=", page)


def test_a_preview_shows_the_own_capture_by_both_sets(tmp_path):
    path = captures("cassi", tmp_path / "own", count=1, known=False)[0]
    run = quick_run(tmp_path, "--like", path)
    with np.load(run / "preview.npz") as stored:
        assert int(stored["step"]) == 4 and stored["before"].shape == stored["after"].shape == (6, 32, 48)
        assert not np.array_equal(stored["before"], stored["after"])
        np.testing.assert_array_equal(stored["wavelengths_nm"], BANDS)
    shown = [event for event in read_events(run / "events.jsonl") if isinstance(event, Previewed)]
    assert shown[0].step == 0 and shown[0].is_start and shown[-1].step == 4


def test_a_discarded_training_leaves_no_set(tmp_path, monkeypatch):
    from lorun_engine.training import steering

    orders = iter(["discard"])
    monkeypatch.setattr(steering.CommandFile, "__call__", lambda self: next(orders, None))
    run = quick_run(tmp_path)
    assert read_events(run / "events.jsonl")[-1].event == "discarded"
    assert not (run / "adapters.safetensors").exists() and not list(run.glob("checkpoint*"))


def test_no_better_score_for_a_while_ends_a_training_early(tmp_path):
    words = ("--set", "adapter_learning_rate=1e-30", "--set", "patience=2")
    last = read_events(quick_run(tmp_path, *words, steps=50) / "events.jsonl")[-1]
    assert (last.event, last.reason, last.step) == ("stopped", "early", 4)
    assert last.result.metrics == last.result.start_metrics


def test_a_full_disk_is_told_before_the_last_good_checkpoint_is_touched(tmp_path, monkeypatch):
    import errno

    from lorun_engine.training import state

    written, save = [], state.save

    def full(tensors, **rest):
        written.append(tensors)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(tensors, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(state, "save", full)
        with pytest.raises(FileError, match="No space left on device.*checkpoint in .* is the last good one"):
            quick_run(tmp_path)
    run = tmp_path / "run"
    last = read_events(run / "events.jsonl")[-1]
    assert (last.event, last.reason) == ("stopped", "disk-full")
    assert not [path for path in run.iterdir() if path.name.startswith(".")]  # no half-written file is left
    assert train(tmp_path / "library", "--resume", run) == 0
    unbroken = quick_run(tmp_path, name="unbroken")
    assert read_card(run / "adapters.safetensors").hash == read_card(unbroken / "adapters.safetensors").hash


def test_too_little_space_is_noticed_before_anything_is_written(tmp_path, monkeypatch):
    from collections import namedtuple

    from lorun_engine.training import run_folder

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda folder: usage(10, 9, 1))
    with pytest.raises(FileError, match="disk of .* is full"):
        quick_run(tmp_path)
    assert not list((tmp_path / "run").glob("checkpoint*"))


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    run = quick_run(tmp_path)
    (run / "checkpoint.safetensors").write_bytes(b"lost by the disk")
    assert train(tmp_path / "library", "--resume", run) == 0
    assert read_events(run / "events.jsonl")[-1].event == "finished"


def test_a_probe_measures_what_every_preset_takes_and_writes_nothing(tmp_path, capsys):
    set_file = new_set("cassi", tmp_path / "library")
    data = scenes("cassi", tmp_path / "data", count=2)
    words = ["--adapt", set_file, "--data", *data, "--probe", "--events", "json", *TINY, *flags("cassi", tmp_path)]
    assert train(tmp_path / "library", *words) == 0
    *so_far, event = map(json.loads, capsys.readouterr().out.splitlines())
    assert {early["event"] for early in so_far} == {"probing"} and so_far[0]["done"] == 0 < so_far[0]["total"] == 5
    assert list(so_far[0]["presets"]) == ["quick", "standard", "thorough"]  # after one step
    assert so_far[-1]["done"] == 5
    assert event["event"] == "probe" and event["parameters"] == read_card(set_file).fields["num_parameters"]
    assert list(event["presets"]) == ["quick", "standard", "thorough"]
    assert all(cost["steps"] >= 30 and cost["seconds"] > 0 for cost in event["presets"].values())
    assert event["metrics"]["psnr"] > 0 and event["known_metrics"]["psnr"] > 0 and "dB" in event["message"]
    assert {path.name for path in tmp_path.iterdir()} == {"library", "data", "mask.npy"}


def test_a_camera_that_the_set_was_trained_for_is_said_to_be_served(tmp_path, capsys):
    set_file = new_set("cassi", tmp_path / "library")
    data = scenes("cassi", tmp_path / "data", count=2)
    np.save(tmp_path / "mask.npy", random_mask(32, 48, seed=5))
    words = ["--adapt", set_file, "--data", *data, "--probe", "--events", "json", *TINY]
    assert train(tmp_path / "library", *words, "--mask", tmp_path / "mask.npy") == 0
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert event["serves"] and "serves yours already" in event["message"]


def test_unusable_and_equal_files_are_left_out_with_a_reason_and_never_split_apart(tmp_path):
    good = scenes("cassi", tmp_path / "data", count=3)
    (tmp_path / "data" / "broken.h5").write_bytes(b"no file of this kind")
    twin = tmp_path / "data" / "twin.h5"
    write_cube(twin, scene(0, 6), wavelengths_nm=BANDS, attributes={"source": "another name"})
    loud = tmp_path / "data" / "loud.h5"
    write_cube(loud, 100 * scene(7, 6), wavelengths_nm=BANDS, attributes={"source": "made"})
    other = tmp_path / "data" / "other.h5"
    write_cube(other, scene(8, 11), wavelengths_nm=np.linspace(440, 660, 11), attributes={"source": "made"})
    found = examined(
        [*good, tmp_path / "data" / "broken.h5", twin, loud, other], [], OwnFiles("scenes", camera("cassi"))
    )
    reasons = {path.name: reason for path, reason in found.skipped}
    assert set(reasons) == {"broken.h5", "twin.h5", "loud.h5"}
    assert "the same as scene0.h5" in reasons["twin.h5"] and "0 to 1 was expected" in reasons["loud.h5"]
    assert "11 bands from 440 to 660 nm were resampled" in found.notes[0]
    assert [file.use for file in found.files] == ["learn", "learn", "learn", "check"]


def test_a_single_scene_is_split_in_two_parts_with_a_gap(tmp_path):
    (path,) = scenes("cassi", tmp_path / "data", count=1)
    reading = OwnFiles("scenes", camera("cassi"))
    learn, check = examined([path], [], reading).files
    assert learn.rows == (0, 19) and check.rows[0] - learn.rows[1] == 4 and check.rows[1] == 32
    np.testing.assert_array_equal(reading.scene(check).image, scene(0, 6)[:, 23:])


def test_of_scenes_that_take_too_much_memory_the_middle_of_each_is_learned_from(tmp_path, monkeypatch):
    paths = scenes("cassi", tmp_path / "data", count=5)
    one = 6 * 32 * 48 * 4  # bytes
    monkeypatch.setattr(own_files, "_LARGEST_BYTES", 2 * one)
    monkeypatch.setattr(own_files, "_LEAST_ROWS", 4)
    found = examined(paths, [], OwnFiles("scenes", camera("cassi")))
    assert [file.rows for file in found.files] == [(8, 24)] * 4 + [None]  # half of each of the four
    assert found.notes == ("All scenes would take 0.0 GB of memory; the middle 50% of every one is learned from.",)


def test_a_single_pair_cannot_be_learned_from_and_checked_on(tmp_path):
    data = captures("cassi", tmp_path / "data", count=1, known=True)
    with pytest.raises(FileError, match="the only pair"):
        examined(data, [], OwnFiles("pairs", camera("cassi")))


def test_only_files_to_check_or_none_that_serves_is_a_sentence(tmp_path):
    (path,) = scenes("cassi", tmp_path / "data", count=1)
    reading = OwnFiles("scenes", camera("cassi"))
    with pytest.raises(FileError, match="Every file is withheld"):
        examined([], [path], reading)
    (tmp_path / "x.h5").write_bytes(b"")
    with pytest.raises(FileError, match="None of 1 files"):
        examined([tmp_path / "x.h5"], [], reading)


@pytest.mark.parametrize("task", ["cassi", "cs", "sr"])
def test_a_camera_survives_its_file_and_is_found_again_in_its_measurements(task, tmp_path):
    own = camera(task)
    save_camera(own, tmp_path / "camera.safetensors")
    again = read_camera(tmp_path / "camera.safetensors")
    one = Scene(scene(1, {"cassi": 6, "cs": 1, "sr": 3}[task]), BANDS if task == "cassi" else None)
    measured = own.measured(one, seed=4)
    np.testing.assert_array_equal(again.measured(one, seed=4).y, measured.y)
    found = camera_of(measured, noise=own.noise)
    np.testing.assert_array_equal(found.measured(one, seed=4).y, measured.y)


def test_settings_replace_single_fields_and_unknown_ones_are_a_sentence(tmp_path):
    card = read_card(new_set("cassi", tmp_path / "library"))
    recipe = adapt_recipe({"training": {"loss": "l1"}}, card, settings={"batch": 7, "seed": 5}, source="test")
    assert (recipe.data.batch, recipe.training.seed, recipe.training.loss) == (7, 5, "l1")
    assert recipe.phases == ("adapters",)
    with pytest.raises(LorunError, match="no setting 'speed'"):
        adapt_recipe({}, card, settings={"speed": 9}, source="test")


def test_a_new_ratio_gets_a_fresh_orthonormal_matrix_that_is_learned(tmp_path):
    set_file = new_set("cs", tmp_path / "library")
    data = scenes("cs", tmp_path / "data", count=2)
    words = ["--adapt", set_file, "--data", *data, "--out", tmp_path / "run", "--steps", 12, "--ratio", 50, *TINY]
    assert train(tmp_path / "library", *words, "--set", "validation_steps=6") == 0
    start = read_camera(tmp_path / "run" / "camera.safetensors").sampling
    np.testing.assert_allclose(start @ start.T, np.eye(32), atol=1e-5)
    learned = load_model(tmp_path / "run" / "adapters.safetensors")
    assert learned.adapters.sampling.shape == (32, 64) and learned.card["task_config"]["ratio"] == 50
    assert not np.array_equal(learned.adapters.sampling.numpy(), start)


def test_what_an_adaptation_lacks_is_a_sentence(tmp_path):
    set_file = new_set("cassi", tmp_path / "library")
    with pytest.raises(LorunError, match="needs --out RUN"):
        train(tmp_path / "library", "--adapt", set_file)
    with pytest.raises(LorunError, match="is a set for cassi"):
        train(tmp_path / "library", "--adapt", set_file, "--task", "sr", "--out", tmp_path / "run")
    with pytest.raises(LorunError, match="needs measurements"):
        train(tmp_path / "library", "--adapt", set_file, "--route", "captures", "--out", tmp_path / "run")
    with pytest.raises(LorunError, match="--probe measures an adaptation"):
        train(tmp_path / "library", "--probe")
