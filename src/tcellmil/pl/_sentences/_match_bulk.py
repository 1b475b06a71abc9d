"""How well cells match the pseudobulk of their condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil import get
from tcellmil._checks import check_choice
from tcellmil._order import names_in_order
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import cycled
from tcellmil.pl._panels import draw_boxes_with_points, longest, name_rows, plural, shorten

if TYPE_CHECKING:
    from anndata import AnnData


@picture
def match_bulk(adata: AnnData, groupby: str | None = None, *, canvas: Canvas, result_key: str | None = None) -> None:
    """Draw how often another match is closer than the true one, of cells and the pseudobulks of their conditions.

    Reads ``uns["match_bulk"]``. A point is a condition, the mean of its drawn cells; a box is over conditions, with
    whiskers from the 5th to the 95th percentile. At the left edge, matches are always closest; the dotted line is what
    an embedding without any information has.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.match_bulk`.
    groupby
        Column of the conditions whose values are the rows; by default the first.
    %(own_result_key)s

    Returns
    -------
    The axes.

    Raises
    ------
    %(no_result)s
    ValueError
        If ``groupby`` is none of the columns that make up a condition.

    References
    ----------
    Rizvi et al. (2025), C2S-Scale, section 4.6.4.

    Examples
    --------
    >>> import numpy as np, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=60)
    >>> adata.obsm["X_noise"] = np.random.default_rng(0).normal(size=(adata.n_obs, 5))
    >>> tm.tl.match_bulk(adata, ["patient", "cell_type"], "X_noise", n_cells=5)
    >>> tm.pl.match_bulk(adata, "cell_type", show=False).get_xlabel()
    'Fraction of samples closer than the true match'
    """
    table = get.match_bulk(adata, result_key=result_key)
    columns, table = list(table.index.names), table.reset_index()
    groupby = columns[0] if groupby is None else groupby
    check_choice(groupby, columns, "groupby")
    names = names_in_order(table[groupby])
    values = [table.loc[table[groupby] == name, "foscttm"].to_numpy() for name in names]
    colors = canvas.colors(cycled(names))

    panel = canvas.axis((3.6 + 0.075 * longest(names, 24), 1.5 + 0.36 * len(names)))
    draw_boxes_with_points(panel, values, range(len(names)), [*colors.values()], 0.5, reach=0.16, size=12)
    panel.axvline(0.5, color="black", linewidth=0.8, linestyle=":", zorder=0)
    name_rows(panel, [shorten(name, 24) for name in names])
    panel.set_xlim(-0.02, max(0.6, table["foscttm"].max() + 0.02))
    panel.set_xlabel("Fraction of samples closer than the true match")
    mean = table["foscttm"].mean()
    panel.set_title(f"{plural(len(table), 'condition')}, mean {mean:.3f}", fontsize="medium")
