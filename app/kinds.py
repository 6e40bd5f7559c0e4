"""What the window shows of every task, and how it speaks of it: spectral cubes or photographs, and their own words.

A task that is new to the window is one entry here; nothing else asks for a task by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RGB = ("red", "green", "blue")

Stretch = tuple[float, float] | None  # percentiles that become black and white; None shows 0 as black and 1 as white
PERCENTILES = (1.0, 99.0)  # the stretch of cubes, whose unit is not known


@dataclass(frozen=True)
class Kind:
    """One task as the window sees it.

    The scenes of a photograph are sRGB-coded between 0 and 1, grey or red, green and blue; all others are linear
    cubes. A measurement is a grey "plane", the samples of "blocks", or a "picture" with the channels of its scene.
    `untrained` and `trained` are the sentences of decoders that fit, `seen` says what the built-in sample holds.
    """

    title: str
    short: str  # as in "Open the CASSI sample"
    measured: str  # the title of the measurement's pane
    seen: str
    untrained: str
    trained: str
    is_photograph: bool = False
    measures: Literal["plane", "blocks", "picture"] = "plane"

    @property
    def stretch(self) -> Stretch:
        """How pictures are shown when nobody chose otherwise."""
        return None if self.is_photograph else PERCENTILES

    @property
    def band(self) -> str:
        """What one plane of a scene is called."""
        return "channel" if self.is_photograph else "band"


KINDS: Mapping[str, Kind] = {
    "cassi": Kind(
        title="CASSI snapshot",
        short="CASSI",
        measured="Measurement",
        seen="28 bands, 256 × 256 pixels, with the true scene",
        untrained="Needs no training: takes any mask, any bands, any step.",
        trained="Fits: trained on these bands.",
    ),
    "cs": Kind(
        title="Compressive samples",
        short="CS",
        measured="Samples",
        seen="256 × 256 pixels in blocks, with the true picture",
        untrained="Needs no training: takes any sampling matrix.",
        trained="Fits: trained for compressive samples.",
        is_photograph=True,
        measures="blocks",
    ),
    "sr": Kind(
        title="Low-resolution image",
        short="SR",
        measured="Low resolution",
        seen="128 × 128 pixels, blurred, with the true picture",
        untrained="Needs no training: takes any kernel and any factor.",
        trained="Fits: trained for low-resolution images.",
        is_photograph=True,
        measures="picture",
    ),
}
