"""Editors made from the rows of `lorun_engine.io.options`: what is changed of an instrument, or said of one."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from lorun_engine.io.options import Option


class ChangeField:
    """One value of an instrument that is open and may be changed: a `label` and an `editor` for a row of a form.

    A value that the instrument has now is shown and counts as a change once it differs. A list without one begins
    with leaving what is open; a number that it does not have now, as of something drawn anew, is switched on by its
    label.
    """

    def __init__(self, option: Option) -> None:
        self.option = option
        self.editor = QComboBox() if option.choices else self._number()  # a list is filled for what is open
        self.label: QLabel | QCheckBox = QLabel(option.title)
        self._is_drawn = not option.choices and option.of_scenes
        if self._is_drawn:
            self.label = QCheckBox(option.title)
            self.editor.setEnabled(False)
            self.label.toggled.connect(self.editor.setEnabled)
        self.editor.setAccessibleName(option.title)
        self._current: Any = None

    def show_current(self, value: Any) -> None:
        """Shows the value that the open instrument has; None where it has none to show."""
        self._current = value
        if isinstance(self.editor, QComboBox):
            with QSignalBlocker(self.editor):
                self.editor.clear()
                for text, known in ((("As it is open", None),) if value is None else ()) + self.option.choices:
                    self.editor.addItem(text, known)
                self.editor.setCurrentIndex(self.editor.findData(value))
        elif value is not None:
            self.editor.setValue(value)

    @property
    def change(self) -> Any:
        """The value that is asked for; None where it is left as it is."""
        if isinstance(self.editor, QComboBox):
            value = self.editor.currentData()
            return None if value == self._current else value
        value = round(self.editor.value(), self.option.decimals)
        if self._is_drawn:
            return value if isinstance(self.label, QCheckBox) and self.label.isChecked() else None
        return None if self._current is not None and value == round(self._current, self.option.decimals) else value

    def show_in_form(self, is_wanted: bool) -> None:
        """Shows or hides the row."""
        self.label.setVisible(is_wanted)
        self.editor.setVisible(is_wanted)

    def _number(self) -> QDoubleSpinBox:
        option, spin = self.option, QDoubleSpinBox()
        spin.setRange(option.least, option.most)
        spin.setDecimals(option.decimals)
        spin.setSingleStep(1 if option.decimals == 0 else 0.1)
        spin.setSuffix(option.unit)
        spin.setMinimumHeight(24)
        if option.usual is not None:
            spin.setValue(option.usual)
        return spin


class GivenFields(QWidget):
    """The few values that describe an instrument in place of an open one, beside each other, as texts of flags.

    Several numbers have their names above them.
    """

    edited = Signal(str, str, bool)  # the field of the option, its text, whether it is still being typed
    committed = Signal()  # what was being typed stands

    def __init__(self, options: tuple[Option, ...], texts: dict[str, str]) -> None:
        super().__init__()
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        self.editors: dict[str, QLineEdit | QComboBox] = {}
        is_named = sum(not option.choices for option in options) > 1
        for option in options:
            editor = self._list(option) if option.choices else self._text(option, texts[option.field])
            editor.setAccessibleName(option.title)
            editor.setToolTip(option.help or "")
            self.editors[option.field] = editor
            if is_named:
                name = QLabel(option.title)
                name.setBuddy(editor)
                name.setObjectName("dim")
                column = QVBoxLayout()
                column.setSpacing(2)
                column.addWidget(name)
                column.addWidget(editor)
                line.addLayout(column)
            else:
                line.addWidget(editor, 0, Qt.AlignmentFlag.AlignVCenter)

    def _list(self, option: Option) -> QComboBox:
        box = QComboBox()
        for text, value in option.choices:
            box.addItem(text, option.text(value))
        box.currentIndexChanged.connect(lambda _: self.edited.emit(option.field, box.currentData(), False))
        return box

    def _text(self, option: Option, text: str) -> QLineEdit:
        line = QLineEdit(text)
        line.setMaximumWidth(72)
        line.textChanged.connect(lambda text: self.edited.emit(option.field, text, True))
        line.editingFinished.connect(self.committed)
        return line
