"""Text of others, read within bounds: how much it may expand to, and every row as long as the header."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import lzma
import zlib
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from tcellmil._checks import check_count, some

MIN_BYTES = 1 << 26
RATIO = 100  # of what is on disk; tables of these tools are compressed four to thirty times
MAX_LINE = 1 << 24  # characters of a line or a field; the longest of pySCENIC have about a million
MAX_COLUMNS = 1_000
MISSING = frozenset(["", "NA", "NaN", "nan", "None"])
OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
CHUNK = 1 << 15  # rows that are held as text
Rows = Iterator[tuple[int, list[str]]]
#: What libraries raise on damaged files.
FAULTS = (
    *(OSError, RuntimeError, KeyError, IndexError, TypeError, ValueError, OverflowError, EOFError),
    *(zlib.error, lzma.LZMAError, csv.Error),
)


def check_file(path: str | Path) -> Path:
    """The path, or an error that names it, unless it is a file."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not path.is_file():
        raise ValueError(f"{path} is not a file")
    return path


def limit_of(path: Path, max_bytes: int | None) -> int:
    """How many bytes a file may expand to."""
    if max_bytes is not None:
        return check_count(max_bytes, "max_bytes")
    return max(MIN_BYTES, RATIO * path.stat().st_size)


def too_large(path: str | Path, limit: int) -> ValueError:
    """The error of a file that expands to more than it may."""
    return ValueError(
        f"{path} expands to more than {limit:,} bytes; if it comes from somebody you trust, read it with a higher "
        "max_bytes"
    )


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Raise what goes wrong in reading a file as an error that names it."""
    try:
        yield
    except FAULTS as error:
        if str(path) in str(error):
            raise
        if isinstance(error, UnicodeDecodeError):
            raise ValueError(f"{path} is not UTF-8 text: {error}") from error
        raise ValueError(f"{path} cannot be read, it is damaged or incomplete: {error}") from error


class _Bounded(io.RawIOBase):
    """Bytes of a stream, as long as there are not more than the limit."""

    def __init__(self, stream: io.IOBase, path: Path, limit: int) -> None:
        self.stream, self.path, self.limit, self.n_read = stream, path, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        n = self.stream.readinto(buffer)
        self.n_read += n
        if self.n_read > self.limit:
            raise too_large(self.path, self.limit)
        return n


@contextmanager
def open_text(path: str | Path, max_bytes: int | None = None) -> Iterator[TextIO]:
    """A text file, plain or compressed by gzip or bzip2, whatever its name; errors name it."""
    path = check_file(path)
    limit = limit_of(path, max_bytes)
    with naming(path), open(path, "rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        opener = next((opener for start, opener in OPENERS.items() if magic.startswith(start)), None)
        stream = raw if opener is None else opener(raw, "rb")
        yield io.TextIOWrapper(io.BufferedReader(_Bounded(stream, path, limit)), encoding="utf-8-sig", newline="")


def lines_of(file: TextIO, path: str | Path) -> Iterator[str]:
    """Lines of a text file, none of them endless."""
    for number in itertools.count(1):
        line = file.readline(MAX_LINE)
        if not line:
            return
        if len(line) == MAX_LINE:
            raise ValueError(f"{path}, line {number}: over {MAX_LINE:,} characters, which no table of this kind has")
        yield line


def rows_of(path: str | Path, separator: str, max_bytes: int | None = None) -> Rows:
    """Number of the line on which it ends, and the fields, of each row that is not blank."""
    with open_text(path, max_bytes) as file, _long_fields():
        reader = csv.reader(lines_of(file, path), delimiter=separator, skipinitialspace=True)
        try:
            for fields in reader:
                if any(map(str.strip, fields)):
                    yield reader.line_num, fields
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}; is a quotation mark not closed?") from error


def first_row(path: str | Path, max_bytes: int | None = None) -> tuple[str, list[str]]:
    """Separator and fields of the first row: tabs if there is one, else commas, else semicolons."""
    with open_text(path, max_bytes) as file:
        line = next((line for line in lines_of(file, path) if line.strip()), "")
        if not line:
            raise ValueError(f"{path} is empty")
        separator = next((mark for mark in "\t,;" if mark in line), ",")
        return separator, next(csv.reader([line], delimiter=separator, skipinitialspace=True))


def separator_of(path: str | Path) -> str:
    """Comma if the name says so, else tab."""
    return "," if ".csv" in Path(path).suffixes else "\t"


def number(field: str) -> float:
    """A number, NaN where it is missing."""
    if field.strip() in MISSING:
        return float("nan")
    if "_" in field:  # python would take 1_000 for a number
        raise ValueError(f"{field[:40]!r} is not a number")
    try:
        return float(field)
    except ValueError as error:
        raise ValueError(f"{field[:40]!r} is not a number") from error


def one_header(rows: Rows) -> tuple[list[str], Rows]:
    """The header of a table that has one row of it, and the rows that follow."""
    return [name.strip() for name in next(rows, (0, []))[1]], rows


def read_table(
    path: str | Path,
    required: Collection[str],
    what: str,
    separator: str,
    max_bytes: int | None = None,
    names: Collection[str] = (),
    convert: Mapping[str, Callable[[str], object]] | None = None,
    others: bool = True,
    header: Callable[[Rows], tuple[list[str], Rows]] = one_header,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Read a table whose rows all have as many fields as its header.

    Parameters
    ----------
    path, separator, max_bytes
        The file.
    required
        Columns that it must have.
    what
        What it should be, for the error.
    names
        Columns of names, which must not be blank.
    convert
        Columns that a function reads, which raises a ValueError for a field that it does not take.
    others
        Whether to read all other columns too: as numbers where all fields are, else as text.
    header
        Takes the names of the columns from the rows, and gives back the rows that follow.

    Returns
    -------
    The table, and the number of the line on which each row ends.

    Raises
    ------
    ValueError
        If the file is damaged, a column is missing or there twice, there are no rows, or a row has more or fewer fields
        than the header; names the file, and the line where there is one.
    """
    convert = convert or {}
    columns, rows = header(rows_of(path, separator, max_bytes))
    _check_header(path, columns, required, what)
    wanted = {*required, *names, *convert}
    values: dict[str, list | array] = {
        column: array("d") if convert.get(column) is number else []
        for column in columns
        if column in wanted or (others and column)
    }
    known: dict[str, str] = {}  # one text for each name, which comes thousands of times
    lines = array("q")
    while chunk := list(itertools.islice(rows, CHUNK)):
        numbers, fields = zip(*chunk, strict=True)
        uneven = next((i for i, row in enumerate(fields) if len(row) != len(columns)), None)
        if uneven is not None:
            raise ValueError(_ragged(path, numbers[uneven], fields[uneven], columns))
        for column, texts in zip(columns, zip(*fields, strict=True), strict=True):
            if column in convert:
                values[column].extend(_converted(path, numbers, column, texts, convert[column]))
            elif column in names:
                values[column].extend(_names(path, numbers, column, texts, known))
            elif column in values:
                values[column].extend(texts)
        lines.extend(numbers)
    if not lines:
        raise ValueError(f"{path} has a header and no rows; it is incomplete, or nothing was found")
    found = {
        column: _inferred(store) if column not in convert and column not in names else store
        for column, store in values.items()
    }
    table = {column: np.asarray(store) if isinstance(store, array) else store for column, store in found.items()}
    return pd.DataFrame(table, columns=list(table)), np.asarray(lines)


def refuse_rows(path: str | Path, lines: np.ndarray, bad: np.ndarray, fault: Callable[[int], str]) -> None:
    """Raise a ValueError that names the line of the first ``bad`` row, if there is one; ``fault`` describes a row."""
    rows = np.flatnonzero(bad)
    if rows.size:
        others = f" ({rows.size:,} rows are so)" if rows.size > 1 else ""
        raise ValueError(f"{path}, line {lines[rows[0]]}: {fault(int(rows[0]))}{others}")


def _check_header(path: str | Path, columns: Sequence[str], required: Collection[str], what: str) -> None:
    if not columns:
        raise ValueError(f"{path} is empty; it is not {what}")
    if len(columns) > MAX_COLUMNS:
        raise ValueError(f"{path} has {len(columns):,} columns; it is not {what}")
    missing = set(required) - set(columns)
    if missing:
        raise ValueError(
            f"{path} is not {what}: it lacks the columns {sorted(missing)}; its header is {some(columns, 12)}"
        )
    named = [column for column in columns if column]
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        raise ValueError(f"{path} has the columns {twice} more than once")


def _ragged(path: str | Path, line: int, fields: Sequence[str], columns: Sequence[str]) -> str:
    hint = "; write the table without row names" if len(fields) == len(columns) + 1 else ""
    return (
        f"{path}, line {line}: {len(fields)} fields, but the header has {len(columns)}, {some(columns, 12)}; "
        f"the row begins with {some(fields, 4)}{hint}"
    )


def _converted(
    path: str | Path, lines: Sequence[int], column: str, texts: Sequence[str], convert: Callable[[str], object]
) -> Iterable:
    """What a function makes of the fields of a column."""
    if convert is number and "_" not in "".join(texts):
        try:
            return array("d", map(float, texts))
        except ValueError:
            pass  # some are missing, or are no numbers
    found = []
    for line, text in zip(lines, texts, strict=True):
        try:
            found.append(convert(text))
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {column}: {error}") from error
    return found


def _names(
    path: str | Path, lines: Sequence[int], column: str, texts: Sequence[str], known: dict[str, str]
) -> list[str]:
    """Names, none of them blank."""
    found = [known.setdefault(text, text) for text in map(str.strip, texts)]
    if "" in found:
        raise ValueError(f"{path}, line {lines[found.index('')]}: {column} is blank")
    return found


def _inferred(fields: list[str]) -> list:
    """Whole numbers, numbers or text."""
    for kind in (int, number):
        try:
            return list(map(kind, fields))
        except ValueError:
            continue
    return fields


@contextmanager
def _long_fields() -> Iterator[None]:
    """Fields as long as lines may be, for as long as a table is read."""
    before = csv.field_size_limit(MAX_LINE)
    try:
        yield
    finally:
        csv.field_size_limit(before)
