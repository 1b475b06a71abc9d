"""A language model of cell sentences on AnnData: trained, asked, saved and opened again."""

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

pytest.importorskip("transformers", reason="the extra c2s is not installed")
SIZE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
QUICK = {"max_epochs": 2, "lr": 1e-2, "progress": False}


@pytest.fixture(scope="module")
def cells():
    adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    tm.pp.cell_sentences(adata, n_genes=20)
    return adata


@pytest.fixture(scope="module")
def trained(cells):
    model = tm.model.C2S.from_scratch(cells, size=SIZE)
    model.train(cells, donor_key="patient", **QUICK)
    return model


def test_a_trained_model_learns_and_names_held_out_donors(trained):
    assert list(trained.history.columns) == ["step", "train_loss", "validation_loss", "lr"]
    assert trained.best_epoch == len(trained.history) == 2
    assert trained.history["train_loss"].iloc[-1] < trained.history["train_loss"].iloc[0]
    (donor,) = trained.record["validation_donors"]
    assert donor.startswith("P") and trained.record["temperatures"]["cell_type_annotation"] > 0


def test_only_cells_that_are_learned_from_give_genes_their_first_vectors(cells, monkeypatch):
    from tcellmil.model._sentences import _teach

    read = []
    monkeypatch.setattr(_teach, "add_gene_vectors", lambda lm, ids, *, seed: read.append(ids))
    model = tm.model.C2S.from_scratch(cells, size=SIZE)
    model.train(cells, donor_key="patient", start="random", **QUICK)
    assert not read
    model = tm.model.C2S.from_scratch(cells, size=SIZE)
    model.train(cells, donor_key="patient", **QUICK)
    learned = ~cells.obs["patient"].isin(model.record["validation_donors"])
    np.testing.assert_array_equal(read, cells.obsm["X_cell_sentence"][None, learned])
    model.train(cells, donor_key="patient", **QUICK)  # goes on from what was learned
    model.train(cells, donor_key="patient", lora=True, **QUICK)
    model = tm.model.C2S.from_scratch(cells, size=SIZE)
    tm.model.C2S(tm.c2s.add_adapter(model.lm)).train(cells, donor_key="patient", **QUICK)
    assert len(read) == 1
    with pytest.raises(ValueError, match="start='warm' is not known; choose from 'cooccurrence', 'random'"):
        model.train(cells, start="warm")


def test_rare_conditions_come_as_often_as_the_mean(cells):
    from tcellmil.model._sentences._teach import balanced

    table = pd.DataFrame({"type": ["B"] * 10 + ["T"] * 6 + ["NK"] * 2})
    rows = balanced(table, ["type"], 0)
    assert table["type"].iloc[rows].value_counts().to_dict() == {"B": 10, "T": 6, "NK": 6}
    assert rows[:18].tolist() == list(range(18)) and set(rows[18:]) == {16, 17}
    np.testing.assert_array_equal(balanced(table, [], 0), np.arange(18))
    missing = table.assign(type=["B"] * 4 + [None] * 14)
    np.testing.assert_array_equal(balanced(missing, ["type"], 0), np.arange(18))


def test_probabilities_are_of_the_labels_and_sum_to_one(trained, cells):
    found = trained.annotate(cells, progress=False)
    assert list(found.columns) == sorted(cells.obs["cell_type"].unique()) and found.columns.name == "cell_type"
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    pd.testing.assert_frame_equal(found, trained.annotate(cells, "cell_type", progress=False))


@pytest.mark.parametrize("lora", [None, {"r": 2}])
def test_an_interrupt_behind_the_training_leaves_the_model_as_it_was(cells, monkeypatch, lora):
    from tcellmil.model._sentences import _teach

    def interrupted(*_):
        raise KeyboardInterrupt

    model = tm.model.C2S.from_scratch(cells, size=SIZE)
    before, record = model.lm.digest(), dict(model.record)
    monkeypatch.setattr(_teach, "_temperatures", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.train(cells, donor_key="patient", lora=lora, **QUICK)
    assert model.lm.digest() == before and model.record == record and not model.has_adapter


def test_several_wordings_are_averaged(trained, cells):
    few = cells[:5].copy()
    one, same, several = (trained.annotate(few, n_wordings=n, progress=False) for n in (1, 1, None))
    pd.testing.assert_frame_equal(one, same)
    assert (one != several).any(axis=None)
    np.testing.assert_allclose(several.sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="n_wordings=0"):
        trained.annotate(few, n_wordings=0, progress=False)


def test_a_saved_model_answers_the_same(trained, cells, tmp_path):
    trained.save(tmp_path / "model")
    again = tm.model.C2S.load(tmp_path / "model")
    pd.testing.assert_frame_equal(
        again.annotate(cells, progress=False), trained.annotate(cells, progress=False), check_exact=True
    )
    pd.testing.assert_frame_equal(again.history, trained.history)
    assert again.line == trained.line
    one, other = (m.generate(2, {"cell_type": "B cell"}, progress=False) for m in (trained, again))
    np.testing.assert_array_equal(one.obsm["X_cell_sentence"], other.obsm["X_cell_sentence"])


def test_generated_cells_have_conditions_expression_and_sentences(trained, cells):
    types = sorted(cells.obs["cell_type"].unique())
    found = trained.generate(len(types), {"cell_type": types}, n_genes=7, progress=False)
    assert found.shape == (len(types), cells.n_vars) and found.obs["cell_type"].tolist() == types
    assert (found.obs[["n_unknown", "n_repeated"]] == 0).all(axis=None)
    ids = found.obsm["X_cell_sentence"]
    assert ids.shape == (len(types), 7)
    top = found.X.toarray().argmax(axis=1)
    np.testing.assert_array_equal(top, ids[:, 0])
    assert len(tm.get.cell_sentences(found).iloc[0].split()) <= 7


def test_an_embedding_is_usable_for_patients(trained, cells):
    adata = cells.copy()
    tm.tl.embed_sentences(adata, trained, progress=False)
    assert adata.obsm["X_c2s"].shape == (adata.n_obs, 32) and np.isfinite(adata.obsm["X_c2s"]).all()
    tm.tl.fit_mil(adata, "patient", "response", use_rep="X_c2s", cv=3, training={"max_epochs": 2}, progress=False)
    assert tm.get.metrics(adata).loc["auroc", "n"] == 6


def test_the_verb_writes_labels_probabilities_and_the_model(trained, cells):
    adata = cells.copy()
    tm.tl.annotate_sentences(adata, trained, "cell_type", progress=False)
    probabilities, labels = adata.obsm["X_c2s_annotation"], adata.uns["c2s_annotation"]["labels"]
    assert adata.obs["c2s_annotation"].tolist() == [labels[i] for i in probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(adata.obs["c2s_annotation_probability"], probabilities.max(axis=1))
    params = adata.uns["c2s_annotation"]["params"]
    assert params["weights"] == trained.lm.digest()
    assert {"label_key", "labels", "task", "texts", "n_wordings", "key"} <= set(params)
    for value in params.values():
        assert type(value) in (str, bool, int, float) or (isinstance(value, np.ndarray) and value.ndim == 1)


def test_an_adapter_leaves_the_weights_and_can_be_merged(cells, tmp_path):
    from tcellmil.c2s._models._weights import base_weights

    model = tm.model.C2S.from_scratch(cells, size=SIZE)
    before = {name: w.clone() for name, w in base_weights(model.lm.model).items()}
    model.train(cells, donor_key="patient", lora={"r": 4}, **QUICK)
    assert model.has_adapter
    after = base_weights(model.lm.model)
    assert before.keys() == after.keys() and all((before[name] == after[name]).all() for name in before)
    found = model.annotate(cells, progress=False)
    model.save(tmp_path / "model")
    pd.testing.assert_frame_equal(tm.model.C2S.load(tmp_path / "model").annotate(cells, progress=False), found)
    model.merge()
    assert not model.has_adapter
    pd.testing.assert_frame_equal(model.annotate(cells, progress=False), found, atol=1e-5)


def test_genes_are_matched_by_name(trained, cells):
    other = cells[:, ::-1].copy()
    tm.pp.cell_sentences(other, n_genes=20, ties="random")
    some_genes = cells[:, : cells.n_vars // 2].copy()
    tm.pp.cell_sentences(some_genes, n_genes=20, empty="drop")
    trained.annotate(other, progress=False)
    renamed = cells.copy()
    renamed.uns["cell_sentence"] = {**cells.uns["cell_sentence"]}
    renamed.uns["cell_sentence"]["vocabulary"] = cells.uns["cell_sentence"]["vocabulary"].assign(
        word=[f"X{i}" for i in range(cells.n_vars)]
    )
    with pytest.raises(ValueError, match=r"the model knows 0 of 765 genes: here they look like .*X0.* there like"):
        trained.annotate(renamed, progress=False)


def test_a_released_model_writes_cells_once_it_knows_the_genes(cells, tmp_path):
    scratch = tm.model.C2S.from_scratch(cells, size=SIZE)
    scratch.lm.model.save_pretrained(tmp_path / "released")
    scratch.lm.tokenizer.save_pretrained(tmp_path / "released")
    model = tm.model.C2S.from_pretrained(tmp_path / "released")
    ask = {"condition": {"cell_type": "CD56+ NK"}, "n_genes": 5, "progress": False}
    with pytest.raises(ValueError, match="has seen no cells, .* run train or use_cells"):
        model.generate(1, **ask)
    with pytest.raises(KeyError, match="'nothing'"):
        model.use_cells(cells, key="nothing")
    model.use_cells(cells)
    assert model.line.as_dict() == cells.uns["cell_sentence"]["line"] and len(model.lm.words) == cells.n_vars
    assert (model.generate(2, **ask).obsm["X_cell_sentence"] >= 0).any(axis=1).all()
    other = cells.copy()
    other.uns["cell_sentence"] = dict(cells.uns["cell_sentence"])
    words = [f"X{i}" for i in range(cells.n_vars)]
    other.uns["cell_sentence"]["vocabulary"] = cells.uns["cell_sentence"]["vocabulary"].assign(word=words)
    with pytest.raises(ValueError, match="tokenizer does not know 765 of 765 genes"):
        model.use_cells(other)


def test_a_part_of_the_genes_is_told(cells):
    half = cells[:, : cells.n_vars // 2].copy()
    half = half[np.asarray((half.X > 0).sum(axis=1)).ravel() > 0].copy()
    tm.pp.cell_sentences(half, n_genes=20)
    model = tm.model.C2S.from_scratch(half, size=SIZE)
    with pytest.warns(UserWarning, match=r"the model knows 382 of 765 genes; the others are left out of the sentences"):
        model.embed(cells[half.obs_names].copy(), progress=False)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m, a: m.annotate(a, "nothing"), KeyError, "label_key='nothing' is not a column"),
        (lambda m, a: m.annotate(a, "number"), TypeError, "must hold text, got"),
        (lambda m, a: m.annotate(a, labels=["B cell"]), ValueError, "labels must be two at least"),
        (lambda m, a: m.annotate(a, "cell_type", labels=["a", "b"]), ValueError, "give label_key or labels, not both"),
        (lambda m, a: m.annotate(a, task="nothing"), ValueError, "task 'nothing' is not known"),
        (lambda m, a: m.annotate(a, task="cell_generation"), ValueError, "answers with no label"),
        (lambda m, a: m.annotate(a, task="tissue_annotation"), ValueError, "not trained on labels of 'tissue'"),
        (lambda m, a: m.embed(a, key="nothing"), KeyError, "adata.uns has no 'nothing'"),
        (lambda m, a: m.generate(2, {"cell_type": ["B cell"]}), ValueError, "has 1 values for n=2 cells"),
        (lambda m, a: m.generate(1, {"cell_type": [1]}), TypeError, "condition 'cell_type' must be text"),
        (lambda m, a: m.generate(1), KeyError, "nothing is known of 'cell_type'"),
        (lambda m, a: m.train(a, "nothing"), ValueError, "task 'nothing' is not known"),
        (lambda m, a: m.train(a, donor_key="nothing"), KeyError, "donor_key='nothing' is not a column"),
        (lambda m, a: m.train(a, donor_key="one"), ValueError, "has one donor, 'D'"),
        (lambda m, a: m.train(a, validation=1.0), ValueError, "validation=1.0 must be a share"),
        (lambda m, a: m.train(a, columns={"cell_type": "nothing"}, validation=0), KeyError, "nothing"),
    ],
)
def test_what_cannot_be_asked_is_named_and_changes_nothing(trained, cells, call, error, message):
    adata = cells.copy()
    adata.obs["number"], adata.obs["one"] = 1, "D"
    before, record = trained.lm.digest(), dict(trained.record)
    with pytest.raises(error, match=message):
        call(trained, adata)
    assert trained.lm.digest() == before and trained.record == record
