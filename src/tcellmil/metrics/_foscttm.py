"""How often another sample is closer than the true match."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil.metrics._arrays import Values, as_cells
from tcellmil.metrics._conditions import ByCondition, Labels, by_condition

Metric = Literal["cosine", "euclidean"]
DIGITS = 12  # to which similarities are the same: products of equal rows differ in the last ones


@documented
def foscttm(
    real: Values,
    generated: Values,
    match: np.ndarray | None = None,
    *,
    metric: Metric = "cosine",
    by: Labels | None = None,
) -> np.ndarray | ByCondition:
    r"""Fraction of samples closer than the true match, of each pair of two embeddings of the same samples.

    Of a pair :math:`(x_i, y_i)` with similarity :math:`s`,

    .. math:: \frac{1}{2} \left( \frac{|\{j \ne i : s(x_i, y_j) > s(x_i, y_i)\}|}{n - 1}
        + \frac{|\{j \ne i : s(x_j, y_i) > s(x_i, y_i)\}|}{n - 1} \right)

    0: each sample is nearest to its own match; 0.5: as at random. A tie counts one half, so that an embedding that puts
    everything at one place has 0.5; by the usual definition, with :math:`>` alone, it would have a perfect 0.

    Parameters
    ----------
    real, generated
        The two embeddings, ``(n_samples, n_features)`` and ``(n_others, n_features)``, finite, dense or sparse, such as
        of cells and of pseudobulks.
    match
        ``(n_samples,)``: row of ``generated`` that belongs to each row of ``real``; row ``i`` to row ``i`` by default.
        Several rows may have the same match: none of them is then a wrong match of it.
    metric
        What is close: the cosine of the angle (the paper), or Euclidean distance.
    by
        Condition of each row, ``(n_samples,)``, or a table with several columns, of which each combination that occurs
        is a condition. Only samples of one condition are compared, at least two in each. Not with ``match``.

    Returns
    -------
    ``(n_samples,)``, in [0, 1]; its mean is the FOSCTTM.
    %(with_by)s

    Raises
    ------
    TypeError
        If values are no real numbers.
    ValueError
        If shapes or matches do not fit, there is one match only, values are not finite, or a row is 0 throughout, which
        has no angle.

    References
    ----------
    Liu et al. (2019), WABI, section 3.3; Rizvi et al. (2025), C2S-Scale, section 4.6.4.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.metrics import foscttm
    >>> cells = np.array([[1.0, 0.1], [0.1, 1.0], [-1.0, 0.2]])
    >>> float(foscttm(cells, 2 * cells).mean()), float(foscttm(cells, np.ones((3, 2))).mean())
    (0.0, 0.5)
    """
    check_choice(metric, get_args(Metric), "metric")
    if by is not None:
        if match is not None:
            raise ValueError("by and match exclude each other: within a condition, row i belongs to row i")
        return by_condition(foscttm, real, generated, by, by, metric=metric)
    to_others, from_others, _ = matching(real, generated, match, metric)
    return (to_others + from_others) / 2


def matching(
    one: Values,
    other: Values,
    match: np.ndarray | None,
    metric: Metric = "cosine",
    names: tuple[str, str] = ("real", "generated"),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row of ``one``: shares of wrong matches that are closer, to it and to its match, and their similarity.

    The first is a share of the other rows of ``other``; the second of the rows of ``one`` that have another match.
    """
    one, other = as_cells(one, names[0]), as_cells(other, names[1])
    if one.shape[1] != other.shape[1]:
        raise ValueError(f"{names[0]} has {one.shape[1]} features, {names[1]} {other.shape[1]}; they must be the same")
    match = _checked_match(match, len(one), len(other))
    similarity = _similarity(one, other, metric, names)
    own = similarity[np.arange(len(one)), match]
    closer = (similarity > own[:, None]).sum(axis=1) + ((similarity == own[:, None]).sum(axis=1) - 1) / 2
    closer_to_match = np.empty(len(one))
    for row in np.unique(match):
        mine = match == row
        wrong = np.sort(similarity[~mine, row])
        below, not_above = (np.searchsorted(wrong, own[mine], side) for side in ("left", "right"))
        closer_to_match[mine] = 1 - (below + not_above) / (2 * len(wrong))
    return closer / (len(other) - 1), closer_to_match, own


def _checked_match(match: np.ndarray | None, n_one: int, n_other: int) -> np.ndarray:
    if match is None:
        if n_one != n_other:
            raise ValueError(f"real has {n_one} rows, generated {n_other}; say which belong together by match=...")
        match = np.arange(n_one)
    match = np.asarray(match)
    if match.shape != (n_one,) or match.dtype.kind not in "iu":
        raise ValueError(
            f"match must be {n_one} row numbers, one for each row of real, got {match.dtype} {match.shape}"
        )
    if match.min() < 0 or match.max() >= n_other:
        raise ValueError(f"match names rows {match.min()} to {match.max()}; generated has rows 0 to {n_other - 1}")
    if len(np.unique(match)) < 2:
        raise ValueError("all rows have the same match; at least two are needed for one to be wrong")
    return match


def _similarity(one: np.ndarray, other: np.ndarray, metric: Metric, names: tuple[str, str]) -> np.ndarray:
    """Cosine, or distance below 0, rounded so that what should be the same is."""
    from scipy.spatial.distance import cdist

    if metric == "euclidean":
        distance = cdist(one, other)
        return -np.round(distance / (distance.max() or 1.0), DIGITS)
    sides = []
    for name, rows in zip(names, (one, other), strict=True):
        rows = rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(float).tiny)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        if not length.all():
            zeros = np.flatnonzero(length == 0)
            raise ValueError(f"{len(zeros)} rows of {name} are 0 throughout (the first: {zeros[0]}) and have no angle")
        sides.append(rows / length)
    return np.round(sides[0] @ sides[1].T, DIGITS)
