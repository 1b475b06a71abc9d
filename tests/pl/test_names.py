"""Names are drawn as they are: none is a formula, hidden, or breaks a picture."""

import functools
import inspect
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

import tcellmil as tm
from tcellmil.pl._panels import shorten

#: What is renamed: classes, cell types, regulons, factors, representations, methods, keys of obs.
NAMES = ["R", "NR", "B", "NK", "TF004(+)", "TF005(+)", "TF006(+)", "IRF7", "GENE3", "X_pca", "logistic", "response"]
FORMULA = {name: rf"_$x^{{$\%<_{i}" for i, name in enumerate(NAMES)}
#: Two ``$`` make a formula, one of which is wrong and one empty; the rest is empty, long, non-Latin or has more lines.
OTHERS = ["$\\frac", "a_$b$^2", "", "$$", "日本", "two\nlines", "W" * 80, "\\", "%s {x}", "&amp;", "$_$", "_nolegend_"]
KEY = "_$k^{$"


def renamed(adata, names, key):
    """The same results with other names, under another key."""

    def change(value):
        if isinstance(value, dict):
            return {name: change(inner) for name, inner in value.items()}
        if isinstance(value, pd.DataFrame):
            return value.map(change).set_axis(value.index.map(change)) if value.index.name else value.map(change)
        if isinstance(value, pd.api.extensions.ExtensionArray) or (
            isinstance(value, np.ndarray) and value.dtype == object
        ):
            return np.array([change(inner) for inner in value], dtype=object)
        if isinstance(value, str):
            return key if value == "tcellmil" else names.get(value, value)
        return value

    adata = adata.copy()
    uns = {re.sub("^tcellmil", lambda _: key, name): change(value) for name, value in adata.uns.items()}
    for name in list(adata.uns):
        del adata.uns[name]
    adata.uns.update(uns)
    for name in list(adata.obs):
        adata.obs[re.sub("^tcellmil", lambda _: key, name)] = adata.obs[name]
    for column in ("cell_type", "c2s_annotation"):
        adata.obs[column] = adata.obs[column].map(lambda name: names.get(name, name)).astype("category")
    adata.obsm[f"X_{key}_shap"] = adata.obsm["X_tcellmil_shap"]
    return adata


def under(names, key, picture, given):
    """The arguments of a picture under other names."""
    given = {n: [names.get(v, v) for v in value] if isinstance(value, list) else value for n, value in given.items()}
    if "key" not in given and "key" in inspect.signature(picture).parameters and "result_key" not in given:
        given["key"] = key
    return given


def words(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


@pytest.fixture(scope="module")
def hostile(complete):
    return renamed(complete, FORMULA, KEY)


@pytest.fixture(scope="module")
def shows(complete, draw):
    """Which names a picture shows."""

    @functools.cache
    def of_picture(name):
        text = " ".join(words(draw(complete, name, show=False)[0].figure))
        return [name for name in [*NAMES, "tcellmil"] if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)]

    return of_picture


@pytest.mark.parametrize("own", [True, False])
def test_a_name_with_a_formula_is_drawn_letter_by_letter(hostile, pictures, shows, name, own):
    picture, given, n_panels, _ = pictures[name]
    options = {"show": False, "title": "$1 to $x^{$"} if own else {"ax": plt.subplots(1, n_panels)[1]}
    axes = np.ravel(picture(hostile, **under(FORMULA, KEY, picture, given), **options))
    axes[0].figure.draw_without_rendering()  # reads formulas
    drawn = words(axes[0].figure)
    assert ("$1 to $x^{$" in drawn) == own
    for old in shows(name):
        assert any((FORMULA | {"tcellmil": KEY})[old] in text for text in drawn), old
    assert not [text for text in axes[0].figure.findobj(Text) if "$" in text.get_text() and text.get_parse_math()]


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font:UserWarning")
def test_any_other_name_is_drawn_and_saved(complete, pictures, shows, tmp_path, name, monkeypatch):
    monkeypatch.setattr("tcellmil.pl._canvas.DPI", 50)
    names, (picture, given, _, _) = dict(zip(NAMES, OTHERS, strict=True)), pictures[name]
    adata = renamed(complete, names, "two\nlines $")
    given = under(names, "two\nlines $", picture, given)
    axes = np.ravel(picture(adata, **given, show=False, save=tmp_path / "names.png"))
    drawn = words(axes[0].figure)
    for old in set(shows(name)) & {"R", "TF004(+)", "IRF7", "GENE3"}:
        assert any(shorten(names[old], 16) in text for text in drawn), old


def test_a_formula_of_the_caller_is_still_one(complete):
    ax = tm.pl.roc(complete, show=False)
    ax.set_title("$x^2$")
    assert ax.title.get_parse_math()
    figure, (mine, other) = plt.subplots(1, 2)
    mine.set_title("$x^2$")
    other.set_xlabel("$x^2$")
    other.set_xscale("log")
    other.plot([1, 1e4], [0, 1])
    tm.pl.attention(complete, ax=mine)
    assert mine.title.get_parse_math() and other.xaxis.label.get_parse_math()
    figure.draw_without_rendering()
    assert all(tick.label1.get_parse_math() for tick in other.xaxis.get_major_ticks())


def test_settings_of_formulas_are_as_before_and_do_not_matter(complete):
    settings = {"axes.formatter.use_mathtext": True, "text.parse_math": True}
    with plt.rc_context(settings):
        ax = tm.pl.grn(complete, show=False)[0]
        ax.figure.draw_without_rendering()
        assert {name: plt.rcParams[name] for name in settings} == settings
    assert not [text for text in words(ax.figure) if "$" in text]


def test_a_class_that_begins_with_an_underscore_is_in_the_legend(complete):
    names = {"R": "_R", "NR": "_NR"}
    adata = renamed(complete, names, "_fit")
    legend = tm.pl.roc(adata, key="_fit", show=False).figure.legends[0]
    assert [text.get_text().split(" ")[0] for text in legend.get_texts()] == ["_fit"]
    legend = tm.pl.attention(adata, key="_fit", show=False).get_legend()
    assert [text.get_text().split(",")[0] for text in legend.get_texts()] == ["_R", "_NR"]
