"""Lists to choose one of."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QComboBox


def fill(box: QComboBox, items: Sequence[tuple[str, str | None]], chosen: str | None) -> None:
    """Puts (text, value) pairs into `box` and chooses one, without a word to its listeners."""
    with QSignalBlocker(box):
        if [(box.itemText(i), box.itemData(i)) for i in range(box.count())] != list(items):
            box.clear()
            for text, value in items:
                box.addItem(text, value)
        box.setCurrentIndex(box.findData(chosen))
