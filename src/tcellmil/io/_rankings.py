"""Motif databases of the Aerts lab: rankings, and which factor each motif belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from tcellmil._checks import some
from tcellmil._docs import documented
from tcellmil.io._bounded import limit_of, naming, number, read_table, refuse_rows, too_large
from tcellmil.io._feather1 import MAGIC, TEXT, read_feather1

Genome = Literal["hg38", "mm10"]
GENOMES = get_args(Genome)
Rankings = pd.DataFrame | Genome | str | Path
Annotations = pd.DataFrame | Genome | str | Path
INDEX_NAMES = ("features", "motifs", "tracks")
ANNOTATION_FILES = {
    "hg38": "motifs-v10nr_clust-nr.hgnc-m0.001-o0.0.tbl",
    "mm10": "motifs-v10nr_clust-nr.mgi-m0.001-o0.0.tbl",
}
ANNOTATION_URL = "https://resources.aertslab.org/cistarget/motif2tf/"
ANNOTATION_COLUMNS = {
    "gene_name": "TF",
    "#motif_id": "MotifID",
    "motif_similarity_qvalue": "MotifSimilarityQvalue",
    "orthologous_identity": "OrthologousIdentity",
    "description": "Annotation",
}


@documented
def read_rankings(source: Genome | str | Path, max_bytes: int | None = None) -> pd.DataFrame:
    """Read a cisTarget ranking database.

    Parameters
    ----------
    source
        Path of a feather file with the ranks of all genes for each motif, or ``"hg38"`` or ``"mm10"``: the
        database of 10 kb around the transcription start, downloaded (about 300 MB) and cached by rustscenic.
    %(max_bytes)s

    Returns
    -------
    DataFrame, motifs x genes, ranks from 0.

    Raises
    ------
    FileNotFoundError
        If the file does not exist, or could not be downloaded; says what to fetch and where to put it.
    ValueError
        If the file is not a ranking database, is damaged or expands to more than ``max_bytes``, names a gene or a motif
        twice, or has a rank that is missing or negative.

    Examples
    --------
    >>> import tempfile, pandas as pd, tcellmil as tm
    >>> ranks = pd.DataFrame({"motifs": ["m1", "m2"], "LYZ": [0, 1], "CD14": [1, 0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ranks.to_feather(folder + "/tiny.rankings.feather")
    ...     rankings = tm.io.read_rankings(folder + "/tiny.rankings.feather")
    >>> rankings.loc["m1"].to_dict()
    {'LYZ': 0, 'CD14': 1}
    """
    path = _download(source) if source in GENOMES else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"rankings={str(source)!r} is neither a file nor one of {', '.join(GENOMES)}")
    with naming(path), open(path, "rb") as file:
        magic = file.read(4)
        reader = {MAGIC: _read_old, b"ARRO": _read_arrow}.get(magic)
        if reader is None:
            raise ValueError(f"{path} is not a feather file")
        motifs, ranks = reader(path, limit_of(path, max_bytes))
        if not motifs.is_unique:
            raise ValueError(f"{path} names motifs more than once: {some(motifs[motifs.duplicated()].unique())}")
        values = ranks.to_numpy()
        if not values.size:
            raise ValueError(f"{path} ranks {ranks.shape[1]} genes for {len(motifs)} motifs; it is incomplete")
        if values.min() < 0:
            first = motifs[int((values < 0).any(axis=1).argmax())]
            raise ValueError(f"{path} has ranks below 0, the first of motif {first!r}")
    return ranks.set_index(motifs)


def _read_old(path: Path, limit: int) -> tuple[pd.Index, pd.DataFrame]:
    """Names of the motifs and the ranks of a file of the first version of feather."""
    columns, kinds = {}, {}
    for name, kind, values in read_feather1(path, limit):
        if name in columns:
            raise ValueError(f"{path} names genes more than once: ['{name}']")
        columns[name], kinds[name] = values, kind
    index = _index_of(path, {name: kind in TEXT for name, kind in kinds.items()}, columns)
    motifs = pd.Index(columns.pop(index), name=index)
    ranks = np.column_stack(list(columns.values())) if columns else np.empty((len(motifs), 0), dtype=np.int32)
    return motifs, pd.DataFrame(ranks, columns=list(columns))


def _read_arrow(path: Path, limit: int) -> tuple[pd.Index, pd.DataFrame]:
    """Names of the motifs and the ranks of a file of the second version; nothing is read before the columns fit."""
    import pyarrow as pa
    from pyarrow import ipc, types

    try:
        with pa.OSFile(str(path)) as source:
            schema = ipc.open_file(source).schema
            names = pd.Index(schema.names)
            if not names.is_unique:
                raise ValueError(f"{path} names genes more than once: {some(names[names.duplicated()].unique())}")
            is_text = {field.name: types.is_string(field.type) or types.is_large_string(field.type) for field in schema}
            integers = {field.name: field if types.is_integer(field.type) else None for field in schema}
            index = _index_of(path, is_text, integers)
            only_index = ipc.IpcReadOptions(included_fields=[schema.get_field_index(index)])
            n_motifs = ipc.open_file(source, options=only_index).read_all().num_rows
            if n_motifs * sum(field.type.bit_width for field in schema if field.name != index) > 8 * limit:
                raise too_large(path, limit)
            table = ipc.open_file(source).read_all()
        table.validate(full=True)
    except (pa.ArrowException, MemoryError) as error:
        raise ValueError(f"{path} is not a feather file, or is damaged or incomplete: {error}") from error
    table = table.replace_schema_metadata(None)  # which says what pandas should make of it
    if any(column.null_count for column in table.columns):
        raise ValueError(f"{path} lacks ranks or names: it has missing values")
    motifs = pd.Index(table.column(index).to_pylist(), dtype=object, name=index)
    return motifs, table.drop_columns([index]).to_pandas()


def _index_of(path: Path, is_text: Mapping[str, bool], integers: Mapping[str, object | None]) -> str:
    """Name of the column with the motifs, or a ValueError unless all others hold whole numbers."""
    index = next((name for name in INDEX_NAMES if is_text.get(name)), None)
    if index is None or any(values is None or is_text[name] for name, values in integers.items() if name != index):
        raise ValueError(
            f"{path} is not a ranking database: it needs a column {' or '.join(INDEX_NAMES)} with the names of the "
            "motifs and one column of whole numbers per gene (a database of scores is a different file)"
        )
    return index


@documented
def read_motif_annotations(
    source: Genome | str | Path,
    motif_similarity_qvalue: float = 0.001,
    orthologous_identity: float = 0.0,
    max_bytes: int | None = None,
) -> pd.DataFrame:
    r"""Read which transcription factors a motif is annotated to.

    Parameters
    ----------
    source
        Path of a motif2TF table (``motifs-*.tbl``), or ``"hg38"`` or ``"mm10"``: the table in the folder where
        the rankings are cached.
    motif_similarity_qvalue
        Highest q-value of an annotation by similarity to another motif.
    orthologous_identity
        Lowest identity of an annotation by orthology, 0 to 1.
    %(max_bytes)s

    Returns
    -------
    DataFrame ``TF, MotifID, MotifSimilarityQvalue, OrthologousIdentity, Annotation``.

    Raises
    ------
    FileNotFoundError
        If the file does not exist; says what to fetch and where to put it.
    ValueError
        If the file is damaged or expands to more than ``max_bytes``, a column or a name is missing, a q-value or an
        identity is no number, or a row has more or fewer fields than the header; says in which line.

    Examples
    --------
    >>> import tempfile, pandas as pd, tcellmil as tm
    >>> table = {"#motif_id": ["m1", "m2"], "gene_name": "SPI1", "motif_similarity_qvalue": [0.0, 0.01]}
    >>> table |= {"orthologous_identity": 1.0, "description": "gene is directly annotated"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pd.DataFrame(table).to_csv(folder + "/motifs.tbl", sep="\t", index=False)
    ...     annotations = tm.io.read_motif_annotations(folder + "/motifs.tbl")
    >>> annotations[["TF", "MotifID", "MotifSimilarityQvalue"]]
         TF MotifID  MotifSimilarityQvalue
    0  SPI1      m1                    0.0
    """
    path = cache_folder() / ANNOTATION_FILES[source] if source in GENOMES else Path(source)
    if not path.is_file():
        fetch = f"; fetch {ANNOTATION_URL}{path.name} and put it there" if source in GENOMES else ""
        raise FileNotFoundError(f"the motif annotations {path} do not exist{fetch}")
    numbers = ["motif_similarity_qvalue", "orthologous_identity"]
    table, lines = read_table(
        *(path, ANNOTATION_COLUMNS, "a motif2TF table", "\t", max_bytes),
        names=["gene_name", "#motif_id"],
        convert=dict.fromkeys(numbers, number) | {"description": str},
        others=False,
    )
    for column in numbers:
        values = table[column].to_numpy(float)
        refuse_rows(path, lines, ~np.isfinite(values), lambda row, c=column, v=values: f"{c} is {v[row]:g}")
    table = table.rename(columns=ANNOTATION_COLUMNS)
    good = (table["MotifSimilarityQvalue"] <= motif_similarity_qvalue) & (
        table["OrthologousIdentity"] >= orthologous_identity
    )
    return table.loc[good, list(ANNOTATION_COLUMNS.values())].reset_index(drop=True)


def read_databases(
    rankings: Rankings | Sequence[Rankings], annotations: Annotations | None
) -> tuple[Iterator[tuple[str, pd.DataFrame]], pd.DataFrame]:
    """Read what is not a table yet: name and rankings of each database, one at a time, and the annotations.

    Annotations that are left out are those of the first genome among ``rankings``.

    Raises
    ------
    ValueError
        If there are no rankings, or no annotations and no genome.
    """
    rankings = [rankings] if isinstance(rankings, pd.DataFrame | str | Path) else list(rankings)
    if not rankings:
        raise ValueError("rankings is empty; give the path of a ranking database, 'hg38', 'mm10' or a DataFrame")
    if annotations is None:
        genomes = [source for source in rankings if isinstance(source, str) and source in GENOMES]
        if not genomes:
            raise ValueError(
                "annotations are missing: give the motif2TF table that belongs to the rankings (motifs-*.tbl), "
                "it says which transcription factor binds a motif"
            )
        annotations = genomes[0]
    if not isinstance(annotations, pd.DataFrame):
        annotations = read_motif_annotations(annotations)
    return map(_named_database, rankings), annotations


def _named_database(source: Rankings) -> tuple[str, pd.DataFrame]:
    return (
        ("", source) if isinstance(source, pd.DataFrame) else (Path(source).name.split(".")[0], read_rankings(source))
    )


def cache_folder() -> Path:
    """Folder in which rustscenic caches databases."""
    from rustscenic.data import motif_rankings_cache_path

    return motif_rankings_cache_path().parent


def _download(genome: str) -> Path:
    from rustscenic import data

    try:
        return data.motif_rankings_path(genome)
    except RuntimeError as error:
        target = data.motif_rankings_cache_path(genome)
        raise FileNotFoundError(
            f"the rankings of {genome} are not at {target} and could not be downloaded ({error}). Fetch {target.name} "
            "from https://resources.aertslab.org/cistarget/databases/ where there is a network, and put it there"
        ) from error
