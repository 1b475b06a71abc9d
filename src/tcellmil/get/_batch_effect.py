"""What tl.batch_effect wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil._checks import check_result

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def batch_effect(adata: AnnData, key: str = _keys.BATCH_EFFECT, tests: bool = False) -> pd.DataFrame:
    """Agreement of clusters with the batch, as :func:`tcellmil.tl.batch_effect` wrote it.

    Parameters
    ----------
    adata
        Cells with ``uns[key]``.
    key
        The ``key_added`` of :func:`tcellmil.tl.batch_effect`.
    tests
        Return the comparison of the representations and not the indices.

    Returns
    -------
    A copy, one row a representation and initialisation: ``representation``, ``init``, ``ari``. With ``tests=True`` one
    row a representation other than the first: ``reference``, ``representation``, ``n_init``, ``median_reference``,
    ``median``, ``difference``, and of each test ``ranksum_`` and ``signed_rank_`` its ``statistic``, ``p``, ``padj``.

    Raises
    ------
    KeyError
        If nothing was written under ``key``.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.batch_effect(adata, "cohort", n_init=5)
    >>> tm.get.batch_effect(adata, tests=True)[["reference", "representation", "n_init"]].values.tolist()
    [['X_pca', 'X_regulons', 5]]
    """
    given = "" if key == _keys.BATCH_EFFECT else f", key_added={key!r}"
    result = check_result(adata, key, f"tl.batch_effect(adata, ...{given})")
    return result["tests" if tests else "ari"].copy()
