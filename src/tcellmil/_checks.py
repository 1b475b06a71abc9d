"""Bad input becomes one clear error, before anything is computed or written."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from numbers import Real
from types import NoneType
from typing import TYPE_CHECKING, get_args

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData
    from scipy import sparse


def check_adata(adata: AnnData, *, backed: bool = False) -> None:
    """Raise unless ``adata`` is an AnnData in memory (or backed), not a view, with unique names."""
    from anndata import AnnData

    if is_mudata(adata):
        raise TypeError(
            f"adata must be an AnnData, got MuData; pass one of its modalities {some(adata.mod)}, "
            f"such as mdata[{next(iter(adata.mod), 'rna')!r}]"
        )
    if not isinstance(adata, AnnData):
        raise TypeError(f"adata must be an AnnData, got {type(adata).__name__}")
    if adata.is_view:
        raise ValueError("adata is a view of another AnnData; results would be lost. Pass a copy: adata = adata.copy()")
    if adata.isbacked and not backed:
        raise ValueError("adata is backed by a file; load it into memory first: adata = adata.to_memory()")
    if not adata.obs_names.is_unique:
        raise ValueError(
            f"obs_names are not unique: {some(_repeated(adata.obs_names))}; call adata.obs_names_make_unique()"
        )
    if not adata.var_names.is_unique:
        raise ValueError(
            f"var_names are not unique: {some(_repeated(adata.var_names))}; call adata.var_names_make_unique()"
        )


def is_mudata(data: object) -> bool:
    """Whether this is a MuData, without importing mudata where nobody has."""
    mudata = sys.modules.get("mudata")
    return mudata is not None and isinstance(data, mudata.MuData)


def check_data(data: AnnData | MuData, *, backed: bool = False) -> None:
    """Raise unless ``data`` is an AnnData (may be backed) or a MuData in memory, not a view, with unique names."""
    if is_mudata(data):
        check_mudata(data)
    else:
        check_adata(data, backed=backed)


def check_mudata(data: MuData) -> None:
    """Raise unless ``data`` is a MuData in memory, not a view, whose modalities share cells of unique names."""
    if not is_mudata(data):
        raise TypeError(f"mdata must be a MuData, got {type(data).__name__}")
    if data.is_view:
        raise ValueError("mdata is a view of another MuData; results would be lost. Pass a copy: mdata = mdata.copy()")
    if data.isbacked:
        raise ValueError("mdata is backed by a file; load it into memory first: mdata = mudata.read_h5mu(path)")
    if data.axis != 0:
        raise ValueError(f"modalities of mdata share axis {data.axis}, not the cells; make it with MuData(..., axis=0)")
    if not data.obs_names.is_unique:
        raise ValueError(
            f"obs_names of mdata are not unique: {some(_repeated(data.obs_names))}; rename the cells of its modalities"
        )
    cells = set().union(*(part.obs_names for part in data.mod.values()))
    if cells != set(data.obs_names) or data.n_vars != sum(part.n_vars for part in data.mod.values()):
        raise ValueError("modalities of mdata have changed since it was made; call mdata.update()")


def has_obs_column(data: AnnData | MuData, key: str) -> bool:
    """Whether ``data.obs`` has a column, or for ``modality:column`` the ``obs`` of a MuData's modality."""
    if key in data.obs or not is_mudata(data):
        return key in data.obs
    mod, colon, column = str(key).partition(":")
    return bool(colon) and mod in data.mod and column in data.mod[mod].obs


def check_obs_column(adata: AnnData | MuData, key: str, argument: str) -> pd.Series:
    """Return ``adata.obs[key]``, or raise a KeyError that names the argument and what there is.

    A column of a modality's ``obs`` is, as in MuData, ``modality:column``.
    """
    if not is_mudata(adata):
        return check_column(adata.obs, key, argument)
    _check_column_name(key, argument)
    if has_obs_column(adata, key):
        own = adata.obs[key] if key in adata.obs else None
        mod, _, column = key.partition(":")
        if mod not in adata.mod or column not in adata.mod[mod].obs:
            return own
        of_modality = adata.mod[mod].obs[column].reindex(adata.obs_names)
        _check_same_column(own, of_modality, key)
        return of_modality
    holders = [f"{name}:{key}" for name, part in adata.mod.items() if key in part.obs]
    hint = f". A modality has it: write {' or '.join(map(repr, holders))}" if holders else ""
    raise KeyError(f"{argument}={key!r} is not a column of mdata.obs; there are {some(adata.obs.columns)}{hint}")


def check_column(obs: pd.DataFrame, key: str, argument: str) -> pd.Series:
    """Return a column of the ``obs`` of an AnnData, or raise a KeyError that names the argument and what there is."""
    _check_column_name(key, argument)
    if key not in obs:
        raise KeyError(f"{argument}={key!r} is not a column of adata.obs; there are {some(obs.columns)}")
    return obs[key]


def _check_column_name(key: object, argument: str) -> None:
    if not isinstance(key, str):
        raise TypeError(f"{argument} must be the name of a column of obs, got {key!r}")


def _check_same_column(own: pd.Series | None, of_modality: pd.Series, key: str) -> None:
    """Raise where a MuData's copy of a modality's column is not the column."""
    if own is None:
        return
    own, of_modality = (values.astype(object).where(values.notna(), None) for values in (own, of_modality))
    n = int((own.to_numpy() != of_modality.to_numpy()).sum())
    if n:
        mod, _, column = key.partition(":")
        raise ValueError(
            f"mdata.obs[{key!r}] is a copy of mdata[{mod!r}].obs[{column!r}] and differs from it in {n} cells; delete "
            f"it, or bring it up to date: mdata.pull_obs({column!r}, mods={mod!r})"
        )


def check_choice(value: object, choices: Sequence[object], argument: str) -> None:
    """Raise a ValueError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{argument}={value!r} is not known; choose from {', '.join(map(repr, choices))}")


def choices(hint: object) -> tuple:
    """Allowed values of a ``Literal``, or of a ``Literal`` or ``None``.

    Examples
    --------
    >>> from typing import Literal
    >>> choices(Literal["a", "b"]), choices(Literal["a"] | None)
    (('a', 'b'), ('a', None))
    """
    values: list = []
    for part in get_args(hint):
        values += [None] if part is NoneType else get_args(part) or [part]
    return tuple(values)


def check_count(value: object, argument: str) -> int:
    """Return a positive whole number as int, or raise a ValueError that says what was given."""
    if isinstance(value, bool) or not isinstance(value, Real) or value != value // 1 or value < 1:
        raise ValueError(f"{argument}={value!r} must be a whole number of at least 1")
    return int(value)


def check_positive(value: object, argument: str) -> float:
    """Return a finite number above 0 as float, or raise a ValueError that says what was given."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < float("inf"):
        raise ValueError(f"{argument}={value!r} must be positive")
    return float(value)


def check_fields(options: Mapping[str, object], config: type, argument: str) -> None:
    """Raise a TypeError unless ``options`` are fields of the dataclass ``config``.

    Where the class has a dict ``NAMED_OTHERWISE``, the message says of the options in it what to do instead.
    """
    if not isinstance(options, Mapping):
        raise TypeError(f"{argument} must be a dict of options, got {type(options).__name__}")
    known = [field.name for field in fields(config)]
    unknown = [name for name in options if name not in known]
    if unknown:
        elsewhere = getattr(config, "NAMED_OTHERWISE", {})
        hints = "".join(f"; {name}: {elsewhere[name]}" for name in unknown if name in elsewhere)
        raise TypeError(f"{argument} has no options {some(unknown)}{hints}; choose from {', '.join(map(repr, known))}")


def check_finite(values: np.ndarray, what: str, names: Sequence[str] | None = None) -> None:
    """Raise a ValueError that counts NaN and inf in ``values`` (cells x features), naming the first features."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    columns = np.flatnonzero(bad.any(axis=0))
    where = some([names[i] for i in columns] if names is not None else [f"column {i}" for i in columns])
    raise ValueError(
        f"{what} holds {int(bad.sum())} NaN or infinite values in {int(bad.any(axis=1).sum())} cells ({where}); "
        "remove these cells or features, or fill the values, before fitting"
    )


def check_layer(adata: AnnData, layer: str | None) -> np.ndarray | sparse.spmatrix:
    """Return ``adata.X``, or the layer, or raise an error that says which there are."""
    if layer is not None and layer not in adata.layers:
        names = [name for name in adata.layers if name is not None]  # since anndata 0.13, None is adata.X
        raise KeyError(f"layer={layer!r} is not in adata.layers; there are {some(names)}")
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None:
        raise ValueError("adata.X is empty; name the layer with the expression values: layer=...")
    return matrix


def check_result(adata: AnnData, key: str, verb: str) -> object:
    """Return ``adata.uns[key]``, or raise a KeyError that names the verb that writes it."""
    if key not in adata.uns:
        raise KeyError(f"adata.uns has no {key!r}; run {verb} first (there are {some(adata.uns)})")
    return adata.uns[key]


def some(values: Sequence[object], n: int = 6) -> str:
    """The first few values as a readable list, and how many more there are."""
    values = list(values)
    text = ", ".join(repr(str(v)) for v in values[:n])
    return f"[{text}]" if len(values) <= n else f"[{text}, ... {len(values) - n} more]"


def _repeated(index: pd.Index) -> list[str]:
    return list(index[index.duplicated()].unique())
