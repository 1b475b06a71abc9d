"""In-silico perturbation of regulons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_adata, check_choice, some
from tcellmil._log import logger

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil.model import TcellMIL

DIRECTIONS = {"up": 1, "down": -1}
LOGIT_OFFSET = 1e-6


def perturb(
    adata: AnnData,
    regulons: Sequence[str] | None = None,
    directions: Sequence[str] = ("up", "down"),
    n_mad: float = 3,
    mad: str = "global",
    cells: np.ndarray | pd.Series | str | None = None,
    *,
    target_class: str | None = None,
    key: str = _keys.TCELLMIL,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    r"""Shift one regulon in every cell and ask the networks again.

    Section 2.8 of the paper: on the networks' scale, in [-1, 1], :math:`z'_{ij} = \min(1, z_{ij} +
    3\,\mathrm{MAD}_j)` up and :math:`\max(-1, z_{ij} - 3\,\mathrm{MAD}_j)` down, with the median absolute deviation
    of the regulon over all cells. Each patient is predicted by the replicas that held it out. Over patients, a
    Wilcoxon signed-rank test of the change in :math:`\log((p + \epsilon) / (1 - p + \epsilon))`, :math:`\epsilon =
    10^{-6}`, for each regulon and direction, with Benjamini-Hochberg over all tests. The result says how the *model*
    responds; a regulon is associated with the prediction, which does not make it a cause of the outcome.

    Reads what :func:`tcellmil.tl.fit_mil` wrote and the representation that it was fitted on; a file read back is
    enough.

    Parameters
    ----------
    adata
        With a fitted model in ``uns[key]``.
    regulons
        Names of the regulons (features) to perturb; all by default.
    directions
        ``"up"``, ``"down"`` or both.
    n_mad
        Size of the shift in median absolute deviations, above 0.
    mad
        ``"global"``: over all cells (the paper). ``"patient"``: over the cells of each patient by itself.
    cells
        Perturb only these cells: a mask, ``(n_cells,)`` bool, or a query on ``obs``, ``"cell_type == 'NK'"``. The
        deviations still come from all cells.
    target_class
        The class whose probability is followed; the positive one by default.
    key
        Name of the fitted result.
    key_added
        Name of what is written; ``f"{key}_perturbation"`` by default.
    copy
        Return a changed copy instead of changing ``adata``.

    Returns
    -------
    ``None``, or the changed copy. Written:

    - ``uns["tcellmil_perturbation"]``: a row a patient, regulon and direction with ``prob_base``, ``prob``,
      ``delta`` and ``delta_logit``;
    - ``uns["tcellmil_perturbation_stats"]``: a row a regulon and direction with ``n_patients``, ``mean_delta``,
      ``median_delta``, ``mean_delta_logit``, ``statistic``, ``p``, ``padj``, ``mad`` (on the representation's own
      scale; the median over patients for ``mad="patient"``), ``target_class`` and ``movable``. A regulon whose
      deviation is 0 cannot be moved: it is reported as such, with NaN in the statistics, not as without effect.

    Raises
    ------
    KeyError, ValueError, TypeError
        If the model, a regulon or the cells are not there; ``adata`` is then unchanged.

    References
    ----------
    Tsui et al. (2025), tcellMIL, sections 2.8 and 6.7.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, max_epochs=3, max_epochs_ae=3, progress=False)
    >>> tm.tl.perturb(adata, regulons=["IRF7(+)"])
    >>> tm.get.perturbation(adata)["patient"].nunique()
    8
    """
    check_adata(adata)
    from tcellmil.cv import median_absolute_deviation, perturb_bags
    from tcellmil.get import model as get_model

    check_choice(mad, ("global", "patient"), "mad")
    directions = _checked_directions(directions)
    if not np.isfinite(n_mad) or n_mad <= 0:
        raise ValueError(f"n_mad={n_mad!r} must be above 0; the direction says which way to shift")
    model = get_model(adata, key=key)
    bags = model.bags()
    names, chosen = _features(model, regulons)
    touched = _cell_mask(adata, cells)[bags.order]
    code = _class_code(model, target_class)

    if mad == "global":
        deviation = np.repeat(median_absolute_deviation(bags.x)[None], bags.n_bags, axis=0)
    else:
        deviation = np.stack([median_absolute_deviation(bags.x[bags.bag(i)]) for i in range(bags.n_bags)])
    size = n_mad * np.where(deviation > 0, deviation, np.nan)[:, chosen].T  # (regulon, bag)
    amounts = np.concatenate([DIRECTIONS[direction] * size for direction in directions])
    features = np.tile(chosen, len(directions))[:, None]
    base, perturbed = perturb_bags(model.module, bags, features, amounts[..., None], touched, model.shown_to())
    perturbed = perturbed[..., code].reshape(len(directions), len(chosen), bags.n_bags)

    table = _table(bags.names, names, chosen, directions, base[:, code], perturbed)
    stats = _statistics(table, names, chosen, directions, np.median(deviation, axis=0))
    stats["target_class"] = model.setup.classes[code]
    key_added = _keys.perturbation(key) if key_added is None else key_added
    adata = adata.copy() if copy else adata
    adata.uns[key_added] = table
    adata.uns[_keys.stats_of(key_added)] = stats
    unmovable = int((~stats.drop_duplicates("regulon")["movable"]).sum())
    logger.info(
        f"perturb: {len(chosen)} regulons in {table['patient'].nunique()} patients, "
        f"{int((stats['padj'] < 0.05).sum())} of {len(stats)} shifts with padj < 0.05"
        + (f"; {unmovable} regulons have a deviation of 0 and cannot be moved" if unmovable else "")
    )
    return adata if copy else None


def _checked_directions(directions: Sequence[str]) -> list[str]:
    directions = [directions] if isinstance(directions, str) else list(dict.fromkeys(directions))
    if not directions:
        raise ValueError("directions is empty; choose from 'up', 'down'")
    for direction in directions:
        check_choice(direction, tuple(DIRECTIONS), "directions")
    return directions


def _features(model: TcellMIL, regulons: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray]:
    n_features = model.module.n_features
    names = np.array(model.setup.features or [f"{model.setup.use_rep}_{i}" for i in range(n_features)], dtype=object)
    if regulons is None:
        return names, np.arange(n_features)
    regulons = [regulons] if isinstance(regulons, str) else list(dict.fromkeys(regulons))
    position = {name: i for i, name in enumerate(names)}
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


def _class_code(model: TcellMIL, target_class: str | None) -> int:
    classes = model.setup.classes
    if target_class is None:
        return len(classes) - 1
    check_choice(target_class, classes, "target_class")
    return classes.index(target_class)


def _table(patients, names, chosen, directions, base: np.ndarray, perturbed: np.ndarray) -> pd.DataFrame:
    """Tidy rows; ``base`` is ``(bag,)``, ``perturbed`` ``(direction, regulon, bag)``."""
    blocks = []
    for d, direction in enumerate(directions):
        for j, prob in zip(chosen, perturbed[d], strict=True):
            done = np.isfinite(prob)
            blocks.append(
                pd.DataFrame(
                    {
                        "patient": patients[done].astype(object),
                        "regulon": names[j],
                        "direction": direction,
                        "prob_base": base[done],
                        "prob": prob[done],
                    }
                )
            )
    table = pd.concat(blocks, ignore_index=True)
    table["delta"] = table["prob"] - table["prob_base"]
    table["delta_logit"] = _logit(table["prob"]) - _logit(table["prob_base"])
    return table


def _logit(p: pd.Series) -> pd.Series:
    return np.log((p + LOGIT_OFFSET) / (1 - p + LOGIT_OFFSET))


def _statistics(table: pd.DataFrame, names, chosen, directions, deviation: np.ndarray) -> pd.DataFrame:
    from tcellmil.stats import benjamini_hochberg, signed_rank_by_column

    index = pd.MultiIndex.from_product([names[chosen], directions], names=["regulon", "direction"])
    groups = table.groupby(["regulon", "direction"], sort=False)
    stats = groups.agg(
        n_patients=("delta", "size"),
        mean_delta=("delta", "mean"),
        median_delta=("delta", "median"),
        mean_delta_logit=("delta_logit", "mean"),
    ).reindex(index)
    stats["n_patients"] = stats["n_patients"].fillna(0).astype(int)
    wide = table.pivot(index="patient", columns=["regulon", "direction"], values="delta_logit").reindex(columns=index)
    stats["statistic"], stats["p"] = signed_rank_by_column(wide.to_numpy())
    stats["padj"] = benjamini_hochberg(stats["p"].to_numpy())
    stats["mad"] = np.repeat(deviation[chosen], len(directions))
    stats["movable"] = stats["n_patients"] > 0
    return stats.reset_index()
