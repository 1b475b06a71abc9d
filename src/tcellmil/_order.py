"""The order in which groups of cells are listed and drawn."""

from __future__ import annotations

import re

import pandas as pd


def names_in_order(values: pd.Series) -> list[str]:
    """Names of the groups that occur: in the order of the categories, else with numbers in their own order.

    Examples
    --------
    >>> names_in_order(pd.Series(["10", "2", "0", None]))
    ['0', '2', '10']
    >>> names_in_order(pd.Series(pd.Categorical(["low", "high"], categories=["low", "mid", "high"])))
    ['low', 'high']
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return list(dict.fromkeys(map(str, values.cat.remove_unused_categories().cat.categories)))
    return sorted({str(name) for name in values.dropna()}, key=_by_number)


def in_order(values: pd.Series) -> pd.Series:
    """The values as names, categorical in the order of :func:`names_in_order`; missing ones stay missing.

    Examples
    --------
    >>> in_order(pd.Series([10, 2, None], dtype="Int64")).cat.categories.tolist()
    ['2', '10']
    """
    names = values.astype(object).where(values.notna(), None).map(str, na_action="ignore")
    return names.astype(pd.CategoricalDtype(names_in_order(values)))


def _by_number(name: str) -> list[tuple[bool, int, str]]:
    """Sorts "B2" before "B10"."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]
