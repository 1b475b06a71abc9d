"""Wordings: text with fields in braces, and passages in square brackets that go where a field is not known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_TOKEN = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{(?P<each>each:)?(?P<field>[A-Za-z_]\w*)\}|[\[\]{}]|[^\[\]{}]+")
_DOUBLED = ("{{", "}}", "[[", "]]")


class GeneCount:
    """Stands in a text for the number of genes of its sentence, which is known once the sentence has been cut."""

    def __repr__(self) -> str:
        return "GENE_COUNT"


#: The only one of its kind.
GENE_COUNT = GeneCount()

#: A part of a prompt or an answer: text, the genes of a sentence as indices, or their number.
Piece = str | np.ndarray | GeneCount


@dataclass(frozen=True)
class Field:
    """A name in braces; with ``each``, a value of every cell of a prompt."""

    name: str
    each: bool = False


@dataclass(frozen=True)
class Passage:
    """Text and fields; an optional one is left out unless all of its fields are known."""

    parts: tuple[str | Field, ...]
    optional: bool = False

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(part for part in self.parts if isinstance(part, Field))


@lru_cache(maxsize=4096)
def parse(template: str) -> tuple[Passage, ...]:
    """Passages of a template.

    Raises
    ------
    ValueError
        If a brace or bracket is not closed, stands in another one of its kind, or holds no name.

    Examples
    --------
    >>> for passage in parse("A cell[ of {organism}]: {cell}"):
    ...     print(passage.optional, passage.parts)
    False ('A cell',)
    True (' of ', Field(name='organism', each=False))
    False (': ', Field(name='cell', each=False))
    """
    passages, parts, within = [], [], False
    for match in _TOKEN.finditer(template):
        text = match.group()
        if match["field"]:
            parts.append(Field(match["field"], bool(match["each"])))
        elif text in _DOUBLED:
            parts.append(text[0])
        elif text in "[]":
            if within == (text == "["):
                raise ValueError(
                    _fault(template, match.start(), "opens within another" if within else "closes nothing")
                )
            passages.append(Passage(tuple(parts), within))
            parts, within = [], not within
        elif text in "{}":
            raise ValueError(_fault(template, match.start(), "holds no name of a field"))
        else:
            parts.append(text)
    if within:
        raise ValueError(_fault(template, template.rindex("["), "is not closed"))
    return tuple(passage for passage in (*passages, Passage(tuple(parts))) if passage.parts)


def _fault(template: str, place: int, what: str) -> str:
    return (
        f"{template[place]!r} at character {place} of {template!r} {what}; a field is {{name}}, an optional passage "
        "[ of {name}], and a brace or bracket itself is written twice"
    )


def fields_of(template: str) -> tuple[dict[Field, None], dict[Field, None]]:
    """Fields that must be known, and those that may be, in their order."""
    required, optional = {}, {}
    for passage in parse(template):
        (optional if passage.optional else required).update(dict.fromkeys(passage.fields))
    return required, {field: None for field in optional if field not in required}


def literal_texts(template: str) -> Iterator[str]:
    """What a template says besides its fields."""
    for passage in parse(template):
        yield from (part for part in passage.parts if isinstance(part, str))


def fill(template: str, values: Mapping[Field, Piece | Sequence[Piece] | None]) -> list[Piece]:
    """Put values in place of fields; neighbouring texts are joined.

    Parameters
    ----------
    template
        The wording.
    values
        Value of each field: text, a sentence, or several of them in a row; ``None``, or nothing, where it is not known.

    Raises
    ------
    KeyError
        If the value of a field outside of square brackets is not known.

    Examples
    --------
    >>> fill("A cell[ of {organism}] of type {cell_type}", {Field("cell_type"): "B cell"})
    ['A cell of type B cell']
    """
    found: list[Piece] = []
    for passage in parse(template):
        missing = [field.name for field in passage.fields if values.get(field) is None]
        if missing and not passage.optional:
            raise KeyError(f"nothing is known of {missing[0]!r}, which the wording {template!r} needs")
        if not missing:
            for part in passage.parts:
                value = values[part] if isinstance(part, Field) else part
                found.extend(value if isinstance(value, list) else [value])
    return joined(found)


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces with neighbouring texts as one, and without empty ones."""
    result: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and result and isinstance(result[-1], str):
            result[-1] += piece
        elif not isinstance(piece, str) or piece:
            result.append(piece)
    return result
