"""The ways a network can be executed; the first of each is the readable one that the others are tested against."""

from __future__ import annotations

PRECISIONS = ("float32", "bfloat16")
PATHS = ("plain", "nhwc", "compiled")  # contiguous tensors; channels last; channels last in one compiled graph
