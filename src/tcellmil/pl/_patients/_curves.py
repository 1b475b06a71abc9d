"""ROC and precision-recall curves of the out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys
from tcellmil._checks import some
from tcellmil._results import fit_part
from tcellmil.get import benchmark, metrics, predictions
from tcellmil.outcomes import outcome_of
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import GREY, class_colors, cycled, line_styles
from tcellmil.pl._panels import shorten, unframe
from tcellmil.pl._patients._intervals import interval_in_words

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

MAX_METHODS = 7  # of a benchmark, in one picture
PARTS = ("metrics", "predictions")

Curve = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@picture
def roc(
    adata: AnnData,
    methods: str | Sequence[str] | None = None,
    *,
    canvas: Canvas,
    key: str | Sequence[str] = _keys.TCELLMIL,
) -> None:
    """Draw the receiver operating characteristic of the out-of-fold predictions.

    Reads ``uns[key]``. The AUROC in the legend, its interval and the number of patients are those of the metrics table.
    With more than two classes there is a curve for each class against the rest, and the legend's title has the mean.
    After ``cv="leave_pair_out"`` the AUROC is that of the pairs, each ranked by models that saw neither patient; the
    curve, which needs one probability a patient, is of the mean probabilities and may differ from it.

    Parameters
    ----------
    %(adata_of_fit)s
    %(benchmark_methods)s
    %(keys_of_curves)s

    Returns
    -------
    The axes.

    Raises
    ------
    %(no_result)s
    ValueError
        If several keys are given and one has more than two classes, or an outcome is a number or a time to event.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.pl.roc(adata, show=False).get_xlabel()
    'False positive rate'
    """
    fits = _fits(adata, key, methods)
    panel = canvas.axis((4.2, 4.8))
    panel.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    panel.set(xlabel="False positive rate", ylabel=f"True positive rate{_positive(fits)}")
    _draw(canvas, panel, fits, _roc_curve, "auroc", "AUROC")


@picture
def prc(
    adata: AnnData,
    methods: str | Sequence[str] | None = None,
    *,
    canvas: Canvas,
    key: str | Sequence[str] = _keys.TCELLMIL,
) -> None:
    """Draw the precision-recall curve of the out-of-fold predictions.

    Reads ``uns[key]``. The AUPRC in the legend (average precision, the area under the drawn steps), its interval and
    the number of patients are those of the metrics table. A dotted line is at the prevalence of the class, which is the
    precision of predictions without information. With more than two classes there is a curve for each class against the
    rest, and the legend's title has the mean.

    Parameters
    ----------
    %(adata_of_fit)s
    %(benchmark_methods)s
    %(keys_of_curves)s

    Returns
    -------
    The axes.

    Raises
    ------
    %(no_result)s
    ValueError
        If several keys are given and one has more than two classes, or an outcome is a number or a time to event.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.pl.prc(adata, show=False).get_xlabel()
    'Recall'
    """
    fits = _fits(adata, key, methods)
    panel = canvas.axis((4.2, 4.8))
    panel.set(xlabel="Recall", ylabel=f"Precision{_positive(fits)}")
    _draw(canvas, panel, fits, _precision_recall_curve, "auprc", "AUPRC", prevalence=True)


def _fits(
    adata: AnnData, key: str | Sequence[str], methods: Sequence[str] | None
) -> dict[str, tuple[dict, pd.DataFrame, pd.DataFrame]]:
    """Parameters, labelled predictions and metrics of each key, or of each method of a benchmark."""
    fits = {}
    for name in [key] if isinstance(key, str) else list(key):
        result = adata.uns.get(name)
        result = result if isinstance(result, dict) else {}
        if "params" in result:
            outcome_of(result["params"]).check_has_classes(name, "ROC and precision-recall curves are")
        if "methods" in result:
            fits |= _compared(adata, name, methods)
            continue
        table = predictions(adata, key=name)
        fits[name] = (fit_part(adata, name, "params"), _known(table), metrics(adata, key=name))
        present = fits[name][1]["label"].unique()
        if len(present) < 2:
            raise ValueError(
                f"the patients of {name!r} with a label are all of class {some(present)}; there is no curve"
            )
    many = [name for name, (params, _, _) in fits.items() if len(params["classes"]) > 2]
    if many and len(fits) > 1:
        raise ValueError(
            f"{many[0]!r} has {len(fits[many[0]][0]['classes'])} classes; draw one such fit at a time, "
            "one method of a benchmark with methods=[...]"
        )
    return fits


def _known(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["label"] != "") & table.filter(like="prob_").notna().all(axis=1)]


def _compared(adata: AnnData, key: str, methods: Sequence[str] | None) -> dict:
    """Methods of a benchmark in the shape of fits, the reference first."""
    params = adata.uns[key]["params"]
    auroc = benchmark(adata, metric="auroc", result_key=key).reset_index()
    is_reference = (auroc["method"] == params["reference"]) & (auroc["rep"] == params["reference_rep"])
    if methods is None:
        best = auroc[~is_reference].nlargest(MAX_METHODS - 1, "value").index
        chosen = auroc.loc[[*auroc.index[is_reference], *best]]
    else:
        methods = [methods] if isinstance(methods, str) else list(methods)
        unknown = [name for name in methods if name not in set(auroc["method"])]
        if unknown:
            raise ValueError(f"methods {some(unknown)} were not compared; there are {some(auroc['method'].unique())}")
        chosen = auroc[auroc["method"].isin(methods)]
    tables = {part: benchmark(adata, part, result_key=key).reset_index().set_index(["method", "rep"]) for part in PARTS}
    several = len(set(auroc["rep"]) - {""}) > 1
    return {
        f"{method}, {rep}" if rep and several else method: (
            params,
            _known(tables["predictions"].loc[[(method, rep)]]),
            tables["metrics"].loc[[(method, rep)]].set_index("metric"),
        )
        for method, rep in chosen[["method", "rep"]].itertuples(index=False)
    }


def _draw(canvas: Canvas, ax: Axes, fits: dict, curve: Curve, metric: str, name: str, prevalence: bool = False) -> None:
    title, base_rates, handles = None, {}, []
    many = len(next(iter(fits.values()))[0]["classes"]) > 2  # then there is one fit only
    styles = {} if many else line_styles(canvas.colors(cycled(fits)))
    for key, (params, table, values) in fits.items():
        classes = [str(c) for c in params["classes"]]
        label = _legend(key, name, params, values.loc[metric])
        if len(classes) == 2:
            lines = [(str(params["positive_class"]), styles[key], label)]
        else:
            title = label
            n_patients = table["label"].value_counts()
            lines = [
                (c, {"color": of}, f"{shorten(c, 28)}, n = {n_patients.get(c, 0)}")
                for c, of in canvas.colors(class_colors(classes)).items()
                if n_patients.get(c, 0)
            ]
        for positive, style, text in lines:
            is_positive = (table["label"] == positive).to_numpy()
            x, y = curve(is_positive, table[f"prob_{positive}"].to_numpy())
            step = "steps-pre" if prevalence else "default"
            handles += ax.plot(x, y, **style, drawstyle=step, linewidth=1.8, label=text, clip_on=False)
            base_rates.setdefault(round(is_positive.mean(), 6), style["color"])
    if prevalence:
        for rate, color in base_rates.items():
            only = len(base_rates) == 1
            ax.axhline(rate, color=GREY if only else color, linestyle=":", linewidth=1)
        label = _prevalence(list(base_rates))
        handles += ax.plot([], [], color=GREY, linestyle=":", linewidth=1, label=label)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    unframe(ax)
    ax.set_anchor("W")  # above the legend, which may be wider
    canvas.legend(ax, handles, "lower left", title=title, title_fontsize="small", alignment="left")


def _legend(key: str, name: str, params: dict, row: pd.Series) -> str:
    in_pairs = params["cv"] == "leave_pair_out" and params.get("verb") != "predict"
    of_pairs = " of pairs" if name == "AUROC" and in_pairs else ""
    mean = "mean " if len(params["classes"]) > 2 else ""
    return f"{shorten(key, 28)} {mean}{name}{of_pairs} {interval_in_words(row)}, n = {int(row['n'])}"


def _prevalence(rates: list[float]) -> str:
    if len(rates) == 1:
        return f"prevalence {rates[0]:.2f}"
    return f"prevalence {min(rates):.2f} to {max(rates):.2f}"


def _positive(fits: dict) -> str:
    """The class that the axis is about, where all fits agree on one."""
    positive = {str(params["positive_class"]) for params, _, _ in fits.values()}
    binary = all(len(params["classes"]) == 2 for params, _, _ in fits.values())
    return f" ({shorten(positive.pop(), 24)})" if binary and len(positive) == 1 else ""


def _roc_curve(is_positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.metrics import roc_curve

    false_positive, true_positive, _ = roc_curve(is_positive, score, drop_intermediate=False)
    return false_positive, true_positive


def _precision_recall_curve(is_positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(is_positive, score)
    # The highest precision at each recall: a staircase whose area is the average precision.
    steps, at = np.unique(recall[:-1], return_inverse=True)
    height = np.zeros(len(steps))
    np.maximum.at(height, at, precision[:-1])
    reached = steps > 0
    return np.append(0, steps[reached]), np.append(height[reached][:1], height[reached])
