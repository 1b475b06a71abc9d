"""Gene sets as GMT."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd

from tcellmil._docs import documented
from tcellmil.io._bounded import lines_of, open_text

#: In place of a description: readers that split at blanks lose a field that is empty, and with it the first gene.
DESCRIPTION = "regulon"


@documented
def read_gmt(path: str | Path, max_bytes: int | None = None) -> pd.DataFrame:
    """Read gene sets from a GMT file: one set per line, with its name, a description and its genes between tabs.

    Parameters
    ----------
    path
        The file, plain or compressed by gzip or bzip2. Lines that begin with ``#`` are skipped. pySCENIC writes commas
        around the first two fields; they are removed. A gene that a set names twice counts once.
    %(max_bytes)s

    Returns
    -------
    DataFrame ``source, target``, one row per gene of a set, usable as ``net`` of :func:`tcellmil.tl.regulons`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or expands to more than ``max_bytes``, a line has no name or no gene, two sets have one
        name, or the file has no gene set; says in which line.

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
    edges: list[tuple[str, str]] = []
    line_of: dict[str, int] = {}
    with open_text(path, max_bytes) as file:
        for number, line in enumerate(lines_of(file, path), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name, *rest = line.rstrip("\r\n").split("\t")
            name = name.strip(", ")
            genes = [gene.strip() for gene in rest[1:] if gene.strip()]
            if not genes:
                raise ValueError(
                    f"{path}, line {number} has no gene: a GMT line is a name, a description and genes, separated "
                    f"by tabs; it begins with {line[:40]!r}"
                )
            if not name:
                raise ValueError(f"{path}, line {number}: the set has no name; it begins with {line[:40]!r}")
            if name in line_of:
                raise ValueError(
                    f"{path}, line {number}: {name!r} is the name of the set in line {line_of[name]} too; rename or "
                    "join them"
                )
            line_of[name] = number
            edges += [(name, gene) for gene in dict.fromkeys(genes)]
    if not edges:
        raise ValueError(f"{path} holds no gene set")
    return pd.DataFrame(edges, columns=["source", "target"])


def write_gmt(targets: pd.DataFrame, path: str | Path) -> None:
    r"""Write regulons as GMT. The format has no place for weights; the description of each is the word ``regulon``.

    Parameters
    ----------
    targets
        DataFrame ``regulon, target`` or ``source, target``, for example ``adata.uns["regulons"]["targets"]``.
    path
        The file; ``.gz`` at its end compresses.

    Raises
    ------
    ValueError
        If a column or a name is missing, or a name cannot be written: it holds a tab or a line break, or the first of a
        line begins with ``#``.

    Examples
    --------
    >>> import tempfile, pathlib, pandas as pd, tcellmil as tm
    >>> targets = pd.DataFrame({"regulon": "SPI1(+)", "target": ["LYZ", "CD14"], "weight": 1.0})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.io.write_gmt(targets, folder + "/regulons.gmt")
    ...     pathlib.Path(folder, "regulons.gmt").read_text()
    'SPI1(+)\tregulon\tLYZ\tCD14\n'
    """
    source = "regulon" if "regulon" in targets else "source"
    if not {source, "target"} <= set(targets.columns):
        raise ValueError(
            f"targets needs the columns 'regulon' (or 'source') and 'target'; it has {list(map(str, targets.columns))}"
        )
    for column in (source, "target"):
        names = targets[column].astype(object)
        text = names.map(str)
        bad = names.isna() | (text.str.strip() == "") | text.str.contains(r"[\t\r\n]")
        bad |= text.str.startswith("#") & (column == source)
        if bad.any():
            raise ValueError(
                f"{column} {names[bad].iloc[0]!r} cannot be written as GMT: a name must not be missing, hold a tab or "
                "a line break, or begin a line with '#'"
            )
    opener = gzip.open if Path(path).suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        for name, genes in targets.groupby(source, sort=False, observed=True)["target"]:
            file.write("\t".join([str(name), DESCRIPTION, *map(str, genes)]) + "\n")
