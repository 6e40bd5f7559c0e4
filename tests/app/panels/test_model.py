"""What the card of the decoder says of memory, and the status bar of how a network was executed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.panels.model import ModelCard


@pytest.fixture
def needing(opened):
    """The card of parts whose decode takes so many bytes, on a device with so many free."""

    def make(needed: int | None, free: int | None) -> ModelCard:
        setup = opened.setup
        setup.fit = replace(setup.fit, num_bytes=needed)
        setup.devices = (replace(setup.devices[0], free_bytes=free),)
        return ModelCard(opened)

    return make


@pytest.mark.parametrize(
    ("needed", "free", "look", "words"),
    [
        (3 << 30, 16 << 30, "dim", "Takes about 3.0 GiB of memory."),
        (3 << 30, None, "dim", "Takes about 3.0 GiB of memory."),
        (3 << 30, 2 << 30, "warn", "2.0 GiB are free. Close other programs or crop"),
        (200 << 20, 100 << 20, "warn", "Takes about 200 MiB of memory; 100 MiB are free."),
    ],
)
def test_the_card_says_what_a_decode_takes_and_warns_where_it_is_too_much(qtbot, needing, needed, free, look, words):
    card = needing(needed, free)
    qtbot.addWidget(card)
    assert words in card.cost.text() and card.cost.objectName() == look and not card.cost.isHidden()


@pytest.mark.parametrize(("needed", "free"), [(None, 1), (200 << 20, 16 << 30)])
def test_nothing_is_said_of_little_or_unknown_memory(qtbot, needing, needed, free):
    card = needing(needed, free)
    qtbot.addWidget(card)
    assert card.cost.text() == "" and card.cost.isHidden()


@pytest.mark.parametrize(
    ("executed", "spared", "words"),
    [
        (None, "", ""),
        (("float32", "plain"), "", " in float32"),
        (("bfloat16", "nhwc"), "", " in bfloat16, channels last"),
        (("float32", "nhwc"), "cuda:0 had too little.", " in float32, channels last. cuda:0 had too little."),
    ],
)
def test_the_status_bar_says_how_the_network_was_executed(decoded, show, monkeypatch, executed, spared, words):
    window, rows = show(decoded), decoded.session.stages.rows()
    told = [*rows[:-1], replace(rows[-1], executed=executed, spared=spared)]
    monkeypatch.setattr(decoded.session.stages, "rows", lambda: told)
    decoded.setup.changed.emit()
    text = window.statusBar().result.text()
    assert text.startswith("Decoded 5 stages in ") and text.endswith(f" s{words}")
    window.parts.shelf.clear()
