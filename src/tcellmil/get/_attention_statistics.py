"""What tl.attention_enrichment and tl.attention_correlation wrote, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_result, some

if TYPE_CHECKING:
    from anndata import AnnData


def attention_enrichment(
    adata: AnnData,
    key: str = _keys.TCELLMIL,
    stats: bool = False,
    groups: str | Sequence[str] | None = None,
    enrichment_key: str | None = None,
) -> pd.DataFrame:
    """Attention of groups of cells against permuted groups, as :func:`tcellmil.tl.attention_enrichment` wrote it.

    Parameters
    ----------
    adata
        Cells with ``uns["attention_enrichment"]`` and, beside it, its ``_stats``.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`, whose attention was tested.
    stats
        Return the tests over patients and not the patients.
    groups
        Only this group, or these.
    enrichment_key
        The ``key_added`` of :func:`tcellmil.tl.attention_enrichment`, where one was given; then ``key`` does not
        matter.

    Returns
    -------
    A copy, one row a patient and group: ``patient``, ``group``, ``label``, ``n_cells``, ``observed``, ``null``,
    ``difference``, ``excess``, ``p``, ``padj``. With ``stats=True`` one row a group: ``group``, ``n_patients``,
    ``mean_difference``, ``median_difference``, ``mean_excess``, ``statistic``, ``p``, ``padj``, the same with
    ``_difference`` behind (the paper's test), ``n_enriched``.

    Raises
    ------
    KeyError
        If nothing was written under ``key``, or there is no such group.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.tl.attention_enrichment(adata, "cell_type", n_permutations=100)
    >>> tm.get.attention_enrichment(adata, stats=True).columns[:3].tolist()
    ['group', 'n_patients', 'mean_difference']
    """
    place = _keys.attention_enrichment(key) if enrichment_key is None else enrichment_key
    verb = _verb("attention_enrichment", "groupby", key, enrichment_key)
    return _rows(check_result(adata, _keys.stats_of(place) if stats else place, verb), "group", groups)


def attention_correlation(
    adata: AnnData,
    key: str = _keys.TCELLMIL,
    regulons: str | Sequence[str] | None = None,
    correlation_key: str | None = None,
) -> pd.DataFrame:
    """Correlation of every regulon with attention, as :func:`tcellmil.tl.attention_correlation` wrote it.

    Parameters
    ----------
    adata
        Cells with ``uns["attention_correlation"]``.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`, whose attention was correlated.
    regulons
        Only this regulon, or these.
    correlation_key
        The ``key_added`` of :func:`tcellmil.tl.attention_correlation`, where one was given; then ``key`` does not
        matter.

    Returns
    -------
    A copy, one row a regulon: ``regulon``, then ``tau``, ``rho`` (over all cells), ``tau_within`` and ``rho_within``
    (mean over patients), each with ``_p`` and ``_padj``; ``n_patients``; and, with mixed models, ``mixed_coef``,
    ``mixed_se``, ``mixed_p``, ``mixed_padj``, ``mixed_status``.

    Raises
    ------
    KeyError
        If nothing was written under ``key``, or there is no such regulon.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.tl.attention_correlation(adata, mixed_model=False)
    >>> tm.get.attention_correlation(adata)["n_patients"].item()
    6
    """
    place = _keys.attention_correlation(key) if correlation_key is None else correlation_key
    verb = _verb("attention_correlation", None, key, correlation_key)
    return _rows(check_result(adata, place, verb), "regulon", regulons)


def _rows(table: pd.DataFrame, column: str, wanted: str | Sequence[str] | None) -> pd.DataFrame:
    if wanted is None:
        return table.copy()
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    there = table[column].unique()
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise KeyError(f"{column}s {some(unknown)} are not in the table; there are {some(there)}")
    return table[table[column].isin(wanted)].reset_index(drop=True)


def _verb(name: str, argument: str | None, key: str, place: str | None) -> str:
    arguments = ["adata"] if argument is None else ["adata", f"{argument}=..."]
    if place is not None:
        arguments.append(f"key_added={place!r}")
    elif key != _keys.TCELLMIL:
        arguments.append(f"key={key!r}")
    return f"tl.{name}({', '.join(arguments)})"
