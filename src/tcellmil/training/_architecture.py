"""What ``"auto"`` and ``None`` mean on a cohort, decided once, before anything runs."""

from __future__ import annotations

from tcellmil.data._bags import Bags
from tcellmil.nn._network import NetworkConfig

from ._config import TrainingConfig


def resolve(
    bags: Bags, network: NetworkConfig | None = None, training: TrainingConfig | None = None
) -> tuple[NetworkConfig, TrainingConfig]:
    """Return the network and the training that a cohort gets.

    Parameters
    ----------
    bags
        The cohort; its number of labelled patients and of features decide.
    network, training
        As requested; the defaults without.

    Returns
    -------
    Both without ``"auto"`` and without epochs of ``None``; what is resolved already stays as it is.
    """
    network, training = network or NetworkConfig(), training or TrainingConfig()
    n_patients = bags.n_labelled_patients
    return network.resolved(n_patients, bags.x.shape[1]), training.resolved(n_patients)
