"""What predictions of patients leave behind, whoever made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys
from tcellmil._results import stored_predictions

if TYPE_CHECKING:
    from tcellmil.data import Bags
    from tcellmil.fitted import BagPredictions
    from tcellmil.model._fitted_model import FittedModel

#: Columns of ``obs``, after the name of the result.
OF_CELLS = (_keys.ATTENTION, _keys.ATTENTION_RELATIVE)


def of_patients(model: FittedModel, bags: Bags, predicted: BagPredictions) -> dict:
    """Table of predictions, and the features of each patient with their names."""
    from tcellmil.fitted import pooled_features
    from tcellmil.model._tables import predictions_table

    return {
        "predictions": stored_predictions(predictions_table(model.schema, bags, predicted), bags.outcome),
        "embedding": pooled_features(bags, predicted.attention),
        "features": model.feature_names(),
    }


def of_cells(bags: Bags, predicted: BagPredictions) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Arrays of cells for ``obsm`` and for ``obs``, in the order of the data."""
    from tcellmil.fitted import relative_attention

    values = (predicted.attention, relative_attention(bags, predicted.attention))
    obs = {name: bags.to_input_order(of_cell) for name, of_cell in zip(OF_CELLS, values, strict=True)}
    return {"": bags.to_input_order(predicted.latent)}, obs
