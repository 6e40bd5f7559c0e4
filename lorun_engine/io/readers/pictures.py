"""PNG, JPEG and BMP, and those TIFF files whose colours only Pillow converts."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np

from ..sizes import DEFLATED
from .found import FoundArray, PassedOver, Request, calling

_ORIENTATION = 0x0112
_USUAL_GAMMA = 1 / 2.2


def read_picture(request: Request) -> Iterator[FoundArray | PassedOver]:
    """The one picture of a file, (H, W) or (H, W, 3)."""
    from PIL import Image, ImageOps

    path, notes = request.path, []
    Image.MAX_IMAGE_PIXELS = None  # the limit of all files is ours
    with calling(path, "Pillow"):
        picture = Image.open(path, formats=("PNG", "JPEG", "BMP", "TIFF"))
    with picture:
        width, height = picture.size
        claimed = width * height * (len(picture.getbands()) + 3) * (4 if picture.mode in "IF" else 1)
        request.take("", claimed, stored=path.stat().st_size, packed=4 * DEFLATED)
        is_deep = ";16" in str(picture.tile)  # known until the pixels are loaded
        with calling(path, "Pillow"):
            picture.load()
            turned = ImageOps.exif_transpose(picture)
            orientation = picture.getexif().get(_ORIENTATION, 1)
            notes += _about_colours(picture, path.name)
            has_alpha = turned.has_transparency_data
            array = _pixels(turned)
    if orientation != 1:
        notes.append(f"{path.name} was turned as its EXIF orientation says.")
    if picture.mode in ("RGB", "RGBA", "LA") and is_deep:
        notes.append(f"{path.name} has 16 bits, of which its 8 upper ones were read. Save it as TIFF to keep them all.")
    if has_alpha:
        notes.append(f"The transparency of {path.name} was dropped.")
    if array.ndim == 3 and (array == array[..., :1]).all():
        array = array[..., 0]
        notes.append(f"{path.name} is grey throughout; its three equal colours were read as one.")
    yield FoundArray(path, "", array, "YX" if array.ndim == 2 else "YXC", notes=tuple(notes))


def _about_colours(picture: Any, name: str) -> list[str]:
    """What the file says of its colours that is not applied."""
    from PIL import ImageCms

    if picture.mode in ("CMYK", "YCbCr"):
        return [f"The {picture.mode} colours of {name} were converted to RGB."]
    if profile := picture.info.get("icc_profile"):
        try:
            title = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile))).strip()
        except (ImageCms.PyCMSError, OSError):
            title = "an unknown one"
        return [] if "srgb" in title.lower() else [f"The colour profile of {name} ({title[:60]}) was not applied."]
    gamma = picture.info.get("gamma")
    if gamma and "srgb" not in picture.info and abs(gamma - _USUAL_GAMMA) > 0.03:
        return [f"{name} states a gamma of {gamma:g}, which was not applied."]
    return []


def _pixels(picture: Any) -> np.ndarray:
    """(H, W) of a grey picture in its own depth, else (H, W, 3) of 8 bits; palettes are looked up."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return np.asarray(picture)
    palette = np.asarray(picture.getpalette() or [], dtype=np.uint8).reshape(-1, 3)
    is_grey = picture.mode in ("1", "L", "LA") or (picture.mode == "P" and bool((palette == palette[:, :1]).all()))
    return np.asarray(picture.convert("L" if is_grey else "RGB"))
