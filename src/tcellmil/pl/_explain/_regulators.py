"""Regulons by their correlation with attention and by SHAP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from tcellmil import _keys
from tcellmil._checks import check_choice, some
from tcellmil._outcome_kinds import has_classes, target_in_words
from tcellmil.get import attention_correlation, shap
from tcellmil.get import regulators as get_regulators
from tcellmil.get._mil import stored
from tcellmil.pl._canvas import BLUE, GREY, finish, make_axes, shorten
from tcellmil.pl._labels import label_points

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

TESTS = {"mixed": ("mixed_padj", "mixed model"), "within": ("tau_within_padj", "over patients")}
MARKERS = {"concordant": ("o", 34), "discordant": ("D", 30), "unclear": ("o", 11)}  # shape and area


def regulators(
    adata: AnnData,
    n_top: int = 12,
    regulons: str | Sequence[str] | None = None,
    test: Literal["mixed", "within"] = "within",
    alpha: float = 0.05,
    key: str = _keys.TCELLMIL,
    *,
    n_mad: float | None = None,
    perturbation_key: str | None = None,
    shap_key: str | None = None,
    correlation_key: str | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
) -> Axes:
    """Draw every regulon by its correlation with attention and its SHAP difference.

    Reads what :func:`tcellmil.get.regulators` joins. To the right, cells with higher activity get more attention
    (``tau_within``, Kendall's tau within a patient, mean over patients); upwards, SHAP values are for the followed
    class, or for a higher number or risk (``shap_difference``, attention-weighted, mean over patients). Blue points are
    significantly correlated with attention. A circle is a regulon whose perturbation and SHAP agree, a diamond one
    where they do not, a small point one where that is unclear or where :func:`tcellmil.tl.perturb` was not run.

    Parameters
    ----------
    adata
        Cells that :func:`tcellmil.tl.shap` and :func:`tcellmil.tl.attention_correlation` wrote to.
    n_top
        Name at most this many regulons, those that stand out on both axes (by the sum of the ranks of the absolute
        values), as far as there is room.
    regulons
        Name these instead.
    test
        The adjusted p of the colours: ``"within"``, the signed-rank test over patients, which also holds where the
        association differs between patients, or ``"mixed"``, the mixed model over cells (the paper).
    alpha
        What is significant, in the colours and in the agreement.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`.
    n_mad
        Of several doses of the perturbation, the one to compare with SHAP; that nearest to 3 by default.
    perturbation_key, shap_key, correlation_key
        The ``key_added`` of the three verbs, where one was given.
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
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.tl.perturb(adata)
    >>> tm.tl.shap(adata, level="bag", background=100, progress=False)
    >>> tm.tl.attention_correlation(adata)
    >>> [text.get_text() for text in tm.pl.regulators(adata, show=False).texts]
    ['IRF7']
    """
    check_choice(test, tuple(TESTS), "test")
    if n_top < 0:
        raise ValueError(f"n_top={n_top} must be 0 or more")
    n_patients = int(shap(adata, "stats", key, shap_key=shap_key)["n_patients"].max())
    correlations = attention_correlation(adata, key, correlation_key=correlation_key)
    column, name_of_test = TESTS[test]
    if column not in correlations:
        raise KeyError(
            "there are no mixed models; run tl.attention_correlation(..., mixed_model=True), or test='within'"
        )
    keys = {"perturbation_key": perturbation_key, "shap_key": shap_key, "correlation_key": correlation_key}
    table = get_regulators(adata, key, alpha=alpha, n_mad=n_mad, **keys)
    drawn = table[table[["tau_within", "shap_difference"]].notna().all(axis=1)].reset_index(drop=True)
    named = _named(drawn, n_top, regulons)

    (panel,) = make_axes(1, ax, (5.2, 4.6))
    _draw(panel, drawn, (drawn[column] < alpha).to_numpy())
    panel.set_xlabel("Correlation with attention (Kendall's tau)")
    target, params = shorten(table["target_class"].iloc[0], 24), stored(adata, key, "params")
    explained = "SHAP difference" if has_classes(params) else "SHAP value"
    panel.set_ylabel(f"{explained} for {target_in_words(params, target)}\n(weighted by attention)")
    left_out = f", {len(table) - len(drawn)} without a value" if len(drawn) < len(table) else ""
    panel.set_title(f"{len(drawn)} regulons{left_out}, means over {n_patients} patients", fontsize="medium")
    _explain(panel, drawn, f"adjusted p < {alpha:g} ({name_of_test})", own=ax is None)
    label_points(panel, drawn[["tau_within", "shap_difference"]].to_numpy(), named, drawn["regulon"].tolist())
    return finish(np.array([panel], dtype=object), show, own=ax is None)


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


def _draw(ax: Axes, table: pd.DataFrame, significant: np.ndarray) -> None:
    ax.axhline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    for agreement, (marker, area) in MARKERS.items():
        of_kind = (table["agreement"] == agreement).to_numpy()
        for colour, rows in ((GREY, of_kind & ~significant), (BLUE, of_kind & significant)):
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
    ax.spines[["top", "right"]].set_visible(False)


def _explain(ax: Axes, table: pd.DataFrame, significant: str, own: bool) -> None:
    from matplotlib.lines import Line2D

    def point(label: str, color: str, marker: str = "o", area: float = 34) -> Line2D:
        size = area**0.5
        return Line2D([], [], linestyle="", marker=marker, markersize=size, color=color, markeredgewidth=0, label=label)

    handles = [point(significant, BLUE), point("not significant", GREY)]
    blank = [Line2D([], [], linestyle="", label=" ")] if own else []  # the second column is then about agreement
    labels = {"concordant": "SHAP and perturbation agree", "discordant": "disagree", "unclear": "are unclear"}
    if (table["agreement"] != "unclear").any():
        handles += blank + [point(labels[kind], "#444444", *MARKERS[kind]) for kind in MARKERS]
    options = {"frameon": False, "fontsize": "small", "handletextpad": 0.2}
    if own:
        ax.figure.legend(handles=handles, loc="outside lower center", ncols=2, **options)
    else:
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), **options)
