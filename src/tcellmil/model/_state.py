"""A fitted stack as arrays and one line of JSON, and back. Opening it executes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tcellmil.cv._fitted import FittedStack
from tcellmil.cv._scaling import Scaling
from tcellmil.cv._splits import Replicas
from tcellmil.nn._network import NetworkConfig

from ._setup import Setup

#: Raised when the layout of arrays or JSON changes, so that an old reader says so instead of guessing.
FORMAT = 1


def to_state(stack: FittedStack, setup: Setup, patients: np.ndarray, training: dict) -> dict:
    """Arrays and JSON that :func:`from_state` reads.

    Parameters
    ----------
    stack
        Fitted replicas.
    setup
        What the model reads from an AnnData or a MuData.
    patients
        Names of the bags, in the order of the columns of the splits.
    training
        How the stack was trained; kept for the record.

    Returns
    -------
    ``config`` (JSON text), ``weights`` (name to array, the replica or encoder first), ``splits`` (arrays).
    """
    config = {
        "format": FORMAT,
        "setup": setup.as_dict(),
        "network": stack.config.as_dict(),
        "training": training,
        "n_cohorts": stack.n_cohorts,
        "n_covariates": stack.n_covariates,
        "n_classes": stack.n_classes,
        "blocks": stack.blocks,
    }
    weights = {"scaling.loc": stack.scaling.loc, "scaling.scale": stack.scaling.scale}
    weights |= {f"autoencoder.{name}": w for name, w in stack.encoder.items()}
    weights |= {f"mil.{name}": w for name, w in stack.classifier.items()}
    weights["encoder_of_replica"] = stack.encoder_of_replica
    if stack.temperature is not None:
        weights["temperature"] = stack.temperature
    splits = {
        "patients": np.asarray(patients, dtype=object),
        "seed": stack.replicas.seed,
        "fold": np.asarray(stack.replicas.fold, dtype=object),
        "train": stack.replicas.train,
        "test": stack.replicas.test,
    }
    if stack.replicas.weights is not None:
        splits["weights"] = stack.replicas.weights
    return {"config": json.dumps(config), "weights": weights, "splits": splits}


def from_state(state: dict) -> tuple[FittedStack, Setup, np.ndarray, dict]:
    """Stack, setup, patients and training record out of what :func:`to_state` wrote.

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
    stack = FittedStack(
        config=NetworkConfig(**config["network"]),
        n_cohorts=config["n_cohorts"],
        n_covariates=config.get("n_covariates", 0),
        n_classes=config["n_classes"],
        blocks=tuple(config.get("blocks", ())),
        scaling=Scaling(np.asarray(weights["scaling.loc"]), np.asarray(weights["scaling.scale"])),
        encoder=_with_prefix(weights, "autoencoder."),
        encoder_of_replica=np.asarray(weights["encoder_of_replica"]),
        classifier=_with_prefix(weights, "mil."),
        temperature=np.asarray(weights["temperature"]) if "temperature" in weights else None,
        replicas=Replicas(
            seed=np.asarray(splits["seed"]),
            fold=_text(splits["fold"]),
            train=np.asarray(splits["train"], dtype=bool),
            test=np.asarray(splits["test"], dtype=bool),
            weights=np.asarray(splits["weights"]) if "weights" in splits else None,
        ),
    )
    return stack, Setup.from_dict(config["setup"]), _text(splits["patients"]), config["training"]


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
