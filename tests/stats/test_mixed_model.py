"""The mixed model equals statsmodels where that converges, and says so where there is nothing to fit."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, norm
from statsmodels.regression.linear_model import OLS
from statsmodels.regression.mixed_linear_model import MixedLM

from tcellmil.stats import random_intercept


def cells(n_patients=12, n_cells=40, between=0.5, slope=0.2, seed=0):
    """Activity, attention and patient of cells; patients differ in size and, by ``between``, in level."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(n_cells // 2, 3 * n_cells // 2, n_patients)
    patients = np.repeat(np.arange(n_patients), sizes)
    x = rng.normal(2, 3, len(patients)) + rng.normal(size=n_patients)[patients]
    y = slope * x + between * rng.normal(size=n_patients)[patients] + rng.normal(size=len(patients))
    return y, x, patients


def standardised(values):
    return (values - values.mean()) / values.std()


def without_differences(y, patients, left=0.0):
    """``y`` with the means of the patients shrunk to ``left`` of what they were."""
    return y - (1 - left) * pd.Series(y).groupby(patients).transform("mean").to_numpy()


def direct(y, x, patients, **options):
    design = np.column_stack([np.ones(len(x)), standardised(x)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MixedLM(standardised(y), design, groups=patients).fit(**options)


@pytest.mark.parametrize("between", [0.2, 1, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_estimates_are_those_of_statsmodels(between, seed):
    y, x, patients = cells(between=between, seed=seed)
    row = random_intercept(y[:, None], x, patients).iloc[0]
    expected = direct(y, x, patients, gtol=1e-9)
    assert expected.converged and row["status"] == "ok"
    assert row["coef"] == pytest.approx(expected.fe_params[1], abs=1e-6)
    assert row["se"] == pytest.approx(expected.bse_fe[1], rel=1e-4)
    assert row["p"] == pytest.approx(expected.pvalues[1], rel=1e-3)


@pytest.mark.parametrize("left", [0, 0.2])
@pytest.mark.parametrize("n_patients", [6, 40])
def test_a_singular_fit_has_the_estimates_of_least_squares(left, n_patients):
    y, x, patients = cells(n_patients=n_patients, between=0)
    y, x = without_differences(y, patients, left), without_differences(x, patients)
    row = random_intercept(y[:, None], x, patients).iloc[0]
    expected = OLS(standardised(y), np.column_stack([np.ones(len(x)), standardised(x)])).fit()
    assert row["status"] == "singular"
    assert row["coef"] == pytest.approx(expected.params[1], rel=1e-10)
    assert row["se"] == pytest.approx(expected.bse[1], rel=1e-10)
    assert row["p"] == pytest.approx(2 * norm.sf(abs(expected.tvalues[1])), rel=1e-8)


def test_columns_without_anything_to_fit_are_named_and_leave_the_others():
    y, x, patients = cells()
    columns = np.column_stack([y, np.full(len(y), 0.1), patients, 3 * x + patients, y + 1])
    table = random_intercept(columns, x, patients)
    assert table["status"].tolist() == [
        "ok",
        "constant",
        "constant within patients",
        "failed: within patients, the column is a linear function of x",
        "ok",
    ]
    assert table.loc[1:3, ["coef", "se", "p"]].isna().all(axis=None)
    alone = random_intercept(y[:, None], x, patients).iloc[0]
    assert table.iloc[0].tolist() == alone.tolist()
    assert table.loc[4, "coef"] == pytest.approx(alone["coef"])  # a shift of the column changes nothing


def test_nothing_is_warned_of():
    y, x, patients = cells(between=0.02)
    singular = without_differences(y, patients)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        random_intercept(np.column_stack([y, singular, np.ones(len(y)), x]), x, patients)


def test_a_search_that_does_not_end_keeps_its_estimates_and_says_so(monkeypatch):
    y, x, patients = cells()
    usual, fit = random_intercept(y[:, None], x, patients).iloc[0], MixedLM.fit

    def unfinished(self, **options):
        result = fit(self, **options)
        result.converged = False
        return result

    monkeypatch.setattr(MixedLM, "fit", unfinished)
    row = random_intercept(y[:, None], x, patients).iloc[0]
    assert row["status"] == "not converged" and usual["status"] == "ok"
    assert row[["coef", "se", "p"]].equals(usual[["coef", "se", "p"]])


def test_a_warning_that_the_optimum_is_none_is_the_status(monkeypatch):
    fit = MixedLM.fit

    def saddle(self, **options):
        warnings.warn("The Hessian matrix at the estimated parameter values is not positive definite.", stacklevel=2)
        return fit(self, **options)

    monkeypatch.setattr(MixedLM, "fit", saddle)
    y, x, patients = cells()
    assert random_intercept(y[:, None], x, patients)["status"].item() == "not converged"


def test_an_error_of_statsmodels_becomes_the_status(monkeypatch):
    def broken(self, **options):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(MixedLM, "fit", broken)
    y, x, patients = cells()
    row = random_intercept(y[:, None], x, patients).iloc[0]
    assert row["status"] == "failed: Singular matrix" and np.isnan(row["coef"])


def test_p_is_uniform_without_an_effect_and_too_small_where_slopes_differ():
    rng = np.random.default_rng(0)
    _, x, patients = cells(n_patients=15, n_cells=60)
    level = 0.5 * rng.normal(size=(15, 60))[patients]
    noise = rng.normal(size=(len(x), 60))
    alike = random_intercept(level + noise, x, patients)
    differing = random_intercept(level + noise + 0.3 * rng.normal(size=(15, 60))[patients] * x[:, None], x, patients)
    assert kstest(alike["p"], "uniform").pvalue > 0.01
    assert (differing["p"] < 0.05).mean() > 0.3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": np.ones(6)}, r"columns must be \(n_cells, n_columns\).*got \(6,\), \(6,\) and \(6,\)"),
        ({"x": np.ones(5)}, r"got \(6, 1\), \(5,\) and \(6,\)"),
        ({"columns": np.full((6, 1), np.nan)}, "columns holds 6 NaN or infinite values; drop them"),
        ({"x": np.array([1, 2, 3, 4, 5, np.inf])}, "x holds 1 NaN or infinite values; drop them"),
        ({"x": np.ones(6)}, "x is the same in all cells; there is nothing to regress on"),
        ({"patients": ["P"] * 6}, r"needs at least two patients, there is \['P'\]"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"columns": np.arange(6.0)[:, None] ** 2, "x": np.arange(6.0), "patients": list("AAABBB")}
    with pytest.raises(ValueError, match=message):
        random_intercept(**{**arguments, **change})
