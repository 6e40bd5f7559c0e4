"""Fields to edit a frozen dataclass of optional values, made from its annotations.

An empty field means "as found": what was found, and why, stands beside it. Every committed edit gives a new dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from lorun_engine.schema import hints_of, parsed

from ..quantities import exact
from . import theme


@dataclass(frozen=True)
class Field:
    """How one value is named and edited: with `choices` ((text, value) pairs) from a list, else as text.

    `example` stands in an empty text field when nothing was found. A list that is `open` takes other texts too.
    """

    label: str
    choices: tuple[tuple[str, Any], ...] = ()
    example: str = ""
    is_open: bool = False


@dataclass(frozen=True)
class Found:
    """What the program takes for a value that the user leaves open, and why."""

    text: str = ""
    reason: str = ""


class Form(QWidget):
    """One row for every field of `table`: label, editor, reason."""

    edited = Signal(object, str)  # the new dataclass, the label of the field that was edited

    def __init__(self, values: Any, table: Mapping[str, Field]) -> None:
        """`values` is a dataclass instance; `table` says which of its fields are shown, and how."""
        super().__init__()
        annotations = hints_of(type(values))
        self._values = values
        self.editors: dict[str, _Editor] = {}
        self._rows: dict[str, tuple[QWidget, ...]] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(theme.GRID)
        grid.setColumnStretch(2, 1)
        for row, (name, field) in enumerate(item for item in table.items() if item[0] in annotations):
            editor = (_ChoiceEditor if field.choices else _TextEditor)(field, annotations[name])
            editor.setMinimumWidth(224)
            editor.setMaximumWidth(240)
            editor.committed.connect(lambda value, name=name: self._commit(name, value))
            label = QLabel(field.label)
            label.setBuddy(editor)
            reason = QLabel()
            reason.setObjectName("dim")
            reason.setWordWrap(True)
            editor.reason = reason
            self.editors[name] = editor
            self._rows[name] = (label, editor, reason)
            for column, widget in enumerate(self._rows[name]):
                grid.addWidget(widget, row, column)

    def show_fields(self, names: Sequence[str]) -> None:
        """Shows the rows of these fields only."""
        for name, widgets in self._rows.items():
            for widget in widgets:
                widget.setVisible(name in names)

    def show_values(self, values: Any, found: Mapping[str, Found]) -> None:
        """Shows other values, and what was found for each."""
        self._values = values
        for name, editor in self.editors.items():
            editor.show_value(getattr(values, name), found.get(name, Found()))

    def _commit(self, name: str, value: Any) -> None:
        if value != getattr(self._values, name):
            self._values = replace(self._values, **{name: value})
            self.edited.emit(self._values, self.editors[name].field.label)


class _Editor(QWidget):
    """Edits one value; `reason` is the label beside it."""

    committed = Signal(object)
    reason: QLabel

    def __init__(self, field: Field, annotation: Any) -> None:
        super().__init__()
        self.field = field
        self._annotation = annotation
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)

    def show_value(self, value: Any, found: Found) -> None:
        """Shows `value`, and what was found."""
        self.reason.setText(found.reason)


class _TextEditor(_Editor):
    """Numbers, texts, and tuples of numbers with commas; what does not parse is said beside the field."""

    def __init__(self, field: Field, annotation: Any) -> None:
        super().__init__(field, annotation)
        self.line = QLineEdit()
        self.line.setAccessibleName(field.label)
        self.line.editingFinished.connect(self._finish)
        self.setFocusProxy(self.line)
        self._layout.addWidget(self.line)

    def show_value(self, value: Any, found: Found) -> None:
        super().show_value(value, found)
        self.line.setText("" if value is None else text_of(value))
        self.line.setPlaceholderText(found.text or self.field.example or "as found")

    def _finish(self) -> None:
        try:
            value = parse(self.line.text(), self._annotation)
        except ValueError as error:
            self.reason.setText(f"{error}.")
            return
        self.committed.emit(value)


class _ChoiceEditor(_Editor):
    """A list whose first entry is "as found"."""

    def __init__(self, field: Field, annotation: Any) -> None:
        super().__init__(field, annotation)
        self.box = QComboBox()
        self.box.setAccessibleName(field.label)
        self.box.setEditable(field.is_open)
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.addItem("as found", None)
        for text, value in field.choices:
            self.box.addItem(text, value)
        self.box.activated.connect(lambda index: self.committed.emit(self.box.itemData(index)))
        self.setFocusProxy(self.box)
        self._layout.addWidget(self.box)
        if field.is_open:
            self.box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
            self.box.lineEdit().editingFinished.connect(self._finish)

    def show_value(self, value: Any, found: Found) -> None:
        super().show_value(value, found)
        with QSignalBlocker(self.box):
            names = {text_of(value): text for text, value in self.field.choices}
            as_found = names.get(found.text, found.text)
            self.box.setItemText(0, f"{as_found} (found)" if as_found else "as found")
            index = next((i for i in range(self.box.count()) if self.box.itemData(i) == value), -1)
            self.box.setCurrentIndex(index)
            if index < 0:
                self.box.setEditText(text_of(value))
            if self.field.is_open:
                self.box.lineEdit().setCursorPosition(0)

    def _finish(self) -> None:
        text = self.box.currentText().strip()
        index = self.box.findText(text)
        self.committed.emit(self.box.itemData(index) if index >= 0 else text or None)


def parse(text: str, annotation: Any) -> Any:
    """`text` as a value of the annotated type; an empty text is None. Raises ValueError with what was expected."""
    return parsed(text, annotation) if text.strip() else None


def text_of(value: Any) -> str:
    """The text that `parse` reads back as `value`."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(text_of, value))
    return exact(value) if isinstance(value, float) else str(value)
