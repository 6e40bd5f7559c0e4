"""How much of the adapters acts in the next decode, and in which stages."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QSlider, QToolButton, QVBoxLayout, QWidget

from ..assembly import Parts
from ..document.recipe import MOST_PERCENT
from ..widgets import theme

TICKS_ACROSS = 8  # stages in a row of the card


class StrengthControl(QWidget):
    """A slider from 0 to 150 % and a tick for every stage; only trained sets have it."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._setup = parts.setup
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Strength of the adapters in percent")
        self.slider.setToolTip("0 % is the shared backbone alone, 100 % the set as it was trained")
        self.slider.setRange(0, MOST_PERCENT)
        self.slider.setSingleStep(5)
        self.slider.setPageStep(10)
        self.percent = QLabel()
        self.percent.setToolTip("Strength in per cent of the trained differences: 100 % is what was trained")
        self.percent.setFont(theme.tabular(self.font()))
        self.percent.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.percent.setFixedWidth(self.percent.fontMetrics().horizontalAdvance("150 %") + 4)
        self.whole = QPushButton("Use the whole set")
        self.whole.setObjectName("link")
        self.whole.clicked.connect(self._setup.take_whole)
        line = QHBoxLayout()
        line.setSpacing(theme.GRID)
        line.addWidget(_dim("Adapter", self.slider))
        line.addWidget(self.slider, 1)
        line.addWidget(self.percent)
        self.ticks: list[QToolButton] = []
        self._grid = QGridLayout()
        self._grid.setSpacing(4)
        self._grid.setColumnStretch(TICKS_ACROSS, 1)
        stages = QHBoxLayout()
        stages.setSpacing(theme.GRID)
        stages.addWidget(_dim("In stages"))
        stages.addLayout(self._grid, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID)
        column.addLayout(line)
        column.addLayout(stages)
        column.addWidget(self.whole)
        self.slider.valueChanged.connect(self._setup.set_percent)
        for changed in (parts.setup.adapting_changed, parts.setup.changed, parts.session.opened_changed):
            changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        setup, choice = self._setup, self._setup.choice
        self.setVisible(setup.is_adaptable)
        if not setup.is_adaptable:
            return
        adapting = setup.adapting
        with QSignalBlocker(self.slider):
            self.slider.setValue(adapting.percent)
        self.percent.setText(f"{adapting.percent} %")
        self._make_ticks(choice.num_stages)
        for stage, tick in enumerate(self.ticks, start=1):
            tick.setChecked(stage not in adapting.ablated)
        self.whole.setVisible(bool(adapting.words))

    def _make_ticks(self, num_stages: int) -> None:
        """A button for every stage that has adapters of its own."""
        if len(self.ticks) == num_stages:
            return
        for tick in self.ticks:
            self._grid.removeWidget(tick)
            tick.deleteLater()
        self.ticks = []
        for stage in range(1, num_stages + 1):
            tick = QToolButton()
            tick.setText(str(stage))
            tick.setCheckable(True)
            tick.setObjectName("tick")
            tick.setAccessibleName(f"Adapters of stage {stage}")
            tick.setToolTip(f"Off: stage {stage} runs the shared backbone")
            tick.clicked.connect(lambda on, stage=stage: self._setup.set_ablated(stage, not on))
            self.ticks.append(tick)
            self._grid.addWidget(tick, (stage - 1) // TICKS_ACROSS, (stage - 1) % TICKS_ACROSS)


def _dim(text: str, buddy: QWidget | None = None) -> QLabel:
    label = QLabel(text)
    label.setObjectName("dim")
    label.setFixedWidth(label.fontMetrics().horizontalAdvance("In stages") + 4)
    label.setBuddy(buddy)
    return label
