"""What gives the class away is told beside the metrics, and samples of one patient are noticed."""

import warnings

import anndata as ad
import pytest

import tcellmil as tm

BENCHMARK = {"methods": ["gaussian_nb", "majority"], "use_reps": "X_regulons", "n_boot": 20, "n_permutations": 20}


def cohort_is_the_label(adata):
    adata.obs["cohort"] = adata.obs["response"].map({"NR": "Lyon", "R": "Graz"}).astype(str)
    return adata


def fit(adata, fit_quickly, verb, **options):
    if verb == "fit_mil":
        fit_quickly(adata, "cohort", cv=2, **options)
    else:
        tm.tl.benchmark(adata, "patient", "response", "cohort", cv=2, progress=False, **BENCHMARK, **options)


GET = {"fit_mil": tm.get.metrics, "benchmark": tm.get.benchmark}


@pytest.mark.parametrize("verb", GET)
def test_a_cohort_that_is_the_label_is_warned_of_with_figures(make_cohort, fit_quickly, verb, caplog):
    adata = cohort_is_the_label(make_cohort())
    words = r"the cohort alone, without any cell, predicts the class with AUROC 1\.00 \[1\.00, 1\.00\]"
    with caplog.at_level("INFO", logger="tcellmil"), pytest.warns(UserWarning, match=words) as met:
        fit(adata, fit_quickly, verb)
    assert met[0].filename == __file__ or verb == "fit_mil"
    assert "; AUROC of the cohort alone 1.00 [1.00, 1.00]" in caplog.text
    table = GET[verb](adata, "alone")
    assert table.index.names == ["predictor", "metric"] and table.loc[("cohort", "auroc"), "value"] == 1


@pytest.mark.parametrize("verb", GET)
def test_a_cohort_that_says_nothing_is_reported_without_a_warning(make_cohort, fit_quickly, verb, tmp_path):
    adata = make_cohort()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*alone, without any cell")
        fit(adata, fit_quickly, verb)
    adata.write_h5ad(tmp_path / "result.h5ad")
    for data in (adata, ad.read_h5ad(tmp_path / "result.h5ad")):
        table = GET[verb](data, "alone")
        assert table.columns.tolist() == ["value", "ci_low", "ci_high", "n"]
        assert table.loc[("cohort", "auroc"), "value"] <= 0.5


def test_a_covariate_that_gives_the_class_away_is_warned_of(make_cohort, fit_quickly):
    adata = make_cohort()
    adata.obs["drug"] = adata.obs["response"].astype(str) + " drug"
    with pytest.warns(UserWarning, match=r"the covariates alone, without any cell, .* AUROC 1\.00"):
        fit_quickly(adata, cv=2, categorical_covariate_keys=["drug"])
    assert tm.get.metrics(adata, "alone").index.unique("predictor").tolist() == ["covariates"]


def test_metrics_of_the_model_are_as_they_were(make_cohort, fit_quickly):
    alone, with_cohort = make_cohort(), make_cohort()
    fit_quickly(alone, cv=2)
    fit_quickly(with_cohort, "cohort", cv=2)
    assert tm.get.metrics(alone).index.equals(tm.get.metrics(with_cohort).index)
    assert "metrics_alone" not in alone.uns["tcellmil"]
    with pytest.raises(KeyError, match=r"no 'metrics_alone'; run tl.fit_mil\(adata, ..., batch_key=...\) first"):
        tm.get.metrics(alone, "alone")
    with pytest.raises(ValueError, match="part='cohort' is not known; choose from 'model', 'alone'"):
        tm.get.metrics(alone, "cohort")


def test_numbers_have_no_cohort_alone(make_cohort):
    adata = make_cohort()
    adata.obs["age"] = adata.obs["patient"].str[1:].astype(float)
    training = {"max_epochs": 1}
    tm.tl.fit_mil(adata, "patient", "age", "cohort", outcome="continuous", cv=2, training=training, progress=False)
    assert "metrics_alone" not in adata.uns["tcellmil"]


@pytest.mark.parametrize("name", ["fit_mil", "benchmark"])
def test_the_text_of_batch_key_says_that_it_is_given_and_not_removed(name):
    text = " ".join(getattr(tm.tl, name).__doc__.split())
    assert "The classifier is *given* it, one-hot beside the cells; it is not removed" in text


@pytest.mark.parametrize("verb", GET)
def test_samples_of_one_donor_are_noticed_where_the_call_is(make_cohort, fit_quickly, verb):
    adata = make_cohort()
    adata.obs["donor_id"] = adata.obs["patient"].map({f"P{i}": i // 2 for i in range(8)}).astype(int)
    with pytest.warns(UserWarning, match=r"obs\['donor_id'\] has 4 values for the 8 of 'patient'.*pass group_key="):
        fit(adata, fit_quickly, verb)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="samples seem to share")
        fit(adata, fit_quickly, verb, group_key="donor_id", key_added="kept")


def test_what_the_cohort_alone_predicts_is_not_of_new_patients(make_cohort, fit_quickly):
    adata, new = make_cohort(), make_cohort(n_patients=6, seed=1, prefix="N")
    fit_quickly(adata, "cohort", cv=2)
    tm.tl.predict(new, adata)
    message = (
        "has no 'metrics_alone'; it holds predictions of tl.predict, which fits nothing: read it from the data that"
    )
    with pytest.raises(KeyError, match=message):
        tm.get.metrics(new, "alone")
    assert len(tm.get.metrics(new)) == 8
