"""In-silico perturbation of regulons."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, some
from tcellmil._docs import documented
from tcellmil._log import logger
from tcellmil._results import counted, warn_without_skill
from tcellmil._verbs import Result, verb
from tcellmil.tl._explain._explained import open_explained
from tcellmil.tl._explain._largest import largest
from tcellmil.tl._explain._perturb_table import Effects

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.data import Bags
    from tcellmil.model import TcellMIL
    from tcellmil.model._fitted_model import FittedModel

Direction = Literal["up", "down"]
Deviation = Literal["global", "patient"]
Combine = Literal[1, 2]

DIRECTIONS: dict[Direction, int] = {"up": 1, "down": -1}


@documented
@verb()
def perturb(
    adata: AnnData | MuData,
    regulons: Sequence[str] | None = None,
    directions: Direction | Sequence[Direction] = ("up", "down"),
    n_mad: float | Sequence[float] = 3,
    mad: Deviation = "global",
    cells: np.ndarray | pd.Series | str | None = None,
    *,
    combine: Combine = 1,
    target_class: str | None = None,
    model: AnnData | MuData | TcellMIL | None = None,
    key: str = _keys.TCELLMIL,
    key_added: str | None = None,
    progress: bool = True,
    copy: bool = False,
) -> Result:
    r"""Shift one regulon in every cell, or two together, and predict again.

    Section 2.8 of the paper: on the networks' scale, in [-1, 1], :math:`z'_{ij} = \min(1, z_{ij} +
    3\,\mathrm{MAD}_j)` up and :math:`\max(-1, z_{ij} - 3\,\mathrm{MAD}_j)` down, with the median absolute deviation
    of the regulon over all cells. Of a regulon with the same score in more than half of the cells, often because it is
    silent there, the MAD is 0; :math:`0.6745\,\mathrm{SD}_j` stands in its place, with the standard deviation over the
    same cells, which is the MAD of a normal distribution (:func:`tcellmil.fitted.shift_units`). The table says which of
    the two it is, in ``spread``; a shift by the standard deviation changes predictions more, so compare sizes within
    ``spread``. A regulon that is the same in all cells has neither and cannot be moved.

    Each patient is predicted by the replicas that held it out. Over patients, a Wilcoxon signed-rank test of the change
    in :math:`\log((p + \epsilon) / (1 - p + \epsilon))`, :math:`\epsilon = 10^{-6}`, for each regulon, direction and
    dose, with Benjamini-Hochberg over all tests. The result says how the *model* responds; a regulon is associated with
    the prediction, which does not make it a cause of the outcome.

    Several values of ``n_mad`` give a dose curve. Scores end at -1 and 1, so a curve flattens where cells arrive there.

    With ``combine=2``, all pairs of the regulons are shifted as well, both in the same direction and by the same
    ``n_mad``. With the change :math:`\Delta_{ab}` of a pair and :math:`\Delta_a`, :math:`\Delta_b` of its members
    alone, the *epistasis* is :math:`\Delta_{ab} - (\Delta_a + \Delta_b)`, on the probability and on the logit. It is 0
    where the model adds up the two. Probabilities cannot pass 0 and 1, so two strong shifts that only add up on the
    logit still show an epistasis on the probability; that on the logit is tested, as above, over all pairs. A network
    is never quite additive, and however little it departs, in the same direction in most patients it is significant:
    read the size beside the change of the pair.

    Where the outcome is a number or a time to event, the change is of the predicted number itself, in its own units, or
    of the log hazard; it is this change, and its epistasis, that is tested.

    R regulons are R (R - 1) / 2 pairs, each predicted for every patient, direction and dose. Measured with 64 patients
    of 600 cells, 154 regulons, one seed and both directions on one core: 15 s for the regulons, and 18 minutes for
    their 11781 pairs (from 435 of them), whose table has 1.5 million rows (0.3 GB in a file). Time is proportional to
    doses, directions, replicas per patient, and cells. Choose ``regulons`` first, such as the strongest ones alone.

    Reads what :func:`tcellmil.tl.fit_mil` wrote and the representation that it was fitted on; a file read back is
    enough. New patients, after :func:`tcellmil.tl.predict`, are predicted by all replicas of ``model``; deviations are
    over the cells of ``adata``, as always.

    Parameters
    ----------
    adata
        An AnnData or a MuData with a fitted model in ``uns[key]``, or with predictions of :func:`tcellmil.tl.predict`.
    regulons
        Names of the regulons (features) to perturb; all by default.
    directions
        ``"up"``, ``"down"`` or both.
    n_mad
        Size of the shift in median absolute deviations, above 0; several for a dose curve.
    mad
        What the deviation, or the standard deviation in its place, is taken over. ``"global"``: over all cells (the
        paper). ``"patient"``: over the cells of each patient by itself.
    cells
        Perturb only these cells: a mask, ``(n_cells,)`` bool, or a query on ``obs``, ``"cell_type == 'NK'"``. The
        deviations still come from all cells.
    combine
        1: regulons alone. 2: also all pairs of them.
    target_class
        The class whose probability is followed; the positive one by default. Without meaning for other outcomes.
    %(model_that_predicted)s
    %(key)s
    key_added
        Name of what is written; ``f"{key}_perturbation"`` by default.
    progress
        Show a progress bar over patients once it has taken a few seconds.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written to ``uns["tcellmil_perturbation"]``:

    - ``patients``: one row per patient, regulon, direction and ``n_mad`` with ``prob_base``, ``prob``, ``delta`` and
      ``delta_logit``;
    - ``stats``: one row per regulon, direction and ``n_mad`` with ``n_patients``, ``mean_delta``, ``median_delta``,
      ``mean_delta_logit``, ``statistic``, ``p``, ``padj``, ``mad``, ``unit``, ``spread``, ``movable`` and
      ``target_class``. ``unit`` is the shift for ``n_mad=1`` on the representation's own scale, ``spread`` what it is,
      ``"mad"`` or ``"sd"`` (0.6745 standard deviations, where ``mad`` is 0). For ``mad="patient"``, ``mad`` and
      ``unit`` are medians over patients, and ``spread`` is ``"mad, sd"`` where it differs between them. A regulon that
      is the same in all cells cannot be moved: its ``spread`` is empty, and the statistics are NaN, which is not the
      same as without effect;
    - with ``combine=2``, ``pairs``: one row per patient, ``regulon_1``, ``regulon_2`` (in the order of the model's
      features), direction and ``n_mad`` with ``prob_base``, ``prob``, ``delta``, ``delta_logit``, ``epistasis`` and
      ``epistasis_logit``;
    - and ``pair_stats``: one row per pair, direction and ``n_mad`` with ``n_patients``, the same means and median of
      ``delta`` and of ``epistasis``, the test of ``epistasis_logit`` (``statistic``, ``p``, ``padj``), ``movable`` and
      ``target_class``. A pair with a member that cannot be moved is not movable;
    - ``params``: the arguments, with the names of the cells where ``cells`` is a mask, and ``outcome``.

    Where the outcome is a number or a time to event: ``value_base`` and ``value``, the predicted number or log hazard,
    in place of ``prob_base`` and ``prob``; no columns of logits; ``statistic`` and ``p`` of ``delta`` (of pairs, of
    ``epistasis``); and in the statistics ``target_class`` is the name of the number, or ``"risk"``, with ``outcome``
    beside it.

    Raises
    ------
    KeyError, ValueError, TypeError
        If the model, a regulon or the cells are not there, or an option is out of range; ``adata`` is then unchanged.

    Warns
    -----
    %(no_skill)s

    References
    ----------
    Tsui et al. (2025), tcellMIL, sections 2.8 and 6.7.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> tm.tl.perturb(adata, regulons=["IRF7(+)"], n_mad=[1, 3])
    >>> len(tm.get.perturb(adata, n_mad=3, direction="up"))  # patients
    8
    >>> tm.tl.perturb(adata, regulons=["IRF7(+)", "SPI1(+)"], combine=2)
    >>> tm.get.perturb(adata, "pair_stats").index.tolist()
    [('IRF7(+)', 'SPI1(+)', 'up', 3.0), ('IRF7(+)', 'SPI1(+)', 'down', 3.0)]
    """
    check_choice(mad, get_args(Deviation), "mad")
    check_choice(combine, get_args(Combine), "combine")
    directions = _checked_directions(directions)
    doses = _checked_doses(n_mad)
    fitted, bags = open_explained(adata, key, model)
    names, chosen = _features(fitted, regulons)
    if combine == 2 and len(chosen) < 2:
        raise ValueError(f"combine=2 needs at least 2 regulons, got {some(names[chosen])}; name more, or use combine=1")
    mask = _cell_mask(adata, cells)
    touched = mask[bags.order]
    code = fitted.class_code(target_class)
    units, spread = _units(bags, mad)

    given = {"model": fitted, "bags": bags, "units": units, "touched": touched, "code": code}
    given |= {"directions": directions, "doses": doses, "progress": progress}
    n_shifts = len(directions) * len(doses)
    singles = _effects(chosen[:, None], ["regulon"], **given)
    outcome = bags.outcome
    target = {"target_class": outcome.outputs[code]} | ({} if outcome.has_classes else {"outcome": outcome.kind})
    stats = singles.statistics().assign(**target)
    for name in spread:
        stats.insert(stats.columns.get_loc("movable"), name, np.repeat(spread[name].to_numpy()[chosen], n_shifts))
    result = {"patients": singles.table(), "stats": stats}
    if combine == 2:
        pairs = np.array(list(combinations(np.sort(chosen), 2)))
        logger.info(
            f"perturb: {len(pairs)} pairs of {len(chosen)} regulons, {len(pairs) * n_shifts} shifts per patient"
        )
        joint = _effects(pairs, ["regulon_1", "regulon_2"], **given)
        joint.add_epistasis(singles)
        pair_stats = joint.statistics().assign(**target)
        result |= {"pairs": joint.table(), "pair_stats": pair_stats}
    params = {"directions": directions, "target_class": outcome.outputs[code], "outcome": outcome.kind}
    params["cells"] = cells if cells is None or isinstance(cells, str) else adata.obs_names[mask]
    params["no_skill"] = warn_without_skill(adata, key)
    quantity = outcome.quantity(str(outcome.outputs[code]))
    patients = counted(adata, key, result["patients"]["patient"].unique())
    return Result(result, _message(patients, stats, result.get("pair_stats"), quantity), params)


def _message(patients: str, stats: pd.DataFrame, of_pairs: pd.DataFrame | None, quantity: str) -> str:
    of_regulon = stats.drop_duplicates("regulon")
    unmovable, n_sd = int((~of_regulon["movable"]).sum()), int(of_regulon["spread"].str.contains("sd").sum())
    doses = "" if stats["n_mad"].nunique() == 1 else " by " + stats["n_mad"].map("{:g}".format)
    names = stats["regulon"].astype(str) + " " + stats["direction"] + doses
    message = (
        f"{stats['regulon'].nunique()} regulons in {patients}; "
        f"largest mean changes of the {quantity}: {largest(names, stats['mean_delta'])}"
    )
    if n_sd:
        message += f"; for {n_sd} of the regulons, whose MAD is 0, 0.6745 standard deviations stand in its place"
        message += " and change predictions more: compare sizes within spread" if n_sd < len(of_regulon) else ""
    if unmovable:
        message += f"; {unmovable} of the regulons cannot be moved, their deviation is 0"
    if of_pairs is not None:
        names = of_pairs["regulon_1"].astype(str) + " and " + of_pairs["regulon_2"] + " " + of_pairs["direction"]
        message += f"; largest mean epistasis of {len(of_pairs)} shifts of pairs: "
        message += largest(names, of_pairs["mean_epistasis"])
    return message


def _checked_directions(directions: Sequence[str]) -> list[str]:
    directions = [directions] if isinstance(directions, str) else list(dict.fromkeys(directions))
    if not directions:
        raise ValueError("directions is empty; choose from 'up', 'down'")
    for direction in directions:
        check_choice(direction, tuple(DIRECTIONS), "directions")
    return directions


def _checked_doses(n_mad: float | Sequence[float]) -> np.ndarray:
    """Doses in ascending order."""
    doses = np.asarray(n_mad)
    if doses.ndim > 1 or (doses.size and doses.dtype.kind not in "iuf"):
        raise TypeError(f"n_mad must be a number or a list of numbers, got {n_mad!r}")
    if not doses.size:
        raise ValueError("n_mad is empty; give one number of median absolute deviations, or several")
    doses = np.sort(np.atleast_1d(doses).astype(float))
    if not np.isfinite(doses).all() or doses[0] <= 0:
        raise ValueError(f"n_mad={n_mad!r} must be above 0; the direction says which way to shift")
    if (np.diff(doses) == 0).any():
        raise ValueError(f"n_mad={n_mad!r} names a dose twice")
    return doses


def _features(model: FittedModel, regulons: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray]:
    names = model.feature_names()
    position = {name: i for i, name in enumerate(names)}
    if len(position) < len(names):
        twice = dict.fromkeys(name for i, name in enumerate(names) if position[name] != i)
        raise ValueError(f"the model has several features by the names {some(twice)}; rename them and fit again")
    if regulons is None:
        return names, np.arange(len(names))
    regulons = [regulons] if isinstance(regulons, str) else list(dict.fromkeys(regulons))
    unknown = [name for name in regulons if name not in position]
    if unknown or not regulons:
        raise KeyError(f"regulons {some(unknown)} are not features of the model; there are {some(names)}")
    return names, np.array([position[name] for name in regulons])


def _cell_mask(adata: AnnData, cells: np.ndarray | pd.Series | str | None) -> np.ndarray:
    if cells is None:
        return np.ones(adata.n_obs, dtype=bool)
    if isinstance(cells, str):
        mask = np.zeros(adata.n_obs, dtype=bool)
        mask[adata.obs_names.get_indexer(adata.obs.query(cells).index)] = True
    else:
        if isinstance(cells, pd.Series):
            cells = cells.reindex(adata.obs_names).to_numpy() if not cells.index.equals(adata.obs_names) else cells
        mask = np.asarray(cells)
        if mask.dtype != bool or mask.shape != (adata.n_obs,):
            raise TypeError(
                f"cells must be a bool mask of length {adata.n_obs} or a query on obs, "
                f"got {mask.dtype} of shape {mask.shape}"
            )
    if not mask.any():
        raise ValueError(f"cells={cells!r} selects no cell; there is nothing to perturb")
    return mask


def _units(bags: Bags, mad: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Shift of each bag and feature by one unit, ``(bag, feature)``, and what it is of each feature, for the table."""
    from tcellmil.fitted import shift_units

    cells = [slice(None)] if mad == "global" else [bags.bag(i) for i in range(bags.n_bags)]
    units, is_mad = (np.stack(parts) for parts in zip(*(shift_units(bags.x[rows]) for rows in cells), strict=True))
    by_mad, by_sd = is_mad.any(axis=0), ((units > 0) & ~is_mad).any(axis=0)
    spread = {"mad": np.median(np.where(is_mad, units, 0), axis=0), "unit": np.median(units, axis=0)}
    spread["spread"] = np.select([by_mad & by_sd, by_mad, by_sd], ["mad, sd", "mad", "sd"], default="").astype(object)
    return np.broadcast_to(units, (bags.n_bags, units.shape[1])), pd.DataFrame(spread)


def _effects(
    features: np.ndarray,
    columns: list[str],
    *,
    model: FittedModel,
    bags: Bags,
    units: np.ndarray,
    touched: np.ndarray,
    code: int,
    directions: list[str],
    doses: np.ndarray,
    progress: bool,
) -> Effects:
    """Shift each row of ``features``, ``(group, member)``, in every direction and by every dose."""
    from tcellmil.fitted import perturb_bags

    names = model.feature_names()
    groups = [tuple(names[row]) for row in features]
    levels = [(*group, direction, dose) for group, direction, dose in product(groups, directions, doses)]
    unit = np.where(units > 0, units, np.nan)[:, features].swapaxes(0, 1)  # (group, bag, member)
    signed = np.array([DIRECTIONS[direction] * dose for direction, dose in product(directions, doses)])
    amounts = (signed[:, None, None] * unit[:, None]).reshape(-1, bags.n_bags, features.shape[1])
    base, perturbed = perturb_bags(
        model.stack,
        bags,
        np.repeat(features, len(signed), axis=0),
        amounts,
        touched,
        model.shown_to(),
        progress=progress,
    )
    experiments = pd.MultiIndex.from_tuples(levels, names=[*columns, "direction", "n_mad"])
    return Effects(experiments, bags.names, base[:, code], perturbed[..., code], bags.outcome.has_classes)
