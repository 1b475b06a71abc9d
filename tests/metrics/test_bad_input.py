"""What no metric can use is named, whichever it is given to."""

import numpy as np
import pytest

from tcellmil import metrics

GOOD = np.random.default_rng(0).normal(size=(4, 3))
OF_ARRAYS = [
    metrics.kendall_tau,
    metrics.kendall_tau_b,
    metrics.pearson,
    metrics.mmd,
    metrics.wasserstein,
    metrics.scfid,
    metrics.foscttm,
]
OF_PAIRS = OF_ARRAYS[:3]


def changed(value):
    values = GOOD.copy()
    values[1, 2] = value
    return values


@pytest.mark.parametrize("metric", OF_ARRAYS)
@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (changed(np.nan), ValueError, "holds 1 NaN or infinite values"),
        (changed(-np.inf), ValueError, "holds 1 NaN or infinite values"),
        (changed(1e200), ValueError, r"holds values up to 1e\+200; scale them"),
        (GOOD[0], ValueError, r"must be \(n_cells, n_features\) with at least one of each, got shape \(3,\)"),
        (GOOD[:0], ValueError, r"must be .* got shape \(0, 3\)"),
        (GOOD[:, :0], ValueError, r"must be .* got shape \(4, 0\)"),
        (GOOD.astype(str), TypeError, "must hold real numbers, got <U"),
        (GOOD + 1j, TypeError, "must hold real numbers, got complex128"),
        (GOOD.astype(object), TypeError, "must hold real numbers, got object"),
        (None, TypeError, "must hold real numbers, got object"),
    ],
)
def test_what_are_no_numbers_is_named_on_either_side(metric, values, error, message):
    with pytest.raises(error, match=f"real {message}"):
        metric(values, GOOD)
    with pytest.raises(error, match=f"generated {message}"):
        metric(GOOD, values)


@pytest.mark.parametrize("metric", OF_PAIRS)
def test_pairs_have_one_shape(metric):
    with pytest.raises(ValueError, match=r"real is \(4, 3\) and generated \(3, 3\)"):
        metric(GOOD, GOOD[:3])


@pytest.mark.parametrize("metric", [metrics.mmd, metrics.wasserstein, metrics.scfid])
def test_sets_have_the_same_features(metric):
    with pytest.raises(ValueError, match="real has 3 features, generated 2; they must be the same"):
        metric(GOOD, GOOD[:3, :2])


@pytest.mark.parametrize("metric", OF_ARRAYS)
def test_what_is_given_stays_as_it_was_and_the_type_does_not_matter(metric):
    whole = np.array([[3, 1, 2, 0], [0, 5, 1, 2], [4, 0, 0, 1]])
    values = metric(whole, whole[:, ::-1])
    for dtype in (np.float32, np.uint8, ">f8"):
        real, generated = whole.astype(dtype), whole[:, ::-1].astype(dtype)
        before = real.copy(), generated.copy()
        np.testing.assert_array_equal(metric(real, generated), values)
        np.testing.assert_array_equal(real, before[0])
        np.testing.assert_array_equal(generated, before[1])
    np.testing.assert_array_equal(metric(np.asfortranarray(whole), whole[:, ::-1].copy()), values)
