"""Enriched motifs as pySCENIC's ``ctx`` step writes them."""

from __future__ import annotations

import ast
import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tcellmil._docs import documented
from tcellmil.io._bounded import Rows, number, read_table, refuse_rows, separator_of
from tcellmil.regulons._cistarget import MOTIF_COLUMNS

INDEX = ["TF", "MotifID"]
NESTED = ["Context", "TargetGenes"]
MAX_RANK = 2**31 - 1
NUMBERS = ["AUC", "NES", "MotifSimilarityQvalue", "OrthologousIdentity", "RankAtMax"]
TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
# From numpy 2 on, pySCENIC's weights are written as np.float64(0.5).
PAIR = re.compile(rf"""\(\s*({TEXT})\s*,\s*(?:np\.float\d+\()?([-+.\w]+)\)?\s*\)\s*(?:,\s*|$)""")
WORD = re.compile(rf"({TEXT})\s*(?:,\s*|$)")


@documented
def read_motifs(path: str | Path, max_bytes: int | None = None) -> pd.DataFrame:
    """Read the motif table of pySCENIC.

    Parameters
    ----------
    path
        Comma-separated if the name holds ``.csv``, else tab-separated; two header rows, two index columns. May be
        compressed by gzip or bzip2. Nothing in the file is evaluated as code.
    %(max_bytes)s

    Returns
    -------
    DataFrame, one row per motif that is enriched in a module: ``TF, MotifID, AUC, NES, MotifSimilarityQvalue,
    OrthologousIdentity, Annotation, Context`` (a frozenset), ``RankAtMax, TargetGenes`` (a list of gene and weight).
    Usable as ``net`` of :func:`tcellmil.tl.regulons`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or expands to more than ``max_bytes``, a column or a name is missing, a row has more or
        fewer fields than the header, a cell is not what pySCENIC writes, a score or a weight is infinite or a weight
        negative, or a motif has a target twice; says in which line.

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
    convert = dict.fromkeys(NUMBERS, number) | {"Context": _context, "TargetGenes": _targets}
    table, lines = read_table(
        *(path, MOTIF_COLUMNS, "a motif table of pySCENIC (two header rows, two index columns)"),
        *(separator_of(path), max_bytes),
        names=INDEX,
        convert=convert,
        others=False,
        header=_header,
    )
    for column in ("AUC", "NES", "RankAtMax"):
        values = table[column].to_numpy(float)
        bad = ~np.isfinite(values)
        if column == "RankAtMax":
            bad |= (values != np.rint(values)) | (values < 0) | (values > MAX_RANK)
        refuse_rows(path, lines, bad, lambda row, c=column, v=values: f"{c} is {v[row]:g}")
    return tidy_motifs(table.astype({"RankAtMax": np.int64}))


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
    table.to_csv(path, sep=separator_of(path))


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
    for column, parse in zip(NESTED, (_context, _targets), strict=True):
        table[column] = [parse(cell) if isinstance(cell, str) else cell for cell in table[column]]
    return table


def _header(rows: Rows) -> tuple[list[str], Rows]:
    """Names of the columns from the two header rows; the third, which names the index, need not be there."""
    head = [[name.strip() for name in fields] for _, fields in itertools.islice(rows, 2)]
    if len(head) < 2 or set(head[0][2:]) != {"Enrichment"}:
        return (head[0] if head else []), rows
    third = next(rows, None)
    if third is not None and third[1] != [*INDEX, *[""] * len(third[1][2:])]:
        rows = itertools.chain([third], rows)
    return [*INDEX, *head[1][2:]], rows


def _targets(cell: str) -> list[tuple[str, float]]:
    """Read what ``repr`` wrote of a list of genes and weights, literals only."""
    text, pairs = cell.strip(), {}
    if not (text.startswith("[") and text.endswith("]")):
        raise _unknown("TargetGenes", cell)
    for gene, weight in _parts(PAIR, text[1:-1].strip(), "TargetGenes", cell):
        gene = _text(gene)
        try:
            value = float(weight)
        except ValueError as error:
            raise _unknown("TargetGenes", cell) from error
        if not (0 <= value < math.inf):
            raise ValueError(f"the weight of {gene!r} is {value:g}, which must be finite and at least 0")
        if gene in pairs:
            raise ValueError(f"{gene!r} is there twice")
        pairs[gene] = value
    return list(pairs.items())


def _context(cell: str) -> frozenset[str]:
    """Read what ``repr`` wrote of a frozenset of words, literals only."""
    found = re.fullmatch(r"frozenset\(\s*(?:\{(.*)\})?\s*\)", cell.strip(), flags=re.DOTALL)
    if not found:
        raise _unknown("Context", cell)
    return frozenset(_text(word) for (word,) in _parts(WORD, (found[1] or "").strip(), "Context", cell))


def _parts(pattern: re.Pattern, text: str, column: str, cell: str) -> Iterator[tuple[str, ...]]:
    """Groups of the matches that one after the other make up the whole text."""
    position = 0
    while position < len(text):
        match = pattern.match(text, position)
        if not match:
            raise _unknown(column, cell)
        yield match.groups()
        position = match.end()


def _text(literal: str) -> str:
    try:
        return ast.literal_eval(literal) if "\\" in literal else literal[1:-1]
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"{literal[:60]} is not what pySCENIC writes there") from error


def _unknown(column: str, cell: str) -> ValueError:
    return ValueError(f"column {column} holds {cell[:60]!r}, which is not what pySCENIC writes there")
