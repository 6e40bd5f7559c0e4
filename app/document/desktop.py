"""Session files and the desktop: which program a double click on one opens, told to the system and taken back.

On Linux that is a type in the shared MIME database, a launcher and its icons in the user's data folder; on Windows keys
of the user's classes in the registry. On macOS the program's bundle says it by itself.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from xml.sax.saxutils import escape

from PySide6.QtCore import QEvent, QObject, QSettings, Signal
from PySide6.QtGui import QFileOpenEvent

from lorun_engine.errors import FileError
from lorun_engine.io import made_folder, replacing
from lorun_engine.io.session_files import SUFFIX

from ..resources import resource_path

MIME_TYPE = "application/x-lorun-session"
CLASS = "LoRun.Session"  # in the registry
MARK = "X-LoRun-Sessions"  # in a launcher that was written here
WAIT_S = 30.0  # for the system's own programs

# what the two programs of freedesktop.org make of nothing
_MIME_CACHES = (
    *("XMLnamespaces", "aliases", "generic-icons", "globs", "globs2", "icons"),
    *("magic", "mime.cache", "subclasses", "treemagic", "types", "version"),
)
_LAUNCHER_CACHE = "mimeinfo.cache"


class Desktop(Protocol):
    """What a system can be told; `why_not` says in a sentence why it cannot, or nothing."""

    why_not: str

    @property
    def opens_sessions(self) -> bool:
        """Whether a double click opens this program."""

    def register(self) -> None:
        """Has session files opened by this program. Raises FileError where the system does not take it."""

    def forget(self) -> None:
        """Takes that back; nothing of it is left."""


def desktop_here(platform: str = sys.platform, environment: Mapping[str, str] = os.environ) -> Desktop:
    """The desktop that the program runs on."""
    if platform == "win32":
        return WindowsDesktop(QSettings(r"HKEY_CURRENT_USER\Software\Classes", QSettings.Format.NativeFormat))
    if platform == "darwin":
        return BundleDesktop()
    data_home = environment.get("XDG_DATA_HOME", "")
    return FreeDesktop(Path(data_home) if os.path.isabs(data_home) else Path.home() / ".local" / "share")


def own_command() -> tuple[str, ...]:
    """With what this program is started: the packaged one, the installed command, or a module of this Python."""
    if getattr(sys, "frozen", False):
        return (sys.executable,)
    script = Path(sys.executable).with_name("lorun.exe" if sys.platform == "win32" else "lorun")
    return (str(script),) if script.exists() else (sys.executable, "-m", "app")


class FreeDesktop:
    """A desktop that follows freedesktop.org, such as GNOME and KDE; everything lies in `data_home`."""

    why_not = ""

    def __init__(
        self, data_home: Path, command: Sequence[str] | None = None, call: Callable[[Sequence[str]], None] | None = None
    ) -> None:
        """`call` runs one of the system's programs, those that are not there left out."""
        self.data_home = data_home
        self._command, self._call = tuple(command or own_command()), call or _call
        self._type = data_home / "mime" / "packages" / "lorun-session.xml"
        self._launcher = data_home / "applications" / "lorun.desktop"

    @property
    def opens_sessions(self) -> bool:
        return self._type.is_file() and _launched_by(self._launcher) == _exec_line(self._command)

    def register(self) -> None:
        if self._launcher.exists() and not self._is_ours:
            raise FileError(f"{self._launcher} is there and was not written by LoRun. Move it away, and ask again.")
        for path, content in self._contents():
            made_folder(path.parent)
            with replacing(path) as temporary:
                temporary.write_bytes(content)
        self._update()

    def forget(self) -> None:
        try:
            self._remove()
        except OSError as error:
            raise FileError(f"{error.filename} could not be removed: {error.strerror}. Remove it by hand.") from error

    def _remove(self) -> None:
        for path, content in self._contents():
            is_icon = path.suffix in (".png", ".svg")
            if path == self._launcher and not self._is_ours:
                continue
            if path.is_file() and (not is_icon or path.read_bytes() == content):
                path.unlink()
        self._update()
        packages, launchers = self._type.parent, self._launcher.parent
        if not any(packages.glob("*.xml")):
            for name in _MIME_CACHES:
                (packages.parent / name).unlink(missing_ok=True)
        if not any(launchers.rglob("*.desktop")):
            (launchers / _LAUNCHER_CACHE).unlink(missing_ok=True)
        for folder in self._folders():
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    @property
    def _is_ours(self) -> bool:
        return MARK in _entry_of(self._launcher)

    def _contents(self) -> Iterator[tuple[Path, bytes]]:
        """What is written, by where it lies."""
        yield self._type, _type_words().encode()
        yield self._launcher, _launcher_words(self._command).encode()
        for icon in sorted(resource_path("icons").glob("lorun*.*g")):
            side = icon.stem.rpartition("-")[2]
            size = f"{side}x{side}" if side.isdigit() else "scalable"
            yield self.data_home / "icons" / "hicolor" / size / "apps" / f"lorun{icon.suffix}", icon.read_bytes()

    def _folders(self) -> list[Path]:
        """Those that may have been made, the inner ones first."""
        inner = {path.parent for path, _ in self._contents()} | {self._type.parents[1] / MIME_TYPE.split("/")[0]}
        every = {folder for path in inner for folder in (path, *path.parents) if self.data_home in folder.parents}
        return sorted(every, key=lambda folder: -len(folder.parts))

    def _update(self) -> None:
        if self._type.parent.is_dir():
            self._call(("update-mime-database", str(self._type.parents[1])))
        if self._launcher.parent.is_dir():
            self._call(("update-desktop-database", str(self._launcher.parent)))


class WindowsDesktop:
    """The registry of Windows, as far as it is the user's own."""

    why_not = ""

    def __init__(
        self, classes: QSettings, command: Sequence[str] | None = None, tell: Callable[[], None] | None = None
    ) -> None:
        """`classes` are the user's; `tell` has the Explorer look at them again."""
        self._classes, self._command, self._tell = classes, tuple(command or own_command()), tell or _tell_explorer

    @property
    def opens_sessions(self) -> bool:
        is_ours = bool(self._classes.value(f"{SUFFIX}/.") == CLASS)
        return is_ours and bool(self._classes.value(f"{CLASS}/shell/open/command/.") == self._line)

    def register(self) -> None:
        self._classes.setValue(f"{CLASS}/.", "LoRun session")
        self._classes.setValue(f"{CLASS}/DefaultIcon/.", f"{self._command[0]},0")
        self._classes.setValue(f"{CLASS}/shell/open/command/.", self._line)
        self._classes.setValue(f"{SUFFIX}/.", CLASS)
        self._write()

    def forget(self) -> None:
        if self._classes.value(f"{SUFFIX}/.") == CLASS:
            self._classes.remove(SUFFIX)
        self._classes.remove(CLASS)
        self._write()

    @property
    def _line(self) -> str:
        return f'{subprocess.list2cmdline(self._command)} "%1"'

    def _write(self) -> None:
        self._classes.sync()
        if self._classes.status() != QSettings.Status.NoError:
            raise FileError("Windows did not take the change. Ask whoever looks after this computer for the right to.")
        self._tell()


class BundleDesktop:
    """macOS, which reads from the program's bundle what it opens."""

    why_not = "macOS opens .lorun files with LoRun by itself once the program lies in Applications."
    opens_sessions = False

    def register(self) -> None:
        raise FileError(self.why_not)

    def forget(self) -> None:
        raise FileError(self.why_not)


class FilesAsked(QObject):
    """Files that the desktop of macOS asks the running program to open, those of the start among them."""

    asked = Signal(list)  # paths

    def __init__(self, application: QObject) -> None:
        super().__init__(application)
        self._early: list[Path] | None = []
        application.installEventFilter(self)

    def begin(self) -> list[Path]:
        """What was asked for by now; from now on `asked` says it."""
        early, self._early = self._early or [], None
        return early

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if not isinstance(event, QFileOpenEvent) or not event.file():
            return False
        path = Path(event.file())
        if self._early is None:
            self.asked.emit([path])
        else:
            self._early.append(path)
        return True


# ---- what is written ---------------------------------------------------------------------------------------------


def _type_words() -> str:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{escape(MIME_TYPE)}">
    <comment>LoRun session</comment>
    <sub-class-of type="application/zip"/>
    <icon name="lorun"/>
    <glob pattern="*{escape(SUFFIX)}"/>
  </mime-type>
</mime-info>
"""


def _launcher_words(command: Sequence[str]) -> str:
    return f"""[Desktop Entry]
Type=Application
Name=LoRun
Comment=Decodes spectral snapshots, compressive samples, low-resolution and low-light pictures
Exec={_exec_line(command)}
Icon=lorun
Terminal=false
Categories=Science;Graphics;
MimeType={MIME_TYPE};
StartupWMClass=lorun
{MARK}=true
"""


def _exec_line(command: Sequence[str]) -> str:
    """A command with the file behind it, quoted as launchers want it: first its words, then the line."""
    return " ".join([*map(_quoted, command), "%f"])


def _quoted(word: str) -> str:
    for sign in '\\"`$':
        word = word.replace(sign, f"\\{sign}")
    word = word.replace("\\", "\\\\").replace("%", "%%")
    return f'"{word}"'


def _launched_by(launcher: Path) -> str:
    return _entry_of(launcher).get("Exec", "")


def _entry_of(launcher: Path) -> Mapping[str, str]:
    """The keys of a launcher; none where it cannot be read."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # keys keep their capitals
    try:
        parser.read_string(launcher.read_text(encoding="utf-8"))
        return dict(parser["Desktop Entry"])
    except (OSError, ValueError, KeyError, configparser.Error):
        return {}


def _call(command: Sequence[str]) -> None:
    """Runs a program of the system where it is there; the desktop finds the files by itself otherwise."""
    if shutil.which(command[0]):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(command, check=False, capture_output=True, timeout=WAIT_S)


def _tell_explorer() -> None:
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.shell32.SHChangeNotify(0x08000000, 0, None, None)  # SHCNE_ASSOCCHANGED
