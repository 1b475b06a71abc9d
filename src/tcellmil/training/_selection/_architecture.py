"""What ``"auto"`` and ``None`` mean on a cohort, decided once, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tcellmil.data._bags import Bags
from tcellmil.nn._network import SMALL_COHORT, NetworkConfig
from tcellmil.training._config import TrainingConfig

#: The configurations of an ensemble: attention on principal components, and the mean and standard deviation over all
#: cells of each feature, in units of the differences between patients. They err on different patients. Attention is
#: narrow here, and stronger for it: about as good as 64 wide, at a quarter of the time.
CONFIGURATIONS = (
    {"compression": "pca", "pooling": "attention", "n_attention": 16, "strength": 2.0},
    {"compression": None, "pooling": "mean", "moments": "mean_sd", "units": "patients"},
)

#: Replicas of a fold of a small cohort, which are averaged.
SEEDS_OF_FEW = 3


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


def seeds_of_a_fold(bags: Bags, n_seeds: int | None) -> int:
    """How many replicas a fold has: as requested, or 3 for fewer than 48 labelled patients, else 1.

    In a small cohort the start and the order of training decide a good part of each prediction; their mean is steadier.
    """
    if n_seeds is not None:
        return n_seeds
    return SEEDS_OF_FEW if bags.n_labelled_patients < SMALL_COHORT else 1


def configurations(bags: Bags, network: NetworkConfig, given: Iterable[str] = ()) -> list[NetworkConfig]:
    """The configurations of an ensemble, resolved and all of them different.

    Parameters
    ----------
    bags
        The cohort.
    network
        As requested.
    given
        Names of the options that the user chose; in these the configurations do not differ.

    Returns
    -------
    At least one.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.data import Bags
    >>> from tcellmil.nn import NetworkConfig
    >>> from tcellmil.outcomes import Classes
    >>> rng, names = np.random.default_rng(0), np.repeat(["A", "B", "C", "D"], 10)
    >>> labels, outcome = {"A": 0, "B": 1, "C": 0, "D": 1}, Classes("response", ("NR", "R"))
    >>> bags = Bags.from_cells(rng.random((40, 60)), names, np.arange(40).astype(str), labels=labels, outcome=outcome)
    >>> [network.words for network in configurations(bags, NetworkConfig())]
    ['pca 48, attention', 'features, mean with sd, standardised']
    """
    found, given = [], set(given)
    # What pools cells in another way, or passes them through a layer of their own, has no such moments and units.
    given |= {"pooling", "moments", "units"} if network.pooling == "max" or network.n_embed is not None else set()
    for options in CONFIGURATIONS:
        own = {name: value for name, value in options.items() if name not in given}
        one = resolve(bags, replace(network, **own))[0]
        found += [one] if one not in found else []
    return found
