"""The advanced settings of an adaptation: a field for every setting that the engine's recipe offers for it."""

from __future__ import annotations

from dataclasses import fields, make_dataclass
from typing import Any

from ..forms import Field, Form, Found, text_of
from ..resources import resource_path

KINDS = {"int": int, "float": float, "choice": str, "ints": str}


class AdvancedForm(Form):
    """All fields are optional; an empty one is as the preset has it. Make it once the engine is loaded."""

    def __init__(self, preset: str) -> None:
        self._known = _fields(preset)
        optional = [(field.name, KINDS[field.kind] | None, None) for field in self._known]
        self._filled: Any = make_dataclass("AdvancedSettings", optional, frozen=True)()
        table = {
            field.name: Field(field.title, tuple((choice, choice) for choice in field.choices)) for field in self._known
        }
        super().__init__(self._filled, table)
        self.edited.connect(self._keep)
        self.show_preset(preset)

    @property
    def settings(self) -> tuple[tuple[str, str], ...]:
        """The settings that were filled in, as the command line takes them."""
        every = ((field.name, getattr(self._filled, field.name)) for field in fields(self._filled))
        return tuple((name, _text(value)) for name, value in every if value is not None)

    def show_preset(self, preset: str) -> None:
        """Shows beside the fields what another preset has."""
        found = {field.name: Found(_text(field.value), field.hint) for field in _fields(preset)}
        self.show_values(self._filled, found)

    def _keep(self, values: Any, _label: str) -> None:
        self._filled = values


def _fields(preset: str) -> tuple[Any, ...]:
    from lorun_engine.recipe import adapt_fields

    return adapt_fields(resource_path("recipes", "adapt", f"{preset}.toml"))


def _text(value: Any) -> str:
    return text_of(value).replace(", ", ",")
