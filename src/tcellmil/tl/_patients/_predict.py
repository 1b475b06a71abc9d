"""Predict patients that no replica has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil._docs import documented
from tcellmil._verbs import Result, verb
from tcellmil.tl._patients._predicted import OF_CELLS, of_cells, of_patients

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.model import TcellMIL


@documented
@verb(obsm=[""], obs=OF_CELLS)
def predict(
    adata: AnnData | MuData,
    model: AnnData | MuData | TcellMIL,
    *,
    key: str = _keys.TCELLMIL,
    key_added: str = _keys.TCELLMIL,
    copy: bool = False,
) -> Result:
    """Predict new patients with every replica of a fitted model: the mean over replicas and its spread.

    Reads the columns and the representation that the model was set up with; a label is not needed. The new cells must
    be in the same representation: score them with the first data set's regulons,
    ``tl.regulons(new, net=adata.uns["regulons"]["targets"])``. A cohort that the model does not know counts as none.

    Parameters
    ----------
    adata
        Cells of the new patients; a MuData where the model was fitted on one.
    model
        The AnnData or MuData that :func:`tcellmil.tl.fit_mil` wrote to, or a fitted :class:`tcellmil.model.TcellMIL`.
    key
        Name of the result in ``model``, where that is no TcellMIL.
    key_added
        Name of the result in ``adata``.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written: ``uns[key_added]["predictions"]`` (one row per patient:
    ``prob_<class>``, the mean over replicas, ``prob_sd``, their standard deviation, ``n_replicas``),
    ``uns[key_added]["embedding"]`` and ``["params"]``, ``obs["tcellmil_attention"]``,
    ``obs["tcellmil_attention_relative"]`` and ``obsm["X_tcellmil"]``, as :func:`tcellmil.tl.fit_mil` describes them.

    Raises
    ------
    KeyError, ValueError
        If something that the model reads is missing, not finite or has other features; ``adata`` is then unchanged.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> new = tm.datasets.pbmc_cohort(n_patients=6, n_cells=40, seed=1)
    >>> new.obs["patient"] = "new " + new.obs["patient"].astype(str)
    >>> tm.tl.regulons(new, net=adata.uns["regulons"]["targets"])
    >>> tm.tl.predict(new, adata)
    >>> tm.get.predictions(new).shape[0]
    6
    """
    from tcellmil.model._open import model_of
    from tcellmil.model._state import to_state

    fitted = model_of(model, key)
    bags, predicted = fitted.predict_new(adata)
    params = {**fitted.params(), "fit": to_state(fitted)["checksum"]}
    message = f"{bags.n_bags} patients by {len(fitted.stack)} replicas"
    return Result(of_patients(fitted, bags, predicted), message, params, *of_cells(bags, predicted))
