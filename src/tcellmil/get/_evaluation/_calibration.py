"""How far predicted probabilities can be taken at their word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil._results import outcome_of_fit
from tcellmil.get._mil import predictions

if TYPE_CHECKING:
    from anndata import AnnData


@documented
def calibration(
    adata: AnnData, *, key: str = _keys.TCELLMIL, n_bins: int = 5, target_class: str | None = None
) -> pd.DataFrame:
    """Observed share of a class against its out-of-fold probability, in bins of patients.

    Parameters
    ----------
    %(adata_of_fit)s
    %(key)s
    n_bins
        Number of bins of about equally many patients.
    target_class
        The class; the positive one by default.

    Returns
    -------
    One row per bin (index ``bin``, from 0): ``predicted``, ``observed``, ``ci_low``, ``ci_high``, ``n``, as
    :func:`tcellmil.stats.calibration_curve` gives them.

    Raises
    ------
    %(no_result)s
    ValueError
        If the class is not known, no patient has a label, or the outcome is a number or a time to event.

    Warns
    -----
    %(left_out)s

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> int(tm.get.calibration(adata, n_bins=2)["n"].sum())
    8
    """
    from tcellmil.stats import calibration_curve

    table, outcome = predictions(adata, key=key), outcome_of_fit(adata, key)
    outcome.check_has_classes(key, "calibration is")
    classes = list(outcome.outputs)
    target = classes[-1] if target_class is None else target_class
    check_choice(target, classes, "target_class")
    known = table[(table["label"] != "") & table[f"prob_{target}"].notna()]
    if known.empty:
        raise ValueError(f"no patient of {key!r} has both a label and a prediction; there is nothing to compare")
    curve = calibration_curve((known["label"] == target).to_numpy(), known[f"prob_{target}"].to_numpy(), n_bins)
    return curve.reset_index(drop=True).rename_axis("bin")
