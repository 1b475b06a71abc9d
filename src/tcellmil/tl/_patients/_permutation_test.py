"""Would labels without any meaning be predicted as well?"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, check_count
from tcellmil._docs import documented
from tcellmil._verbs import Result, verb
from tcellmil.outcomes._base import LOWER_IS_BETTER
from tcellmil.tl._patients._evaluate import evaluate

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil.cv import Replicas, Splitter
    from tcellmil.data import Bags
    from tcellmil.model._fitted_model import FittedModel
    from tcellmil.stats._arrangements import Arrangements

#: Replicas that are trained together, about.
BLOCK = 192
MAX_DRAWS = 1000
#: So few arrangements are said at the end: no p-value can be much below one over their number.
FEW = 1000
#: So many are as good as without end: a file holds their number as a float.
MOST = 10**300


@documented
@verb()
def permutation_test(
    adata: AnnData,
    n_permutations: int = 100,
    *,
    metric: str | None = None,
    within_cohorts: bool = True,
    seed: int = 0,
    key: str = _keys.TCELLMIL,
    key_added: str | None = None,
    progress: bool = True,
    copy: bool = False,
) -> Result:
    r"""Repeat the whole fit on permuted labels, for a p-value of the metric itself.

    Labels (or numbers, or times with their events) are shuffled among the labelled patients; splits that depend on them
    are drawn again, scaling, encoder and classifier are trained again, temperatures are fitted again where the fit
    was calibrated, and the out-of-fold metric is taken. With the metric m of the fit and :math:`m^*` of the
    permutations, :math:`p = (1 + \#\{m^* \ge m\}) / (1 + n)`. Unlike the bootstrap intervals, this includes all that
    training can do by chance. Replicas of several permutations train in one stack.

    With a ``group_key``, labels of a patient's samples are shuffled *within* the patient where they differ (before and
    after treatment, say), and patients whose samples have one label exchange it with each other. The number of
    different arrangements is reported: with five pairs there are 32, and no p-value can be much below 1/32.

    Reads what :func:`tcellmil.tl.fit_mil` wrote and the representation that it was fitted on, and uses its splits,
    seeds, network, training and calibration. The time is that of the fit times ``n_permutations``.

    Parameters
    ----------
    adata
        With a fitted model in ``uns[key]``.
    n_permutations
        Number of permutations; the smallest possible p is ``1 / (n_permutations + 1)``.
    metric
        One of those of the fit (:func:`tcellmil.get.metrics`); of errors, lower counts as better. By default AUROC,
        weighted kappa for ordered classes, Pearson's correlation for numbers, concordance for times to event.
    within_cohorts
        Shuffle labels within each cohort, where the model has cohorts: what is tested is then the prediction beyond
        what follows from the cohort.
    seed
        For the permutations.
    %(key)s
    key_added
        Name of what is written in ``uns``; ``f"{key}_permutation_test"`` by default.
    %(progress)s
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written to ``uns["tcellmil_permutation_test"]``: ``"null"``, one row per permutation
    with all metrics; ``"test"``, one row: ``metric``, ``value``, ``null_mean``, ``null_sd``, ``p``, ``n_permutations``,
    ``n_arrangements`` (how many different ones there are, the observed one among them); ``"params"``, the arguments.

    Raises
    ------
    KeyError, ValueError
        If there is no model, or labels cannot be permuted; ``adata`` is then unchanged.

    References
    ----------
    Ojala and Garriga (2010), Journal of Machine Learning Research 11, 1833; Phipson and Smyth (2010), Statistical
    Applications in Genetics and Molecular Biology 9, 39; Good (2005), Permutation, Parametric and Bootstrap Tests of
    Hypotheses, chapter 3 (permutations within blocks).

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> tm.tl.permutation_test(adata, n_permutations=4, progress=False)
    >>> tm.get.permutation_test(adata).columns.tolist()
    ['value', 'null_mean', 'null_sd', 'p', 'n_permutations', 'n_arrangements']
    """
    from tcellmil.model._open import open_fit

    n_permutations = check_count(n_permutations, "n_permutations")
    model, bags = open_fit(adata, key, whole=True)
    of_fit = adata.uns[key]["metrics"]
    metric = bags.outcome.metric_shown(list(of_fit["metric"]))[0] if metric is None else metric
    check_choice(metric, list(of_fit["metric"]), "metric")
    observed = float(of_fit.set_index("metric").loc[metric, "value"])
    if not np.isfinite(observed):
        raise ValueError(f"{metric!r} of {key!r} is not defined: all predictions are the same; there is no test")
    arrangements = _arrangements(bags, within_cohorts)
    null = _null(model, bags, arrangements, n_permutations, np.random.default_rng([seed, 5]), progress)

    sign = -1 if metric in LOWER_IS_BETTER else 1
    # Where the metric of a permutation is not defined, it counts as good.
    as_good = int((~(sign * null[metric] < sign * observed - 1e-12)).sum())
    test = {
        "metric": metric,
        "value": observed,
        "null_mean": null[metric].mean(),
        "null_sd": null[metric].std(ddof=1) if len(null) > 1 else np.nan,
        "p": (1 + as_good) / (1 + len(null)),
        "n_permutations": len(null),
        "n_arrangements": float(arrangements.n) if arrangements.n < MOST else np.inf,
    }
    message = (
        f"{metric} {observed:.2f}, with permuted labels {test['null_mean']:.2f} on average, "
        f"p = {test['p']:.3g} ({len(null)} permutations {arrangements.in_words()})"
    )
    if arrangements.n <= FEW:
        message += f"; there are only {arrangements.n} arrangements, so that p cannot be much below 1/{arrangements.n}"
    return Result({"null": null, "test": pd.DataFrame([test])}, message, {"metric": metric})


def _arrangements(bags: Bags, within_cohorts: bool) -> Arrangements:
    """In which ways the outcomes can be permuted."""
    from tcellmil.stats._arrangements import Arrangements

    columns = [bags.labels] if bags.targets is None else list(bags.targets.T)
    groups = np.arange(bags.n_bags) if bags.groups is None else bags.groups
    cohorts = bags.cohorts if within_cohorts and bags.n_cohorts else np.zeros_like(bags.cohorts)
    return Arrangements(np.column_stack(columns), bags.labels >= 0, groups, cohorts)


def _null(model: FittedModel, bags: Bags, arrangements: Arrangements, n: int, rng, progress: bool) -> pd.DataFrame:
    """Metrics of the whole fit under permuted labels, one row per permutation."""
    from tqdm.auto import tqdm

    from tcellmil.cv import Replicas
    from tcellmil.cv._splitters import splitter_of_record
    from tcellmil.fitted import FittedEnsemble, replica_probabilities
    from tcellmil.training import TrainingConfig, fit_ensemble, fit_temperatures

    splitter = splitter_of_record(model.training["cv"])
    training = TrainingConfig(**{f.name: model.training[f.name] for f in fields(TrainingConfig)})
    calibrated = model.training["calibration"] == "temperature"
    at_once = max(1, BLOCK // len(model.stack))
    rows = []
    with tqdm(total=n, desc="permutation_test", unit="permutation", disable=not progress) as bar:
        while len(rows) < n:
            drawn = [_permuted(model, bags, splitter, arrangements, rng) for _ in range(min(at_once, n - len(rows)))]
            labels = np.concatenate([np.repeat(own.labels[None], len(r), axis=0) for own, r in drawn])
            what = bags, Replicas.join([r for _, r in drawn]), model.stack.networks, training
            how = {"labels": labels, "progress": False}
            choice = {"single": model.training["ensemble"] == "best", "calibrated": calibrated}
            stack, *_ = fit_ensemble(*what, **how, **choice, targets=_targets(drawn))
            if calibrated and len(stack.members) == 1:
                temperature = fit_temperatures(*what[:2], model.stack.networks[0], training, **how)
                stack = FittedEnsemble.of(replace(stack.members[0], temperature=temperature))
            probabilities = np.split(replica_probabilities(stack, bags), np.cumsum([len(r) for _, r in drawn])[:-1])
            rows += [_measured(model, p, own, r) for p, (own, r) in zip(probabilities, drawn, strict=True)]
            bar.update(len(drawn))
    table = pd.DataFrame(rows)
    table.insert(0, "permutation", np.arange(len(table)))
    return table


def _targets(drawn: list[tuple[Bags, Replicas]]) -> np.ndarray | None:
    """Of numbers and times, what each replica trains on."""
    if drawn[0][0].targets is None:
        return None
    return np.concatenate([np.repeat(own.targets[None], len(r), axis=0) for own, r in drawn])


def _permuted(
    model: FittedModel, bags: Bags, splitter: Splitter | None, arrangements: Arrangements, rng
) -> tuple[Bags, Replicas]:
    """Permuted outcomes, and the splits that the fit's scheme makes of them."""
    group = np.arange(bags.n_bags) if bags.groups is None else bags.groups
    refused: ValueError | None = None
    for _ in range(MAX_DRAWS):
        row = arrangements.draw(rng)
        permuted = replace(bags, labels=bags.labels[row], targets=None if bags.targets is None else bags.targets[row])
        try:
            replicas = _splits(model, permuted, splitter)
            _check_trainable(model, permuted, replicas, group)
        except ValueError as error:  # these labels cannot be split or trained on; others may
            refused = error
            continue
        return permuted, replicas
    raise ValueError(
        "under permuted labels the folds hardly ever train on and hold out patients of every class; use other folds "
        f"(the last that was drawn: {refused})"
    ) from refused


def _check_trainable(model: FittedModel, bags: Bags, replicas: Replicas, group: np.ndarray) -> None:
    """Raise a ValueError unless every replica can be trained, and every class is held out by some."""
    # Temperatures are found by splitting the training patients of each replica once more.
    least = 2 if model.training["calibration"] or model.training["ensemble"] else 1
    sides = [(replicas.test.any(axis=0), 1), *((train, least) for train in replicas.train)]
    counts = [(group[side & (bags.labels == c)], n) for side, n in sides for c in range(bags.n_outputs)]
    if not all(len(np.unique(own)) >= n for own, n in counts):
        raise ValueError(f"a class has fewer than {least} patients on one side of a fold")
    targets = bags.outcome.targets_for(bags.targets, len(replicas))
    bags.outcome.check_replicas(targets, replicas.train, replicas.fold)


def _splits(model: FittedModel, bags: Bags, splitter: Splitter | None) -> Replicas:
    if splitter is None:
        return model.stack.replicas  # splits of the user's own do not depend on labels
    return bags.replicas(splitter, n_seeds=model.training["n_seeds"], seed=model.training["seed"])


def _measured(model: FittedModel, probabilities: np.ndarray, bags: Bags, replicas: Replicas) -> dict[str, float]:
    from tcellmil.fitted import pair_order
    from tcellmil.fitted._predict import mean_over_replicas

    order = pair_order(probabilities, replicas, bags.labels) if model.in_pairs else None
    return evaluate(bags, mean_over_replicas(probabilities), order)
