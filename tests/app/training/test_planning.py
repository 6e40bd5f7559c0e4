"""The plan of an adaptation without a window: pre-filled from what is open, and a sentence for what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
