"""What a user may say of a CASSI instrument and of the files of its captures, row by row."""

from __future__ import annotations

import math

from ..instrument import RESPONSES
from .light_beside import LIGHT_BESIDE
from .options import CUBE_AXES, INPUT_SCALE, INTEGER_SCALE, KEY, Option, numbers
from .wavelengths import WAVELENGTHS


def _quarter_turns(text: str) -> int:
    """Quarter turns of the degrees 0, 90, 180 or 270."""
    if text not in ("0", "90", "180", "270"):
        raise ValueError(f"{text!r} was given; 0, 90, 180 or 270 was expected")
    return int(text) // 90


def _shift(text: str) -> tuple[float, float]:
    """Two finite numbers written as Y,X, each of either sign."""
    try:
        y, x = (float(part) for part in text.split(","))
    except ValueError:
        y = x = math.nan
    if not (math.isfinite(y) and math.isfinite(x)):
        raise ValueError(f"{text!r} was given; Y,X in pixels was expected, e.g. 0.5,-2")
    return y, x


_AXIS = Option(
    "axis",
    "--axis",
    str,
    "Dispersion axis",
    "dispersion along columns (x) or rows (y)",
    choices=(("columns (x)", "x"), ("rows (y)", "y")),
)
_STEP = Option(
    "step", "--step", float, "Step (px per band)", "dispersion in pixels a band, fractions allowed", "D",
    most=20, decimals=3,
)  # fmt: skip
_DIRECTION = Option(
    "direction",
    "--direction",
    str,
    "Direction",
    "longer wavelengths move right or down (+), or not (-); with a list of falling ones the shorter",
    choices=(("right or down (+)", "+"), ("left or up (−)", "-")),
)
OPTIONS = (
    Option("num_bands", "--bands", int, "Bands", metavar="N"),
    _STEP,
    _AXIS,
    _DIRECTION,
    Option("first_offset", "--first-offset", float, "First offset (px)", "pixels before the nearest band", "P"),
    Option(
        "wavelengths", "--wavelengths", str, "Wavelengths",
        f"band centres in nm: a file or {', '.join(WAVELENGTHS)}", "FILE|NAME",
        choices=tuple((name, name) for name in WAVELENGTHS), is_open=True,
    ),
    Option(
        "flip", "--flip", str, "Flip the mask", "mirror the mask",
        choices=(("left and right", "lr"), ("up and down", "ud")),
    ),
    Option(
        "rotate", "--rotate", _quarter_turns, "Turn the mask", "turn the mask counter-clockwise", "0|90|180|270",
        choices=(("90°", 1), ("180°", 2), ("270°", 3)), written=lambda turns: str(90 * turns),
    ),
    Option(
        "mask_shift", "--mask-shift", _shift, "Move the mask (px)", "move the mask down and right, in pixels", "Y,X",
        example="down, right",
    ),
    Option(
        "crop", "--crop", numbers("Y,X,H,W", 4), "Crop the scene", "scene window to decode", "Y,X,H,W",
        example="y, x, height, width",
    ),
    Option("dark_level", "--dark-level", float, "Dark level", "what the detector reads without light", "B"),
    Option(
        "light_beside", "--light-beside", str, "Light from beside",
        "light from beside the field (default subtract)",
        choices=tuple((word, word) for word in LIGHT_BESIDE),
    ),
    Option(
        "guide_response", "--guide-response", str, "Response of the guide",
        f"what its channels see: a table or {', '.join(RESPONSES)}", "FILE|NAME",
        choices=tuple((name, name) for name in RESPONSES), is_open=True,
    ),
    Option(
        "guide_shift", "--guide-shift", _shift, "Move the guide (px)", "move the guide down and right, in pixels",
        "Y,X", example="down, right",
    ),
    Option(
        "guide_encoding", "--guide-encoding", str, "Numbers of the guide",
        "linear, or sRGB-coded as pictures to look at are",
        choices=(("proportional to light", "linear"), ("sRGB-coded", "srgb")),
    ),
    *(INPUT_SCALE, INTEGER_SCALE, CUBE_AXES, KEY),
)  # fmt: skip
CHANGES = (
    _STEP,
    _DIRECTION,
    Option(
        "density",
        "",
        float,
        "A new random mask, open",
        of_scenes=True,
        unit=" %",
        least=1,
        most=99,
        decimals=0,
        usual=50,
    ),
    Option(
        "guide_camera", "--guide-camera", str, "Guide", "a second camera that takes a guide: none, rgb or grey",
        choices=(("none", "none"), ("in colours", "rgb"), ("grey", "grey")), of_scenes=True,
    ),
    Option(
        "guide_noise", "--guide-noise", float, "Noise of the guide", "standard deviation, on the 0..1 scale", "S",
        of_scenes=True, most=1, decimals=4, usual=0.002,
    ),
)  # fmt: skip
