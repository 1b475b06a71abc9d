"""How many cells of each patient enter the analysis."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import check_adata, check_count, check_obs_column
from tcellmil._docs import documented
from tcellmil._log import logger

if TYPE_CHECKING:
    from anndata import AnnData


@documented
def subsample_bags(
    adata: AnnData, sample_key: str, n_cells: int = 600, seed: int = 0, copy: bool = False
) -> AnnData | None:
    """Keep at most ``n_cells`` random cells of each sample; small samples stay whole.

    Reads ``adata.obs[sample_key]``, removes cells in place and logs how many. The cells that stay keep their order.
    Which cells of a sample stay depends on their names and the seed only: not on the order of the table, nor on
    which other samples are in it.

    Parameters
    ----------
    adata
        Cells x genes.
    sample_key
        Column of ``adata.obs`` with the sample (patient) of each cell.
    n_cells
        Highest number of cells of a sample, at least 1.
    seed
        Seed of the draw, at least 0.
    %(copy)s

    Returns
    -------
    None, or the changed copy with ``copy=True``.

    Raises
    ------
    KeyError
        If ``adata.obs`` has no column ``sample_key``.
    ValueError
        If a cell has no sample, or ``n_cells`` is below 1.

    References
    ----------
    600 cells per patient is the choice of Tsui et al. (2025), section 2.2.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=50)
    >>> tm.pp.subsample_bags(adata, sample_key="patient", n_cells=40)
    >>> adata.obs["patient"].value_counts().unique().tolist()
    [40]
    """
    check_adata(adata)
    sample = check_obs_column(adata, sample_key, "sample_key")
    n_cells = check_count(n_cells, "n_cells")
    n_missing = int(sample.isna().sum())
    if n_missing:
        raise ValueError(
            f"{n_missing} of {adata.n_obs} cells have no sample in adata.obs[{sample_key!r}]; "
            f"drop them: adata = adata[adata.obs[{sample_key!r}].notna()].copy()"
        )

    keep = np.zeros(adata.n_obs, dtype=bool)
    n_whole = 0
    members_of = sample.groupby(sample, observed=True).indices
    for name, members in members_of.items():
        if len(members) <= n_cells:
            n_whole += 1
            keep[members] = True
            continue
        # One stream per sample, and members by name, so that nothing else in the table changes the draw.
        rng = np.random.default_rng([seed, zlib.crc32(str(name).encode())])
        by_name = members[np.argsort(adata.obs_names[members].to_numpy())]
        keep[rng.choice(by_name, n_cells, replace=False)] = True

    adata = adata.copy() if copy else adata
    if not keep.all():
        adata._inplace_subset_obs(keep)
    logger.info(
        f"subsample_bags: removed {int((~keep).sum())} of {len(keep)} cells; "
        f"{n_whole} of {len(members_of)} samples had at most {n_cells} cells and stay whole"
    )
    return adata if copy else None
