"""Methods of a comparison as objects: each is fitted, predicts, is recorded, and says what it lacks."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tcellmil.comparison import Method, Problem, Run, StackMethod, fit_baseline, run_method
from tcellmil.comparison._baselines import BASELINES
from tcellmil.comparison._methods import GROUPS, METHODS, Fitted, idle_options, methods_by_name
from tcellmil.comparison._pairs import auroc_of_pairs, problem_of_pairs
from tcellmil.comparison._runs import describe_runs, predictions_of_runs
from tcellmil.cv import LeaveOneOut, LeavePairOut
from tcellmil.data import Bags
from tcellmil.fitted import replica_probabilities
from tcellmil.outcomes import Classes

SIZES = {"n_hidden": 8, "n_latent": 4, "n_attention": 4}
TRAINING = {"max_epochs": 2, "max_epochs_ae": 2, "accelerator": "cpu"}


@pytest.fixture
def problem(make_bags):
    """Two representations of the same patients, with covariates and cell types."""
    rng = np.random.default_rng(0)
    covariates = np.column_stack([rng.normal(size=8), np.arange(8) % 3 == 0]).astype(np.float32)
    known = {"covariates": covariates, "n_continuous": 1}
    bags = {"X_a": replace(make_bags(), **known), "X_b": replace(make_bags(n_features=3, seed=1), **known)}
    replicas = bags["X_a"].replicas(2)
    shares = rng.dirichlet(np.ones(3), size=8)
    return Problem(bags, replicas, network=SIZES, training=TRAINING, composition=shares, progress=False)


def probabilities_are_of_held_out_patients(found, replicas):
    assert found.shape == (*replicas.test.shape, 2)
    np.testing.assert_allclose(found[replicas.test].sum(axis=-1), 1)
    assert np.isnan(found[~replicas.test]).all()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_fitted_predicts_and_is_recorded(problem, name):
    method = METHODS[name]
    assert isinstance(method, Method) and method.name == name and method.missing(problem) == ""
    fitted = method.fit(problem, "X_a" if method.on_cells else "")
    assert isinstance(fitted, Fitted) and isinstance(json.loads(json.dumps(fitted.record)), dict)
    found = fitted.predict()
    probabilities_are_of_held_out_patients(found, problem.replicas)
    np.testing.assert_array_equal(found, fitted.predict())


def test_a_run_is_what_its_method_predicted(problem):
    run = run_method(METHODS["mil_gated"], problem, "X_b")
    assert (run.method, run.rep, run.kind, run.encoders) == ("mil_gated", "X_b", "mil", "")
    options = json.loads(run.options)
    assert options == {"network": {"attention": "gated", "compression": "pca"}, "training": {"max_epochs": 2}}
    probabilities_are_of_held_out_patients(run.probabilities, problem.replicas)
    np.testing.assert_allclose(run.mean, np.nansum(run.probabilities, axis=0))  # each is held out once
    assert run.seconds > 0


def test_attention_is_the_engine_on_its_representation(problem):
    method = StackMethod("own", {"pooling": "mean"}, {"max_epochs": 3})
    fitted = method.fit(problem, "X_b")
    assert fitted.stack.n_features == 3 and fitted.stack.config.pooling == "mean"
    np.testing.assert_array_equal(fitted.predict(), replica_probabilities(fitted.stack, problem.bags["X_b"]))
    config, plan = method.configs(problem.bags["X_b"], {"pooling": "max", "n_latent": 2}, {"max_epochs": 9})
    assert (config.pooling, config.n_latent, plan.max_epochs) == ("mean", 2, 3)  # what defines it takes precedence


@pytest.mark.parametrize("compression", ["autoencoder", "pca"])
def test_encoders_are_used_again_where_they_are_the_same(problem, compression):
    first, again = StackMethod("first", {"compression": compression}), StackMethod("again", {"pooling": "mean"})
    again = replace(again, network={**again.network, "compression": compression})
    own, shared = first.fit(problem, "X_a"), again.fit(problem, "X_a")
    assert (own.encoders, shared.encoders) == ("", "first")
    assert shared.stack.encoders is own.stack.encoders
    other = again.fit(problem, "X_b")
    assert other.encoders == "" and len(problem.encoders) == 2
    anew = again.fit(replace(problem, encoders={}), "X_a")
    np.testing.assert_allclose(shared.predict(), anew.predict(), atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "majority"])
def test_a_simple_method_is_its_baseline_on_pseudobulks(problem, name):
    bags = problem.bags["X_b"]
    expected = fit_baseline(name, bags.pseudobulk, bags.labels, problem.replicas, bags.covariates)
    np.testing.assert_array_equal(METHODS[name].fit(problem, "X_b").predict(), expected)
    assert (METHODS[name].kind, METHODS[name].on_cells) == ("pseudobulk", True)


def test_methods_without_cells_are_logistic_regressions_on_tables(problem):
    bags, replicas = problem.patients, problem.replicas
    for name, features, covariates in (
        ("composition", problem.composition, bags.covariates),
        ("covariates", np.zeros((8, 0)), bags.covariates),
    ):
        expected = fit_baseline("logistic_regression", features, bags.labels, replicas, covariates)
        np.testing.assert_array_equal(METHODS[name].fit(problem, "").predict(), expected)
    prior = METHODS["majority"].fit(problem, "").predict()
    np.testing.assert_array_equal(prior, fit_baseline("majority", np.zeros((8, 1)), bags.labels, replicas))
    assert not any(METHODS[name].on_cells for name in ("composition", "covariates", "majority"))


def test_the_library_of_gradient_boosting_is_recorded(problem):
    assert METHODS["gradient_boosting"].fit(problem, "X_a").record.keys() == {"library"}
    assert METHODS["svc"].fit(problem, "X_a").record == {}


def test_what_a_method_lacks_is_said(problem):
    bare = replace(problem, bags={"X_a": replace(problem.patients, covariates=None)}, composition=None)
    assert METHODS["composition"].missing(bare) == "needs cell_type_key, a column of obs"
    assert METHODS["covariates"].missing(bare).startswith("needs continuous_covariate_keys or categorical_covariate")
    three = replace(problem.patients, outcome=Classes("stage", ("I", "II", "III")))
    three = replace(problem, bags={"X_a": three})
    assert METHODS["scmild"].missing(three) == "is for two classes, there are 3"
    few = "needs two training patients of every class to choose among configurations, fold 'fold 0' has 0 of 'III'"
    assert METHODS["ensemble"].missing(three) == few  # nobody is of the third class
    assert [name for name in METHODS if METHODS[name].missing(three)] == ["scmild", "ensemble"]
    assert not METHODS["ensemble"].missing(problem)


def test_methods_are_found_by_name_and_by_group_each_once():
    assert [method.name for method in methods_by_name("svc")] == ["svc"]
    assert [method.name for method in methods_by_name(["svc", "baselines", "svc"])][:2] == [
        "svc",
        "logistic_regression",
    ]
    assert {method.name for method in methods_by_name(["all", "ablations"])} == set(METHODS)
    assert all(set(names) <= set(METHODS) for names in GROUPS.values())
    with pytest.raises(ValueError, match=r"methods \['lasso'\] are not known; choose from tcellmil, .*group: all"):
        methods_by_name(["svc", "lasso"])
    with pytest.raises(ValueError, match="are not known"):
        methods_by_name([])


def test_options_that_no_method_reads_are_named(problem):
    network, training = {"n_hidden": 8, "n_attention": 4}, {"max_epochs": 2, "patience": 3}
    pca, autoencoder = METHODS["pca_for_autoencoder"], METHODS["autoencoder"]
    assert idle_options([pca], problem.patients, network, training) == ["n_hidden", "patience"]
    assert idle_options([pca, autoencoder], problem.patients, network, training) == []
    assert idle_options([], problem.patients, network, training) == []


class OfYourOwn(Method):
    """Knows the first feature only."""

    name = kind = "own"

    def fit(self, problem, rep):
        class Ready(Fitted):
            record = {"rep": rep}

            def predict(self):
                p = 1 / (1 + np.exp(-problem.bags[rep].pseudobulk[:, 0]))
                held_out = problem.replicas.test[..., None]
                return np.where(held_out, np.column_stack([1 - p, p]), np.nan)

        return Ready()


def test_a_method_of_your_own_runs_beside_the_others(problem):
    runs = [run_method(OfYourOwn(), problem, "X_a"), run_method(METHODS["majority"], problem)]
    assert all(isinstance(run, Run) for run in runs) and json.loads(runs[0].options) == {"rep": "X_a"}
    table = describe_runs(runs)
    assert table["method"].tolist() == ["own", "majority"] and table["rep"].tolist() == ["X_a", ""]
    predictions = predictions_of_runs(runs, problem)
    assert len(predictions) == 16 and set(predictions["label"]) == {"NR", "R"}
    np.testing.assert_allclose(predictions["prob_R"].iloc[:8], runs[0].mean[:, 1])


def test_pairs_are_not_biased_where_pooling_is():
    """No signal at all: pooled, the class prior ranks all patients wrongly; within pairs nothing does."""
    found = []
    for seed in range(12):
        bags = noise(np.random.default_rng(seed), n_patients=16)
        problem = Problem({"X": bags}, bags.replicas("loo"))
        of_pairs = problem_of_pairs(problem, LeaveOneOut(), 0)
        rows = [auroc_of_pairs(METHODS[name], "X", of_pairs, n_boot=2, seed=0) for name in ("majority", "svc")]
        found.append([row["value"].item() for row in rows])
    assert roc_auc_score(bags.labels, run_method(METHODS["majority"], problem).mean[:, 1]) == 0
    majority, svc = np.transpose(found)
    assert (majority == 0.5).all()
    assert abs(svc.mean() - 0.5) < 3 * svc.std() / np.sqrt(len(svc))


def test_pairs_are_left_out_where_they_take_long_or_are_there_already(problem):
    of_pairs = problem_of_pairs(problem, LeaveOneOut(), 0)
    assert len(of_pairs.replicas) == 16
    for name in ("random_forest", "tcellmil"):
        assert not len(auroc_of_pairs(METHODS[name], "X_a", of_pairs, n_boot=2, seed=0))
    assert problem_of_pairs(problem, LeavePairOut(), 0) is None


def noise(rng, n_patients):
    x = rng.normal(size=(n_patients * 2, 5))
    names = np.repeat([f"P{i:02d}" for i in range(n_patients)], 2)
    labels = {f"P{i:02d}": i % 2 for i in range(n_patients)}
    cells = np.arange(len(x)).astype(str)
    return Bags.from_cells(x, names, cells, labels=labels, outcome=Classes("y", ("a", "b")))
