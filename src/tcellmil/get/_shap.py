"""What tl.shap wrote, as tables and as the shap library's own object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, check_obs_column
from tcellmil._docs import documented
from tcellmil._results import call_on, fit_part, largest_first, part_of, place_of, rows_of, table_of

if TYPE_CHECKING:
    import shap as shap_library
    from anndata import AnnData
    from mudata import MuData

Part = Literal["patients", "difference", "stats", "additivity"]
INDEX = {
    "patients": ["patient", "regulon", "class"],
    "difference": ["patient", "regulon"],
    "stats": "regulon",
    "additivity": "patient",
}


@documented
def shap(
    adata: AnnData | MuData,
    part: Part = "patients",
    *,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
    regulons: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """SHAP values summarised over the cells of each patient, as :func:`tcellmil.tl.shap` wrote them.

    Parameters
    ----------
    adata
        AnnData or MuData with a result of :func:`tcellmil.tl.shap`.
    part
        ``"patients"``: one row per patient, regulon and class with ``mean``, ``weighted_mean``, ``weighted_abs`` and
        ``total``. ``"difference"``: one row per patient and regulon, target class minus the others. ``"stats"``: one
        row per regulon. ``"additivity"``: one row per patient.
    %(key)s
    %(result_key)s
    %(only_regulons)s

    Returns
    -------
    A copy. The index is ``(patient, regulon, class)`` of ``"patients"``, ``(patient, regulon)`` of ``"difference"``,
    ``regulon`` of ``"stats"`` (the largest ``median_abs`` first), ``patient`` of ``"additivity"``. For the columns see
    :func:`tcellmil.tl.shap`.

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
    >>> tm.tl.shap(adata, level="bag", background=100, progress=False)
    >>> tm.get.shap(adata, "stats").index.tolist()
    ['IRF7']
    """
    check_choice(part, get_args(Part), "part")
    table = table_of(adata, "shap", part, INDEX[part], key, result_key)
    table = largest_first(table, "median_abs") if part == "stats" else table
    return table if part == "additivity" else rows_of(table, "regulon", regulons)


@documented
def shap_explanation(
    adata: AnnData | MuData, *, key: str = _keys.TCELLMIL, result_key: str | None = None
) -> shap_library.Explanation:
    """SHAP values of the cells as a :class:`shap.Explanation`, for the plots of the shap library.

    Parameters
    ----------
    adata
        AnnData or MuData with a result of :func:`tcellmil.tl.shap` and the representation that the model was fitted on.
    %(key)s
    %(result_key)s

    Returns
    -------
    Values ``(n_cells, n_regulons)`` of the target class, with the activities as data and the background's expected
    output of the cell's patient as base values. Cells without values are left out.

    Raises
    ------
    %(no_result)s

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.shap(adata, background=100, n_samples=20, progress=False)
    >>> tm.get.shap_explanation(adata).shape
    (180, 1)
    """
    from shap import Explanation

    from tcellmil.data._read import read_features

    values = shap_of_cells(adata, key, result_key)
    params = fit_part(adata, str(shap_params(adata, key, result_key)["key"]), "params")
    known = np.isfinite(values).all(axis=1)
    x, names = read_features(adata, params["use_rep"])
    place = {name: i for i, name in enumerate(names)}
    if set(values) <= set(place):  # columns of new patients may be in another order
        x = x[:, [place[name] for name in values]]
    expected = shap(adata, "additivity", key=key, result_key=result_key)["expected"]
    patient = check_obs_column(adata, params["sample_key"], "sample_key").astype(str)[known]
    return Explanation(
        values=values[known].to_numpy(),
        base_values=expected.reindex(patient).to_numpy(),
        data=x[known],
        feature_names=list(values.columns),
    )


def shap_of_cells(adata: AnnData | MuData, key: str, result_key: str | None) -> pd.DataFrame:
    """SHAP values of the target class, cells x regulons, with names."""
    place = _keys.representation(place_of("shap", key, result_key))
    if place not in adata.obsm:
        raise KeyError(f"adata.obsm has no {place!r}; run {call_on(adata, 'shap', key, result_key)} first")
    names = part_of(adata, "shap", "stats", key, result_key)["regulon"]
    return pd.DataFrame(adata.obsm[place], index=adata.obs_names, columns=list(names))


def shap_params(adata: AnnData | MuData, key: str, result_key: str | None) -> dict:
    """What tl.shap was called with."""
    return part_of(adata, "shap", "params", key, result_key)
