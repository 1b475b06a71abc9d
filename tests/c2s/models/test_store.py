"""Saving keeps weights, tokenizer, genes and record together; loading gives them back, or says what is wrong."""

import json

import pytest

from tcellmil.c2s._models._lora import add_adapter, has_adapter, merge_adapter
from tcellmil.c2s._models._pretrained import from_pretrained
from tcellmil.c2s._models._store import load_language_model, save_language_model
from tcellmil.c2s._models._weights import digest_of, named_weights

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

ARCHITECTURES = ["llama", "gpt_neox", "gemma2"]
RECORD = {"tasks": ["cell_type"], "line": {"slope": -1.5, "intercept": 4.25}}
DAMAGED = "the language model in .* is damaged or was changed by hand: "


def logits(lm):
    with torch.no_grad():
        return lm.model(torch.arange(3, 12)[None]).logits


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def saved(toy, tmp_path):
    save_language_model(toy.tiny(), tmp_path / "model", RECORD)
    return tmp_path / "model"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tied", [False, True])
def test_a_trained_model_comes_back_to_the_bit(toy, architecture, tied, tmp_path):
    lm = toy.tiny(architecture, tied)
    toy.run(lm, max_epochs=1)
    save_language_model(lm, tmp_path / "model", RECORD)
    loaded, record = load_language_model(tmp_path / "model")
    assert torch.equal(logits(loaded), logits(lm)) and loaded.is_tied == tied
    assert digest_of(named_weights(loaded.model)) == digest_of(named_weights(lm.model))
    assert (loaded.words, dict(loaded.meta), record) == (lm.words, dict(lm.meta), RECORD)
    text = "HLA-3 type: CD4 T cell B7"
    assert loaded.tokenizer(text).input_ids == lm.tokenizer(text).input_ids
    assert (loaded.eos_id, loaded.pad_id, loaded.context) == (lm.eos_id, lm.pad_id, lm.context)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_adapter_is_kept_beside_its_weights(toy, architecture, tmp_path):
    lm = add_adapter(toy.tiny(architecture), {"r": 4})
    toy.run(lm, max_epochs=1, lr=1e-2)
    save_language_model(lm, tmp_path / "model")
    assert "adapter.safetensors" in content(tmp_path / "model")
    loaded, record = load_language_model(tmp_path / "model")
    assert has_adapter(loaded) and torch.equal(logits(loaded), logits(lm)) and record == {}
    merged = merge_adapter(loaded)
    save_language_model(merged, tmp_path / "model", overwrite=True)
    assert "adapter.safetensors" not in content(tmp_path / "model")
    assert torch.equal(logits(load_language_model(tmp_path / "model")[0]), logits(merged))


def test_all_files_may_be_read_by_those_who_may_read_one(saved):
    assert len({path.stat().st_mode for path in saved.iterdir()}) == 1


def test_transformers_opens_a_saved_folder_too(toy, saved):
    found = from_pretrained(saved)
    assert torch.equal(logits(found), logits(toy.tiny()))


def test_saving_writes_over_a_saved_model_and_over_nothing_else(toy, saved, tmp_path):
    lm = toy.tiny(seed=1)
    with pytest.raises(ValueError, match="model already exists; choose another folder or pass overwrite=True"):
        save_language_model(lm, saved)
    save_language_model(lm, saved, overwrite=True)
    assert torch.equal(logits(load_language_model(saved)[0]), logits(lm))
    before = content(saved)
    (saved / "notes.txt").write_text("kept")
    with pytest.raises(ValueError, match=r"holds \['notes.txt'\], which saving would delete; choose another folder"):
        save_language_model(lm, saved, overwrite=True)
    assert content(saved) == before | {"notes.txt": b"kept"}
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"holds \['config.json'\] and no c2s.json, so it is no saved model"):
        save_language_model(lm, other, overwrite=True)


def test_an_interrupted_save_leaves_the_model_before(toy, saved, monkeypatch):
    before = content(saved)
    lm = toy.tiny(seed=1)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(lm.tokenizer), "save_pretrained", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_language_model(lm, saved, overwrite=True)
    assert content(saved) == before and [path.name for path in saved.parent.iterdir()] == ["model"]


def test_what_cannot_be_saved_is_known_before_anything_is_written(toy, tmp_path):
    lm = toy.tiny()
    for record in ({"x": object()}, {"x": float("nan")}):
        with pytest.raises(ValueError, match="the record of a model must be plain values for JSON"):
            save_language_model(lm, tmp_path / "model", record)
    with torch.no_grad():
        lm.model.lm_head.weight[0, 0] = float("inf")
    with pytest.raises(ValueError, match=r"weights \['lm_head.weight'\] hold NaN or infinite values"):
        save_language_model(lm, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def edit(saved, change):
    values = json.loads((saved / "c2s.json").read_text())
    change(values)
    (saved / "c2s.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(format=9), "has format 9, this version reads 1; use the tcellmil that wrote it"),
        (lambda v: v.pop("words"), DAMAGED + r"c2s.json has no proper \['words'\]"),
        (lambda v: v.update(meta=[]), DAMAGED + r"c2s.json has no proper \['meta'\]"),
        (lambda v: v.update(words=["A", 1]), DAMAGED + "c2s.json has words that are no text"),
        (lambda v: v.update(words=["A", "A"]), DAMAGED + "c2s.json has words that repeat"),
        (lambda v: v.update(weights="0" * 64), DAMAGED + "its weights are not those that were saved"),
        (lambda v: v["record"].update(x=float("nan")), DAMAGED + "c2s.json cannot be read .NaN is no number of JSON"),
    ],
)
def test_records_that_saving_does_not_write_are_refused(saved, change, message):
    edit(saved, change)
    with pytest.raises(ValueError, match=message):
        load_language_model(saved)


def test_weights_that_were_changed_are_found(toy, saved):
    from safetensors.torch import load_file, save_file

    weights = load_file(saved / "model.safetensors")
    weights["lm_head.weight"][0, 0] += 1e-7
    save_file(weights, saved / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=DAMAGED + "its weights are not those that were saved"):
        load_language_model(saved)


def test_folders_that_are_no_saved_model_are_refused(saved, tmp_path):
    with pytest.raises(ValueError, match="holds no c2s.json; it is not a folder that C2S.save wrote"):
        load_language_model(tmp_path)
    (saved / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/name"}')
    with pytest.raises(ValueError, match="holds adapter_config.json: an adapter"):
        load_language_model(saved)
    (saved / "c2s.json").write_text("[" * 10**5)
    with pytest.raises(ValueError, match=DAMAGED + "c2s.json cannot be read"):
        load_language_model(saved)
    (saved / "c2s.json").unlink()
    (saved / "c2s.json").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=DAMAGED + "c2s.json is no file"):
        load_language_model(saved)
