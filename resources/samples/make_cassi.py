"""Writes cassi.h5, the CASSI sample, from nothing but this file: python resources/samples/make_cassi.py

A still life is ray-traced at 28 bands: painted balls, candles, a ball of wool and a colour chart on a wooden table.
Every surface reflects a smooth mixture of made-up pigments (sums of sigmoids and Gaussians over wavelength). A random
binary mask codes it, every band is moved by 2 columns more than the one before, and the detector sums.
Nothing is measured, nothing is taken from elsewhere; the same file comes out at every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter

SIZE, OVERSAMPLING, STEP, SEED = 256, 2, 2, 20
WAVELENGTHS_NM = np.array(
    [453.3, 457.6, 462.1, 466.8, 471.6, 476.5, 481.6, 486.9, 492.4, 498.0, 503.9, 509.9, 516.2, 522.7, 529.5, 536.5]
    + [543.8, 551.4, 558.6, 567.5, 575.3, 584.3, 594.4, 604.2, 614.4, 625.1, 636.3, 648.1]
)
EYE, TARGET, VIEW_WIDTH = np.array([0.0, 2.7, -9.0]), np.array([0.0, 1.08, 0.0]), 0.27
LAMP, LAMP_RADIUS = np.array([-4.5, 7.0, -5.0]), 0.9
AMBIENT = 0.32
LENS_BLUR = 0.6  # standard deviation in pixels
EPSILON = 1e-3


def main() -> None:
    scene = render(np.random.default_rng(SEED))  # (C, H, W)
    mask = (np.random.default_rng(SEED + 1).random((SIZE, SIZE)) < 0.5).astype(np.float32)
    measurement = np.zeros((SIZE, SIZE + STEP * (len(scene) - 1)), dtype=np.float32)
    for band, image in enumerate(scene):
        measurement[:, STEP * band : STEP * band + SIZE] += mask * image
    with h5py.File(Path(__file__).with_name("cassi.h5"), "w") as file:
        packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
        file.create_dataset("measurement", data=measurement, **packed)
        file.create_dataset("mask", data=mask, **packed)
        file.create_dataset("reference", data=scene.transpose(1, 2, 0), chunks=(SIZE, SIZE, 1), **packed)
        file["reference"].attrs["axes"] = "YXC"
        file.create_dataset("wavelengths_nm", data=WAVELENGTHS_NM)
        geometry = {"task": "cassi", "num_bands": len(scene), "step": float(STEP), "axis": "x", "direction": "+"}
        geometry |= {"first_offset": 0.0, "input_scale": 1.0}
        origin = {"noise": "none", "seed": SEED, "source": "LoRun sample: a computed still life, made-up pigments"}
        file.attrs.update(geometry | origin)


# ---- pigments ----------------------------------------------------------------------------------------------------


def _rise(nm: float, width: float) -> np.ndarray:
    return 1 / (1 + np.exp((nm - WAVELENGTHS_NM) / width))


def _bump(nm: float, width: float) -> np.ndarray:
    return np.exp(-0.5 * ((WAVELENGTHS_NM - nm) / width) ** 2)


PIGMENTS = {
    "white": 0.86 + 0.04 * _rise(480, 20),
    "grey": np.full(28, 0.34),
    "black": np.full(28, 0.035),
    "red": 0.045 + 0.75 * _rise(603, 9),
    "orange": 0.05 + 0.80 * _rise(572, 10),
    "yellow": 0.06 + 0.80 * _rise(516, 11),
    "lime": 0.06 + 0.62 * _bump(548, 34) + 0.12 * _rise(620, 30),
    "green": 0.05 + 0.48 * _bump(526, 27),
    "teal": 0.05 + 0.52 * _bump(498, 30),
    "sky": 0.14 + 0.55 * _bump(470, 38),
    "blue": 0.04 + 0.56 * _bump(452, 24) + 0.05 * _rise(655, 14),
    "violet": 0.08 + 0.42 * _bump(446, 26) + 0.34 * _rise(638, 14),
    "pink": 0.16 + 0.34 * _bump(448, 34) + 0.62 * _rise(596, 13),
    "skin": 0.20 + 0.20 * _rise(505, 24) + 0.34 * _rise(592, 12),
    "walnut": 0.055 + 0.06 * _rise(545, 34) + 0.14 * _rise(610, 26),
}
NAMES = list(PIGMENTS)
LAMP_LIGHT = 0.86 + 0.14 * _rise(540, 45)  # a slightly warm white, 1 at its brightest band

Coverage = dict[str, np.ndarray]  # pigment -> the share of it at every point, (N,)


# ---- shapes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ball:
    centre: tuple[float, float, float]
    radius: float
    paint: Callable[[np.ndarray], Coverage]  # of the unit normal (N, 3)
    gloss: float = 0.5
    wool: float = 0.0  # roughness of the normals

    def hits(self, origin: np.ndarray, ray: np.ndarray) -> np.ndarray:
        """The distance to the first hit of every ray (N, 3), infinite where there is none; (N,)."""
        to_centre = origin - np.array(self.centre)
        half = (ray * to_centre).sum(axis=1)
        inside = half**2 - (to_centre**2).sum(axis=1) + self.radius**2
        near = -half - np.sqrt(np.maximum(inside, 0))
        return np.where((inside > 0) & (near > EPSILON), near, np.inf)

    def surface(self, point: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Coverage]:
        normal = (point - np.array(self.centre)) / self.radius
        rough = normal + self.wool * rng.standard_normal(point.shape)
        return rough / np.linalg.norm(rough, axis=1, keepdims=True), self.paint(normal)


@dataclass(frozen=True)
class Candle:
    """An upright cylinder with a flat top."""

    foot: tuple[float, float]  # x, z
    radius: float
    height: float
    paint: Callable[[np.ndarray], Coverage]  # of the point relative to the foot (N, 3)
    gloss: float = 0.15

    def hits(self, origin: np.ndarray, ray: np.ndarray) -> np.ndarray:
        start = origin[:, [0, 2]] - np.array(self.foot)
        across = ray[:, [0, 2]]
        a = np.maximum((across**2).sum(axis=1), 1e-12)
        half = (across * start).sum(axis=1)
        inside = half**2 - a * ((start**2).sum(axis=1) - self.radius**2)
        side = (-half - np.sqrt(np.maximum(inside, 0))) / a
        level = origin[:, 1] + side * ray[:, 1]
        side = np.where((inside > 0) & (side > EPSILON) & (level > 0) & (level < self.height), side, np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            top = (self.height - origin[:, 1]) / ray[:, 1]
            on_top = start + top[:, None] * across
            top = np.where((top > EPSILON) & ((on_top**2).sum(axis=1) < self.radius**2), top, np.inf)
        return np.minimum(side, top)

    def surface(self, point: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Coverage]:
        relative = point - np.array([self.foot[0], 0, self.foot[1]])
        normal = np.where(relative[:, 1:2] > self.height - EPSILON, [0.0, 1.0, 0.0], relative / self.radius * [1, 0, 1])
        return normal, self.paint(relative)


@dataclass(frozen=True)
class Board:
    """A flat rectangle: the table, the wall, the chart. `right` and `up` are unit vectors, `size` the full extent."""

    centre: tuple[float, float, float]
    right: tuple[float, float, float]
    up: tuple[float, float, float]
    size: tuple[float, float]
    paint: Callable[[np.ndarray, np.ndarray], Coverage]  # of the positions along right and up, each -1..1
    gloss: float = 0.0

    def hits(self, origin: np.ndarray, ray: np.ndarray) -> np.ndarray:
        normal = np.cross(self.right, self.up)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = ((np.array(self.centre) - origin) @ normal) / (ray @ normal)
            across, along = self._position(origin + distance[:, None] * ray)
        return np.where((distance > EPSILON) & (abs(across) <= 1) & (abs(along) <= 1), distance, np.inf)

    def surface(self, point: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Coverage]:
        normal = -np.cross(self.right, self.up)
        return np.broadcast_to(normal, point.shape), self.paint(*self._position(point))

    def _position(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        relative = point - np.array(self.centre)
        return 2 * (relative @ self.right) / self.size[0], 2 * (relative @ self.up) / self.size[1]


Shape = Ball | Candle | Board


# ---- paints ------------------------------------------------------------------------------------------------------


def _plain(pigment: str) -> Callable[..., Coverage]:
    return lambda position, *rest: {pigment: np.ones(len(position))}


def _mixed(first: str, second: str, share: np.ndarray) -> Coverage:
    return {first: 1 - share, second: share}


def _smooth_steps(phase: np.ndarray, sharpness: float) -> np.ndarray:
    """A wave of period 1 between 0 and 1, flat at both ends."""
    return 0.5 + 0.5 * np.tanh(sharpness * np.sin(2 * np.pi * phase))


def _beach_ball(normal: np.ndarray) -> Coverage:
    """Six sectors of four colours around a tilted axis."""
    axis_x, axis_y = normal @ [0.93, 0.33, -0.15], normal @ [0.10, 0.20, 0.97]
    sector = np.floor((np.arctan2(axis_y, axis_x) / (2 * np.pi) + 0.5) * 6).astype(int) % 6
    return {
        name: np.isin(sector, sectors).astype(float)
        for name, sectors in {"white": [0, 3], "blue": [1], "yellow": [2, 5], "red": [4]}.items()
    }


def _marble(normal: np.ndarray) -> Coverage:
    x, y, z = normal.T
    return _mixed("teal", "white", 0.85 * _smooth_steps(0.9 * y + 0.35 * np.sin(4 * x + 2) + 0.25 * np.sin(5 * z), 1.6))


def _wool_strands(normal: np.ndarray) -> Coverage:
    x, y, z = normal.T
    strands = _smooth_steps(5 * x + 2.2 * np.sin(3 * y) + 3 * z, 0.9)
    return _mixed("pink", "violet", 0.15 + 0.7 * strands)


def _planks(across: np.ndarray, along: np.ndarray) -> Coverage:
    """Boards that run away from the eye, each with its own grain."""
    plank = np.floor(across * 5.5)
    grain = np.sin(60 * across + 3 * np.sin(5 * along + 1.7 * plank) + 2.1 * plank)
    fine = np.sin(211 * across + 5 * np.sin(3 * along + plank))
    gap = np.exp(-(((across * 5.5 - plank - 0.5) / 0.485) ** 40)) < 0.5
    share = np.clip(0.42 + 0.12 * np.sin(2.6 * plank) + 0.13 * grain + 0.06 * fine + 0.4 * gap, 0, 1)
    return {"walnut": 1 - share, "black": share}


def _wall(across: np.ndarray, along: np.ndarray) -> Coverage:
    rise = np.clip(0.5 + 0.5 * along, 0, 1)
    return {"black": 1 - 0.2 * rise, "sky": 0.06 + 0.05 * rise}


CHART = (("skin", "sky", "green", "violet"), ("orange", "blue", "yellow", "pink"), ("red", "teal", "white", "lime"))


def _chart(across: np.ndarray, along: np.ndarray) -> Coverage:
    """Three rows of four patches on dark grey card."""
    column, row = (across / 0.94 + 1) * 2, (1 - along / 0.92) * 1.5
    patch = np.stack([np.clip(np.floor(row), 0, 2), np.clip(np.floor(column), 0, 3)]).astype(int)
    painted = (abs(column % 1 - 0.5) < 0.44) & (abs(row % 1 - 0.5) < 0.44)
    painted &= (0 < column) & (column < 4) & (0 < row) & (row < 3)
    names = np.array(CHART)[tuple(patch)]
    return {"grey": 0.5 * ~painted} | {n: (painted & (names == n)).astype(float) for n in np.unique(names)}


LEAN = 0.22  # of the chart, in radians
SHAPES: tuple[Shape, ...] = (
    Board((0.0, 0.0, 0.0), (1, 0, 0), (0, 0, 1), (16.0, 10.0), _planks, gloss=0.12),
    Board((0.0, 3.0, 4.2), (1, 0, 0), (0, 1, 0), (20.0, 8.0), _wall),
    Board((1.05, 1.45, 1.55), (0.985, 0, -0.17), (0.03, np.cos(LEAN), np.sin(LEAN)), (2.8, 2.1), _chart),
    Ball((-1.30, 1.02, 0.25), 1.02, _plain("red"), gloss=0.8),
    Ball((1.12, 0.80, -0.55), 0.80, _beach_ball, gloss=0.5),
    Ball((-0.20, 0.58, -1.35), 0.58, _wool_strands, gloss=0.0, wool=0.40),
    Ball((-1.22, 0.45, -1.75), 0.45, _plain("lime"), gloss=0.6),
    Ball((0.62, 0.32, -2.30), 0.32, _plain("orange"), gloss=0.6),
    Ball((1.60, 0.40, -1.95), 0.40, _marble, gloss=0.8),
    Candle((-0.72, 2.00), 0.30, 2.75, _plain("yellow")),
    Candle((-1.75, 2.30), 0.30, 2.50, _plain("sky")),
)


# ---- light -------------------------------------------------------------------------------------------------------


def render(rng: np.random.Generator) -> np.ndarray:
    """The scene as the camera sees it, (C, H, W) float32 in 0..1 in steps of 1/2048, which pack well."""
    across = (np.arange(SIZE * OVERSAMPLING) + 0.5) / (SIZE * OVERSAMPLING) * 2 - 1
    u, v = np.meshgrid(across * VIEW_WIDTH, -across * VIEW_WIDTH)
    forward = _unit(TARGET - EYE)
    right = _unit(np.cross([0.0, 1.0, 0.0], forward))
    rays = _unit(forward + u[..., None] * right + v[..., None] * np.cross(forward, right)).reshape(-1, 3)
    spectra = see(np.broadcast_to(EYE, rays.shape), rays, rng, mirror=True)
    cells = spectra.reshape(SIZE, OVERSAMPLING, SIZE, OVERSAMPLING, -1).mean(axis=(1, 3)).transpose(2, 0, 1)
    cells = gaussian_filter(cells, (0, LENS_BLUR, LENS_BLUR))
    exposed = np.clip(cells / np.percentile(cells, 99.9) * 0.95, 0, 1)
    return (np.rint(exposed * 2048) / 2048).astype(np.float32)


def see(origin: np.ndarray, ray: np.ndarray, rng: np.random.Generator, *, mirror: bool) -> np.ndarray:
    """The spectrum (N, C) that comes back along every ray (N, 3); with `mirror` glossy shapes show their neighbours."""
    point, normal, coverage, gloss = _first_surface(origin, ray, rng)
    facing = -(normal * ray).sum(axis=1, keepdims=True)
    albedo = coverage @ np.stack(list(PIGMENTS.values()))
    to_lamp = _unit(LAMP - point)
    lit = np.maximum((normal * to_lamp).sum(axis=1), 0) * _lamp_share(point)
    light = 1.15 * lit + AMBIENT * _open_sky_share(point, normal)
    spectra = albedo * light[:, None] * LAMP_LIGHT
    halfway = _unit(to_lamp - ray)
    highlight = gloss * (lit > 0) * np.maximum((normal * halfway).sum(axis=1), 0) ** 60
    spectra += 0.55 * highlight[:, None] * LAMP_LIGHT
    if mirror:
        shiny = np.flatnonzero(gloss > 0.1)
        bounced = _unit(ray[shiny] + 2 * facing[shiny] * normal[shiny])
        fresnel = gloss[shiny] * (0.05 + 0.75 * (1 - np.clip(facing[shiny, 0], 0, 1)) ** 4)
        spectra[shiny] += fresnel[:, None] * see(point[shiny], bounced, rng, mirror=False)
    return spectra


def _first_surface(origin: np.ndarray, ray: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Per ray: where it ends, the normal there, the shares of the pigments (N, P) and the gloss. The void is black."""
    distances = np.stack([shape.hits(origin, ray) for shape in SHAPES])
    nearest = distances.argmin(axis=0)
    distance = distances.min(axis=0)
    point = origin + np.where(np.isfinite(distance), distance, 0)[:, None] * ray
    normal, gloss = np.tile([0.0, 1.0, 0.0], (len(ray), 1)), np.zeros(len(ray))
    coverage = np.zeros((len(ray), len(NAMES)))
    for index, shape in enumerate(SHAPES):
        here = np.flatnonzero((nearest == index) & np.isfinite(distance))
        normal[here], shares = shape.surface(point[here], rng)
        gloss[here] = shape.gloss
        for name, share in shares.items():
            coverage[here, NAMES.index(name)] = share
    return point + EPSILON * normal, normal, coverage, gloss


def _lamp_share(point: np.ndarray, num_rays: int = 40) -> np.ndarray:
    """The share of a round lamp that every point (N, 3) sees."""
    towards = _unit(LAMP - TARGET)
    side = _unit(np.cross(towards, [0.0, 1.0, 0.0]))
    visible = np.zeros(len(point))
    for x, y in _sunflower(num_rays):
        spot = LAMP + LAMP_RADIUS * (x * side + y * np.cross(side, towards))
        visible += ~_blocked(point, _unit(spot - point), np.inf)
    return visible / num_rays


def _open_sky_share(point: np.ndarray, normal: np.ndarray, num_rays: int = 32, reach: float = 2.5) -> np.ndarray:
    """The share of the surroundings, weighted by the cosine, that nothing within `reach` hides from every point."""
    side = _unit(np.cross(normal, [0.31, 0.05, 0.95]))
    other = np.cross(normal, side)
    open_ = np.zeros(len(point))
    for x, y in _sunflower(num_rays):
        ray = x * side + y * other + np.sqrt(1 - x * x - y * y) * normal
        open_ += ~_blocked(point, ray, reach)
    return open_ / num_rays


def _blocked(point: np.ndarray, ray: np.ndarray, reach: float) -> np.ndarray:
    return np.any([shape.hits(point, ray) < reach for shape in SHAPES], axis=0)


def _sunflower(number: int) -> np.ndarray:
    """(number, 2) points spread evenly over the unit disc."""
    index = np.arange(number) + 0.5
    angle = index * np.pi * (3 - np.sqrt(5))
    return np.sqrt(index / number)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


if __name__ == "__main__":
    main()
