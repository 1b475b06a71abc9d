"""Which configurations tl.fit_mil chose in each fold, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil._docs import documented
from tcellmil._results import fit_part

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


@documented
def configurations(adata: AnnData | MuData, *, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    """How much each configuration of the network counts in every replica, as :func:`tcellmil.tl.fit_mil` chose.

    The choice is made within the training patients of a fold, by default in small cohorts, and elsewhere with
    ``ensemble=True`` or ``"best"``. Where folds disagree, the patients do not tell which configuration is better.

    Parameters
    ----------
    %(adata_of_fit)s
    %(key)s

    Returns
    -------
    A copy, one row per replica and configuration (index ``(replica, configuration)``): ``seed`` and ``fold`` of the
    replica; ``weight``, 0 to 1, which adds up to 1 within a replica; ``loss``, the mean cross-entropy in nats of
    training patients that inner folds held out, classes weighted alike, of scores brought to a spread of 1. ln 2 = 0.69
    is that of equal probabilities of two classes. NaN where there was nothing to choose.

    Raises
    ------
    %(no_result)s

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> options = {"cv": 2, "ensemble": True, "training": {"max_epochs": 3}, "progress": False}
    >>> tm.tl.fit_mil(adata, "patient", "response", **options)
    >>> tm.get.configurations(adata)["weight"].groupby("configuration", sort=False).mean().sum()
    np.float64(1.0)
    """
    return fit_part(adata, key, "configurations").set_index(["replica", "configuration"])
