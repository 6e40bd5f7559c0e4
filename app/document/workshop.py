"""The adapter workshop: the library's sets, whether they suit what is open, what they change, and how much of it.

Files are read and written beside the decodes, so that looking at sets waits for none; the folders are searched again
whenever one of their files comes or goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from PySide6.QtCore import QFile, QFileSystemWatcher, QObject, QTimer, Signal

from lorun_engine.errors import FileError, LorunError
from lorun_engine.library.cards import Unreadable, read_card, unreadable_in
from lorun_engine.library.sets import (
    SUFFIX,
    Copied,
    LibrarySet,
    NameTakenError,
    annotate_set,
    export_set,
    import_set,
    rename_set,
    require_own,
    sets_in,
    verified,
)
from lorun_engine.task import TASKS

from ..job import Job
from .decoders import Choice, Decoders, Fit, first_fit
from .session import Session

if TYPE_CHECKING:
    from lorun_engine.library.inspection import ChangeTable
    from lorun_engine.measurement import Measurement

SETTLED_AFTER_S = 2.0  # a file written more recently may still grow
_PAUSE_MS = 200  # files come in bursts
_SHORT = 12  # letters of a hash that people compare

Look = Literal["good", "warn", "dim"]

T = TypeVar("T")


@dataclass(frozen=True)
class Suitability:
    """What there is to say of a set before one switches to it; one that is not usable cannot decode what is open."""

    sentence: str
    look: Look = "dim"
    is_usable: bool = True


@dataclass(frozen=True)
class Notice:
    """What came of the last thing that was asked for; `offer` does what the words of `offered` say."""

    sentence: str
    look: Look = "good"
    offered: str = ""
    offer: Callable[[], None] | None = None


class _Gaze:
    """Which set is to be looked at: the one that was asked for last, in whatever order the jobs end.

    The set that was chosen is looked at once it is listed, but what is being imported comes first: also before the
    decoder that a file brings which is opened meanwhile.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.followed: str | None = None  # the decoder whose choice has been answered
        self.num_imports = 0  # under way
        self.wanted: str | None = None  # the name of what was imported, until it has been looked at

    def follows(self, chosen: LibrarySet | None) -> bool:
        """Whether the chosen set is to be looked at now; asked again, no longer."""
        setup = self._session.setup
        if setup.decoder_name == self.followed or self.num_imports or self.wanted is not None:
            return False
        if chosen is None and (setup.choice is None or setup.choice.has_weights):
            return False  # not listed yet
        self.followed = setup.decoder_name
        return True

    def end_import(self) -> None:
        """An import has ended, well or not."""
        self.num_imports -= 1

    def settle(self, shown: LibrarySet | None) -> None:
        """Ends the wait for what was imported once it is `shown` and no file is being opened."""
        if shown is not None and shown.card.name == self.wanted and not self._session.is_opening:
            self.rest()

    def rest(self) -> None:
        """What is looked at is what was asked for."""
        self.wanted, self.followed = None, self._session.setup.decoder_name


class Workshop(QObject):
    """The library page shows this and calls its verbs."""

    listed = Signal()  # other sets, or other files of them
    assessed = Signal()  # what is known of their fit
    inspected = Signal()  # the set that is looked at, or its table of changes
    layer_changed = Signal()
    noticed = Signal()

    def __init__(self, session: Session, library: Sequence[Path]) -> None:
        super().__init__(session)
        self.library = tuple(library)
        self.sets: tuple[LibrarySet, ...] = ()
        self.unreadable: tuple[Unreadable, ...] = ()
        self.notice: Notice | None = None
        self.shown: LibrarySet | None = None  # the one that is looked at
        self.table: ChangeTable | None = None  # of what it changes; None while that is not known
        self.trouble = ""  # why there is no table, in a sentence
        self.layer: str | None = None
        self.changes: tuple[np.ndarray | None, ...] = ()  # dW of the layer for every stage
        self._session = session
        self._fits: dict[str, Fit] = {}  # by hash, to what is open
        self._tables: dict[str, ChangeTable] = {}  # by hash
        self._measurement: Measurement | None = None  # that the fits are to
        self._is_assessing = False
        self._listing: Job | None = None
        self._is_look_wanted = False
        self._renamed: tuple[str, str] | None = None  # from and to, until the new name is listed
        self._gaze = _Gaze(session)
        self._watcher: QFileSystemWatcher | None = None
        self._timer = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._timer.timeout.connect(self.refresh)
        session.opened_changed.connect(self._opened)
        session.setup.changed.connect(self._decoder_changed)
        session.setup.loaded.connect(self.start)

    # ---- the list ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Lists the library and watches its folders from now on; call it once the engine is loaded."""
        if not self.library:
            return
        self._watcher = QFileSystemWatcher(self)
        self._watcher.directoryChanged.connect(self._folder_changed)
        self._watch()
        self.refresh()

    def close(self) -> None:
        """Stops watching; what belongs to this thread must not be left for another to clean up."""
        self._timer.stop()
        if self._watcher is not None:
            self._watcher.deleteLater()
            self._watcher = None

    def refresh(self) -> None:
        """Lists the library again."""
        if self._listing is not None:
            self._is_look_wanted = True
            return
        self._is_look_wanted = False
        work = partial(_look, self.library, self._session.setup.decoders)
        self._listing = self._session.lanes.run_aside(work, doing="listing the adapter sets", then=self._looked)
        for ended in (self._listing.failed, self._listing.cancelled):
            ended.connect(self._look_ended)

    def set_of(self, name: str | None, task: str | None = None) -> LibrarySet | None:
        """The set that a decoder of this name stands for; of the task of what is open unless another is given."""
        task = task or (None if self._session.role_table is None else self._session.role_table.task)
        found = (entry for entry in self.sets if entry.card.name == name and task in (None, entry.card.task))
        return next((entry for entry in found if not entry.shadowed), None)

    @property
    def chosen(self) -> LibrarySet | None:
        """The set that the next decode takes; None where that is an algorithm without weights."""
        return self.set_of(self._session.setup.decoder_name)

    def is_chosen(self, entry: LibrarySet) -> bool:
        """Whether the next decode takes this set."""
        return self.chosen is not None and self.chosen.card.path == entry.card.path

    def _looked(self, job: Job) -> None:
        sets, choices, unreadable, is_settled = job.result
        self._listing = None
        if not is_settled and self._watcher is not None:
            self._timer.start(int(SETTLED_AFTER_S * 1000))
        self._watch()
        renamed = self._renamed
        if renamed is not None and any(entry.card.name == renamed[1] and not entry.is_shipped for entry in sets):
            self._renamed = None
            if self._gaze.followed == renamed[0]:
                self._gaze.followed = renamed[1]
        else:
            renamed = None  # these were listed before
        for entry in sets:
            if entry not in self.sets:
                self._fits.pop(entry.card.hash, None)  # a file that was damaged may have come whole
        is_new = (sets, unreadable) != (self.sets, self.unreadable)
        self.sets, self.unreadable = sets, unreadable
        self._session.setup.take_choices(choices, renamed=renamed)
        if is_new:
            self.listed.emit()
        self._look_at_what_is_there(renamed)
        if is_new and self._is_assessing:
            self._assess()
        if self._is_look_wanted:
            self.refresh()

    def _look_ended(self) -> None:
        self._listing = None

    def _look_at_what_is_there(self, renamed: tuple[str, str] | None) -> None:
        """Keeps looking at the same set; at the chosen one, or the first, when it is gone."""
        shown = self.shown
        same = [entry for entry in self.sets if shown is not None and entry.card.path == shown.card.path]
        if renamed is not None and shown is not None and shown.card.name == renamed[0]:
            same = [entry for entry in self.sets if entry.card.hash == shown.card.hash and not entry.is_shipped]
        same = [entry for entry in self.sets if entry.card.name == self._gaze.wanted] or same
        found = next(iter(same), None) or self.chosen or next(iter(self.sets), None)
        if found != shown:
            self._take_shown(found)
        self._gaze.settle(self.shown)
        self._decoder_changed()

    def _folder_changed(self, folder: str) -> None:
        if Path(folder) in self.library or self._watch():
            self._timer.start(_PAUSE_MS)

    def _watch(self) -> bool:
        """Watches every folder, or what there is above it until it is made; whether one was made."""
        if self._watcher is None:
            return False
        known = {Path(folder) for folder in self._watcher.directories()}
        places = {folder if folder.is_dir() else _nearest(folder) for folder in self.library}
        if known - places:
            self._watcher.removePaths([str(folder) for folder in known - places])
        if places - known:
            self._watcher.addPaths([str(folder) for folder in places - known])
        return bool((places - known) & set(self.library))

    # ---- whether they suit what is open --------------------------------------------------------------------------

    def assess(self, wanted: bool = True) -> None:
        """Finds out which sets suit what is open, also of later lists and measurements until it is not `wanted`."""
        self._is_assessing = wanted
        if wanted:
            self._assess()

    def suitability(self, entry: LibrarySet) -> Suitability:
        """Whether a switch to this set makes sense, in a sentence."""
        session, card = self._session, entry.card
        if card.task not in TASKS:
            return Suitability(f"Made for {card.task}, which this version does not know.", "warn", is_usable=False)
        if entry.backbone is None:
            wanted = short(card.fields["backbone_hash"])
            sentence = f"Belongs to another backbone, {wanted}, which is not here: import the two together."
            return Suitability(sentence, "warn", is_usable=False)
        if entry.shadowed:
            sentence = "Another set of this name is found first. Rename this one to use it."
            return Suitability(sentence, "warn", is_usable=False)
        if session.measurement is None:
            return Suitability("Open a measurement to see whether it fits.")
        if card.task != session.measurement.task:
            sentence = f"For {TASKS[card.task].short} measurements; a {session.kind.short} measurement is open."
            return Suitability(sentence, is_usable=False)
        fit = self._fits.get(card.hash)
        if fit is None:
            return Suitability("Checking…")
        if not fit.is_good:
            return Suitability(fit.sentence, "warn", is_usable=False)
        return self._effect(entry, fit)

    def _effect(self, entry: LibrarySet, fit: Fit) -> Suitability:
        """What a switch to a set that fits would change."""
        card, chosen = entry.card, self.chosen
        table = self._tables.get(card.hash)
        if table is not None and table.is_zero:
            sentence = "Would have no effect: all its differences are zero, every stage runs the shared backbone."
            return Suitability(sentence, "warn")
        if chosen is None or chosen.card.path == card.path:
            return Suitability(fit.sentence, fit.look)
        if chosen.card.hash == card.hash:
            sentence = f"Would change nothing: it holds the same numbers as {chosen.card.name}, which is chosen."
            return Suitability(sentence, "warn")
        if chosen.card.fields["backbone_hash"] != card.fields["backbone_hash"]:
            other = short(card.fields["backbone_hash"])
            return Suitability(f"{fit.sentence} Its backbone is {other}, another than {chosen.card.name}'s.", fit.look)
        return Suitability(fit.sentence, fit.look)

    def _assess(self) -> None:
        measurement = self._session.measurement
        if measurement is not self._measurement:
            self._measurement = measurement
            self._fits = {}
        if measurement is None:
            return
        wanted = [
            (entry.card.hash, choice)
            for entry in self.sets
            if entry.card.hash not in self._fits and (choice := self._choice_of(entry)) is not None
            if choice.task == measurement.task
        ]
        if wanted:
            work = partial(_fits, self._session.setup.decoders, wanted, measurement)
            then = partial(self._fits_found, measurement)
            self._session.lanes.run_aside(work, doing="checking which adapter sets fit", then=then)

    def _fits_found(self, measurement: Measurement, job: Job) -> None:
        fits, tables = job.result
        self._tables |= tables
        if measurement is self._measurement:
            self._fits |= fits
            self.assessed.emit()

    def _choice_of(self, entry: LibrarySet) -> Choice | None:
        if entry.shadowed or entry.backbone is None:
            return None
        key = (entry.card.name, entry.card.task)
        return next((choice for choice in self._session.setup.choices if (choice.name, choice.task) == key), None)

    def _opened(self) -> None:
        self._gaze.settle(self.shown)
        if self._is_assessing:
            self._assess()
        self.assessed.emit()

    def _decoder_changed(self) -> None:
        chosen = self.chosen
        if self._gaze.follows(chosen) and chosen is not None and chosen != self.shown:
            self._take_shown(chosen)
        self.assessed.emit()

    # ---- what a set changes --------------------------------------------------------------------------------------

    def show(self, entry: LibrarySet) -> None:
        """Looks at a set: its card, and what every stage changes at every layer."""
        self._gaze.rest()
        if self.shown is None or entry.card.path != self.shown.card.path:
            self._take_shown(entry)

    def inspect(self) -> None:
        """Computes the table of the set that is looked at, unless that is known."""
        entry = self.shown
        if entry is None or self.table is not None or self.trouble:
            return
        if entry.card.hash in self._tables:
            self._take_table(entry, self._tables[entry.card.hash])
            return
        work = partial(_table, entry, self.library)
        doing = f"looking into {entry.card.name}"
        job = self._session.lanes.run_aside(work, doing=doing, then=lambda job: self._take_table(entry, job.result))
        job.failed.connect(lambda: self._not_inspected(entry, job))

    def select_layer(self, layer: str) -> None:
        """Looks at what every stage changes at one layer."""
        entry = self.shown
        if entry is None or self.table is None or layer not in self.table.layers or layer == self.layer:
            return
        self.layer, self.changes = layer, ()
        self.layer_changed.emit()
        work = partial(_changes, entry, self.library, layer)
        then = partial(self._take_changes, entry, layer)
        self._session.lanes.run_aside(work, doing=f"looking into {entry.card.name}", then=then)

    def _take_shown(self, entry: LibrarySet | None) -> None:
        is_same = entry is not None and self.shown is not None and entry.card.hash == self.shown.card.hash
        self.shown = entry
        if self.trouble or not is_same:  # a renamed or annotated set keeps its table
            self.table, self.trouble, self.layer, self.changes = None, "", None, ()
            self.layer_changed.emit()
        self.inspected.emit()
        if self._is_assessing:
            self.inspect()

    def _take_table(self, entry: LibrarySet, table: ChangeTable) -> None:
        self._tables[entry.card.hash] = table
        if self.shown is None or self.shown.card.hash != entry.card.hash:
            return
        self.table = table
        self.inspected.emit()
        if table.layers and self.layer is None:
            totals = np.where(np.isfinite(table.ratios), table.ratios, 0).sum(axis=0)
            products = np.where(table.ranks > 0, totals, 0)
            totals = products if products.any() else totals
            self.select_layer(table.layers[int(totals.argmax())])  # the A B where most happens

    def _not_inspected(self, entry: LibrarySet, job: Job) -> None:
        if self.shown is not None and self.shown.card.path == entry.card.path:
            self.trouble = str(job.error)
            self.inspected.emit()

    def _take_changes(self, entry: LibrarySet, layer: str, job: Job) -> None:
        if self.shown is not None and self.shown.card.hash == entry.card.hash and self.layer == layer:
            self.changes = tuple(job.result)
            self.layer_changed.emit()

    # ---- files ---------------------------------------------------------------------------------------------------

    def verify(self, entry: LibrarySet) -> None:
        """Reads the set and its backbone and says whether they hold what their cards state."""
        work = partial(_verification, entry, self.library)
        self._do(work, doing=f"checking {entry.card.name}", then=lambda sentence: self._say(Notice(sentence)))

    def rename(self, entry: LibrarySet, name: str) -> None:
        """Gives a set of the user's another name; the chosen decoder follows."""
        name = name.strip()
        if name == entry.card.name:
            return
        self._renamed = entry.card.name, name  # at once: a list of after it may come before its end
        work = partial(rename_set, entry, name, self.library)
        job = self._do(work, doing=f"renaming {entry.card.name}", then=partial(self._was_renamed, entry))
        for ended in (job.failed, job.cancelled):
            ended.connect(partial(setattr, self, "_renamed", None))

    def annotate(self, entry: LibrarySet, note: str) -> None:
        """Writes a note into the card of a set of the user's."""
        if note.strip() == entry.card.fields.get("note", ""):
            return
        doing = f"writing the note of {entry.card.name}"
        sentence = f"The note of {entry.card.name} is in its card; its numbers and its hash are unchanged."
        work = partial(annotate_set, entry, note)
        self._do(work, doing=doing, then=lambda _: self._say(Notice(sentence), lists=True))

    def export(self, entry: LibrarySet, folder: Path | str) -> None:
        """Copies the set and its backbone into a folder."""
        folder = Path(folder)
        work = partial(export_set, entry.card, self.library, folder)
        self._do(work, doing=f"exporting {entry.card.name}", then=partial(self._was_exported, entry, folder))

    def import_files(self, paths: Sequence[Path | str], *, name: str | None = None) -> None:
        """Checks sets from files and copies them, with their backbones, into the user's folder."""
        files = tuple(Path(path) for path in paths)
        if not files:
            return
        work = partial(_imported, files, self.library, name)
        self._gaze.num_imports += 1
        job = self._do(work, doing=f"importing {files[0].name}", then=self._was_imported)
        for ended in (job.succeeded, job.failed, job.cancelled):
            ended.connect(self._gaze.end_import)
            ended.connect(self._decoder_changed)
        job.failed.connect(lambda: self._offer_another_name(files, job))

    def trash(self, entry: LibrarySet) -> None:
        """Moves a set of the user's to the trash of the desktop; its backbone stays."""
        sentence = f"{entry.card.name} is in the trash, from where it can be put back. Its backbone stays."
        work = partial(_to_trash, entry)
        doing = f"moving {entry.card.name} to the trash"
        self._do(work, doing=doing, then=lambda _: self._say(Notice(sentence), lists=True))

    def dismiss(self) -> None:
        """Takes the last notice away."""
        self._say(None)

    def _was_renamed(self, entry: LibrarySet, path: Path) -> None:
        self._say(Notice(f"{entry.card.name} is called {path.stem} now."), lists=True)

    def _was_exported(self, entry: LibrarySet, folder: Path, copied: Copied) -> None:
        names = " and ".join(path.name for path in copied.written)
        sentence = f"Wrote {names} into {folder}." if names else f"{folder} holds {entry.card.name} already."
        self._say(Notice(sentence))

    def _was_imported(self, found: list[Copied]) -> None:
        first = found[0]
        names = ", ".join(copied.name for copied in found)
        if not any(copied.written for copied in found):
            sentence = f"The library has {names} already, with the same numbers."
        else:
            with_backbone = f" with its backbone {first.backbone}" if len(found) == 1 else " with their backbones"
            sentence = f"Imported {names}{with_backbone}; their numbers are those that their cards state."
        self._gaze.wanted = first.name
        self._say(Notice(sentence), lists=True)

    def _offer_another_name(self, paths: tuple[Path, ...], job: Job) -> None:
        if isinstance(job.error, NameTakenError) and len(paths) == 1:
            free = job.error.free
            sentence = f"The library already has another set named {paths[0].stem}."
            offer = partial(self.import_files, paths, name=free)
            self._say(Notice(sentence, "warn", f"Import as {free}", offer))

    def _do(self, work: Callable[[], T], *, doing: str, then: Callable[[T], None]) -> Job:
        """Gives `work` with files to a worker and says so; `then` gets what it returned, a refusal is the notice."""
        lanes = self._session.lanes
        job = lanes.run_file(work, doing=doing, then=lambda job: then(job.result), is_asked_for=True)
        job.failed.connect(lambda: self._say(Notice(str(job.error), "warn")))
        self._say(Notice(lanes.announcement(job), "dim"))
        return job

    def _say(self, notice: Notice | None, *, lists: bool = False) -> None:
        """Says what came of something; with `lists` it has changed the library, which is listed again."""
        self.notice = notice
        if notice is not None and notice.look == "good":
            self._session.lanes.log(notice.sentence)
        self.noticed.emit()
        if lists:
            self.refresh()


def short(digest: str) -> str:
    """The first letters of a hash, as people compare them."""
    return digest[:_SHORT]


def weights_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Those of `paths` that may be sets or backbones."""
    return tuple(path for path in paths if path.suffix.lower() == SUFFIX)


def _nearest(folder: Path) -> Path:
    """The folder above that exists; the home where even the drive is gone."""
    return next((parent for parent in folder.absolute().parents if parent.is_dir()), Path.home())


# ---- in the worker thread ----------------------------------------------------------------------------------------


def _look(
    library: tuple[Path, ...], decoders: Decoders
) -> tuple[tuple[LibrarySet, ...], tuple[Choice, ...], tuple[Unreadable, ...], bool]:
    """The sets, the decoders, the files that cannot be read, and whether all are old enough to be complete."""
    newest = 0.0
    for folder in library:
        for path in folder.glob(f"[!.]*{SUFFIX}"):
            try:
                newest = max(newest, path.stat().st_mtime)
            except OSError:
                continue  # gone in between
    is_settled = time.time() - newest > SETTLED_AFTER_S
    return tuple(sets_in(library)), decoders.choices(), tuple(unreadable_in(library)), is_settled


def _fits(
    decoders: Decoders, wanted: list[tuple[str, Choice]], measurement: Measurement
) -> Generator[str, None, tuple[dict[str, Fit], dict[str, ChangeTable]]]:
    """The fit of every (hash, choice) to the measurement, and the tables of those that can be read, by hash."""
    from lorun_engine.library.inspection import change_table
    from lorun_engine.library.model import Model

    fits: dict[str, Fit] = {}
    tables: dict[str, ChangeTable] = {}
    for digest, choice in wanted:
        _, fits[digest] = first_fit(decoders, [choice], measurement)
        try:
            decoder = decoders.open(choice)
        except LorunError:
            continue  # its fit says why
        if isinstance(decoder, Model):
            tables[digest] = change_table(decoder)
        yield digest
    return fits, tables


def _table(entry: LibrarySet, library: tuple[Path, ...]) -> ChangeTable:
    from lorun_engine.library.inspection import change_table

    model, _ = verified(entry.card, library)
    return change_table(model)


def _changes(entry: LibrarySet, library: tuple[Path, ...], layer: str) -> list[np.ndarray | None]:
    from lorun_engine.library.inspection import changes_of_layer

    model, _ = verified(entry.card, library)
    return changes_of_layer(model, layer)


def _verification(entry: LibrarySet, library: tuple[Path, ...]) -> str:
    """What was checked, in a sentence."""
    model, backbone = verified(entry.card, library)
    numbers = f"{model.adapters.num_parameters:,} numbers of {entry.card.name}"
    return (
        f"Verified: the {numbers} have the hash {short(entry.card.hash)} that its card states, and its backbone "
        f"{backbone.name} has the hash {short(backbone.hash)} that the set was trained on."
    )


def _imported(paths: tuple[Path, ...], library: tuple[Path, ...], name: str | None) -> list[Copied]:
    """Every set among `paths`; their backbones may be among them too."""
    kinds = {path: read_card(path).kind for path in paths}
    sets = [path for path, kind in kinds.items() if kind == "adapters"] or list(paths[:1])
    beside = tuple(dict.fromkeys(path.parent for path in paths))
    return [import_set(path, library, name=name, beside=beside) for path in sets]


def _to_trash(entry: LibrarySet) -> None:
    require_own(entry, "moved to the trash")
    if not QFile.moveToTrash(str(entry.card.path)):
        raise FileError(
            f"{entry.card.path.name} could not be moved to the trash: this system has none for its folder. Delete the "
            "file yourself if it is to go."
        )
