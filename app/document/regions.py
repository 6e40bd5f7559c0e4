"""Places that the user keeps: points, and rectangles, ellipses and polygons, drawn on any pane; what is measured there.

On a cube every place has a curve: the mean over its pixels and their standard deviation. On a photograph a point keeps
its row, and a rectangle is a zoom box with its own figures. Large places are measured aside, while a decode runs too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand

from lorun_engine.measurement import Measurement

from .. import render
from ..job import Job
from .exports import TABLE_SUFFIXES, Exports
from .recipe import SetAside
from .region import ON_PHOTOGRAPHS, SHAPES, Region, Shape, shape_words
from .region_exports import score_box, write_curves, write_figures
from .relight import relight_words, shown_stage
from .session import Session
from .stage_store import StageStore
from .steps import Placed, SavedStep, Step, Steps

AT_ONCE = 300_000  # numbers that are measured while the user waits, in some 5 ms
KEPT_BYTES = 32 << 20  # of what was measured
T = TypeVar("T")

REGION_SUFFIXES = {"CSV, mean and deviation": ".csv", "ENVI spectral library": ".sli"}


@dataclass(frozen=True)
class Curve:
    """The mean (C,) over the pixels of a place, their standard deviation, and how many they are."""

    mean: np.ndarray
    std: np.ndarray
    num_pixels: int


class Regions(QObject):
    """The places of what is open, which of them is chosen, and the tool that draws more."""

    changed = Signal()  # places, what was measured there, or which is chosen
    tool_changed = Signal()

    def __init__(self, session: Session, exports: Exports, steps: Steps) -> None:
        """Every change is one of the `steps`, so that it can be taken back."""
        super().__init__(session)
        self._session, self._exports, self._steps = session, exports, steps
        self._kept = render.Cache(KEPT_BYTES)
        self._wanted: set[Hashable] = set()  # what the worker measures
        self._measured_of: tuple[StageStore, Measurement | None] | None = None
        self._belongs_to: tuple[object, ...] = ()
        self.all: tuple[Region, ...] = ()
        self.chosen_number: int | None = None
        self.tool: Shape | None = None
        self.side = 1  # a pixel stands for the mean over side x side of them
        session.opened_changed.connect(self._forget_if_other)
        session.put_aside.connect(lambda aside: aside.keep(self, ("all", "chosen_number", "_belongs_to")))
        session.taken_back.connect(self._take_back)

    # ---- verbs ---------------------------------------------------------------------------------------------------

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """What can be drawn on what is open."""
        return ON_PHOTOGRAPHS if self._session.kind.is_photograph else SHAPES

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the scene; None while nothing is open."""
        measurement = self._session.measurement
        if measurement is None:
            return None
        _, height, width = measurement.physics.scene_shape
        return height, width

    @property
    def chosen(self) -> Region | None:
        """The place that keys move and remove."""
        return self._region(self.chosen_number)

    def _region(self, number: int | None) -> Region | None:
        return next((region for region in self.all if region.number == number), None)

    def title(self, region: Region) -> str:
        """As "2 ellipse"."""
        return f"{region.number} {shape_words(region.shape, is_photograph=self._session.kind.is_photograph)}"

    def add(self, shape: Shape, corners: Sequence[tuple[float, float]]) -> Region | None:
        """Keeps another place and chooses it; None where not one pixel lies in it."""
        number = max((region.number for region in self.all), default=0) + 1
        region = self._fitted(Region(number, shape, tuple((float(y), float(x)) for y, x in corners)))
        if region is None or shape not in self.shapes:
            return None
        self._change((*self.all, region), f"add {self.title(region)}", chosen=number)
        return region

    def edit(self, number: int, corners: Sequence[tuple[float, float]], *, is_step: bool = False) -> None:
        """Gives a place other corners; where no pixel would lie in it, it stays as it is.

        A step is taken back together with the steps before it. One that is gone is not edited, moved or removed.
        """
        before = self._region(number)
        if before is None:
            return
        after = self._fitted(replace(before, corners=tuple((float(y), float(x)) for y, x in corners)))
        if after is not None and after != before:
            changed = tuple(after if region is before else region for region in self.all)
            self._change(changed, f"move {self.title(before)}", chosen=number, is_step=is_step)

    def move(self, number: int, dy: float, dx: float) -> None:
        """Moves a place by a step, no further than it stays in the picture."""
        region = self._region(number)
        if region is not None:
            self.edit(number, self.shifted(region, dy, dx).corners, is_step=True)

    def shifted(self, region: Region, dy: float, dx: float) -> Region:
        """Where a place would be after such a way, which ends at the border of the picture."""
        if self.size is None:
            return region
        (y0, x0, y1, x1), (height, width) = region.bounds, self.size
        return region.moved(min(max(dy, -y0), height - y1), min(max(dx, -x0), width - x1))

    def remove(self, number: int | None) -> None:
        """Forgets a place; the next one is chosen."""
        region = self._region(number)
        if region is None:
            return
        index = self.all.index(region)
        others = self.all[:index] + self.all[index + 1 :]
        following = others[min(index, len(others) - 1)].number if others else None
        self._change(others, f"remove {self.title(self.all[index])}", chosen=following)

    def choose(self, number: int | None) -> None:
        """Chooses the place that keys move and remove, or none."""
        if number != self.chosen_number:
            self.chosen_number = number
            self.changed.emit()

    def choose_next(self) -> None:
        """Chooses the place after the chosen one, the first after the last."""
        numbers = [region.number for region in self.all]
        if numbers:
            following = numbers.index(self.chosen_number) + 1 if self.chosen_number in numbers else 0
            self.choose(numbers[following % len(numbers)])

    def set_tool(self, tool: Shape | None) -> None:
        """Takes a tool, or lays it down; the one in use is laid down by asking for it again."""
        tool = None if tool == self.tool or tool not in self.shapes or self.size is None else tool
        if tool != self.tool:
            self.tool = tool
            self.tool_changed.emit()

    def set_side(self, side: int) -> None:
        """Takes points, and the pixel looked at, as the mean over `side` x `side` pixels, or over rows."""
        if side != self.side:
            self.side = side
            self.changed.emit()

    # ---- measuring -----------------------------------------------------------------------------------------------

    def curve(self, region: Region, pane: int) -> Curve | None:
        """The curve of a place in a stage, or in the reference below 0; None while the worker is on it."""
        image, side = self._image(pane), self.side if region.shape == "point" else 1
        if image is None:
            return None

        def measure() -> Curve:
            (rows, columns), is_inside = region.pixels(image.shape[1:], side=side)
            return Curve(*render.statistics(image[:, rows, columns], is_inside))

        key = ("curve", region.shape, region.corners, side, pane)
        return self._measured(key, measure, num_values=len(image) * max(region.area, side**2))

    def figures(self, region: Region, pane: Hashable, image: np.ndarray) -> dict[str, float] | None:
        """PSNR and SSIM of a pane's (C, H, W) image in a rectangle, by the protocol of its task.

        None without a reference, for what has another size, or while the worker is on it.
        """
        reference, measurement = self._image(-1), self._session.measurement
        if reference is None or measurement is None or image.shape != reference.shape:
            return None
        (rows, columns), _ = region.pixels(image.shape[1:])
        task = measurement.task
        return self._measured(
            ("figures", region.corners, pane),
            lambda: score_box(image[:, rows, columns], reference[:, rows, columns], task=task),
            num_values=8 * len(image) * region.area,  # structural similarity takes longer than a mean
        )

    @property
    def has_reference(self) -> bool:
        """Whether there is a true scene to compare with."""
        return self._image(-1) is not None

    def _image(self, pane: int) -> np.ndarray | None:
        session = self._session
        if session.measurement is None:
            return None
        if pane < 0:
            return session.measurement.reference
        return shown_stage(session, pane) if pane < len(session.stages) else None

    def _measured(self, key: Hashable, measure: Callable[[], T], *, num_values: float) -> T | None:
        """What was measured before, or is at once where that is quick; else None, and `changed` once it is known."""
        of = (self._session.stages, self._session.measurement)
        key = (key, self._session.selection.relight)
        if not _is_same(of, self._measured_of):
            self._kept.clear()
            self._wanted.clear()
            self._measured_of = of
        if key in self._kept or num_values <= AT_ONCE:
            return self._kept.get(key, measure, lambda _: 1024)
        if key not in self._wanted:
            self._wanted.add(key)
            job = self._session.lanes.run_aside(measure, doing="measuring a region", then=partial(self._take, of, key))
            for ended in (job.failed, job.cancelled):
                ended.connect(partial(self._wanted.discard, key))
        return None

    def _take(self, of: tuple[StageStore, Measurement | None], key: Hashable, job: Job) -> None:
        if _is_same(of, self._measured_of):
            self._wanted.discard(key)
            self._kept.get(key, lambda: job.result, lambda _: 1024)
            self.changed.emit()

    # ---- exporting -----------------------------------------------------------------------------------------------

    def export(self, path: Path | str) -> None:
        """Writes what was measured in all places: of a cube the curves of the chosen stage and of the reference, as CSV
        (mean, std and n) or as an ENVI library; of a photograph the figures of every stage in every box, as CSV.
        """
        session, recipe, measurement = self._session, self._session.recipe, self._session.measurement
        if recipe is None or measurement is None or not self.all or not len(session.stages):
            return
        work: Callable[[Path], None]
        if session.kind.is_photograph:
            work = partial(
                write_figures,
                images=[shown_stage(session, index) for index in range(len(session.stages))],
                reference=measurement.reference,
                boxes=[region for region in self.all if region.shape == "rectangle"],
                task=measurement.task,
                step_name=" ".join(filter(None, [recipe.step_name, relight_words(session)])),
                protected=recipe.paths,
            )
        else:
            stage = min(session.selection.stage, len(session.stages) - 1)
            panes = {"": stage, " reference": -1} if self.has_reference else {"": stage}
            work = partial(
                write_curves,
                images={end: image for end, pane in panes.items() if (image := self._image(pane)) is not None},
                regions=self.all,
                side=self.side,
                of={"": f" in {recipe.step_name} {stage} of {recipe.title}", " reference": ""},
                wavelengths_nm=measurement.wavelengths_nm,
                protected=recipe.paths,
            )
        suffixes = TABLE_SUFFIXES if session.kind.is_photograph else {**REGION_SUFFIXES, "its header": ".hdr"}
        self._exports.write(Path(path), work, suffixes=suffixes)

    # ---- keeping -------------------------------------------------------------------------------------------------

    def show(self, regions: tuple[Region, ...], *, chosen: int | None) -> None:
        """Takes over places as they were; those that do not lie in the picture any more are left out."""
        self.all = tuple(region for region in regions if self._fitted(region) is not None)
        self.chosen_number = chosen if any(region.number == chosen for region in self.all) else None
        self.changed.emit()

    def _change(self, after: tuple[Region, ...], text: str, *, chosen: int | None, is_step: bool = False) -> None:
        self._steps.push(self.step(Placed(text, self.all, after, self.chosen_number, chosen, is_step)))

    def step(self, value: Placed) -> Step:
        """A change of the places that was made, or is to be."""
        return _Change(self, value)

    def _fitted(self, region: Region) -> Region | None:
        """The region cut to the picture; None where no pixel is left of it."""
        if self.size is None or not all(np.isfinite(corner).all() for corner in region.corners):
            return None
        (height, width), is_point = self.size, region.shape == "point"
        if is_point:
            (y, x), *_ = region.corners
            return replace(region, corners=((y // 1, x // 1),)) if 0 <= y < height and 0 <= x < width else None
        corners = tuple((min(max(y, 0.0), height), min(max(x, 0.0), width)) for y, x in region.corners)
        if region.shape in ("rectangle", "ellipse"):
            y0, x0, y1, x1 = replace(region, corners=corners).bounds
            corners = ((y0, x0), (y1, x1))
        region = replace(region, corners=corners)
        return region if region.pixels(self.size)[1].any() else None

    def _forget_if_other(self) -> None:
        """Places in other files, in another window of them or in a scene of another size mean nothing."""
        session = self._session
        belongs_to = (session.paths, session.options.crop, self.size, session.kind)
        if belongs_to == self._belongs_to or session.is_opening:
            return
        self._belongs_to = belongs_to
        self.all, self.chosen_number, self.tool = (), None, None
        self.changed.emit()
        self.tool_changed.emit()

    def _take_back(self, aside: SetAside) -> None:
        """The places of a job that is open again."""
        aside.give_back(self)
        self.tool = None
        self.changed.emit()
        self.tool_changed.emit()


def _is_same(of: tuple[object, ...], other: tuple[object, ...] | None) -> bool:
    """Whether both are of the very same stages and measurement."""
    return other is not None and all(one is another for one, another in zip(of, other, strict=True))


class _Change(Step):
    """From some places to others; steps of the same region are taken back as one."""

    def __init__(self, regions: Regions, value: Placed) -> None:
        super().__init__(value.text)
        self._regions, self._value = regions, value

    @property
    def saved(self) -> SavedStep:
        return SavedStep(placed=self._value)

    def do(self) -> None:
        self._regions.show(self._value.after, chosen=self._value.chosen_after)

    def take_back(self) -> None:
        self._regions.show(self._value.before, chosen=self._value.chosen_before)

    def id(self) -> int:
        return 1

    def joins(self, later: QUndoCommand) -> bool:
        own = self._value
        if not isinstance(later, _Change) or not (
            own.is_step and later._value.is_step and later._value.text == own.text
        ):
            return False
        self._value = replace(own, after=later._value.after, chosen_after=later._value.chosen_after)
        return True
