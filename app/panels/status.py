"""The status bar: cursor, wavelength and the values of the panes on the left, the last result and the device right."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QSizePolicy, QStatusBar

from .. import theme
from ..quantities import duration, gibibytes, number, plural
from ..session import MEASUREMENT, REFERENCE, Session
from ..viewers.grid import Cursor

MOST_VALUES = 4


class StatusBar(QStatusBar):
    """Figures of one width, so that nothing jumps while the cursor moves."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._hovered: Cursor | None = None
        self.setSizeGripEnabled(False)
        self.setContentsMargins(theme.GRID, 0, theme.GRID, 0)
        self.cursor = QLabel()
        self.cursor.setAccessibleName("Values at the cursor")
        self.cursor.setFont(theme.tabular(self.font()))
        self.cursor.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.result = QLabel()
        self.result.setAccessibleName("Last result")
        self.device = QLabel()
        self.device.setAccessibleName("Device and memory")
        self.addWidget(self.cursor, 1)
        self.addPermanentWidget(self.result)
        self.addPermanentWidget(self.device)
        for changed in (session.selection_changed, session.opened_changed):
            changed.connect(self._show_cursor)
        for changed in (session.decoder_changed, session.restoration_changed, session.opened_changed):
            changed.connect(self._show_result)
        self._show_cursor()
        self._show_result()

    def show_cursor(self, cursor: Cursor | None) -> None:
        """Shows the values under the mouse; those at the pinned pixel when it is nowhere."""
        self._hovered = cursor
        self._show_cursor()

    def _show_cursor(self) -> None:
        session, selection = self._session, self._session.selection
        measurement = session.measurement
        if measurement is None:
            self.cursor.setText("")
            return
        wavelengths_nm = measurement.wavelengths_nm
        band = f"band {selection.band + 1}"
        if wavelengths_nm is not None:
            band = f"{wavelengths_nm[selection.band]:.1f} nm"
        hovered, panes, pixel = self._hovered, selection.panes, selection.pixel
        if hovered is not None:
            panes, pixel = panes if hovered.is_in_scene else (hovered.pane,), (hovered.y, hovered.x)
        if pixel is None:
            self.cursor.setText(band)
            return
        y, x = pixel
        values = [f"{_name(pane)}: {number(self._value(pane, pixel))}" for pane in panes[:MOST_VALUES]]
        self.cursor.setText("   ".join([f"x {x}, y {y}", band, *values]))

    def _value(self, pane: int, pixel: tuple[int, int]) -> float:
        session, (y, x) = self._session, pixel
        if pane == MEASUREMENT:
            y_image = session.measurement.y
            return float(y_image[0, min(y, y_image.shape[1] - 1), min(x, y_image.shape[2] - 1)])
        image = session.measurement.reference if pane == REFERENCE else session.stages.image(pane)
        return float(image[session.selection.band, y, x])

    def _show_result(self) -> None:
        session, restoration = self._session, self._session.restoration
        if not session.is_engine_loaded:
            self.result.setText("")
            self.device.setText("Loading the engine…")
            return
        device = next(device for device in session.devices if device.name == session.device)
        free = "" if device.free_bytes is None else f"  ·  {gibibytes(device.free_bytes)} free"
        self.device.setText(f"    {device.title}{free}")
        texts = {
            "done": f"Decoded {plural(restoration.num_stages, 'stage')} in {duration(restoration.seconds)}",
            "cancelled": f"Cancelled at stage {restoration.done_stages} of {restoration.num_stages}",
            "failed": f"Failed after stage {restoration.done_stages} of {restoration.num_stages}",
        }
        self.result.setText("Reading…" if session.is_opening else texts.get(restoration.state, ""))


def _name(pane: int) -> str:
    return {MEASUREMENT: "measurement", REFERENCE: "reference", 0: "start"}.get(pane, f"stage {pane}")
