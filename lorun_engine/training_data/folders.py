"""What of a folder is learned from: files of the kinds that are read, whatever their case; what is passed over is said.

A file whose name says in a word of its own that it is a mask or a kernel belongs to measurements and is no scene.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from ..errors import FileError
from ..io.readers import envi_header_of

CUBES = (".h5", ".hdf5", ".mat", ".hdr", ".npy", ".npz", ".tif", ".tiff")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
KINDS = tuple(dict.fromkeys((*CUBES, *PICTURES)))
_COMPANION = re.compile(r"((?<![a-z])(mask|kernel)|(?<=[a-z])(Mask|Kernel))s?(?![a-z])")


@dataclass(frozen=True)
class Found:
    """The files that are learned from, in order, and what was passed over, in words."""

    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def is_companion(path: Path) -> bool:
    """Whether the name says that a file is a mask or a kernel: "mask.mat", "my_mask2.npy", "codedMask.h5"."""
    return any(_COMPANION.search(name) for name in (path.stem, path.stem.lower()))


def found_in(
    folder: Path, kinds: Sequence[str], *, used: AbstractSet[Path] = frozenset(), is_deep: bool = True
) -> Found:
    """The files of some `kinds` in a folder, and below it where `is_deep`.

    Hidden files are left alone, and those that are `used` for something else.
    """
    try:
        inside = sorted(folder.rglob("*") if is_deep else folder.iterdir())
    except OSError as error:
        raise FileError(f"{folder} cannot be read: {error.strerror or error}. Check its rights.") from error
    seen = [path for path in inside if path.name[0] != "." and path.is_file() and path.resolve() not in used]
    known = [path for path in seen if path.suffix.lower() in kinds]
    companions = [path for path in known if is_companion(path)]
    others = [path for path in seen if path.suffix.lower() not in kinds and envi_header_of(path) is None]
    notes = [
        f"{path.name} is not learned from: by its name it belongs to measurements. Name the file itself to use it."
        for path in companions
    ]
    for suffix, count in Counter(path.suffix.lower() for path in others).items():
        what = f"{count} file{'' if count == 1 else 's'} in {folder} {'ends' if count == 1 else 'end'} in"
        notes.append(f"{what} {suffix or 'nothing'} and cannot be learned from; {', '.join(kinds)} can.")
    return Found(tuple(path for path in known if path not in set(companions)), tuple(notes))


def found_among(paths: Iterable[Path]) -> Found:
    """The files that are named, and those in the folders that are named, each once."""
    files: dict[Path, None] = {}
    notes: list[str] = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileError(f"{path} does not exist. Check the path.")
        found = found_in(path, KINDS) if path.is_dir() else Found((path,))
        files |= dict.fromkeys(file.absolute() for file in found.files)
        notes += found.notes
    return Found(tuple(files), tuple(notes))
