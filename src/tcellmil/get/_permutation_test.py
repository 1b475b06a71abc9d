"""What tl.permutation_test wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_result

if TYPE_CHECKING:
    from anndata import AnnData


def permutation_test(
    adata: AnnData, key: str = _keys.TCELLMIL, *, null: bool = False, permutation_key: str | None = None
) -> pd.DataFrame:
    """P-value of a metric under permuted labels, as :func:`tcellmil.tl.permutation_test` wrote it.

    Parameters
    ----------
    adata
        Cells with ``uns[key + "_permutation_test"]``.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`.
    null
        Return the metrics of every permutation instead.
    permutation_key
        The ``key_added`` of :func:`tcellmil.tl.permutation_test`, where one was given.

    Returns
    -------
    A copy: one row with ``metric``, ``value``, ``null_mean``, ``null_sd``, ``p``, ``n_permutations``; or a row a
    permutation.

    Raises
    ------
    KeyError
        If nothing was written.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, max_epochs=3, progress=False)
    >>> tm.tl.permutation_test(adata, n_permutations=3, progress=False)
    >>> len(tm.get.permutation_test(adata, null=True))
    3
    """
    place = _keys.permutation_test(key) if permutation_key is None else permutation_key
    return check_result(adata, place, "tl.permutation_test(adata)")["null" if null else "test"].copy()
