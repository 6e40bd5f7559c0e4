"""What compressive-sensing files mean: samples with their matrix, and in which order pixels and blocks were numbered.

Loads no torch until a measurement is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import GeometryError, by
from ..measurement import Measurement
from .options import INPUT_SCALE, INTEGER_SCALE, KEY, OpenOptions, Option, numbers
from .readers import FoundArray
from .resolved import Resolved, RoleRow, Said, require_numbers, stated_input_scale

if TYPE_CHECKING:
    from ..tasks.camera import Camera
    from ..tasks.cs import CsPhysics

ROLES: Mapping[str, tuple[str, ...]] = {
    "measurement": ("measurement", "y", "meas", "samples", "measurements"),
    "sampling": ("sampling", "phi", "sampling_matrix", "a", "r", "matrix"),
    "reference": ("reference", "img", "image", "orig", "truth", "gt", "label"),
}
NUM_AXES: Mapping[str, tuple[int, ...]] = {"measurement": (1, 2, 3), "sampling": (2,), "reference": (2, 3)}
FILE_WORDS: Mapping[str, tuple[str, ...]] = {
    "sampling": ("phi", "sampling", "matrix", "r_32", "r_33"),
    "measurement": ("meas", "sample"),
}
AXES: Mapping[str, str] = {"measurement": "CYX"}
COMPANIONS: Mapping[str, str] = {"sampling": "the sampling matrix, M x N"}
_ORDERS = (("row by row", "row"), ("column by column", "column"))
OPTIONS = (
    Option(
        "image_size", "--image-size", numbers("HxW", 2, separator="x"), "Image size (px)",
        "pixels of the sampled image", "HxW",
        example="height, width", written=lambda size: "x".join(map(str, size)),
    ),
    Option(
        "pixel_order", "--pixel-order", str, "Pixels within a block", "how the pixels of a block are numbered",
        choices=_ORDERS,
    ),
    Option(
        "block_order", "--block-order", str, "Order of the blocks", "how the blocks are numbered", choices=_ORDERS
    ),
    *(INPUT_SCALE, INTEGER_SCALE, KEY),
)  # fmt: skip
CHANGES = (
    Option(
        "ratio", "--ratio", float, "A new random matrix, ratio", "a new sampling matrix of this ratio", "PERCENT",
        of_scenes=True, unit=" %", least=0.2, usual=25,
    ),
)  # fmt: skip
OF_CAMERA = ("ratio",)
ORDERS = ("row", "column")
_MOST_SOLUTIONS = 6  # image sizes named in a sentence
_ALIKE = 1e-3  # relative difference of two roughnesses that says nothing
_CLOSE = 0.1  # one that says little: from 4 % on, the true orders of nearly every photograph tried win by more
_MOST_WAVES = 64  # that a block is fitted with where orders are compared


@dataclass(frozen=True)
class CsGeometry:
    """How an image was sampled. `reasons` says where each value comes from.

    `pixel_order` says how the pixels of a block are numbered in the matrix, `block_order` how the blocks are in the
    samples: row by row or column by column.
    """

    num_samples: int
    block_size: int
    image_size: tuple[int, int]
    pixel_order: str
    block_order: str
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)


GEOMETRY = CsGeometry


def claims(found: Sequence[FoundArray], options: OpenOptions) -> bool:
    """Where a matrix, or the size of an image that was sampled, is among what is known."""
    said = {role for _, role in options.roles}
    return "sampling" in said or options.image_size is not None or any(map(_is_sampling_matrix, found))


def prepared(arrays: Mapping[str, np.ndarray], options: OpenOptions) -> dict[str, np.ndarray]:
    """The arrays with the matrix lying down: one row a sample."""
    arrays = dict(arrays)
    matrix = arrays.get("sampling")
    if matrix is not None and matrix.ndim == 2 and matrix.shape[0] > matrix.shape[1]:
        arrays["sampling"] = np.ascontiguousarray(matrix.T)
    return arrays


def by_shape(
    found: Sequence[FoundArray], free: Sequence[int], taken: Mapping[str, tuple[int, ...]]
) -> list[tuple[int, str, str]]:
    """(number, role, reason): a matrix with a square number of columns samples; what has its rows is the samples."""
    shapes = [tuple(length for length in entry.array.shape if length > 1) for entry in found]
    given: list[tuple[int, str, str]] = []
    matrix = taken.get("sampling")
    for number in free:
        if matrix is None and _is_matrix(shapes[number]):
            matrix = shapes[number]
            given.append((number, "sampling", "a matrix with as many columns as a block has pixels"))
    if "measurement" not in taken and matrix is not None:
        rest = [n for n in free if n not in [number for number, _, _ in given]]
        fitting = [n for n in rest if min(matrix) in shapes[n]]
        reason = "as many rows as the sampling matrix" if fitting else "what lies beside the sampling matrix"
        for number in (fitting or rest)[:1]:
            given.append((number, "measurement", reason))
    return given


def resolve(rows: Sequence[RoleRow], arrays: Mapping[str, np.ndarray], options: OpenOptions, hints: None) -> Resolved:
    """Block size, image size and orders of the files, with samples (M, h, w) and a matrix whose blocks go row by row.

    Orders that nobody states are tried; those whose smooth pseudo-inverse breaks least at block borders are taken.
    Raises a GeometryError that says what is amiss.
    """
    arrays, notes = dict(arrays), []
    given = {row.role: row for row in rows if row.role}
    _require_both(given, arrays)
    require_numbers(given, arrays)
    matrix, reasons = arrays["sampling"], {}
    if given["sampling"].shape != matrix.shape:
        notes.append(f"The sampling matrix is stored as {by(given['sampling'].shape)}; it was transposed.")
    num_samples, num_pixels = matrix.shape
    block_size = math.isqrt(num_pixels)
    reasons["block_size"] = f"the matrix has {num_pixels} columns"
    attributes = given["measurement"].found.attributes
    samples, axis_notes = _samples(given["measurement"], arrays["measurement"], matrix)  # (M, blocks) or (M, h, w)
    notes += axis_notes
    image_size, reasons["image_size"] = _image_size(samples, block_size, attributes, options, arrays.get("reference"))
    blocks = (math.ceil(image_size[0] / block_size), math.ceil(image_size[1] / block_size))
    if samples.ndim == 3 and samples.shape[1:] != blocks:
        raise GeometryError(
            f"The samples are of {by(samples.shape[1:])} blocks; an image of {by(image_size)} pixels has {by(blocks)} "
            f"blocks of {block_size} x {block_size}. Correct the image size."
        )
    orders, reasons["pixel_order"], reasons["block_order"] = _orders(
        samples, matrix, blocks, block_size, attributes, options
    )
    pixel_order, block_order = orders
    arrays["sampling"] = reordered_matrix(matrix, pixel_order)
    arrays["measurement"] = placed(samples, blocks, block_order)
    if "reference" in arrays:
        arrays["reference"] = _reference(given["reference"], arrays["reference"], image_size)
    geometry = CsGeometry(num_samples, block_size, image_size, pixel_order, block_order, reasons)
    scale = stated_input_scale(given["measurement"], options)
    return Resolved(arrays, geometry, 1.0 if scale is None else scale, tuple(notes))


def measurement(
    arrays: Mapping[str, np.ndarray],
    geometry: CsGeometry,
    *,
    path: Path,
    input_scale: float | None,
    notes: tuple[str, ...],
) -> Measurement:
    """The Measurement of resolved arrays: y (M, h, w) with its operator."""
    import torch

    from ..tasks.cs import CsPhysics

    return Measurement(
        task="cs",
        y=arrays["measurement"],
        physics=CsPhysics(torch.from_numpy(arrays["sampling"]), geometry.image_size),
        reference=arrays.get("reference"),
        input_scale=input_scale,
        path=path,
        notes=notes,
    )


def told(geometry: CsGeometry, measurement: Measurement) -> CsGeometry:
    """The geometry as it is."""
    return geometry


def cameras(said: Said) -> Mapping[str, Camera]:
    """One camera, with the matrix that was named; else with the set's own, or a new one of the ratio.

    A set that adapts learns its matrix unless one was named.
    """
    from ..tasks.cs import CsCamera, cosine_sampling, random_sampling

    named, own = said.arrays.get("sampling"), said.sampling
    if said.ratio is not None and (named is not None or (own is not None and not said.adapts)):
        raise GeometryError("--ratio makes a new matrix, and there is one already. Leave --ratio out.")
    if named is not None:
        return {"": CsCamera(said.noise, sampling=named)}
    if said.adapts and said.ratio is not None:
        own = cosine_sampling(said.ratio, block_size=int(said.task_config.get("block_size", 32)))
    elif own is None and said.ratio is not None:
        own = random_sampling(said.ratio, seed=said.seed)
    return {"": CsCamera(said.noise, sampling=own, learns_sampling=said.adapts)}


def described(geometry: CsGeometry) -> str:
    """As "102 of 1024 samples (10 %) · blocks 32 × 32 · 256 × 256 px"."""
    num_pixels = geometry.block_size**2
    ratio = 100 * geometry.num_samples / num_pixels
    height, width = geometry.image_size
    return (
        f"{geometry.num_samples} samples of {num_pixels} pixels ({ratio:.3g} %)  ·  blocks {geometry.block_size} × "
        f"{geometry.block_size}  ·  {height} × {width} px"
    )


def stored(measurement: Measurement) -> tuple[list[tuple[str, np.ndarray, str]], dict[str, Any]]:
    """What belongs into a measurement file beside y: the matrix, and the attributes."""
    physics = cast("CsPhysics", measurement.physics)
    _, height, width = physics.scene_shape
    attributes = {
        "block_size": physics.block_size,
        "image_height": height,
        "image_width": width,
        "pixel_order": "row",
        "block_order": "row",
    }
    return [("sampling", physics.sampling.detach().cpu().numpy(), "YX")], attributes


# ---- what the files hold -----------------------------------------------------------------------------------------


def _is_sampling_matrix(entry: FoundArray) -> bool:
    """Whether an array is called a sampling matrix and has fewer rows than the square number of its columns."""
    rows, columns = sorted(entry.array.shape) if entry.array.ndim == 2 else (0, 0)
    name = entry.key.lower() or entry.path.stem.lower()
    named = name.startswith(("phi", "sampling", "r_")) or (entry.key and name in ("a", "matrix"))
    return bool(named) and 0 < rows < columns and math.isqrt(columns) ** 2 == columns


def _is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether the longer side is a square number of at least 64."""
    return len(shape) == 2 and max(shape) >= 64 and math.isqrt(max(shape)) ** 2 == max(shape) and shape[0] != shape[1]


def _require_both(given: Mapping[str, RoleRow], arrays: Mapping[str, np.ndarray]) -> None:
    if "measurement" not in given:
        raise GeometryError("No samples were found among the opened files. Add the file with the samples.")
    if "sampling" not in given:
        raise GeometryError(
            f"{given['measurement'].found.path.name} holds samples; they cannot be decoded without the matrix that "
            "took them. Add the file with the sampling matrix."
        )
    num_rows, num_columns = arrays["sampling"].shape
    if math.isqrt(num_columns) ** 2 != num_columns:
        raise GeometryError(
            f"The sampling matrix {given['sampling'].found.path.name} is {num_rows} x {num_columns}; as many columns "
            "as a square block has pixels (1024, 1089) were expected. Choose another matrix."
        )
    for role in ("measurement", "sampling"):
        if not arrays[role].any():
            raise GeometryError(
                f"Every value of the {role} {given[role].found.path.name} is zero. Choose another file."
            )


def _samples(row: RoleRow, array: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The samples with their axis first, (M, blocks) or (M, h, w), and what was assumed."""
    array, notes = np.atleast_1d(array.squeeze()), []
    axes = [axis for axis, length in enumerate(array.shape) if length == len(matrix)]
    if not axes:
        raise GeometryError(
            f"The samples {row.found.path.name} have the shape {by(row.shape)}; an axis of {len(matrix)}, the rows of "
            "the matrix, was expected. Choose the matrix of these samples."
        )
    axis = axes[0]
    if len(axes) > 1 and "task" not in row.found.attributes:  # no file of ours: as many blocks as samples of a block
        axis = max(axes, key=lambda axis: _flat_energy(array, axis, matrix))
        notes = [f"The samples {row.found.path.name} are {by(row.shape)}; axis {axis + 1} fits the matrix best."]
    array = np.moveaxis(array, axis, 0)
    return (array[:, None] if array.ndim == 1 else array), notes


def _flat_energy(array: np.ndarray, axis: int, matrix: np.ndarray) -> float:
    """What flat blocks explain of the samples along an axis; most of an image, in whatever order its pixels are."""
    return float(np.square(np.tensordot(matrix.sum(axis=1), array, axes=(0, axis))).sum())


def _image_size(
    samples: np.ndarray,
    block_size: int,
    attributes: Mapping[str, Any],
    options: OpenOptions,
    reference: np.ndarray | None,
) -> tuple[tuple[int, int], str]:
    """(height, width) and its reason: the user's, the file's, the reference's, else what the blocks form."""
    num_blocks = int(np.prod(samples.shape[1:]))
    size, reason = options.image_size, "as you said"
    if size is None and {"image_height", "image_width"} <= attributes.keys():
        size, reason = _stated_size(attributes), "stated in the file"
    if size is None and reference is not None:
        size, reason = tuple(reference.shape[-2:]), "the reference has it"
    if size is not None:
        if math.prod(math.ceil(side / block_size) for side in size) != num_blocks or min(size) < 1:
            raise GeometryError(
                f"The samples are of {num_blocks} blocks; an image of {by(size)} pixels ({reason}) does not have so "
                f"many of {block_size} x {block_size}. Correct the image size."
            )
        return size, reason
    if samples.ndim == 3:
        size = tuple(count * block_size for count in samples.shape[1:])
        return size, "assumed: whole blocks as the samples are arranged"
    sides = [(rows, num_blocks // rows) for rows in range(1, num_blocks + 1) if num_blocks % rows == 0]
    square = [pair for pair in sides if pair[0] == pair[1]]
    if len(sides) > 1 and not square:
        sides.sort(key=lambda pair: abs(pair[0] - pair[1]))
        listed = ", ".join(f"{rows * block_size}x{columns * block_size}" for rows, columns in sides[:_MOST_SOLUTIONS])
        raise GeometryError(
            f"{num_blocks} blocks of {block_size} x {block_size} form several images: {listed}. Give the image size."
        )
    rows, columns = (square or sides)[0]
    return (rows * block_size, columns * block_size), "assumed: the square image of so many blocks"


def _stated_size(attributes: Mapping[str, Any]) -> tuple[int, int]:
    sides = [attributes[name] for name in ("image_height", "image_width")]
    if not all(isinstance(side, int | float) and float(side).is_integer() for side in sides):
        raise GeometryError(
            f"The file of the samples states {sides[0]!r} and {sides[1]!r} as height and width of the image; whole "
            "numbers were expected. Give the image size."
        )
    return int(sides[0]), int(sides[1])


def _reference(row: RoleRow, reference: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    reference = reference[None] if reference.ndim == 2 else reference
    if reference.shape != (1, *image_size):
        raise GeometryError(
            f"The reference {row.found.path.name} has the shape {by(reference.shape)}; the decoded image will have "
            f"{by((1, *image_size))}. Choose the reference of these samples or leave it out."
        )
    return reference


# ---- orders ------------------------------------------------------------------------------------------------------


def reordered_matrix(matrix: np.ndarray, pixel_order: str) -> np.ndarray:
    """The matrix (M, N) with its columns in the order of pixels row by row."""
    if pixel_order == "row":
        return np.ascontiguousarray(matrix, dtype=np.float32)
    side = math.isqrt(matrix.shape[1])
    turned = matrix.reshape(-1, side, side).transpose(0, 2, 1)
    return np.ascontiguousarray(turned.reshape(len(matrix), -1), dtype=np.float32)


def placed(samples: np.ndarray, blocks: tuple[int, int], block_order: str) -> np.ndarray:
    """Samples (M, blocks) or (M, h, w) as (M, h, w), row by row."""
    flat = samples.reshape(len(samples), -1)
    if block_order == "row":
        arranged = flat.reshape(len(flat), *blocks)
    else:
        arranged = flat.reshape(len(flat), blocks[1], blocks[0]).transpose(0, 2, 1)
    return np.ascontiguousarray(arranged, dtype=np.float32)


def _orders(
    samples: np.ndarray,
    matrix: np.ndarray,
    blocks: tuple[int, int],
    block_size: int,
    attributes: Mapping[str, Any],
    options: OpenOptions,
) -> tuple[tuple[str, str], str, str]:
    """(pixel order, block order) with their reasons."""
    known = [options.pixel_order or attributes.get("pixel_order"), options.block_order or attributes.get("block_order")]
    reasons = ["as you said" if value else "stated in the file" for value in (options.pixel_order, options.block_order)]
    if known[1] is None and (samples.ndim == 3 or 1 in blocks):
        known[1], reasons[1] = "row", "the samples are arranged as the blocks lie"
    for name, value in zip(("pixel order", "block order"), known, strict=True):
        if value is not None and not (isinstance(value, str) and value in ORDERS):
            raise GeometryError(f"The {name} is {value!r}; row or column was expected.")
    candidates = [
        (pixels, blocks_)
        for pixels in ((known[0],) if known[0] else ORDERS)
        for blocks_ in ((known[1],) if known[1] else ORDERS)
    ]
    if len(candidates) == 1:
        return candidates[0], reasons[0], reasons[1]
    roughness = {pair: _roughness(samples, matrix, blocks, block_size, pair) for pair in candidates}
    # A square image and its transpose are equally smooth: the first that is as good as the best is taken.
    least = min(roughness.values())
    best, *others = [pair for pair in candidates if roughness[pair] <= least * (1 + _ALIKE)]
    tried = "estimated: the smoothest of the orders that were tried"
    if others:
        tried += "; turned over, the image would be as smooth: change both orders if it lies on its side"
    if any(least * (1 + _ALIKE) < value <= least * (1 + _CLOSE) for value in roughness.values()):
        tried += "; others are nearly as smooth: compare them"
    return best, reasons[0] if known[0] else tried, reasons[1] if known[1] else tried


def _roughness(
    samples: np.ndarray, matrix: np.ndarray, blocks: tuple[int, int], block_size: int, orders: tuple[str, str]
) -> float:
    """The mean squared step across the borders of blocks, each of which is the smooth pseudo-inverse of its samples.

    A wrong order turns blocks over or shuffles them: inside a block nothing tells, at its borders the image breaks.
    """
    sampling, y = reordered_matrix(matrix, orders[0]), placed(samples, blocks, orders[1])
    waves = _waves(block_size, max(1, min(len(y) // 2, _MOST_WAVES)))
    weights = np.linalg.lstsq(sampling @ waves, y.reshape(len(y), -1), rcond=None)[0]
    tiles = (waves @ weights).reshape(block_size, block_size, *blocks)
    down = tiles[-1, :, :-1] - tiles[0, :, 1:]  # (side, rows - 1, columns)
    right = tiles[:, -1, :, :-1] - tiles[:, 0, :, 1:]
    return float(np.square(down).sum() + np.square(right).sum()) / float(max(1, down.size + right.size))


def _waves(side: int, count: int) -> np.ndarray:
    """(side^2, up to count): the cosines of lowest frequency over a block, pixels row by row.

    With each its transpose, so that a block and its transpose are fitted equally well.
    """
    numbers = np.arange(side)
    cosines = np.cos(np.pi * (numbers[:, None] + 0.5) * numbers / side)  # (pixel, frequency)
    squares = np.add.outer(numbers**2, numbers**2)
    beyond = np.sort(squares, axis=None)[min(count, side**2 - 1)]  # of the first frequency left out
    pairs = np.argwhere(squares < beyond)
    return np.stack([np.outer(cosines[:, i], cosines[:, j]).ravel() for i, j in pairs], axis=1)
