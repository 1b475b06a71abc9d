"""Permuted medians: what numpy finds by permuting, uniform without an effect, the same in any order of the cells."""

import os
import subprocess
import sys

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from tcellmil.stats import permuted_medians


def cells(n_patients=6, n_cells=60, n_groups=4, seed=0):
    rng = np.random.default_rng(seed)
    patients = np.repeat([f"P{i}" for i in range(n_patients)], n_cells)
    share = np.arange(1, n_groups + 1) / np.arange(1, n_groups + 1).sum()
    groups = rng.choice([f"g{i}" for i in range(n_groups)], size=len(patients), p=share)
    return rng.lognormal(size=len(patients)), patients, groups


def numpys_medians(values, groups, n_permutations, seed=0):
    """By group; the groups take turns in each permuted row."""
    drawn = np.random.default_rng(seed).permuted(np.tile(values, (n_permutations, 1)), axis=1)
    return {group: np.median(drawn[:, groups == group], axis=1) for group in np.unique(groups)}


@pytest.mark.parametrize("ties", [False, True])
def test_null_p_and_excess_are_those_of_permuting_with_numpy(ties):
    values, patients, groups = cells(n_patients=2, n_cells=40)
    values = np.ceil(2 * values) if ties else values
    table = permuted_medians(values, patients, groups, n_permutations=40_000)
    expected = {p: numpys_medians(values[patients == p], groups[patients == p], 40_000) for p in np.unique(patients)}
    for row in table.itertuples():
        here = patients == row.patient
        medians = expected[row.patient][row.group]
        observed = np.median(values[here & (groups == row.group)])
        assert row.observed == observed
        near = np.sort(medians)[[18_000, 22_000]]  # the median of 40,000 draws varies by far fewer places
        assert near[0] <= row.null <= near[1]
        assert row.p == pytest.approx((medians >= observed).mean(), abs=0.015)
        assert row.excess == pytest.approx((medians < observed).mean() - (medians > observed).mean(), abs=0.025)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.floats(0, 5).map(lambda v: round(v, 1))),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 4),
)
def test_observed_medians_counts_and_which_are_tested_are_pandas(rows, min_cells):
    frame = pd.DataFrame(rows, columns=["patient", "group", "value"])
    table = permuted_medians(frame["value"], frame["patient"], frame["group"], 20, min_cells)
    assert len(table) == frame["patient"].nunique() * frame["group"].nunique()
    for row in table.itertuples():
        of_patient = frame[frame["patient"].astype(str) == row.patient]
        of_group = of_patient.loc[of_patient["group"].astype(str) == row.group, "value"]
        assert row.n_cells == len(of_group)
        if min_cells <= len(of_group) < len(of_patient):
            assert row.observed == of_group.median()
            assert of_patient["value"].min() <= row.null <= of_patient["value"].max()
            assert 1 / 21 <= row.p <= 1 and -1 < row.excess < 1
        else:
            assert np.isnan([row.observed, row.null, row.excess, row.p]).all()


def test_p_and_excess_count_the_same_permutations():
    """Without ties, what is not above is below: p = (1 + n - below) / (n + 1), excess = (below - above) / (n + 1)."""
    table = permuted_medians(*cells(n_cells=300), n_permutations=500)
    few_ties = (1 - table["excess"]) / 2 + 1 / 501 - table["p"]
    assert few_ties.abs().max() < 0.05
    assert (table["p"] >= (1 - table["excess"]) / 2 - 1e-12).all()  # a tie counts against enrichment


def test_values_all_equal_are_no_enrichment():
    _, patients, groups = cells()
    table = permuted_medians(np.ones(len(patients)), patients, groups, 100)
    assert (table["p"] == 1).all() and (table["excess"] == 0).all() and (table["observed"] == table["null"]).all()


def test_the_highest_cells_have_the_lowest_p_there_is():
    values, patients, groups = cells()
    values[groups == "g2"] += 1_000
    table = permuted_medians(values, patients, groups, 999).set_index("group")
    assert (table.loc["g2", "p"] == 0.001).all() and (table.loc["g2", "excess"] == 0.999).all()
    assert (table.loc["g3", "excess"] < 0).all()  # what one group gains, the largest of the others lacks


@pytest.mark.parametrize("distribution", ["lognormal", "two kinds of cells"])
def test_p_is_uniform_when_groups_mean_nothing(distribution):
    rng = np.random.default_rng(1)
    n_runs, n_cells = 500, 400
    values = rng.lognormal(size=n_runs * n_cells)
    if distribution != "lognormal":
        values = np.where(rng.random(values.size) < 0.4, 5, 1) * values**0.2
    patients = np.repeat(np.arange(n_runs), n_cells)  # one independent test a run
    groups = np.where(rng.random(values.size) < 0.07, "few", "many")
    table = permuted_medians(values, patients, groups, n_permutations=400).set_index("group").loc["few"]
    assert len(table) == n_runs
    assert kstest(table["p"], "uniform").pvalue > 0.01
    assert kstest(table["excess"], "uniform", args=(-1, 2)).pvalue > 0.01


def test_the_order_of_the_cells_does_not_matter():
    values, patients, groups = cells()
    values = values.round(1)  # with ties
    shuffled = np.random.default_rng(3).permutation(len(values))
    expected = permuted_medians(values, patients, groups, 200)
    pd.testing.assert_frame_equal(
        permuted_medians(values[shuffled], patients[shuffled], groups[shuffled], 200), expected
    )


def test_other_patients_do_not_matter():
    values, patients, groups = cells()
    whole = permuted_medians(values, patients, groups, 200)
    here = patients == "P3"
    alone = permuted_medians(values[here], patients[here], groups[here], 200)
    expected = whole[whole["patient"] == "P3"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected)


def test_the_seed_is_all_that_changes_the_permutations():
    state = np.random.get_state()[1].copy()
    first, again, other = (permuted_medians(*cells(), 200, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first["p"].equals(other["p"])
    pd.testing.assert_series_equal(first["observed"], other["observed"])
    assert np.array_equal(np.random.get_state()[1], state)


def test_patients_of_equal_cells_have_their_own_permutations():
    values, _, groups = cells(n_patients=1)
    table = permuted_medians(np.tile(values, 2), np.repeat(["a", "b"], 60), np.tile(groups, 2), 200)
    p = table.pivot(index="group", columns="patient", values="p")
    assert (p["a"] != p["b"]).any() and (p["a"] - p["b"]).abs().max() < 0.2


def test_the_number_of_threads_does_not_matter(tmp_path):
    np.savez(tmp_path / "cells.npz", *cells(n_patients=9))
    script = (
        "import sys, numba, numpy as np; from tcellmil.stats import permuted_medians; "
        "assert numba.get_num_threads() == 3; "
        "permuted_medians(*np.load(sys.argv[1]).values(), n_permutations=100).to_pickle(sys.argv[2])"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path / "cells.npz"), str(tmp_path / "table")]
    subprocess.run(arguments, check=True, env={**os.environ, "NUMBA_NUM_THREADS": "3"})
    numba.set_num_threads(1)
    here = permuted_medians(*cells(n_patients=9), n_permutations=100)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    pd.testing.assert_frame_equal(pd.read_pickle(tmp_path / "table"), here)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_permutations": 0}, "n_permutations=0 must be a whole number of at least 1"),
        ({"min_cells": 0}, "min_cells=0 must be a whole number of at least 1"),
        ({"values": np.array([1.0, np.nan, np.inf])}, "values holds 2 NaN or infinite values; drop these cells"),
        ({"groups": np.array(["a", "b"])}, r"one entry per cell, got shapes \(3,\), \(3,\) and \(2,\)"),
        ({"values": np.ones((3, 1))}, r"one entry per cell, got shapes \(3, 1\)"),
        ({"values": [], "patients": [], "groups": []}, "there are no cells to permute"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"values": np.arange(3.0), "patients": np.array(["P"] * 3), "groups": np.array(["a", "b", "b"])}
    with pytest.raises(ValueError, match=message):
        permuted_medians(**{**arguments, **change})
