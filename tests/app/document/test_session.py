"""The session without a window: opening, decoding, cancelling, failing, looking, correcting and remembering."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.document.session import MEASUREMENT, REFERENCE, Session, milestones
from lorun_engine.errors import DeviceError, NumericalError


def _run(qtbot, session: Session, verb, *arguments, **options) -> None:
    """Calls a verb and waits until the worker has nothing left to do."""
    with qtbot.waitSignal(session.worker_idle, timeout=20_000):
        verb(*arguments, **options)


def test_opening_a_snapshot_gives_its_measurement_and_the_first_decoder_that_fits(
    qtbot, make_session, snapshot, fake_decoder_type
):
    first, second = fake_decoder_type("first"), fake_decoder_type("second", num_stages=9)
    first.refusal = "first was trained for another camera. Choose second."
    session = make_session(first, second)
    _run(qtbot, session, session.open, [snapshot])
    assert session.problem is None
    assert session.measurement.physics.scene_shape == (4, 16, 14)
    assert (session.decoder_name, session.num_stages) == ("second", 9)
    assert session.selection.panes == (MEASUREMENT,)


def test_a_decoder_that_does_not_fit_says_why_and_is_not_started(qtbot, make_session, snapshot, fake):
    fake.refusal = "fake was trained for another camera. Choose another one."
    session = make_session(fake)
    _run(qtbot, session, session.open, [snapshot])
    assert session.fit.sentence == "fake was trained for another camera. Choose another one."
    assert not session.can_restore
    session.restore()
    assert session.restoration.state == "idle"


def test_stages_arrive_one_by_one_in_order_and_every_one_is_announced(qtbot, opened):
    seen = []
    opened.stage_added.connect(seen.append)
    _run(qtbot, opened, opened.restore)
    assert seen == list(range(6))
    assert opened.restoration.state == "done" and not opened.restoration.partial
    assert np.all(opened.stages.image(3) == 0.125)
    assert opened.stages.row(3).parameters == {"rho": 0.5}


def test_a_cancelled_restoration_stops_within_one_stage_and_keeps_what_was_computed(qtbot, opened, fake, gate_type):
    fake.gate = gate_type(at=2)
    opened.restore()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    qtbot.waitUntil(lambda: opened.restoration.done_stages == 1)
    opened.cancel()
    assert opened.restoration.state == "cancelling"
    with qtbot.waitSignal(opened.worker_idle):
        fake.gate.is_open.set()
    assert opened.restoration.state == "cancelled" and opened.restoration.partial
    assert fake.computed[-1] <= 2  # the stage under way when it was cancelled, and no other
    assert len(opened.stages) == len(fake.computed)
    assert opened.restoration.message == "Cancelled after stage 2 of 5."


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
    opened.problem_raised.connect(bugs.append)
    _run(qtbot, opened, opened.restore)
    assert opened.restoration.state == "failed" and opened.restoration.partial
    assert words in opened.restoration.message
    assert len(opened.stages) == 3 and not bugs


def test_a_mistake_of_the_program_is_shown_with_its_details_and_the_session_goes_on(qtbot, opened, fake):
    fake.fail = {1: KeyError("weights")}
    bugs = []
    opened.problem_raised.connect(bugs.append)
    _run(qtbot, opened, opened.restore)
    assert opened.restoration.state == "failed"
    assert bugs[0].is_bug and "KeyError" in bugs[0].details
    fake.fail = {}
    _run(qtbot, opened, opened.restore)
    assert opened.restoration.state == "done"


def test_a_decoder_that_hangs_does_not_keep_the_session_from_being_used(qtbot, opened, fake, gate_type):
    fake.gate = gate_type(at=3)
    opened.restore()
    qtbot.waitUntil(lambda: opened.restoration.done_stages == 2)
    opened.select_stage(1)
    opened.select_pixel((3, 4))
    assert opened.selection.stage == 1 and opened.selection.pixel == (3, 4)
    assert not opened.close(timeout_s=0.05)
    fake.gate.is_open.set()


def test_the_newest_stage_is_followed_until_the_user_looks_elsewhere(qtbot, opened, fake, gate_type):
    fake.gate = gate_type(at=3)
    opened.restore()
    qtbot.waitUntil(lambda: opened.restoration.done_stages == 2)
    assert opened.selection.stage == 2 and opened.selection.follow_newest
    opened.select_stage(1)
    with qtbot.waitSignal(opened.worker_idle):
        fake.gate.is_open.set()
    assert opened.selection.stage == 1 and not opened.selection.follow_newest
    opened.select_stage(5)
    assert opened.selection.follow_newest


def test_four_stages_stand_side_by_side_unless_the_user_arranges_them(qtbot, opened):
    assert milestones(9) == (1, 4, 6, 9) and milestones(1) == (1,) and milestones(2) == (1, 2)
    _run(qtbot, opened, opened.restore)
    assert opened.selection.panes == milestones(5)
    opened.set_panes([0, 5, REFERENCE, 99])
    assert opened.selection.panes == (0, 5, REFERENCE)
    opened.select_stage(2)
    assert opened.selection.panes == (0, 2, REFERENCE)


def test_selections_stay_within_what_is_open(opened):
    opened.select_band(99)
    assert opened.selection.band == 3
    opened.select_pixel((16, 0))
    assert opened.selection.pixel is None
    opened.set_stretch((70, 30), True)
    assert opened.selection.stretch == (1.0, 99.0)
    opened.select_stage(3)
    assert opened.selection.stage == 0  # nothing is decoded yet


@pytest.mark.parametrize("name", ["notes.mat", "missing.h5", "cut.h5", "pickled.npy"])
def test_files_that_cannot_be_read_leave_a_sentence_and_what_was_open(qtbot, opened, snapshot, tmp_path, name):
    path = tmp_path / name
    if name == "notes.mat":
        path.write_text("not a matrix")
    elif name == "cut.h5":
        path.write_bytes(snapshot.read_bytes()[:700])
    elif name == "pickled.npy":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    before = opened.measurement
    bugs = []
    opened.problem_raised.connect(bugs.append)
    _run(qtbot, opened, opened.open, [path])
    assert opened.problem is not None and name in str(opened.problem)
    assert opened.measurement is before and not bugs
    opened.dismiss_problem()
    assert opened.problem is None


def test_a_question_about_what_is_open_comes_back_when_a_bad_file_was_dismissed(
    qtbot, make_session, fake, foreign, tmp_path
):
    (tmp_path / "notes.mat").write_text("not a matrix")
    session = make_session(fake)
    _run(qtbot, session, session.open, foreign)
    question = session.problem
    _run(qtbot, session, session.open, [tmp_path / "notes.mat"])
    assert session.is_problem_elsewhere and "notes.mat" in str(session.problem)
    session.dismiss_problem()
    assert session.problem is question and not session.is_problem_elsewhere


def test_a_mask_of_another_size_is_a_sentence_and_nothing_to_decode(qtbot, make_session, fake, foreign, tmp_path):
    np.save(tmp_path / "mask.npy", np.ones((99, 8), np.float32))
    session = make_session(fake)
    _run(qtbot, session, session.open, foreign)
    assert session.problem is not None and session.measurement is None
    assert not session.can_restore


def test_ambiguous_geometry_offers_its_solutions_and_the_answer_is_remembered(qtbot, make_session, fake, foreign):
    session = make_session(fake)
    _run(qtbot, session, session.open, foreign)
    assert (4, 2) in session.role_table.solutions
    _run(qtbot, session, session.correct, replace(session.options, num_bands=4, step=2.0))
    assert session.problem is None and session.measurement.physics.scene_shape[0] == 4
    again = make_session(fake)
    _run(qtbot, again, again.open, foreign)
    assert again.problem is None and again.measurement.physics.scene_shape[0] == 4


def test_a_mask_that_comes_later_joins_the_capture_that_is_open(qtbot, make_session, fake, foreign):
    capture, mask = foreign
    session = make_session(fake)
    _run(qtbot, session, session.open, [capture])
    assert session.measurement is None
    _run(qtbot, session, session.open, [mask])
    assert set(session.paths) == {capture, mask}
    assert session.role_table.solutions or session.measurement is not None


def test_real_captures_open_with_their_masks_the_second_after_one_answer(qtbot, make_session, fake, lorun_data):
    session, real = make_session(fake), lorun_data / "cassi" / "real"
    _run(qtbot, session, session.open, [real / "tsa_net" / "scene3.mat", real / "tsa_net" / "mask.mat"])
    assert session.measurement.physics.scene_shape == (28, 660, 660)
    capture = next(path for path in sorted((real / "smem").glob("*.mat")) if path.name != "mask.mat")
    _run(qtbot, session, session.open, [capture, real / "smem" / "mask.mat"])
    assert (24, 2) in session.role_table.solutions
    _run(qtbot, session, session.correct, replace(session.options, num_bands=24, step=2.0))
    assert session.measurement.physics.scene_shape == (24, 660, 660)


def test_a_capture_takes_over_the_mask_that_is_open_but_no_reference(qtbot, make_session, fake, foreign, tmp_path):
    capture, mask = foreign
    np.save(tmp_path / "reference.npy", np.zeros((16, 14, 4), np.float32))
    session = make_session(fake)
    _run(qtbot, session, session.open, [capture, mask, tmp_path / "reference.npy"])
    assert session.measurement is not None
    np.save(tmp_path / "capture2.npy", np.load(capture) + 1)
    _run(qtbot, session, session.open, [tmp_path / "capture2.npy"])
    assert session.paths == (tmp_path / "capture2.npy", mask)


def test_an_engine_that_does_not_load_is_said_where_decoders_are_chosen(qtbot):
    class Broken:
        def choices(self):
            raise ImportError("libtorch.so is missing")

    session = Session(decoders=Broken())
    _run(qtbot, session, session.load_engine)
    assert not session.fit.is_good and "libtorch.so is missing" in session.fit.sentence
    assert session.close()


def test_opening_something_else_while_decoding_ends_the_decode_first(
    qtbot, opened, fake, gate_type, tmp_path, snapshot
):
    other = tmp_path / "other.h5"
    other.write_bytes(snapshot.read_bytes())
    fake.gate = gate_type(at=2)
    opened.restore()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    opened.open([other])
    with qtbot.waitSignal(opened.worker_idle):
        fake.gate.is_open.set()
    assert opened.paths == (other,) and len(opened.stages) == 0
    assert opened.restoration.state == "idle"


def test_exports_are_written_and_never_over_an_input(qtbot, opened, snapshot, tmp_path):
    _run(qtbot, opened, opened.restore)
    opened.select_pixel((3, 4))
    before = snapshot.read_bytes()
    problems = []
    opened.problem_raised.connect(problems.append)
    _run(qtbot, opened, opened.export, snapshot)
    assert snapshot.read_bytes() == before and len(problems) == 1
    _run(qtbot, opened, opened.export, tmp_path / "cube.npy")
    assert np.load(tmp_path / "cube.npy").shape == (16, 14, 4)
    _run(qtbot, opened, opened.export_spectra, tmp_path / "spectra.csv")
    lines = (tmp_path / "spectra.csv").read_text().splitlines()
    assert lines[0].startswith("wavelength_nm,") and len(lines) == 5
    assert lines[1].split(",")[:4] == ["450", "1.0", "0.5", "0.25"]
    _run(qtbot, opened, opened.export_picture, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_recent_jobs_keep_files_decoder_and_stages_and_find_moved_files(qtbot, opened, make_session, fake, tmp_path):
    opened.set_num_stages(3)
    _run(qtbot, opened, opened.restore)
    again = make_session(fake)
    job = again.settings.recent[0]
    assert (Path(job.paths[0]).name, job.decoder, job.num_stages) == ("snapshot.h5", "fake", 3)
    (tmp_path / "moved").mkdir()
    Path(job.paths[0]).rename(tmp_path / "moved" / "snapshot.h5")
    assert job.missing == job.paths
    _run(qtbot, again, again.relocate_recent, job, tmp_path / "moved")
    assert again.measurement is not None and again.num_stages == 3
    assert again.settings.recent[0].paths == (str(tmp_path / "moved" / "snapshot.h5"),)
