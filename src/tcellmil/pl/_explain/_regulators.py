"""Regulons by their correlation with attention and by SHAP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tcellmil import _keys
from tcellmil._checks import check_choice, some
from tcellmil._results import counted, doubt_of_fit, outcome_of_fit
from tcellmil.get import attention_correlation, shap
from tcellmil.get import regulators as get_regulators
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._labels import label_points
from tcellmil.pl._palette import BLUE, GREY
from tcellmil.pl._panels import shorten, unframe

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

Test = Literal["mixed", "within"]
TESTS = {"mixed": ("mixed_padj", "mixed model"), "within": ("tau_within_padj", "over patients")}
UNSURE = "not significant"
MARKERS = {"concordant": ("o", 34), "discordant": ("D", 30), "unclear": ("o", 11)}  # shape and area


@picture
def regulators(
    adata: AnnData,
    n_top: int = 12,
    test: Test = "within",
    *,
    canvas: Canvas,
    key: str = _keys.TCELLMIL,
    result_key: Mapping[str, str] | None = None,
    regulons: str | Sequence[str] | None = None,
    alpha: float = 0.05,
    n_mad: float | None = None,
) -> None:
    """Draw every regulon by its correlation with attention and its SHAP difference.

    Reads what :func:`tcellmil.get.regulators` joins. To the right, cells with higher activity get more attention
    (``tau_within``, Kendall's tau within a patient, mean over patients); upwards, SHAP values are for the followed
    class, or for a higher number or risk (``shap_difference``, attention-weighted, mean over patients). Blue points are
    significantly correlated with attention. A circle is a regulon whose perturbation and SHAP agree, a diamond one
    where they do not, a small point one where that is unclear or where :func:`tcellmil.tl.perturb` was not run. Where
    the model may know nothing, a line says so, and all points are small and grey.

    Parameters
    ----------
    adata
        AnnData with results of :func:`tcellmil.tl.shap` and :func:`tcellmil.tl.attention_correlation`.
    n_top
        Name at most this many regulons, those that stand out on both axes (by the sum of the ranks of the absolute
        values), as far as there is room.
    test
        The adjusted p of the colours: ``"within"``, the signed-rank test over patients, which also holds where the
        association differs between patients, or ``"mixed"``, the mixed model over cells (the paper).
    %(key)s
    result_key
        Verb: its ``key_added``, where one was given, such as ``{"perturb": "nk_only", "shap": "of_bags"}``.
    regulons
        Name this regulon, or these, instead.
    alpha
        What is significant, in the colours and in the agreement: adjusted p below this.
    n_mad
        Of several doses of the perturbation, the one to compare with SHAP; that nearest to 3 by default.

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If SHAP values, correlations or, for ``test="mixed"``, mixed models are not there, or a regulon is not.
    ValueError
        If ``n_top`` is negative, or ``test`` or ``alpha`` is not possible.

    References
    ----------
    After figure 4b of Tsui et al. (2025).

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.perturb(adata)
    >>> tm.tl.shap(adata, level="bag", background=100, progress=False)
    >>> tm.tl.attention_correlation(adata)
    >>> [text.get_text() for text in tm.pl.regulators(adata, show=False).texts]
    ['IRF7']
    """
    check_choice(test, get_args(Test), "test")
    if n_top < 0:
        raise ValueError(f"n_top={n_top} must be 0 or more")
    own = dict(result_key or {})
    n_patients = int(shap(adata, "stats", key=key, result_key=own.get("shap"))["n_patients"].max())
    correlations = attention_correlation(adata, key=key, result_key=own.get("attention_correlation"))
    column, name_of_test = TESTS[test]
    if column not in correlations:
        raise KeyError(
            "there are no mixed models; run tl.attention_correlation(..., mixed_model=True), or test='within'"
        )
    table = get_regulators(adata, key=key, result_key=result_key, alpha=alpha, n_mad=n_mad).reset_index()
    drawn = table[table[["tau_within", "shap_difference"]].notna().all(axis=1)].reset_index(drop=True)
    named = _named(drawn, n_top, regulons)
    canvas.doubt(doubt := doubt_of_fit(adata, key))
    if doubt:
        drawn = drawn.assign(agreement="unclear")

    significant = f"adjusted p < {alpha:g} ({name_of_test})"
    colors = canvas.colors({significant: BLUE, UNSURE: GREY})
    panel = canvas.axis((5.2, 4.6))
    _draw(panel, drawn, (drawn[column] < alpha).to_numpy() & (not doubt), colors)
    panel.set_xlabel("Correlation with attention (Kendall's tau)")
    outcome = outcome_of_fit(adata, key)
    target = outcome.target_in_words(shorten(table["target_class"].iloc[0], 24))
    panel.set_ylabel(f"{outcome.shap_word} for {target}\n(weighted by attention)")
    left_out = f", {len(table) - len(drawn)} without a value" if len(drawn) < len(table) else ""
    panel.set_title(f"{len(drawn)} regulons{left_out}, means over {counted(adata, key, n_patients)}", fontsize="medium")
    if not doubt:
        _explain(canvas, panel, drawn, colors)
    label_points(panel, drawn[["tau_within", "shap_difference"]].to_numpy(), named, drawn["regulon"].tolist())


def _named(table: pd.DataFrame, n_top: int, regulons: str | Sequence[str] | None) -> np.ndarray:
    """Rows to name, the most outstanding first."""
    # By ranks: one extreme value on either axis would otherwise decide alone.
    far = table[["tau_within", "shap_difference"]].abs().rank().sum(axis=1).to_numpy()
    order = np.argsort(-far, kind="stable")
    if regulons is None:
        return order[:n_top]
    wanted = [regulons] if isinstance(regulons, str) else list(regulons)
    unknown = [name for name in wanted if name not in set(table["regulon"])]
    if unknown:
        raise KeyError(f"regulons {some(unknown)} have no place in the picture; there are {some(table['regulon'])}")
    return order[table["regulon"].isin(wanted).to_numpy()[order]]


def _draw(ax: Axes, table: pd.DataFrame, significant: np.ndarray, colors: dict) -> None:
    blue, grey = colors.values()
    ax.axhline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    for agreement, (marker, area) in MARKERS.items():
        of_kind = (table["agreement"] == agreement).to_numpy()
        for colour, rows in ((grey, of_kind & ~significant), (blue, of_kind & significant)):
            ax.scatter(
                table["tau_within"][rows],
                table["shap_difference"][rows],
                s=area,
                marker=marker,
                color=colour,
                alpha=0.8,
                linewidths=0,
                zorder=2 if agreement == "unclear" else 3,
            )
    ax.margins(0.12)
    unframe(ax)


def _explain(canvas: Canvas, ax: Axes, table: pd.DataFrame, colors: dict) -> None:
    from matplotlib.lines import Line2D

    def point(label: str, color: str, marker: str = "o", area: float = 34) -> Line2D:
        size = area**0.5
        return Line2D([], [], linestyle="", marker=marker, markersize=size, color=color, markeredgewidth=0, label=label)

    handles = [point(name, color) for name, color in colors.items()]
    blank = [Line2D([], [], linestyle="", label=" ")] if canvas.own else []  # the second column is then about agreement
    labels = {"concordant": "SHAP and perturbation agree", "discordant": "disagree", "unclear": "are unclear"}
    if (table["agreement"] != "unclear").any():
        handles += blank + [point(labels[kind], "#444444", *MARKERS[kind]) for kind in MARKERS]
    canvas.legend(ax, handles, beside=(1, 1), ncols=2, handletextpad=0.2)
