"""A fitted model as arrays and one line of JSON, and back. Opening it executes nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from tcellmil.cv import Replicas
from tcellmil.data._schema import Schema
from tcellmil.fitted._encoders import Encoders
from tcellmil.fitted._scaling import Scaling
from tcellmil.fitted._stack import FittedStack
from tcellmil.nn._network import NetworkConfig

from ._fitted_model import FittedModel

#: Raised when the layout of arrays or JSON changes, so that an old reader says so instead of guessing.
FORMAT = 2

#: What the names of weights start with: of encoders, and of attention and classifier.
ENCODER, CLASSIFIER = "encoder.", "classifier."


def to_state(model: FittedModel) -> dict:
    """Arrays and JSON that :func:`from_state` reads.

    Returns
    -------
    ``config`` (JSON text), ``weights`` (name to array, the replica or encoder first), ``splits`` (arrays).
    """
    stack = model.stack
    config = {
        "format": FORMAT,
        "schema": model.schema.as_dict(),
        "network": stack.config.as_dict(),
        "training": model.training,
        "n_cohorts": stack.n_cohorts,
        "n_covariates": stack.n_covariates,
    }
    weights = {"scaling.loc": stack.encoders.scaling.loc, "scaling.scale": stack.encoders.scaling.scale}
    weights |= {f"{ENCODER}{name}": w for name, w in stack.encoders.weights.items()}
    weights |= {f"{CLASSIFIER}{name}": w for name, w in stack.classifier.items()}
    weights["encoder_of_replica"] = stack.encoder_of_replica
    if stack.temperature is not None:
        weights["temperature"] = stack.temperature
    splits = {
        "patients": np.asarray(model.patients, dtype=object),
        "seed": stack.replicas.seed,
        "fold": np.asarray(stack.replicas.fold, dtype=object),
        "train": stack.replicas.train,
        "test": stack.replicas.test,
    }
    if stack.replicas.weights is not None:
        splits["weights"] = stack.replicas.weights
    state = {"config": json.dumps(config), "weights": weights, "splits": splits}
    digest = hashlib.sha256(state["config"].encode())
    for array in [*weights.values(), splits["train"], splits["test"]]:
        digest.update(np.ascontiguousarray(array).tobytes())
    return state | {"checksum": digest.hexdigest()}


def from_state(state: dict) -> FittedModel:
    """Return the model out of what :func:`to_state` wrote.

    Raises
    ------
    ValueError
        If the state was written in a format that this version does not read, or arrays do not fit the configuration.
    """
    config = json.loads(str(state["config"]))
    if config.get("format") != FORMAT:
        raise ValueError(
            f"the fitted model has format {config.get('format')!r}, this version reads {FORMAT}; "
            "use the version of tcellmil that wrote it"
        )
    weights, splits = state["weights"], state["splits"]
    network, schema = NetworkConfig(**config["network"]), Schema.from_dict(config["schema"])
    encoders = Encoders(
        config=network,
        blocks=schema.n_features,
        scaling=Scaling(np.asarray(weights["scaling.loc"]), np.asarray(weights["scaling.scale"])),
        weights=_with_prefix(weights, ENCODER),
    )
    stack = FittedStack(
        config=network,
        outcome=schema.outcome,
        n_cohorts=config["n_cohorts"],
        n_covariates=config["n_covariates"],
        encoders=encoders,
        encoder_of_replica=np.asarray(weights["encoder_of_replica"]),
        classifier=_with_prefix(weights, CLASSIFIER),
        temperature=np.asarray(weights["temperature"]) if "temperature" in weights else None,
        replicas=Replicas(
            seed=np.asarray(splits["seed"]),
            fold=_text(splits["fold"]),
            train=np.asarray(splits["train"], dtype=bool),
            test=np.asarray(splits["test"], dtype=bool),
            weights=np.asarray(splits["weights"]) if "weights" in splits else None,
        ),
    )
    return FittedModel(stack, schema, _text(splits["patients"]), config["training"])


def write_folder(state: dict, path: Path) -> None:
    """Write a state into a folder that is there: ``model.json`` and ``arrays.npz``."""
    (path / "model.json").write_text(json.dumps(json.loads(state["config"]), indent=2))
    arrays = {f"weights/{name}": w for name, w in state["weights"].items()}
    splits = {name: v.astype(str) if v.dtype == object else v for name, v in state["splits"].items()}
    arrays |= {f"splits/{name}": v for name, v in splits.items()}
    np.savez_compressed(path / "arrays.npz", **arrays)


def read_folder(path: Path) -> dict:
    """The state that :func:`write_folder` wrote. Only JSON and plain arrays are read; nothing is executed."""
    if not (path / "model.json").exists():
        raise ValueError(f"{path} holds no model.json; it is not a folder that TcellMIL.save wrote")
    state = {"config": (path / "model.json").read_text(), "weights": {}, "splits": {}}
    with np.load(path / "arrays.npz", allow_pickle=False) as arrays:
        for name in arrays.files:
            part, _, key = name.partition("/")
            state[part][key] = arrays[name]
    return state


def _with_prefix(weights: dict, prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): np.asarray(w) for name, w in weights.items() if name.startswith(prefix)}


def _text(values: np.ndarray) -> np.ndarray:
    """Names as fixed-width text, whichever type of string the file format gave back."""
    return np.array([str(value) for value in values], dtype=str)
