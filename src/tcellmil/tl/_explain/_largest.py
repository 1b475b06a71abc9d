"""The largest effects of a result in words, for the line at its end."""

from __future__ import annotations

import pandas as pd

N_NAMED = 3


def largest(names: pd.Series, sizes: pd.Series, *, signed: bool = True) -> str:
    """The names with the largest absolute sizes, and these; ``"none"`` where nothing has a size.

    Examples
    --------
    >>> largest(pd.Series(["A", "B", "C", "D"]), pd.Series([0.1, -0.25, None, 0.01]))
    'B -0.25, A +0.1, D +0.01'
    """
    order = sizes.abs().sort_values(ascending=False, kind="stable").dropna().index[:N_NAMED]
    sign = "+" if signed else ""
    return ", ".join(f"{names[i]} {sizes[i]:{sign}.2g}" for i in order) or "none"
