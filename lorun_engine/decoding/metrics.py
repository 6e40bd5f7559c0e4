"""Quality figures of images in [0, 1] with their protocols stated: PSNR, SSIM, and for cubes SAM and ERGAS.

Cubes are scored as the published CASSI tables are (PSNR per band with peak 1, averaged over bands), samples as the CS
tables (luma, clipped, not rounded), low-resolution images as the SR tables (RGB, rounded to 8 bits, without a border),
relit pictures as they are and after matching their mean, which is always named.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import correlate1d, uniform_filter

from ..errors import GeometryError, by
from ..task import TASKS

TITLES = {  # of the figures
    **{"psnr": "PSNR", "ssim": "SSIM", "sam": "SAM", "ergas": "ERGAS"},
    **{"matched_psnr": "PSNR, mean matched", "matched_ssim": "SSIM, mean matched"},
}
UNITS = {"psnr": "dB", "sam": "°", "matched_psnr": "dB"}
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5  # Wang et al., IEEE TIP 2004: an 11 x 11 Gaussian window


_SSIM_SIDE = 7  # of the uniform window that scikit-image uses unless told otherwise


def score(image: np.ndarray, reference: np.ndarray, task: str, *, border: int = 0) -> dict[str, float]:
    """The figures of a (C, H, W) estimate by the protocol of its task, the headline first; `border` pixels are cut off.

    psnr is in dB, sam in degrees. Raises a GeometryError where there is no pixel to score.
    """
    height, width = image.shape[1:]
    if not height or not width:
        raise GeometryError(
            f"Nothing is left to score: {by((height, width))} pixels count. Choose a smaller score crop."
        )
    if 0 < 2 * border < min(height, width):
        inner = (slice(None), slice(border, height - border), slice(border, width - border))
        image, reference = image[inner], reference[inner]
    return TASKS[task].score(np.clip(image, 0, 1), reference)


def score_cube(estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """CASSI: the mean over bands of PSNR and SSIM, the spectral angle, and the relative error ERGAS."""
    return {
        "psnr": psnr_per_band(estimate, reference),
        "ssim": ssim(estimate, reference),
        "sam": spectral_angle(estimate, reference),
        "ergas": ergas(estimate, reference),
    }


def score_luma(estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """CS: PSNR of the image that is not rounded, SSIM with scikit-image's uniform window."""
    return {"psnr": psnr(estimate, reference), "ssim": ssim_uniform(estimate, reference)}


def score_colour(estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """SR: PSNR over all channels jointly and the mean SSIM of the channels, of the estimate rounded to 8 bits."""
    estimate = np.round(estimate * 255) / 255
    return {"psnr": psnr(estimate, reference), "ssim": ssim(estimate, reference)}


def score_relit(estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Low light: PSNR over all channels jointly and the mean SSIM of the channels, of the picture as it is; then both
    of the picture times the factor that gives it the mean of the reference, clipped to 0..1.
    """
    mean = float(estimate.mean(dtype=np.float64))
    matched = estimate * np.float32(reference.mean(dtype=np.float64) / mean) if mean > 0 else estimate
    matched = matched.clip(0, 1)
    return {
        "psnr": psnr(estimate, reference),
        "ssim": ssim(estimate, reference),
        "matched_psnr": psnr(matched, reference),
        "matched_ssim": ssim(matched, reference),
    }


def psnr(estimate: np.ndarray, reference: np.ndarray) -> float:
    """10 log10(1 / MSE) in dB over all values, peak 1."""
    error = np.square(estimate.astype(np.float64) - reference).mean()
    return float(-10 * np.log10(max(error, 1e-12)))


def psnr_per_band(estimate: np.ndarray, reference: np.ndarray) -> float:
    """The mean over bands of 10 log10(1 / MSE) in dB, peak 1; arrays are (C, H, W)."""
    errors = np.square(estimate.astype(np.float64) - reference).mean(axis=(1, 2))
    return float(np.mean(-10 * np.log10(np.maximum(errors, 1e-12))))


def ssim(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Mean structural similarity over bands: Gaussian 11 x 11 window, sigma 1.5, valid region, range 1; (C, H, W).

    Equal to scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`.
    """
    offsets = np.arange(-_SSIM_RADIUS, _SSIM_RADIUS + 1)
    window = np.exp(-0.5 * (offsets / _SSIM_SIGMA) ** 2)
    window /= window.sum()

    # an image too small for one whole window is mirrored at its edges instead
    cut = _SSIM_RADIUS if min(estimate.shape[1:]) > 2 * _SSIM_RADIUS else 0

    def local_mean(band: np.ndarray) -> np.ndarray:
        blurred: np.ndarray = correlate1d(correlate1d(band, window, axis=0), window, axis=1)
        return blurred[cut : band.shape[0] - cut, cut : band.shape[1] - cut]

    pairs = zip(estimate.astype(np.float64), reference.astype(np.float64), strict=True)
    return float(np.mean([_similarity(x, y, local_mean, 1.0) for x, y in pairs]))


def _similarity(x: np.ndarray, y: np.ndarray, local_mean: Callable[[np.ndarray], np.ndarray], sample: float) -> float:
    """Wang's index of two images of range 1; `sample` turns variances into those of a sample."""
    c1, c2 = 0.01**2, 0.03**2
    mean_x, mean_y = local_mean(x), local_mean(y)
    squares, product = mean_x**2 + mean_y**2, mean_x * mean_y
    variances = sample * (local_mean(x * x + y * y) - squares)
    covariance = sample * (local_mean(x * y) - product)
    similarity = (2 * product + c1) * (2 * covariance + c2)
    similarity /= (squares + c1) * (variances + c2)
    return float(similarity.mean())


def ssim_uniform(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Mean structural similarity over channels with a 7 x 7 uniform window, valid region, range 1; (C, H, W).

    Equal to scikit-image's `structural_similarity` with its defaults. The window of an image that is smaller is as
    wide as its shorter side.
    """
    side = min(_SSIM_SIDE, *estimate.shape[1:])
    before, after = side // 2, (side - 1) // 2  # pixels of the window at either side of its middle
    sample = side**2 / (side**2 - 1) if side > 1 else 1.0

    def local_mean(channel: np.ndarray) -> np.ndarray:
        mean: np.ndarray = uniform_filter(channel, side)
        return mean[before : mean.shape[0] - after, before : mean.shape[1] - after]

    pairs = zip(estimate.astype(np.float64), reference.astype(np.float64), strict=True)
    return float(np.mean([_similarity(x, y, local_mean, sample) for x, y in pairs]))


def ergas(estimate: np.ndarray, reference: np.ndarray) -> float:
    """100 sqrt(mean over bands of MSE / mean^2) of (C, H, W) cubes, without units (Wald 2002, equal resolutions)."""
    errors = np.square(estimate.astype(np.float64) - reference).mean(axis=(1, 2))
    means = reference.astype(np.float64).mean(axis=(1, 2))
    return float(100 * np.sqrt(np.mean(errors / np.maximum(means**2, 1e-12))))


def spectral_angle(estimate: np.ndarray, reference: np.ndarray) -> float:
    """The mean angle between the spectra of two cubes (C, H, W) in degrees; pixels black in either are left out."""
    x, y = (cube.reshape(cube.shape[0], -1).astype(np.float64) for cube in (estimate, reference))
    norms = np.linalg.norm(x, axis=0) * np.linalg.norm(y, axis=0)
    lit = norms > 1e-12
    if not lit.any():
        return 0.0
    cosines = (x * y).sum(axis=0)[lit] / norms[lit]
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean())
