"""What tl.benchmark wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil._results import named_predictions, part_of, table_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

Part = Literal["metrics", "wide", "methods", "predictions", "alone"]
METHOD = ["method", "rep"]
INDEX = {"metrics": [*METHOD, "metric"], "methods": METHOD, "predictions": [*METHOD, "patient"]}


@documented
def benchmark(
    adata: AnnData, part: Part = "metrics", *, result_key: str | None = None, metric: str | None = None
) -> pd.DataFrame:
    """Compared methods, as :func:`tcellmil.tl.benchmark` wrote them.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.benchmark`.
    part
        ``"metrics"``: one row per method, representation and metric. ``"wide"``: their values alone, one row per method
        and representation, one column per metric. ``"methods"``: one row per method and representation, with seconds
        and options. ``"predictions"``: one row per method, representation and patient. ``"alone"``: the cohort and
        covariates without any cell, one row per predictor and metric (index ``(predictor, metric)``), where there are.
    %(own_result_key)s
    metric
        Of ``"metrics"`` and ``"wide"``, only this metric.

    Returns
    -------
    A copy. The index is ``(method, rep, metric)`` of ``"metrics"``, ``(method, rep)`` of ``"wide"`` and ``"methods"``,
    ``(method, rep, patient)`` of ``"predictions"``; ``rep`` is empty where a method reads no representation. For the
    columns see :func:`tcellmil.tl.benchmark`.

    Raises
    ------
    %(no_result)s
    ValueError
        If ``part`` or ``metric`` is not known.

    Warns
    -----
    %(left_out)s

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> compared = {"methods": ["gaussian_nb", "majority"], "use_reps": ["X_regulons"]}
    >>> tm.tl.benchmark(adata, "patient", "response", **compared, cv=2, n_boot=100, n_permutations=100)
    >>> tm.get.benchmark(adata, "wide").index.tolist()
    [('gaussian_nb', 'X_regulons'), ('majority', '')]
    """
    check_choice(part, get_args(Part), "part")
    if part == "predictions":
        table = table_of(adata, "benchmark", part, INDEX[part], result_key=result_key)
        return named_predictions(table, part_of(adata, "benchmark", "params", result_key=result_key))
    if part == "alone":
        return table_of(adata, "benchmark", "metrics_alone", ["predictor", "metric"], "", result_key, "batch_key=...")
    if part == "methods":
        return table_of(adata, "benchmark", part, INDEX[part], result_key=result_key)
    table = table_of(adata, "benchmark", "metrics", INDEX["metrics"], result_key=result_key)
    metrics = list(dict.fromkeys(table.index.get_level_values("metric")))
    if metric is not None:
        check_choice(metric, metrics, "metric")
        metrics = [metric]
        table = table[table.index.get_level_values("metric") == metric]
    if part == "metrics":
        return table
    wide = table["value"].unstack("metric")
    return wide.loc[table.index.droplevel("metric").unique(), metrics]
