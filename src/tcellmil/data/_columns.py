"""Columns of cells with one value per patient: read, and refused where there are several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._checks import check_obs_column, some

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


#: Texts that missing values become on their way through other programs.
MISSING_AS_TEXT = ("nan", "NaN", "NAN", "NA", "N/A", "n/a", "<NA>", "NaT", "None", "null", "NULL", "")


def read_samples(adata: AnnData | MuData, sample_key: str) -> pd.Series:
    """The patient of each cell, as str; each has two cells or more."""
    samples = check_obs_column(adata, sample_key, "sample_key")
    if samples.isna().any():
        raise ValueError(
            f"sample_key {sample_key!r} is missing for {int(samples.isna().sum())} cells; "
            "drop them, for example adata = adata[adata.obs[...].notna()].copy()"
        )
    samples = samples.astype(str)
    _check_not_missing_as_text(samples, sample_key, "sample_key", samples)
    sizes = samples.value_counts()
    if (sizes < 2).any():
        raise ValueError(
            f"patients {some(sorted(sizes.index[sizes < 2]))} have a single cell; "
            "attention needs at least two, so drop these patients"
        )
    return samples


def _check_not_missing_as_text(values: pd.Series, key: str, argument: str, patients: pd.Series) -> None:
    """Raise a ValueError where values are the text that another program has made of a missing value."""
    looks_missing = values.isin(MISSING_AS_TEXT).to_numpy()
    if looks_missing.any():
        text, column = values[looks_missing].iloc[0], f"adata.obs[{key!r}]"
        whose = some(patients[looks_missing].unique())
        raise ValueError(
            f"{argument} {key!r} is the text {text!r} for patients {whose}, which looks like a missing value. Make it "
            f"one, {column} = {column}.astype(object).replace({text!r}, float('nan')), and leave these patients out, "
            f"adata = adata[{column}.notna()].copy()"
            + (", or keep them with unlabelled='predict'" if argument == "label_key" else "")
            + "; if it is a value of its own, give it another name"
        )


def per_patient(values: pd.Series, samples: pd.Series, key: str, argument: str) -> pd.Series:
    """The one value of each patient, as str, NaN where it has none; of a column, one value per cell."""
    values = values.astype(object)
    table = pd.DataFrame({"patient": samples.to_numpy(), "value": values.where(values.isna(), values.astype(str))})
    _check_not_missing_as_text(table["value"], key, argument, table["patient"])
    n_values = table.groupby("patient")["value"].nunique(dropna=False)
    several = n_values.index[n_values > 1]
    if len(several):
        of_first = table.loc[table["patient"] == several[0], "value"].unique()
        raise ValueError(
            f"{argument} {key!r} has several values within patients {some(several)} "
            f"({several[0]!r}: {some(of_first)}); every patient must have exactly one"
        )
    return table.groupby("patient")["value"].first()


def read_column(adata: AnnData | MuData, samples: pd.Series, key: str, argument: str) -> pd.Series:
    """The one value of each patient in a column, as str, NaN where it has none."""
    return per_patient(check_obs_column(adata, key, argument), samples, key, argument)


def read_cohorts(adata: AnnData | MuData, samples: pd.Series, batch_key: str) -> pd.Series:
    """The cohort of each patient."""
    cohorts = read_column(adata, samples, batch_key, "batch_key")
    if cohorts.isna().any():
        raise ValueError(
            f"batch_key {batch_key!r} is missing for patients {some(cohorts.index[cohorts.isna()])}; "
            "fill it in, or leave batch_key out"
        )
    return cohorts


def read_groups(adata: AnnData | MuData, samples: pd.Series, group_key: str) -> pd.Series:
    """The group of each sample."""
    groups = read_column(adata, samples, group_key, "group_key")
    if groups.isna().any():
        raise ValueError(
            f"group_key {group_key!r} is missing for samples {some(groups.index[groups.isna()])}; fill it in"
        )
    return groups


def read_numbers(adata: AnnData | MuData, samples: pd.Series, key: str) -> pd.Series:
    """A number for each patient."""
    values = read_column(adata, samples, key, "continuous_covariate_keys")
    numbers = pd.to_numeric(values, errors="coerce")
    bad = numbers.index[~np.isfinite(numbers)]
    if len(bad):
        raise ValueError(
            f"continuous_covariate_keys {key!r} is missing or not a finite number for patients {some(bad)} "
            f"({some(values[bad].unique(), 3)}); fill it in, or pass it as a categorical covariate"
        )
    return numbers.astype(float)


def read_categories(adata: AnnData | MuData, samples: pd.Series, key: str) -> pd.Series:
    """A category for each patient."""
    values = read_column(adata, samples, key, "categorical_covariate_keys")
    if values.isna().any():
        raise ValueError(
            f"categorical_covariate_keys {key!r} is missing for patients {some(values.index[values.isna()])}; "
            "fill it in, for example with a category 'unknown'"
        )
    return values
