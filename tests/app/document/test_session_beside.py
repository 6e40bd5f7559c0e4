"""What stands beside the measurement comes back with a session: steps, folder, library, named files, the window."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QPushButton

from lorun_engine.io import OpenOptions
from lorun_engine.io.session_files import DOCUMENT
from tests.app.conftest import write_snapshot
from tests.app.document.test_session_files import reopen, rewritten

LATER = ("steps", "num_done", "folder", "library", "window", "kept", "full_scales")  # than the first session files


def quiet(qtbot, parts) -> None:
    qtbot.waitUntil(lambda: not parts.lanes.is_busy and not parts.session.is_opening)


def save(qtbot, parts, path: Path) -> Path:
    quiet(qtbot, parts)
    with qtbot.waitSignal(parts.session_files.saved):
        parts.session_files.save(path)
    quiet(qtbot, parts)
    return path


def history(parts) -> list[str]:
    steps = parts.corrections.steps
    return [steps.command(number).text() for number in range(steps.count())]


@pytest.fixture
def library(tmp_path) -> Path:
    """Three spectra over the bands of the snapshot."""
    path = tmp_path / "materials.csv"
    path.write_text("nm,leaf,soil,paint\n440,0.1,0.3,0.9\n520,0.5,0.3,0.2\n650,0.2,0.4,0.1\n")
    return path


@pytest.fixture
def stepped(qtbot, decoded):
    """Parts with four steps: a correction, two places, a range; the last two were taken back."""
    decoded.corrections.correct(replace(decoded.session.options, mask_shift=(0.0, 1.0)), text="shift of the mask")
    quiet(qtbot, decoded)
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.restore()
    decoded.regions.add("point", [(3, 4)])
    decoded.regions.move(1, 2.0, 0.0)
    decoded.regions.move(1, 1.0, 0.0)
    decoded.ruler.take(1, 2)
    decoded.corrections.undo()
    decoded.corrections.undo()
    return decoded


def test_steps_are_taken_back_and_done_again_in_another_window(qtbot, stepped, make_parts, fake_decoder_type, tmp_path):
    path = save(qtbot, stepped, tmp_path / "work.lorun")
    parts = make_parts(fake_decoder_type())
    reopen(qtbot, parts, path)
    assert (
        history(parts) == history(stepped) == ["shift of the mask", "add 1 point", "move 1 point", "the range of bands"]
    )
    assert parts.corrections.num_done == stepped.corrections.num_done == 2
    for one in (stepped, parts):  # the same on both from here
        one.corrections.redo()
        assert one.regions.all[0].corners == ((6.0, 4.0),)
        one.corrections.redo()
        assert one.session.selection.bands == (1, 2) and not one.corrections.canRedo()
        for _ in range(3):
            one.corrections.undo()
        assert one.regions.all == () and one.session.options.mask_shift == (0.0, 1.0)
        one.corrections.undo()
        quiet(qtbot, one)
        assert one.session.options == OpenOptions() and not one.corrections.canUndo()


def test_a_folder_is_listed_as_it_was_and_nothing_of_it_is_decoded(
    qtbot, make_parts, fake, fake_decoder_type, tmp_path
):
    folder, target = tmp_path / "night", tmp_path / "cubes"
    folder.mkdir()
    for number in (1, 2, 3):
        write_snapshot(folder / f"capture{number}.h5", seed=number)
    parts = make_parts(fake)
    parts.session.open([folder / "capture2.h5"])
    quiet(qtbot, parts)
    parts.folder.open(folder)
    quiet(qtbot, parts)
    parts.decode_all.write_to(target)
    parts.decode_all.write_as(".npy")
    fake.fail[1] = RuntimeError("no more")
    parts.decode_all.decode(0)
    quiet(qtbot, parts)
    fake.fail.clear()
    parts.decode_all.decode(1)
    quiet(qtbot, parts)
    path = save(qtbot, parts, tmp_path / "work.lorun")
    listed = list(parts.folder.captures)
    assert [capture.state for capture in listed] == ["failed", "done", "waiting"]

    fresh = fake_decoder_type()
    again = make_parts(fresh)
    reopen(qtbot, again, path)
    assert again.folder.captures == listed and fresh.computed == []
    assert (again.folder.path, again.folder.index) == (folder, 1)
    assert (again.decode_all.target, again.decode_all.suffix) == (target, ".npy")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for moved in (folder, target, path):
        shutil.move(moved, elsewhere / moved.name)
    third = make_parts(fake_decoder_type())
    reopen(qtbot, third, elsewhere / path.name)
    assert [capture.state for capture in third.folder.captures] == ["failed", "done", "waiting"]
    assert third.folder.captures[1].result.parent == third.decode_all.target == elsewhere / target.name
    assert third.session.paths == (elsewhere / "night" / "capture2.h5",)

    shutil.rmtree(elsewhere / target.name)
    reopen(qtbot, third, elsewhere / path.name)
    assert [capture.state for capture in third.folder.captures] == ["waiting"] * 3  # as with any other place of results
    assert third.decode_all.target is None
    third.session.open([write_snapshot(tmp_path / "alone.h5", seed=9)])
    quiet(qtbot, third)
    third.folder.close()
    alone = save(qtbot, third, tmp_path / "alone.lorun")
    reopen(qtbot, again, alone)
    assert again.folder.path is None and again.folder.captures == []


def test_a_folder_that_was_listed_beside_another_measurement_shows_none_of_its_captures(
    qtbot, decoded, make_parts, fake_decoder_type, tmp_path
):
    folder = tmp_path / "night"
    folder.mkdir()
    write_snapshot(folder / "capture.h5", seed=4)
    decoded.folder.open(folder)
    quiet(qtbot, decoded)
    snapshot = tmp_path / "snapshot.h5"
    decoded.session.open([snapshot])
    quiet(qtbot, decoded)
    path = save(qtbot, decoded, tmp_path / "work.lorun")
    parts = make_parts(fake_decoder_type())
    reopen(qtbot, parts, path)
    assert parts.session.paths == (snapshot,) and parts.folder.index is None and len(parts.folder.captures) == 1


def test_integers_keep_the_full_scale_that_they_shared_with_their_folder(
    qtbot, make_parts, fake, fake_decoder_type, tmp_path
):
    folder, rng = tmp_path / "night", np.random.default_rng(3)
    folder.mkdir()
    np.save(folder / "mask.npy", (rng.random((16, 14)) < 0.5).astype(np.float32))
    for name, highest in (("a.npy", 4000), ("b.npy", 900)):
        np.save(folder / name, rng.integers(0, highest, (16, 20)).astype(np.uint16))
    parts = make_parts(fake)
    parts.memory.remember_folder(folder, OpenOptions(num_bands=4, step=2.0, axis="x", direction="+"))
    parts.folder.open(folder)
    quiet(qtbot, parts)
    parts.folder.show([capture.path.name for capture in parts.folder.captures].index("b.npy"))
    quiet(qtbot, parts)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    assert [row.scale for row in parts.session.role_table.rows if row.role == "measurement"] == [4095.0]
    parts.folder.close()
    path = save(qtbot, parts, tmp_path / "work.lorun")
    again = make_parts(fake_decoder_type())
    reopen(qtbot, again, path)
    assert np.array_equal(again.session.measurement.y, parts.session.measurement.y)
    assert again.shelf.shown is not None and len(again.session.stages) == 6
    assert again.session.kept == parts.session.kept != type(parts.session.kept)()


def test_the_library_is_read_again_from_where_it_is(qtbot, decoded, library, make_parts, fake_decoder_type, tmp_path):
    decoded.spectral_library.open(library)
    qtbot.waitUntil(lambda: decoded.spectral_library.library is not None)
    decoded.spectral_library.show(2)
    path = save(qtbot, decoded, tmp_path / "work.lorun")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for each in (path, library, tmp_path / "snapshot.h5"):
        shutil.move(each, moved / each.name)
    parts = make_parts(fake_decoder_type())
    reopen(qtbot, parts, moved / path.name)
    beside = parts.spectral_library
    assert (beside.library.path, beside.shown) == (moved / library.name, 2)
    assert np.array_equal(beside.spectra, decoded.spectral_library.spectra)
    (moved / library.name).unlink()
    parts.spectral_library.close()
    reopen(qtbot, parts, moved / path.name)
    assert "materials.csv" in beside.problem and beside.library is None and len(parts.session.stages) == 6
    assert not rewrites(moved / path.name, lambda d: d | {"library": {"path": str(moved / "x.csv"), "shown": -1}})


def rewrites(path: Path, change) -> bool:
    """Whether a changed document is still read."""
    from app.document.session_document import load
    from lorun_engine.errors import LorunError

    rewritten(path, change)
    reading = load(path)
    try:
        while True:
            next(reading)
    except StopIteration as end:
        end.value.close()
        return True
    except LorunError:
        return False


def test_a_list_of_wavelengths_that_was_named_is_moved_with_the_session_or_asked_for(
    qtbot, decoded, make_parts, fake_decoder_type, tmp_path
):
    listed = tmp_path / "bands.csv"
    listed.write_text("\n".join(str(nm) for nm in (455, 505, 565, 645)))
    decoded.corrections.correct(replace(decoded.session.options, wavelengths=str(listed)), text="wavelengths")
    quiet(qtbot, decoded)
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.restore()
    path = save(qtbot, decoded, tmp_path / "work.lorun")
    together, apart = tmp_path / "together", tmp_path / "apart"
    for folder, names in (
        (together, ("work.lorun", "snapshot.h5", "bands.csv")),
        (apart, ("work.lorun", "snapshot.h5")),
    ):
        folder.mkdir()
        for name in names:
            shutil.copy(tmp_path / name, folder / name)
    listed.unlink()
    parts = make_parts(fake_decoder_type())
    reopen(qtbot, parts, together / path.name)
    assert parts.session.options.wavelengths == str(together / "bands.csv")
    assert parts.session.measurement.wavelengths_nm[0] == 455 and len(parts.session.stages) == 6
    parts.corrections.undo()
    quiet(qtbot, parts)
    parts.corrections.redo()
    quiet(qtbot, parts)
    assert parts.session.measurement.wavelengths_nm[0] == 455

    with qtbot.waitSignal(parts.session_files.missing) as missing:
        parts.session.open([apart / path.name])
    assert [Path(name).name for name in missing.args[0].job.missing] == ["bands.csv"]
    parts.session_files.locate(missing.args[0], together)
    quiet(qtbot, parts)
    assert parts.session.paths == (apart / "snapshot.h5",)
    assert parts.session.options.wavelengths == str(together / "bands.csv") and len(parts.session.stages) == 6


def test_a_kernel_of_a_file_is_moved_by_its_number(tmp_path):
    options = OpenOptions(kernel="/old/blur.npy:3", wavelengths="cassi-28", roles=(("/old/a.h5::y", "measurement"),))
    assert options.files == ("/old/blur.npy",) and OpenOptions(kernel="/old/blur.npy").files == ("/old/blur.npy",)
    moved = options.moved({"/old/blur.npy": "/new/blur.npy", "/old/a.h5": "/new/a.h5"})
    assert (moved.kernel, moved.wavelengths, moved.roles) == (
        "/new/blur.npy:3",
        "cassi-28",
        (("/new/a.h5::y", "measurement"),),
    )
    assert OpenOptions(kernel="gaussian 1.6", wavelengths="nobody").files == ()


def test_a_file_of_before_these_parts_opens_and_leaves_the_window_as_it_is(
    qtbot, stepped, make_parts, fake_decoder_type, show, tmp_path
):
    path = save(qtbot, stepped, tmp_path / "work.lorun")

    def old(document):
        look = {name: document["look"][name] for name in ("left", "right", "way", "divider", "shows_angle")}
        return {name: value for name, value in document.items() if name not in LATER} | {"look": look}

    rewritten(path, old)
    with zipfile.ZipFile(path) as archive:
        assert not set(LATER) & set(json.loads(archive.read(DOCUMENT)))
    parts = make_parts(fake_decoder_type())
    window = show(parts)
    window.side_tabs.show_card("Library")
    window.log_dock.show()
    reopen(qtbot, parts, path)
    assert history(parts) == [] and len(parts.session.stages) == 6 and len(parts.regions.all) == 1
    assert not window.log_dock.isHidden()


def test_cards_and_docks_are_shown_as_they_were(qtbot, stepped, make_parts, fake_decoder_type, show, tmp_path):
    window = show(stepped)
    window.side_tabs.show_card("Library")
    window.log_dock.show()
    window.restoration.undock.setChecked(True)
    path = save(qtbot, stepped, tmp_path / "work.lorun")
    again = show(make_parts(fake_decoder_type()))
    again.folder_dock.show()
    reopen(qtbot, again.parts, path)
    assert again.side_tabs.title == "Library" and not again.log_dock.isHidden() and again.folder_dock.isHidden()
    assert again.restoration.undock.isChecked() and again.actions_["undo"].isEnabled()
    assert any(button.text() == "Library" and button.isChecked() for button in again.findChildren(QPushButton))
    for each in (window, again):
        each.restoration.undock.setChecked(False)
        each.parts.shelf.clear()


@pytest.mark.parametrize(
    "damage",
    [
        {"steps": [{"placed": {"text": "x", "before": [], "after": [{"number": 1, "shape": "point", "corners": []}]}}]},
        {"steps": [{"ranged": {"before": {}, "after": [1], "mode_after": "band"}}]},
        {"steps": [{"corrected": {"text": "x", "before": {}, "after": {"step": -1}}}]},
        {"num_done": -1},
        {"folder": {"path": "/a", "suffix": ".exe"}},
        {"folder": {"path": "/a", "captures": [{"path": "/a/b.h5", "state": "lost"}]}},
        {"window": {"card": "Nothing"}},
        {"full_scales": {"uint16": 0}},
    ],
)
def test_what_is_damaged_is_refused_in_a_sentence(qtbot, stepped, tmp_path, damage):
    path = save(qtbot, stepped, tmp_path / "work.lorun")
    rewritten(path, lambda document: document | damage)
    with qtbot.waitSignal(stepped.lanes.problem_raised) as told:
        stepped.session.open([path])
    assert not told.args[0].is_bug
    assert len(history(stepped)) == 4


def test_what_says_too_much_or_nothing_is_left_out(qtbot, stepped, make_parts, fake_decoder_type, tmp_path):
    path = save(qtbot, stepped, tmp_path / "work.lorun")
    wild = {"before": {"band_range": [5, 99]}, "after": [-3, 900], "mode_after": "montage"}
    rewritten(
        path,
        lambda d: (
            d
            | {"steps": [{}, *d["steps"], {"ranged": wild}, {}], "num_done": 999}
            | {
                "folder": {
                    "path": str(tmp_path / "gone"),
                    "captures": [{"path": "x.h5", "is_asked": True, "state": "decoding"}],
                }
            }
        ),
    )
    parts = make_parts(fake_decoder_type())
    raised = []
    parts.lanes.problem_raised.connect(raised.append)
    reopen(qtbot, parts, path)
    assert len(history(parts)) == parts.corrections.num_done == 5
    for _ in range(5):
        parts.corrections.undo()
        quiet(qtbot, parts)
    for _ in range(5):
        parts.corrections.redo()
        quiet(qtbot, parts)
    assert parts.folder.path is None and parts.folder.num_left == 0
    assert [problem.is_bug for problem in raised] == [False]


def test_what_is_shown_without_lying_on_the_shelf_is_shown_again(
    qtbot, decoded, make_parts, fake_decoder_type, tmp_path
):
    decoded.shelf.drop(decoded.shelf.all[0])
    path = save(qtbot, decoded, tmp_path / "work.lorun")
    parts = make_parts(fake_decoder_type())
    reopen(qtbot, parts, path)
    assert parts.shelf.all == decoded.shelf.all == () and parts.session.recipe == decoded.session.recipe
    assert [parts.session.stages.image(n).tobytes() for n in range(6)] == [
        decoded.session.stages.image(n).tobytes() for n in range(6)
    ]


def test_the_disagreement_is_compared_again_once_its_maps_are_made(
    qtbot, decoded, make_parts, fake_decoder_type, tmp_path
):
    decoded.setup.set_num_stages(3)
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.restore()
    qtbot.waitUntil(lambda: decoded.comparing.disagreement is not None)
    decoded.comparing.show("disagreement")
    decoded.comparing.toggle_lens()
    path = save(qtbot, decoded, tmp_path / "work.lorun")
    parts = make_parts(fake_decoder_type())
    reopen(qtbot, parts, path)
    qtbot.waitUntil(lambda: parts.comparing.look.way == "disagreement")
    assert parts.comparing.look.has_lens
    parts.comparing.show("split")
    assert parts.comparing.wanted_way == "split"
