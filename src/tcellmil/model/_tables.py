"""What a model predicted and how it was trained, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tcellmil.cv._bags import Bags
from tcellmil.cv._out_of_fold import BagPredictions
from tcellmil.nn._heads import CONTINUOUS, OF_CLASSES, SURVIVAL

from ._representations import labels
from ._setup import Setup


def predictions_table(setup: Setup, bags: Bags, predictions: BagPredictions) -> pd.DataFrame:
    """A row a patient, as :meth:`tcellmil.model.TcellMIL.predict` documents it."""
    table = pd.DataFrame(index=pd.Index(bags.names.astype(object), name="patient"))
    columns = _class_columns if setup.outcome in OF_CLASSES else _value_columns
    for name, values in columns(setup, bags, predictions).items():
        table[name] = values
    table["n_cells"] = bags.sizes
    table["n_replicas"] = predictions.n_replicas
    if setup.batch_key is not None:
        table["cohort"] = np.where(bags.cohorts >= 0, np.array(setup.cohorts)[bags.cohorts], "").astype(object)
    return table


def _class_columns(setup: Setup, bags: Bags, predictions: BagPredictions) -> dict[str, np.ndarray]:
    classes = np.array(setup.classes)
    seen = predictions.n_replicas > 0
    best = np.where(seen, np.nan_to_num(predictions.probabilities).argmax(axis=1), 0)
    return {
        "label": np.where(bags.labels >= 0, classes[bags.labels], "").astype(object),
        "predicted": np.where(seen, classes[best], "").astype(object),
        **{f"prob_{name}": predictions.probabilities[:, i] for i, name in enumerate(classes)},
        "prob_sd": predictions.sd,
    }


def _value_columns(setup: Setup, bags: Bags, predictions: BagPredictions) -> dict[str, np.ndarray]:
    observed, predicted = (["time", "event"], "risk") if setup.outcome == SURVIVAL else (["label"], "predicted")
    targets = np.full((bags.n_bags, len(observed)), np.nan) if bags.targets is None else bags.targets
    columns = {name: targets[:, i].astype(float) for i, name in enumerate(observed)}
    return columns | {predicted: predictions.probabilities[:, 0], f"{predicted}_sd": predictions.sd}


def with_named_stages(history: pd.DataFrame, use_rep: Sequence[str]) -> pd.DataFrame:
    """The history of a stack; of several representations, the autoencoders by name instead of by number."""
    if len(use_rep) == 1:
        return history
    named = {f"autoencoder.{b}": f"autoencoder:{label}" for b, label in enumerate(labels(use_rep))}
    return history.assign(stage=history["stage"].replace(named))


def wide_history(history: pd.DataFrame, outcome: str) -> dict[str, pd.DataFrame]:
    """Losses in the manner of scvi-tools: a table a metric, epochs in rows, replicas in columns."""
    losses = {CONTINUOUS: "squared_error", SURVIVAL: "partial_likelihood"}
    names = {"autoencoder": "reconstruction_loss", "mil": losses.get(outcome, "cross_entropy")}
    tables = {}
    for stage, rows in history.groupby("stage", sort=False):
        kind, colon, representation = stage.partition(":")
        for part in ("train", "validation"):
            wide = rows.pivot(index="epoch", columns="replica", values=f"{part}_loss")
            if wide.notna().any(axis=None):
                tables[f"{names[kind]}_{part}{colon}{representation}"] = wide
    return tables
