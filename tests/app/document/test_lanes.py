"""Lanes of slow work: a short job with files is done while a decode runs, and closing waits for all of them."""

from __future__ import annotations


def test_an_export_does_not_wait_for_a_decode(qtbot, opened, fake, gate_type, tmp_path):
    fake.gate = gate = gate_type(at=3)
    opened.session.restore()
    qtbot.waitUntil(gate.is_reached.is_set, timeout=20_000)
    with qtbot.waitSignal(opened.exports.exported, timeout=20_000):
        opened.exports.write(tmp_path / "beside.txt", lambda path: path.write_text("while it decodes"))
    assert opened.session.restoration.state == "running" and opened.lanes.is_busy
    with qtbot.waitSignal(opened.lanes.idle, timeout=20_000):
        gate.is_open.set()
    assert opened.session.restoration.state == "done"


def test_every_lane_says_what_was_asked_of_it_and_is_cancelled(qtbot, opened, fake, gate_type):
    fake.gate = gate = gate_type(at=1)
    opened.session.restore()
    qtbot.waitUntil(gate.is_reached.is_set, timeout=20_000)
    files, aside = gate_type(at=0), gate_type(at=0)
    opened.lanes.run_file(lambda: files(0), doing="writing a file", then=lambda _: None, is_asked_for=True)
    opened.lanes.run_aside(lambda: aside(0), doing="drawing a picture", then=lambda _: None)
    assert opened.lanes.titles() == ["decoding snapshot.h5", "writing a file"]  # nobody asked for the picture
    opened.cancel_all()
    with qtbot.waitSignal(opened.lanes.idle, timeout=20_000):
        for held in (gate, files, aside):
            held.is_open.set()
    assert opened.session.restoration.state == "cancelled" and opened.lanes.titles() == []
