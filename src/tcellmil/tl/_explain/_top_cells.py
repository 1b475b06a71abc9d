"""The cells that the networks look at most, as groups for scanpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._docs import documented
from tcellmil._results import attention_of_cells
from tcellmil._verbs import Result, verb

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

TOP, OTHER = "top", "other"


@documented
@verb(obs=[""])
def top_cells(
    adata: AnnData | MuData,
    fraction: float = 0.1,
    *,
    key: str = _keys.TCELLMIL,
    key_added: str | None = None,
    copy: bool = False,
) -> Result:
    """Mark the cells of each patient that get the most attention, for :func:`scanpy.tl.rank_genes_groups`.

    The same share of every patient's cells is marked, so that no patient stands for all. A test that compares these
    cells with the others counts cells as independent, which cells of one patient are not: take its ranking, not its
    p-values, or compare pseudobulks of patients. Genes that differ are associated with attention, which is not a cause
    of the outcome.

    Parameters
    ----------
    adata
        AnnData or MuData with a result of :func:`tcellmil.tl.fit_mil` or :func:`tcellmil.tl.predict`.
    fraction
        Share of each patient's cells, in (0, 1); at least one cell is marked, and never all of them.
    %(key)s
    key_added
        Name of the column; ``f"{key}_top_cells"`` by default.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written: ``obs["tcellmil_top_cells"]``, categorical with ``"top"`` and ``"other"``,
    missing for cells without attention, and ``uns["tcellmil_top_cells"]["params"]``. Of cells with the same attention,
    the first by name are marked.

    Raises
    ------
    KeyError
        If there is no fit under ``key``.
    ValueError
        If ``fraction`` is out of range.

    Examples
    --------
    >>> import pandas as pd, scanpy as sc, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.top_cells(adata)
    >>> adata.obs["tcellmil_top_cells"].value_counts().to_dict()
    {'other': 162, 'top': 18}
    >>> sc.tl.rank_genes_groups(adata, "tcellmil_top_cells", groups=["top"], reference="other", method="wilcoxon")
    """
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise ValueError(f"fraction={fraction!r} must be between 0 and 1")
    cells = attention_of_cells(adata, key)
    known = cells["attention"].notna().to_numpy()
    if not known.any():
        raise ValueError(f"no cell has attention under {key!r}: no replica held a patient out")
    order = np.lexsort((cells.index.to_numpy(dtype=str), -cells["attention"].to_numpy()))
    order = order[known[order]]
    sample = cells["sample"].iloc[order]
    size = sample.groupby(sample).transform("size").to_numpy()
    n_top = np.clip(np.round(fraction * size), 1, size - 1)
    mark = np.full(len(cells), -1)
    mark[order] = np.where(sample.groupby(sample).cumcount().to_numpy() < n_top, 0, 1)
    marks = pd.Categorical.from_codes(mark, categories=pd.Index([TOP, OTHER], dtype=object))
    message = f"{int((mark == 0).sum())} of {len(cells)} cells of {sample.nunique()} patients"
    return Result({}, message, obs={"": marks})
