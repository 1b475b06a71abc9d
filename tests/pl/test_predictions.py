"""Predictions beside what was observed: every patient at its place, and the words of the tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.stats import bootstrap_ordinal, bootstrap_regression, bootstrap_survival

KINDS = ("classes", "ordinal", "continuous", "survival")


@pytest.fixture
def build(cohort):
    """A cohort of the other tests with another outcome in place of its classes."""

    def make(outcome, n_patients=16, cohorts=("A", "B", ""), n_unknown=0, metrics=True, **kwargs):
        if outcome in ("classes", "ordinal"):
            classes = ("low", "mid", "high") if outcome == "ordinal" else ("NR", "R")
            kwargs = {"classes": classes, "n_unlabelled": n_unknown} | kwargs
            adata = cohort(n_patients=n_patients, n_regulons=2, **kwargs)
            fit = adata.uns["tcellmil"]
            table = fit["predictions"]
            if outcome == "ordinal":
                known = table[table["label"] != ""]
                code = known["label"].map(classes.index).to_numpy()
                fit["metrics"] = bootstrap_ordinal(
                    code, known[[f"prob_{i}" for i in range(len(classes))]].to_numpy(), n_boot=50
                )
        else:
            adata = cohort(n_patients=n_patients, n_regulons=2, **kwargs)
            fit, rng = adata.uns["tcellmil"], np.random.default_rng(0)
            known = np.arange(n_patients) < n_patients - n_unknown
            frame = fit["predictions"][["n_cells", "n_replicas"]]
            if outcome == "continuous":
                observed = rng.normal(50, 8, n_patients)
                predicted = observed / 2 + 25 + rng.normal(0, 5, n_patients)
                fit["metrics"] = bootstrap_regression(observed[known], predicted[known], n_boot=50)
                columns = {"label": np.where(known, observed, np.nan), "predicted": predicted, "predicted_sd": 0.1}
            else:
                risk = rng.normal(size=n_patients)
                time, event = rng.exponential(np.exp(-risk)) * 20, (rng.random(n_patients) < 0.7).astype(float)
                fit["metrics"] = bootstrap_survival(time[known], event[known], risk[known], n_boot=50)
                columns = {"time": np.where(known, time, np.nan), "event": event, "risk": risk, "risk_sd": 0.1}
            fit["predictions"] = pd.concat([pd.DataFrame(columns, index=frame.index), frame], axis=1)
            name = {"continuous": "age", "survival": "risk"}[outcome]
            fit["params"] |= {"classes": np.array([name], dtype=object), "positive_class": name}
            fit["params"]["label_key"] = {"continuous": "age", "survival": "days"}[outcome]
        fit["params"]["outcome"] = outcome
        if cohorts:
            fit["params"]["batch_key"] = "study"
            fit["predictions"]["cohort"] = np.array(cohorts, dtype=object)[np.arange(n_patients) % len(cohorts)]
        if not metrics:
            del fit["metrics"]
        return adata

    return make


def points(ax):
    return np.concatenate([c.get_offsets() for c in ax.collections if type(c).__name__ == "PathCollection"])


@pytest.mark.parametrize("outcome", KINDS)
@pytest.mark.parametrize("font_size", [10, 14])
def test_nothing_is_cut_and_nothing_changed(build, outcome, font_size):
    adata = build(outcome)
    before = adata.uns["tcellmil"]["predictions"].copy()
    with plt.rc_context({"font.size": font_size, "axes.titlesize": font_size}):
        figure = tm.pl.predictions(adata, show=False).figure
        figure.canvas.draw()
        inside = figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.y0 >= 0
    assert inside.x1 <= figure.get_figwidth() and inside.y1 <= figure.get_figheight()
    pd.testing.assert_frame_equal(adata.uns["tcellmil"]["predictions"], before)


@pytest.mark.parametrize("outcome", KINDS)
def test_own_axes_are_drawn_on(build, outcome):
    mine = plt.subplots()[1]
    assert tm.pl.predictions(build(outcome), ax=mine, show=False) is mine
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("outcome", "metric", "name"),
    [
        ("classes", "auroc", "AUROC"),
        ("ordinal", "weighted_kappa", "Weighted kappa"),
        ("continuous", "pearson", "Pearson correlation"),
        ("survival", "concordance", "Concordance"),
    ],
)
def test_the_title_has_the_metric_of_the_table_and_the_patients(build, outcome, metric, name):
    adata = build(outcome)
    row = tm.get.metrics(adata).loc[metric]
    lines = tm.pl.predictions(adata, show=False).get_title().split("\n")
    assert lines[0] == f"{name} {row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    assert lines[-1] == "n = 16 patients"


def test_classes_lie_side_by_side_each_from_the_lowest_to_the_highest(build):
    adata = build("classes")
    ax, table = tm.pl.predictions(adata, show=False), tm.get.predictions(adata)
    of_class = [c for c in ax.collections if type(c).__name__ == "PathCollection"]
    for place, (drawn, name) in enumerate(zip(of_class, ("NR", "R"), strict=True)):
        x, y = drawn.get_offsets().T
        np.testing.assert_allclose(y, np.sort(table.loc[table["label"] == name, "prob_R"]))
        assert (np.diff(x) > 0).all() and (np.abs(x - place) < 0.5).all()
    assert [text.get_text() for text in ax.get_xticklabels()] == ["NR\nn = 8", "R\nn = 8"]
    assert ax.get_ylabel() == "Predicted probability of R (out of fold)"


def test_another_class_can_be_followed(build):
    adata = build("classes", classes=("CR", "PR", "SD"))
    for target in ("CR", "SD"):
        ax = tm.pl.predictions(adata, target_class=target, show=False)
        expected = np.sort(tm.get.predictions(adata)[f"prob_{target}"])
        np.testing.assert_allclose(np.sort(points(ax)[:, 1]), expected)
    assert ax.get_title().startswith("Mean AUROC ")


def test_unlabelled_patients_have_a_place_of_their_own(build):
    ax = tm.pl.predictions(build("classes", n_unknown=3), show=False)
    assert ax.get_xticklabels()[-1].get_text() == "unlabelled\nn = 3"
    assert len(points(ax)) == 16


def test_levels_are_means_of_the_levels_by_their_probabilities(build):
    adata = build("ordinal")
    ax, table = tm.pl.predictions(adata, show=False), tm.get.predictions(adata)
    expected = table["prob_mid"] + 2 * table["prob_high"]
    np.testing.assert_allclose(np.sort(points(ax)[:, 1]), np.sort(expected))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["low", "mid", "high"]
    probability = tm.pl.predictions(adata, target_class="high", show=False)
    np.testing.assert_allclose(np.sort(points(probability)[:, 1]), np.sort(table["prob_high"]))


def test_numbers_lie_at_predicted_and_observed_on_one_scale(build):
    adata = build("continuous", cohorts=())
    ax, table = tm.pl.predictions(adata, show=False), tm.get.predictions(adata)
    np.testing.assert_allclose(points(ax), table[["predicted", "label"]])
    assert ax.get_xlim() == ax.get_ylim() and not ax.figure.legends
    x, y = ax.lines[0].get_data()
    np.testing.assert_array_equal(x, y)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Predicted age (out of fold)", "Observed age")


def test_cohorts_have_their_colours_and_one_that_is_not_known_is_grey(build):
    adata = build("continuous")
    ax = tm.pl.predictions(adata, show=False)
    (legend,) = ax.figure.legends
    assert legend.get_title().get_text() == "study"
    assert [text.get_text() for text in legend.get_texts()] == ["A, n = 6", "B, n = 5", "not known, n = 5"]
    colors = {tuple(c.get_facecolor()[0]) for c in ax.collections}
    assert len(colors) == 3 and len(points(ax)) == 16


@pytest.mark.parametrize("outcome", ["continuous", "survival"])
def test_patients_without_an_outcome_are_counted_not_drawn(build, outcome):
    ax = tm.pl.predictions(build(outcome, n_unknown=4), show=False)
    assert ax.get_title().endswith("n = 12 patients, 4 more cannot be drawn")


def test_curves_are_those_of_the_getter_with_numbers_at_risk(build):
    adata = build("survival")
    ax, curves = tm.pl.predictions(adata, show=False), tm.get.risk_groups(adata).reset_index()
    steps = [line for line in ax.lines if line.get_drawstyle() == "steps-post"]
    table = tm.get.predictions(adata)
    ticks = ax.get_xticks()
    written = [text.get_text() for text in ax.texts]
    for line, name, high in zip(steps, ("low risk", "high risk"), (False, True), strict=True):
        curve = curves[curves["group"] == name]
        np.testing.assert_array_equal(line.get_data(), curve[["time", "survival"]].T)
        times = table.loc[(table["risk"] > table["risk"].median()) == high, "time"]
        start = written.index(name) + 1
        assert [int(n) for n in written[start : start + len(ticks)]] == [(times >= tick).sum() for tick in ticks]
    p = tm.get.risk_groups(adata, "test")["p"].item()
    assert f"High and low risk (out of fold): log-rank test p = {p:.2g}" in ax.get_title()
    assert ax.get_xlabel() == "days"


def test_very_low_p_values_are_not_written_out(build):
    adata = build("survival", n_patients=60)
    table = adata.uns["tcellmil"]["predictions"]
    table["time"], table["event"] = np.exp(-table["risk"]), 1.0
    assert "log-rank test p < 0.001" in tm.pl.predictions(adata, show=False).get_title()


@pytest.mark.parametrize("outcome", KINDS)
def test_new_patients_have_no_metric_and_are_not_called_out_of_fold(build, outcome):
    ax = tm.pl.predictions(build(outcome, metrics=False), show=False)
    words = ax.get_title() + ax.get_xlabel() + ax.get_ylabel()
    assert "out of fold" not in words and "[" not in words and "n = 16 patients" in words


@pytest.mark.parametrize(
    ("outcome", "change", "options", "message"),
    [
        ("continuous", {}, {"target_class": "R"}, "target_class='R' is for classes, the outcome is 'continuous'"),
        ("classes", {}, {"target_class": "PR"}, "target_class='PR' is not known; choose from 'NR', 'R'"),
        ("continuous", {"label": np.nan}, {}, "no patient of 'tcellmil' has all of label, predicted; there is nothing"),
        ("survival", {"time": np.nan}, {}, "no patient of 'tcellmil' has all of time, event, risk"),
        ("survival", {"risk": 0.0}, {}, "none a risk above the median 0"),
    ],
)
def test_what_cannot_be_drawn_is_explained_and_opens_no_figure(build, outcome, change, options, message):
    adata = build(outcome)
    for name, value in change.items():
        adata.uns["tcellmil"]["predictions"][name] = value
    with pytest.raises(ValueError, match=message):
        tm.pl.predictions(adata, show=False, **options)
    assert not plt.get_fignums()


def test_a_missing_key_names_the_verb(build):
    with pytest.raises(KeyError, match=r"run tl.fit_mil\(adata, ..., key_added='absent'\) first"):
        tm.pl.predictions(build("classes"), key="absent", show=False)


@pytest.mark.parametrize("draw", [tm.pl.roc, tm.pl.prc])
@pytest.mark.parametrize("outcome", ["continuous", "survival"])
def test_curves_of_classes_say_what_to_draw_instead(build, outcome, draw):
    message = f"curves are for classes, 'tcellmil' was fitted with outcome='{outcome}'; use pl.predictions"
    with pytest.raises(ValueError, match=message):
        draw(build(outcome), show=False)
    assert not plt.get_fignums()


@pytest.mark.parametrize(("outcome", "label"), [("continuous", "variance"), ("survival", "partial likelihood")])
def test_losses_are_called_what_they_are(build, outcome, label):
    assert tm.pl.history(build(outcome), show=False)[1].get_ylabel().endswith(label)


@pytest.mark.parametrize(("outcome", "name"), [("continuous", "age"), ("survival", "log hazard")])
def test_other_pictures_name_what_is_changed_and_have_one_group(build, outcome, name):
    adata = build(outcome)
    target = {"target_class": "age" if outcome == "continuous" else "risk", "outcome": outcome}
    result = adata.uns["tcellmil_perturbation"]
    result["stats"] = result["stats"].drop(columns=["mean_delta_logit", "target_class"]).assign(**target)
    assert tm.pl.perturb(adata, show=False)[0].get_xlabel() == f"Change in {name}"
    for part in ("patients", "stats"):
        result[part] = pd.concat([result[part].assign(n_mad=dose) for dose in (1.0, 3.0)], ignore_index=True)
    assert tm.pl.perturb_dose(adata, show=False)[0].get_ylabel() == f"Change in {name}"
    n_cells = adata.n_obs
    legend = tm.pl.attention(adata, show=False).get_legend().get_texts()
    assert [text.get_text() for text in legend] == [f"all patients, n = 16 patients, {n_cells:,} cells"]
    tm.tl.attention_enrichment(adata, "cell_type", 50)
    legend = tm.pl.attention_enrichment(adata, show=False).get_legend().get_texts()
    assert legend[0].get_text() == "all patients, n = 16 patients"


@pytest.mark.parametrize(("outcome", "name"), [("continuous", "age"), ("survival", "log hazard")])
@pytest.mark.parametrize("by", ["label", "output"])
def test_shap_values_of_a_number_are_of_one_group(build, outcome, name, by):
    from tcellmil.tl._explain._shap import _difference, _statistics

    adata = build(outcome)
    patients, target = adata.uns["tcellmil"]["predictions"].index, "age" if outcome == "continuous" else "risk"
    table = pd.DataFrame(
        [(p, r, target) for p in patients for r in ("TF1", "TF2")], columns=["patient", "regulon", "class"]
    )
    for column in ("mean", "weighted_mean", "weighted_abs", "total"):
        table[column] = np.random.default_rng(0).normal(size=len(table))
    difference = _difference(table, [target], target)
    adata.uns["tcellmil_shap"] = {
        "patients": table,
        "difference": difference,
        "stats": _statistics(table, difference, ["TF1", "TF2"], "bag"),
        "params": {
            "level": "bag",
            "target_class": target,
            "outcome": outcome,
            "output": "value",
            "key": "tcellmil",
            "verb": "shap",
        },
    }
    ax = tm.pl.shap(adata, by=by, show=False)
    assert ax.get_xlabel() == f"SHAP value for {name}\n(sum over cells)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["all patients"]
    assert sum(len(c.get_offsets()) for c in ax.collections) == 32
