"""What the window remembers between runs: preferences, its place, recent jobs, and the corrections for each folder.

One JSON file in the user's configuration folder, written atomically. A file that cannot be read, or that holds
something else, counts as absent: remembering is a convenience and never stands in the way of opening the window.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import platformdirs

from lorun_engine.decoding.execution import PRECISIONS
from lorun_engine.errors import FileError
from lorun_engine.io import OpenOptions, replacing
from lorun_engine.schema import Among, Between, Stages, Threads, hints_of, json_of, salvaged, value_of

LOG = logging.getLogger("lorun")
PATIENCE_S = 1.0  # for another window that writes
MAX_RECENT = 8
MAX_FOLDERS = 200
THEMES = ("system", "light", "dark")
OPENS = ("nothing", "last", "sample")
SHELF_MIB = (64, 768, 65_536)  # of results in memory: the least, the default, the most


@dataclass(frozen=True)
class RecentJob:
    """What was opened, how it was corrected and what it was decoded with."""

    paths: tuple[str, ...] = ()
    options: OpenOptions = OpenOptions()
    decoder: str | None = None
    num_stages: Stages | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The files that are no longer where they were, those that corrections name among them."""
        return tuple(path for path in (*self.paths, *self.options.files) if not Path(path).exists())

    def relocated(self, folder: Path) -> RecentJob:
        """The same job with its missing files looked for by name in `folder`."""
        moved = {path: str(folder / Path(path).name) for path in self.missing if (folder / Path(path).name).exists()}
        return self.moved(moved)

    def moved(self, moved: Mapping[str, str]) -> RecentJob:
        """The same job with files that lie elsewhere now."""
        paths = tuple(moved.get(path, path) for path in self.paths)
        return replace(self, paths=paths, options=self.options.moved(moved))


@dataclass(frozen=True)
class Settings:
    """`folders` maps a folder to the corrections that were made for its files; `window` is Qt's geometry in hex."""

    theme: Annotated[str, Among(THEMES)] = "system"
    device: str = "cpu"  # that decodes run on from the start; the CPU stands in for one that is gone
    threads: Threads | None = None  # of the CPU; None takes as many as torch does
    precision: Annotated[str, Among(PRECISIONS)] = PRECISIONS[0]
    results: str = ""  # the folder that is offered for results; "" for that of their capture
    shelf_mib: Annotated[int, Between(SHELF_MIB[0], SHELF_MIB[2])] = SHELF_MIB[1]
    opens: Annotated[str, Among(OPENS)] = "nothing"  # at a start that names no files
    has_seen_tour: bool = False
    window: str = ""
    columns: str = ""  # of the window, likewise
    docks: str = ""  # likewise
    recent: tuple[RecentJob, ...] = ()
    folders: Mapping[str, OpenOptions] = field(default_factory=dict)

    def preferring(self, name: str, value: object) -> Settings:
        """These settings with another value for the field `name`; a ValueError where that takes no such value."""
        return replace(self, **{name: value_of(value, hints_of(Settings)[name], name)})

    @property
    def results_folder(self) -> Path | None:
        """The folder that is offered for results, where one was chosen and is there."""
        return Path(self.results) if self.results and Path(self.results).is_dir() else None

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


def state_path() -> Path:
    """The folder for what the program keeps by itself."""
    return platformdirs.user_state_path("LoRun", appauthor=False)


def changed(path: Path, change: Callable[[Settings], Settings], known: Settings) -> Settings:
    """What `change` makes of the settings that lie in `path` now, written there: no other window comes between.

    A window that has read them before may know less than the file by now; `known`, what it knows, is changed in place
    of a file that is missing or takes no change.
    """
    from filelock import FileLock, Timeout  # here: it imports asyncio, and the window is to open first

    lock = FileLock(f"{path}.lock", timeout=PATIENCE_S)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, Timeout) as error:
        LOG.warning("The settings in %s are written without a lock (%s).", path, error)
    try:
        settings = change(load(path) if path.exists() else known)
        return settings if save(path, settings) else change(known)
    finally:
        lock.release()


def load(path: Path) -> Settings:
    """The settings in `path`; the defaults where it is missing or damaged, entry by entry."""
    try:
        document = json_of(path.read_bytes())
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        LOG.warning("The settings in %s could not be read (%s); the defaults are used.", path, error)
        return Settings()
    if not isinstance(document, dict):
        return Settings()
    recent, folders = document.pop("recent", None), document.pop("folders", None)
    jobs = (_recent(entry) for entry in (recent if isinstance(recent, list) else ()))
    known = folders if isinstance(folders, dict) else {}
    return replace(
        salvaged(Settings, document),
        recent=tuple(job for job in jobs if job.paths),
        folders={folder: salvaged(OpenOptions, entry) for folder, entry in known.items()},
    )


def save(path: Path, settings: Settings) -> bool:
    """Writes `settings` to `path` in one step; where the folder takes no file that is logged, and False."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(settings), indent=1), encoding="utf-8")
    except (OSError, FileError) as error:
        LOG.warning("The settings could not be written to %s (%s).", path, error)
        return False
    return True


def _recent(entry: Any) -> RecentJob:
    """A recent job; what is wrong in it is left out."""
    options = salvaged(OpenOptions, entry.pop("options", None) if isinstance(entry, dict) else None)
    return replace(salvaged(RecentJob, entry), options=options)
