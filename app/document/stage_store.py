"""The decoded stages of one restoration, on the host: the only place in the window that holds cubes.

The worker appends, the viewers read by index. Cubes above a byte limit live in a memory-mapped temporary file, so that
60 stages of 28 x 660 x 660 (2.9 GB), or nine of them with what their denoiser saw, do not fill the memory of a laptop.
"""

from __future__ import annotations

import tempfile
import threading
from typing import IO, TYPE_CHECKING

import numpy as np

from lorun_engine.errors import FileError

if TYPE_CHECKING:
    from lorun_engine.decoding.report import MadeBy
    from lorun_engine.decoding.restore import StageResult

LIMIT_BYTES = 768 << 20


class StageStore:
    """Stages in the order in which they were computed; index 0 is the initial estimate.

    One thread appends, any thread reads; the lock is held for as long as a list is looked at, never for a cube.
    """

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self.is_kept = False  # by the shelf, which closes it then
        self._lock = threading.Lock()
        self._is_closed = False
        self._spill: _Spill | None = None
        self.made_by: MadeBy | None = None  # what is known of the decoder, once it was opened
        self._reset()

    def __len__(self) -> int:
        with self._lock:
            return len(self._rows)

    def append(self, result: StageResult) -> int:
        """Keeps `result` and returns its index. Raises FileError when the disk has no room for it.

        A closed store takes nothing more: what a cancelled decode still brings is dropped.
        """
        with self._lock:
            before = self._images[-1] if self._images else None
        change = None if before is None else mean_change(result.image, before)
        image = self._kept(_copy(result.image))
        seen = None if result.denoiser_input is None else self._kept(_copy(result.denoiser_input))
        light = None if result.light is None else self._kept(_copy(result.light))
        with self._lock:
            if not self._is_closed:
                self._images.append(image)
                self._inputs.append(seen)
                self._lights.append(light)
                self._changes.append(change)
                self._rows.append(result.without_images())
            return len(self._rows) - 1

    def image(self, index: int) -> np.ndarray:
        """(C, H, W) float32, read-only; in memory or mapped from the disk."""
        with self._lock:
            return self._images[index]

    def denoiser_input(self, index: int) -> np.ndarray | None:
        """(C, H, W) of what the denoiser of a stage saw, read-only; None where that was not kept."""
        with self._lock:
            return self._inputs[index]

    def light(self, index: int) -> np.ndarray | None:
        """(1, H, W) of the light that the image of a stage was relit by, read-only; None where none was sought."""
        with self._lock:
            return self._lights[index]

    def change(self, index: int) -> np.ndarray | None:
        """(H, W): the mean over bands of |x_k - x_(k-1)|; None for the first image, which changed nothing."""
        with self._lock:
            return self._changes[index]

    def row(self, index: int) -> StageResult:
        """Everything about a stage but its arrays."""
        with self._lock:
            return self._rows[index]

    def rows(self) -> list[StageResult]:
        """The rows of all stages, oldest first."""
        with self._lock:
            return list(self._rows)

    def close(self) -> None:
        """Forgets all stages and gives their memory and disk space back. Arrays handed out stay readable."""
        with self._lock:
            self._is_closed, spill, self._spill = True, self._spill, None
            self._reset()
        if spill is not None:
            spill.close()

    def move_to_disk(self) -> None:
        """Writes what lies in memory to the disk; arrays handed out stay. Raises FileError where that has no room."""
        with self._lock:
            places = [(held, n) for held in (self._images, self._inputs, self._lights) for n in range(len(held))]
            is_closed = self._is_closed
        for held, n in () if is_closed else places:
            image = held[n]
            if image is None or isinstance(image.base, np.memmap):
                continue
            moved = self._written(image)
            with self._lock:
                if self._is_closed:
                    return
                held[n] = moved
                self._num_bytes -= image.nbytes

    @property
    def num_disk_bytes(self) -> int:
        """What the cubes take on the disk."""
        spill = self._spill
        return 0 if spill is None else spill.num_bytes

    @property
    def num_bytes(self) -> int:
        """What the cubes take in memory; those on the disk take none."""
        with self._lock:
            return self._num_bytes

    @property
    def is_spilled(self) -> bool:
        """Whether some stages lie on the disk."""
        return self._spill is not None

    def _reset(self) -> None:
        self._rows: list[StageResult] = []
        self._images: list[np.ndarray] = []
        self._inputs: list[np.ndarray | None] = []
        self._lights: list[np.ndarray | None] = []
        self._changes: list[np.ndarray | None] = []
        self._num_bytes = 0

    def _kept(self, image: np.ndarray) -> np.ndarray:
        """`image` in memory while there is room, else mapped from the disk; read-only."""
        with self._lock:
            is_small = self._is_closed or self._num_bytes + image.nbytes <= self._limit_bytes
            if is_small and not self._is_closed:
                self._num_bytes += image.nbytes
        if is_small:
            image.flags.writeable = False
            return image
        return self._written(image)

    def _written(self, image: np.ndarray) -> np.ndarray:
        """`image` from the disk, read-only."""
        try:
            return self._opened_spill().write(image)
        except OSError as error:
            raise FileError(
                f"The images no longer fit into memory and the temporary folder {tempfile.gettempdir()} took no more "
                f"({error.strerror or error}). Free disk space there or decode in fewer steps."
            ) from error

    def _opened_spill(self) -> _Spill:
        """The file of this store; one of its own for the last stage of a store that was closed just now."""
        with self._lock:
            if self._spill is not None:
                return self._spill
            spill = _Spill()
            if self._is_closed:
                spill.close()
            else:
                self._spill = spill
            return spill


class _Spill:
    """Cubes one after another in one unnamed temporary file, which goes when it is closed.

    A map keeps a descriptor of its own, and a process has few: the file is mapped in parts that double, so that their
    number grows with the logarithm of what is kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="lorun-stages-")  # noqa: SIM115 - closed by `close`
        self._is_writing = self._is_closed = False
        self._part = np.empty(0, np.uint8)  # the newest part of the file that is mapped
        self._start = self._used = 0  # bytes before that part, and that are taken of it

    @property
    def num_bytes(self) -> int:
        """What is used of the file."""
        return self._start + self._used

    def write(self, image: np.ndarray) -> np.ndarray:
        """`image` from the file, read-only. Raises OSError where the disk has no room."""
        with self._lock:
            if self._is_closed:
                return image
            self._is_writing = True
        try:
            if self._used + image.nbytes > len(self._part):
                self._map_more(image.nbytes)
            self._file.seek(self._start + self._used)
            self._file.write(image.data.cast("B"))
            self._file.flush()
            place = self._part[self._used : self._used + image.nbytes]
            self._used += image.nbytes
            return place.view(np.float32).reshape(image.shape)
        finally:
            with self._lock:
                self._is_writing = False
                if self._is_closed:
                    self._file.close()

    def close(self) -> None:
        """Closes the file, or lets a write that is under way in another thread close it at its end."""
        with self._lock:
            self._is_closed = True
            if not self._is_writing:
                self._file.close()

    def _map_more(self, least: int) -> None:
        """Maps a part behind what is used: as large as all before it, or where the disk has less room, of `least`."""
        start = self._start + self._used
        for size in (max(least, start), least):
            try:
                self._file.truncate(start + size)
                self._part = np.memmap(self._file, dtype=np.uint8, mode="r", offset=start, shape=(size,))
                break
            except OSError:
                if size == least:
                    raise
        self._start, self._used = start, 0


def _copy(image: np.ndarray) -> np.ndarray:
    """A copy of our own, into which nobody else may write."""
    return np.array(image, dtype=np.float32, order="C")


def mean_change(image: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(H, W) float32: the mean over bands of the absolute difference of two (C, H, W), band by band to save memory."""
    total = np.zeros(image.shape[1:], np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity stay what they are
        for band, band_before in zip(image, before, strict=True):
            total += np.abs(band - band_before)
    total /= len(image)
    total.flags.writeable = False
    return total
