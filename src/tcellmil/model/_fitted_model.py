"""A fitted stack with what it read and how it was trained: what results store and verbs open."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tcellmil._checks import check_choice, check_fields, some
from tcellmil._log import warn
from tcellmil._params import plain
from tcellmil.cv._splitters import LeavePairOut, splitter_for
from tcellmil.data._bags import Bags
from tcellmil.data._read import Cohort, read
from tcellmil.data._representations import numbered
from tcellmil.data._schema import Schema
from tcellmil.fitted._ensemble import FittedEnsemble
from tcellmil.fitted._predict import BagPredictions, predict_bags
from tcellmil.training._config import TrainingConfig, options_without_effect
from tcellmil.training._selection._architecture import configurations, resolve, seeds_of_a_fold
from tcellmil.training._selection._calibration import fit_temperatures
from tcellmil.training._selection._choice import fit_ensemble, is_default, why_no_choice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

    from tcellmil.nn._network import NetworkConfig

#: What is recorded of the splits, and of what was made of them.
SPLITS = ("cv", "n_seeds", "seed", "calibration", "ensemble")

#: Several configurations: averaged, the best one only, or none but one; ``"auto"``: averaged in a small cohort.
Ensemble = bool | Literal["auto", "best"]


@dataclass(frozen=True)
class FittedModel:
    """Everything that a fit is, without its data.

    Parameters
    ----------
    stack
        Fitted replicas, of one or several configurations.
    schema
        What they read.
    patients
        Names of the patients that they were fitted on, in the order of the columns of the splits.
    training
        How they were trained; plain values.
    """

    stack: FittedEnsemble
    schema: Schema
    patients: np.ndarray
    training: dict

    def params(self) -> dict:
        """What was read and how it was trained, as plain values that an h5ad file can hold."""
        fields, outputs = self.schema.fields, self.schema.outcome.outputs
        use_rep = fields.use_rep[0] if len(fields.use_rep) == 1 else fields.use_rep
        splits = {name: self.training[name] for name in SPLITS}
        training = {name: value for name, value in self.training.items() if name not in splits}
        return plain(
            **fields.given(without=("use_rep", "positive_class")),
            scores=json.dumps(dict(zip(fields.use_rep, self.schema.scores, strict=True))),
            use_rep=use_rep,
            classes=outputs,
            positive_class=outputs[-1],
            **splits,
            encoder=training["encoder"],
            network=self.stack.networks[self.stack.leading].as_dict(),
            configurations=[network.words for network in self.stack.networks],
            training=training,
        )

    @property
    def in_pairs(self) -> bool:
        """The splits left pairs of patients out, whose order is what counts."""
        return self.training["cv"] == LeavePairOut.name

    def shown_to(self) -> np.ndarray:
        """Which replica predicts which patient, ``(n_replicas, n_patients)`` bool: those that held it out, or all."""
        held_out = self.stack.replicas.test
        return held_out if held_out.any() else np.ones_like(held_out)

    def feature_names(self) -> np.ndarray:
        """Names of the representation's columns, ``(n_features,)``; numbered where it has none.

        Of several representations, each name comes after its representation's: ``"prot:CD8"``.
        """
        features = self.schema.features or numbered(self.schema.fields.use_rep[0], self.stack.n_features)
        return np.array(features, dtype=object)

    def class_code(self, target_class: str | None = None) -> int:
        """Position of a class among the outputs; of the positive one, the last, by default."""
        outputs = self.schema.outcome.outputs
        if target_class is None:
            return len(outputs) - 1
        check_choice(target_class, outputs, "target_class")
        return outputs.index(target_class)

    def out_of_fold(self, bags: Bags) -> BagPredictions:
        """The patients that it was fitted on, each by the replicas of :meth:`shown_to`."""
        return predict_bags(self.stack, bags, self.shown_to())

    def read_again(self, data: AnnData | MuData) -> tuple[FittedModel, Bags]:
        """The data that the model was fitted on, or a part of the patients, as arrays; and the model of these.

        Raises
        ------
        ValueError
            If there are other patients among them.
        """
        cohort = read(data, self.schema.fields)
        return self.of_patients(cohort.patients.index), self.schema.encode(cohort)

    def of_patients(self, names: pd.Index) -> FittedModel:
        """The model as it is for some of the patients that it was fitted on.

        Raises
        ------
        ValueError
            If there are others among them.
        """
        names = names.to_numpy(dtype=str)
        if np.array_equal(names, self.patients):
            return self
        others = np.setdiff1d(names, self.patients)
        if len(others):
            raise ValueError(
                f"the model was fitted on patients {some(self.patients)}, the data also has {some(others)}; "
                "give it patients that it was fitted on, or predict new ones with tl.predict"
            )
        replicas = self.stack.replicas.of_patients(pd.Index(self.patients).get_indexer(names))
        return replace(self, stack=self.stack.with_replicas(replicas), patients=names)

    def predict_new(self, data: AnnData | MuData) -> tuple[Bags, BagPredictions]:
        """New patients by all replicas, as arrays."""
        return self.predict_cohort(read(data, self.schema.fields, new=True))

    def predict_cohort(self, cohort: Cohort, *, strict: bool = False) -> tuple[Bags, BagPredictions]:
        """The same of a cohort that was read; ``strict`` as in :meth:`~tcellmil.data.Schema.encode`."""
        bags = self.schema.encode(cohort, new=True, strict=strict)
        known = np.intersect1d(bags.names, self.patients[self.stack.replicas.train.any(axis=0)])
        if len(known):
            warn(
                f"{len(known)} of the patients have the names of patients that the model was trained on; "
                "if they are the same, these predictions are not out-of-fold"
            )
        return bags, predict_bags(self.stack, bags)


def fit_model(
    bags: Bags,
    schema: Schema,
    network: NetworkConfig,
    *,
    cv: object = None,
    n_seeds: int | None = None,
    seed: int = 0,
    calibration: str | None = None,
    ensemble: Ensemble = "auto",
    progress: bool = True,
    training: dict | None = None,
    given: Iterable[str] = (),
) -> tuple[FittedModel, pd.DataFrame, pd.DataFrame]:
    """Split, train, choose, calibrate; the arguments are those of :meth:`tcellmil.model.TcellMIL.train`.

    Parameters
    ----------
    bags, schema
        The data, and what was learned of them.
    network
        Sizes and kinds, as requested.
    training
        Options of :class:`tcellmil.training.TrainingConfig`.
    given
        Names of the options of the network that the caller chose.

    Returns
    -------
    The model, its history, and how configurations were weighed: one row per replica and configuration.
    """
    check_fields(training := training or {}, TrainingConfig, "training")
    check_choice(calibration, (None, "temperature"), "calibration")
    check_choice(ensemble, ("auto", False, True, "best"), "ensemble")
    if calibration is not None and not bags.outcome.has_classes:
        raise ValueError(
            f"calibration={calibration!r} is for probabilities of classes, the outcome is {bags.outcome.kind!r}"
        )
    resolved, config = resolve(bags, network, TrainingConfig(**training))
    n_seeds = seeds_of_a_fold(bags, n_seeds)
    replicas = bags.replicas(cv, n_seeds=n_seeds, seed=seed)
    if ensemble == "auto":
        ensemble = is_default(bags, replicas, given)
    elif ensemble and (why := why_no_choice(bags, replicas)):
        raise ValueError(f"ensemble {why}; use ensemble=False")
    networks = configurations(bags, network, given) if ensemble else [resolved]
    _warn_of_idle_options(bags, network, networks[0], config, [*given, *training])
    how = {"single": ensemble == "best", "calibrated": calibration is not None, "progress": progress}
    fitted, history, loss = fit_ensemble(bags, replicas, networks, config, **how)
    if calibration is not None and len(networks) == 1:
        temperature = fit_temperatures(bags, replicas, networks[0], config, progress=progress)
        fitted = FittedEnsemble.of(replace(fitted.members[0], temperature=temperature))
    record = {**config.as_dict(), "cv": splitter_for(cv).name, "n_seeds": int(n_seeds), "seed": int(seed)}
    record["calibration"] = calibration or ("spread" if len(networks) > 1 else "")
    record["ensemble"] = {True: "average", False: ""}.get(ensemble, "best") if len(networks) > 1 else ""
    model = FittedModel(fitted, schema, bags.names, record)
    return model, history, _choices(fitted, loss)


def _choices(fitted: FittedEnsemble, loss: np.ndarray | None) -> pd.DataFrame:
    """One row per replica and configuration."""
    n_configurations, n_replicas = fitted.mixture.shape
    names = np.array([network.words for network in fitted.networks], dtype=object)
    return pd.DataFrame(
        {
            "replica": np.repeat(np.arange(n_replicas), n_configurations),
            "seed": np.repeat(fitted.replicas.seed, n_configurations),
            "fold": np.repeat(fitted.replicas.fold.astype(object), n_configurations),
            "configuration": np.tile(names, n_replicas),
            "weight": fitted.mixture.T.ravel(),
            "loss": np.nan if loss is None else loss.T.ravel(),
        }
    )


def _warn_of_idle_options(
    bags: Bags, requested: NetworkConfig, resolved: NetworkConfig, config: TrainingConfig, given: list[str]
) -> None:
    idle = options_without_effect(given, resolved.compression, config.early_stopping)
    if idle:
        why = f", which is what 'auto' is for {bags.n_labelled_patients} labelled patients"
        warn(
            f"options {some(idle)} have no effect with compression={resolved.compression!r}"
            f"{why if requested.compression == 'auto' else ''}; "
            "leave them out, or pass compression='autoencoder'"
        )
