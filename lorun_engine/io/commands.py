"""How an open measurement is opened again: as flags of a command, and as the options of `open_measurement`.

Bands, step and the rest are given as they were resolved, so that nothing is guessed a second time.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import LorunError
from .options import COMMON, OpenOptions
from .reading import all_companions, reading_of
from .resolved import RoleRow
from .roles import RoleTable
from .scales import OF_FOLDER


def command_line(words: Sequence[str], *, platform: str = sys.platform) -> str:
    """`words` as one line that the shell of a system takes apart into the same words."""
    return " ".join(map(_word_on_windows, words)) if platform == "win32" else shlex.join(words)


def _word_on_windows(word: str) -> str:
    """`word` quoted for programs, and also where cmd.exe or PowerShell would take a letter of it for its own."""
    quoted = subprocess.list2cmdline([word])
    if quoted.startswith('"') or not set("&|<>^(){};,'@$`") & set(word):
        return quoted
    return '"' + subprocess.list2cmdline([f" {word}"])[2:]  # quoted because of a space, which goes


def camera_words(options: OpenOptions, table: RoleTable, *, companions: Sequence[str] | None = None) -> list[str]:
    """The flags that say what belongs to an open measurement and how it was understood.

    `companions` are the roles whose files are named, where only the instrument is of interest; None for all. Raises
    LorunError where the command line has no words for them.
    """
    measured = measured_row(table)
    source = measured.found
    by_key, words = dict(options.roles), []
    if by_key.keys() & {row.selector for row in table.rows if row.role in (None, "wavelengths") and row.found.key}:
        raise LorunError(
            "Arrays of a file were set to unused or to wavelengths by hand; the command line cannot say that. "
            "Save the arrays as files of their own to decode them with a command."
        )
    for role in all_companions() if companions is None else companions:
        row = table.row(role)
        if row is not None and row.selector in by_key:
            words += [f"--{role}", row.selector]
        elif row is not None and row.found.path != source.path:
            words += [f"--{role}", str(row.found.path)]
    key = source.key if measured.selector in by_key else options.key
    said = {}
    reading = reading_of(table.task)
    for option in reading.OPTIONS:
        if companions is not None and option not in COMMON and option.field not in reading.OF_CAMERA:
            continue  # of this one capture
        value = getattr(options, option.field)
        if option.role is not None:  # what the geometry calls it may be a description
            value = value or _file_of(table, option.role, by_key)
        else:
            value = _resolved(option.field, value, table)
        if option.field == "integer_scale" and value is None and measured.scale_reason.endswith(OF_FOLDER):
            value = measured.scale
        said[option.flag] = None if value is None else option.text(value)
    return [*words, *as_words({"--task": table.task, **said, "--key": key})]


def resolved_options(options: OpenOptions, table: RoleTable) -> OpenOptions:
    """The options that open the same files as they were understood."""
    said = {
        option.field: _resolved(option.field, getattr(options, option.field), table)
        for option in reading_of(table.task).OPTIONS
        if option.role is None
    }
    return replace(options, **{"task": table.task, **said})


def as_words(flags: Mapping[str, object]) -> list[str]:
    """Flags with their values, those without a value left out."""
    words = []
    for flag, value in flags.items():
        if value is not None:  # a value such as "-" is taken for a flag unless it is joined to its own
            words += [f"{flag}={value}"] if str(value).startswith("-") else [flag, str(value)]
    return words


def measured_row(table: RoleTable) -> RoleRow:
    """The row of the measurement."""
    row = table.row("measurement")
    if row is None:
        raise LorunError("Nothing that is open was taken for the measurement. Say which array it is in the roles.")
    return row


def _resolved(field: str, value: Any, table: RoleTable) -> Any:
    """What an option became; as it was given where the geometry does not know it."""
    resolved = getattr(table.geometry, field, None)
    return value if resolved is None else resolved


def _file_of(table: RoleTable, role: str, by_key: Mapping[str, str]) -> str | None:
    """An array such as a kernel as FILE or FILE:N; None where it is found again: beside its picture, or estimated."""
    row = table.row(role)
    if row is None or (row.found.path == measured_row(table).found.path and row.selector not in by_key):
        return None
    number = row.found.key.rpartition("[")[2].rstrip("]")  # of a list of kernels, "kernels[3]"
    return f"{row.found.path}:{number}" if number.isdigit() else str(row.found.path)
