"""The help in a window of its own: a search, the pages, and the page that is read. Nothing is fetched from the web."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from PySide6.QtCore import QRect, QSize, Qt, QUrl
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QImage,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPalette,
    QResizeEvent,
    QShortcut,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFrameFormat,
    QTextTable,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTextBrowser,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from ..assembly import Parts
from ..document.help import FIRST, HelpPage, Hit, load_pages, search
from ..resources import resource_path
from ..widgets import theme
from ..widgets.page import HELP
from .shortcuts import shortcuts_page

SIZE = (1080, 720)
LIST_WIDTH = 280
TEXT_WIDTH = 720  # px that a line is long at most
MARGIN = 3 * theme.GRID
HIT = Qt.ItemDataRole.UserRole
LINE_HEIGHT = 125  # %
HEADINGS = {1: (0, 1.6), 2: (3 * theme.GRID, 1.25), 3: (2 * theme.GRID, 1.05)}  # level: px above, times the font
HIT_ALPHA, WORD_ALPHA = 36, 90  # of 255
IMAGE_SIGN = "\ufffc"  # stands in a document where a picture is


class HelpWindow(QWidget):
    """Not modal: it stays open beside the work. Everything in it can be done by keyboard."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Help – LoRun")
        self.setObjectName("help")
        self.setAutoFillBackground(True)
        self.resize(*SIZE)
        self.pages = load_pages(resource_path("help"), {"shortcuts": shortcuts_page()})
        self.reader = HelpReader(self.pages)
        self.field = _Field(self)
        self.contents = _list_named("Pages of the help")
        self.contents.setObjectName("pages")
        self.hits = _list_named("Places found in the help")
        self.hits.setItemDelegate(_TwoLines(self.hits))
        self.none = QLabel("Nothing found. Fewer or shorter words find more.")
        self.none.setObjectName("dim")
        self.none.setWordWrap(True)
        self.none.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.none.setContentsMargins(theme.GRID, theme.GRID, theme.GRID, 0)
        for name, page in self.pages.items():
            item = QListWidgetItem(page.title)
            item.setData(HIT, name)
            self.contents.addItem(item)
        self._make_buttons()
        self._lay_out()
        self._connect()
        self.open(FIRST)

    def open(self, name: str) -> None:
        """Shows a page, with nothing searched; the first one for a name that is none."""
        self.field.clear()
        self.reader.open(name if name in self.pages else FIRST)

    def open_for(self, name: str) -> None:
        """Brings the window to the front with a page, ready to search."""
        self.open(name)
        self.show()
        self.raise_()
        self.activateWindow()
        self.field.setFocus()

    # ---- making --------------------------------------------------------------------------------------------------

    def _make_buttons(self) -> None:
        self.back, self.forward = QPushButton("Back"), QPushButton("Forward")
        for button, key, verb, is_there in (
            (self.back, QKeySequence.StandardKey.Back, self.reader.backward, self.reader.backwardAvailable),
            (self.forward, QKeySequence.StandardKey.Forward, self.reader.forward, self.reader.forwardAvailable),
        ):
            button.setEnabled(False)
            button.setToolTip(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText))
            button.clicked.connect(verb)
            is_there.connect(button.setEnabled)
            QShortcut(QKeySequence(key), self, verb)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self, self.field.take_focus)

    def _lay_out(self) -> None:
        self.left = QStackedWidget()
        for widget in (self.contents, self.hits, self.none):
            self.left.addWidget(widget)
        frames = []
        for widget in (self.left, self.reader):
            frame, column = theme.card("")
            column.setContentsMargins(theme.GRID // 2, theme.GRID // 2, theme.GRID // 2, theme.GRID // 2)
            column.addWidget(widget)
            frames.append(frame)
        splitter = QSplitter()
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(theme.GRID)
        for frame in frames:
            splitter.addWidget(frame)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([LIST_WIDTH, SIZE[0] - LIST_WIDTH])
        top = QHBoxLayout()
        top.setSpacing(theme.GRID)
        for widget in (self.back, self.forward):
            top.addWidget(widget)
        top.addWidget(self.field, 1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(theme.GRID, theme.GRID, theme.GRID, theme.GRID)
        rows.setSpacing(theme.GRID)
        rows.addLayout(top)
        rows.addWidget(splitter, 1)

    def _connect(self) -> None:
        self.field.textChanged.connect(self._search)
        self.field.returnPressed.connect(self._read_on)
        self.contents.currentItemChanged.connect(lambda item: self.reader.open(item.data(HIT)))
        self.contents.itemClicked.connect(lambda item: self.reader.open(item.data(HIT)))  # also from a place found
        self.contents.itemActivated.connect(lambda _: self.reader.setFocus())
        self.hits.currentItemChanged.connect(lambda item: item and self.reader.show_hit(item.data(HIT)))
        self.hits.itemClicked.connect(lambda item: self.reader.show_hit(item.data(HIT)))
        self.hits.itemActivated.connect(lambda _: self._read_on())
        self.reader.sourceChanged.connect(self._mark_page)

    # ---- searching -----------------------------------------------------------------------------------------------

    def step(self, way: int) -> None:
        """Chooses the next place found, or the next page while nothing is searched; -1 the one before."""
        chosen = self.left.currentWidget()
        if isinstance(chosen, QListWidget):
            chosen.setCurrentRow(min(max(chosen.currentRow() + way, 0), chosen.count() - 1))

    def _search(self, sought: str) -> None:
        found = search(list(self.pages.values()), sought)
        self.hits.clear()
        for hit in found:
            item = QListWidgetItem(_above(hit))
            item.setData(HIT, hit)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{_above(hit)}: {hit.excerpt}")
            self.hits.addItem(item)
        self.reader.mark(sought.lower().split())
        self.left.setCurrentWidget(self.contents if not sought.strip() else self.hits if found else self.none)

    def _read_on(self) -> None:
        """Shows the chosen place, or the first one, and gives the keys to the page."""
        if self.left.currentWidget() is self.hits:
            if self.hits.currentRow() < 0:
                self.hits.setCurrentRow(0)
            self.reader.show_hit(self.hits.currentItem().data(HIT))
        self.reader.setFocus()

    def _mark_page(self, url: QUrl) -> None:
        """Chooses the page that is read in the list of pages."""
        row = list(self.pages).index(page_name(url))
        if self.contents.currentRow() != row:
            self.contents.blockSignals(True)
            self.contents.setCurrentRow(row)
            self.contents.blockSignals(False)

    # ---- Qt ------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape clears the search, then closes."""
        if event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
        elif self.field.text():
            self.field.clear()
            self.field.setFocus()
        else:
            self.close()


class HelpReader(theme.Recolours, QTextBrowser):
    """A page in the colours of the theme, in lines that can be read; links lead to pages only."""

    def __init__(self, pages: dict[str, HelpPage]) -> None:
        super().__init__()
        self._pages = pages
        self._pictures: dict[str, QImage] = {}
        self._sought: Sequence[str] = ()
        self._hit: Hit | None = None
        self.setAccessibleName("Page of the help")
        self.setObjectName("help")
        self.setFrameShape(QTextBrowser.Shape.NoFrame)
        self.setOpenExternalLinks(False)
        self._folder = QUrl.fromLocalFile(str(resource_path("help")) + "/")

    @property
    def page(self) -> HelpPage:
        """The one that is shown."""
        return self._pages[page_name(self.source())]

    def open(self, name: str) -> None:
        """Shows a page from its top, unless it is shown."""
        if self.source().fileName() != f"{name}.md":
            self._hit = None
            self.setSource(self._folder.resolved(QUrl(f"{name}.md")))

    def show_hit(self, hit: Hit) -> None:
        """Shows the page of a hit, with the place in the middle and all that was sought marked."""
        self.open(hit.page.name)
        self._hit = hit
        self._paint_marks()
        cursor = self._cursor_at(hit.block.start)
        self.setTextCursor(cursor)
        middle = self.cursorRect(cursor).center().y() - self.viewport().height() // 3
        self.verticalScrollBar().setValue(self.verticalScrollBar().value() + middle)

    def mark(self, words: Sequence[str]) -> None:
        """Marks words, in lower case, wherever the page has them."""
        self._sought, self._hit = words, None
        self._paint_marks()

    # ---- Qt ------------------------------------------------------------------------------------------------------

    def doSetSource(self, url: QUrl, kind: QTextDocument.ResourceType) -> None:
        """Follows links, and the history, to pages of the help alone."""
        if page_name(url) in self._pages:
            self.document().setLayoutEnabled(False)  # one layout for the dressed page
            super().doSetSource(url, QTextDocument.ResourceType.MarkdownResource)
            self._dress()
            self.document().setLayoutEnabled(True)
            self._paint_marks()

    def loadResource(self, kind: int, url: QUrl) -> object:
        """Pages of the help, and pictures beside them; nothing else is ever read."""
        if kind == QTextDocument.ResourceType.MarkdownResource.value:
            return self._pages[page_name(url)].text
        return self._picture(url.fileName())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def recolour(self) -> None:
        """Takes the colours of another theme."""
        place = self.verticalScrollBar().value()
        self._dress()
        self._paint_marks()
        self.verticalScrollBar().setValue(place)

    # ---- looks ---------------------------------------------------------------------------------------------------

    def _fit(self) -> None:
        """Keeps lines short enough to be read, and pictures as wide as lines at most."""
        width = min(TEXT_WIDTH, self.viewport().width())
        if width == self.lineWrapColumnOrWidth():
            return
        self.setLineWrapMode(QTextBrowser.LineWrapMode.FixedPixelWidth)
        self.setLineWrapColumnOrWidth(width)
        self._fit_pictures()

    def _picture(self, name: str) -> QImage:
        """A picture beside the pages, read once."""
        if name not in self._pictures:
            self._pictures[name] = QImage(self._folder.resolved(QUrl(name)).toLocalFile())
        return self._pictures[name]

    def _runs(self, wants: Callable[[QTextCharFormat], bool]) -> list[tuple[QTextCursor, QTextCharFormat]]:
        """Every run of characters whose look is wanted, as a selection, with its look."""
        runs = []
        for block in self._text_blocks():
            place = block.begin()
            while not place.atEnd():
                fragment = place.fragment()
                if wants(fragment.charFormat()):
                    cursor = QTextCursor(self.document())
                    cursor.setPosition(fragment.position())
                    cursor.setPosition(fragment.position() + fragment.length(), QTextCursor.MoveMode.KeepAnchor)
                    runs.append((cursor, fragment.charFormat()))
                place += 1
        return runs

    def _text_blocks(self) -> Iterator[QTextBlock]:
        block = self.document().begin()
        while block.isValid():
            yield block
            block = block.next()

    def _dress(self) -> None:
        """Gives what Markdown left plain the sizes, distances and colours of the window."""
        self.document().setUndoRedoEnabled(False)
        self.document().setDocumentMargin(MARGIN)
        editing = QTextCursor(self.document())
        editing.beginEditBlock()
        for cursor, look in self._runs(lambda look: look.isAnchor() or _is_code(look)):
            cursor.mergeCharFormat(_run_look(look))
        for block in self._text_blocks():
            self._dress_block(QTextCursor(block), block)
        for frame in self.document().rootFrame().childFrames():
            if isinstance(frame, QTextTable):
                _dress_table(frame)
        editing.endEditBlock()
        self._fit_pictures()

    def _fit_pictures(self) -> None:
        most = self.lineWrapColumnOrWidth() - 2 * MARGIN
        for cursor, look in self._runs(QTextCharFormat.isImageFormat):
            shape = look.toImageFormat()
            size = self._picture(QUrl(shape.name()).fileName()).size()
            shape.setWidth(min(size.width(), most))
            shape.setHeight(size.height() * shape.width() / max(size.width(), 1))
            cursor.setCharFormat(shape)

    def _dress_block(self, cursor: QTextCursor, block: QTextBlock) -> None:
        shape, change = block.blockFormat(), QTextBlockFormat()
        if level := shape.headingLevel():
            above, size = HEADINGS[level]
            large = QTextCharFormat(cursor.block().begin().fragment().charFormat())
            large.clearProperty(QTextFormat.Property.FontSizeAdjustment)
            large.setFontPointSize(self.font().pointSizeF() * size)
            large.setFontWeight(QFont.Weight.DemiBold)
            cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
            cursor.setCharFormat(large)
            change.setTopMargin(above)
            change.setBottomMargin(theme.GRID)
        elif _is_code(shape):
            change.setBackground(QColor(theme.tokens().background))
            is_last = not _is_code(block.next().blockFormat())
            change.setTopMargin(0)
            change.setBottomMargin(1.5 * theme.GRID if is_last else 0)
        elif cursor.currentTable() is not None:
            change.setTopMargin(0)
            change.setBottomMargin(0)
        else:
            change.setLineHeight(LINE_HEIGHT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
            change.setTopMargin(0)
            change.setBottomMargin(theme.GRID / 2 if block.textList() is not None else theme.GRID)
        cursor.mergeBlockFormat(change)

    def _paint_marks(self) -> None:
        """The block of the hit, and in all of the page what was sought."""
        marks, colour = [], QColor(theme.tokens().accent)
        if self._hit is not None:
            cursor = self._cursor_at(self._hit.block.start)
            marks.append(_mark(cursor, colour, HIT_ALPHA, is_wide=True))
        for word in self._sought:
            cursor = self.document().find(word)
            while not cursor.isNull():
                marks.append(_mark(cursor, colour, WORD_ALPHA))
                cursor = self.document().find(word, cursor)
        self.setExtraSelections(marks)

    def _cursor_at(self, start: int) -> QTextCursor:
        """A cursor before the sign that `start` others, spaces not counted, stand before."""
        shown = self.document().toPlainText()
        signs = (place for place, sign in enumerate(shown) if not sign.isspace() and sign != IMAGE_SIGN)
        cursor = QTextCursor(self.document())
        cursor.setPosition(next(itertools.islice(signs, start, None), 0))
        return cursor


class _Field(QLineEdit):
    """What is sought; the keys that walk through what was found work while it is written in."""

    def __init__(self, window: HelpWindow) -> None:
        super().__init__()
        self._window = window
        self.setPlaceholderText("Search all pages…")
        self.setAccessibleName("Search in the help")
        self.setClearButtonEnabled(True)

    def take_focus(self) -> None:
        """Lets another word be written."""
        self.setFocus()
        self.selectAll()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        ways = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}
        if event.key() in ways:
            self._window.step(ways[event.key()])
        elif event.key() in (Qt.Key.Key_PageDown, Qt.Key.Key_PageUp):
            QApplication.sendEvent(self._window.reader, event)
        else:
            super().keyPressEvent(event)


class _TwoLines(QStyledItemDelegate):
    """Where something was found in the first line, what stands there in two more."""

    def sizeHint(self, option: QStyleOptionViewItem, index) -> QSize:
        return QSize(0, 3 * option.fontMetrics.lineSpacing() + 2 * theme.GRID)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index) -> None:
        own = QStyleOptionViewItem(option)
        self.initStyleOption(own, index)
        own.text = ""
        own.widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, own, painter, own.widget)
        is_chosen = bool(own.state & QStyle.StateFlag.State_Selected)
        text = own.palette.color(QPalette.ColorRole.HighlightedText if is_chosen else QPalette.ColorRole.Text)
        room = own.rect.adjusted(theme.GRID, theme.GRID, -theme.GRID, -theme.GRID)
        above = QRect(room.left(), room.top(), room.width(), own.fontMetrics.lineSpacing())
        painter.save()
        painter.setFont(own.font)
        painter.setPen(text if is_chosen else QColor(theme.tokens().dim))
        words = own.fontMetrics.elidedText(index.data(), Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(above, Qt.AlignmentFlag.AlignVCenter, words)
        painter.setPen(text)
        painter.drawText(room.adjusted(0, above.height(), 0, 0), Qt.TextFlag.TextWordWrap, index.data(HIT).excerpt)
        painter.restore()


def page_for(parts: Parts, *widgets: QWidget | None) -> str:
    """The page that tells of the first of some widgets that one tells of, else of what is looked at in the window."""
    for widget in widgets:
        while widget is not None:
            if name := widget.property(HELP):
                return name
            widget = widget.parentWidget()
    if parts.session.selection.mode == "compare":
        return "compare"
    return FIRST if parts.session.measurement is None else parts.session.measurement.task


def page_name(url: QUrl) -> str:
    """The name of the page that a link leads to."""
    return url.fileName().removesuffix(".md")


def _is_code(look: QTextFormat) -> bool:
    """Whether characters or a block are code."""
    is_fixed = isinstance(look, QTextCharFormat) and look.fontFixedPitch()
    return is_fixed or look.hasProperty(QTextFormat.Property.BlockCodeFence)


def _run_look(look: QTextCharFormat) -> QTextCharFormat:
    """What a link or code has beside its size."""
    change, colours = QTextCharFormat(), theme.tokens()
    if look.isAnchor():
        change.setForeground(QColor(colours.accent))
        change.setFontUnderline(False)
    if _is_code(look):
        fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
        change.setFontFamilies([fixed, "monospace"])
        change.setBackground(QColor(colours.background))
    return change


def _dress_table(table: QTextTable) -> None:
    """Thin lines, and a head that is told from the rows."""
    colours, shape = theme.tokens(), table.format()
    shape.setBorder(1)
    shape.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    shape.setBorderCollapse(True)
    shape.setBorderBrush(QColor(colours.line))
    shape.setCellSpacing(0)
    shape.setCellPadding(5)
    shape.setTopMargin(theme.GRID / 2)
    shape.setBottomMargin(1.5 * theme.GRID)
    table.setFormat(shape)
    bold = QTextCharFormat()
    bold.setFontWeight(QFont.Weight.DemiBold)
    first = table.cellAt(0, 0).firstCursorPosition()
    if first.block().length() == 1 and first.block().next() == table.cellAt(0, 0).lastCursorPosition().block():
        first.deleteChar()  # Qt begins a table with an empty line
    for column in range(table.columns()):
        cell = table.cellAt(0, column)
        head = cell.format()
        head.setBackground(QColor(colours.background))
        cell.setFormat(head)
        words = cell.firstCursorPosition()
        words.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
        words.mergeCharFormat(bold)


def _list_named(name: str) -> QListWidget:
    made = QListWidget()
    made.setObjectName("bare")
    made.setAccessibleName(name)
    made.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    made.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return made


def _above(hit: Hit) -> str:
    """The page of a hit and the heading that it stands under, where that says more."""
    is_said = hit.block.is_heading or hit.block.heading == hit.page.title
    return hit.page.title if is_said else f"{hit.page.title} › {hit.block.heading}"


def _mark(cursor: QTextCursor, colour: QColor, alpha: int, *, is_wide: bool = False) -> QTextEdit.ExtraSelection:
    mark = QTextEdit.ExtraSelection()
    mark.cursor = QTextCursor(cursor)
    tint = QColor(colour)
    tint.setAlpha(alpha)
    mark.format.setBackground(tint)
    if is_wide:
        mark.cursor.movePosition(QTextCursor.MoveOperation.StartOfBlock)
        mark.cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
    return mark
