"""Violins of activity: every regulon once, from the lowest mean to the highest, as wide as its density."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from scipy.stats import gaussian_kde

import tcellmil as tm
from tcellmil.pl._palette import class_colors
from tcellmil.pl._panels import shorten

LONG = "ZNF385D_extended_with_a_very_long_name_of_a_regulon(+)"
RESPONSES = ("complete response", "partial response", "stable disease", "progressive disease", "not evaluable")


def build(n_regulons=12, classes=("NR", "R"), n_cells=120, seed=0):
    rng = np.random.default_rng(seed)
    names = [LONG, *(f"TF{i:03d}(+)" for i in range(1, n_regulons))]
    obs = pd.DataFrame(
        {"response": pd.Categorical(np.array(classes)[np.arange(n_cells) % len(classes)], categories=classes)},
        index=[f"c{i}" for i in range(n_cells)],
    )
    adata = ad.AnnData(np.ones((n_cells, 1), dtype=np.float32), obs=obs)
    scores = rng.beta(2, rng.uniform(4, 40, n_regulons), size=(n_cells, n_regulons))
    adata.obsm["X_regulons"] = scores.astype(np.float32)
    adata.uns["regulons"] = {"names": np.array(names, dtype=object), "params": {"method": "aucell", "verb": "regulons"}}
    return adata


def names_of(axes):
    return [text.get_text() for ax in np.ravel(axes) for text in ax.get_yticklabels()]


def outline(polygons):
    """Places along the axis, and how far the violin goes to both sides there."""
    vertices = polygons.get_paths()[0].vertices
    places = np.unique(vertices[:, 0])
    return places, np.array([np.ptp(vertices[vertices[:, 0] == x, 1]) for x in places])


@pytest.mark.parametrize("n_regulons", [2, 12, 300])
def test_every_regulon_is_drawn_once_from_the_lowest_mean_to_the_highest(n_regulons):
    adata = build(n_regulons)
    axes = tm.pl.regulons(adata, show=False)
    order = tm.get.regulons(adata).mean().sort_values().index
    assert names_of(axes) == [shorten(name, 28) for name in order]
    panels = np.ravel(axes)
    assert len(panels) == (1 if n_regulons < 40 else 4)
    assert panels[0].get_title(loc="left") == f"{n_regulons} regulons\n120 cells"
    assert all(ax.get_xlabel() == "Activity (AUCell)" for ax in panels)


def test_a_violin_is_the_kernel_density_of_the_cells():
    adata = build(1, n_cells=3000)
    ax = tm.pl.regulons(adata, show=False)
    values = adata.obsm["X_regulons"][:, 0].astype(float)
    places, width = outline(ax.collections[0])
    expected = gaussian_kde(values)(places)
    inside = places > values.min() + 0.05  # at the edge, mass is reflected
    np.testing.assert_allclose((width / width.max())[inside], (expected / expected.max())[inside], atol=0.02)
    assert values.min() <= places.min() and places.max() <= values.max()


def test_ticks_are_the_means():
    adata = build(5)
    ax = tm.pl.regulons(adata, show=False)
    means = np.sort(tm.get.regulons(adata).mean())
    np.testing.assert_allclose([line.get_xdata()[0] for line in ax.lines], means, rtol=1e-5)
    assert [np.mean(line.get_ydata()) for line in ax.lines] == pytest.approx(range(5))


def test_two_groups_are_the_halves_of_a_violin():
    adata = build(3)
    ax = tm.pl.regulons(adata, groupby="response", show=False)
    colors, scores = class_colors(["NR", "R"]), tm.get.regulons(adata)
    scores = scores[scores.mean().sort_values().index]
    halves = [(row, name) for row in range(3) for name in colors]
    for (row, name), half, tick in zip(halves, ax.collections, ax.lines, strict=True):
        heights = half.get_paths()[0].vertices[:, 1] - row
        assert (heights <= 1e-9).all() if name == next(iter(colors)) else (heights >= -1e-9).all()
        assert to_hex(half.get_facecolor()[0]) == to_hex(colors[name])
        of_group = scores.iloc[(adata.obs["response"] == name).to_numpy(), row]
        assert tick.get_xdata()[0] == pytest.approx(of_group.mean(), rel=1e-5)
    (legend,) = ax.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["R, 60 cells", "NR, 60 cells"]


def test_more_groups_have_a_violin_each_which_do_not_overlap():
    ax = tm.pl.regulons(build(2, RESPONSES), groupby="response", show=False)
    spans = [np.sort(violin.get_paths()[0].vertices[:, 1])[[0, -1]] for violin in ax.collections]
    assert len(spans) == 10
    assert all(one[1] <= other[0] + 1e-9 for one, other in zip(spans, spans[1:], strict=False))


def test_n_top_takes_those_that_differ_most_between_cells():
    adata = build(30)
    ax = tm.pl.regulons(adata, n_top=4, show=False)
    scores = tm.get.regulons(adata)
    most = scores[scores.std().nlargest(4).index]
    assert names_of(ax) == [shorten(name, 28) for name in most.mean().sort_values().index]
    assert ax.get_title(loc="left").startswith("4 of 30 regulons")


def test_chosen_regulons_are_drawn_once_each():
    ax = tm.pl.regulons(build(), ["TF003(+)", "TF001(+)", "TF003(+)"], show=False)
    assert sorted(names_of(ax)) == ["TF001(+)", "TF003(+)"]
    assert names_of(tm.pl.regulons(build(), "TF002(+)", show=False)) == ["TF002(+)"]


def test_cells_without_a_group_are_left_out():
    adata = build(3)
    adata.obs.loc[adata.obs_names[:20], "response"] = np.nan
    ax = tm.pl.regulons(adata, groupby="response", show=False)
    assert ax.get_title(loc="left").endswith("100 cells")


def test_missing_scores_and_scores_that_are_all_the_same_are_drawn():
    adata = build(3)
    adata.obsm["X_regulons"][:, 1] = 0.25
    adata.obsm["X_regulons"][:5, 2] = np.nan
    ax = tm.pl.regulons(adata, show=False)
    constant = names_of(ax).index("TF001(+)")
    places, width = outline(ax.collections[constant])
    assert places == pytest.approx(0.25) and width == pytest.approx(0)
    with_missing = names_of(ax).index("TF002(+)")
    expected = np.nanmean(adata.obsm["X_regulons"][:, 2])
    assert ax.lines[with_missing].get_xdata()[0] == pytest.approx(expected, rel=1e-5)


def test_violins_are_spread_over_the_axes_that_are_given():
    adata = build(5)
    _, mine = plt.subplots(1, 2)
    axes = tm.pl.regulons(adata, ax=mine, groupby="response")
    assert axes.tolist() == mine.tolist() and [len(names_of(ax)) for ax in axes] == [3, 2]
    assert isinstance(tm.pl.regulons(adata, ax=plt.subplots()[1]), Axes)
    with pytest.raises(ValueError, match="ax holds 6 axes, but there are 5 regulons to draw"):
        tm.pl.regulons(adata, ax=plt.subplots(1, 6)[1])


@pytest.mark.parametrize("font_size", [10, 14])
@pytest.mark.parametrize(("n_regulons", "classes"), [(1, ("NR", "R")), (20, RESPONSES), (80, ("NR", "R"))])
def test_no_text_is_cut_by_the_edge_of_the_figure(n_regulons, classes, font_size):
    with plt.rc_context({"font.size": font_size, "axes.titlesize": font_size}):
        axes = tm.pl.regulons(build(n_regulons, classes), groupby="response", show=False)
        figure = np.ravel(axes)[0].figure
        figure.canvas.draw()
        inside = figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.y0 >= 0
    assert inside.x1 <= figure.get_figwidth() and inside.y1 <= figure.get_figheight()


@pytest.mark.parametrize("n_regulons", [2, 40, 300])
def test_names_do_not_overlap(n_regulons):
    axes = np.ravel(tm.pl.regulons(build(n_regulons), show=False))
    axes[0].figure.canvas.draw()
    for ax in axes:
        boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
        assert all(upper.y0 >= lower.y1 - 1 for upper, lower in zip(boxes, boxes[1:], strict=False))


def test_drawing_changes_nothing_in_adata():
    adata = build()
    before = adata.copy()
    tm.pl.regulons(adata, groupby="response", show=False)
    np.testing.assert_array_equal(adata.obsm["X_regulons"], before.obsm["X_regulons"])
    pd.testing.assert_frame_equal(adata.obs, before.obs)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"result_key": "absent"}, KeyError, r"run tl.regulons\(adata, key_added='absent'\) first"),
        ({"regulons": ["TF9", "TF001(+)"]}, KeyError, r"regulons \['TF9'\] are not there; there are \['ZNF"),
        ({"regulons": []}, KeyError, r"regulons \[\] are not there"),
        ({"n_top": 0}, ValueError, "n_top=0 must be a whole number of at least 1"),
        ({"groupby": "cell_type"}, KeyError, "groupby='cell_type' is not a column of adata.obs"),
        ({"groupby": "cell"}, ValueError, "groupby='cell' has 120 values; 1 to 8 groups can be drawn"),
        ({"groupby": "empty"}, ValueError, "groupby='empty' has no values; no cell has a group"),
    ],
)
def test_bad_input_is_named_and_opens_no_figure(options, error, message):
    adata = build()
    adata.obs["cell"], adata.obs["empty"] = adata.obs_names, np.nan
    with pytest.raises(error, match=message):
        tm.pl.regulons(adata, **options)
    assert not plt.get_fignums()
