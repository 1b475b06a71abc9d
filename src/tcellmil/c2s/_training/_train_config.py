"""How a language model is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from numbers import Real
from typing import Literal

from tcellmil._checks import check_choice, check_count, check_positive, choices

Average = Literal["examples", "tokens"]


@dataclass(frozen=True)
class LanguageTraining:
    """Everything that steers the training of a language model.

    The defaults are those of C2S-Scale where the paper has them (section 4.3.5): a learning rate of 1e-5 that falls
    linearly, and weight decay of 0.01. They suit a pretrained model; one with random weights learns at 1e-3 to 3e-3.

    Parameters
    ----------
    max_epochs
        Passes through the examples, where early stopping ends it no earlier.
    max_steps
        Steps, where these are fewer.
    batch_tokens
        Tokens of a batch, filled up to its longest example. Memory grows with it.
    lr
        Highest learning rate of AdamW, reached after the warm-up; it then falls linearly to 0 at the last step.
    warmup
        Share of the steps in which the learning rate rises linearly.
    average
        ``"examples"``: the loss is the mean over examples of their mean over the tokens of an answer, so that tasks
        with short answers (a cell's type) count as much as those with long ones (a cell). ``"tokens"``: the mean over
        all tokens, by which a sentence of 200 genes counts as much as 60 types.
    weight_decay
        Decoupled weight decay, of matrices only; biases and scales of norms are left alone.
    max_grad_norm
        The gradient is scaled down to this norm where it is larger.
    patience
        Epochs without a lower validation loss before training stops; the weights of the epoch of the lowest are kept.
        ``None``: all epochs are run and the last weights are kept, as without validation examples.
    seed
        Of the order of the examples, and of dropout where the model has any.
    checkpoint_steps
        A checkpoint is written after so many steps, and after every epoch. It takes up to five times the memory of the
        weights that are trained.
    """

    max_epochs: int = 3
    max_steps: int | None = None
    batch_tokens: int = 8192
    lr: float = 1e-5
    warmup: float = 0.03
    average: Average = "examples"
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    patience: int | None = 2
    seed: int = 0
    checkpoint_steps: int = 500

    def __post_init__(self):
        for name in ("max_epochs", "batch_tokens", "patience", "checkpoint_steps", "max_steps"):
            if name not in ("max_steps", "patience") or getattr(self, name) is not None:
                check_count(getattr(self, name), name)
        check_choice(self.average, choices(Average), "average")
        check_positive(self.lr, "lr")
        check_positive(self.max_grad_norm, "max_grad_norm")
        if not isinstance(self.weight_decay, Real) or not self.weight_decay >= 0:
            raise ValueError(f"weight_decay={self.weight_decay!r} must be a number of at least 0")
        if not isinstance(self.warmup, Real) or not 0 <= self.warmup < 1:
            raise ValueError(f"warmup={self.warmup!r} must be a share of the steps, at least 0 and below 1")

    def lr_at(self, step: int, n_steps: int) -> float:
        """Learning rate of a step, the first of which is 0.

        Examples
        --------
        >>> plan = LanguageTraining(lr=1.0, warmup=0.5)
        >>> [round(plan.lr_at(step, 8), 2) for step in range(8)]
        [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]
        """
        n_rising = int(round(self.warmup * n_steps))
        if step < n_rising:
            return self.lr * (step + 1) / n_rising
        return self.lr * (n_steps - step) / (n_steps - n_rising)

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)
