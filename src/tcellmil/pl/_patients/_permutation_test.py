"""A metric beside what it is with permuted labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys, get
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import GREY, VERMILLION
from tcellmil.pl._panels import plural, say, unframe, written
from tcellmil.pl._patients._intervals import ERRORS, SCORES, metric_in_words

if TYPE_CHECKING:
    from anndata import AnnData

COLORS = {"permuted labels": GREY, "observed": VERMILLION}
BINS = (5, 30)  # fewest and most
FEW = 1000  # arrangements, below which their number limits the p-value


@picture
def permutation_test(
    adata: AnnData, *, canvas: Canvas, key: str = _keys.TCELLMIL, result_key: str | None = None
) -> None:
    """Draw the metric of a fit beside its distribution under permuted labels.

    Reads ``uns[key + "_permutation_test"]``. Bars count permutations; the line is the metric of the fit. The p-value is
    the share of permutations that are at least as good, the fit counted among them. Permutations whose metric is not
    defined count as at least as good; they have no place in the picture and are counted in the title.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.permutation_test`.
    %(key)s
    %(result_key)s

    Returns
    -------
    The axes.

    Raises
    ------
    %(no_result)s

    References
    ----------
    Ojala and Garriga (2010), Journal of Machine Learning Research 11, 1833.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> tm.tl.permutation_test(adata, n_permutations=4, progress=False)
    >>> tm.pl.permutation_test(adata, show=False).get_xlabel()
    'AUROC'
    """
    test, null = (get.permutation_test(adata, part, key=key, result_key=result_key) for part in ("test", "null"))
    metric, row = str(test.index[0]), test.iloc[0]
    values = null[metric].dropna().to_numpy(dtype=float)
    colors = canvas.colors(COLORS)

    panel = canvas.axis((4.4, 3.4))
    if len(values):
        limits = min(values.min(), row["value"]), max(values.max(), row["value"])
        n_bins = int(np.clip(np.sqrt(len(values)) * 1.5, *BINS))
        panel.hist(
            values, bins=n_bins, range=limits, color=colors["permuted labels"], alpha=0.75, label="permuted labels"
        )
    else:
        say(panel, "the metric is not defined in any permutation")
    name = SCORES.get(metric, ERRORS.get(metric, metric))
    panel.axvline(row["value"], color=colors["observed"], linewidth=2, label=f"observed, {row['value']:.2f}")
    left_out = len(null) - len(values)
    n = plural(int(row["n_permutations"]), "permutation") + (f", {left_out} not defined" if left_out else "")
    n += f" of {row['n_arrangements']:.0f} arrangements" if row.get("n_arrangements", np.inf) <= FEW else ""
    panel.set_title(f"{name} {row['value']:.2f}, {written(row['p'])}\n{n}", fontsize="medium")
    panel.set(xlabel=metric_in_words(metric), ylabel="Permutations")
    panel.yaxis.get_major_locator().set_params(integer=True)
    unframe(panel)
    canvas.legend(panel, panel.get_legend_handles_labels()[0], ncols=2)
