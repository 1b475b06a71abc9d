"""The outcome that the page for contributors writes is one file and one line."""

import re
from pathlib import Path

import numpy as np
import pytest

import tcellmil as tm
from tcellmil import outcomes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contributing.md"


@pytest.fixture
def counts(monkeypatch):
    """The class of the page, registered."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    module = {"__name__": "tcellmil.outcomes._counts"}
    exec(compile(code, str(PAGE), "exec"), module)
    monkeypatch.setitem(outcomes.OUTCOMES, "counts", module["Counts"])
    return module["Counts"]


@pytest.fixture
def cohort():
    adata = tm.datasets.pbmc_cohort(n_patients=10, n_cells=30)
    patients = sorted(adata.obs["patient"].unique())
    relapses = dict(zip(patients, np.random.default_rng(0).poisson(3, len(patients)), strict=True))
    adata.obs["relapses"] = adata.obs["patient"].astype(str).map(relapses).astype(int)
    adata.obsm["X_small"] = adata.X[:, :5].toarray()
    return adata


@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_counts_are_fitted_explained_and_drawn(counts, cohort):
    options = {"cv": 2, "training": {"max_epochs": 4, "accelerator": "cpu"}, "n_boot": 20, "progress": False}
    tm.tl.fit_mil(cohort, "patient", "relapses", use_rep="X_small", outcome="counts", **options)
    table = tm.get.predictions(cohort)
    assert (table["predicted"] > 0).all()
    assert table["predicted"].nunique() == len(table)
    assert tm.get.metrics(cohort).loc["mae", "value"] == pytest.approx(
        (table["predicted"] - table["label"]).abs().mean()
    )
    tm.tl.perturb(cohort)
    assert tm.get.perturb(cohort, "stats")["target_class"].unique().tolist() == ["relapses"]
    assert tm.get.model(cohort).schema.outcome == counts("relapses")
    assert tm.pl.predictions(cohort, show=False).get_ylabel() == "Observed relapses"


def test_counts_refuse_what_is_no_count(counts, cohort):
    cohort.obs["relapses"] = cohort.obs["relapses"] + 0.5
    with pytest.raises(ValueError, match="'relapses' is no count for patients .* pass whole numbers"):
        tm.tl.fit_mil(cohort, "patient", "relapses", use_rep="X_small", outcome="counts", progress=False)
    assert "tcellmil" not in cohort.uns


def test_an_unknown_kind_of_outcome_is_refused(cohort):
    with pytest.raises(ValueError, match="outcome='counts' is not known; choose from 'classes', 'ordinal'"):
        tm.tl.fit_mil(cohort, "patient", "relapses", use_rep="X_small", outcome="counts", progress=False)
