"""A folder decoded by several processes, on one computer or many, as `torchrun` starts them: each takes its share.

Nothing passes between them: every one looks at the folder by itself, and of n processes each decodes every n-th file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import LorunError

_NAMES, _ALONE = ("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("0", "1", "0")


class Share(NamedTuple):
    """What process `rank` of `size` does; `local_rank` is its number on its computer."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def words(self) -> str:
        """As " (share 2 of 4)"; nothing for the whole."""
        return f" (share {self.rank + 1} of {self.size})" if self.size > 1 else ""

    def of(self, paths: Sequence[Path]) -> Sequence[Path]:
        """The files of this share."""
        return paths[self.rank :: self.size]

    def device(self, asked: str) -> str:
        """The device of this process: where "cuda" or "auto" leave it open, a graphics card of its own."""
        if self.size == 1 or asked not in ("cuda", "auto"):
            return asked
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return f"cuda:{self.local_rank % count}" if count else asked


def own_share(source: Path, output: Path, *, watch: bool) -> Share:
    """That of this process; a LorunError where several were started for what cannot be shared."""
    numbers = (os.environ.get(name, default) for name, default in zip(_NAMES, _ALONE, strict=True))
    try:
        share = Share(*map(int, numbers))
    except ValueError as error:
        raise LorunError(f"{', '.join(_NAMES)} are to be whole numbers, as torchrun sets them. Unset them.") from error
    if share.size > 1 and (watch or not source.is_dir()):
        raise LorunError(
            f"{share.size} processes were started; they share the files of a folder, and "
            f"{'--watch is for one process' if watch else f'{source} is a single file'}. Start it without torchrun."
        )
    if share.size > 1 and output.resolve() == source.resolve():
        raise LorunError(
            f"{share.size} processes share {source}, and one would take another's results for captures. Give another "
            "folder with -o."
        )
    return share
