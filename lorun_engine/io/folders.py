"""The files of a folder that are input: each once, whole, and nothing that LoRun wrote as a result."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import FileError, LorunError
from .readers import FoundArray, envi_data_of, head_of, is_envi_header, read
from .resolved import RoleRow
from .scales import IMAGES, FullScales, shared_scales
from .session_files import SUFFIX as SESSION

REST_S = 1.0  # for which a file has not changed before it is taken for whole
MUTE_SUFFIXES = (".npy", ".png")  # of results that do not say what they are
PATIENCE_S = 10.0  # with a file that does not change and cannot be read
POLL_S = 1.0  # between two looks into a folder

RowsOf = Callable[[Path], Sequence[RoleRow]]


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
    folders = {folder: folder.resolve() for folder in {path.parent for path in paths}}  # resolving every file is slow
    once: dict[Path, Path] = {}
    for path in paths:
        real = path.resolve() if path.is_symlink() else folders[path.parent] / path.name
        if real not in named:
            once.setdefault(real, path)
    return list(once.values())


def is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file, or to the two halves of an ENVI pair."""
    return len(each_once([path, other])) == 1


@dataclass(frozen=True)
class Look:
    """What was seen of one file: the full scales of its numbers, or the `reason` why it is no input.

    `error` says why it cannot be read; it counts as input all the same.
    """

    scales: FullScales = field(default_factory=dict)
    reason: str = ""
    error: str = ""


def look(path: Path, rows_of: RowsOf) -> Look:
    """Looks into one file, whose arrays `rows_of` understands."""
    if path.suffix.lower() == SESSION:
        return Look(reason=f"{path.name} is a session of LoRun; it is not taken for input.")
    try:
        if _is_hdf5_result(path):  # without reading it
            return _a_result(path)
        rows = rows_of(path)
    except (LorunError, MemoryError) as error:
        return Look(error=str(error) or f"{path.name} does not fit into the memory of this computer. Crop it.")
    own = [row for row in rows if row.found.path == rows[0].found.path]
    if rows and is_result([row.found for row in own]):
        return _a_result(path)
    roles = [row.role for row in own if row.role is not None]
    if roles and not set(roles) & {*IMAGES}:
        return Look(reason=f"{path.name} is taken for the {roles[0]} of a measurement, not for input.")
    return Look(shared_scales(rows))


def survey_of(looks: Mapping[Path, Look]) -> Survey:
    """What files share that were looked into; one that cannot be read stays, so that its error is said in its turn."""
    kept = {path: seen for path, seen in looks.items() if not seen.reason}
    kinds = {kind for seen in kept.values() for kind in seen.scales} if len(kept) > 1 else set()
    shared = {kind: max(seen.scales.get(kind, 0.0) for seen in kept.values()) for kind in kinds}
    return Survey(tuple(kept), shared, tuple((path, seen.reason) for path, seen in looks.items() if seen.reason))


def grown(before: Survey, now: Survey) -> list[str]:
    """Sentences about full scales that have grown with what came, so that earlier results were scaled otherwise."""
    return [
        f"The full scale of {kind} in this folder is {full:g} from now on, it was {known:g}: what was decoded before "
        "is brighter in comparison. Decode it again, or say the full scale from the start."
        for kind, full in now.full_scales.items()
        if (known := before.full_scales.get(kind, full)) != full
    ]


def surveyed(paths: Sequence[Path], rows_of: RowsOf) -> Survey:
    """What files share, by the rows of each."""
    return survey_of({path: look(path, rows_of) for path in paths})


def files_of(folder: Path) -> list[Path]:
    """The files of a folder that are not hidden in order of their names, each once."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_file())
        return each_once([folder / name for name in names])
    except OSError as error:
        raise FileError(f"{folder} cannot be read: {error.strerror or error}. Check its permissions.") from error


def is_result(found: Sequence[FoundArray]) -> bool:
    """Whether a decoder wrote a file: one of its arrays says which."""
    return any("adapter" in entry.attributes for entry in found)


def _a_result(path: Path) -> Look:
    return Look(reason=f"{path.name} is a result of LoRun; it is not taken for input.")


def _is_hdf5_result(path: Path) -> bool:
    """Whether a file is a result as `write_cube` writes most of them, by its attributes alone."""
    if not head_of(path).startswith(b"\x89HDF"):
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            is_own = isinstance(file.get("cube", getlink=True), h5py.HardLink)
            return is_own and "adapter" in file["cube"].attrs
    except (OSError, RuntimeError):  # reading it will say so
        return False


def _is_header(path: Path) -> bool:
    try:
        return is_envi_header(head_of(path))
    except LorunError:
        return False


# ---- results -----------------------------------------------------------------------------------------------------


def result_stems(paths: Sequence[Path]) -> dict[Path, str]:
    """What results are called without their ending, as their captures are: of a.mat and a.npy they are a.mat, a.npy."""
    stems = Counter(path.stem for path in paths)
    return {path: path.stem if stems[path.stem] == 1 else path.name for path in paths}


def is_result_file(path: Path) -> bool:
    """Whether a file says that LoRun wrote it as a result, which NumPy files and pictures cannot."""
    try:
        return _is_hdf5_result(path) or is_result(read(path))
    except LorunError:
        return False


def is_done(capture: Path, result: Path) -> bool:
    """Whether the result of a capture is there, and not older than the capture."""
    try:
        is_newer = result.stat().st_mtime_ns >= capture.stat().st_mtime_ns
    except OSError:
        return False
    return is_newer and (result.suffix.lower() in MUTE_SUFFIXES or is_result_file(result))


def require_room(result: Path) -> None:
    """Refuses the name of a result where something else lies; earlier results make room."""
    is_envi = result.suffix.lower() == ".hdr"
    for path in (result, *([result.with_suffix(".img")] if is_envi else [])):
        if path.exists() and not is_result_file(result):
            raise FileError(
                f"{path} is there already and does not say that it is a result of LoRun; it is not overwritten. Move "
                "it, or have the results written elsewhere."
            )


# ---- what comes --------------------------------------------------------------------------------------------------


@dataclass
class _Arrival:
    stamp: tuple[tuple[int, int], ...]
    since: float
    is_told: bool = False


class Arrivals:
    """What comes into a folder or changes in it, told once it is whole.

    It is whole when size and time have rested for `rest_s` and it can be read; one that cannot is told after
    `patience_s` without a change, with the error.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rest_s: float = REST_S,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._rest_s, self._patience_s, self._clock = rest_s, patience_s, clock
        self._seen: dict[Path, _Arrival] = {}

    def take(self, path: Path) -> None:
        """Takes a file as it is now for told, where it lies in the folder, whatever way leads there."""
        if path.parent.resolve() == self.folder.resolve() and (stamp := _stamp(path)) is not None:
            self._seen[self.folder / path.name] = _Arrival(stamp, self._clock(), is_told=True)

    def poll(self, rows_of: RowsOf) -> Iterator[tuple[Path, Look]]:
        """The files that are whole since the poll before, each with what was seen of it."""
        paths = files_of(self.folder)
        self._seen = {path: self._seen[path] for path in paths if path in self._seen}
        for path in paths:
            stamp, seen, now = _stamp(path), self._seen.get(path), self._clock()
            if stamp is None:
                continue
            if seen is None or seen.stamp != stamp:
                self._seen[path] = _Arrival(stamp, now)
                continue
            if seen.is_told or now - seen.since < self._rest_s:
                continue
            found = look(path, rows_of)
            if not found.error or now - seen.since >= self._patience_s:
                seen.is_told = True
                yield path, found


def _stamp(path: Path) -> tuple[tuple[int, int], ...] | None:
    """Size and time of a file, with those of the data of an ENVI header; None where it is gone."""
    try:
        paths = [path, envi_data_of(path)] if path.suffix.lower() == ".hdr" else [path]
    except LorunError:
        paths = [path]
    try:
        return tuple((stat.st_size, stat.st_mtime_ns) for stat in (path.stat() for path in paths))
    except OSError:
        return None
