import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.data import Bags
from tcellmil.fitted import Scaling, median_absolute_deviation
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
