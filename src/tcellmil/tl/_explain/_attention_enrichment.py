"""Which groups of cells get more attention than their number explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_obs_column, some
from tcellmil._docs import documented
from tcellmil._order import names_in_order
from tcellmil._results import attention_of_cells, counted, warn_without_skill
from tcellmil._verbs import Result, verb
from tcellmil.tl._explain._largest import largest

if TYPE_CHECKING:
    from anndata import AnnData


@documented
@verb()
def attention_enrichment(
    adata: AnnData,
    groupby: str,
    n_permutations: int = 10_000,
    min_cells: int = 3,
    *,
    seed: int = 0,
    key: str = _keys.TCELLMIL,
    key_added: str | None = None,
    copy: bool = False,
) -> Result:
    """Compare the attention of groups of cells, such as cell types, with groups permuted within each patient.

    Reads ``obs[key + "_attention"]`` and ``uns[key]`` from :func:`tcellmil.tl.fit_mil` (or of new patients, from
    :func:`tcellmil.tl.predict`) and ``obs[groupby]``. Attention is relative to uniform (see
    :func:`tcellmil.get.attention`), so that patients with many and with few cells compare.

    - *A patient.* The group's median attention against its medians when the groups of all of the patient's cells are
      permuted: one-sided, for more attention (:func:`tcellmil.stats.permuted_medians`). A low p says that this
      patient's cells of the group get more attention than others; it says nothing of other patients.
    - *Over patients*, which are the unit: a two-sided Wilcoxon signed-rank test, a group, of ``excess``, the share of
      the permutations below the observed median less the share above.

    The signed-rank test needs changes that are symmetric about 0 when there is no effect. ``excess`` is, for any
    distribution of attention. ``difference`` is not, because attention is skewed, nor is the ratio of the two medians:
    with attention drawn at random in 64 patients of 100 cells and groups of 4 to 40 cells, p < 0.05 came in 4 to 7% of
    1,000 cohorts with ``excess``, for each of five distributions; with ``difference`` in 4 to 42%, with the logarithm
    of the ratio in 4 to 33% (``benchmarks/attention_statistics.py --calibration``). So the test to read is on
    ``excess``; ``difference`` says how much, and the paper's test of it stands beside.

    A significant group is one that the networks look at. It need not help to predict: networks that learned nothing
    look somewhere too, and those of one cross-validation at the same place, because they share most of their training
    patients. In six cohorts of 16 patients whose classes do not differ, 25 of 56 groups had p < 0.05 over patients.

    Cells without attention (their patient was never held out) or without a group are left out, and counted in the log.

    Parameters
    ----------
    adata
        With a result of :func:`tcellmil.tl.fit_mil`.
    groupby
        Column of ``obs``, such as the cell type.
    n_permutations
        Permutations of each patient. The lowest p-value of a patient is ``1 / (n_permutations + 1)``.
    min_cells
        A group with fewer cells in a patient is not tested there.
    seed
        Seed of the permutations.
    %(key)s
    key_added
        Name of what is written; ``f"{key}_attention_enrichment"`` by default.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written to ``uns["tcellmil_attention_enrichment"]``:

    - ``patients``: one row per patient and group with ``label`` (of the patient, as in
      :func:`tcellmil.get.attention`; empty if unlabelled), ``n_cells``, ``observed`` (median relative attention),
      ``null`` (median of the permuted medians), ``difference``, ``excess`` in (-1, 1), ``p`` and ``padj``
      (Benjamini-Hochberg over all patients and groups). NaN where nothing was tested: fewer than ``min_cells`` cells,
      or all of the patient's cells;
    - ``stats``: one row per group with ``n_patients`` (tested), ``mean_difference``,
      ``median_difference``, ``mean_excess``, ``statistic``, ``p``, ``padj`` (over groups), the same of the paper's test
      with ``_difference`` behind, and ``n_enriched`` (patients with padj < 0.05). NaN for a group that was tested in no
      patient;
    - ``params``: the arguments.

    Raises
    ------
    KeyError
        If there is no result under ``key`` or no column ``groupby``.
    ValueError
        If no cell has attention, ``groupby`` has no two groups, or an argument is out of range; ``adata`` is then
        unchanged.

    Warns
    -----
    %(no_skill)s

    References
    ----------
    Tsui et al. (2025), tcellMIL, section 6.5, where the signed-rank test is on ``difference`` alone.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.attention_enrichment(adata, "cell_type", n_permutations=500)
    >>> len(tm.get.attention_enrichment(adata).index.unique("patient"))
    6
    """
    from tcellmil.stats import benjamini_hochberg, permuted_medians
    from tcellmil.stats._enrichment import enrichment_over_patients

    cells = attention_of_cells(adata, key)
    groups = check_obs_column(adata, groupby, "groupby")
    seen = cells_with_attention(cells, _keys.of_fit(key, _keys.ATTENTION))
    used = seen & groups.notna().to_numpy()
    names = groups[used].astype(str).unique()
    if len(names) < 2:
        raise ValueError(
            f"groupby={groupby!r} has {len(names)} groups among the cells with attention, {some(names)}; "
            "permuting needs at least two"
        )
    cells = cells[used]
    table = permuted_medians(
        cells["relative"].to_numpy(),
        cells["sample"].to_numpy(),
        groups[used].astype(str).to_numpy(),
        n_permutations=n_permutations,
        min_cells=min_cells,
        seed=seed,
    )
    label = cells.drop_duplicates("sample").set_index("sample")["label"]
    table.insert(2, "label", table["patient"].map(label))
    table.insert(6, "difference", table["observed"] - table["null"])
    table["padj"] = benjamini_hochberg(table["p"].to_numpy())
    stats = enrichment_over_patients(table)
    place = {name: i for i, name in enumerate(names_in_order(groups[used]))}
    table = table.sort_values("group", key=lambda group: group.map(place), kind="stable")
    table = table.sort_values("patient", kind="stable", ignore_index=True)
    stats = stats.sort_values("group", key=lambda group: group.map(place), ignore_index=True)

    untested = stats.loc[stats["n_patients"] == 0, "group"]
    message = (
        f"{len(stats)} groups in {counted(adata, key, table['patient'].unique())}; largest median differences of "
        f"relative attention: {largest(stats['group'], stats['median_difference'])}"
        + (f"; {(~seen).sum()} cells have no attention and are left out" if not seen.all() else "")
        + (f"; {(seen & ~used).sum()} cells have no {groupby!r} and are left out" if (seen & ~used).any() else "")
        + (f"; no patient could be tested for {some(untested)} (min_cells={min_cells})" if len(untested) else "")
    )
    return Result({"patients": table, "stats": stats}, message, {"no_skill": warn_without_skill(adata, key)})


def cells_with_attention(cells: pd.DataFrame, column: str) -> np.ndarray:
    """Mask of the cells whose patient was held out by a replica; raise if there are none."""
    seen = cells["relative"].notna().to_numpy()
    if not seen.any():
        raise ValueError(
            f"obs[{column!r}] is NaN in all {len(cells)} cells: no patient was held out by any replica; "
            "fit again with a cv that holds patients out"
        )
    return seen
