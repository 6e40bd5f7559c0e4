"""The devices that a restoration or a training can run on, in words and with their free memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import DeviceError


@dataclass(frozen=True)
class Device:
    """`name` as `--device` takes it, `title` for people, `free_bytes` and `total_bytes` of memory (None: unknown)."""

    name: str
    title: str
    free_bytes: int | None = None
    total_bytes: int | None = None


def list_devices() -> list[Device]:
    """The CPU first, then every CUDA device, then Apple's MPS."""
    free, total = _host_memory()
    threads = torch.get_num_threads()
    devices = [Device("cpu", f"CPU · {threads} thread{'s' if threads > 1 else ''}", free, total)]
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        devices.append(Device(f"cuda:{index}", torch.cuda.get_device_name(index), free, total))
    if torch.backends.mps.is_available():
        devices.append(Device("mps", "Apple GPU"))
    return devices


def require_device(name: str) -> str:
    """`name` ("cpu", "cuda", "cuda:1", "mps"; "auto" is the first CUDA device, else the CPU), if it exists here."""
    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    known = [device.name for device in list_devices()]
    if name in known or (name == "cuda" and "cuda:0" in known):
        return name
    raise DeviceError(f"The device {name!r} was asked for; this machine has {', '.join(known)}. Choose one of these.")


@contextmanager
def threads_of(num_threads: int | None) -> Iterator[None]:
    """In the block torch computes with so many threads of the CPU (None: as before), and as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if num_threads is None else num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _host_memory() -> tuple[int | None, int | None]:
    """Bytes that programs can have without others losing any, and all bytes."""
    with suppress(OSError, ValueError):  # Linux also says what it gives back of its caches
        lines = (line.split() for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        sizes = {words[0]: int(words[1]) << 10 for words in lines if len(words) > 1}
        if {"MemAvailable:", "MemTotal:"} <= set(sizes):
            return sizes["MemAvailable:"], sizes["MemTotal:"]
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        return os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page
    except (AttributeError, ValueError, OSError):  # Windows and macOS do not say
        return None, None
