"""Survival of patients of low and of high predicted risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil import _keys, get
from tcellmil._results import outcome_of_fit
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import BLUE, VERMILLION
from tcellmil.pl._panels import plural, shorten, unframe, written

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

COLORS = {"low risk": BLUE, "high risk": VERMILLION}


@picture
def risk_groups(adata: AnnData, *, canvas: Canvas, key: str = _keys.TCELLMIL) -> None:
    """Draw Kaplan-Meier curves of the patients below and above the median out-of-fold risk.

    Reads what :func:`tcellmil.get.risk_groups` reads. Bands are pointwise 95% intervals, a tick is a censored patient,
    and below the axis is the number of patients at risk. The log-rank test in the title takes the groups as given: read
    :func:`tcellmil.get.risk_groups` before quoting its p-value.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.fit_mil` with ``outcome="survival"``.
    %(key)s

    Returns
    -------
    The axes.

    Raises
    ------
    %(no_result)s
    ValueError
        If the outcome is not a time to event, or all patients have the same risk.

    References
    ----------
    Kaplan and Meier (1958), Journal of the American Statistical Association 53, 457.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> code = adata.obs["patient"].astype("category").cat.codes
    >>> adata.obs["months"], adata.obs["death"] = 1.0 + code, (code % 3 > 0).astype(int)
    >>> options = {"outcome": "survival", "event_key": "death", "training": {"max_epochs": 3}, "progress": False}
    >>> tm.tl.fit_mil(adata, "patient", "months", cv=2, **options)
    >>> tm.pl.risk_groups(adata, show=False).get_ylabel()
    'Share without the event'
    """
    curves, test = (get.risk_groups(adata, part, key=key) for part in ("curves", "test"))
    panel = draw_risk_groups(canvas, curves, outcome_of_fit(adata, key).label_key)
    n_patients = int(test[["n_low", "n_high"]].to_numpy().sum())
    panel.set_title(f"{log_rank_in_words(test)}\nn = {n_patients} patients", fontsize="medium")
    unframe(panel)


def log_rank_in_words(test: pd.DataFrame, note: str = "") -> str:
    """What is compared, and the p-value."""
    return f"High and low risk{note}: log-rank test {written(test['p'].item())}"


def draw_risk_groups(canvas: Canvas, curves: pd.DataFrame, time_name: str) -> Axes:
    """Kaplan-Meier curves of two groups by risk, with intervals and numbers at risk."""
    panel = canvas.axis((5.2, 4.6))
    colors = canvas.colors(COLORS)
    curves = curves.reset_index()
    for name, color in colors.items():
        curve = curves[curves["group"] == name]
        n, n_events = int(curve["n_at_risk"].iloc[0]), int(curve["n_events"].sum())
        label = f"{name}, n = {n}, {plural(n_events, 'event')}"
        panel.step(curve["time"], curve["survival"], where="post", color=color, linewidth=1.8, label=label)
        panel.fill_between(
            curve["time"], curve["ci_low"], curve["ci_high"], step="post", color=color, alpha=0.15, linewidth=0
        )
        censored = curve[curve["n_censored"] > 0]
        panel.plot(censored["time"], censored["survival"], "|", color=color, markersize=7)
    panel.set(xlim=(0, None), ylim=(-0.03, 1.03), ylabel="Share without the event")
    panel.set_xlabel(shorten(time_name, 24))
    panel.legend(frameon=False, fontsize="small", loc="upper right")
    _write_at_risk(panel, curves, colors)
    return panel


def _write_at_risk(panel: Axes, curves: pd.DataFrame, colors: dict[str, object]) -> None:
    """Patients at risk at each tick, in two rows below the axis."""
    from matplotlib.ticker import MaxNLocator

    last = panel.get_xlim()[1]
    ticks = [tick for tick in MaxNLocator(5).tick_values(0, last) if 0 <= tick <= last]
    panel.set_xticks(ticks)
    panel.set_xlim(0, last)
    style = {"fontsize": "small", "va": "top", "annotation_clip": False, "textcoords": "offset points"}
    below = panel.xaxis.label
    panel.annotate("at risk", (0, 0), (-26, -4), xycoords=("axes fraction", below), ha="right", **style)
    for row, (name, color) in enumerate(colors.items(), start=1):
        curve = curves[curves["group"] == name]
        height = -4 - 13 * row
        panel.annotate(name, (0, 0), (-26, height), xycoords=("axes fraction", below), ha="right", color=color, **style)
        for tick in ticks:
            later = curve.loc[curve["time"] >= tick, "n_at_risk"]
            n = int(later.iloc[0]) if len(later) else 0
            panel.annotate(f"{n}", (tick, 0), (0, height), xycoords=("data", below), ha="center", color=color, **style)
