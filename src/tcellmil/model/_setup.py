"""What of an AnnData or a MuData a model uses, checked before anything is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._checks import check_choice, check_data, check_finite, check_obs_column, is_mudata, some
from tcellmil._outcome_kinds import CLASSES, CONTINUOUS, OF_CLASSES, ORDERED, OUTCOMES, SURVIVAL
from tcellmil.cv._bags import Bags

from ._columns import keys_of, per_patient, read_categories, read_cohorts, read_groups, read_numbers, read_samples
from ._mudata import as_anndata
from ._outcome import check_arguments, check_enough, classes_of, targets_of
from ._representations import (
    are_unit_intervals,
    described,
    joint_features,
    match_features,
    numbered,
    places,
    read_representation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ._representations import UseRep

UNLABELLED = ("error", "predict")


@dataclass(frozen=True)
class Setup:
    """Which columns and representation a model reads; plain values only, so that it can be written as JSON.

    Parameters
    ----------
    sample_key, label_key, batch_key
        Columns of ``obs``: patient, label, cohort (``None``: no cohorts).
    use_rep
        Places of the representations: keys of ``obsm``, or ``"modality:key"`` of a MuData.
    unlabelled
        What to do with a patient without a label: ``"error"``, or ``"predict"``: never train on it, predict it.
    unit_interval
        Which representations are in [0, 1] by construction.
    classes
        Labels, the positive one last; none where the outcome is a number or a time.
    cohorts
        Cohorts that the networks know.
    features
        Names of the columns of all representations side by side, as
        :func:`~tcellmil.model._representations.joint_features` makes them; empty where a single one has none.
    continuous_covariate_keys, categorical_covariate_keys
        Columns of ``obs`` with numbers and with categories, one value a patient.
    categories
        Known values of each categorical covariate.
    group_key
        Column of ``obs`` that says which samples must stay together (``None``: each by itself).
    outcome
        What ``label_key`` holds: ``"classes"``, ``"ordered"``, ``"continuous"`` or ``"survival"`` (a time).
    event_key
        Column of ``obs`` with 1 for an event and 0 for censoring, for ``"survival"``.
    n_features
        Number of columns of each representation; empty in a state that did not record it.
    """

    sample_key: str
    label_key: str
    batch_key: str | None
    use_rep: tuple[str, ...]
    unlabelled: str
    unit_interval: tuple[bool, ...]
    classes: tuple[str, ...]
    cohorts: tuple[str, ...]
    features: tuple[str, ...]
    continuous_covariate_keys: tuple[str, ...] = ()
    categorical_covariate_keys: tuple[str, ...] = ()
    categories: tuple[tuple[str, ...], ...] = ()
    group_key: str | None = None
    outcome: str = CLASSES
    event_key: str | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the networks predict: the classes, the number by its name, or the risk (the log hazard)."""
        one = {CONTINUOUS: (self.label_key,), SURVIVAL: ("risk",)}
        return one.get(self.outcome, self.classes)

    n_features: tuple[int, ...] = ()

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> Setup:
        """The inverse of :meth:`as_dict`, after a trip through JSON."""
        lists = ("classes", "cohorts", "features", "continuous_covariate_keys", "categorical_covariate_keys")
        lists = {name: tuple(values.get(name, ())) for name in (*lists, "n_features")}
        for name in ("use_rep", "unit_interval"):  # a single value, in a state with one representation
            lists[name] = tuple(values[name]) if isinstance(values[name], list) else (values[name],)
        categories = tuple(tuple(levels) for levels in values.get("categories", ()))
        return cls(**{**values, **lists, "categories": categories})


def make_setup(
    adata: AnnData | MuData,
    *,
    sample_key: str,
    label_key: str,
    batch_key: str | None = None,
    use_rep: UseRep = "X_regulons",
    unlabelled: str = "error",
    positive_class: str | None = None,
    scaling: str | Sequence[str] = "auto",
    continuous_covariate_keys: Sequence[str] | None = None,
    categorical_covariate_keys: Sequence[str] | None = None,
    group_key: str | None = None,
    outcome: str = CLASSES,
    event_key: str | None = None,
    class_order: Sequence[str] | None = None,
) -> Setup:
    """Check ``adata`` for training and describe what is read from it.

    Raises
    ------
    KeyError
        If a column or the representation is not there.
    ValueError
        If patients, labels or values cannot be trained on; the message says which and what to do.
    """
    check_data(adata)
    check_choice(unlabelled, UNLABELLED, "unlabelled")
    check_choice(outcome, OUTCOMES, "outcome")
    check_arguments(outcome, event_key, class_order, positive_class)
    use_rep = places(adata, use_rep)
    if is_mudata(adata):
        covariates = (continuous_covariate_keys, categorical_covariate_keys)
        keys = (sample_key, label_key, batch_key, use_rep, *covariates, group_key, event_key)
        adata = only_what_is_read(adata, *keys)
    samples = read_samples(adata, sample_key)
    _check_different({"sample_key": sample_key, "label_key": label_key, "event_key": event_key, "batch_key": batch_key})
    labels, events = _outcomes(adata, samples, label_key, event_key)
    for argument, key, values in (("label_key", label_key, labels), ("event_key", event_key, events)):
        missing = [] if values is None else values.index[values.isna()]
        if len(missing) and unlabelled == "error":
            raise ValueError(
                f"{argument} {key!r} is missing for patients {some(missing)}; drop them or set unlabelled='predict'"
            )
    classes = ()
    if outcome in OF_CLASSES:
        column = adata.obs[label_key]
        if outcome == ORDERED and class_order is None and getattr(column.dtype, "ordered", False):
            class_order = [name for name in column.cat.categories if str(name) in set(labels)]
        order = {"ordered": outcome == ORDERED, "class_order": class_order, "positive_class": positive_class}
        classes = classes_of(labels, label_key, **order)
    else:
        targets = targets_of(labels, events, label_key, event_key)
        check_enough(targets, label_key, event_key)
    cohorts = [] if batch_key is None else sorted(read_cohorts(adata, samples, batch_key).unique())
    continuous, categorical = keys_of(continuous_covariate_keys), keys_of(categorical_covariate_keys)
    other_keys = {label_key, event_key, sample_key, batch_key}
    twice = sorted({*continuous} & {*categorical} | {*continuous, *categorical} & other_keys)
    if twice:
        raise ValueError(f"columns {some(twice)} are named twice: as covariates, and as something else")
    for key in continuous:
        read_numbers(adata, samples, key)
    if group_key is not None:
        read_groups(adata, samples, group_key)
    categories = tuple(tuple(sorted(read_categories(adata, samples, key).unique())) for key in categorical)
    parts = [read_representation(adata, place) for place in use_rep]
    for place, (x, names) in zip(use_rep, parts, strict=True):
        check_finite(x, described(place), names)
    return Setup(
        outcome=outcome,
        event_key=event_key,
        n_features=tuple(x.shape[1] for x, _ in parts),
        group_key=group_key,
        continuous_covariate_keys=continuous,
        categorical_covariate_keys=categorical,
        categories=categories,
        sample_key=sample_key,
        label_key=label_key,
        batch_key=batch_key,
        use_rep=use_rep,
        unlabelled=unlabelled,
        unit_interval=are_unit_intervals(adata, use_rep, [x for x, _ in parts], scaling),
        classes=tuple(classes),
        cohorts=tuple(cohorts),
        features=tuple(joint_features(use_rep, parts)),
    )


def read_bags(adata: AnnData | MuData, setup: Setup, *, labels: bool = True, splits: bool = True) -> Bags:
    """Patients of ``adata`` as bags, by a model's setup.

    Parameters
    ----------
    adata
        The data that the model was set up with, or new patients.
    setup
        Which columns and representation to read; cohorts that it does not know become -1.
    labels
        Read labels. For new patients there are none.
    splits
        Read what splits need, the groups. New patients are not split.

    Raises
    ------
    KeyError, ValueError
        If something that the model needs is not there, is not finite, or has other features.
    """
    check_data(adata)
    if is_mudata(adata):
        keys = (setup.sample_key, setup.label_key if labels else None, setup.batch_key, setup.use_rep)
        covariates = (setup.continuous_covariate_keys, setup.categorical_covariate_keys)
        of_splits, of_labels = setup.group_key if splits else None, setup.event_key if labels else None
        adata = only_what_is_read(adata, *keys, *covariates, of_splits, of_labels)
    samples = read_samples(adata, setup.sample_key)
    parts = [read_representation(adata, place) for place in setup.use_rep]
    n_features = setup.n_features or (len(setup.features) or parts[0][0].shape[1],)
    xs = match_features(setup.use_rep, setup.features, n_features, parts)
    for place, x, names in zip(setup.use_rep, xs, _split(setup.features, n_features), strict=True):
        check_finite(x, described(place), names or None)
    label_code, cohort_code, targets = {}, {}, None
    if labels:
        label_code, targets = _labels_and_targets(adata, samples, setup)
    if setup.batch_key is not None:
        code = {c: i for i, c in enumerate(setup.cohorts)}
        cohort_code = {p: code.get(c, -1) for p, c in read_cohorts(adata, samples, setup.batch_key).items()}
    return Bags.from_cells(
        xs[0] if len(xs) == 1 else np.hstack(xs),
        samples.to_numpy(),
        adata.obs_names,
        labels=label_code,
        cohorts=cohort_code,
        n_classes=len(setup.outputs),
        n_cohorts=len(setup.cohorts),
        covariates=_covariates(adata, samples, setup),
        n_continuous=len(setup.continuous_covariate_keys),
        groups=read_groups(adata, samples, setup.group_key).to_dict() if splits and setup.group_key else None,
        targets=targets,
        blocks=n_features if len(xs) > 1 else (),
    )


def _split(features: Sequence[str], n_features: Sequence[int]) -> list[Sequence[str]]:
    ends = np.cumsum(n_features)
    return [features[end - n : end] for end, n in zip(ends, n_features, strict=True)]


def only_what_is_read(
    adata: AnnData | MuData,
    sample_key: str,
    label_key: str | None,
    batch_key: str | None,
    use_rep: UseRep,
    continuous_covariate_keys: Sequence[str] | None = None,
    categorical_covariate_keys: Sequence[str] | None = None,
    group_key: str | None = None,
    event_key: str | None = None,
) -> AnnData:
    """The columns and representations that a model reads, so that setting it up leaves no trace in ``adata``.

    Of a MuData, the representations are keys of ``obsm`` by the names of their places (:func:`places`).

    Raises
    ------
    KeyError
        If one of them is not there; the message says what ``adata`` has instead.
    """
    from anndata import AnnData

    keys = {"sample_key": sample_key, "label_key": label_key, "batch_key": batch_key}
    keys |= {"group_key": group_key, "event_key": event_key}
    columns = {argument: (key,) for argument, key in keys.items() if key is not None}
    columns["continuous_covariate_keys"] = keys_of(continuous_covariate_keys)
    columns["categorical_covariate_keys"] = keys_of(categorical_covariate_keys)
    if is_mudata(adata):
        return as_anndata(adata, columns, places(adata, use_rep))
    for argument, names in columns.items():
        for key in names:
            check_obs_column(adata, key, argument)
    use_rep = places(adata, use_rep)
    stored = [key for key in (place.removeprefix("X_") for place in use_rep) if key in adata.uns]
    return AnnData(
        obs=adata.obs[list(dict.fromkeys(sum(columns.values(), ())))].copy(),
        obsm={place: adata.obsm[place] for place in use_rep},
        uns={key: adata.uns[key] for key in stored} or None,
    )


def read_features(adata: AnnData | MuData, use_rep: UseRep) -> tuple[np.ndarray, list[str]]:
    """Representations side by side, ``(n_cells, n_features)`` float32, and the names of their columns.

    Raises
    ------
    KeyError, ValueError
        If one of them is not there, or is not finite.
    """
    use_rep = places(adata, use_rep)
    adata = as_anndata(adata, {}, use_rep) if is_mudata(adata) else adata
    parts = [read_representation(adata, place) for place in use_rep]
    features = joint_features(use_rep, parts) or numbered(use_rep[0], parts[0][0].shape[1])
    for place, (x, _), names in zip(use_rep, parts, _split(features, [x.shape[1] for x, _ in parts]), strict=True):
        check_finite(x, described(place), names)
    return np.hstack([x for x, _ in parts]), features


def _check_different(keys: dict[str, str | None]) -> None:
    """Raise where one column is to be two things: a cohort that is the label would tell the answer."""
    named = [(argument, key) for argument, key in keys.items() if key is not None]
    for i, (argument, key) in enumerate(named):
        for other, same in named[:i]:
            if key == same:
                raise ValueError(f"{other} and {argument} are both {key!r}; they must be different columns")


def _outcomes(
    adata: AnnData, samples: pd.Series, label_key: str, event_key: str | None
) -> tuple[pd.Series, pd.Series | None]:
    """Label of each patient; and, of times, its event."""
    labels = per_patient(adata, samples, label_key, "label_key")
    return labels, None if event_key is None else per_patient(adata, samples, event_key, "event_key")


def _labels_and_targets(adata: AnnData, samples: pd.Series, setup: Setup) -> tuple[dict, dict | None]:
    """Class code of each patient, -1 without one; and, where the outcome is no class, its numbers."""
    values, events = _outcomes(adata, samples, setup.label_key, setup.event_key)
    if setup.outcome in OF_CLASSES:
        code = {c: i for i, c in enumerate(setup.classes)}
        return {patient: code.get(label, -1) for patient, label in values.items()}, None
    targets = targets_of(values, events, setup.label_key, setup.event_key)
    known = targets.notna().all(axis=1)
    rows = dict(zip(targets.index, targets.to_numpy(), strict=True))
    return {patient: 0 if known[patient] else -1 for patient in known.index}, rows


def _covariates(adata: AnnData, samples: pd.Series, setup: Setup) -> dict[str, np.ndarray] | None:
    """Numbers, then one-hot categories of each patient; a category that the model does not know is all zeros."""
    parts = [read_numbers(adata, samples, key).rename(key) for key in setup.continuous_covariate_keys]
    for key, levels in zip(setup.categorical_covariate_keys, setup.categories, strict=True):
        values = read_categories(adata, samples, key)
        parts += [(values == level).astype(float).rename(f"{key}={level}") for level in levels]
    if not parts:
        return None
    table = pd.concat(parts, axis=1)
    return dict(zip(table.index, table.to_numpy(), strict=True))
