"""Files in TOML: recipes and queues are read, and what a training is made of is written."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from ..errors import FileError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The tables of a TOML file; a sentence that calls it `what`, as "recipe", where it is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FileError(f"The {what} {path} cannot be read: {reason}. Check the path.") from error
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError, or a number that is too long
        raise FileError(f"The {what} {path} is not valid TOML: {error}. Correct the file.") from error


def toml_text(config: DataclassInstance) -> str:
    """A frozen config as TOML: a table for every config in it; what is None is left out."""
    return tomli_w.dumps(_said(asdict(config)))


def _said(table: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in table.items() if value is not None}
    return {name: _said(value) if isinstance(value, Mapping) else value for name, value in known.items()}
