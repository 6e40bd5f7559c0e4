"""What a restoration task is: one entry of TASKS names it, says how people speak of it, and where its parts are.

Importing this loads neither torch nor a file library. A part is named as "module:object" and loaded when it is first
asked for, which is how the table can lie below the rooms it points into; tests enter objects instead of names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

    from .decoder import Decoder

STAGE = "stage"  # what a step of a decoder is called that has no other name for it


@dataclass(frozen=True)
class Task:
    """One task, as the engine and the window see it.

    The scenes of a photograph are sRGB-coded between 0 and 1 and have one of so many `channels`; all other tasks have
    linear cubes of any bands. A measurement is a grey "plane", the samples of "blocks", or a "picture" with the
    channels of its scene. `untrained` and `trained` are the sentences of decoders that fit, `seen` says what the
    built-in sample holds. Where a few numbers (the `CHANGES` of its files) say all of an instrument, `new` is what one
    adapts a set to and `given` how the numbers are called. Where scenes were measured for real, `pairs` names the
    folder with the measurements and the one beside it with the scenes, whose files have the same names. `learns_alone`
    says that its sets can be adapted by measurements alone, without any scene.

    Parts: `files_at` is a `Reading` (see `io.reading`), `camera_at` a class of `Camera` (see `tasks.camera`),
    `decoders_at` the classes of the decoders without weights by name, the default first, `training_at` a `TaskData`
    (see `training_data.dataset`), and `protocol_at` what scores an estimate (C, H, W) against the truth. Where pictures
    of another task may be of this one, `offered_at` says so of the measurement (C, H, W) in a sentence, or "".
    """

    name: str
    title: str  # as in "CASSI snapshot"
    short: str  # as in "Open the CASSI sample"
    measured: str  # the title of the measurement's pane
    files_at: Any
    camera_at: Any
    decoders_at: Mapping[str, Any]
    training_at: Any
    protocol_at: Any
    seen: str = ""
    untrained: str = "Needs no training."
    trained: str = "Fits: trained for it."
    new: str = ""
    given: str = ""
    channels: tuple[int, ...] = ()
    measures: Literal["plane", "blocks", "picture"] = "plane"
    pairs: tuple[str, str] | tuple[()] = ()
    learns_alone: bool = True
    offered_at: Any = None

    @property
    def is_photograph(self) -> bool:
        """Whether its scenes are grey or coloured pictures; else they are spectral cubes."""
        return bool(self.channels)

    @property
    def band(self) -> str:
        """What one plane of a scene is called."""
        return "channel" if self.is_photograph else "band"

    @property
    def sample(self) -> str:
        """The file of its built-in sample, below `samples` of the resources."""
        return f"{self.name}.h5"

    @cached_property
    def decoders(self) -> Mapping[str, Decoder]:
        """The decoders that need no weights, the default first."""
        return {name: self.part(place)() for name, place in self.decoders_at.items()}

    @cached_property
    def score(self) -> Callable[[np.ndarray, np.ndarray], dict[str, float]]:
        """Its protocol: (estimate, reference), both (C, H, W) in [0, 1], to figures, the headline first."""
        protocol: Callable[[np.ndarray, np.ndarray], dict[str, float]] = self.part(self.protocol_at)
        return protocol

    @staticmethod
    def part(place: Any) -> Any:
        """The object of a "module:object" or "module" below this package, or the object that was given itself."""
        return resolve_name(f"{__package__}.{place}") if isinstance(place, str) else place


TASKS: dict[str, Task] = {
    "cassi": Task(
        name="cassi",
        title="CASSI snapshot",
        short="CASSI",
        measured="Measurement",
        files_at="io.cassi",
        camera_at="tasks.cassi:CassiCamera",
        decoders_at={"subspace-tv": "tasks.subspace_tv:SubspaceTv", "gap-tv": "tasks.gap_tv:GapTv"},
        training_at="training_data.cassi",
        protocol_at="decoding.metrics:score_cube",
        seen="28 bands, 256 × 256 pixels, with the true scene",
        untrained="Needs no training: takes any mask, any bands, any step.",
        trained="Fits: trained on these bands.",
    ),
    "cs": Task(
        name="cs",
        title="Compressive samples",
        short="CS",
        measured="Samples",
        files_at="io.cs",
        camera_at="tasks.cs:CsCamera",
        decoders_at={"pinv": "tasks.cs:PseudoInverse"},
        training_at="training_data.cs",
        protocol_at="decoding.metrics:score_luma",
        seen="256 × 256 pixels in blocks, with the true picture",
        untrained="Needs no training: takes any sampling matrix.",
        trained="Fits: trained for compressive samples.",
        new="A new ratio or matrix",
        given="a new matrix, ratio in %",
        channels=(1,),
        measures="blocks",
    ),
    "sr": Task(
        name="sr",
        title="Low-resolution image",
        short="SR",
        measured="Low resolution",
        files_at="io.sr",
        camera_at="tasks.sr:SrCamera",
        decoders_at={"bicubic": "tasks.sr:Bicubic", "tikhonov": "tasks.sr:Tikhonov"},
        training_at="training_data.sr",
        protocol_at="decoding.metrics:score_colour",
        seen="128 × 128 pixels, blurred, with the true picture",
        untrained="Needs no training: takes any kernel and any factor.",
        trained="Fits: trained for low-resolution images.",
        new="A new kernel or factor",
        given="a kernel and factor",
        channels=(1, 3),
        measures="picture",
    ),
    "lowlight": Task(
        name="lowlight",
        title="Low-light picture",
        short="low light",
        measured="As taken",
        files_at="io.lowlight",
        camera_at="tasks.lowlight:LowLightCamera",
        decoders_at={"retinex": "tasks.lowlight:Retinex"},
        training_at="training_data.lowlight",
        protocol_at="decoding.metrics:score_relit",
        seen="256 × 256 pixels in little light, with the bright picture",
        untrained="Needs no training: takes any picture.",
        trained="Fits: trained for low light.",
        new="A new exposure",
        given="an exposure and gamma",
        channels=(1, 3),
        measures="picture",
        pairs=("low", "high"),
        learns_alone=False,
        offered_at="io.lowlight:offered",
    ),
}
DEFAULT = "cassi"  # of commands and files that say nothing of their task
