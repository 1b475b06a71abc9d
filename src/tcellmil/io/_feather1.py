"""The first version of the feather format, which older ranking databases have: plain columns, and a table of them.

The reader of Arrow trusts that table, and ends the process where a damaged one points outside the file; this one checks
every place that it points to. The table of the columns is a flatbuffer, as Feather.fbs of Apache Arrow describes it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MAGIC = b"FEA1"
INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")  # from the code 1 on
TEXT = {11: "i4", 17: "i8"}  # the type of the offsets; pandas 3 writes large ones
PAD = 8  # a column of text is its offsets, and from the next multiple of this on its letters


def read_feather1(path: Path, limit: int) -> Iterator[tuple[str, int, np.ndarray | None]]:
    """Name, type and values of each column: whole numbers, or text as objects; ``None`` where it is something else.

    Raises
    ------
    ValueError
        If the file is damaged, a column has missing values, or all columns together have more than ``limit`` bytes.
    """
    data = np.fromfile(path, dtype=np.uint8)
    buffer = memoryview(data)
    (n_table,) = struct.unpack("<I", buffer[-8:-4]) if len(data) >= 16 else (0,)
    start = len(data) - 8 - n_table
    if bytes(buffer[-4:]) != MAGIC or not n_table or start < len(MAGIC):
        raise ValueError(f"{path} is not a feather file, or is damaged or incomplete: its end is missing")
    table = _Flatbuffer(buffer[start : start + n_table], path)
    root = table.follow(0)
    n_rows = table.number(root, 1, "<q")
    n_read = 0
    for column in table.tables(root, 2):
        name, values = table.text(column, 0), table.table(column, 1)
        kind, length = table.number(values, 0, "<b"), table.number(values, 3, "<q")
        if table.number(values, 4, "<q"):
            raise ValueError(f"{path} lacks ranks or names: it has missing values")
        if length != n_rows:
            raise ValueError(f"{path} is damaged: {name!r} has {length} values, and the table {n_rows} rows")
        place = table.number(values, 2, "<q")
        found = None
        if 1 <= kind <= len(INTEGERS):
            found = _slice(data, place, n_rows, INTEGERS[kind - 1], path)
        elif kind in TEXT:
            found = _texts(data, place, n_rows, TEXT[kind], path)
        n_read += len(name) + (0 if found is None else found.nbytes)
        if n_read > limit:
            raise ValueError(f"{path} expands to more than {limit:,} bytes; read it with a higher max_bytes")
        yield name, kind, found


def _slice(data: np.ndarray, place: int, n: int, dtype: str, path: Path) -> np.ndarray:
    """``n`` values from a place of the file on."""
    size = np.dtype(dtype).itemsize
    if place < len(MAGIC) or n < 0 or place + n * size > len(data):
        raise ValueError(f"{path} is damaged or incomplete: a column is at {place}, outside the file")
    return data[place : place + n * size].view(np.dtype(dtype).newbyteorder("<"))


def _texts(data: np.ndarray, place: int, n: int, offsets: str, path: Path) -> np.ndarray:
    ends = _slice(data, place, n + 1, offsets, path).astype(np.int64)
    if (ends < 0).any() or (np.diff(ends) < 0).any():
        raise ValueError(f"{path} is damaged: the names of the motifs are out of order")
    first = place + -(-np.dtype(offsets).itemsize * (n + 1) // PAD) * PAD
    letters = _slice(data, first, int(ends[-1]), "u1", path).tobytes()
    return np.array([letters[a:b].decode() for a, b in zip(ends[:-1], ends[1:], strict=True)], dtype=object)


class _Flatbuffer:
    """Fields of the tables in a flatbuffer; a ValueError where one is outside."""

    def __init__(self, buffer: memoryview, path: Path) -> None:
        self.buffer, self.path = buffer, path

    def read(self, place: int, code: str) -> int:
        """A number at a place."""
        if place < 0 or place + struct.calcsize(code) > len(self.buffer):
            raise ValueError(f"{self.path} is damaged or incomplete: its table of columns points outside itself")
        return struct.unpack_from(code, self.buffer, place)[0]

    def follow(self, place: int) -> int:
        """Where a place points to."""
        return place + self.read(place, "<I")

    def field(self, table: int, number: int) -> int | None:
        """Place of a field, None where it has its default."""
        fields = table - self.read(table, "<i")
        if 4 + 2 * number >= self.read(fields, "<H"):
            return None
        offset = self.read(fields + 4 + 2 * number, "<H")
        return table + offset if offset else None

    def number(self, table: int, number: int, code: str) -> int:
        """A field that is a number; 0 by default."""
        place = self.field(table, number)
        return 0 if place is None else self.read(place, code)

    def table(self, table: int, number: int) -> int:
        """Place of a field that is a table."""
        place = self.field(table, number)
        if place is None:
            raise ValueError(f"{self.path} is damaged: its table of columns lacks a field")
        return self.follow(place)

    def tables(self, table: int, number: int) -> Iterator[int]:
        """Places of the tables that a field lists."""
        first = self.table(table, number)
        for i in range(self.read(first, "<I")):
            yield self.follow(first + 4 * (i + 1))

    def text(self, table: int, number: int) -> str:
        """A field that is text."""
        start = self.table(table, number)
        n = self.read(start, "<I")
        self.read(start + 3 + n, "<b")
        return bytes(self.buffer[start + 4 : start + 4 + n]).decode()
