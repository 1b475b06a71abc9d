"""Fitted stacks of the same replicas, averaged on the scale of their scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags
from tcellmil.nn._network import NetworkConfig
from tcellmil.outcomes import Outcome

from ._scaling import Scaling
from ._stack import FittedStack


@dataclass(frozen=True)
class FittedEnsemble:
    """Stacks of different configurations, and how much each counts in every replica.

    What an ensemble predicts is the weighted mean of its members' scores (log-odds of classes, a number, or a log
    hazard), each divided by its own temperature. A mean of scores is as differentiable as they are, so that
    attributions of the ensemble are the same mean of its members' attributions. Attention is averaged with the same
    weights: where the mean over cells counts for all, it is uniform.

    Parameters
    ----------
    members
        Fitted on the same replicas of the same bags; at least one.
    mixture
        ``(n_members, n_replicas)``: weight of each member in each replica, at least 0; a column adds up to 1.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> fit = {"cv": 2, "n_seeds": 1, "ensemble": True, "training": {"max_epochs": 2}, "progress": False}
    >>> tm.tl.fit_mil(adata, "patient", "response", **fit)
    >>> ensemble = tm.get.model(adata).module
    >>> len(ensemble.members), ensemble.mixture.sum(axis=0).tolist()
    (2, [1.0, 1.0])
    """

    members: tuple[FittedStack, ...]
    mixture: np.ndarray

    @classmethod
    def of(cls, stack: FittedStack) -> FittedEnsemble:
        """An ensemble of one."""
        return cls((stack,), np.ones((1, len(stack))))

    def __len__(self) -> int:
        return len(self.replicas)

    @property
    def leading(self) -> int:
        """The member that counts most, over all replicas."""
        return int(self.mixture.mean(axis=1).argmax())

    @property
    def replicas(self) -> Replicas:
        """Seeds, folds and patients of every replica."""
        return self.members[0].replicas

    @property
    def outcome(self) -> Outcome:
        """What is predicted."""
        return self.members[0].outcome

    @property
    def n_cohorts(self) -> int:
        """Number of cohorts that the networks were built for."""
        return self.members[0].n_cohorts

    @property
    def n_covariates(self) -> int:
        """Number of the patient's covariates that the networks read."""
        return self.members[0].n_covariates

    @property
    def networks(self) -> list[NetworkConfig]:
        """Sizes and kinds of each member."""
        return [member.config for member in self.members]

    @property
    def scaling(self) -> Scaling:
        """How cells come to [-1, 1], the same for all members."""
        return self.members[0].encoders.scaling

    @property
    def n_features(self) -> int:
        """Number of features of a cell."""
        return self.members[0].n_features

    @property
    def n_latent(self) -> int:
        """Size of a cell's latent by the leading member."""
        return self.members[self.leading].n_latent

    def select(self, index: np.ndarray) -> FittedEnsemble:
        """The replicas at some indices; members keep their places."""
        return FittedEnsemble(tuple(member.select(index) for member in self.members), self.mixture[:, index])

    def with_replicas(self, replicas: Replicas) -> FittedEnsemble:
        """The same networks with other names of folds, or of some of the patients."""
        return replace(self, members=tuple(replace(member, replicas=replicas) for member in self.members))

    def scale(self, x: np.ndarray) -> Tensor:
        """Cells ``(cell, feature)`` on the networks' scale, ``(n_encoders or 1, cell, feature)`` in [-1, 1]."""
        return self.members[0].scale(x)

    @torch.inference_mode()
    def classify(self, scaled: Tensor, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and attention of bags of equal size.

        Parameters
        ----------
        scaled
            Cells on the networks' scale, ``(n_encoders or 1, bag, cell, feature)``.
        side
            ``(n_cohorts + n_covariates,)``: the cohort, one-hot, and the covariates that all of the bags share.

        Returns
        -------
        Probabilities or number ``(replica, bag, output)``, and attention ``(replica, bag, cell)``.
        """
        logits, attention = self._mixed(scaled, side)
        return self.outcome.predict(logits.double()).numpy(), attention.numpy()

    def logits(self, scaled: Tensor, side: np.ndarray) -> Tensor:
        """Scores ``(replica, bag, output)`` of bags as in :meth:`classify`; gradients pass through to the cells."""
        return self._mixed(scaled, side)[0]

    def predict_bag(self, bags: Bags, i: int) -> tuple[np.ndarray, np.ndarray]:
        """All replicas on all cells of one bag: prediction ``(replica, output)`` and attention ``(replica, cell)``."""
        predicted, attention = self.classify(self.scale(bags.x[bags.bag(i)])[:, None], bags.bag_covariates[i])
        return predicted[:, 0], attention[:, 0]

    def latent(self, x: np.ndarray, member: int) -> np.ndarray:
        """Latent ``(cell, n_latent)`` of cells ``(cell, feature)`` by the first replica of one member."""
        stack = self.members[member].select(np.array([0]))
        return stack.encode(stack.scale(x))[0].numpy()

    def _mixed(self, scaled: Tensor, side: np.ndarray) -> tuple[Tensor, Tensor]:
        parts = [
            (member.scores(scaled, side), torch.from_numpy(weight)[:, None, None])
            for member, weight in zip(self.members, self.mixture, strict=True)
            if weight.any()
        ]
        if len(parts) == 1:
            return parts[0][0]
        logits = sum(weight.to(scores.dtype) * scores for (scores, _), weight in parts)
        return logits, sum(weight.to(attention.dtype) * attention for (_, attention), weight in parts)


def ensemble_of(fitted: FittedStack | FittedEnsemble) -> FittedEnsemble:
    """What may be one stack, as an ensemble."""
    return FittedEnsemble.of(fitted) if isinstance(fitted, FittedStack) else fitted
