"""What files say about their numbers, applied: missing values, gains and offsets, photometric sense, orientation.

Every function returns the array and what is to be said of it, "" for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import FileError

_TURNS = {
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored upside down",
    5: "turned over its diagonal",
    6: "turned by 90 degrees to the right",
    7: "turned over its other diagonal",
    8: "turned by 90 degrees to the left",
}


def without(array: np.ndarray, missing: float, name: str) -> tuple[np.ndarray, str]:
    """The array with NaN where it has the value that stands for no data."""
    is_missing = array == np.asarray(missing).astype(array.dtype) if np.isfinite(missing) else np.zeros(0, bool)
    if not is_missing.any():
        return array, ""
    kind = array.dtype if array.dtype.kind == "f" else np.float32 if array.dtype.itemsize <= 2 else np.float64
    note = f"{int(is_missing.sum())} values of {name} are marked as missing ({missing:g})."
    return np.where(is_missing, np.nan, array).astype(kind), note


def calibrated(
    array: np.ndarray, gains: Sequence[float], offsets: Sequence[float], name: str, *, axis: int = -1
) -> tuple[np.ndarray, str]:
    """gains * array + offsets, one number for all or one for every place along `axis`."""
    if all(gain == 1 for gain in gains) and not any(offsets):
        return array, ""
    numbers = [np.asarray(values, dtype=np.float64) for values in (gains, offsets)]
    for values in numbers:
        if values.size not in (1, array.shape[axis]) or not np.isfinite(values).all():
            raise FileError(
                f"{name} states {values.size} gains or offsets for {array.shape[axis]} bands; one finite number for "
                "every band was expected. Correct the file."
            )
    shape = [1] * array.ndim
    shape[axis] = -1
    gain, offset = (values.reshape(shape) if values.size > 1 else values.ravel()[0] for values in numbers)
    lowest, highest = (f"{value:.4g}" for value in (numbers[0].min(), numbers[0].max()))
    note = f"The values of {name} were multiplied by the gain it states"
    note += f" ({lowest})" if lowest == highest else f" for every band ({lowest} to {highest})"
    note += ", and its offset was added." if numbers[1].any() else "."
    kind = np.float64 if array.dtype.itemsize > 4 else np.float32
    return (array * gain + offset).astype(kind), note


def inverted(array: np.ndarray, name: str, *, highest: int | None = None) -> tuple[np.ndarray, str]:
    """What is stored with white as 0; `highest` is the value of black, else the type's."""
    if array.dtype.kind == "f":
        return array, f"{name} says that 0 is white; real numbers have no darkest value, so they were left as they are."
    said = f"{name} stores white as 0; it was inverted."
    if array.dtype.kind == "b":
        return ~array, said
    whole = np.iinfo(array.dtype)
    if highest is None:
        return np.invert(array) if whole.min == 0 else whole.max + whole.min - array, said
    return np.asarray(highest, array.dtype) - array, said


def turned(array: np.ndarray, orientation: int, name: str, *, rows: int, columns: int) -> tuple[np.ndarray, str]:
    """The image whose first row and column lie where the orientation of TIFF and EXIF (1 to 8) says."""
    if orientation not in _TURNS:
        return array, ""
    if orientation >= 5:
        array = array.swapaxes(rows, columns)
    if orientation in (2, 3, 6, 7):
        array = np.flip(array, columns)
    if orientation in (3, 4, 7, 8):
        array = np.flip(array, rows)
    return np.ascontiguousarray(array), f"{name} was {_TURNS[orientation]}, as its orientation says."
