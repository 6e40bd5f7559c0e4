"""`lorun train --queue FILE`: trainings one after the other (see `lorun_engine.training.queue`), and how they stand."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from ..errors import FileError, LorunError
from ..training.queue import FINISHED, Queue, Standing, held, holds_checkpoint, read_queue, remembered, standing
from .flags import Context, one, tell
from .interrupts import exit_code

_OF_THE_QUEUE = ("queue", "status", "json", "events", "probe")  # words that no training in it has
_OF_THE_PROCESS = ("device", "threads", "events")  # words that a training goes on with
_FILES = ("mask", "sampling")  # FILE::KEY
_MAY_BE_FILES = ("recipe", "adapt", "wavelengths", "kernel")  # or names

Configure = Callable[[argparse.ArgumentParser], None]
Train = Callable[[argparse.Namespace, Context], int]


def configure_queue(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that only a queue has."""
    group = parser.add_argument_group("several trainings, one after the other")
    group.add_argument("--queue", type=one(Path), metavar="FILE", help="run the trainings that this TOML file lists")
    group.add_argument("--status", action="store_true", help="say how the trainings of the queue stand, and run none")
    group.add_argument("--json", action="store_true", help="with --status: one JSON document on stdout")


def run_queue(args: argparse.Namespace, context: Context, configure: Configure, train: Train) -> int:
    """Runs what is left of a queue: `train` runs a training of the words that a parser with `configure` takes.

    A training that fails is named and the next begins; the exit code is 1 then.
    """
    if args.json and not args.status:
        raise LorunError("--json is for --status; the events of a queue that runs are JSON with --events json.")
    queue = read_queue(args.queue)
    trainings = _trainings(queue, args, configure)
    if args.status:
        return _tell_status(queue, trainings, args)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise LorunError("A queue runs in one process. Start it without torchrun.")
    with held(queue) as memory:
        if queue.priority and hasattr(os, "nice"):
            os.nice(queue.priority)
        for name, words in trainings.items():
            run, code = _folder(words), 0
            memory.failures.pop(name, None)
            while code == 0 and standing(run, name=name).state != FINISHED:  # again after the pause of a piece
                memory.write(running=name)
                _say(standing(run, name=name, runs=True), args)
                try:
                    code = _run(words, context, configure, train)
                except LorunError as error:
                    memory.failures[name], code = str(error), 1
                memory.write(running=None)
            _say(standing(run, name=name, failure=memory.failures.get(name)), args)
            if code > exit_code(0):  # told to end
                return code
        return 1 if set(memory.failures) & set(trainings) else 0


def _run(words: argparse.Namespace, context: Context, configure: Configure, train: Train) -> int:
    """Begins or resumes one training and follows it to its end; its exit code."""
    import torch

    run, threads = _folder(words), torch.get_num_threads()
    if holds_checkpoint(run):
        words = _resuming(words, run, configure)
    try:
        return train(words, context)
    finally:
        torch.set_num_threads(threads)  # the next training may ask for no number


def _resuming(words: argparse.Namespace, run: Path, configure: Configure) -> argparse.Namespace:
    """The words that go on with the training in `run`, which `words` began."""
    again = _parser(configure).parse_args([f"--resume={run}"])
    for name in _OF_THE_PROCESS:
        setattr(again, name, getattr(words, name))
    return again


# ---- how they stand ----------------------------------------------------------------------------------------------


def _tell_status(queue: Queue, trainings: Mapping[str, argparse.Namespace], args: argparse.Namespace) -> int:
    running, failures = remembered(queue)
    rows = [
        standing(_folder(words), name=name, runs=name == running, failure=failures.get(name))
        for name, words in trainings.items()
    ]
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=2, allow_nan=False))
    else:
        print("\n".join(_line(row, max(map(len, trainings))) for row in rows))
    return 0


def _say(row: Standing, args: argparse.Namespace) -> None:
    """One line while the queue runs; among the JSON events of its trainings it is one of them."""
    if args.events == "json":
        print(json.dumps({"event": "training", **asdict(row)}), flush=True)
    else:
        tell(_line(row))


def _line(row: Standing, width: int = 0) -> str:
    words = [row.name.ljust(width)]
    if row.phase is not None:
        words.append(f"{row.phase} {row.step or 0}" + ("" if row.num_steps is None else f" of {row.num_steps}"))
    if row.best is not None:
        words.append(f"{row.best:.2f} dB")
    if row.elapsed_s is not None:
        words.append(str(timedelta(seconds=round(row.elapsed_s))))
    return "  ".join([*words, row.state if row.message is None else f"{row.state}: {row.message}"])


# ---- what a file says --------------------------------------------------------------------------------------------


class _Words(argparse.ArgumentParser):
    """The parser of the command line, for words that come from a file."""

    def error(self, message: str) -> NoReturn:
        raise LorunError(message)


def _parser(configure: Configure) -> argparse.ArgumentParser:
    parser = _Words(prog="lorun train", add_help=False, allow_abbrev=False)
    configure(parser)
    return parser


def _trainings(queue: Queue, args: argparse.Namespace, configure: Configure) -> dict[str, argparse.Namespace]:
    """The words of every training by the name of its folder, as the command line would give them."""
    parser = _parser(configure)
    found: dict[str, argparse.Namespace] = {}
    for number, table in enumerate(queue.trainings, 1):
        where = f"Training {number} of {queue.path}"
        if wrong := [word for word in _OF_THE_QUEUE if word in table]:
            raise FileError(f"{where} has {', '.join(wrong)}, which no training in a queue has. Leave it out.")
        try:
            words = parser.parse_args(list(_words_of(table)))
        except LorunError as error:
            raise FileError(f"{where} is not understood: {error}. Its keys are the words of `lorun train`.") from error
        if (words.out is None) == (words.resume is None):
            raise FileError(f"{where} needs either out, the folder of a new training, or resume, that of an old one.")
        words = _beside(words, queue.folder)
        if _folder(words) in map(_folder, found.values()):
            raise FileError(f"{where} has the folder of another one. Give each a folder of its own.")
        words.threads = words.threads or args.threads or queue.threads
        words.events = args.events
        found[str(table.get("out", table.get("resume")))] = words
    return found


def _folder(words: argparse.Namespace) -> Path:
    folder: Path = words.out or words.resume
    return folder


def _words_of(table: Mapping[str, Any]) -> Iterator[str]:
    """The words of the command line that the keys of a training stand for."""
    for key, value in table.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, dict):
            yield from (f"{flag}={name}={_word(entry)}" for name, entry in value.items())
        elif isinstance(value, list) and not all(isinstance(entry, int | float) for entry in value):
            yield from (f"{flag}={entry}" for entry in value)
        elif value is True:
            yield flag
        elif value is not False:
            yield f"{flag}={_word(value)}"


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_word, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _beside(words: argparse.Namespace, folder: Path) -> argparse.Namespace:
    """The words with all files relative to `folder`."""

    def placed(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [placed(name, entry) for entry in value]
        if isinstance(value, Path):
            return folder / value
        if value is None or name not in (*_FILES, *_MAY_BE_FILES):
            return value
        file = re.split(r"::|:\d+$", value)[0]
        return str(folder / value) if name in _FILES or (folder / file).is_file() else value

    return argparse.Namespace(**{name: placed(name, value) for name, value in vars(words).items()})
