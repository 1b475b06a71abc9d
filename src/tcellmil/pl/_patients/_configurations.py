"""Which configurations were chosen in the folds, and how well each predicted inner folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys, get
from tcellmil._results import outcome_of_fit
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import BLUE, GREY, PALETTE
from tcellmil.pl._panels import draw_boxes_with_points, longest, name_rows, plural, say, shorten

if TYPE_CHECKING:
    from anndata import AnnData

#: What happened to a configuration in a replica.
KINDS = {"alone": BLUE, "averaged": PALETTE[5], "left out": GREY}


@picture
def configurations(adata: AnnData, *, canvas: Canvas, key: str = _keys.TCELLMIL) -> None:
    """Draw in how many replicas each configuration of the network counts, and its loss on inner folds.

    Reads ``uns[key]["configurations"]``. To the left, the share of replicas in which a configuration counts alone, is
    averaged with others, or is left out; to the right, its cross-entropy on the training patients that inner folds held
    out, a point a replica. The dashed line is the cross-entropy of equal probabilities.

    Parameters
    ----------
    %(adata_of_fit)s
    %(key)s

    Returns
    -------
    An array of two axes.

    Raises
    ------
    %(no_result)s

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> options = {"cv": 2, "ensemble": True, "training": {"max_epochs": 3}, "progress": False}
    >>> tm.tl.fit_mil(adata, "patient", "response", **options)
    >>> [ax.get_xlabel() for ax in tm.pl.configurations(adata, show=False)]
    ['Share of replicas', 'Loss on inner folds']
    """
    from matplotlib.patches import Patch

    table = get.configurations(adata, key=key)
    weight, loss = (table[column].unstack("configuration") for column in ("weight", "loss"))
    names = list(dict.fromkeys(table.index.get_level_values("configuration")))
    weight, loss = weight[names], loss[names]
    share = {"alone": (weight == 1).mean(), "left out": (weight == 0).mean()}
    share["averaged"] = 1 - share["alone"] - share["left out"]
    colors = canvas.colors(KINDS)

    width = 3.0 + 0.04 * longest(names)
    left, right = canvas.axes(2, (width, 1.4 + 0.4 * len(names)))
    start = np.zeros(len(names))
    for kind, color in colors.items():
        left.barh(range(len(names)), share[kind], left=start, height=0.6, color=color)
        start += share[kind].to_numpy()
    name_rows(left, [shorten(name) for name in names])
    left.set(xlim=(0, 1), xlabel="Share of replicas")
    left.set_title(f"n = {plural(len(weight), 'replica')}", fontsize="medium", loc="left")
    values = [loss[name].dropna().to_numpy() for name in names]
    name_rows(right, [""] * len(names))
    right.set_xlabel("Loss on inner folds")
    if all(len(of_name) for of_name in values):
        draw_boxes_with_points(right, values, range(len(names)), [GREY] * len(names), 0.5, reach=0.15, size=9)
        right.axvline(np.log(len(outcome_of_fit(adata, key).outputs)), color="black", linestyle="--", linewidth=0.8)
    else:
        right.set_xticks([])
        say(right, "Nothing was chosen:\nthere is one configuration")
    canvas.legend(left, [Patch(color=color, label=kind) for kind, color in colors.items()], ncols=3)
