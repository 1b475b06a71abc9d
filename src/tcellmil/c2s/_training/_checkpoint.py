"""A training run as one file of arrays: written beside its place, put there whole, read back only for the same run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tcellmil._checks import some
from tcellmil._folders import flush

if TYPE_CHECKING:
    import torch

#: The file in the folder of a run; while it is written it has the other name.
FILE, UNFINISHED = "training.safetensors", "training.safetensors.new"

#: Raised when the arrays or the record in the header change.
FORMAT = 1


def write_checkpoint(folder: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, object]) -> None:
    """Write arrays, with a JSON record in the header of the file, so that both are there or neither.

    A process that is killed while it writes leaves the file before it whole.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, folder / UNFINISHED, {"tcellmil": json.dumps({"format": FORMAT, **record})})
    flush(folder / UNFINISHED)
    os.replace(folder / UNFINISHED, folder / FILE)


def read_checkpoint(folder: Path, run: Mapping[str, object]) -> tuple[dict[str, torch.Tensor], dict] | None:
    """Arrays and record of the file in a folder; None where there is none.

    Parameters
    ----------
    folder
        As in :func:`write_checkpoint`.
    run
        What makes a run the one that it is; the record must hold the same under ``"run"``.

    Raises
    ------
    ValueError
        If the file cannot be read, or is of another run; what differs is named.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / FILE
    if not file.exists():
        return None
    again = "delete it, choose another folder, or pass resume=False to begin anew"
    try:
        with safe_open(file, "pt") as opened:
            record = json.loads((opened.metadata() or {}).get("tcellmil", "{}"))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read ({error}); {again}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{file} is no checkpoint of this version; {again}")
    stored = record["run"]
    differing = [name for name in {**run, **stored} if run.get(name) != stored.get(name)]
    if differing:
        raise ValueError(f"{file} is of a run with other {some(differing)}; {again}")
    return tensors, record
