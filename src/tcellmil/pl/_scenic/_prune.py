"""Motifs that support the targets of transcription factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import get
from tcellmil._checks import check_count
from tcellmil._results import part_of
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import BLUE, VERMILLION
from tcellmil.pl._panels import plural, shorten
from tcellmil.pl._scenic._bars import choose, draw_bars

if TYPE_CHECKING:
    from anndata import AnnData

DIRECT = "gene is directly annotated"
COLORS = {"annotated directly": BLUE, "by orthology or similarity": VERMILLION}


@picture
def prune(
    adata: AnnData,
    n_top: int = 10,
    tf_names: str | Sequence[str] | None = None,
    n_tfs: int = 4,
    *,
    canvas: Canvas,
    result_key: str | None = None,
) -> None:
    """Draw the normalised enrichment score (NES) of the top motifs of transcription factors, one panel per factor.

    Reads ``uns["prune"]``. A bar is a motif whose targets are enriched in a module of the factor; of a motif that is
    enriched in several modules, the highest NES. The dotted line is the lowest NES that was kept. Factors are in the
    order of their highest NES. Colours say how the motif is annotated to the factor.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.prune`.
    n_top
        At most this many motifs of each factor.
    tf_names
        This factor, or these, instead of those with the highest NES.
    n_tfs
        At most this many factors, where ``tf_names`` is not given.
    %(own_result_key)s

    Returns
    -------
    An array of axes, one per factor; the axes alone for one factor.

    Raises
    ------
    KeyError
        If there is no such result, or no motif of a requested factor.
    ValueError
        If ``n_top`` or ``n_tfs`` is below 1.

    References
    ----------
    Aibar et al. (2017), Nature Methods 14, 1083.

    Examples
    --------
    >>> import numpy as np, pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=60, effect=2)
    >>> tm.tl.grn(adata, tf_names=["IRF7"])
    >>> ranks = np.random.default_rng(0).permuted(np.tile(np.arange(adata.n_vars), (60, 1)), axis=1)
    >>> ranks[0] = np.argsort(np.argsort(~adata.var_names.isin(adata.uns["truth"]["targets"]), kind="stable"))
    >>> rankings = pd.DataFrame(ranks, index=[f"m{i}" for i in range(60)], columns=adata.var_names)
    >>> annotations = pd.DataFrame({"TF": ["IRF7"], "MotifID": "m0", "MotifSimilarityQvalue": 0.0})
    >>> annotations = annotations.assign(OrthologousIdentity=1.0, Annotation="gene is directly annotated")
    >>> tm.tl.prune(adata, rankings, annotations)
    >>> [text.get_text() for text in tm.pl.prune(adata, show=False).get_yticklabels()]
    ['m0']
    """
    check_count(n_top, "n_top")
    motifs, targets = (get.prune(adata, part, result_key=result_key).reset_index() for part in ("motifs", "targets"))
    chosen = choose(motifs.groupby("TF", observed=True)["NES"].max(), tf_names, n_tfs, "motifs")
    best = motifs.sort_values("NES", ascending=False, kind="stable").drop_duplicates(["TF", "MotifID"])
    group = np.where(best["Annotation"].astype(str) == DIRECT, *COLORS)
    best = best.assign(name=best["MotifID"].astype(str), group=group)

    tables = {tf: best[best["TF"] == tf].head(n_top) for tf in chosen}
    n_motifs = best["TF"].value_counts()
    n_targets = targets.groupby(targets["regulon"].str.replace(r"\([+-]\)$", "", regex=True))["target"].nunique()

    def title(tf: str) -> str:
        counts = f"{plural(n_motifs[tf], 'motif')}, {plural(int(n_targets.get(tf, 0)), 'target')}"
        return f"{shorten(tf, 24)}\n{counts}"

    threshold = float(part_of(adata, "prune", "params", result_key=result_key)["nes_threshold"])
    for panel in draw_bars(canvas, tables, "NES", canvas.colors(COLORS), title):
        panel.axvline(threshold, color="black", linewidth=0.8, linestyle=":")
        panel.set_xlabel("Normalised enrichment score")
