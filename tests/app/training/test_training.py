"""The training as the window follows it: events up, commands down, what stays on the disk, and the ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from app.assembly import Parts
from app.pages.training_curves import TrainingCurves, running_mean, thinned
from app.pages.training_run import score_sentence
from app.training import child, runs
from app.training.child import Child
from app.training.plan import Plan
from app.training.probing import Probing
from app.training.results import Preview
from app.training.runs import Run, find_runs, load_run, move_to_trash, new_folder, process_start
from app.training.training import Training
from lorun_engine.library.cards import read_card
from lorun_engine.training.events import Previewed, Saved, Step, Stopped, TrainEvent, Validated, line_of
from lorun_engine.training.run_folder import EventFile, last_event
from tests.engine.library.test_model import new_model, save

FAKE = (sys.executable, str(Path(__file__).parents[1] / "fake_training.py"))


@pytest.fixture
def library(tmp_path) -> Path:
    """A folder with one set, its backbone beside it."""
    folder = tmp_path / "library"
    save(new_model(), folder, "start")
    return folder


@pytest.fixture
def best(tmp_path) -> Path:
    """Another set of the same backbone, outside the library."""
    model = new_model()
    other = model.with_adapters(model.adapters.scaled(0.5))
    path = save(other, tmp_path / "elsewhere", "best")
    (tmp_path / "elsewhere" / "best-backbone.safetensors").unlink()
    return path


@pytest.fixture
def make_training(qtbot, tmp_path, library):
    """Makes parts whose training is the fake one, told these words; every child has ended when the test has."""
    made = []

    def make(*words: object) -> Training:
        parts = Parts(library=[library])
        made.append(parts)
        training = parts.training
        training.run_with(folder=tmp_path / "trainings", command=(*FAKE, *map(str, words)))
        return training

    yield make
    for parts in made:
        assert parts.close(timeout_s=20)


def plan(**changes) -> Plan:
    made = Plan("My camera", "cassi", "start", "camera", "scenes", (Path("a.h5"),))
    return replace(made, **changes)


def wait_for(qtbot, training: Training, state: str) -> None:
    qtbot.waitUntil(lambda: training.progress.state == state, timeout=20_000)


def wait_for_end(qtbot, training: Training) -> None:
    qtbot.waitUntil(lambda: not training.has_child, timeout=20_000)


def wait_until_idle(qtbot, training: Training) -> None:
    qtbot.waitUntil(lambda: not training.session.lanes.is_busy, timeout=20_000)


def test_a_training_is_followed_from_its_first_step_to_its_end(qtbot, make_training):
    training = make_training("--steps", 4)
    training.start(plan())
    assert training.progress.state == "starting"
    wait_for_end(qtbot, training)
    assert training.record.losses == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert training.record.scores == [(0, 20.0), (4, 20.4)]
    progress = training.progress
    assert (progress.state, progress.outcome, progress.step, progress.num_steps) == ("ended", "finished", 4, 4)
    assert progress.start_psnr == 20 and progress.gain == pytest.approx(0.4) and progress.best_step == 4


def test_pause_continue_validate_and_checkpoint_are_obeyed_between_steps(qtbot, make_training):
    training = make_training("--steps", 6, "--hold", 2)
    training.start(plan())
    qtbot.waitUntil(lambda: training.progress.step == 2, timeout=20_000)
    training.pause()
    wait_for(qtbot, training, "paused")
    assert training.progress.seconds_left is None and training.has_child
    training.validate()  # nothing listens while it is paused
    assert training.record.scores == [(0, 20.0)]
    training.go_on()
    wait_for_end(qtbot, training)
    assert training.progress.outcome == "finished"
    assert [step for step, _ in training.record.losses] == [1, 2, 3, 4, 5, 6]


def test_validate_and_checkpoint_happen_at_once(qtbot, make_training):
    training = make_training("--steps", 3, "--hold", 2)
    training.start(plan())
    qtbot.waitUntil(lambda: training.progress.step == 2, timeout=20_000)
    training.validate()
    qtbot.waitUntil(lambda: training.progress.best_psnr == 20.2, timeout=20_000)
    training.checkpoint()
    qtbot.waitUntil(lambda: training.progress.sentence == "A checkpoint was written.", timeout=20_000)
    training.stop_and_keep()
    wait_for_end(qtbot, training)
    assert training.progress.outcome == "stopped"


def test_the_preview_is_read_off_the_gui_thread_and_shown_with_one_stretch(qtbot, make_training):
    training = make_training("--steps", 1)
    with qtbot.waitSignal(training.preview_changed, timeout=20_000):
        training.start(plan())
    preview = training.preview
    assert preview.step == 1 and preview.before.shape == preview.after.shape == (6, 8, 3)
    assert np.all(preview.before >= preview.after)  # `after` is half of `before`
    wait_for_end(qtbot, training)


def test_a_stopped_training_is_kept_under_a_new_name_beside_its_backbone(qtbot, make_training, library, best):
    training = make_training("--steps", 3, "--hold", 2, "--set", best)
    training.start(plan())
    qtbot.waitUntil(lambda: training.progress.step == 2, timeout=20_000)
    training.stop_and_keep()
    wait_for_end(qtbot, training)
    backbone = (library / "start-backbone.safetensors").read_bytes()
    with qtbot.waitSignal(training.kept, timeout=60_000) as kept:
        training.keep(training.run, "my camera")
    assert kept.args == ["my camera"]
    assert read_card(library / "my camera.safetensors").hash == read_card(best).hash
    assert (library / "start-backbone.safetensors").read_bytes() == backbone
    wait_until_idle(qtbot, training)
    assert training.unfinished == () and training.run.is_settled


def test_a_name_that_is_taken_is_refused_and_the_file_stays(qtbot, make_training, library, best):
    training = make_training("--steps", 1, "--set", best)
    training.start(plan())
    wait_for_end(qtbot, training)
    before = (library / "start.safetensors").read_bytes()
    with qtbot.waitSignal(training.session.lanes.problem_raised, timeout=20_000) as raised:
        training.keep(training.run, "Start")
    assert "already has a set named Start" in raised.args[0].sentence
    assert (library / "start.safetensors").read_bytes() == before


def test_a_set_of_another_backbone_is_not_kept(qtbot, make_training, library, tmp_path):
    stranger = save(new_model(seed=3), tmp_path / "strange", "stranger")
    training = make_training("--steps", 1, "--set", stranger)
    training.start(plan())
    wait_for_end(qtbot, training)
    with qtbot.waitSignal(training.session.lanes.problem_raised, timeout=20_000) as raised:
        training.keep(training.run, "mine")
    assert "belongs to the backbone" in raised.args[0].sentence
    assert not (library / "mine.safetensors").exists()


def test_a_discarded_training_leaves_the_list_and_its_folder(qtbot, make_training):
    training = make_training("--steps", 3, "--hold", 1)
    training.start(plan())
    qtbot.waitUntil(lambda: training.progress.step == 1, timeout=20_000)
    training.stop_and_discard()
    wait_for_end(qtbot, training)
    assert training.progress.outcome == "discarded" and not training.run.folder.exists()
    wait_until_idle(qtbot, training)
    assert training.unfinished == ()


def test_a_killed_training_says_so_and_resumes_where_it_was(qtbot, make_training):
    training = make_training("--steps", 5, "--die", 3)
    training.start(plan())
    wait_for_end(qtbot, training)
    progress = training.progress
    assert progress.outcome == "broken" and "resume to go on" in progress.sentence
    training.forget()
    qtbot.waitUntil(lambda: [run.title for run in training.unfinished] == ["My camera"], timeout=20_000)
    training.run_with(command=(*FAKE, "--steps", "5"))
    training.resume(training.unfinished[0])
    qtbot.waitUntil(lambda: training.has_child, timeout=20_000)
    assert [step for step, _ in training.record.losses] == [1, 2, 3]  # of the first part
    wait_for_end(qtbot, training)
    assert training.progress.outcome == "finished"
    assert [step for step, _ in training.record.losses] == [1, 2, 3, 4, 5]
    assert training.record.scores[0] == (0, 20.0)


def look_at(qtbot, training, run: Run) -> None:
    training.look_at(run)
    qtbot.waitUntil(lambda: training.progress.state == "ended", timeout=20_000)


def test_what_a_long_training_told_is_read_beside_the_window(qtbot, make_training, tmp_path):
    training = make_training()
    two = [Run(new_folder(tmp_path / "trainings", name), name, "cassi", "start") for name in ("x", "y")]
    for run in two:
        write_events(run, *(Step(k, "adapters", k, loss=1.0, learning_rate=1e-3) for k in range(1, 2001)))
    threads = []
    read = EventFile.new
    with mock.patch.object(EventFile, "new", lambda file: threads.append(threading.current_thread()) or read(file)):
        training.look_at(two[0])
        look_at(qtbot, training, two[1])
    assert threads and threading.main_thread() not in threads
    assert training.run is two[1] and training.progress.step == len(training.record.losses) == 2000


def test_a_training_that_is_let_go_while_it_is_read_does_not_come_back(qtbot, make_training, tmp_path):
    training = make_training()
    run = Run(new_folder(tmp_path / "trainings", "x"), "x", "cassi", "start", num_steps=9)
    write_events(run, Step(1, "adapters", 1, loss=1.0, learning_rate=1e-3))
    training.resume(replace(run, arguments=("train",)))
    training.forget()
    wait_until_idle(qtbot, training)
    assert training.run is None and not training.has_child and training.progress.state == "idle"


def write_events(run: Run, *events: TrainEvent) -> None:
    (run.folder / "events.jsonl").write_text("".join(f"{line_of(event)}\n" for event in events))


def test_steps_that_are_done_again_after_a_kill_replace_the_lost_ones(qtbot, make_training, tmp_path):
    training = make_training()
    run = Run(new_folder(tmp_path / "trainings", "x"), "x", "cassi", "start", num_steps=9)
    steps = [Step(k, "adapters", k, loss=k / 10, learning_rate=1e-3) for k in (1, 2, 3, 4, 3)]
    start, last = (Validated(k, "adapters", k, {"psnr": 20 + k}) for k in (0, 4))
    write_events(run, start, *steps[:4], last, steps[4])
    look_at(qtbot, training, run)
    assert training.record.losses == [(1, 0.1), (2, 0.2), (3, 0.3)] and training.record.scores == [(0, 20)]


@pytest.mark.parametrize(("reason", "outcome"), [("early", "finished"), ("asked", "stopped"), ("disk-full", "broken")])
def test_a_training_that_stops_by_itself_says_why(qtbot, make_training, tmp_path, reason, outcome):
    training = make_training()
    run = Run(new_folder(tmp_path / "trainings", "x"), "x", "cassi", "start")
    write_events(run, Stopped(9.0, "adapters", 3, "A sentence.", reason))
    (run.folder / "checkpoint.safetensors").write_text("3")
    look_at(qtbot, training, run)
    assert (training.progress.outcome, training.progress.sentence) == (outcome, "A sentence.")
    assert run.is_resumable


def test_without_any_truth_the_score_is_that_of_withheld_sensor_pixels(qtbot, make_training, tmp_path):
    training = make_training()
    run = Run(new_folder(tmp_path / "trainings", "x"), "x", "cassi", "start")
    write_events(
        run,
        Validated(0.0, "adapters", 0, {"withheld_psnr": 30.0}, is_start=True),
        Validated(5.0, "adapters", 5, {"withheld_psnr": 31.5}),
        Validated(9.0, "adapters", 9, {"withheld_psnr": 31.0}),
    )
    look_at(qtbot, training, run)
    assert not training.record.has_truth
    assert training.progress.gain == 1.5 and training.progress.best_step == 5
    assert score_sentence(training.progress, has_truth=False) == (
        "The starting set reaches 30.00 dB at withheld pixels of the sensor, the new one 31.50 dB at step 5: +1.50 dB."
    )


def test_what_is_no_event_is_passed_over_and_half_a_line_waits_for_its_end(tmp_path):
    events = EventFile(tmp_path / "events.jsonl")
    assert events.new() == []
    step, saved = Step(1.0, "adapters", 1, 0.5, 1e-3), Saved(1.0, "adapters", 1, "A checkpoint was written.")
    half, other_half = line_of(saved)[:20], line_of(saved)[20:]
    events.path.write_text(f"a warning\n{line_of(step)}\n[1]\n{half}")
    assert events.new() == [step]
    with open(events.path, "a") as stream:
        stream.write(f"{other_half}\n")
    assert events.new() == [saved]
    assert last_event(events.path) == saved


def test_the_running_mean_looks_back_only():
    values = np.array([4.0, 2.0, 0.0, 6.0])
    np.testing.assert_allclose(running_mean(values, 2), [4, 3, 1, 3])
    np.testing.assert_allclose(running_mean(values, 99), [4, 3, 2, 3])
    assert running_mean(np.array([]), 2).size == 0


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 3000, 20_011])
def test_thinned_curves_end_with_the_last_step_and_have_the_means_of_all_steps(count):
    pairs = [(step, float(np.sin(step))) for step in range(1, count + 1)]
    steps, values, means = thinned(pairs, 100, 25)
    assert len(steps) == len(values) == len(means) <= 100
    assert len(steps) == count or len(steps) > 50
    if count:
        assert steps[-1] == count
        whole = running_mean(np.array([value for _, value in pairs]), 25)
        np.testing.assert_allclose(means, whole[steps.astype(int) - 1])
        np.testing.assert_array_equal(values, np.sin(steps))


def test_a_long_curve_is_not_copied_to_be_drawn():
    class Counted(list):
        looked_at = 0

        def __getitem__(self, index):
            found = super().__getitem__(index)
            Counted.looked_at += len(found) if isinstance(index, slice) else 1
            return found

    thinned(Counted((step, 0.5) for step in range(200_000)), 2000, 25)
    assert 0 < Counted.looked_at <= 2000 * 26


def test_a_resumed_training_reads_only_what_its_file_has_not_told_yet(qtbot, make_training, monkeypatch):
    training = make_training("--steps", 5, "--die", 2)
    training.start(plan())
    wait_for_end(qtbot, training)
    read, lines = [], EventFile._lines

    def counted(events):
        found = lines(events)
        read.extend(found)
        return found

    monkeypatch.setattr(EventFile, "_lines", counted)
    training.run_with(command=(*FAKE, "--steps", "5"))
    training.resume(training.run)
    assert read == [] and [step for step, _ in training.record.losses] == [1, 2]
    wait_for_end(qtbot, training)
    assert [step for step, _ in training.record.losses] == [1, 2, 3, 4, 5]


def test_no_process_is_started_to_see_whether_one_lives(monkeypatch):
    monkeypatch.setattr(runs, "_TELLS_STARTS", False)  # as on macOS
    monkeypatch.setattr(runs.subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    own = Run(Path("x"), "x", "cassi", "start", pid=os.getpid(), began="then")
    assert own.still_runs
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert not replace(own, pid=child.pid).still_runs


def test_the_curves_draw_every_score_and_the_line_of_the_starting_set(qtbot):
    curves = TrainingCurves()
    qtbot.addWidget(curves)
    curves.show_training([], [], start=None, num_steps=0)
    assert curves.drawn_scores == [] and curves.drawn_start is None
    curves.show_training([(1, 0.5)], [(0, 20.0), (1, 21.0)], start=20.0, num_steps=8)
    assert curves.drawn_scores == [(0.0, 20.0), (1.0, 21.0)] and curves.drawn_start == 20.0
    low, high = curves.score_plot.getPlotItem().viewRange()[1]
    assert low < 20 and high > 21
    curves.recolour()


def test_a_child_that_hears_nothing_is_told_and_then_killed(qtbot, make_training, monkeypatch):
    monkeypatch.setattr(Child, "grace_ms", 60)
    training = make_training("--steps", 3, "--hold", 1, "--deaf")
    training.start(plan())
    qtbot.waitUntil(lambda: training.progress.step == 1, timeout=20_000)
    training.stop_and_keep()
    wait_for_end(qtbot, training)
    assert training.progress.outcome == "stopped"
    assert process_start(training.run.pid) is None


def test_what_the_command_line_refuses_is_the_sentence_of_the_training(qtbot, make_training):
    training = make_training("--refuse", "The disk is full. Free space.")
    training.start(plan())
    wait_for_end(qtbot, training)
    assert training.progress.sentence.startswith("The disk is full. Free space.")
    assert training.progress.outcome == "broken"
    assert find_runs(training.folder) == []  # there is nothing to offer


def test_a_program_that_cannot_be_started_is_a_sentence(qtbot, make_training, tmp_path):
    training = make_training()
    training.run_with(command=(str(tmp_path / "missing"),))
    training.start(plan())
    wait_for_end(qtbot, training)
    assert "could not be started" in training.progress.sentence


def test_a_folder_that_takes_no_file_is_a_sentence_before_anything_starts(qtbot, make_training, tmp_path):
    (tmp_path / "trainings").write_text("a file where the folder should be")
    training = make_training("--steps", 1)
    with qtbot.waitSignal(training.session.lanes.problem_raised) as raised:
        training.start(plan())
    assert "cannot be made" in raised.args[0].sentence and not training.has_child


def test_a_process_that_an_earlier_window_left_is_watched_again(qtbot, make_training, tmp_path):
    folder = new_folder(tmp_path / "trainings", "left behind")
    child = subprocess.Popen([*FAKE, "--steps", "4", "--hold", "2", "--out", str(folder)], stdout=subprocess.DEVNULL)
    try:
        run = Run(folder, "left behind", "cassi", "start", pid=child.pid, began=process_start(child.pid))
        run.save()
        training = make_training()
        training.find_runs()
        qtbot.waitUntil(lambda: bool(training.unfinished), timeout=20_000)
        assert training.unfinished[0].is_alive
        training.watch(training.unfinished[0])
        qtbot.waitUntil(lambda: training.progress.step == 2, timeout=20_000)
        assert training.record.losses == [(1, 1.0), (2, 0.5)]
        training.stop_and_keep()
        child.wait(20)
        wait_for_end(qtbot, training)
        assert training.progress.outcome == "stopped"
    finally:
        child.kill()


def test_closing_leaves_a_watched_process_alone_and_ends_an_own_one(qtbot, make_training, tmp_path):
    training = make_training("--steps", 3, "--hold", 1)
    training.start(plan())
    qtbot.waitUntil(lambda: training.progress.step == 1, timeout=20_000)
    with qtbot.waitSignal(training.child_ended, timeout=20_000):
        training.leave()
    assert not training.run.is_alive and training.run.is_resumable
    assert [run.title for run in find_runs(tmp_path / "trainings")] == ["My camera"]  # offered at the next start


def test_a_number_that_another_process_got_does_not_count_as_alive():
    run = Run(Path("x"), "x", "cassi", "start", pid=os.getpid(), began=process_start(os.getpid()))
    assert run.is_alive
    assert not replace(run, began="before").is_alive
    child = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    began = process_start(child.pid)
    child.communicate()
    assert not replace(run, pid=child.pid, began=began).is_alive


def test_folders_have_readable_names_and_never_share_one(tmp_path):
    folders = [new_folder(tmp_path, "My camera, 12 %") for _ in range(3)]
    assert [folder.name for folder in folders] == ["my-camera-12", "my-camera-12-2", "my-camera-12-3"]
    assert runs.file_name("…") == "set"


def test_a_damaged_description_is_passed_over(tmp_path):
    folder = new_folder(tmp_path, "one")
    run = Run(folder, "one", "cassi", "start", arguments=("train",))
    run.save()
    assert load_run(folder) == run
    (folder / "window.json").write_text("{")
    assert load_run(folder) is None and find_runs(tmp_path) == []


def test_without_a_trash_of_the_desktop_a_folder_is_kept_beside_the_others(tmp_path, monkeypatch):
    folder = new_folder(tmp_path, "one")
    (folder / "checkpoint.safetensors").write_text("1")
    monkeypatch.setattr(runs.QFile, "moveToTrash", staticmethod(lambda path: False))
    moved = move_to_trash(folder)
    assert not folder.exists() and (moved / "checkpoint.safetensors").read_text() == "1"
    assert find_runs(tmp_path) == []


def test_the_frozen_program_starts_itself(monkeypatch):
    assert child.own_command() == (sys.executable, "-m", "app")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert child.own_command() == (sys.executable,)


def test_the_trial_says_what_every_preset_costs(qtbot, make_training):
    training = make_training()
    probing, seen = Probing(training), []
    probing.changed.connect(lambda: seen.append(None if probing.result is None else probing.result.parts))
    probing.start(plan())
    assert probing.is_running
    qtbot.waitUntil(lambda: not probing.is_running, timeout=20_000)
    probe = probing.result
    assert probe.num_parameters == 1234 and probe.cost("standard").seconds == 120 and probe.cost("thorough") is None
    assert probe.key == plan().probe_key != plan(noise="shot:200").probe_key
    assert seen == [None, (1, 4), None, None]  # it begins, says what it knows after a part, then all, and ends


def test_what_a_trial_said_that_did_not_come_to_its_end_is_measured_again(qtbot, make_training):
    training = make_training()
    said = json.dumps(
        {"event": "probing", "presets": {"standard": {"steps": 8, "seconds": 9.0}}, "done": 1, "total": 4}
    )
    training.run_with(command=(sys.executable, "-c", f"print({said!r}); raise SystemExit(1)"))
    probing = Probing(training)
    for _ in range(2):
        probing.start(plan())
        assert probing.is_running
        qtbot.waitUntil(lambda: not probing.is_running, timeout=20_000)
        assert probing.result is None and "code 1" in probing.trouble


def test_a_trial_that_is_killed_leaves_nothing_in_the_temporary_folder(qtbot, make_training, tmp_path, monkeypatch):
    place, training = tmp_path / "temporary", make_training()
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    keeps_a_folder = "import tempfile, time; tempfile.mkdtemp(); time.sleep(60)"
    training.run_with(command=(sys.executable, "-c", keeps_a_folder))
    probing = Probing(training)
    for asked in (plan(), plan(noise="shot:200")):  # the second ends the first
        probing.start(asked)
        (known,) = (Path(folder.name) for child, folder in probing._folders.items() if child is probing._prober)
        qtbot.waitUntil(lambda known=known: bool(list(known.iterdir())))
    probing.close()
    assert not list(place.iterdir())


def test_a_preview_that_comes_while_another_is_read_is_read_too(
    qtbot, make_parts, fake, tmp_path, monkeypatch, gate_type
):
    training, held, steps = make_parts(fake).training, gate_type(at=1), iter((1, 2, 3))

    def read(path: Path, *, is_photograph: bool) -> Preview:
        held(step := next(steps))
        return Preview(step, np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))

    monkeypatch.setattr("app.training.training.read_preview", read)
    training.run = Run(tmp_path, "mine", "cassi", "fake")
    for step in (1, 2):
        training._come(Previewed(0.0, "adapters", step, "preview.npz"))
    held.is_open.set()
    qtbot.waitUntil(lambda: not training.session.lanes.is_busy)
    assert training.preview.step == 2 and next(steps) == 3


def test_what_another_window_wrote_of_a_run_stays_when_this_one_settles_it(make_parts, fake, tmp_path):
    training = make_parts(fake).training
    known = Run(tmp_path, "mine", "cassi", "fake")
    replace(known, pid=4711, began="of the other window").save()
    training._settle(known)
    assert load_run(tmp_path) == replace(known, pid=4711, began="of the other window", is_settled=True)
