"""Draws the figures of results-training.md: python -m resources.help.make_curves LABEL=RUN [LABEL=RUN ...]

`training-curves.png`: the mean loss of every 50 steps and the validation PSNR over the steps of both phases, after
Fig. 11 of the paper. `psnr-parameters.png`: the best validation PSNR over the numbers in the network, after Fig. 1.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pyqtgraph as pg
import pyqtgraph.exporters

from lorun_engine.library.model import load_model

FOLDER = Path(__file__).parent
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # of Okabe and Ito
AVERAGED = 50  # steps
SIZE = (900, 420)


@dataclass(frozen=True)
class Curve:
    """One training: `losses` of every step, `scores` as (step, PSNR), and the numbers of the whole network."""

    label: str
    losses: np.ndarray
    scores: list[tuple[int, float]]
    num_parameters: int


def read(label: str, run: Path) -> Curve:
    """The phases of a run, one after the other."""
    losses, scores, before, phase = [], [], 0, None
    for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] not in ("step", "validated"):
            continue
        if event["phase"] != phase:
            before, phase = len(losses), event["phase"]
        if event["event"] == "step":
            losses.append(event["loss"])
        else:
            scores.append((before + event["step"], event["metrics"]["psnr"]))
    path = next(run / name for name in ("adapters.safetensors", "share.safetensors") if (run / name).exists())
    model = load_model(path, library=[run])
    stored = [*model.net.backbone.parameters(), *model.adapters.tensors.values()]
    return Curve(label, np.asarray(losses), scores, sum(tensor.numel() for tensor in stored))


def plot(grid: pg.GraphicsLayoutWidget, title: str, across: str, up: str, *, column: int = 0) -> pg.PlotItem:
    item = grid.addPlot(0, column)
    item.setTitle(title, color="#1f2328", size="11pt")
    for side, text in (("bottom", across), ("left", up)):
        item.setLabel(side, text, color="#57606a")
        item.getAxis(side).setPen("#8c959f")
        item.getAxis(side).setTextPen("#57606a")
    item.showGrid(x=True, y=True, alpha=0.15)
    return item


def save(grid: pg.GraphicsLayoutWidget, name: str) -> None:
    grid.resize(*SIZE)
    grid.show()
    pg.QtWidgets.QApplication.processEvents()
    grid.grab().save(str(FOLDER / name))


def main(words: list[str]) -> None:
    pg.mkQApp()
    pg.setConfigOptions(background="w", foreground="#1f2328", antialias=True)
    curves = [read(label, Path(run)) for label, _, run in (word.partition("=") for word in words)]
    grid = pg.GraphicsLayoutWidget()
    loss = plot(grid, "Training loss", "steps", f"mean squared error, mean of {AVERAGED} steps")
    score = plot(grid, "Validation", "steps", "PSNR (dB)", column=1)
    loss.setLogMode(y=True)
    score.addLegend(offset=(-10, -10), labelTextColor="#1f2328")
    for curve, colour in zip(curves, COLOURS, strict=False):
        pen = pg.mkPen(colour, width=2)
        means = curve.losses[: len(curve.losses) // AVERAGED * AVERAGED].reshape(-1, AVERAGED).mean(axis=1)
        loss.plot(AVERAGED * (np.arange(len(means)) + 0.5), means, pen=pen)
        score.plot(
            *map(list, zip(*curve.scores, strict=True)),
            pen=pen,
            symbol="o",
            symbolSize=5,
            symbolBrush=colour,
            symbolPen=None,
            name=curve.label,
        )
    save(grid, "training-curves.png")
    grid = pg.GraphicsLayoutWidget()
    item = plot(grid, "Best validation score", "numbers in the network (thousands)", "PSNR (dB)")
    for curve, colour in zip(curves, COLOURS, strict=False):
        place = curve.num_parameters / 1e3, max(psnr for _, psnr in curve.scores)
        item.plot([place[0]], [place[1]], pen=None, symbol="o", symbolSize=11, symbolBrush=colour, symbolPen=None)
        text = pg.TextItem(curve.label, color=colour, anchor=(0, 1))
        text.setPos(*place)
        item.addItem(text)
        sys.stdout.write(f"{curve.label}: {curve.num_parameters} numbers, {place[1]:.2f} dB\n")
    item.getViewBox().setDefaultPadding(0.15)
    save(grid, "psnr-parameters.png")


if __name__ == "__main__":
    main(sys.argv[1:])
