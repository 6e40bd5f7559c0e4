"""The files of a folder that are input: each once, and nothing that LoRun wrote as a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import LorunError
from .readers import FoundArray, envi_data_of, head_of, is_envi_header
from .resolved import RoleRow
from .scales import FullScales, shared_scales


@dataclass(frozen=True)
class Survey:
    """What several files have in common, and (path, reason) of those that are no input."""

    paths: tuple[Path, ...] = ()
    full_scales: FullScales = field(default_factory=dict)
    left_out: tuple[tuple[Path, str], ...] = ()


def each_once(paths: Sequence[Path]) -> list[Path]:
    """The paths without those that lead to a file named before, and without the data files of ENVI headers."""
    headers = [path for path in paths if path.suffix.lower() == ".hdr" and _is_header(path)]
    named: set[Path] = set()
    for header in headers:
        try:
            named.add(envi_data_of(header).resolve())
        except LorunError:  # reading it will say so
            continue
    once: dict[Path, Path] = {}
    for path in paths:
        if path.resolve() not in named:
            once.setdefault(path.resolve(), path)
    return list(once.values())


def is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file, or to the two halves of an ENVI pair."""
    return len(each_once([path, other])) == 1


def surveyed(paths: Sequence[Path], rows_of: Callable[[Path], Sequence[RoleRow]]) -> Survey:
    """What files share, by the rows of each; one that cannot be read stays, so that its error is said in its turn."""
    kept, left_out, scales = [], [], list[FullScales]()
    for path in paths:
        try:
            rows = rows_of(path)
        except (LorunError, MemoryError):
            kept.append(path)
            continue
        if rows and is_result([row.found for row in rows if row.found.path == rows[0].found.path]):
            left_out.append((path, f"{path.name} is a result of LoRun; it is not taken for input."))
            continue
        kept.append(path)
        scales.append(shared_scales(rows))
    kinds = {kind for scale in scales for kind in scale} if len(kept) > 1 else set()
    shared = {kind: max(scale.get(kind, 0.0) for scale in scales) for kind in kinds}
    return Survey(tuple(kept), shared, tuple(left_out))


def is_result(found: Sequence[FoundArray]) -> bool:
    """Whether a decoder wrote a file: one of its arrays says which."""
    return any("adapter" in entry.attributes for entry in found)


def _is_header(path: Path) -> bool:
    try:
        return is_envi_header(head_of(path))
    except LorunError:
        return False
