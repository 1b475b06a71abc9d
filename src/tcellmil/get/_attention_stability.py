"""What tl.attention_stability wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tcellmil import _keys
from tcellmil._checks import check_choice, check_result

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

PARTS = ("attention", "regulators", "top")


def attention_stability(
    adata: AnnData,
    key: str = _keys.TCELLMIL,
    part: Literal["attention", "regulators", "top"] = "attention",
    stability_key: str | None = None,
) -> pd.DataFrame:
    """Agreement between seeds and between folds, as :func:`tcellmil.tl.attention_stability` wrote it.

    Parameters
    ----------
    adata
        Cells that :func:`tcellmil.tl.attention_stability` wrote to.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`, whose replicas were compared.
    part
        ``"attention"``: a row a patient; ``"regulators"``: a row for the seeds and one for the folds; ``"top"``: a row
        a regulon, the most important first.
    stability_key
        The ``key_added`` of :func:`tcellmil.tl.attention_stability`, where one was given; then ``key`` does not matter.

    Returns
    -------
    A copy. Each part has a column ``across``, ``"seeds"`` or ``"folds"``; for the others see
    :func:`tcellmil.tl.attention_stability`.

    Raises
    ------
    KeyError
        If nothing was written under ``key``.
    ValueError
        If ``part`` is not known.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, n_seeds=2, max_epochs=3, progress=False)
    >>> tm.tl.attention_stability(adata)
    >>> tm.get.attention_stability(adata, part="regulators")[["across", "n_groups"]].values.tolist()
    [['seeds', 2], ['folds', 6]]
    """
    check_choice(part, PARTS, "part")
    return stability(adata, key, stability_key)[part].copy()


def stability(adata: AnnData, key: str, stability_key: str | None) -> dict:
    """All that the verb wrote, itself, not a copy, or a KeyError that names the verb."""
    place = _keys.attention_stability(key) if stability_key is None else stability_key
    return check_result(adata, place, _verb(key, stability_key))


def _verb(key: str, stability_key: str | None) -> str:
    if stability_key is not None:
        return f"tl.attention_stability(adata, key_added={stability_key!r})"
    return "tl.attention_stability(adata)" if key == _keys.TCELLMIL else f"tl.attention_stability(adata, key={key!r})"
