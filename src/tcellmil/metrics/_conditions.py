"""A metric within each condition, and its average over conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil._checks import some
from tcellmil._docs import documented
from tcellmil.metrics._arrays import Values

Labels = Sequence | np.ndarray | pd.Series | pd.DataFrame


class ByCondition(NamedTuple):
    """A metric by condition.

    Parameters
    ----------
    mean
        Average over the conditions, each of which counts the same; NaN where that of one is not defined.
    values
        Value of each condition, in the order in which they occur. The index are the conditions: of several columns, a
        MultiIndex.
    """

    mean: float
    values: pd.Series


@documented
def by_condition(
    metric: Callable[..., float | np.ndarray],
    /,
    real: Values,
    generated: Values,
    real_by: Labels,
    generated_by: Labels,
    **options: object,
) -> ByCondition:
    """Compute any metric of two sets of cells within each condition, and average over conditions.

    Section 4.6.9 of the paper: the metric is computed for each combination of the labels that occurs (such as cell
    type, cytokine and duration), and the values are averaged. The metrics of this module do this with ``by``.

    Parameters
    ----------
    metric
        Called as ``metric(real_of_condition, generated_of_condition, **options)``. Of an array, the mean is taken.
    %(real_generated)s
    real_by, generated_by
        Condition of each real and each generated cell, none missing: labels, or a table with several columns, of which
        each combination that occurs is a condition. The two sets need the same conditions.
    options
        Passed to ``metric``.

    Returns
    -------
    %(by_condition)s

    Raises
    ------
    ValueError
        If labels are missing or do not fit, one of the sets lacks a condition, or the metric fails in a condition,
        which is then named.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.metrics import by_condition
    >>> def shift(real, generated):
    ...     return np.abs(real.mean(axis=0) - generated.mean(axis=0)).max()
    >>> real, generated = np.array([[0.0], [2.0], [5.0]]), np.array([[6.0], [1.0]])
    >>> by_condition(shift, real, generated, ["B", "B", "NK"], ["NK", "B"]).values.to_dict()
    {'B': 0.0, 'NK': 1.0}
    """
    real, generated = _rows_first(real), _rows_first(generated)
    names, of_real = _groups(real_by, real.shape[0], "the labels of real")
    there, of_generated = _groups(generated_by, generated.shape[0], "the labels of generated")
    lonely = [("real", [n for n in of_real if n not in of_generated])]
    lonely += [("generated", [n for n in of_generated if n not in of_real])]
    missing = [f"only in {side}: {some(conditions)}" for side, conditions in lonely if conditions]
    if missing:
        raise ValueError(f"both sets need the same conditions; {'; '.join(missing)}. Leave these out")
    values = []
    for name, rows in of_real.items():
        try:
            values.append(np.mean(metric(real[rows], generated[of_generated[name]], **options)))
        except ValueError as error:
            raise ValueError(f"in condition {name!r}: {error}") from error
    return _result(values, names)


def average_by(values: np.ndarray, by: Labels | None) -> np.ndarray | ByCondition:
    """Values of pairs as they are or, with conditions, the mean within each."""
    if by is None:
        return values
    names, rows_of = _groups(by, len(values), "by")
    return _result([values[rows].mean() for rows in rows_of.values()], names)


def two_labels(by: object) -> tuple[Labels, Labels]:
    """The labels of the real and those of the generated cells."""
    if not isinstance(by, tuple | list) or len(by) != 2 or any(np.ndim(labels) == 0 for labels in by):
        raise TypeError(
            "by must be a pair, (conditions of the real cells, conditions of the generated cells), got "
            f"{type(by).__name__}; the two sets have cells of their own"
        )
    return by[0], by[1]


def _result(values: list[float], names: pd.Index) -> ByCondition:
    values = pd.Series(np.asarray(values, dtype=float), index=names)
    return ByCondition(float(values.mean(skipna=False)), values)


def _rows_first(values: Values) -> np.ndarray | sparse.spmatrix:
    values = values.tocsr() if sparse.issparse(values) else np.asarray(values)
    if values.ndim < 1:
        raise TypeError(f"real and generated must be arrays, got {values.dtype}")
    return values


def _groups(by: Labels, n_rows: int, what: str) -> tuple[pd.Index, dict[object, np.ndarray]]:
    """Conditions in the order in which they occur, and the rows of each."""
    if isinstance(by, str):
        raise TypeError(f"{what} must hold a condition for each row, got the text {by!r}; pass adata.obs[{by!r}]")
    table = by if isinstance(by, pd.DataFrame) else pd.DataFrame(np.asarray(by, dtype=object))
    if len(table) != n_rows or not n_rows:
        raise ValueError(f"{what}: {len(table)} conditions for {n_rows} rows; each row has one")
    if table.shape[1] < 1:
        raise ValueError(f"{what} has no column")
    n_missing = int(table.isna().any(axis=1).sum())
    if n_missing:
        raise ValueError(f"{what}: {n_missing} of {n_rows} rows have no condition; leave them out or fill it in")
    columns = [table.iloc[:, i].astype(object) for i in range(table.shape[1])]
    named = isinstance(by, pd.DataFrame)
    if len(columns) == 1:
        labels = pd.Index(columns[0], dtype=object, name=table.columns[0] if named else getattr(by, "name", None))
    else:
        labels = pd.MultiIndex.from_arrays(columns, names=list(table.columns) if named else None)
    codes, names = pd.factorize(labels)
    names = names.set_names(labels.names)
    rows_of = pd.Series(codes).groupby(codes).indices
    return names, {name: rows_of[code] for code, name in enumerate(names)}
