"""The library's files: renaming, remarks, import and export keep numbers as they are and never replace a file."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch

from lorun_engine.errors import FileError, ModelError
from lorun_engine.library.cards import read_card, tensor_names, with_remarks
from lorun_engine.library.inspection import change_table, changes_of_layer
from lorun_engine.library.model import load_model, load_tensors
from lorun_engine.library.sets import (
    NameTakenError,
    annotate_set,
    check_name,
    export_set,
    import_set,
    rename_set,
    sets_in,
)
from lorun_engine.networks.lora import is_step
from tests.engine.library.test_model import new_model, save


@pytest.fixture
def library(tmp_path) -> tuple[Path, Path]:
    """A shipped set, and one of the user's."""
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    save(new_model(seed=1), shipped, "general")
    save(new_model(seed=2), own, "mine")
    return shipped, own


def entry(library, name: str):
    return next(found for found in sets_in(library) if found.card.name == name)


def test_the_list_tells_shipped_sets_from_the_users_and_names_their_backbones(library):
    found = {found.card.name: found for found in sets_in((*library[:1], library[1] / "missing", library[1]))}
    assert found["general"].is_shipped and not found["mine"].is_shipped
    assert found["mine"].backbone.name == "mine-backbone" and not found["mine"].shadowed
    (library[1] / "mine-backbone.safetensors").unlink()
    assert entry(library, "mine").backbone is None


def test_of_two_sets_of_one_name_the_first_counts(library):
    save(new_model(seed=3), library[1], "general")
    assert [found.shadowed for found in sets_in(library) if found.card.name == "general"] == [False, True]


def test_a_note_changes_the_card_and_no_number(library):
    path = library[1] / "mine.safetensors"
    before, names = read_card(path), tensor_names(path)
    tail = path.read_bytes()[-1000:]
    annotate_set(entry(library, "mine"), "  for the ° left camera\n")
    after = read_card(path)
    assert after.fields["note"] == "for the ° left camera" and after.hash == before.hash
    assert {**after.fields, "note": None} == {**before.fields, "note": None}
    assert path.read_bytes()[-1000:] == tail and tensor_names(path) == names
    load_tensors(after)  # checks the hash over all numbers
    annotate_set(entry(library, "mine"), " ")
    assert "note" not in read_card(path).fields


def test_what_a_hash_covers_cannot_be_remarked(library):
    with pytest.raises(ModelError, match="task of a card cannot be changed"):
        with_remarks(library[1] / "mine.safetensors", {"task": "sr"})


def test_renaming_moves_the_file_and_never_replaces_another(library):
    content = (library[1] / "mine.safetensors").read_bytes()
    path = rename_set(entry(library, "mine"), " left camera ", library)
    assert path == library[1] / "left camera.safetensors" and path.read_bytes() == content
    assert not (library[1] / "mine.safetensors").exists()
    with pytest.raises(NameTakenError, match="another set named GENERAL") as taken:
        rename_set(entry(library, "left camera"), "GENERAL", library)
    assert taken.value.free == "GENERAL-2"
    (library[1] / "notes.safetensors").write_bytes(b"somebody else's")
    with pytest.raises(FileError, match="already exists"):
        rename_set(entry(library, "left camera"), "notes", library)
    assert (library[1] / "notes.safetensors").read_bytes() == b"somebody else's" and path.exists()


def test_renaming_works_where_files_cannot_have_two_names(library, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *paths: (_ for _ in ()).throw(PermissionError(1, "not permitted")))
    path = rename_set(entry(library, "mine"), "other", library)
    assert path.exists() and not (library[1] / "mine.safetensors").exists()


@pytest.mark.parametrize("name", ["", "  ", ".hidden", "a/b", "a\\b", "c:d", "x\ny", "what?"])
def test_a_name_that_no_file_can_have_is_a_sentence(name):
    with pytest.raises(FileError, match="cannot be the name of a set"):
        check_name(name)


def test_shipped_sets_are_not_changed(library):
    for change in (lambda it: rename_set(it, "other", library), lambda it: annotate_set(it, "note")):
        with pytest.raises(FileError, match="came with LoRun and cannot be"):
            change(entry(library, "general"))


def test_an_import_brings_the_backbone_and_says_when(library, tmp_path):
    export_set(entry(library, "mine").card, library, tmp_path / "mail")
    elsewhere = (tmp_path / "a", tmp_path / "b")
    copied = import_set(tmp_path / "mail" / "mine.safetensors", elsewhere, on=date(2026, 5, 4))
    assert [path.name for path in copied.written] == ["mine-backbone.safetensors", "mine.safetensors"]
    found = entry(elsewhere, "mine")
    assert found.is_imported and found.card.fields["imported"] == "2026-05-04"
    assert found.card.hash == entry(library, "mine").card.hash
    load_model(found.card.path)
    assert import_set(tmp_path / "mail" / "mine.safetensors", elsewhere).written == ()


def test_a_copy_with_factors_of_16_bits_is_smaller_verified_and_almost_the_same(library, tmp_path):
    card = entry(library, "mine").card
    export_set(card, library, tmp_path / "half", half=True)
    copy = read_card(tmp_path / "half" / "mine.safetensors")
    assert copy.path.stat().st_size < card.path.stat().st_size and copy.hash != card.hash
    halved, whole = load_model(copy.path).adapters.tensors, load_model(card.path).adapters.tensors
    for name, tensor in whole.items():
        assert halved[name].dtype == torch.float32
        torch.testing.assert_close(halved[name], tensor, rtol=0 if is_step(name) else 1e-3, atol=1e-7)


def test_an_import_finds_the_backbone_that_came_with_it_in_another_folder(library, tmp_path):
    export_set(entry(library, "mine").card, library, tmp_path / "mail")
    (tmp_path / "apart").mkdir()
    (tmp_path / "mail" / "mine.safetensors").rename(tmp_path / "apart" / "mine.safetensors")
    elsewhere = (tmp_path / "b",)
    with pytest.raises(ModelError, match="neither beside it nor in the library"):
        import_set(tmp_path / "apart" / "mine.safetensors", elsewhere)
    assert not (tmp_path / "b").exists()
    import_set(tmp_path / "apart" / "mine.safetensors", elsewhere, beside=[tmp_path / "mail"])
    assert len(sets_in(elsewhere)) == 1


def test_an_import_under_another_name_leaves_the_set_of_that_name_alone(library, tmp_path):
    save(new_model(seed=5), tmp_path / "mail", "mine")
    before = (library[1] / "mine.safetensors").read_bytes()
    with pytest.raises(NameTakenError) as taken:
        import_set(tmp_path / "mail" / "mine.safetensors", library)
    import_set(tmp_path / "mail" / "mine.safetensors", library, name=taken.value.free)
    assert (library[1] / "mine.safetensors").read_bytes() == before
    backbone = entry(library, "mine-2").backbone  # another of that name lay there already
    assert backbone.name == f"mine-backbone-{backbone.hash[:12]}"


def test_a_backbone_or_a_damaged_set_is_not_imported(library, tmp_path):
    with pytest.raises(ModelError, match="holds a backbone, not an adapter set"):
        import_set(library[0] / "general-backbone.safetensors", library)
    path = save(new_model(seed=7), tmp_path / "mail", "broken")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="other numbers than its card states"):
        import_set(path, library)
    assert {found.card.name for found in sets_in(library)} == {"general", "mine"}


def test_the_table_of_changes_holds_norms_and_ranks_in_the_networks_order():
    model = new_model()
    backbone = model.net.backbone.block_weights(1)
    table = change_table(model.with_adapters(model.adapters.ablated(2)))
    assert list(table.layers) == [name for name in backbone if name in table.layers]
    differences = dict(model.adapters.differences(1, backbone))
    expected = [float(differences[name].norm() / backbone[name].norm()) for name in table.layers]
    np.testing.assert_allclose(table.ratios[0], expected, rtol=1e-5)
    assert not table.ratios[1].any() and not table.is_zero
    assert change_table(model.with_adapters(model.adapters.scaled(0))).is_zero
    ranked = table.ranks > 0
    assert (table.effective_ranks[0, ranked] <= table.ranks[ranked] + 1e-6).all()
    assert np.isnan(table.effective_ranks[:, ~ranked]).all()


def test_the_change_of_a_layer_is_a_times_b_of_every_stage_with_its_scale():
    model = new_model()
    layer = next(key[2:-2] for key in model.adapters.tensors if key.endswith("/A"))
    first, second = changes_of_layer(model.with_adapters(model.adapters.scaled(0.5).ablated(2)), layer)
    tensors = model.adapters.tensors
    torch.testing.assert_close(torch.from_numpy(first), 0.5 * tensors[f"1/{layer}/A"] @ tensors[f"1/{layer}/B"])
    assert first.shape == second.shape and not second.any()
    bias = next(key[2:-11] for key in tensors if key.endswith("bias/difference"))
    assert changes_of_layer(model, bias)[0].shape == (1, tensors[f"1/{bias}/difference"].numel())
