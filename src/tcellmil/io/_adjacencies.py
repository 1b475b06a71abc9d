"""Networks as pySCENIC's ``grn`` step writes them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

COLUMNS = ["TF", "target", "importance"]


def read_adjacencies(path: str | Path) -> pd.DataFrame:
    """Read the network of pySCENIC or arboreto.

    Parameters
    ----------
    path
        Table with a header ``TF, target, importance``: comma-separated if the name holds ``.csv``, else
        tab-separated. May be compressed.

    Returns
    -------
    DataFrame ``TF, target, importance``, and what other columns there are (pySCENIC's ``rho``, ``regulation``).

    Raises
    ------
    ValueError
        If a column is missing.

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
    names = dict.fromkeys(COLUMNS[:2], str)
    table = pd.read_csv(path, sep=_separator(path), dtype=names, keep_default_na=False, na_values={"rho": ["", "nan"]})
    missing = set(COLUMNS) - set(table.columns)
    if missing:
        raise ValueError(f"{path} lacks the columns {sorted(missing)}; its header is {list(table.columns)}")
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
    grn[COLUMNS + rest].to_csv(path, sep=_separator(path), index=False)


def _separator(path: str | Path) -> str:
    return "," if ".csv" in Path(path).suffixes else "\t"
