"""Gene sets as GMT."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TextIO

import pandas as pd


def read_gmt(path: str | Path) -> pd.DataFrame:
    """Read gene sets from a GMT file: one set per line, with its name, a description and its genes between tabs.

    Parameters
    ----------
    path
        The file, ``.gmt`` or ``.gmt.gz``. Lines that begin with ``#`` are skipped. pySCENIC writes commas around the
        first two fields; they are removed.

    Returns
    -------
    DataFrame ``source, target``, one row per gene of a set, usable as ``net`` of :func:`tcellmil.tl.regulons`.

    Raises
    ------
    ValueError
        If a line has no gene, or the file has no gene set.

    Examples
    --------
    >>> import tempfile, pandas as pd, tcellmil as tm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.io.write_gmt(pd.DataFrame({"source": "SPI1(+)", "target": ["LYZ", "CD14"]}), folder + "/x.gmt")
    ...     tm.io.read_gmt(folder + "/x.gmt")
        source target
    0  SPI1(+)    LYZ
    1  SPI1(+)   CD14
    """
    edges = []
    with _open(path, "rt") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name, *rest = line.rstrip("\r\n").split("\t")
            genes = [gene.strip() for gene in rest[1:] if gene.strip()]
            if not genes:
                raise ValueError(
                    f"line {number} of {path} has no gene: a GMT line is a name, a description and genes, separated "
                    f"by tabs; it begins with {line[:40]!r}"
                )
            edges += [(name.rstrip(", "), gene) for gene in dict.fromkeys(genes)]
    if not edges:
        raise ValueError(f"{path} holds no gene set")
    return pd.DataFrame(edges, columns=["source", "target"])


def write_gmt(targets: pd.DataFrame, path: str | Path) -> None:
    r"""Write regulons as GMT. The format has no place for weights.

    Parameters
    ----------
    targets
        DataFrame ``regulon, target`` or ``source, target``, for example ``adata.uns["regulons"]["targets"]``.
    path
        The file; ``.gz`` at its end compresses.

    Raises
    ------
    ValueError
        If a column is missing.

    Examples
    --------
    >>> import tempfile, pathlib, pandas as pd, tcellmil as tm
    >>> targets = pd.DataFrame({"regulon": "SPI1(+)", "target": ["LYZ", "CD14"], "weight": 1.0})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.io.write_gmt(targets, folder + "/regulons.gmt")
    ...     pathlib.Path(folder, "regulons.gmt").read_text()
    'SPI1(+)\t\tLYZ\tCD14\n'
    """
    source = "regulon" if "regulon" in targets else "source"
    if not {source, "target"} <= set(targets.columns):
        raise ValueError(
            f"targets needs the columns 'regulon' (or 'source') and 'target'; it has {list(map(str, targets.columns))}"
        )
    with _open(path, "wt") as file:
        for name, genes in targets.groupby(source, sort=False)["target"]:
            file.write("\t".join([str(name), "", *map(str, genes)]) + "\n")


def _open(path: str | Path, mode: str) -> TextIO:
    opener = gzip.open if Path(path).suffix == ".gz" else open
    return opener(path, mode, encoding="utf-8")
