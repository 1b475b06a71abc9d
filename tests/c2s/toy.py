"""Tiny models and examples, for tests and for the child processes that they kill."""

import numpy as np

from tcellmil.c2s._models._scratch import from_scratch
from tcellmil.c2s._training._token_rows import IGNORE, TokenRows
from tcellmil.c2s._training._train import train_rows
from tcellmil.c2s._training._train_config import LanguageTraining

WORDS = tuple(f"HLA-{i}" for i in range(12))
LABELS = ("B cell", "CD4 T cell")
SIZE = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
TRAINING = {"lr": 3e-3, "batch_tokens": 64, "max_epochs": 3, "checkpoint_steps": 4}
#: Architecture, and whether the output layer is the table of embeddings.
VARIANTS = [("llama", False), ("llama", True), ("gpt_neox", False), ("gpt_neox", True)]


def tiny(architecture="llama", tied=False, seed=0, **size):
    size = SIZE | {"tie_word_embeddings": tied} | size
    return from_scratch(WORDS, ["type: ", *LABELS], size=size, architecture=architecture, context=32, seed=seed)


def examples(lm, n=24, seed=0, offset=0):
    """Sentences of different lengths, and a label that their first gene decides."""
    rng = np.random.default_rng([seed, offset])
    ids, labels = [], []
    for _ in range(n):
        genes = rng.permutation(len(WORDS))[: rng.integers(4, 10)]
        prompt = lm.tokenizer.encode(" ".join(WORDS[g] for g in genes) + " type:", add_special_tokens=False)
        answer = lm.tokenizer.encode(LABELS[genes[0] % 2], add_special_tokens=False) + [lm.eos_id]
        ids.append(prompt + answer)
        labels.append([IGNORE] * len(prompt) + answer)
    return TokenRows.of(ids, labels)


def run(lm, **kwargs):
    """Train on the examples; options of the training and of the call in one."""
    named = {"checkpoint", "resume"}
    training = LanguageTraining(**TRAINING | {k: v for k, v in kwargs.items() if k not in named})
    call = {k: v for k, v in kwargs.items() if k in named}
    rows = examples(lm), examples(lm, n=8, offset=1)
    return train_rows(lm, *rows, training, accelerator="cpu", progress=False, **call)
