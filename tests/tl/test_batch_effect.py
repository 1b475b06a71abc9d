"""Agreement of clusters with the batch: scikit-learn's and scipy's figures, written all or not at all."""

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse
from scipy.stats import mannwhitneyu, wilcoxon
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

import tcellmil as tm


def build(n_cells=120, n_genes=20, seed=0):
    """Batches that X_pca separates in part and X_regulons does not."""
    rng = np.random.default_rng(seed)
    batch = rng.integers(3, size=n_cells)
    X = rng.gamma(1, 1, size=(n_cells, n_genes)).astype(np.float32)
    X[:, :5] += 2 * batch[:, None]
    names = [f"cell{i}" for i in rng.permutation(n_cells)]
    obs = pd.DataFrame({"batch": pd.Categorical(np.array(["A", "B", "C"])[batch])}, index=names)
    adata = ad.AnnData(X, obs=obs)
    adata.obsm["X_pca"] = (rng.normal(size=(n_cells, 4)) + 1.2 * batch[:, None]).astype(np.float32)
    adata.obsm["X_regulons"] = rng.beta(2, 9, size=(n_cells, 6)).astype(np.float32)
    adata.obsm["X_other"] = (adata.obsm["X_pca"] + rng.normal(0, 0.3, size=(n_cells, 4)))[:, [0, 1, 2, 3, 3]]
    return adata


@pytest.fixture
def adata():
    return build()


def by_hand(x, adata, n_clusters, n_init, seed=0):
    """ARI of each initialisation, cells sorted by name."""
    order = np.argsort(adata.obs_names.to_numpy(dtype=str))
    batch = adata.obs["batch"].to_numpy(dtype=str)[order]
    return [
        adjusted_rand_score(batch, KMeans(n_clusters, n_init=1, random_state=seed + i).fit_predict(x[order]))
        for i in range(n_init)
    ]


def test_one_row_per_representation_and_initialisation(adata):
    assert tm.tl.batch_effect(adata, "batch", ("X_pca", "X_regulons", "X_other"), 5, 7, seed=2) is None
    ari = adata.uns["batch_effect"]["ari"]
    assert ari.columns.tolist() == ["representation", "init", "ari"]
    for rep in ("X_pca", "X_regulons", "X_other"):
        own = ari[ari["representation"] == rep]
        assert own["init"].tolist() == list(range(7))
        np.testing.assert_allclose(own["ari"], by_hand(adata.obsm[rep], adata, 5, 7, seed=2), atol=1e-12)
    params = adata.uns["batch_effect"]["params"]
    assert params["n_features"].tolist() == [4, 6, 5] and params["n_batches"] == 3 and not params["computed_pca"]


def test_each_representation_is_compared_with_the_first_as_scipy_does(adata):
    tm.tl.batch_effect(adata, "batch", ["X_pca", "X_regulons", "X_other"], n_init=12)
    ari = adata.uns["batch_effect"]["ari"].pivot(index="init", columns="representation", values="ari")
    tests = adata.uns["batch_effect"]["tests"].set_index("representation")
    assert tests.index.tolist() == ["X_regulons", "X_other"] and set(tests["reference"]) == {"X_pca"}
    for rep, row in tests.iterrows():
        ranksum = mannwhitneyu(ari[rep], ari["X_pca"])
        assert (row["ranksum_statistic"], row["ranksum_p"]) == pytest.approx(tuple(ranksum))
        changes = (ari[rep] - ari["X_pca"]).to_numpy()
        assert row["signed_rank_statistic"] == pytest.approx(wilcoxon(changes[changes != 0]).statistic)
        assert (changes > 0).any() == (rep == "X_other")  # there, pairs matter
        assert row["difference"] == pytest.approx(ari[rep].median() - ari["X_pca"].median())
        assert row["difference"] == pytest.approx(row["median"] - row["median_reference"])
        assert row["n_init"] == 12
    for test in ("ranksum", "signed_rank"):
        p = tests[f"{test}_p"].sort_values()
        adjusted = np.minimum.accumulate((p.to_numpy() * [2, 1])[::-1])[::-1]
        np.testing.assert_allclose(tests.loc[p.index, f"{test}_padj"], adjusted)
    assert tests.loc["X_regulons", "difference"] < -0.1
    assert tests.loc["X_regulons", "signed_rank_p"] == pytest.approx(2 / 2**12)


def test_where_nothing_differs_nothing_is_tested(adata):
    adata.obsm["X_same"] = adata.obsm["X_pca"].copy()
    tm.tl.batch_effect(adata, "batch", ["X_pca", "X_same"], n_init=5)
    row = adata.uns["batch_effect"]["tests"].iloc[0]
    assert row["difference"] == 0 and np.isnan(row["signed_rank_p"]) and row["ranksum_p"] == pytest.approx(1)
    apart = np.where(adata.obs["batch"] == "A", 0.0, 100.0)[:, None]
    adata.obsm["X_far"] = apart + np.random.default_rng(0).normal(size=apart.shape)
    adata.obsm["X_farther"] = 2 * adata.obsm["X_far"]
    tm.tl.batch_effect(adata, "batch", ["X_far", "X_farther"], n_clusters=2, n_init=5)
    row = adata.uns["batch_effect"]["tests"].iloc[0]
    assert row[["ranksum_p", "ranksum_padj", "signed_rank_p", "signed_rank_padj"]].isna().all()


def test_one_representation_has_indices_and_no_tests(adata, tmp_path):
    tm.tl.batch_effect(adata, "batch", "X_regulons", n_init=3)
    assert len(adata.uns["batch_effect"]["ari"]) == 3 and adata.uns["batch_effect"]["tests"].empty
    adata.write_h5ad(tmp_path / "one.h5ad")
    assert ad.read_h5ad(tmp_path / "one.h5ad").uns["batch_effect"]["tests"].empty


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_missing_components_are_computed_and_not_written(adata, form, caplog):
    del adata.obsm["X_pca"]
    adata.X = form(adata.X)
    with caplog.at_level(logging.INFO, logger="tcellmil"):
        tm.tl.batch_effect(adata, "batch", n_init=4)
    assert "X_pca is not in obsm; 6 components of adata.X are computed, not written" in caplog.text
    assert "X_pca" not in adata.obsm
    result = adata.uns["batch_effect"]
    assert result["params"]["computed_pca"] and result["params"]["n_features"].tolist() == [6, 6]
    dense = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    components = PCA(6, svd_solver="full").fit_transform(dense.astype(float))  # k-means does not see their signs
    of_pca = result["ari"].query("representation == 'X_pca'")["ari"]
    np.testing.assert_allclose(of_pca, by_hand(components, adata, 4, 4), atol=1e-12)


def test_computed_components_are_those_of_scanpy(adata):
    order = np.argsort(adata.obs_names.to_numpy(dtype=str))
    del adata.obsm["X_pca"]
    tm.tl.batch_effect(adata, "batch", n_init=4, seed=1)
    sorted_cells = adata[order].copy()
    sc.pp.pca(sorted_cells, n_comps=6, random_state=1)
    tm.tl.batch_effect(sorted_cells, "batch", n_init=4, seed=1)
    pd.testing.assert_frame_equal(adata.uns["batch_effect"]["ari"], sorted_cells.uns["batch_effect"]["ari"])


def test_there_are_never_more_components_than_the_expression_allows():
    adata = build(n_genes=5)
    del adata.obsm["X_pca"]
    tm.tl.batch_effect(adata, "batch", n_init=2)
    assert adata.uns["batch_effect"]["params"]["n_features"].tolist() == [4, 6]


def test_components_of_counts_are_warned_of(adata):
    del adata.obsm["X_pca"]
    adata.X = np.random.default_rng(0).poisson(2, adata.shape).astype(np.float32)
    with pytest.warns(UserWarning, match="whole numbers only: components of raw counts .* normalise first"):
        tm.tl.batch_effect(adata, "batch", n_init=2)


def test_components_that_are_there_are_used_and_counted(adata, caplog):
    with caplog.at_level(logging.INFO, logger="tcellmil"):
        tm.tl.batch_effect(adata, "batch", n_init=2)
    assert "X_pca" in caplog.text and "(4 columns)" in caplog.text and "(6 columns)" in caplog.text


def test_order_of_cells_does_not_matter(adata):
    shuffled = adata[np.random.default_rng(1).permutation(adata.n_obs)].copy()
    for cells in (adata, shuffled):
        del cells.obsm["X_pca"]
        tm.tl.batch_effect(cells, "batch", n_init=5)
    pd.testing.assert_frame_equal(adata.uns["batch_effect"]["ari"], shuffled.uns["batch_effect"]["ari"])


def test_only_the_key_is_written_and_goes_through_a_file(adata, tmp_path, assert_same):
    before = adata.copy()
    changed = tm.tl.batch_effect(adata, "batch", n_init=3, key_added="effect", copy=True)
    assert not adata.uns and set(changed.uns) == {"effect"}
    assert set(changed.obsm) == set(before.obsm)
    assert_same(changed.obs, before.obs)
    changed.write_h5ad(tmp_path / "cells.h5ad")
    read = ad.read_h5ad(tmp_path / "cells.h5ad").uns["effect"]
    for part in ("ari", "tests"):
        assert_same(read[part], changed.uns["effect"][part], check_index_type=False)
    assert read["params"]["use_reps"].tolist() == ["X_pca", "X_regulons"] and read["params"]["batch_key"] == "batch"


def spoil_batch(value, all_cells=False):
    def spoil(adata):
        adata.obs["batch"] = adata.obs["batch"].astype(object)
        adata.obs.iloc[slice(None) if all_cells else slice(0, 3), 0] = value

    return spoil


def without(rep):
    def spoil(adata):
        del adata.obsm[rep]

    return spoil


def nan_in(place):
    def spoil(adata):
        (adata.X if place == "X" else adata.obsm[place])[2, 1] = np.nan
        if place == "X":
            del adata.obsm["X_pca"]

    return spoil


def as_it_is(adata):
    pass


@pytest.mark.parametrize(
    ("spoil", "options", "error", "message"),
    [
        (as_it_is, {"batch_key": "run"}, KeyError, r"batch_key='run' is not a column of adata.obs; .*\['batch'\]"),
        (spoil_batch("A", all_cells=True), {}, ValueError, r"'batch' has one batch only, \['A'\]"),
        (spoil_batch(None), {}, ValueError, "batch_key 'batch' is missing for 3 cells; drop them or fill it in"),
        (as_it_is, {"use_reps": ["X_pca", "X_umap"]}, KeyError, r"'X_umap' is not in adata.obsm; there are \['X_pca'"),
        (without("X_regulons"), {}, KeyError, "'X_regulons' is not in .*run tcellmil.tl.regulons first"),
        (as_it_is, {"use_reps": []}, ValueError, "use_reps is empty; name keys of adata.obsm"),
        (as_it_is, {"n_clusters": 1}, ValueError, "n_clusters=1 must be between 2 and the number of cells, 120"),
        (as_it_is, {"n_clusters": 121}, ValueError, "n_clusters=121 must be between 2 and .* 120"),
        (as_it_is, {"n_init": 1}, ValueError, "n_init=1 must be at least 2; one initialisation has no spread"),
        (nan_in("X_regulons"), {}, ValueError, r"obsm\['X_regulons'\] holds 1 NaN or infinite values in 1 cells"),
        (nan_in("X"), {}, ValueError, "X_pca cannot be computed: adata.X holds 1 NaN or infinite values"),
    ],
)
def test_bad_input_is_named_and_nothing_written(adata, spoil, options, error, message):
    spoil(adata)
    keys = set(adata.obsm)
    with pytest.raises(error, match=message):
        tm.tl.batch_effect(adata, **{"batch_key": "batch", "n_init": 2} | options)
    assert not adata.uns and set(adata.obsm) == keys


def test_components_of_a_single_gene_cannot_be_computed(adata):
    alone = adata[:, :1].copy()
    del alone.obsm["X_pca"]
    with pytest.raises(ValueError, match="X_pca cannot be computed from 120 cells and 1 genes; leave it out"):
        tm.tl.batch_effect(alone, "batch")
