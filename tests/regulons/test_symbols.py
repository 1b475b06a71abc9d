"""Genes under other names: a column of symbols, names that repeat, and where names are that were not found."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tcellmil.regulons._symbols import gene_names, merge_repeated, way_out


def test_genes_without_a_symbol_keep_their_name():
    var = pd.DataFrame({"symbol": pd.Categorical(["A", None, " ", "B"])}, index=["e1", "e2", "e3", "e4"])
    assert gene_names(var, "symbol").tolist() == ["A", "e2", "e3", "B"]
    assert gene_names(var, None).tolist() == ["e1", "e2", "e3", "e4"]


def test_names_that_do_not_repeat_leave_the_matrix_itself():
    X = np.ones((3, 2))
    merged, names, said = merge_repeated(X, pd.Index(["a", "b"]))
    assert merged is X and names.tolist() == ["a", "b"] and said == ""


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from("abcd"), min_size=2, max_size=9),
    st.sampled_from(["dense", "csr", "csc", "coo"]),
    st.booleans(),
)
def test_columns_of_one_name_become_one(seed, names, kind, counts):
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.7, (6, len(names))).astype(np.float32)
    if not counts:
        X = X * rng.random(X.shape).astype(np.float32)
        X[0, 0] = 0.5
    merged, unique, _ = merge_repeated(X if kind == "dense" else sparse.coo_matrix(X).asformat(kind), pd.Index(names))
    combined = pd.DataFrame(X.T).groupby(np.array(names), sort=False)
    expected = (combined.sum() if counts else combined.max()).T
    assert unique.tolist() == list(dict.fromkeys(names)) == expected.columns.tolist()
    np.testing.assert_array_equal(merged.toarray() if sparse.issparse(merged) else merged, expected.to_numpy())


def test_the_blocks_of_a_large_matrix_are_merged_alike(monkeypatch):
    X = sparse.random(50, 9, 0.4, "csr", random_state=0)
    names = pd.Index(list("abcabcabd"))
    expected = merge_repeated(X, names)[0].toarray()
    monkeypatch.setattr("tcellmil._matrix.BLOCK_VALUES", 30)
    np.testing.assert_array_equal(merge_repeated(X, names)[0].toarray(), expected)


def test_small_integers_do_not_overflow():
    merged, _, said = merge_repeated(np.full((2, 2), 200, dtype=np.uint8), pd.Index(["a", "a"]))
    assert merged.tolist() == [[400], [400]]
    assert said == "2 genes share the names ['a']; their counts are added up"


def test_what_cannot_be_merged_is_refused():
    with pytest.raises(ValueError, match=r"names of genes repeat \(\['a'\]\), and negative values cannot be merged"):
        merge_repeated(np.array([[1.0, -1.0]]), pd.Index(["a", "a"]))
    damaged = sparse.csr_matrix(np.ones((2, 2)))
    damaged.indices[0] = 9
    with pytest.raises(ValueError, match="it has a value in column 9"):
        merge_repeated(damaged, pd.Index(["a", "a"]))


@pytest.mark.parametrize(
    ("var", "cells", "message"),
    [
        (pd.DataFrame(index=["c1", "c2"]), ["SPI1", "x"], "1 obs_names are, so this is genes x cells: transpose it"),
        (
            pd.DataFrame({"n": [1, 2], "few": ["SPI1", "x"], "symbol": ["SPI1", "LYZ"]}, index=["e1", "e2"]),
            ["c1"],
            "2 values of adata.var['symbol'] are: pass gene_symbols='symbol'",
        ),
        (pd.DataFrame(index=["ENSG00000066336.12", "x"]), ["c1"], "1 are without the version at the end of var_names"),
        (pd.DataFrame({"n": [1]}, index=["x"]), ["c1"], ""),
    ],
)
def test_names_are_found_where_they_are(var, cells, message):
    found = way_out(["SPI1", "LYZ", "ENSG00000066336"], var, pd.Index(cells))
    assert found.startswith(message) and bool(found) == bool(message)
