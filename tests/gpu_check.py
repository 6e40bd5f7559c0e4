"""python -m tests.gpu_check: the GPU tests as a table of what was measured; without CUDA it says so and is content."""

from __future__ import annotations

import sys

import pytest
import torch


class Table:
    """Collects outcome and figure of every test."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            figure = dict(report.user_properties).get("figure", "")
            self.rows.append((report.nodeid.rpartition("::")[2], report.outcome, figure))


def main() -> int:
    if not torch.cuda.is_available():
        print("There is no CUDA device: nothing was checked on a GPU.")
        return 0
    print(f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}, torch {torch.__version__}")
    table = Table()
    code = pytest.main(["-m", "gpu and not benchmark", "-q", "-p", "no:cacheprovider", "tests/engine"], plugins=[table])
    width = max((len(name) for name, _, _ in table.rows), default=0)
    for name, outcome, figure in table.rows:
        print(f"{name:{width}s}  {outcome:7s}  {figure}")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
