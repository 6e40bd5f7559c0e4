"""The walls between the window and the engine, and the house rules that a machine can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGINE = sorted(ROOT.glob("lorun_engine/**/*.py"))
APP = sorted(ROOT.glob("app/**/*.py"))
THREADS = {"concurrent", "multiprocessing", "queue", "_thread", "asyncio"}
STARTED = {"Thread", "Timer"}  # of threading, whose locks are no threads
FORBIDDEN_NAMES = ("utils", "util", "base", "helpers", "common", "misc", "manager", "handler", "controller")


def every(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(ROOT)))


def nodes_of(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imports_of(path: Path) -> set[str]:
    """The top-level packages that a file imports anywhere in it; relative imports stay inside their own package."""
    names = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@every([path for path in ENGINE if path.name != "__main__.py"])  # the one place that looks beside the package
def test_the_engine_does_not_know_where_it_lies(path):
    assert not [node for node in nodes_of(path) if isinstance(node, ast.Name) and node.id == "__file__"]


@every([path for path in ENGINE if path != ROOT / "lorun_engine" / "cli" / "commands.py"])
def test_the_engine_starts_no_threads(path):
    taken = {node.attr for node in nodes_of(path) if isinstance(node, ast.Attribute)}
    taken |= {alias.name for node in nodes_of(path) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not imports_of(path) & THREADS and not taken & STARTED


@every(APP)
def test_the_window_uses_public_names_of_the_engine(path):
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lorun_engine"):
            private = [alias.name for alias in node.names if alias.name.startswith("_") and alias.name != "__version__"]
            assert not private and "._" not in node.module


@pytest.mark.parametrize(
    "module",
    ["app.__main__", "app.main_window", "lorun_engine.errors", "lorun_engine.measurement", "lorun_engine.io"]
    + ["lorun_engine.colour", "lorun_engine.instrument", "lorun_engine.cli"],
)
def test_starting_up_does_not_load_torch(module):
    script = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr or f"{module} loads torch"


@every(ENGINE + APP)
def test_nothing_is_printed_swallowed_or_unpickled(path):
    for node in nodes_of(path):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: a bare except"
            name = node.type.id if isinstance(node.type, ast.Name) else ""
            swallowed = name in ("Exception", "BaseException") and isinstance(node.body[0], ast.Pass)
            assert not swallowed, f"line {node.lineno}: an exception of any kind is swallowed"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "print" or path.parent.name == "cli", f"line {node.lineno}: print"
            assert called.partition(".")[0] not in ("pickle", "joblib", "dill"), f"line {node.lineno}: unpickling"
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert given.get("allow_pickle", "False") == "False", f"line {node.lineno}: unpickling"
            assert called != "torch.load" or given.get("weights_only") == "True", f"line {node.lineno}: unpickling"


@every(ENGINE + APP + sorted(ROOT.glob("resources/**/*.py")) + sorted(ROOT.glob("tests/**/*.py")))
def test_every_file_is_a_subject_with_a_docstring(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "no docstring"
    assert path.stem not in FORBIDDEN_NAMES
