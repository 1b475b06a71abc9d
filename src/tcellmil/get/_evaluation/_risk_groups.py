"""Whether patients of high predicted risk have the event earlier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil._results import outcome_of_fit
from tcellmil.get._mil import predictions

if TYPE_CHECKING:
    from anndata import AnnData

Part = Literal["curves", "test"]
GROUPS = ("low risk", "high risk")


@documented
def risk_groups(adata: AnnData, part: Part = "curves", *, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    """Survival of patients below and above the median out-of-fold risk.

    The median is that of all patients whose time and risk are known; who is at the median counts as low.

    Several samples of a patient count as so many patients; of these read the concordance, whose interval is over
    patients.

    The log-rank test takes the two groups as given. Here they come from predictions, each by networks that did not see
    the patient, but that were trained on the outcomes of the others: the risks of different patients are not
    independent, and the p-value is an approximation (Simon et al., 2011). A p-value that is right whatever the networks
    do is that of :func:`tcellmil.tl.permutation_test`. A median divides any cohort; the concordance of
    :func:`get.metrics <tcellmil.get.metrics>` uses the risks as they are.

    Parameters
    ----------
    adata
        Cells with ``uns[key]["predictions"]``, from :func:`tcellmil.tl.fit_mil` with ``outcome="survival"``.
    part
        ``"curves"``: Kaplan-Meier. ``"test"``: log-rank.
    %(key)s

    Returns
    -------
    ``"curves"``: one row per group and time; index ``(group, time)``, with the groups ``"low risk"`` and ``"high
    risk"``; columns ``survival``, ``ci_low``, ``ci_high`` (pointwise, 95%), ``n_at_risk``, ``n_events``,
    ``n_censored``, as :func:`tcellmil.stats.kaplan_meier` gives them. ``"test"``: one row, ``"log-rank"`` (index
    ``test``), with ``threshold`` (the median), ``n_low``, ``n_high``, ``events_low``, ``events_high``, ``statistic``
    and ``p`` of :func:`tcellmil.stats.logrank_test`.

    Raises
    ------
    %(no_result)s
    ValueError
        If the outcome is not a time to event, ``part`` is not known, or all patients have the same risk.

    References
    ----------
    Simon et al. (2011), Briefings in Bioinformatics 12, 203.

    Warns
    -----
    %(left_out)s

    Examples
    --------
    >>> import numpy as np, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> code = adata.obs["patient"].astype("category").cat.codes
    >>> adata.obs["months"], adata.obs["death"] = 1.0 + code, (code % 3 > 0).astype(int)
    >>> options = {"outcome": "survival", "event_key": "death", "training": {"max_epochs": 3}, "progress": False}
    >>> tm.tl.fit_mil(adata, "patient", "months", cv=2, **options)
    >>> tm.get.risk_groups(adata, part="test")[["n_low", "n_high"]].values.tolist()
    [[4, 4]]
    """
    from tcellmil.stats import kaplan_meier, logrank_test

    check_choice(part, get_args(Part), "part")
    table = predictions(adata, key=key)
    outcome_of_fit(adata, key).check_has_risk(key)
    known = table[table[["time", "event", "risk"]].notna().all(axis=1)]
    time, event, risk = (known[name].to_numpy() for name in ("time", "event", "risk"))
    threshold = np.median(risk) if len(risk) else np.nan
    high = risk > threshold
    if not high.any():
        raise ValueError(
            f"{len(risk)} patients have a time and a risk, and none a risk above the median {threshold:g}; "
            "there are no two groups to compare"
        )
    if part == "test":
        statistic, p = logrank_test(time, event, high)
        row = {"threshold": threshold, "n_low": (~high).sum(), "n_high": high.sum()}
        row |= {"events_low": int(event[~high].sum()), "events_high": int(event[high].sum())}
        return pd.DataFrame([{**row, "statistic": statistic, "p": p}], index=pd.Index(["log-rank"], name="test"))
    curves = [
        kaplan_meier(time[own], event[own]).assign(group=name) for name, own in zip(GROUPS, (~high, high), strict=True)
    ]
    return pd.concat(curves).set_index(["group", "time"])
