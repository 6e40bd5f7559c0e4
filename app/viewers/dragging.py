"""What is dragged out of the window by its name: pictures as an image and a file, curves as a table."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QMimeData, QObject, Qt, QUrl
from PySide6.QtGui import QDrag, QImage, QMouseEvent, QPixmap
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from ..document.drawn import Drawn
from ..document.exports import Exports

PREVIEW = 160  # px of the picture that follows the mouse


def picture_mime(drawn: Drawn, exports: Exports) -> QMimeData:
    """A picture for programs that take one, and as a file for those that take files."""
    mime = QMimeData()
    mime.setImageData(drawn.image)
    mime.setUrls([QUrl.fromLocalFile(str(exports.temporary_picture(drawn)))])
    return mime


def table_mime(text: str) -> QMimeData:
    """A table as text and as CSV."""
    mime = QMimeData()
    mime.setText(text)
    mime.setData("text/csv", text.encode())
    return mime


def make_draggable(label: QLabel, mime: Callable[[], QMimeData | None], hint: str) -> None:
    """Lets what a label names be dragged out of the window by the label."""
    label.setCursor(Qt.CursorShape.OpenHandCursor)
    label.setToolTip(hint)
    _Handle(label, mime)


class _Handle(QObject):
    """Watches the mouse on a label and begins the drag."""

    def __init__(self, label: QLabel, mime: Callable[[], QMimeData | None]) -> None:
        super().__init__(label)
        self._mime, self._pressed = mime, None
        label.installEventFilter(self)

    def eventFilter(self, label: QWidget, event) -> bool:
        if not isinstance(event, QMouseEvent):
            return False
        if event.type() == event.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position()
        elif event.type() == event.Type.MouseMove and self._pressed is not None:
            if (event.position() - self._pressed).manhattanLength() >= QApplication.startDragDistance():
                self._pressed = None
                begin_drag(label, self._mime())
        elif event.type() == event.Type.MouseButtonRelease:
            self._pressed = None
        else:
            return False
        return True


def begin_drag(source: QWidget, mime: QMimeData | None) -> None:
    """Drags something; nothing begins where there is nothing."""
    if mime is None:
        return
    drag = QDrag(source)
    drag.setMimeData(mime)
    if mime.hasImage():
        small = QImage(mime.imageData()).scaled(PREVIEW, PREVIEW, Qt.AspectRatioMode.KeepAspectRatio)
        drag.setPixmap(QPixmap.fromImage(small))
    drag.exec(Qt.DropAction.CopyAction)
