"""What the entries of the table of actions do, those that need no window."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .actions import SAMPLE_ENTRIES
from .assembly import Parts
from .document.arranging import add_pane, remove_pane, show_all
from .document.region import SHAPES


def verbs_of(parts: Parts) -> dict[str, Callable]:
    """Entry by entry, what it does to the parts."""
    session = parts.session
    return {
        **{entry.name: partial(session.open_sample, name) for name, entry in SAMPLE_ENTRIES.items()},
        **{f"draw_{shape}": partial(parts.regions.set_tool, shape) for shape in SHAPES},
        "next_region": parts.regions.choose_next,
        "remove_region": lambda: parts.regions.remove(parts.regions.chosen_number),
        "colour": lambda: parts.looking.set_mode("colour"),
        "band": lambda: parts.looking.set_mode("band"),
        "montage": lambda: parts.looking.set_mode("montage"),
        "residual": lambda: parts.looking.set_mode("residual"),
        "compare": lambda: parts.looking.set_mode("compare"),
        "reflectance": lambda: parts.looking.set_mode("reflectance"),
        "light": lambda: parts.looking.set_mode("light"),
        "brighter": lambda: parts.relight.brighten(1),
        "darker": lambda: parts.relight.brighten(-1),
        "usual_light": parts.relight.reset,
        "next_way": parts.comparing.show_next,
        "swap": parts.comparing.swap,
        "divider_left": lambda: parts.comparing.step_divider(-1),
        "divider_right": lambda: parts.comparing.step_divider(1),
        "change": lambda: parts.looking.toggle_view("change"),
        "input": lambda: parts.looking.toggle_view("input"),
        "side_by_side": parts.looking.toggle_layout,
        "add_pane": partial(add_pane, parts.looking),
        "remove_pane": partial(remove_pane, parts.looking),
        "all_panes": partial(show_all, parts.looking),
        "reset_panes": parts.looking.reset_panes,
        "previous_stage": lambda: parts.looking.select_stage(session.selection.stage - 1),
        "next_stage": lambda: parts.looking.select_stage(session.selection.stage + 1),
        "first_stage": lambda: parts.looking.select_stage(0),
        "last_stage": lambda: parts.looking.select_stage(len(session.stages) - 1),
        "previous_band": lambda: parts.ruler.move(-1),
        "next_band": lambda: parts.ruler.move(1),
        "mean_of_bands": parts.ruler.toggle,
        "more_bands": lambda: parts.ruler.grow(1),
        "fewer_bands": lambda: parts.ruler.grow(-1),
        "previous_capture": lambda: parts.folder.step(-1),
        "next_capture": lambda: parts.folder.step(1),
        "decode": session.restore,
        "decode_all": parts.decode_all.start,
        "cancel": session.cancel,
        "whole_adapter": parts.setup.take_whole,
    }
