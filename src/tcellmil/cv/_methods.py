"""The methods that tl.benchmark compares, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tcellmil._checks import some

from ._baselines import BASELINES

COMPOSITION, COVARIATES = "composition", "covariates"

#: Training of the peers, which have layers of their own to train: an ordinary AdamW from a small rate.
_PEER_TRAINING = {"lr": 1e-3, "eps": 1e-8}


@dataclass(frozen=True)
class Method:
    """One row of a comparison.

    Parameters
    ----------
    name
        How it is called.
    kind
        ``"mil"`` (the stack), ``"pseudobulk"`` (a classifier of the mean over cells), ``"composition"``,
        ``"covariates"`` (what is known of the patient beside the cells, alone), or ``"majority"``.
    network, training
        What differs from the defaults of :class:`tcellmil.nn.NetworkConfig` and :class:`tcellmil.cv.TrainingConfig`.
    """

    name: str
    kind: str
    network: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)


_MIL = (
    Method("tcellmil", "mil"),
    Method("mil_gated", "mil", {"attention": "gated"}),
    Method("mil_mean", "mil", {"pooling": "mean"}),
    Method("mil_max", "mil", {"pooling": "max"}),
    Method("mil_linear", "mil", {"pooling": "mean", "compression": None}),
    Method("scmild", "mil", {"attention": "gated", "n_embed": 48, "instance_weight": 1.0}, _PEER_TRAINING),
    Method("pascient", "mil", {"attention": "mlp", "n_embed": 48}, _PEER_TRAINING),
)
_ABLATIONS = (
    Method("autoencoder", "mil", {"compression": "autoencoder"}),
    Method("no_autoencoder", "mil", {"compression": None}),
    Method("pca_for_autoencoder", "mil", {"compression": "pca"}),
    Method(
        "embedding_for_autoencoder",
        "mil",
        {"compression": None, "n_embed": 64, "attention": "gated"},
        {**_PEER_TRAINING, "n_cells_bag": 20},
    ),
    Method("no_batch_encoding", "mil", {"batch_encoding": None}),
    Method("film", "mil", {"batch_encoding": "film"}),
    Method("latent_16", "mil", {"n_latent": 16}),
    Method("latent_96", "mil", {"n_latent": 96}),
)
_SIMPLE = tuple(Method(name, "majority" if name == "majority" else "pseudobulk") for name in BASELINES)

_OF_TABLES = (Method(COMPOSITION, COMPOSITION), Method(COVARIATES, COVARIATES))

METHODS = {method.name: method for method in (*_MIL, *_SIMPLE, *_OF_TABLES, *_ABLATIONS)}
GROUPS = {
    "all": [m.name for m in (*_MIL, *_SIMPLE, *_OF_TABLES)],
    "mil": [m.name for m in _MIL],
    "baselines": [m.name for m in (*_SIMPLE, *_OF_TABLES)],
    "ablations": ["tcellmil", *(m.name for m in _ABLATIONS)],
}


def methods_by_name(names: str | Sequence[str]) -> list[Method]:
    """Methods of a group or by their names, each once.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    names = [names] if isinstance(names, str) else list(names)
    single = [name for part in names for name in GROUPS.get(part, [part])]
    unknown = [name for name in single if name not in METHODS]
    if unknown or not single:
        raise ValueError(
            f"methods {some(unknown)} are not known; choose from {', '.join(METHODS)}, or a group: {', '.join(GROUPS)}"
        )
    return [METHODS[name] for name in dict.fromkeys(single)]
