"""Pseudobulks against scanpy's, and cells that depend on names alone."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

from tcellmil.metrics._pseudobulk import draw_cells, pseudobulks

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(0.8, size=(30, 12)).astype(np.float32)
CODES = np.concatenate([[0, 1, 2], RNG.integers(-1, 3, size=27)])


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_array])
@pytest.mark.parametrize("how", ["sum", "mean"])
def test_pseudobulks_are_those_of_scanpy(form, how):
    values = COUNTS if how == "sum" else np.log1p(COUNTS)
    known = CODES >= 0
    group = pd.Categorical(CODES[known].astype(str))
    adata = ad.AnnData(values[known], obs=pd.DataFrame({"group": group}, index=np.flatnonzero(known).astype(str)))
    expected = sc.get.aggregate(adata, "group", how).layers[how]
    found = pseudobulks(form(values), CODES, 3)
    assert sparse.issparse(found) == sparse.issparse(form(values))
    np.testing.assert_allclose(found.toarray() if sparse.issparse(found) else found, expected, rtol=1e-6)


def test_sums_do_not_overflow_a_small_type():
    np.testing.assert_array_equal(pseudobulks(np.full((4, 1), 200, np.uint8), np.zeros(4, int), 1), [[800]])


def test_cells_are_drawn_of_their_group_once_and_in_its_order():
    codes, names = np.repeat([2, 0, 1, -1], 8), ["a", "b", "c"]
    cells = np.array([f"cell{i}" for i in range(32)])
    rows = draw_cells(codes, names, cells, 5, seed=0)
    assert codes[rows].tolist() == np.repeat([0, 1, 2], 5).tolist() and len(set(rows)) == 15
    assert (rows != draw_cells(codes, names, cells, 5, seed=1)).any()
    order = RNG.permutation(32)
    assert (cells[order][draw_cells(codes[order], names, cells[order], 5, seed=0)] == cells[rows]).all()
    alone = draw_cells(np.where(codes == 1, 0, -1), ["b"], cells, 5, seed=0)
    assert (alone == rows[5:10]).all()
