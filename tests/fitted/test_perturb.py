"""An experiment is what one gets by changing the cells oneself and predicting again."""

import numpy as np
import pytest

from tcellmil.fitted import perturb_bags


@pytest.fixture(scope="module", params=["scores in [0, 1]", "a standardised representation"])
def case(request, make_bags, fit):
    """Bags with two seeds of a fold each, in either scaling."""
    unit_interval = request.param == "scores in [0, 1]"
    bags = make_bags(unit_interval=unit_interval)
    stack, _ = fit(bags, bags.replicas(4, n_seeds=2))
    return bags, stack


def everything(bags):
    return np.ones(len(bags.x), dtype=bool)


def by_hand(stack, bags, i, features, amounts, touched):
    """Mean over the replicas that held bag ``i`` out, one at a time, on cells shifted and clipped here."""
    proba = []
    for k in np.flatnonzero(stack.replicas.test[:, i]):
        alone = stack.select(np.array([k]))
        x = alone.scale(bags.x[bags.bag(i)])
        mask = touched[bags.bag(i)]
        for j, amount in zip(features, amounts, strict=True):
            x[0, mask, j] = (x[0, mask, j] + np.float32(amount) / alone.encoders.scaling.scale[0, j]).clamp(-1, 1)
        proba.append(alone.classify(alone.encode(x)[:, None], bags.cohort_onehot[i])[0][0, 0])
    return np.mean(proba, axis=0)


@pytest.mark.parametrize("n_shifted", [1, 2, 3])
def test_every_experiment_is_the_one_made_by_hand(case, n_shifted):
    bags, stack = case
    rng = np.random.default_rng(0)
    features = np.array([rng.permutation(6)[:n_shifted] for _ in range(5)])
    amounts = rng.normal(0, 0.5, (5, bags.n_bags, n_shifted))
    touched = rng.random(len(bags.x)) < 0.7
    base, perturbed = perturb_bags(stack, bags, features, amounts, touched, stack.replicas.test)
    assert base.shape == (bags.n_bags, 2) and perturbed.shape == (5, bags.n_bags, 2)
    for i in range(bags.n_bags):
        np.testing.assert_allclose(base[i], by_hand(stack, bags, i, [], [], touched), atol=1e-6)
        for e in range(5):
            expected = by_hand(stack, bags, i, features[e], amounts[e, i], touched)
            np.testing.assert_allclose(perturbed[e, i], expected, atol=1e-6)
    assert np.abs(perturbed - base).max() > 1e-4


def test_the_order_of_the_features_does_not_matter(case):
    bags, stack = case
    amounts = np.random.default_rng(1).normal(0, 0.4, (1, bags.n_bags, 2))
    ask = (everything(bags), stack.replicas.test)
    one = perturb_bags(stack, bags, np.array([[0, 3]]), amounts, *ask)[1]
    other = perturb_bags(stack, bags, np.array([[3, 0]]), amounts[..., ::-1], *ask)[1]
    np.testing.assert_allclose(one, other, atol=1e-7)


def test_a_shift_by_nothing_beside_another_is_that_other_alone(case):
    bags, stack = case
    amounts = np.stack([np.full(bags.n_bags, 0.3), np.zeros(bags.n_bags)], axis=-1)[None]
    ask = (everything(bags), stack.replicas.test)
    both = perturb_bags(stack, bags, np.array([[1, 4]]), amounts, *ask)[1]
    alone = perturb_bags(stack, bags, np.array([[1]]), amounts[..., :1], *ask)[1]
    np.testing.assert_allclose(both, alone, atol=1e-7)


def test_doing_experiments_in_pieces_changes_nothing(case, monkeypatch):
    bags, stack = case
    features = np.array([[0, 1], [2, 3], [4, 5], [1, 5]])
    amounts = np.random.default_rng(2).normal(0, 0.4, (4, bags.n_bags, 2))
    ask = (features, amounts, everything(bags), stack.replicas.test)
    whole = perturb_bags(stack, bags, *ask)[1]
    monkeypatch.setattr("tcellmil.fitted._perturb._CHUNK_VALUES", 1)
    np.testing.assert_allclose(perturb_bags(stack, bags, *ask)[1], whole, atol=1e-7)


def test_what_was_not_requested_is_nan_and_leaves_the_rest_as_it_was(case):
    bags, stack = case
    features, amounts = np.array([[0, 1], [2, 3]]), np.full((2, bags.n_bags, 2), 0.3)
    whole = perturb_bags(stack, bags, features, amounts, everything(bags), stack.replicas.test)[1]
    amounts[0, 2, 1] = np.nan
    shown_to = stack.replicas.test.copy()
    shown_to[:, 5] = False
    base, perturbed = perturb_bags(stack, bags, features, amounts, everything(bags), shown_to)
    assert np.isnan(base[5]).all() and np.isnan(perturbed[:, 5]).all()
    assert np.isnan(perturbed[0, 2]).all() and np.isfinite(perturbed[1, 2]).all()
    made = np.isfinite(perturbed)
    assert made.sum() == 2 * (2 * bags.n_bags - 3)
    np.testing.assert_allclose(perturbed[made], whole[made], atol=1e-7)


def test_only_the_replicas_that_a_bag_is_shown_to_answer(case):
    bags, stack = case
    features, amounts = np.array([[0]]), np.full((1, bags.n_bags, 1), 0.3)
    answers = []
    for seed in np.unique(stack.replicas.seed):
        shown_to = stack.replicas.test & (stack.replicas.seed == seed)[:, None]
        answers.append(perturb_bags(stack, bags, features, amounts, everything(bags), shown_to)[1])
    both = perturb_bags(stack, bags, features, amounts, everything(bags), stack.replicas.test)[1]
    assert not np.allclose(*answers, atol=1e-5)
    np.testing.assert_allclose(both, np.mean(answers, axis=0), atol=1e-7)


@pytest.mark.parametrize(
    ("features", "amounts", "message"),
    [
        (np.zeros(3, int), (3, 8, 1), r"features must be \(n_experiments, n_shifted\) .* got shapes \(3,\) and"),
        (
            np.zeros((3, 1), int),
            (3, 8, 2),
            r"8 bags, n_shifted\), got shapes \(3, 1\) and \(3, 8, 2\)",
        ),
        (np.zeros((3, 1), int), (3, 7, 1), r"got shapes \(3, 1\) and \(3, 7, 1\)"),
        (np.array([[0, 1], [4, 4]]), (2, 8, 2), r"experiment 1 shifts a feature twice: \[4, 4\]"),
    ],
)
def test_experiments_that_do_not_fit_are_named(case, features, amounts, message):
    bags, stack = case
    with pytest.raises(ValueError, match=message):
        perturb_bags(stack, bags, features, np.zeros(amounts), everything(bags), stack.replicas.test)
