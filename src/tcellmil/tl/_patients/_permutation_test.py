"""Would labels without any meaning be predicted as well?"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, check_data
from tcellmil._log import logger
from tcellmil.tl._params import plain
from tcellmil.tl._patients._metrics import LOWER_IS_BETTER, main_metric, measure

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil.cv import Bags, Replicas
    from tcellmil.model import TcellMIL

#: Replicas that are trained together, about.
BLOCK = 192
MAX_DRAWS = 1000


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
) -> AnnData | None:
    r"""Repeat the whole fit on permuted labels, for a p-value of the metric itself.

    Labels (or numbers, or times with their events) are shuffled among the labelled patients; splits that depend on them
    are drawn again, scaling, encoder and classifier are trained again, temperatures are fitted again where the fit
    was calibrated, and the out-of-fold metric is taken. With the metric m of the fit and :math:`m^*` of the
    permutations, :math:`p = (1 + \#\{m^* \ge m\}) / (1 + n)`. Unlike the bootstrap intervals, this includes all that
    training can do by chance. Replicas of several permutations train in one stack.

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
        what the cohort tells.
    seed
        For the permutations.
    key
        Name of the fitted result.
    key_added
        Name of what is written in ``uns``; ``f"{key}_permutation_test"`` by default.
    progress
        Show a progress bar.
    copy
        Return a changed copy instead of changing ``adata``.

    Returns
    -------
    ``None``, or the changed copy. Written to ``uns["tcellmil_permutation_test"]``: ``"null"``, one row per permutation
    with all metrics; ``"test"``, one row: ``metric``, ``value``, ``null_mean``, ``null_sd``, ``p``, ``n_permutations``;
    ``"params"``, the arguments.

    Raises
    ------
    KeyError, ValueError
        If there is no model, or labels cannot be permuted; ``adata`` is then unchanged.

    References
    ----------
    Ojala and Garriga (2010), Journal of Machine Learning Research 11, 1833; Phipson and Smyth (2010), Statistical
    Applications in Genetics and Molecular Biology 9, 39.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, max_epochs=3, progress=False)
    >>> tm.tl.permutation_test(adata, n_permutations=4, progress=False)
    >>> tm.get.permutation_test(adata).columns.tolist()
    ['value', 'null_mean', 'null_sd', 'p', 'n_permutations']
    """
    check_data(adata)
    from tcellmil.get import model as get_model

    if isinstance(n_permutations, bool) or int(n_permutations) != n_permutations or n_permutations < 1:
        raise ValueError(f"n_permutations={n_permutations!r} must be a whole number of at least 1")
    model = get_model(adata, key=key)
    outcome = model.setup.outcome
    of_fit = adata.uns[key]["metrics"]
    metric = main_metric(outcome, of_fit)[0] if metric is None else metric
    check_choice(metric, list(of_fit["metric"]), "metric")
    observed = float(of_fit.set_index("metric").loc[metric, "value"])
    if not np.isfinite(observed):
        raise ValueError(f"{metric!r} of {key!r} is not defined: all predictions are the same; there is no test")
    _check_repeatable(model)
    bags = model.bags()
    cohorts = bags.cohorts if within_cohorts and bags.n_cohorts else np.zeros_like(bags.cohorts)
    rng = np.random.default_rng([seed, 5])
    null = _null(model, bags, cohorts, int(n_permutations), rng, progress)

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
    }
    adata = adata.copy() if copy else adata
    params = plain(n_permutations=n_permutations, metric=metric, within_cohorts=within_cohorts, seed=seed, key=key)
    key_added = _keys.of_fit(key, _keys.PERMUTATION_TEST) if key_added is None else key_added
    adata.uns[key_added] = {"null": null, "test": pd.DataFrame([test]), "params": params}
    logger.info(
        f"permutation_test: {metric} {observed:.2f}, with permuted labels {test['null_mean']:.2f} on average, "
        f"p = {test['p']:.3g} ({len(null)} permutations)"
    )
    return adata if copy else None


def _null(model: TcellMIL, bags: Bags, cohorts, n: int, rng, progress: bool) -> pd.DataFrame:
    """Metrics of the whole fit under permuted labels, a row a permutation."""
    from tqdm.auto import tqdm

    from tcellmil.cv import Replicas, TrainingConfig, fit_stack, fit_temperatures, replica_probabilities

    training = TrainingConfig(
        **{f.name: model.training[f.name] for f in fields(TrainingConfig) if f.name in model.training}
    )
    at_once = max(1, BLOCK // len(model.module))
    rows = []
    with tqdm(total=n, desc="permutation_test", unit="permutation", disable=not progress) as bar:
        while len(rows) < n:
            drawn = [_permuted(model, bags, cohorts, rng) for _ in range(min(at_once, n - len(rows)))]
            labels = np.concatenate([np.repeat(own.labels[None], len(r), axis=0) for own, r in drawn])
            what = bags, Replicas.join([r for _, r in drawn]), model.network, training
            how = {"unit_interval": model.setup.unit_interval, "labels": labels, "progress": False}
            stack, _ = fit_stack(*what, **how, targets=_targets(drawn))
            if model.training.get("calibration"):
                stack.temperature = fit_temperatures(*what, **how)
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


def _permuted(model: TcellMIL, bags: Bags, cohorts: np.ndarray, rng) -> tuple[Bags, Replicas]:
    """Outcomes shuffled within cohorts, and the splits that the model's scheme makes of them."""
    # Samples of one group share what makes them alike: they get a new label together.
    groups = np.arange(bags.n_bags) if bags.groups is None else bags.groups
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    of_bag = [bags.labels, cohorts] + ([] if bags.targets is None else [np.nan_to_num(bags.targets)])
    if any((values != values[first][group]).any() for values in of_bag):
        raise ValueError(
            "samples of one group have different labels or cohorts; such labels cannot be permuted by group"
        )
    # Temperatures are found by splitting the training patients of each replica once more.
    least = 2 if model.training.get("calibration") else 1
    refused: ValueError | None = None
    for _ in range(MAX_DRAWS):
        source = np.arange(len(first))
        for cohort in np.unique(cohorts):
            own = np.flatnonzero((cohorts[first] == cohort) & (bags.labels[first] >= 0))
            source[own] = rng.permutation(own)
        row = first[source][group]  # whose outcome each bag gets
        permuted = replace(bags, labels=bags.labels[row], targets=None if bags.targets is None else bags.targets[row])
        try:
            replicas = _splits(model, permuted)
        except ValueError as error:  # these labels cannot be split so; others may
            refused = error
            continue
        sides = [(replicas.test.any(axis=0), 1), *((train, least) for train in replicas.train)]
        counts = [(group[side & (permuted.labels == c)], n) for side, n in sides for c in range(bags.n_classes)]
        if all(len(np.unique(own)) >= n for own, n in counts) and _has_events(model, permuted, replicas):
            return permuted, replicas
    raise ValueError(
        "under permuted labels the folds hardly ever train on and hold out patients of every class; use other folds"
        + (f" (the last that was drawn: {refused})" if refused else "")
    ) from refused


def _has_events(model: TcellMIL, bags: Bags, replicas: Replicas) -> bool:
    """Two events among the training patients of every replica, where the outcome is a time to event."""
    if model.setup.outcome != "survival":
        return True
    return bool((replicas.train @ np.nan_to_num(bags.targets[:, 1]) >= 2).all())


def _check_repeatable(model: TcellMIL) -> None:
    """Raise where the null would not be made as the fit was."""
    from tcellmil.cv._splits import SCHEMES

    cv = model.training["cv"]
    if cv not in (*SCHEMES, "custom") and not cv.isdigit():
        raise ValueError(
            f"the model was fitted with a {cv}, whose splits may depend on the labels and cannot be drawn again; "
            "fit with a number of folds, such as cv=5, or with splits by name"
        )


def _splits(model: TcellMIL, bags: Bags) -> Replicas:
    from tcellmil.cv import make_replicas, null_residuals, strata
    from tcellmil.cv._splits import SCHEMES

    cv = model.training["cv"]
    if cv not in SCHEMES and not cv.isdigit():
        return model.module.replicas  # splits of the user's own do not depend on labels
    cv = int(cv) if cv.isdigit() else cv
    return make_replicas(
        cv,
        bags.labels,
        names=bags.names,
        cohorts=bags.cohorts,
        groups=bags.groups,
        residuals=null_residuals(bags, model.setup.outcome),
        strata=strata(bags, model.setup.outcome, cv),
        n_seeds=model.training["n_seeds"],
        seed=model.training["seed"],
    )


def _measured(model: TcellMIL, probabilities: np.ndarray, bags: Bags, replicas: Replicas) -> dict[str, float]:
    from tcellmil.cv import pair_order
    from tcellmil.cv._out_of_fold import mean_over_replicas

    order = pair_order(probabilities, replicas, bags.labels) if model.training["cv"] == "leave_pair_out" else None
    return measure(model.setup.outcome, bags, mean_over_replicas(probabilities), order)
