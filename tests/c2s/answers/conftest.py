"""Tiny language models with random weights, and tokenizers that spell words in three ways."""

import pytest

#: Many begin like another one.
GENES = ["CD3", "CD3D", "CD3E", "CD8", "CD8A", "A", "AB", "ABC", "HLA-A", "HLA-DRA", "MS4A1", "LYZ", "NKG7", "S100A8"]
TALK = ["The", "cell", "type", "is", "T", "B", "memory", "helper", "CD4", "NK", "monocyte"]


def build_tokenizer(kind, words=(*TALK, *GENES), n_tokens=330):
    """``word``: a token a word; ``byte``: as GPT-2; ``metaspace``: as Llama 2."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["</s>", "[UNK]"]
    if kind == "word":
        vocabulary = {word: i for i, word in enumerate(dict.fromkeys([*special, *words]))}
        core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]")
    core, alphabet = Tokenizer(models.BPE(unk_token="[UNK]")), []
    if kind == "byte":
        core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        core.pre_tokenizer, core.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        alphabet = [chr(c) for c in range(33, 127)]
        n_tokens -= 150
    trainer = trainers.BpeTrainer(
        vocab_size=n_tokens, special_tokens=special, initial_alphabet=sorted(alphabet), show_progress=False
    )
    core.train_from_iterator([" ".join(words[i:] + words[:i]) for i in range(len(words))], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]")


def build_model(architecture, n_tokens, *, context=512, seed=0, scale=0.4):
    """Two layers; weights so large that the model prefers some tokens clearly."""
    import torch
    from transformers import (
        Gemma2Config,
        Gemma2ForCausalLM,
        GPTNeoXConfig,
        GPTNeoXForCausalLM,
        LlamaConfig,
        LlamaForCausalLM,
    )

    sizes = {"vocab_size": n_tokens, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "max_position_embeddings": context, "initializer_range": scale}
    sizes |= {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": None}
    window = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 6, "num_key_value_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if architecture == "llama":
            return LlamaForCausalLM(LlamaConfig(**sizes, num_key_value_heads=2)).eval()
        if architecture == "gpt_neox":
            return GPTNeoXForCausalLM(GPTNeoXConfig(**sizes)).eval()
        return Gemma2ForCausalLM(Gemma2Config(**sizes | window)).eval()


@pytest.fixture(scope="session")
def tokenizers_of():
    """Tokenizers by kind, made once."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = build_tokenizer(kind)
        return made[kind]

    return get


@pytest.fixture(scope="session")
def make_tokenizer():
    return build_tokenizer


@pytest.fixture(scope="session")
def make_model():
    return build_model


@pytest.fixture(scope="session")
def models_of(tokenizers_of):
    """Models by architecture and kind of tokenizer, made once."""
    made = {}

    def get(architecture, kind="word"):
        if (architecture, kind) not in made:
            made[architecture, kind] = build_model(architecture, len(tokenizers_of(kind)))
        return made[architecture, kind]

    return get


@pytest.fixture
def torch_rng_unchanged():
    """The global random numbers of torch and numpy are the same before and after the test."""
    import numpy as np
    import torch

    before, before_numpy = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    yield
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(before_numpy, np.random.get_state()[1])
