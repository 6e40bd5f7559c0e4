"""Session files are told to the desktop where it is asked for, and taken back without a trace."""

from __future__ import annotations

import configparser
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from PySide6.QtCore import QCoreApplication, QSettings
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.document.desktop import (
    MIME_TYPE,
    BundleDesktop,
    FilesAsked,
    FreeDesktop,
    WindowsDesktop,
    desktop_here,
    own_command,
)
from lorun_engine.errors import FileError

NAMESPACE = "{http://www.freedesktop.org/standards/shared-mime-info}"
ODD = ('/opt/my $tools/100%/lo"run\\', "-m", "app")


def entry(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    parser.read(path, encoding="utf-8")
    return dict(parser["Desktop Entry"])


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_the_type_and_the_launcher_say_what_the_desktop_reads(tmp_path):
    called = []
    desktop = FreeDesktop(tmp_path / "share", ("/opt/lorun",), called.append)
    assert not desktop.opens_sessions and not (tmp_path / "share").exists()
    desktop.register()
    root = ElementTree.parse(tmp_path / "share/mime/packages/lorun-session.xml").getroot()
    (kind,) = root.findall(f"{NAMESPACE}mime-type")
    assert kind.get("type") == MIME_TYPE == "application/x-lorun-session"
    assert [glob.get("pattern") for glob in kind.findall(f"{NAMESPACE}glob")] == ["*.lorun"]
    launcher = entry(tmp_path / "share/applications/lorun.desktop")
    assert launcher["Exec"] == '"/opt/lorun" %f' and launcher["MimeType"] == f"{MIME_TYPE};"
    assert (launcher["Type"], launcher["Icon"], launcher["Terminal"]) == ("Application", "lorun", "false")
    icons = [path for path in everything(tmp_path / "share") if path.endswith((".png", ".svg"))]
    assert "icons/hicolor/256x256/apps/lorun.png" in icons and "icons/hicolor/scalable/apps/lorun.svg" in icons
    assert [words[0] for words in called] == ["update-mime-database", "update-desktop-database"]
    assert desktop.opens_sessions
    assert not FreeDesktop(tmp_path / "share", ("/elsewhere/lorun",), called.append).opens_sessions
    desktop.register()  # once more changes nothing
    desktop.forget()
    assert not desktop.opens_sessions and everything(tmp_path / "share") == []
    desktop.forget()


def test_odd_names_reach_the_program_as_they_are(tmp_path):
    FreeDesktop(tmp_path, ODD, lambda words: None).register()
    line = entry(tmp_path / "applications/lorun.desktop")["Exec"]
    once = line.replace("\\\\", "\\")  # as every text of such a file is read
    words = [word.replace("%%", "%").replace("\\$", "$") for word in shlex.split(once)]  # which escapes no dollar
    assert words == [*ODD, "%f"]
    if shutil.which("desktop-file-validate"):
        subprocess.run(["desktop-file-validate", tmp_path / "applications/lorun.desktop"], check=True)


@pytest.mark.skipif(not shutil.which("update-mime-database"), reason="the system has no MIME database")
def test_the_database_of_the_system_knows_the_type_and_forgets_it(tmp_path, monkeypatch):
    desktop = FreeDesktop(tmp_path / "share", ("/opt/lorun",))
    desktop.register()
    assert f"{MIME_TYPE}:*.lorun" in (tmp_path / "share/mime/globs2").read_text()
    if shutil.which("xdg-mime"):
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
        session = tmp_path / "work.lorun"
        session.write_bytes(b"PK")
        asked = ["xdg-mime", "query", "filetype", str(session)]
        assert MIME_TYPE in subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    desktop.forget()
    assert everything(tmp_path / "share") == []


def test_what_others_wrote_stays(tmp_path):
    others = {
        "mime/packages/other.xml": f'<mime-info xmlns="{NAMESPACE[1:-1]}"/>',
        "mime/globs2": "50:text/x-other:*.other\n",
        "applications/other.desktop": "[Desktop Entry]\nName=Other\n",
        "icons/hicolor/16x16/apps/other.png": "x",
    }
    for name, words in others.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(words)
    before = everything(tmp_path)
    desktop = FreeDesktop(tmp_path, ("/opt/lorun",), lambda words: None)
    desktop.register()
    desktop.forget()
    assert everything(tmp_path) == before
    own = tmp_path / "applications/lorun.desktop"
    own.write_text("[Desktop Entry]\nName=Mine\nExec=mine\n")
    with pytest.raises(FileError, match="not written by LoRun"):
        desktop.register()
    desktop.forget()
    assert entry(own)["Name"] == "Mine"


def test_the_registry_of_windows_gets_a_class_and_a_suffix(tmp_path):
    told = []
    classes = QSettings(str(tmp_path / "classes.ini"), QSettings.Format.IniFormat)  # stands in for the registry
    classes.setValue(".other/.", "Other")
    desktop = WindowsDesktop(classes, (r"C:\Program Files\LoRun\lorun.exe",), lambda: told.append(1))
    assert not desktop.opens_sessions
    desktop.register()
    assert classes.value(".lorun/.") == "LoRun.Session" and desktop.opens_sessions
    assert classes.value("LoRun.Session/shell/open/command/.") == r'"C:\Program Files\LoRun\lorun.exe" "%1"'
    desktop.forget()
    assert classes.allKeys() == [".other/."] and told == [1, 1]
    classes.setValue(".lorun/.", "Somebody.Else")
    desktop.forget()
    assert classes.value(".lorun/.") == "Somebody.Else"


def test_every_system_has_its_own_desktop(tmp_path):
    assert isinstance(desktop_here("darwin"), BundleDesktop) and desktop_here("darwin").why_not
    linux = desktop_here("linux", {"XDG_DATA_HOME": str(tmp_path)})
    assert isinstance(linux, FreeDesktop) and linux.data_home == tmp_path
    assert desktop_here("linux", {"XDG_DATA_HOME": "here"}).data_home == Path.home() / ".local" / "share"
    assert Path(own_command()[0]).exists()


def test_the_bundle_of_macos_says_which_files_it_opens(monkeypatch):
    made = []
    monkeypatch.setattr(sys, "platform", "darwin")
    hooks = SimpleNamespace(collect_submodules=lambda name: [], copy_metadata=lambda name: [])
    monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", hooks)
    pieces = {name: lambda *_, **__: _Anything() for name in ("Analysis", "PYZ", "EXE", "COLLECT")}
    spec = Path(__file__).parents[3] / "lorun.spec"
    runpy.run_path(
        str(spec), {**pieces, "SPECPATH": str(spec.parent), "BUNDLE": lambda *_, **words: made.append(words)}
    )
    (bundle,) = made
    (document,), (declared,) = (
        bundle["info_plist"][key] for key in ("CFBundleDocumentTypes", "UTExportedTypeDeclarations")
    )
    assert document["LSItemContentTypes"] == [declared["UTTypeIdentifier"]]
    assert declared["UTTypeTagSpecification"] == {
        "public.filename-extension": ["lorun"],
        "public.mime-type": [MIME_TYPE],
    }


class _Anything:
    def __getattr__(self, name: str) -> _Anything:
        return self


def test_files_that_macos_asks_for_are_opened_at_the_start_and_later(qapp, qtbot, tmp_path):
    asked = FilesAsked(qapp)
    try:
        QCoreApplication.sendEvent(qapp, QFileOpenEvent(str(tmp_path / "a.lorun")))
        assert asked.begin() == [tmp_path / "a.lorun"]
        with qtbot.waitSignal(asked.asked) as later:
            QCoreApplication.sendEvent(qapp, QFileOpenEvent(str(tmp_path / "b.lorun")))
        assert later.args == [[tmp_path / "b.lorun"]]
    finally:
        qapp.removeEventFilter(asked)
        asked.deleteLater()


def test_one_button_in_preferences_does_it_and_takes_it_back(qtbot, decoded, show, tmp_path):
    decoded.preferences.desktop = FreeDesktop(tmp_path / "share", ("/opt/lorun",), lambda words: None)
    window = show(decoded)
    window.actions_["preferences"].trigger()
    page = window.preferences_page
    assert page.sessions.text() == "Open .lorun files with LoRun" and "does not" in page.sessions_words.text()
    page.sessions.setFocus()
    for _ in range(2):
        with qtbot.waitSignal(decoded.preferences.desktop_told):
            page.sessions.click()
        is_on = decoded.preferences.desktop.opens_sessions
        assert (page.sessions.text() == "Forget") == is_on == ("opens it here" in page.sessions_words.text())
        assert page.sessions.isEnabled()
    assert everything(tmp_path / "share") == []
    (tmp_path / "share").mkdir(exist_ok=True)
    (tmp_path / "share" / "mime").write_text("a file")
    with qtbot.waitSignal(decoded.lanes.problem_raised) as told:
        QTest.mouseClick(page.sessions, QApplication.mouseButtons().LeftButton)
    assert not told.args[0].is_bug and "made" in told.args[0].sentence
    qtbot.waitUntil(page.sessions.isEnabled)
    decoded.shelf.clear()
