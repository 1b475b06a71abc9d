"""Whether a model is better than one that knows nothing, by the interval of the metric that is reported first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from ._base import Outcome

#: What a model without any skill has on average, of the metrics that may be reported first.
NO_SKILL = {
    "auroc": 0.5,
    "concordance": 0.5,
    "concordance_ipcw": 0.5,
    "weighted_kappa": 0.0,
    "r2": 0.0,
    "pearson": 0.0,
    "spearman": 0.0,
}


def doubt_of(metrics: pd.DataFrame, outcome: Outcome, *, undefined: bool = True) -> str:
    """Why a model may know nothing, in words; empty where its metric is above that of no skill with its interval.

    Parameters
    ----------
    metrics
        As a fit stores them: one row per metric, with ``metric``, ``value``, ``ci_low`` and ``ci_high``.
    outcome
        Says which of them is reported first.
    undefined
        Whether it counts as a doubt that the metric is not defined, which is so where all predictions are the same. It
        does not where too little was observed. A metric without an interval, such as that of one patient, is none.

    Examples
    --------
    >>> import pandas as pd
    >>> from tcellmil.outcomes import Continuous
    >>> row = {"metric": "pearson", "value": 0.2, "ci_low": -0.3, "ci_high": 0.6}
    >>> doubt_of(pd.DataFrame([row]), Continuous("age"))
    'Pearson correlation 0.20 [-0.30, 0.60] includes 0'
    >>> doubt_of(pd.DataFrame([row | {"ci_low": 0.1}]), Continuous("age"))
    ''
    """
    table = metrics.set_index("metric")
    metric, name = outcome.metric_shown(list(table.index))
    if metric not in NO_SKILL or metric not in table.index:
        return ""
    value, low, high = table.loc[metric, ["value", "ci_low", "ci_high"]].astype(float)
    if not np.isfinite(value):
        return f"{name} is not defined, because all predictions are the same" if undefined else ""
    if np.isnan(low) or low > NO_SKILL[metric]:
        return ""
    relation = "includes" if high >= NO_SKILL[metric] else "is below"
    return f"{name} {value:.2f} [{low:.2f}, {high:.2f}] {relation} {NO_SKILL[metric]:g}"
