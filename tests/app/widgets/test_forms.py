"""Fields made from a dataclass: what is typed becomes a value of the annotated type, or a sentence."""

from __future__ import annotations

from dataclasses import fields

import pytest
from PySide6.QtWidgets import QLabel

from app.panels.remarks import FIELDS
from app.quantities import breakable, duration, number
from app.widgets.forms import Field, Form, Found, parse, text_of
from app.widgets.options import GivenFields
from lorun_engine.io import OpenOptions
from lorun_engine.io.reading import reading_of


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("", int | None, None),
        (" 24 ", int | None, 24),
        ("1.5", float | None, 1.5),
        ("name", str | None, "name"),
        ("1, 2, 30,40", tuple[int, int, int, int] | None, (1, 2, 30, 40)),
        ("256x310", tuple[int, int] | None, (256, 310)),
    ],
)
def test_text_becomes_a_value_and_back(text, annotation, value):
    assert parse(text, annotation) == value
    if value is not None:
        assert parse(text_of(value), annotation) == value


@pytest.mark.parametrize(
    ("text", "annotation", "words"),
    [
        ("2.5", int | None, "a whole number"),
        ("far", float | None, "a number"),
        ("1,2", tuple[int, int, int, int] | None, "4 whole numbers"),
        ("a,b", tuple[int, int] | None, "2 whole numbers"),
    ],
)
def test_what_does_not_parse_is_said(text, annotation, words):
    with pytest.raises(ValueError, match=words):
        parse(text, annotation)


def test_every_correction_can_be_made_in_the_window():
    elsewhere = {"task", "roles"}  # one task so far; roles stand in the table
    assert {field.name for field in fields(OpenOptions)} == set(FIELDS) | elsewhere


def test_an_edit_gives_a_new_dataclass_and_an_emptied_field_the_guess_again(qtbot):
    form = Form(OpenOptions(), {"step": Field("Step"), "flip": Field("Flip", (("left and right", "lr"),))})
    qtbot.addWidget(form)
    form.show_values(OpenOptions(), {"step": Found("2", "stated in the file")})
    step, flip = form.editors["step"], form.editors["flip"]
    assert step.line.placeholderText() == "2" and step.reason.text() == "stated in the file"
    with qtbot.waitSignal(form.edited) as edited:
        step.line.setText("1.5")
        step.line.editingFinished.emit()
    assert edited.args == [OpenOptions(step=1.5), "Step"]
    with qtbot.waitSignal(form.edited) as edited:
        flip.box.setCurrentIndex(1)
        flip.box.activated.emit(1)
    assert edited.args == [OpenOptions(step=1.5, flip="lr"), "Flip"]
    with qtbot.waitSignal(form.edited) as edited:
        step.line.clear()
        step.line.editingFinished.emit()
    assert edited.args[0] == OpenOptions(flip="lr")


def test_leaving_a_field_as_it_is_edits_nothing(qtbot):
    form = Form(OpenOptions(step=2.0), {"step": Field("Step")})
    qtbot.addWidget(form)
    form.show_values(OpenOptions(step=2.0), {})
    with qtbot.assertNotEmitted(form.edited):
        form.editors["step"].line.editingFinished.emit()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0313, "0.0313"),
        (1.0, "1.00"),
        (648.1, "648"),
        (12345.6, "12346"),
        (0.0, "0.00"),
        (2e-7, "2.00e-7"),
        (-3.14159e8, "-3.14e8"),
    ],
)
def test_numbers_have_three_significant_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.42 s"),
        (4.12, "4.1 s"),
        (41.2, "41 s"),
        (80, "80 s"),
        (1380, "23 min"),
        (4800, "1 h 20 min"),
        (7200, "2 h"),
    ],
)
def test_durations_are_read_at_a_glance(seconds, text):
    assert duration(seconds) == text


def test_sizes_in_sentences_have_the_sign_of_the_window():
    assert breakable("660 x 714 pixels of 2.5 x 3, at x 4") == "660 × 714 pixels of 2.5 × 3, at x 4"


@pytest.mark.parametrize("value", [1.2345678901234567, 0.1, 2.0, 65535.0, 123456789.5, 1e-7, 1e300, 4294967295.0])
def test_a_value_that_nobody_touches_keeps_all_its_digits(qtbot, value):
    form, edits = Form(OpenOptions(), {"step": Field("Step")}), []
    qtbot.addWidget(form)
    form.edited.connect(lambda *edit: edits.append(edit))
    form.show_values(OpenOptions(step=value), {})
    form.editors["step"].line.editingFinished.emit()  # as a field does when the focus leaves it
    assert not edits and float(form.editors["step"].line.text()) == value
    assert text_of(2.0) == "2" and text_of(1.5) == "1.5"


@pytest.mark.parametrize(("task", "names"), [("cs", 0), ("sr", 0), ("lowlight", 4)])
def test_several_numbers_beside_each_other_have_their_names_above_them(qtbot, task, names):
    options = reading_of(task).CHANGES
    given = GivenFields(options, {option.field: option.start for option in options})
    qtbot.addWidget(given)
    labels = given.findChildren(QLabel)
    assert [label.text() for label in labels] == [option.title for option in options][:names]
    assert all(label.buddy() is editor for label, editor in zip(labels, given.editors.values(), strict=False))
