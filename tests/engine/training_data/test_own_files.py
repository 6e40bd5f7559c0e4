"""A user's own files, read as the camera needs them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lorun_engine.errors import FileError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import OpenOptions, write_cube
from lorun_engine.tasks.cassi import CassiCamera
from lorun_engine.tasks.lowlight import LowLightCamera
from lorun_engine.training_data.folders import found_among
from lorun_engine.training_data.own_files import LocalFile, OwnFiles, examined, scene_for

CUBE = np.random.default_rng(0).random((18, 20, 24)).astype(np.float32)
MASK = (np.random.default_rng(1).random((20, 24)) > 0.5).astype(np.float32)
CAMERA = CassiCamera(mask=MASK, dispersion=Dispersion(18))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (1, 0, 2)])
def test_the_camera_tells_the_axes_of_a_scene(tmp_path, order):
    np.save(tmp_path / "scene.npy", CUBE.transpose(order))
    scene, _ = scene_for(tmp_path / "scene.npy", OwnFiles("scenes", CAMERA))
    assert np.array_equal(scene.image, CUBE)


def test_a_scene_beyond_0_to_1_serves_with_its_full_scale(tmp_path):
    np.save(tmp_path / "scene.npy", CUBE * 4095)
    with pytest.raises(FileError, match="--integer-scale 4095"):
        scene_for(tmp_path / "scene.npy", OwnFiles("scenes", CAMERA))
    scene, _ = scene_for(tmp_path / "scene.npy", OwnFiles("scenes", CAMERA, OpenOptions(integer_scale=4095.0)))
    assert scene.image.max() <= 1


def test_captures_are_divided_by_one_full_scale(tmp_path):
    y = np.random.default_rng(2).random((20, 24 + 34))
    for name, highest in (("bright", 4000), ("dim", 900)):
        np.save(tmp_path / f"{name}.npy", (y * highest).astype(np.uint16))
    np.save(tmp_path / "mask.npy", MASK)
    paths = [tmp_path / "bright.npy", tmp_path / "dim.npy"]
    reading = OwnFiles("captures", CAMERA, OpenOptions(num_bands=18), (tmp_path / "mask.npy",))
    assert examined(paths, [], reading).full_scales == {"uint16": 4095.0}
    shared = replace(reading, full_scales={"uint16": 4095.0})
    bright, dim = _highest(shared, paths)
    assert bright / dim == pytest.approx(4000 / 900, rel=2e-3)
    alone = replace(shared, full_scales={})
    assert _highest(alone, paths) == pytest.approx([bright, dim * 4095 / 1023], rel=2e-3)
    said = replace(shared, options=OpenOptions(num_bands=18, integer_scale=1000.0))
    assert _highest(said, paths) == pytest.approx([bright * 4.095, dim * 4.095], rel=2e-3)


@pytest.fixture
def pairs(tmp_path):
    """Five pairs of 16 bits: what is dark would be of 12 bits by itself."""
    rng = np.random.default_rng(3)
    for number in range(5):
        bright = rng.integers(30_000, 65_535, (20, 24))
        for name, divisor in (("low", 16), ("high", 1)):
            (tmp_path / "pairs" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray((bright // divisor).astype(np.uint16)).save(tmp_path / "pairs" / name / f"{number}.png")
    (tmp_path / "pairs" / "high" / "2.png").unlink()
    return found_among([tmp_path / "pairs"]).files


def test_pairs_of_two_folders_are_counted_and_share_a_full_scale(pairs):
    reading = OwnFiles("pairs", LowLightCamera(), OpenOptions(task="lowlight"))
    found = examined(pairs, [], reading)
    assert [(file.path.parent.name, file.path.name) for file in found.files] == [
        ("low", f"{n}.png") for n in (0, 1, 3, 4)
    ]
    ((left_out, reason),) = found.skipped
    assert (
        left_out.parent.name == "low" and left_out.name == "2.png" and "no reference beside its measurement" in reason
    )
    assert found.notes == ("4 pairs: a measurement in low with the scene of its name in high.",)
    capture = replace(reading, full_scales=found.full_scales).capture(found.files[0])
    assert capture.y.max() * 16 == pytest.approx(capture.reference.max(), rel=1e-3) and capture.reference.max() > 0.9


def test_of_pairs_the_scenes_alone_are_learned_from_where_scenes_are_asked_for(pairs):
    found = examined(pairs, [], OwnFiles("scenes", LowLightCamera(), OpenOptions(task="lowlight")))
    assert {file.path.parent.name for file in found.files if file.path.name != "2.png"} == {"high"}
    reasons = [reason for path, reason in found.skipped if path.parent.name == "low"]
    assert len(reasons) == 4 and all("is learned from in its place" in reason for reason in reasons)


def _highest(reading: OwnFiles, paths) -> list[float]:
    return [float(reading.capture(LocalFile(path, "learn", 0, "")).y.max()) for path in paths]


def test_scenes_of_a_training_are_divided_by_one_full_scale(tmp_path):
    for name, highest in (("bright", 4000), ("dim", 900)):
        np.save(tmp_path / f"{name}.npy", (CUBE * highest).astype(np.uint16))
    np.save(tmp_path / "real.npy", CUBE[:, ::-1])
    files = [tmp_path / f"{name}.npy" for name in ("bright", "dim", "real")]
    found = examined(files, [], OwnFiles("scenes", CAMERA))
    reading = OwnFiles("scenes", CAMERA, full_scales=found.full_scales)
    scenes = [reading.scene(file) for file in found.files]
    assert [scene.image.max() for scene in scenes] == pytest.approx(
        [CUBE.max() * 4000 / 4095, CUBE.max() * 900 / 4095, CUBE.max()], rel=2e-3
    )


def test_what_lorun_decoded_is_no_scene_to_learn_from(tmp_path):
    for seed in (0, 1):
        np.save(tmp_path / f"scene{seed}.npy", np.roll(CUBE, seed, axis=1))
    write_cube(tmp_path / "result.h5", CUBE, wavelengths_nm=None, attributes={"adapter": "cassi-any-mask"})
    found = examined(sorted(tmp_path.iterdir()), [], OwnFiles("scenes", CAMERA))
    assert [(path.name, reason) for path, reason in found.skipped] == [
        ("result.h5", "result.h5 is a result of LoRun; it is not taken for input.")
    ]
    assert [file.path.name for file in found.files] == ["scene0.npy", "scene1.npy"]
