"""Trainings on the disk: one folder each, which outlives the window, and the process that may still be working in it.

`window.json` in the folder says how the window started the training; everything else there is the engine's own. A
folder is offered again until its training was kept or given up.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
from PySide6.QtCore import QFile

from lorun_engine.errors import FileError
from lorun_engine.io import replacing
from lorun_engine.schema import Number, json_of, made
from lorun_engine.training.events import Discarded, Finished, Moment, TrainEvent
from lorun_engine.training.run_folder import BEST, CHECKPOINT, EVENTS, REPORT, EventFile, give_command, last_event

ABOUT = "window.json"
OWN_TRASH = ".trash"  # where the desktop has none
_TELLS_STARTS = (
    sys.platform == "win32" or Path("/proc/self/stat").exists()
)  # elsewhere a process must be started to ask


@dataclass(frozen=True)
class Run:
    """A training's folder and how the window started it.

    `pid` and `began` tell the process that was started last: a number alone is soon given to another process.
    """

    folder: Path
    title: str
    task: str
    starting_set: str
    arguments: tuple[str, ...] = ()  # of `lorun train`
    device: str = "cpu"
    num_steps: Number = 0
    pid: Number | None = None
    began: str | None = None
    is_settled: bool = False  # kept or given up: not offered again

    @property
    def is_alive(self) -> bool:
        """Whether the process that was started last still works."""
        return self.pid is not None and self.began is not None and process_start(self.pid) == self.began

    @property
    def still_runs(self) -> bool:
        """Whether a process that was alive a moment ago is still there; it may be asked often."""
        if _TELLS_STARTS:
            return self.is_alive
        try:
            os.kill(self.pid, 0)  # reaches nobody: it says whether there is somebody
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    @property
    def is_resumable(self) -> bool:
        """Whether there is a checkpoint to go on from, and something left to do."""
        return (self.folder / CHECKPOINT).is_file() and not self.is_over

    @property
    def is_restartable(self) -> bool:
        """Whether it ended before its first checkpoint, so that the same words can begin it again."""
        return bool(self.arguments) and not (self.folder / CHECKPOINT).is_file() and not self.is_over

    @property
    def is_over(self) -> bool:
        """Whether the training came to its own end."""
        return isinstance(last_event(self.folder / EVENTS), Finished | Discarded)

    @property
    def last_step(self) -> int:
        """The step of the last event; 0 where there is none."""
        event = last_event(self.folder / EVENTS)
        return event.step if isinstance(event, Moment) else 0

    @property
    def is_keepable(self) -> bool:
        """Whether there is a set that can be used."""
        return (self.folder / BEST).is_file()

    def is_fruitless(self, gain: float | None) -> bool:
        """Whether nothing that it kept is better than the starting set, by the `gain` in dB where that is known."""
        return not self.is_keepable or (gain is not None and gain <= 0)

    def events(self) -> list[TrainEvent]:
        """All events so far, in order."""
        return EventFile(self.folder / EVENTS).new()

    @property
    def report(self) -> Path | None:
        """The report of the training, where it has been written."""
        path = self.folder / REPORT
        return path if path.is_file() else None

    def give(self, command: str) -> None:
        """Gives the process a command: pause, continue, validate, checkpoint or stop."""
        try:
            give_command(self.folder, command)
        except OSError as error:
            raise FileError(
                f"The training could not be told to {command}: {error.strerror or error}. Free space in {self.folder}."
            ) from error

    def save(self) -> None:
        """Writes `window.json`, in one step."""
        stored = {name: value for name, value in asdict(self).items() if name != "folder"}
        with replacing(self.folder / ABOUT) as temporary:
            temporary.write_text(json.dumps(stored, indent=1), encoding="utf-8")


def runs_folder() -> Path:
    """Where this user's trainings lie."""
    return platformdirs.user_data_path("LoRun", appauthor=False) / "trainings"


def new_folder(parent: Path, title: str) -> Path:
    """An empty folder with a readable name that nothing has yet; made here, so that no one else takes it."""
    name = file_name(title)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                continue
    except OSError as error:
        raise FileError(
            f"The folder of the training cannot be made in {parent}: {error.strerror or error}. Free space, or choose "
            "another folder."
        ) from error
    raise FileError(f"{parent} holds too many trainings named {name}. Choose another name.")


def file_name(title: str) -> str:
    """`title` as the name of a file that every system takes: letters, figures, dots and hyphens."""
    name = re.sub(r"[^\w.]+", "-", title.strip().lower(), flags=re.ASCII).strip("-._")
    return name[:60].rstrip("-._") or "set"


def find_runs(parent: Path) -> list[Run]:
    """The trainings below `parent` that were neither kept nor given up, the newest first."""
    folders = [path for path in parent.iterdir() if path.is_dir() and path.name[0] != "."] if parent.is_dir() else []
    runs = [run for folder in folders if (run := load_run(folder)) is not None and not run.is_settled]
    return sorted(runs, key=lambda run: (run.folder / ABOUT).stat().st_mtime, reverse=True)


def load_run(folder: Path) -> Run | None:
    """The training in `folder`; None where it holds none, or a damaged description."""
    try:
        stored = json_of((folder / ABOUT).read_bytes())
        return made(Run, {**stored, "folder": folder}, drops_unknown=True)
    except (OSError, ValueError, TypeError):
        return None


def move_to_trash(folder: Path) -> Path | None:
    """Moves a folder to the trash of the desktop; where there is none, into one beside it, which is returned."""
    if QFile.moveToTrash(str(folder)):
        return None
    own = folder.parent / OWN_TRASH
    try:
        target = new_folder(own, folder.name)
        target.rmdir()
        folder.rename(target)
    except OSError as error:
        raise FileError(
            f"{folder} could not be moved to the trash: {error.strerror or error}. Delete it by hand."
        ) from error
    return target


# ---- processes ---------------------------------------------------------------------------------------------------


def process_start(pid: int) -> str | None:
    """When the process with this number began, in whatever unit the system counts; None where there is none."""
    if sys.platform == "win32":
        return _start_on_windows(pid)
    if _TELLS_STARTS:
        return _start_on_linux(pid)
    done = subprocess.run(["ps", "-o", "lstart=,stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    started, _, state = done.stdout.strip().rpartition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def _start_on_linux(pid: int) -> str | None:
    try:
        # The name of the program, in brackets, may hold anything; state, 18 numbers and the start follow it.
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else f"{boot} {numbers[18]}"


def _start_on_windows(pid: int) -> str | None:
    query_limited, still_active = 0x1000, 259
    kernel = ctypes.windll.kernel32
    handle = kernel.OpenProcess(query_limited, False, pid)
    if not handle:
        return None
    times = [ctypes.c_ulonglong() for _ in range(4)]
    code = ctypes.c_ulong()
    try:
        known = kernel.GetProcessTimes(handle, *map(ctypes.byref, times))
        running = kernel.GetExitCodeProcess(handle, ctypes.byref(code)) and code.value == still_active
    finally:
        kernel.CloseHandle(handle)
    return str(times[0].value) if known and running else None


def end_process(run: Run, *, forcibly: bool) -> None:
    """Ends the process of a run that this window did not start itself; does nothing where it has ended."""
    if run.is_alive:
        import signal

        number = signal.SIGTERM if not forcibly or sys.platform == "win32" else signal.SIGKILL
        os.kill(run.pid, number)
