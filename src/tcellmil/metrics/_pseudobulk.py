"""Pseudobulks of groups of cells, and random cells of each group."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from tcellmil._matrix import holds_whole_numbers

if TYPE_CHECKING:
    from tcellmil._matrix import Matrix


def draw_cells(codes: np.ndarray, names: Sequence[str], cells: np.ndarray, n_cells: int, seed: int) -> np.ndarray:
    """Rows of ``n_cells`` random cells of each group, group by group.

    Which cells of a group are drawn depends on their names, that of the group and the seed: not on the order of the
    cells, nor on other groups.

    Parameters
    ----------
    codes
        Group of each cell, ``(n_all_cells,)``, 0 to ``len(names) - 1``, or -1 for none; each has at least ``n_cells``.
    names
        Name of each group.
    cells
        Name of each cell.
    """
    drawn = []
    for code, name in enumerate(names):
        members = np.flatnonzero(codes == code)
        by_name = members[np.argsort(cells[members].astype(str), kind="stable")]
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        drawn.append(rng.choice(by_name, n_cells, replace=False))
    return np.concatenate(drawn)


def pseudobulks(X: Matrix, codes: np.ndarray, n_groups: int, how: str | None = None) -> np.ndarray | sparse.csr_matrix:
    """Sums of the counts of each group or, where values are not whole numbers, their means.

    Parameters
    ----------
    X
        ``(n_cells, n_genes)``, in memory, finite.
    codes
        Group of each cell, ``(n_cells,)``, 0 to ``n_groups - 1``, or -1 for none; no group is empty.
    n_groups
        Number of groups.
    how
        ``"sum"`` or ``"mean"``; by default what the values are decides.

    Returns
    -------
    ``(n_groups, n_genes)`` float64, sparse where ``X`` is.
    """
    how = how if how is not None else "sum" if holds_whole_numbers(X) else "mean"
    rows = np.flatnonzero(codes >= 0)
    weight = np.ones(len(rows)) if how == "sum" else 1 / np.bincount(codes[rows], minlength=n_groups)[codes[rows]]
    members = sparse.csr_matrix((weight, (codes[rows], rows)), shape=(n_groups, X.shape[0]))
    return members @ X
