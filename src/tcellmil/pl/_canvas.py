"""What all pictures share: axes to draw on, colours, boxes, showing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Okabe & Ito (2008): distinct with every common colour vision.
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#8C8C8C"
PALETTE = (BLUE, VERMILLION, "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000")


def make_axes(n: int, ax: Axes | Sequence[Axes] | None, size: tuple[float, float]) -> np.ndarray:
    """``n`` axes in a row of a new figure, or the caller's own, as an array; ``size`` is inches of one at 10 points."""
    if ax is None:
        larger_text = max(1, plt.rcParams["font.size"] / 10)  # scanpy.set_figure_params sets 14 points
        width, height = (inches * larger_text for inches in size)
        figure, axes = plt.subplots(1, n, figsize=(n * width, height), layout="constrained", squeeze=False)
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06, wspace=0.04)
        return axes[0]
    axes = np.ravel(np.asarray(ax, dtype=object))
    if len(axes) != n:
        raise ValueError(f"this picture has {n} panels, but ax holds {len(axes)} axes")
    return axes


def finish(axes: np.ndarray, show: bool | None, own: bool) -> Axes | np.ndarray:
    """Show as scanpy does, and give back the axes: a single one as it is.

    Without ``show``, ``scanpy.settings.autoshow`` decides, except for a figure of the caller, who has yet to finish it.
    """
    if show is None:
        from scanpy import settings

        show = own and settings.autoshow
    if show:
        plt.show()
    return axes[0] if len(axes) == 1 else axes


def class_colors(classes: Sequence[str]) -> dict[str, str]:
    """A colour for each class; of two, the positive one (the last) is blue."""
    classes = [str(name) for name in classes]
    if len(classes) > len(PALETTE):
        return dict(zip(classes, colormaps["turbo"](np.linspace(0.05, 0.95, len(classes))), strict=True))
    return dict(zip(classes if len(classes) > 2 else classes[::-1], PALETTE, strict=False))


def draw_boxes(
    ax: Axes,
    values: Sequence[np.ndarray],
    positions: Sequence[float],
    colors: Sequence[str],
    height: float,
    filled: Sequence[bool] | None = None,
) -> None:
    """Horizontal boxes with whiskers from the 5th to the 95th percentile, without outliers."""
    if not len(values):
        return
    parts = ax.boxplot(
        values,
        positions=positions,
        widths=height,
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        medianprops={"color": "black", "linewidth": 1.2},
    )
    for i, (box, color) in enumerate(zip(parts["boxes"], colors, strict=True)):
        box.set(facecolor=color, edgecolor=color, alpha=0.55)
        if filled is not None and not filled[i]:
            box.set(facecolor="white", alpha=1)
        for line in parts["whiskers"][2 * i : 2 * i + 2] + parts["caps"][2 * i : 2 * i + 2]:
            line.set_color(color)


def plain_log(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis, at 1, 2 and 5 of each decade or, over many decades, at 1."""
    low, high = axis.get_view_interval()
    few = high <= 300 * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=12 if few else 6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def shorten(name: object, limit: int = 36) -> str:
    """A name that fits beside an axis: the middle of a long one becomes an ellipsis."""
    name = str(name)
    half = (limit - 1) // 2
    return name if len(name) <= limit else f"{name[:half]}…{name[-half:]}"
