"""Columns of cells that say one thing a patient: read, and refused where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._checks import check_obs_column, some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


def read_samples(adata: AnnData, sample_key: str) -> pd.Series:
    """The patient of each cell, as str; each has two cells or more."""
    samples = check_obs_column(adata, sample_key, "sample_key")
    if samples.isna().any():
        raise ValueError(
            f"sample_key {sample_key!r} is missing for {int(samples.isna().sum())} cells; "
            "drop them, for example adata = adata[adata.obs[...].notna()].copy()"
        )
    samples = samples.astype(str)
    sizes = samples.value_counts()
    if (sizes < 2).any():
        raise ValueError(
            f"patients {some(sorted(sizes.index[sizes < 2]))} have a single cell; "
            "attention needs at least two, so drop these patients"
        )
    return samples


def per_patient(adata: AnnData, samples: pd.Series, key: str, argument: str) -> pd.Series:
    """The one value of each patient, as str, NaN where it has none."""
    values = check_obs_column(adata, key, argument).astype(object)
    table = pd.DataFrame({"patient": samples.to_numpy(), "value": values.where(values.isna(), values.astype(str))})
    n_values = table.groupby("patient")["value"].nunique(dropna=False)
    several = n_values.index[n_values > 1]
    if len(several):
        of_first = table.loc[table["patient"] == several[0], "value"].unique()
        raise ValueError(
            f"{argument} {key!r} has several values within patients {some(several)} "
            f"({several[0]!r}: {some(of_first)}); every patient must have exactly one"
        )
    return table.groupby("patient")["value"].first()


def read_cohorts(adata: AnnData, samples: pd.Series, batch_key: str) -> pd.Series:
    """The cohort of each patient."""
    cohorts = per_patient(adata, samples, batch_key, "batch_key")
    if cohorts.isna().any():
        raise ValueError(
            f"batch_key {batch_key!r} is missing for patients {some(cohorts.index[cohorts.isna()])}; "
            "fill it in, or leave batch_key out"
        )
    return cohorts


def read_groups(adata: AnnData, samples: pd.Series, group_key: str) -> pd.Series:
    """The group of each sample."""
    groups = per_patient(adata, samples, group_key, "group_key")
    if groups.isna().any():
        raise ValueError(
            f"group_key {group_key!r} is missing for samples {some(groups.index[groups.isna()])}; fill it in"
        )
    return groups


def keys_of(keys: Sequence[str] | None) -> tuple[str, ...]:
    """Names of columns, each once: of one, of several, or of none."""
    return () if keys is None else (keys,) if isinstance(keys, str) else tuple(dict.fromkeys(keys))


def read_numbers(adata: AnnData, samples: pd.Series, key: str) -> pd.Series:
    """A number for each patient."""
    values = per_patient(adata, samples, key, "continuous_covariate_keys")
    numbers = pd.to_numeric(values, errors="coerce")
    bad = numbers.index[~np.isfinite(numbers)]
    if len(bad):
        raise ValueError(
            f"continuous_covariate_keys {key!r} is missing or not a finite number for patients {some(bad)} "
            f"({some(values[bad].unique(), 3)}); fill it in, or pass it as a categorical covariate"
        )
    return numbers.astype(float)


def read_categories(adata: AnnData, samples: pd.Series, key: str) -> pd.Series:
    """A category for each patient."""
    values = per_patient(adata, samples, key, "categorical_covariate_keys")
    if values.isna().any():
        raise ValueError(
            f"categorical_covariate_keys {key!r} is missing for patients {some(values.index[values.isna()])}; "
            "fill it in, for example with a category 'unknown'"
        )
    return values
