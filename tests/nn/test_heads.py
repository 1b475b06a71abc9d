"""Proportional odds, and the loss of times to event."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from statsmodels.duration.hazard_regression import PHReg

from tcellmil.nn._heads import StackedThresholds, StackedUnits
from tcellmil.nn._losses import bag_cox_loss, bag_squared_error


@given(st.integers(2, 6), st.floats(-8, 8))
def test_ordered_probabilities_are_differences_of_the_logistic_function(n_classes, score):
    head = StackedThresholds(2, n_classes)
    with torch.no_grad():
        head.first += torch.tensor([[[0.7]], [[-1.3]]])
        head.log_gaps += torch.linspace(-0.5, 0.8, n_classes - 2)
    found = head(torch.full((2, 1, 1), score)).exp().detach().double().numpy()[:, 0]
    thresholds = np.concatenate([head.first.detach(), head.log_gaps.exp().detach()], axis=2).cumsum(axis=2)[:, 0]
    below = expit(np.pad(thresholds - score, [(0, 0), (1, 1)], constant_values=[(0, 0), (-np.inf, np.inf)]))
    np.testing.assert_allclose(found, np.diff(below, axis=1), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_a_score_of_zero_starts_with_equal_classes(n_classes):
    found = StackedThresholds(3, n_classes)(torch.zeros(3, 4, 1)).exp()
    np.testing.assert_allclose(found.detach(), 1 / n_classes, rtol=1e-5)


def test_far_scores_keep_finite_log_probabilities_and_gradients():
    head = StackedThresholds(1, 4)
    scores = torch.tensor([[[-80.0], [80.0]]], requires_grad=True)
    found = head(scores)
    found.sum().backward()
    assert torch.isfinite(found).all() and torch.isfinite(scores.grad).all()
    assert found[0, 0].argmax() == 0 and found[0, 1].argmax() == 3


def test_units_bring_a_score_to_the_outcome():
    head = StackedUnits(2)
    head.set_units(torch.tensor([[[10.0]], [[20.0]]]), torch.tensor([[[2.0]], [[3.0]]]))
    found = head(torch.ones(2, 1, 1))
    assert found.flatten().tolist() == [12, 23] and found.dtype == torch.float64
    assert not list(head.parameters())


def survival(n, ties, seed):
    rng = np.random.default_rng(seed)
    time = rng.integers(1, 6, n).astype(float) if ties else rng.exponential(size=n)
    return time, rng.integers(0, 2, n), rng.normal(size=n).astype(np.float32)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_cox_loss_is_the_partial_likelihood_of_statsmodels(ties, seed):
    time, event, risk = survival(30, ties, seed)
    model = PHReg(time, risk[:, None], status=event, ties="efron")
    expected = -model.loglike(np.array([1.0])) / event.sum()
    rows = [torch.from_numpy(np.repeat(values[None], 2, axis=0)) for values in (risk, time, event)]
    weights = torch.ones(2, 30)
    found = bag_cox_loss(*rows, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_patient_without_weight_is_in_no_risk_set():
    time, event, risk = survival(20, False, 0)
    own = np.arange(20) % 4 != 0
    rows = [torch.from_numpy(values[None]) for values in (risk, time, event)]
    alone = [torch.from_numpy(values[own][None]) for values in (risk, time, event)]
    found = bag_cox_loss(*rows, torch.from_numpy(own[None]).float())
    np.testing.assert_allclose(found, bag_cox_loss(*alone, torch.ones(1, own.sum())), rtol=1e-6)


def test_a_batch_without_events_has_no_loss_and_no_gradient():
    risk = torch.zeros(2, 3, requires_grad=True)
    event = torch.tensor([[0, 0, 0], [0, 1, 0]])
    found = bag_cox_loss(risk, torch.arange(3.0).expand(2, 3), event, torch.ones(2, 3))
    assert found[0] == 0 and found[1] > 0
    found.sum().backward()
    assert (risk.grad[0] == 0).all() and (risk.grad[1] != 0).any()


def test_squared_error_is_over_each_replicas_own_bags():
    outputs, targets = torch.tensor([[1.0, 5.0], [1.0, 5.0], [1.0, 5.0]]), torch.zeros(3, 2)
    found = bag_squared_error(outputs, targets, torch.tensor([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]]))
    assert found.tolist() == [13.0, 1.0, 0.0]
