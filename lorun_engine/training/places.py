"""Where files lie as a checkpoint keeps it: seen from the folder of the run, so that no folder of its user is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def seen_from(folder: Path, stored: Any) -> Any:
    """`stored`, as JSON has it, with every absolute path as {"path": the way there from `folder`}."""
    if isinstance(stored, dict):
        return {name: seen_from(folder, value) for name, value in stored.items()}
    if isinstance(stored, list | tuple):
        return [seen_from(folder, value) for value in stored]
    if not (isinstance(stored, str) and os.path.isabs(stored)):
        return stored
    try:
        return {"path": Path(os.path.relpath(stored, folder.resolve())).as_posix()}
    except ValueError:  # no way leads to another drive
        return stored


def found_from(folder: Path, stored: Any) -> Any:
    """What `seen_from` made, with absolute paths again."""
    if isinstance(stored, dict):
        if set(stored) == {"path"} and isinstance(stored["path"], str):
            return os.path.normpath(folder.resolve() / stored["path"])
        return {name: found_from(folder, value) for name, value in stored.items()}
    if isinstance(stored, list):
        return [found_from(folder, value) for value in stored]
    return stored
