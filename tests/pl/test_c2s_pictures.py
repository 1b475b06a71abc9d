"""Pictures of what a language model of cells learned, said and wrote."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

import tcellmil as tm


def boxes(ax):
    """Row and column of each box."""
    found = [patch.get_xy() for patch in ax.patches if isinstance(patch, Rectangle)]
    return sorted((round(y + 0.5), round(x + 0.5)) for x, y in found)


def numbers(ax):
    """The text at each row and column."""
    return {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in ax.texts}


def names(ax, axis):
    return [text.get_text() for text in getattr(ax, f"get_{axis}ticklabels")()]


@pytest.fixture
def real(pictures):
    return pictures["generated"][1]["adata"].copy()


@pytest.fixture
def model():
    loss = [3.0, 2.0, 1.5, 1.7]
    table = {"step": 10, "train_loss": [2.9, 1.8, 1.2, 0.9], "validation_loss": loss, "lr": 1e-3}
    return SimpleNamespace(history=pd.DataFrame(table, index=pd.Index([1, 2, 3, 4], name="epoch")), best_epoch=3)


def test_colours_and_numbers_are_shares_of_the_true_label(complete):
    ax = tm.pl.confusion(complete, "cell_type", show=False)
    table = 100 * tm.get.confusion(complete, "cell_type")
    np.testing.assert_allclose(ax.images[0].get_array(), table)
    assert names(ax, "x") == table.columns.tolist()
    n_cells = complete.obs["cell_type"].value_counts()
    assert names(ax, "y") == [f"{name} ({n_cells[name]})" for name in table.index]
    for (row, column), text in numbers(ax).items():
        assert text == f"{table.iloc[row, column]:.0f}"
    assert len(numbers(ax)) == (table.to_numpy() > 0).sum()
    assert boxes(ax) == [(i, i) for i in range(len(table))]


def test_the_title_has_the_accuracy_and_its_interval(complete):
    for donor_key in (None, "patient"):
        ax = tm.pl.confusion(complete, "cell_type", donor_key=donor_key, show=False)
        metrics = tm.get.annotation_metrics(complete, "cell_type", donor_key=donor_key).loc["accuracy"]
        expected = "Accuracy {value:.2f} ({ci_low:.2f} to {ci_high:.2f}),".format(**metrics)
        cells = f"{complete.n_obs:,} cells" + ("" if donor_key is None else " of 12 donors")
        assert ax.get_title(loc="left") == f"{expected}\n{cells}"


def test_columns_follow_the_rows_and_an_unknown_label_has_no_box(complete):
    adata = complete.copy()
    types = list(adata.obs["cell_type"].cat.categories)
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.rename_categories({types[1]: "unknown"})
    adata.uns["c2s_annotation"]["labels"] = np.array(["more", *types[::-1]], dtype=object)
    ax = tm.pl.confusion(adata, "cell_type", show=False)
    known = [name for name in types if name != types[1]]
    assert names(ax, "x") == [*known, "more", types[1]]
    assert boxes(ax) == [(types.index(name), known.index(name)) for name in known]


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_nearly_all_and_nearly_none_are_not_written_as_all_and_none(complete):
    adata = complete[np.zeros(1000, dtype=int)].copy()
    adata.obs_names_make_unique()
    adata.obs["cell_type"] = pd.Categorical(["B"] * 1000)
    adata.obs["c2s_annotation"] = pd.Categorical(["B"] * 997 + ["NK"] * 3)
    assert set(numbers(tm.pl.confusion(adata, "cell_type", show=False)).values()) == {">99", "<1"}


def test_what_was_left_out_is_said_once(complete):
    adata = complete.copy()
    adata.obs["cell_type"] = adata.obs["cell_type"].where(np.arange(adata.n_obs) > 2)
    with pytest.warns(UserWarning, match="3 of .* cells have no true label") as warned:
        tm.pl.confusion(adata, "cell_type", show=False)
    assert len([warning for warning in warned if "true label" in str(warning.message)]) == 1


def test_too_many_labels_are_refused_before_a_figure_is_open(complete):
    adata = complete.copy()
    adata.obs["cell_type"] = [f"type {i % 101}" for i in range(adata.n_obs)]
    with pytest.raises(ValueError, match="label_key='cell_type' gives a table of 101 x 5; at most 100 rows"):
        tm.pl.confusion(adata, "cell_type", show=False)
    with pytest.raises(ValueError, match="groupby='cell_type' gives a table of 101 x 5; at most 100 rows"):
        tm.pl.generated(adata, complete, "cell_type", show=False)
    assert not plt.get_fignums()


def test_numbers_shrink_with_the_figure_and_go_where_unreadable(complete):
    sizes = {}
    for width in (6, 1.9, 0.7):
        ax = tm.pl.confusion(complete, "cell_type", show=False, ax=plt.figure(figsize=(width, width)).add_subplot())
        ax.figure.draw_without_rendering()
        ax.figure.canvas.draw()
        text = ax.texts[0]
        box, cell = text.get_window_extent(), ax.get_window_extent().width / 5
        assert not text.get_visible() or box.width <= cell
        sizes[width] = text.get_fontsize(), text.get_visible()
    assert sizes[6][0] >= sizes[1.9][0] > sizes[0.7][0]
    assert sizes[6][1] and not sizes[0.7][1]


@pytest.mark.parametrize("metric", ["correlation", "euclidean"])
def test_profiles_are_drawn_and_the_nearest_is_boxed(complete, real, metric):
    ax = tm.pl.generated(complete, real, "cell_type", metric=metric, show=False)
    table = tm.get.generated_profiles(complete, real, "cell_type", metric=metric)
    assert names(ax, "y") == table.index.tolist() and names(ax, "x") == ["B", "NK", "pDC"]
    np.testing.assert_allclose(ax.images[0].get_array(), table[["B", "NK", "pDC"]].astype(float))
    assert boxes(ax) == [(row, ["B", "NK", "pDC"].index(name)) for row, name in enumerate(table["nearest"])]
    right = sum(table.loc[name, "nearest"] == name for name in ("B", "NK"))
    assert ax.get_title(loc="left") == f"Box: the nearest real group\n{right} of 2 groups nearest to their own"


def test_what_is_near_is_dark_whatever_the_metric(complete, real):
    for metric in ("correlation", "euclidean"):
        ax = tm.pl.generated(complete, real, "cell_type", metric=metric, show=False)
        image, table = ax.images[0], tm.get.generated_profiles(complete, real, "cell_type", metric=metric)
        light = image.cmap(image.norm(image.get_array())).sum(axis=2)
        assert [["B", "NK", "pDC"][i] for i in light.argmin(axis=1)] == table["nearest"].tolist()


def test_all_cells_are_on_the_embedding_real_ones_pale(complete, real):
    _, ax = tm.pl.generated(complete, real, "cell_type", "umap", show=False)
    pale, strong = ax.collections
    assert len(pale.get_offsets()) == real.n_obs and len(strong.get_offsets()) == complete.n_obs
    found, expected = np.asarray(strong.get_offsets()), complete.obsm["X_umap"]
    np.testing.assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])
    assert pale.get_zorder() < strong.get_zorder() and pale.get_linewidths()[0] == 0 < strong.get_linewidths()[0]
    ax.figure.draw_without_rendering()
    light = [np.asarray(points.get_facecolors())[:, :3].mean() for points in (pale, strong)]
    assert light[0] > 0.75 > light[1]
    types = complete.obs["cell_type"].cat.categories
    legend = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert legend == [*types, "real, pale or grey"]


def test_groups_may_have_another_column_in_generated_cells(complete, real):
    real.obs["louvain"] = real.obs.pop("cell_type")
    axes = tm.pl.generated(complete, real, "louvain", "umap", generated_groupby="cell_type", show=False)
    assert names(axes[0], "x") == ["B", "NK", "pDC"]
    with pytest.raises(KeyError, match="groupby='louvain' is not a column of generated.obs"):
        tm.pl.generated(complete, real, "louvain", show=False)


def test_an_embedding_that_is_missing_says_how_to_make_it(complete, real):
    without = complete.copy()
    del without.obsm["X_umap"]
    with pytest.raises(KeyError, match="'umap' is not in generated.obsm; put .* as the notes of tm.pl.generated"):
        tm.pl.generated(without, real, "cell_type", "umap", show=False)
    del real.obsm["X_umap"]
    with pytest.raises(KeyError, match="basis='umap' is not in adata.obsm"):
        tm.pl.generated(complete, real, "cell_type", "umap", show=False)
    assert not plt.get_fignums()


def test_losses_are_drawn_by_epoch_and_the_kept_one_is_marked(model):
    ax = tm.pl.c2s_training(model, show=False)
    training, validation, kept = ax.get_lines()
    np.testing.assert_array_equal(training.get_xydata(), np.column_stack([[1, 2, 3, 4], model.history["train_loss"]]))
    np.testing.assert_array_equal(validation.get_ydata(), model.history["validation_loss"])
    assert kept.get_xdata() == [3, 3] and ax.get_title() == "Epoch 3 of 4 kept"
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["training", "validation", "epoch kept"]


def test_without_validation_the_last_epoch_is_kept(model):
    model.history["validation_loss"], model.best_epoch = np.nan, 4
    ax = tm.pl.c2s_training(model, show=False)
    assert [line.get_label() for line in ax.get_lines()] == ["training", "epoch kept"]
    assert ax.get_title() == "Epoch 4 of 4 kept"


def test_training_takes_the_shared_parameters(model, tmp_path):
    mine = plt.subplots()[1]
    assert tm.pl.c2s_training(model, ax=mine, title="Mine", save=tmp_path / "training.pdf") is mine
    assert mine.get_title() == "Mine" and (tmp_path / "training.pdf").read_bytes().startswith(b"%PDF")
    ax = tm.pl.c2s_training(model, palette={"training": "red"}, figsize=(5, 4), title="Whole", show=False)
    assert ax.get_lines()[0].get_color() == "red" and ax.figure.get_size_inches().tolist() == [5, 4]
    assert ax.figure.get_suptitle() == "Whole"


def test_what_has_no_losses_is_refused(complete, model):
    with pytest.raises(TypeError, match="must be a trained tcellmil.model.C2S, got AnnData without a history"):
        tm.pl.c2s_training(complete, show=False)
    model.history = model.history.iloc[:0]
    with pytest.raises(ValueError, match="has not been trained, so it has no losses; run model.train"):
        tm.pl.c2s_training(model, show=False)
    model.history = pd.DataFrame({"loss": [1.0]})
    with pytest.raises(ValueError, match=r"no \['train_loss', 'validation_loss'\]; there are \['loss'\]"):
        tm.pl.c2s_training(model, show=False)
    assert not plt.get_fignums()
