"""The report that `lorun restore --report` writes beside its cube."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import FileError, LorunError
from ..io import OpenOptions, RoleTable, made_folder, require_place
from .flags import Context, asked_of, resources_of, tell

if TYPE_CHECKING:
    from ..decoder import Decoder
    from ..decoding.restore import StageResult
    from ..measurement import Measurement

Opened = tuple[RoleTable, OpenOptions, "Measurement"]


def require_report(path: Path, output: Path, *, protected: Iterable[Path]) -> None:
    """Refuses, before the decode, what no report can be written to."""
    from ..decoding.report import require_report_name

    require_report_name(path)
    made_folder(path.parent)
    require_place(path, protected=protected)
    if path.absolute() == output.absolute():
        raise FileError(f"{path} is to hold the cube; a report needs a file of its own. Choose another name.")


class Reported:
    """What a report needs of the stages while they come: the images of some, the last among them."""

    def __init__(self, num_stages: int) -> None:
        self._num_stages = num_stages
        self._images: dict[int, np.ndarray] = {}
        self._image: np.ndarray | None = None  # of the last one, and its light
        self._light: np.ndarray | None = None

    def keep(self, result: StageResult, *, relight: float | None) -> None:
        """Keeps the image of a stage that the report shows, relit by a gamma where one is asked for."""
        from ..decoding.report import shown_stages

        if result.index in shown_stages(self._num_stages):
            self._image, self._light = result.image, result.light
            self._images[result.index] = result.relit(relight)

    def write(
        self,
        args: argparse.Namespace,
        context: Context,
        opened: Opened,
        decoder: Decoder,
        stages: Sequence[StageResult],
        output: Path,
        *,
        protected: Iterable[Path],
    ) -> None:
        """Measures the result again and writes the page."""
        from ..camera_checks.remeasure import checked
        from ..colour import read_observer
        from ..decoding.device import list_devices
        from ..decoding.report import Report, made_by, write_report

        table, options, measurement = opened
        asked = asked_of(args, decoder, self._num_stages).as_executed(stages[-1].executed)
        assert self._image is not None
        result, unjudged = checked(measurement, self._image, light=self._light)
        command: Sequence[str] | str
        try:
            named = replace(asked, decoder=args.adapter or asked.decoder)  # a file is named as one
            command = named.command(options, table, output=str(output))
        except LorunError as error:
            command = str(error)
        report = Report(
            table,
            options,
            measurement,
            asked,
            made_by(decoder),
            stages,
            self._images,
            result.look(unjudged),
            result.figure,
            next((device.title for device in list_devices() if device.name == args.device), args.device),
            command,
            read_observer(resources_of(context) / "colour" / "cie1931.csv"),
        )
        write_report(args.report, report, protected=[*protected, output])
        tell(f"{args.report}: the report")
