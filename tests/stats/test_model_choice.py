"""Which models held-out patients tell apart from the best."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from tcellmil.stats._model_choice import N_SE, not_worse


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 30))
def test_the_best_is_always_among_them(seed, n_models, n_patients):
    losses = np.random.default_rng(seed).exponential(size=(n_models, n_patients))
    assert not_worse(losses)[losses.mean(axis=1).argmin()]


@given(st.integers(0, 10_000), st.floats(0.1, 10), st.floats(-3, 3))
def test_units_and_a_hard_patient_do_not_matter(seed, unit, shift):
    losses = np.random.default_rng(seed).normal(size=(3, 12))
    expected = not_worse(losses)
    assert np.array_equal(not_worse(unit * losses), expected)
    shifted = losses + shift * np.arange(12)  # the same for all models
    assert np.array_equal(not_worse(shifted), expected)


def test_a_model_is_worse_beyond_the_standard_errors():
    difference = np.array([0.0, 1.0, 2.0, 3.0])
    in_errors = difference.mean() / (difference.std(ddof=1) / 2)
    losses = np.stack([np.zeros(4), difference])
    assert not_worse(losses, n_se=in_errors + 1e-9).tolist() == [True, True]
    assert not_worse(losses, n_se=in_errors - 1e-9).tolist() == [True, False]


def test_a_model_as_good_as_the_other_is_called_worse_in_few_cases():
    rng = np.random.default_rng(0)
    # One of two equal models is the best by chance; the other is beyond c errors in both tails together.
    worse = np.mean([(~not_worse(rng.normal(size=(2, 50)))).any() for _ in range(4000)])
    assert worse == pytest.approx(2 * norm.sf(N_SE), abs=0.015)


def test_samples_of_a_patient_count_once():
    rng = np.random.default_rng(1)
    losses = rng.normal(size=(2, 8)) + [[0.0], [0.5]]
    repeated, groups = np.repeat(losses, 5, axis=1), np.repeat(np.arange(8), 5)
    assert np.array_equal(not_worse(repeated, groups), not_worse(losses))
    assert not not_worse(repeated)[1] and not_worse(losses)[1]  # copies alone would make it certain


@pytest.mark.parametrize("losses", [np.zeros((2, 0)), np.zeros(3), np.array([[0.0, np.nan]])])
def test_losses_that_say_nothing_are_refused(losses):
    with pytest.raises(ValueError, match="losses must be finite numbers"):
        not_worse(losses)
