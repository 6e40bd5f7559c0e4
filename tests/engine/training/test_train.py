"""Training by Algorithm 1 on tiny scenes: phases, what each may change, resuming, memory, numbers that go wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lorun_engine.errors import DeviceError, FileError, LorunError, NumericalError
from lorun_engine.io import WAVELENGTHS, write_cube
from lorun_engine.library.cards import read_card
from lorun_engine.library.model import backbone_hash, count_parameters, load_model
from lorun_engine.tasks.subspace import shipped_components
from lorun_engine.training import learning
from lorun_engine.training import train as training
from lorun_engine.training.events import TrainEvent
from lorun_engine.training.learning import distance
from lorun_engine.training.pool import StartPool
from lorun_engine.training.recipe import Recipe, read_recipe, recipe_from
from lorun_engine.training.state import TrainingState
from lorun_engine.training.train import resume, train
from lorun_engine.training_data.cassi import cassi_sampler, training_set
from lorun_engine.training_data.dataset import Material, Sample, find_material
from lorun_engine.training_data.settings import CassiData

BANDS = np.asarray(WAVELENGTHS["cassi-28"])
RECIPES = Path(__file__).parents[3] / "resources" / "recipes"


def smooth_cube(seed: int, height: int = 24, width: int = 40) -> np.ndarray:
    """(28, H, W): soft spots of three colours."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    colours = np.exp(-((np.arange(28)[None] - np.array([[4], [14], [22]])) ** 2) / 30)
    spots = [np.exp(-((y - rng.uniform(0, height)) ** 2 + (x - rng.uniform(0, width)) ** 2) / 60) for _ in range(3)]
    return np.einsum("nc,nhw->chw", colours, np.stack(spots)).clip(0, 1).astype(np.float32)


@pytest.fixture
def material(tmp_path) -> Material:
    folder = tmp_path / "cubes"
    folder.mkdir()
    for seed, name in enumerate(("first", "second")):
        write_cube(folder / f"{name}.h5", smooth_cube(seed), wavelengths_nm=BANDS, attributes={"source": "made"})
    return find_material(folder)


def tiny(**changes) -> Recipe:
    """Two stages, few steps; `changes` are settings of [training] or of the recipe itself."""
    steps = {"warm_start_steps": 2, "backbone_steps": 4, "adapter_steps": 4, "validation_steps": 2, "warm_up_steps": 1}
    own = {name: changes.pop(name) for name in ("variant", "gamma") if name in changes}
    network = {
        "channels": 28,
        "num_stages": 2,
        "denoiser": "unet",
        "denoiser_settings": {"widths": [4, 8]},
        **changes.pop("network", {}),
    }
    data = {"crop": [8, 16], "batch": 4, "validation": ["second:lower"], **changes.pop("data", {})}
    return recipe_from({**own, "network": network, "data": data, "training": {**steps, **changes}}, source="test")


def losses(events) -> list[float]:
    return [event.loss for event in events if event.event == "step"]


def test_both_phases_run_and_leave_a_model_that_decodes(material, tmp_path):
    events = list(train(tiny(), material, tmp_path / "run"))
    phases = [(event.phase, event.step) for event in events if event.event == "step"]
    assert phases == [
        *[("warm-start", k) for k in (1, 2)],
        *[("backbone", k) for k in (1, 2, 3, 4)],
        *[("adapters", k) for k in (1, 2, 3, 4)],
    ]
    assert events[0].event == "started" and events[-1].event == "finished"
    assert all(np.isfinite(event.metrics["psnr"]) for event in events if event.event == "validated")
    model = load_model(tmp_path / "run" / "adapters.safetensors")
    assert model.num_stages == 2 and model.adapters.has_factors
    card = read_card(tmp_path / "run" / "adapters.safetensors").fields
    assert card["training"]["files"] == ["first.h5", "second.h5"] and card["metrics"]["validation_psnr"] > 0


def test_phase_2_changes_adapters_and_data_steps_and_never_the_backbone(material, tmp_path):
    run, recipe = tmp_path / "run", tiny(adapter_learning_rate=1e-2)
    list(train(recipe, material, run))
    share, lorun = load_model(run / "share.safetensors"), load_model(run / "adapters.safetensors")
    before, after = (backbone_hash(model.net.backbone, model.net.config) for model in (share, lorun))
    assert before == after == read_card(run / "backbone.safetensors").hash
    for stage in (1, 2):
        merged = lorun.adapters.weights(lorun.net.backbone.block_weights(stage), stage)
        backbone = share.net.backbone.block_weights(stage)
        assert any(not torch.equal(merged[name], backbone[name]) for name in backbone)
        mu = (model.adapters.step_parameters(stage)["mu"] for model in (share, lorun))
        assert not torch.equal(*mu)


def pooled(**changes) -> Recipe:
    """A training whose initial estimates are pooled."""
    network = {
        "denoiser_settings": {"widths": [4, 8], "sees_level": True},
        "data_step": "weighted-half-quadratic",
        "initial": "multiscale-tv",
        "initial_iterations": 10,
        "initial_rank": 4,
        "rank": 6,
    }
    data = {"shot_share": 0.5, "gaussian_share": 0.2, "other_steps": 0.5}
    settings = {"warm_start_steps": 0, "pool_size": 3, "pool_uses": 1, "loss": "decibel", **changes}
    return tiny(network=network, data=data, **settings)


@pytest.mark.parametrize("stop_after", [1, 3, 7])
@pytest.mark.parametrize("made", [tiny, pooled])
def test_a_run_that_was_interrupted_and_resumed_has_the_loss_sequence_of_an_unbroken_one(
    material, tmp_path, made, stop_after
):
    recipe = made(checkpoint_steps=1, optimizer="adamw", weight_decay=0.01)
    unbroken = losses(train(recipe, material, tmp_path / "unbroken"))
    found, events = [], train(recipe, material, tmp_path / "broken")
    while len(found) < len(unbroken):
        for event in events:
            if event.event == "step":
                found.append(event.loss)
                if len(found) % stop_after == 0:
                    events.close()
        events = resume(tmp_path / "broken")
    assert found == unbroken


def test_a_pool_makes_every_batch_once_and_forgets_the_oldest(material):
    recipe = pooled()
    sampler, _ = cassi_sampler(material, recipe.data, wavelengths_nm=BANDS, step=2.0)
    state = TrainingState.new(recipe, material, ("backbone",), torch.device("cpu"))
    made = []

    class Counting(StartPool):
        def _made(self, number):
            made.append(number)
            return super()._made(number)

    settings = {"seed": 1, "size": 4, "uses": 2, "device": "cpu"}
    pool = Counting(sampler, state.net(), **settings)
    generator = torch.Generator().manual_seed(2)
    samples = [pool.sample(generator, step) for step in range(40)]
    assert len(made) == len(set(made)) < 40 and len(pool._batches) <= 4
    assert max(made) <= 16 + 39 // 2 and min(made) >= 12
    again = Counting(sampler, state.net(), **settings)
    generator = torch.Generator().manual_seed(2)
    for _ in range(39):
        torch.randint(0, 4, (), generator=generator)  # what was drawn before
    last = again.sample(generator, 39)
    for name in ("scene", "y", "start", "variance"):
        assert torch.equal(getattr(last, name), getattr(samples[39], name))
    assert last.scene.dtype == torch.float32 and last.start.shape == last.scene.shape


def test_a_killed_run_goes_on_from_its_last_checkpoint(material, tmp_path):
    recipe = tiny(checkpoint_steps=2, checkpoint_s=1e9)
    unbroken = losses(train(recipe, material, tmp_path / "unbroken"))
    events = train(recipe, material, tmp_path / "killed")
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    for event in events:  # after step 3 of the backbone the last checkpoint is that of step 2
        if (event.event, event.phase, event.step) == ("step", "backbone", 3):
            kept = checkpoint.read_bytes()
            break
    events.close()
    checkpoint.write_bytes(kept)  # closing saved once more; a killed process cannot
    assert losses(resume(tmp_path / "killed")) == unbroken[4:]


def test_a_finished_run_has_nothing_left_to_do(material, tmp_path):
    list(train(tiny(), material, tmp_path / "run"))
    assert str(material.cubes[0][0].parent).encode() not in (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    assert losses(resume(tmp_path / "run")) == []


def test_a_piece_pauses_and_the_next_goes_on(material, tmp_path):
    unbroken = losses(train(tiny(), material, tmp_path / "whole"))
    events = list(train(tiny(piece_s=1e-9), material, tmp_path / "run"))
    assert events[-1].event == "paused" and len(losses(events)) == 1
    found = losses(events)
    for _ in range(len(unbroken)):
        found += losses(resume(tmp_path / "run"))
    assert found == unbroken


def test_changed_training_files_are_noticed_on_resuming(material, tmp_path):
    list(train(tiny(piece_s=1e-9), material, tmp_path / "run"))
    path = material.cubes[0][0]
    write_cube(path, smooth_cube(9), wavelengths_nm=BANDS, attributes={"source": "made"})
    with pytest.raises(FileError, match="have changed"):
        list(resume(tmp_path / "run"))


def test_a_folder_with_a_training_is_not_begun_again(material, tmp_path):
    list(train(tiny(piece_s=1e-9), material, tmp_path / "run"))
    with pytest.raises(FileError, match="Resume it"):
        train(tiny(), material, tmp_path / "run")
    with pytest.raises(FileError, match="is no folder"):
        resume(tmp_path / "nothing")


def test_a_full_memory_halves_the_parts_of_a_batch_and_goes_on_with_the_same_loss(material, tmp_path, monkeypatch):
    expected = losses(train(tiny(), material, tmp_path / "roomy"))
    whole = learning.gradients
    refused = []

    def small(state, net, sample):
        if state.course.num_parts < 4:
            refused.append(state.course.num_parts)
            raise torch.OutOfMemoryError("full")
        return whole(state, net, sample)

    monkeypatch.setattr(learning, "gradients", small)
    events = list(train(tiny(warm_start_steps=0), material, tmp_path / "tight"))
    memory = [event for event in events if event.event == "memory"]
    assert refused == [1, 2] and len(memory) == 1 and "4 parts" in memory[0].message
    monkeypatch.undo()
    plain = losses(train(tiny(warm_start_steps=0), material, tmp_path / "plain"))
    np.testing.assert_allclose(losses(events), plain, rtol=1e-3)
    assert len(expected) == len(plain) + 2


def test_a_memory_too_small_for_one_sample_is_a_sentence(material, tmp_path, monkeypatch):
    def full(state, net, sample):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(learning, "gradients", full)
    with pytest.raises(DeviceError, match="one sample at a time"):
        list(train(tiny(), material, tmp_path / "run"))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(material, tmp_path, monkeypatch):
    recipe = tiny(warm_start_steps=0, checkpoint_steps=1)
    unbroken = losses(train(recipe, material, tmp_path / "unbroken"))
    whole, calls = learning.gradients, []

    def poisoned(state, net, sample):
        calls.append(1)
        return float("nan") if len(calls) == 3 else whole(state, net, sample)

    monkeypatch.setattr(learning, "gradients", poisoned)
    events: list[TrainEvent] = []
    with pytest.raises(NumericalError, match="step 3 is not a finite number"):
        events.extend(iter_keeping(train(recipe, material, tmp_path / "run"), events))
    assert events[-1].event == "stopped"
    monkeypatch.undo()
    assert losses(resume(tmp_path / "run")) == unbroken[2:]


def iter_keeping(stream, kept):
    """Passes nothing on; keeps every event in `kept` as it comes."""
    for event in stream:
        kept.append(event)
    return []


def never_better(monkeypatch) -> None:
    """Lets every validation but the first of a phase score lower than the one before."""
    scores = iter(range(100, 0, -1))
    monkeypatch.setattr(training, "_scores", lambda *_: {"psnr": float(next(scores))})


def test_patience_ends_a_phase_and_the_next_begins(material, tmp_path, monkeypatch):
    never_better(monkeypatch)
    steps = {"warm_start_steps": 6, "backbone_steps": 9, "adapter_steps": 9, "validation_steps": 1}
    events = list(train(tiny(patience=2, **steps), material, tmp_path / "run"))
    done = [(event.phase, event.step) for event in events if event.event == "step"]
    assert done == [
        *[("warm-start", k) for k in range(1, 7)],  # which has no score that could get better
        *[("backbone", k) for k in (1, 2, 3)],
        *[("adapters", k) for k in (1, 2, 3)],
    ]
    assert (events[-1].event, events[-1].reason) == ("stopped", "early")
    assert "No better score in 2 validations" in events[-1].message
    assert list(resume(tmp_path / "run"))[-1].event == "stopped"


def test_patience_that_ended_a_phase_is_remembered_by_its_checkpoint(material, tmp_path, monkeypatch):
    never_better(monkeypatch)
    steps = {"warm_start_steps": 0, "backbone_steps": 9, "adapter_steps": 2, "validation_steps": 1}
    events = train(tiny(patience=2, checkpoint_steps=1, **steps), material, tmp_path / "run")
    for event in events:
        if event.event == "step" and event.step == 3:
            break
    events.close()
    rest = [event for event in resume(tmp_path / "run") if event.event in ("step", "phase", "finished")]
    assert [event.event for event in rest] == ["phase", "step", "step", "finished"]


@pytest.mark.parametrize(("variant", "num_blocks", "names"), [("share", 1, {"mu"}), ("block", 2, {"mu"})])
def test_the_comparisons_train_the_backbone_only(material, tmp_path, variant, num_blocks, names):
    events = list(train(tiny(variant=variant), material, tmp_path / "run"))
    assert {event.phase for event in events if event.event == "step"} == {"warm-start", "backbone"}
    budget = tiny().training.backbone_steps + tiny().training.adapter_steps
    assert sum(event.event == "step" and event.phase == "backbone" for event in events) == budget
    model = load_model(tmp_path / "run" / "share.safetensors")
    assert len(model.net.backbone.blocks) == num_blocks and not model.adapters.has_factors
    assert set(model.adapters.step_parameters(1)) == names


def test_independent_denoisers_start_as_the_warm_one_and_part_ways(material, tmp_path):
    list(train(tiny(variant="block", learning_rate=1e-2), material, tmp_path / "run"))
    first, second = load_model(tmp_path / "run" / "share.safetensors").net.backbone.blocks
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_phase_of_its_own_takes_the_backbone_of_the_folder(material, tmp_path):
    recipe = tiny(warm_start_steps=0)
    whole = losses(train(recipe, material, tmp_path / "whole"))
    first = losses(train(recipe, material, tmp_path / "parts", phases=["backbone"]))
    (tmp_path / "parts" / "checkpoint.safetensors").unlink()
    second = losses(train(recipe, material, tmp_path / "parts", phases=["adapters"]))
    assert first == whole[:4] and len(second) == 4


def test_the_adapters_of_a_set_go_on_to_learn(material, tmp_path):
    recipe, run = tiny(warm_start_steps=0), tmp_path / "run"
    list(train(recipe, material, run))
    before = load_model(run / "adapters.safetensors")
    (run / "checkpoint.safetensors").unlink()
    slow = tiny(warm_start_steps=0, adapter_learning_rate=1e-12)
    list(train(slow, material, run, phases=["adapters"], start=before))
    after = load_model(run / "adapters.safetensors")
    assert before.adapters.has_factors
    for name, tensor in before.adapters.tensors.items():
        torch.testing.assert_close(after.adapters.tensors[name], tensor, atol=1e-6, rtol=0)


def test_components_are_measured_from_the_training_spectra(material, tmp_path):
    network = {"initial": "subspace-tv", "initial_iterations": 2, "initial_rank": 3, "rank": 5}
    list(train(tiny(network=network), material, tmp_path / "run"))
    components = load_model(tmp_path / "run" / "adapters.safetensors").net.backbone.components
    energies = components.square().sum(dim=1)
    assert energies[:3].sum() > 0.98 * energies.sum()  # the scenes have three colours, relit


def test_a_network_that_starts_from_subspace_tv_has_the_components_of_that_decoder(material, tmp_path):
    list(train(pooled(backbone_steps=1, adapter_steps=1), material, tmp_path / "run"))
    components = load_model(tmp_path / "run" / "adapters.safetensors").net.backbone.components
    shipped = shipped_components(BANDS, 28)
    torch.testing.assert_close(components[: len(shipped)], shipped)
    gram = components @ components.T
    torch.testing.assert_close(gram, torch.diag(torch.diagonal(gram)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("loss", ["l2", "rmse", "l1", "charbonnier"])
def test_losses_are_means_over_pixels(loss):
    estimate, truth = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[1.0, 1.0]]]])
    expected = {"l2": 2.0, "rmse": 2**0.5, "l1": 1.0, "charbonnier": (0.001 + 4.000001**0.5) / 2}[loss]
    assert float(distance(estimate, truth, loss)) == pytest.approx(expected)


def test_decibels_count_every_band_by_itself():
    truth = torch.zeros(1, 2, 4, 4)
    estimate = truth + torch.tensor([0.1, 0.01]).reshape(1, 2, 1, 1)
    decibels = 10 / math.log(10) * float(distance(estimate, truth, "decibel"))
    assert decibels == pytest.approx((-20 - 40) / 2, abs=0.05)


def test_the_structural_loss_asks_for_details_beside_the_values():
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    truth = (0.5 + 0.3 * torch.sin(x) * torch.cos(y)).expand(1, 3, -1, -1)
    flat, darker = truth.mean() + 0 * truth, 0.9 * truth
    blurred = torch.nn.functional.avg_pool2d(truth, 3, stride=1, padding=1, count_include_pad=False)
    assert float(distance(truth, truth, "structural")) == pytest.approx(1e-3, abs=1e-5)
    for estimate, similar in ((flat, 0.05), (darker, 0.98)):
        structure = distance(estimate, truth, "structural") - distance(estimate, truth, "charbonnier")
        assert 1 - float(structure) / 0.2 == pytest.approx(similar, abs=0.05)
    assert distance(darker, truth, "structural") < distance(blurred, truth, "structural")


def test_unknown_settings_are_sentences(tmp_path):
    (tmp_path / "a.toml").write_text("[training]\nlearnig_rate = 1\n")
    with pytest.raises(FileError, match="unknown setting learnig_rate"):
        read_recipe(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text("gamma = \n")
    with pytest.raises(FileError, match="not valid TOML"):
        read_recipe(tmp_path / "b.toml")
    with pytest.raises(FileError, match="cannot be read"):
        read_recipe(tmp_path / "c.toml")
    with pytest.raises(LorunError, match="variant is 'many'"):
        tiny(variant="many")
    with pytest.raises(FileError, match="channels is missing"):
        recipe_from({"network": {"num_stages": 2}}, source="test")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_describes_a_network_that_can_be_built(path):
    recipe = read_recipe(path)
    assert recipe.phases[-2:] == ("backbone", "adapters") and recipe.gamma == 10
    assert count_parameters(recipe.network, gamma=recipe.gamma) > 0
    photographs = 1 if recipe.task == "cs" or getattr(recipe.data, "grey", False) else 3
    assert recipe.network.channels == (len(WAVELENGTHS[recipe.bands]) if recipe.task == "cassi" else photographs)


def test_validation_parts_are_never_drawn(tmp_path):
    folder = tmp_path / "cubes"
    folder.mkdir()
    cube = np.full((28, 32, 40), 0.25, dtype=np.float32)
    cube[:, 16:] = 0.75  # the lower half is held out
    write_cube(folder / "a.h5", cube, wavelengths_nm=BANDS, attributes={"source": "made"})
    config = CassiData(crop=(8, 16), batch=8, validation=("a:lower",))
    sampler, windows = cassi_sampler(find_material(folder), config, wavelengths_nm=BANDS, step=2.0)
    assert [window.scene.image.shape for window in windows] == [(28, 16, 40)]
    assert float(windows[0].scene.image.min()) == 0.75
    assert float(sampler.canvas.max()) == 0.25


def test_a_scene_that_is_held_out_whole_is_validated_on_few_windows_with_and_without_noise(tmp_path):
    folder = tmp_path / "cubes"
    folder.mkdir()
    for name, level, size in (("learned", 0.25, 40), ("kept", 0.75, 512)):
        cube = np.full((28, size, size), level, dtype=np.float32)
        write_cube(folder / f"{name}.h5", cube, wavelengths_nm=BANDS, attributes={"source": "made"})
    config = CassiData(crop=(8, 16), validation=("kept",), validation_windows=2, validation_electrons=100.0)
    drawn_from = training_set(find_material(folder), config, bands="cassi-28", step=2.0)
    assert float(drawn_from.sampler.canvas.max()) == 0.25
    (windows, plainly), (same, noisily) = drawn_from.validation
    assert [window.name for window in windows] == ["kept[0,0]", "kept[1,1]"] and same is windows
    clean, noisy = (measured(windows[0].scene, None).y for measured in (plainly, noisily))
    relative = (noisy - clean) / np.sqrt(clean.clip(1e-6) * clean.max() / 100)  # of the deviation of shot noise
    assert 0.9 < relative[clean > 0.1 * clean.max()].std() < 1.1


def test_varied_scenes_have_their_spectra_moved_a_little(tmp_path):
    folder = tmp_path / "cubes"
    folder.mkdir()
    bands = np.arange(28)
    line = np.exp(-((bands - 14) ** 2) / 18).astype(np.float32)
    cube = np.broadcast_to(line[:, None, None], (28, 32, 40)).copy()
    write_cube(folder / "a.h5", cube, wavelengths_nm=BANDS, attributes={"source": "made"})
    config = CassiData(crop=(8, 16), batch=64, validation=(), varied=0.5)
    sampler, _ = cassi_sampler(find_material(folder), config, wavelengths_nm=BANDS, step=2.0)
    scenes = sampler.sample(torch.Generator().manual_seed(1)).scene
    assert scenes.min() >= 0 and scenes.max() <= 1
    peaks = scenes[:, :, 0, 0].argmax(dim=1)
    moved = (peaks - 14).abs()
    assert 10 < (moved > 1).sum() < 40 and moved.max() <= 6


def test_a_sample_is_its_own_measurement_and_parts_put_together_are_the_whole(material):
    config = CassiData(crop=(8, 16), batch=5, validation=("second:lower",))
    sampler, _ = cassi_sampler(material, config, wavelengths_nm=BANDS, step=2.0)
    sample = sampler.sample(torch.Generator().manual_seed(1))
    assert sample.scene.shape == (5, 28, 8, 16) and 0 <= sample.scene.min() and sample.scene.max() <= 1
    torch.testing.assert_close(sample.y, sample.physics.forward(sample.scene))
    parts = sample.parts(2)
    assert [len(part.scene) for part in parts] == [3, 2] and isinstance(parts[0], Sample)
    torch.testing.assert_close(torch.cat([part.physics.forward(part.scene) for part in parts]), sample.y)


def test_the_checkpoint_says_in_plain_json_what_was_trained(material, tmp_path):
    list(train(tiny(piece_s=1e-9), material, tmp_path / "run"))
    content = Path(tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    facts = json.loads(header["__metadata__"]["checkpoint"])
    assert facts["phase"] == "warm-start" and facts["step"] == 1
    assert [entry["name"] for entry in facts["files"]] == ["first.h5", "second.h5"]
    assert recipe_from(facts["recipe"], source="checkpoint") == tiny(piece_s=1e-9)


@pytest.mark.gpu
def test_a_gpu_trains_in_half_precision_and_its_model_decodes_on_the_cpu(material, tmp_path):
    recipe = tiny(precision="bfloat16", channels_last=True, backbone_steps=30, learning_rate=3e-3)
    found = losses(train(recipe, material, tmp_path / "run", device="cuda:0"))
    assert np.isfinite(found).all() and np.mean(found[22:32]) < np.mean(found[2:12])
    assert load_model(tmp_path / "run" / "adapters.safetensors").net.backbone.blocks[0].out.weight.device.type == "cpu"
