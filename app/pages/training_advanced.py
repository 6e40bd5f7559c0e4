"""The advanced settings of an adaptation: a field for every setting that the engine's recipe offers for it."""

from __future__ import annotations

from dataclasses import make_dataclass
from typing import Any

from lorun_engine.io.reading import reading_of

from ..resources import resource_path
from ..training.planning import Situation
from ..widgets.forms import Field, Form, Found, text_of

KINDS = {"int": int, "float": float, "choice": str, "ints": str}
OF_ROUTES = {"built_in": "scenes", "random_masks": "scenes", "withheld": "captures", "equivariance": "captures"}
OF_MASKS = ("random_masks",)


class AdvancedForm(Form):
    """All fields are optional; an empty one is as the preset has it. Make it once the engine is loaded."""

    def __init__(self, situation: Situation) -> None:
        known = _fields(situation)
        optional = [(field.name, KINDS[field.kind] | None, None) for field in known]
        self._filled: Any = make_dataclass("AdvancedSettings", optional, frozen=True)()
        self._situation: Situation | None = None
        self._shown: list[str] = []
        table = {field.name: Field(field.title, tuple((choice, choice) for choice in field.choices)) for field in known}
        super().__init__(self._filled, table)
        self.edited.connect(self._keep)
        self.show_situation(situation)

    @property
    def settings(self) -> tuple[tuple[str, str], ...]:
        """The settings that were filled in, as the command line takes them."""
        every = ((name, getattr(self._filled, name)) for name in self._shown)
        return tuple((name, _text(value)) for name, value in every if value is not None)

    def show_situation(self, situation: Situation) -> None:
        """Shows in the empty fields what the preset has for this task and data, and the fields that matter then."""
        if situation == self._situation:
            return
        self._situation = situation
        known = _fields(situation)
        self.show_values(self._filled, {field.name: Found(_text(field.value), field.hint) for field in known})
        for field in known:
            if field.choices:
                self.editors[field.name].box.setItemText(0, f"{_text(field.value)} (preset)")
        self._shown = [field.name for field in known if _matters(field.name, situation)]
        self.show_fields(self._shown)

    def show_steps(self, num_steps: int) -> None:
        """Shows the number of steps that a trial found for the preset; what is being typed stays."""
        self.editors["adapter_steps"].line.setPlaceholderText(str(num_steps))

    def _keep(self, values: Any, _label: str) -> None:
        self._filled = values


def _fields(situation: Situation) -> tuple[Any, ...]:
    from lorun_engine.training.recipe import adapt_fields, adapt_settings

    usual = adapt_settings(situation.task, has_scenes=situation.has_scenes)
    return adapt_fields(resource_path("recipes", "adapt", f"{situation.preset}.toml"), settings=usual)


def _matters(name: str, situation: Situation) -> bool:
    """Whether a setting does something for this task and kind of data."""
    is_of_route = OF_ROUTES.get(name, situation.route) == situation.route
    return is_of_route and ("mask" in reading_of(situation.task).COMPANIONS or name not in OF_MASKS)


def _text(value: Any) -> str:
    return text_of(value).replace(", ", ",")
