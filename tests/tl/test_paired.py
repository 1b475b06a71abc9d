"""Paired designs, samples of two classes of the same patients: from the fit to the test, counted plainly."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

import tcellmil as tm

#: Who is alone beside four pairs: three patients with one sample, and one with two of one class.
ALONE = {"P8": "D4", "P9": "D5", "P11": "D6", "P10": "D7", "P12": "D7"}


def paired(make_cohort, n_pairs=5, alone=None):
    """A sample of each class of every donor; and donors with samples of one class."""
    alone = alone or {}
    adata = make_cohort(n_patients=14)
    donor = {f"P{i}": f"D{i // 2}" for i in range(2 * n_pairs)} | alone
    adata = adata[adata.obs["patient"].isin(donor)].copy()
    adata.obs["donor"] = adata.obs["patient"].map(donor).astype(str)
    return adata


@pytest.fixture(scope="module")
def pairs_once(make_cohort, fit_quickly):
    adata = paired(make_cohort)
    fit_quickly(adata, group_key="donor", training={"lr": 0.05})
    return adata


@pytest.fixture
def pairs(pairs_once):
    return pairs_once.copy()


@pytest.fixture(scope="module")
def mixed_once(make_cohort, fit_quickly):
    adata = paired(make_cohort, 4, ALONE)
    fit_quickly(adata, group_key="donor", training={"lr": 0.05})
    return adata


@pytest.fixture
def mixed(mixed_once):
    return mixed_once.copy()


@pytest.mark.parametrize("cv", ["rebalanced_loo", "loo", 2])
def test_no_network_sees_the_other_sample_of_whom_it_predicts(make_cohort, fit_quickly, cv):
    adata = paired(make_cohort)
    fit_quickly(adata, group_key="donor", cv=cv)
    replicas = tm.get.model(adata).module.replicas
    donor = adata.obs.groupby("patient", observed=True)["donor"].first().to_numpy()
    for train, test in zip(replicas.train, replicas.test, strict=True):
        assert not set(donor[train]) & set(donor[test])
        assert (pd.Series(donor[test]).value_counts() == 2).all()


def test_the_closing_line_counts_samples_and_patients(make_cohort, fit_quickly, caplog):
    with caplog.at_level("INFO", logger="tcellmil"):
        fit_quickly(paired(make_cohort), group_key="donor")
        adata = paired(make_cohort, 4, ALONE)
        fit_quickly(adata, group_key="donor")
        tm.tl.perturb(adata, progress=False)
        tm.tl.attention_correlation(adata, mixed_model=False)
    assert "10 samples of 5 patients, 5 replicas" in caplog.text
    assert "13 samples of 8 patients, 8 replicas" in caplog.text
    assert "perturb: 6 regulons in 13 samples of 8 patients; " in caplog.text
    assert "6 regulons over 13 samples of 8 patients; " in caplog.text


def test_predictions_say_whose_samples_they_are(pairs, tmp_path):
    pairs.write_h5ad(tmp_path / "result.h5ad")
    for adata in (pairs, ad.read_h5ad(tmp_path / "result.h5ad")):
        table = tm.get.predictions(adata)
        expected = adata.obs.groupby("patient", observed=True)["donor"].first()
        assert table["group"].to_dict() == expected.to_dict()


def test_without_a_group_key_there_is_no_group(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, cv=2)
    assert "group" not in tm.get.predictions(adata)
    with pytest.raises(ValueError, match="'tcellmil' has no groups, .* group_key=... of tl.fit_mil"):
        tm.get.paired_change(adata)


def test_intervals_are_over_pairs(pairs, fit_quickly, monkeypatch):
    """Each resample has both samples of a patient, or neither."""
    import tcellmil.stats._evaluation._classes as module

    seen, draw = [], module.class_resamples
    monkeypatch.setattr(module, "class_resamples", lambda *args: seen.append(draw(*args)) or seen[-1])
    fit_quickly(pairs, group_key="donor")
    donor = pairs.obs.groupby("patient", observed=True)["donor"].first().to_numpy()
    for name in np.unique(donor):
        counts = seen[0][:, donor == name]
        assert (counts == counts[:, :1]).all()


# -- permutation ------------------------------------------------------------------------------------------------------


def labels_of_permutations(adata, monkeypatch, n=12, **options):
    """The labels that networks were trained on, by the names of the samples."""
    import tcellmil.training as training

    seen, fit = [], training.fit_ensemble

    def watched(*args, labels, **more):
        seen.append(labels)
        return fit(*args, labels=labels, **more)

    monkeypatch.setattr(training, "fit_ensemble", watched)
    tm.tl.permutation_test(adata, n, progress=False, **options)
    return pd.DataFrame(np.concatenate(seen), columns=tm.get.model(adata).bags().names)


def test_labels_are_permuted_within_the_patient(pairs, monkeypatch):
    labels = labels_of_permutations(pairs, monkeypatch)
    of_first = [labels[f"P{i}"] for i in range(0, 10, 2)]
    of_second = [labels[f"P{i}"] for i in range(1, 10, 2)]
    assert all((one + other == 1).all() for one, other in zip(of_first, of_second, strict=True))
    assert len(labels.drop_duplicates()) > 3


def test_few_arrangements_are_counted_exactly_and_said(pairs, caplog):
    with caplog.at_level("INFO", logger="tcellmil"):
        tm.tl.permutation_test(pairs, 10, progress=False)
    assert tm.get.permutation_test(pairs)["n_arrangements"].item() == 32
    assert "(10 permutations within 5 patients); there are only 32 arrangements, so that p cannot be" in caplog.text


def test_others_exchange_whole_patients(mixed, monkeypatch, caplog):
    with caplog.at_level("INFO", logger="tcellmil"):
        labels = labels_of_permutations(mixed, monkeypatch)
    assert all((labels[f"P{i}"] + labels[f"P{i + 1}"] == 1).all() for i in range(0, 8, 2))
    assert (labels["P10"] == labels["P12"]).all() and labels["P8"].nunique() == 2
    assert (labels[["P8", "P9", "P11", "P10"]].sum(axis=1) == 2).all()  # two of the four are responders
    assert "permutations within 4 patients and among 4 others)" in caplog.text
    assert tm.get.permutation_test(mixed)["n_arrangements"].item() == 2**4 * 6


def test_many_arrangements_are_not_spoken_of(make_cohort, fit_quickly, caplog):
    adata = make_cohort(n_patients=14)
    fit_quickly(adata, cv=2)
    with caplog.at_level("INFO", logger="tcellmil"):
        tm.tl.permutation_test(adata, 2, progress=False)
    assert tm.get.permutation_test(adata)["n_arrangements"].item() == 3432  # 14 over 7
    assert "(2 permutations among 14 patients)" in caplog.text and "only" not in caplog.text


def test_numbers_are_permuted_within_the_patient_too(make_cohort, fit_quickly):
    adata = paired(make_cohort)
    adata.obs["score"] = adata.obs["patient"].str[1:].astype(float)
    options = {"outcome": "continuous", "group_key": "donor", "training": {"max_epochs": 1}, "progress": False}
    tm.tl.fit_mil(adata, "patient", "score", cv=2, **options)
    tm.tl.permutation_test(adata, 2, progress=False)
    assert tm.get.permutation_test(adata)["n_arrangements"].item() == 32


def test_cohorts_of_one_class_leave_nothing_to_permute(make_cohort, fit_quickly):
    adata = make_cohort()
    adata.obs["cohort"] = adata.obs["response"].astype(str)
    fit_quickly(adata, "cohort", cv=2)
    with pytest.raises(ValueError, match="outcomes cannot be permuted: within each cohort"):
        tm.tl.permutation_test(adata, 2, progress=False)
    assert "tcellmil_permutation_test" not in adata.uns


# -- the change within patients ---------------------------------------------------------------------------------------


def test_the_change_is_that_of_the_out_of_fold_logits(pairs):
    p = tm.get.predictions(pairs)["prob_R"]
    logit = np.log((p + 1e-6) / (1 - p + 1e-6))
    changes = [logit[f"P{2 * i + 1}"] - logit[f"P{2 * i}"] for i in range(5)]
    table = tm.get.paired_change(pairs, "patients")
    assert table.index.name == "group" and table.index.tolist() == [f"D{i}" for i in range(5)]
    np.testing.assert_allclose(table["change"], changes)
    np.testing.assert_allclose(table["logit_to"] - table["logit_from"], changes)
    row = tm.get.paired_change(pairs).loc["NR to R"]
    assert row[["n_patients", "n_samples", "n_alone"]].tolist() == [5, 10, 0]
    assert row["n_right"] == sum(change > 0 for change in changes)
    assert row["mean_change"] == pytest.approx(np.mean(changes)) and row["ci_low"] < row["mean_change"] < row["ci_high"]
    assert row["p"] == pytest.approx(wilcoxon(changes).pvalue)


def test_patients_of_one_class_are_counted_and_left_out(mixed):
    row = tm.get.paired_change(mixed).loc["NR to R"]
    assert row[["n_patients", "n_samples", "n_alone"]].tolist() == [4, 8, 4]
    assert tm.get.paired_change(mixed, "patients").index.tolist() == ["D0", "D1", "D2", "D3"]


def test_several_samples_of_a_class_count_by_their_mean(pairs):
    table = pairs.uns["tcellmil"]["predictions"]
    table.loc[["P2", "P3"], "group"] = "D0"
    first = tm.get.paired_change(pairs, "patients").loc["D0"]
    p = tm.get.predictions(pairs)["prob_R"]
    logit = np.log((p + 1e-6) / (1 - p + 1e-6))
    assert first[["n_from", "n_to"]].tolist() == [2, 2]
    assert first["change"] == pytest.approx(logit[["P1", "P3"]].mean() - logit[["P0", "P2"]].mean())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fit: fit["params"].update(classes=np.array(["a", "b", "c"])), "of two classes, there are 3"),
        (lambda fit: fit["params"].update(outcome="continuous"), "the outcome is 'continuous'"),
        (
            lambda fit: fit["predictions"].__setitem__("group", fit["predictions"].index),
            "no patient of 'tcellmil' has samples of both 'NR' and 'R'",
        ),
    ],
)
def test_what_has_no_paired_change_is_explained(pairs, change, message):
    change(pairs.uns["tcellmil"])
    with pytest.raises(ValueError, match=message):
        tm.get.paired_change(pairs)


def test_an_unknown_part_is_named(pairs):
    with pytest.raises(ValueError, match="part='samples' is not known; choose from 'test', 'patients'"):
        tm.get.paired_change(pairs, "samples")


# -- pictures ---------------------------------------------------------------------------------------------------------


def segments(ax):
    """Ends of the lines between points."""
    return sorted(tuple(map(tuple, np.round(line.get_xydata(), 6).tolist())) for line in ax.lines)


def test_a_line_joins_the_samples_of_each_patient(pairs):
    ax = tm.pl.predictions(pairs, show=False)
    p = tm.get.predictions(pairs)["prob_R"]
    points = np.vstack([points.get_offsets() for points in ax.collections])
    place = {round(float(y), 6): round(float(x), 6) for x, y in points}
    of_sample = {name: (place[round(value, 6)], round(value, 6)) for name, value in p.items()}
    assert segments(ax) == sorted((of_sample[f"P{i}"], of_sample[f"P{i + 1}"]) for i in range(0, 10, 2))


def test_the_title_has_the_change_and_counts_samples_of_patients(pairs, mixed):
    row = tm.get.paired_change(pairs).iloc[0]
    title = tm.pl.predictions(pairs, show=False).get_title().split("\n")
    change = f"{row['mean_change']:+.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    assert title[1:] == [f"Within 5 patients: change of logit {change}, p = 0.062", "n = 10 samples of 5 patients"]
    title = tm.pl.predictions(mixed, show=False).get_title().split("\n")
    assert title[1].startswith("Within 4 patients: change of logit ") and title[2] == "n = 13 samples of 8 patients"


def test_groups_of_one_class_each_are_counted_and_not_joined(make_cohort, fit_quickly):
    adata = make_cohort()
    adata.obs["donor"] = adata.obs["patient"].map({f"P{i}": f"D{i % 4}" for i in range(8)}).astype(str)
    fit_quickly(adata, group_key="donor", cv=2)
    ax = tm.pl.predictions(adata, show=False)
    assert len(ax.lines) == 0 and ax.get_title().split("\n")[1:] == ["n = 8 samples of 4 patients"]


def test_other_pictures_count_samples_of_patients_too(pairs):
    tm.tl.permutation_test(pairs, 3, progress=False)
    tm.tl.perturb(pairs, progress=False)
    assert tm.pl.metrics(pairs, show=False)[0].get_title(loc="left") == "n = 10 samples of 5 patients"
    assert "n = 10 samples of 5 patients" in tm.pl.perturb(pairs, show=False)[0].get_title()
    assert "3 permutations of 32 arrangements" in tm.pl.permutation_test(pairs, show=False).get_title()
    legend = tm.pl.calibration(pairs, show=False).figure.legends[0]
    assert "n = 10 samples of 5 patients" in legend.get_texts()[0].get_text()


# -- samples of new patients ------------------------------------------------------------------------------------------


@pytest.fixture
def new_pairs(make_cohort):
    """Three pairs whom no network has seen."""
    adata = make_cohort(n_patients=6, seed=4, prefix="N")
    adata.obs["person"] = adata.obs["patient"].map({f"N{i}": f"E{i // 2}" for i in range(6)}).astype(str)
    return adata


def test_the_change_within_new_patients_is_that_of_their_predictions(new_pairs, pairs, tmp_path):
    tm.tl.predict(new_pairs, pairs, group_key="person")
    p = tm.get.predictions(new_pairs)["prob_R"]
    logit = np.log((p + 1e-6) / (1 - p + 1e-6))
    changes = [logit[f"N{2 * i + 1}"] - logit[f"N{2 * i}"] for i in range(3)]
    new_pairs.write_h5ad(tmp_path / "new.h5ad")
    for adata in (new_pairs, ad.read_h5ad(tmp_path / "new.h5ad")):
        assert tm.get.predictions(adata)["group"].tolist() == ["E0", "E0", "E1", "E1", "E2", "E2"]
        np.testing.assert_allclose(tm.get.paired_change(adata, "patients")["change"], changes)
        row = tm.get.paired_change(adata).loc["NR to R"]
        assert row[["n_patients", "n_samples", "n_alone"]].tolist() == [3, 6, 0]


def test_new_samples_are_counted_by_patient_and_joined(new_pairs, pairs, caplog):
    with caplog.at_level("INFO", logger="tcellmil"):
        tm.tl.predict(new_pairs, pairs, group_key="person")
        tm.tl.perturb(new_pairs, model=pairs, progress=False)
    assert "6 samples of 3 patients with a known outcome; 6 samples of 3 patients by 5 replicas" in caplog.text
    assert "6 regulons in 6 samples of 3 patients; " in caplog.text
    ax = tm.pl.predictions(new_pairs, show=False)
    assert len(segments(ax)) == 3 and "out of fold" not in ax.get_ylabel()
    title = ax.get_title().split("\n")
    assert title[1].startswith("Within 3 patients: change of logit ") and title[2] == "n = 6 samples of 3 patients"


def test_new_samples_without_labels_are_counted_by_patient_too(new_pairs, pairs, caplog):
    del new_pairs.obs["response"]
    with caplog.at_level("INFO", logger="tcellmil"):
        tm.tl.predict(new_pairs, pairs, group_key="person")
    assert "6 samples of 3 patients by 5 replicas; no metrics, no outcome is known" in caplog.text
    with pytest.raises(ValueError, match="no patient of 'tcellmil' has samples of both"):
        tm.get.paired_change(new_pairs)


def test_one_new_patient_with_both_samples_has_no_interval_and_no_doubt(new_pairs, pairs, recwarn):
    one = new_pairs[new_pairs.obs["person"] == "E0"].copy()
    tm.tl.predict(one, pairs, group_key="person")
    assert tm.get.metrics(one)[["ci_low", "ci_high"]].isna().all(axis=None)
    tm.tl.attention_correlation(one, mixed_model=False)
    assert not [str(warning.message) for warning in recwarn if "may know nothing" in str(warning.message)]


def test_new_samples_without_groups_are_noticed_and_have_no_change(new_pairs, fitted):
    new_pairs.obs = new_pairs.obs.rename(columns={"person": "donor_id"})
    with pytest.warns(
        UserWarning, match=r"'donor_id'.* 3 values for the 6 .*\. Intervals are too narrow; pass group_key"
    ):
        tm.tl.predict(new_pairs, fitted)
    with pytest.raises(ValueError, match="has no groups, .* group_key=... of tl.predict"):
        tm.get.paired_change(new_pairs)
