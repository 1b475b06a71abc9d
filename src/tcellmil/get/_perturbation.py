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

PAPER_DOSE = 3


def perturbation(
    adata: AnnData,
    key: str = _keys.TCELLMIL,
    stats: bool = False,
    regulons: str | Sequence[str] | None = None,
    direction: Literal["up", "down"] | None = None,
    perturbation_key: str | None = None,
    *,
    n_mad: float | None = None,
    pairs: bool = False,
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
        Only this regulon, or these; of pairs, those with this regulon, or with at least one of these.
    direction
        Only ``"up"`` or ``"down"``.
    perturbation_key
        The ``key_added`` of :func:`tcellmil.tl.perturb`, where one was given; then ``key`` does not matter.
    n_mad
        Only the shifts by so many median absolute deviations.
    pairs
        Return the pairs of ``tl.perturb(..., combine=2)`` and not the regulons alone.

    Returns
    -------
    A copy, one row a patient, regulon, direction and dose: ``patient``, ``regulon``, ``direction``, ``n_mad``,
    ``prob_base``, ``prob``, ``delta``, ``delta_logit``. With ``stats=True`` one row a regulon, direction and dose:
    ``regulon``, ``direction``, ``n_mad``, ``n_patients``, ``mean_delta``, ``median_delta``, ``mean_delta_logit``,
    ``statistic``, ``p``, ``padj``, ``mad``, ``movable``, ``target_class``.

    With ``pairs=True``, ``regulon_1`` and ``regulon_2`` in place of ``regulon`` and, after the changes,
    ``epistasis`` and ``epistasis_logit`` (of the statistics: ``mean_epistasis``, ``median_epistasis``,
    ``mean_epistasis_logit``, which is what is tested, and no ``mad``).

    Where the outcome is a number or a time to event, ``value_base`` and ``value`` (the number, or the log hazard) stand
    in place of ``prob_base`` and ``prob``, there are no columns of logits, and the statistics have ``outcome``.

    Raises
    ------
    KeyError
        If nothing was written under ``key``, or a regulon was not perturbed.
    ValueError
        If ``direction`` is not known, or ``n_mad`` is none of the doses.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.tl.perturb(adata)
    >>> tm.get.perturbation(adata, direction="up")["patient"].nunique()
    6
    """
    place = _keys.perturbation(key) if perturbation_key is None else perturbation_key
    place = _keys.pairs_of(place) if pairs else place
    table = check_result(adata, _keys.stats_of(place) if stats else place, _verb(key, perturbation_key, pairs))
    keep = np.ones(len(table), dtype=bool)
    if regulons is not None:
        wanted = [regulons] if isinstance(regulons, str) else list(regulons)
        members = table[["regulon_1", "regulon_2"] if pairs else ["regulon"]]
        there = pd.unique(members.to_numpy().ravel())
        unknown = [name for name in wanted if name not in there]
        if unknown:
            raise KeyError(f"regulons {some(unknown)} were not perturbed; there are {some(there)}")
        keep &= members.isin(wanted).any(axis=1).to_numpy()
    if direction is not None:
        check_choice(direction, ("up", "down"), "direction")
        keep &= (table["direction"] == direction).to_numpy()
    if n_mad is not None:
        doses = sorted(table["n_mad"].unique())
        if n_mad not in doses:
            raise ValueError(f"n_mad={n_mad!r} is not one of the doses; there are {', '.join(f'{d:g}' for d in doses)}")
        keep &= (table["n_mad"] == n_mad).to_numpy()
    return table[keep].reset_index(drop=True)


def nearest_dose(doses: pd.Series, to: float = PAPER_DOSE) -> float:
    """The dose nearest to the paper's; of two as near, the smaller."""
    doses = np.sort(pd.unique(doses))
    return float(doses[np.abs(doses - to).argmin()])


def _verb(key: str, perturbation_key: str | None, pairs: bool) -> str:
    combine = ", combine=2" if pairs else ""
    if perturbation_key is not None:
        return f"tl.perturb(adata{combine}, key_added={perturbation_key!r})"
    return f"tl.perturb(adata{combine})" if key == _keys.TCELLMIL else f"tl.perturb(adata{combine}, key={key!r})"
