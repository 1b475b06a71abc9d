"""What perturbation, SHAP and attention each say about a regulon, side by side."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, some
from tcellmil._docs import documented
from tcellmil._results import call_on, doubt_of_fit, outcome_of_fit, part_of, place_of
from tcellmil.get._attention_statistics import attention_correlation
from tcellmil.get._perturb import Direction, nearest_dose, perturb
from tcellmil.get._shap import shap
from tcellmil.outcomes import Outcome

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

VERBS = ("perturb", "shap", "attention_correlation")
UNCLEAR = "unclear"
OF_SHAP = {"weighted_difference": "shap_difference", "median_abs": "shap_abs", "padj": "shap_padj"}
OF_ATTENTION = ("tau_within", "tau_within_padj", "rho_within", "rho_within_padj", "mixed_coef", "mixed_padj")


@documented
def regulators(
    adata: AnnData | MuData,
    *,
    key: str = _keys.TCELLMIL,
    result_key: Mapping[str, str] | None = None,
    direction: Direction = "up",
    alpha: float = 0.05,
    n_mad: float | None = None,
) -> pd.DataFrame:
    """All that was found about each regulon in one table, and where perturbation and SHAP agree.

    Joins what :func:`tcellmil.tl.perturb`, :func:`tcellmil.tl.shap` and :func:`tcellmil.tl.attention_correlation`
    wrote. Of a verb that was not run, or of a regulon that it did not see, the columns are NaN.

    ``agreement`` compares two signs, where both are significant: whether *more* of the regulon raises the predicted
    probability, by perturbation, and whether its SHAP values are for the class or against it. A regulon that is
    ``"concordant"`` has the same sign in both, a ``"discordant"`` one does not. In the paper, TBX21 (SHAP for response,
    response more probable when raised) and HMGA1 (against, and less probable) are concordant; KLF6 (against, but more
    probable when raised) is discordant.

    Discordant is not contradictory, for the two ask different questions. Perturbation is a slope: what if there were
    more of it than there is. A SHAP value is what the activity *as it is* contributes compared with the background:
    where more of a regulon raises the prediction, cells that have less of it than the background have a negative value,
    and so a regulon whose attended cells have little of it comes out discordant. The mean over patients also depends on
    who the patients are: with as many above the background as below it, it is near 0 however strong the slope. Other
    reasons are effects that differ between groups of cells, and attention that moves with the shift. Neither says that
    a regulon is a cause of the outcome.

    Parameters
    ----------
    adata
        With the result of at least one of the three verbs.
    %(key)s
    result_key
        Verb: its ``key_added``, where one was given, such as ``{"perturb": "nk_only", "shap": "of_bags"}``. ``key`` is
        then not used for this verb.
    direction
        The perturbation that counts as the effect, ``"up"`` or ``"down"``.
    alpha
        What is significant: adjusted p below this, above 0 and at most 1.
    n_mad
        Of several doses, the one to use; that nearest to 3, the paper's, by default.

    Returns
    -------
    One row per regulon (index ``regulon``), the largest absolute ``effect`` first (without a perturbation, the largest
    absolute ``shap_difference``):

    - ``effect``: the median change of the probability of ``target_class`` over patients in ``direction``;
    - ``favours``: the class that more of the regulon makes more probable (``"not <class>"`` for any but the followed
      one of several), ``"unclear"`` where that is not significant. Where the outcome is a number or a time to event,
      whether more of the regulon goes with a ``"higher"`` or a ``"lower"`` number or risk;
    - ``agreement``: ``"concordant"``, ``"discordant"`` or ``"unclear"``;
    - ``reason``: why it is unclear, such as ``"up and down both raise the probability"``, and empty where it is not;
    - ``attended``: whether cells with higher activity get ``"more"`` or ``"less"`` attention, by the sign of
      ``tau_within`` where it is significant over patients, ``"unclear"`` elsewhere;
    - ``mean_delta_up``, ``median_delta_up``, ``padj_up``, the same for ``down``, and ``movable``, 1 or 0 (the same in
      all cells);
    - ``shap_difference``: SHAP value for ``target_class`` minus that for the others, attention-weighted mean over a
      patient's cells, mean over patients; ``shap_abs``, its median absolute size, and ``shap_padj``;
    - ``tau_within``, ``rho_within`` (mean over patients of the correlation with attention), ``mixed_coef`` (mixed
      model), each with its ``_padj``;
    - ``spread``: the unit of the shift, ``"mad"``, or ``"sd"`` (0.6745 standard deviations) where the median absolute
      deviation is 0; empty without a shift. A shift by ``"sd"`` changes predictions more, so compare the ranks of
      effects within ``spread``;
    - ``target_class``.

    Where the outcome is a number or a time to event, ``effect`` and ``delta`` are changes of the number or of the log
    hazard, ``shap_difference`` is the SHAP value itself, and ``target_class`` is the name of the number, or ``"risk"``.

    Raises
    ------
    KeyError
        If none of the three verbs was run, or there is no model under ``key``.
    ValueError
        If ``direction`` or a verb of ``result_key`` is not known, ``direction`` was not run, ``alpha`` is out of
        range, ``n_mad`` is none of the doses, or, with more than two classes, perturbation and SHAP followed different
        ones.

    Warns
    -----
    UserWarning
        If some of the three verbs were not run.
    %(left_out)s
    %(no_skill)s

    References
    ----------
    Tsui et al. (2025), tcellMIL, sections 3.3, 3.4 and 6.6.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.perturb(adata)
    >>> tm.tl.shap(adata, level="bag", background=100, progress=False)
    >>> tm.tl.attention_correlation(adata)
    >>> tm.get.regulators(adata)["target_class"].to_dict()
    {'IRF7': 'R'}
    """
    check_choice(direction, get_args(Direction), "direction")
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha={alpha!r} must be above 0 and at most 1")
    own = dict(result_key or {})
    for verb in own:
        check_choice(verb, VERBS, "result_key")
    there = {verb: place_of(verb, key, own.get(verb)) in adata.uns for verb in VERBS}
    _check_there(there, [call_on(adata, verb, key, own.get(verb)) for verb in VERBS if not there[verb]])

    outcome = outcome_of_fit(adata, key)
    classes = list(outcome.outputs)
    target, parts, spread = "", [], {}
    if there["perturb"]:
        stats = perturb(adata, "stats", key=key, result_key=own.get("perturb"))
        n_mad = nearest_dose(stats.index.get_level_values("n_mad")) if n_mad is None else n_mad
        stats = perturb(adata, "stats", key=key, result_key=own.get("perturb"), n_mad=n_mad).reset_index()
        if not (stats["direction"] == direction).any():
            raise ValueError(f"direction={direction!r} was not perturbed, only {some(stats['direction'].unique())}")
        target = str(stats["target_class"].iloc[0])
        parts.append(_perturbed(stats))
        spread = stats.set_index("regulon")["spread"].to_dict() if "spread" in stats else {}
    if there["shap"]:
        explained = str(part_of(adata, "shap", "params", key, own.get("shap"))["target_class"])
        target = target or explained
        parts.append(_explained(shap(adata, "stats", key=key, result_key=own.get("shap")), explained, target, classes))
    if there["attention_correlation"]:
        table = attention_correlation(adata, key=key, result_key=own.get("attention_correlation"))
        parts.append(table.filter(OF_ATTENTION))
    target = target or classes[-1]

    table = pd.concat(parts, axis=1).reindex(columns=_columns()).astype(float)
    table = _concluded(table, direction, alpha, outcome, target)
    table = table.assign(spread=[spread.get(name, "") for name in table.index], target_class=target)
    size = pd.DataFrame({"effect": -table["effect"].abs(), "shap": -table["shap_difference"].abs()})
    table.attrs["no_skill"] = doubt_of_fit(adata, key)  # the tables that it joins have warned
    return table.loc[size.sort_values(["effect", "shap"], kind="stable").index].rename_axis("regulon")


def _check_there(there: dict[str, bool], missing: list[str]) -> None:
    if not any(there.values()):
        raise KeyError(f"nothing is known about regulons; run {', '.join(missing[:-1])} or {missing[-1]} first")
    if missing:
        warnings.warn(
            f"{' and '.join(missing)} not run: columns are NaN, and what depends on them is 'unclear'",
            UserWarning,
            stacklevel=3,
        )


def _columns() -> list[str]:
    of_direction = [f"{name}_{d}" for d in ("up", "down") for name in ("mean_delta", "median_delta", "padj")]
    return [*of_direction, "movable", *OF_SHAP.values(), *OF_ATTENTION]


def _perturbed(stats: pd.DataFrame) -> pd.DataFrame:
    """One row per regulon, the directions side by side."""
    wide = stats.pivot(index="regulon", columns="direction", values=["mean_delta", "median_delta", "padj"])
    wide.columns = [f"{name}_{direction}" for name, direction in wide.columns]
    movable = stats.groupby("regulon")["movable"].any()
    return wide.assign(movable=movable).reindex(stats["regulon"].unique())


def _explained(stats: pd.DataFrame, explained: str, target: str, classes: list[str]) -> pd.DataFrame:
    """SHAP of the class that the perturbation followed."""
    table = stats.filter(OF_SHAP).rename(columns=OF_SHAP)
    if explained == target:
        return table
    if len(classes) > 2:
        raise ValueError(
            f"SHAP values are of class {explained!r}, the perturbation followed {target!r}; "
            "run both with the same target_class"
        )
    return table.assign(shap_difference=-table["shap_difference"])


def _concluded(table: pd.DataFrame, direction: str, alpha: float, outcome: Outcome, target: str) -> pd.DataFrame:
    """The table with what follows from it in front."""
    predicted, explained, favoured = outcome.prediction_word, outcome.shap_word, outcome.favoured(target)
    more = table[f"median_delta_{direction}"] * (1 if direction == "up" else -1)
    up, down = table["median_delta_up"], table["median_delta_down"]
    both = (table[["padj_up", "padj_down"]] < alpha).all(axis=1) & (np.sign(up) == np.sign(down))
    moves = (table[f"padj_{direction}"] < alpha) & (more != 0) & ~both
    contributes = (table["shap_padj"] < alpha) & (table["shap_difference"] != 0)
    attended = (table["tau_within_padj"] < alpha) & (table["tau_within"] != 0)

    reasons = {
        "not perturbed": table["movable"].isna(),
        "cannot be moved": table["movable"] == 0,
        "no SHAP values": table["shap_difference"].isna(),
        f"up and down both raise the {predicted}": both & (up > 0),
        f"up and down both lower the {predicted}": both & (up < 0),
        "neither is significant": ~moves & ~contributes,
        "the change is not significant": ~moves,
        f"the {explained} is not significant": ~contributes,
    }
    reason = np.select(list(reasons.values()), list(reasons), default="")
    same = np.sign(more) == np.sign(table["shap_difference"])
    front = pd.DataFrame(
        {
            "effect": table[f"median_delta_{direction}"],
            "favours": np.select([moves & (more > 0), moves & (more < 0)], list(favoured), default=UNCLEAR),
            "agreement": np.where(reason != "", UNCLEAR, np.where(same, "concordant", "discordant")),
            "reason": reason,
            "attended": np.select(
                [attended & (table["tau_within"] > 0), attended & (table["tau_within"] < 0)],
                ["more", "less"],
                default=UNCLEAR,
            ),
        },
        index=table.index,
    )
    return front.join(table)
