"""Files appear whole or not at all: everything is written beside its target, flushed, and renamed."""

from __future__ import annotations

import os
import tempfile
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
    for given in protected:
        if Path(given).exists() and path.exists() and os.path.samefile(given, path):
            raise FileError(
                f"{path} is one of the files that were opened; it is never overwritten. Choose another name."
            )
    if path.is_dir():
        raise FileError(f"{path} is a folder; the name of a file was expected. Add a file name.")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise FileError(f"Nothing can be written to {path.parent}: {error.strerror}. Choose another folder.") from error
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except OSError as error:
        raise FileError(
            f"{path} could not be written: {error.strerror or error}. Free space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
