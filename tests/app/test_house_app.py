"""The rooms of the window: which may import which, that no two modules import each other, and what a room may hold."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT_WIDGETS = ("PySide6.QtWidgets", "pyqtgraph", "app.widgets", "app.viewers", "app.panels", "app.pages")
NEVER_IMPORTS = {
    "app.document": WITHOUT_WIDGETS,
    "app.training": WITHOUT_WIDGETS,
    "app.widgets": ("app.viewers", "app.panels", "app.pages"),
    "app.viewers": ("app.panels", "app.pages"),
    "app.panels": ("app.pages",),
}
MOST_ENTRIES = 20
MOST_LINES, MOST_METHODS = 600, 40  # of the session


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((ROOT / "app").rglob("*.py"))}


def imports_of(module: str) -> set[str]:
    """Everything that a module imports, in functions and for types too, by its whole name."""
    path, found = MODULES[module], set()
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*start, *([node.module] if node.module else [])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            is_package = source == "PySide6" or not (names - MODULES.keys())
            found |= names if is_package else names & MODULES.keys() | {source}
    return found


IMPORTS = {module: imports_of(module) for module in MODULES}


@pytest.mark.parametrize("room", NEVER_IMPORTS)
def test_no_room_imports_what_stands_on_it(room):
    for module in MODULES:
        if module == room or module.startswith(f"{room}."):
            for other in IMPORTS[module]:
                forbidden = [name for name in NEVER_IMPORTS[room] if other == name or other.startswith(f"{name}.")]
                assert not forbidden, f"{module} imports {other}"


def test_no_module_imports_itself_over_others():
    left = {module: found & MODULES.keys() - {module} for module, found in IMPORTS.items()}
    while free := [module for module, found in left.items() if not found & left.keys()]:
        for module in free:
            del left[module]
    assert not left, f"in circles, or above them: {sorted(left)}"


def test_the_root_can_be_taken_in_at_a_glance():
    entries = [entry.name for entry in (ROOT / "app").iterdir() if entry.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_the_session_is_small_and_knows_no_part():
    path = MODULES["app.document.session"]
    text = path.read_text(encoding="utf-8")
    (session,) = [n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == "Session"]
    methods = [node for node in session.body if isinstance(node, ast.FunctionDef)]
    assert len(text.splitlines()) < MOST_LINES and len(methods) <= MOST_METHODS
    knowing = {module for module in MODULES if "app.document.session" in IMPORTS[module]}
    assert not knowing & IMPORTS["app.document.session"]
