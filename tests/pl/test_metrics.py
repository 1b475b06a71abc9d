"""Metrics: values, intervals and words of the table; a permutation test: its null, the observed value and p."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import tcellmil as tm
from tcellmil.pl._palette import BLUE, VERMILLION
from tcellmil.stats import bootstrap_ordinal, bootstrap_regression


def drawn(panel):
    """Value, ends of the interval and colour of every row."""
    for points, line in zip(panel.collections, panel.lines, strict=False):
        yield points.get_offsets()[0, 0], line.get_xdata(), to_hex(points.get_facecolor()[0]).upper()


def test_every_metric_has_its_value_interval_and_words(cohort):
    adata = cohort(n_patients=24, n_regulons=2, signal=0.7)
    axes, table = tm.pl.metrics(adata, show=False), tm.get.metrics(adata)
    for panel, names, color in zip(axes, (table.index[:-1], ["brier"]), (BLUE, VERMILLION), strict=True):
        rows = table.loc[names]
        for (value, ends, found), (_, row) in zip(drawn(panel), rows.iterrows(), strict=True):
            assert (value, *ends) == pytest.approx((row["value"], row["ci_low"], row["ci_high"])) and found == color
        words = [f"{r['value']:.2f} [{r['ci_low']:.2f}, {r['ci_high']:.2f}]" for _, r in rows.iterrows()]
        assert [text.get_text() for text in panel.texts] == words
        low, high = panel.get_xlim()
        assert low <= min(0, rows["ci_low"].min()) and rows["ci_high"].max() <= high
    assert axes[0].get_title(loc="left") == "n = 24 patients"
    assert [label.get_text() for label in axes[0].get_yticklabels()][:2] == ["AUROC", "AUPRC"]


def test_errors_of_each_unit_have_a_scale_of_their_own(cohort):
    adata, rng = cohort(n_patients=24, classes=("low", "mid", "high"), n_regulons=2), np.random.default_rng(0)
    fit = adata.uns["tcellmil"]
    fit["metrics"] = bootstrap_ordinal(rng.permutation(24) % 3, rng.dirichlet(np.ones(3), 24), n_boot=20)
    labels = [panel.get_xlabel() for panel in tm.pl.metrics(adata, show=False)]
    assert labels == [f"{unit} is better)" for unit in SCALES]
    fit["metrics"] = bootstrap_regression(rng.normal(50, 9, 24), rng.normal(50, 9, 24), n_boot=20)
    fit["params"]["label_key"] = "age"
    labels = [panel.get_xlabel() for panel in tm.pl.metrics(adata, show=False)]
    assert labels == ["Score (higher is better)", "Error of age (lower is better)"]


SCALES = ("Score (higher", "Brier score (lower", "Error in levels (lower")


def test_only_requested_metrics_are_drawn_in_their_order(cohort):
    adata = cohort(n_patients=12, n_regulons=2)
    panel = tm.pl.metrics(adata, ["recall", "auroc"], show=False)
    assert [label.get_text() for label in panel.get_yticklabels()] == ["Recall", "AUROC"]
    assert tm.pl.metrics(adata, "brier", show=False).get_xlabel() == "Brier score (lower is better)"
    with pytest.raises(ValueError, match="metrics='r2' is not known; choose from 'auroc'"):
        tm.pl.metrics(adata, ["auroc", "r2"], show=False)


def test_a_metric_that_is_not_defined_has_words_and_no_point(cohort):
    adata = cohort(n_patients=12, n_regulons=2)
    adata.uns["tcellmil"]["metrics"].loc[0, ["value", "ci_low", "ci_high"]] = np.nan
    panel = tm.pl.metrics(adata, ["auroc", "accuracy"], show=False)
    assert panel.texts[0].get_text() == "not defined" and len(list(drawn(panel))) == 1
    assert np.isfinite(panel.get_xlim()).all()


def test_every_permutation_is_counted_and_the_fit_is_a_line(complete):
    panel = tm.pl.permutation_test(complete, show=False)
    null = tm.get.permutation_test(complete, "null")["auroc"]
    heights, left = zip(*((bar.get_height(), bar.get_x()) for bar in panel.patches), strict=True)
    assert sum(heights) == len(null) == 40 and min(left) == pytest.approx(null.min())
    assert panel.lines[0].get_xdata()[0] == 0.8
    assert panel.get_title() == "AUROC 0.80, p = 0.024\n40 permutations" and panel.get_xlabel() == "AUROC"
    words = [text.get_text() for text in panel.figure.legends[0].get_texts()]
    assert sorted(words) == ["observed, 0.80", "permuted labels"]


def test_permutations_without_a_metric_are_counted_in_the_title(complete):
    adata = complete.copy()
    null = adata.uns["tcellmil_permutation_test"]["null"]
    null.loc[:2, "auroc"] = np.nan
    panel = tm.pl.permutation_test(adata, show=False)
    assert panel.get_title().endswith("40 permutations, 3 not defined")
    assert sum(bar.get_height() for bar in panel.patches) == 37
    null["auroc"] = np.nan
    assert "not defined in any" in tm.pl.permutation_test(adata, show=False).texts[0].get_text()


def test_an_error_as_the_metric_says_that_lower_is_better(complete):
    adata = complete.copy()
    result = adata.uns["tcellmil_permutation_test"]
    result["null"] = result["null"].rename(columns={"auroc": "brier"})
    result["test"]["metric"] = "brier"
    assert tm.pl.permutation_test(adata, show=False).get_xlabel() == "Brier score (lower is better)"
    adata.uns["mine"] = adata.uns.pop("tcellmil_permutation_test")
    assert tm.pl.permutation_test(adata, result_key="mine", show=False).get_title().startswith("Brier score 0.80")
