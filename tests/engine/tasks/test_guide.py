"""A guide beside a CASSI snapshot: what it tells of spectra, what decoders make of it, and where it lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lorun_engine.decoding.kept import Conditions, keys_of
from lorun_engine.decoding.restore import restore
from lorun_engine.errors import GeometryError
from lorun_engine.instrument import RESPONSES, Dispersion, response_of
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.networks.lora import new_adapters
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.tasks.camera import camera_of
from lorun_engine.tasks.cassi import CassiCamera, CassiPhysics
from lorun_engine.tasks.gap_tv import GapTv
from lorun_engine.tasks.guide import Guide, displacement, noise_of, resemblance
from lorun_engine.tasks.guiding import guided
from lorun_engine.tasks.subspace import shipped_components
from lorun_engine.tasks.subspace_tv import SubspaceTv

BANDS, HEIGHT, WIDTH = 12, 64, 72
WAVELENGTHS = np.linspace(450, 650, BANDS)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Discs and stripes of smooth spectra, (BANDS, HEIGHT, WIDTH)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = (0.15 + 0.1 * (x % 9 < 4))[None] * np.ones((BANDS, 1, 1))
    for row, column, centre in ((18, 20, 470), (20, 54, 540), (48, 24, 600), (46, 56, 640)):
        spectrum = 0.1 + 0.8 * np.exp(-(((WAVELENGTHS - centre) / 50) ** 2))
        inside = (y - row) ** 2 + (x - column) ** 2 < 13**2
        image = np.where(inside[None], spectrum[:, None, None] * (0.7 + 0.3 * (y % 5 < 2))[None], image)
    return Scene(image.astype(np.float32), WAVELENGTHS)


@pytest.fixture(scope="module")
def measured(scene) -> Measurement:
    """The scene with a guide in colours."""
    return CassiCamera(guide="rgb", guide_noise=0.002).measured(scene, seed=1)


def guide_of(measurement: Measurement) -> Guide:
    assert isinstance(measurement.physics, CassiPhysics) and measurement.physics.guide is not None
    return measurement.physics.guide


def psnr(decoder, measurement: Measurement, **options) -> float:
    *_, last = restore(decoder, replace(measurement, input_scale=1.0), **options)
    return last.metrics["psnr"]


# ---- what it tells -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(RESPONSES))
def test_a_response_shows_a_grey_scene_as_it_is(name):
    response = response_of(name, WAVELENGTHS)
    assert response.shape == (len(RESPONSES[name]), BANDS) and (response >= 0).all()
    np.testing.assert_allclose(response @ np.full(BANDS, 0.3), 0.3)


def test_the_estimate_is_the_conditional_mean_of_gaussian_spectra():
    generator = torch.Generator().manual_seed(0)
    components = shipped_components(WAVELENGTHS, BANDS)
    spectra = torch.randn(20_000, len(components), generator=generator) @ components
    response = torch.from_numpy(response_of("rgb", WAVELENGTHS)).float()
    picture = (spectra @ response.T).T[None, :, None]
    guide = Guide(picture, response, components)
    rest = spectra - guide.estimate(components)[0, :, 0].T
    left = guide.left(components)
    torch.testing.assert_close(rest.T @ rest / len(rest), left.T @ left, atol=2e-3, rtol=0.1)
    gram = left @ left.T
    assert (gram - gram.diagonal().diag()).abs().max() < 1e-5 * gram.max()
    assert rest.square().mean() < 0.1 * spectra.square().mean()
    seen = (rest @ response.T).square().mean() / (spectra @ response.T).square().mean()
    assert seen < 1e-3  # what is left is hardly seen by the guide


def test_a_scene_that_agrees_stays_and_another_is_brought_nearer(scene):
    truth = torch.from_numpy(scene.image)[None]
    response = torch.from_numpy(response_of("rgb", WAVELENGTHS)).float()
    components = shipped_components(WAVELENGTHS, BANDS)
    guide = Guide(torch.einsum("gc,bchw->bghw", response, truth), response, components)
    torch.testing.assert_close(guide.agreed(truth), truth, atol=1e-6, rtol=0)
    wrong = truth.roll(2, dims=3)
    agreed = guide.agreed(wrong)
    assert (agreed - truth).square().mean() < 0.5 * (wrong - truth).square().mean()
    assert (guide.seen(agreed) - guide.picture).square().mean() < 0.02 * (
        guide.seen(wrong) - guide.picture
    ).square().mean()


def test_a_noisy_guide_is_trusted_less(scene):
    truth = torch.from_numpy(scene.image)[None]
    response = torch.from_numpy(response_of("rgb", WAVELENGTHS)).float()
    clear = Guide(torch.einsum("gc,bchw->bghw", response, truth), response, shipped_components(WAVELENGTHS, BANDS))
    moved = [float((replace(clear, noise=n).agreed(0 * truth)).square().sum()) for n in (0.002, 0.1, 1.0)]
    assert moved == sorted(moved, reverse=True)


def test_the_noise_of_a_picture_is_found():
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(0, 3, 128), torch.linspace(0, 3, 128), indexing="ij")
    smooth = (0.5 + 0.3 * torch.sin(x + y))[None, None].expand(1, 3, -1, -1)
    assert noise_of(smooth) < 1e-3
    for sigma in (0.01, 0.05):
        noisy = smooth + sigma * torch.randn(smooth.shape, generator=generator)
        assert noise_of(noisy) == pytest.approx(sigma, rel=0.1)


@pytest.mark.parametrize("shift", [(0, 0), (3, 0), (-2, 5), (16, -16)])
def test_a_displacement_is_found(scene, shift):
    picture = torch.from_numpy(scene.image)[None, :3]
    noise = 0.05 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    assert displacement(0.3 * picture.roll(shift, dims=(2, 3)) + noise, picture) == shift
    assert resemblance(picture, 2 * picture) == pytest.approx(1, abs=1e-4)


# ---- with the operator -------------------------------------------------------------------------------------------


def test_every_part_of_an_operator_keeps_its_part_of_the_guide(measured):
    generator = torch.Generator().manual_seed(0)
    physics, y = measured.physics, torch.from_numpy(measured.y)[None]
    guide = guide_of(measured)
    part = physics.random_part(y, None, (16, 64), generator).physics
    assert part.guide.picture.shape == (1, 3, 16, WIDTH)
    assert (guide.picture.unfold(2, 16, 1).movedim(-1, -2) == part.guide.picture[:, :, None]).flatten(3).all(3).any()
    both = physics.joined([physics, physics.guided_by(guide.scaled(2.0))])
    assert both.guide.picture.shape[0] == 2 and both.part(torch.tensor([1])).guide.picture.shape[0] == 1
    torch.testing.assert_close(both.part(torch.tensor([1])).guide.picture, 2 * guide.picture)
    assert physics.withheld(y, 0.1, generator).physics.guide is guide
    assert physics.to("cpu", torch.float64).guide.picture.dtype == torch.float64
    torch.testing.assert_close(physics.scaled(0.5).guide.picture, 0.5 * guide.picture)
    assert physics.guided_by(None).scaled(0.5).guide is None


def test_a_guide_of_another_size_or_response_is_refused(measured):
    guide = guide_of(measured)
    with pytest.raises(GeometryError, match=r"63 x 72 pixels; the scene has 64 x 72"):
        measured.physics.guided_by(guide.narrow(2, 0, 63))
    with pytest.raises(GeometryError, match=r"3 x 11 numbers; 3 x 12"):
        measured.physics.guided_by(replace(guide, response=guide.response[:, :-1]))


@pytest.mark.parametrize(("decoder", "gain_db"), [(SubspaceTv(), 5.0), (GapTv(num_stages=30), 5.0)])
@pytest.mark.parametrize("name", list(RESPONSES))
def test_decoders_without_weights_gain_by_a_guide(scene, decoder, gain_db, name):
    with_guide = CassiCamera(guide=name, guide_noise=0.002).measured(scene, seed=1)
    alone = replace(with_guide, physics=with_guide.physics.guided_by(None))
    least = gain_db if name == "rgb" else 1.0
    assert psnr(decoder, with_guide) > psnr(decoder, alone) + least


def test_a_snapshot_of_another_exposure_is_decoded_alike(measured):
    """The guide is brought to the engine's scale with the snapshot."""
    bright = replace(
        measured,
        y=100 * measured.y,
        physics=measured.physics.scaled(100.0),
        reference=100 * measured.reference,
        input_scale=0.01,
    )
    *_, first = restore(SubspaceTv(), replace(measured, input_scale=1.0), num_stages=3)
    *_, second = restore(SubspaceTv(), bright, num_stages=3)
    np.testing.assert_allclose(second.image / 100, first.image, atol=2e-5)


def test_a_network_ends_every_stage_in_agreement_with_the_guide(measured):
    torch.manual_seed(0)
    config = NetworkConfig(BANDS, 2, denoiser="unet", denoiser_settings={"widths": (4, 8)})
    backbone = Backbone(config).requires_grad_(False)
    adapters = new_adapters(backbone.blocks[0], num_stages=2, gamma=10)
    net = UnfoldingNet(config, backbone, adapters.mapped({**adapters.tensors, **new_step_parameters(config)}))
    y, guide = torch.from_numpy(measured.y)[None], guide_of(measured)
    for stage in list(net.stages(y, measured.physics))[1:]:
        torch.testing.assert_close(guide.seen(stage.image), guide.picture, atol=1e-2, rtol=0)


def test_kept_stages_are_those_of_the_same_guide(measured):
    class Decoder:
        def depends_on(self, stage: int) -> tuple[object, ...]:
            return ()

    other = replace(measured, physics=measured.physics.scaled(1.01))
    keys = [
        keys_of(Decoder(), one, Conditions(1.0, "cpu", 1), num_stages=1)  # type: ignore[arg-type]
        for one in (measured, replace(measured), other)
    ]
    assert keys[0] == keys[1] and not set(keys[0]) & set(keys[2])


# ---- its camera --------------------------------------------------------------------------------------------------


def test_the_camera_of_a_measurement_takes_guides_like_its_own(scene, measured):
    camera = camera_of(measured)
    again = camera.measured(scene, seed=1)
    torch.testing.assert_close(guide_of(again).response, guide_of(measured).response)
    torch.testing.assert_close(guide_of(again).picture, guide_of(measured).picture, atol=0.02, rtol=0)
    batch = torch.from_numpy(scene.image)[None].repeat(2, 1, 1, 1)
    drawn = camera.physics(batch, torch.Generator().manual_seed(0))
    assert drawn.guide.picture.shape == (2, 3, HEIGHT, WIDTH)
    assert camera.summary()["guide"] == "3 channels"
    assert camera.task_config({"step": 1.0}) == {"step": 2.0, "guide": 3}


def test_a_camera_is_given_a_guide_and_loses_it(scene):
    camera = CassiCamera()
    assert camera.shown["guide_camera"] == "none" and "guide" not in camera.summary()
    with_guide = camera.changed({"guide_camera": "grey", "guide_noise": 0.01})
    assert guide_of(with_guide.measured(scene)).picture.shape[1] == 1
    assert with_guide.shown["guide_camera"] == "grey"
    without = with_guide.changed({"guide_camera": "none"})
    assert without.measured(scene).physics.guide is None
    assert without.task_config({"step": 2.0, "guide": 3}) == {"step": 2.0}
    with pytest.raises(GeometryError, match="no guide"):
        camera.changed({"guide_noise": 0.01})


def test_sets_say_where_they_do_not_know_guides(measured):
    with_guide, without = measured.physics, measured.physics.guided_by(None)
    assert "trained without a guide" in with_guide.caution("any", {"step": 2.0})
    assert with_guide.caution("any", {"step": 2.0, "guide": 3}) == ""
    assert "here is none" in without.misfit("any", {"step": 2.0, "guide": 3}, None)
    assert with_guide.misfit("any", {"step": 2.0, "guide": 3}, None) == ""
    assert without.misfit("any", {"step": 2.0}, None) == without.caution("any", {"step": 2.0}) == ""


# ---- where it lies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shift", "words"), [((3, 0), "3 px lower"), ((-2, 4), "2 px higher and 4 px further right")])
def test_a_guide_that_lies_elsewhere_is_found_moved_and_said(scene, shift, words):
    dispersion = Dispersion(BANDS)
    alone = CassiCamera(dispersion=dispersion).measured(scene, seed=1)
    response = response_of("rgb", WAVELENGTHS).astype(np.float32)
    picture = np.einsum("gc,chw->ghw", response, scene.image)
    displaced = np.roll(0.2 * picture, shift, axis=(1, 2))
    found = guided(alone, displaced, response)
    assert words in found.notes[-1]
    inner = (..., slice(6, -6), slice(6, -6))
    np.testing.assert_allclose(guide_of(found).picture[0].numpy()[inner], picture[inner], rtol=0.1, atol=0.01)
    assert guided(alone, picture, response).notes == alone.notes  # nothing to say
    stated = guided(alone, displaced, response, shift=(float(-shift[0]), float(-shift[1])))
    assert stated.notes == alone.notes
    torch.testing.assert_close(guide_of(stated).picture, guide_of(found).picture)
    as_is = guided(alone, picture, response, is_scaled=True)
    np.testing.assert_allclose(guide_of(as_is).picture[0].numpy(), picture, atol=1e-7)


def test_the_picture_of_another_scene_is_refused(scene):
    alone = CassiCamera().measured(scene, seed=1)
    other = np.random.default_rng(0).random((3, HEIGHT, WIDTH)).astype(np.float32)
    with pytest.raises(GeometryError, match="hardly resembles what the snapshot shows"):
        guided(alone, other, response_of("rgb", WAVELENGTHS).astype(np.float32))


def test_a_guide_of_bands_without_wavelengths_needs_a_response_of_its_own(scene):
    with pytest.raises(GeometryError, match="wavelengths of the bands are not known"):
        CassiCamera(guide="rgb").measured(replace(scene, wavelengths_nm=None))
    response = response_of("rgb", WAVELENGTHS).astype(np.float32)
    found = CassiCamera(guide_response=response).measured(replace(scene, wavelengths_nm=None))
    assert guide_of(found).picture.shape == (1, 3, HEIGHT, WIDTH)
