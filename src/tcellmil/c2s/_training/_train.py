"""Training of a language model on token rows: loss on the answers only, resumable, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tcellmil._devices import Accelerator
from tcellmil.c2s._extra import require_c2s, seeded
from tcellmil.c2s._language_model import LanguageModel
from tcellmil.c2s._models._weights import as_before_on_error, copied, digest_of, named_weights, put_back

from ._checkpoint import read_checkpoint, write_checkpoint
from ._token_rows import TokenRows, token_batches
from ._train_config import Average, LanguageTraining

if TYPE_CHECKING:
    import pandas as pd
    import torch

#: What AdamW holds of every weight, and under which name a checkpoint does.
MOMENTS = {"exp_avg": "mean", "exp_avg_sq": "square", "step": "step"}

#: What changes from step to step beside arrays and the history.
STATE = ("step", "epoch", "n_done", "waited", "epoch_loss", "epoch_weight", "best_loss", "done")


@dataclass
class History:
    """What a training run did, epoch by epoch and step by step.

    Parameters
    ----------
    epochs
        A dict an epoch: ``epoch``, ``step`` (the last one), ``train_loss``, ``validation_loss`` (NaN without validation
        examples) and ``lr``. Losses are nats a token of an answer.
    losses
        Loss of every step.
    best_epoch
        The epoch whose weights are kept: the one of the lowest validation loss, or the last.
    stopped
        Whether training ended before its last epoch.
    """

    epochs: list[dict] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    best_epoch: int = 0
    stopped: bool = False

    def frame(self) -> pd.DataFrame:
        """One row an epoch."""
        import pandas as pd

        return pd.DataFrame(self.epochs, columns=["epoch", "step", "train_loss", "validation_loss", "lr"])


def train_rows(
    lm: LanguageModel,
    train: TokenRows,
    validation: TokenRows | None = None,
    training: LanguageTraining | None = None,
    *,
    checkpoint: str | Path | None = None,
    resume: bool = True,
    accelerator: Accelerator = "auto",
    progress: bool = True,
) -> History:
    """Teach a model the answers of these rows, in place; on an error or an interrupt it is as it was.

    All weights that require gradients are trained: of a model with an adapter those of the adapter, else all. They are
    held as float32, whatever the model was loaded as, because steps at usual learning rates are smaller than what
    bfloat16 tells apart; on a GPU that has it, the arithmetic is in bfloat16 (autocast), on a CPU never.

    Parameters
    ----------
    lm
        The model; it stays on the device that ``accelerator`` names.
    train, validation
        Examples, and those that decide when to stop. Both from different donors, if the model is to work on new ones.
    training
        See :class:`LanguageTraining`.
    checkpoint
        A folder. Where it holds a checkpoint of this very run, training goes on from it, and its losses are those that
        an uninterrupted run on the same device has. An interrupt or a kill loses the steps since the last checkpoint.
    resume
        False begins anew and writes over a checkpoint that is there.
    accelerator
        See :func:`tcellmil._devices.device_for`.
    progress
        Show a progress bar.

    Returns
    -------
    The history. Where there are validation examples, the model has the weights of the epoch of the lowest loss.

    Raises
    ------
    ImportError
        If the extra is not installed.
    ValueError
        If rows do not fit the model, the checkpoint is of another run, or the loss is no longer finite.
    """
    require_c2s()
    training = training or LanguageTraining()
    train.check(lm.vocab_size, lm.context, "training examples")
    if validation is not None:
        validation.check(lm.vocab_size, lm.context, "validation examples")
    lm.to(accelerator)
    if not named_weights(lm.model, trained=True):
        raise ValueError("no weight of the model is trained; all of them are frozen")
    with as_before_on_error(lm.model) as start, seeded(training.seed):
        run = _Run(lm, train, validation, training, start)
        if checkpoint is not None and resume:
            run.restore(read_checkpoint(Path(checkpoint), run.identity))
        run.go(None if checkpoint is None else Path(checkpoint), progress)
    return run.history


class _Run:
    """One training run: everything that changes from step to step, and how it goes into a file and back."""

    def __init__(
        self,
        lm: LanguageModel,
        train: TokenRows,
        validation: TokenRows | None,
        training: LanguageTraining,
        start: dict[str, torch.Tensor],
    ):
        self.lm, self.train, self.validation, self.training = lm, train, validation, training
        for p in named_weights(lm.model, trained=True).values():
            p.data = p.data.float()
        self.weights = named_weights(lm.model, trained=True)
        self.optimizer = _optimizer(self.weights, training)
        n_batches = len(token_batches(train.lengths, training.batch_tokens))
        self.n_steps = min(training.max_epochs * n_batches, training.max_steps or np.inf)
        self.history = History()
        self.step, self.epoch, self.n_done, self.waited = 0, 1, 0, 0
        self.epoch_loss, self.epoch_weight = 0.0, 0
        self.best: dict[str, torch.Tensor] | None = None
        self.best_loss, self.done = np.inf, False
        self.identity = {
            "training examples": train.digest(),
            "validation examples": "" if validation is None else validation.digest(),
            "weights at the start": digest_of(start),
            "frozen weights": digest_of(named_weights(lm.model, trained=False)),
            **{f"{name}=": value for name, value in training.as_dict().items() if name != "checkpoint_steps"},
        }

    @property
    def _keeps_best(self) -> bool:
        return self.validation is not None and self.training.patience is not None

    def go(self, folder: Path | None, progress: bool) -> None:
        """Train to the end, and leave the model with its best weights and without gradients."""
        from tqdm.auto import tqdm

        with tqdm(total=self.n_steps, initial=self.step, desc="train", unit="step", disable=not progress) as bar:
            while not self.done:
                self._run_epoch(folder, bar)
        if self.best is not None:
            put_back(self.weights, self.best)
        self.lm.model.zero_grad(set_to_none=True)
        self.lm.model.eval()

    def restore(self, found: tuple[dict[str, torch.Tensor], dict] | None) -> None:
        """Take up the state of a checkpoint; None leaves the run at its start."""
        if found is None:
            return
        tensors, record = found
        put_back(self.weights, _part(tensors, "weight"))
        moments = {key: _part(tensors, name) for key, name in MOMENTS.items()}
        for name, p in self.weights.items():
            if name in moments["exp_avg"]:
                self.optimizer.state[p] = {
                    key: values[name].to("cpu" if key == "step" and not _is_fused(p) else p.device)
                    for key, values in moments.items()
                }
        self.best = _part(tensors, "best") or None
        losses = tensors["losses"].tolist()
        self.history = History(losses=losses, **record["history"])
        for name in STATE:
            setattr(self, name, record["state"][name])

    def _save(self, folder: Path | None) -> None:
        import torch

        if folder is None:
            return
        tensors = {f"weight/{name}": p for name, p in self.weights.items()}
        for name, p in self.weights.items():
            state = self.optimizer.state.get(p, {})
            tensors |= {f"{MOMENTS[key]}/{name}": value for key, value in state.items() if key in MOMENTS}
        tensors |= {f"best/{name}": value for name, value in (self.best or {}).items()}
        tensors["losses"] = torch.tensor(self.history.losses, dtype=torch.float64)
        history = {name: getattr(self.history, name) for name in ("epochs", "best_epoch", "stopped")}
        state = {name: getattr(self, name) for name in STATE}
        write_checkpoint(folder, tensors, {"run": self.identity, "history": history, "state": state})

    def _run_epoch(self, folder: Path | None, bar) -> None:
        rng = np.random.default_rng([self.training.seed, self.epoch])
        batches = token_batches(self.train.lengths, self.training.batch_tokens, rng)
        self.lm.model.train()
        for batch in batches[self.n_done :]:
            if self.step == self.n_steps:
                break
            self._train_step(batch)
            bar.update(1)
            bar.set_postfix(loss=f"{self.history.losses[-1]:.3f}", refresh=False)
            if self.step % self.training.checkpoint_steps == 0 and self.n_done < len(batches):
                self._save(folder)
        self._end_epoch()
        self._save(folder)

    def _train_step(self, batch: np.ndarray) -> None:
        import torch

        torch.default_generator.manual_seed(self.training.seed + self.step)  # dropout, the same after a resume
        if self.lm.device.type == "cuda":
            torch.cuda.manual_seed(self.training.seed + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.lr_at(self.step, self.n_steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss, weight = answer_loss(self.lm, self.train, batch, self.training.average)
        (loss / weight).backward()
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), self.training.max_grad_norm)
        value = loss.item()
        if not np.isfinite(value):
            raise ValueError(f"the loss of step {self.step + 1} is {value}; use a lower lr than {self.training.lr}")
        self.optimizer.step()
        self.history.losses.append(value / weight)
        self.epoch_loss, self.epoch_weight = self.epoch_loss + value, self.epoch_weight + weight
        self.step, self.n_done = self.step + 1, self.n_done + 1

    def _end_epoch(self) -> None:
        row = {"epoch": self.epoch, "step": self.step, "train_loss": self.epoch_loss / self.epoch_weight}
        loss = np.nan
        if self.validation is not None:
            loss = mean_loss(self.lm, self.validation, self.training.batch_tokens, self.training.average)
        row |= {"validation_loss": loss, "lr": self.optimizer.param_groups[0]["lr"]}
        self.history.epochs.append(row)
        if loss < self.best_loss or not self._keeps_best:
            self.best_loss, self.waited, self.history.best_epoch = min(loss, self.best_loss), 0, self.epoch
            self.best = copied(self.weights) if self._keeps_best else None
        else:
            self.waited += 1
        waited_enough = self._keeps_best and self.waited >= self.training.patience
        self.history.stopped = waited_enough and self.step < self.n_steps
        self.done = self.history.stopped or self.step >= self.n_steps
        self.epoch, self.n_done, self.epoch_loss, self.epoch_weight = self.epoch + 1, 0, 0.0, 0


def answer_loss(
    lm: LanguageModel, rows: TokenRows, batch: np.ndarray, average: Average = "tokens"
) -> tuple[torch.Tensor, int]:
    """Cross-entropy of the answers' tokens of some rows, summed, and their number.

    With ``average="examples"`` the sum of the rows' means, and the number of rows.

    Rows are filled up on the right and no mask is given: a token sees what stands before it only, which is never what
    fills up. The output layer is applied to the places that predict an answer's token and to no other.
    """
    import torch

    ids, follows, targets = rows.batch(batch, lm.pad_id)
    ids, follows, targets = (torch.as_tensor(values, device=lm.device) for values in (ids, follows, targets))

    def only_answers(module, inputs):
        return (inputs[0].flatten(0, 1)[follows][None], *inputs[1:])

    hook = lm.model.get_output_embeddings().register_forward_pre_hook(only_answers)
    try:
        with _precision(lm.device)():
            logits = lm.model(input_ids=ids, use_cache=False).logits[0]
    finally:
        hook.remove()
    logits = logits.float()
    if average == "tokens":
        return torch.nn.functional.cross_entropy(logits, targets, reduction="sum"), len(targets)
    weights = 1 / torch.as_tensor(rows.n_answer[batch], device=lm.device)[follows // ids.shape[1]]
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none") @ weights, len(batch)


def mean_loss(lm: LanguageModel, rows: TokenRows, batch_tokens: int, average: Average = "tokens") -> float:
    """Cross-entropy a token of the answers of all rows, without dropout."""
    import torch

    was_training = lm.model.training
    lm.model.eval()
    try:
        with torch.no_grad():
            found = [answer_loss(lm, rows, batch, average) for batch in token_batches(rows.lengths, batch_tokens)]
    finally:
        lm.model.train(was_training)
    return sum(loss.item() for loss, _ in found) / sum(n for _, n in found)


def _precision(device: torch.device) -> Callable:
    """bfloat16 where the device computes in it; a CPU emulates it, or gains nothing on a small model."""
    import torch

    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return lambda: torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext


def _optimizer(weights: dict[str, torch.Tensor], training: LanguageTraining) -> torch.optim.AdamW:
    import torch

    matrices = [p for p in weights.values() if p.ndim > 1]
    others = [p for p in weights.values() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": training.weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = all(map(_is_fused, weights.values()))
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=training.lr, fused=fused or None)


def _is_fused(weight: torch.Tensor) -> bool:
    """Whether AdamW has one kernel for all of its work on this device, with its step count there too."""
    return weight.device.type in ("cpu", "cuda")


def _part(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}
