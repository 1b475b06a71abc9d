"""Perturbation: the right regulons, in order, with the values and stars of the tables."""

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.pl._panels import shorten


def _names(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def _expected(adata, direction, n_top):
    stats = tm.get.perturb(adata, "stats", direction=direction).reset_index()
    ranked = stats[stats["movable"]].sort_values("median_delta", ascending=False)
    return ranked[ranked["median_delta"] > 0][:n_top], ranked[ranked["median_delta"] < 0][-n_top:]


@pytest.mark.parametrize("n_regulons", [2, 40, 300])
@pytest.mark.parametrize("n_patients", [6, 64])
def test_top_regulons_are_drawn_from_the_most_positive_down(cohort, n_regulons, n_patients):
    adata = cohort(n_patients=n_patients, n_regulons=n_regulons, n_replicas=1)
    for ax, direction in zip(tm.pl.perturb(adata, n_top=5, show=False), ["up", "down"], strict=True):
        highest, lowest = _expected(adata, direction, 5)
        assert _names(ax) == [shorten(name) for name in [*highest["regulon"], *lowest["regulon"]]]
        assert f"n = {n_patients} patients" in ax.get_title()
        assert ax.get_xlabel() == "Change in probability of R"


def test_points_and_median_lines_are_the_values_of_the_tables(cohort):
    adata = cohort(n_patients=12, n_regulons=8)
    ax = tm.pl.perturb(adata, show=False)[0]
    highest, lowest = _expected(adata, "up", 10)
    regulons = [*highest["regulon"], *lowest["regulon"]]
    medians = [*highest["median_delta"], *lowest["median_delta"]]
    for row, (regulon, median, points) in enumerate(zip(regulons, medians, ax.collections, strict=True)):
        delta = tm.get.perturb(adata, regulons=regulon, direction="up")["delta"]
        np.testing.assert_allclose(points.get_offsets()[:, 0], delta)
        assert (np.abs(points.get_offsets()[:, 1] - row) < 0.5).all()
        at_row = [line.get_xdata() for line in ax.lines if np.allclose(np.mean(line.get_ydata()), row)]
        assert any(np.allclose(x, median) for x in at_row)


def test_stars_and_filled_boxes_follow_the_adjusted_p(cohort):
    adata = cohort(n_patients=12, n_regulons=4)
    stats = adata.uns["tcellmil_perturbation"]["stats"]
    stats["median_delta"] = [0.4, 0.3, 0.2, 0.1] * 2
    stats["padj"] = [0.0009, 0.009, 0.049, 0.05] * 2
    for ax in tm.pl.perturb(adata, show=False):
        assert [text.get_text() for text in ax.texts] == ["***", "**", "*", ""]
        faces = [box.get_facecolor()[:3] for box in ax.patches]
        assert [face == (1.0, 1.0, 1.0) for face in faces] == [False, False, False, True]


def test_regulons_shifted_by_standard_deviations_have_a_dagger(cohort):
    adata = cohort(n_patients=12, n_regulons=4)
    assert not any("†" in name for ax in tm.pl.perturb(adata, show=False) for name in _names(ax))
    stats = adata.uns["tcellmil_perturbation"]["stats"]
    stats["spread"] = ["mad", "sd", "mad, sd", "mad"] * 2
    by_sd = set(stats["regulon"][[1, 2]])
    axes = tm.pl.perturb(adata, show=False)
    for ax in axes:
        assert {name.removesuffix("†") for name in _names(ax) if name.endswith("†")} == by_sd & {
            name.removesuffix("†") for name in _names(ax)
        }
    (legend,) = axes[0].figure.legends
    assert legend.get_texts()[-1].get_text() == "† MAD is 0: 0.6745 standard deviations in its place"


def test_unmovable_regulons_are_counted_and_never_drawn(cohort):
    adata = cohort(n_patients=12, n_regulons=10, unmovable=3)
    for ax in tm.pl.perturb(adata, show=False):
        assert ax.get_title().endswith("3 of 10 regulons unmovable")
        assert not {"TF007(+)", "TF008(+)", "TF009(+)"} & set(_names(ax))


def test_when_nothing_moves_the_panel_says_so(cohort):
    adata = cohort(n_patients=6, n_regulons=3, unmovable=3)
    for ax in tm.pl.perturb(adata, show=False):
        assert [text.get_text() for text in ax.texts] == ["no regulon changes the predictions"]


def test_one_direction_gives_one_panel(cohort):
    adata = cohort(n_patients=6, n_regulons=3)
    stats = adata.uns["tcellmil_perturbation"]["stats"]
    adata.uns["tcellmil_perturbation"]["stats"] = stats[stats["direction"] == "up"]
    assert tm.pl.perturb(adata, show=False).get_title().startswith("Upregulated")


def test_both_directions_share_one_scale(cohort):
    up, down = tm.pl.perturb(cohort(n_patients=12), show=False)
    assert up.get_xlim() == down.get_xlim()


def test_axis_names_the_class_that_was_followed(cohort):
    adata = cohort(n_patients=6, n_regulons=2)
    stats = adata.uns["tcellmil_perturbation"]["stats"].assign(target_class="NR")
    adata.uns["of_nr"] = adata.uns["tcellmil_perturbation"] | {"stats": stats}
    assert tm.pl.perturb(adata, result_key="of_nr", show=False)[0].get_xlabel() == "Change in probability of NR"


def test_of_several_doses_one_is_drawn_the_nearest_to_3_unless_said(cohort):
    adata = cohort(n_patients=6, n_regulons=4)
    result = adata.uns["tcellmil_perturbation"]
    for part in ("patients", "stats"):
        one = result[part]
        values = [name for name in one if "delta" in name]
        parts = [one.assign(n_mad=dose, **{name: one[name] * dose / 3 for name in values}) for dose in (1.0, 2.0, 4.0)]
        result[part] = pd.concat(parts, ignore_index=True)
    for options, dose in [({}, 2), ({"n_mad": 2}, 2), ({"n_mad": 4}, 4)]:
        ax = tm.pl.perturb(adata, show=False, **options)[0]
        assert ax.get_title().startswith(f"Upregulated in silico by {dose} MAD\n")
        first = [name for name in result["stats"]["regulon"].unique() if shorten(name) == _names(ax)[0]]
        expected = tm.get.perturb(adata, regulons=first, direction="up", n_mad=dose)["delta"]
        np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 0], expected)
    with pytest.raises(ValueError, match="n_mad=3 is not one of the doses; there are 1, 2, 4"):
        tm.pl.perturb(adata, n_mad=3, show=False)


def test_n_top_below_one_is_an_error(cohort):
    with pytest.raises(ValueError, match="n_top=0 must be a whole number of at least 1"):
        tm.pl.perturb(cohort(n_patients=6, n_regulons=2), n_top=0)
