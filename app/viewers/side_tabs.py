"""What stands below the curves: convergence, regions or the spectral library, chosen by a row of words."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from ..assembly import Parts
from ..widgets.theme import GRID
from .convergence import ConvergenceView
from .library import LibraryPanel
from .region_panel import RegionPanel
from .spectrum import SpectrumView

HINTS = {
    "Convergence": "Residual, quality and time of every stage; a residual that falls and settles is good",
    "Regions": "Means and deviations over points and regions, and angles to the reference in degrees",
    "Library": "Spectra of materials by their angle to the chosen curve in degrees; a small angle is alike",
}


class SideTabs(QWidget):
    """Shows one of its cards; the first region, or a tool in hand, brings the regions to sight."""

    export_requested = Signal()  # of what was measured in all regions
    library_requested = Signal()

    def __init__(self, parts: Parts, *, spectrum: SpectrumView, convergence: ConvergenceView) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self.regions = RegionPanel(parts)
        self.regions.export_requested.connect(self.export_requested)
        self.library = LibraryPanel(parts, lambda: spectrum.subject)
        self.library.open_requested.connect(self.library_requested)
        spectrum.subject_changed.connect(self.library.refresh)
        self._cards = {"Convergence": convergence, "Regions": self.regions, "Library": self.library}
        self._had_regions = False
        self._lay_out()
        parts.session.opened_changed.connect(self._refresh)
        parts.regions.changed.connect(self._show_first)
        parts.regions.tool_changed.connect(self._show_tool)
        self._refresh()

    @property
    def title(self) -> str:
        """Of the card that is seen."""
        return next(title for title, card in self._cards.items() if card is self._stack.currentWidget())

    def show_card(self, title: str) -> None:
        """Shows the card of this title, where what is open has such a card."""
        if title == "Library" and self._session.kind.is_photograph:
            return
        self.buttons[title].setChecked(True)
        self._stack.setCurrentWidget(self._cards[title])

    def _lay_out(self) -> None:
        self.buttons: dict[str, QPushButton] = {}
        self._stack = QStackedWidget()
        self._stack.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)  # as the window has room
        group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(4)
        for title, card in self._cards.items():
            button = QPushButton(title)
            button.setCheckable(True)
            button.setAccessibleName(f"Show {title.lower()}")
            self._parts.wording.say(self, button.setToolTip, HINTS[title])
            button.clicked.connect(lambda _=False, title=title: self.show_card(title))
            group.addButton(button)
            self.buttons[title] = button
            row.addWidget(button)
            self._stack.addWidget(card)
        row.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID)
        column.addLayout(row)
        column.addWidget(self._stack, 1)
        self.show_card("Convergence")

    def _refresh(self) -> None:
        """A photograph has no spectra that a library could be compared with."""
        is_photograph = self._session.kind.is_photograph
        self.buttons["Library"].setVisible(not is_photograph)
        if is_photograph and self.title == "Library":
            self.show_card("Convergence")

    def _show_first(self) -> None:
        has_regions = bool(self._parts.regions.all)
        if has_regions and not self._had_regions:
            self.show_card("Regions")
        self._had_regions = has_regions

    def _show_tool(self) -> None:
        if self._parts.regions.tool is not None:
            self.show_card("Regions")
