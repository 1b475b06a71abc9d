"""Numbers, ordered classes and times to event in the stack: the promises of classes, kept."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from tcellmil.cv import balancing_weights, make_replicas, null_residuals, predict_bags, strata

OUTCOMES = ("ordered", "continuous", "survival")
every_outcome = pytest.mark.parametrize("outcome", OUTCOMES)


def with_outcome(bags, outcome, seed=0, noise=0.3, change=None):
    """The same bags; the outcome follows the mean of feature 0."""
    rng = np.random.default_rng(seed)
    score = np.add.reduceat(bags.x[:, 0], bags.offsets[:-1]) / bags.sizes
    score = (score - np.median(score)) / max(score.std(), 1e-9) + noise * rng.normal(size=bags.n_bags)
    if outcome == "ordered":
        labels = np.digitize(score, np.quantile(score, [1 / 3, 2 / 3]))
        return replace(bags, labels=labels, n_classes=3)
    if outcome == "continuous":
        targets = (50 + 10 * score)[:, None]
    else:
        time = rng.exponential(np.exp(-2 * score))
        targets = np.column_stack([time, np.arange(bags.n_bags) % 4 != 3])
    if change is not None:
        targets[change, 0] += 7
    labels = np.zeros(bags.n_bags, dtype=int)
    return replace(bags, labels=labels, n_classes=1, targets=targets.astype(np.float64))


def splits(cv, bags, outcome, **kwargs):
    return make_replicas(
        cv,
        bags.labels,
        names=bags.names,
        residuals=null_residuals(bags, outcome),
        strata=strata(bags, outcome, cv),
        **kwargs,
    )


def learned(stack):
    return [*stack.encoder.values(), *stack.classifier.values(), stack.scaling.loc, stack.scaling.scale]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(learned(a), learned(b), strict=True))


@every_outcome
def test_what_is_planted_is_found_out_of_fold(make_bags, fit, outcome):
    bags = with_outcome(make_bags(24, labels=np.arange(24) % 2), outcome)
    replicas = splits(4, bags, outcome)
    network = {"outcome": outcome, "compression": None, "pooling": "mean"}
    stack, history = fit(bags, replicas, network=network, max_epochs=60, lr=1e-2)
    found = predict_bags(stack, bags, replicas.test).probabilities
    observed = bags.labels if outcome == "ordered" else bags.targets[:, 0]
    score = found @ np.arange(3) if outcome == "ordered" else found[:, 0]
    sign = -1 if outcome == "survival" else 1
    assert pearsonr(sign * score, np.log(observed) if outcome == "survival" else observed)[0] > 0.4
    loss = history[history["stage"] == "mil"].groupby("epoch")["train_loss"].mean()
    assert loss.iloc[-1] < loss.iloc[0]


@every_outcome
def test_a_replica_trained_in_a_stack_predicts_as_if_trained_alone(make_bags, fit, outcome):
    bags = with_outcome(make_bags(12, labels=np.arange(12) % 2), outcome)
    replicas = splits("rebalanced_loo", bags, outcome, n_seeds=2)
    stack, _ = fit(bags, replicas, network={"outcome": outcome}, dropout=0.2)
    for k in (0, 13):
        alone, _ = fit(bags, replicas[[k]], network={"outcome": outcome}, dropout=0.2)
        together = predict_bags(stack.select(np.array([k])), bags).probabilities
        np.testing.assert_allclose(together, predict_bags(alone, bags).probabilities, rtol=1e-4, atol=1e-4)
    assert np.abs(predict_bags(stack.select(np.array([0])), bags).probabilities - together).max() > 1e-4


@every_outcome
def test_the_cells_of_a_held_out_patient_reach_no_weight_of_its_replicas(make_bags, fit, outcome):
    reference = with_outcome(make_bags(), outcome)
    changed = replace(reference, x=make_bags(change=4).x)
    replicas = make_replicas("loo", reference.labels, names=reference.names)
    before, after = (fit(b, replicas, network={"outcome": outcome})[0] for b in (reference, changed))
    assert same(before.select(np.array([4])), after.select(np.array([4])))
    assert not same(before.select(np.array([3])), after.select(np.array([3])))


@pytest.mark.parametrize("outcome", ["continuous", "survival"])
def test_the_outcome_of_a_held_out_patient_reaches_no_weight_of_its_replicas(make_bags, fit, outcome):
    bags = [with_outcome(make_bags(), outcome, change=change) for change in (None, 4)]
    replicas = make_replicas("loo", bags[0].labels, names=bags[0].names)
    before, after = (fit(b, replicas, network={"outcome": outcome})[0] for b in bags)
    assert same(before.select(np.array([4])), after.select(np.array([4])))
    assert not same(before.select(np.array([3])), after.select(np.array([3])))


def test_risks_are_zero_for_the_mean_training_patient(make_bags, fit):
    bags = with_outcome(make_bags(12, labels=np.arange(12) % 2), "survival")
    replicas = splits(3, bags, "survival")
    stack, _ = fit(bags, replicas, network={"outcome": "survival"}, max_epochs=20)
    for k in range(len(stack)):
        risk = predict_bags(stack.select(np.array([k])), bags).probabilities[:, 0]
        assert risk[replicas.train[k]].mean() == pytest.approx(0, abs=1e-4)
        assert risk.std() > 1e-3


def test_a_number_is_predicted_in_its_own_units(make_bags, fit):
    bags = with_outcome(make_bags(12, labels=np.arange(12) % 2), "continuous")
    stretched = replace(bags, targets=1000 * bags.targets - 7)
    found = []
    for data in (bags, stretched):
        stack, _ = fit(data, splits(3, data, "continuous"), network={"outcome": "continuous"})
        found.append(predict_bags(stack, data, stack.replicas.test).probabilities)
    np.testing.assert_allclose(1000 * found[0] - 7, found[1], rtol=1e-3)


def test_a_replica_without_two_events_is_refused(make_bags, fit):
    bags = with_outcome(make_bags(), "survival")
    targets = bags.targets.copy()
    targets[:, 1] = 0
    targets[[0, 1], 1] = 1
    bags = replace(bags, targets=targets)
    with pytest.raises(ValueError, match="fold 'P00' has 1 events among its training patients, a hazard needs"):
        fit(bags, make_replicas("loo", bags.labels, names=bags.names), network={"outcome": "survival"})


def test_bag_early_stopping_is_refused_for_times_to_event(make_bags, fit):
    bags = with_outcome(make_bags(), "survival")
    with pytest.raises(ValueError, match="early_stopping='both' cannot judge times to event"):
        fit(bags, splits("loo", bags, "survival"), network={"outcome": "survival"}, early_stopping="both")


def test_residuals_sum_to_zero_and_skip_patients_without_a_number(make_bags):
    bags = with_outcome(make_bags(), "continuous")
    assert null_residuals(bags, "continuous").sum() == pytest.approx(0, abs=1e-4)
    unknown = replace(bags, labels=np.where(np.arange(8) == 2, -1, 0))
    found = null_residuals(unknown, "continuous")
    assert np.isnan(found[2]) and np.nansum(found) == pytest.approx(0, abs=1e-4)
    assert null_residuals(make_bags(), "classes") is None
    assert null_residuals(with_outcome(make_bags(), "survival"), "survival") is None


@example([0.0625, -59.0, -0.5])  # two who are near to each other, and one far from both
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_balancing_weights_are_positive_with_a_mean_of_one_and_balance_or_stop_at_half(values):
    r = np.array(values)
    weights = balancing_weights(r)
    assert (weights > 0).all() and weights.mean() == pytest.approx(1)
    effective = len(r) ** 2 / (weights**2).sum()
    assert effective >= len(r) / 2 - 1e-6
    if effective > len(r) / 2 + 1e-3 and r.min() < -1e-3 < 1e-3 < r.max():
        assert abs(weights @ r) < 1e-4 * np.abs(r).sum()
    assert abs(weights @ r) <= abs(r.sum()) + 1e-6


def test_balancing_weights_of_one_side_stop_and_of_equals_stay():
    one_sided = balancing_weights(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (np.diff(one_sided) < 0).all() and 16 / (one_sided**2).sum() == pytest.approx(2, abs=1e-6)
    assert balancing_weights(np.full(3, 2.0)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("shape", ["normal", "uniform", "groups"])
def test_rebalanced_leave_one_out_keeps_the_mean_that_is_learned_in_place(make_bags, shape):
    rng = np.random.default_rng(0)
    bags = with_outcome(make_bags(24, labels=np.arange(24) % 2), "continuous")
    numbers = {"normal": rng.normal(size=24), "uniform": rng.random(24), "groups": np.repeat(rng.normal(size=12), 2)}
    bags = replace(bags, targets=numbers[shape][:, None])
    groups = np.arange(24) // 2 if shape == "groups" else None
    y = numbers[shape]

    def learned_means(cv):
        replicas = splits(cv, bags, "continuous", groups=groups)
        weights = replicas.train if replicas.weights is None else replicas.weights
        assert not (weights[replicas.test] > 0).any() and (replicas.test.sum(axis=0) == 1).all()
        return (weights @ y / weights.sum(axis=1))[replicas.test.argmax(axis=0)]

    assert pearsonr(learned_means("loo"), y)[0] == pytest.approx(-1, abs=1e-6)
    np.testing.assert_allclose(learned_means("rebalanced_loo"), y.mean(), atol=1e-6)


def test_weights_reach_the_training(make_bags, fit):
    bags = with_outcome(make_bags(12, labels=np.arange(12) % 2), "continuous")
    replicas = splits("rebalanced_loo", bags, "continuous")
    alike = replace(replicas, weights=None)
    weighted, plain = (fit(bags, r, network={"outcome": "continuous"})[0].classifier for r in (replicas, alike))
    expected = replicas.weights @ bags.targets[:, 0] / replicas.weights.sum(axis=1)
    np.testing.assert_allclose(weighted["head.loc"].ravel(), expected)
    assert not np.allclose(weighted["classifier.linear.weight"], plain["classifier.linear.weight"])


def test_folds_have_patients_from_the_whole_range_and_equal_shares_of_events(make_bags):
    bags = with_outcome(make_bags(24, labels=np.arange(24) % 2), "continuous")
    replicas = splits(4, bags, "continuous")
    rank = bags.targets[:, 0].argsort().argsort()
    for test in replicas.test:
        assert len(set(rank[test] // 4)) == 6
    bags = with_outcome(make_bags(24, labels=np.arange(24) % 2), "survival")
    for test in splits(3, bags, "survival").test:
        assert bags.targets[test, 1].sum() == 6


def test_folds_are_not_stratified_by_events_where_there_are_too_few(make_bags):
    bags = with_outcome(make_bags(24, labels=np.arange(24) % 2), "survival")
    replicas = splits(8, bags, "survival")  # 6 are censored
    assert len(replicas) == 8 and (replicas.test.sum(axis=0) == 1).all()


def test_leave_pair_out_says_that_it_needs_classes(make_bags):
    bags = with_outcome(make_bags(), "continuous")
    with pytest.raises(ValueError, match="cv='leave_pair_out' needs two classes, the outcome is none"):
        splits("leave_pair_out", bags, "continuous")


@pytest.mark.parametrize("outcome", ["continuous", "survival"])
def test_bags_without_numbers_are_refused(make_bags, fit, split, outcome):
    bags = make_bags()
    with pytest.raises(ValueError, match=rf"outcome='{outcome}' needs numbers to train on, the bags have none; give"):
        fit(bags, split(2, bags), network={"outcome": outcome})
