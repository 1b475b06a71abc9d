"""Curves: areas and legends agree with the metrics table."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import tcellmil as tm


def _legend(ax):
    return [text.get_text() for text in ax.figure.legends[0].get_texts()]


def _row(adata, metric, key="tcellmil"):
    return tm.get.metrics(adata, key=key).loc[metric]


@pytest.mark.parametrize("n_patients", [6, 24, 64])
@pytest.mark.parametrize("signal", [0.0, 1.0])
def test_legend_has_value_interval_and_n_of_the_table(cohort, n_patients, signal):
    adata = cohort(n_patients=n_patients, signal=signal, n_regulons=2)
    for draw, metric, name in [(tm.pl.roc, "auroc", "AUROC"), (tm.pl.prc, "auprc", "AUPRC")]:
        row = _row(adata, metric)
        expected = f"{row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}], n = {n_patients}"
        assert _legend(draw(adata, show=False))[0] == f"tcellmil {name} {expected}"


@pytest.mark.parametrize("seed", range(5))
def test_area_under_the_drawn_curves_is_the_value_of_the_table(cohort, seed):
    adata = cohort(n_patients=20, n_unlabelled=3, signal=0.7, n_regulons=2, seed=seed)
    x, y = tm.pl.roc(adata, show=False).lines[1].get_data()
    assert np.trapezoid(y, x) == pytest.approx(_row(adata, "auroc")["value"])
    line = tm.pl.prc(adata, show=False).lines[0]
    recall, precision = line.get_data()
    assert line.get_drawstyle() == "steps-pre"
    assert (np.diff(recall) * precision[1:]).sum() == pytest.approx(_row(adata, "auprc")["value"])


def test_tied_probabilities_give_one_step(cohort):
    adata = cohort(n_patients=12, n_regulons=2)
    table = adata.uns["tcellmil"]["predictions"]
    table[["prob_0", "prob_1"]] = 0.5
    recall, precision = tm.pl.prc(adata, show=False).lines[0].get_data()
    assert (recall.tolist(), precision.tolist()) == ([0.0, 1.0], [0.5, 0.5])


def test_unlabelled_patients_are_not_drawn(cohort):
    adata = cohort(n_patients=20, n_unlabelled=4, n_regulons=2)
    assert "n = 16" in _legend(tm.pl.roc(adata, show=False))[0]


def test_prevalence_is_drawn_and_labelled(cohort):
    ax = tm.pl.prc(cohort(n_patients=15, n_regulons=2), show=False)  # 7 of 15 are R
    assert _legend(ax)[-1] == "prevalence 0.47"
    assert any(np.allclose(line.get_ydata(), 7 / 15) for line in ax.lines if len(line.get_ydata()) == 2)


def test_several_keys_are_overlaid_each_with_its_own_values(cohort):
    adata = cohort(n_patients=24, n_regulons=2)
    adata.uns["pca"] = cohort(n_patients=24, n_regulons=2, signal=0.2, seed=1, key="pca").uns["pca"]
    ax = tm.pl.roc(adata, key=["tcellmil", "pca"], show=False)
    for text, key in zip(_legend(ax), ["tcellmil", "pca"], strict=True):
        assert text.startswith(f"{key} AUROC {_row(adata, 'auroc', key)['value']:.2f} ")
    assert len({line.get_color() for line in ax.lines}) == 3  # chance and two curves


def test_axis_names_the_positive_class(cohort):
    adata = cohort(n_patients=12, n_regulons=2)
    assert tm.pl.roc(adata, show=False).get_ylabel() == "True positive rate (R)"
    assert tm.pl.prc(adata, show=False).get_ylabel() == "Precision (R)"


def test_several_classes_get_a_curve_each_against_the_rest(cohort):
    classes = ("CR", "PR", "SD", "PD", "NE")
    adata = cohort(n_patients=30, classes=classes, n_regulons=2)
    ax = tm.pl.roc(adata, show=False)
    assert _legend(ax) == [f"{name}, n = 6" for name in classes]
    row = _row(adata, "auroc")
    title = f"tcellmil mean AUROC {row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}], n = 30"
    assert ax.figure.legends[0].get_title().get_text() == title
    table = tm.get.predictions(adata)
    for name, line in zip(classes, ax.lines[1:], strict=True):
        x, y = line.get_data()
        assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(table["label"] == name, table[f"prob_{name}"]))


def test_several_keys_with_several_classes_are_an_error(cohort):
    adata = cohort(n_patients=12, classes=("a", "b", "c"), n_regulons=2)
    adata.uns["again"] = adata.uns["tcellmil"]
    with pytest.raises(ValueError, match="'tcellmil' has 3 classes; draw one such fit at a time, one method"):
        tm.pl.roc(adata, key=["tcellmil", "again"], show=False)


def test_after_leave_pair_out_the_legend_has_the_value_of_the_pairs(cohort):
    adata = cohort(n_patients=12, n_regulons=2)
    adata.uns["tcellmil"]["params"]["cv"] = "leave_pair_out"
    adata.uns["tcellmil"]["metrics"].loc[0, ["value", "ci_low", "ci_high"]] = [0.61, 0.42, 0.8]
    assert _legend(tm.pl.roc(adata, show=False))[0] == "tcellmil AUROC of pairs 0.61 [0.42, 0.80], n = 12"
    assert "pairs" not in _legend(tm.pl.prc(adata, show=False))[0]


def _several(cohort, n, letters):
    """Fits of two classes under ``n`` names of so many letters."""
    adata = cohort(n_patients=8, n_regulons=2)
    names = [f"{i:02d}".ljust(letters, "W") for i in range(n)]
    for name in names:
        adata.uns[name] = adata.uns["tcellmil"]
    return adata, names


def _apart(ax, legend):
    """The legend covers neither the axes nor its numbers and names."""
    renderer = ax.figure.canvas.get_renderer()
    box, panel = legend.get_window_extent(renderer), ax.get_tightbbox(renderer, bbox_extra_artists=[])
    return box.y1 <= panel.y0 + 1


@pytest.mark.parametrize("draw", [tm.pl.roc, tm.pl.prc, tm.pl.calibration])
@pytest.mark.parametrize(("n", "letters", "font_size"), [(1, 3, 10), (20, 40, 10), (20, 12, 14)])
def test_the_legend_is_below_the_axis_and_never_cut(cohort, tmp_path, draw, n, letters, font_size):
    adata, names = _several(cohort, n, letters)
    with plt.rc_context({"font.size": font_size}):
        ax = draw(adata, key=names, show=False, save=tmp_path / "curves.png")
        ax.figure.draw_without_rendering()
        (legend,) = ax.figure.legends
        box, figure = legend.get_window_extent(), ax.figure.bbox
        assert len(legend.get_texts()) == n + (draw is tm.pl.prc)
        assert box.x0 >= 0 and box.x1 <= figure.width and box.y0 >= 0 and _apart(ax, legend)
        assert ax.get_window_extent().width > 3 * ax.figure.dpi  # the curves are as large as without a legend
        given = plt.subplots(figsize=(5, 5))[1]
        draw(adata, key=names, ax=given)
        given.figure.draw_without_rendering()
        assert _apart(given, given.get_legend())
        assert given.figure.get_tightbbox().y0 * given.figure.dpi <= given.get_legend().get_window_extent().y0 + 1


def test_more_curves_than_colours_differ_in_their_lines(cohort):
    adata, names = _several(cohort, 20, 4)
    lines = tm.pl.roc(adata, key=names, show=False).lines[1:]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 20
