"""What a user may correct of what was understood on opening; one field per flag of the command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OpenOptions:
    """Corrections; None (or empty) leaves the guess to the program.

    `roles` are (selector, role) pairs, a selector being "FILE" or "FILE::KEY" and a role "measurement", "mask",
    "reference", "wavelengths" or "unused". `wavelengths` is a name of WAVELENGTHS or a file. `flip` ("lr", "ud") and
    `rotate` (quarter turns counter-clockwise) act on the mask; `crop` (y, x, height, width) picks a window of the
    scene. `cube_axes` names the axes of a stored cube, e.g. "HWC". `integer_scale` is what integers are divided by,
    `input_scale` the factor from the file's unit to the engine's 0..1 scale.

    CS: `image_size` (height, width), `pixel_order` and `block_order` ("row" or "column") of foreign samples. SR: the
    factor `scale`, and `kernel`, the name of one in the gallery or "FILE[:N]" (N from 1).
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
    crop: tuple[int, int, int, int] | None = None
    input_scale: float | None = None
    cube_axes: str | None = None
    integer_scale: float | None = None
    image_size: tuple[int, int] | None = None
    pixel_order: str | None = None
    block_order: str | None = None
    scale: int | None = None
    kernel: str | None = None


NO_CORRECTIONS = OpenOptions()
