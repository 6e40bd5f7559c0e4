"""Precision, memory layout and threads of a training: chosen by a few gradients, recorded, and without a trace."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lorun_engine.errors import LorunError
from lorun_engine.library.cards import read_card
from lorun_engine.training import execution
from lorun_engine.training.execution import Way, settle, way_of
from lorun_engine.training.recipe import AUTO, TrainingConfig, preset_values, read_recipe
from lorun_engine.training.state import TrainingState
from lorun_engine.training.train import _pool, _training_set, resume, train
from tests.engine.training.test_adapting import TINY, camera, new_set, scenes
from tests.engine.training.test_adapting import train as adapted
from tests.engine.training.test_train import RECIPES, losses, material, tiny  # noqa: F401 (a fixture)

ONE, TWO = Way(threads=1), Way(threads=2)
LAST = replace(TWO, channels_last=True)
HALF = replace(LAST, precision="bfloat16")
QUICK_LAST = {ONE: 3.0, TWO: 2.0, LAST: 1.0, HALF: 1.5}


@pytest.fixture(autouse=True)
def two_threads():
    """A process of two threads, which a training may change."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def measured(monkeypatch, seconds: dict[Way, float], *, has_bfloat16: bool = True) -> list[Way]:
    """Lets every way take so many seconds, whatever it took; the ways that were tried."""
    tried, real = [], execution.seconds_of

    def seconds_of(state, sample, *, limit_s):
        real(state, sample, limit_s=limit_s)
        tried.append(way_of(state.recipe))
        return seconds[tried[-1]]

    monkeypatch.setattr(execution, "seconds_of", seconds_of)
    monkeypatch.setattr(execution, "computes_bfloat16", lambda state: has_bfloat16)
    return tried


def begun(material, **changes) -> TrainingState:  # noqa: F811
    recipe = tiny(**{"precision": AUTO, **changes})
    return TrainingState.new(recipe, material, recipe.phases, torch.device("cpu"))


def settled(state: TrainingState) -> str | None:
    return settle(state, _pool(state, _training_set(state).sampler))


@pytest.mark.parametrize(
    "seconds, expected",
    [
        (QUICK_LAST, LAST),
        ({ONE: 3.0, TWO: 2.0, LAST: 1.5, HALF: 1.0}, HALF),
        ({ONE: 3.0, TWO: 2.0, LAST: 1.9, HALF: 1.85}, TWO),  # less than 10 % quicker
        ({ONE: 3.0, TWO: 40.0, replace(LAST, threads=1): 4.0, replace(HALF, threads=1): 5.0}, ONE),  # a busy machine
    ],
)
def test_the_quickest_way_is_taken_where_it_is_worth_it(material, monkeypatch, seconds, expected):  # noqa: F811
    tried, state = measured(monkeypatch, seconds), begun(material)
    message = settled(state)
    assert tried == list(seconds) and way_of(state.recipe) == expected
    assert message.endswith(f"This training is computed in {expected}.")
    assert all(f"{figure:.3g} s in {way}" in message for way, figure in seconds.items())
    assert torch.get_num_threads() == expected.threads


def test_a_processor_without_bfloat16_is_not_asked_for_a_step_of_it(material, monkeypatch):  # noqa: F811
    tried, state = measured(monkeypatch, QUICK_LAST, has_bfloat16=False), begun(material)
    assert "bfloat16 is slower than float32 on this processor" in settled(state)
    assert HALF not in tried and way_of(state.recipe) == LAST


def test_threads_and_layout_that_are_given_are_not_tried_otherwise(material, monkeypatch):  # noqa: F811
    given = replace(LAST, threads=1)
    tried = measured(monkeypatch, {given: 2.0, replace(HALF, threads=1): 1.9})
    state = begun(material, threads=1, channels_last=True)
    settled(state)
    assert tried == [given, replace(HALF, threads=1)] and way_of(state.recipe) == given


@pytest.mark.parametrize("changes", [{}, {"warm_start_steps": 0}])
def test_trying_leaves_weights_gradients_and_random_numbers_as_they_were(material, monkeypatch, changes):  # noqa: F811
    measured(monkeypatch, QUICK_LAST)
    state, untouched = begun(material, **changes), begun(material, **changes)
    settled(state)
    assert torch.equal(state.generator.get_state(), untouched.generator.get_state()) and state.course.step == 0
    assert all(torch.equal(tensor, untouched.learned.tensors[name]) for name, tensor in state.learned.tensors.items())
    assert all(tensor.grad is None for tensor in state.learned.tensors.values()) and not state.learned.optimizer.state


def test_a_training_that_chose_is_that_of_the_way_it_chose(material, tmp_path, monkeypatch):  # noqa: F811
    measured(monkeypatch, QUICK_LAST)
    events = list(train(tiny(precision=AUTO), material, tmp_path / "chose"))
    assert [event.event for event in events[:3]] == ["started", "path", "step"]
    torch.set_num_threads(2)
    told = list(train(tiny(channels_last=True, threads=2), material, tmp_path / "told"))
    assert losses(events) == losses(told) and "path" not in [event.event for event in told]
    cards = [read_card(tmp_path / name / "adapters.safetensors") for name in ("chose", "told")]
    assert cards[0].hash == cards[1].hash
    facts = cards[0].fields["training"]
    assert (facts["precision"], facts["channels_last"], facts["threads"]) == ("float32", True, 2)


def test_a_resumed_training_goes_on_the_way_it_began_without_trying(material, tmp_path, monkeypatch):  # noqa: F811
    measured(monkeypatch, QUICK_LAST)
    unbroken = losses(train(tiny(precision=AUTO), material, tmp_path / "whole"))
    events, found = train(tiny(precision=AUTO), material, tmp_path / "run"), []
    for event in events:
        if event.event == "step":
            found.append(event.loss)
        if len(found) == 3:
            break
    events.close()
    monkeypatch.setattr(execution, "seconds_of", None)  # nobody may ask
    torch.set_num_threads(1)
    rest = list(resume(tmp_path / "run"))
    assert found + losses(rest) == unbroken and "path" not in [event.event for event in rest]
    assert torch.get_num_threads() == 2
    list(resume(tmp_path / "run", threads=1))
    assert torch.get_num_threads() == 1


def test_what_is_hopeless_is_tried_once_and_the_rest_a_few_times(material):  # noqa: F811
    state, calls = begun(material), []
    execution._quickest(state, lambda: calls.append(1), limit_s=-1.0)
    assert len(calls) == 1
    execution._quickest(state, lambda: calls.append(1), limit_s=float("inf"))
    assert len(calls) == 4


def test_the_real_measurement_chooses_something_that_trains(material, tmp_path):  # noqa: F811
    events = list(train(tiny(precision=AUTO), material, tmp_path / "run"))
    assert events[-1].event == "finished" and all(np.isfinite(losses(events)))
    assert "This training is computed in " in events[1].message


def test_an_unknown_precision_is_a_sentence():
    with pytest.raises(LorunError, match="auto, float32 or bfloat16 was expected"):
        TrainingConfig(precision="float8")


def test_the_recipes_for_any_computer_leave_the_choice_to_it():
    small = [read_recipe(path) for path in RECIPES.glob("*-small.toml")]
    assert small and all(recipe.training.precision == AUTO and not recipe.training.channels_last for recipe in small)
    for path in (RECIPES / "adapt").glob("*.toml"):
        assert preset_values(path)["precision"] == AUTO


def test_the_trial_of_an_adaptation_chooses_once_for_all_presets(tmp_path, monkeypatch, capsys):
    tried = measured(monkeypatch, QUICK_LAST)
    words = adaptation(tmp_path)
    assert adapted(tmp_path / "library", *words, "--probe", "--events", "json") == 0
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert tried == list(QUICK_LAST) and len(event["presets"]) == 3
    assert event["path"].endswith("This training is computed in float32 channels last on 2 threads.")


def test_an_adaptation_chooses_before_its_first_score_and_takes_the_threads_it_is_told(tmp_path, monkeypatch, capsys):
    tried = measured(monkeypatch, {ONE: 3.0, replace(LAST, threads=1): 2.0, replace(HALF, threads=1): 3.0})
    words = [*adaptation(tmp_path), "--threads", 1, "--steps", 2, "--out", tmp_path / "run", "--events", "json"]
    assert adapted(tmp_path / "library", *words) == 0
    names = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert names.index("started") < names.index("path") < names.index("validated") and TWO not in tried
    assert read_card(tmp_path / "run" / "adapters.safetensors").fields["training"]["threads"] == 1


def adaptation(place: Path) -> list[object]:
    """The words of a small adaptation that leaves its precision open."""
    set_file, data = new_set("cassi", place / "library"), scenes("cassi", place / "data", count=2)
    np.save(place / "mask.npy", camera("cassi").mask)
    return ["--adapt", set_file, "--data", *data, "--mask", place / "mask.npy", *TINY, "--set", f"precision={AUTO}"]
