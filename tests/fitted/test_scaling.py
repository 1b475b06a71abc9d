import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.data import Bags
from tcellmil.fitted import Scaling, median_absolute_deviation, shift_units
from tcellmil.fitted._scaling import scale_cells
from tcellmil.outcomes import Classes


def bags_of(x, sizes):
    return Bags.from_cells(
        x,
        np.repeat(np.arange(len(sizes)).astype(str), sizes),
        np.arange(len(x)).astype(str),
        outcome=Classes("response", ("NR", "R")),
    )


def scaled(x, scaling):
    return scale_cells(
        torch.from_numpy(x.astype(np.float32))[None], *map(torch.from_numpy, (scaling.loc, scaling.scale))
    )


def test_aucell_scores_become_two_x_minus_one():
    x = np.random.default_rng(0).random((20, 3))
    np.testing.assert_allclose(scaled(x, Scaling.unit_interval(3))[0].numpy(), 2 * x - 1, atol=1e-6)


@given(seed=st.integers(0, 10_000), shift=st.floats(-50, 50), size=st.floats(0.1, 20))
@settings(max_examples=50, deadline=None)
def test_standard_scaling_is_learned_from_the_training_bags_cells(seed, shift, size):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 9, size=5)
    x = (shift + size * rng.normal(size=(sizes.sum(), 3))).astype(np.float32)
    train = np.array([[True, True, True, False, False], [False, True, False, True, True]])
    scaling = Scaling.standard(bags_of(x, sizes), train)
    for row, loc, scale in zip(train, scaling.loc, scaling.scale, strict=True):
        own = x[np.repeat(row, sizes)].astype(float)
        np.testing.assert_allclose(loc, own.mean(axis=0), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(scale, 3 * own.std(axis=0), rtol=1e-3)
    assert scaled(10 * x, scaling).abs().max() <= 1


def test_a_feature_that_is_constant_in_training_stays_finite():
    x = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    x[:8, 1] = 5
    scaling = Scaling.standard(bags_of(x, [4, 4, 4]), np.array([[True, True, False]]))
    out = scaled(x, scaling)[0]
    assert torch.isfinite(out).all()
    assert (out[:8, 1] == 0).all()


def test_median_absolute_deviation_is_that_of_scipy():
    from scipy.stats import median_abs_deviation

    x = np.random.default_rng(0).normal(size=(31, 4))
    np.testing.assert_allclose(median_absolute_deviation(x), median_abs_deviation(x, axis=0))


def test_the_unit_of_a_shift_is_the_mad_wherever_there_is_one():
    x = np.random.default_rng(0).gamma(1, size=(101, 4)).astype(np.float32)
    units, is_mad = shift_units(x)
    np.testing.assert_array_equal(units, median_absolute_deviation(x))
    assert is_mad.all()


@given(share=st.floats(0.02, 0.45), level=st.floats(1e-4, 1e4))
@settings(max_examples=50, deadline=None)
def test_a_feature_of_few_cells_has_a_unit_by_its_share_and_level(share, level):
    active = np.arange(1000) < round(1000 * share)
    units, is_mad = shift_units((level * active)[:, None].astype(np.float32))
    f = active.mean()
    np.testing.assert_allclose(units, 0.6745 * level * np.sqrt(f * (1 - f)), rtol=1e-5)
    assert not is_mad.any()


def test_both_units_are_of_the_same_size_in_a_normal_distribution():
    x = np.random.default_rng(0).normal(size=(20_001, 1))
    both = np.hstack([x, np.where(np.arange(20_001)[:, None] % 2, x, 0)])
    units, is_mad = shift_units(np.vstack([both, [[0, 0]]]))
    assert is_mad.tolist() == [True, False]
    np.testing.assert_allclose(units[0], 0.6745 * x.std(), rtol=0.02)
    np.testing.assert_allclose(units[1], 0.6745 * both[:, 1].std(), rtol=1e-3)


@given(value=st.floats(-1e6, 1e6), n_cells=st.integers(2, 500))
@settings(max_examples=100, deadline=None)
def test_a_constant_feature_has_no_unit_and_rounding_is_none(value, n_cells):
    x = np.full((n_cells, 2), value, dtype=np.float64)
    x[0, 1] = np.nextafter(value, np.inf)
    if n_cells > 2:
        assert shift_units(x)[0].tolist() == [0, 0]
    assert shift_units(x[:, :1].astype(np.float32))[0].tolist() == [0]
