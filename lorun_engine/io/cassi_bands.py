"""The bands of a CASSI instrument: their centres by what users and files say, in the order of rising wavelengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import FileError, GeometryError
from ..measurement import require_rising
from .cassi_geometry import Geometry, rising
from .options import OpenOptions
from .readers import as_nanometres, read_wavelengths
from .resolved import RoleRow
from .wavelengths import WAVELENGTHS

USUAL_LISTS = {28: "cassi-28", 24: "smem-24", 31: "cave-31"}


def named_wavelengths(name: str) -> np.ndarray:
    """The band centres in nm of a list in WAVELENGTHS or of a file."""
    if name in WAVELENGTHS:
        return np.asarray(WAVELENGTHS[name])
    if not Path(name).exists():
        raise FileError(
            f"The wavelengths {name!r} are neither a list that LoRun knows nor a file. "
            f"Give {', '.join(WAVELENGTHS)} or a file with one number per band."
        )
    return read_wavelengths(name)


def with_wavelengths(
    geometry: Geometry, given: Mapping[str, RoleRow], options: OpenOptions, hints: Geometry | None, notes: list[str]
) -> Geometry:
    """The band centres: the user's, the file's, the hints', else the list in circulation with that many bands."""
    num_bands = geometry.num_bands
    of_scene = _own_list("reference", given)
    stated = _stated_lists(given)
    if of_scene is not None:  # the order of a scene from elsewhere says nothing of the instrument's
        stated.append(np.sort(of_scene))
    wavelengths_nm: Sequence[float] | np.ndarray
    if options.wavelengths is not None:
        wavelengths_nm, reason = named_wavelengths(options.wavelengths), "as you said"
    elif stated:
        wavelengths_nm, reason = stated[0], "stated in the file"
    elif hints is not None and hints.wavelengths_nm is not None and len(hints.wavelengths_nm) == num_bands:
        wavelengths_nm, reason = hints.wavelengths_nm, "known of this instrument"
    elif num_bands is not None and num_bands in USUAL_LISTS:
        name = USUAL_LISTS[num_bands]
        wavelengths_nm, reason = WAVELENGTHS[name], f"assumed: the list {name}, the usual one for {num_bands} bands"
        notes.append(
            f"The files state no wavelengths; the list {name} ({wavelengths_nm[0]:g} to {wavelengths_nm[-1]:g} nm) was "
            "assumed."
        )
    else:
        notes.append(f"The wavelengths of the {num_bands} bands are not known; give a list to see colours.")
        reasons = {**geometry.reasons, "wavelengths_nm": "not known: no file states them"}
        return replace(geometry, wavelengths_nm=None, reasons=reasons)
    if len(wavelengths_nm) != num_bands:
        raise GeometryError(
            f"{len(wavelengths_nm)} wavelengths were found ({reason}) for {num_bands} bands. "
            "Give one wavelength per band."
        )
    return replace(
        geometry,
        wavelengths_nm=tuple(float(value) for value in wavelengths_nm),
        reasons={**geometry.reasons, "wavelengths_nm": reason},
    )


def in_rising_order(
    geometry: Geometry, given: Mapping[str, RoleRow], arrays: dict[str, np.ndarray], notes: list[str]
) -> Geometry:
    """The instrument with its bands in the order of rising wavelengths; its cubes in `arrays` are turned round."""
    geometry, is_turned = rising(geometry)
    if is_turned:
        notes.append(
            "The wavelengths are listed from long to short; the bands were turned round, and with them the direction "
            f"of the dispersion, which is {geometry.direction} for bands of rising wavelengths."
        )
    for role in ("mask", "reference"):
        if role not in arrays or arrays[role].ndim != 3:
            continue
        own = _own_list(role, given)
        if own is not None and len(own) == len(arrays[role]):
            arrays[role] = np.ascontiguousarray(arrays[role][np.argsort(own, kind="stable")])
        elif is_turned:
            arrays[role] = np.ascontiguousarray(arrays[role][::-1])
    if is_turned and "response" in arrays:
        arrays["response"] = np.ascontiguousarray(arrays["response"][..., ::-1])
    if geometry.wavelengths_nm is not None:
        require_rising(np.asarray(geometry.wavelengths_nm), "snapshot")
    return geometry


def _stated_lists(given: Mapping[str, RoleRow]) -> list[np.ndarray]:
    """What files list of the instrument's bands by their numbers: that of the snapshot first."""
    scene = given.get("reference")
    of_scene = None if scene is None or scene.found.path == given["measurement"].found.path else scene.found.path
    rows = [row for row in map(given.get, ("measurement", "mask", "reference")) if row and row.found.path != of_scene]
    lists = [row.found.attributes.get("wavelengths_nm") for row in rows]
    if "wavelengths" in given and given["wavelengths"].found.path != of_scene:
        lists.append(given["wavelengths"].found.array)
    return [as_nanometres(values) for values in lists if values is not None]


def _own_list(role: str, given: Mapping[str, RoleRow]) -> np.ndarray | None:
    """The band centres, in the order of its bands, that an array in another file than the snapshot's has of its own."""
    row, listed = given.get(role), given.get("wavelengths")
    if row is None or row.found.path == given["measurement"].found.path:
        return None
    values = row.found.attributes.get("wavelengths_nm")
    if values is None and listed is not None and listed.found.path == row.found.path:
        values = listed.found.array
    return None if values is None else as_nanometres(values)
