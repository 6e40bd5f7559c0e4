"""What is looked at, as a value: a stage, a band, a pixel, the panes side by side, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from lorun_engine.instrument import RELIT_GAMMA
from lorun_engine.task import Task

from ..kinds import GAMMAS, MOST_STOPS, PERCENTILES, Light, Stretch, stretch_of

REFERENCE = -1  # the pane that shows the true scene
MEASUREMENT = -2  # the pane that shows y

Mode = Literal["colour", "band", "montage", "residual", "compare", "reflectance", "light"]
MODES: tuple[Mode, ...] = get_args(Mode)
OF_LIGHT: tuple[Mode, ...] = ("reflectance", "light")  # of results that hold one
NOT_RELIT: tuple[Mode, ...] = ("residual", *OF_LIGHT)  # that look alike by any gamma of the light
View = Literal["image", "change", "input"]  # of the panes of stages; see viewers.maps
Layout = Literal["single", "grid"]  # one large picture, or panes side by side
Look = Literal["grey", "own", "viridis"]  # of single bands; "own" is the colour of their wavelength


@dataclass(frozen=True)
class Selection:
    """What is looked at: `panes` are stage indices, REFERENCE or MEASUREMENT; without a `stretch` 0 to 1 is shown.

    `in_colour` says whether pictures have all bands or one: modes such as "compare" know both. `is_arranged` says that
    the user chose the panes. One large picture is of the chosen stage, or of the pane that stands `alone` for a while.
    Where results hold a light L, they are shown as R L^`relight`.
    """

    stage: int = 0
    band: int = 0
    pixel: tuple[int, int] | None = None  # (y, x) of the scene
    panes: tuple[int, ...] = (MEASUREMENT,)
    layout: Layout = "single"
    alone: int | None = None  # REFERENCE or MEASUREMENT
    mode: Mode = "colour"
    in_colour: bool = True
    view: View = "image"
    look: Look = "grey"
    band_range: tuple[int, int] | None = None  # the first and the last band of those whose mean stands for the band
    composite: tuple[int, int, int] | None = None  # the bands shown as red, green and blue; None for true colour
    stretch: Stretch = PERCENTILES
    shared_stretch: bool = True
    light: Light = Light()
    relight: float = RELIT_GAMMA
    follow_newest: bool = True
    is_arranged: bool = False

    @property
    def bands(self) -> tuple[int, int]:
        """The first and the last band that pictures of single bands show, the mean where they are several."""
        return self.band_range or (self.band, self.band)

    @property
    def shown(self) -> tuple[int, ...]:
        """The panes that are seen: in the large picture that of the chosen stage, once there is one."""
        if self.layout == "grid" or not any(pane >= 0 for pane in self.panes):
            return self.panes
        return (self.stage if self.alone is None else self.alone,)


def milestones(num_stages: int) -> tuple[int, ...]:
    """Four stages, the first and the last among them, that stand side by side when nobody chose others."""
    return tuple(dict.fromkeys(round(1 + part * (num_stages - 1) / 3) for part in range(4)))


def default_panes(newest: int, num_stages: int, kind: Task) -> tuple[int, ...]:
    """The panes that stand side by side when nobody chose others, once stage `newest` of `num_stages` is there."""
    panes = (*(stage for stage in milestones(num_stages) if stage < newest), newest)
    return (MEASUREMENT, *panes[-3:]) if kind.measures == "picture" else panes  # before and after


def followed(selection: Selection, newest: int, panes: tuple[int, ...]) -> Selection:
    """The selection moved to the newest stage, with the default `panes`, unless the user looks elsewhere."""
    if not selection.follow_newest:
        return selection
    if selection.is_arranged:
        panes = selection.panes
        if selection.stage in panes:
            panes = tuple(newest if pane == selection.stage else pane for pane in panes)
    return replace(selection, stage=newest, panes=panes, alone=None)


def fitting(
    selection: Selection,
    instead: Selection,
    *,
    num_bands: int,
    size: tuple[int, int],
    has_pane: Callable[[int], bool],
    has_light: bool,
) -> Selection:
    """`selection` as far as there is what it speaks of, `instead` for the rest."""
    panes = tuple(pane for pane in dict.fromkeys(selection.panes) if has_pane(pane))
    bands, pixel, (low, high) = selection.band_range, selection.pixel, (selection.stretch or (None, 100.0))
    light = Light(
        min(max(selection.light.stops, -MOST_STOPS), MOST_STOPS), min(max(selection.light.gamma, GAMMAS[0]), GAMMAS[1])
    )
    is_grey = num_bands == 1 and selection.mode in ("band", "montage")
    is_plain = is_grey or (selection.mode in OF_LIGHT and not has_light)
    return replace(
        selection,
        stage=selection.stage if selection.stage >= 0 and has_pane(selection.stage) else instead.stage,
        band=min(max(selection.band, 0), num_bands - 1),
        pixel=pixel if pixel and all(0 <= place < most for place, most in zip(pixel, size, strict=True)) else None,
        panes=panes or instead.panes,
        alone=selection.alone if selection.alone in (REFERENCE, MEASUREMENT) and has_pane(selection.alone) else None,
        mode="colour" if is_plain else selection.mode,
        in_colour=selection.in_colour or is_grey,
        band_range=bands if bands and 0 <= bands[0] <= bands[1] < num_bands else None,
        composite=selection.composite if all(0 <= b < num_bands for b in selection.composite or ()) else None,
        stretch=selection.stretch if 0 <= (low or 0) < high <= 100 else instead.stretch,
        light=light if light.stops == light.stops and light.gamma == light.gamma else Light(),  # no NaN
        relight=selection.relight if 0 <= selection.relight <= 1 else RELIT_GAMMA,
    )


def fresh(selection: Selection, kind: Task, *, before: Task, num_bands: int) -> Selection:
    """What is looked at first: the measurement; mode and stretch stay where they suit what is open now."""
    selection = replace(selection, stage=0, band=num_bands // 2, pixel=None, panes=(MEASUREMENT,), follow_newest=True)
    selection = replace(selection, composite=None, band_range=None, alone=None)  # other bands
    if kind.is_photograph != before.is_photograph:
        selection = replace(selection, stretch=stretch_of(kind), shared_stretch=True)
    if selection.mode in ("compare", *OF_LIGHT):  # of sides that are gone, or what only some results have
        selection = replace(selection, mode="colour" if selection.in_colour else "band")
    return replace(selection, mode="colour", in_colour=True) if kind.is_photograph else selection
