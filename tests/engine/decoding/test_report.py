"""The report of a decode: one well-formed page that needs nothing else, with its figures, hashes and words."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest

from lorun_engine.camera_checks import remeasure
from lorun_engine.camera_checks.remeasure import checked
from lorun_engine.cli import main
from lorun_engine.decoder import CITATION
from lorun_engine.decoding.report import shown_stages
from lorun_engine.instrument import Dispersion
from lorun_engine.io import open_measurement, write_measurement
from lorun_engine.io.quantities import number
from lorun_engine.library.cards import read_card
from lorun_engine.measurement import Scene
from lorun_engine.tasks import cassi, cs, sr

ROOT = Path(__file__).resolve().parents[3]
BANDS = np.array([450.0, 500.0, 560.0, 640.0])
_JUDGED: dict[tuple, object] = {}
WITHOUT_END = {"meta", "img", "br"}


class Page(HTMLParser):
    """Reads a page and fails where an element does not end as it should."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.open, self.sources, self.cells, self.words = text, [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        assert not {"href", "onload", "onclick", "onerror"} & given.keys() and tag != "script"
        self.sources += [given["src"]] if "src" in given else []
        if tag == "tr":
            self.cells.append([])
        if tag not in WITHOUT_END and tag != "path":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag == "path"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1].append(data)
        if "style" not in self.open:
            self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join(self.words)


def run(*words: object, library: Path | None = None) -> int:
    return main([str(word) for word in words], library=[library] if library else [], resources=ROOT / "resources")


@pytest.fixture(autouse=True)
def search_each_capture_once(monkeypatch) -> None:
    """A report searches the mask of its capture, most of these that of the same snapshot: one search serves all."""
    judge = remeasure.judge_camera

    def once(measurement):
        key = (measurement.y.tobytes(), measurement.physics.mask.numpy().tobytes())
        if key not in _JUDGED:
            _JUDGED[key] = judge(measurement)
        return _JUDGED[key]

    monkeypatch.setattr(remeasure, "judge_camera", once)


@pytest.fixture
def snapshot(tmp_path) -> Path:
    """A capture of 4 bands of 24 x 20 pixels with its mask and its true scene."""
    rng = np.random.default_rng(1)
    scene = Scene(rng.random((4, 24, 20), np.float32), BANDS)
    measurement = cassi.simulate(scene, (rng.random((24, 20)) < 0.5).astype(np.float32), Dispersion(4))
    write_measurement(tmp_path / "snapshot.h5", measurement, attributes={})
    return tmp_path / "snapshot.h5"


def reported(path: Path, *words: object, library: Path | None = None, name: str = "page.html") -> Page:
    page = path.parent / name
    assert run("restore", path, "-o", path.parent / "cube.h5", "--report", page, *words, library=library) == 0
    return Page(page.read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_leads_nowhere(snapshot):
    page = reported(snapshot, "--adapter", "gap-tv", "--stages", 6)
    assert not re.search(r"https?:|<script|<link|url\(|@import", page.text)
    assert len(page.sources) == 1 + 2 + 2 + 4  # the result; measurement, reference; two stages before it; four bands
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "prefers-color-scheme: dark" in page.text and "@media print" in page.text


def test_the_figures_are_those_of_the_decode(snapshot, capsys):
    capsys.readouterr()
    page = reported(snapshot, "--adapter", "gap-tv", "--stages", 3, "--json")
    stages = json.loads(capsys.readouterr().out)["stages"]
    titles = ["iteration", "residual", "PSNR (dB)", "SSIM", "SAM (°)", "ERGAS", "seconds"]
    first = page.cells.index(titles)
    rows = page.cells[first + 1 : first + 1 + len(stages)]
    names = ("residual", "psnr", "ssim", "sam", "ergas", "seconds")
    expected = [[str(stage["index"] or "start"), *(number(stage[name]) for name in names)] for stage in stages]
    assert rows == expected
    assert f"PSNR {number(stages[-1]['psnr'])} dB" in page.said


def test_the_hashes_are_those_of_the_files_and_of_the_weights(snapshot, make_trained_set):
    library = make_trained_set(list(BANDS))
    np.save(snapshot.parent / "other mask.npy", np.random.default_rng(2).random((24, 20)).astype(np.float32))
    page = reported(snapshot, "--adapter", "tiny", "--mask", snapshot.parent / "other mask.npy", library=library)
    hashed = {cells[0]: cells[1] for cells in page.cells if len(cells) == 2 and len(cells[1]) == 64}
    card = read_card(library / "tiny.safetensors")
    assert hashed == {
        "measurement, reference, wavelengths: snapshot.h5": hashlib.sha256(snapshot.read_bytes()).hexdigest(),
        "mask: other mask.npy": hashlib.sha256((snapshot.parent / "other mask.npy").read_bytes()).hexdigest(),
        "adapter set: tiny": card.hash,
        "its backbone": card.fields["backbone_hash"],
    }
    assert CITATION in page.said and "2 stages of the adapter set tiny, a LoRA-unfolding network" in page.said


def test_the_verdict_has_the_words_of_the_check(snapshot):
    page = reported(snapshot, "--adapter", "gap-tv", "--stages", 2)
    with h5py.File(snapshot.parent / "cube.h5") as file:
        cube = np.moveaxis(file["cube"][()], -1, 0)
    result, unjudged = checked(open_measurement([snapshot]), cube)
    sentence, look = result.look(unjudged)
    assert sentence in page.said and result.figure in page.said and f'class="{look}"' in page.text


def test_the_command_on_the_page_gives_the_same_cube(snapshot, tmp_path, monkeypatch):
    page = reported(snapshot, "--adapter", "gap-tv", "--stages", 2, "--crop", "2,0,16,16", "--input-scale", "0.5")
    (line,) = (words for words in page.words if words.startswith("lorun restore"))
    words = shlex.split(line)
    with h5py.File(tmp_path / "cube.h5") as file:
        cube = file["cube"][()]
    (tmp_path / "cube.h5").unlink()
    monkeypatch.chdir(tmp_path)
    assert run(*words[1:]) == 0
    with h5py.File(tmp_path / "cube.h5") as file:
        assert np.array_equal(file["cube"][()], cube)


def test_the_methods_paragraph_says_instrument_decoder_and_what_was_applied(tmp_path):
    rng = np.random.default_rng(3)
    scene = Scene(rng.random((4, 24, 20), np.float32), BANDS)
    mask = (rng.random((24, 20)) < 0.5).astype(np.float32)
    y = cassi.simulate(scene, mask, Dispersion(4)).y[0]
    np.save(tmp_path / "capture.npy", np.rint(y / y.max() * 4000).astype(np.uint16))
    np.save(tmp_path / "mask.npy", mask)
    words = ("--mask", tmp_path / "mask.npy", "--bands", 4, "--dark-level", 0.001, "--integer-scale", 4095)
    page = reported(tmp_path / "capture.npy", *words, "--adapter", "gap-tv", "--stages", 2, "--threads", 1)
    text = next(words for words in page.words if words.startswith("A cube of 4 bands"))
    for part in (
        *(
            "(24 x 26 values)",
            "cube of 4 bands",
            "24 x 20 pixels",
            "from the CASSI snapshot capture.npy",
            "mask.npy (mask) with bands: 4",
        ),
        *("step (px per band): 2", "by 2 iterations of gap-tv, which has no trained weights, on the CPU (1 thread)"),
        *("4095", "0.001", "||y - Phi x|| / ||y||"),
    ):
        assert part in text, part
    assert "Yuan" in page.said and ["Full scale", "4095", "as you said"] in page.cells


@pytest.mark.parametrize("task", ["cs", "sr"])
def test_photographs_have_a_page_too(tmp_path, task):
    if task == "cs":
        scene = Scene(np.random.default_rng(3).random((1, 16, 24), np.float32))
        measurement = cs.simulate(scene, cs.random_sampling(25, block_size=8))
    else:
        scene = Scene(np.random.default_rng(4).random((3, 16, 24), np.float32))
        measurement = sr.simulate(scene, np.full((3, 3), 1 / 9, np.float32), 2)
    write_measurement(tmp_path / "file.h5", measurement, attributes={})
    page = reported(tmp_path / "file.h5")
    assert "picture of 16 x 24 pixels" in page.said and "band" not in page.said.lower()


def test_a_capture_without_wavelengths_and_reference_has_false_colours_and_no_scores(tmp_path, snapshot):
    with h5py.File(snapshot, "a") as file:
        del file["reference"], file["wavelengths_nm"]
    page = reported(snapshot, "--adapter", "gap-tv", "--stages", 1)
    assert "false colours: bands" in page.said and "PSNR" not in page.said and "nm" not in page.cells[-1]


def test_names_of_files_do_no_harm(snapshot):
    bad = snapshot.with_name("\"><img src=x onerror=alert(1)><script>&'.h5")
    try:
        shutil.copy(snapshot, bad)
    except OSError:
        pytest.skip("such a name is not allowed here")
    page = reported(bad, "--adapter", "gap-tv", "--stages", 1)
    assert bad.name in page.said and "<script" not in page.text and all(s.startswith("data:") for s in page.sources)


def test_an_input_a_wrong_name_and_a_folder_are_refused_before_the_decode(snapshot, tmp_path, capsys):
    disguised = shutil.copy(snapshot, tmp_path / "measured.html")
    before = disguised.read_bytes()
    cube = tmp_path / "cube.h5"
    assert run("restore", disguised, "-o", cube, "--report", disguised) == 1 and disguised.read_bytes() == before
    assert "never overwritten" in capsys.readouterr().err
    assert run("restore", snapshot, "-o", cube, "--report", tmp_path / "page.txt") == 1
    assert "ends in .txt" in capsys.readouterr().err
    assert run("restore", tmp_path, "-o", tmp_path / "out", "--report", tmp_path / "page.html") == 1
    assert "--report means nothing for a folder" in capsys.readouterr().err
    assert not cube.exists() and not (tmp_path / "page.txt").exists()


def test_the_last_stage_is_among_those_shown():
    assert shown_stages(1) == (0, 1) and shown_stages(2) == (0, 1, 2) and shown_stages(9) == (0, 4, 9)


def test_the_readme_cites_the_method_as_reports_do():
    assert " ".join(CITATION.split()) in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
