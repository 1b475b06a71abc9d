"""The volcano: points of the table, colours of the tests, names that cover nothing."""

from itertools import combinations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

import tcellmil as tm
from tcellmil.pl._explain._attention_correlation import _pushed_apart
from tcellmil.pl._palette import BLUE, GREY, VERMILLION
from tcellmil.pl._panels import shorten

STATISTICS = {"tau": "tau", "rho": "rho", "tau_within": "tau_within", "rho_within": "rho_within", "mixed": "mixed_coef"}


def correlated(n_regulons=40, n_patients=24, lowest=1e-20, seed=0):
    """An AnnData with the table alone; p-values fall with the size of the effect, down to ``lowest``."""
    rng = np.random.default_rng(seed)
    names = np.array([f"TF{i:03d}(+)" for i in range(n_regulons)], dtype=object)
    if n_regulons > 3:
        names[:2] = "ZNF385D_extended_with_a_very_long_name_of_a_regulon(+)", "HLA-DRB1-associated-TBX21(+)"
    table = pd.DataFrame({"regulon": names, "n_patients": n_patients})
    for name, effect in STATISTICS.items():
        table[effect] = rng.normal(0, 0.1, n_regulons)
        table[f"{name}_padj"] = lowest ** (table[effect].abs() / table[effect].abs().max()) ** 2
    adata = ad.AnnData(np.ones((2, 1), dtype=np.float32))
    adata.uns["tcellmil_attention_correlation"] = {"regulons": table, "params": {"verb": "attention_correlation"}}
    return adata


def named(ax):
    """The names in the picture, from the top."""
    texts = [text for text in ax.texts if text.get_text() and text.get_transform() == ax.transAxes]
    return [text.get_text() for text in sorted(texts, key=lambda text: -text.get_position()[1])]


def handles(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("statistic", list(STATISTICS))
def test_points_are_the_effects_and_adjusted_p_values_of_the_table(statistic):
    adata = correlated()
    ax = tm.pl.attention_correlation(adata, statistic, show=False)
    table = tm.get.attention_correlation(adata)
    offsets = ax.collections[0].get_offsets()
    np.testing.assert_allclose(offsets[:, 0], table[STATISTICS[statistic]])
    np.testing.assert_allclose(offsets[:, 1], -np.log10(table[f"{statistic}_padj"]))
    assert ax.get_title() == "n = 24 patients, 40 regulons"


def test_the_default_is_the_test_over_patients():
    ax = tm.pl.attention_correlation(correlated(), show=False)
    assert ax.get_xlabel() == "Kendall's τ with attention, mean over patients"


def test_colours_and_counts_follow_sign_and_adjusted_p():
    adata = correlated(n_regulons=4)
    table = adata.uns["tcellmil_attention_correlation"]["regulons"]
    table["tau"], table["tau_padj"] = [0.3, -0.3, 0.2, -0.2], [0.04, 0.001, 0.05, 0.9]
    table["tau_within"] = [4, 3, 2, 1]  # the order of the rows
    ax = tm.pl.attention_correlation(adata, "tau", show=False)
    colors = [to_hex(color).upper() for color in ax.collections[0].get_facecolors()]
    assert colors == [BLUE, VERMILLION, GREY, GREY]
    assert handles(ax.figure) == ["negative, 1", "adjusted p ≥ 0.05, 2", "positive, 1"]


def test_the_surest_are_named_and_of_equally_sure_ones_the_strongest():
    adata = correlated(n_regulons=6)
    table = adata.uns["tcellmil_attention_correlation"]["regulons"]
    table["regulon"] = list("abcdef")
    table["tau"], table["tau_padj"] = [0.1, 0.5, -0.4, 0.3, 0.9, 0.2], [0.01, 0.01, 0.01, 0.001, 0.5, 0.9]
    assert set(named(tm.pl.attention_correlation(adata, "tau", n_top=3, show=False))) == {"d", "b", "c"}
    assert named(tm.pl.attention_correlation(adata, "tau", n_top=0, show=False)) == []
    assert len(named(tm.pl.attention_correlation(adata, "tau", n_top=99, show=False))) == 6


def test_p_values_too_low_for_a_float_are_triangles():
    adata = correlated(n_regulons=6)
    adata.uns["tcellmil_attention_correlation"]["regulons"]["tau_padj"] = [0, 1e-310, 1e-307, 1e-10, 0.5, 1]
    ax = tm.pl.attention_correlation(adata, "tau", show=False)
    dots, triangles = ax.collections
    assert len(dots.get_offsets()) == 4 and len(triangles.get_offsets()) == 2
    np.testing.assert_allclose(triangles.get_offsets()[:, 1], -np.log10(np.finfo(float).tiny))
    assert ax.get_ylim()[1] > triangles.get_offsets()[:, 1].max()
    assert handles(ax.figure)[-1] == "adjusted p < 2e-308"


def test_regulons_without_a_test_are_counted_and_not_drawn():
    adata = correlated(n_regulons=6)
    adata.uns["tcellmil_attention_correlation"]["regulons"].loc[[1, 4], ["tau", "tau_padj"]] = np.nan
    ax = tm.pl.attention_correlation(adata, "tau", show=False)
    assert len(ax.collections[0].get_offsets()) == 4
    assert ax.get_title() == "n = 24 patients, 4 regulons (2 more without a test)"
    adata.uns["tcellmil_attention_correlation"]["regulons"]["tau_padj"] = np.nan
    ax = tm.pl.attention_correlation(adata, "tau", show=False)
    assert "no regulon could be tested" in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("n_regulons", [2, 300])
@pytest.mark.parametrize("lowest", [0.5, 1e-20, 0], ids=["nothing", "some", "beyond floats"])
@pytest.mark.parametrize("own", [True, False])
def test_names_cover_neither_points_nor_each_other_nor_leave_the_axes(n_regulons, lowest, own):
    adata = correlated(n_regulons, lowest=max(lowest, 1e-300))
    if lowest == 0:
        adata.uns["tcellmil_attention_correlation"]["regulons"].loc[:20, "tau_padj"] = 0
    ax = None if own else plt.subplots(1, 2, figsize=(9, 4), layout="constrained")[1][0]
    ax = tm.pl.attention_correlation(adata, "tau", n_top=12, ax=ax, show=False)
    figure, before = ax.figure, ax.get_window_extent()
    figure.draw_without_rendering()
    area = ax.get_window_extent()
    assert area.width == pytest.approx(before.width, rel=0.03)  # names were placed in the final layout
    names = [text for text in ax.texts if text.get_text() in set(named(ax))]
    assert len(names) == min(n_regulons, 12)
    assert not own or {t.get_text() for t in names} <= {
        shorten(n) for n in adata.uns["tcellmil_attention_correlation"]["regulons"]["regulon"]
    }
    boxes = [text.get_window_extent() for text in names]
    for box in boxes:
        assert area.x0 - 1 <= box.x0 and box.x1 <= area.x1 + 1 and area.y0 - 1 <= box.y0 and box.y1 <= area.y1 + 1
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    for points in ax.collections:
        for x, y in ax.transData.transform(points.get_offsets()):
            assert not any(box.x0 < x < box.x1 and box.y0 < y < box.y1 for box in boxes)
    inside = figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.y0 >= 0
    assert inside.x1 <= figure.get_figwidth() and inside.y1 <= figure.get_figheight()


def test_numbers_stay_where_the_points_are():
    ax = tm.pl.attention_correlation(correlated(), show=False)
    reach = np.abs(ax.collections[0].get_offsets()[:, 0]).max() * 1.1
    assert len(ax.get_xticks()) >= 3 and np.abs(ax.get_xticks()).max() <= reach


def test_a_small_picture_names_no_more_than_there_is_room_for():
    _, ax = plt.subplots(figsize=(6, 1.6))
    tm.pl.attention_correlation(correlated(300), n_top=60, ax=ax, show=False)
    assert 0 < len(named(ax)) < 30


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.02, 0.3))
def test_places_are_apart_inside_and_in_order(heights, gap):
    heights = np.array(heights)
    places = _pushed_apart(heights, gap)
    kept = ~np.isnan(places)
    assert kept.sum() == min(len(heights), max(int(1 / gap) - 1, 1)) and kept[: kept.sum()].all()
    sorted_places = np.sort(places[kept])
    assert (np.diff(sorted_places) >= gap - 1e-9).all()
    assert sorted_places[0] >= gap / 2 - 1e-9 and sorted_places[-1] <= 1 - gap / 2 + 1e-9
    order = np.argsort(-heights[kept], kind="stable")
    assert (np.diff(places[kept][order]) < 0).all()


def test_heights_that_are_apart_already_stay():
    heights = np.array([0.8, 0.2, 0.5])
    assert _pushed_apart(heights, 0.1).tolist() == heights.tolist()


def test_another_key_and_own_axes():
    adata = correlated()
    adata.uns["mine"] = adata.uns.pop("tcellmil_attention_correlation")
    figure, ax = plt.subplots()
    assert tm.pl.attention_correlation(adata, result_key="mine", ax=ax) is ax
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"statistic": "pearson"},
            ValueError,
            "statistic='pearson' is not known; choose from 'tau_within', 'rho_within'",
        ),
        ({"n_top": -1}, ValueError, "n_top=-1 must be at least 0"),
        ({"key": "m"}, KeyError, "no 'm_attention_correlation'; run tl.attention_correlation"),
        ({"statistic": "mixed"}, KeyError, "mixed models were not fitted; run .*mixed_model=True"),
    ],
)
def test_bad_input_is_named(options, error, message):
    adata = correlated()
    del adata.uns["tcellmil_attention_correlation"]["regulons"]["mixed_coef"]
    with pytest.raises(error, match=message):
        tm.pl.attention_correlation(adata, **options)
    assert plt.get_fignums() == []
