"""What the card of an adapter set says, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lorun_engine.library.sets import LibrarySet
from lorun_engine.task import TASKS

from ..quantities import duration, number, plural
from .workshop import short

_SCORES = {"psnr": "PSNR (dB)", "ssim": "SSIM", "sam": "SAM (°)"}


def origin(entry: LibrarySet) -> str:
    """Where a set came from."""
    if entry.is_shipped:
        return "shipped"
    if entry.is_imported:
        return "imported"
    made_from = entry.card.fields.get("made_from", {})
    return "trained here" if not made_from or "adapted" in made_from else "derived"


def facts(entry: LibrarySet) -> Mapping[str, str]:
    """What a card says, name by name; what it does not say is left out."""
    fields = entry.card.fields
    training: Mapping[str, Any] = fields.get("training") or {}
    backbone = short(fields.get("backbone_hash", ""))
    found: dict[str, Callable[[], str]] = {
        "Origin": lambda: f"imported on {fields['imported']}" if "imported" in fields else origin(entry),
        "Task": lambda: TASKS[entry.card.task].title,
        "Stages": lambda: str(fields["stages"]),
        "Parameters": lambda: f"{fields['num_parameters']:,}",
        "Rank factor": lambda: f"{fields['gamma']:g} %",
        "Backbone": lambda: f"{entry.backbone.name} ({backbone})" if entry.backbone else f"{backbone}, missing",
        "Hash": lambda: short(entry.card.hash),
        "Derived": lambda: _derived(fields["made_from"]),
        "Trained": lambda: _trained(training),
        "Started from": lambda: str(training["started_from"]),
        "Data": lambda: _trained_on(training),
        "Masks": lambda: ", ".join(training["masks"]),
        **{title: partial(lambda name: _score(fields["metrics"], name), name) for name, title in _SCORES.items()},
        "Note": lambda: fields["note"] if entry.is_shipped else "",
    }
    return {name: words for name, say in found.items() if (words := _said(say))}


def _said(say: Callable[[], str]) -> str:
    """What a card says of something; cards of other programs and versions may lack it or mean something else."""
    try:
        return say()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return ""


def _derived(made_from: Mapping[str, Any]) -> str:
    """As "ablated: cassi-any-mask, 2"."""
    return "; ".join(f"{how}: {', '.join(map(str, what))}" for how, what in made_from.items() if isinstance(what, list))


def _trained(training: Mapping[str, Any]) -> str:
    device = {"cpu": "CPU", "cuda": "GPU"}.get(training["device"], training["device"])
    return f"{plural(training['steps'], 'step')} in {duration(3600 * training['hours'])} on the {device}"


def _trained_on(training: Mapping[str, Any]) -> str:
    files = training["files"]
    return files if isinstance(files, str) else f"{plural(len(files), 'file')}: {', '.join(files)}"


def _score(metrics: Mapping[str, float], name: str) -> str:
    """A score on withheld scenes, after that of the set the training began with where it is known."""
    after = number(metrics[f"validation_{name}"])
    before = metrics.get(f"start_{name}")
    return after if before is None else f"{number(before)} before, {after} after"
