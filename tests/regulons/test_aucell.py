import os
import subprocess
import sys
from operator import methodcaller

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from ctxcore.genesig import GeneSignature
from ctxcore.recovery import enrichment4cells
from hypothesis import given, settings
from hypothesis import strategies as st
from pyscenic.aucell import create_rankings
from scipy import sparse

from tcellmil.regulons import aucell
from tcellmil.regulons._aucell import rank_cutoff


def by_definition(X, weights, auc_threshold=0.05):
    """The mean over every rank that a tie group occupies, written as slowly as it reads."""
    k = int(round(auc_threshold * X.shape[1])) - 1
    heights = np.maximum(0, k - np.arange(X.shape[1]))
    scores = []
    for cell in X:
        ranks = np.argsort(-cell, kind="stable")
        h = np.empty(len(cell))
        for value in np.unique(cell):
            h[cell == value] = heights[cell[ranks] == value].mean()
        scores.append(h @ weights / ((k + 1) * weights.sum(axis=0)))
    return np.array(scores)


def mean_of_pyscenic(X, genes, regulons, n_seeds=100):
    """pySCENIC's own ranking and scoring, averaged over seeds, cells x regulons."""
    table = pd.DataFrame(X, columns=genes)
    signatures = [GeneSignature(name=str(name), gene2weight=weights) for name, weights in regulons.items()]
    total = np.zeros((len(table), len(signatures)))
    for seed in range(n_seeds):
        ranks = create_rankings(table, seed=seed)
        total += np.column_stack([enrichment4cells(ranks, s).to_numpy().ravel() for s in signatures])
    return total / n_seeds


def matrix_of(regulons, genes):
    return pd.DataFrame(regulons).reindex(genes).fillna(0.0).to_numpy()


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.gamma(0.3, 1, size=200), size=(30, 200)).astype(np.float32)


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(1)
    return rng.random((200, 6)) * (rng.random((200, 6)) < 0.2)


@pytest.mark.parametrize("auc_threshold", [0.05, 0.25, 1.0])
def test_scores_follow_the_definition(counts, weights, auc_threshold):
    expected = by_definition(counts, weights, auc_threshold)
    np.testing.assert_allclose(aucell(sparse.csr_matrix(counts), weights, auc_threshold), expected, atol=1e-6)


def test_equals_the_mean_of_pyscenic_on_melanoma(shared_data):
    adata = ad.read_h5ad(shared_data("melanoma_icb.h5ad"))[:10]
    net = pd.read_csv(shared_data("dorothea_hs_abc.csv.gz"))
    net = net[net.target.isin(adata.var_names) & (net.mor > 0)]
    sizes = net.groupby("tf").size()
    chosen = sizes[sizes >= 10].index[:8]
    regulons = {tf: dict.fromkeys(net.target[net.tf == tf], 1.0) for tf in chosen}
    expected = mean_of_pyscenic(adata.X.toarray(), adata.var_names, regulons)
    scores = aucell(adata.X, matrix_of(regulons, adata.var_names))
    assert np.corrcoef(scores.ravel(), expected.ravel())[0, 1] > 0.999
    assert abs(scores.mean() - expected.mean()) < 2e-4


def test_equals_the_mean_of_pyscenic_on_blood_with_weights():
    adata = sc.datasets.pbmc68k_reduced().raw.to_adata()[:40]
    rng = np.random.default_rng(0)
    regulons = {
        f"R{i}": dict(zip(rng.choice(adata.var_names, 30, replace=False), rng.gamma(1, 1, 30), strict=True))
        for i in range(10)
    }
    expected = mean_of_pyscenic(adata.X.toarray(), adata.var_names, regulons)
    scores = aucell(adata.X, matrix_of(regulons, adata.var_names))
    assert np.corrcoef(scores.ravel(), expected.ravel())[0, 1] > 0.999


def test_equals_pyscenic_where_there_are_no_ties():
    rng = np.random.default_rng(0)
    X = rng.gamma(1, 1, (40, 600))
    genes = [f"g{i}" for i in range(600)]
    regulons = {
        f"R{i}": dict(zip(rng.choice(genes, 40, replace=False), rng.random(40), strict=True)) for i in range(10)
    }
    expected = mean_of_pyscenic(X, genes, regulons, n_seeds=1)
    scores = aucell(X, matrix_of(regulons, genes))
    assert np.corrcoef(scores.ravel(), expected.ravel())[0, 1] > 0.99999
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_equals_the_mean_of_pyscenic_closely_where_ties_are_few():
    rng = np.random.default_rng(0)
    X = rng.gamma(1, 1, (40, 600)).round(3)
    genes = [f"g{i}" for i in range(600)]
    regulons = {f"R{i}": dict.fromkeys(rng.choice(genes, 40, replace=False), 1.0) for i in range(10)}
    expected = mean_of_pyscenic(X, genes, regulons)
    assert np.corrcoef(aucell(X, matrix_of(regulons, genes)).ravel(), expected.ravel())[0, 1] > 0.99999


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_genes_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    X, W = rng.poisson(0.5, (5, 60)).astype(np.float32), rng.random((60, 3))
    order = rng.permutation(60)
    np.testing.assert_allclose(aucell(X, W, 0.2), aucell(X[:, order], W[order], 0.2), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([np.log1p, np.sqrt, np.square, lambda x: 3 * x, lambda x: x + 1.0]))
def test_a_monotone_transform_of_a_cell_does_not_matter(seed, transform):
    rng = np.random.default_rng(seed)
    X, W = rng.poisson(0.5, (5, 60)).astype(np.float64), rng.random((60, 3))
    cell = rng.integers(5)
    changed = X.copy()
    changed[cell] = transform(X[cell])
    np.testing.assert_array_equal(aucell(X, W, 0.2), aucell(changed, W, 0.2))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_scores_lie_between_0_and_1(seed):
    rng = np.random.default_rng(seed)
    X = rng.poisson(rng.gamma(0.5, 2, 40), (4, 40)).astype(np.float32)
    scores = aucell(X, rng.random((40, 5)), rng.uniform(0.1, 1))
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_zeros_share_one_height_stored_or_not(counts, weights):
    implicit = sparse.csr_matrix(counts)
    stored = sparse.csr_matrix(counts + 1)
    stored.data -= 1
    stored.data[::7] *= np.where(stored.data[::7] == 0, -1, 1)  # a zero may have a sign
    assert stored.nnz > implicit.nnz
    np.testing.assert_array_equal(aucell(stored, weights, 0.5), aucell(implicit, weights, 0.5))


def test_a_cell_without_counts_scores_every_regulon_alike():
    scores = aucell(sparse.csr_matrix((1, 100), dtype=np.float32), np.eye(100)[:, :3], 0.2)
    k = 19
    np.testing.assert_allclose(scores, k * (k + 1) / 2 / 100 / (k + 1), rtol=1e-6)


@pytest.mark.parametrize(
    "convert",
    [
        *(sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.coo_matrix, np.asarray, np.asfortranarray),
        *map(methodcaller, ["astype"] * 5, (np.float64, np.int32, np.int64, np.uint8, np.uint16)),
        lambda x: sparse.csr_matrix(x.astype(np.int64)),
    ],
)
def test_every_format_and_type_gives_the_same(counts, weights, convert):
    np.testing.assert_array_equal(aucell(convert(counts), weights), aucell(sparse.csr_matrix(counts), weights))


def test_entries_stored_twice_are_added(weights):
    twice = sparse.csr_matrix(([1.0, 1.0, 1.5], [3, 3, 4], [0, 3]), shape=(1, 200))
    once = sparse.csr_matrix(([2.0, 1.5], [3, 4], [0, 2]), shape=(1, 200))
    np.testing.assert_array_equal(aucell(twice, weights), aucell(once, weights))
    assert twice.nnz == 3


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_blocks_of_cells_give_the_scores_of_the_whole(counts, weights, convert, monkeypatch):
    whole = aucell(convert(counts), weights)
    monkeypatch.setattr("tcellmil._matrix.BLOCK_VALUES", 7 * 200)
    np.testing.assert_array_equal(aucell(convert(counts), weights), whole)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_a_backed_matrix_scores_as_one_in_memory(counts, weights, convert, tmp_path, monkeypatch):
    ad.AnnData(convert(counts)).write_h5ad(tmp_path / "x.h5ad")
    monkeypatch.setattr("tcellmil._matrix.BLOCK_VALUES", 7 * 200)
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    np.testing.assert_array_equal(aucell(backed.X, weights), aucell(counts, weights))
    backed.file.close()


def test_close_float64_values_are_told_apart():
    """Values that a conversion to float32 would make equal."""
    X = np.array([[1.0, 1.0 + 1e-12, 0, 0]])
    np.testing.assert_allclose(aucell(X, np.eye(4)[:, :2], 1.0), [[2 / 4, 3 / 4]])


def test_the_number_of_threads_does_not_matter(tmp_path):
    code = (
        "import numpy as np, sys; from tcellmil.regulons import aucell; r = np.random.default_rng(0);"
        "np.save(sys.argv[1], aucell(r.poisson(.5, (500, 300)).astype('f4'), r.random((300, 20))))"
    )
    for n in ("1", "2"):
        env = os.environ | {"NUMBA_NUM_THREADS": n}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / n)], check=True, env=env)
    np.testing.assert_array_equal(np.load(tmp_path / "1.npy"), np.load(tmp_path / "2.npy"))


@pytest.mark.parametrize("n_genes", [130, 170, 333, 2_500, 22_284])
def test_the_cutoff_is_that_of_pyscenic(n_genes):
    from ctxcore.recovery import derive_rank_cutoff

    assert rank_cutoff(n_genes, 0.05) == derive_rank_cutoff(0.05, n_genes)


@pytest.mark.parametrize(
    ("X", "W", "threshold", "message"),
    [
        (np.array([[1.0, -1.0]]), np.eye(2), 1.0, r"negative values \(the lowest is -1\)"),
        (np.array([[1.0, np.nan]]), np.eye(2), 1.0, "NaN or infinite"),
        (np.array([[1.0, np.inf]]), np.eye(2), 1.0, "NaN or infinite"),
        (sparse.csr_matrix([[1.0, np.nan]]), np.eye(2), 1.0, "NaN or infinite"),
        (np.ones((1, 2)), np.eye(3), 1.0, "weights has 3 rows, but X has 2 genes"),
        (np.ones((1, 2)), -np.eye(2), 1.0, "weights of at least 0"),
        (np.ones((1, 2)), np.array([[1, 0], [1, 0]]), 1.0, "1 regulons have no target among the genes"),
        (np.ones((1, 20)), np.ones((20, 1)), 0.05, "leaves no rank to score; raise it to at least 0.1"),
        (np.ones((1, 20)), np.ones((20, 1)), 0.0, r"in \(0, 1\]"),
    ],
)
def test_bad_input_is_named(X, W, threshold, message):
    with pytest.raises(ValueError, match=message):
        aucell(X, W, threshold)
