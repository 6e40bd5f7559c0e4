"""The session without a window: opening, decoding, cancelling, failing, looking, correcting and remembering."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PySide6.QtGui import QImage

from app.assembly import Parts
from app.document import session
from app.document.drawn import Drawn
from app.document.selection import MEASUREMENT, REFERENCE, milestones
from lorun_engine.errors import DeviceError, NumericalError


def _run(qtbot, parts: Parts, verb, *arguments, **options) -> None:
    """Calls a verb and waits until the worker has nothing left to do."""
    with qtbot.waitSignal(parts.lanes.idle, timeout=120_000):
        verb(*arguments, **options)


def test_opening_a_snapshot_gives_its_measurement_and_the_first_decoder_that_fits(
    qtbot, make_parts, snapshot, fake_decoder_type
):
    first, second = fake_decoder_type("first"), fake_decoder_type("second", num_stages=9)
    first.refusal = "first was trained for another camera. Choose second."
    parts = make_parts(first, second)
    _run(qtbot, parts, parts.session.open, [snapshot])
    assert parts.session.problem is None
    assert parts.session.measurement.physics.scene_shape == (4, 16, 14)
    assert (parts.setup.decoder_name, parts.setup.num_stages) == ("second", 9)
    assert parts.session.selection.panes == (MEASUREMENT,)


def test_a_decoder_that_does_not_fit_says_why_and_is_not_started(qtbot, make_parts, snapshot, fake):
    fake.refusal = "fake was trained for another camera. Choose another one."
    parts = make_parts(fake)
    _run(qtbot, parts, parts.session.open, [snapshot])
    assert parts.setup.fit.sentence == "fake was trained for another camera. Choose another one."
    assert not parts.session.can_restore
    parts.session.restore()
    assert parts.session.restoration.state == "idle"


def test_stages_arrive_one_by_one_in_order_and_every_one_is_announced(qtbot, opened):
    seen = []
    opened.session.stage_added.connect(seen.append)
    _run(qtbot, opened, opened.session.restore)
    assert seen == list(range(6))
    assert opened.session.restoration.state == "done" and not opened.session.restoration.partial
    assert np.all(opened.session.stages.image(3) == 0.125)
    assert opened.session.stages.row(3).parameters == {"rho": 0.5}


def test_a_cancelled_restoration_stops_within_one_stage_and_keeps_what_was_computed(qtbot, opened, fake, gate_type):
    fake.gate = gate_type(at=2)
    opened.session.restore()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    qtbot.waitUntil(lambda: opened.session.restoration.done_stages == 1)
    opened.session.cancel()
    assert opened.session.restoration.state == "cancelling"
    with qtbot.waitSignal(opened.lanes.idle):
        fake.gate.is_open.set()
    assert opened.session.restoration.state == "cancelled" and opened.session.restoration.partial
    assert fake.computed[-1] <= 2  # the stage under way when it was cancelled, and no other
    assert len(opened.session.stages) == len(fake.computed)
    assert opened.session.restoration.message == "Cancelled after stage 2 of 5."


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NumericalError("Stage 3 produced values that are not finite. Check the mask."), "not finite"),
        (DeviceError("The memory of cuda:0 is full. Decode on the CPU."), "Decode on the CPU"),
        (MemoryError(), "memory of this computer is full"),
    ],
)
def test_a_failing_decoder_leaves_its_sentence_and_the_stages_so_far(qtbot, opened, fake, error, words):
    fake.fail = {3: error}
    bugs = []
    opened.lanes.problem_raised.connect(bugs.append)
    _run(qtbot, opened, opened.session.restore)
    assert opened.session.restoration.state == "failed" and opened.session.restoration.partial
    assert words in opened.session.restoration.message
    assert len(opened.session.stages) == 3 and not bugs


def test_a_mistake_of_the_program_is_shown_with_its_details_and_the_session_goes_on(qtbot, opened, fake):
    fake.fail = {1: KeyError("weights")}
    bugs = []
    opened.lanes.problem_raised.connect(bugs.append)
    _run(qtbot, opened, opened.session.restore)
    assert opened.session.restoration.state == "failed"
    assert bugs[0].is_bug and "KeyError" in bugs[0].details
    fake.fail = {}
    _run(qtbot, opened, opened.session.restore)
    assert opened.session.restoration.state == "done"


def test_a_decoder_that_hangs_does_not_keep_the_session_from_being_used(qtbot, opened, fake, gate_type):
    fake.gate = gate_type(at=3)
    opened.session.restore()
    qtbot.waitUntil(lambda: opened.session.restoration.done_stages == 2)
    opened.looking.select_stage(1)
    opened.looking.select_pixel((3, 4))
    assert opened.session.selection.stage == 1 and opened.session.selection.pixel == (3, 4)
    assert not opened.close(timeout_s=0.05)
    fake.gate.is_open.set()


def test_the_newest_stage_is_followed_until_the_user_looks_elsewhere(qtbot, opened, fake, gate_type):
    fake.gate = gate_type(at=3)
    opened.session.restore()
    qtbot.waitUntil(lambda: opened.session.restoration.done_stages == 2)
    assert opened.session.selection.stage == 2 and opened.session.selection.follow_newest
    opened.looking.select_stage(1)
    with qtbot.waitSignal(opened.lanes.idle):
        fake.gate.is_open.set()
    assert opened.session.selection.stage == 1 and not opened.session.selection.follow_newest
    opened.looking.select_stage(5)
    assert opened.session.selection.follow_newest


def test_four_stages_stand_side_by_side_unless_the_user_arranges_them(qtbot, opened):
    assert milestones(9) == (1, 4, 6, 9) and milestones(1) == (1,) and milestones(2) == (1, 2)
    _run(qtbot, opened, opened.session.restore)
    assert opened.session.selection.panes == milestones(5)
    opened.looking.set_panes([0, 5, REFERENCE, 99])
    assert opened.session.selection.panes == (0, 5, REFERENCE)
    opened.looking.select_stage(2)
    assert opened.session.selection.panes == (0, 2, REFERENCE)


def test_selections_stay_within_what_is_open(opened):
    opened.looking.select_band(99)
    assert opened.session.selection.band == 3
    opened.looking.select_pixel((16, 0))
    assert opened.session.selection.pixel is None
    opened.looking.set_stretch((70, 30), True)
    assert opened.session.selection.stretch == (None, 99.9)
    opened.looking.select_stage(3)
    assert opened.session.selection.stage == 0  # nothing is decoded yet


@pytest.mark.parametrize("name", ["notes.mat", "missing.h5", "cut.h5", "pickled.npy"])
def test_files_that_cannot_be_read_leave_a_sentence_and_what_was_open(qtbot, opened, snapshot, tmp_path, name):
    path = tmp_path / name
    if name == "notes.mat":
        path.write_text("not a matrix")
    elif name == "cut.h5":
        path.write_bytes(snapshot.read_bytes()[:700])
    elif name == "pickled.npy":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    before = opened.session.measurement
    bugs = []
    opened.lanes.problem_raised.connect(bugs.append)
    _run(qtbot, opened, opened.session.open, [path])
    assert opened.session.problem is not None and name in str(opened.session.problem)
    assert opened.session.measurement is before and not bugs
    opened.session.dismiss_problem()
    assert opened.session.problem is None


def test_a_question_about_what_is_open_comes_back_when_a_bad_file_was_dismissed(
    qtbot, make_parts, fake, foreign, tmp_path
):
    (tmp_path / "notes.mat").write_text("not a matrix")
    parts = make_parts(fake)
    _run(qtbot, parts, parts.session.open, foreign)
    question = parts.session.problem
    _run(qtbot, parts, parts.session.open, [tmp_path / "notes.mat"])
    assert parts.session.is_problem_elsewhere and "notes.mat" in str(parts.session.problem)
    parts.session.dismiss_problem()
    assert parts.session.problem is question and not parts.session.is_problem_elsewhere


def test_a_mask_of_another_size_is_a_sentence_and_nothing_to_decode(qtbot, make_parts, fake, foreign, tmp_path):
    np.save(tmp_path / "mask.npy", np.ones((99, 8), np.float32))
    parts = make_parts(fake)
    _run(qtbot, parts, parts.session.open, foreign)
    assert parts.session.problem is not None and parts.session.measurement is None
    assert not parts.session.can_restore


def test_ambiguous_geometry_offers_its_solutions_and_the_answer_is_remembered(qtbot, make_parts, fake, foreign):
    parts = make_parts(fake)
    _run(qtbot, parts, parts.session.open, foreign)
    assert (4, 2) in parts.session.role_table.solutions
    _run(qtbot, parts, parts.session.correct, replace(parts.session.options, num_bands=4, step=2.0))
    assert parts.session.problem is None and parts.session.measurement.physics.scene_shape[0] == 4
    again = make_parts(fake)
    _run(qtbot, again, again.session.open, foreign)
    assert again.session.problem is None and again.session.measurement.physics.scene_shape[0] == 4


def test_a_mask_that_comes_later_joins_the_capture_that_is_open(qtbot, make_parts, fake, foreign):
    capture, mask = foreign
    parts = make_parts(fake)
    _run(qtbot, parts, parts.session.open, [capture])
    assert parts.session.measurement is None
    _run(qtbot, parts, parts.session.open, [mask])
    assert set(parts.session.paths) == {capture, mask}
    assert parts.session.role_table.solutions or parts.session.measurement is not None


def test_real_captures_open_with_their_masks_the_second_after_one_answer(qtbot, make_parts, fake, lorun_data):
    parts, real = make_parts(fake), lorun_data / "cassi" / "real"
    _run(qtbot, parts, parts.session.open, [real / "tsa_net" / "scene3.mat", real / "tsa_net" / "mask.mat"])
    assert parts.session.measurement.physics.scene_shape == (28, 660, 660)
    capture = next(path for path in sorted((real / "smem").glob("*.mat")) if path.name != "mask.mat")
    _run(qtbot, parts, parts.session.open, [capture, real / "smem" / "mask.mat"])
    assert (24, 2) in parts.session.role_table.solutions
    _run(qtbot, parts, parts.session.correct, replace(parts.session.options, num_bands=24, step=2.0))
    assert parts.session.measurement.physics.scene_shape == (24, 660, 660)


@pytest.mark.parametrize("is_capture_first", [True, False])
def test_a_mask_joins_its_capture_however_soon_one_follows_the_other(
    qtbot, make_parts, fake, foreign, is_capture_first
):
    first, second = foreign if is_capture_first else reversed(foreign)
    parts = make_parts(fake)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([first])
        parts.session.open([second])
    assert set(parts.session.paths) == set(foreign) and (4, 2) in parts.session.role_table.solutions


def test_files_that_are_added_while_others_are_read_come_to_those(qtbot, make_parts, fake, foreign):
    parts = make_parts(fake)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open(foreign[:1])
        parts.session.add(foreign[1:])
    assert parts.session.paths == foreign


def test_a_decoder_that_is_chosen_while_files_are_read_stays_chosen(
    qtbot, make_parts, fake_decoder_type, snapshot, gate_type, monkeypatch
):
    parts = make_parts(fake_decoder_type("first"), fake_decoder_type("second"))
    reading, open_files = gate_type(at=0), session.open_files
    monkeypatch.setattr(session, "open_files", lambda *arguments: (reading(0), open_files(*arguments))[1])
    parts.session.open([snapshot])
    qtbot.waitUntil(reading.is_reached.is_set)
    parts.setup.switch_decoder("second")
    with qtbot.waitSignal(parts.lanes.idle):
        reading.is_open.set()
    assert parts.setup.decoder_name == "second" and parts.setup.fit.is_good and parts.session.can_restore


def test_a_capture_takes_over_the_mask_that_is_open_but_no_reference(qtbot, make_parts, fake, foreign, tmp_path):
    capture, mask = foreign
    np.save(tmp_path / "reference.npy", np.zeros((16, 14, 4), np.float32))
    parts = make_parts(fake)
    _run(qtbot, parts, parts.session.open, [capture, mask, tmp_path / "reference.npy"])
    assert parts.session.measurement is not None
    np.save(tmp_path / "capture2.npy", np.load(capture) + 1)
    _run(qtbot, parts, parts.session.open, [tmp_path / "capture2.npy"])
    assert parts.session.paths == (tmp_path / "capture2.npy", mask)


def test_an_engine_that_does_not_load_is_said_where_decoders_are_chosen(qtbot):
    class Broken:
        def choices(self):
            raise ImportError("libtorch.so is missing")

    parts = Parts(decoders=Broken())
    _run(qtbot, parts, parts.setup.load_engine)
    assert not parts.setup.fit.is_good and "libtorch.so is missing" in parts.setup.fit.sentence
    assert parts.close()


def test_opening_something_else_while_decoding_ends_the_decode_first(
    qtbot, opened, fake, gate_type, tmp_path, snapshot
):
    other = tmp_path / "other.h5"
    other.write_bytes(snapshot.read_bytes())
    fake.gate = gate_type(at=2)
    opened.session.restore()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    opened.session.open([other])
    with qtbot.waitSignal(opened.lanes.idle):
        fake.gate.is_open.set()
    assert opened.session.paths == (other,) and len(opened.session.stages) == 0
    assert opened.session.restoration.state == "idle"


@pytest.mark.parametrize("name", ["notes.txt", "a folder"])
def test_what_cannot_be_understood_leaves_the_decode_alone(qtbot, opened, fake, gate_type, tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name == "a folder" else path.write_text("remember the milk")
    fake.gate = gate_type(at=2)
    opened.session.restore()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    opened.session.open([path])
    qtbot.waitUntil(lambda: opened.session.problem is not None)
    assert opened.session.restoration.state == "running"
    with qtbot.waitSignal(opened.lanes.idle):
        fake.gate.is_open.set()
    assert opened.session.restoration.state == "done" and len(opened.session.stages) == 6


def test_a_decode_goes_on_until_the_other_file_is_understood(
    qtbot, opened, fake, gate_type, tmp_path, snapshot, monkeypatch
):
    other, reading, open_files = tmp_path / "other.h5", gate_type(at=0), session.open_files
    other.write_bytes(snapshot.read_bytes())
    monkeypatch.setattr(session, "open_files", lambda *arguments: (reading(0), open_files(*arguments))[1])
    fake.gate = gate_type(at=4)
    opened.session.restore()
    opened.session.open([other])
    qtbot.waitUntil(lambda: opened.session.restoration.done_stages == 3)
    assert opened.session.restoration.state == "running" and opened.session.is_opening
    reading.is_open.set()
    qtbot.waitUntil(lambda: opened.session.paths == (other,))
    assert opened.session.restoration.state == "idle" and len(opened.session.stages) == 0
    with qtbot.waitSignal(opened.lanes.idle):
        fake.gate.is_open.set()
    assert 5 not in fake.computed and len(opened.session.stages) == 0


def test_a_decode_that_waits_says_for_what_and_its_time_counts_from_its_begin(qtbot, opened, gate_type):
    held = gate_type(at=0)
    opened.lanes.run(lambda: held(0), doing="testing itself", then=lambda _: None)
    qtbot.waitUntil(held.is_reached.is_set)
    opened.session.restore()
    assert opened.session.restoration.waits_for == "testing itself"
    asked_at = opened.session.restoration.started
    with qtbot.waitSignal(opened.lanes.idle):
        held.is_open.set()
    assert opened.session.restoration.state == "done" and opened.session.restoration.waits_for == ""
    assert opened.session.restoration.started > asked_at


def test_the_first_device_stands_in_for_a_chosen_one_that_is_gone(qtbot, opened, show):
    (cpu, *_), window = opened.setup.devices, show(opened)
    opened.setup.devices = (cpu, replace(cpu, name="cuda:7", title="A card that is pulled out"))
    opened.setup.set_device("cuda:7")
    _run(qtbot, opened, opened.setup.look_at_devices)
    assert opened.setup.device == "cpu" and "cuda:7 is no longer there" in opened.lanes.logged[-1]
    assert cpu.title in window.statusBar().device.text()


def test_a_decoder_found_before_the_library_was_listed_can_decode_at_once(qtbot, make_parts, fake, snapshot):
    parts = make_parts(fake)
    parts.setup.choices = ()
    _run(qtbot, parts, parts.session.open, [snapshot])
    assert parts.session.can_restore


@pytest.mark.parametrize("name", ["picture.jpg", "picture"])
def test_a_picture_of_another_format_is_refused_in_a_sentence(qtbot, decoded, tmp_path, name):
    problems, picture = [], QImage(4, 4, QImage.Format.Format_RGB32)
    decoded.lanes.problem_raised.connect(problems.append)
    _run(qtbot, decoded, decoded.exports.export_picture, tmp_path / name, Drawn(picture, "Stage 5"))
    assert "PNG (.png)" in problems[0].sentence and name in problems[0].sentence and not problems[0].is_bug
    assert not (tmp_path / name).exists()


def test_tables_are_written_under_their_own_suffixes(qtbot, decoded, tmp_path):
    problems = []
    decoded.lanes.problem_raised.connect(problems.append)
    decoded.looking.select_pixel((3, 4))
    decoded.regions.add("point", [(3, 4)])
    for verb, name in ((decoded.exports.export_spectra, "a.xlsx"), (decoded.regions.export, "b.txt")):
        _run(qtbot, decoded, verb, tmp_path / name)
        assert name in problems[-1].sentence and not (tmp_path / name).exists()


def test_exports_are_written_and_never_over_an_input(qtbot, opened, snapshot, tmp_path):
    _run(qtbot, opened, opened.session.restore)
    opened.looking.select_pixel((3, 4))
    before = snapshot.read_bytes()
    problems = []
    opened.lanes.problem_raised.connect(problems.append)
    _run(qtbot, opened, opened.exports.export_cube, snapshot)
    assert snapshot.read_bytes() == before and len(problems) == 1
    _run(qtbot, opened, opened.exports.export_cube, tmp_path / "cube.npy")
    assert np.load(tmp_path / "cube.npy").shape == (16, 14, 4)
    _run(qtbot, opened, opened.exports.export_spectra, tmp_path / "spectra.csv")
    lines = (tmp_path / "spectra.csv").read_text().splitlines()
    assert lines[0].startswith("wavelength_nm,") and len(lines) == 5
    assert lines[1].split(",")[:4] == ["450", "1.0", "0.5", "0.25"]
    _run(qtbot, opened, opened.exports.export_stages, tmp_path / "stages.h5")
    with h5py.File(tmp_path / "stages.h5") as file:
        assert file["stages"].shape == (5, 16, 14, 4) and np.all(file["initial"][()] == 1)
        assert np.array_equal(file["cube"][()], file["stages"][-1]) and file["cube"].attrs["adapter"] == "fake"


def test_recent_jobs_keep_files_decoder_and_stages_and_find_moved_files(qtbot, opened, make_parts, fake, tmp_path):
    opened.setup.set_num_stages(3)
    _run(qtbot, opened, opened.session.restore)
    again = make_parts(fake)
    job = again.memory.settings.recent[0]
    assert (Path(job.paths[0]).name, job.decoder, job.num_stages) == ("snapshot.h5", "fake", 3)
    (tmp_path / "moved").mkdir()
    Path(job.paths[0]).rename(tmp_path / "moved" / "snapshot.h5")
    assert job.missing == job.paths
    _run(qtbot, again, again.session.relocate_recent, job, tmp_path / "moved")
    assert again.session.measurement is not None and again.setup.num_stages == 3
    assert again.memory.settings.recent[0].paths == (str(tmp_path / "moved" / "snapshot.h5"),)
