"""What the tests run in another environment: ``python other_environment.py make FOLDER``, or ``rewrite FROM TO``."""

import importlib.util
import sys
from pathlib import Path

import anndata as ad
import mudata
import numpy as np

import tcellmil as tm

#: Names with what a path, a key or a number could be mistaken for.
NAMES = {"classes": ("CR/PR", "SD.PD"), "cohorts": {"A": "trial 1/2", "B": "10"}}
READERS = {"h5ad": ad.read_h5ad, "zarr": ad.read_zarr, "h5mu": mudata.read_h5mu}


def load_conftest():
    spec = importlib.util.spec_from_file_location("conftest_of_the_tests", Path(__file__).with_name("conftest.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_named():
    tests = load_conftest()
    named = tests.build_cohort(classes=NAMES["classes"])
    named.obs["cohort"] = named.obs["cohort"].astype(str).map(NAMES["cohorts"])
    tests.fit_cohort(named, "cohort", cv=2)
    tm.tl.perturb(named, progress=False)
    return named


def make_all():
    """An AnnData on which every verb was run, one of hostile names, and a MuData."""
    tests = load_conftest()
    mdata = tests.build_fitted_mudata()
    tm.tl.perturb(mdata, regulons=["regulons:TF0(+)", "prot:CD8"], progress=False)
    return {"explored": tests.build_explored(), "named": make_named(), "mdata": mdata}


def with_plain_names(adata):
    """The names of cells, genes and groups, which are the user's, as pandas had them before version 3."""
    for table in (adata.obs, adata.var):
        table.index = table.index.astype(object)
        for name in table.select_dtypes(["object", "string"]):
            table[name] = table[name].astype(object)
    return adata


def write(results, folder):
    for name, data in results.items():
        if name == "mdata":
            with ad.settings.override(allow_write_nullable_strings=False):  # the tables of a MuData are its own
                data.write_h5mu(folder / f"{name}.h5mu")
        else:
            with_plain_names(data).write_h5ad(folder / f"{name}.h5ad")
            data.write_zarr(folder / f"{name}.zarr")


def read(folder):
    return {path.name: READERS[path.suffix[1:]](path) for path in sorted(folder.iterdir())}


def rewrite(source, target):
    """Read everything, use it and write it again, as the installation page says for older versions."""
    ad.settings.allow_write_nullable_strings = False
    for name, data in read(source).items():
        predicted = tm.get.model(data).predict()
        stored = tm.get.predictions(data)
        assert predicted.index.tolist() == stored.index.tolist()
        numbers = stored.select_dtypes("number").columns
        np.testing.assert_allclose(predicted[numbers], stored[numbers], rtol=1e-4, atol=1e-5)
        assert len(tm.get.perturb(data)) and len(tm.get.metrics(data))
        getattr(data, "write_" + name.rpartition(".")[2])(target / name)


if __name__ == "__main__":
    folders = [Path(name) for name in sys.argv[2:]]
    folders[-1].mkdir()
    if sys.argv[1] == "make":
        write(make_all(), *folders)
    else:
        rewrite(*folders)
