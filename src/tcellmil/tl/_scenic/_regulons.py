"""Regulon activity of every cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_adata, check_choice, check_mudata, is_mudata, some
from tcellmil._docs import documented
from tcellmil._log import warn
from tcellmil._provenance import checksum
from tcellmil._verbs import Result, verb
from tcellmil.io import read_net
from tcellmil.io._net import Net, net_name
from tcellmil.io._rankings import Annotations, Rankings, read_databases
from tcellmil.regulons import (
    aucell,
    edge_correlation,
    infer_grn,
    load_tf_names,
    modules_from_grn,
    split_by_sign,
    union_per_tf,
)
from tcellmil.regulons._aucell import rank_cutoff
from tcellmil.regulons._cistarget import enriched_motifs
from tcellmil.regulons._expression import check_values
from tcellmil.regulons._grn import Species
from tcellmil.regulons._modules import unpruned_targets
from tcellmil.regulons._targets import keep_covered, present_targets, weight_matrix
from tcellmil.tl._scenic._decouple import check_options, decouple
from tcellmil.tl._scenic._genes import check_names_match, named_expression
from tcellmil.tl._scenic._grn import edges_of

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from tcellmil._matrix import Matrix

AUCELL = "aucell"
MIN_RANKS = 20  # a cutoff below this many genes makes AUCell coarse


@documented
@verb(obsm=[""], modality=True)
def regulons(
    adata: AnnData | MuData,
    net: Net | None = None,
    *,
    rankings: Rankings | Sequence[Rankings] | None = None,
    annotations: Annotations | None = None,
    tf_names: Species | str | Path | Iterable[str] = "human",
    grn_key: str | None = None,
    method: str = AUCELL,
    layer: str | None = None,
    gene_symbols: str | None = None,
    min_targets: int = 5,
    auc_threshold: float = 0.05,
    nes_threshold: float = 3.0,
    seed: int = 0,
    mod: str | None = None,
    key_added: str = _keys.REGULONS,
    copy: bool = False,
    **method_kwargs,
) -> AnnData | MuData | None:
    """Score how active each regulon, a transcription factor and its targets, is in each cell.

    Reads ``adata.X`` or a layer; writes the scores to ``adata.obsm["X_" + key_added]`` and what they stand for to
    ``adata.uns[key_added]``. Of a MuData it reads a modality, and adds the scores as another one. The regulons
    come from

    - ``net``, if given: nothing is inferred.
    - ``rankings`` and ``annotations``, all steps of SCENIC: network, modules, and the targets of each module that
      have a motif of the factor (:func:`tcellmil.tl.grn`, :func:`tcellmil.regulons.modules_from_grn`,
      :func:`tcellmil.tl.prune`).
    - otherwise the unpruned network, with a warning, since co-expression alone does not distinguish direct targets
      from indirect ones: the 50 most important activated targets of each factor, weighted by importance.

    Parameters
    ----------
    adata
        Cells x genes, counts or log-normalised, sparse or dense; or a MuData with a modality of them.
    net
        Anything that :func:`tcellmil.io.read_net` reads: a DataFrame ``source, target`` and optionally ``weight``; a
        motif table of pySCENIC or its path; the path of a GMT file; ``"collectri"`` or ``"dorothea"``; or the
        ``targets`` that this function wrote for another data set.
        AUCell has no signs. A net with negative weights is split, with the names of pySCENIC: ``TF(+)``, the activated
        targets, and ``TF(-)``, the repressed ones. Pass ``net[net.weight > 0]`` for the activated ones only.
    rankings, annotations
        Motif database, see :func:`tcellmil.tl.prune`.
    tf_names
        Transcription factors, see :func:`tcellmil.tl.grn`.
    grn_key
        Key of ``adata.uns`` with a network that :func:`tcellmil.tl.grn` wrote, to use in place of a new one.
    method
        ``"aucell"``, or any method of decoupler by name (``"ulm"``, ``"mlm"``, ``"viper"``, ``"zscore"``, ...). Those
        use signed weights: the net is not split. All genes count, also those that no cell of ``adata`` detects, so
        that a cell's score does not depend on the other cells; ``"gsva"``, which compares cells, warns.
    %(layer)s
    %(gene_symbols)s
    min_targets
        Targets that a regulon needs among the genes; regulons with fewer are left out.
    %(auc_threshold)s
    %(nes_threshold)s
    seed
        Seed of the network inference. Scoring is not random.
    mod
        The modality with the expression, where ``adata`` is a MuData; ``"rna"`` by default.
    key_added
        Key of ``adata.uns``, and with ``"X_"`` before it of ``adata.obsm``; in a MuData, the modality that is added.
    %(copy)s
    **method_kwargs
        Passed to the method of decoupler.

    Returns
    -------
    None, or the changed copy with ``copy=True``. Sets

    - ``obsm["X_" + key_added]``: float32, cells x regulons; in [0, 1] for AUCell,
    - ``uns[key_added]["names"]``: the regulon of each column, sorted,
    - ``uns[key_added]["targets"]``: DataFrame ``regulon, target, weight``, with all targets of the regulons, also
      those that are not in this data set: ``tl.regulons(other, net=adata.uns["regulons"]["targets"])``,
    - ``uns[key_added]["params"]``: the arguments, ``source`` (what the regulons come from) and ``n_genes``.

    In a MuData, ``mod[key_added]`` is an AnnData of cells x regulons with the scores as ``X``, the names as
    ``var_names``, and the same ``uns[key_added]``. A modality that this function added before is replaced.

    Raises
    ------
    KeyError
        If the layer, the column ``gene_symbols``, ``grn_key`` or the modality does not exist.
    TypeError
        If ``mod`` is given for an AnnData, or an argument that the method does not take.
    ValueError
        If ``adata`` is a view, backed or its names are not unique; the method is not known; ``net`` lacks a
        column; no regulon has ``min_targets`` targets among the genes; values are not finite, negative with AUCell, or
        sparse with indices out of range; or ``key_added`` is another modality.

    References
    ----------
    Aibar et al. (2017), Nature Methods 14, 1083; Van de Sande et al. (2020), Nature Protocols 15, 2247;
    Badia-i-Mompel et al. (2022), Bioinformatics Advances 2, vbac016.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> net = pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]})
    >>> tm.tl.regulons(adata, net=net)
    >>> adata.obsm["X_regulons"].shape, adata.uns["regulons"]["names"]
    ((180, 1), array(['IRF7'], dtype='<U4'))
    """
    data = adata
    tf_names = tf_names if isinstance(tf_names, str | Path) else load_tf_names(tf_names)
    adata = _cells(data, mod)
    check_adata(adata)
    _check_method(method, method_kwargs)
    X, genes = named_expression(adata, layer, gene_symbols, "regulons")
    check_values(X, "AUCell" if method == AUCELL else method, minimum=0 if method == AUCELL else -np.inf)
    if method == AUCELL:
        _warn_if_coarse(rank_cutoff(len(genes), auc_threshold), len(genes))

    if net is not None:
        targets, source = read_net(net), net_name(net)
    else:
        edges = _network(adata, X, genes, tf_names, grn_key, seed)
        targets, source = _infer_targets(edges, rankings, annotations, nes_threshold)
    if method == AUCELL:
        targets = split_by_sign(targets)
    n_known = targets["regulon"].nunique()
    check_names_match(targets["target"].unique(), "targets", genes, adata)
    names_are = "var_names" if gene_symbols is None else f"adata.var[{gene_symbols!r}]"
    targets = keep_covered(targets, genes, min_targets, names_are)
    names = np.array(sorted(targets["regulon"].unique()), dtype=str)
    if method == AUCELL:
        scores = aucell(X, weight_matrix(targets, names, genes), auc_threshold)
    else:
        scores, names = decouple(X, adata.obs_names, genes, targets, method, min_targets, method_kwargs)
        targets = targets[targets["regulon"].isin(names)].reset_index(drop=True)
    n_targets = present_targets(targets, genes).median()

    params = {"tf_names": tf_names, "source": source, "n_genes": len(genes), "checksum": checksum(scores, names)}
    message = (
        f"{len(names)} regulons (of {n_known}) from {source} scored in {adata.n_obs} cells by {method}, "
        f"median {n_targets['present']:g} of {n_targets['total']:g} targets present"
    )
    add = partial(_add_modality, cells=adata.obs_names, scores=scores) if is_mudata(data) else None
    return Result({"names": names, "targets": targets}, message, params, {"": scores}, add=add)


def _cells(data: AnnData | MuData, mod: str | None) -> AnnData:
    """The AnnData with the expression."""
    if not is_mudata(data):
        if mod is not None:
            raise TypeError(f"mod={mod!r} names a modality of a MuData, got {type(data).__name__}; leave mod out")
        return data
    check_mudata(data)
    mod = "rna" if mod is None else mod
    if mod not in data.mod:
        raise KeyError(f"mod={mod!r} is not a modality of mdata; there are {some(data.mod)}")
    return data.mod[mod]


def _add_modality(mdata: MuData, name: str, parts: dict[str, Any], cells: pd.Index, scores: np.ndarray) -> None:
    from anndata import AnnData

    from tcellmil.data._mudata import obs_as_it_is

    with obs_as_it_is():
        if name in mdata.mod:  # first without its names: a MuData refuses names that come and go at the same time
            mdata.mod[name] = AnnData(obs=mdata.mod[name].obs[[]])
            mdata.update()
        var = pd.DataFrame(index=pd.Index(parts["names"], dtype=object))
        mdata.mod[name] = AnnData(scores, obs=pd.DataFrame(index=cells.copy()), var=var, uns={name: parts})
        mdata.update()


def _check_method(method: str, method_kwargs: dict[str, Any]) -> None:
    if method == AUCELL:
        if method_kwargs:
            raise TypeError(f"method='aucell' takes no arguments {sorted(method_kwargs)}; those of decoupler's do")
        return
    from decoupler import mt

    check_choice(method, [AUCELL, *(name for name in mt.show()["name"] if name != AUCELL)], "method")
    check_options(method_kwargs)


def _warn_if_coarse(k: int, n_genes: int) -> None:
    if k < MIN_RANKS:
        warn(
            f"AUCell uses the first {k + 1} of {n_genes} genes only, so that scores are coarse; "
            "raise auc_threshold, or keep more genes",
        )


def _network(
    adata: AnnData,
    X: Matrix,
    genes: pd.Index,
    tf_names: Species | str | Path | Iterable[str],
    grn_key: str | None,
    seed: int,
) -> pd.DataFrame:
    if grn_key is not None:
        return edges_of(adata, grn_key)
    check_names_match(load_tf_names(tf_names), "transcription factors", genes, adata)
    edges = infer_grn(X, genes, tf_names, seed=seed)
    return edges.assign(rho=edge_correlation(edges, X, genes))


def _infer_targets(
    edges: pd.DataFrame,
    rankings: Rankings | Sequence[Rankings] | None,
    annotations: Annotations | None,
    nes_threshold: float,
) -> tuple[pd.DataFrame, str]:
    """Return the regulons of a network, pruned if there are rankings, and what to call them."""
    if rankings is not None:
        databases, annotations = read_databases(rankings, annotations)
        motifs = enriched_motifs(modules_from_grn(edges), databases, annotations, nes_threshold)
        return union_per_tf(motifs), "pruned modules"
    warn(
        "regulons are unpruned co-expression modules: the 50 most important activated targets of each factor, direct "
        "or not. Give rankings and annotations to keep the targets with a motif, or a net",
    )
    return unpruned_targets(edges), "unpruned modules"
