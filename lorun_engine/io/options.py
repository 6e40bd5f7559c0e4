"""What a user may correct of what was understood on opening: the values, and a row for each that says how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Annotated, Any

from ..instrument import GALLERY, RESPONSES
from ..schema import Among, Finite, NotNegative, Place, Positive, Size
from .wavelengths import WAVELENGTHS


@dataclass(frozen=True)
class OpenOptions:
    """Corrections; None (or empty) leaves the guess to the program.

    `roles` are (selector, role) pairs, a selector being "FILE" or "FILE::KEY" and a role "measurement", "mask",
    "reference", "wavelengths", "guide" or "unused". `wavelengths` is a name of WAVELENGTHS or a file. `flip` ("lr",
    "ud") and `rotate` (quarter turns counter-clockwise) act on the mask, then `mask_shift` (y, x) moves it down and
    right by pixels or fractions of them; `crop` (y, x, height, width) picks a window of the scene. `cube_axes` names
    the axes of a stored cube, e.g. "HWC". `integer_scale` is what integers are divided by, `input_scale` the factor
    from the file's unit to the engine's 0..1 scale, `dark_level` what a CASSI detector reads without light, after
    `integer_scale`; `light_beside`, "subtract" or "keep", is for light that falls on its ends from beside the field of
    view. `guide_response` is a name of RESPONSES or a file, `guide_shift` (y, x) moves the guide down and right by
    pixels, `guide_encoding` says whether its numbers are "linear" or "srgb".

    CS: `image_size` (height, width), `pixel_order` and `block_order` ("row" or "column") of foreign samples. SR: the
    factor `scale`, `kernel`, the name of one in the gallery or "FILE[:N]" (N from 1), and how the scene goes on beyond
    its `border`, "mirrored" or "circular".
    """

    task: str | None = None
    roles: tuple[tuple[str, str], ...] = ()
    num_bands: Size | None = None
    step: NotNegative | None = None
    axis: Annotated[str, Among(("x", "y"))] | None = None
    direction: Annotated[str, Among(("+", "-"))] | None = None
    first_offset: Finite | None = None
    wavelengths: str | None = None
    key: str | None = None
    flip: Annotated[str, Among(("lr", "ud"))] | None = None
    rotate: Annotated[int, Among((0, 1, 2, 3))] | None = None
    mask_shift: tuple[Finite, Finite] | None = None
    crop: tuple[Place, Place, Place, Place] | None = None
    input_scale: Positive | None = None
    cube_axes: str | None = None
    integer_scale: Positive | None = None
    dark_level: Finite | None = None
    light_beside: Annotated[str, Among(("subtract", "keep"))] | None = None
    guide_response: str | None = None
    guide_shift: tuple[Finite, Finite] | None = None
    guide_encoding: Annotated[str, Among(("linear", "srgb"))] | None = None
    image_size: tuple[Size, Size] | None = None
    pixel_order: Annotated[str, Among(("row", "column"))] | None = None
    block_order: Annotated[str, Among(("row", "column"))] | None = None
    scale: Annotated[int, Among((2, 3, 4))] | None = None
    kernel: str | None = None
    border: Annotated[str, Among(("mirrored", "circular"))] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are named besides those of the measurement: of wavelengths and of a kernel."""
        named = []
        if self.wavelengths is not None and self.wavelengths not in WAVELENGTHS:
            named.append(self.wavelengths)
        if self.kernel is not None and self.kernel not in GALLERY:
            named.append(file_and_number(self.kernel)[0])
        if self.guide_response is not None and self.guide_response not in RESPONSES:
            named.append(self.guide_response)
        return tuple(name for name in named if not PurePath(name).suffix[1:].isdigit() and PurePath(name).suffix)

    def moved(self, moved: Mapping[str, str]) -> OpenOptions:
        """The same for files that lie elsewhere now, by where they were."""
        roles = []
        for selector, role in self.roles:
            path, separator, key = selector.partition("::")
            roles.append((f"{moved.get(path, path)}{separator}{key}", role))
        wavelengths, kernel = self.wavelengths, self.kernel
        if wavelengths is not None:
            wavelengths = moved.get(wavelengths, wavelengths)
        if kernel is not None:
            file, number = file_and_number(kernel)
            kernel = f"{moved[file]}:{number}" if file in moved and number else moved.get(file, kernel)
        response = self.guide_response
        if response is not None:
            response = moved.get(response, response)
        return replace(self, roles=tuple(roles), wavelengths=wavelengths, kernel=kernel, guide_response=response)


def file_and_number(name: str) -> tuple[str, str]:
    """The two of "FILE:N"; no number where none is said."""
    file, _, number = name.rpartition(":")
    return (file, number) if file and number.isdigit() else (name, "")


NO_CORRECTIONS = OpenOptions()


@dataclass(frozen=True)
class Option:
    """One thing that users may say of an instrument: the flag, the field on pages and the copied command are its.

    `field` is one of OpenOptions, or, `of_scenes`, a word for commands that measure scenes alone. `parse` makes its
    value of what stands after `flag`, with a ValueError that says what was expected; `written` is the way back.
    `choices` are (words, value) pairs to choose from, `is_open` others too; `example` stands in an empty field. Where
    an array of the files can say it too, `role` is that array's. A number lies between `least` and `most`; `usual` is
    where it starts.
    """

    field: str
    flag: str
    parse: Callable[[str], Any]
    title: str
    help: str | None = None
    metavar: str | None = None
    choices: tuple[tuple[str, Any], ...] = ()
    example: str = ""
    is_open: bool = False
    written: Callable[[Any], str] | None = None
    role: str | None = None
    of_scenes: bool = False
    unit: str = ""
    least: float = 0.0
    most: float = 100.0
    decimals: int = 1
    usual: float | None = None

    @property
    def values(self) -> tuple[Any, ...] | None:
        """The only values that the flag takes; None where others are possible."""
        is_listed = self.choices and not self.is_open and self.written is None
        return tuple(value for _, value in self.choices) if is_listed else None

    @property
    def start(self) -> str:
        """The text of the usual value, or of the first choice."""
        return self.text(self.choices[0][1] if self.choices else self.usual)

    def text(self, value: Any) -> str:
        """How the command line writes a value."""
        if self.written is not None:
            return self.written(value)
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        if isinstance(value, float):
            return f"{value:.9g}" if float(f"{value:.9g}") == value else repr(value)
        return str(value)


def numbers(form: str, count: int, *, separator: str = ",") -> Callable[[str], tuple[int, ...]]:
    """What parses `count` whole numbers from 0, written as `form`."""

    def parse(text: str) -> tuple[int, ...]:
        try:
            found = tuple(int(part) for part in text.lower().split(separator))
        except ValueError:
            found = ()
        if len(found) != count or min(found) < 0:
            raise ValueError(f"{text!r} was given; {form} was expected")
        return found

    return parse


KEY = Option(
    "key",
    "--key",
    str,
    "Key in the file",
    "which array of the file, and the N-th of several captures in it",
    "NAME[:N]",
)
INPUT_SCALE = Option(
    "input_scale",
    "--input-scale",
    float,
    "Input scale",
    "factor from the measurement to the 0..1 scale",
    "A",
    example="by the decoder",
)
INTEGER_SCALE = Option(
    "integer_scale",
    "--integer-scale",
    float,
    "Full scale",
    "what integers, and real numbers beyond 0..1, are divided by",
    "S",
)
CUBE_AXES = Option(
    "cube_axes",
    "--cube-axes",
    str,
    "Axes of the array",
    "axes of a stored cube, e.g. HWC",
    "AXES",
    example="e.g. HWC",
)
COMMON = (INPUT_SCALE, INTEGER_SCALE, CUBE_AXES, KEY)  # that several tasks share
