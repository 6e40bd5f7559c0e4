"""An adapter set beside another decoder: both decode what is open, and the two results are put side by side."""

from __future__ import annotations

from PySide6.QtCore import QObject

from lorun_engine.library.sets import LibrarySet

from .comparing import Comparing
from .looking import Looking
from .workshop import Workshop


class Rivals(QObject):
    """Says what a set can be compared with, and compares."""

    def __init__(self, looking: Looking, comparing: Comparing, workshop: Workshop) -> None:
        super().__init__(looking)
        self._looking, self._comparing, self._workshop = looking, comparing, workshop
        self._session = looking.session
        self._pair: tuple[str, str] | None = None  # that are being decoded to be compared
        comparing.changed.connect(self._show_pair)

    def of(self, entry: LibrarySet) -> tuple[str, ...]:
        """The other decoders for what is open; the set that this one's training began with comes first."""
        start = (entry.card.fields.get("training") or {}).get("started_from")
        others = [name for name in self._session.setup.decoder_names if name != entry.card.name]
        return tuple(sorted(others, key=lambda name: name != start))

    def can_compare(self, entry: LibrarySet) -> bool:
        """Whether decoding with this set and another one would start now."""
        session = self._session
        is_free = not (session.restoration.is_busy or session.is_opening or self._comparing.is_running)
        is_open = session.measurement is not None and self._workshop.suitability(entry).is_usable
        return is_open and is_free and bool(self.of(entry))

    def compare(self, entry: LibrarySet, rival: str) -> None:
        """Decodes what is open with a set and with another decoder, and puts the two results side by side."""
        comparing = self._comparing
        if rival not in self.of(entry) or not self.can_compare(entry):
            return
        pair = (entry.card.name, rival)
        for name in self._session.setup.decoder_names:
            comparing.tick(name, name in pair)
        comparing.decode()
        self._pair = pair
        self._looking.set_mode("compare")

    def _show_pair(self) -> None:
        """Shows the two results once they are there."""
        comparing, pair = self._comparing, self._pair
        if pair is None or comparing.is_running:
            return
        self._pair = None
        found = {outcome.name: outcome.result for outcome in comparing.progress.outcomes}
        if None not in (found.get(pair[0]), found.get(pair[1])):
            comparing.choose(left=found[pair[0]], right=found[pair[1]])
