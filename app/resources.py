"""Where the files that come with LoRun lie, and the folders in which backbones and adapter sets are looked for."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from lorun_engine.task import TASKS


def resource_path(*parts: str) -> Path:
    """A file or folder that comes with LoRun, e.g. `resource_path("samples", "cassi.h5")`.

    The folder lies beside this package: `lorun_resources` once installed or packaged, `resources` in a source tree.
    """
    beside = Path(__file__).resolve().parents[1]
    installed = beside / "lorun_resources"
    return (installed if installed.is_dir() else beside / "resources").joinpath(*parts)


def samples() -> tuple[str, ...]:
    """The tasks that come with a measurement to try, by the name of its file."""
    return tuple(name for name, task in TASKS.items() if resource_path("samples", task.sample).exists())


def library_folders() -> tuple[Path, ...]:
    """What is searched for backbones and adapter sets: those that come with LoRun, then the user's own."""
    return (resource_path("weights"), Path(platformdirs.user_data_dir("LoRun", appauthor=False)) / "adapters")


def choices_path() -> Path:
    """Where it is remembered how networks are executed on this machine; what is lost there is tried again."""
    return platformdirs.user_cache_path("LoRun", appauthor=False) / "execution.json"
