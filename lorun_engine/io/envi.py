"""The headers of ENVI files as we write them: float32, band after band, the lowest byte first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_envi_header(
    path: Path, fields: Mapping[str, object], *, wavelengths_nm: np.ndarray | None, is_library: bool = False
) -> None:
    """Writes the header of a file of float32 values with `fields` (samples, lines, bands, ...) and its wavelengths."""
    kind = "ENVI Spectral Library" if is_library else "ENVI Standard"
    header = {"file type": kind, "header offset": 0, "data type": 4, "interleave": "bsq", "byte order": 0, **fields}
    if wavelengths_nm is not None:
        header |= {"wavelength units": "Nanometers", "wavelength": [f"{value:.10g}" for value in wavelengths_nm]}
    lines = [f"{name} = {_value(name, value)}" for name, value in header.items()]
    path.write_text("\n".join(("ENVI", *lines, "")), encoding="utf-8")


def _value(name: str, value: object) -> str:
    """A field as it stands in a header: lists and the description between braces."""
    if isinstance(value, list):
        return "{ " + " , ".join(map(str, value)) + " }"
    return f"{{{value}}}" if name == "description" else str(value)


def plain(text: str) -> str:
    """`text` without what has a meaning in a header."""
    return text.translate({ord("{"): "(", ord("}"): ")", ord(","): " ", ord("\n"): " ", ord("\r"): " "})
