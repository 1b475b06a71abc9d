"""What tl.benchmark wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, check_result

if TYPE_CHECKING:
    from anndata import AnnData

PARTS = ("metrics", "methods", "predictions")


def benchmark(
    adata: AnnData,
    metric: str | None = None,
    part: str = "metrics",
    *,
    wide: bool = False,
    key: str = _keys.BENCHMARK,
) -> pd.DataFrame:
    """Compared methods, as :func:`tcellmil.tl.benchmark` wrote them.

    Parameters
    ----------
    adata
        Cells with ``uns[key]``.
    metric
        Only this metric.
    part
        ``"metrics"``: a row a method, representation and metric. ``"methods"``: a row a method and representation, with
        seconds. ``"predictions"``: a row a method, representation and patient.
    wide
        A row a method and representation, a column a metric: values alone.
    key
        The ``key_added`` of :func:`tcellmil.tl.benchmark`.

    Returns
    -------
    A copy of the table.

    Raises
    ------
    KeyError
        If nothing was written under ``key``.
    ValueError
        If the part or the metric is not known.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.benchmark(adata, "patient", "response", methods=["gaussian_nb", "majority"], reps=["X_regulons"], cv=2)
    >>> tm.get.benchmark(adata, wide=True).index.tolist()
    [('gaussian_nb', 'X_regulons'), ('majority', '')]
    """
    check_choice(part, PARTS, "part")
    table = check_result(adata, key, "tl.benchmark(adata, ...)")[part]
    if part != "metrics":
        return table.copy()
    if metric is not None:
        check_choice(metric, list(dict.fromkeys(table["metric"])), "metric")
        table = table[table["metric"] == metric]
    if not wide:
        return table.reset_index(drop=True)
    order = table[["method", "rep"]].drop_duplicates()
    values = table.pivot(index=["method", "rep"], columns="metric", values="value")
    return values.loc[pd.MultiIndex.from_frame(order), list(dict.fromkeys(table["metric"]))]
