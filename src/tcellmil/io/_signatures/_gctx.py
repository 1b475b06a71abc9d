"""GCTX files of the Connectivity Map: expression signatures with what is known of samples and genes, in HDF5."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._checks import some
from tcellmil._docs import documented
from tcellmil.io._hdf5 import Hdf5, open_hdf5

if TYPE_CHECKING:
    from anndata import AnnData

MATRIX, SAMPLES, GENES = "0/DATA/0", "0/META/COL", "0/META/ROW"
#: What stands for a missing value in the metadata.
MISSING = -666
#: Samples that are read at a time.
STEP = 256


@documented
def read_gctx(
    path: str | Path,
    *,
    genes: Sequence[str] | None = None,
    samples: Sequence[str] | None = None,
    max_bytes: int | None = None,
) -> AnnData:
    """Read a GCTX file, such as those of L1000, as samples x genes.

    The format calls genes rows and samples columns, but stores the matrix samples x genes, as AnnData does. Only the
    requested part of the matrix is kept in memory; it is read by blocks of samples.

    Parameters
    ----------
    path
        The file.
    genes, samples
        Names of those that are read, in this order; all by default.
    %(max_bytes)s

    Returns
    -------
    AnnData, samples x genes: ``X`` (dense float32), ``obs`` and ``var`` with the metadata of samples and of genes,
    named by ``id``. Texts that are numbers throughout are numbers; ``-666``, which stands for a missing value in this
    format, is missing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    KeyError
        If requested genes or samples are not in the file.
    ValueError
        If the file is no GCTX file, is damaged or expands to more than ``max_bytes``; if a member is a link, or has its
        values in another file; if matrix and metadata differ in length; or if names are repeated.

    References
    ----------
    Subramanian et al. (2017), A next generation connectivity map, Cell 171, 1437; Enache et al. (2019), The GCTx format
    and cmap{Py, R, M, J} packages, Bioinformatics 35, 1427.

    Examples
    --------
    >>> import tempfile, h5py, tcellmil as tm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(folder + "/two.gctx", "w") as file:
    ...         file["0/DATA/0/matrix"] = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    ...         file["0/META/ROW/id"] = [b"TP53", b"MYC", b"EGFR"]
    ...         file["0/META/COL/id"] = [b"control", b"drug"]
    ...     adata = tm.io.read_gctx(folder + "/two.gctx", genes=["EGFR", "TP53"])
    >>> adata.to_df().loc["drug"].to_dict()
    {'EGFR': 6.0, 'TP53': 4.0}
    """
    from anndata import AnnData

    with open_hdf5(path, "a GCTX file", max_bytes) as gctx:
        matrix = gctx.dataset(gctx.group(MATRIX), "matrix")
        if matrix.ndim != 2 or matrix.dtype.kind not in "iuf":
            raise ValueError(f"{path}: matrix has shape {matrix.shape} and {matrix.dtype}; it must be samples x genes")
        obs = _metadata(gctx, SAMPLES, matrix.shape[0], "samples")
        var = _metadata(gctx, GENES, matrix.shape[1], "genes")
    rows, columns = _places(obs, samples, "samples"), _places(var, genes, "genes")
    with open_hdf5(path, "a GCTX file", max_bytes) as gctx:
        matrix = gctx.dataset(gctx.group(MATRIX), "matrix")
        gctx.spend(len(rows) * len(columns) * 4)
        X = np.empty((len(rows), len(columns)), dtype=np.float32)
        order = np.argsort(rows, kind="stable")  # a file is read from the front to the back
        for start in range(0, len(order), STEP):
            own = order[start : start + STEP]
            X[own] = matrix[rows[own]][:, columns]
    return AnnData(X, obs=obs.iloc[rows], var=var.iloc[columns])


def _metadata(gctx: Hdf5, place: str, n: int, what: str) -> pd.DataFrame:
    """A table of one side of the matrix, by name."""
    group, found = gctx.group(place), {}
    for name in sorted({"id", *group}):
        dataset = gctx.dataset(group, name)
        if dataset.shape != (n,):
            raise ValueError(f"{gctx.path}: {place}/{name} has shape {dataset.shape}, the matrix has {n} {what}")
        found[name] = gctx.read(dataset)
    names = pd.Index([str(name) for name in found.pop("id")], dtype=object)
    if not names.is_unique:
        raise ValueError(f"{gctx.path}: {place}/id names {what} more than once, {some(names[names.duplicated()])}")
    return pd.DataFrame({name: _column(values) for name, values in found.items()}, index=names)


def _column(values: np.ndarray) -> pd.Series | np.ndarray | pd.Categorical:
    """Numbers, or categories; missing where the file says so."""
    if values.dtype.kind in "iuf":
        return np.where(values == MISSING, np.nan, values) if (values == MISSING).any() else values
    texts = pd.Series(values).astype(object)
    texts = texts.mask(texts.isin([str(MISSING), f"{MISSING}.0"]))
    numbers = pd.to_numeric(texts, errors="coerce")
    if texts.notna().any() and numbers.notna().equals(texts.notna()):
        return numbers.to_numpy()
    return pd.Categorical(texts)


def _places(table: pd.DataFrame, wanted: Sequence[str] | None, what: str) -> np.ndarray:
    """Where the requested names are; all by default."""
    if wanted is None:
        return np.arange(len(table))
    names = pd.Index([wanted] if isinstance(wanted, str) else list(wanted), dtype=object)
    if not names.is_unique:
        raise ValueError(f"{what} has {some(names[names.duplicated()])} more than once")
    places = table.index.get_indexer(names)
    if (places < 0).any():
        raise KeyError(
            f"{what} {some(names[places < 0])} are not in the file, which has {len(table)}, such as "
            f"{some(table.index, 3)}"
        )
    return places
