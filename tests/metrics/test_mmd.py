"""Maximum mean discrepancy: by the formula over pairs, and of Gaussians, where it is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel

from tcellmil.metrics import mmd


def cells(seed, n=25, m=18, d=4, shift=0.5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(shift, 1.3, size=(m, d))


def by_formula(real, generated, bandwidth):
    """With the kernel matrix of scikit-learn, without its diagonal."""
    gamma = 1 / (2 * bandwidth**2)
    n, m = len(real), len(generated)
    within = [(rbf_kernel(x, gamma=gamma).sum() - len(x)) / (len(x) * (len(x) - 1)) for x in (real, generated)]
    return sum(within) - 2 * rbf_kernel(real, generated, gamma=gamma).sum() / (n * m)


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 5))
@settings(deadline=None, max_examples=30)
def test_it_is_the_formula_and_symmetric(seed, bandwidth):
    real, generated = cells(seed)
    value = mmd(real, generated, bandwidth=bandwidth)
    assert value == pytest.approx(by_formula(real, generated, bandwidth), abs=1e-13)
    assert mmd(generated, real, bandwidth=bandwidth) == pytest.approx(value, abs=1e-15)


def test_the_default_bandwidth_is_the_median_distance_of_all_cells():
    real, generated = cells(0)
    both = np.vstack([real, generated])
    distances = np.linalg.norm(both[:, None] - both[None], axis=2)[np.triu_indices(len(both), 1)]
    assert mmd(real, generated) == pytest.approx(mmd(real, generated, bandwidth=np.median(distances)), rel=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.5])
def test_gaussians_have_the_value_of_their_formula(shift):
    d, bandwidth, rng = 5, 2.0, np.random.default_rng(1)
    ratio = (bandwidth**2 / (bandwidth**2 + 2)) ** (d / 2)
    expected = 2 * ratio * (1 - np.exp(-d * shift**2 / (2 * (bandwidth**2 + 2))))
    drawn = [mmd(rng.normal(size=(60, d)), rng.normal(shift, 1, size=(40, d)), bandwidth=bandwidth) for _ in range(300)]
    error = np.std(drawn) / np.sqrt(len(drawn))
    assert abs(np.mean(drawn) - expected) < 4 * error and error < 0.003


def test_one_distribution_is_zero_on_average_and_below_zero_half_the_time():
    rng = np.random.default_rng(2)
    drawn = np.array([mmd(rng.normal(size=(20, 3)), rng.normal(size=(20, 3)), bandwidth=1.5) for _ in range(300)])
    assert abs(drawn.mean()) < 4 * drawn.std() / np.sqrt(300)
    assert 0.4 < (drawn < 0).mean() < 0.75


def test_moving_turning_and_scaling_all_cells_changes_nothing():
    real, generated = cells(3)
    value, turn = mmd(real, generated), np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    assert mmd(real + 7, generated + 7) == pytest.approx(value, rel=1e-9)
    assert mmd(real @ turn, generated @ turn) == pytest.approx(value, rel=1e-9)
    assert mmd(8 * real, 8 * generated) == value
    assert mmd(1e140 * real, 1e140 * generated) == pytest.approx(value, rel=1e-9)
    order = np.random.default_rng(1).permutation(len(real))
    assert mmd(real[order], generated) == pytest.approx(value, rel=1e-12)


def test_cells_that_are_equal_have_no_distance():
    point = np.full((3, 4), 1e8) + 0.1
    assert mmd(point, point) == 0
    real = np.repeat([[0.0], [1.0]], 10, axis=0)
    assert mmd(real, real + 3) == pytest.approx(by_formula(real, real + 3, 2.5))  # the median of those above 0
    assert mmd(real, real) == pytest.approx(-(1 - np.exp(-0.5)) / 19)


def test_far_apart_it_approaches_the_two_kernels_within():
    real, generated = cells(4)
    assert mmd(np.zeros((5, 2)), np.full((4, 2), 1e6), bandwidth=1.0) == 2
    assert mmd(real, generated + 1e9, bandwidth=1e3) == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize("bandwidth", [0, -1, np.inf, "wide"])
def test_a_bandwidth_that_is_not_positive_is_refused(bandwidth):
    with pytest.raises(ValueError, match=r"bandwidth=.* must be positive"):
        mmd(*cells(0), bandwidth=bandwidth)


def test_one_cell_is_not_enough():
    with pytest.raises(ValueError, match="generated has 1 cell; at least 2 are needed"):
        mmd(np.zeros((3, 2)), np.zeros((1, 2)))
