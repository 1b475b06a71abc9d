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
    perturbation_key: str | None = None,
) -> pd.DataFrame:
    """Change of the predictions under in-silico perturbation, as :func:`tcellmil.tl.perturb` wrote it.

    Parameters
    ----------
    adata
        Cells with ``uns[key + "_perturbation"]`` and, beside it, its ``_stats``.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`, whose model was perturbed.
    stats
        Return the tests over patients and not the patients.
    regulons
        Only this regulon, or these.
    direction
        Only ``"up"`` or ``"down"``.
    perturbation_key
        The ``key_added`` of :func:`tcellmil.tl.perturb`, where one was given; then ``key`` does not matter.

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
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, max_epochs_ae=2, progress=False)
    >>> tm.tl.perturb(adata)
    >>> tm.get.perturbation(adata, direction="up")["patient"].nunique()
    6
    """
    place = _keys.perturbation(key) if perturbation_key is None else perturbation_key
    table = check_result(adata, _keys.stats_of(place) if stats else place, _verb(key, perturbation_key))
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


def _verb(key: str, perturbation_key: str | None) -> str:
    if perturbation_key is not None:
        return f"tl.perturb(adata, key_added={perturbation_key!r})"
    return "tl.perturb(adata)" if key == _keys.TCELLMIL else f"tl.perturb(adata, key={key!r})"
