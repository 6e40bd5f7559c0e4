"""The adapter workshop without a window: the list, the fit, the strength, and files that are never lost."""

from __future__ import annotations

import shlex
import shutil
import struct
import threading
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PySide6.QtCore import QFile

from app.assembly import Parts
from app.document import session, workshop
from app.document.recipe import WHOLE, Adapting
from lorun_engine import cli
from lorun_engine.decoding.restore import restore
from lorun_engine.io import open_measurement, write_measurement
from lorun_engine.library.model import Model, load_model, save_adapters, save_backbone
from lorun_engine.measurement import Scene
from lorun_engine.networks.lora import SAMPLING, is_step, new_adapters
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.tasks import cs, sr
from tests.engine.library.test_model import capture, new_model, save

TASKS = ("cassi", "cs", "sr")


def picture_set(task: str, seed: int = 0) -> Model:
    """A set for grey samples at 25 %, or for colour pictures to be enlarged twice, that changes every stage."""
    channels = 1 if task == "cs" else 3
    config = NetworkConfig(
        channels, 2, denoiser="unet", denoiser_settings={"widths": [4, 8]}, data_step="proximal-gradient"
    )
    torch.manual_seed(seed)
    backbone = Backbone(config).requires_grad_(False)
    adapters = new_adapters(backbone.blocks[0], num_stages=2, gamma=30)
    tensors = {name: 0.05 * torch.randn_like(tensor) for name, tensor in adapters.tensors.items()}
    tensors |= new_step_parameters(config)
    if task == "cs":
        tensors[SAMPLING] = torch.from_numpy(cs.random_sampling(25, block_size=8))
    card = {"task_config": {"ratio": 25} if task == "cs" else {"scales": [2]}}
    return Model(f"{task}-set", task, UnfoldingNet(config, backbone, adapters.mapped(tensors)), card=card)


def keep(model: Model, folder: Path, name: str) -> Path:
    """Writes a model's two files into `folder`; the path of the set."""
    folder.mkdir(exist_ok=True, parents=True)
    config = model.net.config
    digest = save_backbone(
        folder / f"{name}-backbone.safetensors", model.net.backbone, config, task=model.task, training={}
    )
    save_adapters(folder / f"{name}.safetensors", model, backbone_hash=digest)
    return folder / f"{name}.safetensors"


def measurement_file(task: str, folder: Path) -> Path:
    """A file of ours with a measurement that the sets of this file decode."""
    if task == "cassi":
        measurement = capture()
    else:
        image = np.random.default_rng(3).random((1 if task == "cs" else 3, 16, 24), dtype=np.float32)
        sampling = cs.random_sampling(25, block_size=8)
        kernel = np.full((3, 3), 1 / 9, np.float32)
        measurement = cs.simulate(Scene(image), sampling) if task == "cs" else sr.simulate(Scene(image), kernel, 2)
    write_measurement(folder / f"{task}.h5", measurement, attributes={})
    return folder / f"{task}.h5"


@pytest.fixture
def library(tmp_path) -> tuple[Path, Path]:
    """A shipped folder with a set for every task, and an empty one of the user's."""
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    keep(new_model(seed=1), shipped, "general")
    for task in ("cs", "sr"):
        keep(picture_set(task), shipped, f"{task}-set")
    own.mkdir()
    return shipped, own


@pytest.fixture
def make_workshop(qtbot, tmp_path, library):
    """Makes parts with the library listed; every one has ended when the test has."""
    made = []

    def make(folders: tuple[Path, ...] = library) -> Parts:
        parts = Parts(library=folders, settings_path=tmp_path / "settings.json")
        made.append(parts)
        parts.setup.load_engine()
        qtbot.waitUntil(lambda: parts.setup.is_engine_loaded and not parts.lanes.is_busy, timeout=60_000)
        return parts

    yield make
    for parts in made:
        assert parts.close(timeout_s=20)


@pytest.fixture
def open_parts(qtbot, tmp_path, make_workshop):
    """A session with the measurement of a task open and its set chosen."""

    def make(task: str = "cassi") -> Parts:
        parts = make_workshop()
        parts.session.open([measurement_file(task, tmp_path)])
        idle(qtbot, parts)
        assert parts.session.problem is None and parts.setup.fit.is_good and parts.setup.choice.has_weights
        return parts

    return make


def idle(qtbot, parts: Parts) -> None:
    """Waits until the worker has nothing to do; things that follow from each other are queued at once."""
    qtbot.waitUntil(lambda: not parts.lanes.is_busy, timeout=60_000)


def decode(qtbot, parts: Parts) -> np.ndarray:
    parts.session.restore()
    qtbot.waitUntil(lambda: parts.session.restoration.state == "done", timeout=20_000)
    return parts.session.stages.image(len(parts.session.stages) - 1)


def named(parts: Parts, name: str):
    return next(entry for entry in parts.workshop.sets if entry.card.name == name)


def names(parts: Parts) -> set[str]:
    return {entry.card.name for entry in parts.workshop.sets}


# ---- how much of it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("adapting", [Adapting(60), Adapting(150, (2,)), Adapting(0), Adapting(100, (1, 2))])
def test_a_scaled_or_ablated_decode_is_that_of_the_copied_command(
    qtbot, open_parts, library, tmp_path, monkeypatch, task, adapting
):
    parts = open_parts(task)
    parts.setup.set_percent(adapting.percent)
    for stage in adapting.ablated:
        parts.setup.set_ablated(stage, True)
    image = decode(qtbot, parts)
    assert parts.session.recipe.adapting == adapting
    words = shlex.split(parts.exports.command())
    assert ("--adapter-scale" in words) == (adapting.percent != 100)
    assert [words[at + 1] for at, word in enumerate(words) if word == "--ablate-stage"] == list(
        map(str, adapting.ablated)
    )
    monkeypatch.chdir(tmp_path)
    assert cli.main(words[1:], library=library) == 0
    with h5py.File(tmp_path / words[words.index("-o") + 1]) as file:
        cube = np.moveaxis(file["cube"][()], -1, 0)
    assert np.array_equal(cube, image)


@pytest.mark.parametrize("task", TASKS)
def test_no_percent_is_the_shared_backbone_bit_for_bit(qtbot, open_parts, library, tmp_path, task):
    parts = open_parts(task)
    parts.setup.set_percent(0)
    image = decode(qtbot, parts)
    model = load_model(named(parts, parts.setup.decoder_name).card.path)
    bare = model.adapters.mapped({name: tensor for name, tensor in model.adapters.tensors.items() if is_step(name)})
    measurement = open_measurement([tmp_path / f"{task}.h5"])
    *_, shared = restore(model.with_adapters(bare), measurement)
    assert np.array_equal(image, shared.image)
    *_, whole = restore(model, measurement)
    assert not np.array_equal(image, whole.image)


def test_the_strength_belongs_to_one_decoder_and_its_result_says_so(qtbot, open_parts):
    parts = open_parts()
    parts.setup.set_percent(60)
    parts.setup.set_ablated(2, True)
    parts.setup.set_ablated(1, True)
    decode(qtbot, parts)
    parts.setup.take_whole()
    assert parts.setup.adapting == WHOLE
    assert parts.session.recipe.title == "general at 60 % without the adapters of stages 1 and 2"
    assert parts.session.recipe.file_word == "general_60percent_without1-2"
    parts.setup.set_percent(40)
    parts.setup.switch_decoder("gap-tv")
    assert not parts.setup.is_adaptable and parts.setup.adapting == WHOLE
    parts.setup.set_percent(40)
    assert parts.setup.adapting == WHOLE
    parts.setup.switch_decoder("general")
    assert parts.setup.adapting == WHOLE  # nobody meets an old strength again by surprise
    idle(qtbot, parts)


def test_the_strength_stays_within_its_bounds_and_stages_within_the_sets(open_parts):
    parts = open_parts()
    parts.setup.set_percent(400)
    assert parts.setup.adapting.percent == 150
    parts.setup.set_percent(-3)
    parts.setup.set_ablated(3, True)  # the set has two
    assert parts.setup.adapting == Adapting(0)


# ---- the list and the fit ----------------------------------------------------------------------------------------


def test_a_set_that_appears_or_goes_is_noticed_without_asking(qtbot, open_parts, library):
    parts = open_parts()
    path = save(new_model(seed=4), library[1], "trained")
    qtbot.waitUntil(lambda: "trained" in names(parts), timeout=20_000)
    assert "trained" in parts.setup.decoder_names and not named(parts, "trained").is_shipped
    path.unlink()
    qtbot.waitUntil(lambda: "trained" not in names(parts), timeout=20_000)
    assert "trained" not in parts.setup.decoder_names
    idle(qtbot, parts)


def test_a_folder_that_is_made_later_is_noticed(qtbot, make_workshop, tmp_path, library):
    parts = make_workshop((library[0], tmp_path / "a" / "b" / "own"))
    save_into = tmp_path / "a" / "b" / "own"
    save_into.parent.mkdir(parents=True)
    save(new_model(seed=4), save_into, "trained")
    qtbot.waitUntil(lambda: "trained" in names(parts), timeout=20_000)
    idle(qtbot, parts)


def test_a_chosen_set_that_goes_gives_way_to_one_that_fits(qtbot, open_parts, library):
    path = save(new_model(seed=4), library[1], "trained")
    parts = open_parts()
    parts.setup.switch_decoder("trained")
    idle(qtbot, parts)
    path.unlink()
    parts.workshop.refresh()
    qtbot.waitUntil(lambda: parts.setup.decoder_name == "general", timeout=20_000)
    idle(qtbot, parts)
    assert parts.setup.fit.is_good


@pytest.mark.parametrize(
    ("name", "words", "is_usable"),
    [
        ("general", "Fits", True),
        ("twin", "holds the same numbers as general", True),
        ("zero", "no effect: all its differences are zero", True),
        ("lonely", "Belongs to another backbone", False),
        ("cs-set", "For CS measurements; a CASSI measurement is open.", False),
        ("other", "Its backbone is", True),
    ],
)
def test_every_set_says_whether_a_switch_makes_sense(qtbot, open_parts, library, name, words, is_usable):
    shutil.copy(library[0] / "general.safetensors", library[1] / "twin.safetensors")
    general = load_model(library[0] / "general.safetensors")
    zero = general.with_adapters(general.adapters.scaled(0))
    save_adapters(library[1] / "zero.safetensors", zero, backbone_hash=general.card["backbone_hash"])
    save(new_model(seed=6), library[1], "lonely")
    (library[1] / "lonely-backbone.safetensors").unlink()
    save(new_model(seed=8), library[1], "other")
    parts = open_parts()
    parts.workshop.assess()
    idle(qtbot, parts)
    suitability = parts.workshop.suitability(named(parts, name))
    assert words in suitability.sentence and suitability.is_usable is is_usable


def test_a_set_of_other_bands_says_what_it_takes(qtbot, open_parts, library):
    model = new_model(seed=6)
    far = np.linspace(900, 1100, 9).tolist()
    card = {**model.card, "task_config": {**model.card["task_config"], "wavelengths_nm": far}}
    save(replace(model, card=card), library[1], "infrared")
    parts = open_parts()
    parts.workshop.assess()
    idle(qtbot, parts)
    suitability = parts.workshop.suitability(named(parts, "infrared"))
    assert "bands from 890 to 1110 nm" in suitability.sentence and not suitability.is_usable


def test_before_anything_is_open_the_fit_is_not_known(make_workshop):
    parts = make_workshop()
    parts.workshop.assess()
    assert parts.workshop.suitability(named(parts, "general")).sentence.startswith("Open a measurement")


# ---- what a set changes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["general", "cs-set", "sr-set"])
def test_the_table_and_the_layer_of_a_set_come_from_the_worker(qtbot, make_workshop, name):
    parts = make_workshop()
    workshop = parts.workshop
    workshop.show(named(parts, name))
    workshop.inspect()
    idle(qtbot, parts)
    assert workshop.table.num_stages == 2 and workshop.layer in workshop.table.layers
    model = load_model(named(parts, name).card.path)
    layer = next(key[2:-2] for key in model.adapters.tensors if key.endswith("/A"))
    workshop.select_layer(layer)
    idle(qtbot, parts)
    expected = model.adapters.tensors[f"2/{layer}/A"] @ model.adapters.tensors[f"2/{layer}/B"]
    assert np.allclose(workshop.changes[1], expected.numpy())


def test_a_damaged_set_says_so_instead_of_a_table_and_is_read_again_when_it_is_whole(qtbot, make_workshop, library):
    path = save(new_model(seed=4), library[1], "trained")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    parts = make_workshop()
    parts.workshop.show(named(parts, "trained"))
    parts.workshop.inspect()
    idle(qtbot, parts)
    assert "other numbers than its card states" in parts.workshop.trouble and parts.workshop.table is None
    path.write_bytes(whole)
    parts.workshop.refresh()
    idle(qtbot, parts)
    parts.workshop.inspect()
    idle(qtbot, parts)
    assert parts.workshop.table is not None and not parts.workshop.trouble


# ---- files -------------------------------------------------------------------------------------------------------


def test_renaming_the_chosen_set_keeps_it_chosen(qtbot, open_parts, library):
    save(new_model(seed=4), library[1], "trained")
    parts = open_parts()
    parts.setup.switch_decoder("trained")
    idle(qtbot, parts)
    parts.workshop.show(named(parts, "trained"))
    parts.workshop.rename(named(parts, "trained"), "left camera")
    qtbot.waitUntil(lambda: parts.setup.decoder_name == "left camera", timeout=20_000)
    idle(qtbot, parts)
    assert (library[1] / "left camera.safetensors").exists() and not (library[1] / "trained.safetensors").exists()
    assert parts.workshop.shown.card.name == "left camera" and parts.workshop.chosen is not None
    assert decode(qtbot, parts) is not None
    idle(qtbot, parts)


def test_a_taken_name_is_refused_in_words(qtbot, make_workshop, library):
    save(new_model(seed=4), library[1], "trained")
    parts = make_workshop()
    parts.workshop.rename(named(parts, "trained"), "general")
    idle(qtbot, parts)
    assert parts.workshop.notice.look == "warn" and "another set named general" in parts.workshop.notice.sentence
    assert (library[1] / "trained.safetensors").exists()


def test_a_note_is_kept_in_the_card(qtbot, make_workshop, library):
    path = save(new_model(seed=4), library[1], "trained")
    parts = make_workshop()
    digest = named(parts, "trained").card.hash
    parts.workshop.annotate(named(parts, "trained"), "summer, 5 nm filter")
    idle(qtbot, parts)
    assert named(parts, "trained").card.fields["note"] == "summer, 5 nm filter"
    assert named(parts, "trained").card.hash == digest
    load_model(path)


def test_verify_says_what_was_checked_or_what_is_wrong(qtbot, make_workshop, library):
    parts = make_workshop()
    entry = named(parts, "general")
    parts.workshop.verify(entry)
    idle(qtbot, parts)
    notice = parts.workshop.notice
    assert notice.look == "good" and entry.card.hash[:12] in notice.sentence and "general-backbone" in notice.sentence
    path = library[0] / "general-backbone.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    parts.workshop.verify(entry)
    idle(qtbot, parts)
    assert parts.workshop.notice.look == "warn" and "other numbers" in parts.workshop.notice.sentence


def test_an_exported_set_can_be_imported_into_another_library(qtbot, make_workshop, tmp_path):
    parts = make_workshop()
    parts.workshop.export(named(parts, "general"), tmp_path / "mail")
    idle(qtbot, parts)
    assert "Wrote general-backbone.safetensors and general.safetensors" in parts.workshop.notice.sentence
    other = make_workshop((tmp_path / "none", tmp_path / "new"))
    other.workshop.import_files([tmp_path / "mail" / "general.safetensors"])
    idle(qtbot, other)
    assert names(other) == {"general"} and other.workshop.shown.is_imported
    assert other.workshop.shown.backbone is not None and "Imported general" in other.workshop.notice.sentence
    other.workshop.import_files([tmp_path / "mail" / "general.safetensors"])
    idle(qtbot, other)
    assert "already, with the same numbers" in other.workshop.notice.sentence


def test_an_import_under_a_taken_name_offers_a_free_one(qtbot, make_workshop, library, tmp_path):
    path = save(new_model(seed=9), tmp_path / "mail", "general")
    parts = make_workshop()
    parts.workshop.import_files([path])
    idle(qtbot, parts)
    assert parts.workshop.notice.offered == "Import as general-2" and names(parts) >= {"general"}
    parts.workshop.notice.offer()
    idle(qtbot, parts)
    assert "general-2" in names(parts)
    assert named(parts, "general").card.path.parent == library[0]


def test_an_imported_set_is_looked_at_though_what_is_opened_brings_another(qtbot, make_workshop, tmp_path, monkeypatch):
    parts, is_open = make_workshop(), threading.Event()

    def look_late(*given, look=workshop._look):
        assert is_open.wait(20)
        return look(*given)

    monkeypatch.setattr(workshop, "_look", look_late)
    parts.workshop.import_files([save(new_model(seed=9), tmp_path / "mail", "guest")])
    qtbot.waitUntil(lambda: parts.workshop.notice is not None)
    parts.session.open([measurement_file("sr", tmp_path)])
    qtbot.waitUntil(lambda: parts.setup.decoder_name == "sr-set" and not parts.session.is_opening)
    is_open.set()
    idle(qtbot, parts)
    assert parts.workshop.shown.card.name == "guest" and parts.setup.decoder_name == "sr-set"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"text", "not a weights file"), (struct.pack("<Q", 2) + b"{}", "not a weights file"), (None, "cannot be read")],
)
def test_a_file_that_is_no_set_is_refused_with_the_reason(qtbot, make_workshop, library, tmp_path, content, words):
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    parts = make_workshop()
    parts.workshop.import_files([path])
    idle(qtbot, parts)
    assert words in parts.workshop.notice.sentence and not list(library[1].iterdir())


def test_a_set_without_its_backbone_is_refused_and_taken_when_both_come(qtbot, make_workshop, library, tmp_path):
    path = save(new_model(seed=9), tmp_path / "mail", "guest")
    (tmp_path / "apart").mkdir()
    backbone = (tmp_path / "mail" / "guest-backbone.safetensors").rename(tmp_path / "apart" / "b.safetensors")
    parts = make_workshop()
    parts.workshop.import_files([path])
    idle(qtbot, parts)
    assert "neither beside it nor in the library" in parts.workshop.notice.sentence
    parts.workshop.import_files([backbone])
    idle(qtbot, parts)
    assert "holds a backbone, not an adapter set" in parts.workshop.notice.sentence
    parts.workshop.import_files([backbone, path])
    idle(qtbot, parts)
    assert "guest" in names(parts) and (library[1] / "b.safetensors").exists()


def test_the_users_set_goes_to_the_trash_and_a_shipped_one_stays(qtbot, make_workshop, library, monkeypatch):
    trash: list[str] = []
    monkeypatch.setattr(QFile, "moveToTrash", lambda path: (trash.append(path), Path(path).unlink())[0] is None)
    path = save(new_model(seed=4), library[1], "trained")
    parts = make_workshop()
    parts.workshop.trash(named(parts, "general"))
    idle(qtbot, parts)
    assert "came with LoRun and cannot be moved to the trash" in parts.workshop.notice.sentence and not trash
    parts.workshop.trash(named(parts, "trained"))
    idle(qtbot, parts)
    assert trash == [str(path)] and "trained" not in names(parts)
    assert (library[1] / "trained-backbone.safetensors").exists()


def test_without_a_trash_nothing_is_deleted(qtbot, make_workshop, library, monkeypatch):
    monkeypatch.setattr(QFile, "moveToTrash", lambda path: False)
    path = save(new_model(seed=4), library[1], "trained")
    parts = make_workshop()
    parts.workshop.trash(named(parts, "trained"))
    idle(qtbot, parts)
    assert path.exists() and "could not be moved to the trash" in parts.workshop.notice.sentence


def test_two_decoders_are_compared_on_what_is_open(qtbot, open_parts, library):
    save(new_model(seed=4), library[1], "trained")
    parts = open_parts()
    parts.rivals.compare(named(parts, "trained"), "general")
    assert parts.comparing.is_running
    idle(qtbot, parts)
    left, right = parts.comparing.left, parts.comparing.right
    assert (left.title.split(" ")[0], right.title.split(" ")[0]) == ("trained", "general")
    assert parts.session.selection.mode == "compare"


@pytest.mark.parametrize("first", ["the import", "the opening"])
@pytest.mark.parametrize("later", [False, True])
def test_the_imported_set_is_looked_at_whichever_of_an_import_and_an_opening_ends_first(
    qtbot, make_workshop, tmp_path, monkeypatch, gate_type, first, later
):
    parts = make_workshop()
    path = save(new_model(seed=9), tmp_path / "mail", "guest")
    importing, opening = gate_type(at=0), gate_type(at=0)
    imported, open_files = workshop._imported, session.open_files
    monkeypatch.setattr(workshop, "_imported", lambda *arguments: (importing(0), imported(*arguments))[1])
    monkeypatch.setattr(session, "open_files", lambda *arguments: (opening(0), open_files(*arguments))[1])
    parts.workshop.import_files([path])
    parts.session.open([measurement_file("cs", tmp_path)])
    gates = (importing, opening) if first == "the import" else (opening, importing)
    gates[0].is_open.set()
    qtbot.waitUntil(lambda: "guest" in names(parts) if first == "the import" else bool(parts.session.paths))
    gates[1].is_open.set()
    idle(qtbot, parts)
    assert parts.workshop.shown.card.name == "guest" and parts.setup.decoder_name == "cs-set"
    if later:  # what else is told of the setup moves nothing
        parts.setup.look_at_devices()
        parts.workshop.refresh()
        idle(qtbot, parts)
        assert parts.workshop.shown.card.name == "guest"
    parts.setup.switch_decoder(parts.setup.plain_choices[0].name)
    parts.setup.switch_decoder("cs-set")
    assert parts.workshop.shown.card.name == "cs-set"
    idle(qtbot, parts)


@pytest.mark.parametrize("first", ["the import", "the opening"])
def test_after_an_import_that_was_refused_the_set_is_looked_at_that_the_opening_chose(
    qtbot, make_workshop, tmp_path, monkeypatch, gate_type, first
):
    parts = make_workshop()
    (tmp_path / "damaged.safetensors").write_bytes(b"no set")
    importing, opening = gate_type(at=0), gate_type(at=0)
    imported, open_files = workshop._imported, session.open_files
    monkeypatch.setattr(workshop, "_imported", lambda *arguments: (importing(0), imported(*arguments))[1])
    monkeypatch.setattr(session, "open_files", lambda *arguments: (opening(0), open_files(*arguments))[1])
    parts.workshop.import_files([tmp_path / "damaged.safetensors"])
    parts.session.open([measurement_file("cs", tmp_path)])
    gates = (importing, opening) if first == "the import" else (opening, importing)
    gates[0].is_open.set()
    qtbot.waitUntil(
        lambda: parts.workshop.notice.look == "warn" if first == "the import" else bool(parts.session.paths)
    )
    gates[1].is_open.set()
    idle(qtbot, parts)
    assert parts.workshop.shown.card.name == "cs-set"


@pytest.mark.parametrize("listed", ["before the renaming", "after it, but earlier told"])
def test_a_renamed_set_stays_chosen_whenever_the_library_is_listed(
    qtbot, open_parts, library, monkeypatch, gate_type, listed
):
    save(new_model(seed=4), library[1], "trained")
    parts = open_parts()
    parts.setup.switch_decoder("trained")
    parts.workshop.show(named(parts, "trained"))
    idle(qtbot, parts)
    held, look, rename = gate_type(at=0), workshop._look, workshop.rename_set
    if listed == "before the renaming":
        monkeypatch.setattr(workshop, "_look", lambda *given: (look(*given), held(0))[0])
        parts.workshop.refresh()
        qtbot.waitUntil(held.is_reached.is_set)
        parts.workshop.rename(named(parts, "trained"), "lab camera")
        qtbot.waitUntil(lambda: "is called" in parts.workshop.notice.sentence)
    else:
        monkeypatch.setattr(workshop, "rename_set", lambda *given: (rename(*given), held(0))[0])
        parts.workshop.rename(named(parts, "trained"), "lab camera")
        qtbot.waitUntil(held.is_reached.is_set)
        parts.workshop.refresh()
        qtbot.waitUntil(lambda: "lab camera" in names(parts))
    held.is_open.set()
    idle(qtbot, parts)
    assert parts.setup.decoder_name == parts.workshop.shown.card.name == "lab camera" and parts.session.can_restore


def test_work_with_files_is_announced_with_what_it_waits_for(qtbot, open_parts, gate_type):
    parts, held = open_parts(), gate_type(at=0)
    parts.lanes.run_file(lambda: held(0), doing="writing cube.h5", then=lambda _: None)
    parts.workshop.verify(named(parts, "general"))
    assert parts.workshop.notice.sentence == "Checking general, after writing cube.h5…"
    held.is_open.set()
    idle(qtbot, parts)
    assert parts.workshop.notice.sentence.startswith("Verified")
