"""Room for legends and names, by their measured size."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import ScaledTranslation

from tcellmil.pl._panels import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

MARGIN = 0.2  # inches beside a legend
LINES = 3  # of a legend, in inches of small text; a taller one makes the figure higher
LINE = 0.2
SMALLEST = 0.5, 0.2  # inches of a panel in which something can be seen
LIMITS = (24, 16, 10, 6)  # letters of a name


def make_room(legend: Legend, *, stacked: bool) -> None:
    """Make an own figure as large as the legend at its edge, and higher by a tall one that is ``stacked``."""
    figure = legend.figure
    box = legend.get_window_extent()
    width, height = (inches / figure.dpi for inches in (box.width, box.height))
    beyond = max(0.0, height - LINES * LINE) if stacked else 0.0
    wide, high = figure.get_size_inches()
    figure.set_size_inches(max(wide, width + MARGIN), max(high + beyond, height + MARGIN))


def below(panel: Axes, legend: Legend) -> None:
    """Put a legend below the numbers and the name of the axis, wherever they end."""
    figure = panel.get_figure(root=True)
    panel.apply_aspect()
    around, inside = panel.xaxis.get_tightbbox(), panel.get_window_extent()
    gap = 0.0 if around is None else max(0.0, (inside.y0 - around.y0) / figure.dpi)
    legend.set_bbox_to_anchor((0, 0), panel.transAxes + ScaledTranslation(0, -gap, figure.dpi_scale_trans))


def fit_names(axes: Sequence[Axes], wanted: tuple[float, float]) -> None:
    """Shorten names of rows until panels of a figure of the caller's size have room; warn where that is not enough."""
    figure = axes[0].get_figure(root=True)
    for limit in (None, *LIMITS):
        if limit is not None:
            for panel in axes:
                _shorten_rows(panel, limit)
        collapses = _collapses(figure)
        if has_room := not collapses and _has_room(figure, axes):
            break
    if has_room and not _overlap(axes):
        return
    if collapses:
        figure.set_layout_engine("none")
    size = " x ".join(f"{inches:.1f}" for inches in figure.get_size_inches())
    needed = " x ".join(f"{inches:.1f}" for inches in wanted)
    warnings.warn(f"figsize of {size} inches is too small for this picture, which needs {needed}", stacklevel=4)


def _overlap(axes: Sequence[Axes]) -> bool:
    """Whether titles or names of axes of different panels run into each other, where a drawing puts them."""
    for panel in axes:
        panel.get_tightbbox()  # moves them to where the layout has left room
    for texts in ([panel.title for panel in axes], [panel.xaxis.label for panel in axes]):
        boxes = [text.get_window_extent() for text in texts if text.get_text()]
        if any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i]):
            return True
    return False


def _shorten_rows(panel: Axes, limit: int) -> None:
    if isinstance(panel.yaxis.get_major_locator(), FixedLocator):
        names = [text.get_text() for text in panel.get_yticklabels()]
        panel.set_yticks(panel.get_yticks(), [shorten(name, limit) for name in names])


def _has_room(figure: Figure, axes: Sequence[Axes]) -> bool:
    """Whether something can be seen in every panel of a figure that was laid out."""
    sizes = np.array([panel.get_position().size for panel in axes]) * figure.get_size_inches()
    return bool((sizes >= SMALLEST).all())


def _collapses(figure: Figure) -> bool:
    """Lay the figure out; whether nothing was left for a panel, so that the layout was not applied."""
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
    return any("collapsed to zero" in str(warning.message) for warning in met)
