"""The folder of a saved model: written beside its place and put there whole; read within bounds."""

from __future__ import annotations

import ast
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tcellmil import _folders
from tcellmil._folders import is_no_file, put_in_place
from tcellmil.model._check_state import STATE, check_state, sizes
from tcellmil.model._config import parse, read_config, refuse, text_limit
from tcellmil.model._layout import Array, check_layout

#: What a folder may hold: the model, and the data that it was fitted on.
CONFIG, ARRAYS, ANNDATA, MUDATA = "model.json", "arrays.npz", "adata.h5ad", "mdata.h5mu"
MEMBERS = (CONFIG, ARRAYS, ANNDATA, MUDATA)

#: Arrays may take this many bytes, and this many times the size of their file.
MAX_BYTES, MAX_EXPANSION = 64 * 2**20, 50

#: The header of an array is no longer.
MAX_HEADER = 10_000


def check_target(path: Path, overwrite: bool) -> None:
    """Raise a ValueError unless a model may be saved here, which deletes what is there."""
    _folders.check_target(path, overwrite, MEMBERS.__contains__, CONFIG)


def save_folder(path: Path, state: dict, write_data: Callable[[Path], None] | None = None) -> None:
    """Write a state, and the data, into a folder beside ``path``; then put it in place of what is there.

    Parameters
    ----------
    path
        As :func:`check_target` allows it.
    state
        As :func:`tcellmil.model._state.to_state` makes it.
    write_data
        Writes the data into a folder.

    Raises
    ------
    OSError
        If it cannot be written, such as on a full disk. What was there is then still there.
    """
    check_state(state)  # nothing is saved that could not be opened

    def write(folder: Path) -> None:
        _write(state, folder)
        if write_data is not None:
            write_data(folder)

    put_in_place(path, write)


def read_folder(path: Path) -> dict:
    """The state that :func:`save_folder` wrote. Only JSON and plain arrays are read; nothing is executed.

    Raises
    ------
    ValueError
        If files are missing, damaged, or hold other arrays than the configuration has, or more than fits their size;
        the latter is found before anything is decompressed.
    """
    if not member_of(path, CONFIG).exists():
        raise ValueError(f"{path} holds no {CONFIG}; it is not a folder that TcellMIL.save wrote")
    file = member_of(path, ARRAYS)
    if not file.exists():
        refuse(f"{path} holds no {ARRAYS}")
    try:
        with zipfile.ZipFile(file) as archive:
            headers = {member.filename.removesuffix(".npy"): _header(archive, member) for member in _members(archive)}
            found = {name: Array.of(dtype, shape) for name, (dtype, shape, _) in headers.items()}
            parsed = parse(_text_of(member_of(path, CONFIG), *sizes(found)), *sizes(found))
            checksum = parsed.pop("checksum", None)
            expected = check_layout(read_config(parsed), found)
            _check_size({name: headers[name] for name in expected}, file)
            arrays = {name: _values(archive, name, *headers[name]) for name in expected}
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        refuse(f"{ARRAYS} cannot be read ({type(error).__name__}: {error})")
    state = {"config": json.dumps(parsed), "weights": {}, "splits": {}, "checksum": checksum}
    for name, values in arrays.items():
        part, _, key = name.partition("/")
        state[part][key] = values
    return state


def member_of(path: Path, name: str) -> Path:
    """A file of the folder; a ValueError where the name is that of something else, such as a pipe or a device."""
    member = path / name
    if is_no_file(member):
        refuse(f"{member} is no file")
    return member


def _write(state: dict, path: Path) -> None:
    text = json.dumps({"checksum": state["checksum"], **json.loads(state["config"])}, indent=2)
    (path / CONFIG).write_text(text, encoding="utf-8")
    arrays = {f"{part}/{name}": values for part in STATE[1:3] for name, values in state[part].items()}
    arrays = {name: v.astype(str) if v.dtype.kind in "OT" else np.ascontiguousarray(v) for name, v in arrays.items()}
    np.savez_compressed(path / ARRAYS, **arrays)


def _text_of(file: Path, n_features: int, n_patients: int) -> str:
    if (size := file.stat().st_size) > 4 * text_limit(n_features, n_patients):
        refuse(f"{file.name} has {size} bytes, which is more than is read")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        refuse(f"{file.name} is no text ({error.reason})")


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        refuse(f"{ARRAYS} holds arrays of the same name")
    for member in members:
        if not member.filename.endswith(".npy"):
            refuse(f"{ARRAYS} holds {member.filename[:60]!r}, which is no array")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            refuse(f"{ARRAYS} is compressed by method {member.compress_type}, which numpy does not write")
    return members


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[np.dtype, tuple[int, ...], int]:
    """Type, shape and length of the header of an array, of which nothing else is read."""
    with archive.open(member) as file:
        start = file.read(10)
        length = int.from_bytes(start[8:10], "little")
        text = file.read(length) if start[:8] == b"\x93NUMPY\x01\x00" and length <= MAX_HEADER else b""
    try:
        header = ast.literal_eval(text.decode("latin1").strip())
        dtype, shape, in_columns = np.dtype(header["descr"]), header["shape"], header["fortran_order"]
    except (ValueError, TypeError, SyntaxError, KeyError, RecursionError, MemoryError):
        refuse(f"{ARRAYS} holds {member.filename[:60]!r}, whose header cannot be read")
    if dtype.kind not in "biufU" or in_columns is not False or dtype.itemsize < 1:
        refuse(f"{ARRAYS} holds {member.filename[:60]!r} of type {dtype}, not an array of numbers or text in rows")
    if not (isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)):
        refuse(f"{ARRAYS} holds {member.filename[:60]!r}, whose shape cannot be read")
    return dtype, shape, len(start) + length


def _check_size(headers: Mapping[str, tuple[np.dtype, tuple[int, ...], int]], file: Path) -> None:
    total = sum(dtype.itemsize * math.prod(shape) for dtype, shape, _ in headers.values())
    limit = MAX_BYTES + MAX_EXPANSION * file.stat().st_size
    if total > limit:
        refuse(f"{ARRAYS} would become {total} bytes, its size allows for {limit}")


def _values(archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple[int, ...], n_header: int) -> np.ndarray:
    values = np.empty(shape, dtype=dtype)
    n_bytes = values.nbytes
    with archive.open(f"{name}.npy") as file:
        file.read(n_header)
        content = file.read(n_bytes + 1)
    if len(content) != n_bytes:
        refuse(f"{ARRAYS} holds {len(content)} bytes or more of {name}, its header says {n_bytes}")
    values.reshape(-1).view(np.uint8)[:] = np.frombuffer(content, dtype=np.uint8)
    return values
