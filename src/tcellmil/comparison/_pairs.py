"""AUROC over pairs of patients that were held out together, beside the AUROC of pooled predictions.

Predictions of different folds are made by different classifiers, and pooled leave-one-out ranks them against each
other. A classifier that has nothing to go by leans to the class that its training patients have more of, or to their
mean, which the held-out patient moves away from itself: its pooled AUROC falls below 0.5. Over pairs that one
classifier predicts (Airola et al., Comput. Stat. Data Anal. 2011) it does not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from tcellmil.cv._splitters import LeavePairOut, Splitter

from ._methods import Method, Problem, SimpleMethod

#: Name of the metric.
AUROC_OF_PAIRS = "auroc_pairs"
#: Methods are trained on up to this many pairs, which takes some seconds ...
MAX_PAIRS = 400
#: ... but for these, which take 20 times as long as the others.
SLOW = ("random_forest", "gradient_boosting")


def problem_of_pairs(problem: Problem, splitter: Splitter, seed: int) -> Problem | None:
    """The same patients held out in pairs; ``None`` where splits are in pairs already, or there are not two classes."""
    patients = problem.patients
    if splitter.in_pairs or patients.n_outputs != 2:
        return None
    return replace(problem, replicas=patients.replicas(LeavePairOut(), n_seeds=1, seed=seed), encoders={})


def auroc_of_pairs(method: Method, rep: str, problem: Problem, *, n_boot: int, seed: int) -> pd.DataFrame:
    """One row: the share of pairs that were ranked rightly, with a bootstrap interval over patients.

    Empty where it takes long: of networks, forests and boosted trees, and of more pairs than above.
    """
    from tcellmil.fitted import pair_order
    from tcellmil.stats import bootstrap_metrics

    if not isinstance(method, SimpleMethod) or method.name in SLOW or len(problem.replicas) > MAX_PAIRS:
        return pd.DataFrame()
    patients = problem.patients
    known = patients.labels >= 0
    order = pair_order(method.fit(problem, rep).predict(), problem.replicas, patients.labels)
    groups = None if patients.groups is None else patients.groups[known]
    no_score = np.full((known.sum(), 2), 0.5)  # only the order within pairs counts
    options = {"n_boot": n_boot, "seed": seed, "pair_order": order, "groups": groups}
    table = bootstrap_metrics(patients.labels[known], no_score, **options)
    return table[table["metric"] == "auroc"].assign(metric=AUROC_OF_PAIRS)
