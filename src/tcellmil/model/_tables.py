"""What a model predicted and how it was trained, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tcellmil.data._bags import Bags
from tcellmil.data._representations import labels
from tcellmil.data._schema import Schema
from tcellmil.fitted._predict import BagPredictions
from tcellmil.outcomes import Outcome


def predictions_table(schema: Schema, bags: Bags, predictions: BagPredictions) -> pd.DataFrame:
    """One row per patient, as :meth:`tcellmil.model.TcellMIL.predict` documents it."""
    table = pd.DataFrame(index=pd.Index(bags.names.astype(object), name="patient"))
    seen = predictions.n_replicas > 0
    observed = (bags.labels, bags.targets)
    for name, values in bags.outcome.columns(*observed, predictions.probabilities, predictions.sd, seen).items():
        table[name] = values
    table["n_cells"] = bags.sizes
    table["n_replicas"] = predictions.n_replicas
    if schema.fields.batch_key is not None:
        table["cohort"] = np.where(bags.cohorts >= 0, np.array(schema.cohorts)[bags.cohorts], "").astype(object)
    return table


def with_named_stages(
    history: pd.DataFrame, use_rep: Sequence[str], configurations: Sequence[str] = ()
) -> pd.DataFrame:
    """The history of a fit, whose stages have the names of what there are several of.

    Parameters
    ----------
    history
        With the position of the configuration, where there are several.
    use_rep
        Representations; of several, each has an autoencoder.
    configurations
        Of several, each has a bag classifier.
    """
    stage = history["stage"]
    if len(use_rep) > 1:
        stage = stage.replace({f"autoencoder.{b}": f"autoencoder:{label}" for b, label in enumerate(labels(use_rep))})
    if len(configurations) > 1:
        names = np.array(configurations, dtype=object)[history["configuration"]]
        stage = stage.where(stage != "mil", "mil:" + pd.Series(names, index=history.index))
    return history.assign(stage=stage).drop(columns="configuration", errors="ignore")


def wide_history(history: pd.DataFrame, outcome: Outcome) -> dict[str, pd.DataFrame]:
    """Losses in the manner of scvi-tools: one table per metric, epochs in rows, replicas in columns."""
    names = {"autoencoder": "reconstruction_loss", "mil": outcome.loss_name}
    tables = {}
    for stage, rows in history.groupby("stage", sort=False):
        kind, colon, representation = stage.partition(":")
        for part in ("train", "validation"):
            wide = rows.pivot(index="epoch", columns="replica", values=f"{part}_loss")
            if wide.notna().any(axis=None):
                tables[f"{names[kind]}_{part}{colon}{representation}"] = wide
    return tables
