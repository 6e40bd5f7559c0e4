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
    from lorun_engine.decoding.restore import StageResult

LIMIT_BYTES = 768 << 20


class StageStore:
    """Stages in the order in which they were computed; index 0 is the initial estimate."""

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._reset()

    def __len__(self) -> int:
        with self._lock:
            return len(self._rows)

    def append(self, result: StageResult) -> int:
        """Keeps `result` and returns its index. Raises FileError when the disk has no room for it."""
        with self._lock:
            before = self._images[-1] if self._images else None
        change = None if before is None else mean_change(result.image, before)
        image, seen = _copy(result.image), None if result.denoiser_input is None else _copy(result.denoiser_input)
        with self._lock:
            self._images.append(self._kept(image))
            self._inputs.append(None if seen is None else self._kept(seen))
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

    def clear(self) -> None:
        """Forgets all stages and gives their memory and disk space back. Arrays handed out stay readable."""
        with self._lock:
            self._reset()

    def close(self) -> None:
        """As `clear`: nothing is left on the disk."""
        self.clear()

    @property
    def num_bytes(self) -> int:
        """What the cubes take in memory; those on the disk take none."""
        with self._lock:
            return self._num_bytes

    @property
    def is_spilled(self) -> bool:
        """Whether some stages lie on the disk."""
        return self._file is not None

    def _reset(self) -> None:
        self._rows: list[StageResult] = []
        self._images: list[np.ndarray] = []
        self._inputs: list[np.ndarray | None] = []
        self._changes: list[np.ndarray | None] = []
        self._num_bytes = 0
        if self._file is not None:
            self._file.close()  # an unnamed temporary file: closing removes it
        self._file = None

    def _kept(self, image: np.ndarray) -> np.ndarray:
        """`image` in memory while there is room, else mapped from the disk; read-only."""
        if self._num_bytes + image.nbytes > self._limit_bytes:
            return self._spilled(image)
        self._num_bytes += image.nbytes
        image.flags.writeable = False
        return image

    def _spilled(self, image: np.ndarray) -> np.ndarray:
        """`image` written to the end of the temporary file and mapped from there."""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="lorun-stages-")
            offset = self._file.seek(0, 2)
            image.tofile(self._file)
            self._file.flush()
            return np.memmap(self._file, dtype=np.float32, mode="r", offset=offset, shape=image.shape)
        except OSError as error:
            raise FileError(
                f"The stages no longer fit into memory and the temporary folder {tempfile.gettempdir()} took no more "
                f"({error.strerror or error}). Free disk space there or decode fewer stages."
            ) from error


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
