"""Compared methods: rows in order, intervals of the table, curves of methods."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.pl._panels import shorten
from tcellmil.stats import bootstrap_metrics


@pytest.fixture
def compared():
    """An AnnData as tl.benchmark leaves it, without fitting anything."""

    def build(n_methods=5, use_reps=("X_regulons", "X_pca"), n_patients=24, classes=("NR", "R"), seed=0):
        rng = np.random.default_rng(seed)
        names = ["tcellmil", *(f"method_{i}" for i in range(1, n_methods - 1)), "a_method_with_a_name_" + 30 * "x"]
        y = np.arange(n_patients) % len(classes)
        metrics, predictions = [], []
        for method in names[:n_methods]:
            for rep in use_reps:
                logits = rng.normal(size=(n_patients, len(classes))) + np.eye(len(classes))[y]
                p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
                table = bootstrap_metrics(y, p, n_boot=20).assign(method=method, rep=rep, difference=0.1, p=0.2)
                metrics.append(table)
                predictions.append(
                    pd.DataFrame(
                        {
                            "method": method,
                            "rep": rep,
                            "patient": [f"P{i}" for i in range(n_patients)],
                            "label": np.array(classes)[y],
                            **{f"prob_{c}": p[:, i] for i, c in enumerate(classes)},
                        }
                    )
                )
        adata = ad.AnnData(np.zeros((1, 1), dtype=np.float32))
        adata.uns["benchmark"] = {
            "metrics": pd.concat(metrics, ignore_index=True),
            "methods": pd.DataFrame({"method": names}),
            "predictions": pd.concat(predictions, ignore_index=True),
            "params": {
                "verb": "benchmark",
                "reference": "tcellmil",
                "reference_rep": use_reps[0],
                "cv": "loo",
                "classes": np.array(classes, dtype=object),
                "positive_class": classes[-1],
                "outcome": "classes",
                "label_key": "response",
            },
        }
        return adata

    return build


def names_of(ax):
    return [text.get_text().removesuffix(" (reference)") for text in ax.get_yticklabels()]


@pytest.mark.parametrize("metric", ["auroc", "brier"])
def test_the_best_method_comes_first(compared, metric):
    adata = compared()
    ax = tm.pl.benchmark(adata, metric, show=False)
    table = (
        tm.get.benchmark(adata, metric=metric)
        .reset_index()
        .sort_values("value", ascending=metric == "brier", kind="stable")
    )
    assert names_of(ax) == [shorten(name) for name in table["method"]]
    drawn = [points.get_offsets()[0, 0] for points in ax.collections]
    np.testing.assert_allclose(drawn, table["value"])
    intervals = [line.get_xdata() for line in ax.lines if len(set(line.get_ydata())) == 1]
    np.testing.assert_allclose(intervals, table[["ci_low", "ci_high"]])


def test_a_star_marks_what_differs_from_the_reference(compared):
    adata = compared()
    table = adata.uns["benchmark"]["metrics"]
    table.loc[(table["method"] == "method_1") & (table["metric"] == "f1"), "p"] = 0.01
    axes = tm.pl.benchmark(adata, ["auroc", "f1"], show=False)
    assert [len(ax.texts) for ax in axes] == [0, 2]


@pytest.mark.parametrize("n_methods", [2, 21])
@pytest.mark.parametrize("classes", [("NR", "R"), ("a", "b", "c", "d", "e")])
def test_few_and_many_methods_and_classes_are_drawn(compared, n_methods, classes):
    axes = tm.pl.benchmark(compared(n_methods, n_patients=30, classes=classes), show=False)
    assert all(len(names_of(ax)) == 2 * n_methods for ax in axes)


@pytest.mark.parametrize("draw", [tm.pl.roc, tm.pl.prc])
def test_curves_are_of_the_reference_and_the_best_six(compared, draw):
    adata = compared(n_methods=10)
    ax = draw(adata, key="benchmark", show=False)
    labels = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    labels = [label for label in labels if not label.startswith("prevalence")]
    assert len(labels) == 7 and labels[0].startswith("tcellmil, X_regulons")
    ax = draw(adata, key="benchmark", methods=["method_2"], show=False)
    labels = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert sum("method_2" in label for label in labels) == 2


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda a: tm.pl.benchmark(a, "auc", show=False), ValueError, r"metrics='auc' is not known"),
        (lambda a: tm.pl.benchmark(a, methods=["x"], show=False), ValueError, r"methods \['x'\] were not compared"),
        (lambda a: tm.pl.benchmark(a, result_key="other", show=False), KeyError, r"run tl.benchmark"),
        (
            lambda a: tm.pl.roc(a, key="benchmark", methods="x", show=False),
            ValueError,
            r"methods \['x'\] were not compared",
        ),
    ],
)
def test_bad_input_is_named(compared, draw, error, message):
    with pytest.raises(error, match=message):
        draw(compared())
