"""Whatever a user gives, `lorun` answers with a result or a sentence; `make fuzz` tries forty times as much."""

from __future__ import annotations

import pytest

from tests.fuzz import Place, faults, made_place

NUM_FILES, NUM_COMMANDS, NUM_PARTS = 500, 300, 10


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The sound files that are damaged."""
    return made_place(tmp_path_factory.mktemp("fuzz") / "sound")


@pytest.mark.parametrize("part", range(NUM_PARTS))
def test_no_damaged_file_is_answered_with_a_traceback(sound, part):
    assert not list(faults("files", sound, range(part, NUM_FILES, NUM_PARTS)))


@pytest.mark.parametrize("part", range(NUM_PARTS))
def test_no_command_line_is_answered_with_a_traceback(sound, part):
    assert not list(faults("commands", sound, range(part, NUM_COMMANDS, NUM_PARTS)))
