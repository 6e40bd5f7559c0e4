"""Jobs in the worker thread: one end each, latest-only progress, cancels at yields, threads that end."""

from __future__ import annotations

import threading

import h5py
import numpy as np
import pytest
import shiboken6
from PySide6.QtCore import QObject, QTimer

from app.job import Job, Worker, is_thread_left


@pytest.fixture
def worker(qtbot):
    worker = Worker()
    yield worker
    assert worker.stop(timeout_s=5)


def _ends(job: Job) -> list[str]:
    """The signals of a job's end, in the order in which they come."""
    seen = []
    for name in ("succeeded", "failed", "cancelled"):
        getattr(job, name).connect(lambda name=name: seen.append(name))
    return seen


def test_a_function_succeeds_with_its_result(qtbot, worker):
    job = Job(lambda: 6 * 7, title="multiplying")
    ends = _ends(job)
    with qtbot.waitSignal(worker.idle):
        worker.give(job)
    assert (ends, job.result) == (["succeeded"], 42)


def test_a_failing_function_fails_with_its_error_and_the_worker_goes_on(qtbot, worker):
    failing, next_one = Job(lambda: 1 / 0, title="dividing"), Job(lambda: "fine", title="going on")
    ends = _ends(failing)
    with qtbot.waitSignal(worker.idle):
        worker.give(failing)
        worker.give(next_one)
    assert ends == ["failed"] and isinstance(failing.error, ZeroDivisionError)
    assert next_one.result == "fine"


def test_jobs_run_in_their_order_and_in_another_thread(qtbot, worker):
    order = []
    with qtbot.waitSignal(worker.idle):
        for number in range(5):
            worker.give(Job(lambda number=number: order.append((number, threading.get_ident())), title="counting"))
    assert [number for number, _ in order] == list(range(5))
    assert {ident for _, ident in order} != {threading.get_ident()}


def test_a_cancelled_generator_stops_at_its_next_yield(qtbot, worker):
    steps, may_go_on, is_closed = [], threading.Event(), []

    def work():
        try:
            for step in range(100):
                steps.append(step)
                yield step
                may_go_on.wait(5)
        finally:
            is_closed.append(True)

    job = Job(work, title="stepping")
    ends = _ends(job)
    with qtbot.waitSignal(job.progressed):
        worker.give(job)
    with qtbot.waitSignal(worker.idle):
        job.cancel()
        may_go_on.set()
    assert ends == ["cancelled"] and is_closed == [True]
    assert len(steps) <= 2  # the step under way was finished, no other begun


def test_a_job_cancelled_while_it_waits_never_begins(qtbot, worker):
    gate, begun = threading.Event(), []
    worker.give(Job(lambda: gate.wait(5), title="holding"))
    waiting = worker.give(Job(lambda: begun.append(True), title="waiting"))
    ends = _ends(waiting)
    with qtbot.waitSignal(worker.idle):
        waiting.cancel()
        gate.set()
    assert ends == ["cancelled"] and not begun


def test_progress_keeps_the_latest_value_only(qtbot, worker):
    done, seen = threading.Event(), []

    def work():
        yield from range(1000)
        done.set()

    job = Job(work, title="hurrying")
    job.progressed.connect(lambda: seen.append(job.progress))
    with qtbot.waitSignal(worker.idle):
        worker.give(job)
        assert done.wait(5)  # nobody reads the mailbox meanwhile
    assert seen == [999]


def test_a_thread_that_does_not_stop_is_kept_alive(qtbot):
    worker, gate = Worker(), threading.Event()
    begun = threading.Event()

    def hang():
        begun.set()
        gate.wait(10)

    worker.give(Job(hang, title="hanging"))
    assert begun.wait(5)
    assert not worker.stop(timeout_s=0.05)
    assert is_thread_left()
    gate.set()
    qtbot.waitUntil(lambda: not is_thread_left())


def test_garbage_that_a_job_makes_is_collected_in_the_gui_thread(qtbot, worker):
    """A widget destroyed by the collector in a worker thread once stopped the program for ever."""
    threads = set()

    class Noted(QObject):
        def __del__(self) -> None:
            threads.add(threading.get_ident())

    kept = [Noted() for _ in range(20)]
    for thing in kept:
        thing.itself = thing  # a cycle: only the collector frees it
    kept.clear()
    del thing

    def work():
        with h5py.File.in_memory() as file:  # a library that switches the collector off and on
            file["x"] = np.zeros(3)
        made = []
        for number in range(200):
            made.append([[number] for _ in range(1000)])  # far beyond what makes Python collect of itself
            yield number

    with qtbot.waitSignal(worker.idle):
        worker.give(Job(work, title="making garbage"))
    assert threads <= {threading.get_ident()}
    more = [[] for _ in range(1000)]
    qtbot.waitUntil(lambda: threads == {threading.get_ident()})
    assert more


def test_a_job_is_there_as_long_as_its_thread_is_in_it(qtbot, worker):
    """Deleted while the thread was still sending its last signal, it once ended the program."""
    gate, was_there = threading.Event(), []

    class Lingering(Job):
        def run(self) -> None:
            super().run()
            assert gate.wait(20)
            was_there.append(shiboken6.isValid(self))

    job = Lingering(lambda: None, title="lingering")
    with qtbot.waitSignal(worker.idle):
        worker.give(job)
    turned = []
    QTimer.singleShot(0, lambda: QTimer.singleShot(0, lambda: turned.append(True)))
    qtbot.waitUntil(lambda: bool(turned))  # what is to be deleted would be by now
    gate.set()
    qtbot.waitUntil(lambda: not shiboken6.isValid(job))
    assert was_there == [True]
