"""Regulons from wherever they are: tables, files of other tools, resources of decoupler."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from tcellmil._docs import documented
from tcellmil.io._bounded import first_row, number, read_table, refuse_rows
from tcellmil.io._gmt import read_gmt
from tcellmil.io._motifs import read_motifs, tidy_motifs
from tcellmil.regulons import targets_from_net, union_per_tf

Prior = Literal["collectri", "dorothea"]
PRIORS = get_args(Prior)
Net = pd.DataFrame | str | Path


@documented
def read_net(net: pd.DataFrame | Prior | str | Path, max_bytes: int | None = None) -> pd.DataFrame:
    """Read regulons from a table, a file or a resource of decoupler.

    Parameters
    ----------
    net
        One of

        - a DataFrame ``source, target`` or ``regulon, target``, and optionally ``weight``;
        - a motif table of pySCENIC, as a DataFrame: the targets of all motifs of a factor are joined
          (:func:`tcellmil.regulons.union_per_tf`);
        - the path of a file with such a table, separated by tabs, commas or semicolons, or of a GMT file
          (:func:`read_gmt`); may be compressed by gzip or bzip2;
        - ``"collectri"`` or ``"dorothea"``, downloaded by decoupler.
    %(max_bytes)s

    Returns
    -------
    DataFrame ``regulon, target, weight``, one row per target of a regulon, sorted by regulon; weights are 1 where there
    are none. Usable as ``net`` of :func:`tcellmil.tl.regulons`.

    Raises
    ------
    ConnectionError
        If decoupler cannot download the resource; says how to get it elsewhere.
    TypeError
        If ``net`` is neither a table nor a path.
    ValueError
        If there is no such file, it is damaged or expands to more than ``max_bytes``, or the table lacks a column, a
        name or a weight, has an infinite weight or a row that is longer or shorter than its header, or repeats an edge;
        of a file, says in which line.

    References
    ----------
    Müller-Dott et al. (2023), Nucleic Acids Research 51, 10934 (CollecTRI); Garcia-Alonso et al. (2019), Genome
    Research 29, 1363 (DoRothEA).

    Examples
    --------
    >>> import tempfile, pandas as pd, tcellmil as tm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.io.write_gmt(pd.DataFrame({"source": "SPI1(+)", "target": ["LYZ", "CD14"]}), folder + "/x.gmt")
    ...     tm.io.read_net(folder + "/x.gmt")
       regulon target  weight
    0  SPI1(+)    LYZ     1.0
    1  SPI1(+)   CD14     1.0
    """
    if isinstance(net, pd.DataFrame):
        return union_per_tf(tidy_motifs(net)) if _is_motif_table(net) else targets_from_net(net)
    if not isinstance(net, str | Path):
        raise TypeError(f"net must be a DataFrame, a path, or one of {', '.join(PRIORS)}, got {type(net).__name__}")
    if net in PRIORS:
        return targets_from_net(_download(net))
    path = Path(net)
    if not path.is_file():
        raise ValueError(f"net={str(net)!r} is neither a file nor one of {', '.join(PRIORS)}")
    if ".gmt" in path.suffixes:
        return targets_from_net(read_gmt(path, max_bytes))
    separator, header = first_row(path, max_bytes)
    if "Enrichment" in header:
        return union_per_tf(read_motifs(path, max_bytes))
    return targets_from_net(_read_edges(path, separator, header, max_bytes))


def _read_edges(path: Path, separator: str, header: list[str], max_bytes: int | None) -> pd.DataFrame:
    """A table of edges, whose faults are named by line."""
    names = ["regulon" if "regulon" in header else "source", "target"]
    if not set(names) <= set(header):
        # The error of a table says how to rename columns.
        try:
            return targets_from_net(pd.DataFrame(columns=header))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    table, lines = read_table(
        *(path, names, "a net", separator, max_bytes), names=names, convert={"weight": number}, others=False
    )
    if "weight" in table:
        weight = table["weight"].to_numpy(float)
        refuse_rows(path, lines, ~np.isfinite(weight), lambda row: f"weight is {weight[row]:g}, which must be finite")
    refuse_rows(
        *(path, lines, table.duplicated(names)),
        lambda row: f"{table[names[0]][row]} - {table['target'][row]} is there already; keep one of each edge",
    )
    return table


def net_name(net: Net) -> str:
    """What to call the source of regulons in a log or a table of parameters."""
    if isinstance(net, pd.DataFrame):
        return "motif table" if _is_motif_table(net) else "net"
    return str(net) if net in PRIORS else Path(net).name


def _is_motif_table(net: pd.DataFrame) -> bool:
    return "TargetGenes" in net.columns.get_level_values(-1)


def _download(name: Prior) -> pd.DataFrame:
    import decoupler

    try:
        return getattr(decoupler.op, name)()
    except OSError as error:
        raise ConnectionError(
            f"net={name!r} is downloaded by decoupler, which failed ({error}). Where there is a network, save "
            f"decoupler.op.{name}().to_csv('{name}.csv'), and pass the path of that file as net"
        ) from error
