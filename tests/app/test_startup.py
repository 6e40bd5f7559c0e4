"""The window is up before torch is, and nothing of the app pulls it in earlier."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _run(program: str, *, home: Path | None = None) -> str:
    """What a program prints; with `home` it reads and writes its settings and log there."""
    names = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "LOCALAPPDATA")
    environment = os.environ | ({} if home is None else dict.fromkeys(names, str(home)))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stdout.strip()


def test_the_windows_modules_import_neither_torch_nor_file_libraries():
    heavy = "'torch', 'h5py', 'scipy', 'tifffile', 'spectral', 'safetensors'"
    assert _run(f"import sys, app.main_window; print([name for name in ({heavy},) if name in sys.modules])") == "[]"


def test_the_window_is_painted_before_the_engine_loads(tmp_path):
    program = f"""
import sys
from pathlib import Path
from PySide6.QtWidgets import QApplication
from app.main_window import MainWindow
from app.assembly import Parts
app = QApplication([])
parts = Parts(settings_path=Path({str(tmp_path)!r}) / "settings.json")
window = MainWindow(parts)
seen = []
window.first_painted.connect(lambda: (seen.append("torch" in sys.modules), parts.setup.load_engine()))
parts.lanes.idle.connect(window.close)
window.show()
app.exec()
print(seen, "torch" in sys.modules, parts.setup.is_engine_loaded)
"""
    assert _run(program) == "[False] True True"


def test_the_demo_opens_decodes_and_closes_in_the_middle_without_harm(tmp_path):
    program = """
from PySide6.QtWidgets import QMessageBox
from app import main_window
seen = []
class Window(main_window.MainWindow):
    def __init__(self, parts):
        super().__init__(parts)
        self.closing.patience_ms = 60_000
        self.session.stage_added.connect(self.leave)
    def leave(self, index):
        seen.append(index)
        self.close()
        for box in self.findChildren(QMessageBox, "leave"):
            next(button for button in box.buttons() if button.text() == "Stop and close").click()
main_window.MainWindow = Window
print(main_window.run([], sample="cassi"), seen[0], len(seen) < 10)
"""
    assert _run(program, home=tmp_path) == "0 0 True"
    assert list(tmp_path.rglob("lorun.log")) and list(tmp_path.rglob("settings.json"))
