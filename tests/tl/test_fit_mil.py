import inspect
import typing
import warnings
from dataclasses import fields

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

import tcellmil as tm
from tcellmil.cv._splitters import Scheme
from tcellmil.data import Fields
from tcellmil.nn import NetworkConfig
from tcellmil.training import TrainingConfig

STATE = {"config", "weights", "splits", "checksum"}
WRITTEN = STATE | {
    "params",
    "predictions",
    "embedding",
    "features",
    "metrics",
    "history",
    "metrics_alone",
    "configurations",
}


def metric(adata, key="tcellmil"):
    return tm.get.metrics(adata, key=key)["value"]


def test_the_documented_keys_are_written_and_nothing_else(make_cohort, fitted_once):
    before, after = make_cohort(), fitted_once
    assert set(after.obsm) - set(before.obsm) == {"X_tcellmil"}
    assert set(after.obs) - set(before.obs) == {"tcellmil_attention", "tcellmil_attention_relative"}
    assert set(after.uns) - set(before.uns) == {"tcellmil"}
    assert set(after.uns["tcellmil"]) == WRITTEN
    pd.testing.assert_frame_equal(after.obs[before.obs.columns], before.obs)
    for key in before.obsm:
        assert np.array_equal(after.obsm[key], before.obsm[key])
    assert np.array_equal(after.X, before.X)
    assert set(after.uns["regulons"]) == set(before.uns["regulons"])
    assert not [key for key in [*after.uns, *after.obs, *after.obsm] if "scvi" in key]
    assert after.obsm["X_tcellmil"].shape == (after.n_obs, 6)


def test_predictions_have_a_row_a_patient(fitted_once):
    table = tm.get.predictions(fitted_once)
    assert table.index.tolist() == [f"P{i}" for i in range(8)]
    of_patient = fitted_once.obs.groupby("patient").first()
    assert (table["label"] == of_patient["response"].astype(str)).all()
    assert (table["cohort"] == of_patient["cohort"].astype(str)).all()
    np.testing.assert_allclose(table["prob_R"] + table["prob_NR"], 1)
    assert (table["predicted"] == np.where(table["prob_R"] > table["prob_NR"], "R", "NR")).all()
    assert (table["n_cells"] == 15).all()
    assert (table["n_replicas"] == 2).all()
    assert (table["prob_sd"] > 0).all()


def test_attention_sums_to_one_in_every_patient(fitted_once):
    sums = fitted_once.obs.groupby("patient")["tcellmil_attention"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-5)
    assert (fitted_once.obs["tcellmil_attention"] >= 0).all()


def test_metrics_are_those_of_sklearn_on_the_predictions(fitted_once):
    table, value = tm.get.predictions(fitted_once), metric(fitted_once)
    y, p, called = table["label"] == "R", table["prob_R"], table["predicted"] == "R"
    expected = {
        "auroc": sk.roc_auc_score(y, p),
        "auprc": sk.average_precision_score(y, p),
        "accuracy": sk.accuracy_score(y, called),
        "balanced_accuracy": sk.balanced_accuracy_score(y, called),
        "f1": sk.f1_score(y, called, zero_division=0),
        "precision": sk.precision_score(y, called, zero_division=0),
        "recall": sk.recall_score(y, called),
        "brier": sk.brier_score_loss(y, p),
    }
    assert value.to_dict() == pytest.approx(expected)
    table = tm.get.metrics(fitted_once)
    assert ((table["ci_low"] <= table["value"]) & (table["value"] <= table["ci_high"])).all()


def test_a_signal_is_found_out_of_fold(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=10, n_cells=30)
    fit_quickly(adata, training={"max_epochs": 40})
    assert metric(adata)["auroc"] >= 0.9


@pytest.mark.parametrize("encoder", ["per_fold", "shared"])
def test_the_order_of_cells_and_patients_does_not_matter(make_cohort, fit_quickly, encoder):
    adata = make_cohort()
    shuffled = adata[np.random.default_rng(1).permutation(adata.n_obs)].copy()
    for a in (adata, shuffled):
        fit_quickly(a, "cohort", training={"encoder": encoder})
    pd.testing.assert_frame_equal(tm.get.predictions(shuffled), tm.get.predictions(adata), atol=1e-6)
    moved = shuffled.obs["tcellmil_attention"].reindex(adata.obs_names)
    np.testing.assert_allclose(moved, adata.obs["tcellmil_attention"], atol=1e-6)
    latent = pd.DataFrame(shuffled.obsm["X_tcellmil"], index=shuffled.obs_names).reindex(adata.obs_names)
    np.testing.assert_allclose(latent, adata.obsm["X_tcellmil"], atol=1e-5)
    pd.testing.assert_frame_equal(tm.get.metrics(shuffled), tm.get.metrics(adata))


def test_the_same_seed_gives_the_same_result_and_another_seed_another(make_cohort, fit_quickly, fitted_once):
    again, other = make_cohort(), make_cohort()
    fit_quickly(again, "cohort", n_seeds=2)
    fit_quickly(other, "cohort", n_seeds=2, seed=5)
    pd.testing.assert_frame_equal(tm.get.predictions(again), tm.get.predictions(fitted_once), check_exact=True)
    assert np.array_equal(again.obs["tcellmil_attention"], fitted_once.obs["tcellmil_attention"])
    assert np.array_equal(again.obsm["X_tcellmil"], fitted_once.obsm["X_tcellmil"])
    assert not np.allclose(tm.get.predictions(other)["prob_R"], tm.get.predictions(again)["prob_R"])


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_a_file_alone_gives_the_same_perturbation(fitted, tmp_path, suffix):
    path = tmp_path / f"result.{suffix}"
    if suffix == "zarr":
        pytest.importorskip("zarr")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Writing zarr v2")
            fitted.write_zarr(path)
        back = ad.read_zarr(path)
    else:
        fitted.write_h5ad(path)
        back = ad.read_h5ad(path)
    pd.testing.assert_frame_equal(
        tm.get.predictions(back), tm.get.predictions(fitted), check_dtype=False, check_index_type=False
    )
    for a in (fitted, back):
        tm.tl.perturb(a)
    for part in ("patients", "stats"):
        tables = [x.uns["tcellmil_perturbation"][part] for x in (fitted, back)]
        a, b = (table.astype({"regulon": str, "direction": str}) for table in tables)
        pd.testing.assert_frame_equal(a, b, check_dtype=False)
    back.write_h5ad(tmp_path / "again.h5ad")


def test_three_classes(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=9, classes=("CR", "PD", "PR"))
    fit_quickly(adata, positive_class="CR")
    table = tm.get.predictions(adata)
    columns = ["prob_PD", "prob_PR", "prob_CR"]
    assert [c for c in table if c.startswith("prob_") and c != "prob_sd"] == columns
    np.testing.assert_allclose(table[columns].sum(axis=1), 1)
    codes = table["label"].map({"PD": 0, "PR": 1, "CR": 2})
    expected = sk.roc_auc_score(codes, table[columns], multi_class="ovr")
    assert metric(adata)["auroc"] == pytest.approx(expected)
    tm.tl.perturb(adata, target_class="PD")
    assert adata.uns["tcellmil_perturbation"]["patients"]["prob_base"].iloc[0] == pytest.approx(
        table["prob_PD"].iloc[0], abs=1e-6
    )


def test_the_positive_class_can_be_chosen(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, cv=2, positive_class="NR")
    table = tm.get.predictions(adata)
    assert metric(adata)["auroc"] == pytest.approx(sk.roc_auc_score(table["label"] == "NR", table["prob_NR"]))


def test_without_cohorts_there_is_no_cohort_column(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, cv=2)
    assert "cohort" not in tm.get.predictions(adata)
    assert (tm.get.predictions(adata)["prob_sd"] == 0).all()


def test_any_representation_can_be_used(make_cohort, fit_quickly):
    adata = make_cohort()
    names = [f"PC{i}" for i in range(5)]
    adata.obsm["X_frame"] = pd.DataFrame(adata.obsm["X_pca"], index=adata.obs_names, columns=names)
    fit_quickly(adata, use_rep="X_pca", cv=2, key_added="array")
    fit_quickly(adata, use_rep="X_frame", cv=2, key_added="named")
    pd.testing.assert_frame_equal(tm.get.predictions(adata, key="array"), tm.get.predictions(adata, key="named"))
    tm.tl.perturb(adata, key="named")
    assert adata.uns["named_perturbation"]["patients"]["regulon"].unique().tolist() == names


def test_the_scale_of_any_other_representation_does_not_matter(make_cohort, fit_quickly):
    adata = make_cohort()
    adata.obsm["X_large"] = 256 * adata.obsm["X_pca"]
    fit_quickly(adata, use_rep="X_pca", cv=2, key_added="one")
    fit_quickly(adata, use_rep="X_large", cv=2, key_added="other")
    small, large = (tm.get.predictions(adata, key=key)["prob_R"] for key in ("one", "other"))
    np.testing.assert_allclose(small, large, atol=1e-4)


def test_copy_leaves_the_input_and_returns_the_result(make_cohort, fit_quickly, fitted_once):
    adata, untouched = make_cohort(), make_cohort()
    result = fit_quickly(adata, "cohort", n_seeds=2, copy=True)
    assert set(adata.uns) == set(untouched.uns) and set(adata.obsm) == set(untouched.obsm)
    pd.testing.assert_frame_equal(adata.obs, untouched.obs)
    pd.testing.assert_frame_equal(tm.get.predictions(result), tm.get.predictions(fitted_once))
    assert fit_quickly(adata, cv=2) is None


def test_two_results_live_side_by_side(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, cv=2, key_added="first")
    first = tm.get.predictions(adata, key="first")
    fit_quickly(adata, cv=2, seed=1, key_added="second")
    assert {"X_first", "X_second"} <= set(adata.obsm)
    assert {"first_attention", "second_attention"} <= set(adata.obs)
    assert "tcellmil" not in adata.uns
    pd.testing.assert_frame_equal(tm.get.predictions(adata, key="first"), first)


def test_auroc_of_leave_pair_out_is_the_share_of_pairs_ranked_rightly(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=6)
    adata.obsm["X_regulons"] = np.random.default_rng(1).random(adata.obsm["X_regulons"].shape, dtype=np.float32)
    fit_quickly(adata, cv="leave_pair_out", n_seeds=2)
    model = tm.get.model(adata)
    stack, bags, right = model.module, model.bags(), []
    for k in range(len(stack)):
        alone = stack.select(np.array([k]))
        held_out = np.flatnonzero(stack.replicas.test[k])
        p = {int(bags.labels[i]): alone.predict_bag(bags, i)[0][0, 1] for i in held_out}
        right.append((p[1] > p[0]) + 0.5 * (p[1] == p[0]))
    assert len(right) == 2 * 3 * 3
    assert 0 < np.mean(right) < 1
    assert metric(adata)["auroc"] == pytest.approx(np.mean(right))


@pytest.mark.parametrize("nothing", [None, np.nan])
def test_an_unlabelled_patient_is_predicted_and_never_trained_on(make_cohort, fit_quickly, nothing):
    adata = make_cohort()
    adata.obs["response"] = adata.obs["response"].astype(object)
    adata.obs.loc[adata.obs["patient"] == "P3", "response"] = nothing
    fit_quickly(adata, cv=3, unlabelled="predict")
    result, table = adata.uns["tcellmil"], tm.get.predictions(adata)
    column = list(result["splits"]["patients"]).index("P3")
    assert not result["splits"]["train"][:, column].any()
    assert table.loc["P3", "label"] == "" and table.loc["P3", "n_replicas"] == 3
    assert np.isfinite(table.loc["P3", "prob_R"])
    assert (tm.get.metrics(adata)["n"] == 7).all()
    judged = table.drop("P3")
    assert metric(adata)["auroc"] == pytest.approx(sk.roc_auc_score(judged["label"] == "R", judged["prob_R"]))


def test_own_splits_and_cohorts_decide_who_is_held_out(make_cohort, fit_quickly):
    adata = make_cohort()
    patients = [f"P{i}" for i in range(8)]
    fit_quickly(adata, cv=[(patients[:4], patients[4:])], key_added="own")
    table = tm.get.predictions(adata, key="own")
    assert table["n_replicas"].tolist() == [0] * 4 + [1] * 4
    assert table["prob_R"].isna().tolist() == [True] * 4 + [False] * 4
    assert (tm.get.metrics(adata, key="own")["n"] == 4).all()
    fit_quickly(adata, "cohort", cv="cohort", key_added="cohorts")
    splits = adata.uns["cohorts"]["splits"]
    cohort = adata.obs.groupby("patient")["cohort"].first().loc[list(splits["patients"])].astype(str).to_numpy()
    assert [set(cohort[test]) for test in splits["test"]] == [{"A"}, {"B"}]


def test_a_closing_line_gives_auroc_and_its_interval(make_cohort, fit_quickly, caplog):
    adata = make_cohort()
    with caplog.at_level("INFO", logger="tcellmil"):
        fit_quickly(adata, cv=2)
    row = tm.get.metrics(adata).loc["auroc"]
    assert [record.message for record in caplog.records if record.name == "tcellmil"] == [
        f"fit_mil: AUROC {row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}], 8 patients, 2 replicas, cv='2'"
    ]


# arguments ----------------------------------------------------------------------------------------------------------

OWN = [
    "cv",
    "n_seeds",
    "seed",
    "ensemble",
    "calibration",
    "network",
    "training",
    "n_boot",
    "progress",
    "key_added",
    "copy",
]


ONLY_FOR_TYPES = {"AnnData": ad.AnnData, "MuData": mudata.MuData, "Scheme": Scheme, "Splitter": tm.cv.Splitter}


def choices_in(owner):
    """Allowed words of each annotation that is a Literal, or holds one."""
    hints = typing.get_type_hints(owner, localns=ONLY_FOR_TYPES)
    found = {}
    for name, hint in hints.items():
        parts = [hint, *typing.get_args(hint)]
        parts += [inner for part in parts for inner in typing.get_args(part)]
        words = [word for part in parts if typing.get_origin(part) is typing.Literal for word in typing.get_args(part)]
        found |= {name: words} if words else {}
    return found


CHOICES = {
    **{(None, name): words for name, words in choices_in(Fields).items()},
    **{(None, name): words for name, words in choices_in(inspect.unwrap(tm.tl.fit_mil)).items()},
    **{("network", name): words for name, words in choices_in(NetworkConfig).items()},
    **{("training", name): words for name, words in choices_in(TrainingConfig).items()},
}


def test_arguments_are_the_fields_the_splits_and_two_dicts_of_options():
    names = list(inspect.signature(tm.tl.fit_mil).parameters)
    assert names == ["adata", *(field.name for field in fields(Fields)), *OWN]
    options = {field.name for config in (NetworkConfig, TrainingConfig) for field in fields(config)}
    assert not set(names) & (options | {"devices"})


def test_every_choice_is_a_literal():
    assert {name for _, name in CHOICES} == {
        *("outcome", "unlabelled", "scaling", "cv", "ensemble", "calibration"),
        *(
            "compression",
            "pooling",
            "moments",
            "units",
            "attention",
            "batch_encoding",
            "early_stopping",
            "encoder",
            "accelerator",
        ),
    }


@pytest.mark.parametrize(("place", "name"), CHOICES)
def test_a_word_that_is_no_choice_is_refused_and_the_choices_are_named(make_cohort, fit_quickly, place, name):
    option = {name: "unheard of"}
    with pytest.raises(ValueError, match=f"{name}='unheard of' is not known; choose from ") as refused:
        fit_quickly(make_cohort(), **(option if place is None else {place: option}))
    assert all(repr(word) in str(refused.value) for word in CHOICES[place, name])
