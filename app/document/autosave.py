"""What is open is kept on the disk while the window is, so that a crash loses nothing that was decoded.

Every window has a folder of its own, which it locks: one whose lock nobody holds was left by a window that did not
close, and is offered again. Stages never change, so each is written once; what a window closes with is removed.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from lorun_engine.errors import FileError, LorunError
from lorun_engine.io import made_folder
from lorun_engine.io.session_files import SavedSession, keep_session

from ..job import Job
from ..quantities import plural
from .session_document import Loaded, SavedDocument
from .session_files import Content, SessionFiles
from .shelf import Shelf

if TYPE_CHECKING:
    from filelock import FileLock

EVERY_MS = 180_000
SOON_MS = 2000  # after a decode
LIMIT_BYTES = 2 << 30  # of a window; results beyond it, the oldest first, are not kept


@dataclass(frozen=True)
class Left:
    """What a window left that did not close: its folder, which is ours now, and what is in it."""

    folder: Path
    lock: FileLock
    title: str  # as "snapshot.h5 with 2 results"
    saved_at: float  # since 1970

    def discard(self) -> None:
        """Removes it."""
        self.lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)


class Autosave(QObject):
    """Keeps what is open every few minutes and after each decode; `left` is what earlier windows left, newest first."""

    changed = Signal()  # what is left

    def __init__(self, files: SessionFiles, shelf: Shelf, root: Path | None) -> None:
        """With `root` None nothing is kept."""
        super().__init__(files)
        self._files, self._shelf, self._session, self._root = files, shelf, files.session, root
        self.left: tuple[Left, ...] = ()
        self.limit_bytes = LIMIT_BYTES
        self._own: _Own | None = None if root is None else _Own(root / token_hex(8))
        self._known: SavedDocument | None = None  # the document that was kept last, or that could not be
        self._is_writing = self._is_handed_over = False
        self._restored: Left | None = None  # until it is kept by this window
        self._num_left_out = 0
        self._soon = QTimer(self, singleShot=True, interval=SOON_MS)
        self._soon.timeout.connect(self.save)
        if root is not None:
            often = QTimer(self, interval=EVERY_MS)
            often.timeout.connect(self.save)
            often.start()
            shelf.changed.connect(self._soon.start)
            files.opened.connect(self._take_over)

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self._own is not None

    def save(self) -> None:
        """Keeps what is open, in a worker, where it has changed."""
        is_nothing = self._session.is_sample and not self._shelf.unsaved
        if self._own is None or self._is_writing or not self._files.can_save or is_nothing:
            return
        content = self._files.content(None, limit_bytes=self.limit_bytes)
        document = replace(content.document, saved_at=0.0)
        if document == self._known:
            return
        self._known, self._is_writing = document, True
        self._tell_of(content)
        doing = "keeping what is open for after a crash"
        job = self._session.lanes.run_look(partial(_keep, self._own, content), doing=doing, then=self._kept)
        for ended in (job.failed, job.cancelled):
            ended.connect(self._not_kept)

    def hand_over(self) -> bool:
        """Leaves results that were not saved to the next start; False while they are still being written."""
        if self._own is None or not self._shelf.unsaved:
            return True
        self._is_handed_over = True
        self.save()
        return not self._is_writing

    def close(self) -> None:
        """Removes what was kept: the window closes as it should."""
        self._soon.stop()
        for left in self.left:
            left.lock.release()  # offered again at the next start
        self.left = ()
        if self._own is not None:
            self._own.close(removes=not self._is_handed_over)
            self._own = None

    def _tell_of(self, content: Content) -> None:
        if content.num_left_out > self._num_left_out:
            number = plural(content.num_left_out, "result")
            self._session.lanes.log(f"{number} of the shelf would be lost in a crash: more than 2 GiB are not kept")
        self._num_left_out = content.num_left_out

    def _kept(self, _: Job) -> None:
        self._is_writing = False
        if self._restored is not None:
            self._discard(self._restored)
            self._restored = None

    def _not_kept(self) -> None:
        """A disk that takes nothing is asked again when something has changed."""
        self._is_writing = False

    # ---- what earlier windows left -------------------------------------------------------------------------------

    def find(self) -> None:
        """Looks for what was left."""
        if self._root is not None:
            doing = "looking for what was left open"
            self._session.lanes.run_look(partial(_find, self._root), doing=doing, then=self._found)

    def restore(self) -> None:
        """Opens what was left last."""
        if self.left:
            self._files.open(self.left[0].folder)

    def discard(self) -> None:
        """Removes what was left last."""
        if self.left:
            self._discard(self.left[0])
            self._drop(self.left[0])

    def _found(self, job: Job) -> None:
        self.left = job.result
        self.changed.emit()

    def _take_over(self, loaded: Loaded) -> None:
        """It is on the screen; its folder stays until this window has kept it."""
        for left in self.left:
            if left.folder == loaded.path:
                self._restored = left
                self._drop(left)
                self.save()

    def _drop(self, left: Left) -> None:
        self.left = tuple(other for other in self.left if other is not left)
        self.changed.emit()

    def _discard(self, left: Left) -> None:
        self._session.lanes.run_look(left.discard, doing="removing what was left open", then=lambda _: None)


class _Own:
    """The folder of this window, locked from the first time that something is kept in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock: FileLock | None = None

    def hold(self) -> None:
        """Makes the folder and locks it."""
        if self.lock is None:
            lock = _lock_of(made_folder(self.folder))
            try:
                lock.acquire()
            except OSError as error:
                raise FileError(f"Nothing can be kept in {self.folder}: {error.strerror or error}.") from error
            self.lock = lock

    def close(self, *, removes: bool) -> None:
        """Lets go of the folder, or removes it."""
        if self.lock is not None:
            self.lock.release()
        if removes:
            shutil.rmtree(self.folder, ignore_errors=True)


def _keep(own: _Own, content: Content) -> None:
    own.hold()
    keep_session(own.folder, asdict(content.document), content.arrays)


def _find(root: Path) -> tuple[Left, ...]:
    """What was left, locked from now on; what is no session is removed."""
    from filelock import Timeout

    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        lock = _lock_of(folder)
        try:
            lock.acquire()
        except (OSError, Timeout):
            continue  # of a window that is open, or nothing of ours
        left = _left_in(folder, lock)
        if left is None:
            lock.release()
            shutil.rmtree(folder, ignore_errors=True)
        else:
            found.append(left)
    return tuple(sorted(found, key=lambda left: -left.saved_at))


def _left_in(folder: Path, lock: FileLock) -> Left | None:
    try:
        with SavedSession(folder) as saved:
            document = saved.document
        name, results = Path(document["paths"][0]).name, len(document["results"])
        saved_at = min(float(document["saved_at"]), time.time())
    except (LorunError, LookupError, TypeError, ValueError):
        return None
    return Left(folder, lock, f"{name} with {plural(results, 'result')}" if results else name, saved_at)


def _lock_of(folder: Path) -> FileLock:
    from filelock import FileLock  # here: it imports asyncio, and the window is to open first

    return FileLock(folder / "lock", timeout=0, thread_local=False)
