"""The time that is left of a decode, by a clock of its own: within a third of the truth from a fifth of the run on."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QObject

from app.document.pace import Costs, Pace, Paces, Step, Timed, start_words
from app.document.recipe import Recipe
from lorun_engine.decoder import StartStep
from lorun_engine.io import OpenOptions

Run = list[tuple[Step, float]]  # what is told, and how long it took


def run(iterations: list[float], stages: list[float], *, zero: float = 0.0, reused: int = 0) -> Run:
    """A decode as the worker tells it; `reused` counts the stages, the start among them, that were kept."""
    begun = [(StartStep("subspace TV", 0, len(iterations)), 0.0)] if iterations else []
    start = [*begun, *((StartStep("subspace TV", n, len(iterations)), s) for n, s in enumerate(iterations, 1))]
    told: Run = [(Step(0, start=step), seconds) for step, seconds in start]
    costs = [0.0 if reused else zero, *stages]
    return told + [(Step(0, k, is_reused=k < reused), 0.0 if k < reused else s) for k, s in enumerate(costs)]


def followed(steps: Run, num_stages: int, before: Costs | None = None, *, scoring_s: float = 0.0) -> Pace:
    """Follows a run and asks often how much is left."""
    now = [100.0]
    pace = Pace(num_stages, before=before, clock=lambda: now[0], scoring_s=scoring_s)
    now[0] = 103.0  # it has waited
    pace.begin()
    total, share = sum(seconds for _, seconds in steps), 0.0
    for end, (step, seconds) in zip(accumulate(s for _, s in steps), steps, strict=True):
        for part in range(1, 10):
            now[0] = 103.0 + end - seconds * (1 - part / 10)
            truth = total - (now[0] - 103.0)
            if 0.2 * total <= now[0] - 103.0 and seconds and truth > 1e-9:
                assert pace.seconds_left == pytest.approx(truth, rel=1 / 3, abs=0.05 * total), (step, part)
            assert 0 <= share <= pace.share <= 1
            share = pace.share
        now[0] = 103.0 + end
        pace.take(Step(now[0], step.stage, step.start, step.is_reused))
    assert pace.seconds_left == 0 and pace.share == 1
    return pace


def test_a_long_start_and_short_stages():
    pace = followed(run(80 * [0.03], [0.2, 0.1, 0.1, 0.1], zero=0.02), 4)
    assert pace.seen.iteration_s == pytest.approx(0.03)
    assert (pace.seen.first_s, pace.seen.stage_s) == (pytest.approx(0.2), pytest.approx(0.1))


def test_a_start_whose_images_are_scored():
    followed(run(80 * [0.03], [0.55, 0.5, 0.5, 0.5], zero=0.4), 4, scoring_s=0.35)


@pytest.mark.parametrize("iteration", [0.005, 0.12])  # on a fast card, on a computer that has other things to do
def test_a_score_takes_as_long_whatever_the_iterations_take(iteration):
    stage = 0.35 + 3.5 * iteration
    followed(run(80 * [iteration], 4 * [stage], zero=0.35 + iteration), 4, scoring_s=0.35)


def test_a_network_whose_stages_are_said_to_take_long():
    steps = run(60 * [0.4], 4 * [8.0], zero=0.4)
    said = [
        (replace(step, start=replace(step.start, stage_in_iterations=19.0)) if step.start else step, seconds)
        for step, seconds in steps
    ]
    followed(said, 4)


def test_a_decoder_of_iterations_without_a_start():
    followed(run([], 60 * [0.3]), 60)


def test_a_start_that_was_kept_and_whose_stages_are_known_of_before():
    steps = run([], [0.2, 0.1, 0.1, 0.1], reused=1)
    followed(steps, 4, Costs(0.03, 0.02, 0.2, 0.1))
    pace = followed(run([], [0.2, 0.1, 0.1, 0.1], reused=3), 4, Costs(0.03, 0.02, 0.2, 0.1))
    assert (pace.seen.first_s, pace.seen.stage_s) == (None, pytest.approx(0.1))


@pytest.mark.parametrize("stages", [[1.7, 1, 1, 1, 1, 1], [1.7, *8 * [1.0]], 9 * [1.0], 4 * [1.0]])
def test_a_first_stage_that_is_slower_or_is_not(stages):
    followed(run([], stages), len(stages))


def test_a_machine_that_is_twice_as_slow_as_before():
    followed(run(80 * [0.06], [0.4, 0.2, 0.2, 0.2], zero=0.04), 4, Costs(0.03, 0.02, 0.2, 0.1))


def test_a_machine_that_becomes_twice_as_slow():
    followed(run([*12 * [0.03], *68 * [0.06]], [0.4, 0.2, 0.2, 0.2], zero=0.04), 4)
    followed(run([], [*6 * [0.3], *54 * [0.6]]), 60)


def test_a_computer_that_is_busy_for_a_moment_at_the_end_of_the_start():
    followed(run(60 * [0.03], [1.3, 1.0, 1.0, 1.0], zero=0.9), 4, before=Costs(0.03, 0.05, 1.3, 1.0))


def test_a_computer_that_is_busy_for_a_moment_in_a_stage():
    followed(run(60 * [0.03], [0.9, 0.7, 0.7, 1.25, *5 * [0.7]]), 9, before=Costs(0.03, 0.03, 0.9, 0.7))


def test_nothing_is_said_before_anything_is_known():
    now = [0.0]
    pace = Pace(4, clock=lambda: now[0])
    assert (pace.seconds_left, pace.share, pace.words, pace.state) == (None, 0.0, "Start", "Start")
    known = Pace(4, before=Costs(0.03, 0.02, 0.2, 0.1), clock=lambda: now[0])
    assert known.seconds_left == pytest.approx(0.52)  # its start may be kept


def test_time_left_counts_down_between_two_steps_of_one_decode_after_another(qtbot):
    now, left = [100.0], []
    recipe = Recipe((), OpenOptions(), "gap-tv", 6, "cpu", None, None, step_name="iteration")
    measurement = SimpleNamespace(physics=SimpleNamespace(scene_shape=(4, 16, 14)), reference=None)
    paces = Paces(lambda: now[0])
    parent = QObject()
    timed = Timed(paces, parent)
    timed.passed.connect(lambda: left.append(timed.pace.seconds_left))
    for is_known in (False, True):
        timed.expect(paces.of(recipe, measurement))
        now[0] += 50  # it waits
        timed.begin()
        assert (left[-1] is not None) == is_known
        for stage in range(7):
            now[0] += 10.0
            timed.take(Step(now[0], stage))
        assert timed.pace.words == "Iteration 6 of 6" and left[-1] == 0
        timed.end()
    timed.expect(paces.of(recipe, measurement))
    timed.begin()
    timed.take(Step(now[0], 0))
    assert left[-1] == pytest.approx(60)
    for seconds in (2, 4, 6):  # nothing is told meanwhile
        now[0] += 2
        with qtbot.waitSignal(timed.passed):
            pass
        assert left[-1] == pytest.approx(60 - seconds)


def test_words_name_the_start_and_where_it_comes_from():
    now = [0.0]
    pace = Pace(4, clock=lambda: now[0])
    for iteration in range(35):
        now[0] += 0.5
        pace.take(Step(now[0], start=StartStep("subspace TV", iteration, 80)))
    assert pace.words == "Start: subspace TV, iteration 34 of 80"
    assert (
        pace.state == "Start: subspace TV, iteration 34 of 80  ·  33 s left"
    )  # 46 iterations, and four stages of the usual length
    pace = Pace(4)
    pace.take(Step(0, 0, is_reused=True))
    assert pace.words == "Start taken from the last decode"
    pace.take(Step(0, 2, is_reused=True))
    assert pace.words == "Stage 2 of 4 taken from the last decode"
    pace.take(Step(0, 3))
    pace.take(Step(0, 1))  # older than what is known
    assert pace.words == "Stage 3 of 4"


def test_costs_of_earlier_decodes_are_those_of_the_same_decoder_and_size():
    def measurement(shape: tuple[int, ...]) -> SimpleNamespace:
        return SimpleNamespace(physics=SimpleNamespace(scene_shape=shape), reference=None)

    recipe, paces = Recipe((), OpenOptions(), "set", 4, "cpu", None, "float32"), Paces()
    pace = paces.of(recipe, measurement((4, 16, 14)))
    for stage, at in enumerate((0.0, 0.2, 0.3, 0.4)):
        pace.take(Step(pace.step.at + at, stage))
    paces.learn(pace)
    assert paces.of(recipe, measurement((4, 16, 14))).seconds_left is not None
    assert paces.of(recipe, measurement((4, 32, 28))).seconds_left is None
    assert paces.of(replace(recipe, decoder="another"), measurement((4, 16, 14))).seconds_left is None


def test_how_a_start_came_about():
    def row(is_reused: bool, method: str = "subspace TV") -> SimpleNamespace:
        return SimpleNamespace(is_reused=is_reused, method=method, seconds=2.6)

    assert start_words([row(False), row(False)]) == "start by subspace TV in 2.6 s"
    assert start_words([row(True), row(False)]) == "start taken from the last decode"
    assert start_words([row(True), row(True), row(False)]) == "start and 1 stage taken from the last decode"
    assert start_words([row(False, "")]) == "" == start_words([])
