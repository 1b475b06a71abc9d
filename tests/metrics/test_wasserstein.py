"""Wasserstein distances: where they are known, against scipy's linear programmes, and with POT."""

import importlib.util
import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tcellmil.metrics import scfid, wasserstein

needs_pot = pytest.mark.skipif(importlib.util.find_spec("ot") is None, reason="POT is not installed")


def cells(seed, n=6, m=6, d=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(1, 2, size=(m, d))


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]))
@settings(deadline=None, max_examples=20)
def test_it_is_the_best_of_all_assignments(seed, order):
    real, generated = cells(seed, 5, 5)
    costs = np.linalg.norm(real[:, None] - generated[None], axis=2) ** order
    best = min(costs[np.arange(5), list(p)].mean() for p in itertools.permutations(range(5)))
    assert wasserstein(real, generated, order=order) == pytest.approx(best ** (1 / order), rel=1e-12)
    assert wasserstein(generated, real, order=order) == pytest.approx(best ** (1 / order), rel=1e-12)


@pytest.mark.parametrize(
    "sizes", [(12, 12), pytest.param((12, 7), marks=needs_pot), pytest.param((5, 20), marks=needs_pot)]
)
def test_order_one_is_what_scipy_gives(sizes):
    real, generated = cells(0, *sizes)
    assert wasserstein(real, generated, order=1) == pytest.approx(
        stats.wasserstein_distance_nd(real, generated), rel=1e-6
    )
    line, other = real[:, :1], generated[:, :1]
    expected = stats.wasserstein_distance(line[:, 0], other[:, 0])
    assert wasserstein(line, other, order=1) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(7, 7), (12, 5), (1, 4), (30, 18)])
def test_one_feature_is_moved_in_order(n, m):
    rng = np.random.default_rng(n)
    real, generated = rng.normal(size=(n, 1)), rng.integers(4, size=(m, 1))
    many = [np.repeat(np.sort(x[:, 0]), n * m // len(x)) for x in (real, generated)]  # as many of both
    for order in (1, 2):
        expected = np.mean(np.abs(many[0] - many[1]) ** order) ** (1 / order)
        assert wasserstein(real, generated, order=order) == pytest.approx(expected, rel=1e-12)
        if n == m:  # a second feature that is constant changes nothing but the way
            wide = [np.column_stack([x, np.ones(len(x))]) for x in (real, generated)]
            assert wasserstein(*wide, order=order) == pytest.approx(expected, rel=1e-12)


@needs_pot
@pytest.mark.parametrize("order", [1, 2])
def test_pot_agrees_with_the_order_of_one_feature(order):
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(900, 1)), rng.normal(2, 0.5, size=(800, 1))
    wide = [np.column_stack([x, np.ones(len(x))]) for x in (real, generated)]
    expected = wasserstein(real, generated, order=order)
    assert wasserstein(*wide, order=order) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (2.0, 1.0), (-1.0, 0.3), (0.5, 4.0)])
def test_gaussians_on_a_line_have_the_known_distance(mean, sd):
    quantiles = stats.norm.ppf((np.arange(300) + 0.5) / 300)[:, None]
    expected = np.sqrt(mean**2 + (sd - 1) ** 2)
    assert wasserstein(quantiles, mean + sd * quantiles) == pytest.approx(expected, abs=2e-2)
    exact = np.sqrt(np.mean((mean + (sd - 1) * quantiles) ** 2))
    assert wasserstein(quantiles, mean + sd * quantiles) == pytest.approx(exact, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_a_shift_of_all_cells_is_its_length(order):
    real, shift = cells(1)[0], np.array([1.0, -2.0, 2.0])
    assert wasserstein(real, real + shift, order=order) == pytest.approx(3)
    assert wasserstein(real, real, order=order) == 0


def test_squared_is_the_square_and_scaling_scales():
    real, generated = cells(2)
    value = wasserstein(real, generated)
    assert wasserstein(real, generated, squared=True) == pytest.approx(value**2)
    assert wasserstein(4 * real, 4 * generated) == 4 * value
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    assert wasserstein(real @ turn + 5, generated @ turn + 5) == pytest.approx(value, rel=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_it_is_never_below_that_of_gaussians_of_the_same_moments(seed, n, d):
    real, generated = cells(seed, n, n, d)
    means = ((real.mean(axis=0) - generated.mean(axis=0)) ** 2).sum()
    of_gaussians = means + (scfid(real, generated) - means) * (n - 1) / n  # covariances over n, as those of the cells
    assert wasserstein(real, generated, squared=True) >= of_gaussians * (1 - 1e-9)


def test_triangle_inequality_holds():
    rng = np.random.default_rng(3)
    for _ in range(10):
        a, b, c = rng.normal(size=(3, 8, 2)) * rng.uniform(0.2, 3, size=(3, 1, 1))
        assert wasserstein(a, c) <= wasserstein(a, b) + wasserstein(b, c) + 1e-12


@needs_pot
@pytest.mark.parametrize("order", [1, 2])
def test_every_cell_many_times_is_the_same_distribution(order):
    real, generated = cells(4)
    value = wasserstein(real, generated, order=order)
    assert wasserstein(np.repeat(real, 3, axis=0), generated, order=order) == pytest.approx(value, rel=1e-9)
    assert wasserstein(real, np.tile(generated, (2, 1)), order=order) == pytest.approx(value, rel=1e-9)
    assert wasserstein(real, real[[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]], order=order) == pytest.approx(0, abs=1e-7)


@needs_pot
def test_one_cell_against_many_is_their_mean_square():
    real = cells(5)[0]
    assert wasserstein(real, np.zeros((1, 3)), squared=True) == pytest.approx((real**2).sum(axis=1).mean())


def test_without_pot_other_numbers_of_cells_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    real, generated = cells(6, 6, 5)
    with pytest.raises(
        ImportError, match=r"of 6 real and 5 generated cells needs .*pip install POT, or .*tcellmil\[c2s\]"
    ):
        wasserstein(real, generated)
    assert wasserstein(real[:5], generated) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 3}, "order=3 is not known; choose from 1, 2"),
        ({"order": 1, "squared": True}, "squared=True is for order=2"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        wasserstein(*cells(0), **options)
