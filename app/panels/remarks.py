"""What was found, assumed, changed or kept of what is open: the values of the roles page, and the rows of the card."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from lorun_engine.io import OpenOptions, RoleTable
from lorun_engine.io.reading import all_options
from lorun_engine.io.scales import IMAGES
from lorun_engine.task import TASKS

from ..document.opening import Kept
from ..quantities import exact, number
from ..widgets import theme
from ..widgets.forms import Field, Found, text_of

# Every correction of OpenOptions; what is missing here cannot be edited, and a test says so.
FIELDS: dict[str, Field] = {
    "task": Field("Task", tuple((task.title, name) for name, task in TASKS.items())),
    **{option.field: Field(option.title, option.choices, option.example, option.is_open) for option in all_options()},
}
TASK_REASON = "from what the files state and hold; a grey picture can be any of them"
NOT_KNOWN = "not known"
TAGS = ("assumed", "estimated", "subtracted", NOT_KNOWN)  # words of reasons that the card repeats
CHANGES = {  # by a correction
    **{"crop": "cropped", "flip": "mirrored", "rotate": "turned"},
    **{"mask_shift": "moved", "guide_shift": "moved"},
}
DOUBTFUL = ("assumed", "estimated", NOT_KNOWN)


@dataclass(frozen=True)
class Remark:
    """A value that nobody stated, or by which what is decoded differs from what the files hold.

    `field` of OpenOptions corrects it; `tag` says in a word or two what is the matter.
    """

    field: str
    value: str
    tag: str
    reason: str

    @property
    def title(self) -> str:
        """What the value is of."""
        return FIELDS[self.field].label

    @property
    def words(self) -> str:
        """All of it, as a screen reader says it."""
        return ": ".join(filter(None, (self.title, self.value))) + f", {self.tag}"


def found_values(table: RoleTable) -> dict[str, Found]:
    """What was found for every field of the form, and why."""
    found = {"task": Found(table.task, "" if table.options.task else TASK_REASON)}
    geometry = table.geometry
    reasons = {} if geometry is None else geometry.reasons
    for name in FIELDS:
        value = getattr(geometry, name, None)
        if value is not None:
            found[name] = Found(text_of(value), reasons.get(name, ""))
    if "wavelengths_nm" in reasons:
        wavelengths_nm = geometry.wavelengths_nm
        span = "" if wavelengths_nm is None else f"{wavelengths_nm[0]:.1f} – {wavelengths_nm[-1]:.1f} nm"
        found["wavelengths"] = Found(span, reasons["wavelengths_nm"])
    if getattr(geometry, "dark_level", None):
        found["dark_level"] = Found(number(geometry.dark_level), reasons["dark_level"])
    if getattr(geometry, "light_from_beside", None):
        text = f"up to {number(geometry.light_from_beside)}"
        found["light_beside"] = Found(text, reasons["light_from_beside"])
    scaled = [row for row in table.rows if row.role in IMAGES and row.scale != 1]
    if scaled:
        found["integer_scale"] = Found(exact(scaled[0].scale), f"{scaled[0].found.path.name}: {scaled[0].scale_reason}")
    if table.input_scale is not None:
        reason = reasons.get("input_scale", "from the file to the 0..1 scale of the decoder")
        found["input_scale"] = Found(exact(table.input_scale), reason)
    cubes = [row for row in table.rows if row.role and len(row.axes) == 3]
    if cubes:
        found["cube_axes"] = Found(cubes[0].axes, f"of {cubes[0].found.path.name}")
    return found


def remarks(table: RoleTable) -> list[Remark]:
    """What the card has to say of the values of `table`, in the order of the form."""
    found, said = found_values(table), []
    for name in FIELDS:
        value, changed = found.get(name, Found()), CHANGES.get(name)
        stated = getattr(table.options, name)
        if changed is not None and stated:
            text = f"{90 * stated}°" if name == "rotate" else _text(name, text_of(stated))
            said.append(Remark(name, text, changed, "as you said"))
        elif (tag := _tag(value.reason)) is not None:
            said.append(Remark(name, _text(name, value.text), tag, value.reason))
    return said


def _tag(reason: str) -> str | None:
    return next((tag for tag in TAGS if re.search(rf"\b{tag}\b", reason)), None)


def _text(name: str, text: str) -> str:
    """A value in the words of its list, where it has one."""
    return next((words for words, value in FIELDS[name].choices if text_of(value) == text), text)


def kept_in_words(kept: Kept, folder: Path) -> str:
    """As "Kept from the last capture: mask.npy. Kept for this folder: Bands 4, Step (px per band) 2.".

    Files that lie in the `folder` of the measurement are the folder's.
    """
    names = [field.name for field in fields(OpenOptions) if field.name in FIELDS]
    values = [(FIELDS[name].label, getattr(kept.options, name)) for name in names]
    said = [f"{label} {text_of(value)}" for label, value in values if value is not None]
    said += ["roles"] if kept.options.roles else []
    own = [path.name for path in kept.files if path.parent == folder]
    others = [path.name for path in kept.files if path.parent != folder]
    parts = (("Kept from the last capture", others), ("Kept for this folder", [*own, *said]))
    return " ".join(f"{words}: {', '.join(what)}." for words, what in parts if what)


class Remarks(QWidget):
    """A row for every remark; a click, or Enter, asks for the field that corrects it."""

    requested = Signal(str)  # a field of OpenOptions

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[RemarkRow] = []
        self._shown: list[Remark] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)

    def show_remarks(self, remarks: Iterable[Remark]) -> None:
        """Shows other rows."""
        shown = list(remarks)
        self.setVisible(bool(shown))
        if shown == self._shown:
            return  # and keeps the focus where it is
        self._shown = shown
        for row in self.rows:
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = [RemarkRow(remark) for remark in shown]
        for row in self.rows:
            row.clicked.connect(lambda _=False, name=row.remark.field: self.requested.emit(name))
            self._column.addWidget(row)


class RemarkRow(QPushButton):
    """The value at the left, what is the matter with it at the right."""

    def __init__(self, remark: Remark) -> None:
        super().__init__()
        self.remark = remark
        self.setObjectName("row")
        self.setAutoDefault(True)  # Enter presses it
        self.setAccessibleName(remark.words)
        self.setAccessibleDescription("Correct it")
        self.setToolTip(f"{remark.words}\n{remark.reason}. Click to correct it.")
        self.value, self.tag = QLabel(), QLabel(remark.tag)
        self.tag.setObjectName("warn" if remark.tag in DOUBTFUL else "note")
        line = QHBoxLayout(self)
        line.setContentsMargins(6, 2, 6, 2)
        line.setSpacing(theme.GRID)
        for label, stretch in ((self.value, 1), (self.tag, 0)):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            line.addWidget(label, stretch)
        self.value.setMinimumWidth(0)
        self.setFixedHeight(self.fontMetrics().height() + theme.GRID)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        text = f"{self.remark.title}  {self.remark.value}"
        room = self.width() - self.tag.sizeHint().width() - theme.GRID - 14
        self.value.setText(self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room))
