"""The status bar: cursor, wavelength and the values of the panes on the left, the last result and the device right."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QLabel, QSizePolicy, QStatusBar

from ..assembly import Parts
from ..document.relight import seen_stage
from ..document.ruler import range_title
from ..document.selection import MEASUREMENT, REFERENCE
from ..kinds import RGB
from ..quantities import duration, gibibytes, number, plural
from ..viewers.grid import Cursor
from ..widgets import meanings, theme

MOST_VALUES = 4
PATH_WORDS = {"plain": "", "nhwc": ", channels last", "compiled": ", compiled"}


class StatusBar(QStatusBar):
    """Figures of one width, so that nothing jumps while the cursor moves."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self._hovered: Cursor | None = None
        self.setSizeGripEnabled(False)
        self.setContentsMargins(theme.GRID, 0, theme.GRID, 0)
        self.cursor = QLabel()
        self.cursor.setAccessibleDescription("Values at the cursor")
        self.cursor.setToolTip(
            "The place in pixels, the wavelength in nm, and the values there on the measurement's scale"
        )
        self.cursor.setFont(theme.tabular(self.font()))
        self.cursor.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.result = QLabel()
        self.result.setAccessibleDescription("Last result")
        parts.wording.say(self, self.result.setToolTip, meanings.TOOK)
        self.device = QLabel()
        self.device.setAccessibleDescription("Device and memory")
        self.device.setToolTip("What the next decode runs on, and how much of its memory is free in GiB")
        self.addWidget(self.cursor, 1)
        self.addPermanentWidget(self.result)
        self.addPermanentWidget(self.device)
        session = parts.session
        for changed in (session.selection_changed, session.opened_changed, session.restoration_changed):
            changed.connect(self._show_cursor)
        for changed in (parts.setup.changed, session.restoration_changed, session.opened_changed):
            changed.connect(self._show_result)
        session.stage_added.connect(self._show_stage)
        session.progressed.connect(self._show_result)
        self._show_cursor()
        self._show_result()

    def show_cursor(self, cursor: Cursor | None) -> None:
        """Shows the values under the mouse; those at the pinned pixel when it is nowhere."""
        self._hovered = cursor
        self._show_cursor()

    def _show_stage(self) -> None:
        self._show_cursor()
        self._show_result()

    def _show_cursor(self) -> None:
        session, selection, hovered = self._session, self._session.selection, self._hovered
        if session.measurement is None:
            self.cursor.setText("")
            return
        pixel = selection.pixel if hovered is None else (hovered.y, hovered.x)
        if pixel is None:
            self.cursor.setText(self._band())
            return
        if hovered is None or hovered.is_in_scene:
            places = {pane: self._place_in(pane, pixel) for pane in selection.shown}
        else:
            places = {hovered.pane: pixel}
        known = [(pane, place) for pane, place in places.items() if place is not None and session.has_pane(pane)]
        values = [f"{self._name(pane)}: {self._values(pane, place)}" for pane, place in known[:MOST_VALUES]]
        self.cursor.setText("   ".join(filter(None, [self._words(pixel), self._band(), *values])))

    def _place_in(self, pane: int, pixel: tuple[int, int]) -> tuple[int, int] | None:
        """Where a pixel of the scene lies in a pane; None where samples of blocks have no such place."""
        session, measures = self._session, self._session.kind.measures
        if pane != MEASUREMENT:
            return pixel
        if measures == "blocks":
            return None
        (y, x), measured, scene = pixel, session.measurement.y.shape, session.measurement.physics.scene_shape
        if measures == "picture":
            y, x = y * measured[1] // scene[1], x * measured[2] // scene[2]
        return min(y, measured[1] - 1), min(x, measured[2] - 1)

    def _band(self) -> str:
        """Which band the values are of; a photograph in its colours has them all."""
        session, selection = self._session, self._session.selection
        band = selection.band
        if not len(session.stages):  # what was measured has no bands
            return ""
        if session.kind.is_photograph:
            return RGB[band] if self._is_one_of_rgb else ""
        wavelengths_nm = session.measurement.wavelengths_nm
        if selection.band_range is not None:
            return range_title(selection.band_range, wavelengths_nm)
        return f"band {band + 1}" if wavelengths_nm is None else f"{wavelengths_nm[band]:.1f} nm"

    @property
    def _is_one_of_rgb(self) -> bool:
        """Whether a single channel of a colour photograph is looked at."""
        session = self._session
        num_channels = session.measurement.physics.scene_shape[0]
        return session.kind.is_photograph and num_channels == len(RGB) and not session.selection.in_colour

    def _words(self, pixel: tuple[int, int]) -> str:
        y, x = pixel
        is_sample = self._hovered is not None and not self._hovered.is_in_scene
        if is_sample and self._session.kind.measures == "blocks":
            return f"sample {y + 1}, block {x + 1}"
        return f"x {x}, y {y}"

    def _values(self, pane: int, pixel: tuple[int, int]) -> str:
        """The value at a pixel, or the three of a photograph in colour."""
        session, (y, x) = self._session, pixel
        if pane in (MEASUREMENT, REFERENCE):
            image = session.snapshot if pane == MEASUREMENT else session.measurement.reference
        else:
            image = seen_stage(session, pane)
        if session.kind.is_photograph and len(image) == len(RGB) and not self._is_one_of_rgb:
            return " ".join(number(float(value)) for value in image[:, y, x])
        first, last = (0, 0) if len(image) == 1 else session.selection.bands
        with np.errstate(invalid="ignore", over="ignore"):
            return number(float(image[first : last + 1, y, x].mean()))

    def _name(self, pane: int) -> str:
        measured = self._session.kind.measured.lower()
        named = {MEASUREMENT: measured, REFERENCE: "reference", 0: "start"}
        return named.get(pane, f"{self._parts.wording.step_name} {pane}")

    def _show_result(self) -> None:
        session, restoration = self._session, self._session.restoration
        if not self._parts.setup.is_engine_loaded:
            self.result.setText("")
            self.device.setText("Loading the engine…")
            return
        devices = {device.name: device for device in self._parts.setup.devices}
        device = devices.get(self._parts.setup.device)
        free = "" if device is None or device.free_bytes is None else f"  ·  {gibibytes(device.free_bytes)} free"
        self.device.setText("" if device is None else f"    {device.title}{free}")
        how = "" if session.recipe is None else session.recipe.adapting.words
        step_name = self._parts.wording.step_name
        texts = {
            "running": f"Begins after {restoration.waits_for}" if restoration.waits_for else session.timed.pace.state,
            "done": f"Decoded {plural(restoration.num_stages, step_name)}{how} in {duration(restoration.seconds)}"
            f"{self._executed()}",
            "cancelled": f"Cancelled at {step_name} {restoration.done_stages} of {restoration.num_stages}",
            "failed": f"Failed after {step_name} {restoration.done_stages} of {restoration.num_stages}",
        }
        self.result.setText("Reading…" if session.is_opening else texts.get(restoration.state, ""))

    def _executed(self) -> str:
        """How the network of the last stage was executed, and how memory was spared for it; "" without a network."""
        rows = self._session.stages.rows()
        if not rows:
            return ""
        executed, spared = rows[-1].executed, rows[-1].spared
        words = "" if executed is None else f" in {executed[0]}{PATH_WORDS.get(executed[1], '')}"
        return f"{words}. {spared}" if spared else words
