"""The files somebody wants to train on, looked at one by one: what each holds, whether it serves, and what it is for.

Everything here runs in the worker thread. A file that does not serve says why and is left out; equal and nearly equal
scenes never stand on both sides of the split, so that a score on withheld files means something.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from lorun_engine.errors import FileError, LorunError
from lorun_engine.instrument import RANGE_SLACK_NM
from lorun_engine.io import OpenOptions, inspect, open_scene
from lorun_engine.io.pairs import counted, measured_beside, scene_beside, without_scenes
from lorun_engine.measurement import Measurement
from lorun_engine.task import TASKS

from ..quantities import number, size

Route = Literal["scenes", "pairs", "captures"]
Use = Literal["learn", "check", "out"]

SUFFIXES = (".h5", ".hdf5", ".mat", ".hdr", ".npy", ".npz", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
THUMBNAIL = 48  # px, the longer side
LEAST_SIDE = 16  # px
LARGEST_VALUE = 1.5  # scenes lie between 0 and 1; a little more is a highlight
SMALLEST_VALUE = -0.1
SAME_SCENE = 0.995  # correlation of two small pictures from which on they show the same
CHECK_SHARE = 0.2  # of the files are withheld


@dataclass(frozen=True)
class Wanted:
    """What the training asks of its files.

    `companions` are the mask, matrix or kernel files and `options` the geometry with which captures are read.
    `wavelengths_nm` are the bands of a CASSI set.
    """

    task: str
    route: Route
    wavelengths_nm: tuple[float, ...] | None = None
    companions: tuple[Path, ...] = ()
    options: OpenOptions = OpenOptions()


@dataclass(frozen=True, eq=False)
class DataFile:
    """One file: `sentence` says what it holds, or why it is left out; `look` is a small grey picture (h, w) uint8."""

    path: Path
    use: Use
    sentence: str
    digest: str = ""
    look: np.ndarray | None = None
    num_bytes: int = 0  # of a scene in memory
    is_pair: bool = False  # with the scene that lies beside it

    @property
    def serves(self) -> bool:
        """Whether the training takes it."""
        return self.use != "out"


def files_among(paths: Iterable[Path]) -> list[Path]:
    """The files that are named, and those of known kinds in the folders that are named and below; each once."""
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        inside = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES and p.name[0] != ".")
        found |= dict.fromkeys(inside if path.is_dir() else [path])
    return [path.absolute() for path in found]


def checked(paths: Sequence[Path], wanted: Wanted) -> Iterator[tuple[DataFile, ...]]:
    """Looks at the files one after the other; yields all of them so far, and at the end with their use settled."""
    files: list[DataFile] = []
    for path in paths if wanted.route == "scenes" else without_scenes(paths, wanted.task):
        files.append(_without_twin(_looked_at(path, wanted), files))
        yield tuple(files)
    files = _with_share(split(files))
    yield tuple(files)
    return tuple(files)


def split(files: Sequence[DataFile]) -> list[DataFile]:
    """Withholds about CHECK_SHARE of the files that serve, the last ones; what looks the same stays on one side."""
    groups: list[list[int]] = []
    for index, file in enumerate(files):
        if file.serves:
            group = next((g for g in groups if any(_alike(file.look, files[i].look) for i in g)), None)
            groups.append([index]) if group is None else group.append(index)
    if len(groups) < 2:
        return list(files)
    num_wanted, withheld = max(1, round(CHECK_SHARE * sum(map(len, groups)))), []
    for group in reversed(groups[1:]):  # the first always stays to learn from
        if not withheld or len(withheld) + len(group) <= num_wanted:
            withheld += group
    return [replace(file, use="check") if index in withheld else file for index, file in enumerate(files)]


def summary(files: Sequence[DataFile], task: str) -> str:
    """The list of a task in one sentence, and how many of its files are pairs in another."""
    learn, check, out = (sum(file.use == use for file in files) for use in ("learn", "check", "out"))
    if not learn:
        return "No file here serves this training yet."
    words = [f"{learn} to learn from"]
    words.append(f"{check} withheld to check the result" if check else "a part of it is withheld to check the result")
    if out:
        words.append(f"{out} left out")
    pairs = counted(sum(file.is_pair and file.serves for file in files), task)
    return f"{', '.join(words)}. {pairs}".strip()


def _with_share(files: Sequence[DataFile]) -> list[DataFile]:
    """Says of the scenes to learn from where they are more than a training holds in memory."""
    from lorun_engine.training_data.own_files import share_in_memory  # needs torch: loaded in the worker

    share = share_in_memory(sum(file.num_bytes for file in files if file.use == "learn"))
    if share == 1:
        return list(files)
    words = f"; the middle {share:.0%} of it is used, to save memory"
    return [replace(file, sentence=file.sentence + words) if file.use == "learn" else file for file in files]


def _looked_at(path: Path, wanted: Wanted) -> DataFile:
    """What one file is; its own reasons first."""
    try:
        return _scene(path, wanted) if wanted.route == "scenes" else _capture(path, wanted)
    except LorunError as error:
        return DataFile(path, "out", str(error))
    except MemoryError:
        return DataFile(path, "out", "It does not fit into the memory of this computer. Crop it.")


def _scene(path: Path, wanted: Wanted) -> DataFile:
    if (brighter := scene_beside(path, wanted.task)) is not None:
        raise FileError(f"It is the measurement of a pair; its scene {_inner(brighter)} is learned from in its place.")
    scene = open_scene(path)
    image, wavelengths_nm = scene.image, scene.wavelengths_nm
    look, digest = _look(image.mean(axis=0)), _digest(image)
    low, high = float(image.min()), float(image.max())
    words = f"{size(image.shape[1:])} px, {len(image)} {TASKS[wanted.task].band}s"
    refusal = _refused_size(image) or _refused_range(low, high)
    if not refusal and not TASKS[wanted.task].is_photograph:
        refusal = _refused_bands(len(image), wavelengths_nm, wanted.wavelengths_nm)
    elif not refusal and TASKS[wanted.task].is_photograph and len(image) not in (1, 3):
        refusal = f"It has {len(image)} channels; a grey or a colour picture was expected. Choose another file."
    if refusal:
        return DataFile(path, "out", refusal, digest, look)
    if wavelengths_nm is not None:
        words += f", {wavelengths_nm[0]:.0f} to {wavelengths_nm[-1]:.0f} nm"
    num_bytes = 4 * _num_channels(len(image), wanted) * image[0].size
    return DataFile(path, "learn", f"{words}, values {number(low)} to {number(high)}", digest, look, num_bytes)


def _num_channels(own: int, wanted: Wanted) -> int:
    """How many images of a scene are learned from: those at the camera's bands, the luma, or the colours."""
    channels = TASKS[wanted.task].channels
    if not channels:
        return own if wanted.wavelengths_nm is None else len(wanted.wavelengths_nm)
    return max(channels)


def _capture(path: Path, wanted: Wanted) -> DataFile:
    """A measurement, read with the mask and the geometry of the open one where it brings none itself."""
    options = replace(wanted.options, task=wanted.task)
    beside = scene_beside(path, wanted.task)
    measurement: Measurement
    if beside is not None:
        measurement = measured_beside(path, beside, options)
    else:
        table = inspect([path], options)
        if table.problem is not None and wanted.companions:
            table = inspect([path, *wanted.companions], options)
        measurement = table.measurement()
    look, digest = _look(measurement.y.mean(axis=0)), _digest(measurement.y)
    if wanted.route == "pairs" and measurement.reference is None:
        refusal = "It holds no reference beside its measurement. Use it as a measurement alone, or add its reference."
        return DataFile(path, "out", refusal, digest, look)
    words = f"{size(measurement.y.shape[1:])} values, decodes to {size(measurement.physics.scene_shape)}"
    if measurement.reference is not None and wanted.route == "captures":
        words += "; its reference is used to check only"
    if beside is not None:
        words = f"{size(measurement.y.shape[1:])} px; its scene is {_inner(beside)}"
    return DataFile(path, "learn", words, digest, look, is_pair=beside is not None)


def _inner(path: Path) -> str:
    """A file with its folder, as "high/3.png"."""
    return f"{path.parent.name}/{path.name}"


def _refused_size(image: np.ndarray) -> str:
    if min(image.shape[1:]) >= LEAST_SIDE:
        return ""
    return f"It has {size(image.shape[1:])} px; at least {LEAST_SIDE} × {LEAST_SIDE} was expected. Choose a larger one."


def _refused_range(low: float, high: float) -> str:
    if high == low:
        return f"All its values are {number(low)}. Choose a scene with something in it."
    if low < SMALLEST_VALUE or high > LARGEST_VALUE:
        return f"Its values reach from {number(low)} to {number(high)}; 0 to 1 was expected. Divide by the largest one."
    return ""


def _refused_bands(num_bands: int, own: np.ndarray | None, wanted: tuple[float, ...] | None) -> str:
    if wanted is None:
        return ""
    if own is None:
        if num_bands == len(wanted):
            return ""
        return f"It has {num_bands} bands without wavelengths; {len(wanted)} were expected. Store its wavelengths."
    if own.min() - RANGE_SLACK_NM <= min(wanted) and own.max() + RANGE_SLACK_NM >= max(wanted):
        return ""
    return (
        f"It reaches from {own.min():.0f} to {own.max():.0f} nm; the set needs {min(wanted):.0f} to {max(wanted):.0f} "
        "nm. Choose a scene that covers them."
    )


def _without_twin(file: DataFile, before: Sequence[DataFile]) -> DataFile:
    """Leaves the file out where one before it holds the same numbers."""
    twin = next((known for known in before if file.digest and known.digest == file.digest), None)
    if twin is None or not file.serves:
        return file
    return replace(file, use="out", sentence=f"The same scene as {twin.path.name}: counted once.")


def _digest(image: np.ndarray) -> str:
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def _look(image: np.ndarray) -> np.ndarray:
    """A small grey picture of an (H, W) image: means over whole cells, from the 1st to the 99th percentile."""
    cell = max(1, -(-max(image.shape) // THUMBNAIL))
    height, width = (length // cell or 1 for length in image.shape)
    cut = image[: height * cell, : width * cell]
    rows, columns = min(cell, cut.shape[0]), min(cell, cut.shape[1])
    small = cut.reshape(height, rows, width, columns).mean(axis=(1, 3))
    low, high = np.percentile(small, (1, 99))
    return (((small - low) / max(high - low, 1e-12)).clip(0, 1) * 255).astype(np.uint8)


def _alike(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    """Whether two small pictures show the same scene, whatever its brightness."""
    if first is None or second is None or first.shape != second.shape:
        return False
    a, b = (picture.astype(np.float64) - picture.mean() for picture in (first, second))
    norms = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return norms > 0 and float((a * b).sum()) / norms > SAME_SCENE
