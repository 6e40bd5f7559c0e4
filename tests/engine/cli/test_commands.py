"""The command line: exit codes, JSON on stdout alone, sentences on stderr, nothing half-written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tqdm

from lorun_engine.cli import main
from lorun_engine.decoding.restore import restore
from lorun_engine.task import TASKS
from lorun_engine.tasks.cassi import random_mask

RESOURCES = Path(__file__).resolve().parents[3] / "resources"
WAVELENGTHS_NM = np.linspace(450.0, 650.0, 6)


def run(*argv: object) -> int:
    return main([str(word) for word in argv], resources=RESOURCES)


@pytest.fixture
def scene(tmp_path) -> Path:
    """A smooth 6-band scene of 24 x 32 pixels in 0..1, as HDF5 with wavelengths."""
    rows, columns = np.mgrid[0:24, 0:32] / 24
    bands = [0.5 + 0.3 * np.sin(2 * rows + 3 * columns + 0.3 * c) for c in range(6)]
    path = tmp_path / "scenes" / "waves.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        file.create_dataset("cube", data=np.stack(bands, axis=-1).astype(np.float32))
        file["cube"].attrs["wavelengths_nm"] = WAVELENGTHS_NM
    return path


@pytest.fixture
def snapshot(tmp_path, scene) -> Path:
    """The measurement file of `scene` through the program's own simulation."""
    path = tmp_path / "snapshot.h5"
    assert run("simulate", scene, "-o", path, "--step", "2") == 0
    return path


def test_a_simulated_measurement_file_opens_without_flags_and_decodes(snapshot, tmp_path, capsys):
    capsys.readouterr()
    out = tmp_path / "cube.h5"
    assert run("restore", snapshot, "-o", out, "--stages", 7, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["task"] == "cassi" and report["adapter"] == "subspace-tv"
    assert [stage["index"] for stage in report["stages"]] == list(range(8))
    assert all({"residual", "seconds", "psnr", "ssim"} <= set(stage) for stage in report["stages"])
    assert report["output"] == str(out) and report["shape"] == [24, 32, 6]
    with h5py.File(out) as file:
        assert file["cube"].shape == (24, 32, 6) and file["cube"].dtype == np.float32
        assert np.isfinite(file["cube"][:]).all()
        np.testing.assert_allclose(file["cube"].attrs["wavelengths_nm"], WAVELENGTHS_NM)
        assert file["cube"].attrs["adapter"] == "subspace-tv"


def test_the_command_line_gives_the_engines_result_bit_for_bit(snapshot, tmp_path):
    from lorun_engine.io import OpenOptions, open_measurement

    out = tmp_path / "cube.h5"
    assert run("restore", snapshot, "-o", out, "--stages", 5) == 0
    measurement = open_measurement([snapshot], OpenOptions())
    *_, last = restore(TASKS["cassi"].decoders["subspace-tv"], measurement, num_stages=5)
    with h5py.File(out) as file:
        assert np.array_equal(np.moveaxis(file["cube"][:], -1, 0), last.image)


def test_saved_stages_hold_every_image_and_the_last_is_the_cube(snapshot, tmp_path):
    out = tmp_path / "cube.h5"
    assert run("restore", snapshot, "-o", out, "--stages", 3, "--save-stages") == 0
    with h5py.File(out) as file:
        assert file["stages"].shape == (3, 24, 32, 6) and file["initial"].shape == (24, 32, 6)
        assert np.array_equal(file["stages"][-1], file["cube"][:])


def test_a_folder_goes_on_past_a_bad_file_names_it_and_exits_1(snapshot, tmp_path, capsys):
    folder = tmp_path / "captures"
    folder.mkdir()
    (folder / "good.h5").write_bytes(snapshot.read_bytes())
    (folder / "bad.mat").write_text("not a measurement")
    assert run("restore", folder, "-o", tmp_path / "out", "--stages", 2, "--json") == 1
    streams = capsys.readouterr()
    assert "bad.mat" in streams.err
    assert {Path(report["input"]).name: "error" in report for report in json.loads(streams.out)} == {
        "bad.mat": True,
        "good.h5": False,
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.h5"]


def test_evaluate_scores_every_scene_and_their_mean(scene, capsys):
    assert run("evaluate", "--data", scene.parent, "--adapter", "gap-tv", "--stages", 20, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    (image,) = report["images"]
    assert image["name"] == "waves"
    assert report["mean"]["psnr"] == pytest.approx(image["psnr"])
    assert image["psnr"] > 25  # a smooth scene under half the light is easy


def test_noise_and_seed_reproduce_a_measurement(scene, tmp_path):
    measurements = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert run("simulate", scene, "-o", tmp_path / f"{name}.h5", "--noise", "shot:200", "--seed", seed) == 0
        with h5py.File(tmp_path / f"{name}.h5") as file:
            measurements.append(file["measurement"][:])
    assert np.array_equal(measurements[0], measurements[1])
    assert not np.array_equal(measurements[0], measurements[2])


@pytest.mark.parametrize("axis, direction, step, shape", [("x", "-", 3, (24, 47)), ("y", "+", 1.5, (32, 32))])
def test_every_geometry_survives_simulation_file_and_restoration(scene, tmp_path, axis, direction, step, shape):
    path = tmp_path / "snapshot.h5"
    flags = ["--axis", axis, f"--direction={direction}", "--step", step]
    assert run("simulate", scene, "-o", path, *flags) == 0
    with h5py.File(path) as file:
        assert file["measurement"].shape == shape
    assert run("restore", path, "-o", tmp_path / "cube.h5", "--stages", 30) == 0
    with h5py.File(tmp_path / "cube.h5") as file, h5py.File(scene) as truth:
        assert np.abs(file["cube"][:] - truth["cube"][:]).mean() < 0.05


def test_foreign_files_need_an_answer_only_where_several_geometries_fit(tmp_path, capsys):
    mask = random_mask(20, 30, density=0.6, seed=1)
    capture = (
        np.random.default_rng(0).random((20, 40)).astype(np.float32)
    )  # 30 + 10: 11 bands at 1, 6 at 2, 3 at 5, ...
    scipy.io.savemat(tmp_path / "mask.mat", {"mask": mask})
    scipy.io.savemat(tmp_path / "capture.mat", {"meas": capture})
    command = ["restore", tmp_path / "capture.mat", "--mask", tmp_path / "mask.mat", "--stages", "2", "-o"]
    assert run(*command, tmp_path / "cube.h5") == 1
    sentence = capsys.readouterr().err
    assert "11 bands" in sentence and "6 bands" in sentence
    for number, answer in enumerate((["--bands", "6"], ["--step", "2"])):
        assert run(*command, tmp_path / f"{number}.h5", *answer) == 0
        with h5py.File(tmp_path / f"{number}.h5") as file:
            assert file["cube"].shape == (20, 30, 6)


@pytest.mark.parametrize(
    "kind", ["missing", "text", "truncated", "pickled", "nan", "zeros", "wrong mask", "empty folder"]
)
def test_wrong_files_are_one_sentence_exit_1_and_leave_no_output(kind, snapshot, tmp_path, capsys):
    given, flags = tmp_path / "given.h5", []
    capture = np.random.default_rng(0).random((24, 42)).astype(np.float32)
    if kind == "text":
        given = tmp_path / "given.mat"
        given.write_text("hello\n" * 50)
    elif kind == "truncated":
        given.write_bytes(snapshot.read_bytes()[:700])
    elif kind == "pickled":
        given = tmp_path / "given.npy"
        np.save(given, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif kind in ("nan", "zeros"):
        capture[:] = np.where(capture > 0.9, np.nan, capture) if kind == "nan" else 0
        given = tmp_path / "given.npy"
        np.save(given, capture)
        np.save(tmp_path / "mask.npy", random_mask(24, 32))
        flags = ["--mask", tmp_path / "mask.npy", "--bands", "6"]
    elif kind == "wrong mask":
        given = snapshot
        np.save(tmp_path / "mask.npy", random_mask(24, 300))
        flags = ["--mask", tmp_path / "mask.npy"]
    elif kind == "empty folder":
        given = tmp_path / "empty"
        given.mkdir()
    capsys.readouterr()
    assert run("restore", given, "-o", tmp_path / "out" / "cube.h5", *flags) == 1
    sentence = capsys.readouterr().err.strip()
    assert sentence.startswith("lorun: ") and "Traceback" not in sentence
    assert len(sentence.splitlines()[-1]) > 30
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_an_input_is_never_overwritten(snapshot, capsys):
    before = snapshot.read_bytes()
    assert run("restore", snapshot, "-o", snapshot, "--stages", 1) == 1
    assert snapshot.read_bytes() == before


def test_a_simulation_never_overwrites_its_scene_or_mask(scene, tmp_path, capsys):
    mask = tmp_path / "mask.h5"
    with h5py.File(mask, "w") as file:
        file["mask"] = random_mask(24, 32)
    for given in (scene, mask):
        before = given.read_bytes()
        assert run("simulate", scene, "--mask", mask, "-o", given) == 1
        assert "never overwritten" in capsys.readouterr().err
        assert given.read_bytes() == before


def test_a_folder_decoded_into_itself_keeps_every_capture(snapshot, tmp_path, capsys):
    folder = tmp_path / "captures"
    folder.mkdir()
    for name in ("a.h5", "b.hdf5"):
        (folder / name).write_bytes(snapshot.read_bytes())
    (folder / "b.h5").write_bytes(snapshot.read_bytes())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert run("restore", folder, "-o", folder, "--stages", 1) == 1  # a.h5 cannot be written over
    assert "never overwritten" in capsys.readouterr().err
    assert all(path.read_bytes() == content for path, content in before.items())
    assert {path.name for path in folder.iterdir()} - {path.name for path in before} == {"b.h5.h5", "b.hdf5.h5"}


def test_the_demo_writes_cube_picture_and_stage_table(tmp_path, capsys):
    assert run("demo", "-o", tmp_path / "demo", "--stages", 3) == 0
    assert capsys.readouterr().out.strip() == str((tmp_path / "demo").resolve())
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["colour.png", "cube.h5", "stages.csv"]
    table = (tmp_path / "demo" / "stages.csv").read_text().splitlines()
    assert table[0].startswith("stage,residual,seconds") and len(table) == 5


def test_gap_tv_is_said_to_have_iterations_and_no_stages(snapshot, tmp_path, capsys, monkeypatch):
    units: list[str] = []
    bar = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda **given: (units.append(given["unit"]), bar(**given))[1])
    assert run("demo", "-o", tmp_path / "demo", "--adapter", "gap-tv", "--stages", 2) == 0
    said = capsys.readouterr().err
    assert "2 iterations, relative residual" in said and "stage" not in said
    page = tmp_path / "report.html"
    out = tmp_path / "cube.h5"
    assert run("restore", snapshot, "-o", out, "--adapter", "gap-tv", "--stages", 2, "--report", page) == 0
    assert "stage" not in capsys.readouterr().err and units == ["iteration", "iteration"]
    text = re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8"))
    assert "decoded by 2 iterations of gap-tv" in text
    assert not re.search(r"(?<!--)\bstages?\b", text, re.IGNORECASE)  # but for the flag of the command


def test_info_and_self_test_answer_in_json(capsys):
    assert run("info", "--json") == 0
    assert "gap-tv" in json.loads(capsys.readouterr().out)["decoders"]["cassi"]
    assert run("self-test", "--json") == 0
    assert json.loads(capsys.readouterr().out)["failed"] == []


@pytest.mark.parametrize(
    "argv", [[], ["frobnicate"], ["restore"], ["restore", "a", "-o", "b", "--crop", "1,2"]], ids=str
)
def test_wrong_usage_exits_2(argv, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 2


def test_mask_and_capture_in_one_file_are_told_apart_by_their_keys(tmp_path):
    masks = {"open": random_mask(20, 30, density=0.9, seed=1), "closed": random_mask(20, 30, density=0.4, seed=2)}
    capture = np.random.default_rng(0).random((20, 40)).astype(np.float32)
    path = tmp_path / "all.npz"
    np.savez(path, data=capture, **masks)
    for name in masks:
        command = ["restore", path, "--key", "data", "--mask", f"{path}::{name}", "--bands", 6, "--stages", 2, "-o"]
        assert run(*command, tmp_path / f"{name}.h5") == 0
    with h5py.File(tmp_path / "open.h5") as first, h5py.File(tmp_path / "closed.h5") as second:
        assert not np.array_equal(first["cube"][:], second["cube"][:])


def test_what_was_answered_for_the_folder_is_taken_where_files_and_flags_are_silent(tmp_path, capsys):
    from lorun_engine.io import OpenOptions

    np.save(tmp_path / "mask.npy", random_mask(20, 30, density=0.6, seed=1))
    np.save(tmp_path / "capture.npy", np.random.default_rng(0).random((20, 40)).astype(np.float32))
    command = ["restore", tmp_path / "capture.npy", "--mask", tmp_path / "mask.npy", "--stages", 1, "-o"]
    words = [str(word) for word in (*command, tmp_path / "cube.h5")]
    assert main(words, remembered=lambda folder: None) == 1
    answers = {tmp_path: OpenOptions(num_bands=11)}
    assert main(words, remembered=answers.get) == 0
    with h5py.File(tmp_path / "cube.h5") as file:
        assert file["cube"].shape == (20, 30, 11)
    assert main([*words, "--bands", "6"], remembered=answers.get) == 0
    with h5py.File(tmp_path / "cube.h5") as file:
        assert file["cube"].shape == (20, 30, 6)


@pytest.fixture
def trained(make_trained_set) -> Path:
    """A library folder with one small set for the bands of `scene`."""
    return make_trained_set(WAVELENGTHS_NM)


def decoded(trained: Path, snapshot: Path, *flags: object) -> np.ndarray:
    words = ["restore", snapshot, "-o", snapshot.parent / "decoded.h5", *flags]
    assert main([str(word) for word in words], library=[trained]) == 0
    with h5py.File(snapshot.parent / "decoded.h5") as file:
        return file["cube"][:]


def test_a_trained_set_of_the_library_is_taken_and_named_when_none_is_asked_for(trained, snapshot, capsys):
    cube = decoded(trained, snapshot)
    assert "decoding with tiny" in capsys.readouterr().err
    assert np.array_equal(cube, decoded(trained, snapshot, "--adapter", "tiny"))
    assert not np.array_equal(cube, decoded(trained, snapshot, "--adapter", "gap-tv"))


def test_strength_zero_is_every_stage_ablated_and_each_stage_matters(trained, snapshot):
    whole, none = decoded(trained, snapshot), decoded(trained, snapshot, "--adapter-scale", 0)
    assert np.array_equal(none, decoded(trained, snapshot, "--ablate-stage", 1, "--ablate-stage", 2))
    cubes = [
        whole,
        none,
        decoded(trained, snapshot, "--ablate-stage", 1),
        decoded(trained, snapshot, "--ablate-stage", 2),
    ]
    for number, cube in enumerate(cubes):
        assert all(not np.array_equal(cube, other) for other in cubes[:number])


def test_the_result_names_the_set_with_its_strength_and_the_stages_without_adapters(trained, snapshot):
    flags = ["--adapter-scale", 0.5, "--ablate-stage", 2]
    for words, name in (([], "tiny"), (flags, "tiny at 50 % without the adapters of stage 2")):
        decoded(trained, snapshot, *words)
        with h5py.File(snapshot.parent / "decoded.h5") as file:
            assert file["cube"].attrs.get("adapter", file.attrs.get("adapter")) == name


def test_channels_last_gives_the_plain_result_and_bfloat16_nearly(trained, snapshot):
    plain = decoded(trained, snapshot)
    np.testing.assert_allclose(decoded(trained, snapshot, "--path", "nhwc"), plain, atol=1e-5)
    half = decoded(trained, snapshot, "--precision", "bfloat16")
    assert 0 < np.abs(half - plain).max() < 0.05 * np.abs(plain).max()


def test_how_the_network_was_executed_is_said_and_can_be_demanded(trained, snapshot, capsys):
    def said(*flags: object) -> dict:
        decoded(trained, snapshot, "--json", *flags)
        return json.loads(capsys.readouterr().out)

    assert (said()["precision"], said()["path"]) == ("float32", "plain")  # of so small an image nothing is tried
    demanded = said("--precision", "bfloat16", "--path", "nhwc")
    assert (demanded["precision"], demanded["path"]) == ("bfloat16", "nhwc")
    assert (said("--adapter", "gap-tv")["precision"], said("--adapter", "gap-tv")["path"]) == ("float32", "plain")


@pytest.mark.parametrize(("needed", "is_said"), [(3 << 30, True), (1 << 30, False), (None, False)])
def test_a_decode_that_takes_more_memory_than_is_free_is_announced(
    trained, snapshot, capsys, monkeypatch, needed, is_said
):
    from lorun_engine.decoding.device import Device

    device = Device("cpu", "CPU", free_bytes=2 << 30, total_bytes=16 << 30)
    monkeypatch.setattr("lorun_engine.decoding.device.list_devices", lambda: [device])
    monkeypatch.setattr("lorun_engine.library.memory.bytes_needed", lambda decoder, physics: needed)
    decoded(trained, snapshot)
    sentence = "The decode takes about 3.0 GiB of memory; cpu has 2.0 GiB free."
    assert (sentence in capsys.readouterr().err) == is_said


def test_memory_that_was_spared_is_told_once(trained, snapshot, capsys, monkeypatch):
    from lorun_engine.networks.unfolding import UnfoldingNet

    expected, denoise, calls = decoded(trained, snapshot), UnfoldingNet.denoised, []

    def full_at_first(net, *rest):
        calls.append(net.tile)
        if len(calls) == 1:
            raise MemoryError
        return denoise(net, *rest)

    monkeypatch.setattr(UnfoldingNet, "denoised", full_at_first)
    capsys.readouterr()
    np.testing.assert_allclose(decoded(trained, snapshot), expected, atol=1e-5)
    assert (
        capsys.readouterr().err.count("This computer had too little memory: the network saw few rows at a time.") == 1
    )
    assert calls[0] == "auto" and calls[1] != "auto"


@pytest.mark.parametrize("flags", [["--adapter-scale", "0.5"], ["--ablate-stage", "1"], ["--precision", "bfloat16"]])
def test_a_decoder_without_weights_refuses_the_flags_of_sets(snapshot, tmp_path, capsys, flags):
    assert run("restore", snapshot, "-o", tmp_path / "cube.h5", "--adapter", "gap-tv", *flags) == 1
    assert "gap-tv has no weights" in capsys.readouterr().err
