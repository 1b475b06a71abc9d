"""Cells grouped by patient: their order, their representations and their splits."""

from dataclasses import replace

import numpy as np
import pytest

from tcellmil.data import Bags
from tcellmil.outcomes import Classes, Continuous

RESPONSE = Classes("response", ("NR", "R"))


def test_bags_do_not_depend_on_the_order_of_the_table():
    rng = np.random.default_rng(0)
    x, patients, cells = rng.normal(size=(20, 3)), np.repeat(["b", "a", "c", "d"], 5), np.arange(20).astype(str)
    order = rng.permutation(20)
    labels = {"a": 0, "b": 1, "c": 0}
    bags = Bags.from_cells(x, patients, cells, labels=labels, outcome=RESPONSE)
    shuffled = Bags.from_cells(x[order], patients[order], cells[order], labels=labels, outcome=RESPONSE)
    assert np.array_equal(bags.x, shuffled.x)
    assert bags.names.tolist() == shuffled.names.tolist() == ["a", "b", "c", "d"]
    assert bags.labels.tolist() == [0, 1, 0, -1]
    np.testing.assert_allclose(bags.to_input_order(bags.x), x, rtol=1e-6)
    np.testing.assert_allclose(shuffled.to_input_order(shuffled.x), x[order], rtol=1e-6)


def test_representations_are_kept_when_cells_are_sorted():
    x = np.arange(12.0).reshape(4, 3)
    options = {"outcome": RESPONSE, "blocks": [1, 2], "unit_interval": [True, False]}
    bags = Bags.from_cells(x, ["b", "a", "b", "a"], list("wxyz"), **options)
    first, second = bags.by_representation()
    np.testing.assert_array_equal(np.hstack([first.x, second.x]), x[[1, 3, 0, 2]])
    assert (first.blocks, second.blocks) == ((1,), (2,))
    assert (first.unit_interval, second.unit_interval) == ((True,), (False,))


def test_one_representation_is_the_bags_themselves(make_bags):
    bags = make_bags()
    assert bags.by_representation()[0] is bags and len(bags.by_representation()) == 1
    assert replace(bags, blocks=()).blocks == (6,) and replace(bags, unit_interval=()).unit_interval == (False,)


@pytest.mark.parametrize("blocks", [(6, 3), (6, 4, 1), (10, 0)])
def test_blocks_that_do_not_make_up_the_columns_are_refused(make_bags, blocks):
    with pytest.raises(ValueError, match=r"must be numbers of features that add up to the 10 columns of x"):
        replace(make_bags(n_features=10), blocks=blocks)


@pytest.mark.parametrize("unit_interval", [(True,), (True, False, False)])
def test_each_representation_needs_a_scaling(make_bags, unit_interval):
    message = rf"unit_interval has {len(unit_interval)} values for 2 representations; give one for each"
    with pytest.raises(ValueError, match=message):
        replace(make_bags(), blocks=(2, 4), unit_interval=unit_interval)
    assert replace(make_bags(), blocks=(2, 4), unit_interval=()).unit_interval == (False, False)


def test_the_side_is_the_cohort_beside_the_covariates():
    options = {"outcome": RESPONSE, "cohorts": {"a": 1, "b": 0}, "n_cohorts": 2, "covariates": {"a": [7], "b": [5]}}
    bags = Bags.from_cells(np.zeros((6, 1)), list("aabbcc"), list("uvwxyz"), **{**options, "covariates": None})
    assert bags.bag_covariates.tolist() == [[0, 1], [1, 0], [0, 0]] and bags.n_covariates == 0
    bags = Bags.from_cells(np.zeros((4, 1)), list("aabb"), list("uvwx"), **options)
    assert bags.bag_covariates.tolist() == [[0, 1, 7], [1, 0, 5]] and bags.bag_covariates.dtype == np.float32


def test_what_is_known_of_each_patient_is_counted(make_bags):
    bags = make_bags(labels=[0, 1, 0, 1, -1, 0, 1, -1])
    assert (bags.n_labelled, bags.n_labelled_patients, bags.n_outputs) == (6, 6, 2)
    assert replace(bags, groups=np.arange(8) // 2).n_labelled_patients == 4
    assert replace(bags, outcome=Continuous("age")).n_outputs == 1


@pytest.mark.parametrize("kind", ["ordinal", "continuous", "survival"])
@pytest.mark.parametrize("cv", ["rebalanced_loo", 3])
def test_bags_are_split_with_strata_residuals_and_groups_of_their_own(make_bags, with_outcome, kind, cv):
    from tcellmil.cv import make_replicas

    bags = replace(with_outcome(make_bags(24), kind), groups=np.arange(24) // 2)
    labels = np.repeat(bags.labels[::2], 2)
    bags = replace(bags, labels=labels)
    expected = make_replicas(
        cv,
        bags.labels,
        names=bags.names,
        groups=bags.groups,
        residuals=bags.outcome.null_residuals(bags.labels, bags.targets),
        strata=bags.outcome.strata(bags.labels, bags.targets, bags.groups, 3 if cv == 3 else 0),
        n_seeds=2,
        seed=4,
    )
    found = bags.replicas(cv, n_seeds=2, seed=4)
    for name in ("seed", "fold", "train", "test"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.weights is None) == (expected.weights is None) == (kind != "continuous" or cv == 3)
    if found.weights is not None:
        np.testing.assert_array_equal(found.weights, expected.weights)
    assert not (found.train[:, ::2] & found.test[:, 1::2]).any()
