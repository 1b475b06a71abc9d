"""The fitted model out of the result of a fit, for the verbs that explain it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import check_data, some
from tcellmil._log import warn
from tcellmil._provenance import other_fits, verb_of

from ._fitted_model import FittedModel
from ._state import from_state

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.data._bags import Bags

    from ._tcellmil import TcellMIL


#: Of predictions, what a message says of them.
WITHOUT_MODEL = "holds no fitted model (tl.predict leaves predictions only)"


def stored_model(data: AnnData | MuData, key: str, argument: str = "adata") -> FittedModel:
    """The model in ``uns[key]``; only arrays and JSON are read, nothing is executed.

    ``argument`` is what the data are called in messages.

    Raises
    ------
    KeyError
        If there is none.
    """
    check_data(data)
    writer = verb_of(data.uns.get(key)) if isinstance(key, str) else ""
    if writer == "predict":
        raise KeyError(f"{argument}.uns[{key!r}] {WITHOUT_MODEL}; use the data that tl.fit_mil wrote to")
    if writer != "fit_mil":
        raise KeyError(f"{argument}.uns[{key!r}] holds no fitted model; run tl.fit_mil first; {other_fits(data)}")
    return from_state(data.uns[key])


def open_fit(data: AnnData | MuData, key: str, *, whole: bool = False) -> tuple[FittedModel, Bags]:
    """The model in ``uns[key]``, and the data that it was fitted on as arrays.

    Where patients have been left out since, the model is that of the patients who are there.

    Parameters
    ----------
    data, key
        Where the fit is.
    whole
        All of its patients are needed.

    Raises
    ------
    KeyError
        If there is no fitted model, or what it reads is no longer there.
    ValueError
        If there are patients that the model was not fitted on, or are not all of those that are needed.

    Warns
    -----
    UserWarning
        If patients or cells have been left out.
    """
    fitted = stored_model(data, key)
    model, bags = fitted.read_again(data)
    gone = np.setdiff1d(fitted.patients, model.patients)
    if len(gone) and whole:
        raise ValueError(
            f"patients {some(gone)} of the fit {key!r} are not here, and all of them are needed; use the data that it "
            "was fitted on, or fit again without them"
        )
    if len(gone):
        warn(
            f"{len(gone)} of the {len(fitted.patients)} patients of the fit {key!r} are not here, {some(gone)}; "
            f"the result is of the {len(model.patients)} who are"
        )
    warn_of_other_cells(data, key, bags)
    return model, bags


def warn_of_other_cells(data: AnnData | MuData, key: str, bags: Bags) -> None:
    """Warn where patients have another number of cells than when they were predicted."""
    before = data.uns[key]["predictions"]["n_cells"].reindex(bags.names).to_numpy()
    changed = bags.names[bags.sizes != before]
    if len(changed):
        warn(
            f"patients {some(changed)} have {int(bags.sizes.sum())} cells in all where the fit {key!r} had "
            f"{int(before.sum())}; the result is of the cells that are here, and so are its predictions"
        )


def model_of(data: AnnData | MuData | TcellMIL, key: str) -> FittedModel:
    """The model in ``uns[key]``, or of a fitted :class:`tcellmil.model.TcellMIL`."""
    from ._tcellmil import TcellMIL

    return data._fitted() if isinstance(data, TcellMIL) else stored_model(data, key, "model")
