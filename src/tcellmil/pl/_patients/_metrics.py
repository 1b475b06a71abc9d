"""How good the out-of-fold predictions are, by every metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys, get
from tcellmil._checks import check_choice
from tcellmil._results import counted, outcome_of_fit
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import BLUE, VERMILLION
from tcellmil.pl._panels import beside_row, longest, name_rows, shorten
from tcellmil.pl._patients._intervals import ERRORS, SCORES, draw_interval, interval_in_words

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

COLORS = {"higher is better": BLUE, "lower is better": VERMILLION}
#: Panels: metrics that share a scale, and their unit; that of a number is its own.
SCALES = {"Score": tuple(SCORES), "Brier score": ("brier",), "Error in levels": ("mae_levels",), "": ("mae", "rmse")}
#: The panel of metrics whose scale is not known, such as those of a further kind of outcome.
OTHER = "Value"


@picture
def metrics(
    adata: AnnData, metrics: str | Sequence[str] | None = None, *, canvas: Canvas, key: str = _keys.TCELLMIL
) -> None:
    """Draw every metric of the out-of-fold predictions with its 95% interval over patients.

    Reads ``uns[key]["metrics"]``. A point is the value of the fit, a line its bootstrap interval; both are written
    beside it. Errors have panels of their own, one for each unit. A metric that is not defined, such as a correlation
    of predictions that are all the same, has no point.

    Parameters
    ----------
    %(adata_of_fit)s
    metrics
        Only this metric, or these; all by default.
    %(key)s

    Returns
    -------
    An array of axes, from top to bottom, scores before errors; the axes alone if there is one scale.

    Raises
    ------
    %(no_result)s
    ValueError
        If a metric is not in the table.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> [ax.get_xlabel() for ax in tm.pl.metrics(adata, show=False)]
    ['Score (higher is better)', 'Brier score (lower is better)']
    """
    table = get.metrics(adata, key=key)
    if metrics is not None:
        wanted = [metrics] if isinstance(metrics, str) else list(metrics)
        for metric in wanted:
            check_choice(metric, table.index.tolist(), "metrics")
        table = table.loc[wanted]
    scales = {unit: [name for name in table.index if name in members] for unit, members in SCALES.items()}
    known = [name for members in scales.values() for name in members]
    scales[OTHER] = [name for name in table.index if name not in known]
    scales = {unit: members for unit, members in scales.items() if members}
    named = [SCORES.get(name, ERRORS.get(name, name)) for name in table.index]

    height = 0.5 + 0.6 * len(scales) + 0.28 * len(table)
    axes = canvas.axes(
        len(scales), (4.6 + 0.07 * longest(named), height), [len(rows) + 0.2 for rows in scales.values()]
    )
    for (unit, members), panel in zip(scales.items(), axes, strict=True):
        better = "higher is better" if unit == "Score" else "lower is better"
        color = canvas.colors(COLORS)[better]
        _draw(panel, table.loc[members], color)
        unit = unit or f"Error of {shorten(outcome_of_fit(adata, key).label_key, 24)}"
        panel.set_xlabel(unit if unit == OTHER else f"{unit} ({better})")
    axes[0].set_title(f"n = {counted(adata, key, int(table['n'].max()))}", fontsize="medium", loc="left")


def _draw(ax: Axes, table: pd.DataFrame, color: str) -> None:
    for y, (_, row) in enumerate(table.iterrows()):
        if np.isfinite(row["value"]):
            draw_interval(ax, row, y, color)
        beside_row(ax, y, interval_in_words(row), x=1.04, fontsize="small")
    name_rows(ax, [SCORES.get(name, ERRORS.get(name, name)) for name in table.index])
    low, high = (float(np.nan_to_num(limit, nan=0.0)) for limit in (table["ci_low"].min(), table["ci_high"].max()))
    bounded = set(table.index) <= set(SCORES)  # at most 1
    low, high = min(low, 0.0), max(high, 1.0 if bounded else 1e-9)
    margin = 0.02 * (high - low)
    ax.set_xlim(low - margin, high + margin if bounded else high + 4 * margin)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
