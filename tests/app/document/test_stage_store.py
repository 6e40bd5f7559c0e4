"""The store of decoded stages: what is put in comes out, from memory or from the disk, and nobody can change it."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from app.document import stage_store
from app.document.stage_store import StageStore
from lorun_engine.decoding.restore import StageResult

SHAPE = (3, 5, 4)
STAGE_BYTES = 4 * 3 * 5 * 4


def _result(index: int) -> StageResult:
    return StageResult(index, np.full(SHAPE, index, np.float32), residual=1 / (index + 1), seconds=0.5)


def test_stages_come_back_as_they_were_with_their_rows():
    store = StageStore()
    assert [store.append(_result(index)) for index in range(4)] == [0, 1, 2, 3]
    assert len(store) == 4
    assert np.array_equal(store.image(2), np.full(SHAPE, 2, np.float32))
    assert store.row(2).residual == pytest.approx(1 / 3) and store.row(2).image.size == 0
    assert [row.index for row in store.rows()] == [0, 1, 2, 3]


def test_stages_above_the_limit_lie_on_the_disk_and_read_the_same():
    store = StageStore(limit_bytes=2 * STAGE_BYTES)
    for index in range(6):
        store.append(_result(index))
    assert store.is_spilled
    assert isinstance(store.image(5), np.memmap) and not isinstance(store.image(1), np.memmap)
    for index in range(6):
        assert np.array_equal(store.image(index), np.full(SHAPE, index, np.float32))
    store.close()


@pytest.mark.parametrize("limit_bytes", [0, 1 << 20])
def test_images_are_read_only_and_independent_of_what_was_put_in(limit_bytes):
    store, result = StageStore(limit_bytes=limit_bytes), _result(1)
    store.append(result)
    result.image[:] = 9
    assert np.all(store.image(0) == 1)
    with pytest.raises(ValueError, match="read-only"):
        store.image(0)[0, 0, 0] = 5
    store.close()


def test_images_handed_out_stay_readable_after_the_store_is_closed():
    store = StageStore(limit_bytes=0)
    store.append(_result(7))
    image = store.image(0)
    store.close()
    assert len(store) == 0 and not store.is_spilled
    assert np.all(image == 7)


def test_stages_appended_while_others_are_read_stay_in_order():
    store = StageStore(limit_bytes=20 * STAGE_BYTES)
    writer = threading.Thread(target=lambda: [store.append(_result(index)) for index in range(60)])
    writer.start()
    while writer.is_alive():
        for index in range(len(store)):
            assert store.image(index)[0, 0, 0] == index
    writer.join()
    assert len(store) == 60
    store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="counts the descriptors that /proc lists")
def test_hundreds_of_stages_on_the_disk_take_a_handful_of_descriptors():
    before, store = len(os.listdir("/proc/self/fd")), StageStore(limit_bytes=0)
    images = []
    for index in range(300):
        store.append(_result(index))
        images.append(store.image(index))
    assert len(os.listdir("/proc/self/fd")) - before < 16
    assert all(np.all(image == index) for index, image in enumerate(images))
    store.close()
    assert np.all(images[299] == 299)


class SlowFile:
    """A temporary file that writes no more until it is let go on."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the store
        self.is_reached, self.is_open = threading.Event(), threading.Event()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content) -> int:
        self.is_reached.set()
        assert self.is_open.wait(20)
        return self.file.write(content)


def test_a_slow_disk_keeps_nobody_who_reads_or_closes_waiting(monkeypatch):
    file = SlowFile()
    monkeypatch.setattr(stage_store, "tempfile", SimpleNamespace(TemporaryFile=lambda **_: file))
    store = StageStore(limit_bytes=STAGE_BYTES)
    store.append(_result(4))
    writer = threading.Thread(target=store.append, args=(_result(5),))
    writer.start()
    assert file.is_reached.wait(20)
    assert len(store) == 1 and np.all(store.image(0) == 4)  # at once: the write is still held
    store.close()
    assert len(store) == 0 and not file.closed
    file.is_open.set()
    writer.join()
    assert len(store) == 0 and file.closed


def test_a_closed_store_takes_nothing_more():
    store = StageStore(limit_bytes=0)
    store.close()
    store.append(_result(0))
    assert len(store) == 0 and not store.is_spilled
