"""The command `lorun`: opens the window, or hands over to the engine's command line.

The window opens without a subcommand, with `gui [FILES]`, with bare file names (what a desktop passes for a double
click) and with a bare `demo` where there is a display. Everything else belongs to `lorun_engine.cli`.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.resources import choices_path, library_folders, resource_path
from lorun_engine import share_cores
from lorun_engine.decoding.execution import remember_choices_at


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `lorun` with these arguments (the process's own by default) and returns its exit code."""
    multiprocessing.freeze_support()
    share_cores()
    _give_streams()
    remember_choices_at(choices_path())
    arguments = list(sys.argv[1:] if argv is None else argv)
    if opens_window(arguments, has_display=has_display(sys.platform, os.environ)):
        return _open_window(arguments)
    from app import settings
    from lorun_engine import cli

    folders = settings.load(settings.settings_path()).folders
    return cli.main(
        arguments,
        library=library_folders(),
        resources=resource_path(),
        remembered=lambda folder: folders.get(str(folder)),
    )


def opens_window(arguments: Sequence[str], *, has_display: bool) -> bool:
    """Whether these arguments ask for the window. Bare file names are told from subcommands by a dot or a separator."""
    match arguments:
        case [] | ["gui", *_]:
            return True
        case ["demo"]:
            return has_display
        case [first, *_]:
            return not first.startswith("-") and (Path(first).suffix != "" or Path(first).name != first)
    return False


def has_display(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether a window could be shown: always on Windows and macOS, elsewhere where X11 or Wayland is announced."""
    return platform in ("win32", "darwin") or any(environment.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))


def _open_window(arguments: list[str]) -> int:
    if not has_display(sys.platform, os.environ) and "QT_QPA_PLATFORM" not in os.environ:
        return _refuse(
            "no display was found for the window. Set DISPLAY or WAYLAND_DISPLAY, or use the command line: lorun --help"
        )
    try:
        import PySide6.QtWidgets  # noqa: F401  (here, so that only Qt's own failure is told as one)
    except ImportError as error:
        return _refuse(
            f"Qt did not load ({error}). Install the system library it names, or use the command line: lorun --help"
        )
    from app.main_window import run
    from lorun_engine.task import DEFAULT

    if arguments[:1] == ["gui"]:
        arguments = arguments[1:]
    if arguments == ["demo"]:
        return run([], sample=DEFAULT)
    return run([Path(name) for name in arguments], sample=None)


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"lorun: {sentence}\n")
    return 1


def _give_streams() -> None:
    """A windowed frozen program has no stdout and stderr; whatever is written there is dropped."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
