"""Linear models of many columns on one variable, with a random intercept of the patient."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

SINGULAR = 1e-8  # share of the residual variance below which patients do not differ; the square of lme4's 1e-4
RATIOS = np.concatenate([[0.0], np.logspace(-10, 8, 73)])  # of variances, among which the optimum is bracketed
NO_VARIANCE = 1e-12  # of a standardised variable: what is left is rounding


def random_intercept(columns: np.ndarray, x: np.ndarray, patients: np.ndarray) -> pd.DataFrame:
    r"""Regress every column on one variable, with a random intercept of the patient, by REML.

    For cell :math:`j` of patient :math:`i`, with column and variable standardised over all cells,

    .. math:: y_{ij} = \beta_0 + \beta x_{ij} + u_i + e_{ij}, \qquad u_i \sim N(0, \lambda \sigma^2), \;
        e_{ij} \sim N(0, \sigma^2)

    ``coef`` is :math:`\beta`, in standard deviations of the column for one of the variable; p is two-sided, from the
    normal distribution of ``coef / se``. The fit is :class:`statsmodels.regression.mixed_linear_model.MixedLM`,
    started at the optimum, which in this model is a search over the one number :math:`\lambda` on sums over the
    patients. Without that start it takes several times as long, and where patients do not differ
    (:math:`\lambda = 0`) it can stop far from the optimum.

    The intercept allows for patients that differ in level. Cells of a patient still count as independent around it: if
    the *slope* differs between patients, p is too small.

    Parameters
    ----------
    columns
        ``(n_cells, n_columns)``, finite.
    x
        ``(n_cells,)``, finite, not constant.
    patients
        Patient of each cell, ``(n_cells,)``, at least two.

    Returns
    -------
    One row per column: ``coef``, ``se``, ``p``, ``status``. The status is

    - ``"ok"``;
    - ``"singular"``: the best variance of the intercept is 0, so that the estimates are those of least squares, which
      is not a failure;
    - ``"not converged"``: estimates from where the search stopped;
    - ``"constant"`` or ``"constant within patients"``: nothing to fit, NaN;
    - ``"failed: ..."``: NaN, and why.

    Raises
    ------
    ValueError
        If shapes do not fit, a value is not finite, ``x`` is constant or there is one patient only.

    References
    ----------
    Laird & Ware (1982), Biometrics 38, 963; Seabold & Perktold (2010), statsmodels; Bates et al. (2015), Journal of
    Statistical Software 67 (singular fits).

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import random_intercept
    >>> rng = np.random.default_rng(0)
    >>> patients, x = np.repeat(np.arange(10), 30), rng.normal(size=300)
    >>> y = 0.5 * x + rng.normal(size=10)[patients] + rng.normal(size=300)
    >>> random_intercept(np.column_stack([y, np.ones(300)]), x, patients)["status"].tolist()
    ['ok', 'constant']
    """
    columns, x = np.asarray(columns, dtype=float), np.asarray(x, dtype=float)
    patients = np.asarray(patients, dtype=str)
    if columns.ndim != 2 or x.shape != columns.shape[:1] or patients.shape != x.shape:
        raise ValueError(
            "columns must be (n_cells, n_columns), x and patients (n_cells,), "
            f"got {columns.shape}, {x.shape} and {patients.shape}"
        )
    for name, values in (("columns", columns), ("x", x)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds {int((~np.isfinite(values)).sum())} NaN or infinite values; drop them")
    names, patient = np.unique(patients, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"a random intercept needs at least two patients, there is {names.tolist()}")
    if np.ptp(x) == 0:
        raise ValueError("x is the same in all cells; there is nothing to regress on")
    design = np.column_stack([np.ones(len(x)), _standardised(x)])
    fits = [_fit(column, design, patient) for column in columns.T]
    return pd.DataFrame(fits, columns=["coef", "se", "p", "status"]).astype({"coef": float, "se": float, "p": float})


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def _fit(column: np.ndarray, design: np.ndarray, patient: np.ndarray) -> tuple[float, float, float, str]:
    if np.ptp(column) == 0:
        return np.nan, np.nan, np.nan, "constant"
    y = _standardised(column)
    left, left_after_x = _within_patients(y, design[:, 1], patient)
    if left < NO_VARIANCE:
        return np.nan, np.nan, np.nan, "constant within patients"
    if left_after_x < NO_VARIANCE:
        return np.nan, np.nan, np.nan, "failed: within patients, the column is a linear function of x"
    ratio, fixed, se = _best_ratio(y, design, patient)
    if ratio < SINGULAR:
        # MixedLM inverts the variance of the intercept, which has no inverse at 0.
        return fixed[1], se[1], _two_sided(fixed[1] / se[1]), "singular"
    return _fit_from(y, design, patient, ratio, fixed)


def _within_patients(y: np.ndarray, x: np.ndarray, patient: np.ndarray) -> tuple[float, float]:
    """Mean square of ``y`` around the means of the patients, and what is left of it after regressing on ``x``."""
    n_cells = np.bincount(patient)
    x, y = (values - (np.bincount(patient, values) / n_cells)[patient] for values in (x, y))
    explained = (x @ y) ** 2 / (x @ x) if x @ x > NO_VARIANCE * len(x) else 0.0
    return y @ y / len(y), (y @ y - explained) / len(y)


def _best_ratio(y: np.ndarray, design: np.ndarray, patient: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """REML estimates of the ratio of variances, the fixed effects and their standard errors.

    All that the likelihood needs of the cells are their sums of squares and their sums per patient: with the inverse
    of ``I + ratio * 11'``, which is ``I - ratio / (1 + ratio * n) * 11'``, every product is one over patients.
    """
    from scipy.optimize import minimize_scalar

    table = np.column_stack([design, y])
    n_cells, k = np.bincount(patient), design.shape[1]
    sums = np.stack([np.bincount(patient, values) for values in table.T], axis=1)
    squares = table.T @ table

    def solve(ratio: float) -> tuple[np.ndarray, np.ndarray, float]:
        products = squares - sums.T @ (sums * (ratio / (1 + ratio * n_cells))[:, None])
        fixed = np.linalg.solve(products[:k, :k], products[:k, k])
        return products[:k, :k], fixed, products[k, k] - fixed @ products[:k, k]

    def deviance(ratio: float) -> float:
        information, _, residual = solve(ratio)
        return np.log1p(ratio * n_cells).sum() + np.linalg.slogdet(information)[1] + (len(y) - k) * np.log(residual)

    best = int(np.argmin([deviance(ratio) for ratio in RATIOS]))
    ratio = 0.0
    if best > 0:
        low, high = RATIOS[max(best - 1, 1)], RATIOS[min(best + 1, len(RATIOS) - 1)]
        search = minimize_scalar(
            lambda log_ratio: deviance(np.exp(log_ratio)),
            bounds=(np.log(low), np.log(high)),
            method="bounded",
            options={"xatol": 1e-10},
        )
        ratio = float(np.exp(search.x))
    information, fixed, residual = solve(ratio)
    variance = residual / (len(y) - k) * np.diag(np.linalg.inv(information))
    return ratio, fixed, np.sqrt(variance)


def _fit_from(y, design, patient, ratio: float, fixed: np.ndarray) -> tuple[float, float, float, str]:
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

    start = MixedLMParams.from_components(fe_params=fixed, cov_re=np.array([[ratio]]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = MixedLM(y, design, groups=patient).fit(start_params=start)
        except (np.linalg.LinAlgError, ValueError) as error:
            return np.nan, np.nan, np.nan, f"failed: {error}"
        coef, se = float(result.fe_params[1]), float(result.bse_fe[1])
    # Of what statsmodels warns of, this and the end of the search mean that the estimates cannot be trusted. Its
    # "may be on the boundary" comes with every variance below 0.01, however well determined.
    no_optimum = any("not positive definite" in str(warning.message) for warning in caught)
    return coef, se, _two_sided(coef / se), "ok" if result.converged and not no_optimum else "not converged"


def _two_sided(z: float) -> float:
    from scipy.special import ndtr

    return float(2 * ndtr(-abs(z)))
