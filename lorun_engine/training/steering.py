"""Commands to a training that runs: lines that are added to the file `commands` of its folder, obeyed between steps.

pause        write a checkpoint and let go of everything, the memory of the GPU too, until `continue`
continue     go on from that checkpoint; the loss sequence is that of an unbroken run
validate     score the weights now, and keep them if they are the best so far
checkpoint   write a checkpoint now
preview      decode the user's own capture now
stop         score, write a checkpoint, and end; what was best so far stays usable
discard      end at once and leave no set
leave        write a checkpoint and end at once; what a process that is told to end makes of it
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .distributed import ALONE, Team
from .events import Continued, Discarded, Events, Paused, Step, Stopped, TrainEvent
from .run_folder import COMMANDS

_POLL_S = 0.1  # while paused
_ORDERS = ("", "validate", "checkpoint", "preview", "continue", "pause", "stop", "discard", "leave")  # the last wins


@dataclass
class CommandFile:
    """The commands that are written to RUN/commands from now on, one a line; what was there before is left alone."""

    run: Path
    _read: int = field(init=False)

    def __post_init__(self) -> None:
        self._read = self.path.stat().st_size if self.path.exists() else 0

    @property
    def path(self) -> Path:
        """The file that commands are appended to."""
        return self.run / COMMANDS

    def __call__(self) -> str | None:
        """The next command, None where there is none yet; half-written lines wait for their end."""
        if not self.path.exists() or self.path.stat().st_size <= self._read:
            return None
        with open(self.path, "rb") as file:
            file.seek(self._read)
            line = file.readline()
        if not line.endswith(b"\n"):
            return None
        self._read += len(line)
        return line.decode("utf-8", "replace").strip()


def steered(
    events: Events,
    commands: Callable[[], str | None],
    again: Callable[[], Events],
    team: Team = ALONE,
) -> Generator[TrainEvent]:
    """The events of a training that obeys `commands`; `again` goes on from its checkpoint after a pause.

    All processes of a `team` obey the same at the same step, whichever of them has a command.
    """
    wanted: str | None = None
    try:
        while True:
            try:
                event = events.send(wanted)
            except StopIteration:
                return
            yield event
            wanted = None
            if not isinstance(event, Step):
                continue
            command = _agreed(commands(), team)
            if command in ("validate", "checkpoint", "preview"):
                wanted = command
            elif command in ("discard", "leave"):
                events.close()
                yield _ENDS[command](event)
                return
            elif command == "stop":
                yield events.send("validate")
                events.close()
                yield _ended(event)
                return
            elif command == "pause":
                events.close()
                yield Paused(event.elapsed_s, event.phase, event.step, "Paused.")
                command = _after_pause(commands, team)
                if command != "continue":
                    yield _ENDS[command](event)
                    return
                yield Continued(event.elapsed_s, event.phase, event.step, "Going on.")
                events = again()
    finally:
        events.close()


def _agreed(command: str | None, team: Team) -> str:
    """The most pressing command that any process of the team has; nothing for words that are none."""
    return _ORDERS[team.largest(_ORDERS.index(command) if command in _ORDERS else 0)]


def _after_pause(commands: Callable[[], str | None], team: Team) -> str:
    """Waits for what ends a pause. The processes of a team meet all the while: waiting for another has its limits."""
    while (command := _agreed(commands(), team)) not in ("continue", "stop", "discard", "leave"):
        time.sleep(0 if command else _POLL_S)
    return command


def _ended(event: Step) -> Stopped:
    message = "Stopped; the best weights so far are kept, and the training can be resumed."
    return Stopped(event.elapsed_s, event.phase, event.step, message, "asked")


def _left(event: Step) -> Stopped:
    message = "Told to end: a checkpoint was written, and the training can be resumed."
    return Stopped(event.elapsed_s, event.phase, event.step, message, "told")


def _discarded(event: Step) -> Discarded:
    return Discarded(event.elapsed_s, event.phase, event.step, "Stopped; nothing of this training is kept.")


_ENDS: Mapping[str, Callable[[Step], TrainEvent]] = {"stop": _ended, "discard": _discarded, "leave": _left}
