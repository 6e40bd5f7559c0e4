"""Keys that mean something to a widget and something else to the window."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractSpinBox, QLineEdit, QPlainTextEdit, QWidget

TEXT_FIELDS = QLineEdit | QPlainTextEdit | QAbstractSpinBox


def claim(widget: QWidget, verbs: Mapping[Qt.Key, Callable[[], object]]) -> None:
    """Lets keys without Ctrl, Alt or Shift do what `verbs` say while `widget` has the focus, whatever else they do."""
    widget.installEventFilter(_Claim(widget, verbs))


class _Claim(QObject):
    """A shortcut of the window comes first unless the widget that has the focus overrides it."""

    def __init__(self, widget: QWidget, verbs: Mapping[Qt.Key, Callable[[], object]]) -> None:
        super().__init__(widget)
        self._verbs = verbs

    def eventFilter(self, widget: QObject, event: QEvent) -> bool:
        if event.type() not in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            return False
        verb = self._verbs.get(event.key()) if isinstance(event, QKeyEvent) and is_plain(event) else None
        if verb is None:
            return False
        event.accept()
        if event.type() == QEvent.Type.KeyPress:
            verb()
        return True


def is_plain(event: QKeyEvent) -> bool:
    """Whether a key is pressed alone; those of the keypad are the same keys."""
    return event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier == Qt.KeyboardModifier.NoModifier
