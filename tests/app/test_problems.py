"""What nobody caught is logged and shown; sentences stay sentences; reports say what we need to know."""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from app import problems
from lorun_engine.errors import FileError


@pytest.fixture(autouse=True)
def hooks(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


def test_a_sentence_stays_one_and_anything_else_is_a_bug_with_details():
    assert problems.explain(FileError("cube.h5 is empty."), doing="opening") == problems.Problem("cube.h5 is empty.")
    try:
        raise KeyError("weights")
    except KeyError as error:
        problem = problems.explain(error, doing="decoding scene3.mat")
    assert problem.is_bug and "while decoding scene3.mat" in problem.sentence
    assert "Traceback" in problem.details and "weights" in problem.details


def test_what_nobody_caught_is_shown_and_logged_in_any_thread(caplog):
    seen = []
    problems.install(seen.append)
    sys.excepthook(ValueError, ValueError("here"), None)
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    assert ["here" in seen[0].details, "ZeroDivisionError" in seen[1].details] == [True, True]
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 2


def test_the_log_is_a_rotating_file_and_a_folder_that_takes_none_is_no_error(tmp_path):
    path = problems.keep_log(tmp_path / "log")
    handler = problems.LOG.handlers[-1]
    try:
        problems.LOG.info("a line")
        assert "a line" in path.read_text(encoding="utf-8") and handler.maxBytes > 0
    finally:
        problems.LOG.removeHandler(handler)
        handler.close()
    (tmp_path / "file").write_text("in the way")
    assert problems.keep_log(tmp_path / "file") is None


def test_a_report_names_versions_device_and_details():
    text = problems.report(["device cpu (CPU)"], details="Traceback of something")
    assert "LoRun" in text and "torch" in text and "device cpu" in text and text.endswith("Traceback of something")
