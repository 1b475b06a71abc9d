"""Which cells are good enough to enter the analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from tcellmil._checks import check_adata, some
from tcellmil._docs import documented
from tcellmil._log import logger, warn
from tcellmil._matrix import native, row_blocks
from tcellmil.pp._values import checked_values, holds_logarithms, name_of
from tcellmil.regulons._symbols import gene_names

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from tcellmil._matrix import Block, Matrix

# No cell has ten million counts, nor values on a scale of more (TPM and CPM add up to a million): the base is another.
MAX_TOTAL = 1e7
CELLS = 10_000  # of a sparse matrix, described at a time


@documented
def qc(
    adata: AnnData,
    max_mito: float = 15.0,
    min_genes: int = 300,
    max_genes: int = 10_000,
    mito_prefix: str | Sequence[str] = ("MT-", "mt-"),
    layer: str | None = None,
    gene_symbols: str | None = None,
    base: float | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Remove cells with many mitochondrial counts, and cells with few or very many detected genes.

    Reads counts from ``adata.X`` or a layer, removes cells in place and logs how many failed each filter.

    Parameters
    ----------
    adata
        Cells x genes. Counts, or values on a linear scale. Log-normalised values have their logarithm undone for
        the mitochondrial percentage, with a warning; the number of detected genes is the same either way.
    max_mito
        Highest percentage of counts from mitochondrial genes, 0 to 100.
    min_genes, max_genes
        Lowest and highest number of genes with a count above 0.
    mito_prefix
        How the names of mitochondrial genes begin.
    %(layer)s
    %(gene_symbols_as_names)s
    base
        Base of the logarithm, above 1, where the values are ``log(1 + x)``: 2 for log2(TPM + 1). By default values that
        are neither whole numbers nor above 30 are taken as logarithms, to the base in ``adata.uns["log1p"]``, else
        natural ones.
    %(copy)s

    Returns
    -------
    None, or the changed copy with ``copy=True``. Sets ``obs["n_genes_by_counts"]`` and ``obs["pct_counts_mt"]``
    (NaN where no gene is mitochondrial).

    Raises
    ------
    KeyError
        If the layer or the column ``gene_symbols`` does not exist.
    ValueError
        If values are negative, NaN or infinite, or sparse indices out of range; if a threshold is out of range; if a
        cell would have over ten million counts once the logarithm is undone, so that it must have another base; if
        ``obs_names`` are those of the genes; if no cell would be left.

    References
    ----------
    The thresholds are those of Tsui et al. (2025), section 2.3.

    Examples
    --------
    >>> import tcellmil as tm
    >>> import scanpy as sc
    >>> adata = sc.AnnData(sc.datasets.blobs(n_variables=400, n_observations=5).X.clip(0).round())
    >>> adata.var_names = ["MT-ND1", *adata.var_names[1:]]
    >>> tm.pp.qc(adata, min_genes=10)
    >>> adata.obs.columns.tolist()
    ['n_genes_by_counts', 'pct_counts_mt']
    """
    check_adata(adata)
    if not adata.n_obs:
        raise ValueError("adata has no cells; there is nothing to filter")
    if not 0 <= max_mito <= 100:
        raise ValueError(f"max_mito={max_mito} must be a percentage between 0 and 100")
    if not 0 <= min_genes <= max_genes:
        raise ValueError(f"min_genes={min_genes} must be between 0 and max_genes={max_genes}")
    if base is not None and not (isinstance(base, Real) and 1 < base < np.inf):
        raise ValueError(f"base={base!r} must be the base of a logarithm, above 1")
    genes = gene_names(adata.var, gene_symbols)
    prefixes = (mito_prefix,) if isinstance(mito_prefix, str) else tuple(mito_prefix)
    is_mito = genes.str.startswith(prefixes)
    if not is_mito.any() and (n := int(adata.obs_names.str.startswith(prefixes).sum())):
        raise ValueError(
            f"{n} obs_names begin with {mito_prefix!r}, and no gene: this is genes x cells; transpose it, "
            "adata = adata.T.copy()"
        )
    matrix, log_base = _checked_values(adata, layer, linear=is_mito.any(), base=base)
    metrics = _metrics(matrix, log_base, is_mito)
    if log_base is not None:
        _check_logarithm(metrics["total_counts"].max(), log_base, layer, base)

    failed = {
        f"over {max_mito:g}% mitochondrial counts": metrics["pct_counts_mt"] > max_mito,
        f"under {min_genes:,} genes": metrics["n_genes_by_counts"] < min_genes,
        f"over {max_genes:,} genes": metrics["n_genes_by_counts"] > max_genes,
    }
    keep = ~np.logical_or.reduce(list(failed.values()))
    summary = ", ".join(f"{int(mask.sum())} with {what}" for what, mask in failed.items())
    if not keep.any():
        raise ValueError(f"none of the {adata.n_obs} cells would be left: {summary}; loosen the thresholds")
    if not is_mito.any():
        warn(
            f"no gene name begins with {mito_prefix!r}, so no cell is filtered by mitochondrial counts; "
            f"the names look like {some(genes, 3)}; if a column of adata.var holds symbols, pass gene_symbols=...",
        )

    adata = adata.copy() if copy else adata
    for column in ("n_genes_by_counts", "pct_counts_mt"):
        adata.obs[column] = metrics[column].to_numpy()
    if not keep.all():
        adata._inplace_subset_obs(keep)
    logger.info(f"qc: removed {int((~keep).sum())} of {len(keep)} cells ({summary})")
    return adata if copy else None


def _checked_values(adata: AnnData, layer: str | None, linear: bool, base: float | None) -> tuple[Matrix, float | None]:
    """Return ``X`` or the layer, and the base of its logarithm if that has to be undone, as with ``linear`` it has."""
    matrix, high = checked_values(adata, layer)
    if not linear or (base is None and not holds_logarithms(matrix, high)):
        return matrix, None
    recorded = adata.uns.get("log1p")
    recorded = recorded.get("base") if isinstance(recorded, Mapping) else None
    return matrix, float(base or recorded or np.e)


def _check_logarithm(total: float, log_base: float, layer: str | None, base: float | None) -> None:
    """Raise where no cell can have so many counts, and warn where the base is not what the user said."""
    name = name_of(layer)
    if not total <= MAX_TOTAL:
        raise ValueError(
            f"{name} does not hold counts, and taken as log(1 + x) to base {log_base:.4g} a cell would have "
            f"{total:.3g} counts, which no cell has. Give the base of its logarithm (base=2 for log2(TPM + 1)), or "
            "name a layer with counts: layer=..."
        )
    if base is None:
        warn(
            f"{name} does not hold counts; it is taken as log(1 + x) to base {log_base:.4g}, and the logarithm is "
            "undone for the mitochondrial percentage. Name a layer with counts if there is one, layer=..., or give its "
            "base",
        )


def _metrics(matrix: Matrix, log_base: float | None, is_mito: np.ndarray) -> pd.DataFrame:
    import pandas as pd
    import scanpy as sc
    from anndata import AnnData

    # On AnnDatas of its own: scanpy wants the mask in `var`, and the user's stays as it is until the end.
    genes = pd.DataFrame({"mt": is_mito}, index=pd.RangeIndex(len(is_mito)).astype(str))
    options = {"qc_vars": ["mt"], "percent_top": None, "log1p": False}
    size = CELLS if sparse.issparse(matrix) else None
    if isinstance(matrix, np.ndarray) and not matrix.flags.c_contiguous:
        # It stays whole: numpy adds up one row of such an array in another order than several.
        size = max(1, len(matrix))
    blocks = row_blocks(matrix, size)
    tables = (AnnData(_linear(block, log_base), var=genes) for _, block in blocks)
    metrics = pd.concat([sc.pp.calculate_qc_metrics(table, **options)[0] for table in tables], ignore_index=True)
    if not is_mito.any():
        metrics["pct_counts_mt"] = np.nan
    return metrics


def _linear(block: Block, log_base: float | None) -> np.ndarray | sparse.csr_matrix:
    """A copy, without the logarithm: scanpy drops stored zeros in place, and adds up in the type of the values."""
    block = block if sparse.issparse(block) else native(block)
    if log_base is not None:
        natural = block.astype(np.float64) * np.log(log_base)
        block = natural.expm1() if sparse.issparse(natural) else np.expm1(natural)
    # scanpy 1.11 counts genes of a sparse matrix, not of a sparse array.
    return sparse.csr_matrix(block, copy=True) if sparse.issparse(block) else block
