"""The decoded stages of one restoration, on the host: the only place in the window that holds cubes.

The worker appends, the viewers read by index. Cubes above a byte limit live in a memory-mapped temporary file, so that
60 stages of 28 x 660 x 660 (2.9 GB) do not fill the memory of a laptop.
"""

from __future__ import annotations

import tempfile
import threading
from typing import TYPE_CHECKING

import numpy as np

from lorun_engine.errors import FileError

if TYPE_CHECKING:
    from lorun_engine.restore import StageResult

LIMIT_BYTES = 1 << 30


class StageStore:
    """Stages in the order in which they were computed; index 0 is the initial estimate."""

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._file = None
        self._reset()

    def __len__(self) -> int:
        with self._lock:
            return len(self._rows)

    def append(self, result: StageResult) -> int:
        """Keeps `result` and returns its index. Raises FileError when the disk has no room for it."""
        image = np.array(result.image, dtype=np.float32, order="C")  # our own copy: nobody else may write into it
        with self._lock:
            if self._num_bytes + image.nbytes > self._limit_bytes:
                image = self._spilled(image)
            else:
                self._num_bytes += image.nbytes
                image.flags.writeable = False
            self._images.append(image)
            self._rows.append(result.without_images())
            return len(self._rows) - 1

    def image(self, index: int) -> np.ndarray:
        """(C, H, W) float32, read-only; in memory or mapped from the disk."""
        with self._lock:
            return self._images[index]

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
    def is_spilled(self) -> bool:
        """Whether some stages lie on the disk."""
        return self._file is not None

    def _reset(self) -> None:
        self._rows: list[StageResult] = []
        self._images: list[np.ndarray] = []
        self._num_bytes = 0
        if self._file is not None:
            self._file.close()  # an unnamed temporary file: closing removes it
        self._file = None

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
