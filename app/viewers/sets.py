"""The card of several decoders on one measurement: which to run, how far they are, and what became of each."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QToolButton,
    QWidget,
)

from lorun_engine.task import STAGE

from ..assembly import Parts
from ..document.comparing import Outcome
from ..document.shelf import Result
from ..quantities import breakable, duration, number, plural
from ..widgets import theme
from ..widgets.icons import icon
from ..widgets.labels import set_look
from ..widgets.theme import GRID, Recolours, tokens

HEIGHT = 128  # px of the list before it scrolls
SAM = "SAM °"
HEADINGS = ("Decoder", "Residual", "PSNR", "SSIM", SAM, "Time", "")
ROW_HEIGHT = 26


class SetsCard(Recolours, QWidget):
    """One row for every decoder of this task and for every result that is kept; ticked ones are run together."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session, self._comparing = parts, parts.session, parts.comparing
        self._shown: tuple = ()
        self.ticks: dict[str, QCheckBox] = {}
        self.drops: dict[Result, QToolButton] = {}
        self.decode = QPushButton("Decode")
        self.decode.clicked.connect(self._comparing.decode)
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self._comparing.cancel)
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the decoders")
        self.progress.setTextVisible(False)
        self.state = QLabel()
        self.state.setAccessibleDescription("State of the decoders")
        self.state.setWordWrap(True)
        self._comparing.timed.passed.connect(self._show_progress)
        frame, column = theme.card("Several decoders on this measurement")
        self._rows = QWidget()
        self._rows.setObjectName("column")
        self._grid = QGridLayout(self._rows)
        self._grid.setContentsMargins(0, 0, GRID, 0)
        self._grid.setHorizontalSpacing(2 * GRID)
        self._grid.setVerticalSpacing(0)
        self._area = QScrollArea()
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # what is in it takes the focus, and comes into sight
        self._area.setWidget(self._rows)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column.addWidget(self._area)
        line = QHBoxLayout()
        line.setSpacing(GRID)
        line.addWidget(self.decode)
        line.addWidget(self.cancel)
        line.addWidget(self.state, 1)
        line.addStretch()
        column.addWidget(self.progress)
        column.addLayout(line)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)

    def recolour(self) -> None:
        """Draws the signs of the buttons."""
        for button in self.drops.values():
            button.setIcon(icon("close", tokens().dim))

    def refresh(self) -> None:
        """Shows decoders, results and progress."""
        comparing = self._comparing
        results = comparing.results
        outcomes = {outcome.name: outcome for outcome in comparing.progress.outcomes}
        shown = (self._parts.setup.decoder_names, results, tuple(outcomes.values()))
        if shown != self._shown:
            self._shown = shown
            self._fill(self._parts.setup.decoder_names, results, outcomes)
        for name, box in self.ticks.items():
            box.setChecked(name in comparing.ticked)
            box.setEnabled(not comparing.is_running)
        count = len(comparing.ticked)
        self.decode.setText(f"Decode with {plural(count, 'decoder')}" if count else "Decode")
        self.decode.setEnabled(comparing.can_decode)
        self.cancel.setVisible(comparing.is_running)
        self.cancel.setEnabled(not comparing.progress.is_cancelling)
        self._show_progress()

    def _show_progress(self) -> None:
        comparing, progress = self._comparing, self._comparing.progress
        done, asked = len(progress.outcomes), len(progress.names)
        self.progress.setVisible(comparing.is_running)
        if comparing.is_running:
            share = 0.0 if progress.pace is None else progress.pace.share
            self.progress.setRange(0, 1000)
            self.progress.setValue(round(1000 * (done + share) / max(asked, 1)))
        if comparing.is_running and progress.is_cancelling:
            part = STAGE if progress.pace is None else progress.pace.part
            set_look(self.state, f"Stops after the {part} that is being computed.", "dim")
        elif comparing.is_running and done < asked:
            how_far = "" if progress.pace is None else f"  ·  {progress.pace.state}"
            words = f"{progress.names[done]}, {done + 1} of {asked}{how_far}"
            set_look(self.state, words, "dim")
        elif comparing.ticked:
            has_several = len(comparing.results) > 1
            alone = "Results of two decoders or more show where they disagree."
            set_look(self.state, "A small residual alone is no good picture." if has_several else alone, "dim")
        else:
            set_look(self.state, "Tick the decoders to run, one after another.", "dim")

    def _fill(self, names: tuple[str, ...], results: tuple[Result, ...], outcomes: dict[str, Outcome]) -> None:
        """Makes the rows anew; they are few and change with a result only."""
        while self._grid.count():
            self._grid.takeAt(0).widget().deleteLater()
        self.ticks, self.drops = {}, {}
        for column, heading in enumerate(HEADINGS):
            if heading == SAM and self._session.kind.is_photograph:
                continue
            self._put(_cell(heading, is_dim=True), 0, column)
        taken: set[Result] = set()
        row = 1
        for name in names:
            outcome = outcomes.get(name)
            mine = [result for result in results if _is_of(result, name)]
            self._put(self._tick(name), row, 0)
            if mine:
                self._put_result(mine[-1], row)
                taken.add(mine[-1])
            elif outcome is not None and outcome.sentence:
                sentence = QLabel(breakable(outcome.sentence))
                sentence.setObjectName("warn")
                sentence.setWordWrap(True)
                self._grid.addWidget(sentence, row, 1, 1, len(HEADINGS) - 1)
            row += 1
        for result in results:
            if result not in taken:
                self._put(_cell(result.title, is_left=True), row, 0)
                self._put_result(result, row)
                row += 1
        self._grid.setColumnStretch(0, 1)
        self._area.setFixedHeight(min(row * ROW_HEIGHT + GRID, HEIGHT))

    def _tick(self, name: str) -> QCheckBox:
        box = QCheckBox(name)
        box.setMinimumHeight(ROW_HEIGHT)
        box.clicked.connect(lambda ticked: self._comparing.tick(name, ticked))
        self.ticks[name] = box
        return box

    def _put_result(self, result: Result, row: int) -> None:
        figures = self._parts.shelf.row(result)
        metrics = figures.metrics
        texts = [
            number(figures.residual),
            f"{metrics['psnr']:.2f}" if "psnr" in metrics else "",
            f"{metrics['ssim']:.3f}" if "ssim" in metrics else "",
            number(metrics["sam"]) if "sam" in metrics else "",
            duration(figures.seconds),
        ]
        for column, text in enumerate(texts, start=1):
            cell = _cell(text)
            cell.setToolTip(result.title)
            self._put(cell, row, column)
        button = QToolButton()
        button.setAutoRaise(True)
        button.setIcon(icon("close", tokens().dim))
        button.setToolTip(f"Forget {result.title}")
        button.setAccessibleName(f"Forget {result.title}")
        button.clicked.connect(lambda: self._parts.shelf.drop(result))
        self.drops[result] = button
        self._put(button, row, len(HEADINGS) - 1)

    def _put(self, widget: QWidget, row: int, column: int) -> None:
        self._grid.addWidget(widget, row, column)


def _is_of(result: Result, name: str) -> bool:
    """Whether a result is of a decoder as it is, without changes to its adapters."""
    return result.title.rpartition(" · ")[0] == name


def _cell(text: str, *, is_dim: bool = False, is_left: bool = False) -> QLabel:
    label = QLabel(text)
    if is_dim:
        label.setObjectName("dim")
    label.setFont(theme.tabular(label.font()))
    label.setMinimumHeight(ROW_HEIGHT)
    side = Qt.AlignmentFlag.AlignLeft if is_left or text == HEADINGS[0] else Qt.AlignmentFlag.AlignRight
    label.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
    return label
