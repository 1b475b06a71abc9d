"""What tl.attention_stability wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from tcellmil import _keys
from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil._results import table_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

Part = Literal["attention", "regulators", "top"]
INDEX = {"attention": ["patient", "across"], "regulators": "across", "top": ["across", "regulon"]}


@documented
def attention_stability(
    adata: AnnData | MuData, part: Part = "attention", *, key: str = _keys.TCELLMIL, result_key: str | None = None
) -> pd.DataFrame:
    """Agreement between seeds and between folds, as :func:`tcellmil.tl.attention_stability` wrote it.

    Parameters
    ----------
    adata
        AnnData or MuData with a result of :func:`tcellmil.tl.attention_stability`.
    part
        ``"attention"``: one row per patient. ``"regulators"``: one row for the seeds and one for the folds. ``"top"``:
        one row per regulon, the most important first.
    %(key)s
    %(result_key)s

    Returns
    -------
    A copy. The index is ``(patient, across)`` of ``"attention"``, ``across`` of ``"regulators"`` and ``(across,
    regulon)`` of ``"top"``; ``across`` is ``"seeds"`` or ``"folds"``. For the columns see
    :func:`tcellmil.tl.attention_stability`.

    Raises
    ------
    %(no_result)s
    %(unknown_part)s

    Warns
    -----
    %(left_out)s

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, n_seeds=2, training={"max_epochs": 3}, progress=False)
    >>> tm.tl.attention_stability(adata)
    >>> tm.get.attention_stability(adata, "regulators")["n_groups"].to_dict()
    {'seeds': 2, 'folds': 6}
    """
    check_choice(part, get_args(Part), "part")
    return table_of(adata, "attention_stability", part, INDEX[part], key, result_key)
