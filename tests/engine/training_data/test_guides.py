"""Guides of training samples: what cameras of many kinds see of the scenes, in trainings of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lorun_engine.instrument import RESPONSES, response_of
from lorun_engine.io import WAVELENGTHS, write_cube
from lorun_engine.library.cards import read_card
from lorun_engine.training.recipe import recipe_from
from lorun_engine.training.train import train
from lorun_engine.training_data.cassi import training_set
from lorun_engine.training_data.dataset import find_material
from lorun_engine.training_data.guides import GuideCameras
from lorun_engine.training_data.settings import CassiData

BANDS = np.asarray(WAVELENGTHS["cassi-28"])
SCENE = torch.rand(2, 28, 24, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path):
    """Two smooth cubes."""
    y, x = np.mgrid[:24, :40]
    for number in range(2):
        waves = np.sin(x / 4 + number) + np.cos(y / 3)
        cube = 0.4 + 0.15 * waves * np.sin(np.arange(28) / 9 + number)[:, None, None]
        path = tmp_path / "cubes" / f"scene{number}.h5"
        path.parent.mkdir(exist_ok=True)
        write_cube(path, cube.astype(np.float32), wavelengths_nm=BANDS, attributes={})
    return tmp_path / "cubes"


def test_cameras_differ_but_show_a_grey_scene_as_it_is():
    cameras, generator = GuideCameras.at(BANDS), torch.Generator().manual_seed(0)
    grey = torch.full((1, 28, 8, 8), 0.4)
    guides = [cameras.guide(grey, generator) for _ in range(40)]
    channels = [guide.picture.shape[1] for guide in guides]
    assert set(channels) == {1, 3} and channels.count(3) > channels.count(1)
    responses = [guide.response for guide in guides if len(guide.response) == 3]
    usual = torch.from_numpy(response_of("rgb", BANDS)).float()
    assert len(RESPONSES["rgb"]) == 3
    assert 0.01 < max(float((response - usual).abs().max()) for response in responses) < 0.2
    for guide in guides:
        assert guide.noise <= 0.02
        torch.testing.assert_close(guide.picture.mean(), torch.tensor(0.4), atol=5e-3, rtol=0)


def test_a_guide_is_what_its_response_sees_with_the_noise_it_states():
    cameras, generator = GuideCameras.at(BANDS), torch.Generator().manual_seed(3)
    for _ in range(5):
        guide = cameras.guide(SCENE, generator)
        error = guide.picture - guide.seen(SCENE)
        assert float(error.std()) == pytest.approx(guide.noise, rel=0.1, abs=1e-6)


def test_guided_samples_and_windows_have_guides_and_their_sets_say_so(folder):
    data = CassiData(crop=(8, 16), batch=2, real_share=1.0, validation=("scene1",), guided=True)
    drawn = training_set(find_material(folder), data, bands="cassi-28", step=2.0)
    sample = drawn.sampler.sample(torch.Generator().manual_seed(0))
    assert sample.physics.guide.picture.shape[::2] == (2, 8)
    [(windows, measured)] = drawn.validation
    assert measured(windows[0].scene, None).physics.guide.picture.shape[1] == 3
    assert drawn.task_config["guide"] == 3
    plain = training_set(find_material(folder), CassiData(crop=(8, 16), batch=2), bands="cassi-28", step=2.0)
    assert plain.sampler.sample(torch.Generator().manual_seed(0)).physics.guide is None
    assert "guide" not in plain.task_config


def test_a_training_with_guides_makes_a_set_for_them(folder, tmp_path):
    recipe = recipe_from(
        {
            "network": {
                **{"channels": 28, "num_stages": 2, "denoiser": "unet", "denoiser_settings": {"widths": [4, 8]}},
                **{"initial": "multiscale-tv", "initial_iterations": 5, "initial_rank": 4},
            },
            "data": {"crop": [8, 16], "batch": 2, "real_share": 1.0, "validation": ["scene1"], "guided": True},
            "training": {
                **{"backbone_steps": 2, "adapter_steps": 2, "validation_steps": 2, "warm_up_steps": 1},
                **{"pool_size": 2, "pool_uses": 2},
            },
        },
        source="test",
    )
    events = list(train(recipe, find_material(folder), tmp_path / "run"))
    assert [event.event for event in events][-1] == "finished"
    assert read_card(tmp_path / "run" / "adapters.safetensors").fields["task_config"]["guide"] == 3
