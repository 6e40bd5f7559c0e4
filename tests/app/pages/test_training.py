"""The page on which a set is adapted: its three questions, the run, the result, and what is offered after a crash."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QMessageBox

from app.assembly import Parts
from app.main_window import MainWindow
from app.pages.training import TrainingPage
from app.pages.training_advanced import SETTINGS
from app.panels.training_card import TrainingCard
from app.resources import resource_path
from app.training.runs import Run, find_runs, new_folder, process_start
from app.training.scenes import DataFile, Wanted, checked, split
from app.widgets import theme
from app.widgets.forms import parse, text_of
from lorun_engine.errors import DeviceError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import write_cube, write_measurement
from lorun_engine.measurement import Scene
from lorun_engine.schema import hints_of
from lorun_engine.tasks.cassi import random_mask, simulate
from lorun_engine.training.recipe import TrainingConfig, preset_values
from lorun_engine.training_data.settings import LocalData
from tests.app.conftest import FakeDecoder
from tests.engine.library.test_model import BANDS, new_model, save
from tests.engine.training.test_adapting import captures, new_set

FAKE = (sys.executable, str(Path(__file__).parents[1] / "fake_training.py"))
SMALL = {"height": 24, "width": 32}


def scene(seed: int) -> np.ndarray:
    """(9, 24, 32): soft spots, another picture for every seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SMALL["height"], : SMALL["width"]]
    spots = [np.exp(-((y - rng.uniform(0, 24)) ** 2 + (x - rng.uniform(0, 32)) ** 2) / 40) for _ in range(3)]
    return np.einsum("nc,nhw->chw", rng.random((3, BANDS.size)), np.stack(spots)).clip(0, 1).astype(np.float32)


@pytest.fixture
def scenes(tmp_path) -> list[Path]:
    """Four cubes of different scenes."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    paths = [folder / f"scene{seed}.h5" for seed in range(4)]
    for seed, path in enumerate(paths):
        write_cube(path, scene(seed), wavelengths_nm=BANDS, attributes={})
    return paths


@pytest.fixture
def camera(tmp_path) -> Path:
    """A capture of a camera of the user's, in a file of ours, with noise."""
    y = simulate(Scene(scene(9), BANDS), random_mask(24, 32, seed=5), Dispersion(BANDS.size, 3.0))
    write_measurement(tmp_path / "lab camera.h5", y, attributes={"noise": "shot:200"})
    return tmp_path / "lab camera.h5"


@pytest.fixture
def best(tmp_path) -> Path:
    """Another set of the library's backbone."""
    model = new_model()
    path = save(model.with_adapters(model.adapters.scaled(0.5)), tmp_path / "elsewhere", "best")
    (tmp_path / "elsewhere" / "best-backbone.safetensors").unlink()
    return path


@pytest.fixture
def make_window(qtbot, tmp_path, camera):
    """Makes windows with the camera open and the training page shown; the fake training is told these words."""
    windows = []
    save(new_model(), tmp_path / "library", "start")

    def make(*words: object) -> MainWindow:
        parts = Parts(library=[tmp_path / "library"])
        parts.training.run_with(folder=tmp_path / "trainings", command=(*FAKE, *map(str, words)))
        window = MainWindow(parts)
        windows.append(window)
        qtbot.addWidget(window)
        window.show()
        with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
            parts.setup.load_engine()
        parts.session.open([camera])
        qtbot.waitUntil(lambda: parts.setup.fit is not None and not parts.lanes.is_busy, timeout=60_000)
        window.actions_["adapt"].trigger()
        return window

    yield make
    for window in windows:
        assert window.parts.close(timeout_s=20)


def add(qtbot, page: TrainingPage, paths: list[Path]) -> None:
    """Drops files on the list and waits until they were looked at."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    none = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    page.plan.data.dropEvent(QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, mime, *none))
    qtbot.waitUntil(lambda: not page.plan.data.material.is_checking, timeout=20_000)


def start(qtbot, window: MainWindow, scenes: list[Path]) -> TrainingPage:
    page = window.training_page
    add(qtbot, page, scenes)
    page.plan.start.click()
    return page


def test_the_page_is_pre_filled_from_the_open_measurement(qtbot, make_window):
    window = make_window()
    page = window.training_page
    assert window.pages.currentWidget() is page
    plan = page.plan
    assert plan.starting_set.currentData() == "start" and "step 3 px" in plan.camera.text()
    assert window.parts.planning.noise_text == "shot:200"
    assert plan.title.placeholderText() == "start-lab camera"
    words = plan.planning.plan().arguments(Path("run"))
    assert words[:3] == ("train", "--adapt", "start") and words[words.index("--step") + 1] == "3"
    assert words[words.index("--like") + 1].endswith("lab camera.h5") and "--data" not in words
    assert words[words.index("--noise") + 1] == "shot:200"
    qtbot.keyClick(page, Qt.Key.Key_Escape)
    assert window.pages.currentIndex() == 0


def test_every_control_has_a_name_and_the_page_follows_the_theme(make_window):
    window = make_window()
    page = window.training_page
    page.plan.advanced.click()
    for kind in (QAbstractButton, QComboBox, QLineEdit):
        for control in page.findChildren(kind):
            if isinstance(control.parent(), QComboBox | QLineEdit) or control.objectName().startswith("qt_"):
                continue  # of Qt's own controls
            name = control.accessibleName() or getattr(control, "text", lambda: "")()
            assert name or control.toolTip(), control
    for choice, tokens in (("dark", theme.dark()), ("light", theme.light())):
        window.parts.preferences.set_theme(choice)
        assert page.run.curves.loss_plot.backgroundBrush().color().name() == tokens.card


def test_files_are_dropped_looked_at_and_split_and_misfits_say_why(qtbot, make_window, scenes, tmp_path):
    write_cube(tmp_path / "twin.h5", scene(0), wavelengths_nm=BANDS, attributes={})
    write_cube(tmp_path / "bright.h5", 200 * scene(5), wavelengths_nm=BANDS, attributes={})
    write_cube(tmp_path / "infrared.h5", scene(6), wavelengths_nm=BANDS + 500, attributes={})
    (tmp_path / "notes.txt").write_text("not a scene")
    page = make_window().training_page
    others = [tmp_path / name for name in ("twin.h5", "bright.h5", "infrared.h5", "notes.txt")]
    add(qtbot, page, [*scenes, *others])
    found = {file.path.name: file for file in page.plan.data.material.files}
    assert [found[path.name].use for path in scenes] == ["learn", "learn", "learn", "check"]
    assert found["twin.h5"].sentence == "The same scene as scene0.h5: counted once."
    assert "0 to 1 was expected" in found["bright.h5"].sentence
    assert "950 to 1150 nm" in found["infrared.h5"].sentence and "450 to 650" in found["infrared.h5"].sentence
    assert found["notes.txt"].use == "out"
    assert page.plan.data.sentence.text() == "3 to learn from, 1 withheld to check the result, 4 left out."
    assert page.plan.data.table.rowCount() == 8
    words = page.plan.planning.plan().arguments(Path("run"))
    learned = words[words.index("--data") + 1 : words.index("--check")]
    assert [Path(word).name for word in learned] == ["scene0.h5", "scene1.h5", "scene2.h5"]
    assert Path(words[words.index("--check") + 1]).name == "scene3.h5"
    page.plan.data.table.selectRow(0)
    page.plan.data.remove.click()
    qtbot.waitUntil(lambda: not page.plan.data.material.is_checking, timeout=20_000)
    uses = {file.path.name: file.use for file in page.plan.data.material.files}
    assert "scene0.h5" not in uses and uses["twin.h5"] != "out"  # it is alone now


def test_a_folder_without_files_and_pictures_of_two_pixels_say_so(qtbot, make_window, tmp_path):
    page = make_window().training_page
    (tmp_path / "empty").mkdir()
    add(qtbot, page, [tmp_path / "empty"])
    words = "There is no file to learn from in empty. Known are .h5, .hdf5"
    qtbot.waitUntil(lambda: page.plan.data.sentence.text().startswith(words), timeout=20_000)
    write_cube(tmp_path / "tiny.h5", scene(1)[:, :2, :2], wavelengths_nm=BANDS, attributes={})
    add(qtbot, page, [tmp_path / "tiny.h5", tmp_path / "gone.h5"])
    sentences = {file.path.name: file.sentence for file in page.plan.data.material.files}
    assert "at least 16 × 16 was expected" in sentences["tiny.h5"] and "gone.h5" in sentences["gone.h5"]
    assert page.plan.data.sentence.text() == "No file here serves this training yet."
    assert not page.plan.start.isEnabled() and page.plan.why_not.text() == "Add data to learn from."


def test_what_looks_the_same_stays_on_one_side_of_the_split():
    rng = np.random.default_rng(0)
    looks = [rng.integers(0, 255, (6, 6), dtype=np.uint8) for _ in range(3)]
    nearly = np.clip(looks[2].astype(int) // 2 + 3, 0, 255).astype(np.uint8)  # the same at half the exposure
    files = [DataFile(Path(str(n)), "learn", "", str(n), look) for n, look in enumerate([*looks, nearly])]
    uses = [file.use for file in split(files)]
    assert uses == ["learn", "learn", "check", "check"]
    assert [file.use for file in split(files[2:])] == ["learn", "learn"]  # one scene is not split between files


def test_captures_are_read_with_the_open_mask_and_pairs_need_a_reference(tmp_path, camera):
    y = simulate(Scene(scene(1), BANDS), random_mask(24, 32, seed=5), Dispersion(BANDS.size, 3.0))
    np.save(tmp_path / "alone.npy", y.y[0])
    *_, found = checked([camera, tmp_path / "alone.npy"], Wanted("cassi", "pairs"))
    assert [file.use for file in found] == ["learn", "out"]


def test_a_trial_says_how_long_it_takes_and_the_start_waits_for_answers(qtbot, make_window, scenes):
    page = make_window().training_page
    plan, said = page.plan, []
    assert plan.takes.text() == "Time and steps: unknown until measured"
    plan._parts.probing.changed.connect(lambda: said.append((plan.takes.text(), plan.trial.value())))
    qtbot.waitUntil(lambda: "It should help." in plan.verdict.text(), timeout=20_000)
    assert ("about 2 min, 8 steps (first estimate)", 1) in said
    assert plan.takes.text() == "about 2 min, 20 steps" and not plan.trial.isVisible()
    assert plan.lengths.options["standard"].note.text() == "about 2 min  ·  1,234 parameters"
    plan.aims.options["scenes"].click()
    assert not plan.start.isEnabled() and plan.why_not.text() == "Add data to learn from."
    add(qtbot, page, scenes)
    assert plan.start.isEnabled() and plan.why_not.text() == ""
    plan.level.setText("many")
    plan.level.editingFinished.emit()
    assert not plan.start.isEnabled() and "electrons at the brightest pixel above 0 was expected" in plan.why_not.text()


def test_a_run_is_shown_paused_kept_and_decoded_with(qtbot, make_window, scenes, best, tmp_path):
    window = make_window("--steps", 3, "--hold", 2, "--set", best)
    page, training = start(qtbot, window, scenes), window.parts.training
    panel = page.run
    qtbot.waitUntil(lambda: training.progress.step == 2, timeout=20_000)
    assert page.stack.currentIndex() == 1 and window.training_card.isVisible()
    qtbot.waitUntil(lambda: panel.curves.drawn_start == 20.0, timeout=20_000)
    panel.pause.click()
    qtbot.waitUntil(lambda: panel.pause.text() == "Continue", timeout=20_000)
    panel.pause.click()
    qtbot.waitUntil(lambda: not training.has_child, timeout=20_000)
    drawn = [(0.0, 20.0), (3.0, pytest.approx(20.3))]
    qtbot.waitUntil(lambda: panel.curves.drawn_scores == drawn, timeout=20_000)
    assert "0.30 dB better" in page.result.sentence.text()
    qtbot.waitUntil(lambda: training.preview is not None, timeout=20_000)
    page.result.name.setText("lab camera")
    with qtbot.waitSignal(training.kept, timeout=20_000):
        qtbot.keyClick(page.result.name, Qt.Key.Key_Return)
    assert (tmp_path / "library" / "lab camera.safetensors").exists()
    qtbot.waitUntil(lambda: page.result.use.isEnabled() and page.result.compare.isEnabled(), timeout=20_000)
    page.result.use.click()
    qtbot.waitUntil(lambda: window.parts.setup.decoder_name == "lab camera", timeout=20_000)
    assert window.pages.currentIndex() == 0
    window.actions_["adapt"].trigger()
    page.another.click()
    assert page.stack.currentIndex() == 0 and not page.unfinished.isVisible()


@pytest.mark.parametrize(
    ("task", "given"), [("cs", ("--ratio", "40")), ("sr", ("--kernel", "gaussian 1.2", "--scale", "3"))]
)
def test_ratio_kernel_and_factor_are_those_of_the_measurement_or_given(qtbot, tmp_path, make_window, task, given):
    new_set(task, tmp_path / "library")
    (capture,) = captures(task, tmp_path / "captures", count=1, known=True)
    window = make_window()
    plan = window.training_page.plan
    window.session.open([capture])
    qtbot.waitUntil(lambda: window.session.kind.short.lower() == task, timeout=20_000)
    qtbot.waitUntil(lambda: not window.parts.lanes.is_busy, timeout=20_000)
    assert plan.planning.task == task and plan.aims.value == "degradation"
    words = plan.planning.plan().arguments(Path("run"))
    assert words[words.index("--like") + 1] == str(capture) and given[0] not in words
    plan.source.setCurrentIndex(1)
    plan.source.activated.emit(1)
    plan.given["cs"].editors["ratio"].setText("none")
    plan.given["cs"].editors["ratio"].editingFinished.emit()
    if task == "cs":
        assert not plan.start.isEnabled() and "'none' was given; a number from 0.2 to 100" in plan.why_not.text()
    plan.given["cs"].editors["ratio"].setText("40")
    plan.given["cs"].editors["ratio"].editingFinished.emit()
    plan.given["sr"].editors["kernel"].setCurrentText("gaussian 1.2")
    plan.given["sr"].editors["scale"].setCurrentText("× 3")
    words = plan.planning.plan().arguments(Path("run"))
    first = words.index(given[0])
    assert words[first : first + len(given)] == given and "--like" not in words


def test_giving_up_what_was_learned_is_asked_first(qtbot, make_window, scenes):
    window = make_window("--steps", 3, "--hold", 2)
    page, training = start(qtbot, window, scenes), window.parts.training
    qtbot.waitUntil(lambda: training.progress.step == 2, timeout=20_000)
    page.run.discard.click()
    box = page.findChild(QMessageBox, "discard")
    assert "2.0 s of learning would be given up" in box.text()
    next(button for button in box.buttons() if button.text() == "Stop and discard").click()
    qtbot.waitUntil(lambda: not training.has_child, timeout=20_000)
    assert training.progress.outcome == "discarded" and not page.result.isVisible()
    page.another.click()
    assert not page.unfinished.isVisible()


def test_a_killed_child_is_resumed_from_the_window(qtbot, make_window, scenes):
    window = make_window("--steps", 4, "--die", 2)
    page, training = start(qtbot, window, scenes), window.parts.training
    qtbot.waitUntil(lambda: training.progress.outcome == "broken", timeout=20_000)
    assert page.result.resume.isVisible() and "resume to go on" in page.run.sentence.text().lower()
    training.run_with(command=(*FAKE, "--steps", "4"))
    page.result.resume.click()
    qtbot.waitUntil(lambda: training.progress.outcome == "finished", timeout=20_000)
    assert [step for step, _ in training.record.losses] == [1, 2, 3, 4]


def test_a_closed_window_ends_the_run_and_the_next_one_offers_it(qtbot, make_window, scenes, best, tmp_path, leave):
    window = make_window("--steps", 4, "--hold", 2, "--set", best)
    training = window.parts.training
    start(qtbot, window, scenes)
    qtbot.waitUntil(lambda: training.progress.step == 2, timeout=20_000)
    leave(window, "Stop and close")
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=20_000)
    (run,) = find_runs(tmp_path / "trainings")
    assert not run.is_alive and run.is_resumable
    window = make_window("--steps", 4)
    page, training = window.training_page, window.parts.training
    training.find_runs()
    qtbot.waitUntil(lambda: page.unfinished.isVisible(), timeout=20_000)
    assert "did not end" in window.training_card.sentence.text()
    (row,) = page.unfinished.rows.values()
    assert row.resume.isVisible() and row.keep.isVisible() and row.trash.isVisible()
    row.resume.click()
    qtbot.waitUntil(lambda: training.progress.outcome == "finished", timeout=20_000)
    assert [step for step, _ in training.record.losses] == [1, 2, 3, 4]


def test_a_training_that_ended_before_its_first_checkpoint_is_offered_to_begin_again(qtbot, make_window, tmp_path):
    folder = new_folder(tmp_path / "trainings", "early")
    Run(folder, "early", "cassi", "start", arguments=("train", "--out", str(folder))).save()
    window = make_window("--steps", 2)
    page, training = window.training_page, window.parts.training
    training.find_runs()
    qtbot.waitUntil(lambda: page.unfinished.isVisible(), timeout=20_000)
    (row,) = page.unfinished.rows.values()
    assert row.again.isVisible() and not row.resume.isVisible() and "had not begun to learn" in row.sentence.text()
    row.again.click()
    qtbot.waitUntil(lambda: training.progress.outcome == "finished", timeout=20_000)
    assert training.run.folder == folder and [step for step, _ in training.record.losses] == [1, 2]


def test_the_fields_show_what_the_preset_has_for_this_task_and_data(qtbot, make_window, scenes, tmp_path):
    page = make_window().training_page
    plan = page.plan
    plan.advanced.click()

    def shown(name: str) -> str:
        return plan.form.editors[name].line.placeholderText()

    assert (shown("checkpoint_steps"), shown("validation_steps"), shown("batch")) == ("50", "75", "4")
    assert (shown("crop"), shown("built_in")) == ("32,256", "0.6")
    plan.lengths.options["thorough"].click()
    assert (shown("validation_steps"), shown("patience")) == ("250", "10")
    plan.form.editors["batch"].line.setText("3")
    plan.form.editors["batch"].line.editingFinished.emit()
    add(qtbot, page, scenes)
    assert shown("built_in") == "0.3" and plan.form.settings == (("batch", "3"),)
    plan.lengths.options["quick"].click()
    qtbot.waitUntil(lambda: shown("adapter_steps") == "10", timeout=20_000)  # as the trial found it
    assert plan.form.editors["equivariance"].isHidden() and not plan.form.editors["random_masks"].isHidden()
    plan.routes.options["captures"].click()
    assert plan.form.editors["random_masks"].isHidden() and not plan.form.editors["equivariance"].isHidden()


def test_the_command_that_makes_the_same_set_can_be_copied(qtbot, make_window, scenes):
    page = make_window().training_page
    add(qtbot, page, scenes)
    page.plan.title.setText("my lab's camera")
    page.plan.copy.click()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[0] == "lorun" and tuple(words[1:]) == page.plan.planning.plan().arguments(Path("my-lab-s-camera"))[:-2]


def test_an_unfinished_training_is_kept_or_moved_to_the_trash(qtbot, make_window, scenes, best, tmp_path):
    window = make_window("--steps", 4, "--die", 3, "--set", best)
    page, training = start(qtbot, window, scenes), window.parts.training
    qtbot.waitUntil(lambda: training.progress.outcome == "broken", timeout=20_000)
    page.another.click()
    qtbot.waitUntil(lambda: page.unfinished.isVisible(), timeout=20_000)
    (row,) = page.unfinished.rows.values()
    row.keep.click()
    qtbot.waitUntil(lambda: training.progress.state == "ended", timeout=20_000)
    assert page.stack.currentIndex() == 1 and training.progress.step == 3 and not training.has_child
    page.another.click()
    qtbot.waitUntil(lambda: page.unfinished.isVisible(), timeout=20_000)
    (row,) = page.unfinished.rows.values()
    folder = training.unfinished[0].folder
    row.trash.click()
    qtbot.waitUntil(lambda: not page.unfinished.isVisible(), timeout=20_000)
    assert not folder.exists()


def test_a_process_that_an_earlier_window_left_is_offered_to_be_watched(qtbot, make_window, tmp_path):
    folder = new_folder(tmp_path / "trainings", "left behind")
    child = subprocess.Popen([*FAKE, "--steps", "4", "--hold", "2", "--out", str(folder)], stdout=subprocess.DEVNULL)
    try:
        Run(folder, "left behind", "cassi", "start", pid=child.pid, began=process_start(child.pid)).save()
        window = make_window()
        page, training = window.training_page, window.parts.training
        training.find_runs()
        qtbot.waitUntil(lambda: page.unfinished.isVisible(), timeout=20_000)
        (row,) = page.unfinished.rows.values()
        assert row.watch.isVisible() and not row.resume.isVisible() and not row.trash.isVisible()
        row.watch.click()
        qtbot.waitUntil(lambda: training.progress.step == 2, timeout=20_000)
        page.run.keep.click()
        assert child.wait(20) == 0
        qtbot.waitUntil(lambda: not training.has_child, timeout=20_000)
    finally:
        child.kill()
        child.wait()


def test_without_memory_for_both_the_training_is_paused_for_the_decode(qtbot, make_parts, snapshot, scenes, tmp_path):
    fake = FakeDecoder()
    fake.fail = {1: DeviceError("The memory of the device is full.")}
    parts = make_parts(fake)
    parts.training.run_with(folder=tmp_path / "trainings", command=(*FAKE, "--steps", "3", "--hold", "2"))
    window = MainWindow(parts)
    qtbot.addWidget(window)
    window.show()
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    training, card = parts.training, window.training_card
    run = Run(new_folder(tmp_path / "trainings", "mine"), "mine", "cassi", "fake", device=parts.setup.device)
    (run.folder / "checkpoint.safetensors").write_text("1")
    training.resume(run)
    qtbot.waitUntil(lambda: training.progress.step == 2, timeout=20_000)
    assert not card.pause_and_decode.isVisible()
    window.decode_card.button.click()
    qtbot.waitUntil(lambda: parts.session.restoration.state == "failed", timeout=20_000)
    assert card.pause_and_decode.isVisible() and card.wait.isVisible()
    fake.fail = {}
    card.pause_and_decode.click()
    qtbot.waitUntil(lambda: parts.session.restoration.state == "done", timeout=20_000)
    assert training.progress.state == "paused" and not card.pause_and_decode.isVisible()
    card.pause.click()
    qtbot.waitUntil(lambda: not training.has_child, timeout=20_000)


def test_a_training_that_kept_nothing_better_than_the_start_says_so_on_its_card_and_page(qtbot, make_window):
    window = make_window("--steps", 2)
    page, training = window.training_page, window.parts.training
    qtbot.waitUntil(lambda: page.plan.start.isEnabled(), timeout=20_000)
    page.plan.start.click()
    qtbot.waitUntil(lambda: training.progress.state == "ended", timeout=20_000)
    assert page.result.sentence.text().startswith("There is nothing to keep") and not page.result.keep.isVisible()
    assert window.training_card.sentence.text().endswith("has ended and kept nothing better than the start.")
    training.progress = replace(training.progress, best_psnr=19.0)
    training.changed.emit()
    assert "the best set reached 19.00 dB, the starting set has 20.00 dB" in page.result.sentence.text()


def test_a_decode_that_waits_for_a_training_is_forgotten_when_something_else_is_opened(
    qtbot, make_parts, fake, snapshot, foreign, tmp_path
):
    parts = make_parts(fake)
    parts.training.run_with(folder=tmp_path / "trainings", command=(*FAKE, "--steps", "3", "--hold", "2"))
    card = TrainingCard(parts)
    qtbot.addWidget(card)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    training = parts.training
    run = Run(new_folder(tmp_path / "trainings", "mine"), "mine", "cassi", "fake", device=parts.setup.device)
    (run.folder / "checkpoint.safetensors").write_text("1")
    training.resume(run)
    qtbot.waitUntil(lambda: training.progress.step == 2)
    card.wait.click()
    assert "has ended" in card.conflict.text()
    other = shutil.copy(snapshot, tmp_path / "other.h5")
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([other])
    assert card.conflict.text() == ""
    training.stop_and_keep()
    qtbot.waitUntil(lambda: not training.has_child)
    qtbot.waitUntil(lambda: not parts.lanes.is_busy)
    assert parts.session.restoration.state == "idle" and fake.computed == []


def test_the_model_card_leads_to_the_page_where_the_set_does_not_serve(qtbot, make_parts, snapshot):
    fake = FakeDecoder()
    fake.refusal = "Trained for another camera."
    window = MainWindow(make_parts(fake))
    qtbot.addWidget(window)
    window.show()
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.session.open([snapshot])
    assert window.model_card.adapt.isVisible()
    window.model_card.adapt.click()
    assert window.pages.currentWidget() is window.training_page
    assert "no adapter set for CASSI measurements to start from" in window.training_page.plan.why_not.text()


def test_every_advanced_setting_is_one_of_the_recipe_and_holds_what_is_typed():
    values = preset_values(resource_path("recipes", "adapt", "quick.toml"))
    hints = {**hints_of(LocalData), **hints_of(TrainingConfig)}
    for setting in SETTINGS:
        assert parse(text_of(values[setting.name]), hints[setting.name]) == values[setting.name]
        assert setting.title and setting.hint
