"""The installed and the packaged program, each in a place of its own far from the source tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import h5py
import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ".exe" if os.name == "nt" else ""


def run(*command: str | Path, cwd: Path, timeout_s: int = 100) -> str:
    """What a command that succeeds writes to stdout; there is no display and no source tree on its path."""
    hidden = ("PYTHONPATH", "DISPLAY", "WAYLAND_DISPLAY", "COVERAGE_PROCESS_START")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    finished = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment | {"QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-4000:]
    return finished.stdout


@pytest.fixture(scope="module")
def source_copy(tmp_path_factory) -> Path:
    """The source tree without what a build leaves in it."""
    left_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests", "lorun-demo", "venv")
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("source") / "lorun", ignore=left_out)


@pytest.fixture(scope="module")
def installed_lorun(source_copy, tmp_path_factory) -> Path:
    """The command `lorun` of a fresh environment that holds the wheel and borrows the packages it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, source_copy, cwd=folder)
    (wheel,) = folder.glob("lorun-*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    paths = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    site_packages, scripts = (Path(sysconfig.get_path(name, "venv", paths)) for name in ("purelib", "scripts"))
    pip = (sys.executable, "-m", "pip", "--python", scripts / f"python{PROGRAM}", "install", "--quiet")
    run(*pip, "--no-index", "--no-deps", "--no-warn-script-location", wheel, cwd=folder)
    (site_packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return scripts / f"lorun{PROGRAM}"


def test_the_package_lists_every_folder_of_python_files():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in ("app", "lorun_engine")
        for path in (ROOT / package).rglob("*.py")
    }
    assert set(listed) == found | {"lorun_resources"}


def test_every_resource_is_installed(installed_lorun):
    (installed,) = installed_lorun.parents[1].rglob("lorun_resources")
    shipped = {path.relative_to(ROOT / "resources") for path in (ROOT / "resources").rglob("*.*")}
    missing = [str(path) for path in shipped if path.suffix not in (".py", ".pyc") and not (installed / path).is_file()]
    assert not missing


def test_the_installed_program_restores_its_sample_without_a_display(installed_lorun, tmp_path):
    printed = run(installed_lorun, "demo", "--stages", "2", "--threads", "1", "-o", tmp_path / "out", cwd=tmp_path)
    assert Path(printed.strip()) == (tmp_path / "out").resolve()
    with h5py.File(tmp_path / "out" / "cube.h5") as file:
        assert file["cube"].shape == (256, 256, 28)
    assert (tmp_path / "out" / "colour.png").stat().st_size > 10_000
    assert len((tmp_path / "out" / "stages.csv").read_text().splitlines()) == 4  # a header, the start, two stages


def test_the_installed_program_describes_itself(installed_lorun, tmp_path):
    report = json.loads(run(installed_lorun, "info", "--json", cwd=tmp_path))
    assert "gap-tv" in report["decoders"]["cassi"]
    assert Path(report["library"][0]).parent.name == "lorun_resources"
    assert ROOT not in Path(report["library"][0]).parents


def test_the_engine_runs_as_a_module_of_its_own(installed_lorun, tmp_path):
    python = installed_lorun.with_name(f"python{PROGRAM}")
    report = json.loads(run(python, "-m", "lorun_engine", "--library", tmp_path, "info", "--json", cwd=tmp_path))
    assert report["library"] == [str(tmp_path)]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_packaged_program_passes_its_self_test(source_copy, tmp_path):
    freeze = (sys.executable, "-m", "PyInstaller", "--noconfirm", "--distpath", tmp_path / "dist")
    run(*freeze, "--workpath", tmp_path / "build", source_copy / "lorun.spec", cwd=source_copy, timeout_s=1500)
    program = tmp_path / "dist" / "lorun" / f"lorun{PROGRAM}"
    assert json.loads(run(program, "self-test", "--json", cwd=tmp_path))["failed"] == []
