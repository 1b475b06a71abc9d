"""Which regulons go with attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._docs import documented
from tcellmil._provenance import scores_of
from tcellmil._results import attention_of_cells, counted, fit_part, warn_without_skill
from tcellmil._verbs import Result, verb
from tcellmil.tl._explain._largest import largest

if TYPE_CHECKING:
    from anndata import AnnData


@documented
@verb()
def attention_correlation(
    adata: AnnData,
    *,
    use_rep: str | None = None,
    mixed_model: bool = True,
    min_cells: int = 10,
    key: str = _keys.TCELLMIL,
    key_added: str | None = None,
    copy: bool = False,
) -> Result:
    r"""Correlate the activity of every regulon with the attention of the cells.

    Reads ``obs[key + "_attention"]``, ``uns[key]`` and the representation. Attention is relative to uniform, so that
    it compares between patients (see :func:`tcellmil.get.attention`); cells without attention are left out.

    Three questions, with Benjamini-Hochberg over the regulons for each test:

    - ``tau``, ``rho``: Kendall's tau-b and Spearman's rho over all cells, as in the paper. Their p-values treat cells
      as independent, which cells of one patient are not. They rank regulons; they test nothing.
    - ``tau_within``, ``rho_within``: the mean over patients of the correlation inside the patient, and a Wilcoxon
      signed-rank test over patients. Patients are the unit, so **these are the p-values to read**, with the caveat
      below.
    - ``mixed_*``: a linear model of the activity on the logarithm of relative attention, both standardised, with a
      random intercept of the patient (:func:`tcellmil.stats.random_intercept`). Its p-values allow for patients that
      differ in level, not for patients that differ in slope.

    How much that matters: 24 patients of 300 cells, slopes that vary between patients with a standard deviation of 0.1
    around 0, so without any common association. Of 400 regulons, 24% had p < 0.05 by tau over all cells, 30% by the
    mixed model, and 3% by ``tau_within`` (with slopes of exactly 0: 5%, 7% and 6%).

    A regulon that goes with attention is associated with what the networks look at, which is not a cause, and need not
    help to predict: networks that learned nothing look somewhere too, and those of one cross-validation at the same
    place, because they share most of their training patients. In six cohorts of 16 patients whose classes do not
    differ, 238 of 354 regulons had p < 0.05 by ``tau_within`` (``benchmarks/attention_statistics.py --calibration``).

    Parameters
    ----------
    adata
        With a result of :func:`tcellmil.tl.fit_mil`.
    use_rep
        Key of ``obsm`` with the activities; by default the representation that the model was fitted on.
    mixed_model
        Fit the mixed models too.
    min_cells
        Patients with fewer cells have no correlation of their own, at least 3: all patients count the same over
        patients, and a correlation of few cells is mostly noise.
    %(key)s
    key_added
        Name of what is written; ``f"{key}_attention_correlation"`` by default.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written to ``uns["tcellmil_attention_correlation"]``:

    - ``regulons``: one row per regulon: ``regulon``; ``tau``, ``tau_p``, ``tau_padj``; ``rho``, ``rho_p``,
      ``rho_padj``; ``tau_within``, ``tau_within_p``, ``tau_within_padj``; ``rho_within``, ``rho_within_p``,
      ``rho_within_padj``; ``n_patients`` (with a correlation of their own: enough cells and a regulon that is not the
      same in all of them); ``mixed_coef``, ``mixed_se``, ``mixed_p``, ``mixed_padj``, ``mixed_status``. Correlations
      are in [-1, 1]. A regulon that is the same in all cells has NaN and the status ``"constant"``; a singular mixed
      model keeps its estimates and says ``"singular"``;
    - ``params``: the arguments.

    Raises
    ------
    KeyError
        If there is no result under ``key``, or no such representation.
    ValueError
        If no cell has attention, all have the same, the representation is not finite, or ``min_cells`` is below 3;
        ``adata`` is then unchanged.

    Warns
    -----
    %(no_skill)s

    References
    ----------
    Tsui et al. (2025), tcellMIL, section 2.7, appendix III and figure 4b.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.attention_correlation(adata)
    >>> tm.get.attention_correlation(adata).index.tolist()
    ['IRF7']
    """
    from tcellmil.data._read import read_features
    from tcellmil.data._representations import resolve_use_rep
    from tcellmil.stats import rank_correlation
    from tcellmil.stats._within_patients import with_mixed_model, with_tests, within_patients
    from tcellmil.tl._explain._attention_enrichment import cells_with_attention

    if min_cells < 3:
        raise ValueError(f"min_cells={min_cells} must be at least 3; two cells are always perfectly correlated")
    cells = attention_of_cells(adata, key)
    use_rep = fit_part(adata, key, "params")["use_rep"] if use_rep is None else use_rep
    activity, names = read_features(adata, use_rep)
    seen = np.flatnonzero(cells_with_attention(cells, _keys.of_fit(key, _keys.ATTENTION)))
    # By patient and name, so that sums are added up in the same order whatever the order of the table.
    seen = seen[np.lexsort((adata.obs_names[seen].astype(str), cells["sample"].to_numpy()[seen].astype(str)))]
    patients, relative = cells["sample"].to_numpy()[seen].astype(str), cells["relative"].to_numpy()[seen]
    activity = activity[seen]
    if np.ptp(relative) == 0:
        raise ValueError(f"attention is the same in all {len(seen)} cells; there is nothing to correlate with")

    table = pd.DataFrame({"regulon": np.array(names, dtype=object)})
    table = with_tests(table, rank_correlation(activity, relative), ["tau", "rho"])
    table = with_tests(table, within_patients(activity, relative, patients, min_cells), ["tau_within", "rho_within"])
    if mixed_model:
        table = with_mixed_model(table, activity, relative, patients)
    message = (
        f"{len(table)} regulons over {counted(adata, key, np.unique(patients))}; largest mean tau within a patient: "
        f"{largest(table['regulon'], table['tau_within'])}"
        + (f"; {len(cells) - len(seen)} cells have no attention and are left out" if len(seen) < len(cells) else "")
        + (f"; mixed models: {_counts(table['mixed_status'])}" if mixed_model else "")
    )
    scores = scores_of(adata, resolve_use_rep(adata, use_rep))
    params = {"use_rep": use_rep, "scores": scores, "no_skill": warn_without_skill(adata, key)}
    return Result({"regulons": table}, message, params)


def _counts(status: pd.Series) -> str:
    return ", ".join(f"{n} {name}" for name, n in status.value_counts().items())
