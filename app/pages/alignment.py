"""The page that searches where the mask of a capture really lies, shows how sure that is, and applies it on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from lorun_engine.instrument import SAME_SHIFT, SURE_OF_DIRECTION

from ..assembly import Parts
from ..document.checking import Found, Reach
from ..widgets import theme
from ..widgets.labels import set_look
from ..widgets.page import Page
from ..widgets.plots import new_plot, paint_plot, pen
from ..widgets.theme import Recolours, tokens

if TYPE_CHECKING:
    from lorun_engine.camera_checks.alignment import Alignment
    from lorun_engine.instrument import Dispersion

LIKELY = 0.5  # margin of the direction
SAME_STEP = 0.02  # what the search cannot tell from nothing
FLIPS = {"lr": "left to right", "ud": "upside down", "both": "by half a turn"}


class AlignmentPage(Recolours, Page):
    """Searches, draws the criterion over the shifts, and says in sentences what was found."""

    def __init__(self, parts: Parts) -> None:
        super().__init__("Where does the mask lie?", name="Alignment of the mask", help_page="alignment")
        self._parts, self._session, self._corrections = parts, parts.session, parts.corrections
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.search = QPushButton("Search")
        self.search.setObjectName("primary")
        self.search.clicked.connect(self._search_or_cancel)
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the search")
        self.progress.setTextVisible(False)
        self.state = QLabel()
        self.state.setAccessibleDescription("State of the search")
        self.state.setWordWrap(True)
        self.findings = QLabel()
        self.findings.setAccessibleDescription("What was found")
        self.findings.setWordWrap(True)
        self.takes_direction = QCheckBox("Take the direction of the spectra too")
        self.takes_direction.toggled.connect(self._show_apply)
        self.apply = QPushButton("Apply")
        self.apply.clicked.connect(self._apply)
        self.undo = QPushButton("Undo")
        self.undo.clicked.connect(self._corrections.undo)
        self.undo.setEnabled(self._corrections.canUndo())
        self._corrections.canUndoChanged.connect(self.undo.setEnabled)
        self._shown: Found | None = None
        self._lay_out()
        for changed in (
            parts.checking.alignment_changed,
            parts.session.opened_changed,
            parts.session.restoration_changed,
        ):
            changed.connect(self._show)
        self.recolour()

    def recolour(self) -> None:
        """Gives the axes their colours."""
        paint_plot(self.map, tokens())
        self.map.getPlotItem().showGrid(x=False, y=False)
        self._scale.axis.setTextPen(tokens().dim)
        self._scale.axis.setPen(tokens().line)
        self._show()

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        columns = QHBoxLayout()
        columns.setSpacing(theme.GRID)
        left = QVBoxLayout()
        left.setSpacing(theme.GRID)
        left.addWidget(self._settings())
        left.addWidget(self._result())
        left.addStretch(1)
        columns.addLayout(left, 2)
        columns.addWidget(self._map(), 3)
        self.column.addLayout(columns, 1)

    def _settings(self) -> QWidget:
        frame, column = theme.card("Search")
        hint = QLabel(
            "Compares the fine pattern of the capture with the mask at every place it could lie. "
            "Nothing is decoded, so it takes a second."
        )
        hint.setObjectName("dim")
        hint.setWordWrap(True)
        column.addWidget(hint)
        self.shift, self.step = _spin(1, 12, 4.0, 1.0, " px"), _spin(0, 1, 0.5, 0.1, " px per band")
        self.flips = QCheckBox("Also mirrored and turned")
        self.flips.setChecked(True)
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        for row, (name, field) in enumerate({"Shifts up to ±": self.shift, "Steps up to ±": self.step}.items()):
            label = QLabel(name)
            label.setObjectName("dim")
            label.setBuddy(field)
            field.setAccessibleName(name)
            grid.addWidget(label, row, 0)
            grid.addWidget(field, row, 1)
        column.addLayout(grid)
        column.addWidget(self.flips)
        for widget in (self.search, self.progress, self.state):
            column.addWidget(widget)
        return frame

    def _result(self) -> QWidget:
        frame, column = theme.card("What was found")
        self._result_card = frame
        column.addWidget(self.findings)
        column.addWidget(self.takes_direction)
        line = QHBoxLayout()
        line.addWidget(self.apply)
        line.addWidget(self.undo)
        line.addStretch(1)
        column.addLayout(line)
        return frame

    def _map(self) -> QWidget:
        frame, column = theme.card("How much of the fine pattern the mask explains")
        self.map = new_plot("columns (px)", name="Criterion at every shift of the mask")
        item = self.map.getPlotItem()
        item.setLabel("left", "rows (px)")
        item.getViewBox().setAspectLocked(True)
        item.getViewBox().invertY(True)
        self._picture = pg.ImageItem()
        self._cross = pg.ScatterPlotItem(symbol="+", size=18)
        self._opened = pg.ScatterPlotItem(symbol="o", size=14, brush=None)
        for part in (self._picture, self._opened, self._cross):
            item.addItem(part)
        self._scale = item.addColorBar(self._picture, colorMap="viridis", width=12, interactive=False)
        column.addWidget(self.map, 1)
        self.key = QLabel()
        self.key.setObjectName("dim")
        self.key.setWordWrap(True)
        column.addWidget(self.key)
        return frame

    # ---- what it shows -------------------------------------------------------------------------------------------

    def _show(self) -> None:
        session, checking = self._session, self._parts.checking
        is_running = checking.alignment_state == "running"
        is_cassi = session.measurement is not None and session.kind.measures == "plane"
        self.search.setText("Cancel" if is_running else "Search")
        self.search.setEnabled(is_running or (is_cassi and not session.restoration.is_busy))
        for field in (self.shift, self.step, self.flips):
            field.setEnabled(not is_running)
        self.progress.setVisible(is_running)
        if is_running:
            done, total = (0, 1) if checking.progress is None else (checking.progress.done, checking.progress.total)
            self.progress.setRange(0, total)
            self.progress.setValue(done)
        set_look(self.state, *self._state(is_cassi=is_cassi, is_running=is_running))
        found = checking.found if is_cassi else None  # it may be told of a new measurement only after this page
        self._result_card.setVisible(found is not None)
        if found is None:
            self._picture.clear()
            self._cross.clear()
            self._opened.clear()
            self.key.setText("The map is drawn once the search has ended.")
        elif found is not self._shown:
            dispersion = session.measurement.physics.dispersion
            self.takes_direction.setVisible(found.alignment.direction != dispersion.direction)
            self.takes_direction.setChecked(found.alignment.direction_margin >= SURE_OF_DIRECTION)
            self._draw(found.alignment)
            set_look(self.findings, "\n\n".join(sentences(found.alignment, dispersion)), self._look(found))
        self._shown = found
        self._show_apply()

    def _state(self, *, is_cassi: bool, is_running: bool) -> tuple[str, str]:
        checking = self._parts.checking
        if not is_cassi:
            return "Open a CASSI capture: only there a mask is dispersed.", "dim"
        if is_running:
            progress = checking.progress
            return ("Searching…" if progress is None else f"Step {progress.done} of {progress.total}"), "dim"
        if checking.alignment_state == "failed":
            return checking.alignment_problem, "warn"
        return "", "dim"

    def _look(self, found: Found) -> str:
        """As the card has it, where that has a verdict: the two never contradict each other."""
        camera = self._parts.checking.camera
        if camera is not None and camera.alignment is found.alignment:
            return "plain" if camera.is_fine else "warn"
        dispersion = self._session.measurement.physics.dispersion
        return "plain" if found.alignment.is_found and not is_off(found.alignment, dispersion) else "warn"

    def _show_apply(self) -> None:
        """Applying is offered where it changes something."""
        options = self._options()
        found = self._shown
        is_busy = self._session.restoration.is_busy or self._session.is_opening
        self.apply.setEnabled(options is not None and found.alignment.is_found and not is_busy)
        self.apply.setToolTip("Opens the capture again with the mask where it was found; Undo takes it back")

    def _options(self):
        found = self._shown
        if found is None:
            return None
        with_direction = self.takes_direction.isChecked() and not self.takes_direction.isHidden()
        options = found.options if with_direction else found.options_same_direction
        changes = with_direction or is_off(found.alignment, self._session.measurement.physics.dispersion)
        return options if changes else None

    def _draw(self, alignment: Alignment) -> None:
        shifts = alignment.map_shifts
        half = (shifts[1] - shifts[0]) / 2
        side = float(shifts[-1] - shifts[0] + 2 * half)
        low, high = 100 * float(alignment.map.min()), 100 * float(alignment.map.max())
        self._picture.setImage(100 * alignment.map, autoLevels=False)
        self._scale.setLevels((low, max(high, low + 1e-6)))
        self._picture.setRect(QRectF(float(shifts[0]) - half, float(shifts[0]) - half, side, side))
        colour = "#ffffff" if alignment.map.mean() < alignment.map.max() * 0.7 else "#000000"
        best = alignment.best
        self._cross.setData([best.shift_x], [best.shift_y], pen=pen(self.map, "#d55e00", 2.5))
        self._opened.setData([0.0], [0.0], pen=pen(self.map, colour, 1.5))
        self.map.getPlotItem().getViewBox().autoRange(padding=0.02)
        self.key.setText(
            f"In percent; {alignment.explained_by_chance:.1%} is chance. "
            "The cross is the best place, the circle where the mask was opened."
        )

    # ---- what it does --------------------------------------------------------------------------------------------

    def _search_or_cancel(self) -> None:
        checking = self._parts.checking
        if checking.alignment_state == "running":
            checking.cancel_search()
        else:
            checking.search(Reach(self.shift.value(), self.step.value(), self.flips.isChecked()))

    def _apply(self) -> None:
        options = self._options()
        if options is not None:
            self._corrections.correct(options, text="the alignment of the mask")


def is_off(alignment: Alignment, dispersion: Dispersion) -> bool:
    """Whether the mask was found elsewhere than it was opened, by more than the search may be wrong."""
    best = alignment.best
    shift = max(abs(best.shift_y), abs(best.shift_x))
    return bool(best.flip) or shift > SAME_SHIFT or abs(best.step - dispersion.step) > SAME_STEP


def sentences(alignment: Alignment, dispersion: Dispersion) -> list[str]:
    """What was found and how sure that is, in words."""
    best = alignment.best
    if not alignment.is_found:
        return [
            f"The pattern of this mask explains {alignment.explained:.2%} of the capture's fine pattern at best; "
            f"{alignment.explained_by_chance:.2%} is chance. It is another mask, or the capture is out of focus.",
        ]
    found = []
    if max(abs(best.shift_y), abs(best.shift_x)) <= SAME_SHIFT:
        found.append("The mask lies where it was opened.")
    else:
        found.append(f"The mask lies {_moved(best.shift_y, 'down', 'up')} and {_moved(best.shift_x, 'right', 'left')}.")
    if best.flip:
        found.append(f"It is mirrored {FLIPS[best.flip]}." if best.flip != "both" else "It is turned by half a turn.")
    if abs(best.step - dispersion.step) > SAME_STEP:
        found.append(f"The step is {best.step:.3f} pixels a band, not {dispersion.step:g}.")
    else:
        found.append(f"The step of {dispersion.step:g} pixels a band is right.")
    times = alignment.explained / max(alignment.explained_by_chance, 1e-12)
    sure = "very sure" if times > 20 else "sure" if times > 8 else "not very sure"
    return [
        " ".join(found),
        f"There it explains {alignment.explained:.1%} of the fine pattern, {alignment.explained_as_opened:.1%} where "
        f"it was opened and {alignment.explained_by_chance:.1%} by chance: {sure}.",
        _direction(alignment, dispersion),
    ]


def _direction(alignment: Alignment, dispersion: Dispersion) -> str:
    margin, is_same = alignment.direction_margin, alignment.direction == dispersion.direction
    if margin < LIKELY:
        return "The spectra do not tell the direction of the dispersion; look at the colours."
    how = "clearly" if margin >= SURE_OF_DIRECTION else "probably"
    if is_same:
        return f"The spectra {how} run in the direction that was opened."
    return f"The spectra {how} run the other way: the direction should be “{alignment.direction}”."


def _moved(pixels: float, forward: str, backward: str) -> str:
    return f"{abs(pixels):.2f} px {forward if pixels >= 0 else backward}"


def _spin(low: float, high: float, value: float, step: float, unit: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(low, high)
    spin.setDecimals(0 if step >= 1 else 1)
    spin.setSingleStep(step)
    spin.setValue(value)
    spin.setSuffix(unit)
    spin.setMinimumHeight(24)
    return spin
