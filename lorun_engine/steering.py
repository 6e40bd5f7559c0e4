"""Commands to a training that runs: lines that are added to the file `commands` of its folder, obeyed between steps.

pause        write a checkpoint and let go of everything, the memory of the GPU too, until `continue`
continue     go on from that checkpoint; the loss sequence is that of an unbroken run
validate     score the weights now, and keep them if they are the best so far
checkpoint   write a checkpoint now
preview      decode the user's own capture now
stop         score, write a checkpoint, and end; what was best so far stays usable
discard      end at once and leave no set
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .train import TrainEvent

COMMANDS = ("pause", "continue", "validate", "checkpoint", "preview", "stop", "discard")
_POLL_S = 0.1  # while paused


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
        return self.run / "commands"

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


def give_command(run: Path, command: str) -> None:
    """Tells the training in the folder `run` one of COMMANDS."""
    with open(CommandFile(run).path, "a", encoding="utf-8") as file:
        file.write(f"{command}\n")


def steered(
    events: Generator[TrainEvent, str | None, None],
    commands: Callable[[], str | None],
    again: Callable[[], Generator[TrainEvent, str | None, None]],
) -> Iterator[TrainEvent]:
    """The events of a training that obeys `commands`; `again` goes on from its checkpoint after a pause."""
    wanted: str | None = None
    while True:
        try:
            event = events.send(wanted)
        except StopIteration:
            return
        yield event
        wanted = None
        if event.event != "step":
            continue
        command = commands()
        if command in ("validate", "checkpoint", "preview"):
            wanted = command
        elif command == "discard":
            events.close()
            yield _discarded(event)
            return
        elif command == "stop":
            yield events.send("validate")
            events.close()
            yield _ended(event)
            return
        elif command == "pause":
            events.close()
            yield TrainEvent("paused", event.elapsed_s, event.phase, event.step, message="Paused.")
            while (command := commands()) not in ("continue", "stop", "discard"):
                time.sleep(_POLL_S if command is None else 0)
            if command != "continue":
                yield _ended(event) if command == "stop" else _discarded(event)
                return
            yield TrainEvent("continued", event.elapsed_s, event.phase, event.step, message="Going on.")
            events = again()


def _ended(event: TrainEvent) -> TrainEvent:
    message = "Stopped; the best weights so far are kept, and the training can be resumed."
    return TrainEvent("stopped", event.elapsed_s, event.phase, event.step, message=message, reason="asked")


def _discarded(event: TrainEvent) -> TrainEvent:
    message = "Stopped; nothing of this training is kept."
    return TrainEvent("discarded", event.elapsed_s, event.phase, event.step, message=message)
