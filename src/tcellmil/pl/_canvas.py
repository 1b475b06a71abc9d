"""What a picture is drawn on: axes, colours, legends and the six parameters that all pictures share."""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase

from tcellmil._checks import some
from tcellmil._docs import documented
from tcellmil.pl._palette import checked_palette, colormap, colors_of
from tcellmil.pl._sizes import LINE, below, fit_names, make_room
from tcellmil.pl._text import PLAIN, PlainText

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.legend import Legend

#: Parameters of every picture, with their types.
SHARED = {
    "ax": "Axes | Sequence[Axes] | None",
    "show": "bool | None",
    "save": "str | Path | None",
    "palette": "str | Sequence[str] | Mapping[str, str] | None",
    "figsize": "tuple[float, float] | None",
    "title": "str | None",
}
DPI = 150  # of a saved picture
LETTERS = 13  # of small text in an inch


def picture(draw: Callable[..., None]) -> Callable[..., Axes | np.ndarray]:
    """Make a public picture of a function that draws on a :class:`Canvas`, its first keyword ``canvas``.

    The parameters of :data:`SHARED` take the place of ``canvas``, in the signature and in the docstring. What the
    picture gives back are its axes. Where drawing fails, no new figure stays open.
    """
    if draw.__doc__ is not None:  # as it is under python -OO
        draw.__doc__ = _with_shared_parameters(draw.__doc__)

    @functools.wraps(documented(draw))
    def drawn(*args, ax=None, show=None, save=None, palette=None, figsize=None, title=None, **kwargs):
        canvas = Canvas(ax, save, palette, figsize, title)
        try:
            with plt.rc_context(PLAIN):
                draw(*args, canvas=canvas, **kwargs)
                canvas.check_names()
                canvas.arrange()
        except BaseException:
            canvas.discard()
            raise
        return canvas.finish(show)

    drawn.__signature__ = _signature(draw)
    return drawn


def _with_shared_parameters(text: str) -> str:
    """The docstring of a picture with the names of shared texts at the end of Parameters and in Raises."""
    names = "".join(rf"\n\1%({name})s" for name in SHARED)
    text, n = re.subn(r"\n\n([ ]*)(Returns\n[ ]*-------\n)", rf"{names}\n\n\1\2", text)
    text, m = re.subn(r"([ ]*)Raises\n[ ]*------\n", r"\g<0>\1%(picture_errors)s\n", text)
    if (n, m) != (1, 1):
        raise ValueError(f"the docstring of a picture needs the sections Returns and Raises:\n{text}")
    return text


def _signature(draw: Callable) -> inspect.Signature:
    signature = inspect.signature(draw)
    parameters = [parameter for name, parameter in signature.parameters.items() if name != "canvas"]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in SHARED.items()
    ]
    return signature.replace(parameters=[*parameters, *shared], return_annotation="Axes | np.ndarray")


class Canvas:
    """Axes, colours and places of legends of one picture."""

    def __init__(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        save: str | PathLike | None = None,
        palette: str | Sequence[str] | Mapping[str, str] | None = None,
        figsize: tuple[float, float] | None = None,
        title: str | None = None,
    ):
        palette = checked_palette(palette)
        _check_save(save)
        _check_figsize(figsize, ax)
        #: Whether the figure is the picture's own, not the caller's.
        self.own = ax is None
        self._ax, self._save, self._palette, self._figsize, self._title = ax, save, palette, figsize, title
        self._names: list[str] = []
        self._axes: np.ndarray | None = None
        self._size: tuple[float, float] | None = None
        self._legends_below: list[tuple[Axes, Legend]] = []
        self._doubt = ""
        self._text = PlainText()

    @property
    def n_given(self) -> int | None:
        """How many axes the caller gave; None without."""
        return None if self.own else np.size(self._ax)

    def axes(self, n: int, size: tuple[float, float], heights: Sequence[float] | None = None) -> np.ndarray:
        """``n`` axes in a row of a new figure, or the caller's; ``size`` is inches of one at 10 points.

        With ``heights``, axes of these relative heights stand above each other, and ``size`` is that of the figure.
        """
        if self.own:
            larger_text = max(1, plt.rcParams["font.size"] / 10)  # scanpy.set_figure_params sets 14 points
            width, height = (inches * larger_text for inches in size)
            shape, figsize = ((1, n), (n * width, height)) if heights is None else ((n, 1), (width, height))
            self._size = figsize
            figsize = figsize if self._figsize is None else self._figsize
            options = {"layout": "constrained", "squeeze": False, "height_ratios": heights}
            figure, axes = plt.subplots(*shape, figsize=figsize, **options)
            figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06, wspace=0.04)
            self._axes = axes.ravel()
            if self._title is not None:
                figure.suptitle(self._title, fontsize="large")
            return self._axes
        axes = np.ravel(np.asarray(self._ax, dtype=object))
        wrong = [type(panel).__name__ for panel in axes if not isinstance(panel, Axes)]
        if wrong:
            raise TypeError(f"ax must hold axes of matplotlib, got {wrong[0]}")
        if len(axes) != n:
            raise ValueError(f"this picture has {n} panels, but ax holds {len(axes)} axes")
        self._axes = axes
        self._text.take_over(axes)
        return axes

    def axis(self, size: tuple[float, float]) -> Axes:
        """The axes of a picture with one panel."""
        return self.axes(1, size)[0]

    def colors(self, names: Mapping[str, object], fixed: Mapping[str, object] | None = None) -> dict[str, object]:
        """Colour by name: those of the palette, or what ``names`` says.

        Of ``fixed``, such as what has no class, only a palette by name changes the colour.
        """
        colors = {**names, **(fixed or {})}
        self._names += list(colors)
        if self._palette is None:
            return colors
        if isinstance(self._palette, Mapping):
            return {name: self._palette.get(name, color) for name, color in colors.items()}
        return colors | dict(zip(names, colors_of(self._palette, list(names)), strict=True))

    def colormap(self, default: str) -> str | Colormap:
        """What numbers are coloured with."""
        return default if self._palette is None or isinstance(self._palette, Mapping) else colormap(self._palette)

    def legend(
        self,
        panel: Axes,
        handles: Sequence,
        outside: str = "lower center",
        beside: tuple[float, float] | None = None,
        *,
        ncols: int = 1,
        ncols_beside: int = 1,
        **style: object,
    ) -> Legend:
        """A legend at the edge of the own figure, which becomes as wide as it and higher by it where it is tall.

        On axes of the caller it is below the name of the axis, or with its upper left corner at ``beside``.
        """
        style = {"handles": handles, "frameon": False, "fontsize": "small", **style}
        if self.own:
            legend = panel.figure.legend(loc=f"outside {outside}", ncols=ncols, **style)
            if self._figsize is None:
                make_room(legend, stacked=outside.startswith(("lower", "upper")))
            return legend
        place = (0, 0) if beside is None else beside
        legend = panel.legend(loc="upper left", bbox_to_anchor=place, ncols=ncols_beside, **style)
        if beside is None:
            below(panel, legend)  # and again when all is drawn
            self._legends_below.append((panel, legend))
        return legend

    def doubt(self, why: str) -> None:
        """Say above the picture why its model may know nothing; nothing where there is no reason."""
        self._doubt = f"The model's {why}: it may know nothing" if why else ""

    def check_names(self) -> None:
        """Raise where a palette names what is not in the picture."""
        if not isinstance(self._palette, Mapping):
            return
        if not self._names:
            raise ValueError("this picture colours by numbers; palette must be a list of colours or a colormap's name")
        unknown = [name for name in self._palette if name not in self._names]
        if unknown:
            raise ValueError(
                f"palette names {some(unknown)}, but the colours are of {some(dict.fromkeys(self._names))}"
            )

    def arrange(self) -> None:
        """Put in place what depends on how large the rest is."""
        for panel, legend in self._legends_below:
            below(panel, legend)
        if self._doubt:
            self._say_doubt()
        elif self._title is not None and not self.own:
            _set_title(self._axes[0], self._title)
        if self._figsize is not None:
            fit_names(self._axes, self._size)

    def _say_doubt(self) -> None:
        """Above the own figure, under its title; on axes of the caller, above the title of the first panel."""
        panel = self._axes[0]
        figure = panel.get_figure(root=True)
        width = figure.get_figwidth() if self.own else panel.get_window_extent().width / figure.dpi
        lines = textwrap.wrap(self._doubt, max(20, int(width * LETTERS * 10 / plt.rcParams["font.size"])))
        title = [] if self._title is None else [self._title]
        if self.own:
            figure.suptitle("\n".join([*title, *lines]), fontsize="medium" if title else "small")
            if self._figsize is None:
                figure.set_figheight(figure.get_figheight() + LINE * len(lines))
            return
        own = title or [panel.get_title(loc=place) for place in ("left", "center") if panel.get_title(loc=place)]
        _set_title(panel, "\n".join([*own, *lines]), fontsize="small")

    def discard(self) -> None:
        """Close the own figure, of a picture that could not be drawn."""
        if self._axes is None:
            return
        if self.own:
            plt.close(self._axes[0].get_figure(root=True))
        else:
            self._text.hand_back(self._axes)

    def finish(self, show: bool | None) -> Axes | np.ndarray:
        """Save, show as scanpy does, and give back the axes: a single one as it is.

        Without ``show``, ``scanpy.settings.autoshow`` decides, except for a figure of the caller, who has yet to
        finish it.
        """
        figure = self._axes[0].get_figure(root=True)
        self._text.hand_back([figure] if self.own else self._axes)
        if self._save is not None:
            figure.savefig(self._save, dpi=DPI, bbox_inches="tight")
        if show is None:
            from scanpy import settings

            show = self.own and settings.autoshow
        if show:
            plt.show()
        return self._axes[0] if len(self._axes) == 1 else self._axes


def _set_title(panel: Axes, title: str, fontsize: str = "large") -> None:
    """Put a title in the place of the panel's, above a legend that stands there."""
    for place in ("left", "right"):
        panel.set_title("", loc=place)
    pad, legend = plt.rcParams["axes.titlepad"], panel.get_legend()
    if legend is not None:
        above = legend.get_window_extent().y1 - panel.get_window_extent().y1
        pad = max(pad, 72 * above / panel.figure.dpi + 3)
    panel.set_title(title, fontsize=fontsize, pad=pad)


def _check_save(save: str | PathLike | None) -> None:
    if save is None:
        return
    if not isinstance(save, str | PathLike):
        raise TypeError(f"save={save!r} must be the path of a file, such as 'picture.png'")
    path, known = Path(save), FigureCanvasBase.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise ValueError(f"save={str(save)!r} must end in one of {', '.join('.' + name for name in sorted(known))}")
    if not path.parent.is_dir():
        raise ValueError(f"save={str(save)!r} is in a folder that does not exist; make {str(path.parent)!r} first")


def _check_figsize(figsize: tuple[float, float] | None, ax: object) -> None:
    if figsize is None:
        return
    if ax is not None:
        raise ValueError(f"figsize={figsize!r} is for a new figure; leave it out where ax is given")
    if np.shape(figsize) != (2,) or not all(np.isfinite(inches) and inches > 0 for inches in figsize):
        raise ValueError(f"figsize={figsize!r} must be width and height in inches, both positive")
