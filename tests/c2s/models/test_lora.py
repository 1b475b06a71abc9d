"""An adapter is trained beside weights that do not change by a bit, kept by itself, and merged."""

import json

import pytest

from tcellmil.c2s._models._lora import add_adapter, drop_adapter, has_adapter, load_adapter, merge_adapter, save_adapter
from tcellmil.c2s._models._weights import adapter_weights, base_weights, digest_of, named_weights
from tcellmil.c2s._training._train import mean_loss

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

ARCHITECTURES = ["llama", "gpt_neox", "gemma2"]
RANK = {"r": 4, "lora_alpha": 8}


def logits(lm):
    with torch.no_grad():
        return lm.model(torch.arange(3, 12)[None]).logits


@pytest.fixture
def trained(toy):
    """Build a model whose adapter was trained, and the checksum that its weights had before."""

    def build(architecture="llama", tied=False):
        lm = toy.tiny(architecture, tied)
        before = digest_of(named_weights(lm.model))
        lm = add_adapter(lm, RANK)
        toy.run(lm, max_epochs=2, lr=1e-2)
        return lm, before

    return build


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tied", [False, True])
def test_base_weights_are_the_same_to_the_bit_after_training(toy, trained, architecture, tied):
    lm, before = trained(architecture, tied)
    fresh = toy.tiny(architecture, tied)
    assert digest_of(base_weights(lm.model)) == before
    assert not torch.allclose(logits(lm), logits(fresh), atol=1e-3)
    dropped = drop_adapter(lm)
    assert torch.equal(logits(dropped), logits(fresh)) and digest_of(named_weights(dropped.model)) == before
    assert all(p.requires_grad for p in dropped.model.parameters()) and "lora" not in dropped.meta


def test_a_fresh_adapter_changes_nothing_and_little_of_it_is_trained(toy):
    plain = logits(toy.tiny())
    lm = add_adapter(toy.tiny())
    assert torch.equal(logits(lm), plain)
    assert all("lora_" in name for name in named_weights(lm.model, trained=True))
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in adapter_weights(lm.model)} >= {"q_proj", "up_proj"}
    assert not {"embed_tokens", "lm_head"} & {part for name in adapter_weights(lm.model) for part in name.split(".")}


def test_the_seed_decides_an_adapters_first_weights(toy):
    before = torch.get_rng_state()
    one, same, other = (digest_of(adapter_weights(add_adapter(toy.tiny(), RANK, seed=s).model)) for s in (0, 0, 1))
    assert one == same != other and torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_merging_says_the_same_without_an_adapter(trained, architecture):
    lm, before = trained(architecture)
    expected = logits(lm)
    merged = merge_adapter(lm)
    assert not has_adapter(merged) and torch.allclose(logits(merged), expected, atol=1e-5)
    assert digest_of(named_weights(merged.model)) != before and merged.meta["merged_lora"]["r"] == 4


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_adapter_is_saved_by_itself_and_comes_back(toy, trained, architecture, tmp_path):
    lm, _ = trained(architecture)
    save_adapter(lm, tmp_path / "adapter")
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == ["adapter.json", "adapter.safetensors"]
    loaded = load_adapter(toy.tiny(architecture), tmp_path / "adapter")
    assert torch.equal(logits(loaded), logits(lm)) and loaded.meta["lora"] == lm.meta["lora"]
    with pytest.raises(ValueError, match="belongs to a model with other weights; load the one it was trained on"):
        load_adapter(toy.tiny(architecture, seed=1), tmp_path / "adapter")


def test_an_interrupted_adapter_goes_on_and_the_base_is_part_of_the_run(toy, tmp_path):
    expected = toy.run(add_adapter(toy.tiny(), RANK))
    toy.run(add_adapter(toy.tiny(), RANK), checkpoint=tmp_path, max_epochs=3)
    again = add_adapter(toy.tiny(), RANK)
    assert toy.run(again, checkpoint=tmp_path).losses == expected.losses
    with pytest.raises(ValueError, match=r"is of a run with other \['frozen weights'\]"):
        toy.run(add_adapter(toy.tiny(seed=3), RANK), checkpoint=tmp_path)


@pytest.mark.parametrize("architecture", ["llama", "gpt_neox"])
@pytest.mark.parametrize("part", ["embeddings", "head"])
def test_an_adapter_on_tied_embeddings_or_heads_is_refused(toy, architecture, part):
    names = {"llama": ("embed_tokens", "lm_head"), "gpt_neox": ("embed_in", "lm_head")}[architecture]
    name = names[part == "head"]
    lm = toy.tiny(architecture, tied=True)
    before = digest_of(named_weights(lm.model))
    with pytest.raises(
        ValueError, match=rf"would put an adapter on \['{name}'\], whose weights are tied to each other"
    ):
        add_adapter(lm, {"target_modules": [name]})
    assert digest_of(named_weights(lm.model)) == before and all(p.requires_grad for p in lm.model.parameters())
    assert has_adapter(add_adapter(toy.tiny(architecture), {"target_modules": [name]}))


@pytest.mark.parametrize("option", ["modules_to_save", "bias", "trainable_token_indices", "init_lora_weights", "rank"])
def test_options_that_would_change_the_model_itself_are_refused(toy, option):
    with pytest.raises(TypeError, match=rf"lora has no options \['{option}'\]; choose from \['r', 'lora_alpha'"):
        add_adapter(toy.tiny(), {option: ["lm_head"]})


def test_two_adapters_and_none_are_refused(toy, tmp_path):
    lm = add_adapter(toy.tiny(), RANK)
    with pytest.raises(ValueError, match="the model has an adapter already; merge it"):
        add_adapter(lm)
    for call in (drop_adapter, merge_adapter, lambda lm: save_adapter(lm, tmp_path)):
        with pytest.raises(ValueError, match="the model has no adapter"):
            call(toy.tiny())


def test_layers_that_are_not_there_are_named_and_the_model_stays(toy):
    lm = toy.tiny()
    with pytest.raises(ValueError, match="wrong_proj"):
        add_adapter(lm, {"target_modules": ["wrong_proj"]})
    assert all(p.requires_grad for p in lm.model.parameters()) and not has_adapter(lm)


def test_damaged_adapters_are_refused_and_the_model_stays(toy, tmp_path):
    path = tmp_path / "adapter"
    save_adapter(add_adapter(toy.tiny(), RANK), path)
    lm = toy.tiny()
    before = digest_of(named_weights(lm.model))
    whole = (path / "adapter.safetensors").read_bytes()
    (path / "adapter.safetensors").write_bytes(whole[:-9])
    with pytest.raises(ValueError, match="adapter.safetensors cannot be read"):
        load_adapter(lm, path)
    (path / "adapter.safetensors").write_bytes(whole)
    record = json.loads((path / "adapter.json").read_text())
    for options, error, message in (
        ({"r": 5}, ValueError, "adapter.safetensors cannot be read .weight .* is .*, not"),
        ({"bias": "all"}, TypeError, r"lora has no options \['bias'\]"),
    ):
        changed = record | {"options": record["options"] | options}
        (path / "adapter.json").write_text(json.dumps(changed))
        with pytest.raises(error, match=message):
            load_adapter(lm, path)
    (path / "adapter.json").write_text("{")
    with pytest.raises(ValueError, match="adapter.json cannot be read"):
        load_adapter(lm, path)
    (path / "adapter.safetensors").unlink()
    with pytest.raises(ValueError, match="holds no adapter.safetensors; it is not a folder that save_adapter wrote"):
        load_adapter(lm, path)
    assert digest_of(named_weights(lm.model)) == before and not has_adapter(lm)


def test_a_folder_that_is_no_adapter_is_never_emptied(toy, tmp_path):
    lm = add_adapter(toy.tiny(), RANK)
    save_adapter(lm, tmp_path / "adapter")
    with pytest.raises(ValueError, match="adapter already exists; choose another folder or pass overwrite=True"):
        save_adapter(lm, tmp_path / "adapter")
    save_adapter(lm, tmp_path / "adapter", overwrite=True)
    (tmp_path / "adapter" / "notes.txt").write_text("kept")
    with pytest.raises(ValueError, match=r"holds \['notes.txt'\], which saving would delete"):
        save_adapter(lm, tmp_path / "adapter", overwrite=True)
    assert (tmp_path / "adapter" / "notes.txt").read_text() == "kept"


def test_an_adapter_on_a_head_of_its_own_is_trained_too(toy):
    lm = add_adapter(toy.tiny(), {"target_modules": ["lm_head"]} | RANK)
    held_out = toy.examples(lm, n=20, seed=5)
    before = mean_loss(lm, held_out, 4096)
    toy.run(lm, max_epochs=4, lr=1e-2)
    assert mean_loss(lm, held_out, 4096) < before
