"""What went wrong, as values: a sentence for the user, and for bugs the details and a report to pass on.

A LorunError is a sentence already. Everything else is a bug: it is logged with its traceback, shown without blocking
the window, and can be copied as a report with versions, device and shapes.
"""

from __future__ import annotations

import logging
import platform
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from lorun_engine.errors import DeviceError, LorunError

LOG = logging.getLogger("lorun")
_PACKAGES = ("torch", "numpy", "scipy", "h5py", "tifffile", "PySide6-Essentials", "pyqtgraph")


@dataclass(frozen=True)
class Problem:
    """`sentence` for the user; `details` (a traceback) only for bugs."""

    sentence: str
    details: str = ""

    @property
    def is_bug(self) -> bool:
        """Whether this is a fault of the program and not of what it was given."""
        return bool(self.details)


def explain(error: BaseException, *, doing: str) -> Problem:
    """`error` as a problem; `doing` says what was under way, as in "decoding scene3.mat"."""
    if isinstance(error, LorunError):
        return Problem(str(error))
    if isinstance(error, MemoryError):
        return Problem(str(out_of_memory()))
    return Problem(
        f"LoRun made a mistake while {doing}: {type(error).__name__}. What was computed before is kept. "
        "Copy the report to tell us.",
        details="".join(traceback.format_exception(error)),
    )


def out_of_memory() -> DeviceError:
    """The sentence for a computer whose memory is full."""
    return DeviceError(
        "The memory of this computer is full. Close other programs, decode in fewer steps, or crop the measurement."
    )


def report(lines: list[str], *, details: str = "") -> str:
    """A text to send to us: versions and system, then `lines` (device, shapes), then the details of the problem."""
    versions = []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} is not installed")
    parts = [
        f"LoRun {_own_version()}, Python {platform.python_version()}, {platform.platform()}",
        ", ".join(versions),
        *lines,
    ]
    return "\n".join([*parts, "", details] if details else parts)


def install(on_problem: Callable[[Problem], None]) -> None:
    """Sends every exception that nobody caught, in any thread, to the log and to `on_problem`."""

    def caught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        LOG.error("unexpected error", exc_info=(kind, error, trace))
        on_problem(explain(error, doing="working"))

    sys.excepthook = caught
    threading.excepthook = lambda args: caught(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)


def keep_log(folder: Path) -> Path | None:
    """Writes the log to `lorun.log` in `folder`, three files of 1 MB; None where the folder takes no file."""
    LOG.setLevel(logging.INFO)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(folder / "lorun.log", maxBytes=1 << 20, backupCount=2, encoding="utf-8")
    except OSError:
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    return folder / "lorun.log"


def _own_version() -> str:
    from lorun_engine import __version__

    return __version__
