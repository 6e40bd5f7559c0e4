"""The dialogs in which files are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from lorun_engine.io.spectra import LIBRARY_SUFFIXES

from ..settings import RecentJob

_READABLE = (
    "Measurements, masks, matrices, pictures and sessions "
    "(*.mat *.h5 *.hdf5 *.npy *.npz *.tif *.tiff *.png *.jpg *.jpeg *.bmp *.hdr *.lorun)"
)

CAPTIONED = " with caption and bars"


def ask_open_files(parent: QWidget, heading: str, folder: Path | None) -> list[Path]:
    """The files that the user chose; none when cancelled."""
    names, _ = QFileDialog.getOpenFileNames(parent, heading, str(folder or ""), f"{_READABLE};;All files (*)")
    return [Path(name) for name in names]


def ask_save_file(parent: QWidget, heading: str, suggested: Path, formats: Mapping[str, str]) -> Path | None:
    """The file to write, with a suffix of `formats` (title to suffix); the dialog confirms overwriting."""
    chosen = _asked(parent, heading, suggested, formats)
    return None if chosen is None else chosen[0]


def ask_picture_file(
    parent: QWidget, heading: str, suggested: Path, formats: Mapping[str, str]
) -> tuple[Path, bool] | None:
    """The file to write a picture to, and whether it is to have its caption: every format is offered with one too."""
    captioned = {f"{title}{CAPTIONED}": suffix for title, suffix in formats.items()}
    chosen = _asked(parent, heading, suggested, {**formats, **captioned})
    return None if chosen is None else (chosen[0], CAPTIONED in chosen[1])


def _asked(parent: QWidget, heading: str, suggested: Path, formats: Mapping[str, str]) -> tuple[Path, str] | None:
    """The file and the words of the format that was chosen; its suffix counts where another one was typed."""
    dialog = QFileDialog(parent, heading)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    suffixes = {f"{title} (*{suffix})": suffix for title, suffix in formats.items()}
    dialog.setNameFilters(list(suffixes))
    dialog.setDirectory(str(suggested.parent))
    dialog.selectFile(suggested.name)
    dialog.setDefaultSuffix(suggested.suffix)
    dialog.filterSelected.connect(lambda name: dialog.setDefaultSuffix(suffixes[name]))
    return (Path(dialog.selectedFiles()[0]), dialog.selectedNameFilter()) if dialog.exec() else None


def ask_adapter_files(parent: QWidget) -> list[Path]:
    """The files of adapter sets that the user chose; none when cancelled."""
    names, _ = QFileDialog.getOpenFileNames(parent, "Import adapter sets", "", "Adapter sets (*.safetensors)")
    return [Path(name) for name in names]


def ask_target_folder(parent: QWidget, heading: str) -> Path | None:
    """The folder that the user chose to write into."""
    folder = QFileDialog.getExistingDirectory(parent, heading)
    return Path(folder) if folder else None


def ask_open_library(parent: QWidget, folder: Path | None) -> Path | None:
    """The spectral library that the user chose."""
    readable = " ".join(f"*{suffix}" for suffix in LIBRARY_SUFFIXES)
    name, _ = QFileDialog.getOpenFileName(
        parent, "Open a spectral library", str(folder or ""), f"Spectral libraries ({readable});;All files (*)"
    )
    return Path(name) if name else None


def ask_for_folder(parent: QWidget, job: RecentJob) -> Path | None:
    """The folder in which the user says the files of `job` now are."""
    start = next((str(Path(path).parent) for path in job.paths if Path(path).parent.exists()), "")
    folder = QFileDialog.getExistingDirectory(parent, f"Where is {Path(job.missing[0]).name} now?", start)
    return Path(folder) if folder else None
