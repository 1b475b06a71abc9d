"""A table as colours with its numbers written on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.patches import Rectangle

from tcellmil.pl._panels import longest, shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

LETTERS = 24  # of a name
SMALLEST = 4.0  # points of a number that can still be read
MAX_NAMES = 100


def check_size(table: pd.DataFrame, argument: str, value: str) -> None:
    """Raise a ValueError where there are more rows or columns than can be drawn."""
    if max(table.shape) > MAX_NAMES:
        raise ValueError(
            f"{argument}={value!r} gives a table of {table.shape[0]} x {table.shape[1]}; at most {MAX_NAMES} rows and "
            "columns can be drawn"
        )


def own_first(table: pd.DataFrame) -> pd.DataFrame:
    """Columns in the order of the rows of the same names, then the others."""
    own = [name for name in table.index if name in table.columns]
    return table[[*own, *(name for name in table.columns if name not in set(own))]]


def heat_map_size(rows: Sequence[str], columns: Sequence[str]) -> tuple[float, float]:
    """Inches of a panel whose numbers can be read."""
    side = 0.42 if max(len(rows), len(columns)) <= 20 else 0.3
    width = max(1.6, side * len(columns)) + 1.5 + 0.075 * longest(rows, LETTERS)
    return width, max(1.4, 0.75 * side * len(rows)) + 1.2 + 0.075 * longest(columns, LETTERS)


def draw_heat_map(
    ax: Axes,
    table: pd.DataFrame,
    texts: np.ndarray,
    cmap: str | Colormap,
    limits: tuple[float, float],
    *,
    boxed: np.ndarray,
    rows: Sequence[str] | None = None,
) -> AxesImage:
    """Colours, numbers and names of a table, with a line around what is ``boxed``, ``(n_rows, n_columns)``.

    Names of ``rows`` are those of the table by default. Numbers become smaller where cells are, and are left out where
    they could not be read.
    """
    image = ax.imshow(table, cmap=cmap, vmin=limits[0], vmax=limits[1], aspect="auto", interpolation="nearest")
    ax.set_xticks(range(table.shape[1]), [shorten(name, LETTERS) for name in table.columns], rotation=90)
    ax.set_yticks(range(table.shape[0]), [shorten(name, LETTERS + 10) for name in (rows or table.index)])
    ax.tick_params(length=0, labelsize="small")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    colors, numbers = image.cmap(image.norm(table.to_numpy(dtype=float))), []
    for row, column in np.ndindex(*table.shape):
        dark = colors[row, column, :3] @ (0.299, 0.587, 0.114) < 0.55
        style = {"color": "white" if dark else "black", "weight": "bold" if boxed[row, column] else "normal"}
        place = {"ha": "center", "va": "center", "fontsize": "small", "in_layout": False}
        if texts[row, column]:
            numbers.append(ax.text(column, row, texts[row, column], **style, **place))
    for row, column in np.argwhere(boxed):
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1))
    ax.add_artist(_Fitter(numbers))
    return image


class _Fitter(Artist):
    """Draws nothing; it comes before the numbers and makes them as small as the cells are."""

    zorder = 2.5  # text has 3

    def __init__(self, numbers: Sequence[Text]):
        super().__init__()
        self.set_in_layout(False)
        self._numbers = numbers
        self._largest = numbers[0].get_fontsize() if numbers else 0.0

    def draw(self, renderer: RendererBase) -> None:
        (left, top), (right, bottom) = self.axes.transData.transform([(-0.5, -0.5), (0.5, 0.5)])
        for number in self._numbers:
            number.set_fontsize(self._largest)
            number.set_visible(True)  # what is hidden has no size
        boxes = [number.get_window_extent(renderer) for number in self._numbers]
        fits = [0.86 * abs(right - left) / box.width for box in boxes]
        fits += [0.9 * abs(bottom - top) / box.height for box in boxes]
        size = self._largest * min([1.0, *fits])
        for number in self._numbers:
            number.set_fontsize(size)
            number.set_visible(size >= SMALLEST)
