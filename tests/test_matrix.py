"""Blocks of rows: whatever holds a matrix, the blocks together are the matrix."""

import subprocess
import sys

import anndata as ad
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tcellmil._matrix import check_indices, count_not_finite, holds_whole_numbers, row_blocks, value_range

IN_MEMORY = {
    "array": np.asarray,
    "array of columns": np.asfortranarray,
    **{kind.__name__: kind for kind in (sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.lil_matrix)},
    **{kind.__name__: kind for kind in (sparse.csr_array, sparse.csc_array)},
}
BACKED = {"dense": np.asarray, "csr": sparse.csr_matrix, "csc": sparse.csc_matrix}


@st.composite
def matrices(draw):
    """Mostly zeros; sometimes without rows, columns or values."""
    shape = draw(st.integers(0, 12)), draw(st.integers(0, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.poisson(draw(st.sampled_from([0, 0.5, 3])), shape).astype(draw(st.sampled_from(["f4", "f8", "i4"])))
    return values


def _check(X, values, size, is_sparse):
    slices, blocks = [], []
    for rows, block in row_blocks(X, size):
        assert type(block) is np.ndarray or (sparse.issparse(block) and block.format == "csr")
        assert sparse.issparse(block) == is_sparse
        assert block.dtype == values.dtype and block.shape == (rows.stop - rows.start, values.shape[1])
        slices.append(rows)
        blocks.append(block.toarray() if is_sparse else block.copy())
    assert len(slices) == -(-len(values) // size)
    assert all(rows.stop - rows.start == size for rows in slices[:-1])
    np.testing.assert_array_equal([i for rows in slices for i in range(rows.start, rows.stop)], np.arange(len(values)))
    np.testing.assert_array_equal(np.concatenate([np.empty((0, values.shape[1])), *blocks]), values)


@pytest.mark.parametrize("kind", IN_MEMORY)
@settings(max_examples=40, deadline=None)
@given(values=matrices(), size=st.integers(1, 15))
def test_blocks_together_are_the_matrix(kind, values, size):
    X = IN_MEMORY[kind](values)
    _check(X, values, size, sparse.issparse(X))


@pytest.mark.parametrize("kind", BACKED)
@settings(max_examples=15, deadline=None)
@given(values=matrices(), size=st.integers(1, 15), block_values=st.sampled_from([1, 7, 1 << 24]))
def test_blocks_of_a_backed_matrix_are_the_matrix(kind, values, size, block_values):
    with h5py.File.in_memory() as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tcellmil._matrix.BLOCK_VALUES", block_values)
        ad.io.write_elem(file, "X", BACKED[kind](values))
        X = file["X"] if kind == "dense" else ad.io.sparse_dataset(file["X"])
        _check(X, values, size, is_sparse=kind != "dense")


@pytest.mark.parametrize("kind", BACKED)
@settings(max_examples=15, deadline=None)
@given(values=matrices(), size=st.integers(1, 15), chunk=st.integers(1, 5))
def test_blocks_of_a_dask_array_are_the_matrix(kind, values, size, chunk):
    dask_array = pytest.importorskip("dask.array")
    X = dask_array.from_array(values, chunks=(chunk, -1)).map_blocks(BACKED[kind])
    if not values.size:
        return  # dask calls no function on empty chunks
    _check(X, values, size, is_sparse=kind != "dense")


@pytest.mark.parametrize("kind", [*IN_MEMORY, "h5py"])
@settings(max_examples=40, deadline=None)
@given(values=matrices(), bad=st.sampled_from([None, 0.5, np.nan, np.inf, -np.inf]))
def test_what_is_said_of_values_is_that_of_the_whole(kind, values, bad):
    values = values.astype(float)
    if bad is not None and values.size:
        values[0, 0] = bad
    with h5py.File.in_memory() as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tcellmil._matrix.BLOCK_VALUES", 5)
        X = file.create_dataset("X", data=values) if kind == "h5py" else IN_MEMORY[kind](values)
        stored = X.tocoo().data if sparse.issparse(X) else values
        expected = (stored.min(), stored.max()) if stored.size else (0.0, 0.0)
        np.testing.assert_array_equal(value_range(X), expected)
        assert count_not_finite(X) == (~np.isfinite(values)).sum()
        if np.isfinite(values).all():
            assert holds_whole_numbers(X) == (values == values.round()).all()


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix])
def test_a_block_in_memory_is_a_view(convert):
    X = convert(np.arange(12.0).reshape(4, 3))
    for _, block in row_blocks(X, 2):
        assert np.shares_memory(block.data if sparse.issparse(block) else block, X.data if sparse.issparse(X) else X)


def test_the_default_size_follows_the_number_of_columns(monkeypatch):
    monkeypatch.setattr("tcellmil._matrix.BLOCK_VALUES", 20)
    assert [rows.stop for rows, _ in row_blocks(np.ones((5, 9)))] == [2, 4, 5]
    assert [rows.stop for rows, _ in row_blocks(np.ones((2, 99)))] == [1, 2]


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "10"])
def test_a_size_that_is_none_raises_at_once(size):
    with pytest.raises(ValueError, match="size=.*must be a whole number of at least 1"):
        row_blocks(np.ones((3, 2)), size)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([[1, 2]], TypeError, "got list"),
        (np.ones(3), ValueError, r"got shape \(3,\)"),
        (np.ones((2, 2, 2)), ValueError, r"got shape \(2, 2, 2\)"),
    ],
)
def test_what_is_no_matrix_raises_at_once(X, error, message):
    with pytest.raises(error, match=message):
        row_blocks(X)


def damaged(kind, where, value):
    """A matrix of 4 x 3 in which one index is ``value``."""
    X = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "coo": sparse.coo_matrix}[kind](np.eye(4, 3))
    getattr(X, where)[-1] = value
    return X


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (damaged("csr", "indices", 3), "4 x 3 is damaged: it has a value in column 3, which does not exist"),
        (damaged("csr", "indices", -1), "it has a value in column -1"),
        (damaged("csc", "indices", 4), "it has a value in row 4"),
        (damaged("coo", "row", 7), "it has a value in row 7"),
        (damaged("coo", "col", -2), "it has a value in column -2"),
        (damaged("csr", "indptr", 9), "its CSR pointers do not fit its 3 values"),
        (damaged("csc", "indptr", 1), "its CSC pointers do not fit its 3 values"),
    ],
)
def test_indices_out_of_range_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        check_indices(X)


@pytest.mark.parametrize("kind", IN_MEMORY)
@settings(max_examples=20, deadline=None)
@given(values=matrices())
def test_indices_in_range_are_let_through(kind, values):
    check_indices(IN_MEMORY[kind](values))


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_blocks_of_a_damaged_file_are_refused(kind):
    with h5py.File.in_memory() as file:
        ad.io.write_elem(file, "X", BACKED[kind](np.eye(4)))
        file["X/indices"][0] = 1_000
        with pytest.raises(ValueError, match="damaged|index|indices"):
            list(row_blocks(ad.io.sparse_dataset(file["X"])))


def test_dask_is_not_imported_for_other_matrices():
    code = (
        "import sys, numpy as np; from tcellmil._matrix import row_blocks; list(row_blocks(np.ones((3, 2))))\n"
        "print('dask' in sys.modules, 'anndata' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "False"]
