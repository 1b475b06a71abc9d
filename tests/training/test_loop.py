"""The loop over epochs: which batches in which order, which modes, which device, and what is left at the end."""

import numpy as np
import pytest
import torch
from torch import nn

from tcellmil._devices import device_for
from tcellmil.nn._layers import StackedDropout
from tcellmil.training import StackedAdamW, TrainingConfig
from tcellmil.training._loop import run_plan
from tcellmil.training._stage import StackedPlan


class Network(nn.Module):
    """One number for each replica, behind dropout."""

    def __init__(self, n):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(n, 1, 1))
        self.dropout = StackedDropout(0.5)

    def forward(self, x):
        return self.dropout(x) * self.w


class Plan(StackedPlan):
    """Pull each replica's number to the batch, and write down what happens."""

    def __init__(self, n=2, early_stopping=False, patience=3):
        training = TrainingConfig(patience=patience)
        super().__init__(Network(n), np.zeros(n, dtype=int), np.array([0]), training, early_stopping)
        self.log = []

    def step_options(self):
        return {"lr": 0.1}

    def losses(self, batch):
        self.log.append((float(batch), self.training, self.network.dropout.training, torch.is_grad_enabled()))
        return (self.network.w[:, 0, 0] - batch).square(), torch.ones(len(self.group))


class Bar:
    """What a progress bar is told."""

    def __init__(self):
        self.calls = []

    def set_description(self, text):
        self.calls.append(text)

    def update(self, n):
        self.calls.append(n)


def batches(*values):
    return lambda: iter([torch.tensor(float(value)) for value in values])


def run(plan, train, validation=None, max_epochs=3):
    bar = Bar()
    run_plan(plan, train, validation, max_epochs=max_epochs, accelerator="cpu", bar=bar, stage="stage")
    return bar.calls


def test_epochs_of_training_and_validation_take_turns():
    plan = Plan(early_stopping=True)
    assert run(plan, batches(1, 2), batches(5), max_epochs=2) == ["stage", 1, 1]
    training, validation = [(value, True, True, True) for value in (1, 2)], [(5, False, False, False)]
    assert plan.log == 2 * (training + validation)
    assert len(plan.train_loss) == len(plan.validation_loss) == 2


def test_without_validation_all_epochs_run():
    plan = Plan()
    assert run(plan, batches(1), max_epochs=3) == ["stage", 1, 1, 1]
    assert len(plan.train_loss) == 3 and plan.validation_loss == []


def test_an_early_stop_moves_the_bar_to_its_end():
    plan = Plan(early_stopping=True, patience=2)
    calls = run(plan, batches(-1), batches(5), max_epochs=50)  # away from what is validated
    assert calls[:2] == ["stage", 1] and sum(calls[1:]) == 50 and calls[-1] > 1
    assert len(plan.train_loss) < 50


def test_afterwards_the_network_only_predicts():
    plan = Plan()
    run(plan, batches(1))
    assert not plan.network.training and not plan.network.dropout.training
    assert not any(p.requires_grad for p in plan.network.parameters())
    assert plan.network.w.device.type == "cpu"


def test_the_steps_are_those_of_the_optimiser_alone():
    plan, own = Plan(n=1), nn.Parameter(torch.zeros(1, 1, 1))
    optimizer = StackedAdamW([own], 1, 0.1, weight_decay=plan.config.weight_decay)
    run(plan, batches(1, 2, 3), max_epochs=2)
    for value in (1.0, 2.0, 3.0) * 2:
        optimizer.zero_grad()
        (own - value).square().sum().backward()
        optimizer.step()
    assert torch.equal(plan.network.w, own)


def test_an_interrupt_in_a_batch_goes_to_the_caller():
    def interrupted():
        yield torch.tensor(1.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Plan(), interrupted)


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ((), {"auto": "cpu", "cpu": "cpu"}),
        (("cuda",), {"auto": "cuda", "gpu": "cuda", "cuda": "cuda", "cpu": "cpu"}),
        (("mps",), {"auto": "cpu", "gpu": "mps", "mps": "mps", "cpu": "cpu"}),
    ],
)
def test_an_accelerator_is_a_device_or_an_error_that_says_what_there_is(monkeypatch, there, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in there)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in there)
    for name in ("auto", "cpu", "gpu", "cuda", "mps"):
        if name in chosen:
            assert device_for(name).type == chosen[name]
        else:
            with pytest.raises(ValueError, match=f"accelerator='{name}': torch sees no such device here, only .*'cpu'"):
                device_for(name)


def test_a_missing_accelerator_is_found_before_anything_is_fitted(make_bags, fit, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("tcellmil.training._fit.fit_encoders", None)
    bags = make_bags()
    with pytest.raises(ValueError, match="accelerator='cuda': torch sees no such device"):
        fit(bags, bags.replicas(2), accelerator="cuda")
