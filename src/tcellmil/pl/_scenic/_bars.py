"""The best rows of each transcription factor, as bars, one panel per factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tcellmil._checks import check_count, some
from tcellmil.pl._panels import longest, name_rows, shorten

if TYPE_CHECKING:
    import pandas as pd

    from tcellmil.pl._canvas import Canvas

LIMIT = 28  # letters of a name


def choose(totals: pd.Series, tf_names: str | Sequence[str] | None, n_tfs: int, what: str) -> list[str]:
    """The factors of highest total, or those that were requested."""
    check_count(n_tfs, "n_tfs")
    if tf_names is None:
        return totals.sort_values(ascending=False, kind="stable").index[:n_tfs].tolist()
    wanted = [tf_names] if isinstance(tf_names, str) else list(dict.fromkeys(tf_names))
    unknown = [name for name in wanted if name not in totals.index]
    if unknown or not wanted:
        raise KeyError(f"tf_names {some(unknown)} have no {what}; there are {some(totals.index)}")
    return wanted


def draw_bars(
    canvas: Canvas,
    tables: Mapping[str, pd.DataFrame],
    value: str,
    colors: Mapping[str, object],
    title: Callable[[str], str],
) -> list:
    """Draw one panel per factor, on one scale; a table has the columns ``name``, ``group`` and ``value``."""
    from matplotlib.patches import Patch

    n_rows = max(len(table) for table in tables.values())
    letters = max(longest(table["name"], LIMIT) for table in tables.values())
    axes = canvas.axes(len(tables), (2.2 + 0.075 * letters, 1.5 + 0.22 * max(n_rows, 3)))
    highest = max(table[value].max() for table in tables.values())
    for panel, (tf, table) in zip(axes, tables.items(), strict=True):
        panel.barh(range(len(table)), table[value], color=[colors[group] for group in table["group"]], alpha=0.75)
        name_rows(panel, [shorten(name, LIMIT) for name in table["name"]])
        panel.set_ylim(n_rows - 0.4, -0.6)  # bars of one height in all panels
        panel.tick_params(axis="y", length=0, labelsize="small")
        panel.set_xlim(0, 1.05 * highest if highest > 0 else 1.0)
        panel.set_title(title(tf), fontsize="medium")
    present = set().union(*(table["group"] for table in tables.values()))
    handles = [Patch(facecolor=color, alpha=0.75, label=name) for name, color in colors.items() if name in present]
    canvas.legend(axes[0], handles, ncols=len(handles))
    return list(axes)
