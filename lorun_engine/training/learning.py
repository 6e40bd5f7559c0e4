"""One update of a training: the loss of a batch, part by part, its gradients, and the step of the optimizer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..errors import DeviceError, LorunError, NumericalError
from ..networks.unfolding import Start, UnfoldingNet
from ..physics import LinearPhysics, linear
from ..training_data.dataset import Sample
from .recipe import LOSSES
from .selfsupervised import self_supervised_loss
from .state import TrainingState

_STRUCTURE = 0.2  # of 1 - SSIM in the loss "structural"


def one_step(state: TrainingState, net: UnfoldingNet, sample: Sample, rate: float) -> float:
    """One update; the loss before it. A full device halves the parts a batch is computed in, until it fits."""
    while True:
        try:
            loss = gradients(state, net, sample)
            break
        except torch.OutOfMemoryError:
            pass  # leave the handler first: it holds the frames that hold the tensors
        if state.course.num_parts >= len(sample.scene):
            raise DeviceError(
                f"The memory of {state.device} is full even with one sample at a time. Choose a smaller crop."
            )
        state.course.num_parts *= 2
        if state.device.type == "cuda":
            torch.cuda.empty_cache()
    config, course, learned = state.recipe.training, state.course, state.learned
    norm = torch.nn.utils.clip_grad_norm_(list(learned.tensors.values()), config.clip_norm)
    if not (math.isfinite(loss) and math.isfinite(float(norm))):
        raise NumericalError(f"The loss of step {course.step + 1} is not a finite number. Lower the learning rate.")
    for group in learned.optimizer.param_groups:
        group["lr"] = rate * group["share"]
    learned.optimizer.step()
    course.step += 1
    decay = min(config.ema_decay, (1 + course.step) / (10 + course.step))
    get_ema_multi_avg_fn(decay)(list(learned.average.values()), list(learned.tensors.values()), None)
    return loss


def gradients(state: TrainingState, net: UnfoldingNet, sample: Sample) -> float:
    """Fills the gradients of the whole batch, part by part, those of the team's other processes added; its loss."""
    state.learned.optimizer.zero_grad(set_to_none=True)
    team, total = state.team, 0.0
    for part in sample.parts(team.size)[team.rank].parts(state.course.num_parts):
        if state.adapters.sampling is not None:  # Phi is being learned: a fresh operator at every step
            part = part.measured_with(part.physics.with_sampling(state.adapters.sampling))
        share = len(part.scene) / len(sample.scene)
        loss = _warm_start_loss(state, net, part) if state.course.phase == "warm-start" else _loss(state, net, part)
        (loss * share).backward()
        total += float(loss.detach()) * share
    return team.add_up(total, [tensor.grad for tensor in state.learned.tensors.values() if tensor.grad is not None])


def _loss(state: TrainingState, net: UnfoldingNet, sample: Sample) -> Tensor:
    """Eq. 13 on the last stage, plus the weighted losses of the stages before it and its weighted residual."""
    if not sample.scene.shape[1]:
        return _loss_without_scenes(state, net, sample)
    config = state.recipe.training
    scene = _inner(sample.scene, sample.margin)
    start = None if sample.start is None else Start(sample.start, sample.variance)
    unknowns = [stage.image for stage in net.stages(sample.y, sample.physics, view=state.view, start=start)]
    images = [_inner(sample.physics.picture(unknown), sample.margin) for unknown in unknowns]
    loss = distance(images[-1], scene, config.loss)
    if config.residual_weight:
        rest = (sample.y - sample.physics.forward(unknowns[-1])).square().sum() / sample.y.square().sum()
        loss = loss + config.residual_weight * rest
    for weight, image in zip(config.earlier_stages, images[-2:0:-1], strict=False):
        loss = loss + weight * distance(image, scene, config.loss)
    return loss


def _inner(image: Tensor, margin: int) -> Tensor:
    """(..., H, W) without `margin` pixels at each side."""
    height, width = image.shape[-2:]
    return image[..., margin : height - margin, margin : width - margin]


def _loss_without_scenes(state: TrainingState, net: UnfoldingNet, sample: Sample) -> Tensor:
    """The loss of measurements alone (see `selfsupervised`)."""
    data = state.recipe.data

    def decode(y: Tensor, physics: LinearPhysics) -> Tensor:
        *_, last = net.stages(y, physics, view=state.view)
        return last.image

    return self_supervised_loss(
        decode,
        sample.y,
        linear(sample.physics),
        state.generator,
        share=data.withheld,
        equivariance=data.equivariance,
        noise=None if state.adapted is None else state.adapted.camera.noise,
    )


def _warm_start_loss(state: TrainingState, net: UnfoldingNet, sample: Sample) -> Tensor:
    """The denoiser alone, on scenes between the truth and the initial estimate, with Gaussian noise of many levels."""
    batch, device = len(sample.scene), sample.scene.device
    share, level = torch.rand(2, batch, 1, 1, 1, device=device, generator=state.generator)
    noise = torch.randn(sample.scene.shape, device=device, generator=state.generator)
    physics = sample.physics
    with torch.no_grad():
        start = net.initial(sample.y, physics).image
        z = torch.lerp(physics.unknown(sample.scene, physics.light(start)), start, share)
        z = z + F.pad(0.1 * level**2 * noise, (0, 0, 0, 0, 0, physics.num_lights))  # light has none
    x, _ = net.denoised(z, physics.conditioning(), None, 1)
    return distance(physics.picture(x), sample.scene, state.recipe.training.loss)


def _similarity(estimate: Tensor, truth: Tensor) -> Tensor:
    """The mean SSIM (Wang et al., IEEE TIP 2004) over windows of 7 x 7 pixels, for images between 0 and 1."""
    means = [F.avg_pool2d(image, 7, stride=1) for image in (estimate, truth)]
    product = means[0] * means[1]
    squares = means[0].square() + means[1].square()
    covariance = F.avg_pool2d(estimate * truth, 7, stride=1) - product
    variances = F.avg_pool2d(estimate.square() + truth.square(), 7, stride=1) - squares
    return ((2 * product + 1e-4) * (2 * covariance + 9e-4) / ((squares + 1e-4) * (variances + 9e-4))).mean()


def distance(estimate: Tensor, truth: Tensor, loss: str) -> Tensor:
    """The mean loss between two (B, C, H, W) images: "l2" squared, "rmse" its root, "l1", "charbonnier", or "decibel".

    The last is the mean logarithm of the squared errors of every band of every sample: what the mean PSNR falls with.
    "structural" is "charbonnier" with a share of 1 - SSIM, for pictures whose brightness is a guess: it asks for their
    details.
    """
    if loss == "structural":
        return distance(estimate, truth, "charbonnier") + _STRUCTURE * (1 - _similarity(estimate, truth))
    if loss == "decibel":
        return (F.mse_loss(estimate, truth, reduction="none").mean(dim=(2, 3)) + 1e-6).log().mean()
    if loss == "l2":
        return F.mse_loss(estimate, truth)
    if loss == "rmse":
        return F.mse_loss(estimate, truth).sqrt()
    if loss == "l1":
        return F.l1_loss(estimate, truth)
    if loss == "charbonnier":
        return ((estimate - truth).square() + 1e-6).sqrt().mean()
    raise LorunError(f"The loss {loss!r} is not known; choose one of {', '.join(LOSSES)}.")
