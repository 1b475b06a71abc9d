"""Do the replicas of a model rest on the same regulators?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tcellmil.stats._rank_agreement import rank_agreement, top_items


def importance_by_rater(
    run_of_replica: np.ndarray, replica: np.ndarray, patient: np.ndarray, changes: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """Importance, ``(rater, regulon)``: across seeds one table of the runs, across folds one of replicas for each run.

    Parameters
    ----------
    run_of_replica
        Run of each replica, ``(n_replicas,)``.
    replica, patient
        Of each row of ``changes``, ``(n_rows,)``.
    changes
        Change of the prediction when each regulon is shifted, ``(n_rows, n_regulons)``.
    """
    run = run_of_replica[replica]
    rows = pd.DataFrame(changes)
    by_patient = rows.groupby([run, patient]).mean()
    by_run = by_patient.groupby(level=0).mean().to_numpy()
    by_replica = rows.groupby(replica).mean()
    run_of_row = run_of_replica[by_replica.index]
    folds = [by_replica.to_numpy()[run_of_row == r] for r in np.unique(run_of_row)]
    groups = {"seeds": [by_run], "folds": folds}
    groups = {across: [table for table in tables if len(table) > 1] for across, tables in groups.items()}
    return {across: tables for across, tables in groups.items() if tables}


def regulator_agreement(groups: dict[str, list[np.ndarray]], n_top: int) -> pd.DataFrame:
    """One row for seeds, one for folds: :func:`rank_agreement` of the raters, averaged over the tables."""
    rows = []
    for across, tables in groups.items():
        runs = pd.DataFrame([rank_agreement(table, n_top) for table in tables])
        rows.append(
            {
                "across": across,
                "n_groups": sum(map(len, tables)),
                "n_pairs": int(runs["n_pairs"].sum()),
                "spearman_mean": runs["spearman_mean"].mean(),
                "spearman_min": runs["spearman_min"].min(),
                **runs[["kendall_w", "top_overlap", "top_overlap_chance"]].mean(),
                "n_top": int(n_top),
                "n_regulons": tables[0].shape[1],
            }
        )
    return pd.DataFrame(rows)


def top_regulators(groups: dict[str, list[np.ndarray]], names: np.ndarray, n_top: int) -> pd.DataFrame:
    """One row per regulon for seeds and for folds, the most important first."""
    blocks = []
    for across, tables in groups.items():
        values = np.concatenate(tables)
        mean = values.mean(axis=0)
        block = pd.DataFrame(
            {
                "across": across,
                "regulon": names,
                "importance": mean,
                "sd": values.std(axis=0, ddof=1),
                "share_top": top_items(values, n_top).mean(axis=0),
                "sign_agreement": (np.sign(values) == np.sign(mean)).mean(axis=0),
            }
        )
        blocks.append(block.iloc[np.lexsort((names.astype(str), -np.abs(mean)))])
    return pd.concat(blocks, ignore_index=True)
