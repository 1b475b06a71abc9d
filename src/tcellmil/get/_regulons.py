"""Regulon activities as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tcellmil import _keys
from tcellmil._checks import is_mudata

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def regulons(adata: AnnData | MuData, key: str = _keys.REGULONS) -> pd.DataFrame:
    """Activity of every regulon in every cell, as :func:`tcellmil.tl.regulons` wrote it.

    Parameters
    ----------
    adata
        Cells with ``obsm["X_" + key]`` and ``uns[key]``, or a MuData with a modality ``key``.
    key
        The ``key_added`` of :func:`tcellmil.tl.regulons`.

    Returns
    -------
    DataFrame, cells x regulons, with the names of both.

    Raises
    ------
    KeyError
        If nothing was written under ``key``.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.get.regulons(adata).shape
    (180, 1)
    """
    if is_mudata(adata):
        if key not in adata.mod:
            raise KeyError(f"mdata has no modality {key!r}; run tl.regulons(mdata, key_added={key!r}) first")
        return adata.mod[key].to_df()
    representation = _keys.representation(key)
    if representation not in adata.obsm or key not in adata.uns:
        raise KeyError(f"no regulon activities under {key!r}; run tl.regulons(adata, key_added={key!r}) first")
    return pd.DataFrame(adata.obsm[representation], index=adata.obs_names, columns=list(adata.uns[key]["names"]))
