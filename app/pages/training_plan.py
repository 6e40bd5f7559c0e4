"""The three questions of an adaptation: to what, from which data, for how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from lorun_engine.io.reading import reading_of
from lorun_engine.task import TASKS, Task

from ..assembly import Parts
from ..quantities import duration, gibibytes, plural
from ..training.plan import Cost, Probe
from ..training.planning import Answers
from ..widgets import theme
from ..widgets.labels import set_look
from ..widgets.options import GivenFields
from .training_advanced import AdvancedForm
from .training_data import DataList
from .training_options import OptionRow

AIMS = {
    "camera": ("My mask and camera", "The mask, dispersion and noise of the open measurement"),
    "degradation": ("A new ratio, kernel or factor", "That of the open measurement, or one that you choose below"),
    "scenes": ("My kind of scenes", "What your scenes look like, measured as the open measurement is"),
}
ROUTES = {
    "scenes": ("Scenes", "Cubes or pictures of scenes; they are measured with your camera in the computer"),
    "pairs": ("Pairs", "Measurements of your camera together with their references"),
    "captures": ("Measurements alone", "No reference at all: the set learns to predict withheld sensor pixels"),
}
LENGTHS = {
    "quick": ("Quick", "To see whether it helps"),
    "standard": ("Standard", "Most of what can be gained"),
    "thorough": ("Thorough", "Overnight, or on a GPU"),
}
HINTS = {
    "scenes": "Drop cubes or pictures here, or folders of them. Without any, those that come with LoRun are used.",
    "pairs": "Drop measurement files that hold a reference here, or folders of them.",
    "captures": "Drop captures of your camera here, or folders of them; the open mask goes with them.",
}
NOISES = {"none": "", "shot noise, electrons at the peak": "shot", "Gaussian, standard deviation": "gaussian"}
PROBE_AFTER_MS = 400  # answers come in bursts


class PlanPanel(QWidget):
    """Three cards and the button that starts; everything is pre-filled from what is open."""

    start_requested = Signal(object)  # Plan
    open_requested = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self.planning, self._training = parts.planning, parts.training
        self.form: AdvancedForm | None = None
        self._probe_soon = QTimer(self, singleShot=True, interval=PROBE_AFTER_MS)
        self._probe_soon.timeout.connect(self._probe)
        questions = QWidget()
        questions.setObjectName("column")
        column = QVBoxLayout(questions)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID)
        for question in (self._first_question(), self._second_question(), self._third_question()):
            column.addWidget(question)
        column.addStretch(1)
        area = QScrollArea()
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # what is in it takes the focus, and comes into sight
        area.setWidget(questions)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(theme.GRID)
        whole.addWidget(area, 1)
        whole.addLayout(self._last_line())
        self.planning.changed.connect(self._show)
        self._training.changed.connect(self._show_state)
        parts.probing.changed.connect(self._show_probe)
        self._show()

    # ---- making --------------------------------------------------------------------------------------------------

    def _first_question(self) -> QFrame:
        frame, column = theme.card("1   What should the set adapt to?")
        self.aims = OptionRow(AIMS, name="What the set adapts to")
        self.aims.chosen.connect(lambda aim: self.planning.take(replace(self._answers, aim=aim)))
        column.addWidget(self.aims)
        self.starting_set = QComboBox()
        self.starting_set.setAccessibleName("Starting set")
        self.starting_set.activated.connect(
            lambda _: self.planning.take(replace(self._answers, starting_set=self.starting_set.currentData()))
        )
        self.camera = QLabel()
        self.camera.setWordWrap(True)
        self.open = QPushButton("Open a measurement…")
        self.open.setObjectName("link")
        self.open.clicked.connect(self.open_requested)
        self.noise = QComboBox()
        self.noise.setAccessibleName("Noise of the camera")
        for text, kind in NOISES.items():
            self.noise.addItem(text, kind)
        self.noise.activated.connect(
            lambda _: self.planning.take(replace(self._answers, noise=self.noise.currentData()))
        )
        self.level = QLineEdit()
        self.level.setAccessibleName("Noise level")
        self.level.setMaximumWidth(96)
        self.level.textChanged.connect(
            lambda text: self.planning.take(replace(self._answers, level=text), is_typing=True)
        )
        self.level.editingFinished.connect(self.planning.tell)
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setColumnStretch(1, 1)
        self._make_sources()
        measured = QHBoxLayout()
        measured.setSpacing(theme.GRID)
        for widget in (self.source, *self.given.values()):
            measured.addWidget(widget)
        measured.addWidget(self.camera, 1)
        measured.addWidget(self.open)
        measured.addStretch(0)
        noise = QHBoxLayout()
        for widget in (self.noise, self.level):
            noise.addWidget(widget)
        noise.addStretch(1)
        for row, (title, field) in enumerate(
            {"Starting set": self.starting_set, "As measured by": measured, "Noise": noise}.items()
        ):
            label = QLabel(title)
            label.setObjectName("dim")
            grid.addWidget(label, row, 0)
            grid.addWidget(field, row, 1) if isinstance(field, QWidget) else grid.addLayout(field, row, 1)
        self._noise_row = (label, self.noise, self.level)
        column.addLayout(grid)
        return frame

    def _make_sources(self) -> None:
        """Whether the open measurement says how pictures are sampled or blurred, or numbers that are given here do."""
        self.source = QComboBox()
        self.source.setAccessibleName("Where the degradation is taken from")
        self.source.addItem("the open measurement", "")
        self.source.addItem("", "given")
        self.source.activated.connect(lambda index: self.planning.take(replace(self._answers, is_given=index == 1)))
        self.given: dict[str, GivenFields] = {}  # by task
        for name, task in TASKS.items():
            if task.given:
                options = reading_of(name).CHANGES
                fields = GivenFields(options, {option.field: option.start for option in options})
                fields.edited.connect(self._give)
                fields.committed.connect(self.planning.tell)
                self.given[name] = fields

    def _give(self, name: str, text: str, is_typing: bool) -> None:
        given = {**self._answers.given, name: text}
        self.planning.take(replace(self._answers, given=given), is_typing=is_typing)

    def _second_question(self) -> QFrame:
        frame, column = theme.card("2   From which data?")
        self.routes = OptionRow(ROUTES, name="Kind of data")
        self.routes.chosen.connect(lambda route: self.planning.take(replace(self._answers, route=route)))
        self.data = DataList(self._parts)
        column.addWidget(self.routes)
        column.addWidget(self.data)
        return frame

    def _third_question(self) -> QFrame:
        frame, column = theme.card("3   For how long?")
        self.lengths = OptionRow(LENGTHS, name="How long")
        self.lengths.chosen.connect(lambda preset: self.planning.take(replace(self._answers, preset=preset)))
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        self.verdict.setAccessibleDescription("What a short trial says")
        self.trial = QProgressBar()
        self.trial.setAccessibleName("Progress of the trial")
        self.trial.setTextVisible(False)
        self.advanced = QPushButton("Advanced settings")
        self.advanced.setObjectName("link")
        self.advanced.setCheckable(True)
        self.advanced.toggled.connect(self._show_advanced)
        column.addWidget(self.lengths)
        column.addWidget(self.verdict)
        column.addWidget(self.trial)
        column.addWidget(self.advanced, 0, Qt.AlignmentFlag.AlignLeft)
        self._third = column
        return frame

    def _last_line(self) -> QHBoxLayout:
        self.title = QLineEdit()
        self.title.setAccessibleName("Name of the training")
        self.title.setFixedWidth(280)
        self.title.textChanged.connect(
            lambda text: self.planning.take(replace(self._answers, title=text), is_typing=True)
        )
        self.start = QPushButton("Start adapting")
        self.start.setObjectName("primary")
        self.start.setMinimumWidth(200)
        self.start.clicked.connect(self._start)
        self.copy = QPushButton("Copy as command")
        self.copy.setObjectName("link")
        self.copy.setToolTip("The lorun line that makes the same set in a terminal")
        self.copy.clicked.connect(self._copy)
        self.why_not = QLabel()
        self.why_not.setObjectName("dim")
        self.why_not.setWordWrap(True)
        self.takes = QLabel()
        self.takes.setObjectName("dim")
        self.takes.setAccessibleDescription("What the training takes")
        label = QLabel("Name")
        label.setObjectName("dim")
        label.setBuddy(self.title)
        line = QHBoxLayout()
        line.setSpacing(12)
        line.addWidget(label)
        line.addWidget(self.title)
        line.addWidget(self.why_not, 1)
        line.addWidget(self.copy)
        line.addWidget(self.takes)
        line.addWidget(self.start)
        return line

    @property
    def _answers(self) -> Answers:
        return self.planning.answers

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show_state()

    # ---- showing -------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        """After another measurement, decoder or answer."""
        self.planning.keep_starting_set()
        planning, answers = self.planning, self.planning.answers
        _fill(self.starting_set, [choice.name for choice in planning.choices], answers.starting_set)
        self.aims.options["degradation"].show_title(self._task_words(lambda task: task.new) or AIMS["degradation"][0])
        self.aims.show_only(planning.aims)
        self.routes.show_only(planning.routes)
        for row, value in ((self.aims, answers.aim), (self.routes, answers.route), (self.lengths, answers.preset)):
            row.choose(value)
        self._show_camera()
        self._show_noise()
        self.title.setPlaceholderText(planning.suggested_title)
        self.data.show_hint(HINTS[answers.route] + self._task_words(_words_of_pairs))
        self._show_state()

    def _task_words(self, words_of: Callable[[Task], str]) -> str:
        """Words of the task of the starting set; none while there is no set."""
        task = self.planning.task
        return "" if task is None else words_of(TASKS[task])

    def _show_camera(self) -> None:
        session, planning, is_given = self._session, self.planning, self.planning.answers.is_given
        self.source.setVisible(planning.task in self.given)
        self.source.setItemText(1, self._task_words(lambda task: task.given))
        self.source.setCurrentIndex(int(is_given))
        for task, fields in self.given.items():
            fields.setVisible(is_given and planning.task == task)
        if is_given:
            words, look = "", "dim"
        elif planning.is_camera_open:
            files = ", ".join(dict.fromkeys(path.name for path in session.paths))
            table = session.role_table
            words, look = f"{reading_of(table.task).described(table.geometry)}  ·  {files}", "plain"
        else:
            words, look = "Nothing is open yet.", "dim"
        set_look(self.camera, words, look)
        self.open.setVisible(not planning.is_camera_open and not is_given)

    def _show_noise(self) -> None:
        answers = self.planning.answers
        self.noise.setCurrentIndex(self.noise.findData(answers.noise))
        self.level.setVisible(bool(answers.noise))
        if self.level.text() != answers.level:
            with QSignalBlocker(self.level):
                self.level.setText(answers.level)
        for widget in self._noise_row:
            widget.setEnabled(answers.route == "scenes")  # the others bring their own

    def _show_state(self) -> None:
        """After anything that decides whether it can start; nobody looks while a training runs."""
        if not self.isVisible():
            return
        planning = self.planning
        if self.form is not None:
            self.form.show_situation(planning.situation)
            self.planning.take(replace(self._answers, settings=self.form.settings), is_typing=True)
        missing, is_free = planning.missing(), not self._training.has_child
        self.advanced.setEnabled(self._parts.setup.is_engine_loaded)
        self.start.setEnabled(not missing and is_free)
        self.copy.setVisible(not missing)
        self.why_not.setText(missing or ("" if is_free else "Another training is under way."))
        self.takes.setVisible(not missing and is_free)
        if not missing and is_free:
            self._probe_soon.start()
        self._show_probe()

    def _start(self) -> None:
        plan = self.planning.plan()
        if plan is not None:
            self._probe_soon.stop()
            self.start_requested.emit(plan)

    def _copy(self) -> None:
        plan = self.planning.plan()
        if plan is not None:
            QGuiApplication.clipboard().setText(plan.command)
            self.why_not.setText("The command is on the clipboard.")

    # ---- how long ------------------------------------------------------------------------------------------------

    def _probe(self) -> None:
        """Measures on this computer what the answers ask for, unless that has been done."""
        plan = self.planning.plan()
        if plan is not None and self.isVisible():
            self._parts.probing.start(plan)

    def _show_advanced(self, is_wanted: bool) -> None:
        """Opens the fields; they are made when they are first wanted, as the engine names them."""
        if is_wanted and self.form is None:
            self.form = AdvancedForm(self.planning.situation)
            self.form.edited.connect(lambda *_: self.planning.take(replace(self._answers, settings=self.form.settings)))
            self._third.addWidget(self.form)
            self._show_probe()
        if self.form is not None:
            self.form.setVisible(is_wanted)

    def _show_probe(self) -> None:
        probe = self.planning.probe()
        for name, option in self.lengths.options.items():
            option.show_note("" if probe is None else _estimate(probe, name))
        is_running = self._parts.probing.is_running
        done, total = (probe.parts if probe is not None else None) or (0, 0)
        self.trial.setVisible(is_running)
        self.trial.setRange(0, total)
        self.trial.setValue(done)
        cost = None if probe is None else probe.cost(self.planning.answers.preset)
        is_first = probe is None or probe.parts is not None
        self.takes.setText(_takes(cost, is_measuring=is_running and is_first))
        if self.form is not None and cost is not None and not is_running:
            self.form.show_steps(cost.steps)
        if probe is not None and not is_running:
            set_look(self.verdict, probe.sentence, "warn" if probe.is_needless else "dim")
        elif is_running:
            so_far = f" {done} of {total} parts are done; the times are first estimates." if total else ""
            set_look(self.verdict, f"A short trial on this computer measures how long it takes…{so_far}", "dim")
        else:
            set_look(self.verdict, self._parts.probing.trouble, "warn")


def _words_of_pairs(task: Task) -> str:
    """What a folder with pairs of a task looks like, as another sentence; nothing where it has none."""
    if not task.pairs:
        return ""
    measured, scenes = task.pairs
    return f" A folder that holds {measured} and {scenes} has pairs: measurements and their scenes of the same names."


def _takes(cost: Cost | None, *, is_measuring: bool) -> str:
    """As "about 6 min, 480 steps", or that nobody knows yet."""
    if cost is None:
        return "Time and steps: being measured…" if is_measuring else "Time and steps: unknown until measured"
    words = f"about {duration(cost.seconds)}, {plural(cost.steps, 'step')}"
    return f"{words} (first estimate)" if is_measuring else words


def _estimate(probe: Probe, preset: str) -> str:
    """As "about 6 min · 12,480 parameters · 430 MiB"."""
    cost = probe.cost(preset)
    if cost is None:
        return ""
    parts = [f"about {duration(cost.seconds)}"]
    if probe.num_parameters:
        parts.append(f"{probe.num_parameters:,} parameters")
    if cost.memory_bytes:
        parts.append(gibibytes(cost.memory_bytes))
    return "  ·  ".join(parts)


def _fill(box: QComboBox, names: Sequence[str], chosen: str | None) -> None:
    """Offers these names and chooses one, without a word to the listeners."""
    with QSignalBlocker(box):
        if [box.itemData(index) for index in range(box.count())] != list(names):
            box.clear()
            for name in names:
                box.addItem(name, name)
        box.setCurrentIndex(box.findData(chosen))
