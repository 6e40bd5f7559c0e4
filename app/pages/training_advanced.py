"""The advanced settings of an adaptation: a field for every setting that the engine's recipe offers for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from typing import Any

from lorun_engine.io.reading import reading_of
from lorun_engine.schema import hints_of

from ..resources import resource_path
from ..training.planning import Situation
from ..widgets.forms import Field, Form, Found, text_of

OF_ROUTES = {"built_in": "scenes", "random_masks": "scenes", "withheld": "captures", "equivariance": "captures"}
OF_MASKS = ("random_masks",)


@dataclass(frozen=True)
class Setting:
    """A setting of the recipe as people see it: its name there, its title, and what it does."""

    name: str
    title: str
    hint: str


SETTINGS = (
    Setting("adapter_steps", "Steps", "How often the adapters are corrected."),
    Setting("adapter_learning_rate", "Learning rate", "Its peak; less is slower and safer."),
    Setting("batch", "Samples a step", "More are steadier, and take longer and more memory."),
    Setting("crop", "Size of a sample", "Across and along the dispersion, in pixels."),
    Setting("built_in", "Computed scenes", "Their share; they keep a set from knowing only yours."),
    Setting("random_masks", "Other masks", "Share of the samples with another mask than yours."),
    Setting("loss", "Loss", "What is made small."),
    Setting("validation_steps", "Steps between validations", "Every score is a point of the curve."),
    Setting("patience", "Patience", "Validations without a better one that end it; 0: never."),
    Setting("check_windows", "Scored windows", "Of the withheld scenes, at most."),
    Setting("withheld", "Withheld values", "Measurements alone: the share that is predicted."),
    Setting("equivariance", "Weight of moved scenes", "Measurements alone: 0 leaves them out."),
    Setting("warm_up_steps", "Steps of warm-up", "The learning rate rises over these."),
    Setting("ema_decay", "Averaging", "How long the mean of the weights remembers."),
    Setting("checkpoint_steps", "Steps between checkpoints", "Also every 15 seconds."),
    Setting("precision", "Precision", "auto: the quickest here."),
)


class AdvancedForm(Form):
    """All fields are optional; an empty one is as the preset has it. Make it once the engine is loaded."""

    def __init__(self, situation: Situation) -> None:
        hints = _hints()
        optional = [(setting.name, hints[setting.name] | None, None) for setting in SETTINGS]
        self._filled: Any = make_dataclass("AdvancedSettings", optional, frozen=True)()
        self._choices = _choices()
        self._situation: Situation | None = None
        self._shown: list[str] = []
        super().__init__(self._filled, {setting.name: self._field(setting) for setting in SETTINGS})
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
        values = _values(situation)
        self.show_values(
            self._filled, {setting.name: Found(_text(values[setting.name]), setting.hint) for setting in SETTINGS}
        )
        for name in self._choices:
            self.editors[name].box.setItemText(0, f"{_text(values[name])} (preset)")
        self._shown = [setting.name for setting in SETTINGS if _matters(setting.name, situation)]
        self.show_fields(self._shown)

    def show_steps(self, num_steps: int) -> None:
        """Shows the number of steps that a trial found for the preset; what is being typed stays."""
        self.editors["adapter_steps"].line.setPlaceholderText(str(num_steps))

    def _field(self, setting: Setting) -> Field:
        return Field(setting.title, tuple((choice, choice) for choice in self._choices.get(setting.name, ())))

    def _keep(self, values: Any, _label: str) -> None:
        self._filled = values


def _hints() -> dict[str, Any]:
    """What the settings of an adaptation may be."""
    from lorun_engine.training.recipe import TrainingConfig
    from lorun_engine.training_data.settings import LocalData

    return {**hints_of(LocalData), **hints_of(TrainingConfig)}


def _choices() -> dict[str, Sequence[str]]:
    """The words that some settings take."""
    from lorun_engine.decoding.execution import PRECISIONS
    from lorun_engine.training.recipe import LOSSES

    return {"loss": LOSSES, "precision": PRECISIONS}


def _values(situation: Situation) -> dict[str, Any]:
    """What the preset has for this task and data."""
    from lorun_engine.training.recipe import adapt_settings, preset_values

    values = preset_values(resource_path("recipes", "adapt", f"{situation.preset}.toml"))
    return values | adapt_settings(situation.task, has_scenes=situation.has_scenes)


def _matters(name: str, situation: Situation) -> bool:
    """Whether a setting does something for this task and kind of data."""
    is_of_route = OF_ROUTES.get(name, situation.route) == situation.route
    return is_of_route and ("mask" in reading_of(situation.task).COMPANIONS or name not in OF_MASKS)


def _text(value: Any) -> str:
    return text_of(value).replace(", ", ",")
