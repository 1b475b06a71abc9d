import numpy as np
import pytest
import torch
from torch import nn

from tcellmil.training import StackedAdamW, TrainingConfig
from tcellmil.training._early_stopping import BestState


class Stack(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(n, 1, 1))


def run(losses, patience):
    """Feed ``(epoch, replica)`` losses; in epoch e the weights are e. Returns the best weights, stops and rates."""
    losses = torch.tensor(losses)
    stack = Stack(losses.shape[1])
    best, optimizer = (
        BestState(stack, losses.shape[1], patience),
        StackedAdamW(stack.parameters(), losses.shape[1], 1.0),
    )
    running, stopped = torch.ones(losses.shape[1]), []
    for epoch, loss in enumerate(losses, start=1):
        stack.w.data.fill_(float(epoch))
        running = best.update(loss, optimizer, running)
        stopped.append((running == 0).tolist())
    best.restore()
    return stack.w.detach().flatten().tolist(), stopped, optimizer.lr.tolist()


def test_every_replica_gets_its_own_best_state_back():
    weights, _, _ = run([[3.0, 1.0, 3.0], [1.0, 2.0, 2.0], [2.0, 3.0, 1.0]], patience=10)
    assert weights == [2, 1, 3]


def test_every_replica_stops_by_its_own_patience():
    _, stopped, _ = run([[1.0, 5.0], [2.0, 4.0], [2.0, 3.0], [2.0, 2.0]], patience=2)
    assert stopped == [[False, False], [False, False], [True, False], [True, False]]


def test_a_stopped_replica_does_not_come_back():
    weights, stopped, _ = run([[1.0, 5.0], [2.0, 4.0], [2.0, 3.0], [0.1, 2.0]], patience=2)
    assert stopped[-1] == [True, False]
    assert weights == [1, 4]


def test_the_learning_rate_of_a_replica_that_waits_halves():
    _, _, rates = run([[1.0, 5.0], [2.0, 4.0], [2.0, 3.0]], patience=4)
    assert rates == [0.5, 1.0]


def test_a_replica_that_holds_nothing_out_keeps_its_last_state():
    weights, stopped, rates = run([[float("nan"), 1.0]] + [[float("nan"), 2.0]] * 5, patience=2)
    assert weights == [6, 1]
    assert stopped[-1] == [False, True]
    assert rates[0] == 1.0


def test_a_stack_stops_when_its_last_replica_does(make_bags, fit):
    bags = make_bags(n_patients=10)
    options = {"early_stopping": "both", "patience": 2, "max_epochs": 400, "max_epochs_ae": 400, "lr": 5e-2}
    _, history = fit(bags, bags.replicas(2, n_seeds=2), **options)
    n_epochs = history.groupby(["stage", "replica"])["epoch"].max() + 1
    assert (n_epochs < 400).all()
    assert (n_epochs > options["patience"]).all()


def test_only_the_autoencoder_stops_early_where_so_asked(make_bags, fit):
    bags = make_bags()
    options = {"early_stopping": "autoencoder", "patience": 1, "max_epochs": 15, "max_epochs_ae": 300, "lr": 5e-2}
    _, history = fit(bags, bags.replicas(2), **options)
    epochs = history.groupby("stage")["epoch"].max() + 1
    assert epochs["autoencoder"] < 300
    assert epochs["mil"] == 15
    held_out = history.set_index("stage")["validation_loss"]
    assert np.isfinite(held_out["autoencoder"]).all() and held_out["mil"].isna().all()


def test_stopping_on_patients_needs_two_of_each_class(make_bags, fit):
    bags = make_bags(n_patients=4)
    with pytest.raises(ValueError, match="needs at least 2 training patients of every class, a fold has 1"):
        fit(bags, bags.replicas("loo"), early_stopping="both")


@pytest.mark.parametrize(("given", "stored"), [(True, "both"), (False, "none"), (np.True_, "both"), ("both", "both")])
def test_true_and_false_are_what_they_are_in_scvi_tools(given, stored):
    assert TrainingConfig(early_stopping=given).early_stopping == stored
