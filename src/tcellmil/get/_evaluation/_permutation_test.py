"""What tl.permutation_test wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from tcellmil import _keys
from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil._results import table_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

Part = Literal["test", "null"]
INDEX = {"test": "metric", "null": "permutation"}


@documented
def permutation_test(
    adata: AnnData | MuData, part: Part = "test", *, key: str = _keys.TCELLMIL, result_key: str | None = None
) -> pd.DataFrame:
    """P-value of a metric under permuted labels, as :func:`tcellmil.tl.permutation_test` wrote it.

    Parameters
    ----------
    adata
        AnnData or MuData with a result of :func:`tcellmil.tl.permutation_test`.
    part
        ``"test"``: the test, one row. ``"null"``: all metrics of every permutation.
    %(key)s
    %(result_key)s

    Returns
    -------
    A copy. ``"test"``: index ``metric``, columns ``value``, ``null_mean``, ``null_sd``, ``p``, ``n_permutations``,
    ``n_arrangements`` (how many different ones there are). ``"null"``: one row per permutation (index
    ``permutation``), one column per metric.

    Raises
    ------
    %(no_result)s
    %(unknown_part)s

    Warns
    -----
    %(left_out)s

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> tm.tl.permutation_test(adata, n_permutations=3, progress=False)
    >>> len(tm.get.permutation_test(adata, "null"))
    3
    """
    check_choice(part, get_args(Part), "part")
    return table_of(adata, "permutation_test", part, INDEX[part], key, result_key)
