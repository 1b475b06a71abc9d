"""Attributions add up, agree with the shap library and see training patients only."""

import numpy as np
import pytest
import shap
import torch

from tcellmil.fitted import explain_bag, explain_cells
from tcellmil.fitted._explain import background_bags, background_cells

BAG = {"background": 120, "n_steps": 8, "output": "probability", "seed": 0}
CELL = {"background": 60, "n_samples": 600, "output": "probability", "seed": 0}


@pytest.fixture(scope="module")
def fitted(make_bags, fit):
    """A network that has moved: attention is uneven and probabilities are spread."""
    bags = make_bags(n_patients=10, n_cells=15)
    stack, _ = fit(bags, bags.replicas("loo"), max_epochs=40, max_epochs_ae=10, lr=2e-2, early_stopping="none")
    return bags, stack


def held_out(stack, i):
    return stack.select(np.flatnonzero(stack.replicas.test[:, i]))


def outputs(stack, x, cohort, kind="probability"):
    """By numpy from the stack's own predictions, ``(bag, class)``; ``x`` is ``(bag, cell, feature)`` and scaled."""
    z = stack.encode(x.flatten(0, 1)[None]).unflatten(1, x.shape[:2])
    p = stack.classify(z, cohort)[0][0]
    return p if kind == "probability" else np.log(p / (1 - p))


@pytest.mark.parametrize("output", ["probability", "logit"])
@pytest.mark.parametrize("i", [0, 3, 8])
def test_values_of_a_bag_add_up_to_its_prediction_minus_the_background(fitted, i, output):
    bags, stack = fitted
    found = explain_bag(held_out(stack, i), bags, i, **BAG | {"output": output})
    own = held_out(stack, i)
    prediction = outputs(own, own.scale(bags.x[bags.bag(i)]), bags.cohort_onehot[i], output)
    np.testing.assert_allclose(found.output, prediction, atol=1e-4)
    change = found.output[0] - found.expected
    assert np.abs(change).max() > 0.05
    np.testing.assert_allclose(found.values.sum(axis=(0, 2)), change, atol=0.01 * np.abs(change).max())
    np.testing.assert_allclose(found.error, [found.values.sum(axis=(0, 2)) - change], atol=1e-5)


def test_values_of_a_bag_are_those_that_the_shap_library_draws(fitted):
    """Independent oracle: the library's sampler on whole bags, with the same background bags."""
    bags, stack = fitted
    own, i = held_out(stack, 1), 1
    rng = np.random.default_rng([0, 4, i])
    picked = background_bags(bags, own.replicas.train[0], 15, 120, rng)
    reference = torch.stack([own.scale(bags.x[rows])[0] for rows in picked])

    class Network(torch.nn.Module):
        def forward(self, x):
            return own.logits(x[None], bags.cohort_onehot[i])[0].softmax(dim=-1)[:, 1:]

    np.random.seed(0)
    x = own.scale(bags.x[bags.bag(i)])
    drawn = shap.GradientExplainer(Network(), reference).shap_values(x, nsamples=20_000, rseed=1)
    found = explain_bag(own, bags, i, **BAG | {"n_steps": 64}).values[:, 1]
    drawn = np.asarray(drawn).reshape(found.shape)
    assert np.corrcoef(drawn.ravel(), found.ravel())[0, 1] > 0.99
    np.testing.assert_allclose(drawn.sum(axis=0), found.sum(axis=0), atol=0.01)


def test_values_of_cells_add_up_up_to_the_error_of_drawing(fitted):
    bags, stack = fitted
    found = explain_cells(held_out(stack, 2), bags, 2, **CELL)
    assert found.values.shape == (15, 2, 6) and found.output.shape == (15, 2)
    span = np.ptp(found.output[:, 1])
    assert np.abs(found.error).mean() < 0.05 * span
    fewer = explain_cells(held_out(stack, 2), bags, 2, **CELL | {"n_samples": 150})
    assert np.abs(found.error).mean() < 0.75 * np.abs(fewer.error).mean()  # half, up to chance


def test_a_cell_is_explained_as_a_bag_of_one(fitted):
    bags, stack = fitted
    own = held_out(stack, 2)
    found = explain_cells(own, bags, 2, **CELL)
    cells = own.scale(bags.x[bags.bag(2)])[0]
    np.testing.assert_allclose(found.output, outputs(own, cells[:, None], bags.cohort_onehot[2]), atol=1e-5)


@pytest.mark.parametrize("explain", ["cell", "bag"])
def test_values_of_two_classes_mirror_each_other(fitted, explain):
    bags, stack = fitted
    function, options = (explain_cells, CELL) if explain == "cell" else (explain_bag, BAG)
    found = function(held_out(stack, 0), bags, 0, **options)
    np.testing.assert_array_equal(found.values[:, 0], -found.values[:, 1])
    np.testing.assert_allclose(found.output.sum(axis=1), 1)
    assert found.expected.sum() == pytest.approx(1)


def test_a_feature_that_the_networks_ignore_gets_nothing(fitted):
    bags, stack = fitted
    own = held_out(stack, 4)
    first = next(name for name in own.encoders.weights if name.endswith("encoder.0.weight"))
    own.encoders.weights[first] = own.encoders.weights[first].copy()
    own.encoders.weights[first][:, 3] = 0
    for found in (explain_bag(own, bags, 4, **BAG), explain_cells(own, bags, 4, **CELL)):
        assert (found.values[..., 3] == 0).all() and (found.values[..., 0] != 0).any()


def test_a_held_out_patients_cells_are_never_in_its_background(fitted):
    bags, stack = fitted
    rng = np.random.default_rng(0)
    for k in range(len(stack)):
        train = stack.replicas.train[k]
        rows = [background_cells(bags, train, 500, rng), *background_bags(bags, train, 7, 100, rng)]
        patients = bags.bag_of_cell[np.concatenate(rows)]
        assert train[patients].all()


def test_the_background_is_balanced_by_class_and_patient(make_bags):
    bags = make_bags(n_patients=9, n_cells=10, labels=[0, 0, 0, 0, 0, 0, 1, 1, -1])
    train = bags.labels >= 0
    rows = background_cells(bags, train, 120, np.random.default_rng(0))
    n = np.bincount(bags.bag_of_cell[rows], minlength=9)
    assert n.tolist() == [10] * 6 + [30, 30] + [0]
    groups = background_bags(bags, train, 10, 120, np.random.default_rng(0))
    label = [bags.labels[np.unique(bags.bag_of_cell[rows])] for rows in groups]
    assert all(len(one) == 1 for one in label) and np.mean(label) == 0.5
    assert all(len(rows) == 10 for rows in groups)


def test_global_random_states_stay_as_they_were(fitted):
    bags, stack = fitted
    np.random.seed(3)
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    explain_cells(held_out(stack, 0), bags, 0, **CELL)
    explain_bag(held_out(stack, 0), bags, 0, **BAG)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
