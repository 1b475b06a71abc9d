"""How a stack is trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from numbers import Real
from typing import ClassVar, Literal

import numpy as np

from tcellmil._checks import check_choice, check_count, check_positive, choices
from tcellmil._devices import Accelerator
from tcellmil.nn._network import SMALL_COHORT

EarlyStopping = Literal["autoencoder", "both", "none"]
EncoderScope = Literal["per_fold", "shared"]

#: Epochs of the bag classifier by default: of a small cohort, and of a larger one, as in the paper.
EPOCHS_SMALL, EPOCHS = 120, 60

#: Options that may be ``None``.
OPTIONAL = ("max_epochs", "n_cells_bag")

#: Options of the network and of its training that concern the autoencoder only.
AUTOENCODER_OPTIONS = ("n_hidden", "dropout", "max_epochs_ae", "lr_ae", "batch_size")

#: Arguments of ``train`` in scvi-tools that are called something else here, or do not exist, and what to do.
OF_SCVI = {
    "devices": "a stack trains on one device; choose it with accelerator",
    "use_gpu": "choose the device with accelerator='gpu' or 'cpu'",
    "train_size": "hold patients out with cv; for early stopping, set validation_size",
    "shuffle_set_split": "what is held out is always random, by seed",
    "datasplitter_kwargs": "hold patients out with cv; for early stopping, set validation_size",
    "load_sparse_tensor": "leave it out; cells are held as a dense array",
    "datamodule": "leave it out; the data are those of the set-up",
    "plan_kwargs": "pass what is in it as options of their own: lr, lr_ae, eps, weight_decay",
    "plan_config": "pass what is in it as options of their own: lr, lr_ae, eps, weight_decay",
    "trainer_config": "pass what is in it as options of their own",
    "early_stopping_patience": "it is called patience",
    "early_stopping_monitor": "it is always the validation loss; choose what stops with early_stopping",
    "early_stopping_mode": "it is always the validation loss; choose what stops with early_stopping",
    "early_stopping_min_delta": "an improvement is always 1% or more; set patience",
    "early_stopping_warmup_epochs": "leave it out; set patience",
    "check_val_every_n_epoch": "leave it out; with early stopping every epoch is validated",
    "enable_progress_bar": "it is called progress",
    "progress_bar_refresh_rate": "leave it out; progress=False hides the bar",
    "simple_progress_bar": "leave it out; progress=False hides the bar",
    "callbacks": "leave it out; Lightning takes no part in the training",
    "logger": "leave it out; losses are in the history",
    "enable_checkpointing": "leave it out; with early stopping the best state is kept",
}

#: Options that concern what stops early only: the autoencoder, and the bag classifier with ``early_stopping="both"``.
STOPPING_OPTIONS = ("patience", "validation_size")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that steers the two training stages.

    The defaults were chosen on simulated cohorts (:func:`tcellmil.datasets.pbmc_cohort` with seeds from 100) on which
    nothing is evaluated, and on no real patient. The paper has ``max_epochs=60``, ``lr=5e-4`` and ``lr_ae=5e-4``,
    ``eps=1e-8``, ``n_cells_bag=None`` (600 cells per patient were drawn once) and no early stopping, and the network
    ``compression="autoencoder"``.

    Parameters
    ----------
    max_epochs, max_epochs_ae
        Epochs of the bag classifier and of the autoencoder. ``None``: 60, as in the paper, and 120 for fewer than 48
        labelled patients (:doc:`/small_cohorts`).
    lr, lr_ae
        Initial learning rates of AdamW, of the bag classifier and of the autoencoder.
    eps
        What AdamW adds to the root of the second moment in the bag classifier. At 1 the step is proportional to the
        gradient, so that the direction in which the classes differ most leads; at the usual 1e-8 every latent moves at
        the same speed, and in a small cohort those that differ by chance are learned as fast.
    weight_decay
        Decoupled weight decay of AdamW, in both stages.
    batch_size
        Cells per step of the autoencoder.
    bags_per_batch
        Bags per step of the bag classifier. Where the outcome is a time to event, a step takes all of them, so that
        risk sets are whole.
    n_cells_bag
        Cells drawn from each bag in each epoch, without replacement, anew from all cells of the bag; a smaller bag is
        taken whole. Few cells make the bag classifier see a different patient every time, and are fast. ``None`` takes
        every cell every time. Predictions always use all cells, and so does ``pooling="mean"`` without ``n_embed``.
    early_stopping
        ``"autoencoder"``: the autoencoder, if there is one, stops on held-out cells of training patients, the bag
        classifier runs all epochs. ``"both"``: the bag classifier also stops, on held-out training patients.
        ``"none"``: all epochs. As in scvi-tools, ``True`` stops everything that is trained, ``"both"``, and ``False``
        nothing, ``"none"``.
    patience
        Epochs without improvement before a replica stops; after half of them its learning rate halves.
    validation_size
        Share of training cells (autoencoder) and of training patients (bag classifier) held out for early stopping.
    encoder
        ``"per_fold"``: each replica's scaling and encoder (autoencoder or principal components) see its training
        patients only. ``"shared"``: one encoder a seed sees the cells of all patients, without labels, as in the paper.
    accelerator
        Device to train on: ``"cpu"``, ``"cuda"``, ``"mps"`` (of Macs), or ``"gpu"`` for either of the last two.
        ``"auto"`` is a CUDA device where there is one, else the CPU. Networks are on the CPU afterwards.
    """

    NAMED_OTHERWISE: ClassVar[dict[str, str]] = OF_SCVI

    max_epochs: int | None = None
    max_epochs_ae: int = 150
    lr: float = 0.1
    lr_ae: float = 2e-3
    eps: float = 1.0
    weight_decay: float = 1e-2
    batch_size: int = 256
    bags_per_batch: int = 8
    n_cells_bag: int | None = 50
    early_stopping: EarlyStopping | bool = "autoencoder"
    patience: int = 10
    validation_size: float = 0.1
    encoder: EncoderScope = "per_fold"
    accelerator: Accelerator = "auto"

    def __post_init__(self):
        if isinstance(self.early_stopping, bool | np.bool_):
            object.__setattr__(self, "early_stopping", "both" if self.early_stopping else "none")
        for name in ("max_epochs_ae", "batch_size", "bags_per_batch", "patience", "max_epochs", "n_cells_bag"):
            if getattr(self, name) is not None or name not in OPTIONAL:
                check_count(getattr(self, name), name)
        for name in ("lr", "lr_ae", "eps"):
            check_positive(getattr(self, name), name)
        if not isinstance(self.weight_decay, Real) or not self.weight_decay >= 0:
            raise ValueError(f"weight_decay={self.weight_decay!r} must be a number of at least 0")
        if not isinstance(self.validation_size, Real) or not 0 < self.validation_size < 1:
            raise ValueError(f"validation_size={self.validation_size!r} must be between 0 and 1")
        check_choice(self.early_stopping, choices(EarlyStopping), "early_stopping")
        check_choice(self.encoder, choices(EncoderScope), "encoder")
        check_choice(self.accelerator, choices(Accelerator), "accelerator")

    def resolved(self, n_patients: int) -> TrainingConfig:
        """The same with the number of epochs that ``None`` leaves to the number of labelled patients."""
        if self.max_epochs is not None:
            return self
        return replace(self, max_epochs=EPOCHS_SMALL if n_patients < SMALL_COHORT else EPOCHS)

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)


def options_without_effect(given: Iterable[str], compression: str | None, early_stopping: str) -> list[str]:
    """Those of the options' names that nothing reads with this compression and this early stopping."""
    if compression == "autoencoder":
        return []
    idle = set(AUTOENCODER_OPTIONS)
    idle |= {"n_latent"} if compression is None else set()
    idle |= set(STOPPING_OPTIONS) if early_stopping != "both" else set()
    return [name for name in given if name in idle]
