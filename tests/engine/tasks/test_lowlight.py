"""Low light: the closed forms, the smooth light, how pictures are darkened, and the decoder without weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lorun_engine.decoding.restore import restore
from lorun_engine.instrument import RELIT_GAMMA, relit
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.tasks.camera import camera_of
from lorun_engine.tasks.lowlight import Darkening, LowLightCamera, LowLightPhysics, Retinex, smooth_light
from lorun_engine.tasks.noise import Noise

HEIGHT, WIDTH = 40, 56


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def scene(channels: int = 3) -> Scene:
    ramp = np.linspace(0.2, 0.9, WIDTH, dtype=np.float32)[None, None] * np.ones((channels, HEIGHT, 1), np.float32)
    ramp[:, 10:20, 15:30] *= np.float32(0.5)
    return Scene(ramp)


@pytest.mark.parametrize("mu", [0.003, 0.4])
def test_the_closed_forms_are_where_the_slopes_vanish(mu, generator):
    y, r, pulled = torch.rand(3, 2, 3, 5, 6, dtype=torch.float64, generator=generator)
    light, nearby = torch.rand(2, 2, 1, 5, 6, dtype=torch.float64, generator=generator)
    physics = LowLightPhysics(3, (5, 6))

    def cost(reflectance: torch.Tensor, lit: torch.Tensor) -> torch.Tensor:
        fit = (physics.forward(torch.cat([reflectance, lit], dim=1)) - y).square().sum()
        return fit + mu / 2 * ((reflectance - pulled).square().sum() + (lit - nearby).square().sum())

    best = physics.reflectance(y, light, pulled, mu).requires_grad_()
    (slope,) = torch.autograd.grad(cost(best, light), best)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-12, rtol=0)
    lit = physics.lit(y, r, nearby, mu).requires_grad_()
    (slope,) = torch.autograd.grad(cost(r, lit), lit)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-12, rtol=0)


def test_the_smooth_light_keeps_edges_and_smooths_what_is_small(generator):
    step = torch.full((1, 3, 60, 60), 0.05)
    step[..., 30:] = 0.8
    torch.testing.assert_close(smooth_light(step)[..., 29:31], step[:, :1, :, 29:31], atol=0.1, rtol=0)
    noisy = 0.5 + 0.02 * torch.randn(1, 1, 60, 60, generator=generator)
    assert smooth_light(noisy).std() < 0.2 * noisy.std()
    assert torch.equal(smooth_light(torch.zeros(1, 3, 9, 9)), torch.zeros(1, 1, 9, 9))


def test_the_start_explains_the_picture_and_is_relit_by_the_gamma():
    y = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)) * 0.2
    physics = LowLightPhysics(3, (HEIGHT, WIDTH))
    x = physics.initial(y)
    torch.testing.assert_close(physics.forward(x), y)
    picture, light = physics.picture(x)[0].numpy(), physics.light(x)[0].numpy()
    np.testing.assert_allclose(picture, (x[0, :3] * x[0, 3:] ** RELIT_GAMMA).numpy(), rtol=1e-5)
    np.testing.assert_allclose(relit(picture, light, 1.0), y[0].numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(relit(picture, light, 0.0), x[0, :3].numpy(), rtol=1e-4)


def test_a_picture_is_darkened_by_exposure_and_gamma_and_says_so():
    darkening = Darkening(0.3, 2.0, 0, 0)
    dark = LowLightCamera(darkening=darkening).measured(scene())
    np.testing.assert_allclose(dark.y, 0.3 * scene().image ** 2, rtol=1e-5)
    np.testing.assert_array_equal(dark.reference, scene().image)
    assert dark.notes == ("Darkened: exposure 0.3, gamma 2, no shot noise, read noise 0.",)
    assert camera_of(dark) == LowLightCamera(darkening=darkening)
    other = camera_of(dark).changed({"exposure": 0.1, "darkening_gamma": 1.5})
    assert other.darkening == Darkening(0.1, 1.5, 0, 0)


def test_the_noise_of_a_darkening_is_that_of_electrons_and_of_reading(generator):
    grey = torch.full((1, 1, 400, 400), 0.2)
    shot = Darkening(1, 1, 500, 0).noisy(grey, generator)
    assert float(shot.std()) == pytest.approx((0.2 / 500) ** 0.5, rel=0.02)
    assert torch.equal((shot * 500).round() / 500, shot)
    both = Darkening(1, 1, 500, 0.01).noisy(grey, generator)
    assert float(both.std()) == pytest.approx((0.2 / 500 + 1e-4) ** 0.5, rel=0.02)
    own = LowLightCamera(Noise("gaussian", 0.05), Darkening(1, 1, 500, 0.01)).measured(Scene(grey[0].numpy()))
    assert float(own.y.std()) == pytest.approx(0.05, rel=0.02)
    assert own.notes == ("Darkened: exposure 1, gamma 1, no shot noise, read noise 0.",)


@pytest.mark.parametrize("channels", [1, 3])
def test_retinex_brightens_and_explains_the_picture(channels):
    dark = LowLightCamera(darkening=Darkening(0.15, 1.2, 0, 0)).measured(scene(channels))
    first, last = restore(Retinex(), dark)
    assert last.residual < 1e-6 and first.method == "smooth light"
    assert last.image.shape == dark.y.shape and last.light.shape == (1, HEIGHT, WIDTH)
    as_taken = 10 * np.log10(1 / np.square(dark.y - scene(channels).image).mean())
    assert last.metrics["psnr"] > as_taken + 5
    assert last.metrics["matched_psnr"] >= last.metrics["psnr"] - 1e-6
    assert set(last.metrics) == {"psnr", "ssim", "matched_psnr", "matched_ssim"}


def test_an_input_scale_changes_the_light_alone():
    dark = LowLightCamera(darkening=Darkening(0.15, 1.2, 0, 0)).measured(scene())
    *_, last = restore(Retinex(), dark)
    twice = Measurement("lowlight", dark.y, dark.physics, input_scale=2.0)
    *_, scaled = restore(Retinex(), twice)
    np.testing.assert_allclose(relit(scaled.image, scaled.light, 1.0), dark.y, rtol=1e-4)
    np.testing.assert_allclose(scaled.light, 2 * last.light, rtol=1e-4)
