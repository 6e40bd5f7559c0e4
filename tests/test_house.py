"""The rooms of the packages, the one-way rules between them, and how long their files, functions and classes may be.

The rules are read from all imports that the files contain: in functions and for type checkers too.
"""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_ENTRIES = 20  # of the root of a package
MOST_FILE_LINES, MOST_FUNCTION_LINES, MOST_METHODS = 600, 60, 40
MOST_EXCEPTIONS = 5

# What the files of a room may import of their own package: rooms, or single files of them. "words" are the files in the
# root of the package that are not named here.
MAY_IMPORT: dict[str, dict[str, tuple[str, ...]]] = {
    "lorun_engine": {
        "words": (),
        "tasks": ("words",),
        "io": ("words", "tasks"),
        "networks": ("words", "tasks.gap_tv", "tasks.subspace", "tasks.subspace_tv", "decoding.execution"),
        "decoding": ("words", "tasks", "io"),
        "library": ("words", "tasks", "io", "networks", "decoding"),
        "camera_checks": ("words", "tasks", "io"),
        "training_data": ("words", "tasks", "io", "networks.lora", "decoding"),
        "training": ("words", "tasks", "io", "networks", "decoding", "library", "training_data"),
        "paper": ("words", "tasks", "io", "networks", "decoding", "library", "training_data"),
        "cli": ("words", "tasks", "io", "networks", "decoding", "library", "camera_checks")
        + ("training_data", "training", "paper"),
        "__main__": ("cli",),
    },
    "app": {
        "words": (),
        "widgets": ("words",),
        "document": ("words",),
        "training": ("words", "document"),
        "assembly": ("words", "document", "training"),
        "actions": ("words", "document", "assembly"),
        "verbs": ("words", "document", "assembly", "actions"),
        "viewers": ("words", "widgets", "document", "assembly"),
        "panels": ("words", "widgets", "document", "assembly", "actions", "viewers"),
        "pages": ("words", "widgets", "document", "training", "assembly", "actions", "panels"),
        "main_window": ("words", "widgets", "document", "assembly", "actions", "verbs", "viewers", "panels", "pages"),
        "__main__": ("words", "main_window"),
    },
}

# What the files of a package, or of a folder in it, import nowhere.
NEVER_IMPORT: dict[str, tuple[str, ...]] = {
    "lorun_engine": ("app", "resources", "lorun_resources", "platformdirs", "PySide6", "shiboken6", "pyqtgraph")
    + ("superqt", "qtpy"),
    "app.document": ("PySide6.QtWidgets", "pyqtgraph", "superqt"),
    "app.training": ("PySide6.QtWidgets", "pyqtgraph", "superqt"),
}

# What is longer than the rules say, and why; an entry that is no longer needed fails too.
LONGER: dict[str, str] = {
    "app.widgets.theme._style_sheet": "one text without a branch: the style sheet, read from top to bottom",
}


@cache
def modules_of(package: str) -> dict[str, Path]:
    """The files of a package by the names of their modules; a folder's name is that of its `__init__`."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


@cache
def imports_of(module: str, path: Path) -> tuple[str, ...]:
    """The full names of what a file imports anywhere in it, whether it runs or is there for type checkers alone."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found += [f"{source}.{alias.name}" for alias in node.names]
    return tuple(found)


def arrows(package: str) -> Iterator[tuple[str, str]]:
    """(module, module of the same package that it imports); a name that is no module is one of the module above it."""
    modules = modules_of(package)
    for module, path in modules.items():
        for name in imports_of(module, path):
            target = name if name in modules else name.rpartition(".")[0]
            if target in modules:
                yield module, target


def room_of(module: str, package: str) -> str:
    """The folder that a module lies in, "words" for a file in the root; a file that the table names is its own room."""
    first = module.split(".")[1]
    is_folder = (ROOT / package / first).is_dir()
    return first if is_folder or first in MAY_IMPORT[package] else "words"


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_modules_import_each_other_in_a_circle(package):
    above: dict[str, set[str]] = {module: set() for module in modules_of(package)}
    for module, target in arrows(package):
        above[module].add(target)
    try:
        graphlib.TopologicalSorter(above).prepare()
    except graphlib.CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_the_rooms_of_the_table_are_those_of_the_package_and_import_each_other_in_one_direction(package):
    table = MAY_IMPORT[package]
    rooms = {room_of(module, package) for module in modules_of(package) if module != package}
    assert rooms == set(table)
    graphlib.TopologicalSorter({room: {name.partition(".")[0] for name in table[room]} for room in table}).prepare()


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_import_goes_against_the_table(package):
    wrong = []
    for module, target in arrows(package):
        if package in (module, target):  # the package itself: its version
            continue
        room, other, allowed = room_of(module, package), room_of(target, package), MAY_IMPORT[package]
        if room != other and not {other, target.partition(".")[2]} & set(allowed[room]):
            wrong.append(f"{module} -> {target}")
    assert not wrong


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_the_package_itself_imports_none_of_its_rooms(package):
    assert not [target for module, target in arrows(package) if module == package]


@pytest.mark.parametrize("folder", NEVER_IMPORT)
def test_what_a_folder_must_not_know_is_imported_nowhere_in_it(folder):
    wrong = []
    for module, path in modules_of(folder.partition(".")[0]).items():
        if module == folder or module.startswith(f"{folder}."):
            for name in imports_of(module, path):
                if any(name == other or name.startswith(f"{other}.") for other in NEVER_IMPORT[folder]):
                    wrong.append(f"{module} -> {name}")
    assert not wrong


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_the_root_of_a_package_fits_on_a_page(package):
    entries = [path for path in (ROOT / package).iterdir() if path.suffix == ".py" or path.is_dir()]
    assert len([path for path in entries if path.name != "__pycache__"]) <= MOST_ENTRIES


def longer_than_allowed(package: str) -> Iterator[str]:
    """The names of files, functions and classes that break a rule about lengths."""
    for module, path in modules_of(package).items():
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > MOST_FILE_LINES:
            yield module
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if node.end_lineno - node.lineno + 1 > MOST_FUNCTION_LINES:
                    yield f"{module}.{node.name}"
            elif isinstance(node, ast.ClassDef):
                methods = [entry for entry in node.body if isinstance(entry, ast.FunctionDef | ast.AsyncFunctionDef)]
                if len(methods) > MOST_METHODS:
                    yield f"{module}.{node.name}"


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_file_function_or_class_is_longer_than_the_rules_say(package):
    assert sorted(longer_than_allowed(package)) == sorted(name for name in LONGER if name.startswith(f"{package}."))


def test_few_are_longer_and_each_for_a_reason():
    assert len(LONGER) <= MOST_EXCEPTIONS and all(LONGER.values())
