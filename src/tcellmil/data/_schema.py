"""What is learned of a cohort: which classes, cohorts, categories and features there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tcellmil._checks import check_choice, some
from tcellmil._log import warn
from tcellmil.outcomes import OUTCOMES, Outcome

from ._bags import Bags
from ._fields import Fields
from ._read import Cohort
from ._representations import are_unit_intervals, described, joint_features, labels, match_features


@dataclass(frozen=True)
class Schema:
    """What a model knows of its data; plain values only, so that it can be written as JSON.

    Parameters
    ----------
    fields
        What is read, with ``use_rep`` and ``scaling`` as they were found, one for each representation.
    outcome
        What is predicted.
    cohorts
        Cohorts that the networks know.
    categories
        Known values of each categorical covariate.
    features
        Names of the columns of all representations side by side, as
        :func:`~tcellmil.data._representations.joint_features` makes them; empty where a single one has none.
    n_features
        Number of columns of each representation.
    scores
        Checksum of each representation that :func:`tcellmil.tl.regulons` scored, empty for all others.
    """

    fields: Fields
    outcome: Outcome
    cohorts: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    features: tuple[str, ...]
    n_features: tuple[int, ...]
    scores: tuple[str, ...]

    @classmethod
    def learn(cls, cohort: Cohort, fields: Fields, outcome: Outcome | None = None) -> Schema:
        """Check a cohort for training and describe it.

        Parameters
        ----------
        cohort, fields
            What was read.
        outcome
            Where it is known, and not to be learned; numbers of patients are then not checked.

        Raises
        ------
        ValueError, TypeError
            If its outcomes or values cannot be trained on; the message says which and what to do.
        """
        table, parts = cohort.patients, cohort.representations
        if outcome is None:
            outcome = fields.outcome_type.learn(table, {**fields.as_dict(), "levels": cohort.levels})
        for part in parts:
            part.check_finite()
        units = are_unit_intervals(parts, fields.scaling)
        order = fields.class_order
        return cls(
            fields=replace(
                fields,
                use_rep=cohort.places,
                scaling=tuple("unit_interval" if unit else "standard" for unit in units),
                class_order=None if order is None else tuple(str(name) for name in order),
            ),
            outcome=outcome,
            cohorts=tuple(sorted(table["batch"].unique())) if fields.batch_key is not None else (),
            categories=tuple(
                tuple(sorted(table[f"categorical:{key}"].unique())) for key in fields.categorical_covariate_keys
            ),
            features=tuple(joint_features(parts)),
            n_features=tuple(part.n_features for part in parts),
            scores=tuple(part.checksum for part in parts),
        )

    def encode(self, cohort: Cohort, *, new: bool = False, strict: bool = False) -> Bags:
        """Patients as bags of cells.

        Parameters
        ----------
        cohort
            As it was read with the same fields.
        new
            New patients: classes, cohorts and categories may be unknown, and outcomes that cannot be used are left out
            with a warning.
        strict
            Such outcomes are an error too.

        Raises
        ------
        ValueError
            If features are missing, values are not finite, or a cohort that is not new holds what was not learned.
        """
        table = cohort.patients
        parts = match_features(self.features, self.n_features, cohort.representations)
        for part in parts:
            part.check_finite()
        if not new:
            self._check_known(table)
            self._check_scores(cohort)
        code = {name: i for i, name in enumerate(self.cohorts)}
        codes, targets = self._outcomes(table, new, strict)
        return Bags.from_cells(
            parts[0].x if len(parts) == 1 else np.hstack([part.x for part in parts]),
            cohort.sample,
            cohort.cells,
            outcome=self.outcome,
            labels=dict(zip(table.index, codes, strict=True)),
            targets=None if targets is None else dict(zip(table.index, targets, strict=True)),
            cohorts={name: code.get(batch, -1) for name, batch in table["batch"].items()} if self.cohorts else {},
            n_cohorts=len(self.cohorts),
            covariates=self._covariates(table),
            n_continuous=len(self.fields.continuous_covariate_keys),
            groups=table["group"].to_dict() if "group" in table else None,
            blocks=self.n_features,
            unit_interval=[scaling == "unit_interval" for scaling in self.fields.scaling],
        )

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return {
            "fields": self.fields.as_dict(),
            "outcome": self.outcome.as_dict(),
            "cohorts": self.cohorts,
            "categories": self.categories,
            "features": self.features,
            "n_features": self.n_features,
            "scores": self.scores,
        }

    @classmethod
    def from_dict(cls, values: Mapping) -> Schema:
        """Inverse of :meth:`as_dict`, after a trip through JSON."""
        return cls(
            fields=Fields.from_dict(values["fields"]),
            outcome=OUTCOMES[values["outcome"]["kind"]].from_dict(values["outcome"]),
            cohorts=tuple(values["cohorts"]),
            categories=tuple(tuple(levels) for levels in values["categories"]),
            features=tuple(values["features"]),
            n_features=tuple(values["n_features"]),
            scores=tuple(values["scores"]),
        )

    def check(self) -> None:
        """Raise a ValueError where the parts contradict each other, as no cohort makes them."""
        keys, n = self.fields, len(self.fields.use_rep)
        if isinstance(keys.use_rep, str | Mapping) or isinstance(keys.scaling, str) or n < 1:
            raise ValueError(f"use_rep={keys.use_rep!r} and scaling={keys.scaling!r} must each be a list")
        if len(set(keys.use_rep)) < n:
            raise ValueError(f"use_rep names a representation twice: {some(keys.use_rep)}")
        if not len(keys.scaling) == len(self.n_features) == len(self.scores) == n:
            found = (
                f"{len(keys.scaling)} scalings, {len(self.n_features)} numbers of features, {len(self.scores)} scores"
            )
            raise ValueError(f"there are {n} representations, with {found}")
        for scaling in keys.scaling:
            check_choice(scaling, ("unit_interval", "standard"), "scaling")
        if len(self.features) not in ((0, sum(self.n_features)) if n == 1 else (sum(self.n_features),)):
            raise ValueError(f"there are {sum(self.n_features)} features with {len(self.features)} names")
        start = 0
        for label, n_features in zip(labels(keys.use_rep) if n > 1 else [], self.n_features, strict=False):
            own, start = self.features[start : start + n_features], start + n_features
            other = [name for name in own if not name.startswith(f"{label}:")]
            if other:
                raise ValueError(f"features {some(other, 3)} are not of the representation {label!r}")
        if bool(self.cohorts) != (keys.batch_key is not None):
            raise ValueError(f"batch_key is {keys.batch_key!r}, with {len(self.cohorts)} cohorts")
        if len(self.categories) != len(keys.categorical_covariate_keys):
            names = some(keys.categorical_covariate_keys)
            raise ValueError(f"categorical covariates {names} have {len(self.categories)} lists of categories")
        for what, levels in (("cohorts", self.cohorts), *(("categories", levels) for levels in self.categories)):
            if list(levels) != sorted(set(levels)) or (what == "categories" and not levels):
                raise ValueError(f"{what} {some(levels)} are not different names in alphabetical order")
        self.outcome.check_learned(keys.as_dict())

    def _outcomes(self, table: pd.DataFrame, new: bool, strict: bool) -> tuple[np.ndarray, np.ndarray | None]:
        if "label" not in table:
            return np.full(len(table), -1), None
        try:
            return self.outcome.encode(table)
        except ValueError as error:
            if not new or strict:
                raise
            warn(f"outcomes of the new patients are left out: {error}")
            return np.full(len(table), -1), None

    def check_classes(self, cohort: Cohort) -> None:
        """Raise a ValueError where new patients are of classes that were not learned: nothing can be right of them."""
        labels = cohort.patients.get("label", pd.Series(dtype=object))
        other = labels.notna() & ~labels.isin(self.outcome.outputs)
        if self.outcome.has_classes and other.any():
            names, key = list(labels[other].unique()), self.fields.label_key
            column = f"adata.obs[{key!r}]"
            raise ValueError(
                f"label_key {key!r} is {some(names, 3)} for patients {some(labels.index[other])}, the model knows the "
                f"classes {some(self.outcome.outputs)}; give them the model's names, or predict these patients without "
                f"a label: {column} = {column}.astype(object).replace({names}, float('nan'))"
            )

    def _covariates(self, table: pd.DataFrame) -> dict[str, np.ndarray] | None:
        """Numbers, then one-hot categories of each patient; a category that is not known is all zeros."""
        columns = [table[f"continuous:{key}"] for key in self.fields.continuous_covariate_keys]
        for key, levels in zip(self.fields.categorical_covariate_keys, self.categories, strict=True):
            columns += [(table[f"categorical:{key}"] == level).astype(float) for level in levels]
        if not columns:
            return None
        return dict(zip(table.index, np.column_stack(columns), strict=True))

    def _check_scores(self, cohort: Cohort) -> None:
        """Raise where regulons have been scored anew, which gives other predictions."""
        for part, before in zip(cohort.representations, self.scores, strict=True):
            if before and part.checksum and part.checksum != before:
                raise ValueError(
                    f"the regulons of {described(part.place)} have been scored anew since the model was fitted; "
                    "fit it again, or score them as before"
                )

    def _check_known(self, table: pd.DataFrame) -> None:
        """Raise where patients have classes, cohorts or categories that were not learned."""
        known: list[tuple[str, str, str, Sequence[str]]] = []
        if self.outcome.has_classes:
            known.append(("label", "label_key", self.fields.label_key, self.outcome.outputs))
        if self.fields.batch_key is not None:
            known.append(("batch", "batch_key", self.fields.batch_key, self.cohorts))
        for key, levels in zip(self.fields.categorical_covariate_keys, self.categories, strict=True):
            known.append((f"categorical:{key}", "categorical_covariate_keys", key, levels))
        for column, argument, key, levels in known:
            values = table[column]
            other = values.notna() & ~values.isin(levels)
            if other.any():
                raise ValueError(
                    f"{argument} {key!r} is {some(values[other].unique(), 3)} for patients "
                    f"{some(values.index[other])}, "
                    f"the model was set up with {some(levels)}; set it up and fit it again"
                )
