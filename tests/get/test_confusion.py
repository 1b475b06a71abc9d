"""Labels of a language model beside the true ones: counts, shares, metrics and their intervals."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score
from statsmodels.stats.proportion import proportion_confint

import tcellmil as tm

LABELS = ["T", "NK", "B"]


def annotated(true, given, labels=LABELS, key="c2s_annotation", **obs):
    """Cells as tl.annotate_sentences leaves them."""
    given = pd.Categorical(given, categories=labels)
    table = pd.DataFrame({"cell_type": true, key: given, **obs}, index=[f"c{i}" for i in range(len(given))])
    adata = ad.AnnData(np.zeros((len(given), 1), dtype=np.float32), obs=table)
    adata.uns[key] = {"labels": np.array(labels, dtype=object), "params": {"verb": "annotate_sentences"}}
    return adata


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    true = rng.choice(LABELS, 200)
    given = np.where(rng.random(200) < 0.7, true, rng.choice(LABELS, 200))
    return annotated(true, given, donor=rng.choice(["d1", "d2", "d3", "d4"], 200))


def test_cells_are_counted_as_scikit_learn_counts_them(cells):
    table = tm.get.confusion(cells, "cell_type", normalize=False)
    true, given = cells.obs["cell_type"].astype(str), cells.obs["c2s_annotation"].astype(str)
    assert table.index.tolist() == sorted(LABELS) and table.columns.tolist() == LABELS
    assert (table.index.name, table.columns.name) == ("true", "predicted")
    np.testing.assert_array_equal(table[sorted(LABELS)], confusion_matrix(true, given, labels=sorted(LABELS)))


def test_shares_of_a_row_sum_to_one(cells):
    counts = tm.get.confusion(cells, "cell_type", normalize=False)
    shares = tm.get.confusion(cells, "cell_type")
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares.mul(counts.sum(axis=1), axis=0), counts)


def test_rows_are_in_the_order_of_categories_or_numbers():
    true = pd.Categorical(["NK", "B", "T"], categories=["T", "B", "gone", "NK"])
    assert tm.get.confusion(annotated(true, ["T", "T", "T"]), "cell_type").index.tolist() == ["T", "B", "NK"]
    assert tm.get.confusion(annotated([10, 2, 2], ["T", "T", "T"]), "cell_type").index.tolist() == ["2", "10"]


def test_unknown_true_labels_are_rows_and_unused_labels_columns():
    table = tm.get.confusion(annotated(["pDC", "T", "T"], ["T", "T", "NK"]), "cell_type", normalize=False)
    assert table.to_dict("index") == {"T": {"T": 1, "NK": 1, "B": 0}, "pDC": {"T": 1, "NK": 0, "B": 0}}


@pytest.mark.parametrize("table", [tm.get.confusion, tm.get.annotation_metrics])
def test_cells_without_a_label_are_left_out_with_a_warning(table):
    whole, part = annotated(["T", "B", "B"], ["T", "T", "B"]), annotated(["T", None, "B", "B"], ["T", "B", "T", "B"])
    with pytest.warns(UserWarning, match="1 of 4 cells have no true label in 'cell_type' and are left out"):
        found = table(part, "cell_type")
    pd.testing.assert_frame_equal(found, table(whole, "cell_type"))
    with pytest.warns(UserWarning, match="1 of 4 cells have not been annotated and are left out"):
        found = table(annotated(["T", "NK", "B", "B"], ["T", None, "T", "B"]), "cell_type")
    pd.testing.assert_frame_equal(found, table(whole, "cell_type"))


def test_a_subset_and_a_file_give_the_same_columns(cells, tmp_path):
    few = cells[cells.obs["c2s_annotation"] == "T"].copy()
    assert tm.get.confusion(few, "cell_type").columns.tolist() == LABELS
    few.write_h5ad(tmp_path / "few.h5ad")
    read = ad.read_h5ad(tmp_path / "few.h5ad")
    pd.testing.assert_frame_equal(tm.get.confusion(read, "cell_type"), tm.get.confusion(few, "cell_type"))


def test_what_tl_annotate_sentences_writes_is_read():
    adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    tm.pp.cell_sentences(adata, n_genes=20)
    model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    tm.tl.annotate_sentences(adata, model, "cell_type", key_added="mine", progress=False)
    table = tm.get.confusion(adata, "cell_type", key="mine", normalize=False)
    assert table.columns.tolist() == list(adata.obs["cell_type"].cat.categories) and table.to_numpy().sum() == 180
    right = (adata.obs["cell_type"].astype(str) == adata.obs["mine"].astype(str)).mean()
    assert tm.get.annotation_metrics(adata, "cell_type", key="mine").loc["accuracy", "value"] == pytest.approx(right)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@given(st.lists(st.tuples(st.sampled_from([*LABELS, "pDC"]), st.sampled_from(LABELS)), min_size=1, max_size=40))
def test_metrics_are_those_of_scikit_learn(pairs):
    true, given = zip(*pairs, strict=True)
    value = tm.get.annotation_metrics(annotated(true, given), "cell_type", n_boot=2)["value"]
    expected = [accuracy_score(true, given), balanced_accuracy_score(true, given)]
    np.testing.assert_allclose(value, [*expected, f1_score(true, given, average="macro")])


def test_intervals_over_donors_are_those_of_resampled_cells(cells):
    table = tm.get.annotation_metrics(cells, "cell_type", donor_key="donor", n_boot=100, level=0.9)
    names, codes = np.unique(cells.obs["donor"], return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(4, np.full(4, 1 / 4), size=100)
    obs, expected = cells.obs[["cell_type", "c2s_annotation"]].astype(str), []
    for times in drawn:
        true, given = obs.loc[obs.index.repeat(times[codes])].to_numpy().T
        scores = [accuracy_score(true, given), balanced_accuracy_score(true, given)]
        expected.append([*scores, f1_score(true, given, average="macro")])
    np.testing.assert_allclose(table[["ci_low", "ci_high"]].T, np.quantile(expected, [0.05, 0.95], axis=0))
    assert table["n"].tolist() == [len(names)] * 3


def test_intervals_over_cells_are_wilsons_and_of_resamples(cells):
    table = tm.get.annotation_metrics(cells, "cell_type")
    right = int((cells.obs["cell_type"].astype(str) == cells.obs["c2s_annotation"].astype(str)).sum())
    expected = proportion_confint(right, 200, method="wilson")
    np.testing.assert_allclose(table.loc["accuracy", ["ci_low", "ci_high"]].astype(float), expected)
    rng, obs, scores = np.random.default_rng(1), cells.obs[["cell_type", "c2s_annotation"]].astype(str).to_numpy(), []
    for _ in range(600):
        scores.append(balanced_accuracy_score(*obs[rng.integers(200, size=200)].T))
    assert table["n"].tolist() == [200] * 3
    np.testing.assert_allclose(
        table.loc["balanced_accuracy", ["ci_low", "ci_high"]].astype(float),
        np.quantile(scores, [0.025, 0.975]),
        atol=0.015,
    )


def test_all_labels_right_is_no_certainty():
    table = tm.get.annotation_metrics(annotated(["T"] * 20, ["T"] * 20), "cell_type")
    assert table.loc["accuracy", "value"] == 1 and table.loc["accuracy", "ci_low"] < 0.9


def test_the_seed_decides_and_the_callers_generator_does_not_move(cells):
    before = np.random.get_state()[1].copy()
    first, again, other = (tm.get.annotation_metrics(cells, "cell_type", seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("table", [tm.get.confusion, tm.get.annotation_metrics])
def test_what_is_missing_is_named(cells, table):
    with pytest.raises(
        KeyError, match=r"no 'other'; run tl.annotate_sentences\(adata, model, key_added='other'\) first"
    ):
        table(cells, "cell_type", key="other")
    with pytest.raises(KeyError, match=r"label_key='absent' is not a column of adata.obs; there are \['cell_type'"):
        table(cells, "absent")
    cells.uns["embedded"] = {"params": {"verb": "embed_sentences"}}
    with pytest.raises(KeyError, match=r"uns\['embedded'\] is not of tl.annotate_sentences; run tl.annotate_sent"):
        table(cells, "cell_type", key="embedded")
    del cells.obs["c2s_annotation"]
    with pytest.raises(KeyError, match=r"adata.obs has no 'c2s_annotation'; run tl.annotate_sentences\(adata, model\)"):
        table(cells, "cell_type")


@pytest.mark.parametrize("table", [tm.get.confusion, tm.get.annotation_metrics])
def test_labels_that_cannot_be_compared_are_refused(cells, table):
    cells.obs["nothing"] = pd.Series([None] * 200, index=cells.obs_names, dtype=object)
    with pytest.raises(ValueError, match="no cell has both a true label in 'nothing' and an annotation"):
        table(cells, "nothing")
    cells.obs["c2s_annotation"] = cells.obs["c2s_annotation"].cat.rename_categories({"T": "T cell"})
    with pytest.raises(ValueError, match=r"has \['T cell'\], which are no labels of the model; run tl.annotate"):
        table(cells, "cell_type")


def test_donors_that_cannot_be_drawn_are_refused(cells):
    cells.obs["one"] = "d1"
    with pytest.raises(ValueError, match="donor_key='one' has one donor, 'd1', only; intervals over donors need two"):
        tm.get.annotation_metrics(cells, "cell_type", donor_key="one")
    cells.obs["some"] = cells.obs["donor"].where(cells.obs["donor"] != "d2")
    n = int((cells.obs["donor"] == "d2").sum())
    with pytest.raises(ValueError, match=f"donor_key='some' is missing for {n} cells; leave them out"):
        tm.get.annotation_metrics(cells, "cell_type", donor_key="some")
    with pytest.raises(KeyError, match="donor_key='absent' is not a column of adata.obs"):
        tm.get.annotation_metrics(cells, "cell_type", donor_key="absent")
    with pytest.raises(ValueError, match="n_boot=0 must be a whole number of at least 1"):
        tm.get.annotation_metrics(cells, "cell_type", n_boot=0)
    with pytest.raises(ValueError, match="level=95 must be between 0 and 1"):
        tm.get.annotation_metrics(cells, "cell_type", level=95)


def test_the_order_of_cells_does_not_matter(cells):
    table = tm.get.annotation_metrics(cells, "cell_type", donor_key="donor")
    other = cells[np.random.default_rng(0).permutation(200)].copy()
    pd.testing.assert_frame_equal(tm.get.annotation_metrics(other, "cell_type", donor_key="donor"), table)


def test_cells_may_share_a_name():
    adata = annotated(["T", "B", "B"], ["T", "T", "B"], donor=["a", "b", "b"])
    before = tm.get.annotation_metrics(adata, "cell_type", donor_key="donor")
    adata.obs_names = ["same"] * 3
    pd.testing.assert_frame_equal(tm.get.annotation_metrics(adata, "cell_type", donor_key="donor"), before)
