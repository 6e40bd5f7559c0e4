"""Sets for three tasks are adapted to instruments they do not know, from the window alone, on a CPU in minutes.

With the sets that come with the program: pytest -m slow -s tests/app/training/test_acceptance.py. The line that each
prints says how long it took; on two cores that do nothing else it is less than ten minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt

from app.main_window import MainWindow
from app.resources import library_folders, resource_path
from lorun_engine.instrument import Dispersion
from lorun_engine.io import open_scene, write_cube, write_measurement
from lorun_engine.library.cards import cards_in, read_card
from lorun_engine.library.model import backbone_hash, load_model
from lorun_engine.measurement import Scene
from lorun_engine.tasks import sr
from lorun_engine.tasks.cassi import CassiCamera, random_mask
from lorun_engine.tasks.kernels import gallery
from lorun_engine.tasks.noise import Noise
from lorun_engine.training_data.composed_scenes import Composer
from lorun_engine.training_data.dead_leaves import dead_leaves, smooth_spectra
from tests.app.training.test_adapts import library, open_window  # noqa: F401 (fixtures)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(sys.platform != "linux", reason="the process finds its library by XDG_DATA_HOME"),
]
PATIENCE_MS = 6_000_000  # ten minutes of training, on a computer that does much else
WANTED_DB = 1.0


def lab_camera(folder: Path) -> Path:
    """A capture by a camera of 12 % open mask that disperses to the left by 3 pixels a band, with shot noise."""
    names = {card.name: card for card in cards_in(library_folders()) if card.kind == "adapters"}
    card = next(card for card in names.values() if card.task == "cassi")
    bands = np.asarray(card.fields["task_config"]["wavelengths_nm"], dtype=np.float64)
    composer = Composer(dead_leaves(2, height=256, width=256, seed=77), smooth_spectra(bands, seed=77))
    scene = composer.scenes(1, 256, 256, torch.Generator().manual_seed(77))[0].numpy()
    mask = random_mask(256, 256, density=0.12, seed=12)
    dispersion = Dispersion(len(bands), 3.0, direction="-")
    camera = CassiCamera(Noise("shot", 200), mask=mask, dispersion=dispersion)
    found = camera.measured(Scene(scene, bands), seed=3)
    write_measurement(folder / "lab camera.h5", found, attributes={"noise": "shot:200"})
    return folder / "lab camera.h5"


def shaken_camera(folder: Path) -> Path:
    """A low-resolution picture by a camera with a shaking hand and noise."""
    scene = open_scene(resource_path("samples", "sr.h5"))
    found = sr.simulate(scene, gallery()["camera shake 2"], 2, noise=Noise("gaussian", 0.02), seed=3)
    write_measurement(folder / "shaken.h5", found, attributes={"noise": "gaussian:0.02"})
    return folder / "shaken.h5"


def adapt(qtbot, window: MainWindow) -> None:
    """The quick preset with all of its steps, however slow this computer is today, and the button."""
    plan = window.training_page.plan
    plan.lengths.options["quick"].click()
    plan.advanced.click()
    steps = plan.form.editors["adapter_steps"].line
    steps.setText(steps.placeholderText())
    steps.editingFinished.emit()
    qtbot.waitUntil(lambda: plan.why_not.text() == "", timeout=PATIENCE_MS)
    plan.start.click()
    qtbot.waitUntil(lambda: not window.parts.training.has_child, timeout=PATIENCE_MS)


def require_kept_and_usable(qtbot, window: MainWindow, folder: Path, *, measured: bool = True) -> None:
    """The rise, the backbone, the library, the verification by the command line, and a decode."""
    parts, training, page = window.parts, window.parts.training, window.training_page
    progress, run = training.progress, training.run
    assert progress.outcome == "finished", progress.sentence
    sys.stdout.write(
        f"\n{run.task}: {progress.start_psnr:.2f} -> {progress.best_psnr:.2f} dB in {progress.step} steps, "
        f"{progress.elapsed_s / 60:.1f} min, from {run.starting_set}\n"
    )
    assert progress.gain >= WANTED_DB
    page.result.name.setText("of my lab")
    with qtbot.waitSignal(training.kept, timeout=PATIENCE_MS):
        qtbot.keyClick(page.result.name, Qt.Key.Key_Return)
    card = read_card(folder / "of my lab.safetensors")
    start = next(known for known in cards_in(library_folders()) if known.name == run.starting_set)
    model = load_model(card.path, library=library_folders())
    assert card.fields["backbone_hash"] == start.fields["backbone_hash"]
    assert backbone_hash(model.net.backbone, model.net.config) == start.fields["backbone_hash"]
    command = [sys.executable, "-m", "app", "adapters", "verify", "of my lab", "--json"]
    told = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["verified"]
    qtbot.waitUntil(lambda: page.result.use.isEnabled(), timeout=PATIENCE_MS)
    page.result.use.click()
    qtbot.waitUntil(lambda: parts.setup.decoder_name == card.name and not parts.lanes.is_busy, timeout=PATIENCE_MS)
    if measured:
        window.decode_card.button.click()
        qtbot.waitUntil(lambda: parts.session.restoration.state == "done", timeout=PATIENCE_MS)
        assert parts.session.recipe.decoder == card.name


def test_the_shipped_cassi_set_learns_a_camera_of_another_density_direction_step_and_noise(
    qtbot,
    library,  # noqa: F811
    open_window,  # noqa: F811
    tmp_path,
):
    window = open_window(lab_camera(tmp_path))
    plan = window.training_page.plan
    assert window.parts.planning.noise_text == "shot:200" and "step 3 px" in plan.camera.text()
    adapt(qtbot, window)
    require_kept_and_usable(qtbot, window, library)


def test_the_shipped_backbone_for_samples_learns_a_new_ratio(qtbot, library, open_window, tmp_path):  # noqa: F811
    window = open_window(resource_path("samples", "cs.h5"))
    plan = window.training_page.plan
    plan.source.setCurrentIndex(1)
    plan.source.activated.emit(1)
    plan.given["cs"].editors["ratio"].setText("15")
    plan.given["cs"].editors["ratio"].editingFinished.emit()
    adapt(qtbot, window)
    require_kept_and_usable(qtbot, window, library, measured=False)


def test_a_set_for_pictures_learns_the_blur_and_noise_of_a_camera(qtbot, library, open_window, tmp_path):  # noqa: F811
    if not any(card.task == "sr" for card in cards_in(library_folders()) if card.kind == "adapters"):
        small_picture_set(library, tmp_path)
    window = open_window(shaken_camera(tmp_path))
    assert window.parts.planning.noise_text == "gaussian:0.02"
    adapt(qtbot, window)
    require_kept_and_usable(qtbot, window, library)


SMALL = """
task = "sr"
variant = "lorun"
gamma = 20.0
[network]
channels = 3
num_stages = 3
denoiser = "unet"
denoiser_settings = { widths = [16, 32], residual = true, patch = 2, remembers = true }
data_step = "half-quadratic"
starts = { mu = 2e-4 }
[data]
crop = [64, 64]
batch = 4
scales = [2]
eight_bit = true
[training]
backbone_steps = 200
adapter_steps = 50
learning_rate = 2e-3
warm_up_steps = 20
ema_decay = 0.95
validation_steps = 100
"""


def small_picture_set(folder: Path, place: Path) -> None:
    """A set for x2 without noise, trained in a minute on computed pictures."""
    from lorun_engine.training_data.dead_leaves import colour_pictures

    (place / "pictures").mkdir()
    for number, picture in enumerate(colour_pictures(dead_leaves(8, seed=5))):
        write_cube(place / "pictures" / f"{number}.h5", picture.numpy(), wavelengths_nm=None, attributes={})
    (place / "small.toml").write_text(SMALL)
    command = [sys.executable, "-m", "app", "train", "--task", "sr", "--data", place / "pictures", "--recipe"]
    command += [place / "small.toml", "--out", place / "small"]
    subprocess.run([str(word) for word in command], cwd=Path(__file__).parents[3], check=True)
    for source, name in (("backbone", "small-backbone"), ("adapters", "small")):
        (folder / f"{name}.safetensors").write_bytes((place / "small" / f"{source}.safetensors").read_bytes())
