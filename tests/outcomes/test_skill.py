"""Whether a model is above no skill, by the interval of the metric that is reported first."""

import numpy as np
import pandas as pd
import pytest

from tcellmil.outcomes import Classes, Continuous, Ordinal, Survival
from tcellmil.outcomes._skill import NO_SKILL, doubt_of
from tcellmil.stats import bootstrap_metrics, bootstrap_ordinal, bootstrap_regression, bootstrap_survival

CLASSES = Classes("response", ("NR", "R"))
GRADES = Ordinal("grade", ("I", "II"))


def table(metric="auroc", value=0.52, low=0.31, high=0.73):
    other = {"metric": "brier", "value": 0.2, "ci_low": 0.1, "ci_high": 0.3, "n": 12}
    return pd.DataFrame([other, {"metric": metric, "value": value, "ci_low": low, "ci_high": high, "n": 12}])


@pytest.mark.parametrize(
    ("outcome", "row", "words"),
    [
        (CLASSES, ("auroc", 0.52, 0.31, 0.73), "AUROC 0.52 [0.31, 0.73] includes 0.5"),
        (CLASSES, ("auroc", 0.7, 0.5, 0.9), "AUROC 0.70 [0.50, 0.90] includes 0.5"),
        (CLASSES, ("auroc", 0.2, 0.05, 0.4), "AUROC 0.20 [0.05, 0.40] is below 0.5"),
        (CLASSES, ("auroc", 0.7, 0.51, 0.9), ""),
        (GRADES, ("weighted_kappa", 0.1, -0.2, 0.4), "weighted kappa 0.10 [-0.20, 0.40] includes 0"),
        (Continuous("age"), ("pearson", 0.3, 0.01, 0.6), ""),
        (Continuous("age"), ("pearson", -0.4, -0.6, -0.1), "Pearson correlation -0.40 [-0.60, -0.10] is below 0"),
        (Survival("days", "died"), ("concordance", 0.55, 0.4, 0.7), "concordance 0.55 [0.40, 0.70] includes 0.5"),
    ],
)
def test_an_interval_that_is_not_above_no_skill_is_a_doubt(outcome, row, words):
    assert doubt_of(table(*row), outcome) == words


def test_predictions_that_are_all_the_same_are_a_doubt():
    doubt = doubt_of(table("pearson", np.nan, np.nan, np.nan), Continuous("age"))
    assert doubt == "Pearson correlation is not defined, because all predictions are the same"


def test_without_outcomes_that_define_a_metric_there_is_no_doubt():
    assert doubt_of(table(value=np.nan, low=np.nan, high=np.nan), CLASSES, undefined=False) == ""


def test_one_patient_has_no_interval_and_no_doubt():
    assert doubt_of(table(value=1.0, low=np.nan, high=np.nan), CLASSES) == ""


def test_a_metric_whose_level_of_no_skill_is_not_known_is_no_doubt():
    class Counts(Continuous):
        main_metric = ("deviance", "deviance")

    assert doubt_of(table("deviance", 0.1, -1, 1), Counts("relapses")) == ""


def test_every_main_metric_has_a_level_of_no_skill():
    for outcome in (Classes, Ordinal, Continuous, Survival):
        assert outcome.main_metric[0] in NO_SKILL


@pytest.mark.parametrize("skilled", [False, True])
def test_it_reads_the_tables_that_fits_store(skilled):
    rng = np.random.default_rng(0)
    score = rng.normal(size=60)
    y = score + 0.3 * rng.normal(size=60) if skilled else rng.normal(size=60)
    p = 1 / (1 + np.exp(-3 * score))
    grade = np.digitize(y, [-0.4, 0.4])
    proba = np.exp(-((np.arange(-1, 2) - score[:, None]) ** 2))
    proba /= proba.sum(axis=1, keepdims=True)
    tables = [
        (CLASSES, bootstrap_metrics((y > 0).astype(int), np.column_stack([1 - p, p]))),
        (Ordinal("grade", ("I", "II", "III")), bootstrap_ordinal(grade, proba)),
        (Continuous("age"), bootstrap_regression(y, score)),
        (Survival("days", "died"), bootstrap_survival(np.exp(-y), np.ones(60), score, n_boot=200)),
    ]
    assert [doubt_of(metrics, outcome) == "" for outcome, metrics in tables] == 4 * [skilled]
