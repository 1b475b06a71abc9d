"""Tokenizers of three kinds, made in the test, and genes for them."""

import numpy as np
import pytest

#: Names with everything that names of genes have in them.
NAMES = (
    "HLA-A",
    "HLA-DRB1",
    "MT-ND4",
    "AC012345.1",
    "IGHV1-69-2",
    "CD3D",
    "H2-K1",
    "TRAV13-2",
    "C1orf112",
    "7SK",
    "A",
    "ç1",
)


@pytest.fixture(scope="session")
def gene_words():
    """Sixty names of genes, some of which begin as others do."""
    rng = np.random.default_rng(0)
    letters = np.array(list("ABCDEKLMNPRST"))
    made = ["".join(letters[rng.integers(len(letters), size=3)]) + str(i) for i in range(60 - len(NAMES))]
    return [*NAMES, *made]


def wrapped(backend, **special):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


@pytest.fixture(scope="session")
def word_tokenizer(gene_words):
    """Every word a token: those of the genes, and of the texts that are given."""
    tokenizers = pytest.importorskip("tokenizers")

    def build(*texts, genes=gene_words, **special):
        words = ["<pad>", "<eos>", "<unk>", *genes, *(word for text in texts for word in text.split())]
        model = tokenizers.models.WordLevel({word: i for i, word in enumerate(dict.fromkeys(words))}, unk_token="<unk>")
        backend = tokenizers.Tokenizer(model)
        backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
        return wrapped(backend, **{"eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"} | special)

    return build


@pytest.fixture(scope="session")
def corpus(gene_words):
    """Sentences with words around them."""
    rng = np.random.default_rng(1)
    sentences = [" ".join(rng.choice(gene_words, 30, replace=False)) for _ in range(60)]
    return [f"Label a cell by its 30 genes, highest first.\nGenes: {text}\nCell type: B cell" for text in sentences]


@pytest.fixture(scope="session")
def byte_tokenizer(corpus):
    """Byte-level BPE, as GPT-2, Pythia and SmolLM have it: a blank belongs to the word behind it."""
    tokenizers = pytest.importorskip("tokenizers")
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(corpus, trainer)
    return wrapped(backend, eos_token="<|endoftext|>")


def train_whole_texts(corpus, split):
    """BPE of whole texts in which a blank is a letter; with ``split``, no token has letters of two words."""
    tokenizers = pytest.importorskip("tokenizers")
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    backend.normalizer = tokenizers.normalizers.Replace(" ", "▁")
    if split:
        backend.pre_tokenizer = tokenizers.pre_tokenizers.Split("▁", "merged_with_next")
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<bos>", "<eos>", "<unk>"], show_progress=False
    )
    backend.train_from_iterator(corpus, trainer)
    backend.pre_tokenizer = None
    backend.post_processor = tokenizers.processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 0)])
    return wrapped(backend, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>")


@pytest.fixture(scope="session")
def sentencepiece_tokenizer(corpus):
    """A tokenizer as that of Gemma: no split before the merges, and a token in front of every text."""
    return train_whole_texts(corpus, split=True)


@pytest.fixture(scope="session")
def merging_tokenizer(corpus):
    """Merges across blanks, so that a gene has no tokens of its own."""
    return train_whole_texts([*corpus, *["MT-ND4 CD3D HLA-A A"] * 300], split=False)
