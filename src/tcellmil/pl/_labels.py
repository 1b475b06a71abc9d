"""Names beside points that do not run into each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from tcellmil.pl._panels import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.text import Annotation

LABEL = {
    "ha": "center",
    "va": "center",
    "fontsize": "small",
    "zorder": 5,
    "in_layout": False,
    "arrowprops": {"arrowstyle": "-", "color": "#666666", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2.5},
}
# What a place costs, in points of distance between name and point.
COVERED_POINT, CROSSED_LABEL = 48, 96


def label_points(ax: Axes, points: np.ndarray, named: np.ndarray, names: Sequence[str]) -> None:
    """Write names beside points, where they cover no other name and, if possible, no point.

    Places are found whenever the figure is drawn, because they depend on its size. A name without room is not drawn.

    Parameters
    ----------
    ax
        The axes.
    points
        All points, ``(n, 2)``, in data coordinates.
    named
        Indices of the points to name, the most important first.
    names
        Name of each point.
    """
    texts = [ax.annotate(shorten(names[i], 24), points[i], (0, 0), textcoords="offset points", **LABEL) for i in named]
    for text in texts:
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])
    ax.add_artist(_Placer(points, named, texts))


class _Placer(Artist):
    """Draws nothing; it comes before the labels and moves them."""

    zorder = LABEL["zorder"] - 1

    def __init__(self, points: np.ndarray, named: np.ndarray, texts: Sequence[Annotation]):
        super().__init__()
        self.set_in_layout(False)
        self._points, self._named, self._texts = points, named, texts

    def draw(self, renderer: RendererBase) -> None:
        pixel = renderer.points_to_pixels(1)
        place = self.axes.transData.transform(self._points)
        frame = self.axes.get_window_extent(renderer).extents
        taken, leaders = np.empty((0, 4)), np.empty((0, 2))
        for text, own in zip(self._texts, place[self._named], strict=True):
            size = np.array(Text.get_window_extent(text, renderer).size)
            gap, offset = _offsets(size, pixel)
            boxes = np.hstack([own + offset - size / 2, own + offset + size / 2])  # left, bottom, right, top
            leader = own + np.linspace(0, 1, 12)[:, None, None] * offset  # (step, candidate, xy)
            possible = (boxes[:, :2] >= frame[:2]).all(axis=1) & (boxes[:, 2:] <= frame[2:]).all(axis=1)
            possible &= ~_overlap(boxes, taken, 2 * pixel)
            through = _inside(leader.reshape(-1, 2), taken).reshape(len(taken), *leader.shape[:2]).any(axis=1)
            cost = np.hypot(*offset.T) / pixel + COVERED_POINT * _inside(place, boxes, 2 * pixel).sum(axis=1)
            cost += CROSSED_LABEL * (through.sum(axis=0) + _inside(leaders, boxes).any(axis=1))
            best = np.where(possible, cost, np.inf).argmin()
            text.set_visible(bool(possible[best]))
            if possible[best]:
                text.set_position(offset[best] / pixel)
                text.arrow_patch.set_visible(bool(gap[best] > 10))
                taken, leaders = np.vstack([taken, boxes[best]]), np.vstack([leaders, leader[:, best]])


def _offsets(size: np.ndarray, pixel: float) -> tuple[np.ndarray, np.ndarray]:
    """Gaps between a point and its label, and from there to the label's middle, in pixels."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    way = np.column_stack([np.cos(angle), np.sin(angle)])
    edge = way / np.abs(way).max(axis=1, keepdims=True) * size / 2  # from the label's border to its middle
    gap = np.repeat([5, 9, 14, 20, 28, 38, 50, 65, 85], len(way))
    return gap, np.tile(edge, (9, 1)) + gap[:, None] * pixel * np.tile(way, (9, 1))


def _overlap(boxes: np.ndarray, taken: np.ndarray, gap: float) -> np.ndarray:
    """Which of the boxes come nearer than a gap to any that is taken."""
    low, high = boxes[:, None, :2] - gap, boxes[:, None, 2:] + gap
    return ((low < taken[:, 2:]) & (high > taken[:, :2])).all(axis=2).any(axis=1)


def _inside(points: np.ndarray, boxes: np.ndarray, gap: float = 0) -> np.ndarray:
    """Which points lie in each box or near it, ``(n_boxes, n_points)``."""
    low, high = boxes[:, None, :2] - gap, boxes[:, None, 2:] + gap
    return ((points > low) & (points < high)).all(axis=2)
