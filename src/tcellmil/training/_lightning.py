"""Run a plan through Lightning, quietly, with one progress bar for all stages."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import lightning as L
import torch
from torch.utils.data import DataLoader, IterableDataset

from ._stage import StackedPlan


class Epochs(IterableDataset):
    """Batches of one epoch after another.

    Parameters
    ----------
    batches
        Yields the batches of the next epoch each time it is called.
    n_batches
        Batches per epoch.
    """

    def __init__(self, batches: Callable[[], Iterator], n_batches: int):
        self.batches, self.n_batches = batches, n_batches

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator:
        return self.batches()


class EpochBar(L.Callback):
    """Advance a shared progress bar by one with every epoch, and to the stage's end when it stops early.

    Parameters
    ----------
    bar
        A tqdm bar.
    stage
        Shown in front of the bar.
    """

    def __init__(self, bar, stage: str):
        self.bar, self.stage, self.done = bar, stage, 0

    def on_train_start(self, trainer, plan) -> None:
        """Name the stage."""
        self.bar.set_description(self.stage)

    def on_train_epoch_end(self, trainer, plan) -> None:
        """Count the epoch."""
        self.done += 1
        self.bar.update(1)

    def on_train_end(self, trainer, plan) -> None:
        """Skip what early stopping saved."""
        self.bar.update(trainer.max_epochs - self.done)


def run_plan(
    plan: StackedPlan,
    train: Epochs,
    validation: Epochs | None,
    *,
    max_epochs: int,
    accelerator: str,
    bar,
    stage: str,
) -> None:
    """Train ``plan``; afterwards its network is on the CPU, in evaluation mode and without gradients."""
    with _quiet():
        trainer = L.Trainer(
            accelerator=accelerator,
            devices=1,
            max_epochs=max_epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=1.0 if validation else 0,
            callbacks=[EpochBar(bar, stage)],
        )
        trainer.fit(plan, _loader(train), _loader(validation) if validation else None)
    plan.network.eval().requires_grad_(False)


def _loader(epochs: Epochs) -> DataLoader:
    # A generator of its own, because a loader draws a seed each epoch, by default from the global random state.
    return DataLoader(epochs, batch_size=None, generator=torch.Generator())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's start-up messages to itself: the batches are arrays in memory, workers would only copy them."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            warnings.filterwarnings("ignore", message=".*`IterableDataset` has `__len__` defined.*")
            warnings.filterwarnings("ignore", message=".*defined a `validation_step` but have no.*")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
