"""Metrics equal scikit-learn's, with and without weights, for two classes and for more."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from tcellmil.stats import classification_metrics
from tcellmil.stats._evaluation._classes import METRICS, checked_predictions, weighted_metrics


@st.composite
def predictions(draw):
    """Every class is present; probabilities of one decimal, so that ties are common."""
    n_classes = draw(st.integers(2, 5))
    n_patients = draw(st.integers(n_classes, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = rng.permutation(np.append(np.arange(n_classes), rng.integers(n_classes, size=n_patients - n_classes)))
    raw = np.round(rng.random((n_patients, n_classes)), 1) + 0.1
    return y, raw / raw.sum(axis=1, keepdims=True), rng


def _sklearn(y, proba, weight):
    n_classes = proba.shape[1]
    called = proba.argmax(axis=1)
    average = {"average": "binary" if n_classes == 2 else "macro", "zero_division": 0, "sample_weight": weight}
    one_hot = np.eye(n_classes)[y]
    if n_classes == 2:
        auroc = oracle.roc_auc_score(y, proba[:, 1], sample_weight=weight)
        auprc = oracle.average_precision_score(y, proba[:, 1], sample_weight=weight)
        brier = oracle.brier_score_loss(y, proba[:, 1], sample_weight=weight)
    else:
        auroc = oracle.roc_auc_score(one_hot, proba, average="macro", sample_weight=weight)
        auprc = oracle.average_precision_score(one_hot, proba, average="macro", sample_weight=weight)
        brier = np.average(((proba - one_hot) ** 2).sum(axis=1), weights=weight)
    return {
        "auroc": auroc,
        "auprc": auprc,
        "accuracy": oracle.accuracy_score(y, called, sample_weight=weight),
        "balanced_accuracy": oracle.balanced_accuracy_score(y, called, sample_weight=weight),
        "f1": oracle.f1_score(y, called, **average),
        "precision": oracle.precision_score(y, called, **average),
        "recall": oracle.recall_score(y, called, **average),
        "brier": brier,
    }


@settings(max_examples=60, deadline=None)
@given(predictions())
def test_metrics_equal_those_of_sklearn(drawn):
    y, proba, _ = drawn
    ours = classification_metrics(y, proba)
    assert tuple(ours) == METRICS
    assert all(type(value) is float for value in ours.values())
    assert ours == pytest.approx(_sklearn(y, proba, None), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(predictions())
def test_weighted_metrics_equal_those_of_sklearn_with_sample_weight(drawn):
    y, proba, rng = drawn
    counts = rng.integers(0, 4, size=(3, len(y))).astype(float)
    assume((counts @ np.eye(proba.shape[1])[y] > 0).all())
    ours = weighted_metrics(y, proba, counts)
    for row, weight in zip(ours, counts, strict=True):
        assert dict(zip(METRICS, row, strict=True)) == pytest.approx(_sklearn(y, proba, weight), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(predictions())
def test_an_integer_weight_is_a_repeated_patient(drawn):
    y, proba, rng = drawn
    counts = rng.integers(1, 4, size=len(y))
    repeated = classification_metrics(np.repeat(y, counts), np.repeat(proba, counts, axis=0))
    np.testing.assert_allclose(weighted_metrics(y, proba, counts[None].astype(float))[0], list(repeated.values()))


def test_metrics_do_not_depend_on_the_order_of_patients():
    rng = np.random.default_rng(0)
    y, p = np.arange(12) % 3, rng.dirichlet(np.ones(3), size=12)
    order = rng.permutation(12)
    assert classification_metrics(y, p) == pytest.approx(classification_metrics(y[order], p[order]))


def test_equal_probabilities_call_the_first_class():
    metrics = classification_metrics(np.array([0, 1]), np.full((2, 2), 0.5))
    assert (metrics["recall"], metrics["precision"], metrics["f1"], metrics["auroc"]) == (0.0, 0.0, 0.0, 0.5)


def test_brier_sums_over_classes_when_there_are_more_than_two():
    certain_and_wrong = np.eye(3)[[1, 2, 0]]
    assert classification_metrics(np.array([0, 1, 2]), certain_and_wrong)["brier"] == 2.0
    assert classification_metrics(np.array([0, 1]), np.eye(2)[[1, 0]])["brier"] == 1.0


@pytest.mark.parametrize(
    ("y", "proba", "message"),
    [
        ([0, 0, 0], [[0.5, 0.5]] * 3, "no patient is of class 1"),
        ([0, 1, 1], [[0.2, 0.3, 0.5]] * 3, "no patient is of class 2"),
        ([0, 1], [[0.5, 0.5]] * 3, r"y_true has shape \(2,\), but proba has 3 patients"),
        ([0, 2], [[0.5, 0.5]] * 2, "codes 0 to 1, got 0 to 2"),
        ([-1, 1], [[0.5, 0.5]] * 2, "leave out patients without a label"),
        ([0.0, 1.0], [[0.5, 0.5]] * 2, "integer class codes"),
        ([0, 1], [[0.5, np.nan]] * 2, "2 NaN or infinite"),
        ([0, 1], [[0.5, 0.6]] * 2, "summing to 1"),
        ([0, 1], [[-0.5, 1.5]] * 2, "at least 0"),
        ([0, 1], [0.2, 0.7], r"at least 2 classes, got shape \(2,\)"),
        (np.array([], dtype=int), np.empty((0, 2)), "no patient is of class 0, 1"),
    ],
)
def test_bad_predictions_are_named(y, proba, message):
    with pytest.raises(ValueError, match=message):
        classification_metrics(np.asarray(y), np.asarray(proba))


def test_float32_softmax_passes_as_probabilities():
    logits = np.random.default_rng(0).normal(0, 5, (50, 4)).astype(np.float32)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert checked_predictions(np.arange(50) % 4, proba)[1].dtype == np.float64
