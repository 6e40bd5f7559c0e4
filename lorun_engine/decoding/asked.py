"""A decode as it was asked for, in words: its title, the command and the Python script that do it again bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..io import OpenOptions, RoleTable
from ..io.commands import as_words, camera_words, measured_row, resolved_options
from ..task import STAGE
from .execution import Tile


@dataclass(frozen=True)
class Asked:
    """Decoder and how it was run; `precision`, `path` and `tile` are None where it has no network or nothing was said.

    `scale` multiplies the differences of its set, which are none in the `ablated` stages. What is written is relit by
    the gamma `relight`; None stands for the usual one, and for results that hold no light.
    """

    decoder: str
    num_stages: int
    device: str = "cpu"
    threads: int | None = None
    precision: str | None = None
    path: str | None = None
    tile: Tile | None = None
    scale: float = 1.0
    ablated: tuple[int, ...] = ()
    step_name: str = STAGE  # of the decoder
    relight: float | None = None

    @property
    def title(self) -> str:
        """As "cassi-any-mask at 60 %"."""
        return f"{self.decoder}{strength_words(self.scale, self.ablated)}"

    def as_executed(self, executed: tuple[str, str] | None) -> Asked:
        """As it was done: the precision and the path in the place of those that were left open."""
        return self if executed is None else replace(self, precision=executed[0], path=executed[1])

    def command(self, options: OpenOptions, table: RoleTable, *, output: str) -> list[str]:
        """The words of `lorun restore` that do it again on what was opened with `options`.

        Raises LorunError where the command line has no words for the roles.
        """
        flags = {
            "--adapter": self.decoder,
            "--stages": self.num_stages,
            "--device": self.device,
            "--threads": self.threads,
            "--precision": self.precision,
            "--path": self.path,
            "--tile": self.tile,
            "--adapter-scale": None if self.scale == 1 else self.scale,
            "--relight": self.relight,
        }
        words = ["lorun", "restore", str(measured_row(table).found.path), "-o", output]
        words += [*camera_words(options, table), *as_words(flags)]
        for stage in self.ablated:
            words += ["--ablate-stage", str(stage)]
        return words

    def script(
        self, paths: Sequence[Path], options: OpenOptions, table: RoleTable, *, library: Sequence[Path], output: str
    ) -> str:
        """The Python script that does it again, with the engine's own functions; it writes the cube to `output`."""
        imports = [
            "from lorun_engine.decoding.restore import restore",
            "from lorun_engine.io import OpenOptions, open_measurement, write_cube",
            "from lorun_engine.library.model import open_decoder",
        ]
        cube = "stage.image"
        if self.relight is not None:
            imports.insert(1, "from lorun_engine.instrument import relit")
            cube = f"relit(stage.image, stage.light, {self.relight!r})"
        library = library if self.precision is not None else ()
        if library:
            imports.insert(0, "from pathlib import Path\n")
        folders = ", ".join(f"Path({str(folder)!r})" for folder in library)
        lines = [
            *imports,
            "",
            f"measurement = open_measurement(\n    [\n{_lines(repr(str(path)) for path in paths)}    ],",
            f"    OpenOptions(\n{_lines(_said(resolved_options(options, table)))}    ),\n)",
            f"decoder = open_decoder({self.decoder!r}, library=[{folders}], task={table.task!r})",
            *self._adapting(),
            "stages = restore(",
            f"    decoder, measurement, num_stages={self.num_stages}, device={self.device!r}, threads={self.threads!r}",
            ")",
            "for stage in stages:  # 0 is the initial estimate",
            f'    print(f"{self.step_name} {{stage.index}}: residual {{stage.residual:.4g}}")',
            f"cube = {cube}  # bands x height x width, float32",
            f"write_cube({output!r}, cube, wavelengths_nm=measurement.wavelengths_nm, attributes={{}})",
        ]
        return "\n".join(lines) + "\n"

    def _adapting(self) -> list[str]:
        """The lines that give a network the strength and the precision that were asked for."""
        lines = []
        if self.scale != 1 or self.ablated:
            changed = "decoder.adapters" + (f".scaled({self.scale!r})" if self.scale != 1 else "")
            changed += "".join(f".ablated({stage})" for stage in self.ablated)
            lines.append(f"decoder = decoder.with_adapters({changed})")
        if self.precision is not None:
            way = {"precision": self.precision, "path": self.path, "tile": self.tile}
            said = ", ".join(f"{name}={value!r}" for name, value in way.items() if value is not None)
            lines.append(f"decoder = decoder.running({said})")
        return lines


def strength_words(scale: float, ablated: Sequence[int]) -> str:
    """As " at 60 % without the adapters of stage 2"; nothing for the whole set."""
    words = "" if scale == 1 else f" at {100 * scale:g} %"
    if ablated:
        *first, last = map(str, sorted(set(ablated)))
        stages = f"stages {', '.join(first)} and {last}" if first else f"stage {last}"
        words += f" without the adapters of {stages}"
    return words


def _said(options: OpenOptions) -> list[str]:
    """The options that say anything, as arguments."""
    given = ((field.name, getattr(options, field.name)) for field in fields(options))
    return [f"{name}={_plain(value)!r}" for name, value in given if value not in (None, ())]


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python, which is written as it is read."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def _lines(entries: Any) -> str:
    return "".join(f"        {entry},\n" for entry in entries)
