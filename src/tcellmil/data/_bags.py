"""Patients as bags of cells, on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tcellmil.cv import Replicas, make_replicas
from tcellmil.cv._splitters import splitter_for
from tcellmil.outcomes import Outcome


@dataclass(frozen=True)
class Bags:
    """Cells grouped by patient, in an order that does not depend on the order of the input.

    Parameters
    ----------
    x
        Representation, ``(n_cells, n_features)`` float32, the cells of a bag side by side.
    offsets
        ``(n_bags + 1,)``: bag ``i`` is ``x[offsets[i]:offsets[i + 1]]``.
    order
        ``(n_cells,)``: where each row of ``x`` stood in the input.
    names
        Name of each bag (the patient), sorted.
    labels
        Class code of each bag, -1 where it has no label. Where the outcome is a number or a time, 0 where it is known.
    cohorts
        Cohort code of each bag, -1 where it has none or one that is not known.
    outcome
        What is predicted; it knows the classes, or what the targets are.
    n_cohorts
        Number of cohorts (0: no cohorts).
    covariates
        ``(n_bags, n_covariates)`` float32: what else is known of each patient; the first ``n_continuous`` columns are
        numbers, the rest are one-hot. ``None``: nothing.
    n_continuous
        Number of columns that are numbers.
    groups
        ``(n_bags,)``: code of what must not be split between training and test, such as the patient of several samples;
        ``None``: every bag by itself.
    targets
        ``(n_bags, 1)`` float64, the number of each bag, or ``(n_bags, 2)``, time and event (1) or censoring (0); NaN
        where it is not known. ``None``: the outcome is a class.
    blocks
        Number of features of each representation, where the columns of ``x`` are several of them side by side; each
        then has a scaling and an encoder of its own. By default there is one.
    unit_interval
        Which of the representations are in [0, 1] by construction and become 2x - 1; a scaling is learned for the rest.
        None of them by default.
    """

    x: np.ndarray
    offsets: np.ndarray
    order: np.ndarray
    names: np.ndarray
    labels: np.ndarray
    cohorts: np.ndarray
    outcome: Outcome
    n_cohorts: int
    covariates: np.ndarray | None = None
    n_continuous: int = 0
    groups: np.ndarray | None = None
    targets: np.ndarray | None = None
    blocks: tuple[int, ...] = ()
    unit_interval: tuple[bool, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "blocks", tuple(self.blocks) or (self.x.shape[1],))
        object.__setattr__(self, "unit_interval", tuple(self.unit_interval) or (False,) * len(self.blocks))
        if min(self.blocks) < 1 or sum(self.blocks) != self.x.shape[1]:
            raise ValueError(
                f"blocks={self.blocks} must be numbers of features that add up to the {self.x.shape[1]} columns of x"
            )
        if len(self.unit_interval) != len(self.blocks):
            raise ValueError(
                f"unit_interval has {len(self.unit_interval)} values for {len(self.blocks)} representations; "
                "give one for each"
            )

    @classmethod
    def from_cells(
        cls,
        x: np.ndarray,
        bag_of_cell: Sequence[str],
        cell_names: Sequence[str],
        *,
        labels: dict[str, int] | None = None,
        cohorts: dict[str, int] | None = None,
        outcome: Outcome,
        n_cohorts: int = 0,
        covariates: dict[str, Sequence[float]] | None = None,
        n_continuous: int = 0,
        groups: dict[str, str] | None = None,
        targets: dict[str, Sequence[float]] | None = None,
        blocks: Sequence[int] = (),
        unit_interval: Sequence[bool] = (),
    ) -> Bags:
        """Sort cells by bag and, within a bag, by name: no random draw then depends on the order of the table."""
        bag_of_cell = np.asarray(bag_of_cell, dtype=str)
        names, codes = np.unique(bag_of_cell, return_inverse=True)
        order = np.lexsort((np.asarray(cell_names, dtype=str), codes))
        labels, cohorts = labels or {}, cohorts or {}
        return cls(
            x=np.ascontiguousarray(x[order], dtype=np.float32),
            offsets=np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(names)))]),
            order=order,
            names=names,
            labels=np.array([labels.get(name, -1) for name in names], dtype=np.int64),
            cohorts=np.array([cohorts.get(name, -1) for name in names], dtype=np.int64),
            outcome=outcome,
            n_cohorts=n_cohorts,
            covariates=None if not covariates else np.array([covariates[name] for name in names], dtype=np.float32),
            n_continuous=n_continuous,
            groups=None if groups is None else np.unique([groups[name] for name in names], return_inverse=True)[1],
            targets=None if targets is None else np.array([targets[name] for name in names], dtype=np.float64),
            blocks=tuple(int(n_features) for n_features in blocks),
            unit_interval=tuple(bool(value) for value in unit_interval),
        )

    @property
    def n_bags(self) -> int:
        """Number of bags."""
        return len(self.names)

    @property
    def n_outputs(self) -> int:
        """The number of classes, or 1 where a single number is predicted."""
        return len(self.outcome.outputs)

    @cached_property
    def n_labelled(self) -> int:
        """Number of bags whose outcome is known."""
        return int((self.labels >= 0).sum())

    @cached_property
    def n_labelled_patients(self) -> int:
        """Number of patients whose outcome is known: of groups, where a patient has several bags."""
        return self.n_labelled if self.groups is None else len(np.unique(self.groups[self.labels >= 0]))

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of cells of each bag."""
        return np.diff(self.offsets)

    @cached_property
    def bag_of_cell(self) -> np.ndarray:
        """Bag of each row of ``x``."""
        return np.repeat(np.arange(self.n_bags), self.sizes)

    @cached_property
    def cohort_onehot(self) -> np.ndarray:
        """``(n_bags, n_cohorts)`` float32; a row of zeros for a bag without a known cohort."""
        onehot = np.zeros((self.n_bags, self.n_cohorts), dtype=np.float32)
        known = self.cohorts >= 0
        onehot[np.flatnonzero(known), self.cohorts[known]] = 1
        return onehot

    @property
    def n_covariates(self) -> int:
        """Number of columns of ``covariates``."""
        return 0 if self.covariates is None else self.covariates.shape[1]

    @cached_property
    def bag_covariates(self) -> np.ndarray:
        """What the classifier reads of each patient beside the cells: one-hot cohort, then covariates; float32."""
        return self.cohort_onehot if self.covariates is None else np.hstack([self.cohort_onehot, self.covariates])

    @cached_property
    def pseudobulk(self) -> np.ndarray:
        """Mean of each feature over the cells of each bag, ``(n_bags, n_features)`` float64."""
        return np.add.reduceat(self.x.astype(np.float64), self.offsets[:-1], axis=0) / self.sizes[:, None]

    def by_representation(self) -> list[Bags]:
        """The same cells with each of the representations by itself."""
        if len(self.blocks) < 2:
            return [self]
        parts = zip(np.split(self.x, np.cumsum(self.blocks)[:-1], axis=1), self.unit_interval, strict=True)
        return [replace(self, x=np.ascontiguousarray(x), blocks=(), unit_interval=(unit,)) for x, unit in parts]

    def replicas(self, cv: object, *, n_seeds: int = 1, seed: int = 0) -> Replicas:
        """Split the patients; the arguments are those of :func:`tcellmil.cv.make_replicas`."""
        splitter = splitter_for(cv)
        self.outcome.targets_for(self.targets, 1)  # raises where they are missing
        return make_replicas(
            splitter,
            self.labels,
            names=self.names,
            cohorts=self.cohorts,
            groups=self.groups,
            residuals=self.outcome.null_residuals(self.labels, self.targets),
            strata=self.outcome.strata(self.labels, self.targets, self.groups, splitter.n_folds),
            n_seeds=n_seeds,
            seed=seed,
        )

    def bag(self, i: int) -> slice:
        """Rows of bag ``i``."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))

    def to_input_order(self, values: np.ndarray) -> np.ndarray:
        """Bring values, one per row of ``x``, back to the order of the input."""
        out = np.empty_like(values)
        out[self.order] = values
        return out
