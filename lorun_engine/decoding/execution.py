"""The ways a network can be executed; plain float32 is the readable one that the others are tested against."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from ..schema import Between

AUTO = "auto"  # what is quickest here (see `library.quickest`)
PRECISIONS = (AUTO, "float32", "bfloat16")
PATHS = (AUTO, "plain", "nhwc", "compiled")  # contiguous tensors; channels last; channels last in one compiled graph
Tile = Annotated[int, Between(1)] | Literal["auto", "off"]  # rows that a network sees at once (see `networks.strips`)
_TIMED = 2  # after one that is not
_HOPELESS = 3.0  # times the quickest: not timed again


class Execution(NamedTuple):
    """`precision` of the denoiser and `path` of its tensors, either of them AUTO while that is open."""

    precision: str = "float32"
    path: str = "plain"

    @property
    def is_open(self) -> bool:
        """Whether something is to be chosen."""
        return AUTO in self

    def candidates(self) -> list[Execution]:
        """What AUTO may stand for, the simplest first.

        Nothing is compiled to be tried: that takes longer than most decodes. bfloat16 is worth its name channels last.
        """
        paths = ("plain", "nhwc") if self.path == AUTO else (self.path,)
        if self.precision != AUTO:
            return [Execution(self.precision, path) for path in paths]
        if self.path == "compiled":
            return [Execution("float32", self.path)]
        return [*(Execution("float32", path) for path in paths), Execution("bfloat16", paths[-1])]


_choices_at: list[Path] = []  # at most one


def remember_choices_at(path: Path | None) -> None:
    """Says in which file the choices on this machine are remembered; None: nowhere but in the process."""
    _choices_at[:] = [] if path is None else [path]


def choices_file() -> Path | None:
    """The file in which they are remembered."""
    return _choices_at[0] if _choices_at else None


@cache
def why_not_compiled(device: str) -> str:
    """Why torch cannot compile for a device here, in a few words, or "": a tiny function is tried, once a process.

    A machine without a C++ compiler cannot, and neither can the packaged program, which has no sources to compile.
    """
    import torch

    try:
        torch.compile(_tried, fullgraph=True)(torch.zeros(4, device=device))
    except Exception as error:  # whatever a compiler, or the lack of one, raises
        torch.compiler.reset()
        return str(error).strip().partition("\n")[0][:120] or type(error).__name__
    return ""


def _tried(x):  # type: ignore[no-untyped-def]
    return (2 * x + 1).relu()


def seconds_of_convolutions() -> tuple[float, float]:
    """Seconds that a small convolution takes on the processor in float32 and in bfloat16.

    A processor without such arithmetic imitates it, 10 to 50 times as slowly: a whole network would take too long to
    try.
    """
    import torch
    import torch.nn.functional as F

    seconds: list[float] = []
    for dtype in (torch.float32, torch.bfloat16):
        image = torch.ones(1, 64, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.ones(64, 64, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
        limit_s = _HOPELESS * seconds[0] if seconds else None
        seconds.append(seconds_of(partial(F.conv2d, image, weight, padding=1), limit_s=limit_s))
    return seconds[0], seconds[1]


def seconds_of(function: Callable[[], object], *, limit_s: float | None = None) -> float:
    """Seconds that a function takes, the least of a few calls after a first one; over `limit_s` that one counts."""
    seconds: list[float] = []
    while len(seconds) <= _TIMED and (limit_s is None or not seconds or seconds[-1] <= limit_s):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:] or seconds)
