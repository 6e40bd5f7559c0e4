"""Both themes can be read: text has a contrast of at least 4.5:1 (WCAG 2.1), curves of 3:1, on every surface."""

from __future__ import annotations

import pytest

from app.widgets.theme import Theme, dark, light

THEMES = pytest.mark.parametrize("tokens", [light(), dark()], ids=["light", "dark"])


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@THEMES
@pytest.mark.parametrize("name", ["text", "dim", "good", "warn"])
def test_text_can_be_read_on_every_surface(tokens: Theme, name):
    for surface in (tokens.background, tokens.card, tokens.field):
        assert _contrast(getattr(tokens, name), surface) >= 4.5


@THEMES
def test_words_on_the_primary_button_can_be_read(tokens: Theme):
    assert _contrast(tokens.on_accent, tokens.accent) >= 4.5


@THEMES
def test_curves_stand_out_from_their_card_and_differ(tokens: Theme):
    assert len(set(tokens.curves)) == len(tokens.curves)
    for colour in tokens.curves[:4]:
        assert _contrast(colour, tokens.card) >= 3
