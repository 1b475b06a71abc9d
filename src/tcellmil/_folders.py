"""Folders that are written beside their place and put there whole, and that empty no folder which is none of them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from tcellmil._checks import some
from tcellmil._log import warn


def check_target(path: Path, overwrite: bool, is_member: Callable[[str], bool], mark: str) -> None:
    """Raise a ValueError unless a model may be saved here, which deletes what is there.

    Only a folder that is empty or holds a saved model and nothing else is overwritten.

    Parameters
    ----------
    path, overwrite
        The folder, and whether what is there may be deleted.
    is_member
        Whether a saved model may hold a file of this name.
    mark
        The file that every saved model holds.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise ValueError(f"{path} is a file; choose another name for the folder")
    if not overwrite:
        raise ValueError(f"{path} already exists; choose another folder or pass overwrite=True")
    found = sorted(member.name for member in path.iterdir())
    others = [name for name in found if not is_member(name) or not (path / name).is_file()]
    if others:
        raise ValueError(f"{path} holds {some(others)}, which saving would delete; choose another folder")
    if found and mark not in found:
        raise ValueError(f"{path} holds {some(found)} and no {mark}, so it is no saved model; choose another folder")


def put_in_place(path: Path, write: Callable[[Path], None]) -> None:
    """Have ``write`` fill a folder beside ``path``; then put it in place of what is there.

    Raises
    ------
    OSError
        If it cannot be written, such as on a full disk. What was there is then still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside, before = (path.with_name(f".{path.name}.{uuid4().hex[:8]}.{kind}") for kind in ("new", "old"))
    try:
        beside.mkdir()
        write(beside)
        for member in beside.iterdir():
            flush(member)
        if path.exists():
            path.rename(before)
        beside.rename(path)
        if before.exists():
            _delete(before, path)
    except BaseException:  # an interrupt too leaves one model and nothing beside it
        if before.exists() and not path.exists():
            before.rename(path)
        for left_over in (beside, before):
            shutil.rmtree(left_over, ignore_errors=True)
        raise


def flush(file: Path) -> None:
    """Have the file on the disk, where a full one says so."""
    with open(file, "rb+") as opened:
        os.fsync(opened.fileno())


def share(folder: Path, like: str) -> None:
    """Give every file of a folder the permissions of one; safetensors writes files that nobody else may read."""
    for member in folder.iterdir():
        shutil.copymode(folder / like, member)


def is_no_file(path: Path) -> bool:
    """Whether the name is that of something that is no file, such as a pipe or a device."""
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)


def _delete(before: Path, path: Path) -> None:
    try:
        shutil.rmtree(before)
    except OSError as error:
        warn(f"the new model is in {path}; the one before could not be deleted from {before}: {error}")
