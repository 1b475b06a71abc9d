"""A fitted stack: arrays and a few plain values, enough to run every network again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags
from tcellmil.nn._network import NetworkConfig, StackedBagClassifier
from tcellmil.outcomes import Outcome

from ._encoders import Encoders, with_weights


@dataclass
class FittedStack:
    """K fitted replicas, K >= 1.

    Parameters
    ----------
    config
        Sizes and kinds of the networks, resolved: ``compression`` is not ``"auto"``.
    outcome
        What is predicted.
    n_cohorts
        Number of cohorts that the networks were built for.
    encoders
        How cells become latents.
    encoder_of_replica
        ``(n_replicas,)``: which encoder each replica reads.
    classifier
        ``{name: (n_replicas, ...)}``: weights of attention and classifier.
    replicas
        Seeds, folds and patients of every replica.
    temperature
        ``(n_replicas,)``: class scores are divided by it; ``None``: they are as trained.
    n_covariates
        Number of the patient's covariates that the networks read.
    """

    config: NetworkConfig
    outcome: Outcome
    n_cohorts: int
    encoders: Encoders
    encoder_of_replica: np.ndarray
    classifier: dict[str, np.ndarray]
    replicas: Replicas
    temperature: np.ndarray | None = None
    n_covariates: int = 0

    def __post_init__(self):
        if self.config.compression == "auto":
            raise ValueError(
                "compression='auto' is for fitting; a fitted stack has one of 'autoencoder', 'pca' and None"
            )

    def __len__(self) -> int:
        return len(self.replicas)

    @property
    def n_features(self) -> int:
        """Number of features of a cell."""
        return self.encoders.n_features

    @property
    def n_latent(self) -> int:
        """Size of a cell's latent."""
        return self.encoders.n_latent

    def select(self, index: np.ndarray) -> FittedStack:
        """The replicas at some indices, as a smaller stack."""
        used, encoder_of_replica = np.unique(self.encoder_of_replica[index], return_inverse=True)
        return replace(
            self,
            encoders=self.encoders.of(used),
            encoder_of_replica=encoder_of_replica,
            classifier={name: w[index] for name, w in self.classifier.items()},
            replicas=self.replicas[index],
            temperature=None if self.temperature is None else self.temperature[index],
        )

    def scale(self, x: np.ndarray) -> Tensor:
        """As :meth:`Encoders.scale`."""
        return self.encoders.scale(x)

    def encode(self, scaled: Tensor) -> Tensor:
        """As :meth:`Encoders.encode`."""
        return self.encoders.encode(scaled)

    @torch.inference_mode()
    def classify(self, z: Tensor, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and attention of bags of equal size by their latents.

        Parameters
        ----------
        z
            Latent, ``(n_encoders, bag, cell, n_latent)``.
        side
            As in :meth:`scores`.

        Returns
        -------
        Probabilities or number ``(replica, bag, output)``, and attention ``(replica, bag, cell)``.
        """
        logits, attention = self._of_latents(z, side)
        return self.outcome.predict(logits.double()).numpy(), attention.numpy()

    def logits(self, scaled: Tensor, side: np.ndarray) -> Tensor:
        """The scores of :meth:`scores` alone."""
        return self.scores(scaled, side)[0]

    def predict_bag(self, bags: Bags, i: int) -> tuple[np.ndarray, np.ndarray]:
        """All replicas on all cells of one bag: prediction ``(replica, output)`` and attention ``(replica, cell)``."""
        z = self.encode(self.scale(bags.x[bags.bag(i)]))
        predicted, attention = self.classify(z[:, None], bags.bag_covariates[i])
        return predicted[:, 0], attention[:, 0]

    def scores(self, scaled: Tensor, side: np.ndarray) -> tuple[Tensor, Tensor]:
        """Scores and attention of bags of equal size; gradients pass through to the cells.

        Parameters
        ----------
        scaled
            Cells on the networks' scale, ``(n_encoders or 1, bag, cell, feature)``.
        side
            ``(n_cohorts + n_covariates,)``: the cohort, one-hot, and the covariates that all of the bags share.

        Returns
        -------
        ``(replica, bag, output)``, divided by the temperature, and ``(replica, bag, cell)``.
        """
        z = self.encoders.network.encode(scaled.flatten(1, 2)).unflatten(1, scaled.shape[1:3])
        return self._of_latents(z, side)

    def _of_latents(self, z: Tensor, side: np.ndarray) -> tuple[Tensor, Tensor]:
        present = torch.ones((1, *z.shape[1:3]), dtype=torch.bool)
        side = torch.from_numpy(side).expand(1, z.shape[1], -1)
        logits, attention = self._classifier(self._of_replicas(z), present, side)
        return self._scale_by_temperature(logits), attention

    def _of_replicas(self, z: Tensor) -> Tensor:
        return z if len(z) == 1 else z[torch.from_numpy(self.encoder_of_replica)]

    def _scale_by_temperature(self, logits: Tensor) -> Tensor:
        if self.temperature is None:
            return logits
        return logits / torch.from_numpy(self.temperature.astype(np.float32))[:, None, None]

    @cached_property
    @torch.inference_mode(False)
    def _classifier(self) -> StackedBagClassifier:
        module = StackedBagClassifier(
            [torch.Generator()] * len(self),
            replace(self.config, n_latent=self.n_latent),
            n_cohorts=self.n_cohorts,
            n_covariates=self.n_covariates,
            n_scores=self.outcome.n_scores,
            head=self.outcome.head(len(self)),
        )
        return with_weights(module, self.classifier)
