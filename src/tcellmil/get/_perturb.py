"""What tl.perturb wrote, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil._results import largest_first, rows_of, table_of

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

Part = Literal["patients", "stats", "pairs", "pair_stats"]
Direction = Literal["up", "down"]
OF_PAIRS = ("pairs", "pair_stats")
#: Column by whose size a table is sorted.
LED_BY = {"stats": "mean_delta", "pair_stats": "mean_epistasis"}
PAPER_DOSE = 3


@documented
def perturb(
    adata: AnnData | MuData,
    part: Part = "patients",
    *,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
    regulons: str | Sequence[str] | None = None,
    direction: Direction | None = None,
    n_mad: float | None = None,
) -> pd.DataFrame:
    """Change of the predictions under in-silico perturbation, as :func:`tcellmil.tl.perturb` wrote it.

    Parameters
    ----------
    adata
        AnnData or MuData with a result of :func:`tcellmil.tl.perturb`.
    part
        ``"patients"``: one row per patient, regulon, direction and dose. ``"stats"``: the tests over patients, one row
        per regulon, direction and dose. ``"pairs"`` and ``"pair_stats"``: the same of two regulons together, where
        ``combine=2`` was used.
    %(key)s
    %(result_key)s
    regulons
        Only this regulon, or these; of pairs, those with at least one of these.
    direction
        Only ``"up"`` or ``"down"``.
    n_mad
        Only the shifts by so many units: median absolute deviations, or what ``spread`` says.

    Returns
    -------
    A copy. ``"patients"``: index ``(patient, regulon, direction, n_mad)``, columns ``prob_base``, ``prob``, ``delta``,
    ``delta_logit``. ``"stats"``: index ``(regulon, direction, n_mad)``, columns ``n_patients``, ``mean_delta``,
    ``median_delta``, ``mean_delta_logit``, ``statistic``, ``p``, ``padj``, ``mad``, ``unit`` (the shift for
    ``n_mad=1``), ``spread`` (``"mad"``, or ``"sd"`` where the MAD is 0 and the unit is 0.6745 standard deviations;
    empty where the regulon is the same in all cells), ``movable``, ``target_class``; the largest absolute
    ``mean_delta`` (of pairs, ``mean_epistasis``) first. A shift by ``"sd"`` changes predictions more: compare sizes
    within ``spread``.

    Of pairs, the index has ``regulon_1`` and ``regulon_2`` in place of ``regulon``, and there are also ``epistasis``
    and ``epistasis_logit`` (of the statistics: ``mean_epistasis``, ``median_epistasis``, ``mean_epistasis_logit``,
    which is what is tested, and no ``mad``, ``unit`` or ``spread``).

    Where the outcome is a number or a time to event, ``value_base`` and ``value`` (the number, or the log hazard) stand
    in place of ``prob_base`` and ``prob``, there are no columns of logits, and the statistics have ``outcome``.

    Raises
    ------
    %(no_rows)s
    ValueError
        If ``part`` or ``direction`` is not known, or ``n_mad`` is none of the doses.

    Warns
    -----
    %(left_out)s
    %(no_skill)s

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.perturb(adata)
    >>> len(tm.get.perturb(adata, direction="up"))  # patients
    6
    >>> tm.get.perturb(adata, "stats").index.tolist()
    [('IRF7', 'up', 3.0), ('IRF7', 'down', 3.0)]
    """
    check_choice(part, get_args(Part), "part")
    pairs = part in OF_PAIRS
    names = ["regulon_1", "regulon_2"] if pairs else ["regulon"]
    index = [*names, "direction", "n_mad"] if part.endswith("stats") else ["patient", *names, "direction", "n_mad"]
    table = table_of(adata, "perturb", part, index, key, result_key, *(["combine=2"] if pairs else []))
    if part in LED_BY:
        table = largest_first(table, LED_BY[part])
    doses = sorted(table.index.get_level_values("n_mad").unique())
    table = rows_of(table, names, regulons)
    if direction is not None:
        check_choice(direction, get_args(Direction), "direction")
        table = table[table.index.get_level_values("direction") == direction]
    if n_mad is not None:
        if n_mad not in doses:
            raise ValueError(f"n_mad={n_mad!r} is not one of the doses; there are {', '.join(f'{d:g}' for d in doses)}")
        table = table[table.index.get_level_values("n_mad") == n_mad]
    return table


def nearest_dose(doses: pd.Series | pd.Index, to: float = PAPER_DOSE) -> float:
    """The dose nearest to the paper's; of two as near, the smaller."""
    doses = np.sort(pd.unique(doses))
    return float(doses[np.abs(doses - to).argmin()])
