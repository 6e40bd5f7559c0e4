"""A user's own training files: found, looked at, and split so that nothing is both learned from and checked on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np

from ..decoding.evaluate import at_wavelengths_near
from ..errors import FileError, LorunError
from ..io import OpenOptions, inspect, open_scene
from ..io.folders import surveyed
from ..io.pairs import counted, measured_beside, scene_beside, without_scenes
from ..io.resolved import RoleRow
from ..io.roles import role_rows, scene_row
from ..io.scales import FullScales, require_scene_scale
from ..measurement import Measurement, Scene
from ..schema import Among
from ..task import TASKS
from ..tasks import cs
from ..tasks.camera import Camera

_T = TypeVar("_T")
Route = Annotated[str, Among(("scenes", "pairs", "captures"))]
_LEAST_SIDE = 16  # pixels
_CHECK_SHARE = 0.2  # of the files
_LARGEST_BYTES = 2 << 30  # of the scenes that are learned from; they stay in memory
_LEAST_ROWS = 64  # of a scene that is cut down
_GAP = 8  # rows between the two parts of a scene that is split


@dataclass(frozen=True)
class LocalFile:
    """One file of a training: what it is for ("learn" or "check"), and what it holds, for the data list.

    `rows` (first, end) is the part of the scene that is used, or None for all of it.
    """

    path: Path
    use: Annotated[str, Among(("learn", "check"))]
    num_bytes: int
    sha256: str
    rows: tuple[int, int] | None = None
    note: str = ""

    def listed(self) -> dict[str, Any]:
        """The entry of the data list."""
        entry = {**asdict(self), "path": str(self.path), "name": self.path.name}
        return entry | {"rows": None if self.rows is None else list(self.rows)}


@dataclass(frozen=True)
class Examined:
    """What a look at the files gave: those that serve, (path, reason) of the others, what there is to say, and the
    full scales of integers that the files share.
    """

    files: tuple[LocalFile, ...]
    skipped: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...]
    full_scales: FullScales = field(default_factory=dict)


@dataclass(frozen=True)
class OwnFiles:
    """How files are read: the route, the geometry of captures and the files that belong to them, the bands, and the
    full scales of integers that the files share.
    """

    route: Route
    camera: Camera
    options: OpenOptions = OpenOptions()
    companions: tuple[Path, ...] = ()
    full_scales: FullScales = field(default_factory=dict)

    def rows(self, path: Path) -> Sequence[RoleRow]:
        """What a file holds, before anything is known of the others."""
        if self.route == "scenes":
            return [self.by(scene_row, path)[0]]
        beside = self.beside(path)
        return role_rows([path, *(() if beside is None else (beside,)), *self.companions], self.options)

    def by(self, reader: Callable[..., _T], path: Path) -> _T:
        """What `open_scene` or `scene_row` gives for a file, with all that is known of the scenes."""
        said, mask = self.options, getattr(self.camera, "mask", None)
        return reader(
            path,
            OpenOptions(task=self.camera.task, integer_scale=said.integer_scale, cube_axes=said.cube_axes),
            num_bands=self.camera.channels(0) or None,
            field=None if mask is None else (mask.shape[-2], mask.shape[-1]),
            full_scales=self.full_scales,
        )

    def beside(self, path: Path) -> Path | None:
        """The scene that lies beside a measurement as its pair; None where it is a file of its own."""
        return None if self.route == "scenes" else scene_beside(path, self.camera.task)

    def scene(self, file: LocalFile) -> Scene:
        """The scene of a file at the camera's bands, or the part of it that is used."""
        scene, _ = scene_for(file.path, self)
        if file.rows is None:
            return scene
        first, end = file.rows
        return replace(scene, image=np.ascontiguousarray(scene.image[:, first:end]))

    def capture(self, file: LocalFile) -> Measurement:
        """The measurement of a file, with its reference where it has one."""
        return capture_of(file.path, self)


def examined(learn: Sequence[Path], check: Sequence[Path], reading: OwnFiles, *, notes: Iterable[str] = ()) -> Examined:
    """Looks at every file, and settles what is withheld where nobody has said it; `notes` are said too.

    Raises a FileError when no file serves.
    """
    task = reading.camera.task
    if reading.route != "scenes":
        learn, check = (without_scenes(paths, task) for paths in (learn, check))
    survey = surveyed([*learn, *check], reading.rows)
    reading = replace(reading, full_scales=survey.full_scales)
    skipped, kept = list(survey.left_out), set(survey.paths)
    notes = list(notes)
    files: list[LocalFile] = []
    contents: dict[str, Path] = {}
    sizes: dict[Path, tuple[int, int]] = {}  # bytes and rows of every scene
    for path, use in [*((path, "learn") for path in learn), *((path, "check") for path in check)]:
        if path not in kept:
            continue
        try:
            content, note, sizes[path] = _looked_at(path, reading)
        except LorunError as error:
            skipped.append((path, str(error)))
            continue
        except MemoryError:
            skipped.append((path, f"{path.name} does not fit into the memory of this computer. Crop it."))
            continue
        if content in contents:
            skipped.append((path, f"{path.name} holds the same as {contents[content].name}; it is counted once."))
            continue
        contents[content] = path
        notes += [note] if note else []
        files.append(LocalFile(path, use, path.stat().st_size, file_hash(path), note=note))
    num_pairs = sum(reading.beside(file.path) is not None for file in files)
    notes += [counted(num_pairs, task)] if num_pairs else []
    if not files:
        reasons = " ".join(reason for _, reason in skipped[:2])
        raise FileError(f"None of {len(skipped)} files can be trained on. {reasons}".strip())
    if not any(file.use == "learn" for file in files):
        raise FileError("Every file is withheld for validation. Give some to learn from.")
    if not any(file.use == "check" for file in files):
        files = _split(files, reading)
    if reading.route == "scenes":
        files, more = _cut_to_memory(files, sizes)
        notes += more
    return Examined(tuple(files), tuple(skipped), tuple(dict.fromkeys(notes)), survey.full_scales)


def share_in_memory(num_bytes: int) -> float:
    """Which share of scenes that take so many bytes is learned from: all, or the middle rows of each."""
    return min(1.0, _LARGEST_BYTES / max(1, num_bytes))


def scene_for(path: Path, reading: OwnFiles) -> tuple[Scene, str]:
    """The scene of a file as the camera needs it, and what was done to it; a LorunError says why it does not serve."""
    camera, note = reading.camera, ""
    if (brighter := scene_beside(path, camera.task)) is not None:
        raise FileError(f"{path} is the measurement of a pair; its scene {brighter} is learned from in its place.")
    scene = reading.by(open_scene, path)
    low, high = float(scene.image.min()), float(scene.image.max())
    if min(scene.image.shape[1:]) < _LEAST_SIDE:
        raise FileError(
            f"{path.name} is {scene.image.shape[1]} x {scene.image.shape[2]} pixels; at least {_LEAST_SIDE} x "
            f"{_LEAST_SIDE} were expected. Choose a larger one."
        )
    if not np.isfinite(low + high) or low == high:
        raise FileError(f"All values of {path.name} are {low:g}. Choose a scene with something in it.")
    require_scene_scale(scene, path.name)
    task = TASKS[camera.task]
    if not task.is_photograph:
        scene, note = _at_bands(scene, camera, path)
    elif task.channels == (1,):
        scene = Scene(cs.luma(scene.image), source=scene.source, path=scene.path)
    elif len(scene.image) not in task.channels:
        raise FileError(
            f"{path.name} has {len(scene.image)} channels; a grey or a colour picture was expected. Choose another."
        )
    return replace(scene, image=scene.image.clip(0, 1)), note


def capture_of(path: Path, reading: OwnFiles) -> Measurement:
    """The measurement of a file; where it lacks its mask or matrix, with the companions."""
    options = replace(reading.options, task=reading.camera.task)
    if (scene := reading.beside(path)) is not None:
        return measured_beside(path, scene, options, full_scales=reading.full_scales)
    table = inspect([path], options, full_scales=reading.full_scales)
    if table.problem is not None and reading.companions:
        table = inspect([path, *reading.companions], options, full_scales=reading.full_scales)
    measurement = table.measurement()
    if reading.route == "pairs" and measurement.reference is None:
        raise FileError(
            f"{path.name} holds no reference beside its measurement. Use it as a capture, or add the scene."
        )
    return measurement


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, and of the data file beside an ENVI header."""
    digest = hashlib.sha256()
    is_header = path.suffix.lower() == ".hdr"
    others = [path.with_suffix(suffix) for suffix in (".img", ".raw", ".dat", "")] if is_header else []
    for part in (path, *(other for other in others if other.is_file())):
        with open(part, "rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()


def _looked_at(path: Path, reading: OwnFiles) -> tuple[str, str, tuple[int, int]]:
    """A hash of the values of a file that serves, what there is to say of it, and its bytes in memory and rows."""
    if reading.route == "scenes":
        scene, note = scene_for(path, reading)
        return _hash(scene.image), note, (scene.image.nbytes, scene.image.shape[1])
    y = reading.capture(LocalFile(path, "learn", 0, "")).y
    return _hash(y), "", (y.nbytes, y.shape[1])


def _hash(image: np.ndarray) -> str:
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def _at_bands(scene: Scene, camera: Camera, path: Path) -> tuple[Scene, str]:
    """The cube interpolated to the camera's bands; its ends are repeated up to RANGE_SLACK_NM beyond."""
    own, wanted = scene.wavelengths_nm, camera.wavelengths_nm
    num_bands = camera.channels(len(scene.image))
    if own is None or wanted is None:
        if len(scene.image) == num_bands:
            return scene, ""
        raise FileError(
            f"{path.name} has {len(scene.image)} bands without wavelengths; {num_bands} were expected. Store its "
            "wavelengths, or choose another cube."
        )
    if len(own) == len(wanted) and np.abs(own - wanted).max() < 1e-6:
        return scene, ""
    resampled = at_wavelengths_near(scene, wanted)
    note = (
        f"{path.name}: {len(own)} bands from {own.min():g} to {own.max():g} nm were resampled to the camera's "
        f"{len(wanted)} from {wanted.min():g} to {wanted.max():g} nm."
    )
    return resampled, note


def _cut_to_memory(
    files: Sequence[LocalFile], sizes: Mapping[Path, tuple[int, int]]
) -> tuple[list[LocalFile], list[str]]:
    """The files with the middle rows of each where all of the scenes would take too much memory, and that in words."""
    learned = {file.path: _rows_of(file, sizes) for file in files if file.use == "learn"}
    total = sum(sizes[path][0] * (end - first) // sizes[path][1] for path, (first, end) in learned.items())
    share = share_in_memory(total)
    if share == 1:
        return list(files), []
    cut = []
    for file in files:
        if file.use == "learn":
            first, end = learned[file.path]
            kept = min(end - first, max(_LEAST_ROWS, int(share * (end - first))))
            first += (end - first - kept) // 2
            file = replace(file, rows=(first, first + kept))
        cut.append(file)
    note = f"All scenes would take {total / 1e9:.1f} GB of memory; the middle {share:.0%} of every one is learned from."
    return cut, [note]


def _rows_of(file: LocalFile, sizes: Mapping[Path, tuple[int, int]]) -> tuple[int, int]:
    return (0, sizes[file.path][1]) if file.rows is None else file.rows


def _split(files: Sequence[LocalFile], reading: OwnFiles) -> list[LocalFile]:
    """Withholds the last files, about _CHECK_SHARE of them; of a single scene the lower part, with a gap between."""
    if len(files) > 1:
        num_learned = len(files) - max(1, round(_CHECK_SHARE * len(files)))
        return [file if n < num_learned else replace(file, use="check") for n, file in enumerate(files)]
    (file,) = files
    if reading.route == "pairs":
        raise FileError(f"{file.path.name} is the only pair. Give at least two: one is withheld to check the result.")
    if reading.route == "captures":
        return [file]  # a single capture is scored at withheld values of its own
    height = reading.scene(file).image.shape[1]
    gap = min(_GAP, height // 8)
    border = round(height * 0.6)
    return [replace(file, rows=(0, border)), replace(file, use="check", rows=(border + gap, height))]
