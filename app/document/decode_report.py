"""The report of what was decoded, gathered from the session and the parts that looked at it; see the engine's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lorun_engine.errors import LorunError
from lorun_engine.instrument import relit
from lorun_engine.io import RoleTable

from .. import render
from .checking import Checking
from .exports import Exports, output_name
from .recipe import Recipe
from .region import Region
from .region_exports import score_box, where
from .regions import Regions
from .relight import asked_gamma, relit_stage
from .session import Session

if TYPE_CHECKING:
    from lorun_engine.camera_checks.remeasure import Remeasurement
    from lorun_engine.decoding.report import MadeBy, Place
    from lorun_engine.decoding.restore import StageResult
    from lorun_engine.measurement import Measurement

REPORT_SUFFIXES = {"HTML": ".html"}


class DecodeReport:
    """Writes the report in the worker; what is not known by then, such as the verdict, is found there."""

    def __init__(self, session: Session, exports: Exports, regions: Regions, checking: Checking) -> None:
        self._session, self._exports, self._regions, self._checking = session, exports, regions, checking

    def export(self, path: Path | str) -> None:
        """Writes the report of the stages that are there."""
        session, checking = self._session, self._checking
        recipe, measurement, table, made_by = session.recipe, session.measurement, session.role_table, None
        if recipe is None or measurement is None or table is None or not len(session.stages):
            return
        made_by = session.stages.made_by
        last = len(session.stages) - 1
        is_checked = checking.state == "done" and checking.newest is not None
        titles = {device.name: device.title for device in session.setup.devices}
        known = _Known(
            recipe,
            table,
            measurement,
            made_by,
            tuple(session.stages.rows()),
            session.stages.image,
            session.stages.light,
            asked_gamma(session),
            titles.get(recipe.device, recipe.device),
            (checking.newest, checking.unjudged) if is_checked and checking.newest is not None else None,
        )
        places = partial(
            _places,
            self._all_places(),
            side=self._regions.side,
            stages={
                f"{recipe.step_name} {index}": index for index in sorted({min(session.selection.stage, last), last})
            },
            image=partial(relit_stage, session.stages, gamma=session.selection.relight),
            measurement=measurement,
            is_photograph=session.kind.is_photograph,
        )
        self._exports.write(Path(path), partial(_write, known, places), suffixes=REPORT_SUFFIXES)

    def _all_places(self) -> list[tuple[str, Region]]:
        """The pixel that is pinned, and the regions, by their titles."""
        pixel = self._session.selection.pixel
        pinned = [] if pixel is None else [("Pinned pixel", Region(0, "point", (pixel,)))]
        return [*pinned, *((self._regions.title(region), region) for region in self._regions.all)]


@dataclass(frozen=True)
class _Known:
    """What the window knows when a report is asked for."""

    recipe: Recipe
    table: RoleTable
    measurement: Measurement
    made_by: MadeBy | None
    rows: tuple[StageResult, ...]
    image: Callable[[int], np.ndarray]
    light: Callable[[int], np.ndarray | None]
    relight: float | None  # the gamma that is shown, None for the usual one
    device: str
    verdict: tuple[Remeasurement, str] | None

    def shown(self, index: int) -> np.ndarray:
        """(C, H, W) of a stage, relit as it is shown."""
        image, light = self.image(index), self.light(index)
        return image if light is None or self.relight is None else relit(image, light, self.relight)


def _write(known: _Known, places: Callable[[], list[Place]], path: Path) -> None:
    """Gathers the rest and writes the page; for the worker thread."""
    from lorun_engine.camera_checks.remeasure import checked
    from lorun_engine.decoding.report import MadeBy, Report, shown_stages, write_report

    recipe, last = known.recipe, len(known.rows) - 1
    asked = replace(recipe.asked, relight=known.relight).as_executed(known.rows[-1].executed)
    result, unjudged = known.verdict or checked(known.measurement, known.image(last), light=known.light(last))
    command: Sequence[str] | str
    try:
        command = asked.command(recipe.options, known.table, output=output_name(recipe, known.table))
    except LorunError as error:
        command = str(error)
    report = Report(
        known.table,
        recipe.options,
        known.measurement,
        asked,
        known.made_by or MadeBy(),
        known.rows,
        {index: known.shown(index) for index in shown_stages(last)},
        result.look(unjudged),
        result.figure,
        known.device,
        command,
        render.colour_table(),
        places(),
    )
    write_report(path, report, protected=recipe.paths)


def _places(
    shown: Sequence[tuple[str, Region]],
    *,
    side: int,
    stages: dict[str, int],
    image: Callable[[int], np.ndarray],
    measurement: Measurement,
    is_photograph: bool,
) -> list[Place]:
    """What was measured in every place: spectra, of photographs the row of a point and the figures of a box."""
    from lorun_engine.decoding.report import Place

    images = {name: image(index) for name, index in stages.items()}
    if measurement.reference is not None:
        images["reference"] = measurement.reference
    num_bands, size = measurement.physics.scene_shape[0], measurement.physics.scene_shape[1:]
    places = []
    for title, region in shown:
        curves, figures = {}, {}
        place, across, x = where(region, side=side), "wavelength (nm)", measurement.wavelengths_nm
        if x is None:
            across, x = "band", np.arange(1.0, num_bands + 1)
        for name, shot in images.items():
            (rows, columns), is_inside = region.pixels(size, side=side)
            window = shot[:, rows, columns]
            if not is_photograph:
                mean, _, num_pixels = render.statistics(window, is_inside)
                curves[name] = mean.tolist()
                place = where(region, side=1) + (f", mean of {num_pixels} pixels" if num_pixels > 1 else "")
            elif region.shape == "point":
                across, x = "column (px)", np.arange(float(size[1]))
                curves[name] = render.line_profile(shot, int(region.corners[0][0]), side).tolist()
            elif measurement.reference is not None and name != "reference":
                figures[name] = score_box(window, measurement.reference[:, rows, columns], task=measurement.task)
        places.append(Place(title, place, across, x.tolist(), curves, figures))
    return places
