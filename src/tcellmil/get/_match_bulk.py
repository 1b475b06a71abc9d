"""What tl.match_bulk wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil._results import part_of, table_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

Part = Literal["conditions", "pairs"]


@documented
def match_bulk(adata: AnnData, part: Part = "conditions", *, result_key: str | None = None) -> pd.DataFrame:
    """How well cells match the pseudobulk of their condition, as :func:`tcellmil.tl.match_bulk` wrote it.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.match_bulk`.
    part
        ``"conditions"``: one row per condition. ``"pairs"``: one row per drawn cell.
    %(own_result_key)s

    Returns
    -------
    A copy. The index are the columns that make up a condition and, of pairs, ``cell``. Columns: ``similarity``,
    ``closer_bulks``, ``closer_cells`` and ``foscttm``, which is 0 where the match is always closest and 0.5 at random;
    of conditions also ``n_cells``. The mean of ``foscttm`` is the same in both.

    Raises
    ------
    %(no_result)s
    %(unknown_part)s

    Examples
    --------
    >>> import numpy as np, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=60)
    >>> adata.obsm["X_noise"] = np.random.default_rng(0).normal(size=(adata.n_obs, 5))
    >>> tm.tl.match_bulk(adata, ["patient", "cell_type"], "X_noise", n_cells=5)
    >>> tm.get.match_bulk(adata, "pairs").index.names
    FrozenList(['patient', 'cell_type', 'cell'])
    """
    check_choice(part, get_args(Part), "part")
    columns = [str(name) for name in part_of(adata, "match_bulk", "params", result_key=result_key)["groupby"]]
    index = columns if part == "conditions" else [*columns, "cell"]
    return table_of(adata, "match_bulk", part, index, result_key=result_key)
