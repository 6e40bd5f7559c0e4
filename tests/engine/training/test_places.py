"""Paths as a checkpoint keeps them."""

from __future__ import annotations

import json

from lorun_engine.training.places import found_from, seen_from


def test_paths_are_kept_as_seen_from_the_folder_of_the_run(tmp_path):
    run, home = tmp_path / "runs" / "first", tmp_path / "home of ann"
    run.mkdir(parents=True)
    stored = {
        "cubes": [[str(home / "a.h5"), 0.5]],
        "spectra": None,
        "files": [{"path": str(home / "b.npy"), "use": "learn", "rows": [0, 3]}],
        "options": {"roles": [[f"{home}/m.mat::mask", "mask"]], "step": 2.0, "axis": "x"},
        "title": "a run",
    }
    kept = json.loads(json.dumps(seen_from(run, stored)))
    assert str(tmp_path) not in json.dumps(kept)
    assert kept["cubes"] == [[{"path": "../../home of ann/a.h5"}, 0.5]]
    assert found_from(run, kept) == stored


def test_a_run_beside_its_files_finds_them_where_both_were_moved(tmp_path):
    kept = seen_from(tmp_path / "old" / "run", str(tmp_path / "old" / "data" / "a.h5"))
    assert found_from(tmp_path / "new" / "run", kept) == str(tmp_path / "new" / "data" / "a.h5")
