"""The fitted model out of the result of a fit, for the verbs that explain it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil._checks import check_data

from ._fitted_model import FittedModel
from ._state import from_state

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.data._bags import Bags

    from ._tcellmil import TcellMIL


def stored_model(data: AnnData | MuData, key: str) -> FittedModel:
    """The model in ``uns[key]``; only arrays and JSON are read, nothing is executed.

    Raises
    ------
    KeyError
        If there is none.
    """
    check_data(data)
    if key not in data.uns or "weights" not in data.uns[key]:
        raise KeyError(f"adata.uns[{key!r}] holds no fitted model; run tcellmil.tl.fit_mil first")
    return from_state(data.uns[key])


def open_fit(data: AnnData | MuData, key: str) -> tuple[FittedModel, Bags]:
    """The model in ``uns[key]``, and the data that it was fitted on as arrays.

    Raises
    ------
    KeyError
        If there is no fitted model, or what it reads is no longer there.
    ValueError
        If the patients are not those that the model was fitted on.
    """
    model = stored_model(data, key)
    return model, model.read_again(data)


def model_of(data: AnnData | MuData | TcellMIL, key: str) -> FittedModel:
    """The model in ``uns[key]``, or of a fitted :class:`tcellmil.model.TcellMIL`."""
    from ._tcellmil import TcellMIL

    return data._fitted() if isinstance(data, TcellMIL) else stored_model(data, key)
