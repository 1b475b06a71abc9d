"""Attention of groups of cells against the same groups permuted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys, get
from tcellmil._results import counted, doubt_of_fit, fit_of, outcome_of_fit
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._explain._attention import RELATIVE
from tcellmil.pl._palette import GREY, class_colors
from tcellmil.pl._panels import (
    UNLABELLED,
    beside_row,
    draw_boxes,
    jitter,
    legend_above,
    longest,
    plain_log,
    plural,
    say,
    shorten,
    stars,
    unframe,
)

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes


@picture
def attention_enrichment(
    adata: AnnData,
    *,
    canvas: Canvas,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
) -> None:
    """Draw the attention of groups of cells beside what it is with the groups permuted, by the patients' class.

    Reads ``uns[key + "_attention_enrichment"]`` and ``uns[key]``. For each group and class, the
    filled box is over the patients' observed medians, the white one below it over the medians with permuted groups;
    whiskers reach to the 5th and 95th percentile. A point is a patient, joined between the two. Groups are in the
    order of their median difference, the highest first, with the number of patients that were tested and of those
    that are enriched on their own (adjusted p < 0.05). Stars are the test over patients, of all classes together.
    Groups that were tested in no patient are counted below the axis, not drawn. Where the outcome is a number or a time
    to event, all patients with a known outcome take the place of a class. Where the model may know nothing, a line says
    so, and there are neither stars nor numbers of enriched patients.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.attention_enrichment`.
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
    After figure 4a of Tsui et al. (2025).

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.attention_enrichment(adata, "cell_type", n_permutations=100)
    >>> tm.pl.attention_enrichment(adata, show=False).get_xscale()
    'log'
    """
    table, stats = (
        get.attention_enrichment(adata, part, key=key, result_key=result_key).reset_index()
        for part in ("patients", "stats")
    )
    classes = outcome_of_fit(adata, key).groups
    table = table[table["p"].notna()].assign(label=lambda rows: rows["label"].replace("", UNLABELLED))
    ranked = stats[stats["n_patients"] > 0].sort_values("median_difference", ascending=False, kind="stable")

    fit = fit_of(adata, "attention_enrichment", key, result_key)
    canvas.doubt(doubt := doubt_of_fit(adata, fit))
    patients = table.groupby("label")["patient"].unique().map(lambda names: counted(adata, fit, names))
    panel = canvas.axis(_size(table, ranked))
    colors = canvas.colors(class_colors(classes), {UNLABELLED: GREY})
    _draw(panel, table, ranked, colors, patients, mark=not doubt)
    _name_axis(panel, len(stats) - len(ranked))
    if not doubt:
        _explain_stars(panel)


def _size(table: pd.DataFrame, ranked: pd.DataFrame) -> tuple[float, float]:
    """Inches, with room for the names of the groups, two boxes a group and class, and the legends."""
    n_classes = table.groupby("group")["label"].nunique()
    rows = 0.36 * np.maximum(n_classes, 1.2).sum()
    return 4.6 + 0.075 * max(longest(ranked["group"]), 16), max(2.8, 1.7 + 0.2 * table["label"].nunique() + rows)


def _draw(
    ax: Axes, table: pd.DataFrame, ranked: pd.DataFrame, colors: dict[str, str], patients: pd.Series, *, mark: bool
) -> None:
    shown = [label for label in colors if (table["label"] == label).any()]
    positive = table[["observed", "null"]].to_numpy()
    floor = positive[positive > 0].min(initial=1)  # an attention of 0 has no place on a logarithmic axis
    top, names = 0.0, []
    for group in ranked.itertuples():
        of_group = table[table["group"] == group.group]
        present = [label for label in shown if (of_group["label"] == label).any()]
        height = max(len(present), 1.2)  # in boxes of one class, with room for two lines of text
        for i, label in enumerate(present):
            of_class = of_group[of_group["label"] == label]
            middle = top + height / 2 + i - (len(present) - 1) / 2
            _draw_pairs(ax, np.maximum(of_class[["observed", "null"]], floor).to_numpy(), middle, colors[label])
        middle = top + height / 2
        beside_row(ax, middle, stars(group.padj) if mark else "")
        enriched = f", {group.n_enriched} enriched" if mark else ""
        names.append((middle, f"{shorten(group.group)}\nn = {group.n_patients}{enriched}"))
        top += height + 0.3
        ax.axhline(top - 0.15, color="#DDDDDD", linewidth=0.6, zorder=0)
    ax.set_yticks([middle for middle, _ in names], [name for _, name in names], fontsize="small")
    ax.set_ylim(max(top - 0.15, 1), -0.15)
    legend_above(ax, _legend(patients, shown, colors))
    if not names:
        say(ax, "no group has enough cells")


def _draw_pairs(ax: Axes, pairs: np.ndarray, middle: float, color: str) -> None:
    """Observed (filled) above permuted (white) of one group and class; ``pairs`` is ``(patient, 2)``."""
    rows = np.array([middle - 0.23, middle + 0.23])
    draw_boxes(ax, list(pairs.T), rows, [color, color], height=0.36, filled=[True, False])
    spread = jitter(len(pairs), 0.11)
    for row, values in zip(rows, pairs.T, strict=True):
        ax.scatter(values, row + spread, s=7, color=color, alpha=0.7, linewidths=0, zorder=3)
    gap = np.full((len(pairs), 1), np.nan)  # one line for all patients draws faster than one for each
    along, across = np.hstack([pairs, gap]), np.hstack([rows + spread[:, None], gap])
    ax.plot(along.ravel(), across.ravel(), color=color, linewidth=0.5, alpha=0.35, zorder=2.5)


def _name_axis(ax: Axes, n_untested: int) -> None:
    ax.axvline(1, color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_xscale("log")
    plain_log(ax.xaxis)
    untested = f"\n{plural(n_untested, 'more group')} with too few cells" if n_untested else ""
    ax.set_xlabel(f"Median {RELATIVE[0].lower()}{RELATIVE[1:]}{untested}")
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    unframe(ax)


def _legend(patients: pd.Series, shown: list[str], colors: dict[str, str]) -> list:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=colors[label], alpha=0.55, label=f"{shorten(label, 28)}, n = {patients[label]}")
        for label in shown
    ]
    return [*handles, Patch(facecolor="white", edgecolor="#666666", label="same patients, groups permuted")]


def _explain_stars(ax: Axes) -> None:
    ax.annotate(
        "over patients, adjusted p: * < 0.05, ** < 0.01, *** < 0.001",
        (0.5, 0),
        (0, -4),
        xycoords=ax.xaxis.label,
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize="small",
        annotation_clip=False,
    )
