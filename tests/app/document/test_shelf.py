"""The shelf of results: what stays of every decode, what shows it again, and where it lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.document.comparing import CHOSEN
from app.document.selection import REFERENCE
from app.document.stage_store import StageStore
from lorun_engine.io import OpenOptions
from tests.app.conftest import write_snapshot


def decode(qtbot, parts, **settings) -> None:
    """Decodes what is open, with another number of stages where one is given."""
    if "num_stages" in settings:
        parts.setup.set_num_stages(settings["num_stages"])
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()


def titles(results) -> list[str]:
    return [result.title for result in results]


def test_every_decode_stays_and_a_click_shows_it_again_with_all_its_stages(qtbot, decoded):
    session, shelf = decoded.session, decoded.shelf
    decode(qtbot, decoded, num_stages=2)
    first, second = shelf.all
    assert titles(shelf.all) == ["fake · 5 stages", "fake · 2 stages"] and shelf.shown == second
    shelf.show(first)
    assert shelf.shown == first and session.num_announced == len(session.stages) == 6
    assert session.selection.stage == 5 and session.restoration.state == "done"
    assert np.all(session.stages.image(5) == 0.5**5) and session.recipe.num_stages == 5
    assert shelf.other_settings == "fake, 5 stages"  # the next decode would have two
    shelf.use_settings(first)
    assert decoded.setup.num_stages == 5 and shelf.other_settings == ""


def test_the_same_decode_takes_the_place_of_the_one_before(qtbot, decoded):
    (before,) = decoded.shelf.all
    stages = decoded.session.stages
    decode(qtbot, decoded)
    (after,) = decoded.shelf.all
    assert after.number > before.number and after.title == before.title
    assert decoded.session.stages is not stages and len(stages) == 0  # it was given back


def test_the_picture_before_stays_until_the_first_new_stage(qtbot, decoded, fake, gate_type):
    session = decoded.session
    before = session.stages
    fake.gate = gate_type(at=0)
    session.restore()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    assert session.restoration.state == "running" and session.restoration.done_stages == 0
    assert session.stages is before and session.num_announced == 6 and session.selection.stage == 5
    shown = []  # with every stage: the next ones may come before a test that waits for the first sees it
    session.stage_added.connect(lambda _: shown.append((session.stages, session.selection.stage)))
    fake.gate.is_open.set()
    qtbot.waitUntil(lambda: session.restoration.state == "done")
    stages, stage = shown[0]
    assert stages is not before and stage < 5


@pytest.mark.parametrize("ending", ["cancelled", "failed"])
def test_a_decode_without_any_stage_leaves_what_was_shown(qtbot, decoded, fake, gate_type, ending):
    session = decoded.session
    before, recipe = session.stages, session.recipe
    decoded.setup.set_num_stages(3)
    fake.gate = gate_type(at=0)
    fake.fail = {0: ValueError("a bug")} if ending == "failed" else {}
    session.restore()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    if ending == "cancelled":
        session.cancel()
    fake.gate.is_open.set()
    qtbot.waitUntil(lambda: not session.restoration.is_busy and not decoded.lanes.is_busy)
    if ending == "failed":
        assert session.stages is before and session.recipe is recipe and session.num_announced == 6
        assert session.restoration.state == "failed" and not session.restoration.partial
        assert decoded.exports.command() and titles(decoded.shelf.all) == ["fake · 5 stages"]
    else:  # it stops after the stage that was being computed
        assert session.restoration.state == "cancelled" and len(session.stages) in (1, 6)


def test_what_was_cancelled_after_a_stage_stays_as_partial(qtbot, opened, fake, gate_type):
    session = opened.session
    fake.gate = gate_type(at=3)
    session.restore()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    session.cancel()
    fake.gate.is_open.set()
    qtbot.waitUntil(lambda: not session.restoration.is_busy)
    (result,) = opened.shelf.all
    assert opened.shelf.of(result).restoration.partial and result.title == f"fake · {len(session.stages) - 1} stages"
    assert opened.shelf.made_with(session.recipe) is None  # it is not what was asked for


def test_another_capture_keeps_the_results_and_one_of_them_opens_its_capture(qtbot, decoded, tmp_path):
    session, shelf = decoded.session, decoded.shelf
    (first,) = shelf.all
    other = write_snapshot(tmp_path / "other.h5", seed=5)
    with qtbot.waitSignal(decoded.lanes.idle):
        session.open([other])
    assert session.num_announced == 0 and shelf.all == (first,) and shelf.comparable == ()
    decode(qtbot, decoded)
    assert titles(shelf.all) == ["fake · 5 stages", "fake · 5 stages (2)"]
    with qtbot.waitSignal(decoded.lanes.idle):
        shelf.show(first)
    assert session.paths[0].name == "snapshot.h5" and shelf.shown == first and session.num_announced == 6


def test_a_correction_keeps_the_old_result_to_compare_with_and_undoing_it_shows_it_again(qtbot, decoded):
    session, shelf = decoded.session, decoded.shelf
    (first,) = shelf.all
    with qtbot.waitSignal(decoded.lanes.idle):
        session.correct(replace(session.options, mask_shift=(0.0, 1.0)))
    assert session.num_announced == 0 and shelf.comparable == (first,) and first in decoded.comparing.sides()
    decode(qtbot, decoded)
    assert decoded.comparing.left == first and decoded.comparing.right == shelf.all[1]
    with qtbot.waitSignal(decoded.lanes.idle):
        session.correct(replace(session.options, mask_shift=OpenOptions().mask_shift))
    assert shelf.shown == first and session.num_announced == 6


def test_a_file_that_has_changed_on_the_disk_has_none_of_the_results_of_before(qtbot, decoded, snapshot):
    session = decoded.session
    write_snapshot(snapshot, seed=9)
    with qtbot.waitSignal(decoded.lanes.idle):
        session.open([snapshot])
    assert session.num_announced == 0 and decoded.shelf.shown is None and len(decoded.shelf.all) == 1


def test_a_result_that_is_taken_away_stays_as_long_as_it_is_shown(qtbot, decoded, tmp_path):
    session, shelf = decoded.session, decoded.shelf
    (result,) = shelf.all
    stages = session.stages
    shelf.drop(result)
    assert shelf.all == () and len(stages) == 6 and shelf.image(result) is None
    with qtbot.waitSignal(decoded.lanes.idle):
        session.open([write_snapshot(tmp_path / "other.h5", seed=5)])
    assert len(stages) == 0


def test_older_results_go_to_the_disk_and_the_oldest_are_given_up(qtbot, decoded):
    session, shelf = decoded.session, decoded.shelf
    size = session.stages.num_bytes
    shelf.limit_bytes = 4 * size // 6  # four images
    for num_stages in (2, 3, 4):
        decode(qtbot, decoded, num_stages=num_stages)
    stores = [shelf.of(result).stages for result in shelf.all]
    assert [store.is_spilled for store in stores] == [True, True, False, False] and shelf.num_on_disk == 2
    assert [store.num_bytes == 0 for store in stores] == [True, True, False, False]
    assert np.all(stores[0].image(5) == 0.5**5) and not stores[0].image(5).flags.writeable
    shelf.limit_disk_bytes = stores[0].num_disk_bytes
    decode(qtbot, decoded, num_stages=1)
    assert titles(shelf.all)[0] == "fake · 2 stages" and len(stores[0]) == 0
    assert any("was taken from the shelf" in line for line in decoded.lanes.logged)


def test_moving_a_store_to_the_disk_changes_no_number():
    store = StageStore()
    rng = np.random.default_rng(0)
    images = [rng.random((3, 8, 9), dtype=np.float32) for _ in range(4)]
    for image in images:
        store._images.append(store._kept(image.copy()))
        store._inputs.append(None)
    held = store.image(0)
    store.move_to_disk()
    assert store.num_bytes == 0 and store.num_disk_bytes == sum(image.nbytes for image in images)
    assert all(np.array_equal(store.image(n), image) for n, image in enumerate(images)) and np.array_equal(
        held, images[0]
    )
    store.close()


def test_decoders_that_were_run_already_are_taken_from_the_shelf(qtbot, make_parts, fake_decoder_type, snapshot):
    first, second = fake_decoder_type("a", num_stages=1), fake_decoder_type("b", num_stages=2)
    parts = make_parts(first, second)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    decode(qtbot, parts)
    assert first.computed == [0, 1]
    with qtbot.waitSignal(parts.lanes.idle):
        parts.comparing.decode()
    assert first.computed == [0, 1] and second.computed == [0, 1, 2]
    assert titles(parts.shelf.all) == ["a · 1 stage", "b · 2 stages"]
    assert [outcome.name for outcome in parts.comparing.progress.outcomes] == ["a", "b"]
    parts.shelf.show(parts.shelf.all[1])  # with all its stages
    assert len(parts.session.stages) == 3 and parts.session.recipe.decoder == "b"


def test_compare_begins_with_the_last_two_results_else_with_the_result_and_the_truth(qtbot, decoded):
    comparing = decoded.comparing
    assert (comparing.left, comparing.right) == (CHOSEN, REFERENCE)
    decode(qtbot, decoded, num_stages=2)
    assert (comparing.left, comparing.right) == decoded.shelf.all
    comparing.choose(left=0)
    assert comparing.left == 0  # what is chosen is taken


def test_the_results_of_a_simulation_go_with_it(qtbot, decoded):
    from app.document.what_if import Scenario

    kept = decoded.shelf.all
    decoded.what_if.start(Scenario("result"))
    qtbot.waitUntil(lambda: decoded.what_if.state == "done")
    assert len(decoded.shelf.all) == 2 and decoded.shelf.shown == decoded.shelf.all[1]
    decoded.what_if.go_back()
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)
    assert decoded.shelf.all == kept and decoded.shelf.shown == kept[0] and decoded.session.num_announced == 6
