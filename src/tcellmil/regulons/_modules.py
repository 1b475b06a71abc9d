"""From a network to candidate regulons: the modules of pySCENIC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from tcellmil._checks import check_positive
from tcellmil.regulons._targets import targets_from_net

RHO_THRESHOLD = 0.03
TOP_TARGETS = 50  # of a factor, where nothing prunes them
REGULATION = {1: "activating", -1: "repressing"}


def modules_from_grn(
    grn: pd.DataFrame,
    percentiles: Sequence[float] = (0.75, 0.90),
    top_n_targets: Sequence[int] = (50,),
    top_n_regulators: Sequence[int] = (5, 10, 50),
    min_genes: int = 20,
    rho_threshold: float = RHO_THRESHOLD,
    keep_only_activating: bool = True,
) -> pd.DataFrame:
    """Group the edges of a network into modules of a factor and its likely targets, as pySCENIC does.

    Edges are first divided by sign, activating (``rho > rho_threshold``) and repressing
    (``rho < -rho_threshold``). Within each sign a factor gets one module for

    - each percentile of the importance of *all* edges: the targets above it,
    - each ``n`` of ``top_n_targets``: its ``n`` most important targets,
    - each ``n`` of ``top_n_regulators``: the genes for which it is among the ``n`` most important factors.

    The factor itself joins each of its modules with weight 1, because the network cannot show whether it regulates
    itself.

    Parameters
    ----------
    grn
        DataFrame ``TF, target, importance, rho``.
    percentiles, top_n_targets, top_n_regulators
        Which modules to make, as above; an empty sequence leaves that kind of module out.
    min_genes
        Smallest module, the factor included.
    rho_threshold
        Correlation above which an edge is activating, and below whose negative it is repressing; above 0.
    keep_only_activating
        Leave repressing modules out, which is pySCENIC's default.

    Returns
    -------
    DataFrame ``module, TF, regulation, selection, target, importance``, one row per target of a module.
    ``module`` counts from 0; ``selection`` says how the module was chosen, in pySCENIC's words (``"top50"``).

    Raises
    ------
    ValueError
        If a column is missing, or ``rho_threshold`` is not above 0.

    References
    ----------
    Van de Sande et al. (2020), Nature Protocols 15, 2247.

    Examples
    --------
    >>> import pandas as pd
    >>> from tcellmil.regulons import modules_from_grn
    >>> grn = pd.DataFrame({"TF": "A", "target": ["g1", "g2"], "importance": [2.0, 1.0], "rho": [0.5, -0.5]})
    >>> modules_from_grn(grn, percentiles=(), top_n_regulators=(), min_genes=2)
       module TF  regulation selection target  importance
    0       0  A  activating     top50     g1         2.0
    1       0  A  activating     top50      A         1.0
    """
    missing = {"TF", "target", "importance", "rho"} - set(grn.columns)
    if missing:
        raise ValueError(f"grn lacks the columns {sorted(missing)}; it has {list(map(str, grn.columns))}")
    check_positive(rho_threshold, "rho_threshold")
    thresholds = dict(zip(percentiles, grn["importance"].quantile(list(percentiles)), strict=True))
    parts = []
    for sign, regulation in REGULATION.items():
        if sign < 0 and keep_only_activating:
            continue
        edges = grn.loc[sign * grn["rho"] > rho_threshold, ["TF", "target", "importance"]]
        for selection, chosen in _selections(edges, thresholds, top_n_targets, top_n_regulators):
            parts.append(_with_factor(chosen, min_genes).assign(regulation=regulation, selection=selection))
    columns = ["module", "TF", "regulation", "selection", "target", "importance"]
    if not parts:
        return pd.DataFrame(columns=columns)
    modules = pd.concat(parts, ignore_index=True)
    modules["module"] = modules.groupby(["regulation", "selection", "TF"], sort=False).ngroup()
    return modules[columns]


def unpruned_targets(grn: pd.DataFrame) -> pd.DataFrame:
    """The most important activated targets of each factor as regulons ``TF(+)``: ``regulon, target, weight``."""
    modules = modules_from_grn(grn, percentiles=(), top_n_targets=(TOP_TARGETS,), top_n_regulators=())
    modules = modules.assign(regulon=modules["TF"] + "(+)").rename(columns={"importance": "weight"})
    return targets_from_net(modules)


def _selections(
    edges: pd.DataFrame, thresholds: dict[float, float], top_n_targets: Sequence[int], top_n_regulators: Sequence[int]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name of each way to choose, and the edges that it chooses."""
    for percentile, threshold in thresholds.items():
        yield f"weight>{percentile * 100}%", edges[edges["importance"] > threshold]
    # Stable, so that of equally important edges the first wins, as in pySCENIC's nlargest.
    ranked = edges.sort_values("importance", ascending=False, kind="stable")
    for n in top_n_targets:
        yield f"top{n}", ranked.groupby("TF").head(n)
    for n in top_n_regulators:
        yield f"top{n}perTarget", ranked.groupby("target").head(n)


def _with_factor(edges: pd.DataFrame, min_genes: int) -> pd.DataFrame:
    """Add each factor to its own targets, drop the modules that are too small, sort by factor and importance."""
    factors = edges["TF"].unique()
    itself = pd.DataFrame({"TF": factors, "target": factors, "importance": np.ones(len(factors))})
    edges = pd.concat([edges[edges["TF"] != edges["target"]], itself], ignore_index=True)
    edges = edges[edges.groupby("TF")["target"].transform("size") >= min_genes]
    return edges.sort_values(["TF", "importance"], ascending=[True, False], kind="stable")
