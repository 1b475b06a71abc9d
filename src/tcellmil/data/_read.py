"""One reading of an AnnData or a MuData: everything that a model uses of it, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._checks import check_data, check_obs_column, has_obs_column, is_mudata, some
from tcellmil._log import warn

from ._columns import per_patient, read_categories, read_cohorts, read_groups, read_numbers, read_samples
from ._fields import Fields
from ._mudata import read_of_mudata
from ._representations import Representation, joint_features, numbered, read_representation, resolve_use_rep

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


@dataclass(frozen=True)
class Cohort:
    """What was read of the cells and patients of an AnnData or a MuData.

    Parameters
    ----------
    cells
        Name of each cell, ``(n_cells,)``.
    sample
        Patient of each cell, ``(n_cells,)`` str.
    patients
        One row per patient, sorted by name: ``label`` and ``event`` (text, NaN where missing), ``batch``, ``group``,
        and ``continuous:<key>`` and ``categorical:<key>`` for each covariate; those that were read.
    representations
        In the order of ``use_rep``.
    levels
        Categories of the label, where its column is an ordered categorical.
    """

    cells: np.ndarray
    sample: np.ndarray
    patients: pd.DataFrame
    representations: tuple[Representation, ...]
    levels: tuple[str, ...] | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """Where the representations are."""
        return tuple(part.place for part in self.representations)

    def only(self, place: str) -> Cohort:
        """The same with one of the representations."""
        return replace(self, representations=tuple(part for part in self.representations if part.place == place))


def read(data: AnnData | MuData, fields: Fields, *, new: bool = False, strict: bool = False) -> Cohort:
    """Read a cohort, each column and each representation once.

    Parameters
    ----------
    data
        An AnnData or a MuData in memory.
    fields
        What to read.
    new
        New patients, to be predicted by a fitted model: outcomes may be missing, and groups are not read.
    strict
        Outcomes of new patients were asked for: their columns must be there and readable.

    Raises
    ------
    KeyError
        If a column or a representation is not there.
    TypeError, ValueError
        If what is there cannot be used; the message says which patients and what to do.

    Warns
    -----
    UserWarning
        If the outcomes of new patients cannot be read and are left out.
    """
    samples, table, levels = read_patients(data, fields, new=new, strict=strict)
    return Cohort(
        cells=data.obs_names.to_numpy(dtype=str),
        sample=samples.to_numpy(dtype=str),
        patients=table,
        representations=tuple(_representations(data, resolve_use_rep(data, fields.use_rep))),
        levels=levels,
    )


def read_patients(
    data: AnnData | MuData, fields: Fields, *, new: bool = False, strict: bool = False
) -> tuple[pd.Series, pd.DataFrame, tuple[str, ...] | None]:
    """The columns alone: the patient of each cell, ``patients`` and ``levels`` of :class:`Cohort`."""
    check_data(data)
    resolve_use_rep(data, fields.use_rep)  # what is missing is reported first
    samples = read_samples(data, fields.sample_key)
    columns, levels = _read_outcomes(data, samples, fields, new, strict)
    if fields.batch_key is not None:
        columns["batch"] = read_cohorts(data, samples, fields.batch_key)
    if fields.group_key is not None and not new:
        columns["group"] = read_groups(data, samples, fields.group_key)
    for key in fields.continuous_covariate_keys:
        columns[f"continuous:{key}"] = read_numbers(data, samples, key)
    for key in fields.categorical_covariate_keys:
        columns[f"categorical:{key}"] = read_categories(data, samples, key)
    table = pd.DataFrame(columns, index=pd.Index(np.unique(samples.to_numpy(dtype=str)), name="patient"))
    return samples, table, levels


def read_features(data: AnnData | MuData, use_rep: str | Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Representations side by side, ``(n_cells, n_features)`` float32, and the names of their columns.

    Raises
    ------
    KeyError, ValueError
        If one of them is not there, or is not finite.
    """
    parts = _representations(data, resolve_use_rep(data, use_rep))
    for part in parts:
        part.check_finite()
    names = joint_features(parts) or numbered(parts[0].place, parts[0].n_features)
    return np.hstack([part.x for part in parts]), names


def only_what_is_read(data: AnnData | MuData, fields: Fields) -> AnnData:
    """The columns and representations that a model reads, so that setting it up leaves no trace in ``data``.

    Of a MuData, the representations are keys of ``obsm`` by the names of their places.
    """
    from anndata import AnnData

    obs = {key: check_obs_column(data, key, argument) for argument, key in fields.columns()}
    obsm, uns = {}, {}
    for part in _representations(data, resolve_use_rep(data, fields.use_rep)):
        obsm[part.place] = part.x
        names = {} if part.names is None else {"names": np.array(part.names, dtype=object)}
        params = {"method": part.method, "checksum": part.checksum} | ({"verb": "regulons"} if part.checksum else {})
        uns[part.place.removeprefix("X_")] = {"params": params, **names}
    return AnnData(obs=pd.DataFrame(obs, index=data.obs_names.copy()), obsm=obsm, uns=uns)


def _representations(data: AnnData | MuData, where: Sequence[str]) -> list[Representation]:
    if is_mudata(data):
        return read_of_mudata(data, where)
    return [read_representation(data, place) for place in where]


def _read_outcomes(
    data: AnnData | MuData, samples: pd.Series, fields: Fields, new: bool, strict: bool
) -> tuple[dict, tuple[str, ...] | None]:
    """Label and event of each patient, and the order of the labels where their column has one."""
    keys = {"label": ("label_key", fields.label_key), "event": ("event_key", fields.event_key)}
    keys = {name: (argument, key) for name, (argument, key) in keys.items() if key is not None}
    if new and not strict and not all(has_obs_column(data, key) for _, key in keys.values()):
        return {}, None
    columns, levels = {}, None
    for name, (argument, key) in keys.items():
        values = check_obs_column(data, key, argument)
        if name == "label" and getattr(values.dtype, "ordered", False):
            levels = tuple(str(level) for level in values.cat.categories)
        try:
            columns[name] = per_patient(values, samples, key, argument)
        except ValueError as error:
            if not new or strict:
                raise
            warn(f"outcomes of the new patients are left out: {error}")
            return {}, None
        missing = columns[name].index[columns[name].isna()]
        if len(missing) and fields.unlabelled == "error" and not new:
            raise ValueError(
                f"{argument} {key!r} is missing for patients {some(missing)}; drop them or set unlabelled='predict'"
            )
    return columns, levels
