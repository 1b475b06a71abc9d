"""What the cohort and covariates of a patient predict without any cell."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tcellmil.comparison._alone import alone_in_words, confounded, metrics_alone


@pytest.fixture
def patients(make_bags):
    """Patients with cohorts, and a covariate that goes with the label."""

    def build(cohorts=None, n=24, noise=0.5, **options):
        bags = make_bags(n_patients=n, n_cells=3, **options)
        rng = np.random.default_rng(1)
        covariates = (bags.labels + noise * rng.normal(size=n)).astype(np.float32)[:, None]
        cohorts = rng.integers(0, 3, n) if cohorts is None else np.asarray(cohorts)
        return replace(bags, cohorts=cohorts, n_cohorts=int(cohorts.max()) + 1, covariates=covariates, n_continuous=1)

    return build


def test_it_is_a_logistic_regression_on_the_same_splits(patients):
    bags = patients()
    replicas = bags.replicas(4)
    table = metrics_alone(bags, replicas, n_boot=20).set_index(["predictor", "metric"])
    assert table.index.unique("predictor").tolist() == ["cohort", "covariates", "cohort and covariates"]
    onehot = np.eye(3)[bags.cohorts]
    columns = {"cohort": onehot, "covariates": bags.covariates}
    columns["cohort and covariates"] = np.hstack([onehot, bags.covariates])
    for name, x in columns.items():
        p = np.full(24, np.nan)
        for train, test in zip(replicas.train, replicas.test, strict=True):
            own = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, class_weight="balanced"))
            p[test] = own.fit(x[train], bags.labels[train]).predict_proba(x[test])[:, 1]
        assert table.loc[(name, "auroc"), "value"] == pytest.approx(roc_auc_score(bags.labels, p))
        assert table.loc[(name, "auroc"), "n"] == 24


def test_a_cohort_that_is_the_label_predicts_it_whatever_the_splits(patients):
    bags = patients(cohorts=np.arange(24) % 2)
    for cv in ("rebalanced_loo", "loo", 3, "leave_pair_out"):
        table = metrics_alone(bags, bags.replicas(cv), in_pairs=cv == "leave_pair_out", n_boot=20)
        assert table.set_index(["predictor", "metric"]).loc[("cohort", "auroc"), "value"] == 1


def test_without_anything_known_there_is_nothing_to_compute(patients, with_outcome):
    bags = patients()
    nothing = replace(bags, n_cohorts=0, cohorts=np.full(24, -1), covariates=None, n_continuous=0)
    assert metrics_alone(nothing, bags.replicas(3)) is None
    one_cohort = replace(nothing, n_cohorts=1, cohorts=np.zeros(24, dtype=int))
    assert metrics_alone(one_cohort, bags.replicas(3)) is None
    numbers = with_outcome(bags, "continuous")
    assert metrics_alone(numbers, numbers.replicas(3)) is None
    assert alone_in_words(None) == "" and confounded(None, 0.9) == ""


def test_it_is_the_same_every_time_and_keeps_groups_together(patients):
    bags = patients()
    bags = replace(bags, groups=np.arange(24) // 2)
    one, other = (metrics_alone(bags, bags.replicas(3), n_boot=50) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)
    assert not one.equals(metrics_alone(replace(bags, groups=None), bags.replicas(3), n_boot=50))


def test_classes_with_an_order_and_several_classes_are_measured_too(patients, with_outcome):
    ordered = with_outcome(patients(n=30), "ordinal")
    table = metrics_alone(ordered, ordered.replicas(2), n_boot=20)
    assert {"auroc", "weighted_kappa"} <= set(table["metric"])
    assert table["value"].notna().all()


def of(predictor="cohort", value=0.95, low=0.86, high=1.0):
    row = {"predictor": predictor, "metric": "auroc", "value": value, "ci_low": low, "ci_high": high, "n": 24}
    return pd.DataFrame([row, row | {"metric": "brier", "value": 0.1}])


def test_the_line_has_each_with_its_interval():
    table = pd.concat([of(), of("covariates", 0.3, 0.1, 0.5)])
    expected = "cohort alone 0.95 [0.86, 1.00], covariates alone 0.30 [0.10, 0.50] (below 0.5: it says nothing)"
    assert alone_in_words(table) == expected


def test_what_nearly_determines_the_class_is_warned_of():
    message = confounded(of(), 0.97)
    assert message.startswith("the cohort alone, without any cell, predicts the class with AUROC 0.95 [0.86, 1.00]")
    assert "nearly determines the class (the model: 0.97)" in message and "cv='cohort'" in message
    assert "cv='cohort'" not in confounded(of("covariates"), 0.97)


@pytest.mark.parametrize(
    ("value", "low", "model", "warned"),
    [(0.75, 0.6, 0.74, True), (0.75, 0.6, 0.9, False), (0.75, 0.45, 0.6, False), (0.12, 0.02, 0.4, False)],
)
def test_a_model_that_is_no_better_than_the_cohort_is_warned_of(value, low, model, warned):
    message = confounded(of(value=value, low=low), model)
    assert ("the model is no better" in message) == warned and (message != "") == warned
