"""Targets of the most important transcription factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import get
from tcellmil._checks import check_count
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import BLUE, GREY, VERMILLION
from tcellmil.pl._panels import plural, shorten
from tcellmil.pl._scenic._bars import choose, draw_bars

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

COLORS = {"correlated positively": BLUE, "correlated negatively": VERMILLION}
UNCORRELATED = "no correlation"


@picture
def grn(
    adata: AnnData,
    n_top: int = 10,
    tf_names: str | Sequence[str] | None = None,
    n_tfs: int = 4,
    *,
    canvas: Canvas,
    result_key: str | None = None,
) -> None:
    """Draw the importance of the top targets of transcription factors, one panel per factor.

    Reads ``uns["grn"]["edges"]``. Factors are in the order of the sum of the importance of their edges, the highest
    first; targets in the order of their importance. Colours are the sign of the correlation of factor and target.
    Importance is from a regression of the target on all factors; it is no proof of regulation
    (:func:`tcellmil.tl.prune` keeps what a motif supports).

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.grn`.
    n_top
        At most this many targets of each factor.
    tf_names
        This factor, or these, instead of the most important ones.
    n_tfs
        At most this many factors, where ``tf_names`` is not given.
    %(own_result_key)s

    Returns
    -------
    An array of axes, one per factor; the axes alone for one factor.

    Raises
    ------
    KeyError
        If there is no such result, or no edge of a requested factor.
    ValueError
        If ``n_top`` or ``n_tfs`` is below 1.

    References
    ----------
    Huynh-Thu et al. (2010), PLoS ONE 5, e12776; Moerman et al. (2019), Bioinformatics 35, 2159.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.grn(adata, tf_names=["IRF7", "SPI1"])
    >>> [ax.get_xlabel() for ax in tm.pl.grn(adata, n_top=5, show=False)]
    ['Importance', 'Importance']
    """
    check_count(n_top, "n_top")
    edges = get.grn(adata, result_key=result_key).reset_index()
    chosen = choose(edges.groupby("TF", observed=True)["importance"].sum(), tf_names, n_tfs, "edges")
    n_edges = edges["TF"].value_counts()
    sign = np.select([edges["rho"] > 0, edges["rho"] < 0], list(COLORS), UNCORRELATED)
    edges = edges.assign(name=edges["target"], group=sign)

    tables = {tf: _top(edges[edges["TF"] == tf], n_top) for tf in chosen}
    colors = canvas.colors(COLORS, {UNCORRELATED: GREY})
    axes = draw_bars(
        canvas, tables, "importance", colors, lambda tf: f"{shorten(tf, 24)}, {plural(n_edges[tf], 'target')}"
    )
    for panel in axes:
        panel.set_xlabel("Importance")


def _top(edges: pd.DataFrame, n_top: int) -> pd.DataFrame:
    return edges.sort_values("importance", ascending=False, kind="stable").head(n_top)
