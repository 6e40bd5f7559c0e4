"""The data steps of an unfolding network: how a stage brings its image x nearer to the measurement y.

    half-quadratic          z = argmin 1/2 ||Phi z - y||^2 + mu/2 ||z - x||^2                     Eq. 9 of the paper
    proximal-gradient       z = x - rho Phi^T (Phi x - y)                                         Eq. 5
    normalised-projection   z = x + rho Phi^T [(y - Phi x) / phi]                                 SSR
    primal-dual             z = x, and the denoiser steps along Phi^T d of a dual variable d      CPP-Net
    multiplicative          z = x SSO_alpha(rho Phi^T (Phi x - y)), never negative                SSO-PGA
    alternating             R, then L, each in closed form with multipliers: ADMM                 LLEMamba
    usrnet                  Eq. 9 with mu_k and the noise level from a hyper-parameter net        USRNet
    none                    z = x                                                                 Table VIII

The learned numbers of a stage are rho_k or mu_k and, for denoisers that see the noise level, lambda_k. SSR (Zhang et
al., CVPR 2024) estimates its number from the image by a small network per stage; USRNet (Zhang et al., CVPR 2020) those
of all stages from the degradation by one network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..physics import LinearPhysics, Physics

START = 0.5  # of the learned numbers rho, mu and lambda (Algorithm 1)
_START_DELTA = 1e-3  # CPP-Net's
_SMALLEST_MU = 1e-4  # keeps the prox of Eq. 9 defined while mu is learned
_SMALLEST_HYPER = 1e-6  # USRNet's
_HIDDEN = 32  # features of both small networks
_NUM_DEGRADATION = 2  # what the hyper-parameter net sees: noise level and scale factor


class Dual(NamedTuple):
    """The dual variable d of the primal-dual step, the image it was taken at, and Phi^T d."""

    variable: Tensor
    image: Tensor
    back_projection: Tensor


class Split(NamedTuple):
    """What ADMM remembers of a stage, (B, C + 1, H, W), the light last: the `solution` of its closed forms, what of it
    the denoiser was given, and the `weights` (B, C + 1, 1, 1) of the pull towards the image before it.
    """

    solution: Tensor
    given: Tensor
    weights: Tensor


@dataclass(frozen=True)
class DataStep:
    """One kind of data step.

    `function` is `(x, y, physics, *numbers) -> z`; `numbers` maps the names of its numbers, (B or 1, 1, 1, 1) tensors,
    to where they start. A step of a `dual` variable, `(x, y, physics, *numbers, dual) -> Dual`, leaves the image to the
    denoiser. One that `divides` needs a diagonal Phi Phi^T. With `hyper_net` the numbers are not learned per stage but
    come from the hyper-parameter net, which needs a known degradation. One that `knows_noise` takes the variance of the
    detector's noise after its numbers, or None. One that `alternates` between a reflectance and its light gives z and
    the `Split` it takes last, None at first.
    """

    function: Callable[..., Tensor]
    numbers: Mapping[str, float]
    divides: bool = False
    dual: Callable[..., Dual] | None = None
    hyper_net: bool = False
    knows_noise: bool = False
    alternates: bool = False

    @property
    def size(self) -> str | None:
        """The step size an estimator can give, "rho" or "mu"; None where there is none."""
        return next((name for name in ("rho", "mu") if name in self.numbers and not self.hyper_net), None)

    def serves(self, physics: Physics) -> bool:
        """Whether the operator has what this step needs."""
        if bool(physics.num_lights) != self.alternates:
            return False
        return (physics.has_diagonal_gram or not self.divides) and (
            not self.hyper_net or physics.degradation() is not None
        )

    def moved(
        self,
        x: Tensor,
        y: Tensor,
        physics: Physics,
        numbers: Mapping[str, Tensor],
        dual: Dual | Split | None,
        variance: Tensor | None = None,
    ) -> tuple[Tensor, Dual | Split | None]:
        """The z of a stage, (B, C, H, W), and what the step of the next one remembers, None for most steps."""
        own = [numbers[name] for name in self.numbers]
        if self.alternates:
            mu, nu, tau = own
            return alternating(x, y, physics, mu, nu, tau, dual)
        if self.dual is not None:
            return x, self.dual(x, y, physics, *own, dual)
        noise = [variance] if self.knows_noise else []
        return self.function(x, y, physics, *own, *noise).contiguous(), None


def half_quadratic(x: Tensor, y: Tensor, physics: LinearPhysics, mu: Tensor) -> Tensor:
    """Eq. 9: argmin_z 1/2 ||Phi z - y||^2 + mu/2 ||z - x||^2, in closed form; mu > 0."""
    return physics.prox(x, y, mu)


def weighted_half_quadratic(
    x: Tensor, y: Tensor, physics: LinearPhysics, mu: Tensor, nu: Tensor, variance: Tensor | None
) -> Tensor:
    """Eq. 9 with noise of a variance v that differs from pixel to pixel: z = x + Phi^T (Phi Phi^T + w)^-1 (y - Phi x).

    w = mu + |nu| v, so that a noisy pixel moves the image less; a diagonal matrix, so the step stays exact.
    """
    return physics.prox(x, y, mu if variance is None else mu + nu.abs() * variance)


def proximal_gradient(x: Tensor, y: Tensor, physics: LinearPhysics, rho: Tensor) -> Tensor:
    """Eq. 5: z = x - rho Phi^T (Phi x - y), with rho in units of 1 / max(phi) so that rho < 2 never diverges."""
    return x - (rho / _largest(physics)) * physics.gradient(x, y)


def normalised_projection(x: Tensor, y: Tensor, physics: LinearPhysics, rho: Tensor) -> Tensor:
    """SSR's step: z = x + rho Phi^T [(y - Phi x) / phi]; rho = 1 is the projection on Phi z = y where phi is exact."""
    return x + rho * physics.adjoint((y - physics.forward(x)) / physics.gram())


def multiplicative(x: Tensor, y: Tensor, physics: LinearPhysics, rho: Tensor, alpha: Tensor) -> Tensor:
    """SSO-PGA's step: x, clipped at 0, times SSO_alpha(rho g), with the gradient g of Eq. 5 in units of 1 / max(phi).

    SSO_alpha(z) = 2 sigmoid(-z - alpha) + 2 sigmoid(alpha) - 1, the sliding sigmoid operator, alpha >= 0 (of a negative
    number its size): it falls from 2 sigmoid(alpha) + 1 to 2 sigmoid(alpha) - 1 >= 0, so z is never negative, and is 1
    where the gradient is 0. To first order z = x - 2 sigmoid(alpha) (1 - sigmoid(alpha)) rho x g, which descends for
    rho > 0; a larger alpha makes a smaller step. (Wang et al., arXiv 2510.23362.)
    """
    alpha = alpha.abs()
    gradient = physics.gradient(x := x.clamp(min=0), y) / _largest(physics)
    return x * (2 * torch.sigmoid(-rho * gradient - alpha) + 2 * torch.sigmoid(alpha) - 1)


def primal_dual(x: Tensor, y: Tensor, physics: LinearPhysics, delta: Tensor, dual: Dual | None) -> Dual:
    """Chambolle and Pock's dual step d <- (d + delta (Phi (2 x - x') - y)) / (1 + delta), x' the image before x.

    It starts at Phi x - y (stage 1 has no use for its delta). Phi and y are in units of sqrt(max(phi)), so that the
    operator's norm is at most 1.
    """
    unit = _largest(physics).sqrt()
    if dual is None:
        variable = (physics.forward(x) - y) / unit
    else:
        ahead = 2 * x - dual.image
        variable = (dual.variable + delta * (physics.forward(ahead) - y) / unit) / (1 + delta)
    return Dual(variable, x, physics.adjoint(variable) / unit)


def alternating(
    x: Tensor, y: Tensor, physics: Any, mu: Tensor, nu: Tensor, tau: Tensor, before: Any
) -> tuple[Tensor, Split]:
    """One stage of ADMM for y = R L + n, with P = R and Q = L: x is (P, Q), what the denoisers made of the last z.

    The multipliers Y become tau (Y + w ((R, L) - (P, Q))); then R and L are the closed forms of the operator, pulled
    towards (P, Q) - Y / w, and z = (R, L) + Y / w. ADMM's own tau is 1; at 0, where it starts to be learned, nothing of
    the noise that the denoisers took comes back, as in half-quadratic splitting. The weights w are mu in units of the
    mean square of the light and |nu| in those of the mean square of the reflectance, so that they mean the same for
    every exposure.
    """
    known = x if before is None else before.solution
    light, channels = known[:, -1:], x.shape[1] - 1
    strongest = known[:, :-1].square().sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    weight = mu * light.square().mean(dim=(1, 2, 3), keepdim=True)
    weights = torch.cat([weight.expand(-1, channels, -1, -1), (nu.abs() + _SMALLEST_MU) * strongest], dim=1)
    shift = 0 * x if before is None else tau * before.weights * (before.given - x) / weights
    pulled = x - shift
    reflectance = physics.reflectance(y, light, pulled[:, :-1], weight)
    solution = torch.cat([reflectance, physics.lit(y, reflectance, pulled[:, -1:], weights[:, -1:])], dim=1)
    given = solution + shift
    return given, Split(solution, given, weights)


def unmoved(x: Tensor, y: Tensor, physics: LinearPhysics, *numbers: Tensor) -> Tensor:
    """x itself: a network without data steps, or one whose denoiser takes them."""
    return x


DATA_STEPS: dict[str, DataStep] = {
    "half-quadratic": DataStep(half_quadratic, {"mu": START}),
    # where PhiPhi^T is tridiagonal (fractional steps) w joins its diagonal
    "weighted-half-quadratic": DataStep(weighted_half_quadratic, {"mu": START, "nu": 1.0}, knows_noise=True),
    "proximal-gradient": DataStep(proximal_gradient, {"rho": START}),
    # blur and decimation have no diagonal Phi Phi^T to divide by
    "normalised-projection": DataStep(normalised_projection, {"rho": START}, divides=True),
    "primal-dual": DataStep(unmoved, {"delta": _START_DELTA}, dual=primal_dual),
    "multiplicative": DataStep(multiplicative, {"rho": START, "alpha": 0.0}),
    "alternating": DataStep(unmoved, {"mu": START, "nu": START, "tau": 0.0}, alternates=True),
    "usrnet": DataStep(half_quadratic, {"mu": START}, hyper_net=True),
    "none": DataStep(unmoved, {}),
}


def learned_numbers(stored: Mapping[str, Tensor], step: DataStep, estimated: Tensor | None) -> dict[str, Tensor]:
    """The numbers of a stage, (B or 1, 1, 1, 1), within their bounds; an `estimated` step size replaces the stored."""
    numbers = {name: tensor.reshape(-1, 1, 1, 1) for name, tensor in stored.items() if "." not in name}
    if estimated is not None and step.size is not None:
        numbers[step.size] = estimated.reshape(-1, 1, 1, 1)
    if "mu" in numbers:
        mu = numbers["mu"]
        numbers["mu"] = _SMALLEST_MU + F.softplus(mu) if estimated is not None else mu.abs() + _SMALLEST_MU
    if "lambda" in numbers:
        numbers["lambda"] = numbers["lambda"].abs()
    return numbers


def noise_level(numbers: Mapping[str, Tensor]) -> Tensor | None:
    """The noise that the denoiser is to remove, as far as the numbers tell it.

    sqrt(rho lambda) after Eq. 5 and 6, sqrt(lambda / mu) after Eq. 9 and 10, sqrt(lambda) without a step size.
    """
    if "noise_level" in numbers or "lambda" not in numbers:
        return numbers.get("noise_level")
    variance = numbers["lambda"]
    if "rho" in numbers:
        variance = variance * numbers["rho"].abs()
    if "mu" in numbers:
        variance = variance / numbers["mu"]
    return (variance + 1e-12).sqrt()  # the root has no slope at 0


def new_estimator(channels: int, generator: torch.Generator | None = None) -> dict[str, Tensor]:
    """The weights of SSR's step-size estimator, by name."""
    layers = {"fuse": (_HIDDEN, channels), "hidden1": (_HIDDEN, _HIDDEN), "hidden2": (_HIDDEN, _HIDDEN)}
    weights = _new_layers(layers, generator)
    weights["out.weight"] = _uniform((1, _HIDDEN), _HIDDEN, generator)
    return weights


def estimated_size(x: Tensor, weights: Mapping[str, Tensor], offset: Tensor) -> Tensor:
    """SSR's estimator: 1x1 convolution, ReLU, global mean, two hidden layers, output plus a learned number; (B, 1)."""
    hidden = F.relu(F.conv2d(x, weights["fuse.weight"][:, :, None, None], weights["fuse.bias"])).mean(dim=(2, 3))
    hidden = F.relu(F.linear(hidden, weights["hidden1.weight"], weights["hidden1.bias"]))  # (B, 32)
    hidden = F.relu(F.linear(hidden, weights["hidden2.weight"], weights["hidden2.bias"]))
    return F.linear(hidden, weights["out.weight"]) + offset


def new_hyper_net(num_stages: int, generator: torch.Generator | None = None) -> dict[str, Tensor]:
    """The weights of USRNet's hyper-parameter net for `num_stages` stages, by name."""
    layers = {
        "hidden1": (_HIDDEN, _NUM_DEGRADATION),
        "hidden2": (_HIDDEN, _HIDDEN),
        "out": (2 * num_stages, _HIDDEN),
    }
    return _new_layers(layers, generator)


def hyper_numbers(degradation: Tensor, weights: Mapping[str, Tensor], stage: int) -> dict[str, Tensor]:
    """USRNet's mu_k and noise level of `stage` from (B or 1, 2) noise levels and scale factors."""
    hidden = F.relu(F.linear(degradation, weights["hidden1.weight"], weights["hidden1.bias"]))
    hidden = F.relu(F.linear(hidden, weights["hidden2.weight"], weights["hidden2.bias"]))
    positive = F.softplus(F.linear(hidden, weights["out.weight"], weights["out.bias"])) + _SMALLEST_HYPER  # (B, 2 K)
    mu, level = positive.reshape(len(positive), 2, -1)[:, :, stage - 1].unbind(dim=1)
    return {"mu": mu.reshape(-1, 1, 1, 1), "noise_level": level.reshape(-1, 1, 1, 1)}


def _largest(physics: LinearPhysics) -> Tensor:
    """A bound of the largest eigenvalue of Phi Phi^T, (B or 1, 1, 1, 1)."""
    return physics.gram().amax(dim=(-3, -2, -1), keepdim=True)


def _new_layers(shapes: Mapping[str, tuple[int, int]], generator: torch.Generator | None) -> dict[str, Tensor]:
    """Dense layers as PyTorch starts them, "NAME.weight" and "NAME.bias"."""
    weights = {}
    for name, (outputs, inputs) in shapes.items():
        weights[f"{name}.weight"] = _uniform((outputs, inputs), inputs, generator)
        weights[f"{name}.bias"] = _uniform((outputs,), inputs, generator)
    return weights


def _uniform(shape: tuple[int, ...], inputs: int, generator: torch.Generator | None) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * float(inputs**-0.5)
