"""Numbers, ordinal classes and times to event in the stack: the promises of classes, kept."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr

from tcellmil.cv import make_replicas
from tcellmil.fitted import predict_bags
from tcellmil.outcomes import Classes, Continuous, Survival

OUTCOMES = ("ordinal", "continuous", "survival")
every_outcome = pytest.mark.parametrize("outcome", OUTCOMES)


@every_outcome
def test_what_is_planted_is_found_out_of_fold(make_bags, fit, with_outcome, outcome):
    bags = with_outcome(make_bags(24, labels=np.arange(24) % 2), outcome)
    replicas = bags.replicas(4)
    network = {"compression": None, "pooling": "mean"}
    stack, history = fit(bags, replicas, network=network, max_epochs=60, lr=1e-2)
    found = predict_bags(stack, bags, replicas.test).probabilities
    observed = bags.labels if outcome == "ordinal" else bags.targets[:, 0]
    score = found @ np.arange(3) if outcome == "ordinal" else found[:, 0]
    sign = -1 if outcome == "survival" else 1
    assert pearsonr(sign * score, np.log(observed) if outcome == "survival" else observed)[0] > 0.4
    loss = history[history["stage"] == "mil"].groupby("epoch")["train_loss"].mean()
    assert loss.iloc[-1] < loss.iloc[0]


@every_outcome
def test_a_replica_trained_in_a_stack_predicts_as_if_trained_alone(make_bags, fit, with_outcome, outcome):
    bags = with_outcome(make_bags(12, labels=np.arange(12) % 2), outcome)
    replicas = bags.replicas("rebalanced_loo", n_seeds=2)
    stack, _ = fit(bags, replicas, dropout=0.2)
    for k in (0, 13):
        alone, _ = fit(bags, replicas[[k]], dropout=0.2)
        together = predict_bags(stack.select(np.array([k])), bags).probabilities
        np.testing.assert_allclose(together, predict_bags(alone, bags).probabilities, rtol=1e-4, atol=1e-4)
    assert np.abs(predict_bags(stack.select(np.array([0])), bags).probabilities - together).max() > 1e-4


@every_outcome
def test_the_cells_of_a_held_out_patient_reach_no_weight_of_its_replicas(
    make_bags, fit, same_weights, with_outcome, outcome
):
    reference = with_outcome(make_bags(), outcome)
    changed = replace(reference, x=make_bags(change=4).x)
    replicas = reference.replicas("loo")
    before, after = (fit(b, replicas)[0] for b in (reference, changed))
    assert same_weights(before.select(np.array([4])), after.select(np.array([4])))
    assert not same_weights(before.select(np.array([3])), after.select(np.array([3])))


@pytest.mark.parametrize("outcome", ["continuous", "survival"])
def test_the_outcome_of_a_held_out_patient_reaches_no_weight(make_bags, fit, same_weights, with_outcome, outcome):
    bags = [with_outcome(make_bags(), outcome, change=change) for change in (None, 4)]
    replicas = bags[0].replicas("loo")
    before, after = (fit(b, replicas)[0] for b in bags)
    assert same_weights(before.select(np.array([4])), after.select(np.array([4])))
    assert not same_weights(before.select(np.array([3])), after.select(np.array([3])))


def test_risks_are_zero_for_the_mean_training_patient(make_bags, fit, with_outcome):
    bags = with_outcome(make_bags(12, labels=np.arange(12) % 2), "survival")
    replicas = bags.replicas(3)
    stack, _ = fit(bags, replicas, max_epochs=20)
    for k in range(len(stack)):
        risk = predict_bags(stack.select(np.array([k])), bags).probabilities[:, 0]
        assert risk[replicas.train[k]].mean() == pytest.approx(0, abs=1e-4)
        assert risk.std() > 1e-3


def test_a_number_is_predicted_in_its_own_units(make_bags, fit, with_outcome):
    bags = with_outcome(make_bags(12, labels=np.arange(12) % 2), "continuous")
    stretched = replace(bags, targets=1000 * bags.targets - 7)
    found = []
    for data in (bags, stretched):
        stack, _ = fit(data, data.replicas(3))
        found.append(predict_bags(stack, data, stack.replicas.test).probabilities)
    np.testing.assert_allclose(1000 * found[0] - 7, found[1], rtol=1e-3)


def test_a_replica_without_two_events_is_refused(make_bags, fit, with_outcome):
    bags = with_outcome(make_bags(), "survival")
    targets = bags.targets.copy()
    targets[:, 1] = 0
    targets[[0, 1], 1] = 1
    bags = replace(bags, targets=targets)
    with pytest.raises(ValueError, match="fold 'P00' has 1 events among its training patients, a hazard needs"):
        fit(bags, bags.replicas("loo"))


def test_bag_early_stopping_is_refused_for_times_to_event(make_bags, fit, with_outcome):
    bags = with_outcome(make_bags(), "survival")
    with pytest.raises(ValueError, match="early_stopping='both' cannot evaluate times to event"):
        fit(bags, bags.replicas("loo"), early_stopping="both")


def test_weights_reach_the_training(make_bags, fit, with_outcome):
    bags = with_outcome(make_bags(12, labels=np.arange(12) % 2), "continuous")
    replicas = bags.replicas("rebalanced_loo")
    alike = replace(replicas, weights=None)
    weighted, plain = (fit(bags, r)[0].classifier for r in (replicas, alike))
    expected = replicas.weights @ bags.targets[:, 0] / replicas.weights.sum(axis=1)
    np.testing.assert_allclose(weighted["head.loc"].ravel(), expected)
    assert not np.allclose(weighted["classifier.linear.weight"], plain["classifier.linear.weight"])


@pytest.mark.parametrize("outcome", [Continuous("age"), Survival("days", "death")])
def test_bags_without_numbers_are_refused(make_bags, fit, outcome):
    bags = replace(make_bags(), outcome=outcome, labels=np.zeros(8, dtype=int))
    message = rf"outcome='{outcome.kind}' needs numbers to train on, the bags have none; give them targets"
    with pytest.raises(ValueError, match=message):
        bags.replicas(2)
    with pytest.raises(ValueError, match=message):
        fit(bags, make_replicas(2, bags.labels))


@pytest.mark.parametrize("outcome", ["ordinal", "continuous", "survival"])
def test_two_branches_without_classes_are_refused(make_bags, fit, with_outcome, outcome):
    bags = with_outcome(make_bags(12), outcome)
    with pytest.raises(ValueError, match=f"instance_weight needs two classes, the outcome is '{outcome}'; use"):
        fit(bags, bags.replicas("loo"), network={"instance_weight": 1.0, "n_embed": 4})


def test_two_branches_of_three_classes_are_refused(make_bags, fit):
    bags = make_bags(12, labels=np.arange(12) % 3)
    bags = replace(bags, outcome=Classes("stage", ("I", "II", "III")))
    with pytest.raises(ValueError, match="instance_weight needs two classes, there are 3; use instance_weight=0"):
        fit(bags, bags.replicas("loo"), network={"instance_weight": 1.0, "n_embed": 4})
