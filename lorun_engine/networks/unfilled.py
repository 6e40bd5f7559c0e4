"""Networks without numbers: their shapes alone, for counting, or until the tensors of a file take their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class _NothingDrawn(TorchFunctionMode):
    """Leaves tensors as they are where they would be filled: on the meta device that loads torch's compiler, 2 s."""

    _FILLS = (Tensor.normal_, Tensor.uniform_, Tensor.erfinv_, Tensor.clamp_, Tensor.mul_, Tensor.add_, Tensor.zero_)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return args[0] if func in self._FILLS else func(*args, **(kwargs or {}))


@contextmanager
def unfilled() -> Iterator[None]:
    """A block whose tensors are on the meta device, and whose initialisations do nothing."""
    with torch.device("meta"), _NothingDrawn():
        yield
