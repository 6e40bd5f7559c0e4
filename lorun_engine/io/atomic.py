"""Files appear whole or not at all: everything is written beside its target, flushed, and renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import FileError


@contextmanager
def replacing(path: Path | str, *, protected: Iterable[Path | str] = ()) -> Iterator[Path]:
    """A temporary path in the folder of `path` that becomes `path` when the block ends well, and vanishes otherwise.

    Raises FileError when `path` is one of the `protected` input files, or cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise FileError(f"{path} is a folder; the name of a file was expected. Add a file name.")
    for given in protected:
        if path.exists() and Path(given).exists() and path.samefile(given):
            raise FileError(
                f"{path} belongs to the files that were opened; those are never overwritten. Choose another name."
            )
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise FileError(f"Nothing can be written to {path.parent}: {error.strerror}. Choose another folder.") from error
    try:
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise FileError(
            f"{path} could not be written: {error.strerror or error}. Free space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
