"""What is stored reads and writes in both directions between two environments of other versions.

TCELLMIL_OTHER_PYTHON names the interpreter of the other one, which has this package's extra ``test``.
"""

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

HERE, OTHER = sys.executable, os.environ.get("TCELLMIL_OTHER_PYTHON")
SCRIPT = Path(__file__).with_name("other_environment.py")

pytestmark = [pytest.mark.slow, pytest.mark.newest]
needs_other = pytest.mark.skipif(
    OTHER is None, reason="TCELLMIL_OTHER_PYTHON names no interpreter of another environment"
)


def run(python, *arguments):
    source = str(Path(__file__).resolve().parents[1] / "src")
    environment = {**os.environ, "PYTHONPATH": source, "PYTHONWARNINGS": "ignore"}
    command = [python, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("other_environment", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["here", "there"])
def folders(request, tmp_path_factory):
    """What one environment wrote, and the same after it was read and written in the other one and back."""
    folder, (first, second) = (
        tmp_path_factory.mktemp("two"),
        (HERE, OTHER) if request.param == "here" else (OTHER, HERE),
    )
    run(first, "make", folder / "made")
    run(second, "rewrite", folder / "made", folder / "there")
    run(first, "rewrite", folder / "there", folder / "back")
    return folder


def parts(data):
    """Everything in an AnnData or a MuData, by its path."""
    found = {"X": data.X} if getattr(data, "X", None) is not None else {}
    for name in ("obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns", "mod"):
        part = getattr(data, name, None)
        if part is not None:
            found |= {f"{name}/{key}": value for key, value in leaves(part)}
    return found


def leaves(part):
    if isinstance(part, pd.DataFrame):
        yield "index", part.index.to_numpy()
        yield from ((str(name), part[name]) for name in part)
    elif hasattr(part, "n_obs"):
        yield from parts(part).items()
    elif hasattr(part, "items"):
        for name, value in part.items():
            if name is not None:  # X, since anndata 0.13
                yield from ((f"{name}/{key}".rstrip("/"), leaf) for key, leaf in leaves(value))
    else:
        yield "", part


def same(one, other):
    one, other = (part.toarray() if hasattr(part, "toarray") else part for part in (one, other))
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype.kind in "fc":
        return np.array_equal(one, other, equal_nan=True)
    return one.shape == other.shape and bool(np.all(one == other))


@needs_other
@pytest.mark.parametrize("name", ["explored.h5ad", "explored.zarr", "named.h5ad", "named.zarr", "mdata.h5mu"])
def test_a_result_is_the_same_after_there_and_back(folders, script, name):
    made, back = (script.READERS[name.rpartition(".")[2]](folders / step / name) for step in ("made", "back"))
    made, back = parts(made), parts(back)
    assert made.keys() == back.keys()
    assert [path for path in made if not same(made[path], back[path])] == []


@needs_other
def test_the_environments_are_two():
    command = [OTHER, "-c", "from importlib.metadata import version; print(version('anndata'))"]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert other != version("anndata")


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_classes_and_cohorts_with_slashes_are_written_and_read(script, tmp_path, ending, assert_same):
    named = script.make_named()
    getattr(named, f"write_{ending}")(tmp_path / f"named.{ending}")
    back = script.READERS[ending](tmp_path / f"named.{ending}")
    assert set(tm.get.predictions(back)["predicted"]) <= {"CR/PR", "SD.PD"}
    assert set(tm.get.predictions(back)["cohort"]) == {"trial 1/2", "10"}
    assert_same(tm.get.predictions(back), tm.get.predictions(named), check_dtype=False)
