"""The full page of the adapter sets: the library, a set's card and files, and what it changes by stage and layer."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from lorun_engine.library.sets import LibrarySet
from lorun_engine.task import TASKS

from ..assembly import Parts
from ..document.set_facts import facts, origin
from ..document.workshop import Notice, Workshop
from ..quantities import breakable
from ..widgets import theme
from ..widgets.keys import claim
from ..widgets.labels import set_look
from ..widgets.page import Page
from ..widgets.theme import Recolours
from .changes import HeatMap, MatrixWall, layer_words

COLUMNS = ("Set", "Fits what is open", "Origin", "Parameters", "Stages", "Date")
CARD_WIDTH = 320  # px
LEAST_ROWS, MOST_ROWS = 3, 8  # of the library before it scrolls
ROW_HEIGHT, ROOMY = 26, 720  # px of a row; of a page that has room for all of them
NOTE_HEIGHT = 56  # px
_OWN = "Sets that came with LoRun stay as they are. Export it and import the copy under another name to change it."


class AdaptersPage(Page):
    """Library above; below it the card of the set that is looked at, its heat map, and one layer of it."""

    import_requested = Signal()
    export_requested = Signal(object)  # LibrarySet

    def __init__(self, parts: Parts) -> None:
        super().__init__("Adapter sets", name="Adapter sets", help_page="adapters")
        self._workshop = parts.workshop
        self.bring = QPushButton("Import…")
        self.bring.setToolTip("A set from a file; or drop the file on the window")
        self.bring.clicked.connect(self.import_requested)
        self.add_button(self.bring)
        self.notice = NoticeBar(self._workshop)
        self.library = LibraryList(parts)
        self.card = SetCard(parts)
        self.card.export_requested.connect(self.export_requested)
        self.card.compared.connect(self.closed)
        self.changes = ChangesView(self._workshop)
        below = QHBoxLayout()
        below.setSpacing(theme.GRID)
        below.addWidget(self.card)
        below.addWidget(self.changes, 1)
        self.column.addWidget(self.notice)
        self.column.addWidget(self.library)
        self.column.addLayout(below, 1)

    def showEvent(self, event: QShowEvent) -> None:
        """Only while the page is seen, sets are read to know what they change and whether they fit."""
        super().showEvent(event)
        self._workshop.refresh()
        self._workshop.assess()
        self._workshop.inspect()
        self.library.tree.setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A low window keeps room for what a set changes."""
        super().resizeEvent(event)
        self.library.show_rows(most=MOST_ROWS if self.height() >= ROOMY else LEAST_ROWS)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._workshop.assess(wanted=False)


class NoticeBar(QFrame):
    """What came of the last thing that was asked for, with a way on where there is one."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__()
        self.setObjectName("card")
        self._workshop = workshop
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setAccessibleDescription("Result")
        self.offer = QPushButton()
        self.offer.clicked.connect(self._take_offer)
        self.close_button = QPushButton("Dismiss")
        self.close_button.clicked.connect(workshop.dismiss)
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 6, 6, 6)
        line.addWidget(self.sentence, 1)
        line.addWidget(self.offer)
        line.addWidget(self.close_button)
        workshop.noticed.connect(self._show)
        self._show()

    def _take_offer(self) -> None:
        notice = self._workshop.notice
        if notice is not None and notice.offer is not None:
            notice.offer()

    def _show(self) -> None:
        notice = self._workshop.notice
        self.setVisible(notice is not None)
        notice = notice or Notice("")
        set_look(self.sentence, notice.sentence, notice.look)
        self.offer.setText(notice.offered)
        self.offer.setAccessibleName(notice.offered or "What can be done about it")
        self.offer.setVisible(bool(notice.offered))


class LibraryList(Recolours, QWidget):
    """All sets grouped by task; Return or a double click takes the set that is looked at."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self._workshop = parts.workshop
        self._items: dict[Path, QTreeWidgetItem] = {}
        self._most_rows = MOST_ROWS
        frame, column = theme.card("")
        frame.setAccessibleName("Library")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)
        self.tree = QTreeWidget()
        self.tree.setAccessibleName("Adapter sets of the library")
        self.tree.setHeaderLabels(COLUMNS)
        self.tree.setRootIsDecorated(False)
        self.tree.setItemsExpandable(False)
        self.tree.setIndentation(12)
        self.tree.setAllColumnsShowFocus(True)
        self.tree.setUniformRowHeights(True)
        self.tree.setObjectName("library")
        self.tree.setFont(theme.tabular(self.font()))
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        for place in range(len(COLUMNS)):
            header.setSectionResizeMode(place, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        for place in (3, 4):
            self.tree.headerItem().setTextAlignment(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.nothing = QLabel("No adapter sets yet. Import one, or adapt one to your data.")
        self.nothing.setObjectName("dim")
        column.addWidget(self.tree)
        column.addWidget(self.nothing)
        self.tree.currentItemChanged.connect(lambda now, _: self._look_at(now))
        self.tree.itemActivated.connect(lambda item, _: self._take(item))
        workshop = self._workshop
        workshop.listed.connect(self.refresh)
        for changed in (workshop.assessed, parts.setup.adapting_changed, parts.session.restoration_changed):
            changed.connect(self._show_fits)
        workshop.inspected.connect(self._mark_shown)
        self.refresh()

    def recolour(self) -> None:
        """Writes the headings of the tasks in grey."""
        self.refresh()

    def refresh(self) -> None:
        """Lists the sets anew."""
        sets = self._workshop.sets
        with QSignalBlocker(self.tree):
            self.tree.clear()
            self._items = {}
            for task in [*TASKS, *sorted({entry.card.task for entry in sets} - set(TASKS))]:
                of_task = [entry for entry in sets if entry.card.task == task]
                if not of_task:
                    continue
                group = QTreeWidgetItem([TASKS[task].title if task in TASKS else task])
                group.setFlags(Qt.ItemFlag.ItemIsEnabled)
                group.setForeground(0, self.palette().placeholderText())
                self.tree.addTopLevelItem(group)
                group.setFirstColumnSpanned(True)
                self._bold(group, True)
                for entry in of_task:
                    group.addChild(self._item(entry))
            for entry in self._workshop.unreadable:
                item = QTreeWidgetItem([entry.name, entry.reason])
                item.setFlags(Qt.ItemFlag.ItemIsEnabled)
                item.setForeground(0, self.palette().placeholderText())
                item.setToolTip(1, entry.reason)
                self.tree.addTopLevelItem(item)
            self.tree.expandAll()
        self.show_rows()
        is_empty = not self.tree.topLevelItemCount()
        self.tree.setVisible(not is_empty)
        self.nothing.setVisible(is_empty)
        self._show_fits()
        self._mark_shown()

    def show_rows(self, most: int | None = None) -> None:
        """Takes the room that the sets need, up to that for `most` rows (as before unless given)."""
        self._most_rows = self._most_rows if most is None else most
        num_rows = len(self._items) + self.tree.topLevelItemCount()
        header_height = self.tree.header().sizeHint().height()
        self.tree.setFixedHeight(header_height + max(LEAST_ROWS, min(num_rows, self._most_rows)) * ROW_HEIGHT)

    def _item(self, entry: LibrarySet) -> QTreeWidgetItem:
        fields = entry.card.fields
        item = QTreeWidgetItem(
            [
                entry.card.name,
                "",
                origin(entry),
                f"{fields.get('num_parameters', 0):,}",
                str(fields.get("stages", "")),
                date.fromtimestamp(entry.modified).isoformat(),
            ]
        )
        item.setData(0, Qt.ItemDataRole.UserRole, str(entry.card.path))
        item.setToolTip(0, str(entry.card.path))
        for place in (3, 4):
            item.setTextAlignment(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._items[entry.card.path] = item
        return item

    def _show_fits(self) -> None:
        for entry in self._workshop.sets:
            item = self._items.get(entry.card.path)
            if item is None:
                continue
            suitability, is_chosen = self._workshop.suitability(entry), self._workshop.is_chosen(entry)
            in_use = f"In use{self._parts.setup.adapting.words}. " if is_chosen else ""
            is_known = self._session.measurement is not None or not suitability.is_usable
            words = in_use + (suitability.sentence if is_known else "")
            item.setText(1, words)
            item.setToolTip(1, words)
            self._bold(item, is_chosen)

    def _mark_shown(self) -> None:
        shown = self._workshop.shown
        item = None if shown is None else self._items.get(shown.card.path)
        if item is not None and item is not self.tree.currentItem():
            with QSignalBlocker(self.tree):
                self.tree.setCurrentItem(item)

    def _entry(self, item: QTreeWidgetItem | None) -> LibrarySet | None:
        path = None if item is None else item.data(0, Qt.ItemDataRole.UserRole)
        return next((entry for entry in self._workshop.sets if str(entry.card.path) == path), None)

    def _look_at(self, item: QTreeWidgetItem | None) -> None:
        if entry := self._entry(item):
            self._workshop.show(entry)

    def _take(self, item: QTreeWidgetItem) -> None:
        entry = self._entry(item)
        if entry is not None and can_switch(self._parts, entry):
            self._parts.setup.switch_decoder(entry.card.name)

    @staticmethod
    def _bold(item: QTreeWidgetItem, is_bold: bool) -> None:
        font = item.font(0)
        font.setBold(is_bold)
        item.setFont(0, font)


class SetCard(QWidget):
    """What the card of the set says, and what can be done with the set."""

    export_requested = Signal(object)  # LibrarySet
    compared = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._workshop, self._rivals = parts, parts.workshop, parts.rivals
        self._shown: tuple[Path, str] | None = None
        self._facts_of: LibrarySet | None = None
        self.setFixedWidth(CARD_WIDTH)
        frame, column = theme.card("")
        frame.setAccessibleName("Card of the set")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)
        self._make_name(column)
        self.fit = QLabel()
        self.fit.setWordWrap(True)
        self.fit.setAccessibleDescription("Whether the set fits")
        column.addWidget(self.fit)
        self.use = QPushButton("Use this set")
        self.use.setObjectName("primary")
        self.use.clicked.connect(lambda: parts.setup.switch_decoder(self._workshop.shown.card.name))
        column.addWidget(self.use)
        self._facts = QWidget()
        self._facts.setObjectName("column")
        area = QScrollArea()
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # what is in it takes the focus, and comes into sight
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self._facts)
        area.setAccessibleName("What the card says")
        self._area = area
        column.addWidget(area, 1)
        self._make_note(column)
        self._make_buttons(column)
        workshop = self._workshop
        for changed in (workshop.inspected, workshop.listed):
            changed.connect(self._show)
        for changed in (workshop.assessed, parts.session.restoration_changed):
            changed.connect(self._show_fit)
        self._show()

    def _make_name(self, column: QVBoxLayout) -> None:
        self.name = QLabel()
        self.name.setObjectName("heading")
        self.name.setWordWrap(True)
        self.renaming = QLineEdit()
        self.renaming.setAccessibleName("New name of the set")
        self.renaming.hide()
        self.renaming.returnPressed.connect(self._rename)
        claim(self.renaming, {Qt.Key.Key_Escape: self._end_renaming})
        self.rename = QPushButton("Rename")
        self.rename.clicked.connect(self._ask_name)
        line = QHBoxLayout()
        line.addWidget(self.name, 1)
        line.addWidget(self.renaming, 1)
        line.addWidget(self.rename)
        column.addLayout(line)

    def _make_note(self, column: QVBoxLayout) -> None:
        self.note = QPlainTextEdit()
        self.note.setAccessibleName("Note")
        self.note.setObjectName("note")
        self.note.setPlaceholderText("A note: which camera, what it is good for")
        self.note.setFixedHeight(NOTE_HEIGHT)
        self.note.setTabChangesFocus(True)
        self.keep_note = QPushButton("Save note")
        self.keep_note.clicked.connect(lambda: self._workshop.annotate(self._workshop.shown, self.note.toPlainText()))
        self.note.textChanged.connect(self._show_note_button)
        column.addWidget(self.note)
        column.addWidget(self.keep_note)

    def _make_buttons(self, column: QVBoxLayout) -> None:
        workshop = self._workshop
        self.compare = QPushButton("Compare with…")
        self.verify = QPushButton("Verify")
        self.export = QPushButton("Export…")
        self.trash = QPushButton("Move to trash")
        self.rivals = QMenu(self)
        self.rivals.aboutToShow.connect(self._list_rivals)
        self.compare.setMenu(self.rivals)
        self.compare.setToolTip("Decode what is open with this set and another, side by side")
        self.verify.clicked.connect(lambda: workshop.verify(workshop.shown))
        self.export.clicked.connect(lambda: self.export_requested.emit(workshop.shown))
        self.trash.clicked.connect(lambda: workshop.trash(workshop.shown))
        self.verify.setToolTip("Read the set and its backbone and check both against their hashes")
        self.export.setToolTip("The set and its backbone, in a folder for somebody else")
        grid = QGridLayout()
        grid.setSpacing(theme.GRID)
        for place, button in enumerate((self.compare, self.verify, self.export, self.trash)):
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            grid.addWidget(button, place // 2, place % 2)
        column.addLayout(grid)

    def _show(self) -> None:
        entry = self._workshop.shown
        self.setVisible(entry is not None)
        if entry is None:
            return
        key = (entry.card.path, entry.card.fields.get("note", ""))
        if key != self._shown:  # what is being written survives that the library is listed again
            self._shown = key
            self._end_renaming()
            with QSignalBlocker(self.note):
                self.note.setPlainText(entry.card.fields.get("note", ""))
        self.name.setText(breakable(entry.card.name))
        for widget in (self.rename, self.trash):
            widget.setEnabled(not entry.is_shipped)
            widget.setToolTip(_OWN if entry.is_shipped else "")
        self.note.setVisible(not entry.is_shipped)
        self._show_note_button()
        if entry != self._facts_of:
            self._facts_of = entry
            self._show_facts(entry)
        self._show_fit()

    def _show_facts(self, entry: LibrarySet) -> None:
        self._facts.deleteLater()
        self._facts = QWidget()
        self._facts.setObjectName("column")
        grid = QGridLayout(self._facts)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for row, (name, words) in enumerate(facts(entry).items()):
            label, value = QLabel(name), QLabel(breakable(words))
            label.setObjectName("dim")
            value.setWordWrap(True)
            value.setFont(theme.tabular(value.font()))
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1, Qt.AlignmentFlag.AlignTop)
        grid.setRowStretch(grid.rowCount(), 1)
        self._area.setWidget(self._facts)

    def _show_fit(self) -> None:
        entry = self._workshop.shown
        if entry is None:
            return
        suitability, is_chosen = self._workshop.suitability(entry), self._workshop.is_chosen(entry)
        set_look(self.fit, suitability.sentence, suitability.look)
        self.use.setText("In use" if is_chosen else "Use this set")
        self.use.setEnabled(can_switch(self._parts, entry))
        self.compare.setEnabled(self._rivals.can_compare(entry))

    def _list_rivals(self) -> None:
        self.rivals.clear()
        for name in self._rivals.of(self._workshop.shown):
            self.rivals.addAction(name, lambda name=name: self._compare(name))

    def _compare(self, rival: str) -> None:
        self._rivals.compare(self._workshop.shown, rival)
        self.compared.emit()

    def _show_note_button(self) -> None:
        entry = self._workshop.shown
        is_new = entry is not None and self.note.toPlainText().strip() != entry.card.fields.get("note", "")
        self.keep_note.setVisible(is_new and not entry.is_shipped)

    def _ask_name(self) -> None:
        if self.renaming.isVisible():
            self._rename()
            return
        self.renaming.setText(self._workshop.shown.card.name)
        self.renaming.show()
        self.name.hide()
        self.renaming.selectAll()
        self.renaming.setFocus()

    def _rename(self) -> None:
        self._workshop.rename(self._workshop.shown, self.renaming.text())
        self._end_renaming()

    def _end_renaming(self) -> None:
        """Leaves the name as it is."""
        self.renaming.hide()
        self.name.show()


class ChangesView(QWidget):
    """The heat map of the set, and beside it the layer that is chosen in it."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__()
        self._workshop = workshop
        self.heat_map = HeatMap()
        self.heat_map.layer_chosen.connect(workshop.select_layer)
        self.wall = MatrixWall()
        self.state = QLabel()
        self.state.setObjectName("dim")
        self.state.setWordWrap(True)
        left, left_column = theme.card("How much every stage changes")
        left_column.addWidget(self.state)
        left_column.addWidget(self.heat_map, 1)
        right, right_column = theme.card("")
        right.setAccessibleName("Change of the layer")
        self.heading = QLabel()
        self.heading.setObjectName("heading")
        self.heading.setWordWrap(True)
        self.kind = QLabel()
        self.kind.setObjectName("dim")
        self.kind.setWordWrap(True)
        right_column.addWidget(self.heading)
        right_column.addWidget(self.kind)
        right_column.addWidget(self.wall, 1)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme.GRID)
        line.addWidget(left, 5)
        line.addWidget(right, 3)
        self._right = right
        workshop.inspected.connect(self._show_table)
        workshop.layer_changed.connect(self._show_layer)
        self._show_table()
        self._show_layer()

    def _show_table(self) -> None:
        workshop = self._workshop
        table = workshop.table
        self.setVisible(workshop.shown is not None)
        if workshop.trouble:
            set_look(self.state, workshop.trouble, "warn")
        elif table is None:
            set_look(self.state, "Reading the set…", "dim")
        elif not table.layers:
            set_look(self.state, "This set has no adapters: all stages run the same backbone.", "dim")
        else:
            set_look(self.state, "", "dim")
        if self.heat_map.model.table is not table:
            self.heat_map.show_table(table if table is not None and table.layers else None)
            self.heat_map.show_layer(workshop.layer)
        self.heat_map.setVisible(table is not None and bool(table.layers))

    def _show_layer(self) -> None:
        workshop = self._workshop
        layer = workshop.layer
        self._right.setVisible(layer is not None)
        if layer is None:
            self.wall.show_changes(())
            return
        self.heading.setText(layer_words(layer))
        self.heading.setToolTip(layer)
        at = workshop.table.layers.index(layer)
        change = workshop.changes[0].shape if workshop.changes and workshop.changes[0] is not None else None
        size = "" if change is None else f", {change[0]} × {change[1]}"
        rank = workshop.table.ranks[at]
        self.kind.setText(f"ΔW = A·B of rank {rank}{size}" if rank else f"ΔW, stored in full{size}")
        self.heat_map.show_layer(layer)
        if workshop.changes:
            self.wall.show_changes(workshop.changes)


def can_switch(parts: Parts, entry: LibrarySet) -> bool:
    """Whether one may switch to this set now."""
    workshop = parts.workshop
    is_free = parts.setup.is_engine_loaded and not parts.session.restoration.is_busy
    return is_free and workshop.suitability(entry).is_usable and not workshop.is_chosen(entry)
