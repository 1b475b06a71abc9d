"""The loop over the epochs of a stage. It handles no signal: an interrupt ends it as it ends any Python code."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tcellmil._devices import Accelerator, device_for

from ._stage import StackedPlan

#: Yields the batches of the next epoch each time it is called.
Epochs = Callable[[], Iterable]


def run_plan(
    plan: StackedPlan,
    train: Epochs,
    validation: Epochs | None,
    *,
    max_epochs: int,
    accelerator: Accelerator,
    bar,
    stage: str,
) -> None:
    """Train ``plan``; afterwards its network is on the CPU, in evaluation mode and without gradients.

    Parameters
    ----------
    plan
        What happens in an epoch.
    train, validation
        Batches of the next epoch.
    max_epochs
        Epochs, where no early stopping ends them.
    accelerator
        See :func:`tcellmil._devices.device_for`.
    bar
        A tqdm bar, advanced by one with every epoch, and to the stage's end when it stops early.
    stage
        Shown in front of the bar.
    """
    plan.to(device_for(accelerator))
    plan.start()
    bar.set_description(stage)
    for epoch in range(1, max_epochs + 1):
        plan.train_epoch(train())
        if validation is not None:
            plan.validate(validation())
        bar.update(1)
        if plan.has_stopped:
            bar.update(max_epochs - epoch)
            break
    plan.finish()
