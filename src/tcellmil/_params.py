"""What a verb was called with, in a form that files can hold."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from pathlib import Path

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
        return json.dumps({str(name): item for name, item in value.items()}, default=str)
    if isinstance(value, Collection):
        items = [_plain(item) for item in value]
        if all(isinstance(item, int | float) for item in items):
            return np.array(items, dtype=float)
        return np.array([str(item) for item in items], dtype=object)
    return str(value)
