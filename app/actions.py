"""Everything one can do in the window, in one table: menus, shortcuts, enabled rules and the list of shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence, QUndoCommand, QUndoStack

from lorun_engine.io import OpenOptions

from .session import Session

Rule = Callable[[Session], bool]


def _always(session: Session) -> bool:
    return True


def _has_files(session: Session) -> bool:
    return bool(session.paths)


def _has_stages(session: Session) -> bool:
    return len(session.stages) > 0


def _is_open(session: Session) -> bool:
    return session.measurement is not None


def _has_bands(session: Session) -> bool:
    return session.measurement is not None and session.measurement.physics.scene_shape[0] > 1


def _can_export(session: Session) -> bool:
    return _has_stages(session) and not session.restoration.is_busy


@dataclass(frozen=True)
class Entry:
    """One action; `key` is its shortcut, or two separated by a space. `hint` is for the status bar and tooltips."""

    name: str
    menu: str
    text: str
    key: str = ""
    rule: Rule = _always
    hint: str = ""


# In the order of the menus; an entry without a name is a separator.
ENTRIES: tuple[Entry, ...] = (
    Entry("open", "File", "Open…", "Ctrl+O", hint="Open a measurement with its mask or matrix, or drop the files"),
    Entry(
        "add", "File", "Add files…", "Ctrl+Shift+O", _has_files, "Add a mask, a matrix or a reference to what is open"
    ),
    Entry("open_cassi_sample", "File", "Open CASSI sample", "Ctrl+Shift+S", hint="Open the built-in snapshot"),
    Entry("open_cs_sample", "File", "Open CS sample", hint="Open the built-in compressive samples"),
    Entry("open_sr_sample", "File", "Open SR sample", hint="Open the built-in low-resolution picture"),
    Entry("recent", "File", "Recent"),
    Entry("", "File", ""),
    Entry("export", "File", "Export result…", "Ctrl+E", _can_export, "Write the last stage as a cube"),
    Entry(
        "export_stage",
        "File",
        "Export chosen stage…",
        "Ctrl+Shift+E",
        lambda session: _can_export(session) and session.selection.stage != len(session.stages) - 1,
        "Write the stage that is looked at as a cube",
    ),
    Entry(
        "export_spectra",
        "File",
        "Export spectra…",
        "",
        lambda session: _can_export(session) and session.selection.pixel is not None,
        "Write the curves at the pinned pixel as CSV",
    ),
    Entry("export_picture", "File", "Export picture…", "", _can_export, "Write the chosen stage as PNG"),
    Entry("", "File", ""),
    Entry("quit", "File", "Quit", "Ctrl+Q"),
    Entry("undo", "Edit", "Undo", "Ctrl+Z"),
    Entry("redo", "Edit", "Redo", "Ctrl+Shift+Z"),
    Entry("", "Edit", ""),
    Entry("roles", "Edit", "Roles and geometry…", "Ctrl+G", _has_files, "See and correct what was understood"),
    Entry("copy_command", "Edit", "Copy as command", "Ctrl+Shift+C", _is_open, "The lorun line that does this decode"),
    Entry("colour", "View", "Colour", "1", _has_bands),
    Entry("band", "View", "Band", "2", _has_bands),
    Entry("montage", "View", "Montage", "3", _has_bands),
    Entry("", "View", ""),
    Entry("previous_stage", "View", "Previous stage", ",", _has_stages),
    Entry("next_stage", "View", "Next stage", ".", _has_stages),
    Entry("first_stage", "View", "First stage", "Shift+Home", _has_stages),
    Entry("last_stage", "View", "Last stage", "Shift+End", _has_stages),
    Entry("previous_band", "View", "Previous band", "[", _has_bands),
    Entry("next_band", "View", "Next band", "]", _has_bands),
    Entry("", "View", ""),
    Entry("theme", "View", "Theme"),
    Entry("log", "View", "Log", "Ctrl+L"),
    Entry("decode", "Restore", "Decode", "Ctrl+Return F5", lambda session: session.can_restore),
    Entry("cancel", "Restore", "Cancel", "Esc", lambda session: session.restoration.state == "running"),
    Entry("shortcuts", "Help", "Shortcuts", "? F1"),
    Entry("self_test", "Help", "Self-test", "", lambda session: session.is_engine_loaded and not session.is_busy),
    Entry("copy_report", "Help", "Copy report"),
    Entry("about", "Help", "About LoRun"),
)

SUBMENUS = ("recent", "theme")  # filled by the window


class Actions(QObject):
    """The QActions of the table, by name, kept enabled as their rules say."""

    def __init__(self, session: Session, verbs: Mapping[str, Callable[[], None]], parent: QObject) -> None:
        """`verbs` names what every entry does; an entry without a verb, or a verb without an entry, is a mistake."""
        super().__init__(parent)
        self._session = session
        named = [entry for entry in ENTRIES if entry.name and entry.name not in SUBMENUS]
        if {entry.name for entry in named} != set(verbs):
            raise ValueError(f"entries and verbs differ: {sorted({entry.name for entry in named} ^ set(verbs))}")
        self._actions: dict[str, QAction] = {}
        for entry in named:
            action = QAction(entry.text, parent)
            action.setObjectName(entry.name)
            action.setShortcuts([QKeySequence(key) for key in entry.key.split()])
            action.setStatusTip(entry.hint)
            action.triggered.connect(verbs[entry.name])
            self._actions[entry.name] = action
        for changed in (
            session.opened_changed,
            session.decoder_changed,
            session.restoration_changed,
            session.stage_added,
            session.selection_changed,
            session.worker_idle,
        ):
            changed.connect(self.update)
        self.update()

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def update(self) -> None:
        """Enables every action as its rule says."""
        for entry in ENTRIES:
            if entry.name in self._actions and entry.name not in ("undo", "redo"):  # the undo stack knows about these
                self._actions[entry.name].setEnabled(entry.rule(self._session))


class Corrections(QUndoStack):
    """The corrections of roles and geometry, so that they can be taken back."""

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._paths = session.paths
        session.opened_changed.connect(self._forget)

    def correct(self, options: OpenOptions, *, text: str) -> None:
        """Corrects what is open to `options`; `text` names the step in the Edit menu."""
        if self._session.paths and options != self._session.options:
            self.push(_Correction(self._session, self._session.options, options, text))

    def _forget(self) -> None:
        """Steps that belong to other files cannot be taken back."""
        if self._session.paths != self._paths:
            self._paths = self._session.paths
            self.clear()


class _Correction(QUndoCommand):
    def __init__(self, session: Session, before: OpenOptions, after: OpenOptions, text: str) -> None:
        super().__init__(text)
        self._session, self._before, self._after = session, before, after

    def redo(self) -> None:
        self._session.correct(self._after)

    def undo(self) -> None:
        self._session.correct(self._before)
