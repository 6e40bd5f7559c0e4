"""The library: folders with backbones and adapter sets, and what can be done with a set in them.

The last folder is the user's own; the others came with the program and are never written to. Everything here keeps a
set's numbers and its hash as they are, writes in one step, and never over another file. Listing needs no torch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FileError, LorunError, ModelError
from ..io import made_folder, replacing
from .cards import Card, backbone_of, cards_in, read_card, reason_against, with_remarks

if TYPE_CHECKING:
    from .model import Model

SUFFIX = ".safetensors"
_FORBIDDEN = '<>:"/\\|?*'  # in names of files, on one system or another


class NameTakenError(FileError):
    """The library has another set of this name; `free` is a name that is not taken."""

    def __init__(self, message: str, *, free: str) -> None:
        super().__init__(message)
        self.free = free


@dataclass(frozen=True)
class LibrarySet:
    """One adapter set of the library. `backbone` is None where its backbone is missing.

    `is_shipped` says that it came with the program, `modified` when its file was written (seconds since 1970). A set
    whose name and task an earlier one has too is `shadowed` by that: names lead to the first.
    """

    card: Card
    backbone: Card | None
    is_shipped: bool
    modified: float
    shadowed: bool = False

    @property
    def is_imported(self) -> bool:
        """Whether it was brought into the library from a file."""
        return "imported" in self.card.fields


@dataclass(frozen=True)
class Copied:
    """A set that was exported or imported: its name, its backbone's, and the files that were written."""

    name: str
    backbone: str
    written: tuple[Path, ...]


def sets_in(library: Sequence[Path]) -> list[LibrarySet]:
    """All adapter sets of the library, in the order of its folders and of their names."""
    found, names = [], set()
    cards = [(number, card) for number, folder in enumerate(library) for card in cards_in([folder])]
    backbones = {card.hash: card for _, card in reversed(cards) if card.kind == "backbone"}
    for number, card in cards:
        if card.kind != "adapters":
            continue
        is_shipped = number < len(library) - 1
        key = (card.name, card.task)
        try:
            modified = card.path.stat().st_mtime
        except OSError:
            continue  # gone since it was listed
        backbone = backbones.get(card.fields.get("backbone_hash", ""))
        found.append(LibrarySet(card, backbone, is_shipped, modified, shadowed=key in names))
        names.add(key)
    return found


def find_set(name: str, library: Sequence[Path]) -> Card:
    """The card of the set `name` of the library, or of a file."""
    if Path(name).is_file():
        return read_card(Path(name))
    for card in cards_in(library):
        if card.kind == "adapters" and card.name == name:
            return card
    if reason := reason_against(name, library):
        raise ModelError(reason)
    raise LorunError(
        f"The adapter set {name!r} is neither in the library nor a file. `lorun adapters list` names them."
    )


def verified(card: Card, library: Sequence[Path]) -> tuple[Model, Card]:
    """The model of a set and its backbone's card; a ModelError where either holds other numbers than it states."""
    from .model import assemble

    backbone = backbone_of(card, library)
    return assemble(card, backbone), backbone


def export_set(card: Card, library: Sequence[Path], folder: Path, *, half: bool = False) -> Copied:
    """Copies the verified set and its backbone into `folder`; what is there already is not written again.

    With `half` the copy has factors of 16 bits, and so a hash of its own.
    """
    model, backbone = verified(card, library)
    made_folder(folder)
    copied, target = _copied(card, backbone, folder, card.name), folder / f"{card.name}{SUFFIX}"
    if half and target in copied.written:
        from .model import save_adapters  # brings torch

        save_adapters(target, model, backbone_hash=backbone.hash, half=True)
    return copied


def import_set(
    path: Path, library: Sequence[Path], *, name: str | None = None, beside: Sequence[Path] = (), on: date | None = None
) -> Copied:
    """Checks the set in the file `path` and copies it, and its backbone where that is missing, into the user's folder.

    `name` is its name there, the file's unless given. Its backbone is looked for beside it, in the folders `beside` and
    in the library. The copy's card says on which day it was imported.
    """
    if not library:
        raise FileError("There is no library folder to import into. Give one with --library.")
    card, name = read_card(path), check_name(name or path.stem)
    if card.kind != "adapters":
        raise ModelError(
            f"{path.name} holds a backbone, not an adapter set. Import the set that belongs to it; the backbone is "
            "brought along."
        )
    _require_free(name, library, besides=card.hash)
    _, backbone = verified(card, (*beside, *library))
    known = next((entry for entry in sets_in(library) if entry.card.hash == card.hash), None)
    if known is not None and known.backbone is not None:
        return Copied(known.card.name, backbone.name, ())
    made_folder(library[-1])
    copied = _copied(card, backbone, library[-1], name)
    target = library[-1] / f"{name}{SUFFIX}"
    if target in copied.written:
        with_remarks(target, {"imported": (on or date.today()).isoformat()})
    return copied


def rename_set(entry: LibrarySet, name: str, library: Sequence[Path]) -> Path:
    """Gives a set of the user's another name, that is, its file; where the file is then."""
    require_own(entry, "renamed")
    name = check_name(name)
    path = entry.card.path
    if name == entry.card.name:
        return path
    _require_free(name, library, besides=None, but=path)
    return _moved(path, path.with_name(f"{name}{SUFFIX}"))


def annotate_set(entry: LibrarySet, note: str) -> Card:
    """Writes a note into the card of a set of the user's; its numbers and its hash stay."""
    require_own(entry, "annotated")
    return with_remarks(entry.card.path, {"note": note.strip() or None})


def require_own(entry: LibrarySet, done: str) -> None:
    """Refuses what would change a set that came with the program; `done` is as "renamed"."""
    if entry.is_shipped:
        raise FileError(
            f"{entry.card.name} came with LoRun and cannot be {done}. Export it and import the copy under another name "
            "to have one of your own."
        )


def check_name(name: str) -> str:
    """`name` without blanks around it; a sentence where no file can be called so."""
    name = name.strip()
    if not name or name.startswith(".") or any(letter in _FORBIDDEN or ord(letter) < 32 for letter in name):
        raise FileError(
            f"{name!r} cannot be the name of a set: it is the name of its file too. Use letters, digits, blanks, "
            "hyphens and dots, and begin with a letter or a digit."
        )
    return name.removesuffix(SUFFIX)


def _require_free(name: str, library: Sequence[Path], *, besides: str | None, but: Path | None = None) -> None:
    """Refuses a name that another set has, unless that one holds the same numbers (hash `besides`) or lies at `but`."""
    cards = list(cards_in(library))
    taken = {card.name.casefold() for card in cards if card.path != but}  # some systems do not tell A from a
    others = {card.name.casefold() for card in cards if card.path != but and card.hash != besides}
    if name.casefold() not in others:
        return
    free = next(f"{name}-{number}" for number in range(2, len(taken) + 3) if f"{name}-{number}".casefold() not in taken)
    raise NameTakenError(
        f"The library already has another set named {name}. Rename the file first, or choose another name.", free=free
    )


def _copied(card: Card, backbone: Card, folder: Path, name: str) -> Copied:
    present = {known.hash for known in cards_in([folder])}
    written = []
    home = folder / backbone.path.name
    if home.exists():  # it is found by its hash, its name is free
        home = home.with_name(f"{backbone.path.stem}-{backbone.hash[:12]}{SUFFIX}")
    for source, target in ((backbone, home), (card, folder / f"{name}{SUFFIX}")):
        if source.hash in present:
            continue
        if target.exists():
            raise FileError(f"{target} already exists with other contents. Choose another folder.")
        with replacing(target) as temporary:
            Path(temporary).write_bytes(source.path.read_bytes())
        written.append(target)
    return Copied(name, backbone.name, tuple(written))


def _moved(path: Path, target: Path) -> Path:
    """`target`, where the file at `path` lies now; never over another file, whoever made it in between."""
    is_same = target.exists() and target.samefile(path)  # a change of case alone, where case does not count
    try:
        if is_same or os.name == "nt" or not _has_links(path, target):
            if target.exists() and not is_same:
                raise FileExistsError
            path.rename(target)
        else:
            path.unlink()
    except FileExistsError as error:
        raise FileError(f"{target} already exists. Choose another name.") from error
    except OSError as error:
        raise FileError(f"{path.name} could not be renamed: {error.strerror or error}.") from error
    return target


def _has_links(path: Path, target: Path) -> bool:
    """Whether the file got `target` for a second name; False where its file system knows no such thing.

    A rename would replace what is there, a link never does.
    """
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True
