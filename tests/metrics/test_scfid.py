"""The Fréchet distance of Gaussians: known values, the root of a matrix as oracle, and few cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from tcellmil.metrics import scfid


def with_moments(rng, n, mean, covariance):
    """Cells whose mean and covariance are exactly these."""
    raw = rng.normal(size=(n, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T, ddof=1).reshape(len(mean), -1))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def random_covariance(rng, d):
    root = rng.normal(size=(d, d + 2))
    return root @ root.T / d + 0.1 * np.eye(d)


def by_root(real, generated):
    """The formula as it is printed."""
    one, other = np.cov(real.T), np.cov(generated.T)
    shift = real.mean(axis=0) - generated.mean(axis=0)
    return shift @ shift + np.trace(one + other - 2 * sqrtm(one @ other)).real


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
@settings(deadline=None, max_examples=30)
def test_it_is_the_printed_formula_where_roots_exist(seed, d):
    rng = np.random.default_rng(seed)
    real, generated = rng.normal(size=(40, d)), rng.normal(0.3, 1.5, size=(30, d)) @ rng.normal(size=(d, d))
    assert scfid(real, generated) == pytest.approx(by_root(real, generated), rel=1e-8)
    assert scfid(generated, real) == pytest.approx(scfid(real, generated), rel=1e-10)


def test_gaussians_of_commuting_covariances_have_the_known_distance():
    rng = np.random.default_rng(0)
    variances, others = np.array([1.0, 4.0, 0.25]), np.array([9.0, 4.0, 1.0])
    mean, turn = np.array([1.0, -2.0, 0.5]), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    real = with_moments(rng, 20, np.zeros(3), turn @ np.diag(variances) @ turn.T)
    generated = with_moments(rng, 50, mean, turn @ np.diag(others) @ turn.T)
    expected = mean @ mean + ((np.sqrt(variances) - np.sqrt(others)) ** 2).sum()
    assert scfid(real, generated) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 6])
def test_gaussians_of_any_covariances_have_the_known_distance(d):
    rng = np.random.default_rng(d)
    one, other, mean = random_covariance(rng, d), random_covariance(rng, d), rng.normal(size=d)
    real, generated = with_moments(rng, 60, np.zeros(d), one), with_moments(rng, 30, mean, other)
    half = sqrtm(one).real
    expected = mean @ mean + np.trace(one + other - 2 * sqrtm(half @ other @ half).real)
    assert scfid(real, generated) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(50, 512), (512, 50), (2, 30), (100, 100), (5, 1)])
@pytest.mark.parametrize("scale", [1, 3])
def test_a_set_against_itself_is_zero(n, d, scale):
    rng = np.random.default_rng(n)
    real = scale * rng.normal(size=(n, d)) * np.geomspace(0.01, 1, d)
    assert 0 <= scfid(real, real) < 1e-10
    assert 0 <= scfid(real, real[rng.permutation(n)]) < 1e-10
    assert 0 <= scfid(real.astype(np.float32), real.astype(np.float32)) < 1e-10


@pytest.mark.parametrize(("n", "m", "d"), [(50, 50, 512), (50, 30, 40), (3, 200, 60), (200, 3, 60), (2, 2, 5)])
def test_fewer_cells_than_features_are_no_problem(n, m, d):
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(n, d)), rng.normal(0.1, 1.2, size=(m, d))
    centred = [(x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (real, generated)]
    eigenvalues = np.linalg.eigvalsh(centred[0] @ centred[1].T @ centred[1] @ centred[0].T)
    shift = real.mean(axis=0) - generated.mean(axis=0)
    spread = sum((x**2).sum() for x in centred) - 2 * np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    assert scfid(real, generated) == pytest.approx(shift @ shift + spread, rel=1e-6)


def test_a_shift_adds_its_square_and_scaling_scales_with_the_square():
    rng = np.random.default_rng(1)
    real, generated = rng.normal(size=(30, 6)), rng.normal(size=(20, 6))
    assert scfid(real, real + 2) == pytest.approx(24)
    assert scfid(4 * real, 4 * generated) == pytest.approx(16 * scfid(real, generated), rel=1e-12)
    assert scfid(real + 1e3, generated + 1e3) == pytest.approx(scfid(real, generated), rel=1e-8)
    assert scfid(real, 3 * real) == pytest.approx(4 * np.cov(real.T).trace() + 4 * (real.mean(axis=0) ** 2).sum())
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert scfid(real @ turn, generated @ turn) == pytest.approx(scfid(real, generated), rel=1e-10)


def test_features_that_are_constant_add_nothing_but_their_shift():
    rng = np.random.default_rng(2)
    real, generated = rng.normal(size=(30, 3)), rng.normal(size=(30, 3))
    padded = [np.column_stack([x, np.full((30, 2), value)]) for x, value in ((real, 1.0), (generated, 4.0))]
    assert scfid(*padded) == pytest.approx(scfid(real, generated) + 18)


def test_it_falls_with_the_number_of_cells_of_one_distribution():
    rng = np.random.default_rng(3)
    values = [scfid(rng.normal(size=(n, 10)), rng.normal(size=(n, 10))) for n in (20, 100, 1000)]
    assert values[0] > 3 * values[1] > 9 * values[2] > 0


def test_one_cell_has_no_covariance():
    with pytest.raises(ValueError, match="real has 1 cell; at least 2 are needed"):
        scfid(np.zeros((1, 4)), np.zeros((3, 4)))
