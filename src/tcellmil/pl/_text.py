"""Text in pictures is what it says: no name is read as a formula."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

#: While a picture is drawn: new text is plain, and numbers on axes do not need formulas.
PLAIN = {"text.parse_math": False, "text.usetex": False, "axes.formatter.use_mathtext": False}


class PlainText:
    """Draws ``$`` as it is, in new text and in that of the caller's axes.

    Text without ``$`` is left as it was, so that a caller can still write a formula over it.
    """

    def __init__(self) -> None:
        self._before: dict[Text, tuple[str, bool, bool]] = {}
        self._formatters: dict[Axis, object] = {}

    def take_over(self, axes: Iterable[Axes]) -> None:
        """Make the text plain that axes of the caller have already."""
        for panel in axes:
            for text in panel.findobj(Text):
                self._before[text] = text.get_text(), text.get_parse_math(), text.get_usetex()
                _set(text, parse_math=False, usetex=False)
            for axis in _axes_of(panel):
                self._formatters[axis] = axis.get_major_formatter()

    def hand_back(self, holders: Iterable[Axes | Figure]) -> None:
        """Leave plain what has a ``$`` from a picture, and give the rest back as matplotlib makes it."""
        for holder in holders:
            of_axes = set()
            for axis in _axes_of(holder):
                ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
                texts = [text for tick in ticks for text in (tick.label1, tick.label2)]
                of_axes |= {*texts, axis.offsetText}
                named = axis.get_major_formatter() is not self._formatters.get(axis)
                plain = named and any("$" in text.get_text() for text in texts)
                for text in (*texts, axis.offsetText):
                    self._give_back(text, plain=plain)
            for text in holder.findobj(Text):
                if text not in of_axes:
                    unchanged = text in self._before and text.get_text() == self._before[text][0]
                    self._give_back(text, plain="$" in text.get_text() and not unchanged)

    def _give_back(self, text: Text, *, plain: bool) -> None:
        if not plain:
            usual = plt.rcParams["text.parse_math"], False
            parse_math, usetex = self._before[text][1:] if text in self._before else usual
            _set(text, parse_math=parse_math, usetex=usetex)


def _axes_of(holder: Axes | Figure) -> Iterator[Axis]:
    """The axis objects in axes, in those inset into them and in a figure."""
    return iter(holder.findobj(Axis))


def _set(text: Text, *, parse_math: bool, usetex: bool) -> None:
    text.set_parse_math(parse_math)
    text.set_usetex(usetex)
