"""Names, counts and rows of tables of results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from tcellmil._checks import some
from tcellmil.outcomes import Outcome, outcome_of

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def stored_predictions(table: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Predictions as they are stored: no name of the user's is the name of a column."""
    return table.rename(columns=outcome.stored_columns())


def named_predictions(table: pd.DataFrame, params: Mapping) -> pd.DataFrame:
    """Inverse of :func:`stored_predictions`, as a copy; ``params`` are those of the result."""
    stored = outcome_of(params).stored_columns()
    return table.rename(columns={there: name for name, there in stored.items()})


def counted(adata: AnnData | MuData, key: str, samples: Iterable[str] | int) -> str:
    """How many patients these are, ``"8 patients"``; of a fit with groups, ``"10 samples of 5 patients"``.

    A number is of all samples of the fit, or of some that are not named.
    """
    table = adata.uns.get(key, {}).get("predictions", pd.DataFrame())
    names = list(samples) if not isinstance(samples, int) else table.index if samples == len(table) else None
    n = samples if isinstance(samples, int) else len(set(names))
    if "group" in table:
        n_patients = None if names is None else table["group"].reindex(names).nunique()
        if n_patients != n:
            return patients_in_words(n, n_patients)
    return patients_in_words(n, n)


def patients_in_words(n_samples: int, n_patients: int | None) -> str:
    """``"8 patients"`` where these are as many, else ``"10 samples of 5 patients"``; ``None`` where it is not known."""
    if n_patients == n_samples:
        return f"{n_samples} patient{'' if n_samples == 1 else 's'}"
    of = "" if n_patients is None else f" of {n_patients} patient{'' if n_patients == 1 else 's'}"
    return f"{n_samples} sample{'' if n_samples == 1 else 's'}{of}"


def largest_first(table: pd.DataFrame, size: str) -> pd.DataFrame:
    """The rows by the absolute value of a column, the largest first; those without one come last."""
    return table.sort_values(size, key=abs, ascending=False, kind="stable")


def rows_of(table: pd.DataFrame, levels: str | Sequence[str], wanted: str | Sequence[str] | None) -> pd.DataFrame:
    """The rows with one of the ``wanted`` names in a level of the index, or in one of several; all for ``None``."""
    if wanted is None:
        return table
    levels = [levels] if isinstance(levels, str) else list(levels)
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    members = table.index.to_frame(index=False)[levels]
    there = list(dict.fromkeys(members.to_numpy().ravel()))
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise KeyError(f"{levels[0].removesuffix('_1')}s {some(unknown)} are not in the table; there are {some(there)}")
    return table[members.isin(wanted).any(axis=1).to_numpy()]
