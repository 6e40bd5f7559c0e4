"""The column beside the pictures: two panels, as wide and as high as the user wants, the upper one also on its own."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QAction, QCloseEvent, QResizeEvent
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from . import theme

LEAST_WIDTHS = (440, 300)  # px, of the pictures and of the column
LEAST_HEIGHT = 200  # px of the lower panel
SHARES = (4, 5)  # of the height, at first


class SideBySide(QSplitter):
    """`centre` takes what room there is; `upper` and `lower` stand in a column whose borders are dragged.

    `undock` lets the upper panel have a window of its own, which closing brings back.
    """

    def __init__(self, centre: QWidget, upper: QWidget, lower: QWidget, *, name: str) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.side = QSplitter(Qt.Orientation.Vertical)
        self._is_sized = False  # by the user, now or in an earlier run
        lower.setMinimumHeight(LEAST_HEIGHT)
        self.splitterMoved.connect(self._take_size)
        self.side.splitterMoved.connect(self._take_size)
        self._upper = upper
        self._window: _OwnWindow | None = None
        for splitter, panels in ((self.side, (upper, lower)), (self, (centre, self.side))):
            splitter.setChildrenCollapsible(False)
            for panel in panels:
                splitter.addWidget(panel)
        for panel, width in zip((centre, self.side), LEAST_WIDTHS, strict=True):
            panel.setMinimumWidth(width)
        self.side.setHandleWidth(theme.GRID)
        self.setHandleWidth(2 * theme.GRID)
        for index, share in enumerate(SHARES):
            self.side.setStretchFactor(index, share)
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 0)
        self.undock = QAction(f"{name} in a window", self, checkable=True)
        self.undock.setStatusTip(f"{name} on their own, as large as you like")
        self.undock.toggled.connect(self._move_upper)

    def state(self) -> str:
        """The sizes that the user gave the panels, for `restore`."""
        return ",".join(bytes(splitter.saveState().toHex()).decode() for splitter in (self, self.side))

    def restore(self, state: str) -> None:
        """Takes sizes of an earlier run; what is none is passed over."""
        for splitter, part in zip((self, self.side), state.split(","), strict=False):
            is_taken = splitter.restoreState(QByteArray.fromHex(part.encode()))
            self._is_sized = self._is_sized or is_taken

    def close_windows(self) -> None:
        """Brings the panel back, as when the main window closes."""
        self.undock.setChecked(False)

    def show_side(self, is_shown: bool) -> None:
        """Shows the column, or hides it."""
        self.side.setVisible(is_shown)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _take_size(self) -> None:
        self._is_sized = True

    def _fit(self) -> None:
        """Makes column and panels as large as the design has them, where the user has not chosen."""
        if not self._is_sized and not self.side.isHidden():
            self.setSizes([max(self.width() - self.handleWidth() - theme.RIGHT_WIDTH, 1), theme.RIGHT_WIDTH])
            self.side.setSizes([share * self.height() for share in SHARES])

    def _move_upper(self, is_out: bool) -> None:
        if is_out:
            self._window = _OwnWindow(self._upper, self.undock, self.window())
            self._window.show()
        elif self._window is not None:
            window, self._window = self._window, None
            self.side.insertWidget(0, self._upper)
            self._upper.show()
            window.close()
            window.deleteLater()


class _OwnWindow(QWidget):
    """A window around a panel; it is closed by the action that opened it, or closes that."""

    def __init__(self, panel: QWidget, action: QAction, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self._action = action
        self.setWindowTitle(f"{action.text().partition(' in ')[0]} – LoRun")
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.GRID, theme.GRID, theme.GRID, theme.GRID)
        size = panel.size()
        column.addWidget(panel)
        self.resize(max(size.width(), 640), max(size.height(), 420))

    def closeEvent(self, event: QCloseEvent) -> None:
        event.accept()
        self._action.setChecked(False)
