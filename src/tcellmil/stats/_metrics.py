"""Metrics of a classifier, for one or many weightings of the same patients at once."""

from __future__ import annotations

import numpy as np

METRICS = ("auroc", "auprc", "accuracy", "balanced_accuracy", "f1", "precision", "recall", "brier")


def classification_metrics(y_true: np.ndarray, proba: np.ndarray) -> dict[str, float]:
    r"""Measure how well class probabilities match the classes of the patients.

    The predicted class is the most probable one (the first of them, if tied).

    - ``auroc``: share of pairs (a patient of the class, one of the others) that the probability orders rightly; a tie
      counts half.
    - ``auprc``: average precision :math:`\sum_n (R_n - R_{n-1}) P_n` over the distinct thresholds, highest first,
      without interpolation.
    - ``accuracy``; ``balanced_accuracy``: the mean recall over the classes.
    - ``precision``, ``recall``, ``f1``: 0 where nothing was predicted to be of the class.
    - ``brier``: mean of :math:`(p_1 - y)^2`.

    With two classes, class 1 is the positive one. With more, ``auroc`` and ``auprc`` are the means over the classes of
    one against the rest, ``precision``, ``recall`` and ``f1`` the plain means over the classes, and ``brier`` is the
    mean of :math:`\sum_c (p_c - [y = c])^2`, so that it lies in [0, 2] and not in [0, 1] as with two classes.

    Parameters
    ----------
    y_true
        Class of each patient, ``(n_patients,)``, codes 0 to ``n_classes - 1``.
    proba
        Probability of each class, ``(n_patients, n_classes)``; rows sum to 1.

    Returns
    -------
    The metrics by name, in the order above: auroc, auprc, accuracy, balanced_accuracy, f1, precision, recall, brier.

    Raises
    ------
    ValueError
        If shapes do not fit, the probabilities are none, or a class has no patient (its AUROC is undefined).

    References
    ----------
    Hand & Till (2001), Machine Learning 45, 171 (AUROC of several classes); Brier (1950), Monthly Weather Review 78, 1.
    Same definitions as scikit-learn's.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import classification_metrics
    >>> p = np.array([0.1, 0.6, 0.4, 0.9])
    >>> metrics = classification_metrics(np.array([0, 0, 1, 1]), np.column_stack([1 - p, p]))
    >>> metrics["auroc"], metrics["accuracy"]
    (0.75, 0.5)
    """
    y_true, proba = checked_predictions(y_true, proba)
    values = weighted_metrics(y_true, proba, np.ones((1, len(y_true))))[0]
    return dict(zip(METRICS, values.tolist(), strict=True))


def checked_predictions(y_true: np.ndarray, proba: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, int and float64, or a ValueError that says what does not fit."""
    y_true, proba = np.asarray(y_true), np.asarray(proba, dtype=float)
    if proba.ndim != 2 or proba.shape[1] < 2:
        raise ValueError(f"proba must be (n_patients, n_classes) with at least 2 classes, got shape {proba.shape}")
    n_classes = proba.shape[1]
    if y_true.shape != proba.shape[:1]:
        raise ValueError(f"y_true has shape {y_true.shape}, but proba has {len(proba)} patients")
    if y_true.dtype.kind not in "iub":
        raise ValueError(f"y_true must be integer class codes, got {y_true.dtype}")
    y_true = y_true.astype(int)
    if y_true.size and not (0 <= y_true.min() and y_true.max() < n_classes):
        raise ValueError(
            f"y_true must be codes 0 to {n_classes - 1}, got {y_true.min()} to {y_true.max()}; "
            "leave out patients without a label"
        )
    if not np.isfinite(proba).all():
        raise ValueError(f"proba holds {int((~np.isfinite(proba)).sum())} NaN or infinite values")
    if (proba < 0).any() or (np.abs(proba.sum(axis=1) - 1) > 1e-3).any():
        raise ValueError("proba must be probabilities: at least 0, and summing to 1 in every row")
    absent = np.setdiff1d(np.arange(n_classes), y_true)
    if absent.size:
        raise ValueError(f"no patient is of class {', '.join(map(str, absent))}: AUROC needs patients of every class")
    return y_true, proba


def weighted_metrics(
    y_true: np.ndarray, proba: np.ndarray, weights: np.ndarray, pair_order: np.ndarray | None = None
) -> np.ndarray:
    """The metrics under each row of ``weights``.

    Parameters
    ----------
    y_true, proba
        As :func:`checked_predictions` returns them.
    weights
        ``(n_weightings, n_patients)``, at least 0, every class with a positive sum; in a bootstrap, how often a
        resample drew each patient.
    pair_order
        ``(n_positive, n_negative)``: used for the AUROC in place of comparing probabilities; two classes only.

    Returns
    -------
    ``(n_weightings, n_metrics)``, columns as ``METRICS``.
    """
    n_classes = proba.shape[1]
    binary = n_classes == 2
    classes = [1] if binary else range(n_classes)
    is_class = y_true[:, None] == np.arange(n_classes)
    kernels = [pairs_won(proba[:, c], is_class[:, c]) for c in classes] if pair_order is None else [pair_order]
    auroc = [_weighted_auroc(k, is_class[:, c], weights) for k, c in zip(kernels, classes, strict=True)]
    auprc = [_weighted_average_precision(is_class[:, c], proba[:, c], weights) for c in classes]

    # (weighting, true class, predicted class)
    cell = y_true * n_classes + proba.argmax(axis=1)
    confusion = (weights @ np.eye(n_classes**2)[cell]).reshape(-1, n_classes, n_classes)
    right, of_class, called = confusion.diagonal(axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    recall = _ratio(right, of_class)
    precision = _ratio(right, called)
    f1 = _ratio(2 * right, of_class + called)

    squared_error = (proba[:, 1] - y_true) ** 2 if binary else ((proba - is_class) ** 2).sum(axis=1)
    by_name = {
        "auroc": np.mean(auroc, axis=0),
        "auprc": np.mean(auprc, axis=0),
        "accuracy": right.sum(axis=1) / weights.sum(axis=1),
        "balanced_accuracy": recall.mean(axis=1),
        "f1": f1[:, classes].mean(axis=1),
        "precision": precision[:, classes].mean(axis=1),
        "recall": recall[:, classes].mean(axis=1),
        "brier": weights @ squared_error / weights.sum(axis=1),
    }
    return np.column_stack([by_name[name] for name in METRICS])


def pairs_won(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """1 where the positive patient (row) scores above the negative (column), 0.5 where equal, else 0."""
    difference = score[positive][:, None] - score[~positive]
    return (np.sign(difference) + 1) / 2


def _weighted_auroc(pair_order: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    of_positive, of_negative = weights[:, positive], weights[:, ~positive]
    won = ((of_positive @ pair_order) * of_negative).sum(axis=1)
    return won / (of_positive.sum(axis=1) * of_negative.sum(axis=1))


def _weighted_average_precision(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.diff(score[order]) != 0, True)  # patients of one score pass a threshold together
    called = weights[:, order].cumsum(axis=1)[:, last_of_tie]
    right = (weights * positive)[:, order].cumsum(axis=1)[:, last_of_tie]
    recall = right / right[:, -1:]
    return (np.diff(recall, axis=1, prepend=0) * _ratio(right, called)).sum(axis=1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Their ratio, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator, dtype=float), where=denominator > 0)
