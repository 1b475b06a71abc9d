"""The table of regulons, one row per regulon and target, as a table and as a matrix."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

COLUMNS = ["regulon", "target", "weight"]
SIGNS = {1.0: "(+)", -1.0: "(-)"}


def targets_from_net(net: pd.DataFrame) -> pd.DataFrame:
    """Bring a network to the columns ``regulon, target, weight``.

    Parameters
    ----------
    net
        One row per edge: ``source, target`` or ``regulon, target``, and a ``weight`` (1 where the column is missing).
        Other columns are ignored.

    Returns
    -------
    A new DataFrame ``regulon, target, weight`` sorted by regulon; edges of weight 0 are left out.

    Raises
    ------
    ValueError
        If a column, a name or a weight is missing, a weight is infinite, an edge is repeated, or no edge is left.

    Examples
    --------
    >>> import pandas as pd
    >>> from tcellmil.regulons import targets_from_net
    >>> targets_from_net(pd.DataFrame({"source": ["B", "A"], "target": ["g1", "g2"]}))
      regulon target  weight
    0       A     g2     1.0
    1       B     g1     1.0
    """
    source = "regulon" if "regulon" in net else "source"
    missing = {source, "target"} - set(net.columns)
    if missing:
        raise ValueError(
            f"net needs the columns 'source', 'target' and, if edges have weights or signs, 'weight'; it has "
            f"{list(map(str, net.columns))}. Rename what they are called there, for example "
            "net.rename(columns={'tf': 'source', 'mor': 'weight'})"
        )
    weight = pd.to_numeric(net["weight"], errors="coerce") if "weight" in net else 1.0
    targets = pd.DataFrame({"regulon": net[source], "target": net["target"], "weight": weight})
    incomplete = targets.isna().any(axis=1)
    if incomplete.any():
        raise ValueError(
            f"{int(incomplete.sum())} of {len(net)} rows of net lack a name or have a weight that is no number, "
            f"the first in row {int(np.argmax(incomplete))}; drop or fix them"
        )
    targets = targets.astype({"regulon": str, "target": str, "weight": float})
    infinite = ~np.isfinite(targets["weight"])
    if infinite.any():
        example = targets[infinite].iloc[0]
        raise ValueError(
            f"{int(infinite.sum())} weights of net are infinite, the first that of {example.regulon} - "
            f"{example.target}; drop or fix them"
        )
    repeated = targets.duplicated(["regulon", "target"])
    if repeated.any():
        example = targets[repeated].iloc[0]
        raise ValueError(
            f"net holds {int(repeated.sum())} edges more than once, for example {example.regulon} - {example.target}; "
            "keep one of each: net.drop_duplicates(['source', 'target'])"
        )
    targets = targets[targets["weight"] != 0]
    if targets.empty:
        raise ValueError("net holds no edge with a weight other than 0")
    return targets.sort_values("regulon", kind="stable", ignore_index=True)


def split_by_sign(targets: pd.DataFrame) -> pd.DataFrame:
    """Make regulons of positive weights out of signed ones, named as pySCENIC does.

    Where no weight is negative the table is returned unchanged. Otherwise each regulon becomes two, ``name(+)`` with
    what it activates and ``name(-)`` with what it represses, and weights become absolute.

    Examples
    --------
    >>> import pandas as pd
    >>> from tcellmil.regulons import split_by_sign
    >>> split_by_sign(pd.DataFrame({"regulon": ["A", "A"], "target": ["g1", "g2"], "weight": [1.0, -2.0]}))
      regulon target  weight
    0    A(+)     g1     1.0
    1    A(-)     g2     2.0
    """
    if (targets["weight"] >= 0).all():
        return targets
    sign = np.sign(targets["weight"]).map(SIGNS)
    split = targets.assign(regulon=targets["regulon"] + sign, weight=targets["weight"].abs())
    return split.sort_values("regulon", kind="stable", ignore_index=True)


def keep_covered(targets: pd.DataFrame, genes: pd.Index, min_targets: int, names: str = "var_names") -> pd.DataFrame:
    """Drop the regulons that have fewer than ``min_targets`` targets among ``genes``; the others stay whole.

    Targets that are not among ``genes`` are kept, so that the table scores another data set just as well. ``names``
    says what ``genes`` are.

    Raises
    ------
    ValueError
        If no regulon is left: says how many targets matched and what the names look like on both sides.
    """
    found = targets["target"].isin(genes)
    n_found = found.groupby(targets["regulon"]).transform("sum")
    kept = targets[n_found >= max(1, min_targets)]
    if kept.empty:
        known = targets["target"].unique()
        raise ValueError(
            f"none of {targets['regulon'].nunique()} regulons has {min_targets} targets among the {len(genes)} genes: "
            f"{int(targets.loc[found, 'target'].nunique())} of {len(known)} targets match, the best regulon has "
            f"{int(n_found.max())}. {describe_names(genes, names)}, {describe_names(known, 'the targets')}. "
            "Bring both to the same identifiers and species, name a column of adata.var that holds symbols "
            "(gene_symbols=...), or lower min_targets"
        )
    return kept.reset_index(drop=True)


def present_targets(targets: pd.DataFrame, genes: pd.Index) -> pd.DataFrame:
    """Of each regulon, how many targets are among ``genes`` (``present``) and how many there are (``total``)."""
    found = targets["target"].isin(genes).groupby(targets["regulon"])
    return pd.DataFrame({"present": found.sum(), "total": found.size()})


def describe_names(names: Sequence[str], what: str) -> str:
    """Say what kind of gene names these are, with three of them."""
    names = [str(name) for name in names[:1000]]
    kinds = {
        "Ensembl identifiers": r"ENS[A-Z]*G\d+(\.\d+)?",
        "human symbols (upper case)": r"[A-Z][A-Z0-9.@-]*(orf\d+)?",
        "mouse symbols (capitalised)": r"[A-Z][a-z0-9.-]+|\d+[A-Z]\w*Rik",
        "numbers": r"\d+",
    }
    share = {kind: np.mean([bool(re.fullmatch(p, name)) for name in names] or [0]) for kind, p in kinds.items()}
    kind = next((kind for kind in kinds if share[kind] > 0.5), "names of no known kind")
    return f"{what} look like {kind} {names[:3]}"


def weight_matrix(targets: pd.DataFrame, regulons: Sequence[str], genes: pd.Index) -> sparse.csr_matrix:
    """Weights as a CSR matrix, genes x regulons; targets that are not among ``genes`` are left out."""
    rows = genes.get_indexer(targets["target"])
    columns = pd.Index(regulons).get_indexer(targets["regulon"])
    there = (rows >= 0) & (columns >= 0)
    return sparse.csr_matrix(
        (targets["weight"].to_numpy(float)[there], (rows[there], columns[there])), shape=(len(genes), len(regulons))
    )
