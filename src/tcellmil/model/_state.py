"""A fitted model as arrays and one line of JSON, and back. Opening it executes nothing."""

from __future__ import annotations

import json

import numpy as np

from tcellmil.cv import Replicas
from tcellmil.fitted._encoders import Encoders
from tcellmil.fitted._ensemble import FittedEnsemble
from tcellmil.fitted._scaling import Scaling
from tcellmil.fitted._stack import FittedStack

from ._check_state import check_state
from ._checksum import checksum_of
from ._config import FORMAT
from ._fitted_model import FittedModel
from ._layout import CLASSIFIER, ENCODER, member


def to_state(model: FittedModel) -> dict:
    """Arrays and JSON that :func:`from_state` reads.

    Returns
    -------
    ``config`` (JSON text), ``weights`` (name to array, the replica or encoder first), ``splits`` (arrays), and
    ``checksum`` (text) of the three, :func:`~tcellmil.model._checksum.checksum_of`.
    """
    stack = model.stack
    config = {
        "format": FORMAT,
        "schema": model.schema.as_dict(),
        "networks": [network.as_dict() for network in stack.networks],
        "training": model.training,
        "n_cohorts": stack.n_cohorts,
        "n_covariates": stack.n_covariates,
    }
    first = stack.members[0]
    weights = {"scaling.loc": stack.scaling.loc, "scaling.scale": stack.scaling.scale}
    weights["encoder_of_replica"] = first.encoder_of_replica
    if len(stack.members) > 1:
        weights["mixture"] = stack.mixture
    for m, part in enumerate(stack.members):
        start = member(m, len(stack.members))
        weights |= {f"{start}{ENCODER}{name}": w for name, w in part.encoders.weights.items()}
        weights |= {f"{start}{CLASSIFIER}{name}": w for name, w in part.classifier.items()}
        if part.temperature is not None:
            weights[f"{start}temperature"] = part.temperature
    splits = {
        "patients": np.asarray(model.patients, dtype=object),
        "seed": stack.replicas.seed,
        "fold": np.asarray(stack.replicas.fold, dtype=object),
        "train": stack.replicas.train,
        "test": stack.replicas.test,
    }
    if stack.replicas.weights is not None:
        splits["weights"] = stack.replicas.weights
    text = json.dumps(config, default=_number)
    return {"config": text, "weights": weights, "splits": splits, "checksum": checksum_of(text, weights, splits)}


def from_state(state: dict) -> FittedModel:
    """Return the model out of what :func:`to_state` wrote, after :func:`~tcellmil.model._check_state.check_state`.

    Raises
    ------
    ValueError
        If the state was written in a format that this version does not read, or something in it is not as it was
        written.
    """
    checked = check_state(state)
    configuration, weights, splits = checked.configuration, checked.weights, checked.splits
    schema = configuration.schema
    replicas = Replicas(
        **{name: splits[name] for name in ("seed", "fold", "train", "test")}, weights=splits.get("weights")
    )
    scaling = Scaling(weights["scaling.loc"], weights["scaling.scale"])
    members = []
    for m, network in enumerate(configuration.networks):
        own = _with_prefix(weights, member(m, len(configuration.networks)))
        encoders = Encoders(network, schema.n_features, scaling, _with_prefix(own, ENCODER))
        stack = FittedStack(
            config=network,
            outcome=schema.outcome,
            n_cohorts=configuration.n_cohorts,
            n_covariates=configuration.n_covariates,
            encoders=encoders,
            encoder_of_replica=weights["encoder_of_replica"],
            classifier=_with_prefix(own, CLASSIFIER),
            temperature=own.get("temperature"),
            replicas=replicas,
        )
        members.append(stack)
    mixture = weights.get("mixture", np.ones((1, len(replicas))))
    return FittedModel(FittedEnsemble(tuple(members), mixture), schema, splits["patients"], configuration.training)


def _with_prefix(weights: dict, prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


def _number(value: object) -> object:
    """Numbers of numpy, which users pass as options, as those of Python."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot be stored; pass text, a number or None")
