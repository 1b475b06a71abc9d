"""Observed shares against predicted probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil._results import counted, outcome_of_fit
from tcellmil.get import calibration as get_calibration
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import GREY, cycled, line_styles
from tcellmil.pl._panels import shorten, unframe

if TYPE_CHECKING:
    from anndata import AnnData


@picture
def calibration(
    adata: AnnData,
    *,
    canvas: Canvas,
    key: str | Sequence[str] = _keys.TCELLMIL,
    n_bins: int = 5,
    target_class: str | None = None,
) -> None:
    """Draw the share of patients of a class against their out-of-fold probability of it.

    Reads ``uns[key]``. A point is a bin of about equally many patients, with its 95% interval; on the diagonal,
    probabilities can be taken at their word.

    Parameters
    ----------
    %(adata_of_fit)s
    %(keys)s
    n_bins
        Number of bins.
    target_class
        The class; the positive one by default.

    Returns
    -------
    The axes.

    Raises
    ------
    %(no_result)s
    ValueError
        If the class is not known, there is no bin, or the outcome is a number or a time to event.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> tm.pl.calibration(adata, show=False).get_xlabel()
    'Predicted probability of R'
    """
    keys = [key] if isinstance(key, str) else list(key)
    tables = {name: get_calibration(adata, key=name, n_bins=n_bins, target_class=target_class) for name in keys}
    styles = line_styles(canvas.colors(cycled(keys)))
    panel, handles = canvas.axis((4.2, 4.8)), []
    panel.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    for i, (name, table) in enumerate(tables.items()):
        beside = 0.008 * (i - (len(tables) - 1) / 2)  # intervals of several fits next to each other
        place, style = table["predicted"] + beside, styles[name]
        panel.vlines(place, table["ci_low"], table["ci_high"], color=style["color"], alpha=0.5)
        label = f"{shorten(name, 28)}, n = {counted(adata, name, int(table['n'].sum()))}"
        handles += panel.plot(place, table["observed"], **style, marker="o", markersize=5, label=label)
    target = outcome_of_fit(adata, keys[0]).outputs[-1] if target_class is None else target_class
    panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    panel.set(xlabel=f"Predicted probability of {shorten(target, 24)}", ylabel="Observed share")
    unframe(panel)
    canvas.legend(panel, handles, "lower left")
