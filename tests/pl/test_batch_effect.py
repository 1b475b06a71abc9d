"""Batch effect: the indices of the table with their p, and embeddings in the colours of the batches."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

import tcellmil as tm

HOSPITAL = "University hospital with a very long name of a town, site number"


def build(n_batches=3, use_reps=("X_pca", "X_regulons"), n_cells=200, prefix="C", n_init=12):
    rng = np.random.default_rng(0)
    batch = rng.permutation(np.arange(n_cells) % n_batches)
    names = [f"{prefix}{i + 1}" for i in range(n_batches)]
    obs = pd.DataFrame(
        {"run": pd.Categorical([names[b] for b in batch], categories=names)}, index=[f"c{i}" for i in range(n_cells)]
    )
    adata = ad.AnnData(np.ones((n_cells, 2), dtype=np.float32), obs=obs)
    adata.obsm["X_umap"] = rng.normal(size=(n_cells, 2)) + 3 * batch[:, None]
    adata.obsm["X_umap_regulons"] = rng.normal(size=(n_cells, 2))
    others = list(use_reps[1:])
    adata.uns["batch_effect"] = {
        "ari": pd.DataFrame(
            {
                "representation": np.repeat(np.array(use_reps, dtype=object), n_init),
                "init": np.tile(np.arange(n_init), len(use_reps)),
                "ari": np.concatenate([rng.normal(0.5 - 0.1 * i, 0.03, n_init) for i in range(len(use_reps))]),
            }
        ),
        "tests": pd.DataFrame(
            {
                "reference": use_reps[0],
                "representation": others,
                "signed_rank_p": [0.0004, 0.03, np.nan][: len(others)],
                "signed_rank_padj": [0.0008, 0.04, np.nan][: len(others)],
            }
        ),
        "params": {"batch_key": "run", "verb": "batch_effect"},
    }
    return adata


@pytest.fixture
def adata():
    return build()


def test_points_are_the_indices_of_the_table_a_row_a_representation(adata):
    ax = tm.pl.batch_effect(adata, show=False)
    assert isinstance(ax, Axes)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["X_pca", "X_regulons"]
    assert ax.get_xlabel() == "Adjusted Rand index with run" and ax.get_title() == "12 initialisations of k-means"
    ari = tm.get.batch_effect(adata).reset_index()
    for row, (rep, points) in enumerate(zip(["X_pca", "X_regulons"], ax.collections, strict=True)):
        place = points.get_offsets()
        np.testing.assert_allclose(place[:, 0], ari.loc[ari["representation"] == rep, "ari"])
        assert (np.abs(place[:, 1] - row) < 0.25).all()


def test_one_comparison_shows_its_p_and_several_the_adjusted_one():
    assert [t.get_text() for t in tm.pl.batch_effect(build(), show=False).texts] == ["p = 4e-4"]
    texts = tm.pl.batch_effect(build(use_reps=("X_pca", "X_a", "X_b", "X_c")), show=False).texts
    assert [(t.get_text(), t.get_position()[1]) for t in texts] == [
        ("p = 8e-4", 1),
        ("p = 0.04", 2),
        ("no difference", 3),
    ]


def test_differences_between_indices_near_zero_look_small(adata):
    adata.uns["batch_effect"]["ari"]["ari"] /= 200
    low, high = tm.pl.batch_effect(adata, show=False).get_xlim()
    assert low < 0 and high >= 0.1


def test_one_representation_is_drawn_without_a_p():
    ax = tm.pl.batch_effect(build(use_reps=("X_regulons",)), show=False)
    assert len(ax.collections) == 1 and not ax.texts


def test_embeddings_stand_before_the_indices_in_the_colours_of_the_batches(adata):
    first, second, indices = tm.pl.batch_effect(adata, ("umap", "X_umap_regulons"), show=False)
    assert [ax.get_title() for ax in (first, second)] == ["umap", "umap_regulons"]
    assert indices.get_xlabel().startswith("Adjusted Rand index")
    (legend,) = first.figure.legends
    colors = {
        text.get_text(): to_hex(handle.get_color())
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    assert list(colors) == ["C1", "C2", "C3"]
    first.figure.canvas.draw()
    for ax, basis in ((first, "X_umap"), (second, "X_umap_regulons")):
        (points,) = ax.collections
        drawn = {
            tuple(place): to_hex(c) for place, c in zip(points.get_offsets(), points.get_facecolors(), strict=True)
        }
        for cell in (0, 17, 150):
            assert drawn[tuple(adata.obsm[basis][cell])] == colors[adata.obs["run"].iloc[cell]]


def test_cells_without_a_batch_are_grey(adata):
    adata.obs.loc[adata.obs_names[:9], "run"] = np.nan
    grey, coloured = tm.pl.batch_effect(adata, "umap", show=False)[0].collections
    assert len(grey.get_offsets()) == 9 and len(coloured.get_offsets()) == 191


def test_own_axes_are_drawn_on_with_a_legend_of_their_own(adata):
    _, mine = plt.subplots(1, 2)
    axes = tm.pl.batch_effect(adata, "umap", ax=mine)
    assert axes.tolist() == mine.tolist() and axes[0].get_legend() is not None and not axes[0].figure.legends
    with pytest.raises(ValueError, match="3 panels, but ax holds 2 axes"):
        tm.pl.batch_effect(adata, ["umap", "umap_regulons"], ax=mine)


@pytest.mark.parametrize("font_size", [10, 14])
@pytest.mark.parametrize(("n_batches", "prefix"), [(2, HOSPITAL), (7, HOSPITAL), (20, "C")])
def test_no_text_is_cut_by_the_edge_of_the_figure(n_batches, prefix, font_size):
    adata = build(n_batches, ("X_pca", "X_representation_of_another_method_with_a_long_name"), prefix=prefix)
    with plt.rc_context({"font.size": font_size, "axes.titlesize": font_size}):
        figure = tm.pl.batch_effect(adata, ("umap", "umap_regulons"), show=False)[0].figure
        figure.canvas.draw()
        inside = figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.y0 >= 0
    assert inside.x1 <= figure.get_figwidth() and inside.y1 <= figure.get_figheight()


def test_what_is_missing_is_named_and_opens_no_figure(adata):
    with pytest.raises(KeyError, match=r"run tl.batch_effect\(adata, ..., key_added='absent'\) first"):
        tm.pl.batch_effect(adata, result_key="absent")
    with pytest.raises(KeyError, match=r"basis='tsne' is not in adata.obsm; there are \['X_umap'"):
        tm.pl.batch_effect(adata, "tsne")
    with pytest.raises(ValueError, match="'run' has 41 batches; at most 40 can be distinguished. Leave basis out"):
        tm.pl.batch_effect(build(n_batches=41), "umap")
    del adata.obs["run"]
    assert isinstance(tm.pl.batch_effect(adata, show=False), Axes)  # the indices need no column
    plt.close("all")
    with pytest.raises(KeyError, match="batch_key='run' is not a column of adata.obs"):
        tm.pl.batch_effect(adata, "umap")
    assert not plt.get_fignums()


def test_a_file_that_was_written_and_read_draws_the_same(adata, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    figures = [
        tm.pl.batch_effect(a, "umap", show=False)[0].figure for a in (adata, ad.read_h5ad(tmp_path / "cells.h5ad"))
    ]
    for figure in figures:
        figure.canvas.draw()
    np.testing.assert_array_equal(*(figure.canvas.buffer_rgba() for figure in figures))
