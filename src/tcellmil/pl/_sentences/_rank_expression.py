"""Expression by rank in the sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import get
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._embedding import color_bar
from tcellmil.pl._panels import plain_log, unframe

if TYPE_CHECKING:
    from anndata import AnnData

VALUES = {"counts": "Expression, log(1 + counts per 10,000)", "log": "Expression, log values of the data"}


@picture
def rank_expression(adata: AnnData, *, canvas: Canvas, result_key: str | None = None) -> None:
    """Draw expression by rank in the sentence, and the line by which a sentence becomes expression.

    Reads ``uns["cell_sentence"]``. The darker, the more of the values at a rank are there; the line is straight on this
    axis until it reaches 0.

    Parameters
    ----------
    adata
        AnnData with sentences of :func:`tcellmil.pp.cell_sentences`.
    %(own_result_key)s

    Returns
    -------
    The axes.

    Raises
    ------
    %(no_result)s

    References
    ----------
    Rizvi et al. (2025), supplementary figure 10.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> tm.pl.rank_expression(adata, show=False).get_xlabel()
    'Rank of the gene in its sentence'
    """
    density = get.rank_expression(adata, result_key=result_key).reset_index()
    line = get.rank_expression(adata, "line", result_key=result_key)
    values, line = line.index[0], line.iloc[0]
    panel = canvas.axis((4.8, 3.6))
    panel.set_xscale("log")
    ranks, levels, share = _grid(density)
    mesh = panel.pcolormesh(ranks, levels, share.T, cmap=canvas.colormap("Blues"), vmin=0, rasterized=True)
    color_bar(mesh, panel, "Share of the values at a rank", both_ends=False)
    rank = np.arange(1, int(line["n_genes"]) + 1)
    fitted = np.maximum(0, line["intercept"] + line["slope"] * np.log10(rank))
    label = f"{line['intercept']:.2f} {'−' if line['slope'] < 0 else '+'} {abs(line['slope']):.2f} log10(rank)"
    handles = panel.plot(rank, fitted, color="black", linewidth=1.5, label=label)
    panel.set(xlim=(ranks[0], ranks[-1]), xlabel="Rank of the gene in its sentence", ylabel=VALUES[values])
    plain_log(panel.xaxis)
    panel.set_title(f"R² {line['r2']:.2f}, {int(line['n_cells']):,} cells", fontsize="medium")
    unframe(panel)
    canvas.legend(panel, handles)


def _grid(density: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges of ranks and of values, and the share between them; 0 where the table has no row."""
    ranks = np.unique(np.concatenate([density["rank_low"] - 0.5, density["rank_high"] + 0.5]))
    levels = np.unique(density[["value_low", "value_high"]].to_numpy())
    share = np.zeros((len(ranks) - 1, len(levels) - 1))
    places = np.searchsorted(ranks, density["rank_low"] - 0.5), np.searchsorted(levels, density["value_low"])
    share[places] = density["share"]
    return ranks, levels, share
