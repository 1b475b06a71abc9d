"""Models with random weights: every gene is a token, sizes are what was asked, weights come from the seed alone."""

import numpy as np
import pytest

from tcellmil.c2s._models._scratch import from_scratch, word_tokenizer
from tcellmil.c2s._models._weights import digest_of, named_weights

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
GENES = ["HLA-A", "HLA-DRB1", "AC012345.1", "IGHV3-23", "mt-Co1", "Actb", "ACTB"]


def build(architecture="llama", size=SMALL, **kwargs):
    return from_scratch(GENES, ["cell type: CD4 T cell"], size=size, architecture=architecture, context=64, **kwargs)


def test_every_gene_is_one_token_and_comes_back_as_it_was():
    tokenizer = word_tokenizer(GENES, ["cell type: CD4 T cell"], context=64)
    ids = tokenizer(" ".join(GENES), add_special_tokens=False)["input_ids"]
    assert ids == list(range(3, 3 + len(GENES)))
    assert tokenizer.decode(ids) == " ".join(GENES)


def test_a_tokenizer_adds_nothing_to_a_text_and_knows_its_ends():
    tokenizer = word_tokenizer(GENES, ["cell type:"], context=64)
    assert tokenizer("HLA-A cell").input_ids == tokenizer("HLA-A cell", add_special_tokens=False).input_ids
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2)
    assert tokenizer("B7 cell").input_ids[0] == 2 and tokenizer.bos_token_id is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["A", "B", "A"], r"words repeat: \['A'\]"),
        (["A", "B C"], r"words \['B C'\] are empty, hold blanks or are special tokens"),
        (["A", ""], r"words \[''\] are empty, hold blanks"),
        (["<pad>"], r"words \['<pad>'\] are empty, hold blanks or are special tokens"),
    ],
)
def test_words_that_are_no_token_are_refused(words, message):
    with pytest.raises(ValueError, match=message):
        word_tokenizer(words, context=8)


@pytest.mark.parametrize("architecture", ["llama", "gpt_neox", "gemma2"])
def test_an_architecture_has_the_sizes_and_answers_for_each_token(architecture):
    lm = build(architecture)
    assert (lm.architecture, lm.context, lm.words) == (architecture, 64, tuple(GENES))
    assert lm.vocab_size == len(lm.tokenizer) == 3 + len(GENES) + 4
    assert not lm.is_tied and lm.model.config.attention_dropout == 0.1
    logits = lm.model(torch.tensor([[3, 4, 5]])).logits
    assert logits.shape == (1, 3, lm.vocab_size) and logits.isfinite().all()
    assert lm.n_parameters < 40_000 and not lm.model.training


@pytest.mark.parametrize("architecture", ["llama", "gpt_neox", "gemma2"])
def test_weights_come_from_the_seed_and_from_nothing_else(architecture):
    digests = []
    for seed, noise in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        digests.append(digest_of(named_weights(build(architecture, seed=seed).model)))
        assert torch.equal(before, torch.get_rng_state())
    assert digests[0] == digests[1] != digests[2]


def test_sizes_are_named_or_taken_from_a_dict():
    tiny, small = build(size="tiny").model.config, build(size="small").model.config
    assert (tiny.hidden_size, tiny.num_hidden_layers) == (64, 2)
    assert (small.hidden_size, small.num_hidden_layers) == (256, 6)
    odd = build(size={"num_hidden_layers": 1, "tie_word_embeddings": True})
    assert (odd.model.config.hidden_size, odd.model.config.num_hidden_layers, odd.is_tied) == (64, 1, True)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"architecture": "bert"}, ValueError, "architecture='bert' is not known; choose from 'llama', 'gpt_neox'"),
        ({"size": "huge"}, ValueError, "size='huge' is not known; choose from 'tiny', 'small'"),
        ({"size": {"width": 3}}, TypeError, r"size has no options \['width'\]; llama has .*'hidden_size'"),
        ({"size": {"vocab_size": 3}}, TypeError, r"size has no options \['vocab_size'\]"),
        ({"size": {"hidden_size": 30}}, ValueError, "hidden_size=30 is not a multiple of num_attention_heads=4"),
    ],
)
def test_sizes_that_are_not_known_are_refused(kwargs, error, message):
    with pytest.raises(error, match=message):
        build(**kwargs)


def test_genes_that_a_tokenizer_does_not_know_are_counted():
    lm = build()
    assert lm.with_words(GENES[:2]).words == tuple(GENES[:2])
    with pytest.raises(ValueError, match=r"does not know 2 of 3 genes: \['CD3D', 'CD8A'\]; use a model whose"):
        lm.with_words(["HLA-A", "CD3D", "CD8A"])
    assert lm.unknown_words([]) == []


def test_a_model_goes_to_a_device_and_a_missing_one_is_named(monkeypatch):
    lm = build()
    assert lm.to("cpu") is lm and lm.device.type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="accelerator='cuda': torch sees no such device"):
        lm.to("cuda")


def test_global_numbers_of_numpy_stay_as_they_are():
    before = np.random.get_state()[1].copy()
    build()
    assert np.array_equal(before, np.random.get_state()[1])
