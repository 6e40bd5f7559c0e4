"""A session that is saved in one window is the same in another: pixels, selection, regions, settings."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.document.selection import REFERENCE
from lorun_engine.io.session_files import DOCUMENT


@pytest.fixture
def saved(qtbot, decoded) -> Path:
    """Two results, one of them of half the stages, with places and a look of their own, saved beside the snapshot."""
    parts = decoded
    parts.session.correct(replace(parts.session.options, mask_shift=(0.5, 0.0)))
    qtbot.waitUntil(lambda: not parts.lanes.is_busy and parts.session.measurement is not None)
    parts.looking.set_view("input")  # from now on that is kept too
    parts.looking.set_view("image")
    parts.setup.set_num_stages(3)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    assert len(parts.shelf.all) == 2
    parts.regions.set_side(3)
    parts.regions.add("point", [(3, 4)])
    parts.regions.add("ellipse", [(1, 1), (9, 8)])
    parts.looking.set_panes([0, 2, REFERENCE])
    parts.looking.select_stage(2)
    parts.looking.select_pixel((5, 6))
    parts.looking.select_bands((1, 2))
    parts.looking.set_light(stops=1.5, gamma=1.2)
    parts.looking.set_mode("compare")
    parts.comparing.choose(left=parts.shelf.all[1], right=1)
    parts.comparing.move_divider(0.25)
    parts.setup.set_num_stages(4)
    path = parts.session.paths[0].with_name("work.lorun")
    with qtbot.waitSignal(parts.session_files.saved):
        parts.session_files.save(path)
    qtbot.waitUntil(lambda: not parts.lanes.is_busy)
    return path


def pixels(parts) -> list[list[bytes]]:
    """All images of every result, and what their denoisers saw."""
    every = []
    for result in parts.shelf.all:
        stages = parts.shelf.of(result).stages
        images = [stages.image(index).tobytes() for index in range(len(stages))]
        inputs = [stages.denoiser_input(index) for index in range(len(stages))]
        every.append(images + [b"" if image is None else image.tobytes() for image in inputs])
    return every


def state(parts) -> tuple:
    session, look = parts.session, parts.comparing.look
    rows = [parts.shelf.of(result).stages.rows() for result in parts.shelf.all]
    sides = [getattr(side, "title", side) for side in (look.left, look.right)]
    return (
        [result.title for result in parts.shelf.all],
        [[(row.index, row.residual, row.seconds, row.metrics, row.parameters) for row in rows_] for rows_ in rows],
        [parts.shelf.of(result).stages.made_by for result in parts.shelf.all],
        parts.shelf.shown.title,
        session.restoration.state,
        session.restoration.seconds,
        session.recipe,
        session.paths,
        session.options,
        session.selection,
        parts.regions.all,
        parts.regions.chosen_number,
        parts.regions.side,
        (sides, look.way, look.divider),
        (parts.setup.decoder_name, parts.setup.num_stages, parts.setup.device, parts.setup.precision),
        session.keeps_denoiser_input,
    )


def reopen(qtbot, parts, path: Path) -> None:
    parts.session.open([path])
    qtbot.waitUntil(lambda: not parts.lanes.is_busy and not parts.session.is_opening)


def test_a_fresh_window_shows_the_same_without_a_decode(qtbot, decoded, saved, make_parts, fake, fake_decoder_type):
    fresh = fake_decoder_type()
    parts = make_parts(fresh)
    reopen(qtbot, parts, saved)
    assert state(parts) == state(decoded)
    assert pixels(parts) == pixels(decoded) and fresh.computed == []
    assert parts.shelf.unsaved == () and decoded.shelf.unsaved == ()
    assert parts.memory.settings.recent[0].paths == (str(saved),)
    assert parts.session_files.path == saved
    reopen(qtbot, parts, saved)  # once more: nothing is there twice
    assert state(parts) == state(decoded)


def test_a_folder_that_was_moved_is_found_from_the_session(qtbot, decoded, saved, make_parts, fake_decoder_type):
    moved = saved.parent / "elsewhere"
    moved.mkdir()
    for path in (saved, saved.with_name("snapshot.h5")):
        shutil.move(path, moved / path.name)
    parts = make_parts(fake_decoder_type())
    reopen(qtbot, parts, moved / "work.lorun")
    assert parts.session.paths == (moved / "snapshot.h5",)
    assert pixels(parts) == pixels(decoded) and parts.shelf.shown is not None


def test_a_measurement_that_was_moved_alone_is_asked_for(qtbot, decoded, saved, make_parts, fake_decoder_type):
    moved = saved.parent / "elsewhere"
    moved.mkdir()
    parts = make_parts(fake_decoder_type())
    shutil.move(saved.with_name("snapshot.h5"), moved / "snapshot.h5")
    for folder in (saved.parent, moved):
        with qtbot.waitSignal(parts.session_files.missing) as missing:
            parts.session.open([saved])
        (loaded,) = missing.args
        assert [Path(path).name for path in loaded.job.missing] == ["snapshot.h5"]
        parts.session_files.locate(loaded, folder)
        qtbot.waitUntil(lambda: not parts.lanes.is_busy)
    assert parts.session.paths == (moved / "snapshot.h5",) and pixels(parts) == pixels(decoded)


def test_a_measurement_that_has_changed_is_shown_without_what_was_decoded_of_the_old_one(
    qtbot, decoded, saved, make_parts, fake_decoder_type
):
    from tests.app.conftest import write_snapshot

    write_snapshot(saved.with_name("snapshot.h5"), seed=7)
    parts = make_parts(fake_decoder_type())
    with qtbot.waitSignal(parts.lanes.problem_raised) as told:
        parts.session.open([saved])
    assert "snapshot.h5 has changed" in told.args[0].sentence
    assert parts.shelf.shown is None and len(parts.session.stages) == 0 and len(parts.shelf.all) == 2


def rewritten(path: Path, change) -> None:
    """Another document in the same file."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    entries[DOCUMENT] = json.dumps(change(json.loads(entries[DOCUMENT]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d | {"version": 99}, "newer LoRun"),
        (lambda d: d | {"shown": 7}, "contradicts itself"),
        (lambda d: d | {"files": {}}, "contradicts itself"),
        (lambda d: d | {"paths": []}, "was expected"),
        (lambda d: d | {"selection": {"stage": "x"}}, "was expected"),
        (lambda d: d | {"results": [d["results"][0] | {"scene_shape": [4, 16, 15]}], "shown": 0}, "no image"),
        (lambda d: {"format": d["format"], "version": 1}, "is missing"),
    ],
)
def test_what_is_wrong_gives_a_sentence_and_changes_nothing(qtbot, decoded, saved, change, words):
    before, shown = state(decoded), pixels(decoded)
    broken = saved.with_name("broken.lorun")
    shutil.copy(saved, broken)
    rewritten(broken, change)
    with qtbot.waitSignal(decoded.lanes.problem_raised) as told:
        decoded.session.open([broken])
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)
    assert words in told.args[0].sentence and not told.args[0].is_bug
    assert (state(decoded), pixels(decoded)) == (before, shown)


def test_what_is_looked_at_is_cut_to_what_is_there(qtbot, saved, make_parts, fake_decoder_type):
    wild = {"stage": 99, "band": -5, "pixel": [999, 0], "panes": [77], "band_range": [0, 99], "composite": [0, 1, 50]}
    wild |= {"stretch": [50, 10], "light": {"stops": 1e9, "gamma": float("nan")}, "alone": 3, "mode": "band"}
    rewritten(saved, lambda d: d | {"selection": d["selection"] | wild})
    parts = make_parts(fake_decoder_type())
    reopen(qtbot, parts, saved)
    selection = parts.session.selection
    assert (selection.stage, selection.band, selection.pixel) == (3, 0, None)
    assert selection.band_range is None and selection.composite is None and selection.alone is None
    assert all(parts.session.has_pane(pane) for pane in selection.panes)


def test_a_session_is_opened_alone(qtbot, decoded, saved):
    with qtbot.waitSignal(decoded.lanes.problem_raised) as told:
        decoded.session.open([saved, decoded.session.paths[0]])
    assert "opened alone" in told.args[0].sentence


def test_results_of_other_captures_come_back_with_the_arrays_they_were_decoded_from(
    qtbot, decoded, tmp_path, make_parts, fake_decoder_type
):
    from tests.app.conftest import write_snapshot

    other = write_snapshot(tmp_path / "other.h5", seed=5)
    first = decoded.session.paths[0]
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.open([other])
    with qtbot.waitSignal(decoded.session_files.saved):
        decoded.session_files.save(tmp_path / "two.lorun")
    parts = make_parts(fake_decoder_type())
    reopen(qtbot, parts, tmp_path / "two.lorun")
    assert parts.session.paths == (other,) and parts.shelf.shown is None
    parts.shelf.show(parts.shelf.all[0])
    qtbot.waitUntil(lambda: parts.session.paths == (first,) and not parts.lanes.is_busy)
    assert parts.shelf.shown == parts.shelf.all[0]
    assert np.array_equal(parts.session.stages.image(5), decoded.shelf.image(decoded.shelf.all[0]))
