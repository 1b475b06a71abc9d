"""The columns of new patients, which may have other names than those of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import check_obs_column, has_obs_column, some
from tcellmil._log import warn

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.data import Bags, Fields
    from tcellmil.model._fitted_model import FittedModel

#: Columns without which no patient can be predicted.
READ = ("sample_key", "batch_key", "continuous_covariate_keys", "categorical_covariate_keys")
OUTCOMES = ("label_key", "event_key")
COVARIATES = ("continuous_covariate_keys", "categorical_covariate_keys")
COLUMNS = (*READ, *OUTCOMES, "group_key")


def with_columns(model: FittedModel, named: Mapping[str, object]) -> FittedModel:
    """The model with other names of the columns that it reads.

    Parameters
    ----------
    model
        As it was fitted.
    named
        Some of :data:`COLUMNS` and their names, of covariates as many as the model reads and in its order; ``None``
        keeps that of the model.

    Raises
    ------
    ValueError
        If the model reads no such column, or one column is to be two things.
    """
    from tcellmil.data._fields import column_names

    fields, given = model.schema.fields, {name: value for name, value in named.items() if value is not None}
    for name in COVARIATES:
        if name in given:
            own, given[name] = getattr(fields, name), column_names(given[name])
            if len(given[name]) != len(own):
                raise ValueError(f"{name}={list(given[name])} must name the columns of {some(own)}, in this order")
    unread = [name for name in given if name != "group_key" and not getattr(fields, name)]
    unread = [name for name in unread if given[name]]
    if unread:
        name = unread[0]
        raise ValueError(f"{name}={given[name]!r}: the model was fitted without {name}; leave it out")
    outcome = model.schema.outcome
    of_outcome = {name: given[name] for name in OUTCOMES if name in given and hasattr(outcome, name)}
    return replace(
        model,
        schema=replace(model.schema, fields=replace(fields, **given), outcome=replace(outcome, **of_outcome)),
    )


def check_columns(data: AnnData | MuData, fields: Fields, named: Mapping[str, object]) -> None:
    """Raise a KeyError where a column is not there, that was named or that the model reads.

    Columns of outcomes and of groups need not be there unless they were named.
    """
    for argument, column in fields.columns():
        if named.get(argument) is not None:
            check_obs_column(data, column, argument)
        elif argument in READ and not has_obs_column(data, column):
            none = f", or give every cell the same, adata.obs[{column!r}] = 'new'" if argument == "batch_key" else ""
            raise KeyError(
                f"{argument}={column!r} of the model is not a column of adata.obs; there are {some(data.obs.columns)}. "
                f"Name the column of these data, tl.predict(adata, model, {argument}=...){none}"
            )


def groups_of(data: AnnData | MuData, fields: Fields, *, measured: bool) -> pd.Series | None:
    """Patient of each sample, which must be resampled together, where there is a column of it.

    Warns where the model was fitted with groups, these data have no such column, and something is measured of them.
    """
    from tcellmil.data._columns import read_groups, read_samples

    if fields.group_key is None:
        return None
    if not has_obs_column(data, fields.group_key):
        if measured:
            warn(
                f"group_key={fields.group_key!r} of the model is not a column of adata.obs: every sample counts as a "
                "patient of its own, and intervals are over samples; name the column of these data with group_key=..."
            )
        return None
    return read_groups(data, read_samples(data, fields.sample_key), fields.group_key)


def with_groups(bags: Bags, groups: pd.Series | None) -> Bags:
    """The patients with what must be resampled together."""
    if groups is None:
        return bags
    return replace(bags, groups=np.unique(groups.loc[bags.names].to_numpy(dtype=str), return_inverse=True)[1])
