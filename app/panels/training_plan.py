"""The three questions of an adaptation: to what, from which data, for how long."""

from __future__ import annotations

from collections.abc import Sequence
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
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from lorun_engine.errors import LorunError
from lorun_engine.instrument import GALLERY
from lorun_engine.io.reading import READING

from .. import theme
from ..decoders import Choice
from ..exports import camera_words
from ..kinds import KINDS
from ..quantities import gibibytes, roughly
from ..session import Session
from ..training_data import Wanted
from ..training_plan import Plan, Probe, capture_of, companions_of, stated_noise, suggested_title
from .model import set_look
from .training_advanced import AdvancedForm, Situation
from .training_data import DataList
from .training_options import OptionRow

AIMS = {
    "camera": ("My mask and camera", "The mask, dispersion and noise of the open measurement"),
    "degradation": ("A new ratio, kernel or factor", "That of the open measurement, or one that you choose below"),
    "scenes": ("My kind of scenes", "What your scenes look like, measured as the open measurement is"),
}
ROUTES = {
    "scenes": ("Scenes", "Cubes or pictures whose truth is known; they are measured with your camera in the computer"),
    "pairs": ("Pairs", "Measurements of your camera together with their references"),
    "captures": ("Measurements alone", "No truth at all: the set learns to predict withheld sensor pixels"),
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
NEW = {"cs": "A new ratio or matrix", "sr": "A new kernel or factor"}
GIVEN = {"cs": "a new matrix, ratio in %", "sr": "a kernel and factor"}  # in place of the open measurement
NOISES = {"none": "", "shot noise, electrons at the peak": "shot", "Gaussian, standard deviation": "gaussian"}
USUAL_LEVELS = {"shot": "200", "gaussian": "0.02"}
PROBE_AFTER_MS = 400  # answers come in bursts


class PlanPanel(QWidget):
    """Three cards and the button that starts; everything is pre-filled from what is open."""

    start_requested = Signal(object)  # Plan
    open_requested = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._training = session.training
        self.form: AdvancedForm | None = None
        self._noise_from: tuple | None = None  # the files that the noise was taken from
        self._probe_soon = QTimer(self, singleShot=True, interval=PROBE_AFTER_MS)
        self._probe_soon.timeout.connect(self._probe)
        questions = QWidget()
        questions.setObjectName("column")
        column = QVBoxLayout(questions)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID)
        column.addWidget(self._first_question())
        column.addWidget(self._second_question(), 1)
        column.addWidget(self._third_question())
        area = QScrollArea()
        area.setWidget(questions)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(theme.GRID)
        whole.addWidget(area, 1)
        whole.addLayout(self._last_line())
        for changed in (session.opened_changed, session.decoder_changed):
            changed.connect(self._show)
        self._training.changed.connect(self._show_state)
        self._training.probe_changed.connect(self._show_probe)
        self._show()

    # ---- making --------------------------------------------------------------------------------------------------

    def _first_question(self) -> QFrame:
        frame, column = theme.card("1   What should the set adapt to?")
        self.aims = OptionRow(AIMS, name="What the set adapts to")
        self.aims.chosen.connect(lambda _: self._show())
        column.addWidget(self.aims)
        self.starting_set = QComboBox()
        self.starting_set.setAccessibleName("Starting set")
        self.starting_set.activated.connect(lambda _: self._show())
        self.camera = QLabel()
        self.camera.setWordWrap(True)
        self.open = QPushButton("Open a measurement…")
        self.open.setObjectName("link")
        self.open.clicked.connect(self.open_requested)
        self.noise = QComboBox()
        self.noise.setAccessibleName("Noise of the camera")
        for text, kind in NOISES.items():
            self.noise.addItem(text, kind)
        self.noise.activated.connect(self._noise_chosen)
        self.level = QLineEdit()
        self.level.setAccessibleName("Noise level")
        self.level.setMaximumWidth(96)
        self.level.editingFinished.connect(self._show_state)
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setColumnStretch(1, 1)
        self._make_sources()
        measured = QHBoxLayout()
        measured.setSpacing(theme.GRID)
        for widget in (self.source, self.ratio, self.kernel, self.scale):
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
        self.source.activated.connect(lambda _: self._show())
        self.ratio = QLineEdit("25")
        self.ratio.setAccessibleName("Sampling ratio in percent")
        self.ratio.setMaximumWidth(72)
        self.ratio.editingFinished.connect(self._show_state)
        self.kernel = QComboBox()
        self.kernel.setAccessibleName("Blur kernel")
        self.kernel.addItems(GALLERY)
        self.scale = QComboBox()
        self.scale.setAccessibleName("Factor")
        for factor in (2, 3, 4):
            self.scale.addItem(f"× {factor}", factor)
        for box in (self.kernel, self.scale):
            box.activated.connect(lambda _: self._show_state())

    def _second_question(self) -> QFrame:
        frame, column = theme.card("2   From which data?")
        self.routes = OptionRow(ROUTES, name="Kind of data")
        self.routes.chosen.connect(lambda _: self._show())
        self.data = DataList(self._session)
        self.data.changed.connect(self._show_state)
        column.addWidget(self.routes)
        column.addWidget(self.data, 1)
        return frame

    def _third_question(self) -> QFrame:
        frame, column = theme.card("3   For how long?")
        self.lengths = OptionRow(LENGTHS, name="How long")
        self.lengths.choose("standard")
        self.lengths.chosen.connect(lambda _: self._show_state())
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        self.verdict.setAccessibleName("What a short trial says")
        self.advanced = QPushButton("Advanced settings")
        self.advanced.setObjectName("link")
        self.advanced.setCheckable(True)
        self.advanced.toggled.connect(self._show_advanced)
        column.addWidget(self.lengths)
        column.addWidget(self.verdict)
        column.addWidget(self.advanced, 0, Qt.AlignmentFlag.AlignLeft)
        self._third = column
        return frame

    def _last_line(self) -> QHBoxLayout:
        self.title = QLineEdit()
        self.title.setAccessibleName("Name of the training")
        self.title.setFixedWidth(280)
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
        label = QLabel("Name")
        label.setObjectName("dim")
        label.setBuddy(self.title)
        line = QHBoxLayout()
        line.setSpacing(12)
        line.addWidget(label)
        line.addWidget(self.title)
        line.addWidget(self.why_not, 1)
        line.addWidget(self.copy)
        line.addWidget(self.start)
        return line

    # ---- what is asked for ---------------------------------------------------------------------------------------

    @property
    def task(self) -> str | None:
        """The task of the starting set; None while there is no set."""
        choice = self._starting_choice()
        return None if choice is None else choice.task

    def plan(self) -> Plan | None:
        """What the answers come to; None while something is missing, see `missing`."""
        if self.missing():
            return None
        session, preset = self._session, self.lengths.value
        plan = Plan(
            title=self.title.text().strip() or self.title.placeholderText(),
            task=self.task,
            starting_set=self.starting_set.currentData(),
            aim=self.aims.value,
            route=self.routes.value,
            learn=self.data.used("learn"),
            check=self.data.used("check"),
            camera=tuple(self._camera_words()),
            capture=() if self.source.currentData() else capture_of(session.role_table),
            noise=self.noise_text() if self.routes.value == "scenes" else "",
            preset=preset,
            device=session.device,
            settings=() if self.form is None else self.form.settings,
        )
        probe = self._training.probe_result
        cost = probe.cost(preset) if probe is not None and probe.key == plan.probe_key else None
        return plan if cost is None else replace(plan, num_steps=cost.num_steps)

    def _camera_words(self) -> list[str]:
        """The flags that say how the instrument measures."""
        session = self._session
        if not self.source.currentData():
            return camera_words(session.options, session.role_table, companions=("mask", "sampling"))
        if self.task == "cs":
            return ["--ratio", self.ratio.text().strip()]
        return ["--kernel", self.kernel.currentText(), "--scale", str(self.scale.currentData())]

    def missing(self) -> str:
        """What stands in the way of a start, in a sentence; nothing when nothing does."""
        session = self._session
        if not session.is_engine_loaded:
            return "Loading the engine…"
        if self.task is None:
            kind = "" if session.role_table is None else f" for {session.kind.short} measurements"
            return f"There is no adapter set{kind} to start from. Import one into the library first."
        if not self._is_camera_open and not self.source.currentData():
            return f"Open a {KINDS[self.task].short} measurement of your camera first."
        try:
            self._camera_words()
        except LorunError as error:
            return str(error)
        if self._ratio_problem():
            return self._ratio_problem()
        if self._noise_problem():
            return self._noise_problem()
        if self.data.is_checking:
            return "The files are being looked at…"
        is_built_in = self.routes.value == "scenes" and self.aims.value != "scenes" and not self.data.files
        if not self.data.used("learn") and not is_built_in:
            return "Add data to learn from."
        return ""

    @property
    def _is_camera_open(self) -> bool:
        measurement = self._session.measurement
        return measurement is not None and measurement.task == self.task

    def _ratio_problem(self) -> str:
        if self.task != "cs" or not self.source.currentData():
            return ""
        try:
            is_fine = 0 < float(self.ratio.text()) <= 100
        except ValueError:
            is_fine = False
        return (
            "" if is_fine else f"The ratio {self.ratio.text()!r} was given; a number above 0, up to 100, was expected."
        )

    def noise_text(self) -> str:
        """The noise as the command line takes it, as "shot:200"; nothing without noise."""
        kind = self.noise.currentData()
        return f"{kind}:{self.level.text().strip()}" if kind else ""

    def _noise_problem(self) -> str:
        if not self.noise.currentData():
            return ""
        try:
            is_fine = 0 < float(self.level.text()) < float("inf")
        except ValueError:
            is_fine = False
        wanted = "electrons at the brightest pixel" if self.noise.currentData() == "shot" else "a standard deviation"
        return "" if is_fine else f"The noise level {self.level.text()!r} was given; {wanted} above 0 was expected."

    def _starting_choice(self) -> Choice | None:
        name = self.starting_set.currentData()
        return next((choice for choice in self._choices() if choice.name == name), None)

    def _choices(self) -> list[Choice]:
        """The sets to start from: for what is open, or all of them while nothing is."""
        session = self._session
        task = None if session.role_table is None else session.role_table.task
        return [choice for choice in session.choices if choice.has_weights and task in (None, choice.task)]

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show_state()

    # ---- showing -------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        """After another measurement, decoder or answer."""
        session, choices = self._session, self._choices()
        chosen = self.starting_set.currentData()
        names = [choice.name for choice in choices]
        if chosen not in names:
            chosen = session.decoder_name if session.decoder_name in names else next(iter(names), None)
        _fill(self.starting_set, names, chosen)
        task = self.task or ("cassi" if session.role_table is None else session.role_table.task)
        self.aims.options["degradation"].show_title(NEW.get(task, AIMS["degradation"][0]))
        self.aims.show_only(("camera", "scenes") if task == "cassi" else ("degradation", "scenes"))
        self._show_camera()
        self.title.setPlaceholderText(suggested_title(session.paths, chosen))
        self.data.set_wanted(self._wanted(), HINTS[self.routes.value])
        self._show_state()

    def _show_camera(self) -> None:
        session, table = self._session, self._session.role_table
        is_known, is_given = self._is_camera_open, bool(self.source.currentData())
        self.source.setVisible(self.task in ("cs", "sr"))
        _rename(self.source, GIVEN.get(self.task, ""))
        for widget, task in ((self.ratio, "cs"), (self.kernel, "sr"), (self.scale, "sr")):
            widget.setVisible(is_given and self.task == task)
        if is_given:
            words, look = "", "dim"
        elif is_known:
            files = ", ".join(dict.fromkeys(path.name for path in session.paths))
            words, look = f"{READING[table.task].described(table.geometry)}  ·  {files}", "plain"
        else:
            words, look = "Nothing is open yet.", "dim"
        set_look(self.camera, words, look)
        self.open.setVisible(not is_known and not is_given)
        if session.paths != self._noise_from:
            self._noise_from = session.paths
            self._take_noise("" if table is None else stated_noise(table))
        for widget in self._noise_row:
            widget.setEnabled(self.routes.value == "scenes")  # the others bring their own

    def _take_noise(self, text: str) -> None:
        kind, _, level = text.partition(":")
        index = self.noise.findData(kind)
        self.noise.setCurrentIndex(max(0, index))
        self.level.setText(level if index > 0 else "")
        self.level.setVisible(index > 0)

    def _noise_chosen(self) -> None:
        kind = self.noise.currentData()
        self.level.setVisible(bool(kind))
        if kind:
            self.level.setText(USUAL_LEVELS[kind])
        self._show_state()

    def _wanted(self) -> Wanted | None:
        """What the files have to be like; None while nothing is open."""
        session = self._session
        if self.task is None:
            return None
        if not self._is_camera_open:
            return Wanted(self.task, self.routes.value)
        wavelengths_nm = session.measurement.wavelengths_nm
        return Wanted(
            self.task,
            self.routes.value,
            wavelengths_nm=None if wavelengths_nm is None else tuple(map(float, wavelengths_nm)),
            companions=tuple(dict.fromkeys(path for _, path in companions_of(session.role_table))),
            options=session.options,
        )

    def _show_state(self) -> None:
        """After anything that decides whether it can start; nobody looks while a training runs."""
        if not self.isVisible():
            return
        if self.form is not None:
            self.form.show_situation(self._situation())
        missing, is_free = self.missing(), not self._training.has_child
        self.advanced.setEnabled(self._session.is_engine_loaded)
        self.start.setEnabled(not missing and is_free)
        self.copy.setVisible(not missing)
        self.why_not.setText(missing or ("" if is_free else "Another training is under way."))
        if not missing and is_free:
            self._probe_soon.start()
        self._show_probe()

    def _start(self) -> None:
        plan = self.plan()
        if plan is not None:
            self._probe_soon.stop()
            self.start_requested.emit(plan)

    def _copy(self) -> None:
        plan = self.plan()
        if plan is not None:
            QGuiApplication.clipboard().setText(plan.command)
            self.why_not.setText("The command is on the clipboard.")

    # ---- how long ------------------------------------------------------------------------------------------------

    def _probe(self) -> None:
        """Measures on this computer what the answers ask for, unless that has been done."""
        plan = self.plan()
        if plan is not None and self.isVisible():
            self._training.probe(plan)

    def _show_advanced(self, is_wanted: bool) -> None:
        """Opens the fields; they are made when they are first wanted, as the engine names them."""
        if is_wanted and self.form is None:
            self.form = AdvancedForm(self._situation())
            self.form.edited.connect(lambda *_: self._show_state())
            self._third.addWidget(self.form)
            self._show_probe()
        if self.form is not None:
            self.form.setVisible(is_wanted)

    def _situation(self) -> Situation:
        """What decides on the values of the advanced fields."""
        route = self.routes.value
        has_scenes = route != "scenes" or bool(self.data.used("learn"))
        return Situation(self.lengths.value, self.task or "cassi", route, has_scenes)

    def _show_probe(self) -> None:
        probe, plan = self._training.probe_result, self.plan()
        is_current = probe is not None and plan is not None and probe.key == plan.probe_key
        for name, option in self.lengths.options.items():
            option.show_note(_estimate(probe, name) if is_current else "")
        cost = probe.cost(self.lengths.value) if is_current else None
        if self.form is not None and cost is not None:
            self.form.show_steps(cost.num_steps)
        if is_current:
            set_look(self.verdict, probe.sentence, "warn" if probe.is_needless else "dim")
        elif self._training.is_probing:
            set_look(self.verdict, "A short trial on this computer measures how long it takes…", "dim")
        else:
            set_look(self.verdict, self._training.probe_trouble, "warn")


def _estimate(probe: Probe, preset: str) -> str:
    """As "about 6 min · 12,480 parameters · 430 MiB"."""
    cost = probe.cost(preset)
    if cost is None:
        return ""
    parts = [f"about {roughly(cost.seconds)}"]
    if probe.num_parameters:
        parts.append(f"{probe.num_parameters:,} parameters")
    if cost.memory_bytes:
        parts.append(gibibytes(cost.memory_bytes))
    return "  ·  ".join(parts)


def _rename(box: QComboBox, text: str) -> None:
    """Names the second entry; it is not offered, nor chosen, where it has no name."""
    box.setItemText(1, text)
    if not text:
        box.setCurrentIndex(0)


def _fill(box: QComboBox, names: Sequence[str], chosen: str | None) -> None:
    """Offers these names and chooses one, without a word to the listeners."""
    with QSignalBlocker(box):
        if [box.itemData(index) for index in range(box.count())] != list(names):
            box.clear()
            for name in names:
                box.addItem(name, name)
        box.setCurrentIndex(box.findData(chosen))
