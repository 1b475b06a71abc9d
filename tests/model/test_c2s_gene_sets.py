"""A language model of cells that learns gene sets beside them."""

import re
from functools import partialmethod
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.c2s import GeneTable, encode_prompt, gene_set_examples, label_log_probabilities
from tcellmil.model._sentences._gene_sets import split_gene_sets

pytest.importorskip("transformers", reason="the extra c2s is not installed")

TASKS = ["gene_set_naming", "gene_set_enumeration", "cell_type_annotation"]


@pytest.fixture(scope="module")
def cells():
    cells = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)[::4].copy()
    tm.pp.cell_sentences(cells, n_genes=20)
    return cells


@pytest.fixture(scope="module")
def sets(cells):
    genes = np.random.default_rng(0).permutation(cells.var_names)[:60].reshape(6, 10)
    rows = [(f"{kind} signature", gene) for kind, row in zip("ABCDEF", genes, strict=True) for gene in row]
    rows += [("A signature", "no gene of these cells"), ("nothing known", "no gene of these cells")]
    return pd.DataFrame(rows, columns=["source", "target"])


def test_sets_are_learned_beside_cells(cells, sets):
    model = tm.model.C2S.from_scratch(cells, size={"hidden_size": 32}, tasks=TASKS, gene_sets=sets)
    assert model.lm.tokenizer.unk_token_id not in model.lm.tokenizer("C signature")["input_ids"]
    options = {"donor_key": "patient", "max_epochs": 60, "lr": 3e-3, "progress": False}
    model.train(cells, gene_sets=sets, validation=0, **options)
    table = GeneTable(model.lm.tokenizer, model.lm.words)
    asked = gene_set_examples("gene_set_naming", sets[sets["source"] != "nothing known"], model.lm.words, wording=0)
    prompts = [encode_prompt(example, table, model.lm.context)[0] for example in asked]
    names = [f"{kind} signature" for kind in "ABCDEF"]
    scores = label_log_probabilities(model.lm.model, model.lm.tokenizer, prompts, names)
    assert np.diag(scores).mean() > scores.mean() + 0.5  # nats; without learning, as likely as the others


def test_the_page_on_tasks_shows_how(cells, sets, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "own_tasks.md").read_text()
    _, code = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    monkeypatch.setattr(tm.io, "read_gmt", lambda path: sets)
    monkeypatch.setattr(tm.model.C2S, "train", partialmethod(tm.model.C2S.train, max_steps=1, progress=False))
    names = {"tm": tm, "adata": cells}
    exec(code, names)
    assert "gene_set_naming" in repr(names["language_model"])


def test_sets_that_validate_are_whole_and_not_learned(cells, sets, monkeypatch):
    from tcellmil.model._sentences import _teach

    seen = []
    taken = _teach.gene_set_examples
    monkeypatch.setattr(_teach, "gene_set_examples", lambda *a, **k: seen.append(a[1]) or taken(*a, **k))
    model = tm.model.C2S.from_scratch(cells, size={"hidden_size": 16}, tasks="gene_set_naming", gene_sets=sets)
    model.train(cells, gene_sets=sets, donor_key="patient", validation=0.34, max_epochs=1, progress=False)
    learned, validating = (set(part["source"]) for part in seen)
    assert len(learned) == 4 and len(validating) == 2 and not learned & validating
    assert np.isfinite(model.history["validation_loss"]).all()


def test_of_few_sets_one_validates_and_of_one_set_none(cells, sets):
    few = sets[sets["source"].isin(["A signature", "B signature"])]
    parts = split_gene_sets(few, 0.1, seed=0)
    assert [part["source"].nunique() for part in parts] == [1, 1]
    assert [len(part) for part in split_gene_sets(few, 0, seed=0)] == [len(few), 0]
    with pytest.warns(UserWarning, match="there is one gene set, 'A signature', so none validates"):
        assert not len(split_gene_sets(few[few["source"] == "A signature"], 0.1, seed=0)[1])


def test_sets_that_are_longer_than_the_context_are_left_out(cells, sets):
    long = pd.DataFrame({"source": "everything", "target": cells.var_names[:200]})
    options = {"tasks": "gene_set_enumeration", "size": {"hidden_size": 16}, "context": 128}
    model = tm.model.C2S.from_scratch(cells, gene_sets=pd.concat([sets, long]), **options)
    learn = {"donor_key": "patient", "validation": 0, "max_epochs": 1, "progress": False}
    with pytest.warns(
        UserWarning, match="1 of 7 gene sets are too long for task 'gene_set_enumeration' and the context"
    ):
        model.train(cells, gene_sets=pd.concat([sets, long]), **learn)
    with pytest.raises(ValueError, match="1 of 1 gene sets are too long for .* of 128 tokens; give shorter ones"):
        model.train(cells, gene_sets=long, **learn)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"gene_sets": None}, ValueError, "'gene_set_naming' is about gene sets; give some: gene_sets=tm.io.read_gmt"),
        ({"gene_sets": {"A": ["CD3D"]}}, TypeError, "gene_sets must be a DataFrame source, target, got dict"),
        ({"gene_sets": pd.DataFrame({"source": [], "target": []})}, ValueError, "gene_sets is empty; give at least"),
        (
            {"gene_sets": pd.DataFrame({"source": [None], "target": ["CD3D"]})},
            ValueError,
            "has 1 rows without a source",
        ),
        ({"gene_sets": pd.DataFrame({"set": []})}, KeyError, r"lacks the columns \['source', 'target'\]"),
        ({"tasks": "cell_generation"}, ValueError, "no task is about gene sets; add tasks="),
        (
            {"gene_sets": pd.DataFrame({"source": ["A"], "target": ["Cd3d"]})},
            ValueError,
            "none of the 1 genes of gene_sets is known: they look like .'Cd3d'., those of the cells like",
        ),
    ],
)
def test_gene_sets_that_cannot_be_learned_are_named(cells, sets, change, error, message):
    options = {"tasks": "gene_set_naming", "gene_sets": sets} | change
    with pytest.raises(error, match=message):
        tm.model.C2S.from_scratch(cells, size={"hidden_size": 16}, **options)
    model = tm.model.C2S.from_scratch(cells, size={"hidden_size": 16})
    with pytest.raises(error, match=message):
        model.train(cells, progress=False, validation=0, **options)
