"""What tl.perturb wrote, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, check_result, some

if TYPE_CHECKING:
    from anndata import AnnData


def perturbation(
    adata: AnnData,
    key: str = _keys.TCELLMIL,
    stats: bool = False,
    regulons: str | Sequence[str] | None = None,
    direction: Literal["up", "down"] | None = None,
) -> pd.DataFrame:
    """Change of the predictions under in-silico perturbation, as :func:`tcellmil.tl.perturb` wrote it.

    Parameters
    ----------
    adata
        Cells with ``uns[key + "_perturbation"]``.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`, whose model was perturbed.
    stats
        Return the tests over patients and not the patients.
    regulons
        Only this regulon, or these.
    direction
        Only ``"up"`` or ``"down"``.

    Returns
    -------
    A copy, one row a patient, regulon and direction: ``patient``, ``regulon``, ``direction``, ``prob_base``, ``prob``,
    ``delta``, ``delta_logit``. With ``stats=True`` one row a regulon and direction: ``regulon``, ``direction``,
    ``n_patients``, ``mean_delta``, ``median_delta``, ``mean_delta_logit``, ``statistic``, ``p``, ``padj``, ``mad``,
    ``movable``.

    Raises
    ------
    KeyError
        If nothing was written under ``key``, or a regulon was not perturbed.
    ValueError
        If ``direction`` is not known.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.fit_mil(adata, "patient", "response", use_rep="X_pca", cv=3, max_epochs=2, max_epochs_ae=2)
    >>> tm.tl.perturb(adata)
    >>> tm.get.perturbation(adata, direction="up")["patient"].nunique()
    6
    """
    place = _keys.perturbation_stats(key) if stats else _keys.perturbation(key)
    verb = "tl.perturb(adata)" if key == _keys.TCELLMIL else f"tl.perturb(adata, key={key!r})"
    table = check_result(adata, place, verb)
    keep = np.ones(len(table), dtype=bool)
    if regulons is not None:
        wanted = [regulons] if isinstance(regulons, str) else list(regulons)
        there = table["regulon"].unique()
        unknown = [name for name in wanted if name not in there]
        if unknown:
            raise KeyError(f"regulons {some(unknown)} were not perturbed; there are {some(there)}")
        keep &= table["regulon"].isin(wanted).to_numpy()
    if direction is not None:
        check_choice(direction, ("up", "down"), "direction")
        keep &= (table["direction"] == direction).to_numpy()
    return table[keep].reset_index(drop=True)
