"""Enriched motifs as pySCENIC's ``ctx`` step writes them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pandas as pd

from tcellmil.regulons._cistarget import MOTIF_COLUMNS

INDEX = ["TF", "MotifID"]
NESTED = ["Context", "TargetGenes"]


def read_motifs(path: str | Path) -> pd.DataFrame:
    """Read the motif table of pySCENIC.

    Parameters
    ----------
    path
        Comma-separated if the name holds ``.csv``, else tab-separated; two header rows, two index columns. May be
        compressed. Nothing in the file is evaluated as code.

    Returns
    -------
    DataFrame, one row per motif that is enriched in a module: ``TF, MotifID, AUC, NES, MotifSimilarityQvalue,
    OrthologousIdentity, Annotation, Context`` (a frozenset), ``RankAtMax, TargetGenes`` (a list of gene and weight).
    Usable as ``net`` of :func:`tcellmil.tl.regulons`.

    Raises
    ------
    ValueError
        If a column is missing, or a cell is not what pySCENIC writes.

    Examples
    --------
    >>> import tempfile, pandas as pd, tcellmil as tm
    >>> motif = {"TF": "SPI1", "MotifID": "m1", "AUC": 0.1, "NES": 3.5, "MotifSimilarityQvalue": 0.0}
    >>> motif |= {"OrthologousIdentity": 1.0, "Annotation": "gene is directly annotated", "RankAtMax": 100}
    >>> motif |= {"Context": frozenset({"activating"}), "TargetGenes": [("LYZ", 1.0), ("CD14", 0.5)]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.io.write_motifs(pd.DataFrame([motif]), folder + "/motifs.csv")
    ...     motifs = tm.io.read_motifs(folder + "/motifs.csv")
    >>> motifs[["TF", "MotifID", "NES", "TargetGenes"]]
         TF MotifID  NES                TargetGenes
    0  SPI1      m1  3.5  [(LYZ, 1.0), (CD14, 0.5)]
    """
    try:
        table = pd.read_csv(path, sep=_separator(path), index_col=[0, 1], header=[0, 1], skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, IndexError) as error:
        raise ValueError(
            f"{path} is not a motif table of pySCENIC (two header rows, two index columns): {error}"
        ) from error
    return tidy_motifs(table)


def write_motifs(motifs: pd.DataFrame, path: str | Path) -> None:
    """Write a motif table that pySCENIC reads.

    Parameters
    ----------
    motifs
        Table of :func:`read_motifs` or :func:`tcellmil.regulons.prune_modules`.
    path
        Comma-separated if the name holds ``.csv``, else tab-separated; ``.gz`` at its end compresses.

    Examples
    --------
    >>> import tempfile, pandas as pd, tcellmil as tm
    >>> motif = {"TF": "SPI1", "MotifID": "m1", "AUC": 0.1, "NES": 3.5, "MotifSimilarityQvalue": 0.0}
    >>> motif |= {"OrthologousIdentity": 1.0, "Annotation": "gene is directly annotated", "RankAtMax": 100}
    >>> motif |= {"Context": frozenset({"activating"}), "TargetGenes": [("LYZ", 1.0), ("CD14", 0.5)]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.io.write_motifs(pd.DataFrame([motif]), folder + "/motifs.csv")
    ...     back = tm.io.read_motifs(folder + "/motifs.csv")
    >>> back.loc[0].to_dict() == motif
    True
    """
    table = tidy_motifs(motifs)
    # A sorted set and plain floats: the same table gives the same file, on any version of numpy.
    table["Context"] = [
        f"frozenset({{{', '.join(map(repr, sorted(c)))}}})" if c else "frozenset()" for c in table.Context
    ]
    table["TargetGenes"] = [repr([(str(gene), float(weight)) for gene, weight in t]) for t in table["TargetGenes"]]
    table = table.set_index(INDEX)
    table.columns = pd.MultiIndex.from_product([["Enrichment"], table.columns])
    table.to_csv(path, sep=_separator(path))


def tidy_motifs(table: pd.DataFrame) -> pd.DataFrame:
    """Bring a motif table, as pySCENIC holds or writes it or as this package does, to one level of columns."""
    table = table.copy()
    if table.columns.nlevels == 2:
        table.columns = table.columns.droplevel(0)
    if table.index.nlevels == 2:
        table.index.names = INDEX
        table = table.reset_index()
    missing = set(MOTIF_COLUMNS) - set(table.columns)
    if missing:
        raise ValueError(
            f"a motif table needs the columns {sorted(missing)} too; it has {list(map(str, table.columns))}"
        )
    table = table[MOTIF_COLUMNS].reset_index(drop=True)
    for column in NESTED:
        table[column] = [_parse(cell, column) if isinstance(cell, str) else cell for cell in table[column]]
    return table


def _parse(cell: str, column: str) -> frozenset | list:
    """Read what ``repr`` wrote, literals only."""
    # From numpy 2 on, pySCENIC's weights are written as np.float64(0.5).
    text = re.sub(r"np\.float\d+\(([^()]*)\)", r"\1", cell.strip())
    is_set = re.fullmatch(r"frozenset\((.*)\)", text, flags=re.DOTALL)
    try:
        if is_set:
            return frozenset(ast.literal_eval(is_set[1])) if is_set[1] else frozenset()
        return [(str(gene), float(weight)) for gene, weight in ast.literal_eval(text)]
    except (ValueError, SyntaxError, TypeError) as error:
        raise ValueError(f"column {column} holds {cell[:60]!r}, which is not what pySCENIC writes there") from error


def _separator(path: str | Path) -> str:
    return "," if ".csv" in Path(path).suffixes else "\t"
