"""Losses over the epochs of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys
from tcellmil._results import outcome_of_fit
from tcellmil.get import history as get_history
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import BLUE, VERMILLION
from tcellmil.pl._panels import plain_log, plural, shorten, unframe

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

LOSSES = {"train_loss": "training", "validation_loss": "validation"}
COLORS = {"training": BLUE, "validation": VERMILLION}


@picture
def history(
    adata: AnnData,
    *,
    canvas: Canvas,
    key: str = _keys.TCELLMIL,
) -> None:
    """Draw the losses of the autoencoder and of the classifier over the epochs.

    Reads ``uns[key]["history"]``. A thin line is a replica, the thick line their median, as long as at least half of
    the replicas still train.

    Parameters
    ----------
    %(adata_of_fit)s
    %(key)s

    Returns
    -------
    An array of axes, one per stage; the axes alone if the model has no autoencoder.

    Raises
    ------
    %(no_result)s

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> network = {"compression": "autoencoder", "n_latent": 8}
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, network=network, progress=False)
    >>> [ax.get_ylabel() for ax in tm.pl.history(adata, show=False)]
    ['Mean squared error', 'Cross-entropy']
    """
    table = get_history(adata, key=key).reset_index()
    shown = {"autoencoder": ("Autoencoder", "Mean squared error"), "mil": outcome_of_fit(adata, key).loss_words}
    # Of several representations, each has an autoencoder: "autoencoder:<name>".
    stages = [stage for kind in shown for stage in table["stage"].unique() if stage.partition(":")[0] == kind]
    colors = canvas.colors(COLORS)
    axes = canvas.axes(len(stages), (4.2, 3.4))
    for panel, stage in zip(axes, stages, strict=True):
        kind, _, representation = stage.partition(":")
        title, ylabel = shown[kind]
        title = f"{title} of {shorten(representation, 24)}" if representation else title
        _draw_stage(panel, table[table["stage"] == stage], colors, title, ylabel, log=kind == "autoencoder")


def _draw_stage(ax: Axes, table: pd.DataFrame, colors: dict, title: str, ylabel: str, *, log: bool) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import MaxNLocator

    n_replicas = table["replica"].nunique()
    for column, name in LOSSES.items():
        color = colors[name]
        # (epoch, replica), NaN once a replica has stopped
        loss = table.pivot(index="epoch", columns="replica", values=column).dropna(axis=1, how="all")
        if loss.empty:
            continue
        epochs = loss.index.to_numpy() + 1
        lines = [np.column_stack([epochs, loss[replica]]) for replica in loss]
        alpha = np.clip(4 / len(lines), 0.06, 0.5)
        ax.add_collection(LineCollection(lines, colors=color, linewidths=0.6, alpha=alpha, rasterized=len(lines) > 50))
        running = loss.notna().mean(axis=1) >= 0.5
        ax.plot(epochs[running], loss[running].median(axis=1), color=color, linewidth=2, label=name)
    ax.set_title(f"{title}, {plural(n_replicas, 'replica')}", fontsize="medium")
    ax.set(xlabel="Epoch", ylabel=ylabel)
    if log:
        ax.set_yscale("log")
        plain_log(ax.yaxis)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    unframe(ax)
    ax.legend(
        title="median and replicas" if n_replicas > 1 else None, frameon=False, fontsize="small", title_fontsize="small"
    )
