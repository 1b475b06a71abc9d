"""What the verbs that explain predictions open: a fit, or predictions of new patients with the model that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import check_data, some
from tcellmil._log import warn
from tcellmil._provenance import fits_in, params_of, scores_of, verb_of
from tcellmil.tl._patients._new_columns import COLUMNS, COVARIATES, with_columns

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.data import Bags
    from tcellmil.fitted import FittedEnsemble
    from tcellmil.model import TcellMIL
    from tcellmil.model._fitted_model import FittedModel


def open_explained(
    data: AnnData | MuData, key: str, model: AnnData | MuData | TcellMIL | None
) -> tuple[FittedModel, Bags]:
    """The model of the fit or of the predictions under ``key``, and the patients as arrays.

    Parameters
    ----------
    data, key
        Where :func:`tcellmil.tl.fit_mil` or :func:`tcellmil.tl.predict` wrote to.
    model
        Of predictions, what :func:`tcellmil.tl.predict` was given; ``None`` for a fit.

    Raises
    ------
    KeyError, ValueError
        If there is no such fit, the model is not the one that predicted, or the data have changed since.

    Warns
    -----
    UserWarning
        If patients or cells have been left out.
    """
    from tcellmil.model._open import WITHOUT_MODEL, open_fit

    is_predicted = verb_of(data.uns.get(key)) == "predict"
    if model is None:
        if is_predicted:
            raise KeyError(
                f"adata.uns[{key!r}] {WITHOUT_MODEL}; pass the model that predicted, model=..., which is the data that "
                "tl.fit_mil wrote to or a TcellMIL"
            )
        return open_fit(data, key)
    if not is_predicted:
        raise ValueError(
            f"model= is for predictions of tl.predict, and adata.uns[{key!r}] is a fit itself; leave model out, or "
            "name predictions with key=..."
        )
    params = params_of(data.uns[key])
    return _of_predictions(data, key, _model_that_predicted(model, str(params["fit"]), key)[0])


def training_of(model: AnnData | MuData | TcellMIL, data: AnnData | MuData, key: str) -> tuple[FittedEnsemble, Bags]:
    """The replicas that made predictions and the patients that they were trained on.

    Raises
    ------
    ValueError
        If the model holds no data.
    """
    from tcellmil.model import TcellMIL

    fitted, name = _model_that_predicted(model, str(params_of(data.uns[key])["fit"]), key)
    if not isinstance(model, TcellMIL):
        from tcellmil.model._open import open_fit

        fitted, bags = open_fit(model, name, whole=True)
        return fitted.stack, bags
    if model.adata is None:
        raise ValueError(
            "new patients are compared with training cells, and this model holds no data; pass the data that "
            "tl.fit_mil wrote to, or load it with them: TcellMIL.load(path, adata)"
        )
    fitted, bags = fitted.read_again(model.adata)
    return fitted.stack, bags


def _model_that_predicted(model: AnnData | MuData | TcellMIL, fit: str, key: str) -> tuple[FittedModel, str]:
    """The fitted model with the checksum ``fit``, and its name."""
    from tcellmil.model import TcellMIL
    from tcellmil.model._open import stored_model
    from tcellmil.model._state import to_state

    if isinstance(model, TcellMIL):
        if to_state(model._fitted())["checksum"] == fit:
            return model._fitted(), ""
        found = "it is another one"
    else:
        check_data(model)
        names = [name for name in fits_in(model) if verb_of(model.uns[name]) == "fit_mil"]
        for name in names:
            if str(params_of(model.uns[name]).get("fit", "")) == fit:
                return stored_model(model, name, "model"), name
        found = f"its fits {some(names)} are others" if names else "it holds no fitted model"
    raise ValueError(
        f"model is not the one that predicted adata.uns[{key!r}]: {found}; pass what tl.predict was given, or predict "
        "with this one"
    )


def _of_predictions(data: AnnData | MuData, key: str, fitted: FittedModel) -> tuple[FittedModel, Bags]:
    """The model, whose replicas all show every patient, and the patients as they were predicted."""
    from dataclasses import replace

    from tcellmil.cv import Replicas
    from tcellmil.data._read import read
    from tcellmil.model._open import warn_of_other_cells

    params, predicted = params_of(data.uns[key]), data.uns[key]["predictions"].index
    fitted = with_columns(fitted, _columns_of(params))
    fields = fitted.schema.fields
    again = f"predict them again, tl.predict(adata, model, key_added={key!r})"
    if str(params.get("scores", "")) not in ("", scores_of(data, fields.use_rep)):
        raise ValueError(f"the regulons have been scored anew since adata.uns[{key!r}] was predicted; {again}")
    cohort = read(data, fields, new=True)
    cohort = replace(cohort, patients=cohort.patients.drop(columns=["label", "event"], errors="ignore"))
    bags = fitted.schema.encode(cohort, new=True)
    others, gone = np.setdiff1d(bags.names, predicted), np.setdiff1d(predicted, bags.names)
    if len(others):
        raise ValueError(f"patients {some(others)} are not among those of adata.uns[{key!r}]; {again}")
    if len(gone):
        warn(
            f"{len(gone)} of the {len(predicted)} patients of {key!r} are not here, {some(gone)}; the result is of the "
            f"{bags.n_bags} who are"
        )
    warn_of_other_cells(data, key, bags)
    own = fitted.stack.replicas
    none = np.zeros((len(own), bags.n_bags), dtype=bool)
    stack = fitted.stack.with_replicas(Replicas(own.seed, own.fold, train=none, test=~none))
    return replace(fitted, stack=stack, patients=bags.names), bags


def _columns_of(params: dict) -> dict[str, object]:
    """Names of the columns that were read, out of a record."""
    names: dict[str, object] = {}
    for name in COLUMNS:
        value = params.get(name, "")
        if name in COVARIATES:
            names[name] = tuple(str(key) for key in np.atleast_1d(value) if str(key)) or None
        else:
            names[name] = str(value) or None
    return names
