"""What tl.annotate_sentences wrote, beside the true labels of the cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_column, check_result, some
from tcellmil._docs import documented
from tcellmil._log import warn
from tcellmil._order import in_order, names_in_order
from tcellmil._provenance import named, verb_of
from tcellmil.stats._evaluation._labels import bootstrap_labels

if TYPE_CHECKING:
    from anndata import AnnData

VERB = "annotate_sentences"


@documented
def confusion(
    adata: AnnData, label_key: str, *, key: str = _keys.C2S_ANNOTATION, normalize: bool = True
) -> pd.DataFrame:
    """True labels against those that a language model gave, as :func:`tcellmil.tl.annotate_sentences` wrote them.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.annotate_sentences`.
    label_key
        Column of ``adata.obs`` with the true labels. Cells without one are left out.
    %(annotation_key)s
    normalize
        Shares of the cells of a true label, in place of numbers of cells.

    Returns
    -------
    One row per true label that occurs (index ``true``), in the order of the categories, otherwise of the names, 2
    before 10; one column per label of the model (``predicted``), in its order, whether it was given or not. A true
    label that the model does not know is a row without a column. Rows of shares sum to 1.

    Raises
    ------
    KeyError
        If there is no such annotation, whose call the message names, or no such column.
    ValueError
        If no cell has a true label, or the annotation has been changed since.

    Warns
    -----
    UserWarning
        If cells have no true label, or were not annotated; says how many.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    >>> tm.tl.annotate_sentences(adata, model, "cell_type", progress=False)
    >>> table = tm.get.confusion(adata, "cell_type", normalize=False)
    >>> table.shape, int(table.to_numpy().sum())
    ((10, 10), 180)
    """
    true, predicted, _ = _annotated(adata, label_key, key)
    rows, columns = true.cat.categories, predicted.cat.categories
    codes = true.cat.codes.to_numpy(dtype=np.int64) * len(columns) + predicted.cat.codes.to_numpy()
    cells = np.bincount(codes, minlength=len(rows) * len(columns)).reshape(len(rows), len(columns))
    values = cells / cells.sum(axis=1, keepdims=True) if normalize else cells
    names = (pd.Index(list(rows), dtype=object, name="true"), pd.Index(list(columns), dtype=object, name="predicted"))
    return pd.DataFrame(values, *names)


@documented
def annotation_metrics(
    adata: AnnData,
    label_key: str,
    *,
    key: str = _keys.C2S_ANNOTATION,
    donor_key: str | None = None,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    r"""How well a language model annotates cells, with intervals over donors or cells.

    - ``accuracy``: share of the cells whose label is the true one.
    - ``balanced_accuracy``: mean over the true labels of the share of their cells that got it (recall).
    - ``macro_f1``: mean of :math:`F_1 = 2 n_{both} / (n_{true} + n_{predicted})` over the labels that are true, or
      given, for any cell.

    A true label that the model does not know counts as wrong. Cells of one donor resemble each other, so that
    intervals over cells are too narrow for what holds in other donors: name the column of the donors.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.annotate_sentences`.
    label_key
        Column of ``adata.obs`` with the true labels. Cells without one are left out.
    %(annotation_key)s
    donor_key
        Column of ``adata.obs`` with the donors, who are then drawn with all of their cells; by default cells are.
    %(n_boot)s
    %(level)s
    %(bootstrap_seed)s

    Returns
    -------
    One row per metric (index ``metric``): ``value``, ``ci_low``, ``ci_high`` and ``n``, the number of donors, or of
    cells without ``donor_key``. Ends are percentiles over resamples; of the accuracy over cells they are Wilson's.

    Raises
    ------
    KeyError
        If there is no such annotation, whose call the message names, or no such column.
    ValueError
        If no cell has a true label, a cell has no donor, there is one donor only, or an argument is out of range.

    Warns
    -----
    UserWarning
        If cells have no true label, or were not annotated; says how many.

    References
    ----------
    Same definitions as scikit-learn's ``accuracy_score``, ``balanced_accuracy_score`` and ``f1_score``. Efron &
    Tibshirani (1993), An Introduction to the Bootstrap, chapter 13; Wilson (1927), Journal of the American Statistical
    Association 22, 209.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    >>> tm.tl.annotate_sentences(adata, model, "cell_type", progress=False)
    >>> tm.get.annotation_metrics(adata, "cell_type", donor_key="patient")["n"].to_dict()
    {'accuracy': 6, 'balanced_accuracy': 6, 'macro_f1': 6}
    """
    true, predicted, known = _annotated(adata, label_key, key)
    names = pd.Index([*true.cat.categories, *predicted.cat.categories]).unique()
    codes = [names.get_indexer(labels.astype(object)) for labels in (true, predicted)]
    donors = None if donor_key is None else _donors(adata.obs[known], donor_key)
    return bootstrap_labels(*codes, donors, n_boot=n_boot, level=level, seed=seed).set_index("metric")


def _annotated(adata: AnnData, label_key: str, key: str) -> tuple[pd.Series, pd.Series, np.ndarray]:
    """True and predicted labels of the cells that have both, categorical in the order of rows and of columns.

    The third is the mask of these cells.
    """
    call = f"{named(VERB)}(adata, model" + (")" if key == _keys.C2S_ANNOTATION else f", key_added={key!r})")
    result = check_result(adata, key, call)
    if verb_of(result) != VERB or not isinstance(result, Mapping) or "labels" not in result:
        raise KeyError(f"adata.uns[{key!r}] is not of {named(VERB)}; run {call}, or name another result")
    if key not in adata.obs:
        raise KeyError(f"adata.obs has no {key!r}; run {call} first")
    true, given = check_column(adata.obs, label_key, "label_key"), adata.obs[key]
    labels = [str(label) for label in result["labels"]]
    unknown = sorted(set(names_in_order(given)) - set(labels))
    if unknown:
        raise ValueError(f"adata.obs[{key!r}] has {some(unknown)}, which are no labels of the model; run {call} again")
    for missing, lack in ((true.isna(), f"no true label in {label_key!r}"), (given.isna(), "not been annotated")):
        if missing.any() and not missing.all():
            warn(f"{int(missing.sum())} of {len(missing)} cells have {lack} and are left out")
    known = (true.notna() & given.notna()).to_numpy()
    if not known.any():
        raise ValueError(f"no cell has both a true label in {label_key!r} and an annotation in {key!r}")
    return in_order(true[known]), in_order(given[known]).cat.set_categories(labels), known


def _donors(obs: pd.DataFrame, donor_key: str) -> np.ndarray:
    """Code of the donor of each cell."""
    codes, names = pd.factorize(check_column(obs, donor_key, "donor_key"), sort=True)
    if (codes < 0).any():
        raise ValueError(f"donor_key={donor_key!r} is missing for {int((codes < 0).sum())} cells; leave them out")
    if len(names) < 2:
        raise ValueError(f"donor_key={donor_key!r} has one donor, {names[0]!r}, only; intervals over donors need two")
    return codes
