"""The report that the window writes: the figures of the store, the words of the cards, what was measured in places."""

from __future__ import annotations

import hashlib
import re

import pytest

from app.quantities import number


def written(qtbot, parts, path) -> str:
    with qtbot.waitSignal(parts.exports.exported):
        parts.report.export(path)
    return path.read_text(encoding="utf-8")


def test_the_report_has_the_figures_of_the_store_and_the_verdict_of_the_card(qtbot, decoded, snapshot, show, tmp_path):
    window = show(decoded)
    page = written(qtbot, decoded, tmp_path / "report.html")
    for row in decoded.session.stages.rows():
        figures = (row.residual, row.metrics["psnr"], row.metrics["ssim"], row.metrics["sam"])
        assert all(f'<td class="number">{number(figure)}</td>' in page for figure in figures)
    assert f">{window.parts.checking.newest.look()[0]}<" in page
    assert hashlib.sha256(snapshot.read_bytes()).hexdigest() in page
    assert (
        "lorun restore" in page and "--adapter fake" in page and "<title>snapshot.h5, decoded by fake</title>" in page
    )
    assert not re.search(r"https?:|<script|<link", page)


def test_pinned_pixel_points_and_regions_have_a_curve_each(qtbot, decoded, tmp_path):
    decoded.looking.select_pixel((3, 4))
    decoded.looking.select_stage(2)
    decoded.regions.add("point", [(5, 6)])
    decoded.regions.add("rectangle", [(2, 2), (10, 9)])
    page = written(qtbot, decoded, tmp_path / "report.html")
    assert page.count("<svg") == 3
    for caption in ("Pinned pixel: x 4 y 3", "1 point: x 6 y 5", "2 rectangle: x 2 to 8 y 2 to 9, mean of 56 pixels"):
        assert f'aria-label="{caption}"' in page
    assert page.count("</span>stage 2") == page.count("</span>stage 5") == page.count("</span>reference") == 3


def test_rows_of_a_photograph_have_curves_and_boxes_their_figures(qtbot, decode_photograph, low_resolution, tmp_path):
    parts = decode_photograph(low_resolution, "sr")
    parts.regions.add("point", [(5, 6)])
    parts.regions.add("rectangle", [(0, 0), (12, 12)])
    page = written(qtbot, parts, tmp_path / "report.html")
    assert page.count("<svg") == 1 and "2 zoom box: x 0 to 11 y 0 to 11" in page


def test_a_decode_that_was_cancelled_is_called_partial(qtbot, opened, fake, gate_type, tmp_path):
    gate = fake.gate = gate_type(at=3)
    opened.session.restore()
    qtbot.waitUntil(gate.is_reached.is_set)
    opened.session.cancel()
    with qtbot.waitSignal(opened.lanes.idle):
        gate.is_open.set()
    page = written(qtbot, opened, tmp_path / "report.html")
    assert "of 5: the result is partial" in page


@pytest.mark.parametrize("name", ["snapshot.h5", "report.txt"])
def test_neither_an_input_nor_a_name_of_another_kind_is_written(qtbot, decoded, snapshot, tmp_path, name):
    before, problems = snapshot.read_bytes(), []
    decoded.lanes.problem_raised.connect(problems.append)
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.report.export(tmp_path / name)
    assert len(problems) == 1 and snapshot.read_bytes() == before and not (tmp_path / "report.txt").exists()
