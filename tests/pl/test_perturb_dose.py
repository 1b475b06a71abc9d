"""Dose curves: medians and quartiles of the tables, for the regulons that move the predictions most."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import tcellmil as tm
from tcellmil.pl._panels import shorten

DOSES = (1.0, 2.0, 3.0, 5.0, 10.0)


@pytest.fixture
def dosed(cohort):
    """The cohort with every change at several doses, levelling off."""

    def make(doses=DOSES, **options):
        adata = cohort(**{"n_patients": 12, "n_regulons": 20, "n_replicas": 1} | options)
        result = adata.uns["tcellmil_perturbation"]
        for part in ("patients", "stats"):
            one = result[part]
            changes = [name for name in one if "delta" in name]
            parts = [one.assign(n_mad=d, **{name: one[name] * np.tanh(d / 3) for name in changes}) for d in doses]
            result[part] = pd.concat(parts, ignore_index=True)
        return adata

    return make


def lines(ax):
    """The dose curves: they alone begin at the origin."""
    return [line for line in ax.lines if len(line.get_xdata()) > 2 and line.get_xdata()[0] == 0]


def named(axes):
    legend = np.ravel(axes)[0].figure.legends[0]
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("n_regulons", [2, 20, 300])
@pytest.mark.parametrize("n_patients", [6, 64])
def test_a_line_goes_through_the_medians_and_its_band_to_the_quartiles(dosed, n_regulons, n_patients):
    adata = dosed(n_regulons=n_regulons, n_patients=n_patients)
    axes = tm.pl.perturb_dose(adata, n_top=3, show=False)
    table = tm.get.perturb(adata).reset_index()
    full = {shorten(name, 28): name for name in table["regulon"].unique()}
    for ax, direction in zip(axes, ["up", "down"], strict=True):
        assert f"n = {n_patients} patients" in ax.get_title()
        assert len(lines(ax)) == len(ax.collections) == min(3, n_regulons)
        for name, line, band in zip(named(axes), lines(ax), ax.collections, strict=True):
            of_regulon = table[(table["regulon"] == full[name]) & (table["direction"] == direction)]
            by_dose = of_regulon.groupby("n_mad")["delta"]
            np.testing.assert_allclose(line.get_xdata(), [0, *DOSES])
            np.testing.assert_allclose(line.get_ydata(), [0, *by_dose.median()], atol=1e-12)
            corners = band.get_paths()[0].vertices
            for dose, delta in by_dose:
                at_dose = corners[corners[:, 0] == dose, 1]
                low, high = np.percentile(delta, [25, 75])
                assert at_dose.min() == pytest.approx(low) and at_dose.max() == pytest.approx(high)


def test_the_regulons_are_those_with_the_largest_change_anywhere(dosed):
    adata = dosed(n_regulons=30)
    stats = adata.uns["tcellmil_perturbation"]["stats"]
    largest = stats["median_delta"].abs().groupby(stats["regulon"]).max().nlargest(4).index
    assert named(tm.pl.perturb_dose(adata, n_top=4, show=False)) == [shorten(name, 28) for name in largest]


def test_chosen_regulons_are_drawn_however_many(dosed):
    adata = dosed(n_regulons=20)
    chosen = [f"TF{i:03d}(+)" for i in range(5, 17)]
    axes = tm.pl.perturb_dose(adata, n_top=2, regulons=chosen, show=False)
    assert sorted(named(axes)) == chosen
    assert len({(line.get_color(), line.get_linestyle()) for line in lines(axes[0])}) == 12
    with pytest.raises(KeyError, match=r"regulons \['TF999\(\+\)'\] are not in the table"):
        tm.pl.perturb_dose(adata, regulons=["TF999(+)"])


def test_points_are_filled_where_the_change_is_significant(dosed):
    adata = dosed(n_regulons=2)
    stats = adata.uns["tcellmil_perturbation"]["stats"]
    stats["padj"] = np.where(stats["n_mad"] > 2, 0.049, 0.05)
    for ax in tm.pl.perturb_dose(adata, show=False):
        points = [line for line in ax.lines if line.get_marker() == "o"]
        filled = [x for line in points if to_hex(line.get_markerfacecolor()) != "#ffffff" for x in line.get_xdata()]
        hollow = [x for line in points if to_hex(line.get_markerfacecolor()) == "#ffffff" for x in line.get_xdata()]
        assert sorted(filled) == [3, 3, 5, 5, 10, 10] and sorted(hollow) == [1, 1, 2, 2]


def test_both_directions_share_one_scale_and_the_class_is_named(dosed):
    up, down = tm.pl.perturb_dose(dosed(), show=False)
    assert up.get_ylim() == down.get_ylim()
    assert up.get_ylabel() == "Change in probability of R"


def test_one_direction_gives_one_panel(dosed):
    adata = dosed()
    stats = adata.uns["tcellmil_perturbation"]["stats"]
    adata.uns["tcellmil_perturbation"]["stats"] = stats[stats["direction"] == "down"]
    assert tm.pl.perturb_dose(adata, show=False).get_title().startswith("Downregulated in silico")


def test_regulons_shifted_by_standard_deviations_have_a_dagger(dosed):
    adata = dosed(n_regulons=2)
    stats = adata.uns["tcellmil_perturbation"]["stats"]
    stats["spread"] = np.where(stats["regulon"] == stats["regulon"][0], "sd", "mad")
    names = named(tm.pl.perturb_dose(adata, show=False))
    assert sorted(name.endswith("†") for name in names) == [False, True]


def test_unmovable_regulons_have_no_line(dosed):
    adata = dosed(n_regulons=5, unmovable=3)
    assert len(named(tm.pl.perturb_dose(adata, show=False))) == 2
    for ax in tm.pl.perturb_dose(dosed(n_regulons=3, unmovable=3), show=False):
        assert [text.get_text() for text in ax.texts] == ["no regulon can be moved"]


@pytest.mark.parametrize(("doses", "marked"), [(DOSES, True), ((0.1, 0.2, 10.0), False)])
def test_doses_are_marked_on_the_axis_where_there_is_room(dosed, doses, marked):
    ax = tm.pl.perturb_dose(dosed(doses=doses), show=False)[0]
    assert ([*ax.get_xticks()] == [0, *doses]) == marked


@pytest.mark.parametrize("font_size", [10, 14])
def test_no_text_is_cut_by_the_edge_of_the_figure(dosed, font_size):
    classes = ("complete response", "partial response", "stable disease", "progressive disease", "not evaluable")
    with plt.rc_context({"font.size": font_size, "axes.titlesize": font_size}):
        figure = tm.pl.perturb_dose(dosed(n_regulons=6, n_patients=15, classes=classes), show=False)[0].figure
        figure.canvas.draw()
        inside = figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.y0 >= 0
    assert inside.x1 <= figure.get_figwidth() and inside.y1 <= figure.get_figheight()


def test_it_draws_on_axes_that_are_given(dosed):
    axes = plt.subplots(1, 2)[1]
    assert list(tm.pl.perturb_dose(dosed(), ax=axes)) == list(axes)
    assert axes[1].get_legend() is not None and len(plt.get_fignums()) == 1
    with pytest.raises(ValueError, match="2 panels, but ax holds 1 axes"):
        tm.pl.perturb_dose(dosed(), ax=plt.subplots()[1])


def test_bad_input_is_named(dosed, cohort):
    with pytest.raises(ValueError, match=r"one dose only, n_mad=3; run tl.perturb\(adata, n_mad=\[1, 2, 3, 5, 10\]\)"):
        tm.pl.perturb_dose(cohort(n_patients=6, n_regulons=2))
    with pytest.raises(ValueError, match="n_top=0 must be a whole number of at least 1"):
        tm.pl.perturb_dose(dosed(), n_top=0)
    with pytest.raises(KeyError, match=r"run tl.perturb\(adata, key='other'\) first"):
        tm.pl.perturb_dose(dosed(), key="other")
    assert not plt.get_fignums()
