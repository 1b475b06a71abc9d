"""Enrichment: boxes, points, order, counts and stars are those of the tables."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tcellmil as tm
from tcellmil.pl._palette import class_colors
from tcellmil.pl._panels import shorten

MANY_TYPES = (
    "CD14+ Monocyte",
    "CD4+/CD45RA+/CD25- Naive T cell with a very long name",
    *(f"type {i}" for i in range(8)),
)


@pytest.fixture(scope="module")
def enriched(request):
    """A cohort as the verb leaves it."""

    def make(cohort, **options):
        adata = cohort(n_regulons=2, n_replicas=1, **options)
        tm.tl.attention_enrichment(adata, "cell_type", n_permutations=100)
        return adata

    return make


def names(ax):
    return [text.get_text().split("\n") for text in ax.get_yticklabels()]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def stars(ax):
    return [text.get_text() for text in ax.texts if set(text.get_text()) <= {"*"}]


def text_boxes(ax):
    ax.figure.draw_without_rendering()
    low, high = ax.get_xlim()
    ticks = [label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
    found = [*ax.texts, ax.xaxis.label, *ticks, *ax.get_yticklabels(), *ax.get_legend().get_texts()]
    return [(text.get_text(), text.get_window_extent()) for text in found if text.get_text()]


@pytest.mark.parametrize(
    ("n_patients", "classes"),
    [(6, ("NR", "R")), (64, ("NR", "SD", "PR", "CR", "unclear and with a very long name indeed"))],
)
def test_groups_are_in_the_order_of_their_difference_with_their_patients(cohort, enriched, n_patients, classes):
    adata = enriched(cohort, n_patients=n_patients, classes=classes)
    ax = tm.pl.attention_enrichment(adata, show=False)
    stats = tm.get.attention_enrichment(adata, "stats").reset_index().sort_values("median_difference", ascending=False)
    expected = [[shorten(row.group), f"n = {row.n_patients}, {row.n_enriched} enriched"] for row in stats.itertuples()]
    assert names(ax) == expected
    labels = tm.get.predictions(adata)["label"].value_counts()
    order = class_colors(classes)
    assert legend(ax) == [
        *(f"{shorten(label, 28)}, n = {labels[label]} patients" for label in order if label in labels),
        "same patients, groups permuted",
    ]


def test_points_are_the_patients_observed_and_permuted_joined(cohort, enriched):
    adata = enriched(cohort, n_patients=12)
    ax = tm.pl.attention_enrichment(adata, show=False)
    table = tm.get.attention_enrichment(adata).reset_index()
    table = table[table["p"].notna()]
    points = iter(ax.collections)
    for group, _ in names(ax):
        for label in ("R", "NR"):
            rows = table[(table["group"] == group) & (table["label"] == label)]
            above, below = next(points), next(points)
            np.testing.assert_allclose(above.get_offsets()[:, 0], rows["observed"])
            np.testing.assert_allclose(below.get_offsets()[:, 0], rows["null"])
            assert above.get_offsets()[:, 1].max() < below.get_offsets()[:, 1].min()  # the axis points down
            pairs = np.column_stack([rows["observed"], rows["null"], np.full(len(rows), np.nan)])
            assert any(np.array_equal(line.get_xdata(), pairs.ravel(), equal_nan=True) for line in ax.lines)
    assert next(points, None) is None


def test_observed_boxes_are_filled_and_permuted_ones_white(cohort, enriched):
    ax = tm.pl.attention_enrichment(enriched(cohort, n_patients=12), show=False)
    faces = [plt.matplotlib.colors.to_hex(box.get_facecolor()).upper() for box in ax.patches]
    colors = class_colors(["NR", "R"])
    assert faces == [colors["R"], "#FFFFFF", colors["NR"], "#FFFFFF"] * 5


def test_stars_follow_the_adjusted_p_over_patients(cohort, enriched):
    adata = enriched(cohort, n_patients=12)
    stats = adata.uns["tcellmil_attention_enrichment"]["stats"]
    stats["median_difference"] = [5, 4, 3, 2, 1.0]
    stats["padj"] = [0.0009, 0.009, 0.049, 0.05, np.nan]
    assert stars(tm.pl.attention_enrichment(adata, show=False)) == ["***", "**", "*", "", ""]


def test_patients_without_a_label_are_drawn_grey_and_named(cohort, enriched):
    ax = tm.pl.attention_enrichment(enriched(cohort, n_patients=12, n_unlabelled=2), show=False)
    assert legend(ax) == [
        *("R, n = 5 patients", "NR, n = 5 patients", "unlabelled, n = 2 patients", "same patients, groups permuted")
    ]


def test_groups_that_were_tested_in_no_patient_are_counted_and_not_drawn(cohort, enriched):
    adata = enriched(cohort, n_patients=6)
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.rename_categories({"B": "x"}).astype(str)
    adata.obs.iloc[0, adata.obs.columns.get_loc("cell_type")] = "rare"
    tm.tl.attention_enrichment(adata, "cell_type", n_permutations=50)
    ax = tm.pl.attention_enrichment(adata, show=False)
    assert ax.get_xlabel() == "Median attention relative to uniform\n1 more group with too few cells"
    assert "rare" not in {name for name, _ in names(ax)} and len(names(ax)) == 5


def test_when_no_group_was_tested_the_panel_says_so(cohort, enriched):
    adata = enriched(cohort, n_patients=6)
    tm.tl.attention_enrichment(adata, "cell_type", n_permutations=50, min_cells=10_000)
    ax = tm.pl.attention_enrichment(adata, show=False)
    assert "no group has enough cells" in [text.get_text() for text in ax.texts]
    assert ax.get_xlabel().endswith("5 more groups with too few cells")


def test_an_attention_of_zero_is_drawn_at_the_lowest_above(cohort, enriched):
    adata = enriched(cohort, n_patients=6)
    table = adata.uns["tcellmil_attention_enrichment"]["patients"]
    table.loc[0, "observed"] = 0
    ax = tm.pl.attention_enrichment(adata, show=False)
    drawn = np.concatenate([points.get_offsets()[:, 0] for points in ax.collections])
    above = table.loc[1:, ["observed", "null"]].min().min()
    assert drawn.min() == pytest.approx(min(above, table.loc[0, "null"]))


def test_another_key_and_own_axes(cohort):
    adata = cohort(n_patients=6, n_regulons=2, n_replicas=1, key="other")
    tm.tl.attention_enrichment(adata, "cell_type", n_permutations=50, key="other", key_added="mine")
    figure, ax = plt.subplots()
    assert tm.pl.attention_enrichment(adata, key="other", result_key="mine", ax=ax) is ax
    assert plt.get_fignums() == [figure.number] and len(names(ax)) == 5


@pytest.mark.parametrize(
    ("n_patients", "options", "font_size", "own"),  # 14 is the size of scanpy.set_figure_params
    [
        (6, {"cell_types": ("A", "B")}, 14, True),
        (64, {"cell_types": MANY_TYPES}, 10, True),
        (64, {"cell_types": MANY_TYPES}, 10, False),
        (12, {"classes": ("NR", "SD", "PR", "CR", "?")}, 14, True),
    ],
    ids=["small", "long names", "long names, own axes", "five classes"],
)
def test_no_text_covers_another_or_leaves_the_figure(cohort, enriched, n_patients, options, font_size, own):
    adata = enriched(cohort, n_patients=n_patients, **options)
    with plt.rc_context({"font.size": font_size}):
        ax = None if own else plt.subplots(figsize=(12, 12), layout="constrained")[1]
        ax = tm.pl.attention_enrichment(adata, ax=ax, show=False)
        for (one, a), (other, b) in combinations(text_boxes(ax), 2):
            assert not a.overlaps(b), (one, other)
        inside = ax.figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.y0 >= 0
    assert inside.x1 <= ax.figure.get_figwidth() and inside.y1 <= ax.figure.get_figheight()


def test_without_a_result_the_error_names_the_verb(cohort):
    with pytest.raises(KeyError, match="no 'tcellmil_attention_enrichment'; run tl.attention_enrichment"):
        tm.pl.attention_enrichment(cohort(n_patients=6, n_regulons=2, n_replicas=1))
