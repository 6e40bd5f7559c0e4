"""Stands in for `lorun train`: the same events and commands, with numbers that a test can foresee.

Step k has the loss 1/k. The starting set scores 20 dB and step k 20 + k / 10. With `--set FILE` that file is the best
set; `--steps N` is the length, `--hold K` waits after step K until it is told something, `--die K` ends there as a
crash does, `--deaf` obeys nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("--steps", "--hold", "--die"):
        parser.add_argument(name, type=int, default=0)
    for name in ("--set", "--out", "--resume", "--refuse"):
        parser.add_argument(name)
    for name in ("--deaf", "--probe"):
        parser.add_argument(name, action="store_true")
    args, _ = parser.parse_known_args()
    if args.refuse:
        print(f"lorun: {args.refuse}", file=sys.stderr)
        return 1
    if args.probe:
        presets = {name: {"steps": 10 * n, "seconds": 60.0 * n} for n, name in enumerate(("quick", "standard"), 1)}
        print("a library's warning", flush=True)
        say(None, event="probing", presets={"standard": {"steps": 8, "seconds": 90.0}}, done=1, total=4)
        say(None, event="probe", presets=presets, parameters=1234, message="It should help.")
        return 0
    if args.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    train(Path(args.resume or args.out), args)
    return 0


def say(run: Path | None, **event: object) -> None:
    line = json.dumps({"phase": "adapters", **event})
    print(line, flush=True)
    if run is not None:
        with open(run / "events.jsonl", "a", encoding="utf-8") as log:
            log.write(f"{line}\n")


def train(run: Path, args: argparse.Namespace) -> None:
    commands, checkpoint = run / "commands", run / "checkpoint.safetensors"
    read = commands.stat().st_size if commands.exists() else 0
    first = int(checkpoint.read_text()) if checkpoint.exists() else 0
    begun = {"message": "It begins.", "num_steps": args.steps, "num_parameters": 1234, "device": "cpu"}
    say(run, event="started", step=first, elapsed_s=0.0, **begun)
    if not first:
        say(run, event="validated", step=0, metrics={"psnr": 20.0}, elapsed_s=0.1)
    step = first
    while step < args.steps:
        step += 1
        if args.set:
            shutil.copy(args.set, run / "adapters.safetensors")
        say(run, event="step", step=step, loss=1 / step, learning_rate=1e-3, elapsed_s=float(step))
        checkpoint.write_text(str(step))
        if args.die == step:
            os.kill(os.getpid(), signal.SIGKILL)
        is_paused = False
        while True:
            told = commands.read_text()[read:].splitlines() if commands.exists() and not args.deaf else []
            if told:
                command, read = told[0], read + len(told[0]) + 1
                if command == "discard":
                    (run / "adapters.safetensors").unlink(missing_ok=True)
                    say(run, event="discarded", step=step, elapsed_s=float(step), message="Discarded.")
                    return
                if command == "stop":
                    validate(run, step)
                    say(run, event="stopped", step=step, elapsed_s=float(step), message="Stopped.", reason="asked")
                    return
                if command == "validate":
                    validate(run, step)
                if command == "checkpoint":
                    say(run, event="saved", step=step, elapsed_s=float(step), message="A checkpoint was written.")
                if command == "pause":
                    say(run, event="paused", step=step, elapsed_s=float(step), message="Paused.")
                is_paused = command == "pause" or (is_paused and command != "continue")
                if command == "continue":
                    say(run, event="continued", step=step, elapsed_s=float(step), message="Going on.")
                    break
            elif not is_paused and args.hold != step:
                break
            else:
                time.sleep(0.005)
    validate(run, step)
    say(run, event="finished", step=step, elapsed_s=float(step), message="The training is complete.")


def validate(run: Path, step: int) -> None:
    say(run, event="validated", step=step, metrics={"psnr": 20 + step / 10}, elapsed_s=float(step))
    image = np.linspace(0, 1, 4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8)
    with open(run / "preview.tmp", "wb") as stream:
        np.savez(stream, before=image, after=image / 2, step=step)
    os.replace(run / "preview.tmp", run / "preview.npz")
    say(run, event="preview", step=step, elapsed_s=float(step), path="preview.npz")


if __name__ == "__main__":
    sys.exit(main())
