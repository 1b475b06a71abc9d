"""The JSON text of a fitted model: everything in it is known, of the right type and within bounds, or refused."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from tcellmil._checks import some
from tcellmil.data._fields import Fields
from tcellmil.data._schema import Schema
from tcellmil.nn._network import NetworkConfig
from tcellmil.outcomes import OUTCOMES
from tcellmil.training._config import TrainingConfig

#: Raised when the layout of arrays or JSON changes, so that an old reader says so instead of guessing.
FORMAT = 4

#: Length of the JSON text: so many characters, and so many more for each feature and each patient.
MAX_TEXT, MAX_TEXT_EACH = 2_000_000, 1_000

#: No number of anything is larger.
MAX_COUNT = 2**53

#: No cell has more representations, and no replica more configurations.
MAX_REPRESENTATIONS, MAX_CONFIGURATIONS = 1000, 100

#: Parts of the JSON text.
PARTS = ("format", "schema", "networks", "training", "n_cohorts", "n_covariates")

#: What is recorded of the splits, beside the options of the training.
SPLITS = {"cv": str, "n_seeds": int, "seed": int, "calibration": str, "ensemble": str}


@dataclass(frozen=True)
class Configuration:
    """What the JSON text of a fitted model says, checked.

    Parameters
    ----------
    parsed
        The text as Python values.
    networks, schema, training
        Sizes and kinds of the networks, one for each configuration; what they read; how they were trained.
    n_cohorts, n_covariates
        Numbers of cohorts and covariates that the networks were built for.
    """

    parsed: dict
    networks: tuple[NetworkConfig, ...]
    schema: Schema
    training: dict
    n_cohorts: int
    n_covariates: int


def refuse(what: str) -> NoReturn:
    """Raise the ValueError of a fitted model that cannot be opened."""
    raise ValueError(
        f"the fitted model is damaged or was changed by hand: {what}; take another copy of the file, or fit it again"
    )


def text_limit(n_features: int, n_patients: int) -> int:
    """Length to which JSON text is read."""
    return MAX_TEXT + MAX_TEXT_EACH * (n_features + n_patients)


def parse(text: object, n_features: int, n_patients: int) -> dict:
    """JSON text as Python values; its length is bounded by the number of features and of patients."""
    if not isinstance(text, str):
        refuse(f"config is of type {type(text).__name__}, not text")
    limit = text_limit(n_features, n_patients)
    if len(text) > limit:
        refuse(f"config has {len(text)} characters, at most {limit} are read")
    try:
        parsed = json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        refuse(f"config cannot be read as JSON ({reprlib.repr(str(error))})")
    if not isinstance(parsed, dict):
        refuse(f"config holds {reprlib.repr(parsed)}, not the parts {some(PARTS)}")
    return parsed


def check_format(parsed: dict) -> None:
    """Raise a ValueError that names the formats where it was written in another one."""
    if type(parsed.get("format")) is not int or parsed["format"] != FORMAT:
        raise ValueError(
            f"the fitted model has format {reprlib.repr(parsed.get('format'))}, this version reads {FORMAT}; "
            "use the version of tcellmil that wrote it"
        )


def read_config(parsed: dict) -> Configuration:
    """Check the parts of a parsed configuration, without making anything of a size that they name.

    Raises
    ------
    ValueError
        If it was written in a format that this version does not read, or something in it is not known, of another type
        or out of range.
    """
    check_format(parsed)
    _check_names(parsed, PARTS, "config")
    schema = _schema(parsed["schema"])
    networks = _networks(parsed["networks"], schema)
    training = _training(parsed["training"])
    if training["calibration"] and not schema.outcome.has_classes:
        refuse(f"training.calibration is {training['calibration']!r}, but nothing but classes is calibrated")
    for name, known in (("n_cohorts", len(schema.cohorts)), ("n_covariates", _n_covariates(schema))):
        _check_type(parsed[name], int, name)
        if parsed[name] != known:
            refuse(f"{name} is {parsed[name]}, the schema has {known}")
    return Configuration(parsed, networks, schema, training, len(schema.cohorts), _n_covariates(schema))


def _networks(values: object, schema: Schema) -> tuple[NetworkConfig, ...]:
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_CONFIGURATIONS:
        refuse(f"networks is {reprlib.repr(values)}, expected a list of 1 to {MAX_CONFIGURATIONS}")
    networks = tuple(_made(NetworkConfig, one, f"networks[{i}]") for i, one in enumerate(values))
    for i, network in enumerate(networks):
        if network.compression == "auto":
            refuse(f"networks[{i}].compression is 'auto', which is for fitting")
        if network.instance_weight > 0 and schema.outcome.n_scores != 2:
            refuse(f"networks[{i}].instance_weight needs two classes, there are {schema.outcome.n_scores} scores")
    return networks


def _schema(values: object) -> Schema:
    _check_names(values, [field.name for field in fields(Schema)], "schema")
    keys, outcome = values["fields"], values["outcome"]
    if not (isinstance(outcome, Mapping) and isinstance(outcome.get("kind"), str) and outcome["kind"] in OUTCOMES):
        refuse(f"schema.outcome is {reprlib.repr(outcome)}, not of a kind in {some(OUTCOMES)}")
    _made(Fields, keys, "schema.fields")
    _made(OUTCOMES[outcome["kind"]], {k: v for k, v in outcome.items() if k != "kind"}, "schema.outcome")
    for name in ("cohorts", "features", "scores"):
        _check_type(values[name], Sequence[str], f"schema.{name}")
    if not isinstance(values["categories"], list):
        refuse(f"schema.categories is {reprlib.repr(values['categories'])}, expected a list")
    for levels in values["categories"]:
        _check_type(levels, Sequence[str], "schema.categories")
    if not isinstance(values["n_features"], list):
        refuse(f"schema.n_features is {reprlib.repr(values['n_features'])}, expected a list")
    if len(values["n_features"]) > MAX_REPRESENTATIONS or len(keys["use_rep"]) > MAX_REPRESENTATIONS:
        refuse(f"there are more than {MAX_REPRESENTATIONS} representations")
    for n in values["n_features"]:
        _check_count(n, "schema.n_features")
    try:
        schema = Schema.from_dict(values)
        schema.check()
    except (ValueError, TypeError, KeyError) as error:
        refuse(f"schema: {error}")
    return schema


def _training(values: object) -> dict:
    options = [field.name for field in fields(TrainingConfig)]
    _check_names(values, [*options, *SPLITS], "training")
    _made(TrainingConfig, {name: values[name] for name in options}, "training")
    for name, hint in SPLITS.items():
        _check_type(values[name], hint, f"training.{name}")
    _check_count(values["n_seeds"], "training.n_seeds")
    for name, known in (("calibration", ("", "spread", "temperature")), ("ensemble", ("", "average", "best"))):
        if values[name] not in known:
            refuse(f"training.{name} is {reprlib.repr(values[name])}, not one of {', '.join(map(repr, known))}")
    return values


def _made(kind: type, values: object, where: str) -> Any:
    """The dataclass of these values: its fields, no others, each of the type that it is declared with."""
    hints = _hints(kind)
    _check_names(values, list(hints), where)
    found = {name: _of_json(values[name], hint) for name, hint in hints.items()}
    for name, hint in hints.items():
        _check_type(found[name], hint, f"{where}.{name}")
    try:
        return kind(**found)
    except (ValueError, TypeError, KeyError) as error:
        refuse(f"{where}: {error}")


@cache
def _hints(kind: type) -> dict[str, object]:
    """Declared type of each field of a dataclass."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _of_json(value: object, hint: object) -> object:
    """What JSON made a list was a tuple; a count may be written as 5.0."""
    if isinstance(value, float) and value.is_integer() and not _is_of(value, hint):
        return int(value)
    return tuple(value) if isinstance(value, list) else value


def _check_names(values: object, known: Sequence[str], where: str) -> None:
    if not isinstance(values, Mapping):
        refuse(f"{where} is {reprlib.repr(values)}, not a dict with {some(known)}")
    missing, unknown = [name for name in known if name not in values], [name for name in values if name not in known]
    if missing or unknown:
        refuse(f"{where} lacks {some(missing)}" if missing else f"{where} has {some(unknown)}, which is not known")


def _check_count(value: object, where: str) -> None:
    _check_type(value, int, where)
    if value < 1:
        refuse(f"{where} is {value}, expected at least 1")


def _check_type(value: object, hint: object, where: str) -> None:
    if not _is_of(value, hint):
        refuse(f"{where} is {reprlib.repr(value)}, expected {_in_words(hint)}")


def _is_of(value: object, hint: object) -> bool:
    """Whether a value out of JSON is of a declared type; of a choice, whether it is text."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_is_of(value, one) for one in get_args(hint))
    if origin is Literal or hint is str:
        return isinstance(value, str)
    if hint is NoneType:
        return value is None
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool) and abs(value) <= MAX_COUNT
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value)
    if origin is tuple or (isinstance(origin, type) and issubclass(origin, Sequence)):
        item = get_args(hint)[0]
        return isinstance(value, list | tuple) and all(_is_of(one, item) for one in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    return True  # a type that only a further kind of outcome has; it checks itself


def _is_finite(value: Real) -> bool:
    return abs(value) <= MAX_COUNT if isinstance(value, Integral) else math.isfinite(value)


def _in_words(hint: object) -> str:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_in_words(one) for one in get_args(hint)))
    words = {str: "text", NoneType: "null", int: "a whole number", float: "a finite number"}
    return "text" if origin is Literal else words.get(hint, "a list of text")


def _n_covariates(schema: Schema) -> int:
    return len(schema.fields.continuous_covariate_keys) + sum(len(levels) for levels in schema.categories)


def _each_once(pairs: list[tuple[str, object]]) -> dict:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name stands twice")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
