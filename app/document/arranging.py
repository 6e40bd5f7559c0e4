"""Which panes stand side by side: the chosen stage added or taken away, all of them, or those that stand by default."""

from __future__ import annotations

from .looking import Looking
from .selection import MEASUREMENT, REFERENCE


def add_pane(looking: Looking) -> None:
    """Adds the chosen stage; where it is shown already, the nearest one that is not is added and chosen."""
    session, selection = looking.session, looking.session.selection
    shown, chosen = selection.shown, selection.stage
    others = [stage for stage in range(session.num_announced) if stage not in shown]
    if not others:
        return
    stage = chosen if chosen in others else min(others, key=lambda other: (abs(other - chosen), -other))
    looking.set_panes(in_order([*shown, stage]))
    looking.select_stage(stage)


def remove_pane(looking: Looking) -> None:
    """Takes the pane of the chosen stage away and chooses the nearest that is left; the last pane stays."""
    selection = looking.session.selection
    left = [pane for pane in selection.shown if pane != selection.stage]
    if left and len(left) < len(selection.shown):
        stages = [pane for pane in left if pane >= 0]
        looking.set_panes(left)
        if stages:
            looking.select_stage(min(stages, key=lambda stage: abs(stage - selection.stage)))


def show_all(looking: Looking) -> None:
    """Shows the initial estimate, every stage and the reference."""
    session = looking.session
    has_reference = session.measurement is not None and session.measurement.reference is not None
    looking.set_panes([*range(session.num_announced), *([REFERENCE] if has_reference else [])])


def in_order(panes: list[int]) -> list[int]:
    """Measurement, stages from the first to the last, reference."""
    return sorted(panes, key=lambda pane: (pane == REFERENCE, pane != MEASUREMENT, pane))
