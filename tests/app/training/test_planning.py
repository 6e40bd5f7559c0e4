"""The plan of an adaptation without a window: pre-filled from what is open, and a sentence for what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.document.decoders import Choice


@pytest.fixture
def planning(qtbot, opened):
    """For the open snapshot, with a set to start from."""
    sets = (Choice("lab", "cassi", 5, True), Choice("field", "cassi", 5, True), Choice("pictures", "sr", 5, True))
    opened.setup.take_choices((*opened.setup.choices, *sets))
    return opened.planning


def test_the_chosen_decoder_is_proposed_and_stays_once_it_was_seen(opened, planning):
    assert planning.starting_set == "lab"  # the chosen decoder has no weights
    opened.setup.switch_decoder("field")
    assert planning.starting_set == "field"
    planning.keep_starting_set()
    opened.setup.switch_decoder("lab")
    assert planning.starting_set == "field" and planning.plan().starting_set == "field"


def test_the_plan_is_pre_filled_from_what_is_open(planning):
    assert planning.starting_set == "lab" and planning.task == "cassi"
    assert planning.aims == ("camera", "scenes") and planning.answers.aim == "camera"
    assert planning.suggested_title == "lab-snapshot"
    plan = planning.plan()
    assert plan.title == "lab-snapshot" and plan.starting_set == "lab" and plan.learn == ()


def test_what_is_missing_is_said_in_a_sentence(planning):
    planning.take(replace(planning.answers, noise="shot"))
    assert planning.noise_text == "shot:200" and planning.missing() == ""
    planning.take(replace(planning.answers, level="much"), is_typing=True)
    assert "'much' was given; electrons at the brightest pixel above 0 was expected" in planning.missing()
    planning.take(replace(planning.answers, noise=""))
    assert planning.missing() == "" and planning.plan().noise == ""
    planning.take(replace(planning.answers, aim="scenes"))
    assert planning.missing() == "Add data to learn from." and planning.plan() is None


def test_typing_tells_nobody_until_it_stands(qtbot, planning):
    with qtbot.assertNotEmitted(planning.changed):
        planning.take(replace(planning.answers, title="Mine"), is_typing=True)
    with qtbot.waitSignal(planning.changed):
        planning.tell()
    assert planning.plan().title == "Mine"


def test_files_are_looked_for_and_at_without_a_window(qtbot, planning, snapshot, tmp_path):
    material = planning.material
    material.add([tmp_path])
    assert material.is_checking and planning.missing() == "The files are being looked at…"
    qtbot.waitUntil(lambda: not material.is_checking, timeout=20_000)
    assert snapshot in material.paths and len(material.files) == len(material.paths)
    material.remove(list(material.paths))
    assert material.paths == () and material.files == ()


@pytest.fixture
def dark(qtbot, planning, tmp_path):
    """With a set for low light to start from, and nothing of it open; the folder of five pairs."""
    planning._session.setup.take_choices((Choice("night", "lowlight", 3, True),))
    planning._session.role_table = planning._session.measurement = None
    planning._session.opened_changed.emit()
    rng = np.random.default_rng(0)
    for number in range(5):
        bright = rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)
        for name, divisor in (("low", 8), ("high", 1)):
            (tmp_path / "pairs" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(bright // divisor).save(tmp_path / "pairs" / name / f"{number}.png")
    return tmp_path / "pairs"


def test_a_darkening_may_have_no_noise(planning, dark):
    assert planning.task == "lowlight" and planning.routes == ("scenes", "pairs")
    planning.take(replace(planning.answers, is_given=True, given={"electrons": "0", "read_noise": "0"}))
    assert planning.missing() == ""
    words = planning.plan().camera
    assert words[words.index("--electrons") + 1] == words[words.index("--read-noise") + 1] == "0"
    planning.take(replace(planning.answers, given={"read_noise": "-0.1"}))
    assert planning.missing() == "Read noise: '-0.1' was given; a number from 0 to 1 was expected."
    planning.take(replace(planning.answers, given={"exposure": "0"}))
    assert planning.missing() == "Exposure: '0' was given; a number from 0.001 to 1 was expected."


def test_a_folder_of_pairs_is_taken_for_pairs_until_somebody_wants_their_scenes(qtbot, planning, dark):
    material = planning.material
    assert planning.missing() == "Open a low light measurement of your camera first."
    material.add([dark])
    qtbot.waitUntil(lambda: not material.is_checking and bool(material.files), timeout=20_000)
    assert planning.answers.route == "pairs" and planning.missing() == ""
    assert [file.path.parent.name for file in material.files] == 5 * ["low"]
    assert material.files[0].sentence == "20 × 24 px; its scene is high/0.png"
    pairs = "5 pairs: a measurement in low with the scene of its name in high."
    assert material.summary == f"4 to learn from, 1 withheld to check the result. {pairs}"
    plan = planning.plan()
    assert (plan.route, plan.camera, plan.capture, len(plan.learn), len(plan.check)) == ("pairs", (), (), 4, 1)
    material.remove([dark / "low" / "0.png"])
    qtbot.waitUntil(lambda: not material.is_checking and len(material.files) == 4)
    assert dark / "high" / "0.png" not in material.paths
    planning.take(replace(planning.answers, route="scenes", is_given=True))
    qtbot.waitUntil(lambda: not material.is_checking and len(material.files) == 8, timeout=20_000)
    assert planning.answers.route == "scenes"
    (reason,) = {file.sentence for file in material.files if file.path == dark / "low" / "1.png"}
    assert reason == "It is the measurement of a pair; its scene high/1.png is learned from in its place."
    assert material.summary == "3 to learn from, 1 withheld to check the result, 4 left out."
