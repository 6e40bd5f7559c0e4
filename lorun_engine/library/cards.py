"""The card of a weights file: what its safetensors header says, read without its tensors and without torch."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from ..errors import FileError, ModelError
from ..io import replacing
from ..schema import Entries, NotNegative, Number, Percent, Positive, Size, Stages, json_of, read
from ..task import TASKS

FORMAT = 1
REMARKS = ("note", "imported")  # fields that people may change: no hash covers them
_LARGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format itself


@dataclass(frozen=True)
class Card:
    """The card of the backbone or adapter file at `path`.

    `kind` is "backbone" or "adapters"; `fields` holds the rest: task, task_config, network, hash, backbone_hash, gamma,
    stages, input_scale, training, metrics, engine_version, and as remarks note and imported (a date).
    """

    path: Path
    kind: str
    fields: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The file's name without its suffix, as `--adapter` takes it."""
        return self.path.stem

    @property
    def hash(self) -> str:
        """The SHA-256 over tensors and configuration that the file states."""
        return str(self.fields["hash"])

    @property
    def task(self) -> str:
        """The task the file was trained for."""
        return str(self.fields["task"])

    def scores(self, kind: str) -> dict[str, float]:
        """The figures on withheld data by name: "validation", those of the set, or "start", of the one it began as."""
        metrics = self.fields.get("metrics", {})
        return {name.removeprefix(f"{kind}_"): value for name, value in metrics.items() if name.startswith(f"{kind}_")}


@dataclass(frozen=True)
class Unreadable:
    """A weights file that is damaged or of another version, and the reason in a sentence."""

    path: Path
    reason: str

    @property
    def name(self) -> str:
        """The file's name without its suffix, as that of a card."""
        return self.path.stem


class ForeignFile(ModelError):
    """A safetensors file of somebody else, or none at all."""


@dataclass(frozen=True)
class _Network:
    """What a card says of its network that is needed before the network is built."""

    channels: Size
    num_stages: Stages = 1


@dataclass(frozen=True)
class _TaskConfig:
    """What a set was trained for."""

    wavelengths_nm: Annotated[tuple[Positive, ...], Entries(1, 65_536)] | None = None
    step: NotNegative | None = None
    guide: Number | None = None  # channels
    scales: tuple[Size, ...] | None = None
    ratio: Percent | None = None
    block_size: Size | None = None


@dataclass(frozen=True, kw_only=True)
class _Backbone:
    """What the card of a backbone states."""

    hash: str
    task: str
    network: _Network
    training: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class _Adapters(_Backbone):
    """What the card of a set states."""

    backbone_hash: str
    stages: Stages
    gamma: Positive | None = None
    num_parameters: Number = 0
    task_config: _TaskConfig = _TaskConfig()
    input_scale: Literal["exposure", "none"] = "exposure"
    metrics: Mapping[str, float] = field(default_factory=dict)
    camera: Mapping[str, Any] = field(default_factory=dict)
    made_from: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    note: str = ""
    imported: str = ""


_STATED: Mapping[str, type[_Backbone]] = {"backbone": _Backbone, "adapters": _Adapters}
_IS_NONE = "is not a weights file of LoRun (a safetensors file with a card was expected). Choose another file."


def read_card(path: Path) -> Card:
    """The card of a weights file of ours; a sentence for anything else."""
    try:
        with open(path, "rb") as stream:
            prefix = stream.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            header = stream.read(length) if 2 <= length <= _LARGEST_HEADER else b""
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}. Check the path.") from error
    if len(header) != length or not header:
        raise ModelError(f"{path} {_IS_NONE}")
    try:
        metadata = json_of(header)["__metadata__"]
        text = metadata["card"]
    except (ValueError, KeyError, TypeError) as error:
        raise ForeignFile(f"{path} {_IS_NONE}") from error
    try:
        fields = json_of(text)
        kind, version = str(fields.pop("kind")), fields.pop("format")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} {_IS_NONE}") from error
    if version != FORMAT or kind not in _STATED:
        raise ModelError(f"{path} has a card of format {version}; this version reads format {FORMAT}. Update LoRun.")
    stated = read(
        _STATED[kind],
        fields,
        source=f"The card of {path}",
        remedy="The file is damaged, or of a newer LoRun; get it again, or update.",
        error=ModelError,
        drops_unknown=True,
    )
    if stated.task not in TASKS:
        raise ModelError(f"{path} is for the task {stated.task!r}; {', '.join(TASKS)} was expected. Update LoRun.")
    bands = stated.task_config.wavelengths_nm if isinstance(stated, _Adapters) else None
    if bands is not None and len(bands) != stated.network.channels:
        raise ModelError(
            f"The card of {path} names {len(bands)} wavelengths for a network of {stated.network.channels} channels. "
            "The file is damaged; get it again."
        )
    return Card(Path(path), kind, fields)


def cards_in(library: Sequence[Path]) -> Iterable[Card]:
    """The cards of all weights files in the library's folders; what cannot be read is passed over."""
    return (entry for entry in files_in(library) if isinstance(entry, Card))


def unreadable_in(library: Sequence[Path]) -> list[Unreadable]:
    """The weights files of ours in the library's folders that cannot be read, with the reasons."""
    return [entry for entry in files_in(library) if isinstance(entry, Unreadable)]


def reason_against(name: str, library: Sequence[Path]) -> str:
    """Why the file of this name in the library cannot be read, or ""."""
    return next((entry.reason for entry in unreadable_in(library) if entry.name == name), "")


def files_in(library: Sequence[Path]) -> Iterator[Card | Unreadable]:
    """All weights files in the library's folders; other people's are passed over."""
    for folder in library:
        for path in sorted(Path(folder).glob("[!.]*.safetensors")) if Path(folder).is_dir() else ():
            try:
                yield read_card(path)
            except ForeignFile:
                continue
            except (ModelError, FileError) as error:
                yield Unreadable(path, str(error))


def backbone_of(card: Card, library: Sequence[Path]) -> Card:
    """The backbone that a set belongs to, by its hash; looked for beside the set and in the library."""
    if card.kind != "adapters":
        raise ModelError(
            f"{card.path} holds a backbone; an adapter set was expected. Choose the set that belongs to it."
        )
    wanted = card.fields["backbone_hash"]
    for candidate in cards_in((card.path.parent, *library)):
        if candidate.kind == "backbone" and candidate.hash == wanted:
            return candidate
    raise ModelError(
        f"{card.path.name} belongs to the backbone {wanted[:12]}, which is neither beside it nor in the library. "
        "Put the backbone file into the same folder."
    )


def with_remarks(path: Path, remarks: Mapping[str, Any]) -> Card:
    """The card of the file after `remarks` were written into it; None takes a remark away.

    Remarks are what no hash covers: tensors keep their bytes, and the file the hash that it states.
    """
    card = read_card(path)
    if set(remarks) - set(REMARKS):
        raise ModelError(f"{', '.join(sorted(set(remarks) - set(REMARKS)))} of a card cannot be changed.")
    fields = {**card.fields, **remarks}
    fields = {name: value for name, value in fields.items() if value is not None or name not in remarks}
    with open(path, "rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
        header["__metadata__"]["card"] = card_text(card.kind, fields)
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # tensors stay aligned
        with replacing(path) as temporary, open(temporary, "wb") as copy:
            copy.write(struct.pack("<Q", len(text)) + text)
            shutil.copyfileobj(stream, copy)
    return Card(card.path, card.kind, fields)


def tensor_names(path: Path) -> list[str]:
    """The names of the tensors in a weights file of ours, read from its header."""
    read_card(path)
    with open(path, "rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        return [name for name in json.loads(stream.read(length)) if name != "__metadata__"]


def card_text(kind: str, fields: Mapping[str, Any]) -> str:
    """The JSON of a card as it is stored in the header."""
    return json.dumps({"format": FORMAT, "kind": kind, **fields}, sort_keys=True)


def content_hash(configuration: Mapping[str, Any], tensors: Iterable[tuple[str, str, Sequence[int], bytes]]) -> str:
    """SHA-256 over a configuration and (name, dtype, shape, bytes) of every tensor in the order of their names."""
    digest = hashlib.sha256(json.dumps(configuration, sort_keys=True).encode())
    for name, dtype, shape, content in sorted(tensors, key=lambda entry: entry[0]):
        digest.update(f"\n{name} {dtype} {'x'.join(map(str, shape))}\n".encode())
        digest.update(content)
    return digest.hexdigest()
