"""Observed shares against predicted probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil.get import calibration as get_calibration
from tcellmil.get._mil import stored
from tcellmil.pl._canvas import GREY, PALETTE, finish, make_axes, shorten

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes


def calibration(
    adata: AnnData,
    key: str | Sequence[str] = _keys.TCELLMIL,
    n_bins: int = 5,
    target_class: str | None = None,
    *,
    ax: Axes | None = None,
    show: bool | None = None,
) -> Axes:
    """Draw the share of patients of a class against their out-of-fold probability of it.

    Reads ``uns[key]``. A point is a bin of about equally many patients, with its 95% interval; on the diagonal,
    probabilities can be taken at their word.

    Parameters
    ----------
    adata
        Cells that :func:`tcellmil.tl.fit_mil` wrote to.
    key
        The ``key_added`` of a fit, or of several, to compare, such as one with ``calibration="temperature"``.
    n_bins
        Number of bins.
    target_class
        The class; the positive one by default.
    ax
        Axes to draw on; a new figure without.
    show
        Show the figure; by default as ``scanpy.settings.autoshow`` says, and not when ``ax`` is given.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If nothing was written under ``key``.
    ValueError
        If the class is not known, there is no bin, or the outcome is a number or a time to event.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, max_epochs=3, progress=False)
    >>> tm.pl.calibration(adata, show=False).get_xlabel()
    'Predicted probability of R'
    """
    keys = [key] if isinstance(key, str) else list(key)
    tables = {name: get_calibration(adata, name, n_bins=n_bins, target_class=target_class) for name in keys}
    axes = make_axes(1, ax, (4.2, 4.4))
    axes[0].plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    for i, (name, table) in enumerate(tables.items()):
        color = PALETTE[i % len(PALETTE)]
        beside = 0.008 * (i - (len(tables) - 1) / 2)  # intervals of several fits next to each other
        axes[0].vlines(table["predicted"] + beside, table["ci_low"], table["ci_high"], color=color, alpha=0.5)
        label = f"{shorten(name, 28)}, n = {int(table['n'].sum())} patients"
        axes[0].plot(table["predicted"] + beside, table["observed"], color=color, marker="o", markersize=5, label=label)
    target = stored(adata, keys[0], "params")["positive_class"] if target_class is None else target_class
    axes[0].set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    axes[0].set(xlabel=f"Predicted probability of {shorten(target, 24)}", ylabel="Observed share")
    axes[0].spines[["top", "right"]].set_visible(False)
    axes[0].legend(loc="upper left", bbox_to_anchor=(0, -0.16), frameon=False, fontsize="small")
    return finish(axes, show, own=ax is None)
