"""Encoders from a folder: tiny random models, torchmetrics as oracle."""

import json
import logging

import numpy as np
import pytest

from tcellmil.metrics import LocalEncoder, bert_score

pytestmark = pytest.mark.slow  # importing transformers takes seconds
transformers = pytest.importorskip("transformers")
WORDS = "[PAD] [UNK] [CLS] [SEP] cd4 cd8 t b cell nk alpha beta memory naive helper".split()
REAL = ["cd4 t cell", "nk cell", "b cell", "memory b cell naive t"]
GENERATED = ["cd4 t cell", "nk", "memory b cell alpha beta", "b cell"]


def save(folder, kind, special=True, limit=16, safe=True):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(0)
    sizes = {"vocab_size": len(WORDS), "initializer_range": 0.5}
    if kind == "bert":
        sizes |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        model = transformers.BertModel(transformers.BertConfig(**sizes, max_position_embeddings=16))
    else:
        model = transformers.GPT2Model(transformers.GPT2Config(**sizes, n_embd=32, n_layer=2, n_head=2, n_positions=16))
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if special:
        around = [("[CLS]", 2), ("[SEP]", 3)]
        words.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"} | (
        {"pad_token": "[PAD]"} if special else {}
    )
    names |= {"model_max_length": limit} if limit else {}
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(folder)
    model.save_pretrained(folder)
    if not safe:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """Loading says which layers it has not sharded."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return save(tmp_path_factory.mktemp("gpt2"), "gpt2", special=False, limit=None)


def test_scores_are_those_of_torchmetrics_one_pair_at_a_time(bert):
    from torchmetrics.functional.text.bert import bert_score as theirs

    options = {"model": LocalEncoder(bert).model, "user_tokenizer": LocalEncoder(bert).tokenizer, "num_layers": 2}
    for part in ("f1", "precision", "recall"):
        # Several pairs at a time, torchmetrics 1.9 scores texts of different lengths against those of other pairs.
        expected = [
            float(theirs([g], [r], **options, max_length=16)[part]) for r, g in zip(REAL, GENERATED, strict=True)
        ]
        np.testing.assert_allclose(bert_score(REAL, GENERATED, bert, part=part), expected, atol=1e-6)


def test_scores_are_those_of_bert_score_where_special_tokens_are_not_near(bert):
    theirs = pytest.importorskip("bert_score")
    f1 = theirs.score(GENERATED, REAL, model_type=str(bert), num_layers=2)[2].numpy()
    ours = bert_score(REAL, GENERATED, bert)
    assert (ours <= f1 + 1e-6).all()  # it lets tokens match [CLS] and [SEP]
    np.testing.assert_allclose(ours, f1, atol=0.05)


@pytest.mark.parametrize("folder", ["bert", "gpt2"])
def test_a_text_has_the_same_tokens_alone_and_in_any_batch(folder, request):
    folder = request.getfixturevalue(folder)
    texts = [*REAL, *GENERATED, "cell", ""]
    alone = [LocalEncoder(folder)([text])[0] for text in texts]
    for size in (1, 3, 64):
        together = LocalEncoder(folder, batch_size=size)(texts)
        for text, one, other in zip(texts, alone, together, strict=True):
            assert len(one) == len(text.split())
            np.testing.assert_allclose(other, one, atol=1e-5)


def test_special_tokens_are_left_out_and_layers_chosen(bert):
    import torch

    encoder = LocalEncoder(bert)
    with torch.inference_mode():
        ids = torch.tensor([[2, *(WORDS.index(word) for word in "cd4 t cell".split()), 3]])
        states = encoder.model(ids, output_hidden_states=True).hidden_states
    for layer in (-1, 0, 1, 2, -3):
        found = LocalEncoder(bert, layer=layer)(["cd4 t cell"])[0]
        np.testing.assert_allclose(found, states[layer][0, 1:-1].numpy(), atol=1e-5)


@pytest.mark.parametrize(("folder", "n_read"), [("bert", 14), ("gpt2", 16)])
def test_a_text_that_is_too_long_is_cut_at_its_end_with_a_warning(folder, n_read, request):
    encoder = LocalEncoder(request.getfixturevalue(folder))
    long = " ".join(["naive", "b"] * 15)
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than the 16 tokens that the encoder reads"):
        found, short = encoder([long, "b"])
    assert len(found) == n_read and len(short) == 1
    np.testing.assert_allclose(encoder([" ".join(long.split()[:n_read])])[0], found, atol=1e-5)


def test_a_folder_without_a_model_or_with_code_of_its_own_is_refused(tmp_path, bert):
    with pytest.raises((OSError, ValueError)):
        LocalEncoder(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((bert / name).read_bytes())
    config = json.loads((bert / "config.json").read_text()) | {
        "model_type": "own",
        "auto_map": {"AutoModel": "own.Own"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('this ran')")
    with pytest.raises((OSError, ValueError)):
        LocalEncoder(tmp_path)


def test_weights_are_read_from_safetensors_only(tmp_path):
    with pytest.raises(OSError, match="safetensors"):
        LocalEncoder(save(tmp_path, "bert", safe=False))


def test_a_tokenizer_that_knows_no_text_is_refused(tmp_path, bert):
    for path in bert.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    words = json.loads((tmp_path / "tokenizer.json").read_text())
    words["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Removed", "invert": False}
    (tmp_path / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(ValueError, match="makes no token of 'b cell'; it may lack its files"):
        bert_score(["b cell"], ["b cell"], tmp_path)


@pytest.mark.parametrize("options", [{"layer": 3}, {"layer": -4}])
def test_a_layer_that_is_not_there_is_refused(bert, options):
    with pytest.raises(ValueError, match=r"layer=-?\d is not there; the model has layers 1 to 2"):
        LocalEncoder(bert, **options)
