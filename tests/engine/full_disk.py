"""A disk that is nearly full, for tests: files of this process end at a limit, as those of a user with a quota do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

resource = pytest.importorskip("resource", reason="only POSIX limits what a process writes")


@contextmanager
def files_end_at(num_bytes: int) -> Iterator[None]:
    """Lets no file grow beyond `num_bytes`; writing then fails as on a full disk, but for the system's words."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
