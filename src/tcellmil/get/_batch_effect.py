"""What tl.batch_effect wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil.get._results import table_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

Part = Literal["ari", "tests"]
INDEX = {"ari": ["representation", "init"], "tests": ["reference", "representation"]}


@documented
def batch_effect(adata: AnnData, part: Part = "ari", *, result_key: str | None = None) -> pd.DataFrame:
    """Agreement of clusters with the batch, as :func:`tcellmil.tl.batch_effect` wrote it.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.batch_effect`.
    part
        ``"ari"``: one row per representation and initialisation. ``"tests"``: one row per representation other than the
        first, which is compared with the first.
    %(own_result_key)s

    Returns
    -------
    A copy. ``"ari"``: index ``(representation, init)``, column ``ari``, at most 1. ``"tests"``: index ``(reference,
    representation)``, columns ``n_init``, ``median_reference``, ``median``, ``difference``, and of each test
    ``ranksum_`` and ``signed_rank_`` its ``statistic``, ``p``, ``padj``.

    Raises
    ------
    %(no_result)s
    %(unknown_part)s

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.batch_effect(adata, "cohort", n_init=5)
    >>> tm.get.batch_effect(adata, "tests")["n_init"].to_dict()
    {('X_pca', 'X_regulons'): 5}
    """
    check_choice(part, get_args(Part), "part")
    return table_of(adata, "batch_effect", part, INDEX[part], result_key=result_key)
