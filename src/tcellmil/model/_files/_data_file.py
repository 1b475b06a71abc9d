"""The data in the folder of a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tcellmil._checks import is_mudata
from tcellmil.model._config import refuse

from ._folder import ANNDATA, MAX_BYTES, MAX_EXPANSION, MUDATA, member_of

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def write_data(path: Path, data: AnnData | MuData) -> None:
    """Write the data into a folder."""
    if is_mudata(data):
        data.write_h5mu(path / MUDATA)
    else:
        data.write_h5ad(path / ANNDATA)


def read_data(path: Path) -> AnnData | MuData | None:
    """The data that :func:`write_data` wrote; ``None`` if there is none.

    Raises
    ------
    ValueError
        If the file is damaged, refers to other files, or declares far more than it holds.
    """
    if (file := member_of(path, ANNDATA)).exists():
        from anndata import read_h5ad as read
    elif (file := member_of(path, MUDATA)).exists():
        from mudata import read_h5mu as read
    else:
        return None
    try:
        _check_file(file)
        return read(file)
    except (OSError, KeyError, TypeError, RuntimeError) as error:
        refuse(f"{file.name} cannot be read ({type(error).__name__}: {str(error)[:200]})")


def _check_file(file: Path) -> None:
    """Raise a ValueError where the HDF5 file leads out of itself, or declares far more than it holds."""
    import h5py

    with h5py.File(file, "r") as opened:
        n_bytes, seen, groups = 0, set(), [opened["/"]]
        while groups:
            group = groups.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    refuse(f"{file.name} holds {name!r}, a link to another place")
                item = group[name]
                if (address := h5py.h5o.get_info(item.id).addr) in seen:
                    continue
                seen.add(address)
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif isinstance(item, h5py.Dataset):
                    if item.external or item.is_virtual:
                        refuse(f"{file.name} holds {name!r}, whose values are in another file")
                    n_bytes += (item.size or 0) * item.dtype.itemsize
        limit = MAX_BYTES + MAX_EXPANSION * file.stat().st_size
        if n_bytes > limit:
            refuse(f"{file.name} would become {n_bytes} bytes, its size allows for {limit}")
