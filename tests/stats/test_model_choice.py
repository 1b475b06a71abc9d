"""Which models predict held-out patients at least as well as the first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcellmil.stats._model_choice import not_worse


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 30))
def test_the_first_and_the_best_are_always_among_them(seed, n_models, n_patients):
    losses = np.random.default_rng(seed).exponential(size=(n_models, n_patients))
    found = not_worse(losses)
    assert found[0] and found[losses.mean(axis=1).argmin()]
    assert found.tolist() == [row.mean() <= losses[0].mean() for row in losses]


@given(st.integers(0, 10_000), st.floats(0.1, 10), st.floats(-3, 3))
def test_units_and_a_hard_patient_do_not_matter(seed, unit, shift):
    losses = np.random.default_rng(seed).normal(size=(3, 12))
    expected = not_worse(losses)
    assert np.array_equal(not_worse(unit * losses), expected)
    shifted = losses + shift * np.arange(12)  # the same for all models
    assert np.array_equal(not_worse(shifted), expected)


def test_samples_of_a_patient_count_once():
    losses = np.array([[0.5, 0.5, 0.5, 0.5], [0.9, 0.9, 0.9, 0.0]])  # three samples of one patient, one of another
    assert not_worse(losses).tolist() == [True, False]
    assert not_worse(losses, np.array([0, 0, 0, 1])).tolist() == [True, True]


@pytest.mark.parametrize("losses", [np.zeros((2, 0)), np.zeros(3), np.array([[0.0, np.nan]])])
def test_losses_that_say_nothing_are_refused(losses):
    with pytest.raises(ValueError, match="losses must be finite numbers"):
        not_worse(losses)
