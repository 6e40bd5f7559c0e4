"""The card that says how a measurement is decoded: decoder, stages, device, precision, and whether it fits."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton, QSpinBox, QVBoxLayout, QWidget

from lorun_engine.decoding.execution import PRECISIONS
from lorun_engine.task import STAGE

from ..assembly import Parts
from ..document.stage_store import LIMIT_BYTES
from ..quantities import gibibytes, plural
from ..widgets import meanings, theme
from ..widgets.labels import set_look
from ..widgets.lists import fill
from .strength import StrengthControl

MOST_STAGES = 999
WORTH_A_WORD = 1 << 30  # bytes of memory


class ModelCard(QWidget):
    """Decoder, stages, device, precision, and how much of the adapters."""

    adapt_requested = Signal()
    library_requested = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._setup, self._session = parts.setup, parts.session
        frame, column = theme.card("Model")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)

        self.fit = QLabel()
        self.fit.setWordWrap(True)
        self.fit.setToolTip(meanings.VERDICT_FIT)
        self.cost = QLabel()
        self.cost.setObjectName("dim")
        self.cost.setWordWrap(True)
        self.instead = QPushButton()
        self.instead.clicked.connect(self._take_the_other)
        self.adapt = QPushButton("Adapt a set to this camera…")
        self.adapt.setObjectName("link")
        self.adapt.clicked.connect(self.adapt_requested)
        column.addLayout(self._choices())
        self.strength = StrengthControl(parts)
        column.addWidget(self.strength)
        column.addWidget(self.fit)
        column.addWidget(self.instead)
        column.addWidget(self.adapt)
        column.addWidget(self.cost)
        self.library = QPushButton("Adapter sets…")
        self.library.setObjectName("link")
        self.library.setToolTip("The library, and what a set changes at which stage and layer")
        self.library.clicked.connect(self.library_requested)
        column.addWidget(self.library)

        self.decoder.activated.connect(lambda _: parts.setup.switch_decoder(self.decoder.currentData()))
        self.stages.valueChanged.connect(parts.setup.set_num_stages)
        self.device.activated.connect(lambda _: parts.setup.set_device(self.device.currentData()))
        self.precision.activated.connect(lambda _: parts.setup.set_precision(self.precision.currentData()))
        for changed in (parts.setup.changed, parts.session.opened_changed, parts.session.restoration_changed):
            changed.connect(self._show)
        self._show()

    def _choices(self) -> QGridLayout:
        """A row for everything that is chosen from a list or counted."""
        self.decoder = QComboBox()
        self.decoder.setAccessibleName("Decoder")
        self.decoder.setToolTip("What makes the result of the measurement; the best that fits is chosen")
        self.stages = QSpinBox()
        self.stages.setToolTip("How often the result is improved; more take longer, trained sets want their own number")
        self.stages.setRange(1, MOST_STAGES)
        self.stages.setKeyboardTracking(False)
        self.device = QComboBox()
        self.device.setAccessibleName("Device")
        self.device.setToolTip("What computes, with its free memory in GiB; a graphics card is faster")
        self.precision = QComboBox()
        self.precision.setAccessibleName("Precision of the network")
        self.precision.setToolTip(
            "auto takes what is quickest here; bfloat16 halves memory and time on recent GPUs. Physics stays in float32"
        )
        for box in (self.decoder, self.device, self.precision):  # long names are cut, not widening the column
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(12)
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(theme.GRID)
        fields = {
            "Decoder": self.decoder,
            "Stages": self.stages,
            "Device": self.device,
            "Precision": self.precision,
        }
        for row, (name, field) in enumerate(fields.items()):
            label = QLabel(name)
            label.setObjectName("dim")
            label.setBuddy(field)
            grid.addWidget(label, row, 0)
            grid.addWidget(field, row, 1)
            if field is self.stages:
                self._stages_title = label
        self._precision_row = (label, self.precision)  # the last; only networks have one
        return grid

    def _show(self) -> None:
        setup = self._setup
        is_free = setup.is_engine_loaded and not self._session.restoration.is_busy
        fill(self.decoder, [(name, name) for name in setup.decoder_names], setup.decoder_name)
        fill(
            self.device,
            [(_device_title(device), device.name) for device in setup.devices],
            setup.device,
        )
        fill(self.precision, [(name, name) for name in PRECISIONS], setup.precision)
        for widget in self._precision_row:
            widget.setVisible(setup.choice is not None and setup.choice.has_weights)
        step_name = STAGE if setup.choice is None else setup.choice.step_name
        self._stages_title.setText(f"{step_name.capitalize()}s")
        self.stages.setAccessibleName(f"Number of {step_name}s")
        with QSignalBlocker(self.stages):
            self.stages.setValue(max(1, setup.num_stages))
        for field in (self.decoder, self.stages, self.device, self.precision, self.strength):
            field.setEnabled(is_free)
        self._show_fit()
        is_too_much, needs = self._needs()
        sentence = " ".join(filter(None, (needs, self._cost())))
        set_look(self.cost, sentence, "warn" if is_too_much else "dim")
        self.cost.setVisible(bool(sentence))

    def _show_fit(self) -> None:
        setup, fit = self._setup, self._setup.fit
        other = None
        if fit is not None:
            sentence, look = fit.sentence, fit.look
            if not fit.is_good:
                other = setup.fallback
        elif not setup.is_engine_loaded:
            sentence, look = "Loading the engine…", "dim"
        elif self._session.measurement is None:
            sentence, look = "Open a measurement to see whether it fits.", "dim"
        else:
            sentence, look = "Checking whether it fits…", "dim"
        set_look(self.fit, sentence, look)
        self.instead.setVisible(other is not None)
        self.adapt.setVisible(fit is not None and fit.look == "warn")
        self.instead.setText("Use another decoder" if other is None else f"Use {other.name}")

    def _take_the_other(self) -> None:
        if self._setup.fallback is not None:
            self._setup.switch_decoder(self._setup.fallback.name)

    def _needs(self) -> tuple[bool, str]:
        """Whether a decode takes more memory than is free, and how much, where that is worth a word."""
        needed = None if self._setup.fit is None else self._setup.fit.num_bytes
        device = next((device for device in self._setup.devices if device.name == self._setup.device), None)
        if needed is None or device is None or self._session.measurement is None:
            return False, ""
        free = device.free_bytes
        if free is not None and needed > free:
            return True, (
                f"Takes about {gibibytes(needed)} of memory; {gibibytes(free)} are free. Close other programs or crop "
                "the measurement."
            )
        return False, f"Takes about {gibibytes(needed)} of memory." if needed > WORTH_A_WORD else ""

    def _cost(self) -> str:
        """How much room the stages take, where that is more than goes without saying."""
        measurement, choice, num_stages = self._session.measurement, self._setup.choice, self._setup.num_stages
        if measurement is None or choice is None or not num_stages:
            return ""
        bands, height, width = measurement.physics.scene_shape
        num_bytes = 4 * bands * height * width * (num_stages + 1)
        if num_bytes < LIMIT_BYTES:
            return ""
        return (
            f"{plural(num_stages, choice.step_name)} of {bands} × {height} × {width} take {gibibytes(num_bytes)}; "
            f"what exceeds {gibibytes(LIMIT_BYTES)} is kept on the disk."
        )


def _device_title(device) -> str:
    """As "CPU · 2 threads", or a card's name with its free memory."""
    if device.name == "cpu" or device.free_bytes is None:
        return device.title
    return f"{device.title} · {gibibytes(device.free_bytes)} free"
