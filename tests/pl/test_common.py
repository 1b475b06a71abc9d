"""What holds for every picture: shared parameters, axes back, nothing left open, adata as it was."""

import functools
import inspect
import warnings

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from scanpy import settings

import tcellmil as tm

MANY = 12 * ["#123456"]


def own_axes(pictures, name):
    n_panels = pictures[name][2]
    figure, axes = plt.subplots(1, n_panels, figsize=(4 * n_panels, 4))
    return figure, (axes if n_panels > 1 else [axes])


def pixels(figure):
    figure.set_dpi(40)  # coarse is fast
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


@pytest.fixture
def shown(monkeypatch):
    calls = []
    monkeypatch.setattr(plt, "show", lambda *args, **kwargs: calls.append(1))
    return calls


@pytest.fixture
def autoshow():
    """Sets scanpy's switch, and puts it back."""
    before = settings.autoshow
    yield lambda value: setattr(settings, "autoshow", value)
    settings.autoshow = before


def test_every_picture_is_here(pictures):
    of_a_model = {tm.pl.c2s_training}  # see test_c2s_pictures.py
    drawn = {picture for picture, *_ in pictures.values()}
    assert drawn | of_a_model == {getattr(tm.pl, name) for name in tm.pl.__all__}


@pytest.mark.parametrize("name", tm.pl.__all__)
def test_shared_parameters_are_in_signature_and_docstring(name):
    picture = getattr(tm.pl, name)
    parameters = inspect.signature(picture).parameters
    shared = ["ax", "show", "save", "palette", "figsize", "title"]
    assert list(parameters)[-6:] == shared and "canvas" not in parameters
    assert all(parameters[p].kind is inspect.Parameter.KEYWORD_ONLY and parameters[p].default is None for p in shared)
    lines = inspect.getdoc(picture).splitlines()
    assert all(lines.count(parameter) == 1 for parameter in parameters)


def saved(complete, draw, name, path, figsize):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as a layout that is not applied
        warnings.filterwarnings("ignore", "figsize of .* is too small", UserWarning)
        draw(complete, name, show=False, figsize=figsize, save=path)
    return path.read_bytes()


def test_save_writes_a_png(complete, tmp_path, shown, name, draw, monkeypatch):
    monkeypatch.setattr("tcellmil.pl._canvas.DPI", 50)
    assert saved(complete, draw, name, tmp_path / "picture.png", (4, 3)).startswith(b"\x89PNG")
    assert not shown


@pytest.mark.parametrize("name", ["roc", "benchmark", "shap on embedding", "regulons", "grn", "generated on embedding"])
def test_save_writes_a_pdf(complete, tmp_path, shown, name, draw):
    """Lines, points in a raster, colour bars, legends, matrices and trees: what pictures are made of."""
    assert saved(complete, draw, name, tmp_path / "picture.pdf", None).startswith(b"%PDF")
    assert not shown


def test_title_and_figsize_are_those_of_a_new_figure_that_is_not_shown(complete, shown, name, pictures):
    picture, arguments, n_panels, _ = pictures[name]
    before = complete.copy()
    axes = picture(complete, **arguments, show=False, title="My cohort", figsize=(11, 5))
    assert all(isinstance(ax, Axes) for ax in np.ravel(axes)) and np.size(axes) == n_panels
    assert isinstance(axes, Axes) == (n_panels == 1)
    figure = np.ravel(axes)[0].figure
    assert figure.get_suptitle() == "My cohort" and figure.get_size_inches().tolist() == [11, 5]
    assert plt.get_fignums() == [figure.number] and not shown
    pd.testing.assert_frame_equal(complete.obs, before.obs)
    assert list(complete.obsm) == list(before.obsm)
    _assert_same(complete.uns, before.uns)


def test_own_axes_are_drawn_on_and_left_to_the_caller(complete, shown, autoshow, name, draw, pictures):
    autoshow(True)
    figure, mine = own_axes(pictures, name)
    axes = draw(complete, name, ax=mine, title="My cohort")
    assert axes.tolist() == list(mine) and all(ax.has_data() for ax in axes)
    assert axes[0].get_title() == "My cohort" and axes[0].get_title(loc="left") == ""
    assert plt.get_fignums() == [figure.number] and not shown
    with pytest.raises(ValueError, match="is for a new figure; leave it out where ax is given"):
        draw(complete, name, ax=mine, figsize=(11, 5))


@pytest.fixture(scope="module")
def as_it_is(complete, draw):
    """Pixels of a picture with no options."""
    return functools.cache(lambda name: pixels(draw(complete, name, show=False)[0].figure))


def test_palette_changes_the_colours(complete, name, draw, pictures, as_it_is):
    coloured = pictures[name][3]
    palette = MANY if coloured is None else {coloured: "#123456"}
    assert (pixels(draw(complete, name, show=False, palette=palette)[0].figure) != as_it_is(name)).any()
    n_open = len(plt.get_fignums())
    message = "colours by numbers" if coloured is None else r"names \['nothing'\], but the colours are of \["
    with pytest.raises(ValueError, match=message):
        draw(complete, name, show=False, palette={"nothing": "red"})
    assert len(plt.get_fignums()) == n_open


@pytest.mark.parametrize("coloured", ["roc", "perturb", "attention, both", "shap on embedding"])
@pytest.mark.parametrize("palette", [MANY, "plasma"])
def test_palette_may_be_colours_or_the_name_of_a_colormap(complete, coloured, palette, draw, as_it_is):
    assert (pixels(draw(complete, coloured, show=False, palette=palette)[0].figure) != as_it_is(coloured)).any()


def test_autoshow_of_scanpy_decides_without_show(complete, shown, autoshow, draw):
    autoshow(True)
    draw(complete, "roc")
    assert len(shown) == 1
    autoshow(False)
    draw(complete, "roc")
    assert len(shown) == 1
    draw(complete, "roc", show=True)
    assert len(shown) == 2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"save": "picture.abc"}, ValueError, r"save='picture.abc' must end in one of .*\.pdf.*\.png"),
        ({"save": "picture"}, ValueError, "save='picture' must end in one of"),
        ({"save": "absent/picture.png"}, ValueError, "folder that does not exist; make 'absent' first"),
        ({"save": True}, TypeError, "save=True must be the path of a file"),
        ({"palette": "no such map"}, ValueError, "palette='no such map' is no colormap of matplotlib or seaborn"),
        ({"palette": ["red", "no colour"]}, ValueError, r"palette has \['no colour'\], which are no colours"),
        ({"palette": []}, ValueError, "palette has no colours"),
        ({"palette": ["red"]}, ValueError, r"palette has 1 colours, but this picture needs 2: \['training'"),
        ({"palette": 3}, TypeError, "palette=3 must be a list of colours"),
        ({"figsize": 3}, ValueError, "figsize=3 must be width and height in inches"),
        ({"figsize": (3, -1)}, ValueError, "both positive"),
        ({"ax": "here"}, TypeError, "ax must hold axes of matplotlib, got str"),
    ],
)
def test_what_no_picture_can_use_is_named_and_opens_no_figure(complete, options, error, message, draw):
    with pytest.raises(error, match=message):
        draw(complete, "history", show=False, **options)
    assert not plt.get_fignums()


def test_a_wrong_number_of_axes_is_an_error(complete, pictures, draw):
    for name, (_, _, n, _) in pictures.items():
        if n > 1:
            with pytest.raises(ValueError, match=f"this picture has {n} panels, but ax holds 1 axes"):
                draw(complete, name, ax=plt.subplots()[1])


def _assert_same(one, other):
    assert list(one) == list(other)
    for name, value in one.items():
        if isinstance(value, dict):
            _assert_same(value, other[name])
        elif isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, other[name])
        else:
            assert np.array_equal(value, other[name])


def test_a_missing_key_names_the_verb_and_opens_no_figure(complete, name_of_result, pictures):
    picture, arguments, _, _ = pictures[name_of_result]
    absent = {"key": "absent"} if "key" in inspect.signature(picture).parameters else {"result_key": "absent"}
    options = {k: v for k, v in arguments.items() if k not in ("result_key", "regulons")} | absent
    with pytest.raises(KeyError, match=r"run (?:tl|pp)\.\w+\(.* first"):
        picture(complete, **options, show=False)
    assert not plt.get_fignums()


@pytest.fixture(scope="module")
def read(complete, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "result.h5ad"
    complete.write_h5ad(path)
    return ad.read_h5ad(path)


def test_a_file_that_was_written_and_read_draws_the_same(read, name, draw, as_it_is):
    np.testing.assert_array_equal(pixels(draw(read, name, show=False)[0].figure), as_it_is(name))


@functools.cache
def long_names(build):
    names = ("Effector memory CD8+ T cells, exhausted-like, TOX-high PDCD1-high", "NK")
    classes = ("complete response", "partial response", "stable disease", "progressive disease", "not evaluable")
    return build(n_patients=15, n_regulons=6, cell_types=names, classes=classes)


OF_COHORT = ("roc", "prc", "history", "perturb", "attention", "attention by group", "attention, both", "metrics")


# The font sizes of matplotlib and of scanpy.set_figure_params.
@pytest.mark.parametrize(("font_size", "title"), [(10, None), (14, "A title of the whole figure")])
def test_no_text_is_cut_by_the_edge_of_the_figure(complete, cohort, name, font_size, title, draw):
    adata = long_names(cohort) if name in OF_COHORT else complete
    with plt.rc_context({"font.size": font_size, "axes.titlesize": font_size}):
        figure = draw(adata, name, show=False, title=title)[0].figure
        figure.draw_without_rendering()
        inside = figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.y0 >= 0
    assert inside.x1 <= figure.get_figwidth() and inside.y1 <= figure.get_figheight()


def test_a_small_figure_shortens_names_and_says_when_that_is_not_enough(complete):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = tm.pl.shap(complete, figsize=(3.4, 3.4), show=False)
        assert ax.get_window_extent().width >= 0.5 * ax.figure.dpi
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert any(name.startswith("ZNF385D") and "…" in name and len(name) < 36 for name in names)
    with pytest.warns(UserWarning, match=r"figsize of 4.0 x 3.0 inches is too small for this picture, which needs"):
        tm.pl.grn(complete, figsize=(4, 3), show=False)
