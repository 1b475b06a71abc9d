"""Loom files with SCENIC results: expression, regulons and their AUC in one HDF5 file."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from scipy import sparse

from tcellmil import _keys
from tcellmil._checks import check_layer, some
from tcellmil._docs import documented
from tcellmil._matrix import native, row_blocks
from tcellmil._params import storable
from tcellmil._provenance import checksum, record_of
from tcellmil._results import regulon_activity
from tcellmil.io._hdf5 import Hdf5, open_hdf5

if TYPE_CHECKING:
    from anndata import AnnData

CELLS, GENES = "CellID", "Gene"
AUC, MEMBERS = "RegulonsAUC", "Regulons"  # as pySCENIC names them, of cells and of genes
#: What the SCENIC protocol writes before these two names where it has regulons by motifs and by tracks: before the key.
KINDS = {"": "", "Motif": "motif_", "Track": "track_"}


@documented
def read_scenic_loom(path: str | Path, key_added: str = _keys.REGULONS, max_bytes: int | None = None) -> AnnData:
    """Read a loom file of pySCENIC, with the AUC of its regulons if it has them.

    Parameters
    ----------
    path
        The file. Genes are named by the row attribute ``Gene``, cells by the column attribute ``CellID``.
    key_added
        As in :func:`tcellmil.tl.regulons`.
    %(max_bytes)s

    Returns
    -------
    AnnData, cells x genes: ``X`` (CSR), the one-dimensional attributes in ``obs`` and ``var``. If there are the
    attributes ``RegulonsAUC`` and ``Regulons``, also ``obsm["X_" + key_added]`` and ``uns[key_added]`` as
    :func:`tcellmil.tl.regulons` writes them, all weights 1, which is what the format keeps. The SCENIC protocol writes
    ``MotifRegulonsAUC`` and ``TrackRegulonsAUC``, regulons by motifs and by tracks: these are under ``"motif_"`` and
    ``"track_"`` before the key, ``obsm["X_motif_regulons"]`` and ``uns["motif_regulons"]``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a loom file, is damaged or expands to more than ``max_bytes``; if a member is a link, or has
        its values in another file; if attributes and matrix differ in length; if genes have no names or share one; or
        if the AUC has other regulons than the genes.

    References
    ----------
    Van de Sande et al. (2020), Nature Protocols 15, 2247.

    Examples
    --------
    >>> import tempfile, pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.io.write_scenic_loom(adata, folder + "/scenic.loom")
    ...     back = tm.io.read_scenic_loom(folder + "/scenic.loom")
    >>> back.shape == adata.shape, back.uns["regulons"]["names"].tolist()
    (True, ['IRF7'])
    """
    from anndata import AnnData

    with open_hdf5(path, "a loom file", max_bytes) as loom:
        missing = {"matrix", "row_attrs", "col_attrs"} - set(loom.file)
        if missing:
            raise ValueError(f"{path} is not a loom file: it lacks {sorted(missing)}")
        matrix = loom.dataset(loom.file, "matrix")  # genes x cells
        if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
            raise ValueError(f"{path}: matrix has shape {matrix.shape} and {matrix.dtype}; it must be genes x cells")
        obs, cell_tables = _read_attributes(loom, "col_attrs", CELLS, matrix.shape[1])
        var, gene_tables = _read_attributes(loom, "row_attrs", GENES, matrix.shape[0])
        if not var.index.is_unique:
            twice = some(var.index[var.index.duplicated()].unique())
            raise ValueError(f"{path}: {GENES} names genes more than once, {twice}; rename them in the file")
        adata = AnnData(_read_matrix(loom, matrix).T.tocsr(), obs=obs, var=var)
    for prefix, before in KINDS.items():
        scores, members = cell_tables.get(prefix + AUC), gene_tables.get(prefix + MEMBERS)
        if scores is None:
            if members is not None:
                warnings.warn(
                    f"{path} has {prefix}{MEMBERS} of the genes, but no {prefix}{AUC} of the cells: left out",
                    stacklevel=2,
                )
            continue
        names = np.array(scores.dtype.names, dtype=str)
        if members is not None and set(members.dtype.names) != set(names):
            other = sorted(set(members.dtype.names) ^ set(names))
            raise ValueError(f"{path}: {prefix}{AUC} and {prefix}{MEMBERS} differ in the regulons {some(other)}")
        activity = structured_to_unstructured(scores, dtype=np.float32)
        adata.obsm[_keys.representation(before + key_added)] = activity
        params = {"method": "aucell", "source": Path(path).name, "n_genes": adata.n_vars}
        params |= {"checksum": checksum(activity, names), **record_of("regulons")}
        result = {"names": names, "targets": _targets(members, adata.var_names), "params": params}
        adata.uns[before + key_added] = storable(result)
    return adata


def write_scenic_loom(adata: AnnData, path: str | Path, key: str = _keys.REGULONS, layer: str | None = None) -> None:
    """Write expression, regulons and their AUC as pySCENIC does, for SCope or R.

    Parameters
    ----------
    adata
        Cells with the results of :func:`tcellmil.tl.regulons`. Columns of ``obs`` and ``var`` are written too,
        categories as text.
    path
        The file; one that exists is replaced.
    key
        The ``key_added`` of :func:`tcellmil.tl.regulons`.
    layer
        Layer to write as the matrix; ``adata.X`` by default.

    Raises
    ------
    KeyError
        If there are no results under ``key``, or the layer does not exist.
    ValueError
        If the name of a column holds a slash, which HDF5 reserves.

    Examples
    --------
    >>> import tempfile, pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.io.write_scenic_loom(adata, folder + "/scenic.loom")
    ...     back = tm.io.read_scenic_loom(folder + "/scenic.loom")
    >>> bool((back.obsm["X_regulons"] == adata.obsm["X_regulons"]).all())
    True
    """
    scores = regulon_activity(adata, key)
    matrix = check_layer(adata, layer)
    names = scores.columns
    targets = adata.uns[key]["targets"]
    members = np.zeros((adata.n_vars, len(names)), dtype=np.int64)
    row, column = adata.var_names.get_indexer(targets["target"]), names.get_indexer(targets["regulon"])
    there = (row >= 0) & (column >= 0)
    members[row[there], column[there]] = 1
    attributes = {
        "col_attrs": _columns(adata.obs, CELLS) | {AUC: _structured(scores.to_numpy(np.float64), names)},
        "row_attrs": _columns(adata.var, GENES) | {MEMBERS: _structured(members, names)},
    }
    with h5py.File(path, "w") as file:
        for group in ("layers", "row_graphs", "col_graphs"):
            file.create_group(group)
        general = {"LOOM_SPEC_VERSION": "3.0.0", "CreationDate": datetime.now(UTC).isoformat()}
        for name, value in general.items():
            file.create_dataset(f"attrs/{name}", data=value, dtype=h5py.string_dtype())
        for group, columns in attributes.items():
            for name, values in columns.items():
                text = h5py.string_dtype() if values.dtype == object else values.dtype
                file.create_dataset(f"{group}/{name}", data=values, dtype=text)
        shape = (adata.n_vars, adata.n_obs)
        chunks = (min(64, shape[0]), min(64, shape[1]))
        dataset = file.create_dataset("matrix", shape, dtype=matrix.dtype, chunks=chunks, compression="gzip")
        for cells, block in row_blocks(matrix):
            dataset[:, cells] = (block.toarray() if sparse.issparse(block) else block).T


def _read_matrix(loom: Hdf5, matrix: h5py.Dataset) -> sparse.csr_matrix:
    """The matrix, of which no more than some rows are dense at a time."""
    blocks = []
    for _, genes in row_blocks(matrix):
        block = sparse.csr_matrix(native(genes))
        loom.spend(block.data.nbytes + block.indices.nbytes)
        blocks.append(block)
    return sparse.vstack(blocks, format="csr") if blocks else sparse.csr_matrix(matrix.shape, dtype=np.float32)


def _read_attributes(loom: Hdf5, place: str, index: str, n: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the plain attributes as a table with ``index`` in front, and those of regulons by name."""
    group, plain, structured = loom.group(place), {}, {}
    regulons = {prefix + name for prefix in KINDS for name in (AUC, MEMBERS)}
    for name in group:
        dataset = loom.dataset(group, name)
        if dataset.ndim != 1 or (dataset.dtype.names and name not in regulons):
            if name in regulons or name == index:
                raise ValueError(f"{loom.path}: {place}/{name} has {dataset.ndim} dimensions, not one")
            continue  # embeddings and the like, which are not read
        if len(dataset) != n:
            raise ValueError(f"{loom.path}: {place}/{name} has {len(dataset)} values, but the matrix {n}")
        if name not in regulons:
            plain[name] = loom.read(dataset)
        elif dataset.dtype.names and all(dataset.dtype[field].kind in "biuf" for field in dataset.dtype.names):
            structured[name] = loom.read(dataset)
        else:
            raise ValueError(f"{loom.path}: {place}/{name} must have one field of numbers for each regulon")
    if index not in plain:
        raise ValueError(f"{loom.path} has no attribute {index!r} among {some(group)}")
    table = pd.DataFrame(
        {name: values for name, values in plain.items() if name != index}, index=pd.Index(plain[index]).astype(str)
    )
    return table, structured


def _targets(members: np.ndarray | None, genes: pd.Index) -> pd.DataFrame:
    """Table of the genes that each regulon holds."""
    found = [
        (name, gene)
        for name in (members.dtype.names if members is not None else ())
        for gene in genes[members[name] > 0]
    ]
    targets = pd.DataFrame(found, columns=["regulon", "target"], dtype=object)
    return targets.assign(weight=1.0)


def _columns(table: pd.DataFrame, index: str) -> dict[str, np.ndarray]:
    """Columns as arrays that HDF5 holds, the names first: text as objects, truth values as 0 and 1."""
    slashed = [name for name in table.columns if "/" in str(name)]
    if slashed:
        raise ValueError(f"the columns {slashed} hold a slash, which loom cannot; rename them first")
    columns = {index: table.index.to_numpy(str).astype(object)}
    for name in table.columns.difference([index], sort=False):
        values = table[name].to_numpy()
        if values.dtype.kind == "b":
            values = values.astype(np.int8)
        columns[str(name)] = values if values.dtype.kind in "iuf" else values.astype(str).astype(object)
    return columns


def _structured(values: np.ndarray, names: pd.Index) -> np.ndarray:
    return unstructured_to_structured(values, np.dtype([(name, values.dtype) for name in names]))
