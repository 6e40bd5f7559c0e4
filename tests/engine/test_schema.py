"""One definition of a value, by its annotation, for files, flags and forms."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import pytest

from lorun_engine.errors import FileError, LorunError
from lorun_engine.networks.unfolding import NetworkConfig
from lorun_engine.schema import (
    Among,
    Between,
    Count,
    Entries,
    Percent,
    Seed,
    Share,
    json_of,
    made,
    parsed,
    read,
    salvaged,
)
from lorun_engine.training.recipe import Recipe, TrainingConfig, read_recipe
from lorun_engine.training_data.settings import CassiData, CsData, LocalData, SrData


@dataclass(frozen=True)
class Inner:
    share: Share = 0.5


@dataclass(frozen=True)
class Outer:
    count: Count
    names: tuple[str, ...] = ()
    size: tuple[Count, Count] = (1, 1)
    widths: Annotated[tuple[Count, ...], Entries(1, 2)] = (1,)
    path: Path | None = None
    kind: Literal["a", "b"] = "a"
    axis: Annotated[str, Among(("x", "y"))] = "x"
    figures: Mapping[str, float] = field(default_factory=dict)
    inner: Inner = Inner()


def test_a_table_becomes_the_dataclass_that_its_annotations_describe():
    table = {
        "count": 2,
        "names": ["p"],
        "size": [3, 4],
        "path": "f",
        "figures": {"psnr": math.inf},
        "inner": {"share": 1},
    }
    outer = made(Outer, json.loads(json.dumps(table)))
    assert outer == Outer(2, ("p",), (3, 4), (1,), Path("f"), "a", "x", {"psnr": math.inf}, Inner(1))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "count is missing"),
        ([], "a table was expected"),
        ({"count": 1, "sped": 2}, "unknown setting sped"),
        ({"count": True}, "count is True; a whole number"),
        ({"count": 1.0}, "a whole number from 1"),
        ({"count": 0}, "a whole number from 1"),
        ({"count": 1, "names": "p"}, "words with commas"),
        ({"count": 1, "size": [1]}, "2 whole numbers"),
        ({"count": 1, "widths": []}, "1 to 2 of them"),
        ({"count": 1, "path": "a\0b"}, "the name of a file"),
        ({"count": 1, "kind": "c"}, "a or b was expected"),
        ({"count": 1, "axis": ["x"]}, "x or y was expected"),
        ({"count": 1, "figures": {"psnr": "high"}}, "a table was expected"),
        ({"count": 1, "inner": {"share": 2}}, "inner: share is 2; a number from 0 to 1"),
        ({"count": 1, "inner": {"share": math.nan}}, "share is nan"),
        ({"count": 1, "inner": {"share": 10**400}}, "a number from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_a_sentence_of_the_file(table, words):
    with pytest.raises(FileError, match=f"^a.json: .*{words}.*Correct the file"):
        read(Outer, table, source="a.json")


def test_of_a_damaged_table_what_fits_is_kept():
    @dataclass(frozen=True)
    class Remembered:
        count: Count = 1
        name: str = "none"

    assert salvaged(Remembered, {"count": -1, "name": "x", "more": 2}) == Remembered(name="x")
    assert salvaged(Outer, {"count": 1, "inner": {"share": 1, "more": 2}}) == Outer(1, inner=Inner(1))
    assert salvaged(Remembered, 7) == Remembered()


def test_what_is_nested_without_end_is_no_json_of_ours():
    with pytest.raises(ValueError, match="nested too deeply"):
        json_of("[" * 100_000)


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("3", Count, 3),
        ("0.5", Share, 0.5),
        ("1e-3", float | None, 1e-3),
        ("96,128", tuple[Count, Count], (96, 128)),
        ("[0.3, 0.2]", tuple[float, ...], (0.3, 0.2)),
        ("true", bool, True),
        ("b", Literal["a", "b"], "b"),
    ],
)
def test_a_word_means_what_the_annotation_says(text, hint, value):
    assert parsed(text, hint) == value


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        *(
            ("1.5", Count),
            ("nan", Percent),
            ("-5", Percent),
            ("0", Percent),
            ("inf", Share),
            ("5", Share),
            ("abc", Seed),
        ),
        *((str(10**20), Seed), ("", Count), ("16", tuple[Count, Count]), ("perhaps", bool), ("c", Literal["a", "b"])),
    ],
)
def test_a_word_that_means_nothing_is_a_sentence(text, hint):
    with pytest.raises(ValueError, match="was given; .* was expected"):
        parsed(text, hint)


SETTINGS = [
    *((TrainingConfig, name, value) for name, value in [("seed", "abc"), ("seed", 10**20), ("clip_norm", 0)]),
    *((TrainingConfig, name, value) for name, value in [("validation_steps", 0), ("precision", "float16")]),
    *((TrainingConfig, name, value) for name, value in [("adapter_learning_rate", -1), ("threads", 10**6)]),
    *((TrainingConfig, name, value) for name, value in [("optimizer", "sgd"), ("loss", "l3"), ("ema_decay", 1)]),
    *((LocalData, name, value) for name, value in [("batch", 1.5), ("crop", 16), ("random_masks", 5)]),
    *((CassiData, name, value) for name, value in [("batch", 0), ("real_share", 1.5), ("densities", (0.2,))]),
    *((CsData, name, value) for name, value in [("ratio", math.nan), ("sampling_start", "zeros")]),
    *((SrData, name, value) for name, value in [("scales", (0,)), ("kernel_size", -1)]),
    *(
        (Recipe, name, value)
        for name, value in [("gamma", -5), ("variant", "many"), ("step", math.inf), ("bands", "b")]
    ),
]


@pytest.mark.parametrize(("kind", "name", "value"), SETTINGS)
def test_no_setting_of_a_training_holds_what_it_cannot_be(kind, name, value, tmp_path):
    """Neither from code nor from a file."""
    with pytest.raises(LorunError, match=name):
        replace(kind(), **{name: value})
    text = json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan")
    table = {Recipe: "", TrainingConfig: "[training]\n"}.get(kind, "[data]\n")
    task = {CsData: 'task = "cs"\n', SrData: 'task = "sr"\n', LocalData: 'adapts = "hash"\n'}.get(kind, "")
    (tmp_path / "recipe.toml").write_text(f"{task}{table}{name} = {text}\n")
    with pytest.raises(LorunError, match=name):
        read_recipe(tmp_path / "recipe.toml")


@pytest.mark.parametrize("change", [{"channels": 0}, {"num_stages": 10**9}, {"rank": -1}, {"starts": {"mu": "x"}}])
def test_no_network_is_described_by_what_cannot_be(change):
    with pytest.raises(LorunError, match=next(iter(change))):
        NetworkConfig(**{"channels": 4, "num_stages": 2, **change})


def test_a_range_says_what_it_holds():
    assert [str(Between()), str(Between(0)), str(Between(0, above=True)), str(Between(0, 1))] == [
        "",
        "from 0",
        "above 0",
        "from 0 to 1",
    ]
