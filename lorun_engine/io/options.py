"""What a user may correct of what was understood on opening; one field per flag of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OpenOptions:
    """Corrections; None (or empty) leaves the guess to the program.

    `roles` are (selector, role) pairs, a selector being "FILE" or "FILE::KEY" and a role "measurement", "mask",
    "reference", "wavelengths" or "unused". `wavelengths` is a name of WAVELENGTHS or a file. `flip` ("lr", "ud") and
    `rotate` (quarter turns counter-clockwise) act on the mask, then `mask_shift` (y, x) moves it down and right by
    pixels or fractions of them; `crop` (y, x, height, width) picks a window of the scene. `cube_axes` names the axes of
    a stored cube, e.g. "HWC". `integer_scale` is what integers are divided by, `input_scale` the factor from the file's
    unit to the engine's 0..1 scale, `dark_level` what a CASSI detector reads without light, after `integer_scale`;
    `light_beside`, "subtract" or "keep", is for light that falls on its ends from beside the field of view.

    CS: `image_size` (height, width), `pixel_order` and `block_order` ("row" or "column") of foreign samples. SR: the
    factor `scale`, `kernel`, the name of one in the gallery or "FILE[:N]" (N from 1), and how the scene goes on beyond
    its `border`, "mirrored" or "circular".
    """

    task: str | None = None
    roles: tuple[tuple[str, str], ...] = ()
    num_bands: int | None = None
    step: float | None = None
    axis: str | None = None
    direction: str | None = None
    first_offset: float | None = None
    wavelengths: str | None = None
    key: str | None = None
    flip: str | None = None
    rotate: int | None = None
    mask_shift: tuple[float, float] | None = None
    crop: tuple[int, int, int, int] | None = None
    input_scale: float | None = None
    cube_axes: str | None = None
    integer_scale: float | None = None
    dark_level: float | None = None
    light_beside: str | None = None
    image_size: tuple[int, int] | None = None
    pixel_order: str | None = None
    block_order: str | None = None
    scale: int | None = None
    kernel: str | None = None
    border: str | None = None


NO_CORRECTIONS = OpenOptions()

COMPANIONS = ("mask", "sampling", "reference")  # roles whose files have a flag of their own

# field -> the flag of the command line that says it
FLAGS: Mapping[str, str] = {
    "task": "--task",
    "num_bands": "--bands",
    "step": "--step",
    "axis": "--axis",
    "direction": "--direction",
    "first_offset": "--first-offset",
    "wavelengths": "--wavelengths",
    "key": "--key",
    "flip": "--flip",
    "rotate": "--rotate",
    "mask_shift": "--mask-shift",
    "crop": "--crop",
    "input_scale": "--input-scale",
    "cube_axes": "--cube-axes",
    "integer_scale": "--integer-scale",
    "dark_level": "--dark-level",
    "light_beside": "--light-beside",
    "image_size": "--image-size",
    "pixel_order": "--pixel-order",
    "block_order": "--block-order",
    "scale": "--scale",
    "kernel": "--kernel",
    "border": "--border",
}


def as_flag(name: str, value: Any) -> str:
    """How the command line writes the value of a field."""
    if name == "rotate":
        return str(90 * value)
    if isinstance(value, tuple):
        return ("x" if name == "image_size" else ",").join(map(str, value))
    if isinstance(value, float):
        return f"{value:.9g}" if float(f"{value:.9g}") == value else repr(value)
    return str(value)
