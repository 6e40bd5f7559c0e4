"""What a decoded window shows can be asked about: every figure and every control says what it means."""

from __future__ import annotations

import re

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QHeaderView,
    QLabel,
    QSlider,
    QSpinBox,
    QToolTip,
    QWidget,
)

from app.document.selection import MODES
from app.viewers.grid import FittingLabel
from app.widgets import meanings

CONTROLS = QAbstractButton | QComboBox | QSpinBox | QSlider | QAbstractItemView
VERDICTS = ("good", "warn")


def _unexplained(window: QWidget) -> list[str]:
    """Visible figures, verdicts and controls without a tooltip or a status tip, by their words."""
    found = []
    for widget in window.findChildren(QWidget):
        if not widget.isVisible() or widget.objectName().startswith("qt_") or isinstance(widget, QHeaderView):
            continue
        words = widget.text() if isinstance(widget, QLabel) else ""
        is_figure = bool(re.search(r"\d", re.sub("<[^>]*>", "", words))) or widget.objectName() in VERDICTS
        is_asked = isinstance(widget, CONTROLS | FittingLabel) or is_figure
        if is_asked and not (widget.toolTip() or widget.statusTip()):
            found.append(f"{type(widget).__name__} {words or widget.accessibleName()}")
    return found


@pytest.mark.parametrize("task", ["cassi", "sr"])
def test_every_figure_and_control_of_a_decoded_window_is_explained(
    qtbot, show, task, decode_photograph, request, low_resolution
):
    parts = request.getfixturevalue("decoded") if task == "cassi" else decode_photograph(low_resolution, task)
    window = show(parts)
    parts.looking.select_pixel((3, 4))
    found = set()
    for mode in MODES:
        parts.looking.set_mode(mode)
        qtbot.waitUntil(lambda: not parts.lanes.is_busy)
        QApplication.processEvents()
        found.update(_unexplained(window))
    assert not found, "\n".join(found)
    figures = window.convergence.figures
    for column, name in enumerate(figures.names):
        assert figures.headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole), name
    for name, unit, good in (("residual", "0 to 1", "low"), ("psnr", "dB", "High"), ("seconds", "seconds", "less")):
        words = figures.index(1, figures.names.index(name)).data(Qt.ItemDataRole.ToolTipRole)
        assert unit in words and good in words


def test_the_mouse_over_a_button_or_a_figure_shows_what_it_means(qtbot, show, decoded):
    window = show(decoded)
    for widget, words in (
        (window.decode_card.button, "Ctrl+Enter"),
        (window.decode_card.sentence, meanings.RESIDUAL),
        (window.model_card.fit, meanings.VERDICT_FIT),
    ):
        place = widget.rect().center()
        QApplication.sendEvent(widget, QHelpEvent(QEvent.Type.ToolTip, place, widget.mapToGlobal(QPoint(place))))
        assert words in QToolTip.text()
    QToolTip.hideText()
