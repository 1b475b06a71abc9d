"""The representations of cells that a model reads: where they are, their values, and the names of their features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil import _keys
from tcellmil._checks import check_choice, check_finite, choices, is_mudata, some
from tcellmil._provenance import scores_at

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    UseRep = str | Iterable[str] | Mapping[str, str | Iterable[str]]

#: A modality's own matrix, where a key of its obsm would stand.
MATRIX = "X"

ScalingKind = Literal["auto", "unit_interval", "standard"]


@dataclass(frozen=True)
class Representation:
    """One representation of the cells, as it was read.

    Parameters
    ----------
    place
        Where it is: a key of ``obsm``, or ``"modality:key"`` of a MuData.
    x
        ``(n_cells, n_features)`` float32, in the order of ``obs``.
    names
        Names of its columns, where they are known.
    method
        How it was computed, where that is recorded: ``"aucell"`` scores are in [0, 1] by construction.
    checksum
        Of scores that :func:`tcellmil.tl.regulons` wrote.
    """

    place: str
    x: np.ndarray
    names: list[str] | None = None
    method: str = ""
    checksum: str = ""

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.x.shape[1]

    def check_finite(self) -> None:
        """Raise a ValueError that counts NaN and infinite values."""
        check_finite(self.x, described(self.place), self.names)


def resolve_use_rep(data: AnnData | MuData, use_rep: UseRep) -> tuple[str, ...]:
    """Where each representation is: a key of ``obsm``, or ``"modality:key"`` of a MuData.

    Parameters
    ----------
    data
        What will be read.
    use_rep
        One place or several, ``"X"`` for the matrix of an AnnData; or a mapping from modalities to keys of their
        ``obsm``, ``"X"`` for the matrix. In a MuData, ``"X_regulons"`` is also the modality that
        :func:`tcellmil.tl.regulons` adds.

    Raises
    ------
    KeyError
        If one of them is not there; the message says what there is instead.
    TypeError, ValueError
        If ``use_rep`` is none of these, empty, or names a representation twice.
    """
    multimodal = is_mudata(data)
    found = _listed(use_rep, multimodal)
    if not found:
        raise ValueError("use_rep is empty; name at least one representation")
    twice = sorted({place for place in found if found.count(place) > 1})
    if twice:
        raise ValueError(f"use_rep names {some(twice)} twice; each representation has one encoder, so name it once")
    default = _keys.representation(_keys.REGULONS)
    if multimodal and default in found and default not in data.obsm and _keys.REGULONS in data.mod:
        found[found.index(default)] = f"{_keys.REGULONS}:{MATRIX}"
    for place in found:
        (_check_in_mudata if multimodal else _check_in_anndata)(data, place)
    return tuple(found)


def read_representation(adata: AnnData | MuData, key: str) -> Representation:
    """``obsm[key]``, and what ``uns`` knows of it; the matrix of an AnnData for ``"X"``."""
    _check_in_anndata(adata, key)
    is_matrix = key not in adata.obsm
    value = adata.X if is_matrix else adata.obsm[key]
    stored = {} if is_matrix else stored_of(adata, key.removeprefix("X_"))
    names = [str(name) for name in adata.var_names] if is_matrix else None
    if isinstance(value, pd.DataFrame):
        names, value = list(value.columns.astype(str)), value.to_numpy()
    elif sparse.issparse(value):
        value = value.toarray()
    elif len(stored.get("names", ())) == value.shape[1]:
        names = [str(name) for name in stored["names"]]
    x = np.asarray(value, dtype=np.float32)
    return Representation(key, x, names, method_of(stored), scores_at(adata, key))


def stored_of(adata: AnnData | MuData, name: str) -> dict:
    """The result in ``uns`` that a representation comes from, empty where there is none."""
    stored = adata.uns.get(name)
    return stored if isinstance(stored, dict) else {}


def method_of(stored: Mapping) -> str:
    """The method that a stored result records."""
    params = stored.get("params", {})
    return str(params.get("method", "")) if isinstance(params, Mapping) else ""


def joint_features(parts: Sequence[Representation]) -> list[str]:
    """Names of the features of all representations, empty where a single one has none.

    Of several, each name comes after its representation's, ``"prot:CD8"``, and columns without a name are numbered.
    """
    if len(parts) == 1:
        return parts[0].names or []
    named = zip(labels([part.place for part in parts]), parts, strict=True)
    return [f"{label}:{name}" for label, part in named for name in part.names or range(part.n_features)]


def numbered(key: str, n: int) -> list[str]:
    """Names of the columns of a single representation that has none."""
    return [f"{key}_{i}" for i in range(n)]


def labels(use_rep: Sequence[str]) -> list[str]:
    """A short name of each representation: its modality, or its key without ``X_``, where these differ."""
    short = [place.partition(":")[0] if ":" in place else place.removeprefix("X_") for place in use_rep]
    return [place if short.count(label) > 1 else label for place, label in zip(use_rep, short, strict=True)]


def described(place: str) -> str:
    """A place in words, for messages."""
    mod, colon, key = place.partition(":")
    if not colon:
        return "adata.X" if place == MATRIX else f"obsm[{place!r}]"
    return f"X of modality {mod!r}" if key == MATRIX else f"obsm[{key!r}] of modality {mod!r}"


def are_unit_intervals(parts: Sequence[Representation], scaling: str | Sequence[str]) -> tuple[bool, ...]:
    """Which representations are in [0, 1] by construction, or are said to be; ``scaling`` is one for all or a list."""
    if not isinstance(scaling, str | Sequence):
        raise TypeError(f"scaling must be one of {choices(ScalingKind)}, or a list of them, got {scaling!r}")
    scalings = [scaling] * len(parts) if isinstance(scaling, str) else list(scaling)
    if len(scalings) != len(parts):
        raise ValueError(f"scaling has {len(scalings)} values for {len(parts)} representations; give one for each")
    return tuple(_is_unit_interval(*of_one) for of_one in zip(parts, scalings, strict=True))


def _is_unit_interval(part: Representation, scaling: str) -> bool:
    check_choice(scaling, choices(ScalingKind), "scaling")
    if scaling == "auto":
        return part.method == "aucell"
    low, high = part.x.min(), part.x.max()
    if scaling == "unit_interval" and (low < 0 or high > 1):
        raise ValueError(
            f"scaling='unit_interval' needs values in [0, 1], {described(part.place)} has [{low:.3g}, {high:.3g}]; "
            "use scaling='standard'"
        )
    return scaling == "unit_interval"


def match_features(
    features: Sequence[str], n_features: Sequence[int], parts: Sequence[Representation]
) -> list[Representation]:
    """Representations with their columns in a model's order.

    Parameters
    ----------
    features, n_features
        Of the model: names as :func:`joint_features` gives them, and number of features of each representation.
    parts
        The representations, as they were read.

    Raises
    ------
    ValueError
        If features are missing, or their number differs where they have no names.
    """
    ends = np.cumsum(n_features)
    of_block = [list(features[end - n : end]) for end, n in zip(ends, n_features, strict=True)]
    if len(parts) > 1:
        names = labels([part.place for part in parts])
        of_block = [_own_names(*named) for named in zip(names, of_block, strict=True)]
    return [_matched(*of_one) for of_one in zip(of_block, n_features, parts, strict=True)]


def _own_names(label: str, features: list[str]) -> list[str]:
    """Names without the representation's; none where they are numbers."""
    names = [name.removeprefix(f"{label}:") for name in features]
    return [] if names == [str(i) for i in range(len(names))] else names


def _matched(features: list[str], n: int, part: Representation) -> Representation:
    names = part.names
    if names and not features and sorted(names) == sorted(map(str, range(n))):
        features = [str(i) for i in range(n)]  # columns that are named by their number, in whatever order
    if not (names and features):
        if part.n_features != n:
            raise ValueError(f"{described(part.place)} has {part.n_features} features, the model was fitted on {n}")
        return part
    if names == features:
        return part
    position = {name: i for i, name in enumerate(names)}
    missing = [name for name in features if name not in position]
    if missing:
        raise ValueError(
            f"{described(part.place)} lacks {len(missing)} of the model's {len(features)} features "
            f"{some(missing)}; score the new cells with the first data set's regulons: "
            "tl.regulons(new, net=adata.uns['regulons']['targets'])"
        )
    return replace(part, x=part.x[:, [position[name] for name in features]], names=features)


def _listed(use_rep: UseRep, multimodal: bool) -> list[str]:
    if isinstance(use_rep, Mapping):
        if not multimodal:
            raise TypeError(
                f"use_rep={dict(use_rep)!r} names modalities, which an AnnData does not have; "
                "pass a MuData, or keys of adata.obsm"
            )
        wrong = [mod for mod, keys in use_rep.items() if not isinstance(keys, str | Sequence)]
        if wrong:
            raise TypeError(
                f"use_rep={dict(use_rep)!r}: modality {wrong[0]!r} needs a key of its obsm, several, or 'X', its matrix"
            )
        colon = [mod for mod in use_rep if ":" in str(mod)]
        if colon:
            raise ValueError(f"modality {colon[0]!r} has a colon in its name, which stands before a key; rename it")
        pairs = [(mod, [keys] if isinstance(keys, str) else list(keys)) for mod, keys in use_rep.items()]
        return [f"{mod}:{key}" for mod, keys in pairs for key in keys]
    if isinstance(use_rep, str):
        return [use_rep]
    found = list(use_rep) if isinstance(use_rep, Iterable) else [use_rep]
    if not all(isinstance(place, str) for place in found):
        raise TypeError(f"use_rep={use_rep!r} must be a key, several keys, or a mapping from modalities to keys")
    return [str(place) for place in found]


def _check_in_anndata(adata: AnnData, key: str) -> None:
    if key in adata.obsm or (key == MATRIX and adata.X is not None):
        return
    hint = "; run tcellmil.tl.regulons first" if key == _keys.representation(_keys.REGULONS) else ""
    if ":" in key:
        hint = "; a key with a colon names a modality: pass a MuData"
    if key in adata.layers:
        hint = f"; it is a layer: adata.obsm['X_{key}'] = adata.layers[{key!r}], then use_rep='X_{key}'"
    raise KeyError(
        f"use_rep={key!r} is not in adata.obsm; there are {some(adata.obsm.keys())}, and {MATRIX!r} for adata.X{hint}"
    )


def _check_in_mudata(mdata: MuData, place: str) -> None:
    mod, colon, key = place.partition(":")
    if not colon:
        joint = [name for name in mdata.obsm if name not in mdata.mod]  # the others say which cells a modality has
        if place not in joint:
            hint = "; run tcellmil.tl.regulons first" if place == _keys.representation(_keys.REGULONS) else ""
            raise KeyError(
                f"use_rep={place!r} is not in mdata.obsm; there are {some(joint)}. For what is in a modality, of "
                f"{some(mdata.mod)}, pass a mapping: use_rep={{{next(iter(mdata.mod), 'rna')!r}: 'X_pca'}}{hint}"
            )
    elif mod not in mdata.mod:
        raise KeyError(f"use_rep names the modality {mod!r}, which is not in mdata; there are {some(mdata.mod)}")
    elif key != MATRIX and key not in mdata.mod[mod].obsm:
        raise KeyError(
            f"use_rep names {key!r} of modality {mod!r}, which is not in its obsm; there are "
            f"{some(mdata.mod[mod].obsm.keys())}, and {MATRIX!r} for its matrix"
        )
    elif key == MATRIX and mdata.mod[mod].X is None:
        raise KeyError(f"use_rep names {MATRIX!r} of modality {mod!r}, which has no matrix; name a key of its obsm")
