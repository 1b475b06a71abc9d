"""What is known of cells, as text: columns of a table, and texts that hold for all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from tcellmil._checks import some


def known_values(
    table: pd.DataFrame,
    need: Collection[str],
    may: Collection[str],
    columns: Mapping[str, str | None] | None,
    texts: Mapping[str, str] | None,
    what: str,
) -> dict[str, np.ndarray]:
    """Text of each field for each row, ``None`` where it is missing or blank; of ``may`` only what there is.

    Parameters
    ----------
    table
        ``obs``.
    need, may
        Fields that must be there, and those that may be.
    columns
        Column of a field, where it is not the field's name; ``None`` leaves an optional field out.
    texts
        Text of a field that holds for all rows.
    what
        Who needs it, for the error.

    Raises
    ------
    KeyError
        If a column is missing.
    TypeError
        If a value is no text.
    """
    columns, texts = dict(columns or {}), dict(texts or {})
    both = sorted(columns.keys() & texts.keys())
    if both:
        raise ValueError(f"{both[0]!r} is both in columns and in texts; give one of them")
    values = {}
    left_out = {field for field, column in columns.items() if column is None}
    for field in dict.fromkeys([*need, *may]):
        if field in texts:
            values[field] = np.full(len(table), _one_text(field, texts[field]), dtype=object)
        elif field not in left_out and (field in columns or field in table):
            values[field] = _column(table, columns.get(field, field), field)
        elif field in need:
            raise KeyError(
                f"{what} needs {field!r}, which is no column of the table; there are {some(table.columns)}. Name the "
                f"column, columns={{{field!r}: ...}}, or give a text for all cells, texts={{{field!r}: ...}}"
            )
    return values


def is_known(values: np.ndarray) -> np.ndarray:
    """Where there is text."""
    return pd.notna(values)


def _one_text(field: str, text: object) -> str:
    if not isinstance(text, str) or not text.strip():
        raise TypeError(f"texts[{field!r}] must be text, got {text!r}")
    return text


def _column(table: pd.DataFrame, column: str, field: str) -> np.ndarray:
    if column not in table:
        raise KeyError(f"columns[{field!r}]={column!r} is no column of the table; there are {some(table.columns)}")
    column_values = table[column]
    values = column_values.astype(object).where(column_values.notna(), None).to_numpy()
    kinds = pd.unique(values)
    wrong = [value for value in kinds if value is not None and not isinstance(value, str)]
    if wrong:
        raise TypeError(
            f"column {column!r} holds {type(wrong[0]).__name__} such as {wrong[0]!r}, but {field!r} must be text: a "
            "number says nothing to a language model. Name the groups, make the numbers text with "
            f"obs[{column!r}].astype(str), or leave a field out that is optional, columns={{{field!r}: None}}"
        )
    blank = {value for value in kinds if value is not None and not value.strip()}
    if blank:
        values = np.array([None if value in blank else value for value in values], dtype=object)
    return values
