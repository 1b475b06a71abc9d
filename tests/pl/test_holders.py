"""Pictures of a MuData, and of an AnnData from which patients were left out after the fit."""

import numpy as np
import pytest

import tcellmil as tm

#: Pictures of results that a MuData cannot hold: their verbs take a modality.
OF_ONE_MODALITY = {"grn", "prune", "benchmark", "batch_effect", "rank_expression", "match_bulk"}
OF_ONE_MODALITY |= {"confusion", "generated", "c2s_training"}
ARGUMENTS = {
    "attention": {"basis": "prot:pca", "groupby": "cell_type"},
    "regulon_heatmap": {"groupby": "cell_type"},
    "regulons": {"groupby": "response"},
    "shap": {"n_top": 3},
}


@pytest.fixture(scope="module")
def explained_mudata(fitted_mudata_once, run_explanations):
    mdata = fitted_mudata_once.copy()
    run_explanations(mdata)
    return mdata


@pytest.mark.slow
@pytest.mark.parametrize("drawn", sorted(set(tm.pl.__all__) - OF_ONE_MODALITY - {"risk_groups", "configurations"}))
def test_every_picture_of_a_fit_takes_a_mudata(explained_mudata, tmp_path, drawn):
    picture = getattr(tm.pl, drawn)
    axes = np.ravel(picture(explained_mudata, **ARGUMENTS.get(drawn, {}), show=False, save=tmp_path / "mudata.png"))
    assert all(ax.has_data() for ax in axes)


@pytest.mark.slow
def test_the_only_configuration_of_a_mudata_is_drawn(explained_mudata):
    left, right = tm.pl.configurations(explained_mudata, show=False)
    assert left.has_data() and "Nothing was chosen" in right.texts[0].get_text()


def test_patients_who_were_left_out_after_the_fit_are_no_error(complete, draw, tmp_path, name):
    here = complete[~complete.obs["patient"].isin(["P00", "P05", "P07"])]
    axes = draw(here, name, show=False, save=tmp_path / "subset.png")
    assert here.is_view and all(ax.has_data() for ax in axes)


def test_cells_of_patients_who_are_here_are_drawn_as_they_were(complete):
    left_out = complete.obs["patient"].isin(["P00", "P05", "P07"]).to_numpy()
    here = complete[~left_out].copy()
    ax = tm.pl.attention(here, "umap", show=False)
    assert ax.get_title() == f"n = 9 patients, {(~left_out).sum():,} cells"
    relative = tm.get.attention(complete)["relative"][~left_out]
    np.testing.assert_allclose(np.sort(ax.collections[-1].get_array()), np.sort(relative))
    assert tm.pl.regulon_heatmap(here, "patient", show=False).images[0].get_array().shape[1] == 9


def test_shap_on_an_embedding_is_of_the_cells_that_are_here(complete, draw):
    here = complete[complete.obs["patient"] != "P00"].copy()
    panels = draw(here, "shap on embedding", show=False)
    assert [len(panel.collections[0].get_offsets()) for panel in panels] == [here.n_obs] * 3
