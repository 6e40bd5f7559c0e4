"""What the command `lorun` opens: the window or the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.__main__ import has_display, main, opens_window
from app.resources import library_folders, resource_path


@pytest.mark.parametrize(
    "arguments",
    [[], ["gui"], ["gui", "snapshot"], ["snapshot.mat"], ["work.lorun"], ["captures/one", "mask.mat"], ["./restore"]],
)
def test_the_window_opens_for_files_and_without_a_subcommand(arguments):
    assert opens_window(arguments, has_display=True)


@pytest.mark.parametrize(
    "arguments", [["restore", "a.mat", "-o", "b.h5"], ["self-test"], ["--help"], ["demo", "-o", "out"], ["frobnicate"]]
)
def test_every_other_subcommand_goes_to_the_command_line(arguments):
    assert not opens_window(arguments, has_display=True)


def test_the_demo_needs_a_display_for_the_window():
    assert opens_window(["demo"], has_display=True)
    assert not opens_window(["demo"], has_display=False)


def test_a_display_is_what_the_system_announces():
    assert has_display("linux", {"DISPLAY": ":0"})
    assert has_display("linux", {"WAYLAND_DISPLAY": "wayland-0"})
    assert not has_display("linux", {"DISPLAY": ""})
    assert has_display("win32", {}) and has_display("darwin", {})


def test_without_a_display_the_window_is_refused_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert main([]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_program_without_streams_answers_without_a_traceback():
    lost = "import sys; sys.stdout = sys.stderr = None; from app.__main__ import main; main(['--version'])"
    finished = subprocess.run([sys.executable, "-c", lost], cwd=Path(__file__).parents[2], capture_output=True)
    assert finished.returncode == 0 and finished.stderr == b""


def test_the_resources_are_found_beside_the_program():
    assert resource_path("samples", "cassi.h5").is_file()
    assert resource_path("colour", "cie1931.csv").is_file()
    assert library_folders()[0] == resource_path("weights")
