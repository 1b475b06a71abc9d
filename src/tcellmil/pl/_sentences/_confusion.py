"""True labels against those that a language model gave."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys, get
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._embedding import color_bar
from tcellmil.pl._panels import shorten
from tcellmil.pl._sentences._heat_map import LETTERS, check_size, draw_heat_map, heat_map_size, own_first

if TYPE_CHECKING:
    from anndata import AnnData


@picture
def confusion(
    adata: AnnData,
    label_key: str,
    *,
    canvas: Canvas,
    key: str = _keys.C2S_ANNOTATION,
    donor_key: str | None = None,
) -> None:
    """Draw which labels a language model gave to the cells of each true label.

    The numbers are those of :func:`tcellmil.get.confusion`, in percent of the cells of a row, whose number is beside
    its name; 0 is left out. Boxes are around the labels that are right; they stand in the diagonal where the model
    knows all of the true labels. Accuracy and its 95%% interval are those of :func:`tcellmil.get.annotation_metrics`.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.annotate_sentences`.
    label_key
        Column of ``adata.obs`` with the true labels, at most 100. Cells without one are left out.
    %(annotation_key)s
    donor_key
        Column of ``adata.obs`` with the donors: the interval is then over donors, not cells.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If there is no such annotation, whose call the message names, or no such column.
    ValueError
        If no cell has a true label, or there are more than 100.

    Warns
    -----
    UserWarning
        If cells have no true label, or were not annotated; says how many.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    >>> tm.tl.annotate_sentences(adata, model, "cell_type", progress=False)
    >>> tm.pl.confusion(adata, "cell_type", show=False).get_xlabel()
    'Label given by the model'
    """
    shares = own_first(get.confusion(adata, label_key, key=key))
    check_size(shares, "label_key", label_key)
    with warnings.catch_warnings():  # that cells were left out has been said
        warnings.simplefilter("ignore", UserWarning)
        n_cells = get.confusion(adata, label_key, key=key, normalize=False).sum(axis=1)
        metrics = get.annotation_metrics(adata, label_key, key=key, donor_key=donor_key)
    rows = [f"{shorten(name, LETTERS)} ({n:,})" for name, n in n_cells.items()]
    percent = 100 * shares
    panel = canvas.axis(heat_map_size(rows, list(percent.columns)))
    cmap, texts = canvas.colormap("Blues"), percent.map(_written).to_numpy()
    boxed = np.equal.outer(percent.index.to_numpy(), percent.columns.to_numpy())
    image = draw_heat_map(panel, percent, texts, cmap, (0, 100), boxed=boxed, rows=rows)
    color_bar(image, panel, "Percent of the cells", both_ends=False)
    panel.set(xlabel="Label given by the model", ylabel=f"{shorten(label_key, 20)} (cells)")
    value, low, high, _ = metrics.loc["accuracy"]
    title = f"Accuracy {value:.2f} ({low:.2f} to {high:.2f}),\n{n_cells.sum():,} cells"
    title += "" if donor_key is None else f" of {int(metrics.loc['accuracy', 'n'])} donors"
    panel.set_title(title, fontsize="medium", loc="left")


def _written(percent: float) -> str:
    """A whole number that says 0 and 100 of nothing else, and nothing of 0."""
    if percent == 0:
        return ""
    return "<1" if percent < 0.5 else ">99" if 99.5 <= percent < 100 else f"{percent:.0f}"
