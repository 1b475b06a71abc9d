"""Regulons where the tables put them, coloured and shaped as the tables say, and named without overlap."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import tcellmil as tm
from tcellmil.pl._labels import label_points
from tcellmil.pl._palette import BLUE, GREY
from tcellmil.pl._panels import shorten


@pytest.fixture
def explained(cohort):
    """The cohort, with SHAP and correlations as their verbs write them."""

    def make(n_regulons=40, n_patients=12, seed=0, **options):
        adata = cohort(n_patients=n_patients, n_regulons=n_regulons, n_replicas=1, **options)
        rng = np.random.default_rng(seed)
        stats = adata.uns["tcellmil_perturbation"]["stats"]
        names, target = stats["regulon"].unique(), stats["target_class"].iloc[0]
        p = rng.choice([0.001, 0.5], (3, len(names)))
        shap = {
            "regulon": names,
            "n_patients": n_patients,
            "mean_difference": 0.0,
            "weighted_difference": rng.standard_t(3, len(names)) * 1e-3,
            "median_abs": 1e-3,
            "weighted_abs": 1e-3,
            "statistic": 1.0,
            "p": p[0],
            "padj": p[0],
        }
        adata.uns["tcellmil_shap"] = {"stats": pd.DataFrame(shap), "params": {"target_class": target, "verb": "shap"}}
        correlation = {"regulon": names, "tau_within": rng.normal(0, 0.2, len(names)), "tau_within_padj": p[1]}
        correlation |= {"rho_within": 0.1, "rho_within_padj": 0.5, "mixed_coef": 0.1, "mixed_padj": p[2]}
        adata.uns["tcellmil_attention_correlation"] = {
            "regulons": pd.DataFrame(correlation),
            "params": {"verb": "attention_correlation"},
        }
        return adata

    return make


def drawn_points(ax):
    """A row a point: where it is, and its colour and area."""
    rows = [
        (*xy, to_hex(points.get_facecolor()[0]).upper(), points.get_sizes()[0], len(points.get_paths()[0].vertices))
        for points in ax.collections
        for xy in points.get_offsets()
    ]
    return pd.DataFrame(rows, columns=["x", "y", "color", "area", "corners"]).sort_values(["x", "y"], ignore_index=True)


def drawn_labels(ax):
    """Boxes of the names that are drawn, in pixels, after drawing."""
    ax.figure.canvas.draw()
    names = [text for text in ax.texts if text.get_visible()]
    return {text.get_text(): plt.Text.get_window_extent(text) for text in names}


@pytest.mark.parametrize("n_regulons", [2, 40, 300])
@pytest.mark.parametrize("test", ["mixed", "within"])
def test_points_colours_and_shapes_are_those_of_the_table(explained, n_regulons, test):
    adata = explained(n_regulons)
    ax = tm.pl.regulators(adata, test=test, show=False)
    table = tm.get.regulators(adata).reset_index().sort_values(["tau_within", "shap_difference"], ignore_index=True)
    points = drawn_points(ax)
    np.testing.assert_allclose(points["x"], table["tau_within"])
    np.testing.assert_allclose(points["y"], table["shap_difference"])
    padj = table["mixed_padj" if test == "mixed" else "tau_within_padj"]
    assert points["color"].tolist() == np.where(padj < 0.05, BLUE, GREY).tolist()
    assert (points["corners"] < 10).tolist() == (table["agreement"] == "discordant").tolist()
    assert (points["area"] < 20).tolist() == (table["agreement"] == "unclear").tolist()
    assert ax.get_title() == f"{n_regulons} regulons, means over 12 patients"
    assert ax.get_ylabel().startswith("SHAP difference for R\n")


def test_the_legend_names_the_test_and_the_threshold(explained):
    for options, text in [
        ({}, "adjusted p < 0.05 (over patients)"),
        ({"test": "mixed"}, "adjusted p < 0.05 (mixed model)"),
        ({"test": "mixed", "alpha": 0.01}, "adjusted p < 0.01 (mixed model)"),
    ]:
        (legend,) = tm.pl.regulators(explained(), show=False, **options).figure.legends
        assert text in [label.get_text() for label in legend.get_texts()]


def test_the_names_are_those_that_stand_out_on_both_axes(explained):
    adata = explained(300)
    ax = tm.pl.regulators(adata, n_top=8, show=False)
    table = tm.get.regulators(adata)
    ranks = table[["tau_within", "shap_difference"]].abs().rank().sum(axis=1)
    assert [text.get_text() for text in ax.texts] == [shorten(name, 24) for name in ranks.nlargest(8).index]
    assert not tm.pl.regulators(adata, n_top=0, show=False).texts


def test_chosen_regulons_are_named_instead(explained):
    adata = explained(40)
    ax = tm.pl.regulators(adata, regulons=["TF020(+)", "TF007(+)"], show=False)
    assert {text.get_text() for text in ax.texts} == {"TF020(+)", "TF007(+)"}
    assert [text.get_text() for text in tm.pl.regulators(adata, regulons="TF009(+)", show=False).texts] == ["TF009(+)"]
    with pytest.raises(KeyError, match=r"regulons \['TF999\(\+\)'\] have no place in the picture; there are"):
        tm.pl.regulators(adata, regulons=["TF020(+)", "TF999(+)"], show=False)


@pytest.mark.parametrize(("n_regulons", "n_top"), [(2, 2), (40, 12), (300, 12), (300, 60)])
def test_names_overlap_neither_each_other_nor_the_frame(explained, n_regulons, n_top):
    ax = tm.pl.regulators(explained(n_regulons), n_top=n_top, show=False)
    boxes = list(drawn_labels(ax).values())
    frame = ax.get_window_extent()
    assert len(boxes) >= min(n_top, 12)
    for i, box in enumerate(boxes):
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_names_are_placed_anew_when_the_figure_changes_its_size(explained):
    ax = tm.pl.regulators(explained(40), show=False)
    before = len(drawn_labels(ax))
    ax.figure.set_size_inches(3.2, 3.2)
    boxes = list(drawn_labels(ax).values())
    assert 0 < len(boxes) <= before
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])
    ax.figure.set_size_inches(8, 8)
    assert len(drawn_labels(ax)) == 12


def test_a_name_without_room_is_left_out_and_the_first_stays():
    ax = plt.figure(figsize=(2, 2)).add_subplot()
    points = np.full((30, 2), 0.5)
    ax.scatter(*points.T)
    label_points(ax, points, np.arange(30), [f"a rather long name {i}" for i in range(30)])
    labels = drawn_labels(ax)
    assert 0 < len(labels) < 30
    assert "a rather long name 0" in labels


def test_regulons_without_a_value_are_counted_and_not_drawn(explained):
    adata = explained(10)
    adata.uns["tcellmil_attention_correlation"]["regulons"].loc[3, "tau_within"] = np.nan
    adata.uns["tcellmil_attention_correlation"]["regulons"].loc[7, "mixed_padj"] = np.nan
    ax = tm.pl.regulators(adata, show=False)
    assert ax.get_title() == "9 regulons, 1 without a value, means over 12 patients"
    assert len(drawn_points(ax)) == 9


@pytest.mark.filterwarnings("ignore:tl.perturb:UserWarning")
def test_without_a_perturbation_no_shape_is_explained(explained):
    adata = explained(10)
    del adata.uns["tcellmil_perturbation"]
    ax = tm.pl.regulators(adata, show=False)
    assert set(drawn_points(ax)["area"]) == {11}
    assert len(ax.figure.legends[0].get_texts()) == 2


def test_long_names_many_classes_and_large_text_stay_inside_the_figure(explained):
    classes = ("complete response", "partial response", "stable disease", "progressive disease", "not evaluable")
    for font_size in (10, 14):
        with plt.rc_context({"font.size": font_size, "axes.titlesize": font_size}):
            figure = tm.pl.regulators(explained(6, 15, classes=classes), show=False).figure
            figure.canvas.draw()
            inside = figure.get_tightbbox()
        assert inside.x0 >= 0 and inside.y0 >= 0
        assert inside.x1 <= figure.get_figwidth() and inside.y1 <= figure.get_figheight()


def test_a_file_that_was_written_and_read_draws_the_same(explained, tmp_path):
    adata = explained(20)
    adata.write_h5ad(tmp_path / "result.h5ad")
    figures = [tm.pl.regulators(a, show=False).figure for a in (adata, ad.read_h5ad(tmp_path / "result.h5ad"))]
    for figure in figures:
        figure.canvas.draw()
    np.testing.assert_array_equal(*(figure.canvas.buffer_rgba() for figure in figures))


def test_it_draws_on_axes_that_are_given(explained):
    ax = plt.figure().add_subplot()
    assert tm.pl.regulators(explained(10), ax=ax) is ax
    assert ax.get_legend() is not None and len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("missing", "verb"),
    [("tcellmil_shap", "tl.shap"), ("tcellmil_attention_correlation", "tl.attention_correlation")],
)
def test_a_missing_table_names_its_verb_and_opens_no_figure(explained, missing, verb):
    adata = explained(5)
    del adata.uns[missing]
    with pytest.raises(KeyError, match=rf"run {verb}\(adata\) first"):
        tm.pl.regulators(adata, show=False)
    assert not plt.get_fignums()


def test_bad_options_are_named(explained):
    adata = explained(5)
    with pytest.raises(ValueError, match="n_top=-1 must be 0 or more"):
        tm.pl.regulators(adata, n_top=-1)
    with pytest.raises(ValueError, match="test='all' is not known; choose from 'mixed', 'within'"):
        tm.pl.regulators(adata, test="all")
    del adata.uns["tcellmil_attention_correlation"]["regulons"]["mixed_padj"]
    with pytest.raises(KeyError, match=r"no mixed models; run tl.attention_correlation\(..., mixed_model=True\)"):
        tm.pl.regulators(adata, test="mixed")
    assert tm.pl.regulators(adata, show=False).get_title().startswith("5 regulons")
