"""Files appear whole or not at all: everything is written beside its target, flushed, and renamed."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import FileError

_LONGEST_STEM = 40  # letters of a temporary name, so that it is allowed where the target's is
_under_way: set[Path] = set()  # the temporary files of this process


def beside(path: Path) -> Path:
    """A hidden name in the folder of `path`, with its suffix, that nobody has."""
    return path.with_name(f".{path.stem[:_LONGEST_STEM]}-{secrets.token_hex(4)}{path.suffix}")


def discard_leftovers(*paths: Path) -> None:
    """Removes what processes that were killed left half-written of these files; nobody may be writing them now."""
    for path in paths:
        temporary = re.compile(rf"\.{re.escape(path.stem[:_LONGEST_STEM])}-[0-9a-f]{{8}}{re.escape(path.suffix)}")
        for found in path.parent.iterdir():
            if temporary.fullmatch(found.name):
                found.unlink(missing_ok=True)


def discard_unfinished() -> None:
    """Removes what this process is still writing, before it ends without waiting for the threads that do."""
    for temporary in tuple(_under_way):
        with suppress(OSError):  # a system may refuse while the file is open
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path | str, *, protected: Iterable[Path | str] = ()) -> Iterator[Path]:
    """A temporary path in the folder of `path` that becomes `path` when the block ends well, and vanishes otherwise.

    The file has the permissions that the user's umask gives to new files. An OSError of the block becomes a FileError,
    which names the file that it is about. Raises FileError too when `path` is one of the `protected` input files, is
    no file, or cannot be written.
    """
    path = Path(path)
    temporary = _begun(path, protected)
    _under_way.add(temporary)
    try:
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or error
        if error.filename is not None and Path(os.fsdecode(error.filename)) not in (temporary, path):
            raise FileError(f"{error.filename} cannot be used: {reason}. Check the path and its rights.") from error
        raise FileError(f"{path} could not be written: {reason}. Free space or choose another folder.") from error
    finally:
        temporary.unlink(missing_ok=True)
        _under_way.discard(temporary)


def require_place(path: Path, *, protected: Iterable[Path | str] = ()) -> None:
    """Refuses what no file can be written to, before the work whose result is to lie there.

    That is a folder, a device, one of the `protected` files, and a folder that takes no file.
    """
    _begun(path, protected).unlink(missing_ok=True)


def made_folder(folder: Path) -> Path:
    """The folder, which is made where it is not there yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise FileError(f"The folder {folder} cannot be made: {_reason(error)}. Choose another one.") from error
    return folder


def _begun(path: Path, protected: Iterable[Path | str]) -> Path:
    """An empty file beside `path`, where a file may take the place of what lies there."""
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder; the name of a file was expected. Add a file name.")
        if path.exists() and not path.is_file():
            raise FileError(f"{path} is a device or a pipe; the name of a file was expected. Choose another name.")
        for given in protected:
            if path.exists() and Path(given).exists() and path.samefile(given):
                raise FileError(
                    f"{path} belongs to the files that were opened; those are never overwritten. Choose another name."
                )
        temporary = beside(path)
        temporary.touch(exist_ok=False)
    except (OSError, ValueError) as error:
        raise FileError(f"Nothing can be written to {path.parent}: {_reason(error)}. Choose another folder.") from error
    return temporary


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "no file can have such a name"
