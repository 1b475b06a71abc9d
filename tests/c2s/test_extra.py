"""Without the extra every entry point says how to install it; with it, the process stays as it was."""

import sys

import numpy as np
import pytest
from anndata import AnnData

import tcellmil as tm
from tcellmil.c2s._extra import PACKAGES, require_c2s, seeded
from tcellmil.c2s._models._lora import add_adapter, drop_adapter, load_adapter, merge_adapter, save_adapter
from tcellmil.c2s._models._pretrained import from_pretrained
from tcellmil.c2s._models._scratch import from_scratch, word_tokenizer
from tcellmil.c2s._models._store import load_language_model, save_language_model
from tcellmil.c2s._training._train import train_rows

ENTRIES = {
    "from_scratch": lambda: from_scratch(["CD3D"]),
    "word_tokenizer": lambda: word_tokenizer(["CD3D"], context=8),
    "from_pretrained": lambda: from_pretrained("owner/name"),
    "train_rows": lambda: train_rows(None, None),
    "add_adapter": lambda: add_adapter(None),
    "drop_adapter": lambda: drop_adapter(None),
    "merge_adapter": lambda: merge_adapter(None),
    "save_adapter": lambda: save_adapter(None, "x"),
    "load_adapter": lambda: load_adapter(None, "x"),
    "save_language_model": lambda: save_language_model(None, "x"),
    "load_language_model": lambda: load_language_model("x"),
    "C2S.from_pretrained": lambda: tm.model.C2S.from_pretrained("owner/name"),
    "C2S.from_scratch": lambda: tm.model.C2S.from_scratch(sentences()),
    "C2S.load": lambda: tm.model.C2S.load("x"),
}


def sentences():
    adata = AnnData(np.eye(3, dtype="float32") + 0.5)
    tm.pp.cell_sentences(adata, n_genes=2)
    adata.obs["cell_type"] = ["a", "b", "b"]
    return adata


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("missing", ["transformers", "peft"])
def test_without_the_extra_every_entry_says_how_to_install_it(entry, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    message = rf'language models need {missing}, not installed here; install with: pip install "tcellmil\[c2s\]"'
    with pytest.raises(ImportError, match=message):
        ENTRIES[entry]()


def test_all_missing_packages_are_named(monkeypatch):
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="transformers, tokenizers, safetensors, peft, not installed"):
        require_c2s()


def test_a_seed_decides_what_is_drawn_and_nothing_outside():
    import torch

    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    drawn = []
    for _ in range(2):
        with seeded(3):
            drawn.append(torch.rand(4))
    assert torch.equal(*drawn)
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])
