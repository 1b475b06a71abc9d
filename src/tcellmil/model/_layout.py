"""Names, types and shapes of the arrays that a configuration has. Nothing of a size that it names is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tcellmil._checks import some
from tcellmil.nn._network import NetworkConfig

from ._config import Configuration, refuse

#: What names of arrays start with: weights of encoders, of attention and classifier; and the two parts of a state.
ENCODER, CLASSIFIER = "encoder.", "classifier."
WEIGHTS, SPLITS = "weights/", "splits/"


@dataclass(frozen=True)
class Array:
    """An array without its values.

    Parameters
    ----------
    kind
        ``"float32"``, ``"float64"``, ``"integers"``, ``"bool"`` or ``"text"``; the type itself if it is another.
    shape
        Its shape.
    positive
        All of its values must be above 0.
    """

    kind: str
    shape: tuple[int, ...]
    positive: bool = False

    @classmethod
    def of(cls, dtype: np.dtype, shape: tuple[int, ...]) -> Array:
        """What an array is, by its type and shape."""
        kinds = {"b": "bool", "i": "integers", "u": "integers", "O": "text", "U": "text", "T": "text"}
        kind = kinds.get(dtype.kind, f"float{8 * dtype.itemsize}" if dtype.kind == "f" else str(dtype))
        return cls(kind, tuple(shape))

    def __str__(self):
        return f"{self.kind} {self.shape}"


def check_layout(configuration: Configuration, found: Mapping[str, Array]) -> dict[str, Array]:
    """Compare arrays with what the configuration has.

    Parameters
    ----------
    found
        The arrays, by names that start with :data:`WEIGHTS` or :data:`SPLITS`.

    Returns
    -------
    What each of them must be.

    Raises
    ------
    ValueError
        If one is missing, is not known, or has another type or shape.
    """
    train, loc = found.get("splits/train"), found.get("weights/scaling.loc")
    for name, array in (("splits/train", train), ("weights/scaling.loc", loc)):
        if array is None or len(array.shape) != 2 or min(array.shape) < 1:
            refuse(f"the array {name} is {'missing' if array is None else f'{array}, expected two axes'}")
    if loc.shape[1] != sum(configuration.schema.n_features):
        refuse(f"weights/scaling.loc is {loc}, schema.n_features adds up to {sum(configuration.schema.n_features)}")
    n_seeds, (n_replicas, n_patients) = configuration.training["n_seeds"], train.shape
    if n_seeds > n_replicas:
        refuse(f"training.n_seeds is {n_seeds}, the splits have {n_replicas} replicas")
    n_encoders = n_seeds if configuration.training["encoder"] == "shared" else n_replicas
    n_scalings = 1 if loc.shape[0] == 1 else n_encoders
    expected = dict(_weights(configuration, n_replicas, n_encoders, n_scalings))
    expected |= dict(_splits(configuration, n_replicas, n_patients, weighted="splits/weights" in found))
    missing, unknown = [n for n in expected if n not in found], [n for n in found if n not in expected]
    if missing or unknown:
        refuse(f"arrays {some(missing)} are missing" if missing else f"arrays {some(unknown)} are not known")
    for name, array in expected.items():
        if (found[name].kind, found[name].shape) != (array.kind, array.shape):
            refuse(f"the array {name} is {found[name]}, the configuration has {array}")
    return expected


def _splits(configuration: Configuration, n_replicas: int, n_patients: int, weighted: bool) -> Iterator:
    rows = (n_replicas, n_patients)
    yield "splits/patients", Array("text", (n_patients,))
    yield "splits/seed", Array("integers", (n_replicas,))
    yield "splits/fold", Array("text", (n_replicas,))
    yield "splits/train", Array("bool", rows)
    yield "splits/test", Array("bool", rows)
    if weighted and not configuration.schema.outcome.has_classes:  # only numbers are balanced by weights
        yield "splits/weights", Array("float64", rows)


def _weights(configuration: Configuration, n_replicas: int, n_encoders: int, n_scalings: int) -> Iterator:
    blocks, networks = configuration.schema.n_features, configuration.networks
    yield "weights/scaling.loc", Array("float32", (n_scalings, sum(blocks)))
    yield "weights/scaling.scale", Array("float32", (n_scalings, sum(blocks)), positive=True)
    yield "weights/encoder_of_replica", Array("integers", (n_replicas,))
    if len(networks) > 1:
        yield "weights/mixture", Array("float64", (len(networks), n_replicas))
    for m, network in enumerate(networks):
        yield from _member(configuration, network, WEIGHTS + member(m, len(networks)), n_replicas, n_encoders)


def member(m: int, n_members: int) -> str:
    """What names of arrays of one configuration start with; nothing where there is no other."""
    return f"{m}." if n_members > 1 else ""


def _member(
    configuration: Configuration, network: NetworkConfig, start: str, n_replicas: int, n_encoders: int
) -> Iterator:
    """Arrays of one configuration."""
    blocks, outcome = configuration.schema.n_features, configuration.schema.outcome
    if configuration.training["calibration"]:
        yield f"{start}temperature", Array("float64", (n_replicas,), positive=True)
    for b, n_features in enumerate(blocks):
        prefix = f"{start}{ENCODER}{f'{b}.' if len(blocks) > 1 else ''}"
        yield from _stacked(prefix, n_encoders, _encoder(network, n_features))
    yield from _stacked(f"{start}{CLASSIFIER}", n_replicas, _classifier(configuration, network))
    if (head := outcome.head(1)) is None:
        return
    learned = dict(head.named_parameters())  # float32 whatever the caller's default is
    for name, values in head.state_dict().items():
        kind = "float32" if name in learned else Array.of(values.numpy().dtype, ()).kind
        positive = name in getattr(head, "positive", ())
        yield f"{start}{CLASSIFIER}head.{name}", Array(kind, (n_replicas, *values.shape[1:]), positive)


def _stacked(prefix: str, n: int, layers: Iterator[tuple]) -> Iterator:
    for name, n_in, n_out, *positive in layers:
        yield prefix + name, Array("float32", (n, n_in, n_out), *positive)


def _linear(name: str, n_in: int, n_out: int) -> Iterator[tuple]:
    yield f"{name}.weight", n_in, n_out
    yield f"{name}.bias", 1, n_out


def _encoder(network: NetworkConfig, n_features: int) -> Iterator[tuple]:
    """:class:`tcellmil.nn._autoencoder.StackedAutoencoder` or :class:`tcellmil.nn._projection.StackedProjection`."""
    n_latent = network.latent_size(n_features)
    yield "centre", 1, n_features
    yield "spread", 1, n_features, True
    if network.compression == "autoencoder":
        for half, n_in, n_out in (("encoder", n_features, n_latent), ("decoder", n_latent, n_features)):
            yield from _linear(f"{half}.0", n_in, network.n_hidden)
            yield from _linear(f"{half}.1", 1, network.n_hidden)
            yield from _linear(f"{half}.4", network.n_hidden, n_out)
        return
    if network.compression == "pca":
        yield "components", n_features, n_latent
    yield "unit", 1, n_latent, True
    yield "shift", 1, n_latent


def _classifier(configuration: Configuration, network: NetworkConfig) -> Iterator[tuple]:
    """:class:`tcellmil.nn._network.StackedBagClassifier`, apart from its head."""
    n_cohorts, n_covariates = configuration.n_cohorts, configuration.n_covariates
    n_latent = sum(network.latent_size(n_features) for n_features in configuration.schema.n_features)
    n_cell = n_latent if network.n_embed is None else network.n_embed
    encoding = network.batch_encoding if n_cohorts else None
    if network.n_embed is not None:
        yield from _linear("embedding.0", n_latent, n_cell)
        yield from _linear("embedding.1", 1, n_cell)
    if network.pooling == "attention":
        yield from _linear("attention.v", n_cell, network.n_attention)
        if network.attention == "gated":
            yield from _linear("attention.u", n_cell, network.n_attention)
        yield "attention.w.weight", network.n_attention, 1
    n_bag = 2 * n_cell if network.moments == "mean_sd" else n_cell
    n_extra = n_covariates + (n_cohorts if encoding == "concat" else 0)
    yield from _linear("classifier.linear", n_bag + n_extra, configuration.schema.outcome.n_scores)
    if n_covariates:
        yield "classifier.covariate_mean", 1, n_covariates
        yield "classifier.covariate_sd", 1, n_covariates, True
    if network.has_bag_units:
        yield "classifier.embedding_mean", 1, n_bag
        yield "classifier.embedding_sd", 1, n_bag, True
    if encoding == "film":
        yield "classifier.gamma", n_cohorts, n_bag
        yield "classifier.beta", n_cohorts, n_bag
    if network.instance_weight > 0:
        yield from _linear("instances", n_cell, 1)
