"""Predict patients that no replica has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil._checks import check_data
from tcellmil._docs import documented
from tcellmil._isolation import isolated
from tcellmil._log import logger

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.model import TcellMIL


@documented
@isolated
def predict(
    adata: AnnData | MuData,
    model: AnnData | MuData | TcellMIL,
    *,
    key: str = _keys.TCELLMIL,
    key_added: str = _keys.TCELLMIL,
    copy: bool = False,
) -> AnnData | MuData | None:
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
    ``uns[key_added]["params"]``, ``obs["tcellmil_attention"]`` and ``obsm["X_tcellmil"]``.

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
    check_data(adata)
    from tcellmil.model._open import model_of
    from tcellmil.model._tables import predictions_table

    fitted = model_of(model, key)
    if "weights" in adata.uns.get(key_added, {}):
        raise ValueError(
            f"adata.uns[{key_added!r}] holds a fitted model, which the predictions would replace; "
            "pass another key_added, or read out-of-fold predictions with tm.get.predictions"
        )
    bags, predicted = fitted.predict_new(adata)
    result = {
        "params": fitted.params(),
        "predictions": predictions_table(fitted.schema, bags, predicted),
    }
    adata = adata.copy() if copy else adata
    adata.obsm[_keys.representation(key_added)] = bags.to_input_order(predicted.latent)
    adata.obs[_keys.of_fit(key_added, _keys.ATTENTION)] = bags.to_input_order(predicted.attention)
    adata.uns[key_added] = result
    logger.info(f"predict: {bags.n_bags} patients by {len(fitted.stack)} replicas")
    return adata if copy else None
