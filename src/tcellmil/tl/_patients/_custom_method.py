"""A method that the user brings to a comparison."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import some
from tcellmil.comparison._methods import Fitted, Method, Problem
from tcellmil.data._fields import Fields
from tcellmil.tl._patients._predicted import OF_CELLS

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class CustomMethod(Method):
    """A function of the cells of training patients, and of the held-out ones without their labels.

    Parameters
    ----------
    name
        How it is called.
    function
        As :func:`tcellmil.tl.benchmark` documents it.
    adata, use_reps, fields
        The cells, the representations that the function may see, and the keys.
    """

    name: str
    function: Callable[..., pd.DataFrame]
    adata: AnnData
    use_reps: Sequence[str]
    fields: Fields
    kind: ClassVar[str] = "custom"

    @property
    def rep(self) -> str:
        """What the function reads, where it is an adapter that says so."""
        return getattr(self.function, "use_rep", "")

    def fit(self, problem: Problem, rep: str) -> FittedCustom:
        """Call the function once per fold and seed."""
        bags, replicas = problem.patients, problem.replicas
        takes_seed = "seed" in _arguments(self.function)
        sample = self.adata.obs[self.fields.sample_key].astype(str)
        classes = list(bags.outcome.outputs)
        found = np.full((len(replicas), bags.n_bags, bags.n_outputs), np.nan)
        for k in range(len(replicas)):
            patients = [bags.names[side[k]] for side in (replicas.train, replicas.test)]
            train, test = (_cells_of(self.adata, sample.isin(names), self.use_reps) for names in patients)
            del test.obs[self.fields.label_key]
            table = self.function(train, test, **({"seed": int(replicas.seed[k])} if takes_seed else {}))
            found[k, replicas.test[k]] = self._checked(table, pd.Index(patients[1]), classes)
        # An adapter says with which options it trains.
        return FittedCustom(found, dict(getattr(self.function, "options", {})))

    def _checked(self, table: pd.DataFrame, patients: pd.Index, classes: list[str]) -> np.ndarray:
        if (
            not isinstance(table, pd.DataFrame)
            or not set(classes) <= set(table)
            or not patients.isin(table.index).all()
        ):
            raise ValueError(
                f"custom method {self.name!r} must return a DataFrame with a row for each of the patients "
                f"{some(patients)} and columns {some(classes)}"
            )
        return table.loc[patients, classes].to_numpy()


@dataclass(frozen=True)
class FittedCustom(Fitted):
    """What the function predicted."""

    probabilities: np.ndarray
    record: dict

    def predict(self) -> np.ndarray:
        """As :meth:`Fitted.predict`."""
        return self.probabilities


def _arguments(function: Callable) -> Sequence[str]:
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:  # some functions that are not written in Python do not say
        return []


def _cells_of(adata: AnnData, mask: pd.Series, use_reps: list[str]) -> AnnData:
    """Some cells, their expression, ``obs`` and ``use_reps``; results of earlier fits saw labels and stay behind."""
    part = adata[mask.to_numpy()].copy()
    written = {name for key in adata.uns for name in (key, *(_keys.of_fit(key, what) for what in OF_CELLS))}
    part.obs = part.obs.drop(columns=[column for column in part.obs if column in written])
    for key in set(part.obsm) - set(use_reps):
        del part.obsm[key]
    part.uns.clear()
    return part
