"""Networks as pySCENIC's ``grn`` step writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tcellmil._docs import documented
from tcellmil.io._bounded import number, read_table, refuse_rows, separator_of

COLUMNS = ["TF", "target", "importance"]


@documented
def read_adjacencies(path: str | Path, max_bytes: int | None = None) -> pd.DataFrame:
    """Read the network of pySCENIC or arboreto.

    Parameters
    ----------
    path
        Table with a header ``TF, target, importance``: comma-separated if the name holds ``.csv``, else
        tab-separated. May be compressed by gzip or bzip2.
    %(max_bytes)s

    Returns
    -------
    DataFrame ``TF, target, importance``, and what other columns there are (pySCENIC's ``rho``, ``regulation``).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or expands to more than ``max_bytes``, a column or a name is missing, a row has more or
        fewer fields than the header, an importance is negative, infinite or no number, or an edge is there twice; says
        in which line.

    Examples
    --------
    >>> import tempfile, pandas as pd, tcellmil as tm
    >>> edges = pd.DataFrame({"TF": ["SPI1"], "target": ["LYZ"], "importance": [2.5]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.io.write_adjacencies(edges, folder + "/adjacencies.tsv")
    ...     tm.io.read_adjacencies(folder + "/adjacencies.tsv")
         TF target  importance
    0  SPI1    LYZ         2.5
    """
    # Genes are called NA and NAN too: no word stands for a missing value in the two name columns.
    table, lines = read_table(
        *(path, COLUMNS, "a network", separator_of(path), max_bytes),
        names=COLUMNS[:2],
        convert={"importance": number, "rho": number},
    )
    importance = table["importance"].to_numpy(float)
    bad = ~((importance >= 0) & np.isfinite(importance))
    refuse_rows(path, lines, bad, lambda row: f"importance is {importance[row]:g}, which must be finite and at least 0")
    refuse_rows(
        *(path, lines, table.duplicated(COLUMNS[:2])),
        lambda row: f"{table['TF'][row]} - {table['target'][row]} is there already; each edge must be there once",
    )
    return table


def write_adjacencies(grn: pd.DataFrame, path: str | Path) -> None:
    """Write a network for pySCENIC.

    Parameters
    ----------
    grn
        DataFrame ``TF, target, importance``, for example ``adata.uns["grn"]["edges"]``; other columns are written
        after them.
    path
        Comma-separated if the name holds ``.csv``, else tab-separated; ``.gz`` at its end compresses.

    Raises
    ------
    ValueError
        If a column is missing.

    Examples
    --------
    >>> import tempfile, pathlib, pandas as pd, tcellmil as tm
    >>> edges = pd.DataFrame({"TF": ["SPI1"], "target": ["LYZ"], "importance": [2.5]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.io.write_adjacencies(edges, folder + "/adjacencies.csv")
    ...     pathlib.Path(folder, "adjacencies.csv").read_text().splitlines()
    ['TF,target,importance', 'SPI1,LYZ,2.5']
    """
    missing = set(COLUMNS) - set(grn.columns)
    if missing:
        raise ValueError(f"grn lacks the columns {sorted(missing)}; it has {list(map(str, grn.columns))}")
    rest = [column for column in grn.columns if column not in COLUMNS]
    grn[COLUMNS + rest].to_csv(path, sep=separator_of(path), index=False)
