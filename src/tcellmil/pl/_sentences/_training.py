"""Losses over the epochs in which a language model of cells was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._checks import some
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._panels import unframe
from tcellmil.pl._patients._history import COLORS, LOSSES

if TYPE_CHECKING:
    from typing import Protocol

    class HasHistory(Protocol):
        """What has been trained, such as :class:`tcellmil.model.C2S`."""

        history: pd.DataFrame
        best_epoch: int


@picture
def c2s_training(model: HasHistory, *, canvas: Canvas) -> None:
    """Draw the losses of a language model of cells over the epochs of its training.

    Reads ``model.history`` and ``model.best_epoch``. The dotted line is at the epoch whose weights were kept: that of
    the lowest loss on validation cells or, without them or with ``patience=None``, the last. Losses are of the last
    training, per token of an answer, in nats.

    Parameters
    ----------
    model
        A :class:`tcellmil.model.C2S` that was trained.

    Returns
    -------
    The axes.

    Raises
    ------
    TypeError
        If ``model`` has no history.
    ValueError
        If it was not trained.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    >>> model.train(adata, donor_key="patient", max_epochs=2, lr=3e-3, progress=False)
    >>> tm.pl.c2s_training(model, show=False).get_ylabel()
    'Loss per token of an answer'
    """
    from matplotlib.ticker import MaxNLocator

    table = _history(model)
    kept = model.best_epoch
    colors = canvas.colors(COLORS)
    panel = canvas.axis((4.2, 3.4))
    for column, name in LOSSES.items():
        if table[column].notna().any():
            style = {"linewidth": 2, "marker": "o", "markersize": 3}
            panel.plot(table.index, table[column], color=colors[name], label=name, **style)
    panel.axvline(kept, color="black", linewidth=0.8, linestyle=":", zorder=0, label="epoch kept")
    panel.set(xlabel="Epoch", ylabel="Loss per token of an answer")
    panel.set_title(f"Epoch {kept} of {table.index[-1]} kept", fontsize="medium")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    unframe(panel)
    panel.legend(frameon=False, fontsize="small")


def _history(model: HasHistory) -> pd.DataFrame:
    table = getattr(model, "history", None)
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"model must be a trained tcellmil.model.C2S, got {type(model).__name__} without a history")
    missing = [column for column in LOSSES if column not in table]
    if missing:
        raise ValueError(f"model.history has no {some(missing)}; there are {some(table.columns)}")
    if not np.isfinite(table["train_loss"].to_numpy(dtype=float)).any():
        raise ValueError("the model has not been trained, so it has no losses; run model.train(adata, ...) first")
    return table.astype(float)
