"""Shows a file in the file manager of the system, chosen in its folder where the system can do that."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QProcess, QUrl
from PySide6.QtGui import QDesktopServices

LONGEST_MS = 2000  # that a file manager may take to answer
_SERVICE, _PATH = "org.freedesktop.FileManager1", "/org/freedesktop/FileManager1"


def show_in_folder(path: Path, *, platform: str = sys.platform) -> bool:
    """Opens the folder of a file with the file chosen, or the folder alone; False where nothing could be opened."""
    path = path.absolute()
    if path.exists() and _chosen(path, platform):
        return True
    return QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))


def _chosen(path: Path, platform: str) -> bool:
    """Whether the system's own way showed the file."""
    if platform == "win32":
        process = QProcess()
        process.setProgram("explorer")
        process.setNativeArguments(f'/select,"{path}"')  # type: ignore[attr-defined,unused-ignore]  # on Windows alone
        return bool(process.startDetached()[0])
    if platform == "darwin":
        return bool(QProcess.startDetached("open", ["-R", str(path)])[0])
    return _told(path)


def _told(path: Path) -> bool:
    """Whether a file manager on the session's bus took the file."""
    from PySide6.QtDBus import QDBus, QDBusConnection, QDBusMessage

    bus = QDBusConnection.sessionBus()
    if not bus.isConnected():
        return False
    message = QDBusMessage.createMethodCall(_SERVICE, _PATH, _SERVICE, "ShowItems")
    message.setArguments([[bytes(QUrl.fromLocalFile(str(path)).toEncoded().data()).decode()], ""])
    answer = bus.call(message, QDBus.CallMode.Block, LONGEST_MS)
    return answer.type() == QDBusMessage.MessageType.ReplyMessage
