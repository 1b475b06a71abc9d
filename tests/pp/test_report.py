"""A user who configured nothing sees the closing line of a verb; one who configured logging sees it once."""

import subprocess
import sys

import pytest

RUN = """
{setup}
import anndata, numpy, tcellmil as tm
adata = anndata.AnnData(numpy.ones((3, 1), dtype="float32"))
adata.obs["patient"] = "A"
tm.pp.subsample_bags(adata, "patient", n_cells=2)
"""


@pytest.mark.parametrize(
    ("setup", "times"),
    [
        ("", 1),
        ("import logging; logging.basicConfig(level='INFO')", 1),
        ("import logging; logging.getLogger('tcellmil').setLevel('WARNING')", 0),
    ],
)
def test_the_line_is_printed_once_unless_silenced(setup, times):
    run = subprocess.run([sys.executable, "-c", RUN.format(setup=setup)], capture_output=True, text=True, check=True)
    assert run.stderr.count("removed 1 of 3 cells") == times
    assert run.stdout == ""
