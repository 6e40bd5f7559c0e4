"""What files say of a guide, the picture that a second camera took of a CASSI scene: its light and its response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..colour import srgb_decode
from ..errors import FileError, GeometryError, by
from ..instrument import RESPONSES, response_of
from .cassi_geometry import Geometry
from .options import OpenOptions
from .resolved import RoleRow, Said
from .spectra import read_library

_USUAL = {1: "grey", 3: "rgb"}  # by the number of channels
_ENCODED = (".png", ".jpg", ".jpeg", ".bmp", ".webp")  # with 8 bits: for people to look at


def with_guide(
    geometry: Geometry,
    given: Mapping[str, RoleRow],
    arrays: dict[str, np.ndarray],
    options: OpenOptions,
    notes: list[str],
) -> Geometry:
    """The instrument with the response of its guide; "guide" (G, H, W), linear, and "response" (G, C) in `arrays`.

    Without a guide a response is left out. Raises a GeometryError where they do not fit the scene.
    """
    if "guide" not in arrays:
        arrays.pop("response", None)
        asked = (options.guide_response, options.guide_shift, options.guide_encoding)
        if any(value is not None for value in asked):
            notes.append("What was said of a guide has no effect: no picture has this role.")
        return geometry
    row, guide = given["guide"], arrays["guide"]
    guide = guide[None] if guide.ndim == 2 else guide
    size = arrays["mask"].shape[-2:]
    if guide.shape[-2:] != size:
        raise GeometryError(
            f"The guide {row.found.path.name} has {by(guide.shape[-2:])} pixels; the scene has {by(size)}. Crop or "
            "resample it to what the mask sees, or leave it out."
        )
    reasons = dict(geometry.reasons)
    encoding, reasons["guide_encoding"] = _encoding(row, options)
    if encoding == "srgb":
        guide = srgb_decode(guide)
        notes.append(f"{row.found.path.name}: taken for sRGB-coded ({reasons['guide_encoding']}), so made linear.")
    named, response, reasons["guide_response"] = _response(len(guide), arrays.get("response"), geometry, options)
    if not (np.isfinite(response).all() and (response.sum(axis=1) > 0).all()):
        raise GeometryError("A channel of the guide sees nothing of these bands. Correct --guide-response.")
    arrays["guide"] = np.ascontiguousarray(guide, dtype=np.float32)
    arrays["response"] = np.ascontiguousarray(response, dtype=np.float32)
    return replace(
        geometry,
        guide_response=named,
        guide_shift=options.guide_shift,
        guide_encoding=encoding,
        guide_is_scaled="task" in row.found.attributes,
        reasons=reasons,
    )


def response_named(name: str, wavelengths_nm: np.ndarray | None) -> np.ndarray:
    """The response (G, C) that RESPONSES or a table of a file gives at the bands; its rows sum to one."""
    if wavelengths_nm is None:
        raise GeometryError(
            "The wavelengths of the bands are not known; the response of a guide needs them. Give --wavelengths."
        )
    if name in RESPONSES:
        return response_of(name, wavelengths_nm)
    if not Path(name).is_file():
        raise FileError(
            f"The response {name!r} is neither one that LoRun knows nor a file. Give {', '.join(RESPONSES)} or a table "
            "with wavelengths in its first column and a channel of the guide in every other."
        )
    found: np.ndarray = np.nan_to_num(read_library(name).at(wavelengths_nm))  # it sees nothing beyond its table
    found /= np.maximum(found.sum(axis=1, keepdims=True), 1e-12)
    return found


def guide_words(said: Said, wavelengths_nm: np.ndarray | None) -> dict[str, Any]:
    """The `guide` or `guide_response` and the `guide_noise` of a camera of scenes, by what was said; nothing without.

    A picture that was named stands for the camera that took it.
    """
    name, noise = said.words.get("guide_camera"), said.words.get("guide_noise")
    response, picture = said.options.guide_response, said.arrays.get("guide")
    named = [value for value in (name, response, picture) if value is not None]
    if noise is not None and (not named or name == "none"):
        raise GeometryError("A noise of the guide was given, but no guide. Give --guide-camera, or leave it out.")
    if not named:
        return {}
    if name is not None and len(named) > 1:
        raise GeometryError(
            "A camera for the guide was named, and a response or a picture of one too. Give one of them."
        )
    words = {} if noise is None else {"guide_noise": float(noise)}
    if picture is not None and response is None:
        channels = 1 if picture.ndim == 2 else len(picture)
        if channels not in _USUAL:
            raise GeometryError(f"The guide has {channels} channels; say what they see with --guide-response.")
        name = _USUAL[channels]
    if response is None:
        return {**words, "guide": "" if name == "none" else name}
    return {**words, "guide_response": response_named(response, wavelengths_nm).astype(np.float32)}


def _encoding(row: RoleRow, options: OpenOptions) -> tuple[str, str]:
    """ "linear" or "srgb", and why."""
    if options.guide_encoding is not None:
        return options.guide_encoding, "as you said"
    if row.found.path.suffix.lower() in _ENCODED and row.found.array.dtype == np.uint8:
        return "srgb", "assumed: pictures of 8 bits mostly are"
    return "linear", "numbers are taken to be proportional to light"


def _response(
    channels: int, stored: np.ndarray | None, geometry: Geometry, options: OpenOptions
) -> tuple[str | None, np.ndarray, str]:
    """The name of the response where it has one, its numbers (G, C), and where they come from."""
    wavelengths_nm = None if geometry.wavelengths_nm is None else np.asarray(geometry.wavelengths_nm)
    if options.guide_response is not None:
        return options.guide_response, response_named(options.guide_response, wavelengths_nm), "as you said"
    if stored is not None:
        return None, stored[None] if stored.ndim == 1 else stored, "stated in the file"
    if channels not in _USUAL:
        raise GeometryError(
            f"The guide has {channels} channels, and no file states what they see. Give --guide-response, a table of a "
            "column for each."
        )
    name = _USUAL[channels]
    return name, response_named(name, wavelengths_nm), f"assumed: the response of a usual camera, {name}"
