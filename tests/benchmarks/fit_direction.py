"""Fits the network of camera_checks/direction.py and writes its weights: python tests/benchmarks/fit_direction.py DATA

It sees sets of measured reflectances under measured lights with the errors that coarse decodes of composed scenes have,
and no measured cube. The decodes themselves as examples were tried: with them fewer captures of cubes were right.
It takes some minutes on one core.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from lorun_engine.camera_checks import direction
from lorun_engine.camera_checks.direction import BLOCK, NUM_POINTS, POINTS_NM, coarse_spectra, features, layer_shapes
from lorun_engine.instrument import Dispersion
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.noise import Noise
from lorun_engine.training_data.composed_scenes import Composer, Spectra, read_spectra
from lorun_engine.training_data.photographs import picture_files, read_photographs

NUM_STEPS, BATCH = 3000, 64
NUM_DECODES, SIDE = 160, 256
NUM_MATERIALS, NUM_SPECTRA = 10, 64


def main(data: Path) -> None:
    spectra = read_spectra(data / "cassi" / "spectra", POINTS_NM)
    errors = decode_errors(data, spectra)
    flat = fit(spectra, errors)
    right = float((log_odds(flat, features(drawn(spectra, 1000))) > 0).float().mean())
    report(f"right in {right:.1%} of new sets of spectra")
    store(flat, Path(direction.__file__).with_name(direction.WEIGHTS))


def decode_errors(data: Path, spectra: Spectra) -> Tensor:
    """(NUM_DECODES, 2 NUM_SPECTRA, NUM_POINTS): what coarse decodes are off, in shares of the mean of each spectrum."""
    photographs = read_photographs(picture_files([data / "images" / "train" / "bsds500"])[:80])
    composer, draws, found = Composer(photographs, spectra), torch.Generator().manual_seed(1), []
    for number in range(NUM_DECODES):
        scene = composer.scenes(1, SIDE, SIDE, draws)
        mask = torch.rand(SIDE, SIDE, generator=draws)
        mask = mask if number % 2 else (mask < 0.5).float()
        physics = CassiPhysics(mask, Dispersion(NUM_POINTS, step=2.0 if number % 3 else 2.13))
        noise = Noise("shot", float(torch.exp(5 + 3.5 * torch.rand(1, generator=draws))))
        decoded = coarse_spectra(noise.add_to(physics.forward(scene), draws), physics).flatten(1).T
        true = F.avg_pool2d(scene, BLOCK)[0].flatten(1).T
        mean = true.mean(dim=1, keepdim=True)
        errors = ((decoded - true) / mean)[mean[:, 0] > 0.15 * mean.quantile(0.98)]
        found.append(errors[torch.randint(len(errors), (2 * NUM_SPECTRA,), generator=draws)])
    return torch.stack(found)


def drawn(spectra: Spectra, count: int) -> Tensor:
    """(count, NUM_SPECTRA, NUM_POINTS): few materials under one light, mixed, with smooth errors of random size."""
    picks = torch.multinomial(spectra.reflectance_shares, count * NUM_MATERIALS, replacement=True)
    materials = spectra.reflectances[picks].reshape(count, NUM_MATERIALS, -1)
    brightness = torch.empty(count, NUM_MATERIALS, 1).uniform_(0.3, 0.9)
    materials = materials / materials.amax(dim=-1, keepdim=True).clamp(min=0.05) ** brightness
    light = spectra.lights[torch.multinomial(spectra.light_shares, count, replacement=True)]
    ramp = torch.linspace(-1, 1, NUM_POINTS)
    slope, bend = torch.empty(2, count, 1).uniform_(-0.5, 0.5)
    smooth = torch.exp(slope * ramp + bend * (ramp.square() - 0.33))
    light = smooth * (light / light.mean(dim=1, keepdim=True)) ** torch.empty(count, 1).uniform_(0, 1)
    areas = torch.distributions.Dirichlet(torch.full((NUM_MATERIALS,), 0.4)).sample((count,)) + 1e-4
    first, second = (
        materials.gather(
            1, torch.multinomial(areas, NUM_SPECTRA, replacement=True)[..., None].expand(-1, -1, NUM_POINTS)
        )
        for _ in range(2)
    )
    share = torch.rand(count, NUM_SPECTRA, 1) ** 3 * 0.5
    rows = ((1 - share) * first + share * second) * light[:, None]
    waves = torch.cos(torch.pi * torch.arange(6)[:, None] * (torch.arange(NUM_POINTS) + 0.5) / NUM_POINTS)
    size = torch.rand(count, 1, 1).square() * 0.1
    alone = torch.randn(count, NUM_SPECTRA, 6) @ waves * size * rows.mean(dim=-1, keepdim=True)
    common = torch.randn(count, 1, 6) @ waves * 0.3 * size * rows.mean(dim=(1, 2), keepdim=True)
    return rows + alone + common


def fit(spectra: Spectra, errors: Tensor) -> Tensor:
    """The parameters of all layers in one row, as they are stored."""
    torch.manual_seed(0)
    flat = torch.cat([_initial(rows, columns) for rows, columns in layer_shapes()]).requires_grad_()
    optimizer = torch.optim.AdamW([flat], weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=NUM_STEPS)
    for step in range(NUM_STEPS):
        sets = drawn(spectra, BATCH)
        off = errors[torch.randint(len(errors), (BATCH,))][:, torch.randperm(errors.shape[1])[:NUM_SPECTRA]]
        off = torch.where(torch.rand(BATCH, 1, 1) < 0.5, off, off.flip(-1))  # they tell no direction
        sets = sets + torch.rand(BATCH, 1, 1) * off * sets.mean(dim=-1, keepdim=True)
        loss = F.softplus(-log_odds(flat, features(sets))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 500 == 499:
            report(f"step {step + 1}: loss {float(loss.detach()):.3f}")
    return (flat.detach() / direction.UNIT).round().clamp(-128, 127) * direction.UNIT


def store(flat: Tensor, path: Path) -> None:
    """Writes the layers as whole multiples of UNIT."""
    stored = {}
    for number, (weight, bias) in enumerate(layers_of(flat)):
        for name, values in (("weight", weight), ("bias", bias)):
            stored[f"{number}.{name}"] = (values / direction.UNIT).round().to(torch.int8).contiguous()
    save_file(stored, path)


def log_odds(flat: Tensor, of_sets: Tensor) -> Tensor:
    return direction.log_odds(of_sets, layers_of(flat))


def layers_of(flat: Tensor) -> direction.Layers:
    """(weight, bias) of every layer."""
    layers, at = [], 0
    for rows, columns in layer_shapes():
        weight, bias = flat[at : at + rows * columns], flat[at + rows * columns : at + rows * (columns + 1)]
        layers.append((weight.reshape(rows, columns), bias))
        at += rows * (columns + 1)
    return tuple(layers)


def _initial(rows: int, columns: int) -> Tensor:
    bound = columns**-0.5
    return torch.empty(rows * (columns + 1)).uniform_(-bound, bound)


def report(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
