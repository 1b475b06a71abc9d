"""Loom files with SCENIC results: expression, regulons and their AUC in one HDF5 file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from scipy import sparse

from tcellmil import _keys
from tcellmil._checks import check_layer
from tcellmil._matrix import row_blocks
from tcellmil._params import storable
from tcellmil._provenance import checksum, record_of
from tcellmil._results import regulon_activity

if TYPE_CHECKING:
    from anndata import AnnData

CELLS, GENES = "CellID", "Gene"
AUC, MEMBERS = "RegulonsAUC", "Regulons"  # as pySCENIC names them, of cells and of genes


def read_scenic_loom(path: str | Path, key_added: str = _keys.REGULONS) -> AnnData:
    """Read a loom file of pySCENIC, with the AUC of its regulons if it has them.

    Parameters
    ----------
    path
        The file. Genes are named by the row attribute ``Gene``, cells by the column attribute ``CellID``.
    key_added
        As in :func:`tcellmil.tl.regulons`.

    Returns
    -------
    AnnData, cells x genes: ``X`` (CSR), the one-dimensional attributes in ``obs`` and ``var``. If there are the
    attributes ``RegulonsAUC`` and ``Regulons``, also ``obsm["X_" + key_added]`` and ``uns[key_added]`` as
    :func:`tcellmil.tl.regulons` writes them, all weights 1, which is what the format keeps.

    Raises
    ------
    ValueError
        If the file is not a loom file, or genes or cells have no names.

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

    with _open(path) as file:
        obs, cell_tables = _read_attributes(file["col_attrs"], CELLS, path)
        var, gene_tables = _read_attributes(file["row_attrs"], GENES, path)
        matrix = file["matrix"]  # genes x cells
        blocks = [sparse.csr_matrix(genes) for _, genes in row_blocks(matrix)]
    adata = AnnData(sparse.vstack(blocks).T.tocsr(), obs=obs, var=var)
    if AUC in cell_tables:
        names = np.array(cell_tables[AUC].dtype.names, dtype=str)
        scores = structured_to_unstructured(cell_tables[AUC], dtype=np.float32)
        adata.obsm[_keys.representation(key_added)] = scores
        params = {"method": "aucell", "source": Path(path).name, "n_genes": adata.n_vars}
        params |= {"checksum": checksum(scores, names), **record_of("regulons")}
        targets = _targets(gene_tables.get(MEMBERS), adata.var_names)
        adata.uns[key_added] = storable({"names": names, "targets": targets, "params": params})
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


def _open(path: str | Path) -> h5py.File:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is not a loom file: it is not in HDF5 format")
    file = h5py.File(path, "r")
    missing = {"matrix", "row_attrs", "col_attrs"} - set(file)
    if missing:
        file.close()
        raise ValueError(f"{path} is not a loom file: it lacks {sorted(missing)}")
    return file


def _read_attributes(group: h5py.Group, index: str, path: str | Path) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the plain attributes as a table with ``index`` in front, and the structured ones by name."""
    plain, structured = {}, {}
    for name, dataset in group.items():
        values = dataset[()]
        if values.dtype.names:
            structured[name] = values
        elif values.ndim == 1:
            text = values.dtype.kind in "SO"
            plain[name] = [v.decode() if isinstance(v, bytes) else str(v) for v in values] if text else values
    if index not in plain:
        raise ValueError(f"{path} has no attribute {index!r} among {sorted(group)}")
    table = pd.DataFrame({name: values for name, values in plain.items() if name != index}, index=plain[index])
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
