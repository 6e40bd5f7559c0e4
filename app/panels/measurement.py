"""The card that says what is open: files, bands, step, and what does not fit, with a button that puts it right."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from lorun_engine.io import OpenOptions, RoleTable
from lorun_engine.io.reading import reading_of

from ..assembly import Parts
from ..document.opening import Offer, offer_of
from ..document.session import Session
from ..quantities import breakable, plural, size
from ..widgets import theme
from .remarks import Remarks, kept_in_words, remarks

MOST_SOLUTIONS = 4
NOTHING_OPEN = (
    "Nothing is open. Drop a snapshot and its mask, samples and their matrix, or a small or dark picture "
    "anywhere in this window."
)


class MeasurementCard(QWidget):
    """What was opened, in three lines."""

    open_requested = Signal()
    add_requested = Signal()
    roles_requested = Signal()
    field_requested = Signal(str)  # of the roles page

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._session, self._corrections = parts.session, parts.corrections
        frame, self._column = theme.card("Measurement")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)
        self.files = QLabel()
        self.geometry_ = QLabel()
        self.geometry_.setObjectName("dim")
        self.files.setToolTip("The file that is decoded, its size in pixels and the type of its numbers")
        self.geometry_.setToolTip("What belongs to it: sizes in pixels, bands, and the step between bands in pixels")
        self.misfit = Misfit(parts, most_solutions=MOST_SOLUTIONS)
        for label in (self.files, self.geometry_):
            label.setWordWrap(True)
            self._column.addWidget(label)
        self.remarks = Remarks()
        self.remarks.requested.connect(self.field_requested)
        self._column.addWidget(self.remarks)
        self.offered = QLabel()
        self.offered.setWordWrap(True)
        self.offered.setAccessibleDescription("What else the picture may be")
        self.take_offer = _button("Open as another kind of picture", self._take_offer)
        self._offer: Offer | None = None
        self._column.addWidget(self.offered)
        self._column.addWidget(self.take_offer)
        self.kept = QLabel()
        self.kept.setObjectName("warn")
        self.kept.setWordWrap(True)
        self.kept.setAccessibleDescription("What was not opened with this measurement")
        self.drop = _button("Drop what was kept", self._drop)
        self._column.addWidget(self.kept)
        self._column.addWidget(self.drop)
        self._column.addWidget(self.misfit)
        line = QHBoxLayout()
        self.open = _button("Open…", self.open_requested.emit)
        self.add = _button("Add files…", self.add_requested.emit)
        self.roles = _button("Roles and geometry…", self.roles_requested.emit)
        self.roles.setToolTip("See and correct what was understood of the files (Ctrl+G)")
        for button in (self.open, self.roles, self.add):
            line.addWidget(button)
        line.addStretch(1)
        self._column.addLayout(line)
        parts.session.opened_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        session, table = self._session, self._session.role_table
        self.open.setVisible(table is None)
        self.roles.setVisible(table is not None)
        self.add.setVisible(table is not None and session.measurement is None)
        if table is None:
            self.files.setText("Reading the files…" if session.is_opening else "")
            self.geometry_.setText(NOTHING_OPEN)
        else:
            first, *others = _files(table) or ["Nothing that was opened is used."]
            self.files.setText(breakable(first))
            self.geometry_.setText(_lines([*others, _geometry(session)]))
        self.files.setVisible(bool(self.files.text()))
        self.geometry_.setVisible(bool(self.geometry_.text()))
        self.remarks.show_remarks([] if table is None else remarks(table))
        self.kept.setText(breakable(kept_in_words(session.kept, session.paths[0].parent)) if session.paths else "")
        for widget in (self.kept, self.drop):
            widget.setVisible(bool(self.kept.text()))
        self._offer = None if table is None else offer_of(table)
        for widget in (self.offered, self.take_offer):
            widget.setVisible(self._offer is not None)
        if self._offer is not None:
            self.offered.setText(self._offer.sentence)
            self.take_offer.setText(f"Open as {self._offer.task.title.lower()}")

    def _take_offer(self) -> None:
        if self._offer is not None:
            task = self._offer.task
            options = replace(self._session.options, task=task.name, roles=())
            self._corrections.correct(options, text=f"opening as {task.title.lower()}")

    def _drop(self) -> None:
        """Opens the measurement as if nothing had been open before, and nothing said of its folder."""
        session = self._session
        if files := session.kept.files:
            session.open([path for path in session.paths if path not in files], alone=True)
        else:
            self._corrections.correct(OpenOptions(), text="dropping what was kept")


class Misfit(QWidget):
    """The amber sentence about files or geometry that do not fit, with one button for every way out."""

    def __init__(self, parts: Parts, *, most_solutions: int) -> None:
        super().__init__()
        self._session, self._corrections = parts.session, parts.corrections
        self._most_solutions = most_solutions
        self.sentence = QLabel()
        self.sentence.setObjectName("warn")
        self.sentence.setWordWrap(True)
        self.sentence.setAccessibleDescription("What does not fit")
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(theme.GRID // 2)
        self._column.addWidget(self.sentence)
        self.buttons: list[QPushButton] = []
        self.captures = QComboBox()
        self.captures.setAccessibleName("Capture to decode")
        self.captures.activated.connect(self._choose_capture)
        self._column.addWidget(self.captures)
        parts.session.opened_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        session, problem = self._session, self._session.problem
        for button in self.buttons:
            self._column.removeWidget(button)
            button.deleteLater()
        self.buttons = []
        self.captures.hide()
        self.setVisible(problem is not None)
        if problem is None:
            return
        self.sentence.setText(breakable(str(problem)))
        if session.is_problem_elsewhere:
            self._offer("Close this message", session.dismiss_problem)
            return
        if session.role_table.captures:
            self._offer_captures(session.role_table)
        for num_bands, step in session.role_table.solutions[: self._most_solutions]:
            options = replace(session.options, num_bands=num_bands, step=float(step))
            text = f"{plural(num_bands, 'band')}, step {step:g}"
            self._offer(text, lambda options=options, text=text: self._corrections.correct(options, text=text))
        if session.options != OpenOptions():
            forget = "forgetting the corrections"
            self._offer("Forget the corrections", lambda: self._corrections.correct(OpenOptions(), text=forget))

    def _offer_captures(self, table: RoleTable) -> None:
        self.captures.clear()
        self.captures.addItem("Choose the capture…")
        for capture in table.captures:
            name, _, number = capture.rpartition(":")
            self.captures.addItem(
                ", ".join(filter(None, (name, f"capture {number}"))) if number.isdigit() else capture, capture
            )
        self.captures.show()

    def _choose_capture(self, index: int) -> None:
        if index > 0:
            capture, text = self.captures.itemData(index), self.captures.itemText(index)
            self._corrections.correct(self._session.role_table.choosing(capture), text=f"choosing {text}")

    def _offer(self, text: str, act: Callable[[], None]) -> None:
        button = _button(text, act)
        self.buttons.append(button)
        self._column.addWidget(button)


def _button(text: str, act: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(lambda: act())
    return button


def _lines(lines: list[str]) -> str:
    """`lines` below each other with some air between them; nothing where all are empty."""
    text = "<br>".join(html.escape(_unbroken(breakable(line))) for line in lines if line)
    return f'<div style="line-height: 135%">{text}</div>' if text else ""


def _unbroken(line: str) -> str:
    """`line` that is not broken within a size such as "32 × 32"."""
    return line.replace(" × ", "\u00a0×\u00a0")


def _files(table: RoleTable) -> list[str]:
    """One line for every array that is used, the measurement first: name, size, type."""
    measurement = table.row("measurement")
    first = None if measurement is None else measurement.found.path
    lines = []
    roles = [role for role in reading_of(table.task).ROLES if role != "wavelengths"]
    for row in sorted((row for row in table.rows if row.role in roles), key=lambda row: roles.index(row.role)):
        name = row.found.path.name if row.role == "measurement" or row.found.path != first else row.role
        lines.append(f"{name}  ·  {size(row.shape)}  ·  {row.dtype}")
    return lines


def _geometry(session: Session) -> str:
    """The geometry in one line; nothing while it is not known."""
    table = session.role_table
    return "" if table.geometry is None else reading_of(table.task).described(table.geometry)
