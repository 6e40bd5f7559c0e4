"""Pictures of the window's states, made from the built-in samples: python -m tests.screenshots [-o FOLDER]

Each in light and dark, in three sizes, and in the middle one at twice the pixels. The window is drawn offscreen, no
display is needed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from app.assembly import Parts
    from app.main_window import MainWindow

ROOT = Path(__file__).resolve().parents[1]
THEMES = ("light", "dark")
SIZES = ("1280x720", "1440x900", "1920x1080")
SCALES = ("1", "2")  # device pixels per pixel; at 2 only the middle size
NUM_STAGES = 60
LONGEST_S = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", default="screenshots", help="folder (default ./screenshots)")
    parser.add_argument("--scale", choices=SCALES, help="device pixels per pixel (default both)")
    args = parser.parse_args()
    folder = Path(args.output).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if args.scale is not None and os.environ.get("QT_SCALE_FACTOR") == args.scale:
        take(folder, SIZES if args.scale == "1" else SIZES[1:2], "" if args.scale == "1" else "@2x")
        return
    for scale in SCALES if args.scale is None else (args.scale,):  # Qt reads it once, when it starts
        environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": scale}
        command = [sys.executable, "-m", "tests.screenshots", "-o", str(folder), "--scale", scale]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
    sys.stdout.write(f"{folder}\n")


def take(folder: Path, sizes: Sequence[str], suffix: str) -> None:
    """Drives one window through its states and saves a picture of each in every theme and size."""
    from PySide6.QtWidgets import QApplication

    from app.assembly import Parts
    from app.main_window import MainWindow
    from app.resources import resource_path, samples

    app = QApplication([])
    parts = Parts(library=[resource_path("weights"), folder])
    window = MainWindow(parts)
    window.show()

    def picture(state: str, widget: QWidget | None = None) -> None:
        for theme, size in itertools.product(THEMES, sizes if widget is None else sizes[:1]):
            parts.preferences.set_theme(theme)
            window.resize(*map(int, size.split("x")))
            until(lambda: False, longest_s=0.3)  # let everything be drawn
            name = f"{state}-{theme}" if widget is not None else f"{state}-{theme}-{size}"
            (widget or window).grab().save(str(folder / f"{name}{suffix}.png"))

    parts.setup.load_engine()
    until(lambda: not parts.lanes.is_busy)
    picture("1-empty")
    window.actions_["tour"].trigger()
    picture("1-tour")
    window.tour.end()
    window.actions_["help"].trigger()
    picture("1-help", window.help)
    window.help.close()
    parts.session.open_sample("cassi")
    until(lambda: not parts.lanes.is_busy)
    picture("2-opened")
    parts.setup.switch_decoder("gap-tv")
    parts.setup.set_num_stages(NUM_STAGES)
    parts.session.restore()
    until(lambda: parts.session.restoration.done_stages >= NUM_STAGES // 3)
    picture("3-decoding")
    until(lambda: not parts.lanes.is_busy)
    parts.looking.select_pixel((100, 120))
    picture("4-colour")
    parts.looking.set_mode("band")
    picture("5-band")
    parts.looking.set_mode("montage")
    picture("6-montage")
    parts.looking.set_mode("colour")
    window.show_roles()
    picture("7-roles", window.roles_page)
    window.roles_page.close()
    inspection(window, picture)
    a_training(window, picture)
    leaving(window, picture)
    a_folder(window, picture)
    for sample in samples():
        if sample != "cassi":
            photographs(parts, sample, picture)
    until(lambda: not parts.lanes.is_busy)
    parts.shelf.clear()  # so that nothing is asked
    window.close()
    app.processEvents()


def inspection(window: MainWindow, picture: Callable[[str], None]) -> None:
    """Decodes with the shipped set and looks at the result in every way the window has."""
    parts = window.parts
    parts.setup.switch_decoder("cassi-any-mask")
    until(lambda: not parts.lanes.is_busy)
    parts.session.restore()
    until(lambda: not parts.lanes.is_busy)
    window.actions_["all_panes"].trigger()
    picture("8-stage-grid")
    window.actions_["reset_panes"].trigger()
    window.actions_["change"].trigger()
    picture("9-change")
    window.actions_["change"].trigger()
    parts.regions.add("rectangle", [(90, 40), (130, 80)])
    parts.regions.add("ellipse", [(150, 90), (200, 140)])
    window.side_tabs.show_card("Regions")
    picture("10-regions")
    for name in ("compare", "residual"):
        window.actions_[name].trigger()
        until(lambda: not parts.lanes.is_busy)
        picture(f"11-{name}")
    window.actions_["compare"].trigger()
    parts.comparing.show("side by side")
    window.actions_["lens"].trigger()
    picture("11-side-by-side")
    window.actions_["lens"].trigger()
    parts.looking.set_mode("colour")
    for name in ("adapters", "alignment", "what_if", "adapt", "preferences"):
        window.actions_[name].trigger()
        until(lambda: not parts.lanes.is_busy)
        picture(f"12-{name.replace('_', '-')}")
    window.show_page(None)
    with tempfile.TemporaryDirectory(prefix="lorun-wrong-") as name:
        wrong = Path(name) / "lecture.h5"
        wrong.write_text("not a measurement")
        parts.session.open([wrong])
        until(lambda: not parts.lanes.is_busy)
        picture("14-wrong-file")
        parts.session.open_sample("cassi")
        until(lambda: not parts.lanes.is_busy)


def a_training(window: MainWindow, picture: Callable[[str], None]) -> None:
    """Begins to adapt the shipped set, looks at the training while it runs, and ends it."""
    parts, training = window.parts, window.parts.training
    with tempfile.TemporaryDirectory(prefix="lorun-runs-") as name:
        training.run_with(folder=Path(name))
        window.actions_["adapt"].trigger()
        until(lambda: parts.planning.plan() is not None)
        training.start(parts.planning.plan())
        until(lambda: training.progress.step >= 3)
        picture("12-adapt-running")
        training.stop_and_keep()
        until(lambda: training.progress.state == "ended")
        picture("12-adapt-ended")
        training.trash(training.run)
        until(lambda: not parts.is_busy)
        training.forget()
    window.show_page(None)


def leaving(window: MainWindow, picture: Callable[[str, QWidget | None], None]) -> None:
    """Closes the window on unsaved results and on a decode that runs, stays, and finds what a crash would leave."""
    from PySide6.QtWidgets import QMessageBox

    from app.assembly import Parts
    from app.main_window import MainWindow
    from app.resources import resource_path
    from lorun_engine.io.session_files import keep_session

    parts = window.parts

    def ask(state: str) -> None:
        window.close()
        question = window.findChild(QMessageBox, "leave")
        picture(state, question)
        question.reject()
        until(lambda: window.findChild(QMessageBox, "leave") is None)

    with tempfile.TemporaryDirectory(prefix="lorun-state-") as name:
        snapshot = Path(name) / "snapshot.h5"
        snapshot.write_bytes(resource_path("samples", "cassi.h5").read_bytes())  # a file of the user's own
        parts.session.open([snapshot])
        until(lambda: not parts.lanes.is_busy)
        parts.setup.set_num_stages(2)
        parts.session.restore()
        ask("15-closing-while-decoding")
        until(lambda: not parts.lanes.is_busy)
        ask("15-closing")
        content = parts.session_files.content(None)
        keep_session(Path(name) / "autosave" / "left", asdict(content.document), content.arrays)
        other = MainWindow(Parts(state_folder=Path(name)))
        other.resize(1440, 900)
        other.show()
        other.parts.setup.load_engine()
        other.parts.autosave.find()
        until(lambda: bool(other.parts.autosave.left) and not other.parts.lanes.is_busy)
        picture("16-after-a-crash", other)
        other.close()
        parts.shelf.clear()


def a_folder(window: MainWindow, picture: Callable[[str], None]) -> None:
    """Decodes copies of the sample, one of them cut short, in a folder of their own."""
    from app.resources import resource_path

    parts = window.parts
    with tempfile.TemporaryDirectory(prefix="lorun-folder-") as name:
        sample = resource_path("samples", "cassi.h5").read_bytes()
        for number in range(1, 13):
            (Path(name) / f"capture_{number:02}.h5").write_bytes(sample[:5000] if number == 3 else sample)
        window.folder_dock.open(Path(name))
        until(lambda: not parts.lanes.is_busy)
        parts.setup.switch_decoder("gap-tv")
        parts.setup.set_num_stages(2)
        parts.decode_all.start()
        until(lambda: parts.decode_all.progress.num_ended >= 5)
        picture("13-folder")
        parts.decode_all.cancel()
        until(lambda: not parts.lanes.is_busy)
        parts.folder.close()
        window.folder_dock.hide()


def photographs(parts: Parts, sample: str, picture: Callable[[str], None]) -> None:
    """Opens and decodes a sample that is a photograph, with what was measured and the true scene beside the result."""
    from app.document.selection import MEASUREMENT, REFERENCE

    parts.session.open_sample(sample)
    until(lambda: not parts.lanes.is_busy)
    picture(f"{sample}-1-opened")
    parts.session.restore()
    until(lambda: not parts.lanes.is_busy)
    last = len(parts.session.stages) - 1
    parts.looking.set_panes([MEASUREMENT, 0, last, REFERENCE])
    parts.looking.select_stage(last)
    parts.looking.select_pixel((120, 100))
    picture(f"{sample}-2-decoded")
    if parts.session.measurement.physics.scene_shape[0] == 1:
        return
    parts.looking.set_mode("band")
    picture(f"{sample}-3-channel")
    parts.looking.set_mode("montage")
    picture(f"{sample}-4-montage")


def until(condition: Callable[[], bool], *, longest_s: float = LONGEST_S) -> None:
    """Runs the event loop until `condition` holds, at most `longest_s`."""
    from PySide6.QtCore import QEventLoop, QTimer

    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if condition() else None)
    timer.start(20)
    QTimer.singleShot(int(longest_s * 1000), loop.quit)
    loop.exec()


if __name__ == "__main__":
    main()
