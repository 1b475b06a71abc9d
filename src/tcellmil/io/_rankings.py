"""Motif databases of the Aerts lab: rankings, and which factor each motif belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

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


def read_rankings(source: Genome | str | Path) -> pd.DataFrame:
    """Read a cisTarget ranking database.

    Parameters
    ----------
    source
        Path of a feather file with the ranks of all genes for each motif, or ``"hg38"`` or ``"mm10"``: the
        database of 10 kb around the transcription start, downloaded (about 300 MB) and cached by rustscenic.

    Returns
    -------
    DataFrame, motifs x genes, ranks from 0.

    Raises
    ------
    FileNotFoundError
        If the file does not exist, or could not be downloaded; says what to fetch and where to put it.
    ValueError
        If the file is not a ranking database.

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
    import pyarrow as pa
    from pyarrow import feather

    path = _download(source) if source in GENOMES else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"rankings={str(source)!r} is neither a file nor one of {', '.join(GENOMES)}")
    try:
        table = feather.read_feather(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a feather file: {error}") from error
    index = next((name for name in INDEX_NAMES if name in table), None)
    ranks = table.drop(columns=index) if index else table
    if index is None or not all(np.issubdtype(dtype, np.integer) for dtype in ranks.dtypes):
        raise ValueError(
            f"{path} is not a ranking database: it needs a column {' or '.join(INDEX_NAMES)} with the names of the "
            "motifs and one column of whole numbers per gene (a database of scores is a different file)"
        )
    return ranks.set_index(table[index].astype(str))


def read_motif_annotations(
    source: Genome | str | Path, motif_similarity_qvalue: float = 0.001, orthologous_identity: float = 0.0
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

    Returns
    -------
    DataFrame ``TF, MotifID, MotifSimilarityQvalue, OrthologousIdentity, Annotation``.

    Raises
    ------
    FileNotFoundError
        If the file does not exist; says what to fetch and where to put it.
    ValueError
        If a column is missing.

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
    header = pd.read_csv(path, sep="\t", nrows=0).columns
    missing = set(ANNOTATION_COLUMNS) - set(header)
    if missing:
        raise ValueError(f"{path} is not a motif2TF table: it lacks the columns {sorted(missing)}")
    table = pd.read_csv(path, sep="\t", usecols=list(ANNOTATION_COLUMNS)).rename(columns=ANNOTATION_COLUMNS)
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
