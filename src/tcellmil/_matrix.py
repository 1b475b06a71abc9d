"""Matrices that need not fit into memory: rows come in blocks, whatever holds them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from tcellmil._checks import check_count

if TYPE_CHECKING:
    import h5py
    from anndata.abc import CSCDataset, CSRDataset
    from dask.array import Array as DaskArray

    Matrix = np.ndarray | sparse.spmatrix | sparse.sparray | h5py.Dataset | CSRDataset | CSCDataset | DaskArray
    Block = np.ndarray | sparse.csr_matrix | sparse.csr_array

BLOCK_VALUES = 1 << 24  # of a block, if they were dense: 839 cells of 20,000 genes


def row_blocks(X: Matrix, size: int | None = None) -> Iterator[tuple[slice, Block]]:
    """Yield the rows of a matrix in blocks, in order.

    A block of an array in memory, or of a CSR matrix, is a view: copy it before changing it.

    Parameters
    ----------
    X
        ``(n_rows, n_columns)``: an array, a sparse matrix of scipy, a matrix of a backed AnnData (dense, CSR or CSC),
        or a dask array. Of what is not in memory, one block at a time is read. Rows of a backed CSC matrix are spread
        over the whole file, which is read once per block: choose large blocks, or store it as CSR.
    size
        Rows of a block, at least 1; the last block may have fewer. By default about 16 million values, zeros included.

    Yields
    ------
    rows, block
        The slice of rows, with a start and a stop, and their values, ``(n_rows_of_block, n_columns)``: an ndarray where
        the matrix is dense, CSR where it is sparse. A matrix without rows has no block.

    Raises
    ------
    TypeError
        If ``X`` is no such matrix.
    ValueError
        If ``X`` has not two dimensions or is sparse with indices out of range, or ``size`` is not a positive whole
        number.

    Examples
    --------
    >>> import numpy as np
    >>> [(rows, block.tolist()) for rows, block in row_blocks(np.array([[1, 2], [3, 4], [5, 6]]), size=2)]
    [(slice(0, 2, None), [[1, 2], [3, 4]]), (slice(2, 3, None), [[5, 6]])]
    """
    if not hasattr(X, "shape") or not hasattr(X, "__getitem__"):
        raise TypeError(f"X must be an array, a sparse matrix, or a matrix of a backed AnnData, got {type(X).__name__}")
    if len(X.shape) != 2:
        raise ValueError(f"X must be (n_rows, n_columns), got shape {tuple(X.shape)}")
    size = max(1, BLOCK_VALUES // max(1, X.shape[1])) if size is None else check_count(size, "size")
    return _blocks(X, size)


def value_range(X: Matrix) -> tuple[float, float]:
    """Lowest and highest stored value; both are NaN where a value is, and 0 where there are none."""
    ends = [(values.min(), values.max()) for values in _stored(X)]
    return (np.min([low for low, _ in ends]), np.max([high for _, high in ends])) if ends else (0.0, 0.0)


def check_indices(X: Matrix) -> None:
    """Raise a ValueError if a sparse matrix points outside its rows, columns or values.

    Kernels trust the indices: one that is out of range reads memory of others. One pass over them; of a matrix that is
    not in memory, each block is checked when it is read.
    """
    if not sparse.issparse(X) or X.format not in ("csr", "csc", "coo"):
        return
    if X.format == "coo":
        indices = {"row": (X.row, X.shape[0]), "column": (X.col, X.shape[1])}
    else:
        n_pointers, n_within, within = (*X.shape, "column") if X.format == "csr" else (*X.shape[::-1], "row")
        last = int(X.indptr[-1]) if len(X.indptr) else -1
        in_order = len(X.indptr) == n_pointers + 1 and X.indptr[0] == 0 and bool((X.indptr[1:] >= X.indptr[:-1]).all())
        if not in_order or last > min(len(X.data), len(X.indices)):
            raise ValueError(
                f"the sparse matrix of {X.shape[0]} x {X.shape[1]} is damaged: its {X.format.upper()} pointers do not "
                f"fit its {len(X.data)} values. Read or build it again"
            )
        indices = {within: (X.indices[:last], n_within)}
    for what, (values, n) in indices.items():
        if values.size and not (0 <= values.min() and values.max() < n):
            worst = int(values.min()) if values.min() < 0 else int(values.max())
            raise ValueError(
                f"the sparse matrix of {X.shape[0]} x {X.shape[1]} is damaged: it has a value in {what} {worst}, which "
                "does not exist. Read or build it again"
            )


def native(values: np.ndarray) -> np.ndarray:
    """The same values as scipy and numba take them: in the byte order of this machine, and not in half precision."""
    dtype = np.dtype(np.float32) if values.dtype == np.float16 else values.dtype.newbyteorder("=")
    return values.astype(dtype, copy=False)


def canonical_csr(block: Block) -> sparse.csr_matrix | sparse.csr_array:
    """CSR with every entry stored once; the block itself stays as it is."""
    if not sparse.issparse(block):
        return sparse.csr_matrix(native(block))
    if not block.has_canonical_format:
        block = block.copy()
        block.sum_duplicates()
    return block


def count_not_finite(X: Matrix) -> int:
    """How many values are NaN or infinite."""
    return sum(int((~np.isfinite(values)).sum()) for values in _stored(X))


def holds_whole_numbers(X: Matrix) -> bool:
    """Whether all values, which are finite, are whole numbers, as counts are."""
    return all(np.array_equal(values, np.rint(values)) for values in _stored(X))


def _blocks(X: Any, size: int) -> Iterator[tuple[slice, Block]]:
    if sparse.issparse(X):
        check_indices(X)
        X = X.tocsr()
        read = _csr_rows
    elif _is_backed_sparse(X):
        read = _backed_csc_rows if X.format == "csc" else _sliced
    else:
        read = _dask_rows if _is_dask(X) else _sliced
    for start in range(0, X.shape[0], size):
        rows = slice(start, min(start + size, X.shape[0]))
        yield rows, read(X, rows)


def _stored(X: Matrix) -> Iterator[np.ndarray]:
    """Yield the values, of a sparse matrix only those that are stored, in any order and without empty pieces."""
    if sparse.issparse(X) and X.format in ("csr", "csc", "coo"):
        pieces = (X.data[start : start + BLOCK_VALUES] for start in range(0, X.data.size, BLOCK_VALUES))
    else:
        pieces = (block.data if sparse.issparse(block) else block for _, block in row_blocks(X))
    return (piece for piece in pieces if piece.size)


def _csr_rows(X: sparse.csr_matrix | sparse.csr_array, rows: slice) -> Block:
    """Scipy's own slicing would copy the values."""
    first, last = X.indptr[rows.start], X.indptr[rows.stop]
    indptr = X.indptr[rows.start : rows.stop + 1] - first
    return type(X)((X.data[first:last], X.indices[first:last], indptr), shape=(rows.stop - rows.start, X.shape[1]))


def _backed_csc_rows(X: CSCDataset, rows: slice) -> Block:
    """Some columns at a time, so that no more than a part of the file is in memory."""
    width = max(1, BLOCK_VALUES // X.shape[0])
    starts = range(0, max(1, X.shape[1]), width)  # without columns there is still one piece, of none
    return sparse.hstack([_in_memory(X[:, start : start + width])[rows] for start in starts], format="csr")


def _dask_rows(X: DaskArray, rows: slice) -> Block:
    return _in_memory(X[rows].compute())


def _sliced(X: Any, rows: slice) -> Block:
    return _in_memory(X[rows])


def _in_memory(block: Any) -> Block:
    if not sparse.issparse(block):
        return np.asarray(block)
    check_indices(block)
    return block.tocsr()


def _is_backed_sparse(X: object) -> bool:
    """Whether anndata reads this from a file; nobody holds one without having imported anndata."""
    anndata = sys.modules.get("anndata")
    return anndata is not None and isinstance(X, anndata.abc.CSRDataset | anndata.abc.CSCDataset)


def _is_dask(X: object) -> bool:
    """Whether this is a dask array; nobody holds one without having imported dask."""
    dask_array = sys.modules.get("dask.array")
    return dask_array is not None and isinstance(X, dask_array.Array)
