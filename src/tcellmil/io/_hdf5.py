"""HDF5 of others, read within bounds: nothing outside the file, and no more than is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import h5py
import numpy as np

from tcellmil._matrix import native
from tcellmil.io._bounded import check_file, limit_of, naming, too_large

MAX_DEFLATE = 1_100  # bytes that one stored byte can stand for; deflate reaches 1,032
SLACK = 1 << 16
STEP = 1 << 14  # texts of unknown length that are read at a time


class Hdf5:
    """An open file, the members of it that are hard links, and how much of it has been read."""

    def __init__(self, file: h5py.File, path: Path, limit: int) -> None:
        self.file, self.path, self.limit, self.n_read = file, path, limit, 0

    def spend(self, n_bytes: int) -> None:
        """Count what was read; a ValueError where it is more than the file may expand to."""
        self.n_read += n_bytes
        if self.n_read > self.limit:
            raise too_large(self.path, self.limit)

    def group(self, name: str) -> h5py.Group:
        """A group, by its path from the root, or a ValueError where a part of that is a link or no group."""
        member = self.file
        for part in name.split("/"):
            member = self._member(member, part)
            if not isinstance(member, h5py.Group):
                raise ValueError(f"{self.path}: {member.name.lstrip('/')} is not a group")
        return member

    def dataset(self, group: h5py.Group, name: str) -> h5py.Dataset:
        """A dataset whose values are all in this file, or a ValueError that says what it is."""
        member = self._member(group, name)
        where = f"{self.path}: {member.name.lstrip('/') if member.name else name}"
        if not isinstance(member, h5py.Dataset):
            raise ValueError(f"{where} is not a dataset")
        if member.is_virtual:
            raise ValueError(f"{where} is a virtual dataset, whose values may be in other files; they are not followed")
        if member.external:
            raise ValueError(f"{where} keeps its values in other files, {member.external[0][0]}; they are not followed")
        if member.shape is None:
            raise ValueError(f"{where} holds nothing")
        declared, stored = member.size * member.dtype.itemsize, member.id.get_storage_size()
        if declared > MAX_DEFLATE * stored + SLACK:
            raise ValueError(
                f"{where} declares {' x '.join(map(str, member.shape))} values of {member.dtype}, but stores "
                f"{stored:,} bytes"
            )
        if prod(member.chunks or (0,)) * member.dtype.itemsize > self.limit:
            raise too_large(self.path, self.limit)
        return member

    def read(self, dataset: h5py.Dataset) -> np.ndarray:
        """All values of a one-dimensional dataset, in the byte order of this machine; text as text."""
        if dataset.dtype.kind == "O" and h5py.check_string_dtype(dataset.dtype) is None:
            raise ValueError(f"{self.path}: {dataset.name.lstrip('/')} holds neither numbers nor text")
        if dataset.dtype.kind not in "SO":
            self.spend(dataset.size * dataset.dtype.itemsize)
            return dataset[()] if dataset.dtype.names else native(dataset[()])
        texts: list[str] = []
        step = STEP if dataset.dtype.kind == "O" else max(1, STEP // max(1, dataset.dtype.itemsize // 64))
        for start in range(0, len(dataset), step):
            found = [v.decode() if isinstance(v, bytes) else str(v) for v in dataset[start : start + step]]
            self.spend(sum(map(len, found)) + 64 * len(found))
            texts += found
        return np.array(texts, dtype=object)

    def _member(self, group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
        link = group.get(name, getlink=True)
        where = f"{group.name.rstrip('/')}/{name}".lstrip("/")
        if link is None:
            raise ValueError(f"{self.path} lacks {where}")
        if not isinstance(link, h5py.HardLink):
            target = f"{getattr(link, 'filename', '')}:{link.path}".lstrip(":")
            raise ValueError(f"{self.path}: {where} is a link to {target}, which is not followed")
        return group[name]


@contextmanager
def open_hdf5(path: str | Path, what: str, max_bytes: int | None = None) -> Iterator[Hdf5]:
    """An HDF5 file, which should be ``what``; errors name it."""
    path = check_file(path)
    limit = limit_of(path, max_bytes)
    with naming(path):
        if not h5py.is_hdf5(path):
            raise ValueError(f"{path} is not {what}: it is not in HDF5 format")
        with h5py.File(path, "r") as file:
            yield Hdf5(file, path, limit)
