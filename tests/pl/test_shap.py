"""SHAP values: the right regulons in order, the values of the tables, colours around zero."""

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.pl._panels import shorten
from tcellmil.tl._explain._shap import _difference, _statistics


@pytest.fixture
def explained(cohort):
    """A cohort as tl.shap leaves it."""

    def build(n_patients=12, n_regulons=40, classes=("NR", "R"), level="bag", **kwargs):
        adata = cohort(n_patients=n_patients, classes=classes, n_regulons=n_regulons, n_replicas=1, **kwargs)
        rng = np.random.default_rng(0)
        names = adata.uns["tcellmil_perturbation"]["stats"]["regulon"].unique()
        patients = adata.uns["tcellmil"]["predictions"].index
        size = np.exp(rng.normal(-4, 1.5, n_regulons))
        table = pd.DataFrame(
            [(p, r, c) for p in patients for c in classes for r in names], columns=["patient", "regulon", "class"]
        )
        for column in ("mean", "weighted_mean", "weighted_abs", "total"):
            table[column] = rng.normal(0.3, 1, len(table)) * np.tile(size, len(table) // n_regulons)
        difference = _difference(table, classes, classes[-1])
        adata.uns["tcellmil_shap"] = {
            "patients": table,
            "difference": difference,
            "stats": _statistics(table[table["class"] == classes[-1]], difference, names, level),
            "params": {
                "level": level,
                "target_class": classes[-1],
                "output": "probability",
                "key": "tcellmil",
                "verb": "shap",
            },
        }
        adata.obsm["X_tcellmil_shap"] = rng.normal(size=(adata.n_obs, n_regulons)).astype(np.float32) * size.astype(
            np.float32
        )
        return adata

    return build


def names_of(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


@pytest.mark.parametrize("n_regulons", [2, 300])
@pytest.mark.parametrize("classes", [("NR", "R"), ("a", "b", "c", "d", "a class with a very long name indeed")])
def test_regulons_are_ordered_by_their_median_absolute_value(explained, n_regulons, classes):
    adata = explained(n_patients=15, n_regulons=n_regulons, classes=classes)
    ax = tm.pl.shap(adata, n_top=10, show=False)
    stats = tm.get.shap(adata, "stats").reset_index().sort_values("median_abs", ascending=False)
    assert names_of(ax) == [shorten(name) for name in stats["regulon"][:10]]
    assert len(ax.get_legend().get_texts()) == len(classes)


@pytest.mark.parametrize(("level", "summary"), [("bag", "total"), ("cell", "weighted_mean")])
def test_points_are_the_patients_of_each_label(explained, level, summary):
    adata = explained(level=level, n_regulons=3)
    ax = tm.pl.shap(adata, show=False)
    label = tm.get.predictions(adata)["label"]
    top = tm.get.shap(adata, "stats").reset_index().nlargest(1, "median_abs")["regulon"].iloc[0]
    table = tm.get.shap(adata, regulons=top).reset_index()
    table = table[table["class"] == "R"].set_index("patient")[summary]
    drawn = {tuple(np.round(points.get_offsets()[:, 0].data, 9)) for points in ax.collections}
    for group in ("R", "NR"):
        assert tuple(np.round(table[label[label == group].index], 9)) in drawn


def test_by_output_there_is_a_box_for_each_class_over_all_patients(explained):
    adata = explained(n_regulons=2)
    ax = tm.pl.shap(adata, by="output", show=False)
    assert len(ax.patches) == 4
    assert all(len(points.get_offsets()) == 12 for points in ax.collections)


def test_unlabelled_patients_have_boxes_of_their_own(explained):
    ax = tm.pl.shap(explained(n_regulons=2, n_unlabelled=3), show=False)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["R", "NR", "unlabelled"]


def test_cells_on_an_embedding_are_coloured_around_zero(explained):
    adata = explained(n_regulons=5)
    adata.obsm["X_tcellmil_shap"][:7] = np.nan
    axes = tm.pl.shap(adata, basis="umap", show=False)
    order = tm.get.shap(adata, "stats").reset_index().sort_values("median_abs", ascending=False)["regulon"][:3]
    assert [ax.get_title() for ax in axes] == [shorten(name) for name in order]
    for ax in axes:
        norm = ax.collections[0].norm
        assert norm.vmin == -norm.vmax and len(ax.collections[0].get_offsets()) == adata.n_obs - 7


def test_chosen_regulons_are_drawn(explained):
    adata = explained(n_regulons=30)
    assert names_of(tm.pl.shap(adata, regulons=["TF004(+)"], show=False)) == ["TF004(+)"]
    assert tm.pl.shap(adata, basis="umap", regulons="TF004(+)", show=False).get_title() == "TF004(+)"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_top": 0}, ValueError, r"n_top=0 must be a whole number of at least 1"),
        ({"by": "class"}, ValueError, r"by='class' is not known; choose from 'label', 'output'"),
        ({"summary": "median"}, ValueError, r"summary='median' is not known"),
        ({"basis": "tsne"}, KeyError, r"basis='tsne' is not in adata.obsm"),
        ({"regulons": "TBX21"}, KeyError, r"regulons \['TBX21'\] are not in the table"),
        ({"key": "other"}, KeyError, r"run tl.shap\(adata, key='other'\) first"),
    ],
)
def test_bad_input_is_named(explained, options, error, message):
    with pytest.raises(error, match=message):
        tm.pl.shap(explained(), show=False, **options)
