"""Results, and what a verb was called with, in a form that files can hold."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Plain = str | bool | int | float | np.ndarray


def plain(**arguments: object) -> dict[str, Plain]:
    """Arguments as text, numbers and arrays of them, which h5ad and zarr hold.

    ``None`` and an empty collection become ``""``, a dict becomes JSON text, several names an array. Of a table there
    is its shape.

    Examples
    --------
    >>> plain(layer=None, n_mad=[1, 3], use_reps=("X_pca",), network={"n_latent": 16})
    {'layer': '', 'n_mad': array([1., 3.]), 'use_reps': array(['X_pca'], dtype=object), 'network': '{"n_latent": 16}'}
    """
    return {name: _plain(value) for name, value in arguments.items()}


def storable(value: Any) -> Any:
    """The same with text as plain ``object``, which all versions of the file formats hold."""
    if isinstance(value, Mapping):
        return {name: storable(item) for name, item in value.items()}
    if isinstance(value, pd.DataFrame):
        table = value.copy()
        for column in table.columns[[_is_text(dtype) for dtype in table.dtypes]]:
            table[column] = table[column].astype(object)
        table.index = table.index.astype(object) if _is_text(table.index.dtype) else table.index
        table.columns = pd.Index(list(table.columns), dtype=object)
        return table
    return np.asarray(value, dtype=object) if isinstance(value, pd.api.extensions.ExtensionArray) else value


def _is_text(dtype: object) -> bool:
    return isinstance(dtype, pd.StringDtype)


def _plain(value: object) -> Plain:
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value.item()
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, pd.DataFrame):
        return f"DataFrame of {value.shape[0]} x {value.shape[1]}"
    if isinstance(value, str | Path):
        return str(value)
    if value is None or (isinstance(value, Collection) and not len(value)):
        return ""
    if isinstance(value, Mapping):
        return json.dumps({str(name): item for name, item in value.items()}, default=_described)
    if isinstance(value, Collection):
        items = [_plain(item) for item in value]
        if all(isinstance(item, int | float) for item in items):
            return np.array(items, dtype=float)
        return np.array([str(item) for item in items], dtype=object)
    return _described(value)


def _described(value: object) -> str:
    """Text that is the same in every process: without an address in memory."""
    text = getattr(value, "__qualname__", None) or str(value)
    return type(value).__name__ if " at 0x" in text else text
