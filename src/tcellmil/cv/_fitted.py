"""A fitted stack: arrays and a few plain values, enough to run every network again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from tcellmil.nn._autoencoder import StackedAutoencoder
from tcellmil.nn._blocks import EncoderBlocks
from tcellmil.nn._heads import prediction
from tcellmil.nn._network import NetworkConfig, StackedBagClassifier
from tcellmil.nn._projection import StackedProjection

from ._bags import Bags
from ._scaling import Scaling, scale_cells
from ._splits import Replicas


@dataclass
class FittedStack:
    """K fitted replicas, K >= 1.

    Parameters
    ----------
    config
        Sizes and kinds of the networks.
    n_cohorts, n_classes
        Number of cohorts and classes that the networks were built for.
    n_covariates
        Number of the patient's covariates that they read.
    scaling
        How the representation becomes the networks' input, a row an encoder or one for all.
    encoder
        ``{name: (n_encoders, ...)}``: weights of the encoders; of several representations, their number comes
        before the name.
    encoder_of_replica
        ``(n_replicas,)``: which encoder each replica reads.
    classifier
        ``{name: (n_replicas, ...)}``: weights of attention and classifier.
    replicas
        Seeds, folds and patients of every replica.
    temperature
        ``(n_replicas,)``: class scores are divided by it; ``None``: they are as trained.
    blocks
        Number of features of each representation, as in :class:`Bags`; empty: there is one.
    """

    config: NetworkConfig
    n_cohorts: int
    n_classes: int
    scaling: Scaling
    encoder: dict[str, np.ndarray]
    encoder_of_replica: np.ndarray
    classifier: dict[str, np.ndarray]
    replicas: Replicas
    temperature: np.ndarray | None = None
    n_covariates: int = 0
    blocks: tuple[int, ...] = ()

    def __post_init__(self):
        if self.config.compression == "auto":
            raise ValueError(
                "compression='auto' is for fitting; a fitted stack has one of 'autoencoder', 'pca' and None"
            )

    def __len__(self) -> int:
        return len(self.replicas)

    @property
    def n_features(self) -> int:
        """Number of features of the representation."""
        return self.scaling.loc.shape[1]

    @property
    def n_latent(self) -> int:
        """Size of a cell's latent, the latents of all representations side by side."""
        return sum(self.config.latent_sizes(self.blocks or (self.n_features,)))

    def select(self, index: np.ndarray) -> FittedStack:
        """The replicas at some indices, as a smaller stack."""
        used, encoder_of_replica = np.unique(self.encoder_of_replica[index], return_inverse=True)
        return FittedStack(
            config=self.config,
            n_cohorts=self.n_cohorts,
            n_classes=self.n_classes,
            scaling=self.scaling.of(used),
            encoder={name: w[used] for name, w in self.encoder.items()},
            encoder_of_replica=encoder_of_replica,
            classifier={name: w[index] for name, w in self.classifier.items()},
            replicas=self.replicas[index],
            temperature=None if self.temperature is None else self.temperature[index],
            n_covariates=self.n_covariates,
            blocks=self.blocks,
        )

    def scale(self, x: np.ndarray) -> Tensor:
        """Cells ``(cell, feature)`` on the networks' scale: ``(n_encoders or 1, cell, feature)`` in [-1, 1]."""
        x = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))[None]
        return scale_cells(x, torch.from_numpy(self.scaling.loc), torch.from_numpy(self.scaling.scale))

    @torch.inference_mode()
    def encode(self, scaled: Tensor) -> Tensor:
        """Latent ``(n_encoders, cell, n_latent)`` of cells on the networks' scale."""
        return self._encoder.encode(scaled)

    @torch.inference_mode()
    def classify(self, z: Tensor, cohort: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and attention of bags of equal size.

        Parameters
        ----------
        z
            Latent, ``(n_encoders, bag, cell, n_latent)``.
        cohort
            ``(n_cohorts + n_covariates,)``: the cohort, one-hot, and the covariates that all of the bags share.

        Returns
        -------
        Probabilities ``(replica, bag, class)``, or the one number in place of a class, and attention
        ``(replica, bag, cell)``.
        """
        present = torch.ones((1, *z.shape[1:3]), dtype=torch.bool)
        cohort = torch.from_numpy(cohort).expand(1, z.shape[1], -1)
        z = z if len(z) == 1 else z[torch.from_numpy(self.encoder_of_replica)]
        logits, attention = self._classifier(z, present, cohort)
        return prediction(self._cooled(logits).double(), self.config.outcome).numpy(), attention.numpy()

    def logits(self, scaled: Tensor, cohort: np.ndarray) -> Tensor:
        """Class scores ``(replica, bag, class)`` of bags of equal size; gradients pass through to the cells.

        Parameters
        ----------
        scaled
            Cells on the networks' scale, ``(n_encoders or 1, bag, cell, feature)``.
        cohort
            ``(n_cohorts + n_covariates,)``: the cohort, one-hot, and the covariates that all of the bags share.
        """
        n_bags, n_cells = scaled.shape[1:3]
        z = self._encoder.encode(scaled.flatten(1, 2)).unflatten(1, (n_bags, n_cells))
        z = z if len(z) == 1 else z[torch.from_numpy(self.encoder_of_replica)]
        present = torch.ones((1, n_bags, n_cells), dtype=torch.bool)
        return self._cooled(self._classifier(z, present, torch.from_numpy(cohort).expand(1, n_bags, -1))[0])

    def predict_bag(self, bags: Bags, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All replicas on all cells of one bag.

        Returns
        -------
        Probabilities or number ``(replica, class)``, attention ``(replica, cell)`` and latent
        ``(n_encoders, cell, n_latent)``.
        """
        z = self.encode(self.scale(bags.x[bags.bag(i)]))
        probabilities, attention = self.classify(z[:, None], bags.side[i])
        return probabilities[:, 0], attention[:, 0], z.numpy()

    def _cooled(self, logits: Tensor) -> Tensor:
        if self.temperature is None:
            return logits
        return logits / torch.from_numpy(self.temperature.astype(np.float32))[:, None, None]

    @cached_property
    @torch.inference_mode(False)  # the first caller may be in inference mode, a later one may want gradients
    def _encoder(self) -> StackedAutoencoder | StackedProjection | EncoderBlocks:
        blocks = self.blocks or (self.n_features,)
        encoders = [self._empty_encoder(*sizes) for sizes in zip(blocks, self.config.latent_sizes(blocks), strict=True)]
        return _with_weights(encoders[0] if len(encoders) == 1 else EncoderBlocks(encoders), self.encoder)

    def _empty_encoder(self, n_features: int, n_latent: int) -> StackedAutoencoder | StackedProjection:
        n_encoders = len(next(iter(self.encoder.values())))
        if self.config.compression == "autoencoder":
            generators = [torch.Generator()] * n_encoders
            return StackedAutoencoder(generators, n_features, n_hidden=self.config.n_hidden, n_latent=n_latent)
        return StackedProjection(n_encoders, n_features, n_latent if self.config.compression == "pca" else None)

    @cached_property
    @torch.inference_mode(False)
    def _classifier(self) -> StackedBagClassifier:
        module = StackedBagClassifier(
            [torch.Generator()] * len(self),
            replace(self.config, n_latent=self.n_latent),
            n_cohorts=self.n_cohorts,
            n_covariates=self.n_covariates,
            n_classes=self.n_classes,
        )
        return _with_weights(module, self.classifier)


def _with_weights(module: torch.nn.Module, weights: dict[str, np.ndarray]) -> torch.nn.Module:
    module.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(w)) for name, w in weights.items()})
    return module.eval().requires_grad_(False)
