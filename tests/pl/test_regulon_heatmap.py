"""Heatmap: the means of the getter, every regulon and group once, names that can be read."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.pl._panels import shorten


def build(n_regulons=6, n_groups=4, n_cells=240, seed=0, letters=12):
    rng = np.random.default_rng(seed)
    names = [f"TF{i:03d}(+)" for i in range(n_regulons)]
    groups = [f"group {i}".ljust(letters, "x") for i in range(n_groups)]
    code = np.arange(n_cells) % n_groups
    obs = pd.DataFrame(
        {"cluster": pd.Categorical(np.array(groups)[code], categories=groups)}, index=[f"c{i}" for i in range(n_cells)]
    )
    adata = ad.AnnData(np.ones((n_cells, 1), dtype=np.float32), obs=obs)
    centre = rng.beta(2, 8, size=(n_groups, n_regulons))
    adata.obsm["X_regulons"] = rng.normal(centre[code], 0.01).astype(np.float32)
    params = {"method": "aucell", "verb": "regulons"}
    adata.uns["regulons"] = {"names": np.array(names, dtype=object), "params": params}
    return adata


def images(axes):
    return [ax.images[0].get_array() for ax in np.ravel(axes)]


def rows(axes):
    return [text.get_text() for ax in np.ravel(axes) for text in ax.get_yticklabels()]


def columns(ax):
    return [text.get_text() for text in ax.get_xticklabels()]


def means(adata, group):
    cells = (adata.obs["cluster"] == group).to_numpy()
    return adata.obsm["X_regulons"][cells].astype(float).mean(axis=0)


def test_colours_are_the_means_over_the_cells_of_each_group():
    adata = build()
    ax = tm.pl.regulon_heatmap(adata, "cluster", show=False)
    assert columns(ax) == list(adata.obs["cluster"].cat.categories)
    for column, group in enumerate(columns(ax)):
        expected = dict(zip(adata.uns["regulons"]["names"], means(adata, group), strict=True))
        np.testing.assert_allclose(images(ax)[0][:, column], [expected[name] for name in rows(ax)])
    assert ax.get_title(loc="left") == "6 regulons\n4 groups, 240 cells"


def test_regulons_follow_the_group_in_which_they_are_most_active():
    adata = build(n_regulons=20)
    ax = tm.pl.regulon_heatmap(adata, "cluster", show=False)
    image = np.asarray(images(ax)[0])
    order = [(column, -value) for column, value in zip(image.argmax(axis=1), image.max(axis=1), strict=True)]
    assert order == sorted(order)


def test_standardised_over_groups_and_what_does_not_vary_is_zero():
    adata = build()
    adata.obsm["X_regulons"][:, 2] = 0.125
    table = tm.get.regulons(adata, groupby="cluster", standardised=True)
    raw = np.array([means(adata, group) for group in table.index])
    expected = (raw - raw.mean(axis=0)) / np.where(np.arange(6) == 2, 1, raw.std(axis=0))
    np.testing.assert_allclose(table, expected, atol=1e-9)
    assert (table["TF002(+)"] == 0).all()
    ax = tm.pl.regulon_heatmap(adata, "cluster", standardised=True, show=False)
    np.testing.assert_allclose(images(ax)[0], table[rows(ax)].T)
    low, high = ax.images[0].get_clim()
    assert low == -high and high == pytest.approx(np.abs(expected).max())


def test_chosen_regulons_keep_their_order_and_the_top_differ_most():
    adata = build(n_regulons=30)
    wanted = ["TF007(+)", "TF001(+)", "TF020(+)"]
    assert rows(tm.pl.regulon_heatmap(adata, "cluster", wanted, show=False)) == wanted
    ax = tm.pl.regulon_heatmap(adata, "cluster", n_top=5, show=False)
    spread = tm.get.regulons(adata, groupby="cluster").std().sort_values(ascending=False)
    assert set(rows(ax)) == set(spread.index[:5])
    assert ax.get_title(loc="left").startswith("5 of 30 regulons")


def test_cells_and_activities_that_are_missing_are_left_out():
    adata = build()
    adata.obs.loc[adata.obs_names[:100], "cluster"] = None
    adata.obsm["X_regulons"][(adata.obs["cluster"] == "group 1xxxxx").to_numpy(), 0] = np.nan
    adata.obsm["X_regulons"][101, 1] = np.nan
    table = tm.get.regulons(adata, groupby="cluster")
    assert table.isna().to_numpy().sum() == 1 and np.isnan(table.loc["group 1xxxxx", "TF000(+)"])
    ax = tm.pl.regulon_heatmap(adata, "cluster", show=False)
    assert np.ma.masked_invalid(images(ax)[0]).mask.sum() == 1
    assert ax.get_title(loc="left").endswith("4 groups, 140 cells")


@pytest.mark.parametrize(
    ("n_regulons", "n_groups", "letters", "font_size"),
    [
        (1, 1, 8, 10),
        (1, 60, 30, 14),
        (30, 2, 2, 10),
        (31, 14, 12, 14),
        (400, 2, 8, 10),
        (400, 60, 40, 14),
        (90, 60, 30, 10),
    ],
)
def test_names_can_be_read_and_none_is_cut(n_regulons, n_groups, letters, font_size):
    adata = build(n_regulons, n_groups, letters=letters)
    with plt.rc_context({"font.size": font_size}):
        axes = np.ravel(tm.pl.regulon_heatmap(adata, "cluster", show=False))
        figure = axes[0].figure
        figure.draw_without_rendering()
        inside = figure.get_tightbbox()
    assert len(rows(axes)) == n_regulons and columns(axes[0]) == [
        shorten(name, 28) for name in adata.obs["cluster"].cat.categories
    ]
    assert inside.x0 >= 0 and inside.x1 <= figure.get_figwidth()
    assert inside.y0 >= 0 and inside.y1 <= figure.get_figheight()
    for ax in axes:
        down = [text.get_window_extent() for text in ax.get_yticklabels()]
        along = [text.get_window_extent() for text in ax.get_xticklabels()]
        assert all(upper.y0 >= lower.y1 - 1 for upper, lower in zip(down, down[1:], strict=False))
        assert all(left.x1 <= right.x0 + 1 for left, right in zip(along, along[1:], strict=False))


def test_own_axes_take_the_rows_and_one_scale_of_colours():
    adata = build(n_regulons=10)
    mine = plt.subplots(1, 3)[1]
    axes = tm.pl.regulon_heatmap(adata, "cluster", ax=mine)
    assert axes.tolist() == mine.tolist() and [len(image) for image in images(axes)] == [4, 3, 3]
    assert len({ax.images[0].get_clim() for ax in axes}) == 1
    with pytest.raises(ValueError, match="ax holds 3 axes, but there are 2 regulons to draw"):
        tm.pl.regulon_heatmap(adata, "cluster", n_top=2, ax=mine)


def test_modalities_whose_cells_are_in_another_order(make_mudata):
    mdata = make_mudata()
    table = tm.get.regulons(mdata, groupby="cell_type")
    scores = mdata.mod["regulons"].to_df()
    groups = mdata.obs["cell_type"].reindex(scores.index)
    np.testing.assert_allclose(table, scores.astype(float).groupby(groups.to_numpy()).mean(), rtol=1e-6)
    ax = tm.pl.regulon_heatmap(mdata, "cell_type", show=False)
    assert columns(ax) == ["B", "NK", "T"] and len(rows(ax)) == 6


@pytest.mark.parametrize(
    ("groupby", "options", "error", "message"),
    [
        ("cluster", {"result_key": "absent"}, KeyError, r"run tl.regulons\(adata, key_added='absent'\) first"),
        ("cluster", {"regulons": "TF9"}, KeyError, r"regulons \['TF9'\] are not there"),
        ("cluster", {"n_top": 0}, ValueError, "n_top=0 must be a whole number of at least 1"),
        ("cell_type", {}, KeyError, "groupby='cell_type' is not a column of adata.obs"),
        ("cell", {}, ValueError, "groupby='cell' has 240 values; at most 100 groups can be drawn"),
        ("empty", {}, ValueError, "groupby='empty' has no values; no cell has a group"),
    ],
)
def test_bad_input_is_named_and_opens_no_figure(groupby, options, error, message):
    adata = build()
    adata.obs["cell"], adata.obs["empty"] = adata.obs_names, np.nan
    with pytest.raises(error, match=message):
        tm.pl.regulon_heatmap(adata, groupby, **options)
    assert not plt.get_fignums()


def test_options_of_the_table_that_exclude_each_other_are_named():
    adata = build()
    with pytest.raises(ValueError, match="as_anndata=True is of cells; leave it out with groupby='cluster'"):
        tm.get.regulons(adata, as_anndata=True, groupby="cluster")
    with pytest.raises(ValueError, match="standardised=True is over groups of cells; name them with groupby="):
        tm.get.regulons(adata, standardised=True)
