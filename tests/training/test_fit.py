import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from tcellmil.data import Bags
from tcellmil.fitted import predict_bags
from tcellmil.outcomes import Classes
from tcellmil.training import TrainingConfig


def probabilities(stack, bags):
    return predict_bags(stack, bags).probabilities


# a stack is its replicas --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("unit_interval", [True, False], ids=["unit_interval", "standard"])
@pytest.mark.parametrize("encoder", ["per_fold", "shared"])
def test_a_replica_trained_in_a_stack_predicts_as_if_trained_alone(make_bags, fit, encoder, unit_interval, dropout):
    bags = make_bags(unit_interval=unit_interval)
    replicas = bags.replicas("rebalanced_loo", n_seeds=2, seed=3)
    options = {"encoder": encoder, "dropout": dropout}
    stack, _ = fit(bags, replicas, **options)
    for k in (0, 5, 11):
        alone, _ = fit(bags, replicas[[k]], **options)
        in_stack = probabilities(stack.select(np.array([k])), bags)
        np.testing.assert_allclose(in_stack, probabilities(alone, bags), atol=1e-4)
    other = probabilities(stack.select(np.array([0])), bags)
    assert np.abs(other - in_stack).max() > 1e-3  # replicas do differ, so agreement means something


def test_over_seeds_dropout_spreads_alike_in_a_stack_and_alone(make_bags, fit):
    bags = make_bags(n_patients=6)
    replicas = bags.replicas(3, n_seeds=20)
    held_out = int(np.flatnonzero(replicas.test[0])[0])
    own = np.flatnonzero(replicas.test[:, held_out])
    options = {"dropout": 0.5, "lr": 3e-2}
    stack, _ = fit(bags, replicas, **options)
    together = stack.select(own).predict_bag(bags, held_out)[0][:, 1]
    alone = np.array([fit(bags, replicas[[k]], **options)[0].predict_bag(bags, held_out)[0][0, 1] for k in own])
    assert len(own) == 20
    assert together.std() > 0.01
    assert abs(together.mean() - alone.mean()) < 1e-3
    assert ks_2samp(together, alone).pvalue > 0.5


def test_dropout_changes_what_is_learned(make_bags, fit, same_weights):
    bags = make_bags(n_patients=6)
    replicas = bags.replicas(2)
    assert not same_weights(fit(bags, replicas, dropout=0.0)[0], fit(bags, replicas, dropout=0.5)[0], part="classifier")


# nothing leaks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit_interval", [True, False], ids=["unit_interval", "standard"])
@pytest.mark.parametrize("cv", ["loo", "rebalanced_loo", "leave_pair_out", 3, "cohort"])
def test_the_values_of_a_held_out_patient_reach_no_weight_of_its_replicas(
    make_bags, fit, same_weights, cv, unit_interval
):
    patient = 4
    bags = make_bags(unit_interval=unit_interval)
    changed = make_bags(unit_interval=unit_interval, change=patient)
    assert np.abs(bags.x - changed.x).max() > 0.1
    replicas = bags.replicas(cv)
    before, _ = fit(bags, replicas, dropout=0.2)
    after, _ = fit(changed, replicas, dropout=0.2)
    held_out = np.flatnonzero(replicas.test[:, patient])
    trained_on = np.flatnonzero(replicas.train[:, patient])
    assert len(held_out) and len(trained_on)
    assert same_weights(before.select(held_out), after.select(held_out))
    for k in trained_on:
        k = np.array([k])
        assert not same_weights(before.select(k), after.select(k), part="encoder")
        assert not same_weights(before.select(k), after.select(k), part="classifier")


def test_the_values_of_a_held_out_patient_do_not_steer_early_stopping(make_bags, fit, same_weights):
    options = {"early_stopping": "both", "patience": 2, "max_epochs": 12, "max_epochs_ae": 12, "lr": 2e-2}
    bags, changed = make_bags(n_patients=10), make_bags(n_patients=10, change=2)
    replicas = bags.replicas("loo")
    (before, history), (after, changed_history) = fit(bags, replicas, **options), fit(changed, replicas, **options)
    assert same_weights(before.select(np.array([2])), after.select(np.array([2])))
    # The stack trains until its last replica stops, so one run may be longer.
    both = history.merge(changed_history, on=["replica", "stage", "epoch"], suffixes=("", "_changed"))
    for loss in ("train_loss", "validation_loss"):
        same = both[loss] == both[f"{loss}_changed"]
        assert same[both["replica"] == 2].all()
        assert not same[both["replica"] == 3].any()


def test_a_shared_encoder_has_seen_the_held_out_patient(make_bags, fit, same_weights):
    bags, changed = make_bags(), make_bags(change=4)
    replicas = bags.replicas("loo")
    before, after = (fit(b, replicas, encoder="shared")[0].select(np.array([4])) for b in (bags, changed))
    assert not same_weights(before, after, part="encoder")
    assert not same_weights(before, after, part="scaling")


def test_the_label_of_a_held_out_patient_reaches_no_weight_of_its_replica(make_bags, fit, same_weights):
    labels = np.arange(8) % 2
    flipped = labels.copy()
    flipped[4] = 1 - flipped[4]
    bags, changed = make_bags(labels=labels), make_bags(labels=flipped)
    before, after = (fit(b, b.replicas("loo"))[0] for b in (bags, changed))
    assert same_weights(before.select(np.array([4])), after.select(np.array([4])))
    assert not same_weights(before.select(np.array([3])), after.select(np.array([3])))


def test_a_held_out_label_only_decides_whom_rebalancing_drops(make_bags, fit, same_weights):
    labels = np.arange(8) % 2
    flipped = labels.copy()
    flipped[4] = 1 - flipped[4]
    bags, changed = make_bags(labels=labels), make_bags(labels=flipped)
    drops = []
    for b in (bags, changed):
        train = b.replicas("rebalanced_loo").train[4]
        dropped = np.setdiff1d(np.flatnonzero(~train), [4])
        assert (b.labels[dropped] == 1 - b.labels[4]).all()
        drops.append(dropped)
    assert [len(d) for d in drops] == [1, 1]
    # Trained on the same patients, the replica is the same, whatever the held-out patient's label is.
    replicas = bags.replicas("rebalanced_loo")[[4]]
    assert same_weights(fit(bags, replicas)[0], fit(changed, replicas)[0])


def test_an_unlabelled_patient_reaches_no_weight_at_all(make_bags, fit, same_weights):
    labels = np.arange(8) % 2
    labels[5] = -1
    bags, changed = make_bags(labels=labels), make_bags(labels=labels, change=5)
    for encoder in ("per_fold", "shared"):
        before, after = (fit(b, b.replicas("loo"), encoder=encoder)[0] for b in (bags, changed))
        assert same_weights(before, after)


# chance and order ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["per_fold", "shared"])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(make_bags, fit, same_weights, encoder):
    bags = make_bags()
    options = {"encoder": encoder, "dropout": 0.2}
    first, second = (fit(bags, bags.replicas(2, seed=1), **options)[0] for _ in range(2))
    assert same_weights(first, second)
    other, _ = fit(bags, bags.replicas(2, seed=2), **options)
    assert not same_weights(first, other, part="encoder")
    assert not same_weights(first, other, part="classifier")


def test_fitting_leaves_the_global_random_states_alone(make_bags, fit):
    bags = make_bags(n_patients=6)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    fit(bags, bags.replicas(2), dropout=0.2)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_fitting_does_not_depend_on_the_global_random_states(make_bags, fit, same_weights):
    bags = make_bags(n_patients=6)
    first, _ = fit(bags, bags.replicas(2), dropout=0.2)
    torch.rand(3)
    np.random.rand(3)
    assert same_weights(first, fit(bags, bags.replicas(2), dropout=0.2)[0])


# what comes out -----------------------------------------------------------------------------------------------------


def test_attention_sums_to_one_in_every_patient(make_bags, fit):
    bags = make_bags()
    stack, _ = fit(bags, bags.replicas("loo", n_seeds=2))
    predicted = predict_bags(stack, bags, stack.replicas.test)
    sums = np.add.reduceat(predicted.attention, bags.offsets[:-1])
    np.testing.assert_allclose(sums, 1, atol=1e-5)
    assert (predicted.attention >= 0).all()


def test_predictions_are_means_and_spreads_over_the_replicas_shown(make_bags, fit):
    bags = make_bags(n_patients=6)
    stack, _ = fit(bags, bags.replicas(2, n_seeds=3))
    predicted = predict_bags(stack, bags, stack.replicas.test)
    for i in range(bags.n_bags):
        own = np.flatnonzero(stack.replicas.test[:, i])
        single = np.stack([probabilities(stack.select(np.array([k])), bags)[i] for k in own])
        np.testing.assert_allclose(predicted.probabilities[i], single.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(predicted.sd[i], single[:, 1].std(), atol=1e-6)
        assert predicted.n_replicas[i] == len(own) == 3


def test_a_patient_that_no_replica_held_out_has_no_prediction(make_bags, fit):
    bags = make_bags(n_patients=6)
    names = bags.names
    stack, _ = fit(bags, bags.replicas([(names[:4], names[4:])]))
    predicted = predict_bags(stack, bags, stack.replicas.test)
    assert np.isnan(predicted.probabilities[:4]).all() and np.isnan(predicted.attention[bags.bag(0)]).all()
    assert np.isfinite(predicted.probabilities[4:]).all()
    assert predicted.n_replicas.tolist() == [0, 0, 0, 0, 1, 1]


def test_history_has_a_row_for_every_replica_stage_and_epoch(make_bags, fit):
    bags = make_bags(n_patients=6)
    _, history = fit(bags, bags.replicas(2, n_seeds=2), early_stopping="none", max_epochs=4, max_epochs_ae=5)
    assert history.groupby(["stage", "replica"]).size().unstack("replica").to_dict("list") == {
        k: [5, 4] for k in range(4)
    }
    assert np.isfinite(history["train_loss"]).all()
    assert history["validation_loss"].isna().all()


def test_training_lowers_the_loss(make_bags, fit):
    bags = make_bags()
    _, history = fit(bags, bags.replicas(2), early_stopping="none", max_epochs=80, max_epochs_ae=40, lr=1e-2)
    for _, loss in history.sort_values("epoch").groupby(["stage", "replica"])["train_loss"]:
        assert loss.iloc[-1] < 0.8 * loss.iloc[0]


def test_a_bag_larger_than_the_draw_and_bags_of_all_sizes_are_fitted(fit):
    rng = np.random.default_rng(0)
    sizes = np.array([2, 3, 30, 7, 11, 5])
    names = [f"P{i}" for i in range(6)]
    bags = Bags.from_cells(
        rng.normal(size=(sizes.sum(), 4)),
        np.repeat(names, sizes),
        np.arange(sizes.sum()).astype(str),
        labels={name: i % 2 for i, name in enumerate(names)},
        outcome=Classes("response", ("NR", "R")),
    )
    stack, _ = fit(bags, bags.replicas("loo"), n_cells_bag=6)
    predicted = predict_bags(stack, bags, stack.replicas.test)
    assert np.isfinite(predicted.probabilities).all()
    np.testing.assert_allclose(np.add.reduceat(predicted.attention, bags.offsets[:-1]), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_epochs", 0, "max_epochs=0 must be a whole number of at least 1"),
        ("max_epochs_ae", 2.5, "max_epochs_ae=2.5 must be a whole number"),
        ("batch_size", -1, "batch_size=-1"),
        ("n_cells_bag", 0, "n_cells_bag=0"),
        ("lr", -1e-3, "lr=-0.001 must be positive"),
        ("lr", float("nan"), "lr=nan must be positive"),
        ("weight_decay", -1, "weight_decay=-1 must be a number of at least 0"),
        ("weight_decay", None, "weight_decay=None must be a number"),
        ("validation_size", 1.0, "validation_size=1.0 must be between 0 and 1"),
        ("early_stopping", "always", "early_stopping='always' is not known; choose from .*autoencoder"),
        ("validation_size", None, "validation_size=None must be between 0 and 1"),
        ("early_stopping", None, "early_stopping=None is not known"),
        ("accelerator", "tpu", "accelerator='tpu' is not known; choose from 'auto', 'cpu', 'gpu', 'cuda', 'mps'"),
        ("encoder", "global", "encoder='global' is not known; choose from .*per_fold"),
    ],
)
def test_a_wrong_training_option_is_named(field, value, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**{field: value})
