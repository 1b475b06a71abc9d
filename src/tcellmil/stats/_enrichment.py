"""Medians of groups of cells, against the same groups drawn at random within each patient."""

from __future__ import annotations

import numba
import numpy as np
import pandas as pd

from tcellmil._checks import check_count
from tcellmil.stats._fdr import benjamini_hochberg
from tcellmil.stats._signed_rank import signed_rank_by_column

# splitmix64 (Steele, Lea & Flood 2014): a counter and three mixing steps, so each patient has its own short stream
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFT_27, SHIFT_30, SHIFT_31, SHIFT_32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


def permuted_medians(
    values: np.ndarray,
    patients: np.ndarray,
    groups: np.ndarray,
    n_permutations: int = 10_000,
    min_cells: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Median of each patient's groups of cells, and what it is when the patient's groups are permuted.

    Within a patient the values stay where they are and the groups of all of the patient's cells are permuted, which
    keeps the number of cells of each group. With the observed median :math:`m` and the medians :math:`m_1, \dots,
    m_n` of :math:`n` permutations,

    .. math::

        p = \frac{1 + \#\{m_k \ge m\}}{n + 1}, \qquad
        \mathrm{excess} = \frac{\#\{m_k < m\} - \#\{m_k > m\}}{n + 1} \in (-1, 1)

    The p-value is one-sided, for a higher median. The observation counts as one of the permutations, so that p is
    never 0 and the test keeps its level for any number of permutations. If groups and values are independent,
    ``excess`` is uniform around 0, whatever the distribution of the values.

    Cells are sorted once per patient. A permutation deals the groups out from the lowest value upwards and stops when
    the middle of every group is reached, so it needs no sorting and at most one step per cell.

    Parameters
    ----------
    values
        Value of each cell, ``(n_cells,)``, finite.
    patients, groups
        Patient and group of each cell, ``(n_cells,)``, none missing; compared as text.
    n_permutations
        Number of permutations, at least 1.
    min_cells
        Groups with fewer cells in a patient are not tested there, but their cells are permuted too; at least 1.
    seed
        Seed of the permutations. Each patient has its own stream, seeded with this and with its name: neither the
        order of the cells, nor the other patients, nor the number of threads changes a result.

    Returns
    -------
    One row per patient and group, sorted: ``patient``, ``group``, ``n_cells``, ``observed``, ``null`` (median over the
    permutations of the group's median), ``excess``, ``p``. NaN where nothing was tested: in a group of fewer than
    ``min_cells`` cells, and in one that is all of its patient's cells.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, there are no cells, or an argument is out of range.

    References
    ----------
    Tsui et al. (2025), tcellMIL, section 6.5; Phipson & Smyth (2010), Statistical Applications in Genetics and
    Molecular Biology 9, 39 (counting the observation).

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import permuted_medians
    >>> table = permuted_medians(np.arange(12.0), np.repeat("P1", 12), np.repeat(["low", "high"], 6))
    >>> print(table[["group", "observed", "null"]].to_string(index=False))
    group  observed  null
     high       8.5   5.5
      low       2.5   5.5
    """
    values, patients, groups = _checked(values, patients, groups)
    n_permutations, min_cells = check_count(n_permutations, "n_permutations"), check_count(min_cells, "min_cells")
    patient_names, patient = np.unique(patients, return_inverse=True)
    group_names, group = np.unique(groups, return_inverse=True)
    # Equal values in the order of their groups: the streams then meet the same labels in any order of the cells.
    order = np.lexsort((group, values, patient))
    n_cells = np.zeros((len(patient_names), len(group_names)), dtype=np.int64)
    np.add.at(n_cells, (patient, group), 1)
    offsets = np.concatenate([[0], np.cumsum(n_cells.sum(axis=1))])
    tested = (n_cells >= min_cells) & (n_cells < n_cells.sum(axis=1, keepdims=True))
    streams = np.array([_stream(seed, name) for name in patient_names], dtype=np.uint64)

    observed, null, excess, p = np.full((4, *n_cells.shape), np.nan)
    _permute(
        *(values[order], group[order].astype(np.int32), offsets, n_cells, tested, streams, n_permutations),
        *(observed, null, excess, p),
    )
    return pd.DataFrame(
        {
            "patient": np.repeat(patient_names.astype(object), len(group_names)),
            "group": np.tile(group_names.astype(object), len(patient_names)),
            "n_cells": n_cells.ravel(),
            "observed": observed.ravel(),
            "null": null.ravel(),
            "excess": excess.ravel(),
            "p": p.ravel(),
        }
    )


def enrichment_over_patients(table: pd.DataFrame) -> pd.DataFrame:
    """One row per group: signed-rank tests over patients of what :func:`permuted_medians` found in each.

    ``table`` has the columns ``difference`` (``observed`` minus ``null``) and ``padj`` too.
    """
    groups = table.groupby("group", sort=True)
    stats = groups.agg(
        n_patients=("p", "count"),
        mean_difference=("difference", "mean"),
        median_difference=("difference", "median"),
        mean_excess=("excess", "mean"),
    )
    for measure, suffix in (("excess", ""), ("difference", "_difference")):
        wide = table.pivot(index="patient", columns="group", values=measure).reindex(columns=stats.index)
        stats[f"statistic{suffix}"], stats[f"p{suffix}"] = signed_rank_by_column(wide.to_numpy())
        stats[f"padj{suffix}"] = benjamini_hochberg(stats[f"p{suffix}"].to_numpy())
    stats["n_enriched"] = (table["padj"] < 0.05).groupby(table["group"]).sum().reindex(stats.index)
    return stats.reset_index()


def _checked(values, patients, groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.asarray(values, dtype=float)
    patients, groups = np.asarray(patients, dtype=str), np.asarray(groups, dtype=str)
    if values.ndim != 1 or values.shape != patients.shape or values.shape != groups.shape:
        raise ValueError(
            "values, patients and groups must have one entry per cell, "
            f"got shapes {values.shape}, {patients.shape} and {groups.shape}"
        )
    if not values.size:
        raise ValueError("there are no cells to permute")
    if not np.isfinite(values).all():
        raise ValueError(f"values holds {int((~np.isfinite(values)).sum())} NaN or infinite values; drop these cells")
    return values, patients, groups


def _stream(seed: int, patient: str) -> np.uint64:
    """Where the random numbers of a patient begin."""
    return np.random.SeedSequence([seed, *str(patient).encode()]).generate_state(1, np.uint64)[0]


@numba.njit(parallel=True, nogil=True, cache=True)
def _permute(
    values, groups, offsets, n_cells, tested, streams, n_permutations, observed, null, excess, p
):  # pragma: no cover
    """Fill the last four, ``(n_patients, n_groups)``; cells are sorted by patient and, within one, by value."""
    for patient in numba.prange(len(streams)):
        of_patient = slice(offsets[patient], offsets[patient + 1])
        sorted_values, labels = values[of_patient], groups[of_patient].copy()
        sizes = n_cells[patient]
        n_groups = np.count_nonzero(sizes)
        seen, median = np.zeros_like(sizes), np.full(sizes.size, np.nan)
        _medians(sorted_values, labels, sizes, n_groups, seen, median, streams[patient], False)
        first = median.copy()
        medians = np.empty((sizes.size, n_permutations))
        state = streams[patient]
        for k in range(n_permutations):
            state = _medians(sorted_values, labels, sizes, n_groups, seen, median, state, True)
            medians[:, k] = median
        for group in np.flatnonzero(tested[patient]):
            above = np.count_nonzero(medians[group] > first[group])
            below = np.count_nonzero(medians[group] < first[group])
            observed[patient, group] = first[group]
            null[patient, group] = np.median(medians[group])
            excess[patient, group] = (below - above) / (n_permutations + 1)
            p[patient, group] = (n_permutations - below + 1) / (n_permutations + 1)


@numba.njit
def _medians(values, labels, sizes, n_groups, seen, median, state, permute):  # pragma: no cover
    """Fill ``median`` with the median of each group; ``labels`` are those of the sorted values, or dealt out at random.

    Dealing is a Fisher-Yates shuffle from the front. Its bounded draws multiply 32 random bits and shift, which
    favours some cells by less than one part in 4 billion per cell.
    """
    seen[:] = 0
    unfinished, i, n = n_groups, 0, len(values)
    while unfinished:
        if permute:
            state += GOLDEN
            bits = (state ^ (state >> SHIFT_30)) * MIX_1
            bits = (bits ^ (bits >> SHIFT_27)) * MIX_2
            bits ^= bits >> SHIFT_31
            j = i + np.int64(((bits >> SHIFT_32) * np.uint64(n - i)) >> SHIFT_32)
            labels[i], labels[j] = labels[j], labels[i]
        group = labels[i]
        rank, size = seen[group], sizes[group]
        seen[group] = rank + 1
        if rank == (size - 1) // 2:
            median[group] = values[i]
        if rank == size // 2:
            median[group] = (median[group] + values[i]) / 2
            unfinished -= 1
        i += 1
    return state
