"""A fitted model as it comes out of a file: everything is checked before anything is built from its numbers."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tcellmil._checks import some
from tcellmil.cv import Replicas
from tcellmil.cv._splitters import check_stored
from tcellmil.cv._stored import StoredSplits

from ._checksum import checksum_of_parsed
from ._config import Configuration, check_format, parse, read_config, refuse
from ._layout import SPLITS, WEIGHTS, Array, check_layout

#: Parts of a state.
STATE = ("config", "weights", "splits", "checksum")

#: Length of the name of a patient; that of a pair of patients is twice as long.
MAX_NAME = 1000


@dataclass(frozen=True)
class CheckedState:
    """A state in which everything is as it must be.

    Parameters
    ----------
    configuration
        What the JSON text says.
    weights, splits
        Arrays by name; numbers in the byte order of this machine, names as fixed-width text.
    """

    configuration: Configuration
    weights: dict[str, np.ndarray]
    splits: dict[str, np.ndarray]


def check_state(state: object) -> CheckedState:
    """Check what :func:`tcellmil.model._state.to_state` wrote, wherever it was since.

    Raises
    ------
    ValueError
        If parts are missing, of another type, size or range, or contradict each other, or if the values are not those
        whose checksum is stored.
    """
    if not isinstance(state, Mapping):
        refuse(f"it is of type {type(state).__name__}, not a dict of {some(STATE)}")
    missing = [name for name in STATE if name not in state]
    if missing and "config" not in missing:
        check_format(parse(_scalar_text(state["config"]), 0, 0))  # an older format has other parts
    if missing:
        refuse(f"{some(missing)} is missing")
    arrays = _arrays(state["weights"], WEIGHTS) | _arrays(state["splits"], SPLITS)
    found = {name: Array.of(values.dtype, values.shape) for name, values in arrays.items()}
    configuration = read_config(parse(_scalar_text(state["config"]), *sizes(found)))
    expected = check_layout(configuration, found)
    arrays = {name: _values(name, arrays[name], expected[name]) for name in expected}
    weights, splits = (
        {name.removeprefix(part): values for name, values in arrays.items() if name.startswith(part)}
        for part in (WEIGHTS, SPLITS)
    )
    _check_scaling(configuration, weights)
    _check_splits(configuration, splits)
    _check_mixture(weights.get("mixture"))
    _check_encoders(configuration, weights["encoder_of_replica"], splits["seed"])
    _check_checksum(_scalar_text(state["checksum"]), configuration, weights, splits)
    return CheckedState(configuration, weights, splits)


def sizes(found: Mapping[str, Array]) -> tuple[int, int]:
    """Number of features and of patients, by the arrays; they bound the length of the JSON text."""
    loc, patients = (found.get(name, Array("", ())).shape for name in ("weights/scaling.loc", "splits/patients"))
    return (loc[1] if len(loc) == 2 else 0), (patients[0] if len(patients) == 1 else 0)


def _arrays(values: object, part: str) -> dict[str, np.ndarray]:
    if not isinstance(values, Mapping):
        refuse(f"{part[:-1]} is of type {type(values).__name__}, not a dict of arrays")
    found = {}
    for name, array in values.items():
        if not isinstance(name, str):
            refuse(f"{part[:-1]} has the name {reprlib.repr(name)}, which is no text")
        if isinstance(array, pd.api.extensions.ExtensionArray | pd.Index | pd.Series):  # text of newer files
            array = array.to_numpy(dtype=object)
        if not isinstance(array, np.ndarray):
            refuse(f"{part}{name} is of type {type(array).__name__}, not an array")
        found[part + name] = np.asarray(array)
    return found


def _values(name: str, values: np.ndarray, expected: Array) -> np.ndarray:
    """The values of an array in their common form, or a refusal."""
    if expected.kind == "text":
        return _text(name, values)
    if expected.kind == "integers":
        if values.dtype.kind == "u" and (values > np.iinfo(np.int64).max).any():
            refuse(f"{name} holds {values.max()}, which is out of range")
        return values.astype(np.int64)
    if expected.kind == "bool":
        if (np.ascontiguousarray(values).view(np.uint8) > 1).any():
            refuse(f"{name} holds bytes that are neither True nor False")
        return values
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    if not np.isfinite(values).all():
        refuse(f"{name} holds {int((~np.isfinite(values)).sum())} NaN or infinite values")
    if expected.positive and (values <= 0).any():
        refuse(f"{name} holds {float(values.min()):.3g}, all of its values must be positive")
    return values


def _text(name: str, values: np.ndarray) -> np.ndarray:
    limit = 2 * MAX_NAME + 100 if name == "splits/fold" else MAX_NAME
    values = values.tolist()
    for value in values:
        if not isinstance(value, str):
            refuse(f"{name} holds {reprlib.repr(value)}, which is no text")
        if len(value) > limit:
            refuse(f"{name} holds a text of {len(value)} characters, at most {limit} are read")
    return np.array(values, dtype=str)


def _scalar_text(value: object) -> object:
    """Text out of an array without axes, as which some file formats give it back."""
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _check_scaling(configuration: Configuration, weights: dict[str, np.ndarray]) -> None:
    """Representations in [0, 1] become 2x - 1, whatever their cells are."""
    schema = configuration.schema
    ends = np.cumsum(schema.n_features)
    for place, kind, n, end in zip(schema.fields.use_rep, schema.fields.scaling, schema.n_features, ends, strict=True):
        own = [weights[f"scaling.{name}"][:, end - n : end] for name in ("loc", "scale")]
        if kind == "unit_interval" and any((values != 0.5).any() for values in own):
            refuse(f"scaling of {place!r} is 'unit_interval', its scaling.loc and scaling.scale are not 0.5")


def _check_splits(configuration: Configuration, splits: dict[str, np.ndarray]) -> None:
    training, keys = configuration.training, configuration.schema.fields
    weights = splits.get("weights")
    replicas = Replicas(*(splits[name] for name in ("seed", "fold", "train", "test")), weights)
    stored = StoredSplits(replicas, splits["patients"], keys.group_key is not None, configuration.n_cohorts)
    try:
        check_stored(stored, training["cv"], range(training["seed"], training["seed"] + training["n_seeds"]))
    except ValueError as error:
        refuse(f"splits: {error}")
    if weights is not None and ((weights < 0).any() or (weights[~replicas.train] != 0).any()):
        refuse("splits/weights are negative, or not 0 for patients who are not trained on")


def _check_mixture(mixture: np.ndarray | None) -> None:
    """Weights of configurations are shares."""
    if mixture is not None and ((mixture < 0).any() or (abs(mixture.sum(axis=0) - 1) > 1e-6).any()):
        refuse("mixture has negative weights, or weights of a replica that do not add up to 1")


def _check_encoders(configuration: Configuration, encoder_of_replica: np.ndarray, seed: np.ndarray) -> None:
    """Each replica has an encoder of its own, or all of a seed share one."""
    shared = configuration.training["encoder"] == "shared"
    expected = np.unique(seed, return_inverse=True)[1] if shared else np.arange(len(seed))
    if not np.array_equal(encoder_of_replica, expected):
        whose = "seed" if shared else "replica"
        refuse(f"encoder_of_replica is {some(encoder_of_replica)}, each {whose} has an encoder of its own")


def _check_checksum(
    stored: object, configuration: Configuration, weights: dict[str, np.ndarray], splits: dict[str, np.ndarray]
) -> None:
    found = checksum_of_parsed(configuration.parsed, weights, splits)
    if not isinstance(stored, str) or stored != found:
        refuse(
            f"its checksum is {found[:12]}..., {reprlib.repr(stored)} was stored, so that values are not those that "
            "were written"
        )
