"""The ways a network can be executed; the first of each is the readable one that the others are tested against."""

from __future__ import annotations

from functools import cache

PRECISIONS = ("float32", "bfloat16")
PATHS = ("plain", "nhwc", "compiled")  # contiguous tensors; channels last; channels last in one compiled graph


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
