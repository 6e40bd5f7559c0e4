"""Answers as large as a card: a title and a line that says what it means; one of a row is chosen."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ..quantities import breakable
from ..widgets import theme


class Option(QPushButton):
    """One answer; `note` is a second line in grey that may change, such as an estimate."""

    def __init__(self, title: str, meaning: str) -> None:
        super().__init__()
        self.setObjectName("option")
        self.setCheckable(True)
        self.setAccessibleName(title)
        self.setAccessibleDescription(meaning)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)  # all of a row are as high
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.title = _line(title, "heading")
        self.meaning = _line(meaning, "dim")
        self.note = _line("", "")
        column = QVBoxLayout(self)
        column.setContentsMargins(12, theme.GRID, 12, theme.GRID)
        column.setSpacing(2)
        for line in (self.title, self.meaning, self.note):
            column.addWidget(line)
        column.addStretch(1)
        self.note.hide()

    def show_title(self, title: str) -> None:
        """Shows another title."""
        self.title.setText(title)
        self.setAccessibleName(title)

    def show_note(self, text: str) -> None:
        """Shows a line below the others; none for an empty text."""
        self.note.setText(breakable(text))
        self.note.setVisible(bool(text))
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        return self.layout().totalSizeHint()

    def minimumSizeHint(self) -> QSize:
        return self.layout().totalMinimumSize()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self.layout().totalHeightForWidth(width)


class OptionRow(QWidget):
    """Answers side by side; the arrow keys move between them."""

    chosen = Signal(str)

    def __init__(self, answers: Mapping[str, tuple[str, str]], *, name: str) -> None:
        """`answers` maps a value to its title and meaning."""
        super().__init__()
        self.setAccessibleName(name)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.options = {value: Option(*texts) for value, texts in answers.items()}
        self._group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.GRID)
        for value, option in self.options.items():
            self._group.addButton(option)
            row.addWidget(option, 1)
            option.clicked.connect(lambda _=False, value=value: self.chosen.emit(value))
        next(iter(self.options.values())).setChecked(True)

    @property
    def value(self) -> str:
        """The answer that is chosen."""
        return next(value for value, option in self.options.items() if option.isChecked())

    def choose(self, value: str) -> None:
        """Chooses an answer without a word to the listeners."""
        self.options[value].setChecked(True)

    def show_only(self, values: tuple[str, ...]) -> None:
        """Offers these answers only; the first of them is chosen where the chosen one is not among them."""
        for value, option in self.options.items():
            option.setVisible(value in values)
        if self.value not in values:
            self.choose(values[0])


def _line(text: str, look: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName(look)
    label.setWordWrap(True)
    label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    return label
