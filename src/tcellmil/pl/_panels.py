"""What panels are made of: boxes, points, rows with names, axes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
UNLABELLED = "unlabelled"


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


def jitter(n: int, reach: float) -> np.ndarray:
    """Offsets that keep points of one row apart, the same every time."""
    return np.random.default_rng(0).uniform(-reach, reach, n)


def draw_boxes_with_points(
    ax: Axes,
    values: Sequence[np.ndarray],
    positions: Sequence[float],
    colors: Sequence[str],
    height: float,
    *,
    reach: float,
    size: float,
    filled: Sequence[bool] | None = None,
) -> None:
    """Boxes, and over each its values as points of area ``size``, at most ``reach`` off the row."""
    draw_boxes(ax, values, positions, colors, height, filled)
    for row, of_row, color in zip(positions, values, colors, strict=True):
        ax.scatter(of_row, row + jitter(len(of_row), reach), s=size, color=color, alpha=0.7, linewidths=0, zorder=3)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Names of horizontal rows, the first at the top, in axes without a frame."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(max(len(names), 1) - 0.4, -0.6)
    unframe(ax)


def beside_row(ax: Axes, row: float, text: str, **style: object) -> None:
    """A text to the right of a row, outside the axes."""
    style = {"x": 1.01, "va": "center"} | style
    ax.text(y=row, s=text, transform=ax.get_yaxis_transform(), **style)


def unframe(ax: Axes) -> None:
    """Take the upper and the right line of the frame away."""
    ax.spines[["top", "right"]].set_visible(False)


def say(ax: Axes, message: str) -> None:
    """Say in the middle of empty axes why they are empty."""
    ax.text(0.5, 0.5, message, transform=ax.transAxes, ha="center", va="center")


def legend_above(ax: Axes, handles: Sequence) -> None:
    """A legend on top of the axes, in the place of a title."""
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize="small")


def stars(padj: float) -> str:
    """Stars of a p-value; none where it is not below 0.05."""
    return next((found for limit, found in STARS if padj < limit), "")


def written(p: float) -> str:
    """A p-value in words, ``p = 0.012``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def plain_log(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis, at 1, 2 and 5 of each decade or, over many decades, at 1."""
    low, high = axis.get_view_interval()
    few = high <= 300 * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=12 if few else 6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def shorten(name: object, limit: int = 36) -> str:
    """A name that fits beside an axis, in one line: the middle of a long one becomes an ellipsis."""
    name = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", str(name))
    half = (limit - 1) // 2
    return name if len(name) <= limit else f"{name[:half]}…{name[-half:]}"


def longest(names: Sequence[object], limit: int = 36) -> int:
    """Letters of the longest name, as it is drawn; 0 without names."""
    return max((len(shorten(name, limit)) for name in names), default=0)


def plural(n: int, word: str) -> str:
    """A number and its noun, with an s where it needs one."""
    return f"{n} {word}{'' if n == 1 else 's'}"
