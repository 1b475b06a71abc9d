"""Stability: the patients' agreement and the top regulators are those of the tables."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

import tcellmil as tm
from tcellmil.pl._panels import shorten

LONG = "ZNF385D_extended_with_a_very_long_name_of_a_regulon(+)"


def build(n_patients=12, n_regulons=40, across=("seeds", "folds"), target_class="R"):
    rng = np.random.default_rng(0)
    names = np.array([LONG, *(f"TF{i:03d}(+)" for i in range(1, n_regulons))][:n_regulons], dtype=object)
    attention, top = [], []
    for side in across:
        attention.append(
            pd.DataFrame(
                {
                    "patient": [f"P{i:02d}" for i in range(n_patients)],
                    "across": side,
                    "n_pairs": 3,
                    "spearman": rng.uniform(-0.2, 1, n_patients),
                }
            )
        )
        importance = rng.normal(0, 0.1, n_regulons)
        table = pd.DataFrame(
            {
                "across": side,
                "regulon": names,
                "importance": importance,
                "sd": rng.uniform(0.01, 0.05, n_regulons),
                "share_top": rng.integers(0, 4, n_regulons) / 3,
                "sign_agreement": rng.choice([1.0, 2 / 3], n_regulons),
            }
        )
        top.append(table.iloc[np.argsort(-np.abs(importance))])
    regulators = pd.DataFrame(
        {
            "across": across,
            "n_groups": [3, 12][: len(across)],
            "spearman_mean": [0.61, 0.34][: len(across)],
            "top_overlap": [0.5, 0.25][: len(across)],
            "top_overlap_chance": 0.14,
            "n_top": 10,
        }
    )
    adata = ad.AnnData(np.ones((2, 1), dtype=np.float32))
    classes = np.array(["NR", target_class], dtype=object)
    adata.uns["tcellmil"] = {
        "params": {"outcome": "classes", "label_key": "response", "classes": classes, "verb": "fit_mil"}
    }
    adata.uns["tcellmil_attention_stability"] = {
        "attention": pd.concat(attention, ignore_index=True),
        "regulators": regulators,
        "top": pd.concat(top, ignore_index=True),
        "params": {"key": "tcellmil", "n_top": 10, "target_class": target_class, "verb": "attention_stability"},
    }
    return adata


def names_of(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_points_are_patients_a_row_for_seeds_and_one_for_folds():
    adata = build()
    left, _ = tm.pl.attention_stability(adata, show=False)
    attention = tm.get.attention_stability(adata).reset_index()
    assert names_of(left) == ["between seeds", "between folds"] and left.get_title() == "n = 12 patients"
    for side, points in zip(("seeds", "folds"), left.collections, strict=True):
        np.testing.assert_allclose(points.get_offsets()[:, 0], attention[attention["across"] == side]["spearman"])
    low, high = left.get_xlim()
    assert low < attention["spearman"].min() and high >= 1


@pytest.mark.parametrize("across", ["seeds", "folds"])
@pytest.mark.parametrize("n_regulons", [2, 40, 300])
def test_the_most_important_regulators_are_drawn_with_mean_and_spread(n_regulons, across):
    adata = build(64, n_regulons)
    _, right = tm.pl.attention_stability(adata, n_top=6, across=across, show=False)
    top = tm.get.attention_stability(adata, "top").loc[across].head(6).reset_index()
    assert names_of(right) == [shorten(name) for name in top["regulon"]]
    for row, (regulon, bar) in enumerate(zip(top.itertuples(), right.containers, strict=True)):
        point, _, (line,) = bar.lines
        assert point.get_xydata().tolist() == [[regulon.importance, row]]
        np.testing.assert_allclose(line.get_segments()[0][:, 0], regulon.importance + np.array([-1, 1]) * regulon.sd)
        assert (to_rgb(point.get_markerfacecolor()) == (1, 1, 1)) == (regulon.sign_agreement < 1)
    assert [text.get_text() for text in right.texts] == [f"{share:.0%}" for share in top["share_top"]]


def test_title_says_how_far_the_runs_agree_and_what_chance_would_give():
    seeds, folds = (tm.pl.attention_stability(build(), across=a, show=False)[1].get_title() for a in ("seeds", "folds"))
    assert seeds == "3 seeds, Spearman 0.61\ntop 10 shared 50%, by chance 14%"
    assert folds == "12 folds, Spearman 0.34\ntop 10 shared 25%, by chance 14%"


def test_without_arguments_it_is_the_top_of_the_verb_over_seeds():
    assert "seeds" in tm.pl.attention_stability(build(), show=False)[1].get_title()
    left, right = tm.pl.attention_stability(build(across=("folds",)), show=False)
    assert "folds" in right.get_title() and names_of(left) == ["between folds"] and len(names_of(right)) == 10


def test_axis_names_the_class_that_was_followed():
    adata = build(target_class="complete response")
    assert tm.pl.attention_stability(adata, show=False)[1].get_xlabel() == "Change in probability of complete response"


def test_when_nothing_can_be_shifted_the_panel_says_so():
    adata = build()
    result = adata.uns["tcellmil_attention_stability"]
    result["top"] = result["top"].iloc[:0]
    _, right = tm.pl.attention_stability(adata, show=False)
    assert [text.get_text() for text in right.texts] == ["no regulon can be shifted"]


def test_patients_without_an_order_of_cells_are_left_out():
    adata = build()
    adata.uns["tcellmil_attention_stability"]["attention"].loc[:3, "spearman"] = np.nan
    left, _ = tm.pl.attention_stability(adata, show=False)
    assert [len(points.get_offsets()) for points in left.collections] == [8, 12]


@pytest.mark.parametrize("font_size", [10, 14])
@pytest.mark.parametrize(("n_patients", "n_regulons"), [(6, 2), (64, 300)])
def test_no_text_is_cut_by_the_edge_of_the_figure(n_patients, n_regulons, font_size):
    adata = build(n_patients, n_regulons, target_class="progressive disease, as judged by two readers")
    with plt.rc_context({"font.size": font_size, "axes.titlesize": font_size}):
        figure = tm.pl.attention_stability(adata, n_top=20, show=False)[0].figure
        figure.canvas.draw()
        inside = figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.y0 >= 0
    assert inside.x1 <= figure.get_figwidth() and inside.y1 <= figure.get_figheight()


def test_own_axes_are_drawn_on():
    _, mine = plt.subplots(1, 2)
    axes = tm.pl.attention_stability(build(), ax=mine)
    assert axes.tolist() == mine.tolist() and not axes[0].figure.legends and axes[1].get_legend() is not None


def test_results_under_another_key_are_found():
    adata = build()
    adata.uns["own"] = adata.uns["gated_attention_stability"] = adata.uns.pop("tcellmil_attention_stability")
    assert len(tm.pl.attention_stability(adata, result_key="own", show=False)) == 2
    assert len(tm.pl.attention_stability(adata, key="gated", show=False)) == 2


def test_bad_input_is_named_and_opens_no_figure():
    with pytest.raises(KeyError, match=r"run tl.attention_stability\(adata, key='absent'\) first"):
        tm.pl.attention_stability(build(), key="absent")
    with pytest.raises(ValueError, match="n_top=0 must be a whole number of at least 1"):
        tm.pl.attention_stability(build(), n_top=0)
    with pytest.raises(ValueError, match="across='seeds' is not known; choose from 'folds'"):
        tm.pl.attention_stability(build(across=("folds",)), across="seeds")
    assert not plt.get_fignums()
