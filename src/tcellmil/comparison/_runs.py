"""Methods on the same splits, and the tables that compare them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tcellmil.fitted._predict import mean_over_replicas, pair_order

from ._methods import Method, Problem


@dataclass(frozen=True)
class Run:
    """What one method predicted.

    Parameters
    ----------
    method, rep, kind
        Its name, the representation that it read, if any, and the kind of method.
    probabilities
        ``(n_replicas, n_bags, n_classes)``, NaN where the replica did not hold the bag out.
    seconds
        Time of training and prediction.
    encoders
        The method whose fitted encoders were used again, if any.
    options
        What it was run with, as JSON.
    """

    method: str
    rep: str
    kind: str
    probabilities: np.ndarray
    seconds: float
    encoders: str = ""
    options: str = "{}"

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean over the replicas that held each bag out, ``(n_bags, n_classes)``."""
        return mean_over_replicas(self.probabilities)


def run_method(method: Method, problem: Problem, rep: str = "") -> Run:
    """Train a method and predict the patients that each replica held out."""
    start = time.perf_counter()
    fitted = method.fit(problem, rep)
    probabilities = fitted.predict()
    seconds = time.perf_counter() - start
    return Run(method.name, rep, method.kind, probabilities, seconds, fitted.encoders, json.dumps(fitted.record))


def compare_runs(
    runs: Sequence[Run],
    reference: Run,
    problem: Problem,
    *,
    in_pairs: bool,
    of_pairs: Mapping[tuple[str, str], pd.DataFrame] | None = None,
    n_boot: int,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Metrics of each run with intervals, and its paired differences to the reference.

    Parameters
    ----------
    runs, reference
        What was predicted; the reference is one of the runs.
    problem
        What the methods were given.
    in_pairs
        The splits left pairs out, whose order is what counts.
    of_pairs
        Further rows by method and representation, which are not compared with the reference.
    n_boot, n_permutations, seed
        Resamples for intervals; exchanges for p-values; for both.

    Returns
    -------
    One row per run and metric, as :func:`tcellmil.tl.benchmark` documents it.
    """
    from tcellmil.stats import bootstrap_metrics, compare_predictions

    bags = problem.patients
    evaluated = (bags.labels >= 0) & np.isfinite(reference.mean).all(axis=1)
    y = bags.labels[evaluated]
    groups = None if bags.groups is None else bags.groups[evaluated]
    tables = []
    for run in runs:
        order = pair_order(run.probabilities, problem.replicas, bags.labels) if in_pairs else None
        table = bootstrap_metrics(y, run.mean[evaluated], n_boot=n_boot, seed=seed, pair_order=order, groups=groups)
        table.insert(0, "method", run.method)
        table.insert(1, "rep", run.rep)
        tables.append((table, run))
    base = next(table for table, run in tables if run is reference)
    options = {"n_boot": n_boot, "n_permutations": n_permutations, "seed": seed, "groups": groups}
    for table, run in tables:
        table["difference"] = table["value"] - base["value"]
        compared = compare_predictions(y, run.mean[evaluated], reference.mean[evaluated], in_pairs=in_pairs, **options)
        table[list(compared)] = compared
        if run is reference:
            table[["difference", "difference_ci_low", "difference_ci_high", "p"]] = np.nan
            table["test"] = ""
    parts = []
    for table, run in tables:
        further = (of_pairs or {}).get((run.method, run.rep), pd.DataFrame())
        parts += [table, further.assign(method=run.method, rep=run.rep, test="")] if len(further) else [table]
    return pd.concat(parts, ignore_index=True)


def describe_runs(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run: what was run, how long it took and with which options."""
    columns = ("method", "rep", "kind", "seconds", "encoders", "options")
    return pd.DataFrame([{name: getattr(run, name) for name in columns} for run in runs])


def predictions_of_runs(runs: Sequence[Run], problem: Problem) -> pd.DataFrame:
    """One row per run and patient."""
    bags = problem.patients
    tables = []
    for run in runs:
        seen = np.isfinite(run.mean).all(axis=1)
        columns = bags.outcome.columns(bags.labels, bags.targets, run.mean, np.zeros(bags.n_bags), seen)
        columns.pop("prob_sd")
        front = {"method": run.method, "rep": run.rep, "patient": bags.names.astype(object)}
        tables.append(pd.DataFrame({**front, **columns}))
    return pd.concat(tables, ignore_index=True)
