"""Gene sets as MSigDB's JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from tcellmil._checks import some
from tcellmil._docs import documented
from tcellmil.io._bounded import open_text

GENES = "geneSymbols"


@documented
def read_msigdb_json(path: str | Path, max_bytes: int | None = None) -> pd.DataFrame:
    """Read gene sets from a JSON file of MSigDB: names of the sets, and of each an object with ``geneSymbols``.

    Parameters
    ----------
    path
        The file, plain or compressed by gzip or bzip2. What else it says of a set is not read. A gene that a set names
        twice counts once.
    %(max_bytes)s

    Returns
    -------
    DataFrame ``source, target``, one row per gene of a set, as :func:`read_gmt` gives it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, no JSON or expands to more than ``max_bytes``, a set has no gene or a gene no name, two
        sets have one name, or the file has no gene set; says in which set, or in which line.

    Examples
    --------
    >>> import json, tempfile, pathlib, tcellmil as tm
    >>> sets = {"HALLMARK_APOPTOSIS": {"systematicName": "M5902", "geneSymbols": ["CASP3", "CASP9"]}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "h.all.json")
    ...     _ = path.write_text(json.dumps(sets))
    ...     tm.io.read_msigdb_json(path)
                   source target
    0  HALLMARK_APOPTOSIS  CASP3
    1  HALLMARK_APOPTOSIS  CASP9
    """
    with open_text(path, max_bytes) as file:
        text = file.read()
        try:
            sets = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {error.lineno}: no JSON ({error.msg}, column {error.colno})") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    if not isinstance(sets, dict):
        raise ValueError(f"{path} holds {_kind(sets)}; MSigDB's JSON is an object with a name for each gene set")
    edges = [(name, gene) for name, entry in sets.items() for gene in _genes(path, name, entry)]
    if not edges:
        raise ValueError(f"{path} holds no gene set")
    return pd.DataFrame(edges, columns=["source", "target"])


def _genes(path: str | Path, name: str, entry: object) -> list[str]:
    """Genes of a set, each once."""
    if not name.strip():
        raise ValueError(f"{path}: a set has no name")
    if not isinstance(entry, dict) or GENES not in entry:
        what = f"has only {some(entry)}" if isinstance(entry, dict) else f"is {_kind(entry)}"
        raise ValueError(f"{path}, set {name!r} {what}; it must be an object with a list {GENES!r}")
    genes = entry[GENES]
    if not isinstance(genes, list) or not genes:
        raise ValueError(f"{path}, set {name!r}: {GENES!r} is {_kind(genes)}; it must be a list of names of genes")
    for number, gene in enumerate(genes, start=1):
        if not isinstance(gene, str) or not gene.strip():
            raise ValueError(f"{path}, set {name!r}: gene {number} is {str(gene)[:40]!r}, which is no name")
    return list(dict.fromkeys(gene.strip() for gene in genes))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The object, unless a name comes twice, of which json would keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"{twice!r} is there twice; rename or join them")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    size = " without entries" if isinstance(value, dict | list | str) and not value else ""
    return kinds.get(type(value), "a number") + size
