"""The paper's tables: every figure has its column, what is there is run, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from lorun_engine.cli import main
from lorun_engine.paper.tables import TABLES, Column, Row, Table, run_table
from lorun_engine.tasks.kernels import gaussian_kernel
from lorun_engine.training.recipe import recipe_from
from lorun_engine.training.train import train
from lorun_engine.training_data.dataset import find_material


@pytest.fixture
def data(tmp_path) -> Path:
    """A data folder with two pictures of Set11, one of Set5, and twelve kernels."""
    for folder, names in (("set11", ("house", "boats")), ("set5", ("baby",))):
        (tmp_path / "images" / folder).mkdir(parents=True)
        for number, name in enumerate(names):
            pixels = np.random.default_rng(number).integers(0, 256, (64, 72, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / folder / f"{name}.png")
    cell = np.empty((1, 12), dtype=object)
    for number in range(12):
        cell[0, number] = gaussian_kernel(0.5 + number / 10, size=9)
    (tmp_path / "kernels").mkdir()
    scipy.io.savemat(tmp_path / "kernels" / "kernels_12.mat", {"kernels": cell})
    return tmp_path


@pytest.fixture
def library(data, tmp_path) -> Path:
    """A set for 25 % with a matrix of its own."""
    network = {"channels": 1, "num_stages": 2, "denoiser": "unet", "data_step": "proximal-gradient"}
    network["denoiser_settings"] = {"widths": [4, 8]}
    table = {"task": "cs", "network": network, "data": {"crop": [32, 32], "batch": 2, "validation": 0}}
    table["training"] = {"backbone_steps": 1, "adapter_steps": 1}
    list(train(recipe_from(table, source="test"), find_material(data / "images", task="cs"), tmp_path / "run"))
    (tmp_path / "run" / "share.safetensors").unlink()
    return tmp_path / "run"


@pytest.mark.parametrize("number", TABLES)
def test_every_row_of_the_paper_has_a_figure_for_every_column(number):
    table = TABLES[number]
    assert len({row.label for row in table.rows}) == len(table.rows)
    assert len({column.label for column in table.columns}) == len(table.columns)
    for row in table.rows:
        assert len(row.paper) == len(table.columns) or row.decoder


def test_the_averages_of_the_tables_are_those_the_paper_prints():
    def mean(number: int, label: str, columns: slice) -> float:
        row = next(row for row in TABLES[number].rows if row.label == label)
        return float(np.mean([psnr for psnr, _ in row.paper[columns]]))

    assert mean(1, "Block-9", slice(0, 4)) == pytest.approx(30.87, abs=0.006)
    assert mean(1, "LoRun-9", slice(4, 8)) == pytest.approx(28.86, abs=0.006)
    assert mean(1, "Block-9", slice(8, 12)) == pytest.approx(28.60, abs=0.006)
    assert mean(3, "LoRun-9", slice(None)) == pytest.approx(40.27, abs=0.006)
    assert mean(8, "Block-1", slice(None)) == pytest.approx(28.57, abs=0.006)


def test_cells_run_where_data_and_sets_are_there_and_the_others_say_why(data, library):
    columns = (Column("Set11 25 %", "images/set11", ratio=25.0), Column("Set14 25 %", "images/set14", ratio=25.0))
    rows = (Row("pinv", decoder="pinv"), Row("ours", "lorun", "unet", stages=2, paper=((30.0, 0.9), None)))
    rows += (Row("nine stages", "lorun", "unet", stages=9),)
    cells = list(run_table(Table("a table", "cs", rows, columns), data, library=[library]))
    ran = [cell for cell in cells if cell.skipped is None]
    assert [(cell.row, cell.column, cell.num_images) for cell in ran] == [
        ("pinv", "Set11 25 %", 2),
        ("ours", "Set11 25 %", 2),
    ]
    assert ran[1].adapter == "adapters" and (ran[1].paper_psnr, ran[1].paper_ssim) == (30.0, 0.9)
    reasons = [cell.skipped for cell in cells if cell.skipped is not None]
    assert any("does not exist" in reason for reason in reasons) and any("9 stages" in reason for reason in reasons)


def test_super_resolution_cells_take_their_kernel_and_factor(data):
    columns = tuple(Column(f"x{s} K{k}", "images/set5", scale=s, kernel=k) for s, k in ((2, 1), (2, 12), (3, 1)))
    cells = list(run_table(Table("SR", "sr", (Row("bicubic", decoder="bicubic"),), columns), data, library=[]))
    assert all(cell.skipped is None for cell in cells) and len({cell.psnr for cell in cells}) == 3


def test_the_command_prints_a_table_and_counts_what_it_left_out(data, capsys):
    assert main(["evaluate", "--table", "8", "--data", str(data), "--json"]) == 1  # nothing to compute it with
    out, err = capsys.readouterr()
    assert '"table": 8' in out and '"paper_psnr": 29.62' in out
    assert "cells skipped: The library has no block set" in err
