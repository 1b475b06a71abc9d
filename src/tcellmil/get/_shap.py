"""What tl.shap wrote, as tables and as the shap library's own object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, check_obs_column, check_result, some

if TYPE_CHECKING:
    import shap as shap_library
    from anndata import AnnData

PARTS = ("patients", "difference", "stats", "additivity")


def shap(
    adata: AnnData,
    part: str = "patients",
    key: str = _keys.TCELLMIL,
    *,
    regulons: str | Sequence[str] | None = None,
    shap_key: str | None = None,
) -> pd.DataFrame:
    """SHAP values summarised over the cells of each patient, as :func:`tcellmil.tl.shap` wrote them.

    Parameters
    ----------
    adata
        Cells with ``uns[key + "_shap"]``.
    part
        ``"patients"``: a row a patient, regulon and class with ``mean``, ``weighted_mean``, ``weighted_abs`` and
        ``total``. ``"difference"``: a row a patient and regulon, positive minus other classes. ``"stats"``: a row a
        regulon. ``"additivity"``: a row a patient.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`.
    regulons
        Only this regulon, or these.
    shap_key
        The ``key_added`` of :func:`tcellmil.tl.shap`, where one was given; then ``key`` does not matter.

    Returns
    -------
    A copy of the table.

    Raises
    ------
    KeyError
        If nothing was written, or a regulon is not there.
    ValueError
        If ``part`` is not known.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.tl.shap(adata, level="bag", background=100, progress=False)
    >>> tm.get.shap(adata, "stats")["regulon"].tolist()
    ['IRF7']
    """
    check_choice(part, PARTS, "part")
    table = stored_shap(adata, key, shap_key)[part]
    if regulons is None or part == "additivity":
        return table.copy()
    wanted = [regulons] if isinstance(regulons, str) else list(regulons)
    there = table["regulon"].unique()
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise KeyError(f"regulons {some(unknown)} have no SHAP values; there are {some(there)}")
    return table[table["regulon"].isin(wanted)].reset_index(drop=True)


def shap_explanation(
    adata: AnnData, key: str = _keys.TCELLMIL, *, shap_key: str | None = None
) -> shap_library.Explanation:
    """SHAP values of the cells as a :class:`shap.Explanation`, for the plots of the shap library.

    Parameters
    ----------
    adata
        Cells with ``obsm["X_shap"]``, ``uns[key + "_shap"]`` and the representation that the model was fitted on.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`.
    shap_key
        The ``key_added`` of :func:`tcellmil.tl.shap`, where one was given.

    Returns
    -------
    Values ``(n_cells, n_regulons)`` of the target class, with the activities as data and the background's expected
    output of the cell's patient as base values. Cells without values are left out.

    Raises
    ------
    KeyError
        If nothing was written.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.tl.shap(adata, background=100, n_samples=20, progress=False)
    >>> tm.get.shap_explanation(adata).shape
    (180, 1)
    """
    from shap import Explanation

    from tcellmil.data._read import read_features

    result = stored_shap(adata, key, shap_key)
    values = shap_of_cells(adata, key, shap_key)
    params = adata.uns[result["params"]["key"]]["params"]
    known = np.isfinite(values).all(axis=1)
    x = read_features(adata, params["use_rep"])[0][known]
    expected = result["additivity"].set_index("patient")["expected"]
    patient = check_obs_column(adata, params["sample_key"], "sample_key").astype(str)[known]
    return Explanation(
        values=values[known].to_numpy(),
        base_values=expected.reindex(patient).to_numpy(),
        data=x,
        feature_names=list(values.columns),
    )


def shap_of_cells(adata: AnnData, key: str, shap_key: str | None) -> pd.DataFrame:
    """SHAP values of the target class, cells x regulons, with names."""
    place = _keys.shap_values(key) if shap_key is None else _keys.representation(shap_key)
    if place not in adata.obsm:
        raise KeyError(f"adata.obsm has no {place!r}; run {_verb(key, shap_key)} first")
    names = stored_shap(adata, key, shap_key)["stats"]["regulon"]
    return pd.DataFrame(adata.obsm[place], index=adata.obs_names, columns=list(names))


def stored_shap(adata: AnnData, key: str, shap_key: str | None) -> dict:
    """What tl.shap wrote to uns, not a copy."""
    return check_result(adata, _keys.shap(key) if shap_key is None else shap_key, _verb(key, shap_key))


def _verb(key: str, shap_key: str | None) -> str:
    if shap_key is not None:
        return f"tl.shap(adata, key_added={shap_key!r})"
    return "tl.shap(adata)" if key == _keys.TCELLMIL else f"tl.shap(adata, key={key!r})"
