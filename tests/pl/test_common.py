"""What holds for every picture: axes back, nothing shown or left open, adata as it was."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from scanpy import settings

import tcellmil as tm

PICTURES = {
    "roc": (tm.pl.roc, 1),
    "prc": (tm.pl.prc, 1),
    "history": (tm.pl.history, 2),
    "perturb": (tm.pl.perturb, 2),
    "attention by label": (tm.pl.attention, 1),
    "attention by group": (lambda adata, **kwargs: tm.pl.attention(adata, groupby="cell_type", **kwargs), 1),
    "attention on embedding": (lambda adata, **kwargs: tm.pl.attention(adata, "umap", **kwargs), 1),
    "attention, both": (lambda adata, **kwargs: tm.pl.attention(adata, "umap", "cell_type", **kwargs), 2),
}
each_picture = pytest.mark.parametrize(("draw", "n_panels"), PICTURES.values(), ids=PICTURES.keys())


@pytest.fixture
def shown(monkeypatch):
    calls = []
    monkeypatch.setattr(plt, "show", lambda *args, **kwargs: calls.append(1))
    return calls


@pytest.fixture(scope="module")
def adata(cohort):
    return cohort(n_patients=12, n_regulons=12, unmovable=2)


@each_picture
def test_axes_come_back_in_one_new_figure_that_is_not_shown(adata, shown, draw, n_panels):
    axes = draw(adata, show=False)
    assert all(isinstance(ax, Axes) for ax in np.ravel(axes)) and np.size(axes) == n_panels
    assert isinstance(axes, Axes) == (n_panels == 1)
    assert len(plt.get_fignums()) == 1 and not shown


@each_picture
def test_own_axes_are_drawn_on_and_left_to_the_caller(adata, shown, draw, n_panels):
    figure, mine = plt.subplots(1, n_panels)
    axes = draw(adata, ax=mine)
    assert np.ravel(axes).tolist() == np.ravel(mine).tolist()
    assert all(ax.has_data() for ax in np.ravel(axes))
    assert plt.get_fignums() == [figure.number] and not shown


@pytest.fixture
def autoshow():
    """Sets scanpy's switch, and puts it back."""
    before = settings.autoshow
    yield lambda value: setattr(settings, "autoshow", value)
    settings.autoshow = before


@each_picture
def test_autoshow_of_scanpy_decides_without_show(adata, shown, autoshow, draw, n_panels):
    autoshow(True)
    draw(adata)
    assert len(shown) == 1
    autoshow(False)
    draw(adata)
    assert len(shown) == 1
    draw(adata, show=True)
    assert len(shown) == 2


@each_picture
def test_drawing_changes_nothing_in_adata(adata, draw, n_panels):
    before = adata.copy()
    draw(adata, show=False)
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    assert list(adata.uns) == list(before.uns) and list(adata.obsm) == list(before.obsm)
    for part in ("predictions", "metrics", "history"):
        pd.testing.assert_frame_equal(adata.uns["tcellmil"][part], before.uns["tcellmil"][part])
    for part in ("patients", "stats"):
        pd.testing.assert_frame_equal(*(a.uns["tcellmil_perturbation"][part] for a in (adata, before)))


@each_picture
def test_a_missing_key_names_the_verb_and_opens_no_figure(adata, draw, n_panels):
    with pytest.raises(KeyError, match="run tl.(fit_mil|perturb).* first"):
        draw(adata, key="absent", show=False)
    assert not plt.get_fignums()


@each_picture
def test_the_same_picture_is_drawn_twice(adata, draw, n_panels):
    first, second = (np.ravel(draw(adata, show=False))[0].figure for _ in range(2))
    for figure in (first, second):
        figure.canvas.draw()
    np.testing.assert_array_equal(first.canvas.buffer_rgba(), second.canvas.buffer_rgba())


@each_picture
def test_a_file_that_was_written_and_read_draws_the_same(adata, draw, n_panels, tmp_path):
    adata.write_h5ad(tmp_path / "result.h5ad")
    figures = [np.ravel(draw(a, show=False))[0].figure for a in (adata, ad.read_h5ad(tmp_path / "result.h5ad"))]
    for figure in figures:
        figure.canvas.draw()
    np.testing.assert_array_equal(*(figure.canvas.buffer_rgba() for figure in figures))


@pytest.mark.parametrize("font_size", [10, 14])  # matplotlib's, and that of scanpy.set_figure_params
@each_picture
def test_no_text_is_cut_by_the_edge_of_the_figure(cohort, draw, n_panels, font_size):
    names = ("Effector memory CD8+ T cells, exhausted-like, TOX-high PDCD1-high", "NK")
    classes = ("complete response", "partial response", "stable disease", "progressive disease", "not evaluable")
    adata = cohort(n_patients=15, n_regulons=6, cell_types=names, classes=classes)
    with plt.rc_context({"font.size": font_size, "axes.titlesize": font_size}):
        figure = np.ravel(draw(adata, show=False))[0].figure
        figure.canvas.draw()
        inside = figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.y0 >= 0
    assert inside.x1 <= figure.get_figwidth() and inside.y1 <= figure.get_figheight()


@pytest.mark.parametrize("draw", [tm.pl.history, tm.pl.perturb])
def test_a_wrong_number_of_axes_is_an_error(adata, draw):
    with pytest.raises(ValueError, match="2 panels, but ax holds 1 axes"):
        draw(adata, ax=plt.subplots()[1])
