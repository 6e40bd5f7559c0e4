"""What the window remembers between runs: theme, its place, recent jobs, and the corrections made for each folder.

One JSON file in the user's configuration folder, written atomically. A file that cannot be read, or that holds
something else, counts as absent: remembering is a convenience and never stands in the way of opening the window.
"""

from __future__ import annotations

import json
import logging
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import platformdirs

from lorun_engine.errors import FileError
from lorun_engine.io import OpenOptions, replacing

LOG = logging.getLogger("lorun")
MAX_RECENT = 8
MAX_FOLDERS = 200


@dataclass(frozen=True)
class RecentJob:
    """What was opened, how it was corrected and what it was decoded with."""

    paths: tuple[str, ...]
    options: OpenOptions = OpenOptions()
    decoder: str | None = None
    num_stages: int | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The files that are no longer where they were."""
        return tuple(path for path in self.paths if not Path(path).exists())

    def relocated(self, folder: Path) -> RecentJob:
        """The same job with its missing files looked for by name in `folder`."""
        moved = {path: str(folder / Path(path).name) for path in self.missing if (folder / Path(path).name).exists()}
        roles = tuple((_moved(selector, moved), role) for selector, role in self.options.roles)
        return replace(
            self,
            paths=tuple(moved.get(path, path) for path in self.paths),
            options=replace(self.options, roles=roles),
        )


@dataclass(frozen=True)
class Settings:
    """`folders` maps a folder to the corrections that were made for its files; `window` is Qt's geometry in hex."""

    theme: str = "system"
    window: str = ""
    recent: tuple[RecentJob, ...] = ()
    folders: Mapping[str, OpenOptions] = field(default_factory=dict)

    def with_recent(self, job: RecentJob) -> Settings:
        """These settings with `job` as the newest of the recent jobs; one entry per set of files."""
        others = tuple(known for known in self.recent if set(known.paths) != set(job.paths))
        return replace(self, recent=(job, *others)[:MAX_RECENT])

    def without_recent(self, job: RecentJob) -> Settings:
        """These settings without `job`."""
        return replace(self, recent=tuple(known for known in self.recent if known != job))

    def with_folder(self, folder: Path, options: OpenOptions) -> Settings:
        """These settings with `options` remembered for `folder`; empty options forget it."""
        folders = {name: known for name, known in self.folders.items() if name != str(folder)}
        if options != OpenOptions():
            folders[str(folder)] = options
        return replace(self, folders=dict(list(folders.items())[-MAX_FOLDERS:]))


def settings_path() -> Path:
    """The file of this user's settings."""
    return platformdirs.user_config_path("LoRun", appauthor=False) / "settings.json"


def load(path: Path) -> Settings:
    """The settings in `path`; the defaults where it is missing or damaged, entry by entry."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        LOG.warning("The settings in %s could not be read (%s); the defaults are used.", path, error)
        return Settings()
    if not isinstance(document, dict):
        return Settings()
    recent, folders = document.get("recent"), document.get("folders")
    return Settings(
        theme=document["theme"] if document.get("theme") in ("light", "dark") else "system",
        window=document["window"] if isinstance(document.get("window"), str) else "",
        recent=tuple(filter(None, map(_recent, recent if isinstance(recent, list) else ()))),
        folders={
            str(folder): _options(known) for folder, known in (folders if isinstance(folders, dict) else {}).items()
        },
    )


def save(path: Path, settings: Settings) -> None:
    """Writes `settings` to `path` in one step; a folder that takes no file is logged, not raised."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(settings), indent=1), encoding="utf-8")
    except (OSError, FileError) as error:
        LOG.warning("The settings could not be written to %s (%s).", path, error)


def _recent(entry: Any) -> RecentJob | None:
    paths = entry.get("paths") if isinstance(entry, dict) else None
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
        return None
    decoder, num_stages = entry.get("decoder"), entry.get("num_stages")
    return RecentJob(
        paths=tuple(paths),
        options=_options(entry.get("options")),
        decoder=decoder if isinstance(decoder, str) else None,
        num_stages=num_stages if isinstance(num_stages, int) and num_stages > 0 else None,
    )


def _options(entry: Any) -> OpenOptions:
    """Options from JSON; names that this version does not know, and values of another type, are dropped."""
    annotations = typing.get_type_hints(OpenOptions)
    values = {name: _tuples(value) for name, value in entry.items()} if isinstance(entry, dict) else {}
    return OpenOptions(
        **{name: value for name, value in values.items() if name in annotations and _is_a(value, annotations[name])}
    )


def _is_a(value: Any, annotation: Any) -> bool:
    """Whether `value` is of the annotated type: a plain type, a union, or a tuple."""
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple:
        if not isinstance(value, tuple):
            return False
        if parts[-1] is Ellipsis:
            return all(_is_a(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(_is_a, value, parts))
    if parts:
        return any(_is_a(value, part) for part in parts)
    return isinstance(value, (int, float) if annotation is float else annotation) and not isinstance(value, bool)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _moved(selector: str, moved: Mapping[str, str]) -> str:
    path, separator, key = selector.partition("::")
    return moved.get(path, path) + separator + key
