"""Averages over conditions: each counts the same, and those of several columns are combinations."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tcellmil import metrics

RNG = np.random.default_rng(0)
REAL, GENERATED = RNG.normal(size=(40, 3)), RNG.normal(0.3, 1, size=(30, 3))
REAL_BY, GENERATED_BY = np.array(["B", "T"])[np.arange(40) // 25], np.array(["T", "B"])[np.arange(30) // 20]
OF_SETS = {
    "mmd": lambda *a, **k: metrics.mmd(*a, bandwidth=1.5, **k),
    "scfid": metrics.scfid,
    "wasserstein": metrics.wasserstein,
}
OF_PAIRS = {"kendall_tau": metrics.kendall_tau, "kendall_tau_b": metrics.kendall_tau_b, "pearson": metrics.pearson}


@pytest.fixture
def same_numbers():
    """As many real as generated cells of each condition: no transport library is needed."""
    return REAL[:20], GENERATED[:20], np.tile(["B", "T"], 10), np.repeat(["T", "B"], 10)


@pytest.mark.parametrize("name", OF_SETS)
def test_sets_are_compared_within_each_condition(name, same_numbers):
    real, generated, real_by, generated_by = same_numbers
    result = OF_SETS[name](real, generated, by=(real_by, generated_by))
    for condition in ("B", "T"):
        alone = OF_SETS[name](real[real_by == condition], generated[generated_by == condition])
        assert result.values[condition] == pytest.approx(alone, rel=1e-12)
    assert result.mean == pytest.approx((result.values["B"] + result.values["T"]) / 2)
    assert result.values.index.tolist() == ["B", "T"]


@pytest.mark.parametrize("name", OF_PAIRS)
def test_pairs_are_averaged_within_each_condition_first(name):
    real, generated = REAL[:30], GENERATED
    by = ["rare"] * 3 + ["common"] * 27
    of_pair = OF_PAIRS[name](real, generated)
    result = OF_PAIRS[name](real, generated, by=by)
    assert result.values.to_dict() == pytest.approx({"rare": of_pair[:3].mean(), "common": of_pair[3:].mean()})
    assert result.mean == pytest.approx((of_pair[:3].mean() + of_pair[3:].mean()) / 2)


def test_each_combination_of_columns_that_occurs_is_a_condition():
    table = pd.DataFrame(
        {"type": pd.Categorical(["B", "B", "T", "T"], categories=["T", "B", "NK"]), "hours": [2, 2, 2, 4]}
    )
    result = metrics.pearson(REAL[:4], GENERATED[:4], by=table)
    assert result.values.index.tolist() == [("B", 2), ("T", 2), ("T", 4)]
    assert list(result.values.index.names) == ["type", "hours"]
    of_array = metrics.pearson(REAL[:4], GENERATED[:4], by=table.to_numpy())
    np.testing.assert_array_equal(of_array.values.to_numpy(), result.values.to_numpy())


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=12), st.randoms())
@settings(deadline=None, max_examples=30)
def test_the_order_of_rows_changes_nothing(by, random):
    by = np.array(by)
    order = np.array(random.sample(range(len(by)), len(by)))
    before = metrics.pearson(REAL[: len(by)], GENERATED[: len(by)], by=by)
    after = metrics.pearson(REAL[: len(by)][order], GENERATED[: len(by)][order], by=by[order])
    pd.testing.assert_series_equal(after.values.sort_index(), before.values.sort_index())
    assert after.mean == pytest.approx(before.mean)


def test_one_condition_is_the_metric_itself():
    result = metrics.scfid(REAL, GENERATED, by=(["all"] * 40, ["all"] * 30))
    assert result.mean == result.values["all"] == metrics.scfid(REAL, GENERATED)


def test_names_of_labels_are_kept_and_sparse_cells_are_taken():
    labels = pd.Series(REAL_BY, name="cell_type")
    result = metrics.scfid(sparse.coo_matrix(REAL), sparse.csr_array(GENERATED), by=(labels, list(GENERATED_BY)))
    assert result.values.index.name == "cell_type"
    assert result.mean == pytest.approx(metrics.scfid(REAL, GENERATED, by=(REAL_BY, GENERATED_BY)).mean)


def test_what_is_not_defined_in_a_condition_is_not_hidden_by_others():
    real = np.vstack([np.ones((1, 3)), REAL[:3]])
    result = metrics.pearson(real, GENERATED[:4], by=["constant", "T", "T", "T"])
    assert np.isnan(result.mean) and np.isnan(result.values["constant"]) and np.isfinite(result.values["T"])


def test_a_metric_of_ones_own_is_averaged_too():
    def shift(real, generated, scale):
        return scale * (generated.mean() - real.mean())

    result = metrics.by_condition(shift, REAL, GENERATED, REAL_BY, GENERATED_BY, scale=2)
    for name in ("B", "T"):
        expected = 2 * (GENERATED[GENERATED_BY == name].mean() - REAL[REAL_BY == name].mean())
        assert result.values[name] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        ((REAL_BY[:5], GENERATED_BY), ValueError, "labels of real: 5 conditions for 40 rows"),
        ((REAL_BY, np.where(np.arange(30) > 5, None, "B")), ValueError, "24 of 30 rows have no condition"),
        (
            (REAL_BY, np.where(GENERATED_BY == "B", "NK", "T")),
            ValueError,
            r"only in real: \['B'\]; only in generated: \['NK'\]",
        ),
        ((REAL_BY, np.where(np.arange(30) < 1, "B", "T")), ValueError, "in condition 'B': generated has 1 cell"),
        (("cell_type", GENERATED_BY), TypeError, "by must be a pair"),
        (REAL_BY, TypeError, "by must be a pair.*got ndarray"),
        (pd.DataFrame({"a": REAL_BY}), TypeError, "got DataFrame"),
        ((pd.DataFrame(index=range(40)), GENERATED_BY), ValueError, "has no column"),
    ],
)
def test_labels_that_do_not_fit_are_named(by, error, message):
    with pytest.raises(error, match=message):
        metrics.scfid(REAL, GENERATED, by=by)


def test_the_name_of_a_column_is_no_label():
    with pytest.raises(TypeError, match=r"got the text 'cell_type'; pass adata.obs\['cell_type'\]"):
        metrics.pearson(REAL, REAL, by="cell_type")
