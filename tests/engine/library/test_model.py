"""Weights files and models: round trips, hashes, refusals, the library, and captures of other bands."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lorun_engine.decoding.restore import restore
from lorun_engine.errors import FileError, GeometryError, LorunError, ModelError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import OpenOptions, open_measurement
from lorun_engine.library.cards import cards_in, read_card
from lorun_engine.library.model import (
    Model,
    backbone_hash,
    interpolation,
    list_decoders,
    load_model,
    open_decoder,
    save_adapters,
    save_backbone,
)
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.networks.lora import SAMPLING, AdapterSet, new_adapters
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.tasks import cs, sr
from lorun_engine.tasks.cassi import CassiCamera, random_mask, simulate
from lorun_engine.tasks.kernels import gaussian_kernel

BANDS = np.linspace(450, 650, 9)
CONFIG = NetworkConfig(
    9,
    2,
    denoiser="unet",
    denoiser_settings={"widths": (4, 8)},
    initial="subspace-tv",
    initial_iterations=3,
    initial_rank=4,
)


def new_model(seed: int = 0, config: NetworkConfig = CONFIG) -> Model:
    """A model whose adapters change every stage."""
    torch.manual_seed(seed)
    backbone = Backbone(config).requires_grad_(False)
    adapters = new_adapters(backbone.blocks[0], num_stages=config.num_stages, gamma=30)
    tensors = {name: 0.05 * torch.randn_like(tensor) for name, tensor in adapters.tensors.items()}
    adapters = adapters.mapped({**tensors, **new_step_parameters(config)})
    card = {"task_config": {"wavelengths_nm": BANDS.tolist(), "step": 2.0}, "input_scale": "exposure", "training": {}}
    return Model("set", "cassi", UnfoldingNet(config, backbone, adapters), card=card)


def save(model: Model, folder: Path, name: str = "set") -> Path:
    """The model's two files in `folder`; the path of the set."""
    folder.mkdir(exist_ok=True)
    config, backbone = model.net.config, model.net.backbone
    digest = save_backbone(folder / f"{name}-backbone.safetensors", backbone, config, task="cassi", training={})
    assert digest == backbone_hash(backbone, config)
    save_adapters(folder / f"{name}.safetensors", model, backbone_hash=digest)
    return folder / f"{name}.safetensors"


def capture(wavelengths_nm: np.ndarray | None = BANDS, num_bands: int = 9, step: float = 2.0) -> Measurement:
    image = np.random.default_rng(1).random((num_bands, 16, 24), dtype=np.float32)
    return simulate(Scene(image, wavelengths_nm), random_mask(16, 24, seed=2), Dispersion(num_bands, step))


def images(model: Model, measurement: Measurement) -> list[np.ndarray]:
    return [stage.image for stage in restore(model, measurement)]


def test_a_saved_model_decodes_as_before_bit_for_bit(tmp_path):
    model = new_model()
    loaded = load_model(save(model, tmp_path))
    assert loaded.name == "set" and loaded.task == "cassi" and loaded.num_stages == 2 and loaded.adapters.gamma == 30
    for before, after in zip(images(model, capture()), images(loaded, capture()), strict=True):
        assert np.array_equal(before, after)


def test_every_stage_reports_its_data_step_as_a_number():
    _, *stages = restore(new_model(), capture())
    assert [set(stage.parameters) for stage in stages] == [{"mu"}, {"mu"}]
    assert all(isinstance(stage.parameters["mu"], float) for stage in stages)


def test_another_layout_or_precision_gives_nearly_the_same_picture():
    *_, plain = images(new_model(), capture())
    *_, turned = images(new_model().running(path="nhwc"), capture())
    *_, half = images(new_model().running(precision="bfloat16"), capture())
    np.testing.assert_allclose(turned, plain, atol=1e-5)
    np.testing.assert_allclose(half, plain, atol=0.05 * np.abs(plain).max())
    with pytest.raises(LorunError, match="paths auto, plain, nhwc, compiled"):
        new_model().running(path="fast")


def test_hashes_cover_numbers_and_configuration_but_not_training_notes(tmp_path):
    model = new_model()
    config = model.net.config
    digest = backbone_hash(model.net.backbone, config)
    assert digest == backbone_hash(model.net.backbone, replace(config, num_stages=5))  # a backbone serves any K
    assert digest != backbone_hash(model.net.backbone, replace(config, denoiser_settings={"widths": (4, 9)}))
    first = save_adapters(tmp_path / "a.safetensors", model, backbone_hash=digest)
    noted = replace(model, card={**model.card, "training": {"hours": 3}})
    assert save_adapters(tmp_path / "b.safetensors", noted, backbone_hash=digest) == first
    changed = model.with_adapters(model.adapters.scaled(0.5))
    assert save_adapters(tmp_path / "c.safetensors", changed, backbone_hash=digest) != first


def test_a_set_of_another_backbone_is_refused(tmp_path):
    path = save(new_model(seed=1), tmp_path / "one")
    save(new_model(seed=2), tmp_path / "two")
    (tmp_path / "one" / "set-backbone.safetensors").unlink()
    with pytest.raises(ModelError, match="neither beside it nor in the library"):
        load_model(path, library=[tmp_path / "two"])


def test_a_backbone_that_is_given_as_a_set_is_refused(tmp_path):
    save(new_model(), tmp_path)
    with pytest.raises(ModelError, match="holds a backbone"):
        load_model(tmp_path / "set-backbone.safetensors")


def test_changed_numbers_are_noticed(tmp_path):
    path = save(new_model(), tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="other numbers than its card states"):
        load_model(path)


@pytest.mark.parametrize("length", [0, 4, 60, -1])
def test_a_truncated_file_is_a_sentence(tmp_path, length):
    path = save(new_model(), tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ModelError, match="damaged|not a weights file"):
        load_model(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 4) + b"[[]]"],
)
def test_a_file_of_another_kind_is_a_sentence(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="not a weights file"):
        read_card(tmp_path / "x.safetensors")
    assert list(cards_in([tmp_path])) == []


def test_a_card_of_a_later_format_asks_for_an_update(tmp_path):
    header = json.dumps(
        {"__metadata__": {"card": json.dumps({"format": 9, "kind": "adapters", "hash": "", "task": "x"})}}
    )
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header.encode())
    with pytest.raises(ModelError, match="format 9"):
        read_card(tmp_path / "x.safetensors")


def test_the_library_lists_sets_with_their_backbone_and_decoders_without_weights(tmp_path):
    save(new_model(), tmp_path)
    save(new_model(seed=3), tmp_path, name="other")
    (tmp_path / "other-backbone.safetensors").unlink()
    names = [entry.name for entry in list_decoders([tmp_path, tmp_path / "missing"], task="cassi")]
    assert names == ["set", "subspace-tv", "gap-tv"]
    assert open_decoder("set", library=[tmp_path], task="cassi").num_stages == 2
    assert open_decoder("gap-tv", library=[tmp_path]).name == "gap-tv"
    assert open_decoder(str(tmp_path / "set.safetensors"), library=[]).name == "set"
    with pytest.raises(LorunError, match="there is set, subspace-tv, gap-tv"):
        open_decoder("tsa", library=[tmp_path], task="cassi")
    with pytest.raises(FileError, match="cannot be read"):
        open_decoder(str(tmp_path / "none.safetensors"), library=[])


def test_two_lists_of_the_same_bands_are_one():
    model = new_model()
    assert model.fitted(capture(BANDS + 0.9)).view is None


def test_a_capture_of_other_bands_is_decoded_in_its_own_bands_and_said_so():
    others = np.linspace(445, 655, 12)
    model, measurement = new_model(), capture(others, 12)
    fitted = model.fitted(measurement)
    assert "resampled to the measurement's 12 bands" in fitted.notes[0]
    *_, last = restore(model, measurement)
    assert last.image.shape == (12, 16, 24)


@pytest.mark.parametrize("others", [np.linspace(430, 640, 12), np.linspace(460, 640, 7), np.linspace(450, 700, 12)])
def test_bands_too_far_from_the_sets_are_refused_with_a_way_out(others):
    with pytest.raises(ModelError, match="Decode with gap-tv, or train a set"):
        next(restore(new_model(), capture(others, len(others))))


def test_a_camera_that_disperses_downwards_is_seen_turned():
    image = np.random.default_rng(1).random((9, 16, 24), dtype=np.float32)
    downwards = simulate(Scene(image, BANDS), random_mask(16, 24, seed=2), Dispersion(9, axis="y", direction="-"))
    view = new_model().fitted(downwards).view
    assert view.transposed and view.mirrored and view.to is None
    assert [stage.image.shape for stage in restore(new_model(), downwards)] == [(9, 16, 24)] * 3


def trained_at(step: float | None) -> Model:
    config = {"wavelengths_nm": BANDS.tolist()} | ({} if step is None else {"step": step})
    return replace(new_model(), card={"task_config": config})


@pytest.mark.parametrize("step", [0.25, 1.0, 3.0, 4.0])
def test_a_set_says_that_it_was_trained_at_another_step(step):
    (note,) = trained_at(2.0).fitted(capture(step=step)).notes
    assert f"step of 2 pixels a band; this camera has {step:g}" in note
    assert trained_at(step).fitted(capture(step=step)).notes == ()
    assert trained_at(None).fitted(capture(step=step)).notes == ()


@pytest.mark.parametrize("step", [0.0, 0.2, 4.5, 8.0])
def test_a_set_refuses_steps_at_which_none_was_measured(step):
    with pytest.raises(ModelError, match=f"lie {step:g} pixels apart; set was trained at 2.*adapt the set"):
        trained_at(2.0).fitted(capture(step=step))
    assert trained_at(step).fitted(capture(step=step)).notes == ()


def test_a_set_adapted_to_a_camera_is_one_of_its_step():
    camera = CassiCamera(dispersion=Dispersion(9, 3.0))
    assert camera.task_config({"step": 2.0, "wavelengths_nm": list(BANDS)})["step"] == 3.0


def test_one_optic_described_from_either_end_is_decoded_alike(tmp_path):
    """The direction "-" of rising bands is the direction "+" of falling ones."""
    image = np.random.default_rng(1).random((9, 16, 24), dtype=np.float32)
    mask = random_mask(16, 24, seed=2)
    falls = simulate(Scene(image, BANDS), mask, Dispersion(9, direction="-"))
    lists = {name: tmp_path / f"{name}.txt" for name in ("rising", "falling")}
    np.savetxt(lists["rising"], BANDS)
    np.savetxt(lists["falling"], BANDS[::-1])
    np.save(tmp_path / "meas.npy", falls.y[0])
    np.save(tmp_path / "mask.npy", mask)
    decoded = []
    for direction, name in (("-", "rising"), ("+", "falling")):
        options = OpenOptions(step=2.0, direction=direction, wavelengths=str(lists[name]), dark_level=0.0)
        opened = open_measurement([tmp_path / "meas.npy", tmp_path / "mask.npy"], options)
        *_, last = restore(new_model(), replace(opened, input_scale=1.0))
        decoded.append(last.image)
    np.testing.assert_array_equal(*decoded)


def test_unknown_wavelengths_are_taken_for_the_sets_when_their_number_fits():
    model = new_model()
    assert model.fitted(capture(None)).view is None
    assert "takes its bands for those from" in model.fitted(capture(None)).notes[0]
    with pytest.raises(ModelError, match="10 channels without wavelengths"):
        model.fitted(capture(None, 10))


def test_interpolation_is_linear_in_wavelength_and_constant_beyond_the_ends():
    matrix = interpolation(np.array([400.0, 420.0, 500.0]), np.array([390.0, 410.0, 460.0, 500.0]))
    expected = [[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1]]
    torch.testing.assert_close(matrix, torch.tensor(expected, dtype=torch.float32))
    for own, wanted in (([500.0, 400.0], [425.0]), ([400.0, 500.0], [450.0, 425.0])):
        with pytest.raises(GeometryError, match="do not rise"):
            interpolation(np.array(own), np.array(wanted))


def test_switching_sets_changes_the_picture_and_never_the_backbone():
    model = new_model()
    before = backbone_hash(model.net.backbone, CONFIG)
    *_, adapted = images(model, capture())
    *_, shared = images(model.with_adapters(model.adapters.scaled(0)), capture())
    assert not np.array_equal(adapted, shared)
    bare = AdapterSet(2, {name: t for name, t in model.adapters.tensors.items() if "/step/" in name})
    *_, backbone_only = images(model.with_adapters(bare), capture())
    assert np.array_equal(shared, backbone_only)
    assert backbone_hash(model.net.backbone, CONFIG) == before


def picture_model(task: str, channels: int, task_config: dict, tensors: dict[str, torch.Tensor]) -> Model:
    config = NetworkConfig(
        channels, 2, denoiser="unet", denoiser_settings={"widths": [4, 8]}, data_step="proximal-gradient"
    )
    backbone = Backbone(config).requires_grad_(False)
    adapters = AdapterSet(2, {**new_step_parameters(config), **tensors})
    return Model(f"{task}-set", task, UnfoldingNet(config, backbone, adapters), card={"task_config": task_config})


def test_a_set_for_samples_takes_its_own_matrix_and_no_other():
    own = cs.random_sampling(10, block_size=16, seed=1)
    model = picture_model("cs", 1, {"ratio": 10}, {SAMPLING: torch.from_numpy(own)})
    picture = Scene(np.random.default_rng(0).random((1, 32, 48), dtype=np.float32))
    assert model.fitted(cs.simulate(picture, own)).notes == ()
    other = cs.simulate(picture, cs.random_sampling(10, block_size=16, seed=2))
    with pytest.raises(ModelError, match="taken with another matrix than the one that cs-set has learned.*adapt"):
        model.fitted(other)
    rounded = np.round(own * 127 / np.abs(own).max()) * np.abs(own).max() / 127  # as 8 bits hold it
    assert model.fitted(cs.simulate(picture, rounded.astype(np.float32))).notes == ()
    with pytest.raises(ModelError, match="64 samples of 256 pixels; cs-set was trained for 25 of 256"):
        model.fitted(cs.simulate(picture, cs.random_sampling(25, block_size=16)))


def test_a_set_for_enlarging_takes_its_own_factors_and_grey_pictures_too():
    model = picture_model("sr", 3, {"scales": [2, 3]}, {})
    colours = Scene(np.random.default_rng(0).random((3, 48, 48), dtype=np.float32))
    grey = Scene(colours.image[:1])
    kernel = gaussian_kernel(1.0, size=9)
    for scene in (colours, grey):
        *_, last = restore(model, sr.simulate(scene, kernel, 3))
        assert last.image.shape == scene.image.shape
    with pytest.raises(ModelError, match="enlarged 4 times; sr-set was trained for 2, 3 times"):
        model.fitted(sr.simulate(colours, kernel, 4))


def test_a_set_is_opened_without_loading_the_compiler_of_torch(tmp_path):
    save(new_model(), tmp_path)
    words = "import sys; from pathlib import Path; from lorun_engine.library.model import open_decoder; "
    words += f"open_decoder('set', library=[Path({str(tmp_path)!r})]); sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words]).returncode == 0
