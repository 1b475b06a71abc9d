"""What tl.attention_enrichment and tl.attention_correlation wrote, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from tcellmil import _keys
from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil._results import largest_first, rows_of, table_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

Part = Literal["patients", "stats"]
INDEX = {"patients": ["patient", "group"], "stats": "group"}


@documented
def attention_enrichment(
    adata: AnnData | MuData,
    part: Part = "patients",
    *,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
    groups: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Attention of groups of cells against permuted groups, as :func:`tcellmil.tl.attention_enrichment` wrote it.

    Parameters
    ----------
    adata
        AnnData or MuData with a result of :func:`tcellmil.tl.attention_enrichment`.
    part
        ``"patients"``: one row per patient and group. ``"stats"``: the tests over patients, one row per group.
    %(key)s
    %(result_key)s
    groups
        Only this group, or these.

    Returns
    -------
    A copy. ``"patients"``: index ``(patient, group)``, columns ``label``, ``n_cells``, ``observed``, ``null``,
    ``difference``, ``excess``, ``p``, ``padj``. ``"stats"``: index ``group``, columns ``n_patients``,
    ``mean_difference``, ``median_difference``, ``mean_excess``, ``statistic``, ``p``, ``padj``, the last three with
    ``_difference`` behind (the paper's test), ``n_enriched``; the largest absolute ``median_difference`` first.

    Raises
    ------
    %(no_rows)s
    %(unknown_part)s

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
    >>> tm.tl.attention_enrichment(adata, "cell_type", n_permutations=100)
    >>> tm.get.attention_enrichment(adata, "stats").columns[:3].tolist()
    ['n_patients', 'mean_difference', 'median_difference']
    """
    check_choice(part, get_args(Part), "part")
    table = table_of(adata, "attention_enrichment", part, INDEX[part], key, result_key)
    return rows_of(largest_first(table, "median_difference") if part == "stats" else table, "group", groups)


@documented
def attention_correlation(
    adata: AnnData | MuData,
    *,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
    regulons: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Correlation of every regulon with attention, as :func:`tcellmil.tl.attention_correlation` wrote it.

    Parameters
    ----------
    adata
        AnnData or MuData with a result of :func:`tcellmil.tl.attention_correlation`.
    %(key)s
    %(result_key)s
    %(only_regulons)s

    Returns
    -------
    A copy, one row per regulon (index ``regulon``): ``tau``, ``rho`` (over all cells), ``tau_within`` and
    ``rho_within`` (mean over patients), each with ``_p`` and ``_padj``; ``n_patients``; and, with mixed models,
    ``mixed_coef``, ``mixed_se``, ``mixed_p``, ``mixed_padj``, ``mixed_status``; the largest absolute ``tau_within``
    first.

    Raises
    ------
    %(no_rows)s

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
    >>> tm.tl.attention_correlation(adata, mixed_model=False)
    >>> tm.get.attention_correlation(adata)["n_patients"].to_dict()
    {'IRF7': 6}
    """
    table = table_of(adata, "attention_correlation", "regulons", "regulon", key, result_key)
    return rows_of(largest_first(table, "tau_within"), "regulon", regulons)
