"""What every verb writes, where, and what it refuses to write over."""

import inspect

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil._provenance import verb_of
from tcellmil._results import OF_FIT, OWN, place_of
from tcellmil._verbs import NOT_RECORDED

VERBS = {**OWN, **OF_FIT}
#: Arguments that a verb cannot do without.
NEEDED = {
    "fit_mil": ("patient", "response"),
    "prune": (None, None),
    "batch_effect": ("cohort",),
    "benchmark": ("patient", "response"),
    "match_bulk": ("patient", "X_tcellmil"),
    "attention_enrichment": ("cell_type",),
}


def run(adata, verb, *args, **kwargs):
    return getattr(tm.tl, verb)(adata, *(args or NEEDED.get(verb, ())), **kwargs)


def same(one, other):
    assert set(one.uns) == set(other.uns) and set(one.obsm) == set(other.obsm) and set(one.obs) == set(other.obs)
    pd.testing.assert_frame_equal(one.obs, other.obs)
    for key in one.obsm:
        np.testing.assert_array_equal(one.obsm[key], other.obsm[key])


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_params_hold_all_arguments_the_version_and_the_time(explored, verb):
    params = explored.uns[place_of(verb)]["params"]
    arguments = [*inspect.signature(getattr(tm.tl, verb)).parameters][1:]
    assert set(arguments) - set(NOT_RECORDED) - {"method_kwargs"} <= set(params)
    assert params["verb"] == verb and params["version"] == tm.__version__
    pd.Timestamp(params["time"])


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize("key_added", [["fit"], 3, b"fit"])
def test_a_name_that_is_no_text_is_refused_first(explored, verb, key_added):
    before = explored.copy()
    with pytest.raises(TypeError, match="key_added must be text"):
        run(explored, verb, key_added=key_added)
    same(explored, before)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_name_with_a_slash_is_refused_first(explored, verb):
    with pytest.raises(ValueError, match="without a slash"):
        run(explored, verb, key_added="CR/PR")


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_result_of_another_kind_is_not_replaced(explored, verb):
    other = "prune" if verb != "prune" else "regulons"
    before = explored.copy()
    with pytest.raises(ValueError, match=rf"holds a result of tl\.{other}, which tl\.{verb} would replace"):
        run(explored, verb, key_added=other)
    explored.uns["mine"] = [1, 2]
    with pytest.raises(ValueError, match=r"holds something else \(list\).*del adata\.uns\['mine'\]"):
        run(explored, verb, key_added="mine")
    del explored.uns["mine"]
    same(explored, before)


@pytest.mark.parametrize(
    ("verb", "place", "name"),
    [
        ("fit_mil", "obsm", "X_pca"),
        ("regulons", "obsm", "X_pca"),
        ("shap", "obsm", "X_pca"),
        ("shap", "obsm", "X_pca_by_class"),
        ("fit_mil", "obs", "pca_attention"),
        ("top_cells", "obs", "pca"),
    ],
)
def test_arrays_that_it_has_not_written_are_not_replaced(explored, verb, place, name):
    values = np.ones(explored.n_obs) if place == "obs" else np.ones((explored.n_obs, 2))
    getattr(explored, place)[name] = values
    with pytest.raises(ValueError, match=rf"adata\.{place}\['{name}'\] is there, which tl\.{verb} did not write"):
        run(explored, verb, key_added="pca")


@pytest.mark.parametrize("verb", sorted(OF_FIT))
def test_a_wrong_key_names_the_fits_that_are_there(explored, verb):
    with pytest.raises(KeyError, match=r"has no fit 'other'; fits here: \['tcellmil'\]; pass key='tcellmil'"):
        run(explored, verb, key="other")
    with pytest.raises(TypeError, match="key must be the name of a fit"):
        run(explored, verb, key=["tcellmil"])


GETTERS = sorted(set(OF_FIT) - {"top_cells"})


@pytest.mark.parametrize("verb", GETTERS)
def test_tables_of_an_earlier_fit_are_not_served(explored, verb):
    getattr(tm.get, verb)(explored)
    explored.obs["response"] = explored.obs["response"].cat.rename_categories({"R": "NR", "NR": "R"})
    tm.tl.fit_mil(explored, "patient", "response", cv=3, training={"max_epochs": 2}, n_boot=20, progress=False)
    with pytest.raises(ValueError, match=rf"is of another fit than .*run tl\.{verb}\(adata.*again"):
        getattr(tm.get, verb)(explored)
    del explored.uns["tcellmil"]
    with pytest.raises(ValueError, match="belongs to the fit 'tcellmil', which is gone; there is no fit here"):
        getattr(tm.get, verb)(explored)


def test_the_same_fit_again_keeps_its_tables(explored):
    fit = {"cv": 3, "n_seeds": 2, "training": {"max_epochs": 2}, "n_boot": 20, "progress": False}
    before = tm.get.perturb(explored)
    tm.tl.fit_mil(explored, "patient", "response", **fit)
    pd.testing.assert_frame_equal(tm.get.perturb(explored), before)


@pytest.mark.parametrize("verb", [*GETTERS, "batch_effect", "benchmark", "regulators"])
def test_tables_of_earlier_scores_are_not_served(explored, verb):
    net = explored.uns["regulons"]["targets"].iloc[5:]
    tm.tl.regulons(explored, net=net)
    with pytest.raises(ValueError, match="other regulon scores than those that are in 'X_regulons' now; run tl"):
        getattr(tm.get, verb)(explored)


@pytest.mark.parametrize("verb", ["perturb", "shap", "attention_stability", "permutation_test"])
def test_scores_that_changed_are_not_explained(explored, verb):
    del explored.uns[place_of(verb)]
    explored.obsm.pop("X_tcellmil_shap", None)
    tm.tl.regulons(explored, net=explored.uns["regulons"]["targets"].iloc[5:])
    with pytest.raises(ValueError, match="have been scored anew since the model was fitted; fit it again"):
        run(explored, verb)


def test_values_of_other_classes_do_not_stay_behind(explored):
    explored.obsm["X_tcellmil_shap_by_class"] = np.ones((explored.n_obs, 3, 3))
    tm.tl.shap(explored, background=60, progress=False)
    assert "X_tcellmil_shap_by_class" not in explored.obsm


@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_a_class_with_a_slash_is_stored_and_read(make_cohort, fit_quickly, tmp_path, form, assert_same):
    import anndata as ad

    adata = make_cohort(classes=("SD/PD", "CR/PR"))
    fit_quickly(adata)
    methods = {"methods": ["gaussian_nb"], "use_reps": "X_regulons", "cv": 2}
    tm.tl.benchmark(adata, "patient", "response", **methods, n_boot=20, n_permutations=20, progress=False)
    getattr(adata, f"write_{form}")(tmp_path / f"a.{form}")
    back = getattr(ad, f"read_{form}")(tmp_path / f"a.{form}")
    table = tm.get.predictions(back)
    assert {"prob_CR/PR", "prob_SD/PD"} <= set(table)
    assert_same(table, tm.get.predictions(adata), check_dtype=False)
    assert "prob_CR/PR" in tm.get.benchmark(back, "predictions")
    tm.tl.perturb(back, progress=False)
    assert tm.get.perturb(back, "stats")["target_class"].unique().tolist() == ["SD/PD"]


def test_no_name_of_the_user_is_a_name_in_what_is_stored(make_cohort, fit_quickly):
    adata = make_cohort(classes=("SD/PD", "CR/PR"))
    fit_quickly(adata, "cohort")
    adata.obs["cell_type"] = adata.obs["cell_type"].replace({"T": "T/NK"})
    tm.tl.attention_enrichment(adata, "cell_type", n_permutations=10)
    tm.tl.perturb(adata, progress=False)

    def names(value):
        if isinstance(value, pd.DataFrame):
            yield from value.columns
        elif isinstance(value, dict):
            yield from value
            for part in value.values():
                yield from names(part)

    assert not [name for name in names(dict(adata.uns)) if "/" in str(name)]


def test_a_class_that_would_take_the_column_of_the_spread_is_refused(make_cohort, fit_quickly):
    with pytest.raises(ValueError, match="class 'sd'.*rename the class"):
        fit_quickly(make_cohort(classes=("pd", "sd")))


def test_predictions_do_not_replace_a_fit(fitted, make_cohort):
    new = make_cohort(prefix="N")
    tm.tl.predict(new, fitted)
    assert verb_of(new.uns["tcellmil"]) == "predict"
    with pytest.raises(ValueError, match=r"holds a result of tl\.fit_mil, which tl\.predict would replace"):
        tm.tl.predict(fitted, fitted)
    with pytest.raises(KeyError, match=r"holds no fitted model \(tl.predict leaves predictions only\)"):
        tm.tl.perturb(new)


def test_a_fit_does_not_replace_what_it_reads(fitted, fit_quickly):
    with pytest.raises(ValueError, match="key_added='tcellmil' would overwrite use_rep='X_tcellmil'"):
        fit_quickly(fitted, use_rep="X_tcellmil")
    fit_quickly(fitted, use_rep="X_tcellmil", key_added="again")
