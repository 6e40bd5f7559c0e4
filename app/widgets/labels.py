"""Sentences in the looks of the style sheet."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel

from ..quantities import breakable


def set_look(label: QLabel, text: str, look: str) -> None:
    """Shows `text` in one of the looks of the style sheet: "dim", "good" or "warn"."""
    label.setText(breakable(text))
    label.setVisible(bool(text))
    if label.objectName() != look:
        label.setObjectName(look)
        label.style().unpolish(label)
        label.style().polish(label)
