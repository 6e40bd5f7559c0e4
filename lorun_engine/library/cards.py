"""The card of a weights file: what its safetensors header says, read without its tensors and without torch."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileError, ModelError
from ..io import replacing

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


def read_card(path: Path) -> Card:
    """The card of a weights file of ours; a sentence for anything else."""
    try:
        with open(path, "rb") as stream:
            prefix = stream.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            header = stream.read(length) if 2 <= length <= _LARGEST_HEADER else b""
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}. Check the path.") from error
    try:
        if len(header) != length or not header:
            raise ValueError
        fields = json.loads(json.loads(header)["__metadata__"]["card"])
        kind, version = fields.pop("kind"), fields.pop("format")
        known = kind in ("backbone", "adapters") and isinstance(fields["hash"], str) and isinstance(fields["task"], str)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} is not a weights file of LoRun (a safetensors file with a card was expected). Choose another file."
        ) from error
    if not known or version != FORMAT:
        raise ModelError(f"{path} has a card of format {version}; this version reads format {FORMAT}. Update LoRun.")
    return Card(Path(path), kind, fields)


def cards_in(library: Sequence[Path]) -> Iterable[Card]:
    """The cards of all weights files in the library's folders; files of other kinds are passed over."""
    for folder in library:
        for path in sorted(Path(folder).glob("[!.]*.safetensors")) if Path(folder).is_dir() else ():
            try:
                yield read_card(path)
            except (ModelError, FileError):
                continue  # a library folder may hold other people's files


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
