"""The headers of ENVI files as we write them: float32, band after band, the lowest byte first."""

from __future__ import annotations

import locale
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_envi_header(
    path: Path, fields: Mapping[str, object], *, wavelengths_nm: np.ndarray | None, is_library: bool = False
) -> None:
    """Writes the header of a file of float32 values with `fields` (samples, lines, bands, ...) and its wavelengths."""
    from spectral.io import envi

    header = {"header offset": 0, "data type": 4, "interleave": "bsq", "byte order": 0, **fields}
    if wavelengths_nm is not None:
        header |= {"wavelength units": "Nanometers", "wavelength": [f"{value:.10g}" for value in wavelengths_nm]}
    envi.write_envi_header(str(path), header, is_library=is_library)


def plain(text: str) -> str:
    """`text` without what has a meaning in a header, and without letters that its encoding, the system's, lacks."""
    text = text.translate({ord("{"): "(", ord("}"): ")", ord(","): " ", ord("\n"): " "})
    encoding = locale.getencoding()
    return text.encode(encoding, "replace").decode(encoding)
