"""What every test shares: no display, no thread left behind, real captures where the machine has them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from lorun_engine import share_cores

os.environ["QT_QPA_PLATFORM"] = "offscreen"
if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: a thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")
share_cores()  # before any test imports torch
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under `nohup` the processes of the tests would not hear it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # nor this one, where a script runs them in the background
GRACE_MS = 2000  # for a thread that was told to stop


@pytest.fixture
def lorun_data() -> Path:
    """The folder of real captures and scenes that LORUN_DATA names; they are not part of the repository."""
    folder = os.environ.get("LORUN_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("LORUN_DATA names no folder with real captures")
    return Path(folder)


@pytest.fixture
def make_trained_set(tmp_path: Path) -> Callable[[Sequence[float]], Path]:
    """Makes a library folder with one small set called "tiny" for some bands, whose adapters change both its stages."""

    def make(wavelengths_nm: Sequence[float]) -> Path:
        import torch

        from lorun_engine.library.model import Model, save_adapters, save_backbone
        from lorun_engine.networks.lora import new_adapters
        from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters

        torch.manual_seed(0)
        config = NetworkConfig(len(wavelengths_nm), 2, denoiser="unet", denoiser_settings={"widths": (4, 8)})
        backbone = Backbone(config).requires_grad_(False)
        adapters = new_adapters(backbone.blocks[0], num_stages=2, gamma=30)
        tensors = {name: 0.1 * torch.randn_like(tensor) for name, tensor in adapters.tensors.items()}
        adapters = adapters.mapped({**tensors, **new_step_parameters(config)})
        bands = {"wavelengths_nm": [float(nm) for nm in wavelengths_nm], "step": 2.0}
        net = UnfoldingNet(config, backbone, adapters)
        model = Model("tiny", "cassi", net, card={"task_config": bands, "input_scale": "none"})
        library = tmp_path / "library"
        library.mkdir()
        digest = save_backbone(library / "backbone.safetensors", backbone, config, task="cassi", training={})
        save_adapters(library / "tiny.safetensors", model, backbone_hash=digest)
        return library

    return make


@pytest.fixture(autouse=True)
def no_thread_survives(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test that leaves a thread running: a QThread dropped while it runs aborts the process."""
    before = set(threading.enumerate())
    qt_threads = _started_qt_threads(monkeypatch)
    yield
    survivors = [str(thread) for thread in qt_threads() if not thread.wait(GRACE_MS)]
    for thread in set(threading.enumerate()) - before:
        if not thread.daemon and not isinstance(thread, threading._DummyThread):
            thread.join(GRACE_MS / 1000)
            survivors += [thread.name] if thread.is_alive() else []
    if survivors:
        pytest.fail(f"these threads outlived the test: {', '.join(survivors)}")


def _started_qt_threads(monkeypatch: pytest.MonkeyPatch):
    """A function that returns the QThreads started from now on that still run."""
    if "PySide6.QtCore" not in sys.modules:
        return list
    import shiboken6
    from PySide6.QtCore import QThread

    started: list[weakref.ref] = []
    start = QThread.start

    def recorded_start(thread: QThread, *priority) -> None:
        started.append(weakref.ref(thread))
        start(thread, *priority)

    def running() -> list[QThread]:
        threads = [thread for thread in (reference() for reference in started) if thread is not None]
        return [thread for thread in threads if shiboken6.isValid(thread) and thread.isRunning()]

    monkeypatch.setattr(QThread, "start", recorded_start)
    return running
