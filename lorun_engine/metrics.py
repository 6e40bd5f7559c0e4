"""Quality figures with their protocols stated: PSNR, SSIM and SAM for cubes and images in [0, 1].

Cubes are scored as the published CASSI tables are: PSNR per band with peak 1, averaged over bands.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5  # Wang et al., IEEE TIP 2004: an 11 x 11 Gaussian window


def score(image: np.ndarray, reference: np.ndarray, task: str) -> dict[str, float]:
    """A (C, H, W) estimate's figures after clipping to [0, 1]: psnr (dB), ssim, and for cubes sam (degrees)."""
    estimate = np.clip(image, 0, 1)
    figures = {"psnr": psnr_per_band(estimate, reference), "ssim": ssim(estimate, reference)}
    if task == "cassi":
        figures["sam"] = spectral_angle(estimate, reference)
    return figures


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
        blurred = correlate1d(correlate1d(band, window, axis=0), window, axis=1)
        return blurred[cut : band.shape[0] - cut, cut : band.shape[1] - cut]

    c1, c2 = 0.01**2, 0.03**2
    values = []
    for x, y in zip(estimate.astype(np.float64), reference.astype(np.float64), strict=True):
        mean_x, mean_y = local_mean(x), local_mean(y)
        variances = local_mean(x * x) - mean_x**2 + local_mean(y * y) - mean_y**2
        covariance = local_mean(x * y) - mean_x * mean_y
        similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        similarity /= (mean_x**2 + mean_y**2 + c1) * (variances + c2)
        values.append(similarity.mean())
    return float(np.mean(values))


def spectral_angle(estimate: np.ndarray, reference: np.ndarray) -> float:
    """The mean angle between the spectra of two cubes (C, H, W) in degrees; pixels black in either are left out."""
    x, y = (cube.reshape(cube.shape[0], -1).astype(np.float64) for cube in (estimate, reference))
    norms = np.linalg.norm(x, axis=0) * np.linalg.norm(y, axis=0)
    lit = norms > 1e-12
    if not lit.any():
        return 0.0
    cosines = (x * y).sum(axis=0)[lit] / norms[lit]
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean())
