"""Gene regulatory network of an AnnData."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_adata, check_result
from tcellmil._docs import documented
from tcellmil._verbs import Result, verb
from tcellmil.regulons import edge_correlation, infer_grn, load_tf_names
from tcellmil.regulons._grn import Species
from tcellmil.tl._scenic._genes import check_names_match, named_expression

if TYPE_CHECKING:
    from anndata import AnnData


@documented
@verb()
def grn(
    adata: AnnData,
    tf_names: Species | str | Path | Iterable[str] = "human",
    layer: str | None = None,
    gene_symbols: str | None = None,
    seed: int = 0,
    key_added: str = _keys.GRN,
    copy: bool = False,
) -> Result:
    """Infer which transcription factor regulates which gene, and whether it activates or represses it.

    Reads ``adata.X`` or a layer and writes to ``adata.uns[key_added]``. Edges come from GRNBoost2
    (:func:`tcellmil.regulons.infer_grn`), their sign from the Pearson correlation over all cells.

    Parameters
    ----------
    adata
        Cells x genes, counts or log-normalised, sparse or dense.
    tf_names
        ``"human"``, ``"mouse"``, the path of a file with one name per line, or the names, in any order.
    %(layer)s
    %(gene_symbols)s
    seed
        Seed of the trees.
    key_added
        Key of ``adata.uns``.
    %(copy)s

    Returns
    -------
    None, or the changed copy with ``copy=True``. Sets

    - ``uns[key_added]["edges"]``: DataFrame, one row per edge, the most important first: ``TF, target, importance,
      rho`` (NaN where a gene does not vary),
    - ``uns[key_added]["params"]``: the arguments.

    Raises
    ------
    KeyError
        If the layer or the column ``gene_symbols`` does not exist.
    ValueError
        If ``adata`` is a view, backed, or its names are not unique; if values are not finite, or sparse indices out of
        range; if no factor is among the genes.

    References
    ----------
    Moerman et al. (2019), Bioinformatics 35, 2159; Van de Sande et al. (2020), Nature Protocols 15, 2247.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.grn(adata, tf_names=["IRF7", "SPI1"])
    >>> tm.get.grn(adata).columns.tolist()
    ['importance', 'rho']
    """
    check_adata(adata)
    X, genes = named_expression(adata, layer, gene_symbols, "grn")
    tf_names = tf_names if isinstance(tf_names, str | Path) else load_tf_names(tf_names)
    check_names_match(load_tf_names(tf_names), "transcription factors", genes, adata)
    edges = infer_grn(X, genes, tf_names, seed=seed)
    edges["rho"] = edge_correlation(edges, X, genes)
    message = (
        f"{len(edges)} edges from {edges['TF'].nunique()} transcription factors to {edges['target'].nunique()} targets "
        f"in {adata.n_obs} cells"
    )
    return Result({"edges": edges}, message, {"tf_names": tf_names})


def edges_of(adata: AnnData, grn_key: str) -> pd.DataFrame:
    """The network under ``grn_key``: what :func:`grn` wrote, or a table of edges from elsewhere."""
    result = check_result(adata, grn_key, "tl.grn")
    return result if isinstance(result, pd.DataFrame) else result["edges"]
