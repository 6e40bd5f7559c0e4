"""Session files: a document in JSON and arrays as NumPy writes them, in one zip or as the files of one folder.

`session.json` says what kind of file this is and in which version of the format; the arrays lie beside it under the
names by which it knows them. Nothing is compressed, so that a file holds at least what it unfolds to, and nothing is
ever unpickled or unpacked to the disk. What else lies in a file is refused.
"""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from ..errors import FileError
from ..schema import json_of
from .atomic import made_folder, replacing
from .readers.found import NUMBERS, calling
from .readers.numpy_files import header_of
from .sizes import VARIABLE, Allowance, most_bytes

SUFFIX = ".lorun"
FORMAT = "lorun session"
VERSION = 1
DOCUMENT = "session.json"
MOST_DOCUMENT = 64 << 20  # bytes
MOST_ENTRIES = 100_000
_NAME = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+){0,3}\.npy")

Document = Mapping[str, Any]
Step = Callable[[dict[str, Any]], dict[str, Any]]
STEPS: Mapping[int, Step] = {}  # from a version to the next


def write_session(path: Path | str, document: Document, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a session file in one step. Raises FileError where it could not be read again, or cannot be written."""
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise FileError(f"{path.name} ends in {path.suffix or 'nothing'}; a session ends in {SUFFIX}. Name it so.")
    claimed, most = sum(array.nbytes for array in arrays.values()), most_bytes()
    if claimed > most:
        raise FileError(
            f"The session has {claimed / 2**30:.3g} GiB; at most {most / 2**30:.3g} GiB of a file are read at once. "
            f"Take results from the shelf, or set {VARIABLE} to a higher number."
        )
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(zipfile.ZipInfo(DOCUMENT), _text(document))
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(_checked(name)), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


def keep_session(folder: Path, document: Document, arrays: Mapping[str, np.ndarray]) -> None:
    """Keeps a session as the files of a folder of its own: arrays that lie there already are not written again.

    Under one name there is always the same array; those that the document no longer knows go. Until the document takes
    the place of the one before, that one stands. Raises FileError where the folder takes no more.
    """
    for name, array in arrays.items():
        target = folder / _checked(name)
        if target.exists():
            continue
        made_folder(target.parent)
        with replacing(target) as temporary, open(temporary, "wb") as stream:
            np.lib.format.write_array(stream, array, allow_pickle=False)
    with replacing(made_folder(folder) / DOCUMENT) as temporary:
        temporary.write_text(_text(document), encoding="utf-8")
    for path in folder.rglob("*.npy"):
        if path.relative_to(folder).as_posix() not in arrays:
            path.unlink(missing_ok=True)


class SavedSession:
    """A session file, or a folder that was kept as one, while it is read: `document`, and arrays by their names.

    Raises FileError for what is no session, is damaged, holds anything else, or was written by a newer version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._allowance = Allowance(self.path)
        self._archive: zipfile.ZipFile | None = None
        self._sizes: dict[str, int] = {}
        if not self.path.is_dir():
            if not self.path.exists():
                raise FileError(f"{self.path} is no longer there. Look for it where it was moved to.")
            if not zipfile.is_zipfile(self.path):
                raise self._no_session("it is cut short or no session at all")
            with calling(self.path, "zipfile"):
                self._archive = zipfile.ZipFile(self.path)
        try:
            if self._archive is not None:
                self._sizes = self._sizes_in(self._archive)
            self.document = migrated(self._document(), name=self.path.name)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SavedSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file."""
        if self._archive is not None:
            self._archive.close()

    def array(self, name: str) -> np.ndarray:
        """The array of this name, of numbers, as it was written."""
        if not _NAME.fullmatch(name):
            raise self._no_session(f"it speaks of the array {name[:80]!r}")
        with self._opened(name) as (stream, size):
            with calling(self.path, "NumPy"):
                shape, dtype = header_of(stream)
                claimed = math.prod(shape) * dtype.itemsize
                held = size - stream.tell()
            if dtype.hasobject or dtype.kind not in NUMBERS or claimed != held:
                raise self._no_session(f"{name} holds no array of numbers of its size")
            self._allowance.take(name, claimed, stored=size)
        with self._opened(name) as (stream, _), calling(self.path, "NumPy"):
            array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
            stream.read()  # to the end, where the zip knows whether it is whole
        return array

    def _document(self) -> Any:
        with self._opened(DOCUMENT) as (stream, size):
            if size > MOST_DOCUMENT:
                raise self._no_session(f"its {DOCUMENT} has {size} bytes")
            with calling(self.path, "JSON"):
                return json_of(stream.read(size))

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        """A stream of an entry, and its size in bytes."""
        if self._archive is not None:
            if name not in self._sizes:
                raise self._no_session(f"it holds no {name}")
            with calling(self.path, "zipfile"):
                stream = self._archive.open(name)
            with stream:
                yield stream, self._sizes[name]
            return
        try:
            stream = open(self.path / name, "rb")  # noqa: SIM115 - closed below
        except OSError as error:
            raise self._no_session(f"it holds no {name}") from error
        with stream:
            yield stream, (self.path / name).stat().st_size

    def _sizes_in(self, archive: zipfile.ZipFile) -> dict[str, int]:
        """The sizes of the entries, all of which have names of ours and stand in the file as they are."""
        sizes: dict[str, int] = {}
        if len(archive.infolist()) > MOST_ENTRIES:
            raise self._no_session(f"it holds {len(archive.infolist())} entries")
        for entry in archive.infolist():
            name = entry.filename
            if name != DOCUMENT and not _NAME.fullmatch(name):
                raise self._no_session(f"it holds {name[:80]!r}")
            is_plain = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1
            if not is_plain or entry.file_size != entry.compress_size or name in sizes:
                raise self._no_session(f"{name} is packed, encrypted or there twice")
            sizes[name] = entry.file_size
        if sum(sizes.values()) > self.path.stat().st_size:
            raise self._no_session("its entries claim more than the file holds")
        return sizes

    def _no_session(self, reason: str) -> FileError:
        return FileError(
            f"{self.path.name} is no whole session file of LoRun: {reason}. Get the file again, or open the "
            "measurement and decode it."
        )


def migrated(document: Any, *, name: str, version: int = VERSION, steps: Mapping[int, Step] = STEPS) -> dict[str, Any]:
    """The document of a file called `name` as `version` of the format writes it, made so by `steps` from its own."""
    found = document.get("version") if isinstance(document, dict) and document.get("format") == FORMAT else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise FileError(f"{name} does not say that it is a session of LoRun. Open the measurement instead.")
    if found > version:
        raise FileError(
            f"{name} was saved by a newer LoRun: its format is {found}, this LoRun knows {version}. Update LoRun."
        )
    for before in range(found, version):
        document = {**steps[before](document), "version": before + 1}
    return dict(document)


def _text(document: Document) -> str:
    return json.dumps({"format": FORMAT, "version": VERSION, **document}, default=str)  # names of files


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name} is no name of an array in a session")
    return name
