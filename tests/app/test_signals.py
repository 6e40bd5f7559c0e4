"""Ten thousand emits of a signal: some PySide6 builds lose a reference at each and abort the process."""

import subprocess
import sys

EMIT_OFTEN = """
from PySide6.QtCore import QObject, Signal

class Sender(QObject):
    sent = Signal(int)

received = []
sender = Sender()
sender.sent.connect(received.append)
for number in range(10_000):
    sender.sent.emit(number)
assert received == list(range(10_000))
"""


def test_ten_thousand_emits_leave_the_process_alive():
    finished = subprocess.run([sys.executable, "-c", EMIT_OFTEN], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
