"""What is remembered between runs comes back; damaged files count as absent."""

from __future__ import annotations

import json
import threading

import pytest

from app.document.memory import Memory
from app.settings import MAX_RECENT, RecentJob, Settings, load, save
from lorun_engine.io import OpenOptions


def test_settings_come_back_as_they_were_saved(tmp_path):
    options = OpenOptions(num_bands=24, step=2.0, crop=(0, 0, 8, 8), roles=(("/a/mask.mat", "mask"),))
    job = RecentJob(("/a/scene.mat", "/a/mask.mat"), options, "gap-tv", 60)
    settings = Settings(theme="dark", window="01d9", recent=(job,), folders={"/a": options})
    save(tmp_path / "deep" / "settings.json", settings)
    assert load(tmp_path / "deep" / "settings.json") == settings
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"theme": 5, "window": 3, "recent": 7, "folders": []}',
        '{"recent": [null, {"paths": []}, {"paths": [3]}], "folders": {"/a": "x"}}',
        '{"recent": [{"paths": ["a"], "num_stages": -4, "decoder": 9, "options": {"unknown": 1, "step": "far"}}]}',
    ],
)
def test_a_damaged_file_is_tolerated(tmp_path, text):
    path = tmp_path / "settings.json"
    path.write_text(text)
    settings = load(path)
    assert settings.theme == "system"
    assert all(job.options == OpenOptions() for job in settings.recent)


def test_bytes_that_are_no_text_are_tolerated(tmp_path):
    (tmp_path / "settings.json").write_bytes(b"\xff\xfe\x00garbage")
    assert load(tmp_path / "settings.json") == Settings()


def test_a_folder_that_takes_no_file_is_not_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    save(tmp_path / "file" / "settings.json", Settings())


def test_recent_jobs_are_few_and_each_set_of_files_is_listed_once():
    settings = Settings()
    for number in range(MAX_RECENT + 3):
        settings = settings.with_recent(RecentJob((f"/{number}",)))
    settings = settings.with_recent(RecentJob((f"/{MAX_RECENT}",), decoder="gap-tv"))
    assert len(settings.recent) == MAX_RECENT
    assert settings.recent[0].decoder == "gap-tv"
    assert len({job.paths for job in settings.recent}) == MAX_RECENT


def test_moved_files_are_found_by_name_and_their_roles_move_with_them(tmp_path):
    (tmp_path / "mask.mat").write_text("")
    job = RecentJob(("/gone/scene.mat", "/gone/mask.mat"), OpenOptions(roles=(("/gone/mask.mat::m", "mask"),)))
    moved = job.relocated(tmp_path)
    assert moved.paths == ("/gone/scene.mat", str(tmp_path / "mask.mat"))
    assert moved.options.roles == ((f"{tmp_path / 'mask.mat'}::m", "mask"),)
    assert moved.missing == ("/gone/scene.mat",)


def test_corrections_that_are_taken_back_are_forgotten(tmp_path):
    settings = Settings().with_folder(tmp_path, OpenOptions(num_bands=24))
    assert settings.folders[str(tmp_path)].num_bands == 24
    assert not settings.with_folder(tmp_path, OpenOptions()).folders
    assert json.dumps(dict(settings.with_folder(tmp_path, OpenOptions()).folders)) == "{}"


def test_two_windows_keep_what_each_other_remember(tmp_path):
    one, other = Memory(tmp_path / "settings.json"), Memory(tmp_path / "settings.json")
    one.remember_job(RecentJob(("/a.mat",)))
    other.remember_job(RecentJob(("/b.mat",)))
    one.remember_folder(tmp_path, OpenOptions(step=2.0))
    other.prefer("theme", "dark")
    one.remember_window("01d9")
    stored = load(tmp_path / "settings.json")
    assert [job.paths for job in stored.recent] == [("/b.mat",), ("/a.mat",)]
    assert stored.folders == {str(tmp_path): OpenOptions(step=2.0)}
    assert (stored.theme, stored.window) == ("dark", "01d9") and stored == one.settings


def test_windows_that_write_at_once_lose_nothing(tmp_path):
    memories = [Memory(tmp_path / "settings.json") for _ in range(4)]

    def remember(index: int) -> None:
        for number in range(5):
            memories[index].remember_folder(tmp_path / f"{index}-{number}", OpenOptions(step=1.0))

    threads = [threading.Thread(target=remember, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load(tmp_path / "settings.json").folders) == 20


def test_what_cannot_be_written_is_remembered_as_long_as_the_window_lives(tmp_path):
    (tmp_path / "a file").write_text("no folder")
    memory = Memory(tmp_path / "a file" / "settings.json")
    memory.remember_job(RecentJob(("/a.mat",)))
    memory.remember_job(RecentJob(("/b.mat",)))
    assert [job.paths for job in memory.settings.recent] == [("/b.mat",), ("/a.mat",)]
