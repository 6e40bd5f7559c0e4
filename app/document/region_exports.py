"""What was measured in points, regions and zoom boxes, as files: CSV tables and ENVI spectral libraries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lorun_engine.io import write_spectra_csv, write_table
from lorun_engine.io.spectra import write_library

from .. import render
from .region import Region


def where(region: Region, *, side: int) -> str:
    """As "x 4 y 3", or the first and the last pixel of the box around it; points may be means."""
    (y0, x0, y1, x1), is_point = region.bounds, region.shape == "point"
    if is_point:
        return f"x {x0:g} y {y0:g}" + (f" mean of {side} x {side}" if side > 1 else "")
    return f"x {x0:g} to {x1 - 1:g} y {y0:g} to {y1 - 1:g}"


def score_box(image: np.ndarray, reference: np.ndarray, *, task: str) -> dict[str, float]:
    """PSNR and SSIM of a part of a photograph, by the protocol of its task."""
    from lorun_engine.decoding.metrics import score

    return {name: value for name, value in score(image, reference, task).items() if name in ("psnr", "ssim")}


def write_curves(
    path: Path,
    images: dict[str, np.ndarray],
    *,
    regions: tuple[Region, ...],
    side: int,
    of: Mapping[str, str],
    wavelengths_nm: np.ndarray | None,
    protected: Sequence[Path],
) -> None:
    """Writes the mean of every region in every image, with deviation and count as CSV, or as an ENVI library.

    `images` are by what follows the region's name, and `of` says what they are; points are means over `side` x `side`
    pixels.
    """
    means: dict[str, list[float]] = {}
    columns: dict[str, list[float]] = {}
    for region in regions:
        for end, image in images.items():
            (rows, bands_columns), is_inside = region.pixels(image.shape[1:], side=side)
            mean, std, num_pixels = render.statistics(image[:, rows, bands_columns], is_inside)
            name = f"{region.number} {region.shape}{end} ({where(region, side=side)}){of[end]}"
            means[name] = columns[f"{name} mean"] = mean.tolist()
            columns[f"{name} std"] = std.tolist()
            columns[f"{name} n"] = len(mean) * [float(num_pixels)]
    if path.suffix.lower() in (".sli", ".hdr"):
        write_library(path, wavelengths_nm, means, protected=protected)
    else:
        write_spectra_csv(path, wavelengths_nm, columns, protected=protected)


def write_figures(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    reference: np.ndarray | None,
    boxes: Sequence[Region],
    task: str,
    step_name: str,
    protected: Sequence[Path],
) -> None:
    """Writes PSNR and SSIM of every image, a stage each, in every box: one line for each of them.

    `step_name` is what the decoder calls a stage.
    """
    titles = ["box", "x", "y", "width", "height", step_name, "psnr_db", "ssim"]
    write_table(path, titles, _scored(images, reference, boxes, task), protected=protected)


def _scored(
    images: Sequence[np.ndarray], reference: np.ndarray | None, boxes: Sequence[Region], task: str
) -> Iterator[list[str | float]]:
    """A line of the table for every box and image."""
    for box in boxes:
        for index, image in enumerate(images):
            (rows, columns), _ = box.pixels(image.shape[1:])
            part = (slice(None), rows, columns)
            figures = {} if reference is None else score_box(image[part], reference[part], task=task)
            place = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
            yield [box.number, *place, index, figures.get("psnr", ""), figures.get("ssim", "")]
