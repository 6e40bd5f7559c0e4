"""The page that asks "what if": a scene, a camera, the noise, and how well each decoder does on the simulation."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from lorun_engine.io.reading import reading_of
from lorun_engine.task import TASKS

from ..assembly import Parts
from ..document.what_if import Scenario, Score
from ..panels.files import ask_save_file
from ..quantities import breakable, number
from ..widgets import theme
from ..widgets.labels import set_look
from ..widgets.options import ChangeField
from ..widgets.page import Page

SOURCES = {"result": "The result", "reference": "The true scene", "file": "A file…"}
HEADINGS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "sam": "SAM (°)"}
DIGITS = {"psnr": "{:.2f}", "ssim": "{:.3f}", "sam": "{:.2f}"}
MOST_ELECTRONS = 10_000_000


class WhatIfPage(Page):
    """Left the question, right the answer."""

    def __init__(self, parts: Parts) -> None:
        super().__init__("What if…", name="What if", help_page="what-if")
        self._parts, self._session = parts, parts.session
        self._path: Path | None = None
        self._wanted_source: str | None = None
        self._shown_base: object = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.base = QPushButton("Back")
        self.base.clicked.connect(parts.what_if.go_back)
        self.start = QPushButton("Simulate and decode")
        self.start.setObjectName("primary")
        self.start.clicked.connect(self._start_or_cancel)
        self.state = QLabel()
        self.state.setAccessibleDescription("State of the simulation")
        self.kept = QLabel()
        for label in (self.state, self.kept):
            label.setWordWrap(True)
        self.look = QPushButton("Look at it")
        self.look.clicked.connect(self.closed)
        self.save = QPushButton("Save the measurement…")
        self.save.clicked.connect(self._save)
        self.table = _table()
        self._lay_out()
        for changed in (
            parts.what_if.changed,
            parts.session.opened_changed,
            parts.session.restoration_changed,
            parts.session.stage_added,
            parts.setup.changed,
        ):
            changed.connect(self._show)
        for passed in (parts.session.progressed, parts.what_if.timed.passed):
            passed.connect(self._show_state)
        self._show()

    @property
    def plan(self) -> Scenario:
        """What the fields ask for; what is left as the camera has it is None."""
        changes = {change.option.field: change.change for change in self._of_task.get(self._task or "", {}).values()}
        return Scenario(
            source=self.source.currentData(),
            path=self._path if self.source.currentData() == "file" else None,
            electrons=float(self.electrons.value()) if self.has_noise.isChecked() else None,
            seed=self.seed.value(),
            changes={name: value for name, value in changes.items() if value is not None},
        )

    def field(self, name: str) -> ChangeField:
        """The row of an option of the open camera."""
        return self._of_task[self._task or ""][name]

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.add_button(self.base)
        left = QWidget()
        left.setObjectName("column")
        questions = QVBoxLayout(left)
        questions.setContentsMargins(0, 0, 0, 0)
        questions.setSpacing(theme.GRID)
        for part in (self._scene(), self._camera(), self._noise()):
            questions.addWidget(part)
        for widget in (self.start, self.state, self.kept):
            questions.addWidget(widget)
        questions.addStretch(1)
        area = QScrollArea()
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # what is in it takes the focus, and comes into sight
        area.setWidget(left)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        columns = QHBoxLayout()
        columns.setSpacing(theme.GRID)
        columns.addWidget(area, 2)
        columns.addWidget(self._answer(), 3, Qt.AlignmentFlag.AlignTop)  # no higher than what it says
        self.column.addLayout(columns, 1)

    def _scene(self) -> QWidget:
        frame, column = theme.card("The scene")
        self.source = QComboBox()
        self.source.setAccessibleName("Scene to simulate")
        self.source.activated.connect(self._chosen)
        self.file = QLabel()
        self.file.setObjectName("dim")
        self.file.setWordWrap(True)
        column.addWidget(self.source)
        column.addWidget(self.file)
        return frame

    def _camera(self) -> QWidget:
        frame, column = theme.card("The camera")
        self._camera_hint = QLabel()
        self._camera_hint.setObjectName("dim")
        self._camera_hint.setWordWrap(True)
        column.addWidget(self._camera_hint)
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        self._of_task: dict[str, dict[str, ChangeField]] = {}
        for task in TASKS:
            self._of_task[task] = {option.field: ChangeField(option) for option in reading_of(task).CHANGES}
            for change in self._of_task[task].values():
                row = grid.rowCount()
                grid.addWidget(change.label, row, 0)
                grid.addWidget(change.editor, row, 1)
        column.addLayout(grid)
        return frame

    def _noise(self) -> QWidget:
        frame, column = theme.card("The noise")
        self.has_noise = QCheckBox("Shot noise, electrons at the peak")
        self.electrons = QSpinBox()
        self.electrons.setRange(1, MOST_ELECTRONS)
        self.electrons.setValue(1000)
        self.electrons.setGroupSeparatorShown(True)
        self.electrons.setAccessibleName("Electrons at the peak of the measurement")
        self.electrons.setEnabled(False)
        self.has_noise.toggled.connect(self.electrons.setEnabled)
        self.seed = QSpinBox()
        self.seed.setRange(0, 9999)
        self.seed.setAccessibleName("Seed of everything random")
        seed = QLabel("Seed")
        seed.setObjectName("dim")
        seed.setBuddy(self.seed)
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.has_noise, 0, 0)
        grid.addWidget(self.electrons, 0, 1)
        grid.addWidget(seed, 1, 0)
        grid.addWidget(self.seed, 1, 1)
        column.addLayout(grid)
        return frame

    def _answer(self) -> QWidget:
        frame, column = theme.card("How well it is decoded")
        self.answer = QLabel()
        self.answer.setWordWrap(True)
        self.answer.setObjectName("dim")
        column.addWidget(self.answer)
        column.addWidget(self.table)
        line = QHBoxLayout()
        line.addWidget(self.look)
        line.addWidget(self.save)
        line.addStretch(1)
        column.addLayout(line)
        return frame

    # ---- what it shows -------------------------------------------------------------------------------------------

    @property
    def _task(self) -> str | None:
        base = self._parts.what_if.base
        return None if base is None else base.task

    def _show(self) -> None:
        session, what_if = self._session, self._parts.what_if
        base = what_if.base
        self._show_sources()
        if base is not self._shown_base:
            self._shown_base = base
            self._show_camera()
        is_busy, has_aside = what_if.is_busy, what_if.aside is not None
        self.start.setText("Cancel" if is_busy else "Simulate and decode")
        is_free = base is not None and not session.restoration.is_busy and not session.is_opening
        self.start.setEnabled(is_busy or (is_free and self._parts.setup.choice is not None))
        self.base.setText(f"Back to {what_if.base_name}")
        self.base.setVisible(has_aside)
        kept = f"{what_if.base_name} is kept as you left it, with images, regions, results and steps to undo."
        kept = kept if base is not None else ""
        set_look(self.kept, breakable(kept), "dim")
        self._show_state()
        self._show_scores()
        self.look.setVisible(what_if.is_open and what_if.simulated is not None)
        self.save.setVisible(what_if.simulated is not None)

    def _show_state(self) -> None:
        set_look(self.state, *self._state())

    def _show_sources(self) -> None:
        known = [self.source.itemData(row) for row in range(self.source.count())]
        wanted = list(self._parts.what_if.sources)
        if known != wanted:
            self.source.clear()
            for name in wanted:
                self.source.addItem(SOURCES[name], name)
            self.source.setCurrentIndex(max(0, self.source.findData(self._wanted_source)))
        is_file = self.source.currentData() == "file"
        name = "" if self._path is None else self._path.name
        self.file.setText(breakable(name or "Choose a cube or a picture; press Simulate and you are asked for it."))
        self.file.setVisible(is_file)

    def _show_camera(self) -> None:
        """The fields of the task, with what is open in them."""
        base = self._parts.what_if.base
        for task, fields in self._of_task.items():
            for change in fields.values():
                change.show_in_form(task == self._task)
        if base is None:
            self._camera_hint.setText("Open a measurement: its camera is taken.")
            return
        self._camera_hint.setText("As it is open, unless you change it.")
        current = self._parts.what_if.current_camera
        for name, change in self._of_task[base.task].items():
            change.show_current(current.get(name))

    def _state(self) -> tuple[str, str]:
        what_if, restoration = self._parts.what_if, self._session.restoration
        if what_if.state == "simulating":
            return "Simulating the measurement…", "dim"
        if what_if.state == "decoding":
            words = self._session.timed.pace.state
            return f"Decoding it  ·  {words}" if restoration.is_busy else "Decoding it", "dim"
        if what_if.state == "comparing":
            name, *later = what_if.waiting or ("",)
            then = f", then with {' and '.join(later)}" if later else ""
            return f"Decoding it with {name} to compare{then}  ·  {what_if.timed.pace.state}", "dim"
        if what_if.state == "failed":
            return what_if.problem, "warn"
        return "", "dim"

    def _show_scores(self) -> None:
        what_if = self._parts.what_if
        scores = what_if.scores
        waiting = " and ".join(what_if.waiting)
        if scores:
            words = f"Against the scene it was simulated from{f'; {waiting} still to come' if waiting else ''}."
        else:
            words = (
                "The simulation is opened with its scene as the reference and decoded with the chosen set and with "
                "the decoders that need no training."
            )
        self.answer.setText(words)
        names = [name for name in HEADINGS if any(name in score.metrics for score in scores)]
        self.table.setVisible(bool(scores))
        headings = ["Decoder", "Steps", *(HEADINGS[name] for name in names), "Residual"]
        self.table.setColumnCount(len(headings))
        self.table.setHorizontalHeaderLabels(headings)
        for column in range(1, len(headings)):  # above figures
            alignment = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            self.table.horizontalHeaderItem(column).setTextAlignment(alignment)
        self.table.setRowCount(len(scores))
        best = {name: _best(scores, name) for name in names}
        for row, score in enumerate(scores):
            texts = [score.decoder, score.length]
            texts += [DIGITS[name].format(score.metrics[name]) if name in score.metrics else "" for name in names]
            for column, text in enumerate([*texts, number(score.residual)]):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                font = theme.tabular(self.table.font())
                is_best = len(scores) > 1 and 1 < column < len(headings) - 1 and best[names[column - 2]] == row
                font.setBold(is_best)
                item.setFont(font)
                self.table.setItem(row, column, item)
        header = self.table.horizontalHeader()
        for column in range(len(headings)):
            stretch = QHeaderView.ResizeMode.Stretch if column == 0 else QHeaderView.ResizeMode.ResizeToContents
            header.setSectionResizeMode(column, stretch)

    # ---- what it does --------------------------------------------------------------------------------------------

    def _chosen(self) -> None:
        self._wanted_source = self.source.currentData()
        if self.source.currentData() == "file":
            self._ask_for_scene()
        self._show_sources()

    def _ask_for_scene(self) -> None:
        folder = str(self._path.parent) if self._path is not None else ""
        path, _ = QFileDialog.getOpenFileName(self, "Choose a spectral cube or a picture", folder)
        if path:
            self._path = Path(path)
        self._show_sources()

    def _start_or_cancel(self) -> None:
        what_if = self._parts.what_if
        if what_if.is_busy:
            what_if.cancel()
            return
        if self.source.currentData() == "file" and self._path is None:
            self._ask_for_scene()
            if self._path is None:
                return
        what_if.start(self.plan)

    def _save(self) -> None:
        suggested = Path.home() / f"{Path(self._parts.what_if.base_name).stem}_simulated.h5"
        if path := ask_save_file(self, "Save the simulated measurement", suggested, {"HDF5": ".h5"}):
            self._parts.what_if.save(Path(path))


def _best(scores: tuple[Score, ...], name: str) -> int:
    """The row that a figure calls the best; a small angle is good, everything else large."""
    sign = -1 if name == "sam" else 1
    values = [sign * score.metrics.get(name, -sign * float("inf")) for score in scores]
    return values.index(max(values))


def _table() -> QTableWidget:
    table = QTableWidget(0, 0)
    table.setTabKeyNavigation(False)  # Tab leaves it
    table.setAccessibleName("Scores of the decoders")
    table.verticalHeader().hide()
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    table.setShowGrid(False)
    table.setSizeAdjustPolicy(QAbstractItemView.SizeAdjustPolicy.AdjustToContents)
    table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return table
