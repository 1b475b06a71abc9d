"""Do patients with a probability of 0.7 respond in seven cases of ten?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tcellmil._checks import check_count


def calibration_curve(is_class: np.ndarray, probability: np.ndarray, n_bins: int = 5) -> pd.DataFrame:
    """Observed share of a class against its predicted probability, in bins of about equally many patients.

    Parameters
    ----------
    is_class
        ``(n_patients,)`` bool: whether the patient is of the class.
    probability
        ``(n_patients,)`` in [0, 1].
    n_bins
        Number of bins, at least 1. Patients with the same probability stay together, so that there can be fewer.

    Returns
    -------
    One row per bin: ``predicted`` (mean probability), ``observed`` (share of the class), ``ci_low`` and ``ci_high``
    (95%, Wilson), ``n``.

    Raises
    ------
    ValueError
        If shapes do not fit, values are not probabilities, or there is no bin.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22, 209.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    >>> table = calibration_curve(np.array([False, False, True, True, True, False]), p, n_bins=2)
    >>> table[["predicted", "observed", "n"]].round(2).values.tolist()
    [[0.2, 0.33, 3.0], [0.8, 0.67, 3.0]]
    """
    from scipy.stats import rankdata
    from statsmodels.stats.proportion import proportion_confint

    is_class, probability = np.asarray(is_class, dtype=bool), np.asarray(probability, dtype=float)
    if is_class.shape != probability.shape or is_class.ndim != 1 or not is_class.size:
        raise ValueError(
            f"is_class has shape {is_class.shape}, probability {probability.shape}; both must be (n_patients,)"
        )
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probability must lie in [0, 1] for every patient")
    n_bins = check_count(n_bins, "n_bins")
    below = rankdata(probability, method="min").astype(int) - 1
    bin_of_patient = below * n_bins // len(probability)
    table = pd.DataFrame({"bin": bin_of_patient, "predicted": probability, "observed": is_class})
    groups = table.groupby("bin")
    curve = groups[["predicted", "observed"]].mean()
    n = groups.size()
    curve["ci_low"], curve["ci_high"] = proportion_confint(groups["observed"].sum(), n, method="wilson")
    curve["n"] = n
    return curve.reset_index(drop=True)
