"""The verbs that change what is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QObject

from ..kinds import GAMMAS, MOST_STOPS, Light, Stretch
from .relight import is_relit
from .selection import OF_LIGHT, Layout, Look, Mode, View
from .session import Session


class Looking(QObject):
    """Stages, bands, a pixel, panes and modes; what is not there cannot be looked at."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.session = session

    def select_stage(self, index: int) -> None:
        """Looks at a stage; the pane of the stage looked at before shows it. The newest is followed again."""
        session = self.session
        if not 0 <= index < session.num_announced:
            return
        selection, panes = session.selection, session.selection.panes
        if index not in panes:
            panes = tuple(index if pane == selection.stage else pane for pane in panes)
            panes = panes if index in panes else (index,)
        follows = self._is_newest(index)
        session.select(replace(selection, stage=index, panes=panes, alone=None, follow_newest=follows))

    def select_band(self, band: int) -> None:
        """Looks at a single band, 0 the shortest wavelength."""
        session = self.session
        if session.measurement is not None:
            band = max(0, min(band, session.num_bands - 1))
            session.select(replace(session.selection, band=band, band_range=None))

    def select_bands(self, bands: tuple[int, int] | None) -> None:
        """Looks at the mean over the bands from the first to the last, or for None at a single one again."""
        session, selection = self.session, self.session.selection
        if bands is None:
            session.select(replace(selection, band_range=None))
        elif 0 <= bands[0] <= bands[1] < session.num_bands:
            mode = selection.mode if selection.mode in ("band", "compare") else "band"
            session.select(replace(selection, band_range=bands, band=sum(bands) // 2, mode=mode, in_colour=False))

    def select_pixel(self, pixel: tuple[int, int] | None) -> None:
        """Puts the cursor at (y, x) of the scene, or nowhere; a place beside the scene is nowhere."""
        session = self.session
        if pixel is not None:
            y, x = pixel
            _, height, width = (0, 0, 0) if session.measurement is None else session.measurement.physics.scene_shape
            pixel = (int(y), int(x)) if 0 <= y < height and 0 <= x < width else None
        session.select(replace(session.selection, pixel=pixel))

    def set_panes(self, panes: Sequence[int]) -> None:
        """Shows these stages, REFERENCE or MEASUREMENT side by side; from now on the user arranges the panes.

        The only stage that is left is one large picture.
        """
        session = self.session
        known = [pane for pane in dict.fromkeys(panes) if session.has_pane(pane)]
        if known:
            stage = session.selection.stage
            chosen = [pane for pane in known if pane >= 0]
            if chosen and stage not in chosen:
                stage = chosen[-1]
            is_newest = self._is_newest(stage)
            layout: Layout = "grid" if len(known) > 1 else "single"
            arranged = replace(session.selection, panes=tuple(known), is_arranged=True, layout=layout, alone=None)
            session.select(replace(arranged, stage=stage, follow_newest=is_newest))

    def reset_panes(self) -> None:
        """Shows the panes that stand side by side when nobody chose others."""
        session = self.session
        selection = replace(session.selection, is_arranged=False)
        if session.num_announced:
            newest = session.num_announced - 1
            panes = session.default_panes(newest)
            selection = replace(selection, stage=newest, panes=panes, follow_newest=True)
        session.select(selection)

    def set_layout(self, layout: Layout) -> None:
        """Shows one large picture, or the panes side by side, which may be those that stand there by default."""
        session, selection = self.session, self.session.selection
        panes = selection.panes
        if layout == "grid" and len(panes) < 2 and session.num_announced > 1:
            panes = session.default_panes(session.num_announced - 1)
            selection = replace(selection, is_arranged=False)
            if selection.stage not in panes:
                panes = (*panes[:-1], selection.stage)
        session.select(replace(selection, layout=layout, panes=panes, alone=None))

    def toggle_layout(self) -> None:
        """One large picture, or panes side by side, also from a mode that has neither."""
        selection = self.session.selection
        if selection.mode not in ("colour", "band", *OF_LIGHT):
            self.set_mode("colour" if selection.in_colour else "band")
            self.set_layout("grid")
        else:
            self.set_layout("grid" if selection.layout == "single" else "single")

    def show_alone(self, pane: int) -> None:
        """Shows a pane as the one large picture: from now on the chosen stage, or until one is chosen another pane."""
        session = self.session
        if session.has_pane(pane) and pane >= 0:
            self.select_stage(pane)
            self.set_layout("single")
        elif session.has_pane(pane):
            session.select(replace(session.selection, layout="single", alone=pane))

    def set_mode(self, mode: Mode) -> None:
        """Shows stages in colour, one band, all bands, what they leave, two sides, or the parts of what was relit.

        A grey photograph has no bands to tell apart, and what was not relit no parts.
        """
        session, selection = self.session, self.session.selection
        if session.kind.is_photograph and session.num_bands == 1 and mode in ("band", "montage"):
            mode = "colour"
        mode = "colour" if mode in OF_LIGHT and not is_relit(session) else mode
        in_colour = selection.in_colour if mode in ("residual", "compare") else mode in ("colour", *OF_LIGHT)
        session.select(replace(selection, mode=mode, in_colour=in_colour))

    def set_in_colour(self, in_colour: bool) -> None:
        """Shows all bands as colour, or one band, in the mode that is shown; montages are of bands."""
        session, mode = self.session, self.session.selection.mode
        if mode in ("colour", "band", "montage"):
            self.set_mode("colour" if in_colour else "band" if mode == "colour" else mode)
        elif in_colour or session.num_bands > 1:
            session.select(replace(session.selection, in_colour=in_colour))

    def set_view(self, view: View) -> None:
        """Shows the stages, what each changed, or what its denoiser saw, which decodes keep from now on."""
        session = self.session
        session.keeps_denoiser_input = session.keeps_denoiser_input or view == "input"
        session.select(replace(session.selection, view=view))

    def toggle_view(self, view: View) -> None:
        """Shows the stages in this way, or as they are again."""
        selection = self.session.selection
        if selection.mode not in ("colour", "band"):
            self.set_mode("colour" if selection.in_colour else "band")
            self.set_view(view)
        else:
            self.set_view("image" if selection.view == view else view)

    def set_look(self, look: Look) -> None:
        """Shows single bands in grey, in their own colour or through a map, where they have such a look."""
        self.session.select(replace(self.session.selection, look=look))

    def set_composite(self, bands: tuple[int, int, int] | None) -> None:
        """Shows three bands as red, green and blue, or for None the colours that the eye would see."""
        session = self.session
        if bands is None or all(0 <= band < session.num_bands for band in bands):
            session.select(replace(session.selection, composite=bands))

    def set_stretch(self, stretch: Stretch, shared: bool) -> None:
        """Black and white of the display: percentiles, the same for all panes or each its own, or 0 and 1 for None."""
        if stretch is None or 0 <= (stretch[0] or 0) < stretch[1] <= 100:
            self.session.select(replace(self.session.selection, stretch=stretch, shared_stretch=shared))

    def set_light(self, *, stops: float | None = None, gamma: float | None = None) -> None:
        """Shows pictures brighter by stops, or with their shadows lifted; None leaves one of both as it is."""
        light = self.session.selection.light
        stops = light.stops if stops is None else min(max(stops, -MOST_STOPS), MOST_STOPS)
        gamma = light.gamma if gamma is None else min(max(gamma, GAMMAS[0]), GAMMAS[1])
        self.session.select(replace(self.session.selection, light=Light(stops, gamma)))

    def _is_newest(self, stage: int) -> bool:
        return stage == self.session.num_announced - 1
