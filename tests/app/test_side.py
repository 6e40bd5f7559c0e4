"""The column beside the pictures: its size is the user's, and the spectra may have a window of their own."""

from __future__ import annotations

from PySide6.QtWidgets import QApplication

from app.main_window import MainWindow


def test_the_spectra_have_a_window_of_their_own_until_it_is_closed(qtbot, decoded, show):
    window = show(decoded)
    side, spectrum = window.restoration.side, window.spectrum
    window.actions_["undock"].trigger()
    own = spectrum.window()
    assert own is not window and own.isVisible() and side.indexOf(spectrum) == -1
    decoded.looking.select_pixel((3, 4))
    assert "x 4, y 3" in spectrum.where.text()  # it follows as before
    own.close()
    assert spectrum.window() is window and side.indexOf(spectrum) == 0 and spectrum.isVisible()
    assert not window.actions_["undock"].isChecked()
    window.actions_["undock"].trigger()
    window.parts.shelf.clear()  # nothing that was not exported
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert not spectrum.isVisible()


def test_the_columns_are_as_wide_as_they_were_left(qtbot, decoded, show):
    window = show(decoded)
    assert window.restoration.sizes()[1] == 360
    window.restoration.setSizes([500, 520])
    window.restoration.splitterMoved.emit(500, 1)  # as a mouse does it
    window.restoration.side.setSizes([500, 300])
    QApplication.processEvents()  # the bars have their height
    sizes = window.restoration.sizes(), window.restoration.side.sizes()
    decoded.memory.remember_window("", window.restoration.state())
    again = show(decoded)
    assert sizes[0][1] > 400
    qtbot.waitUntil(lambda: (again.restoration.sizes(), again.restoration.side.sizes()) == sizes)


def test_sizes_that_are_none_are_passed_over(qtbot, make_parts):
    parts = make_parts()
    parts.memory.remember_window("", "no,sizes,at all")
    window = MainWindow(parts)
    qtbot.addWidget(window)
    window.show()
    assert window.restoration.side.width() >= 300
