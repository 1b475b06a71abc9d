"""Colours of pictures, and those that a caller asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap, is_color_like

from tcellmil._checks import some

# Okabe & Ito (2008): distinct with every common colour vision.
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#8C8C8C"
PALETTE = (BLUE, VERMILLION, "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000")
PATTERNS = ("-", "--", ":", "-.")  # of lines
#: Of a change, an effect or a correlation.
SIGNS = {"positive": BLUE, "negative": VERMILLION}


def class_colors(classes: Sequence[str]) -> dict[str, object]:
    """A colour for each class; of two, the positive one (the last) is blue."""
    classes = [str(name) for name in classes]
    if len(classes) > len(PALETTE):
        return dict(zip(classes, colormaps["turbo"](np.linspace(0.05, 0.95, len(classes))), strict=True))
    return dict(zip(classes if len(classes) > 2 else classes[::-1], PALETTE, strict=False))


def cycled(names: Iterable[str]) -> dict[str, str]:
    """The colours of the palette in turn."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def line_styles(colors: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """The colour of each line, and another pattern where the colours of the palette begin again."""
    return {
        name: {"color": color, "linestyle": PATTERNS[i // len(PALETTE) % len(PATTERNS)]}
        for i, (name, color) in enumerate(colors.items())
    }


def checked_palette(palette: str | Iterable[str] | Mapping[str, str] | None) -> str | list | Mapping | None:
    """Raise unless this is colours, colours by name, or the name of a colormap."""
    if palette is None:
        return None
    if isinstance(palette, str):
        _named(palette, 1)
        return palette
    if not isinstance(palette, Iterable):
        raise TypeError(f"palette={palette!r} must be a list of colours, a dict name -> colour or a colormap's name")
    palette = palette if isinstance(palette, Mapping) else list(palette)
    colors = list(palette.values()) if isinstance(palette, Mapping) else palette
    wrong = [color for color in colors if not is_color_like(color)]
    if wrong or not colors:
        raise ValueError(f"palette has {some(wrong)}, which are no colours" if wrong else "palette has no colours")
    return palette


def colors_of(palette: str | Sequence[str], names: Sequence[str]) -> list:
    """As many colours of the palette as there are names."""
    if isinstance(palette, str):
        return list(_named(palette, len(names)))
    colors = list(palette)
    if len(colors) < len(names):
        raise ValueError(f"palette has {len(colors)} colours, but this picture needs {len(names)}: {some(names)}")
    return colors[: len(names)]


def colormap(palette: str | Sequence[str]) -> Colormap:
    """A colormap of the palette, for numbers."""
    colors = _named(palette, None) if isinstance(palette, str) else list(palette)
    if isinstance(palette, str) and palette in colormaps:  # seaborn has put its own there
        return colormaps[palette]
    return LinearSegmentedColormap.from_list("palette", list(colors) * (2 if len(colors) == 1 else 1))


def _named(palette: str, n: int | None) -> Sequence:
    import seaborn

    try:
        return seaborn.color_palette(palette, n)
    except ValueError as error:
        raise ValueError(
            f"palette={palette!r} is no colormap of matplotlib or seaborn; one colour is a list: palette=[...]"
        ) from error
