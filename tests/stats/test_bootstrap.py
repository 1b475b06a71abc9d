"""Intervals over patients: reproducible, fast, of sane coverage."""

import time

import numpy as np
import pandas as pd
import pytest

from tcellmil.stats import bootstrap_metrics, bootstrap_ordinal, classification_metrics
from tcellmil.stats._evaluation._classes import METRICS


def _cohort(n, seed=0, signal=0.3):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    p = np.clip(rng.normal(0.35 + signal * y, 0.2), 0.01, 0.99)
    return y, np.column_stack([1 - p, p])


def test_table_has_one_row_per_metric_whose_interval_holds_the_value():
    y, proba = _cohort(64)
    table = bootstrap_metrics(y, proba)
    assert table.columns.tolist() == ["metric", "value", "ci_low", "ci_high", "n"]
    assert tuple(table["metric"]) == METRICS
    assert table.set_index("metric")["value"].to_dict() == classification_metrics(y, proba)
    assert (table["ci_low"] < table["value"]).all() and (table["value"] < table["ci_high"]).all()
    assert (table["n"] == 64).all()


def test_same_seed_gives_the_same_intervals_and_another_gives_others():
    y, proba = _cohort(20)
    first, again, other = (bootstrap_metrics(y, proba, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_a_higher_level_widens_every_interval():
    y, proba = _cohort(40)
    narrow, wide = (bootstrap_metrics(y, proba, level=level) for level in (0.5, 0.99))
    assert (wide["ci_low"] <= narrow["ci_low"]).all() and (wide["ci_high"] >= narrow["ci_high"]).all()


def test_interval_equals_one_by_sklearn_on_the_same_resamples():
    from sklearn.metrics import average_precision_score, roc_auc_score

    from tcellmil.stats._evaluation._resampling import class_resamples

    y, proba = _cohort(15)
    counts = class_resamples(y, 2, 300, seed=7).astype(int)
    table = bootstrap_metrics(y, proba, n_boot=300, seed=7).set_index("metric")
    for name, score in {"auroc": roc_auc_score, "auprc": average_precision_score}.items():
        values = [score(np.repeat(y, c), np.repeat(proba[:, 1], c)) for c in counts]
        low_high = np.quantile(values, [0.025, 0.975])
        np.testing.assert_allclose(table.loc[name, ["ci_low", "ci_high"]].astype(float), low_high)


def test_every_resample_holds_every_class_even_one_of_a_single_patient():
    from tcellmil.stats._evaluation._resampling import class_resamples

    y = np.array([0] * 9 + [1])
    counts = class_resamples(y, 2, 2000, seed=0)
    assert (counts.sum(axis=1) == 10).all()
    assert (counts[:, 9] > 0).all() and (counts[:, :9].sum(axis=1) > 0).all()


def test_interval_of_accuracy_covers_the_truth():
    rng = np.random.default_rng(0)
    covered = []
    for run in range(200):
        y = rng.permutation(np.arange(60) % 2)
        right = rng.random(60) < 0.75
        p = np.where(right, y, 1 - y) * 0.6 + 0.2
        table = bootstrap_metrics(y, np.column_stack([1 - p, p]), n_boot=500, seed=run).set_index("metric")
        covered.append(table.loc["accuracy", "ci_low"] <= 0.75 <= table.loc["accuracy", "ci_high"])
    assert 0.85 <= np.mean(covered) <= 0.99


def test_pair_order_replaces_the_auroc_only():
    y, proba = _cohort(30)
    plain = bootstrap_metrics(y, proba).set_index("metric")
    order = np.ones((15, 15))
    order[0] = 0.5  # one positive ties with every negative
    paired = bootstrap_metrics(y, proba, pair_order=order).set_index("metric")
    assert paired.loc["auroc", "value"] == pytest.approx(1 - 0.5 / 15)
    assert paired.loc["auroc", "ci_high"] == 1.0
    pd.testing.assert_frame_equal(paired.drop("auroc"), plain.drop("auroc"))


def test_pair_order_of_one_model_gives_the_plain_auroc():
    y, proba = _cohort(24, seed=2)
    p = proba[:, 1]
    order = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
    pd.testing.assert_frame_equal(bootstrap_metrics(y, proba), bootstrap_metrics(y, proba, pair_order=order))


def test_several_classes_get_intervals_too():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    table = bootstrap_metrics(y, rng.dirichlet(np.ones(3), size=30))
    assert table[["value", "ci_low", "ci_high"]].notna().all(axis=None)


def test_two_thousand_resamples_of_64_patients_take_under_half_a_second():
    y, proba = _cohort(64)
    seconds = []
    for _ in range(3):  # the fastest of three, because other work shares the machine
        start = time.perf_counter()
        bootstrap_metrics(y, proba)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_boot": 0}, "n_boot=0 must be a whole number of at least 1"),
        ({"level": 95}, "level=95 must be between 0 and 1"),
        ({"pair_order": np.ones((3, 2))}, r"shape \(3, 2\), expected \(2, 2\)"),
        ({"pair_order": np.full((2, 2), np.nan)}, "pair without a prediction"),
        ({"pair_order": np.full((2, 2), 2.0)}, r"lie in \[0, 1\]"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_metrics(*_cohort(4), **arguments)


def test_one_class_is_an_error():
    with pytest.raises(ValueError, match="no patient is of class 1"):
        bootstrap_metrics(np.zeros(5, dtype=int), np.full((5, 2), 0.5))


def test_pair_order_with_three_classes_is_an_error():
    with pytest.raises(ValueError, match="needs two classes, there are 3"):
        bootstrap_metrics(np.arange(3), np.full((3, 3), 1 / 3), pair_order=np.ones((1, 1)))


def test_classes_that_no_resample_can_hold_are_an_error(monkeypatch):
    monkeypatch.setattr("tcellmil.stats._evaluation._resampling.MAX_DRAWS", 20)
    with pytest.raises(ValueError, match="the smallest has 1"):
        bootstrap_metrics(np.arange(15), np.full((15, 15), 1 / 15), n_boot=50)


@pytest.mark.parametrize("bootstrap", [bootstrap_metrics, bootstrap_ordinal])
def test_without_patients_of_a_class_the_rest_is_measured_on_request(bootstrap):
    rng = np.random.default_rng(0)
    y, proba = rng.integers(0, 2, 30), rng.dirichlet([1, 1, 1], 30)
    with pytest.raises(ValueError, match="no patient is of class 2"):
        bootstrap(y, proba)
    table = bootstrap(y, proba, n_boot=200, absent="nan").set_index("metric")
    undefined = {"auroc", "auprc", "balanced_accuracy", "f1", "precision", "recall"}
    assert set(table.index[table["value"].isna()]) == set(table.index[table["ci_low"].isna()]) == undefined
    assert table.loc["accuracy", "value"] == (proba.argmax(axis=1) == y).mean()
    defined = table.drop(index=list(undefined))
    assert ((defined["ci_low"] < defined["value"]) & (defined["value"] < defined["ci_high"])).all()
    with pytest.raises(ValueError, match="absent='zero' is not known; choose from 'error', 'nan'"):
        bootstrap(y, proba, absent="zero")


def test_where_every_class_has_patients_nothing_depends_on_absent():
    rng = np.random.default_rng(1)
    y, proba = np.arange(30) % 3, rng.dirichlet([1, 1, 1], 30)
    for bootstrap in (bootstrap_metrics, bootstrap_ordinal):
        pd.testing.assert_frame_equal(bootstrap(y, proba), bootstrap(y, proba, absent="nan"))
