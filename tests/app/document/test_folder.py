"""A folder at a time, without a window: what is listed, shown and decoded of it, and what stays in memory."""

from __future__ import annotations

import gc
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from app.document.stage_store import StageStore
from lorun_engine.io import OpenOptions, write_cube
from lorun_engine.io.folders import REST_S


@pytest.fixture
def folder(tmp_path, foreign) -> Path:
    """Three captures of integers, unlike in brightness, with their mask, a note and a result."""
    folder = tmp_path / "captures"
    folder.mkdir()
    capture, mask = foreign
    y = np.load(capture)
    for name, highest in (("a", 900), ("b", 3000), ("c", 2000)):
        np.save(folder / f"{name}.npy", (y / y.max() * highest).astype(np.uint16))
    shutil.copy(mask, folder / "mask.npy")
    (folder / "notes.txt").write_text("Tuesday, lamp two")
    write_cube(folder / "old.h5", np.ones((2, 4, 4), np.float32), wavelengths_nm=None, attributes={"adapter": "x"})
    return folder


@pytest.fixture
def parts(qtbot, make_parts, fake, folder):
    """Parts with the folder open and its first capture understood."""
    parts = make_parts(fake)
    parts.memory.remember_folder(folder, OpenOptions(num_bands=4, step=2.0))
    opened(qtbot, parts, folder)
    assert parts.session.problem is None and parts.session.measurement is not None
    return parts


def opened(qtbot, parts, folder: Path) -> None:
    parts.folder.open(folder)
    quiet(qtbot, parts)


def quiet(qtbot, parts) -> None:
    """Waits until nothing is left to do."""
    qtbot.waitUntil(lambda: not (parts.lanes.is_busy or parts.decode_all.is_under_way or parts.folder.is_surveying))


def decoded(qtbot, parts) -> None:
    parts.decode_all.start()
    quiet(qtbot, parts)


def states(parts) -> dict[str, str]:
    return {capture.path.stem: capture.state for capture in parts.folder.captures}


def many(folder: Path, snapshot: Path, count: int) -> Path:
    """A folder of so many captures that bring their own masks; the eighth is cut short."""
    folder.mkdir()
    for number in range(count):
        shutil.copy(snapshot, folder / f"capture_{number:02}.h5")
    broken = folder / "capture_07.h5"
    broken.write_bytes(broken.read_bytes()[:700])
    return folder


def test_masks_notes_and_results_are_no_captures_and_the_first_capture_is_shown_with_the_mask(parts, folder):
    assert list(states(parts)) == ["a", "b", "c"]
    assert {path.name for path, _ in parts.folder.left_out} == {"mask.npy", "notes.txt", "old.h5"}
    assert parts.session.paths == (folder / "a.npy", folder / "mask.npy") and parts.folder.index == 0


def test_a_capture_is_divided_by_the_full_scale_of_the_folder_in_the_window_too(qtbot, parts, folder):
    stored = np.load(folder / "a.npy")
    np.testing.assert_allclose(parts.session.role_table.array("measurement"), stored / 4095, rtol=1e-6)
    parts.session.open([folder / "a.npy"])
    quiet(qtbot, parts)
    np.testing.assert_allclose(parts.session.role_table.array("measurement"), stored / 4095, rtol=1e-6)
    assert "--integer-scale 4095" in parts.exports.command()


def test_a_capture_that_was_open_alone_is_opened_again_with_the_full_scale_of_its_folder(
    qtbot, make_parts, fake, folder
):
    parts = make_parts(fake)
    parts.memory.remember_folder(folder, OpenOptions(num_bands=4, step=2.0))
    parts.session.open([folder / "a.npy", folder / "mask.npy"])
    quiet(qtbot, parts)
    stored = np.load(folder / "a.npy")
    np.testing.assert_allclose(parts.session.role_table.array("measurement"), stored / 1023, rtol=1e-6)
    opened(qtbot, parts, folder)
    np.testing.assert_allclose(parts.session.role_table.array("measurement"), stored / 4095, rtol=1e-6)


def test_steps_keep_mask_corrections_decoder_stages_and_the_recent_jobs(qtbot, make_parts, fake_decoder_type, folder):
    parts = make_parts(fake_decoder_type("one"), fake_decoder_type("other"))
    parts.memory.remember_folder(folder, OpenOptions(num_bands=4, step=2.0))
    opened(qtbot, parts, folder)
    parts.setup.switch_decoder("other")
    parts.setup.set_num_stages(3)
    quiet(qtbot, parts)
    for by, shown in ((1, "b"), (1, "c"), (1, "c"), (-1, "b")):
        parts.folder.step(by)
        quiet(qtbot, parts)
        assert [path.name for path in parts.session.paths] == [f"{shown}.npy", "mask.npy"]
        assert parts.session.role_table.geometry.num_bands == 4
        assert parts.setup.decoder_name == "other" and parts.setup.num_stages == 3 and parts.session.can_restore
    assert [Path(job.paths[0]).name for job in parts.memory.settings.recent] == []


def test_several_steps_at_once_open_the_last_capture_alone(qtbot, parts, folder):
    shown = []
    parts.session.opened_changed.connect(
        lambda: shown.append(parts.session.paths[0].stem) if not parts.session.is_opening else None
    )
    for _ in range(2):
        parts.folder.step(1)
    quiet(qtbot, parts)
    assert parts.folder.index == 2 and set(shown) <= {"b", "c"}


def test_every_capture_is_decoded_as_the_window_decodes_it(qtbot, parts, folder, fake):
    fake.num_stages = 3
    parts.setup.set_num_stages(3)
    decoded(qtbot, parts)
    assert states(parts) == {"a": "done", "b": "done", "c": "done"}
    assert sorted(path.name for path in folder.glob("*_fake.h5")) == ["a_fake.h5", "b_fake.h5", "c_fake.h5"]
    with h5py.File(folder / "b_fake.h5") as file:
        assert file["cube"].shape == (16, 14, 4) and file["cube"].attrs["adapter"] == "fake"
        assert file["cube"].attrs["source"] == "b.npy"
        np.testing.assert_allclose(file["cube"][:], 0.5**3, rtol=1e-6)
    assert all(capture.seconds > 0 for capture in parts.folder.captures)


def test_the_mask_goes_with_the_captures_also_while_something_else_is_open(qtbot, parts, folder, snapshot, fake):
    parts.session.open([snapshot])
    quiet(qtbot, parts)
    assert parts.folder.index is None
    decoded(qtbot, parts)
    assert set(states(parts).values()) == {"done"}


def test_a_decoder_for_other_measurements_is_not_taken_for_the_folder(
    qtbot, make_parts, fake_decoder_type, folder, samples
):
    other = fake_decoder_type("other")
    other.task = "cs"
    parts = make_parts(fake_decoder_type("one"), other)
    parts.memory.remember_folder(folder, OpenOptions(num_bands=4, step=2.0))
    opened(qtbot, parts, folder)
    assert parts.decode_all.can_decode
    parts.session.open([samples])
    quiet(qtbot, parts)
    assert parts.setup.decoder_name == "other" and not parts.decode_all.can_decode
    parts.folder.show(0)
    quiet(qtbot, parts)
    assert parts.decode_all.can_decode


def test_results_of_before_are_noticed_and_decoded_again_when_asked(qtbot, parts, folder, fake):
    decoded(qtbot, parts)
    parts.folder.close()
    opened(qtbot, parts, folder)
    assert set(states(parts).values()) == {"earlier"} and len(states(parts)) == 3
    fake.computed.clear()
    parts.decode_all.decode(1)
    quiet(qtbot, parts)
    assert states(parts) == {"a": "earlier", "b": "done", "c": "earlier"} and fake.computed == list(range(6))
    decoded(qtbot, parts)
    assert set(states(parts).values()) == {"done"}


def test_another_decoder_has_results_of_its_own(qtbot, make_parts, fake_decoder_type, folder):
    parts = make_parts(fake_decoder_type("one"), fake_decoder_type("other"))
    parts.memory.remember_folder(folder, OpenOptions(num_bands=4, step=2.0))
    opened(qtbot, parts, folder)
    decoded(qtbot, parts)
    parts.setup.switch_decoder("other")
    qtbot.waitUntil(lambda: set(states(parts).values()) == {"waiting"})
    quiet(qtbot, parts)
    parts.setup.switch_decoder("one")
    qtbot.waitUntil(lambda: set(states(parts).values()) == {"earlier"})


@pytest.mark.parametrize("suffix", [".mat", ".tif", ".hdr", ".npy"])
def test_results_are_written_where_and_as_they_are_wanted_and_are_no_captures_then(
    qtbot, parts, folder, tmp_path, suffix
):
    parts.decode_all.write_as(suffix)
    parts.decode_all.write_to(tmp_path / "results")
    decoded(qtbot, parts)
    names = {path.name for path in (tmp_path / "results").iterdir() if path.suffix == suffix}
    assert names == {f"{name}_fake{suffix}" for name in "abc"}
    parts.decode_all.write_to(None)
    quiet(qtbot, parts)
    decoded(qtbot, parts)
    parts.folder.close()
    opened(qtbot, parts, folder)
    assert states(parts) == {"a": "earlier", "b": "earlier", "c": "earlier"}


def test_no_file_of_another_kind_is_overwritten(qtbot, parts, folder):
    other = folder / "b_fake.h5"
    other.write_text("somebody's")
    decoded(qtbot, parts)
    assert other.read_text() == "somebody's" and states(parts) == {"a": "done", "b": "failed", "c": "done"}
    assert "not overwritten" in parts.folder.captures[1].sentence


def test_one_broken_file_of_twenty_fails_the_rest_is_decoded_and_nothing_of_it_stays(
    qtbot, make_parts, fake, snapshot, tmp_path, heartbeat
):
    folder, parts = many(tmp_path / "many", snapshot, 20), make_parts(fake)
    opened(qtbot, parts, folder)
    gc.collect()
    num_stores = sum(type(thing) is StageStore for thing in gc.get_objects())
    beat = heartbeat()
    decoded(qtbot, parts)
    beat.stop()
    assert beat.longest_own_s < 0.25
    found = list(states(parts).values())
    assert found.count("done") == 19 and found.count("failed") == 1 and found[7] == "failed"
    assert "cannot be read" in parts.folder.captures[7].sentence
    assert len(list(folder.glob("*_fake.h5"))) == 19
    gc.collect()
    things = gc.get_objects()
    assert sum(type(thing) is StageStore for thing in things) == num_stores
    cubes = [thing for thing in things if type(thing) is np.ndarray and thing.shape == (4, 16, 14)]
    assert all(cube is parts.session.measurement.reference for cube in cubes)


def test_a_decode_goes_on_while_another_capture_is_opened_and_never_two_at_once(qtbot, parts, fake, gate_type):
    fake.gate = gate = gate_type(at=2)
    parts.decode_all.start()
    qtbot.waitUntil(gate.is_reached.is_set)
    parts.folder.step(1)
    qtbot.waitUntil(lambda: parts.folder.index == 1 and not parts.session.is_opening)
    qtbot.waitUntil(lambda: states(parts)["a"] == "decoding")
    parts.session.restore()
    assert "a.npy" in parts.session.restoration.waits_for
    gate.is_open.set()
    quiet(qtbot, parts)
    assert set(states(parts).values()) == {"done"} and parts.session.restoration.state == "done"
    whole = list(range(6))
    assert fake.computed == whole * 4


def test_a_pause_ends_one_capture_and_begins_no_other(qtbot, parts, fake, gate_type):
    fake.gate = gate = gate_type(at=2)
    parts.decode_all.start()
    qtbot.waitUntil(gate.is_reached.is_set)
    parts.decode_all.pause()
    gate.is_open.set()
    qtbot.waitUntil(lambda: not parts.lanes.is_busy)
    assert states(parts) == {"a": "done", "b": "waiting", "c": "waiting"} and parts.folder.num_left == 2
    parts.decode_all.go_on()
    quiet(qtbot, parts)
    assert set(states(parts).values()) == {"done"} and not parts.decode_all.is_paused


def test_a_capture_is_skipped_and_the_rest_cancelled(qtbot, parts, fake, gate_type):
    fake.gate = gate = gate_type(at=2)
    parts.decode_all.start()
    qtbot.waitUntil(gate.is_reached.is_set)
    parts.decode_all.skip()
    fake.gate = second = gate_type(at=3)
    gate.is_open.set()
    qtbot.waitUntil(second.is_reached.is_set)
    qtbot.waitUntil(lambda: states(parts) == {"a": "skipped", "b": "decoding", "c": "waiting"})
    parts.decode_all.cancel()
    second.is_open.set()
    quiet(qtbot, parts)
    assert states(parts) == {"a": "skipped", "b": "waiting", "c": "waiting"} and parts.folder.num_left == 0
    fake.gate = lambda index: None
    decoded(qtbot, parts)
    assert set(states(parts).values()) == {"done"}


def test_what_failed_is_tried_again_alone(qtbot, parts, fake):
    fake.fail[1] = RuntimeError("a bug")
    parts.decode_all.decode(1)
    quiet(qtbot, parts)
    assert states(parts) == {"a": "waiting", "b": "failed", "c": "waiting"}
    fake.fail.clear()
    parts.decode_all.retry_failed()
    quiet(qtbot, parts)
    assert states(parts) == {"a": "waiting", "b": "done", "c": "waiting"}


def test_settings_of_a_decode_are_those_of_when_it_was_asked_for(qtbot, parts, fake, gate_type):
    fake.gate = gate = gate_type(at=2)
    parts.decode_all.start()
    qtbot.waitUntil(gate.is_reached.is_set)
    parts.setup.set_num_stages(2)
    gate.is_open.set()
    quiet(qtbot, parts)
    assert fake.computed == list(range(6)) * 3


def test_the_time_that_is_left_follows_from_what_was_measured(qtbot, parts, fake, gate_type):
    fake.gate = gate = gate_type(at=2)
    parts.decode_all.start()
    qtbot.waitUntil(gate.is_reached.is_set)
    qtbot.waitUntil(lambda: parts.decode_all.progress.seconds_left is not None)
    progress = parts.decode_all.progress
    assert (progress.num_ended, progress.num_asked, progress.words) == (0, 3, "Stage 1 of 5")
    assert 0 < progress.share < 1
    gate.is_open.set()
    quiet(qtbot, parts)
    assert parts.decode_all.progress.num_ended == 3


def test_the_time_that_is_left_goes_on_between_two_steps(qtbot, parts, fake, gate_type, show):
    late, dock = [0.0], show(parts).folder_dock
    parts.session.paces.clock = lambda: time.monotonic() + late[0]
    fake.gate = gate = gate_type(at=3)
    parts.decode_all.start()
    qtbot.waitUntil(gate.is_reached.is_set)
    qtbot.waitUntil(lambda: "Stage 2 of 5" in dock.sentence.text() and " min left" not in dock.sentence.text())
    late[0] = 1e8  # the third stage takes long, and the others will
    qtbot.waitUntil(lambda: " min left" in dock.sentence.text() or " h " in dock.sentence.text())
    gate.is_open.set()
    quiet(qtbot, parts)


def test_a_half_written_file_that_comes_is_decoded_once_it_is_whole(qtbot, parts, folder, fake):
    decoded(qtbot, parts)
    content = (folder / "c.npy").read_bytes()
    parts.decode_all.watch(True)
    (folder / "d.npy").write_bytes(content[: len(content) // 2])
    qtbot.wait(int(2500 * REST_S))
    assert "d" not in states(parts)
    (folder / "d.npy").write_bytes(content)
    qtbot.waitUntil(lambda: states(parts).get("d") == "done")
    assert (folder / "d_fake.h5").exists() and set(states(parts)) == {"a", "b", "c", "d"}
    parts.decode_all.watch(False)


def test_a_folder_that_is_decoded_is_not_given_up_for_another(qtbot, parts, folder, fake, gate_type, tmp_path):
    fake.gate = gate = gate_type(at=2)
    parts.decode_all.start()
    qtbot.waitUntil(gate.is_reached.is_set)
    with qtbot.waitSignal(parts.lanes.problem_raised) as raised:
        parts.folder.open(tmp_path)
    assert raised.args[0].sentence.startswith("3 captures of captures are still to be decoded.")
    assert parts.folder.path == folder
    gate.is_open.set()
    quiet(qtbot, parts)


def test_a_folder_without_captures_says_so(qtbot, make_parts, fake, tmp_path):
    (tmp_path / "empty").mkdir()
    parts = make_parts(fake)
    opened(qtbot, parts, tmp_path / "empty")
    assert "holds no capture" in parts.folder.notice
    with qtbot.waitSignal(parts.lanes.problem_raised):
        parts.folder.open(tmp_path / "nowhere")
    quiet(qtbot, parts)
