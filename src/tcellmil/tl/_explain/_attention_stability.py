"""How far attention and regulators agree between the replicas of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._docs import documented
from tcellmil._log import warn
from tcellmil._verbs import Result, verb

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil.data import Bags
    from tcellmil.fitted import FittedEnsemble
    from tcellmil.model._fitted_model import FittedModel

CHUNK_VALUES = 2e7  # cells x features x replicas that attention is computed for at once


@documented
@verb()
def attention_stability(
    adata: AnnData,
    *,
    n_top: int = 10,
    n_mad: float = 3,
    target_class: str | None = None,
    key: str = _keys.TCELLMIL,
    key_added: str | None = None,
    copy: bool = False,
) -> Result:
    r"""Compare attention and the most important regulators between seeds and between folds.

    A network trained again from another seed, or on other patients, may attend to other cells and rest on other
    regulators, and predict as well. What a single run shows is worth as much as the runs agree on it.

    *Attention*, for each patient, Spearman's correlation over the patient's cells. Across seeds: between the runs, the
    attention of a run being the mean over its replicas that held the patient out, as :func:`tcellmil.tl.fit_mil`
    reports it. Across folds: between that and each replica of the same run that was trained on the patient.

    *Regulators*: the importance of a regulon for a replica is the mean, over the patients that the replica held out, of
    half the difference between the probability with the regulon shifted up and shifted down by ``n_mad`` median
    absolute deviations, or what :func:`tcellmil.tl.perturb` takes where that is 0; above 0, a higher activity goes with
    a higher probability. Where the outcome is a number or a time to event, it is the number, in its own units, or the
    log hazard. Across seeds, runs are compared, the importance for a run being the mean over its patients; across
    folds, the replicas of a run, averaged over runs. The order of regulons is compared by Spearman's correlation and
    Kendall's W, the ``n_top`` regulons of largest absolute importance by their overlap
    (:func:`tcellmil.stats.rank_agreement`).

    To read it: the replicas of different folds share most of their training patients, which makes them agree on
    attention; but each predicts other patients, so that with leave-one-out disagreement on the regulators is also a
    difference between patients. Where folds are random, seeds differ in the training patients, too. Runs that agree
    may agree on something wrong; those that do not cannot all be right.

    It takes about as long as :func:`tcellmil.tl.perturb` on all regulons.

    Parameters
    ----------
    adata
        With a fitted model in ``uns[key]``, of several seeds or several folds.
    n_top
        Size of the top, at least 1. An overlap means little where it is a large part of all regulons: compare with
        ``top_overlap_chance``.
    n_mad
        Size of the shift in median absolute deviations over all cells, above 0.
    target_class
        The class whose probability is followed; the positive one by default. Without meaning for other outcomes.
    %(key)s
    key_added
        Name of what is written; ``f"{key}_attention_stability"`` by default.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written to ``uns["tcellmil_attention_stability"]``:

    - ``attention``: one row per patient and ``across`` (``"seeds"``, ``"folds"``) with ``n_pairs``, ``spearman`` (mean
      over pairs), ``spearman_min``; NaN where attention is the same in all cells of the patient. Patients without a
      label were trained on by none and have no row for the folds;
    - ``regulators``: one row for ``"seeds"`` and one for ``"folds"`` with ``n_groups`` (runs; replicas), ``n_pairs``,
      ``spearman_mean``, ``spearman_min``, ``kendall_w``, ``top_overlap``, ``top_overlap_chance``, ``n_top``,
      ``n_regulons`` (that can be shifted: not the same in all cells);
    - ``top``: one row per regulon for ``"seeds"``, ``"folds"``, the most important first, with ``importance`` (mean
      over runs; over replicas), ``sd``, ``share_top`` (of the runs or replicas, those that have it in their top) and
      ``sign_agreement`` (those with the sign of the mean);
    - ``params``: the arguments, ``outcome``, and the numbers of seeds, replicas and regulons that cannot be shifted.

    With one seed there are no rows for the seeds, and with one fold none for the folds; a warning says so.

    Raises
    ------
    KeyError
        If there is no fitted model under ``key``; ``adata`` is then unchanged, as on every error.
    ValueError
        If there is a single replica or none held a patient out, or a number is out of its range.

    References
    ----------
    Jain & Wallace (2019), Attention is not explanation, NAACL; Kendall & Babington Smith (1939), Annals of Mathematical
    Statistics 10, 275.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, n_seeds=2, training={"max_epochs": 3}, progress=False)
    >>> tm.tl.attention_stability(adata)
    >>> tm.get.attention_stability(adata).groupby("across").size().to_dict()
    {'folds': 6, 'seeds': 6}
    """
    from tcellmil.model._open import open_fit
    from tcellmil.stats._replica_agreement import importance_by_rater, regulator_agreement, top_regulators

    if n_top < 1:
        raise ValueError(f"n_top={n_top!r} must be at least 1")
    if not np.isfinite(n_mad) or n_mad <= 0:
        raise ValueError(f"n_mad={n_mad!r} must be above 0")
    model, bags = open_fit(adata, key)
    code = model.class_code(target_class)
    run_of_replica = _runs(model, key)
    names = model.feature_names()

    attention = _attention(model.stack, bags, run_of_replica)
    replica, patient, changes, movable = _changes(model.stack, bags, code, n_mad)
    if movable.sum() < 2:
        warn(
            f"{int(movable.sum())} of {len(names)} regulons can be shifted, the others have a deviation of 0; "
            "there is no order of regulons to compare",
        )
    groups = importance_by_rater(run_of_replica, replica, patient, changes)
    regulators = regulator_agreement(groups, n_top)
    parts = {
        "attention": attention,
        "regulators": regulators,
        "top": top_regulators(groups, names[movable], n_top),
    }
    params = {
        "target_class": bags.outcome.outputs[code],
        "outcome": bags.outcome.kind,
        "n_seeds": len(np.unique(run_of_replica)),
        "n_replicas": len(run_of_replica),
        "n_unmovable": int((~movable).sum()),
    }
    return Result(parts, _summary(attention, regulators), params)


def _runs(model: FittedModel, key: str) -> np.ndarray:
    """The run of each replica, from 0; one run a seed."""
    replicas = model.stack.replicas
    run_of_replica = np.unique(replicas.seed, return_inverse=True)[1]
    judging = run_of_replica[replicas.test.any(axis=1)]
    if not len(judging):
        raise ValueError(f"no replica of the model under {key!r} held out a patient; fit with cv='rebalanced_loo'")
    n_runs, n_folds = len(np.unique(judging)), np.bincount(judging).max()
    if n_runs == n_folds == 1:
        raise ValueError(
            f"the model under {key!r} has a single replica that held out patients, with which nothing can be compared; "
            "fit again with n_seeds=3, or with several folds, cv='rebalanced_loo'"
        )
    if n_runs == 1:
        warn("nothing to compare across seeds; for that, fit again with n_seeds=3")
    if n_folds == 1:
        warn("nothing to compare across folds; for that, fit again with several")
    return run_of_replica


def _attention(stack: FittedEnsemble, bags: Bags, run_of_replica: np.ndarray) -> pd.DataFrame:
    """Rank correlations of the attention of each patient, across seeds and across folds."""
    from tcellmil.stats._rank_agreement import spearman

    of_run = np.full((run_of_replica.max() + 1, len(bags.x)), np.nan)  # out of fold, (run, cell)
    folds = [[] for _ in bags.names]
    at_once = max(1, int(CHUNK_VALUES / (bags.sizes.max() * stack.n_features)))
    for run in range(len(of_run)):
        index = np.flatnonzero(run_of_replica == run)
        own = stack.replicas[index]
        pieces = [stack.select(index[start : start + at_once]) for start in range(0, len(index), at_once)]
        for i in np.flatnonzero(own.test.any(axis=0)):
            attention = np.concatenate([piece.predict_bag(bags, i)[1] for piece in pieces]).astype(float)
            held_out = attention[own.test[:, i]].mean(axis=0)
            of_run[run, bags.bag(i)] = held_out
            folds[i].append(spearman(held_out[None], attention[own.train[:, i]])[0])
    rows = []
    for i, patient in enumerate(bags.names):
        runs = of_run[:, bags.bag(i)]
        runs = runs[np.isfinite(runs).all(axis=1)]
        seeds = spearman(runs, runs)[np.triu_indices(len(runs), 1)]
        for across, rho in (("seeds", seeds), ("folds", np.concatenate([*folds[i], np.empty(0)]))):
            if not len(rho):
                continue
            rho = rho[np.isfinite(rho)]
            mean, lowest = (rho.mean(), rho.min()) if len(rho) else (np.nan, np.nan)
            rows.append((str(patient), across, len(rho), mean, lowest))
    table = pd.DataFrame(rows, columns=["patient", "across", "n_pairs", "spearman", "spearman_min"])
    return table.sort_values("across", ascending=False, kind="stable", ignore_index=True)  # seeds first


def _changes(
    stack: FittedEnsemble, bags: Bags, code: int, n_mad: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Replica and patient of each row of ``(row, movable feature)`` changes, these, and which features are movable."""
    from tcellmil.fitted import shift_units

    units, _ = shift_units(bags.x)
    movable = units > 0
    # Patients without a label are held out by every replica: with them, folds would share patients.
    evaluated = stack.replicas.test & (bags.labels >= 0)
    replica, patient = np.nonzero(evaluated)
    changes = np.zeros((len(replica), movable.sum()))
    for k in np.unique(replica):
        up, down = _shifted(stack.select(np.array([k])), bags, movable, n_mad * units[movable], evaluated[[k]])
        changes[replica == k] = ((up - down) / 2)[:, evaluated[k], code].T
    return replica, patient, changes, movable


def _shifted(
    stack: FittedEnsemble, bags: Bags, movable: np.ndarray, size: np.ndarray, shown_to: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions ``(feature, bag, class)`` with each feature shifted up and down; NaN for bags that none sees."""
    from tcellmil.fitted import perturb_bags

    features = np.tile(np.flatnonzero(movable), 2)[:, None]
    amounts = np.repeat(np.concatenate([size, -size])[:, None, None], bags.n_bags, axis=1)
    probabilities = perturb_bags(stack, bags, features, amounts, np.ones(len(bags.x), dtype=bool), shown_to)[1]
    return probabilities[: len(size)], probabilities[len(size) :]


def _summary(attention: pd.DataFrame, regulators: pd.DataFrame) -> str:
    parts = []
    for row in regulators.itertuples():
        rho = attention.loc[attention["across"] == row.across, "spearman"].dropna()
        median = rho.median() if len(rho) else np.nan
        parts.append(
            f"across {row.across}, attention Spearman {median:.2f} (median of {len(rho)} patients), "
            f"regulators {row.spearman_mean:.2f}, top {row.n_top} shared {row.top_overlap:.2f} "
            f"(by chance {row.top_overlap_chance:.2f})"
        )
    return "; ".join(parts)
