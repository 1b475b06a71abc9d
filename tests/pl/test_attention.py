"""Attention: relative to uniform, grouped by anything, coloured so that a few cells do not hide the rest."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tcellmil as tm


def _names(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def _legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def _points(ax):
    return ax.collections[-1]


def test_embedding_shows_relative_attention_of_every_cell_at_its_place(cohort):
    adata = cohort(n_patients=8, n_regulons=2)
    points = _points(tm.pl.attention(adata, "umap", show=False))
    drawn = sorted(zip(*points.get_offsets().data.T.tolist(), points.get_array().tolist(), strict=True))
    relative = tm.get.attention(adata)["relative"]
    expected = sorted(zip(*adata.obsm["X_umap"].T.tolist(), relative.tolist(), strict=True))
    np.testing.assert_allclose(drawn, expected)


def test_any_key_of_obsm_is_an_embedding(cohort):
    adata = cohort(n_patients=8, n_regulons=2)
    adata.obsm["latent"] = np.column_stack([adata.obsm["X_umap"], np.zeros(adata.n_obs)])
    assert tm.pl.attention(adata, "latent", show=False).get_xlabel() == "latent 1"
    assert tm.pl.attention(adata, "X_umap", show=False).get_xlabel() == "UMAP 1"
    with pytest.raises(KeyError, match="basis='tsne' is not in adata.obsm; there are.*X_umap"):
        tm.pl.attention(adata, "tsne", show=False)
    adata.obsm["line"] = np.zeros((adata.n_obs, 1))
    with pytest.raises(ValueError, match="has 1 column"):
        tm.pl.attention(adata, "line", show=False)


def test_a_heavy_tail_does_not_use_up_the_colours(cohort):
    adata = cohort(n_patients=8, n_regulons=2, tail=2.5)
    norms = {scale: _points(tm.pl.attention(adata, "umap", color_scale=scale, show=False)) for scale in ("log", "rank")}
    for points in norms.values():
        shades = np.ptp(np.quantile(points.norm(points.get_array()).data, [0.2, 0.8]))
        assert shades > 0.2
    linear = _points(tm.pl.attention(adata, "umap", color_scale="linear", show=False))
    assert np.ptp(np.quantile(linear.norm(linear.get_array()).data, [0.2, 0.8])) < 0.05


def test_log_colours_are_centred_on_uniform(cohort):
    norm = _points(tm.pl.attention(cohort(n_patients=8, n_regulons=2), "umap", show=False)).norm
    assert norm(1.0) == pytest.approx(0.5)


def test_cells_that_were_never_held_out_are_grey_and_named(cohort):
    adata = cohort(n_patients=8, n_regulons=2)
    out = (adata.obs["patient"] == "P03").to_numpy()
    adata.obs.loc[out, "tcellmil_attention"] = np.nan
    ax = tm.pl.attention(adata, "umap", show=False)
    assert _legend(ax) == ["never held out"]
    assert [len(c.get_offsets()) for c in ax.collections] == [out.sum(), (~out).sum()]
    assert ax.get_title() == f"n = 7 patients, {(~out).sum():,} cells"


def test_larger_cohorts_get_smaller_points(cohort):
    few, many = (cohort(n_patients=n, n_regulons=2, cells=(50, 51)) for n in (6, 60))
    sizes = [_points(tm.pl.attention(adata, "umap", show=False)).get_sizes()[0] for adata in (few, many)]
    assert sizes[0] > sizes[1]


def test_groups_are_in_the_order_of_their_median(cohort):
    adata = cohort(n_patients=12, n_regulons=2)
    relative = tm.get.attention(adata)["relative"]
    medians = relative.groupby(adata.obs["cell_type"].to_numpy()).median().sort_values(ascending=False)
    assert _names(tm.pl.attention(adata, groupby="cell_type", show=False)) == medians.index.tolist()


def test_boxes_are_split_by_label_with_the_medians_of_the_table(cohort):
    adata = cohort(n_patients=12, n_regulons=2)
    ax = tm.pl.attention(adata, groupby="cell_type", show=False)
    table = tm.get.attention(adata).assign(group=adata.obs["cell_type"].to_numpy())
    expected = table.groupby(["group", "label"])["relative"].median()
    assert len(ax.patches) == len(expected) == 10
    drawn = [line.get_xdata()[0] for line in ax.lines if line.get_color() == "black" and len(line.get_xdata()) == 2]
    assert set(np.round(expected, 9)) <= set(np.round(drawn, 9))


def test_legend_counts_patients_and_cells_of_each_label(cohort):
    adata = cohort(n_patients=13, n_regulons=2, n_unlabelled=2)
    table = tm.get.attention(adata)
    n = table["label"].value_counts()
    assert _legend(tm.pl.attention(adata, groupby="cell_type", show=False)) == [
        f"R, n = 5 patients, {n['R']:,} cells",
        f"NR, n = 6 patients, {n['NR']:,} cells",
        f"unlabelled, n = 2 patients, {n['']:,} cells",
    ]


def test_without_basis_and_groupby_cells_are_grouped_by_label(cohort):
    assert set(_names(tm.pl.attention(cohort(n_patients=8, n_regulons=2), show=False))) == {"NR", "R"}


def test_a_group_of_one_label_has_one_box_of_full_height(cohort):
    ax = tm.pl.attention(cohort(n_patients=6, n_regulons=2), groupby="patient", show=False)
    heights = [np.ptp(box.get_path().vertices[:, 1]) for box in ax.patches]
    assert len(heights) == 6 and min(heights) > 0.6


def test_cells_without_a_group_are_left_out(cohort):
    adata = cohort(n_patients=6, n_regulons=2)
    adata.obs.loc[adata.obs["cell_type"] == "B", "cell_type"] = np.nan
    assert "B" not in _names(tm.pl.attention(adata, groupby="cell_type", show=False))


def test_more_classes_than_the_palette_has_keep_colours_apart(cohort):
    classes = tuple(f"class{i}" for i in range(9))
    ax = tm.pl.attention(cohort(n_patients=18, classes=classes, n_regulons=2), show=False)
    assert len({patch.get_facecolor() for patch in ax.get_legend().get_patches()}) == 9


def test_bad_arguments_are_named(cohort):
    adata = cohort(n_patients=6, n_regulons=2)
    with pytest.raises(KeyError, match="groupby='cluster' is not a column"):
        tm.pl.attention(adata, groupby="cluster", show=False)
    with pytest.raises(ValueError, match="color_scale='sqrt' is not known"):
        tm.pl.attention(adata, "umap", color_scale="sqrt", show=False)
    adata.obs["depth"] = np.arange(adata.n_obs)
    with pytest.raises(ValueError, match=f"'depth' has {adata.n_obs} values; at most 100 groups"):
        tm.pl.attention(adata, groupby="depth", show=False)


@pytest.mark.parametrize("picture", [tm.pl.attention, tm.pl.batch_effect])
def test_an_embedding_keeps_its_aspect_however_many_groups(cohort, complete, picture):
    shapes = []
    for n in (2, 14, 40):
        if picture is tm.pl.attention:
            adata = cohort(n_patients=8, n_regulons=2, cell_types=[f"cluster {i}" for i in range(n)])
            axes = picture(adata, "umap", "cell_type", show=False)
        else:
            adata = complete.copy()
            adata.obs["cell_type"] = [f"batch {i % n}" for i in range(adata.n_obs)]
            axes = picture(adata, "umap", show=False)
        axes[0].figure.draw_without_rendering()
        box = axes[0].get_window_extent()
        shapes.append((box.height / box.width, box.width / axes[0].figure.dpi))
    ratios, widths = np.array(shapes).T
    np.testing.assert_allclose(ratios, 0.9, rtol=1e-6)
    assert widths.min() > 2


def test_the_bar_of_colours_is_as_tall_as_the_embedding_not_as_the_groups(cohort):
    adata = cohort(n_patients=8, n_regulons=2, cell_types=[f"cluster {i}" for i in range(40)])
    axes = tm.pl.attention(adata, "umap", "cell_type", show=False)
    axes[0].figure.draw_without_rendering()
    panel, (bar,) = axes[0].get_window_extent(), axes[0].child_axes
    box = bar.get_window_extent()
    assert panel.y0 <= box.y0 and box.y1 <= panel.y1 and box.x0 > panel.x1 and box.x1 < axes[1].get_tightbbox().x0


def test_on_own_axes_the_bar_of_colours_does_not_leave_its_panel(cohort):
    figure, axes = plt.subplots(1, 2, figsize=(12, 4))
    end = axes[0].get_window_extent().x1
    tm.pl.attention(cohort(n_patients=8, n_regulons=2), "umap", "cell_type", ax=axes)
    figure.draw_without_rendering()
    (bar,) = [ax for ax in figure.axes if ax not in axes]
    assert axes[0].get_window_extent().x1 < bar.get_window_extent().x0 and bar.get_window_extent().x1 <= end + 1


def test_an_embedding_of_a_modality_is_drawn_where_its_cells_are(fitted_mudata):
    ax = tm.pl.attention(fitted_mudata, "prot:pca", show=False)
    held = fitted_mudata.mod["prot"]
    at = dict(zip(held.obs_names, held.obsm["X_pca"].tolist(), strict=True))
    relative = tm.get.attention(fitted_mudata)["relative"]
    drawn = sorted(zip(*_points(ax).get_offsets().data.T.tolist(), _points(ax).get_array().tolist(), strict=True))
    np.testing.assert_allclose(drawn, sorted((*at[cell], value) for cell, value in relative.items()), rtol=1e-6)
    with pytest.raises(KeyError, match=r"basis='pca' is not in adata.obsm.*write 'rna:pca' or 'prot:pca'"):
        tm.pl.attention(fitted_mudata, "pca", show=False)
