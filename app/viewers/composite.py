"""The words that say where the colours of a cube come from, and the choice of three bands in their place."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from ..assembly import Parts
from ..kinds import RGB
from ..render import ILLUMINANT, false_colour_bands
from ..widgets.theme import GRID
from .pictures import Pictures


class CompositeButton(QPushButton):
    """As "D65 · CIE 1931" or "R 630.0 · G 550.0 · B 450.0 nm"; its menu chooses the bands."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._parts, self._session, self._pictures = parts, parts.session, pictures
        self.is_short = False  # where there is little room
        self.bands = [QComboBox() for _ in RGB]
        self.true_colour = QPushButton()
        self.true_colour.setAccessibleDescription("Leave the three bands")
        self.true_colour.clicked.connect(self._take_true_colour)
        menu = QMenu(self)
        menu.setAccessibleName("Bands shown as red, green and blue")
        holder = QWidgetAction(menu)
        holder.setDefaultWidget(self._choice())
        menu.addAction(holder)
        self.setMenu(menu)
        self.setAccessibleName("Colours")

    def refresh(self) -> None:
        """Says which colours are shown."""
        pictures, composite = self._pictures, self._session.selection.composite
        has_wavelengths = pictures.wavelengths_nm is not None
        shown = composite or false_colour_bands(pictures.num_bands)
        self.true_colour.setText(f"True colour ({ILLUMINANT})" if has_wavelengths else "One of each third")
        self.true_colour.setEnabled(composite is not None)
        self._refresh_bands(shown)
        if composite is not None and has_wavelengths:
            values = (f"{pictures.wavelengths_nm[band]:.0f}" for band in composite)
            words = " · ".join(f"{name} {nm}" for name, nm in zip("RGB", values, strict=True)) + " nm"
            self.setToolTip(f"Three bands as red, green and blue: {words}")
        elif has_wavelengths:
            words = f"{ILLUMINANT} · CIE 1931"
            self.setToolTip("Colours under daylight as the CIE 1931 standard observer sees them")
        else:
            words = f"False colour · bands {', '.join(str(band + 1) for band in shown)}"
            self.setToolTip("The wavelengths are not known; give them in Roles and geometry to see true colours")
        short = ILLUMINANT if composite is None and has_wavelengths else "Bands"
        self.setText(short if self.is_short else words)
        self.setAccessibleName(f"Colours: {words}")

    def _choice(self) -> QWidget:
        choice = QWidget()
        column = QVBoxLayout(choice)
        column.setContentsMargins(GRID, GRID, GRID, GRID)
        column.setSpacing(GRID)
        grid = QGridLayout()
        for row, (name, band) in enumerate(zip(RGB, self.bands, strict=True)):
            band.setAccessibleName(f"Band shown as {name}")
            band.activated.connect(self._take_bands)
            grid.addWidget(QLabel(name.capitalize()), row, 0)
            grid.addWidget(band, row, 1)
        column.addLayout(grid)
        column.addWidget(self.true_colour)
        return choice

    def _refresh_bands(self, shown: tuple[int, int, int]) -> None:
        titles = [self._pictures.band_title(band) for band in range(self._pictures.num_bands)]
        for combo, band in zip(self.bands, shown, strict=True):
            if [combo.itemText(index) for index in range(combo.count())] != titles:
                combo.clear()
                combo.addItems(titles)
            combo.setCurrentIndex(band)

    def _take_bands(self) -> None:
        self._parts.looking.set_composite(tuple(combo.currentIndex() for combo in self.bands))

    def _take_true_colour(self) -> None:
        self._parts.looking.set_composite(None)
        self.menu().close()
