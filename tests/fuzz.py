"""Damaged files and senseless command lines: whatever a user gives, `lorun` answers with a result or a sentence.

    python -m tests.fuzz FILES COMMANDS     so many of each; prints every fault, and ends with 1 where there is one
    python -m tests.fuzz 8000:20000 0       goes on from a case

Every case is drawn from its own number, so that `python -m tests.fuzz --case files 17` repeats one.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from lorun_engine.cli import commands

RESOURCES = Path(__file__).resolve().parents[1] / "resources"
parser_once = cache(commands._parser)  # to make it takes as long as the rest of a case
LONGEST_S = 120  # that a case may take
SAID_EVERY = 500  # cases
ODD_NUMBERS = ("0", "-1", "1", "2", "7", "nan", "inf", "-inf", "1e300", "1e-300", str(10**20), "2147483648", "1.5")
ODD_WORDS = (
    "",
    " ",
    "x",
    "--",
    "-",
    "a,b",
    "1,2",
    "1,2,3,4",
    "::",
    "a::b",
    "\ud800",
    "é" * 300,
    "/dev/null",
    ".",
    "..",
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 10**9, 10**30, 1e300, float("nan"), float("inf"), "", "x", [], {}, [[]], {"a": 1}),
    *([1, 2], ["x"], "[" * 2000),
)


@dataclass(frozen=True)
class Place:
    """Sound files to damage, and what belongs to them: made once, copied for every case."""

    folder: Path

    @property
    def library(self) -> Path:
        """Two sets of one backbone."""
        return self.folder / "library"

    @property
    def run(self) -> Path:
        """A training that is over."""
        return self.folder / "run"

    def inputs(self) -> list[Path]:
        """Measurements, masks and scenes of every format."""
        return sorted(path for path in (self.folder / "inputs").iterdir() if path.suffix != ".img")


def made_place(folder: Path) -> Place:
    """Writes the sound files."""
    from lorun_engine.io import write_cube
    from lorun_engine.measurement import Scene
    from lorun_engine.tasks.cassi import random_mask

    place, inputs = Place(folder), folder / "inputs"
    inputs.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:16, 0:16] / 16
    image = np.stack([0.5 + 0.3 * np.sin(2 * rows + 3 * columns + 0.3 * c) for c in range(8)]).astype(np.float32)
    wavelengths_nm = np.linspace(450.0, 650.0, 8)
    for suffix in (".h5", ".mat", ".tif", ".hdr", ".npy"):
        write_cube(inputs / f"scene{suffix}", image, wavelengths_nm=wavelengths_nm, attributes={})
    _write_foreign(inputs, rng, random_mask(16, 16, seed=1))
    assert _ran(["simulate", inputs / "scene.h5", "-o", inputs / "capture.h5", "--noise", "shot:500"])
    scene = Scene(image, wavelengths_nm)
    assert scene.image.shape == (8, 16, 16)
    _write_library(place.library, wavelengths_nm)
    _write_run(place, inputs)
    return place


def _write_foreign(folder: Path, rng: np.random.Generator, mask: np.ndarray) -> None:
    """A capture of 16 x 30 values with a mask of 16 x 16, a picture, samples and a kernel, as others write them."""
    import scipy.io
    import tifffile
    from PIL import Image

    capture = rng.random((16, 30)).astype(np.float32)
    scipy.io.savemat(folder / "both.mat", {"meas": capture, "mask": mask})
    np.savez(folder / "both.npz", meas=capture, mask=mask)
    np.save(folder / "mask.npy", mask)
    tifffile.imwrite(folder / "meas.tiff", (capture * 65535).astype(np.uint16))
    Image.fromarray((capture * 255).astype(np.uint8)).save(folder / "meas.png")
    colours = rng.integers(0, 255, (32, 32, 3), np.uint8)
    for suffix in ("png", "jpg", "bmp"):
        Image.fromarray(colours).save(folder / f"picture.{suffix}")
    scipy.io.savemat(folder / "samples.mat", {"y": rng.random((4, 9)), "phi": rng.random((4, 16))})
    (folder / "bands.csv").write_text("\n".join(str(450 + 25 * band) for band in range(8)))


def _write_library(folder: Path, wavelengths_nm: np.ndarray) -> None:
    import torch

    from lorun_engine.library.model import Model, save_adapters, save_backbone
    from lorun_engine.networks.lora import new_adapters
    from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters

    torch.manual_seed(0)
    config = NetworkConfig(8, 2, denoiser="unet", denoiser_settings={"widths": (4, 8)})
    backbone = Backbone(config).requires_grad_(False)
    fresh = new_adapters(backbone.blocks[0], num_stages=2, gamma=30)
    changes = {name: 0.1 * torch.randn_like(tensor) for name, tensor in fresh.tensors.items()}
    adapters = fresh.mapped({**changes, **new_step_parameters(config)})
    card = {"task_config": {"wavelengths_nm": wavelengths_nm.tolist(), "step": 2.0}, "input_scale": "none"}
    folder.mkdir()
    digest = save_backbone(folder / "backbone.safetensors", backbone, config, task="cassi", training={})
    model = Model("tiny", "cassi", UnfoldingNet(config, backbone, adapters), card=card)
    for name in ("tiny", "other"):
        save_adapters(folder / f"{name}.safetensors", model, backbone_hash=digest)


def _write_run(place: Place, inputs: Path) -> None:
    (place.folder / "cubes").mkdir()
    shutil.copy(inputs / "scene.h5", place.folder / "cubes" / "scene.h5")
    recipe = place.folder / "adapt.toml"
    recipe.write_text(ADAPT_RECIPE)
    words = ["train", "--adapt", "tiny", "--data", place.folder / "cubes", "--like", inputs / "capture.h5"]
    assert _ran([*words, "--recipe", recipe, "--out", place.run], library=place.library)
    (place.folder / "small.toml").write_text(RECIPE)
    (place.folder / "queue.toml").write_text(QUEUE)


ADAPT_RECIPE = """
[data]
crop = [8, 16]
batch = 1
built_in = 0.0
check_windows = 1
check_size = [8, 16]
[training]
adapter_steps = 1
validation_steps = 1
"""
RECIPE = """
task = "cassi"
variant = "lorun"
bands = "cassi-28"
step = 2.0
gamma = 10.0
[network]
channels = 28
num_stages = 2
denoiser = "unet"
denoiser_settings = { widths = [4, 8] }
data_step = "half-quadratic"
[data]
crop = [8, 16]
batch = 2
zoom = [0.6, 1.6]
[training]
backbone_steps = 1
adapter_steps = 1
learning_rate = 1e-3
earlier_stages = [0.3]
loss = "l2"
seed = 1
precision = "float32"
"""
QUEUE = """
threads = 1
priority = 3
[[training]]
out = "a"
recipe = "small.toml"
data = "cubes"
[[training]]
resume = "run"
"""


# ---- one case ----------------------------------------------------------------------------------------------------


def files_case(place: Place, number: int, seed: int = 0) -> str | None:
    """Damages one file and lets every command that reads such files have it; what went wrong, or None."""
    rng = random.Random(f"files {seed} {number}")
    with tempfile.TemporaryDirectory(prefix="lorun-fuzz-") as folder:
        work = Path(folder) / "w"
        shutil.copytree(place.folder, work)
        attempt = rng.choice(_ATTEMPTS)
        return _fault(lambda: attempt(Place(work), rng))


def commands_case(place: Place, number: int, seed: int = 0) -> str | None:
    """Runs a random command line in a folder of its own; what went wrong, or None."""
    rng = random.Random(f"commands {seed} {number}")
    with tempfile.TemporaryDirectory(prefix="lorun-fuzz-") as folder:
        work = Path(folder) / "w"
        shutil.copytree(place.folder, work)
        words = _random_words(Place(work), rng)
        with contextlib.chdir(work):
            fault = _fault(lambda: _run(words, work / "library"))
    return fault and f"{words}: {fault}"


def _fault(attempt: Callable[[], object]) -> str | None:
    """What an attempt raised that is no sentence, as its last lines."""
    before = signal.signal(signal.SIGALRM, _too_long) if hasattr(signal, "SIGALRM") else None
    if before is not None:
        signal.alarm(LONGEST_S)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            attempt()
    except BaseException as error:
        every = traceback.extract_tb(error.__traceback__)
        own = [entry for entry in every if "lorun_engine" in entry.filename or "/app/" in entry.filename] or every
        where = f"{Path(own[-1].filename).name}:{own[-1].lineno} ({own[-1].line})"
        return f"{type(error).__name__}: {str(error)[:200]} at {where}"
    finally:
        if before is not None:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
    return None


def _too_long(*_: object) -> None:
    raise TimeoutError(f"it took more than {LONGEST_S} s")


def _run(words: list[Any], library: Path | None = None) -> int:
    """The exit code of a command, which is one that the program knows; all it says is taken away.

    The priority that a queue asks for is not taken: it would be that of all cases to come.
    """
    silenced = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    once, as_before = mock.patch.object(commands, "_parser", parser_once), mock.patch("os.nice", create=True)
    with silenced[0] as out, silenced[1] as err, once, as_before:
        try:
            given = [str(word) for word in words]
            code = commands.main(given, library=[library] if library else [], resources=RESOURCES)
        except SystemExit as leaving:  # argparse
            code = leaving.code if isinstance(leaving.code, int) else 2
    said = out.getvalue() + err.getvalue()
    assert "Traceback" not in said, said
    assert code == 0 or err.getvalue().strip(), f"exit code {code} without a word"
    assert code in (0, 1, 2, 130), f"exit code {code}"
    return code


def _ran(words: list[Any], library: Path | None = None) -> bool:
    return _run(words, library) == 0


# ---- damaged files -----------------------------------------------------------------------------------------------


def _input(place: Place, rng: random.Random) -> None:
    path = rng.choice(place.inputs())
    damage(path if path.suffix != ".hdr" or rng.random() < 0.7 else path.with_suffix(".img"), rng)
    out = place.folder / "out.h5"
    mask = [] if rng.random() < 0.5 else ["--mask", place.folder / "inputs" / "mask.npy"]
    task = rng.choice(["cs", "sr", "cassi"])
    capture, measured = place.folder / "inputs" / "capture.h5", place.folder / "measured.h5"
    every = [
        ["restore", path, "-o", out, "--stages", 1, "--adapter", "gap-tv", *mask],
        ["restore", path, "-o", out, "--stages", 1, "--task", task],
        ["simulate", path, "-o", measured, "--task", "sr" if task == "sr" else "cassi"],
        ["restore", capture, "-o", out, "--stages", 1, "--mask", path],
    ]
    _run(rng.choice(every))


def _set(place: Place, rng: random.Random) -> None:
    path = place.library / rng.choice(["tiny", "backbone"])
    path = path.with_suffix(".safetensors")
    (damage_header if rng.random() < 0.8 else damage)(path, rng, key="card")
    _uses_of_the_library(place, rng)


def _uses_of_the_library(place: Place, rng: random.Random) -> None:
    from lorun_engine.library.sets import sets_in

    capture, out = place.folder / "inputs" / "capture.h5", place.folder / "out.h5"
    shown = rng.choice((["show", "tiny"], ["verify", "tiny"], ["diff", "tiny", "other"], ["export", "tiny", "-o", out]))
    adapter = rng.choice(([], ["--adapter", "tiny"]))
    for words in (["adapters", "list"], ["adapters", *shown], ["restore", capture, "-o", out, "--stages", 1, *adapter]):
        _run(words, place.library)
    sets_in([place.library])


def _recipe(place: Place, rng: random.Random) -> None:
    path = place.folder / rng.choice(["small.toml", "adapt.toml"])
    damage_text(path, rng)
    if path.name == "small.toml":
        from lorun_engine.errors import LorunError
        from lorun_engine.library.model import count_parameters
        from lorun_engine.training.recipe import read_recipe

        with contextlib.suppress(LorunError):
            recipe = read_recipe(path)
            count_parameters(recipe.network, gamma=recipe.gamma)
        return
    from lorun_engine.errors import LorunError
    from lorun_engine.library.cards import read_card
    from lorun_engine.training.adapting import read_adapt_recipe

    with contextlib.suppress(LorunError):
        read_adapt_recipe(path, read_card(place.library / "tiny.safetensors"))


def _queue(place: Place, rng: random.Random) -> None:
    damage_text(place.folder / "queue.toml", rng)
    _run(["train", "--queue", place.folder / "queue.toml", "--status"], place.library)
    _run(["train", "--queue", place.folder / "queue.toml", "--status", "--json"], place.library)


def _training(place: Place, rng: random.Random) -> None:
    name = rng.choice(["checkpoint", "checkpoint", "camera", "start", "events.jsonl", "data.json", "adapters"])
    path = place.run / (name if "." in name else f"{name}.safetensors")
    if path.suffix == ".safetensors" and rng.random() < 0.8:
        damage_header(path, rng, key={"checkpoint": "checkpoint", "camera": "camera"}.get(name, "card"))
    else:
        (damage_json if path.suffix != ".safetensors" and rng.random() < 0.7 else damage)(path, rng)
    for earlier in place.run.glob("checkpoint-*"):
        earlier.unlink()
    with mock.patch("lorun_engine.training.train._phase", lambda *_: iter(())):  # a recipe may ask for days of steps
        _run(["train", "--resume", place.run], place.library)
    (place.folder / "queue.toml").write_text('[[training]]\nresume = "run"\n')
    _run(["train", "--queue", place.folder / "queue.toml", "--status"], place.library)


def _window(place: Place, rng: random.Random) -> None:
    """What the window remembers, and how it finds its trainings again."""
    from app import settings
    from app.training.plan import probe_of
    from app.training.runs import find_runs
    from lorun_engine.io import OpenOptions

    job = settings.RecentJob(("a.h5",), OpenOptions(num_bands=28, crop=(0, 0, 4, 4)), "gap-tv", 3)
    path = place.folder / "settings.json"
    settings.save(path, settings.Settings("dark", "00", (job,), {"/f": OpenOptions(step=1.5)}))
    damage_json(path, rng)
    settings.save(path, settings.load(path).with_recent(job))
    about = {"title": "t", "task": "cassi", "starting_set": "tiny", "arguments": ["--adapt", "tiny"], "device": "cpu"}
    (place.run / "window.json").write_text(json.dumps({**about, "num_steps": 3, "pid": 1, "began": "0"}))
    damage_json(place.run / "window.json", rng)
    for run in find_runs(place.folder):
        assert run.is_over in (True, False) and run.last_step >= 0 and run.events() is not None
    line = json.dumps({"event": "probe", "presets": {"quick": {"steps": 3, "seconds": 1.0}}, "message": "m"})
    probe_of(_changed_text(line, rng).encode(), ())


_ATTEMPTS = (_input, _input, _input, _set, _set, _recipe, _recipe, _queue, _training, _training, _window)


def damage(path: Path, rng: random.Random, key: str = "") -> None:
    """Flips, cuts, repeats or inserts bytes."""
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(max(1, min(len(content), rng.choice((64, 512, len(content) or 1)))))
        match rng.randrange(6):
            case 0 | 1:
                content[at : at + 1] = bytes([rng.randrange(256)])
            case 2:
                content[at : at + 8] = struct.pack("<q", rng.choice((-1, 0, 1, 2**31, 2**62)))
            case 3:
                content = content[:at] if rng.random() < 0.3 else content
            case 4:
                content[at:at] = content[at : at + rng.randrange(1, 64)]
            case 5:
                del content[at : at + rng.randrange(1, 64)]
    path.write_bytes(content)


def damage_header(path: Path, rng: random.Random, *, key: str) -> None:
    """Changes what the header of a safetensors file says: its metadata, or where its tensors lie."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    if rng.random() < 0.85:
        document = json.loads(header["__metadata__"][key])
        for _ in range(rng.choice((1, 1, 2, 4))):
            document = _changed(document, rng)
        header["__metadata__"][key] = json.dumps(document) if rng.random() < 0.95 else "[" * 100_000
    else:
        header = _changed(header, rng)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    if key == "card" and rng.random() < 0.7:
        _seal(path)


def _seal(path: Path) -> None:
    """Makes the stated hash that of what the file holds now, where it can be read: somebody's own file, not damage."""
    from lorun_engine.errors import LorunError
    from lorun_engine.library.cards import card_text, read_card
    from lorun_engine.library.model import _hashed_fields, tensor_hash

    with contextlib.suppress(LorunError, Exception):
        from safetensors.torch import load_file, save_file

        card, tensors = read_card(path), load_file(path)
        digest = tensor_hash(_hashed_fields(card.kind, card.fields), tensors)
        save_file(tensors, path, metadata={"card": card_text(card.kind, {**card.fields, "hash": digest})})


def damage_json(path: Path, rng: random.Random) -> None:
    """Changes a value of a JSON file, or of a line of one."""
    *before, line = (
        path.read_text(encoding="utf-8").rstrip("\n").split("\n") if path.suffix == ".jsonl" else [path.read_text()]
    )
    line = json.dumps(_changed(json.loads(line), rng)) if rng.random() < 0.8 else _changed_text(line, rng)
    path.write_text("\n".join([*before, line]), encoding="utf-8", errors="surrogatepass")


def damage_text(path: Path, rng: random.Random) -> None:
    """Changes values and letters of a text."""
    text = path.read_text(encoding="utf-8")
    for _ in range(rng.choice((1, 1, 2, 3))):
        text = _changed_value(text, rng) if rng.random() < 0.8 else _changed_text(text, rng)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")


def _changed_value(text: str, rng: random.Random) -> str:
    """A line NAME = VALUE with another value."""
    lines = text.split("\n")
    at = [number for number, line in enumerate(lines) if " = " in line]
    if not at:
        return text
    number = rng.choice(at)
    name = lines[number].partition(" = ")[0]
    odd = [*ODD_NUMBERS, '""', '"x"', "[]", "{}", "true", "[1, 2]", "[[1]]", "1979-05-27", "[" * 3000, "1" * 5000]
    lines[number] = f"{name} = {rng.choice(odd)}"
    return "\n".join(lines)


def _changed_text(text: str, rng: random.Random) -> str:
    letters = list(text)
    for _ in range(rng.choice((1, 2, 6))):
        at = rng.randrange(len(letters) + 1)
        letters[at : at + rng.randrange(3)] = rng.choice(["", "[", "]", "=", '"', "0", "-", "\n", "é", "\0", "x", ","])
    return "".join(letters)


def _changed(document: Any, rng: random.Random) -> Any:
    """The document with one value, somewhere in it, replaced, left out or added."""
    if not isinstance(document, dict | list) or not document or rng.random() < 0.15:
        return rng.choice(ODD_VALUES)
    own = dict(document) if isinstance(document, dict) else list(document)
    key = rng.choice(list(own)) if isinstance(own, dict) else rng.randrange(len(own))
    if rng.random() < 0.15:
        del own[key]
    else:
        own[key] = _changed(own[key], rng)
    return own


# ---- senseless command lines -------------------------------------------------------------------------------------


def _random_words(place: Place, rng: random.Random) -> list[str]:
    """A command that may run, with some of its words replaced, left out or added."""
    inputs = [str(path) for path in place.inputs()]
    capture, scene = "inputs/capture.h5", rng.choice(["inputs/scene.h5", "inputs/scene.npy", "inputs/picture.png"])
    output = rng.choice(["out.h5", "o", "o.xyz", "o.mat", capture])
    restoring = ["restore", rng.choice([capture, *inputs]), "-o", output, "--stages", "1"]
    words = rng.choice(
        [
            *(restoring, restoring, restoring),
            ["restore", "inputs", "-o", "outs", "--stages", "1", "--adapter", "gap-tv"],
            *(["simulate", scene, "-o", "m.h5"], ["simulate", scene, "-o", "m.h5"]),
            ["evaluate", "--data", rng.choice([scene, "cubes", "."]), "--stages", "1", "--adapter", "gap-tv"],
            ["adapters", rng.choice(["list", "show", "verify", "diff", "export", "import"]), "tiny", "other"],
            ["adapters", "scale", "tiny", "--factor", "2", "-o", "new.safetensors"],
            ["adapters", "interpolate", "tiny", "other", "--share", "0.5", "-o", "mid.safetensors"],
            ["train", "--data", "cubes", "--recipe", "small.toml", "--out", "new", "--phase", "backbone", "--status"],
            ["train", "--adapt", "tiny", "--data", "cubes", "--recipe", "adapt.toml", "--out", "new", "--status"],
            ["train", "--resume", rng.choice(["run", "cubes", "new"])],
            ["train", "--queue", "queue.toml", "--status"],
            [rng.choice(["demo", "nothing", ""])],
        ]
    )
    if words[0] == "demo":
        words += ["-o", "/dev/null/x"]
    flags = _flags_of(words[0])
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        odd = rng.choice([*ODD_NUMBERS, *ODD_WORDS, *inputs, "cs", "sr", "cassi", "tiny", "gaussian:0.1", "batch=1.5"])
        match rng.randrange(5):
            case 0 if len(words) > 1:
                words[rng.randrange(1, len(words))] = odd
            case 1 if len(words) > 1:
                del words[rng.randrange(1, len(words))]
            case 2 | 3 if flags:
                words += [rng.choice(flags)] + ([odd] if rng.random() < 0.9 else [])
            case _:
                words.insert(rng.randrange(len(words) + 1), odd)
    return words


def _flags_of(command: str) -> list[str]:
    parser = next(action for action in parser_once()._actions if action.dest == "command").choices.get(command)
    flags = [] if parser is None else [flag for action in parser._actions for flag in action.option_strings]
    return [flag for flag in flags if flag != "--watch"]  # which never ends by itself


# ---- many --------------------------------------------------------------------------------------------------------


def faults(kind: str, place: Place, numbers: range, seed: int = 0) -> Iterator[str]:
    """What went wrong in the cases of these numbers, "files" or "commands"."""
    case = {"files": files_case, "commands": commands_case}[kind]
    for number in numbers:
        fault = case(place, number, seed)
        if fault is not None:
            yield f"{kind} {number}: {fault}"


def main(words: list[str]) -> int:
    """Runs many cases, or one that is named."""
    num_faults = 0
    logging.getLogger("lorun").setLevel(logging.ERROR)  # settings that cannot be read are told to nobody here
    with tempfile.TemporaryDirectory(prefix="lorun-fuzz-") as folder:
        place = made_place(Path(folder) / "sound")
        if words[:1] == ["--case"]:
            wanted = [(words[1], range(int(words[2]), int(words[2]) + 1))]
        else:
            spans = [range(*map(int, word.split(":"))) for word in words]
            wanted = list(zip(("files", "commands"), spans, strict=False))
        for kind, span in wanted:
            for start in range(span.start, span.stop, SAID_EVERY):
                numbers = range(start, min(start + SAID_EVERY, span.stop))
                for fault in faults(kind, place, numbers):
                    num_faults += 1
                    print(fault, flush=True)
                took = time.process_time()
                print(f"{kind} up to {numbers.stop} tried in {took:.0f} s, {num_faults} faults", flush=True)
    return 1 if num_faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
