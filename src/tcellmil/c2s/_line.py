"""From the rank of a gene in a sentence to its expression, along a straight line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil._log import warn
from tcellmil._matrix import row_blocks
from tcellmil.c2s._text import checked_ids

if TYPE_CHECKING:
    from tcellmil._matrix import Matrix

TARGET_SUM = 1e4  # to which the counts of a cell are normalised
MAX_POINTS = 2_000_000  # of which a line is fitted: 10,000 cells of 200 genes
POOR = 0.5  # R^2 below which a line says little
BINS = 60  # of ranks and of values, in the picture


@dataclass(frozen=True)
class RankLine:
    """Expression of a gene by its position in a sentence: ``intercept + slope * log10(1 + position)``.

    The first gene has position 0, so that its expression is the intercept.

    Parameters
    ----------
    slope, intercept
        In the unit of the values it was fitted to.
    r2
        Share of the variance of the values that the line explains, at most 1; NaN where they do not vary.
    pearson, spearman
        Correlation of the values with those on the line.
    n_cells
        Cells of which it was fitted.
    n_genes
        Most genes of a sentence.
    """

    slope: float
    intercept: float
    r2: float = np.nan
    pearson: float = np.nan
    spearman: float = np.nan
    n_cells: int = 0
    n_genes: int = 0

    def expression_at(self, position: np.ndarray) -> np.ndarray:
        """Expression at positions counted from 0, at least 0."""
        return np.maximum(0.0, self.intercept + self.slope * np.log10(1.0 + np.asarray(position, dtype=float)))

    def as_dict(self) -> dict[str, float | int]:
        """Plain numbers by name, for files."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> RankLine:
        """Inverse of :meth:`as_dict`; what a fitted line has besides ``slope`` and ``intercept`` may be missing.

        Raises
        ------
        ValueError
            If ``slope`` or ``intercept`` is missing or not finite, or a name is not known.
        """
        known = {field.name: int if field.name.startswith("n_") else float for field in fields(cls)}
        unknown = [name for name in values if name not in known]
        if unknown or not {"slope", "intercept"} <= set(values):
            raise ValueError(f"a line needs slope and intercept, and knows {list(known)}; got {list(values)}")
        line = cls(**{name: known[name](value) for name, value in values.items()})
        if not np.isfinite([line.slope, line.intercept]).all():
            raise ValueError(f"slope={line.slope} and intercept={line.intercept} of a line must be finite")
        return line


def fit_rank_line(X: Matrix, ids: np.ndarray, *, counts: bool = False) -> RankLine:
    """Fit the expression of the genes of sentences by their positions, by least squares.

    The model is ``expression = intercept + slope * log10(1 + position)``, with positions from 0. All genes of all
    sentences are points; of more than about two million points, as many cells are taken as give so many, evenly
    spread. Genes outside the sentence do not count.

    Parameters
    ----------
    X
        Expression, cells x genes, log-normalised, or counts; see :func:`rank_genes`.
    ids
        Sentences, ``(n_cells, n_genes)``, as of :func:`rank_genes`.
    counts
        ``X`` holds counts: they are normalised to 1e4 per cell, and the line is of ``log(1 + x)`` of that.

    Returns
    -------
    The line.

    Raises
    ------
    ValueError
        If no sentence has two genes, or ``ids`` do not fit ``X``.

    Warns
    -----
    UserWarning
        If the line explains less than half of the variance.

    References
    ----------
    Rizvi et al. (2025), section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.c2s import fit_rank_line, rank_genes
    >>> X = np.array([[3.0, 2.0, 0.0, 2.5]])
    >>> line = fit_rank_line(X, rank_genes(X, 3))
    >>> print(f"{line.intercept:.2f} {line.slope:.2f}, R2 {line.r2:.2f}")
    3.03 -2.05, R2 0.98
    """
    return line_through(sentence_values(X, ids, counts=counts))


def sentence_values(X: Matrix, ids: np.ndarray, *, counts: bool = False) -> np.ndarray:
    """Values of the genes of sentences, NaN where a sentence has none, ``(cells that are taken, n_genes)``, float64."""
    ids = checked_ids(ids, X.shape[1])
    if len(ids) != X.shape[0]:
        raise ValueError(f"there are {len(ids)} sentences, but X has {X.shape[0]} cells")
    taken = _spread(np.flatnonzero((ids >= 0).any(axis=1)), max(1, MAX_POINTS // max(1, ids.shape[1])))
    values = np.full((len(taken), ids.shape[1]), np.nan)
    for rows, block in row_blocks(X):
        first, last = np.searchsorted(taken, [rows.start, rows.stop])
        if first == last:
            continue
        part, words = sparse.csr_matrix(block[taken[first:last] - rows.start], dtype=np.float64), ids[taken[first:last]]
        cell, place = np.nonzero(words >= 0)
        found = np.asarray(part[cell, words[cell, place]]).ravel()
        if counts:
            found = np.log1p(found * (TARGET_SUM / np.asarray(part.sum(axis=1)).ravel())[cell])
        values[first + cell, place] = found
    return values


def line_through(values: np.ndarray) -> RankLine:
    """The line through values by position, ``(n_cells, n_genes)``, NaN where there is none, as of a sentence."""
    from scipy.stats import rankdata

    known = np.isfinite(values)
    x = np.broadcast_to(np.log10(1.0 + np.arange(values.shape[1])), values.shape)[known]
    y = values[known]
    if not known[:, 1:].any():
        raise ValueError("a line from rank to expression needs a cell that expresses two genes, and n_genes of 2")
    slope = float(np.cov(x, y)[0, 1] / np.var(x, ddof=1))
    intercept = float(y.mean() - slope * x.mean())
    total = float(((y - y.mean()) ** 2).sum())
    varies = total > 0 and slope != 0
    line = RankLine(
        slope=slope,
        intercept=intercept,
        r2=1 - float(((y - intercept - slope * x) ** 2).sum()) / total if varies else np.nan,
        pearson=float(np.sign(slope) * np.corrcoef(x, y)[0, 1]) if varies else np.nan,
        spearman=float(np.sign(slope) * np.corrcoef(rankdata(x), rankdata(y))[0, 1]) if varies else np.nan,
        n_cells=int(known.any(axis=1).sum()),
        n_genes=values.shape[1],
    )
    if not line.r2 >= POOR:
        warn(
            f"the line from rank to expression explains little: R² {line.r2:.2f} in {line.n_cells:,} cells. Expression "
            "that is made of sentences will be rough; look at tm.pl.rank_expression"
        )
    return line


def rank_density(values: np.ndarray) -> pd.DataFrame:
    """How many values there are by rank and value: a row for each pair of bins that holds any.

    Parameters
    ----------
    values
        Values by position, as of :func:`sentence_values`.

    Returns
    -------
    DataFrame ``rank_low, rank_high`` (from 1, both included), ``value_low, value_high, n`` and ``share``: that of all
    values at these ranks.
    """
    n_genes = values.shape[1]
    starts = np.unique(np.round(np.geomspace(1, n_genes + 1, BINS + 1)).astype(int))
    edges = np.linspace(0, np.nanmax(values), BINS + 1)
    tables = []
    for low, stop in zip(starts[:-1], starts[1:], strict=True):
        part = values[:, low - 1 : stop - 1]
        n, _ = np.histogram(part[np.isfinite(part)], edges)
        bins = {"rank_low": low, "rank_high": stop - 1, "value_low": edges[:-1], "value_high": edges[1:]}
        tables.append(pd.DataFrame(bins | {"n": n, "share": n / max(1, n.sum())})[n > 0])
    return pd.concat(tables, ignore_index=True)


def rank_line_expression(ids: np.ndarray, line: RankLine, n_vars: int) -> sparse.csr_matrix:
    """Turn sentences into expression along a line.

    Parameters
    ----------
    ids
        Sentences, ``(n_cells, n_words)``: indices of genes. Entries of -1 are left out before positions are counted. A
        gene that is there several times takes the mean of its positions.
    line
        The line.
    n_vars
        Number of genes.

    Returns
    -------
    Expression, ``(n_cells, n_vars)``, float32, at least 0, in the unit of the line; genes that a sentence does not name
    are 0.

    Raises
    ------
    ValueError
        If ``ids`` are not two-dimensional whole numbers, or point outside the genes.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.c2s import RankLine, rank_line_expression
    >>> line = RankLine(slope=-2, intercept=3)
    >>> rank_line_expression(np.array([[1, 0], [2, -1]]), line, 3).toarray().round(2)
    array([[2.4, 3. , 0. ],
           [0. , 0. , 3. ]], dtype=float32)
    """
    ids = checked_ids(ids, n_vars)
    known = ids >= 0
    start = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    position = (np.cumsum(known, axis=1) - 1)[known].astype(np.float64)
    total, times = (
        sparse.csr_matrix((values, ids[known], start), shape=(len(ids), n_vars))
        for values in (position, np.ones_like(position))
    )
    total.sum_duplicates()
    times.sum_duplicates()
    total.data = line.expression_at(total.data / times.data).astype(np.float32)
    total.eliminate_zeros()
    return total


def _spread(rows: np.ndarray, n: int) -> np.ndarray:
    """At most ``n`` of the rows, evenly spread."""
    return rows if len(rows) <= n else rows[np.linspace(0, len(rows) - 1, n).astype(int)]
