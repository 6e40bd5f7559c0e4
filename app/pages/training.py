"""The full page on which a set is adapted: three questions, then the run, then what came of it."""

from __future__ import annotations

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from lorun_engine.library.sets import LibrarySet

from ..assembly import Parts
from ..quantities import duration
from ..training.runs import Run
from ..training.training import Training
from ..widgets import theme
from ..widgets.labels import set_look
from ..widgets.page import Page
from .training_plan import PlanPanel
from .training_run import RunPanel


class TrainingPage(Page):
    """Shows the plan while nothing runs, the run while it does, and its result until that is kept or left."""

    open_requested = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__("Adapt a set", name="Adapt a set", help_page="adapting")
        self._training = parts.training
        self.another = QPushButton("Adapt another")
        self.another.clicked.connect(self._show_plan)
        self.add_button(self.another)
        self.unfinished = UnfinishedRuns(parts)
        self.plan = PlanPanel(parts)
        self.plan.start_requested.connect(self._start)
        self.plan.open_requested.connect(self.open_requested)
        self.result = ResultPanel(parts)
        self.result.used.connect(self.closed)
        self.run = RunPanel(parts)
        below = QWidget()
        run = QVBoxLayout(below)
        run.setContentsMargins(0, 0, 0, 0)
        run.setSpacing(theme.GRID)
        run.addWidget(self.result)
        run.addWidget(self.run, 1)
        self.stack = QStackedWidget()
        for widget in (self.plan, below):
            self.stack.addWidget(widget)
        self.column.addWidget(self.unfinished)
        self.column.addWidget(self.stack, 1)
        self._is_run_wanted = self._training.has_child
        self._training.changed.connect(self._show)
        self._training.runs_changed.connect(self._show)
        self._show()

    def _start(self, plan) -> None:
        self._training.start(plan)
        self._show()

    def _show_plan(self) -> None:
        """Leaves the last run; an unsettled one stays in the list above."""
        self._training.forget()
        self._show()

    def _show(self) -> None:
        progress = self._training.progress
        self.stack.setCurrentIndex(0 if progress.state == "idle" else 1)
        self.another.setVisible(progress.state == "ended")


class ResultPanel(QWidget):
    """What came of a training: its score, a name for the set, and what one does with it next."""

    used = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self._training = parts.training
        frame, column = theme.card("Result")
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.name = QLineEdit()
        self.name.setAccessibleName("Name of the set")
        self.name.setFixedWidth(280)
        self.name.returnPressed.connect(self._keep)
        self.keep = QPushButton("Keep in the library")
        self.keep.setObjectName("primary")
        self.keep.clicked.connect(self._keep)
        self.resume = QPushButton("Resume")
        self.resume.clicked.connect(lambda: self._training.resume(self._training.run))
        self.use = QPushButton("Decode with it")
        self.use.setObjectName("primary")
        self.use.clicked.connect(self._use)
        self.compare = QPushButton("Compare with the starting set")
        self.compare.clicked.connect(self._compare)
        self.report = QPushButton("Open report")
        self.report.clicked.connect(self._open_report)
        line = QHBoxLayout()
        for widget in (self.name, self.keep, self.use, self.compare, self.resume, self.report):
            line.addWidget(widget)
        line.addStretch(1)
        column.addWidget(self.sentence)
        column.addLayout(line)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)
        self._kept: str | None = None
        self._named: Run | None = None
        for changed in (self._training.changed, parts.workshop.listed, parts.session.restoration_changed):
            changed.connect(self._show)
        self._training.kept.connect(self._was_kept)
        self._show()

    def _show(self) -> None:
        training, progress = self._training, self._training.progress
        run = training.run
        self.setVisible(progress.state == "ended" and progress.outcome != "discarded" and run is not None)
        if run is None or progress.state != "ended":
            self._kept = None
            return
        if run is not self._named and self._named != run:
            self._named = run
            if not self.name.text() or self._kept is None:
                self.name.setText(run.title)
                self.name.setCursorPosition(0)
        is_kept, is_keepable = self._kept is not None, not run.is_fruitless(progress.gain)
        self.name.setVisible(is_keepable and not is_kept)
        self.keep.setVisible(is_keepable and not is_kept)
        self.keep.setEnabled(not training.doing)
        entry = self._kept_set()
        self.use.setVisible(is_kept)
        self.use.setEnabled(entry is not None)
        self.compare.setVisible(is_kept and self._session.measurement is not None)
        self.compare.setEnabled(entry is not None and self._parts.rivals.can_compare(entry))
        self.resume.setVisible(progress.outcome != "finished" and run.is_resumable and not is_kept)
        self.report.setVisible(run.report is not None)
        set_look(self.sentence, *self._sentence())

    def _sentence(self) -> tuple[str, str]:
        progress = self._training.progress
        if self._training.doing:
            return self._training.doing, "dim"
        if self._kept is not None:
            return f"{self._kept} is in the library. Its backbone is the one it had.", "good"
        if self._training.run.is_fruitless(progress.gain):
            words = "There is nothing to keep: no set was better than the starting set."
            if progress.gain is not None and progress.gain <= 0:
                words = (
                    f"There is nothing to keep: the best set reached {progress.best_psnr:.2f} dB, the starting set has "
                    f"{progress.start_psnr:.2f} dB."
                )
            more = " Train longer or add data." if progress.outcome == "finished" else " Resume it to go on."
            return words + more, "warn"
        if progress.gain is None:
            return "The set can be kept under a name of your choice.", "plain"
        has_truth = self._training.record.has_truth
        where = "scenes that it did not learn from" if has_truth else "withheld pixels of the sensor"
        words = f"The new set is {progress.gain:.2f} dB better on {where}."
        return f"{words} It took {duration(progress.elapsed_s)}.", "good"

    def _keep(self) -> None:
        if not self._training.doing:
            self._training.keep(self._training.run, self.name.text())

    def _was_kept(self, name: str) -> None:
        run = self._training.run
        if run is not None and run.is_settled:  # else another training is shown by now
            self._kept = name
        self._show()

    def _use(self) -> None:
        self._training.use(self._kept)
        self.used.emit()

    def _kept_set(self) -> LibrarySet | None:
        """The set that was kept, once the library lists it."""
        return None if self._kept is None else self._parts.workshop.set_of(self._kept, self._training.run.task)

    def _compare(self) -> None:
        self._parts.rivals.compare(self._kept_set(), self._training.run.starting_set)
        self.used.emit()

    def _open_report(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._training.run.report)))


class UnfinishedRuns(QWidget):
    """Trainings that a crash or a closed window left behind, and what can be done with each."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._training = parts.training
        self._frame, self._column = theme.card("Unfinished trainings")
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._frame)
        self.rows: dict[str, RunRow] = {}
        self._training.runs_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        training = self._training
        runs = {str(run.folder): run for run in training.unfinished}
        for key in [key for key in self.rows if key not in runs]:
            row = self.rows.pop(key)
            self._column.removeWidget(row)
            row.deleteLater()
        for key, run in runs.items():
            if key not in self.rows:
                self.rows[key] = RunRow(run, training)
                self._column.addWidget(self.rows[key])
            self.rows[key].show_run(run, is_free=not training.has_child)
        self.setVisible(bool(self.rows))


class RunRow(QWidget):
    """One unfinished training: how far it came, and its buttons."""

    def __init__(self, run: Run, training: Training) -> None:
        super().__init__()
        self._run, self._training = run, training
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.watch = QPushButton("Watch it")
        self.resume = QPushButton("Resume")
        self.again = QPushButton("Start again")
        self.keep = QPushButton("Keep what it has")
        self.trash = QPushButton("Move to the trash")
        self.watch.clicked.connect(lambda: training.watch(self._run))
        self.resume.clicked.connect(lambda: training.resume(self._run))
        self.again.clicked.connect(lambda: training.resume(self._run))
        self.keep.clicked.connect(lambda: training.look_at(self._run))
        self.trash.clicked.connect(lambda: training.trash(self._run))
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.sentence, 1)
        for button in (self.watch, self.resume, self.again, self.keep, self.trash):
            line.addWidget(button)

    def show_run(self, run: Run, *, is_free: bool) -> None:
        """Shows how the training stands; with another under way only the trash is offered."""
        self._run = run
        is_alive = run.is_alive
        words = "is still running" if is_alive else "ended and was not kept" if run.is_over else "did not end"
        reached = f"it came to step {run.last_step}" if run.last_step else "it had not begun to learn"
        kept = "" if is_alive or run.is_keepable or not run.is_over else " It kept nothing better than the start."
        self.sentence.setText(f"{run.title} {words}; {reached}.{kept}")
        self.watch.setVisible(is_alive)
        self.watch.setEnabled(is_free)
        self.resume.setVisible(not is_alive and run.is_resumable)
        self.resume.setEnabled(is_free)
        self.again.setVisible(not is_alive and run.is_restartable)
        self.again.setEnabled(is_free)
        self.keep.setVisible(not is_alive and run.is_keepable)
        self.keep.setEnabled(is_free)
        self.trash.setVisible(not is_alive)
