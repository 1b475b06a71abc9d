"""What predictions of patients leave behind, whoever made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys
from tcellmil._results import patients_in_words, stored_predictions

if TYPE_CHECKING:
    import pandas as pd

    from tcellmil.data import Bags
    from tcellmil.fitted import BagPredictions
    from tcellmil.model._fitted_model import FittedModel

#: Columns of ``obs``, after the name of the result.
OF_CELLS = (_keys.ATTENTION, _keys.ATTENTION_RELATIVE)


def of_patients(model: FittedModel, bags: Bags, predicted: BagPredictions, groups: pd.Series | None) -> dict:
    """Table of predictions, and the features of each patient with their names.

    ``groups`` has the patient of each sample, where samples share patients.
    """
    from tcellmil.fitted import pooled_features
    from tcellmil.model._tables import predictions_table

    table = stored_predictions(predictions_table(model.schema, bags, predicted), bags.outcome)
    if groups is not None:
        table["group"] = groups.reindex(table.index).astype(object)
    return {
        "predictions": table,
        "embedding": pooled_features(bags, predicted.attention),
        "features": model.feature_names(),
    }


def of_cells(bags: Bags, predicted: BagPredictions) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Arrays of cells for ``obsm`` and for ``obs``, in the order of the data."""
    from tcellmil.fitted import relative_attention

    values = (predicted.attention, relative_attention(bags, predicted.attention))
    obs = {name: bags.to_input_order(of_cell) for name, of_cell in zip(OF_CELLS, values, strict=True)}
    return {"": bags.to_input_order(predicted.latent)}, obs


def counted_in_words(bags: Bags, n: int) -> str:
    """How many patients were evaluated; where they have several samples, of how many."""
    n_patients = bags.n_labelled_patients
    if n_patients == bags.n_labelled:
        return patients_in_words(n, n)
    return patients_in_words(n, n_patients if n == bags.n_labelled else None)
