"""Which transcription factor regulates which gene: boosted trees, and the sign of each edge."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil._matrix import check_indices
from tcellmil.regulons._expression import check_values
from tcellmil.regulons._grn_process import infer_edges
from tcellmil.regulons._targets import describe_names

Species = Literal["human", "mouse"]
SPECIES = get_args(Species)
MIN_CELLS = 50  # with fewer, what the trees find is noise
VALUES_AT_ONCE = 200_000_000  # pairs of values that are correlated in one call, which takes about a second
MAX_BYTES = 1 << 24  # of a file of names; the list of all human genes has half a million


def infer_grn(
    X: np.ndarray | sparse.spmatrix | sparse.sparray,
    gene_names: Sequence[str],
    tf_names: Species | str | Path | Iterable[str] = "human",
    seed: int = 0,
) -> pd.DataFrame:
    """Infer a gene regulatory network by GRNBoost2, in rustscenic's implementation.

    For each gene, boosted regression trees predict its expression from that of the transcription factors; the
    importance of a factor is the variance that its splits explain. It runs in a process of its own, which costs about a
    second and ends when the call is interrupted.

    Parameters
    ----------
    X
        Expression, cells x genes, counts or log-normalised, sparse or dense.
    gene_names
        Unique name of each column of ``X``.
    tf_names
        Transcription factors: ``"human"`` or ``"mouse"`` (the lists of pySCENIC), the path of a file with one name
        per line, or the names, in any order. Those that are not among ``gene_names`` are left out.
    seed
        Seed of the trees; one seed gives one network, on any number of threads and in any order of the factors.

    Returns
    -------
    DataFrame ``TF, target, importance``, one row per edge of positive importance, sorted by importance, highest first.

    Raises
    ------
    ValueError
        If gene names are not unique or do not fit ``X``, no factor is among them, or ``X`` is not finite or, where it
        is sparse, has indices out of range.
    RuntimeError
        If the process ends without a result, as it does where memory is short.

    References
    ----------
    Moerman et al. (2019), Bioinformatics 35, 2159.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.regulons import infer_grn
    >>> rng = np.random.default_rng(0)
    >>> tf = rng.poisson(3, (200, 2))
    >>> X = np.column_stack([tf, 2 * tf[:, 1] + rng.poisson(1, 200)]).astype(float)
    >>> grn = infer_grn(X, ["TF1", "TF2", "gene"], tf_names=["TF1", "TF2"])
    >>> grn[grn.target == "gene"].TF.iloc[0]
    'TF2'
    """
    genes = pd.Index(gene_names).astype(str)
    if len(genes) != X.shape[1] or not genes.is_unique:
        raise ValueError(f"gene_names needs one unique name for each of the {X.shape[1]} columns of X")
    check_values(X, "GRNBoost2")
    factors = load_tf_names(tf_names)
    present = _in_one_order(name for name in factors if name in genes)
    if not present:
        raise ValueError(
            f"none of {len(factors)} transcription factors is among the {len(genes)} genes. "
            f"{describe_names(genes, 'The genes')}, {describe_names(factors, 'the factors')}; "
            "choose tf_names='human' or 'mouse', give the names as they are in the data, or name a column of adata.var "
            "that holds symbols: gene_symbols=..."
        )
    if X.shape[0] < MIN_CELLS:
        warnings.warn(
            f"{X.shape[0]} cells are too few to infer a network (at least {MIN_CELLS}); its edges are mostly noise",
            UserWarning,
            stacklevel=2,
        )
    edges = infer_edges(X, genes, present, seed)
    # Ties broken by name, so that the order does not depend on the threads that found the edges.
    order = ["importance", "TF", "target"]
    return edges.sort_values(order, ascending=[False, True, True], ignore_index=True)


def load_tf_names(tf_names: Species | str | Path | Iterable[str]) -> list[str]:
    """Names of transcription factors from ``"human"``, ``"mouse"``, a file with one name per line, or the names.

    Each name once, in the order given; of a set, which has none, sorted.

    Raises
    ------
    ValueError
        If there is no such file, it is no text of one name per line, or larger than 16 MiB.

    Examples
    --------
    >>> from tcellmil.regulons import load_tf_names
    >>> len(load_tf_names("human")) > 1500, load_tf_names(["PAX5", "TBX21"])
    (True, ['PAX5', 'TBX21'])
    """
    if not isinstance(tf_names, str | Path):
        names = [str(name) for name in tf_names]
        return sorted(names) if isinstance(tf_names, Set) else list(dict.fromkeys(names))
    if tf_names in SPECIES:
        from rustscenic.data import tfs

        return tfs(tf_names)
    path = Path(tf_names)
    if not path.is_file():
        raise ValueError(
            f"tf_names={str(tf_names)!r} is neither 'human' nor 'mouse' nor a file; or give a list of names"
        )
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has more than {MAX_BYTES:,} bytes, which no list of names has; one name per line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    names = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if len(name.split("\t")) > 1 or "," in name:
            raise ValueError(f"{path}, line {number}: {name[:40]!r} is not one name; write one per line")
        if name and not name.startswith("#"):
            names[name] = None
    return list(names)


def _in_one_order(names: Iterable[str]) -> list[str]:
    """The factors, each once: those of pySCENIC's lists as these have them, then the others by name.

    The trees of rustscenic depend on the order of the factors, which must not depend on how they were given.
    """
    from rustscenic.data import tfs

    place = {name: i for i, name in reversed([*enumerate([*tfs("human"), *tfs("mouse")])])}
    return sorted(set(names), key=lambda name: (place.get(name, len(place)), name))


def edge_correlation(
    edges: pd.DataFrame,
    X: np.ndarray | sparse.spmatrix | sparse.sparray,
    gene_names: Sequence[str],
    mask_dropouts: bool = False,
) -> np.ndarray:
    """Pearson correlation between factor and target of each edge, as pySCENIC's ``add_correlation`` defines it.

    Parameters
    ----------
    edges
        DataFrame with ``TF`` and ``target``.
    X
        Expression, cells x genes.
    gene_names
        Unique name of each column of ``X``.
    mask_dropouts
        Use only the cells in which both genes are detected.

    Returns
    -------
    One correlation per edge, float64. NaN where a gene does not vary.

    Raises
    ------
    ValueError
        If ``X`` is sparse with indices out of range.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from tcellmil.regulons import edge_correlation
    >>> edges = pd.DataFrame({"TF": ["A", "A"], "target": ["B", "C"]})
    >>> edge_correlation(edges, np.array([[1.0, 2, 3], [2, 4, 2], [3, 6, 1]]), ["A", "B", "C"])
    array([ 1., -1.])
    """
    from rustscenic import grn

    check_indices(X)
    expression = (X.tocsc().astype(np.float32) if sparse.issparse(X) else np.asarray(X, np.float32), list(gene_names))
    pairs = edges[["TF", "target"]].assign(importance=1.0)
    rho, at_once = np.empty(len(pairs)), max(1, VALUES_AT_ONCE // max(1, X.shape[0]))
    for start in range(0, len(pairs), at_once):  # an interrupt comes through between two calls
        part = slice(start, start + at_once)
        with _quiet():
            signed = grn.add_correlation(pairs.iloc[part], expression, mask_dropouts=mask_dropouts)
        rho[part] = signed["rho"].to_numpy()
    return rho


@contextmanager
def _quiet():
    """Hide the warnings of rustscenic: what they are about is checked before."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"rustscenic|tcellmil\.regulons")
        yield
