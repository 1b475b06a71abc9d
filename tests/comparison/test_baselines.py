"""Baselines are scikit-learn's, on the stack's splits, and see training patients only."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from tcellmil.comparison import composition, fit_baseline
from tcellmil.comparison._baselines import BASELINES, boosting_library
from tcellmil.cv import make_replicas

every_baseline = pytest.mark.parametrize("name", BASELINES)


@pytest.fixture(scope="module")
def patients():
    rng = np.random.default_rng(0)
    labels = np.arange(14) % 2
    return rng.normal(size=(14, 5)) + labels[:, None] * [1, 0, 0, 0.5, 0], labels


def by_hand(name, x, y, new, seed):
    """scikit-learn called directly, without pipelines."""
    if name in ("logistic_regression", "svc"):
        scaler = StandardScaler().fit(x)
        x, new = scaler.transform(x), scaler.transform(new)
    if name == "svc":
        decision = SVC(class_weight="balanced").fit(x, y).decision_function(new)
        return (
            softmax(decision, axis=1) if decision.ndim == 2 else np.column_stack([1 - expit(decision), expit(decision)])
        )
    classifier = {
        "logistic_regression": LogisticRegression(class_weight="balanced", max_iter=5000),
        "decision_tree": DecisionTreeClassifier(class_weight="balanced", random_state=seed),
        "random_forest": RandomForestClassifier(class_weight="balanced", random_state=seed),
        "gaussian_nb": GaussianNB(),
        "gradient_boosting": GradientBoostingClassifier(random_state=seed),
        "majority": DummyClassifier(strategy="prior"),
    }[name]
    return classifier.fit(x, y).predict_proba(new)


@pytest.mark.parametrize("n_classes", [2, 3])
@every_baseline
def test_each_equals_scikit_learn_by_hand_on_the_same_splits(name, n_classes):
    if name == "gradient_boosting" and boosting_library() != "scikit-learn":
        pytest.skip("XGBoost is installed and takes the place of scikit-learn's boosting")
    rng = np.random.default_rng(1)
    labels = np.arange(12) % n_classes
    x = rng.normal(size=(12, 4)) + labels[:, None]
    replicas = make_replicas("rebalanced_loo" if n_classes == 2 else 3, labels, n_seeds=2)
    replicas = replicas[[0, len(replicas) // 2, len(replicas) - 1]]  # of both seeds
    found = fit_baseline(name, x, labels, replicas)
    for k in range(3):
        train, test = replicas.train[k], replicas.test[k]
        expected = by_hand(name, x[train], labels[train], x[test], int(replicas.seed[k]))
        np.testing.assert_allclose(found[k, test], expected, rtol=1e-10, atol=1e-12)
        assert np.isnan(found[k, ~test]).all()


@every_baseline
def test_covariates_of_training_patients_are_further_columns(name):
    """An age and a one-hot site, whose third category a single patient has."""
    if name == "gradient_boosting" and boosting_library() != "scikit-learn":
        pytest.skip("XGBoost is installed and takes the place of scikit-learn's boosting")
    rng = np.random.default_rng(2)
    labels, site = np.arange(12) % 2, np.arange(12) % 3 // 2
    site[5] = 2
    x, age = rng.normal(size=(12, 4)), rng.normal(60, 10, size=(12, 1))
    replicas = make_replicas(3, labels)
    found = fit_baseline(name, x, labels, replicas, np.hstack([age, np.eye(3)[site]]))
    for k in range(3):
        train, test = replicas.train[k], replicas.test[k]
        known = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(site[train][:, None])
        columns = np.hstack([x, age, known.transform(site[:, None])])
        expected = by_hand(name, columns[train], labels[train], columns[test], int(replicas.seed[k]))
        np.testing.assert_allclose(found[k, test], expected, rtol=1e-10, atol=1e-12)
    assert not replicas.train[:, 5].all()


@every_baseline
@pytest.mark.parametrize("column", [0, 1], ids=["number", "category"])
def test_the_covariates_of_a_held_out_patient_do_not_reach_its_replica(name, column, patients):
    x, labels = patients
    probe, features = np.append(labels, -1), np.vstack([x, x.mean(axis=0) + 0.1])
    covariates = np.column_stack([np.random.default_rng(3).normal(size=15), np.zeros(15)])
    changed = covariates.copy()
    changed[4, column] = 1000.0 if column == 0 else 1.0
    replicas = make_replicas("loo", probe)[3:6]
    before, after = (fit_baseline(name, features, probe, replicas, c)[:, -1] for c in (covariates, changed))
    np.testing.assert_array_equal(before[1], after[1])
    if name in ("logistic_regression", "svc", "gaussian_nb"):
        assert (before[[0, 2]] != after[[0, 2]]).any()


def test_covariates_that_tell_no_training_patients_apart_change_nothing(patients):
    _, labels = patients
    found = fit_baseline(
        "logistic_regression", np.zeros((14, 0)), labels, make_replicas("loo", labels), np.ones((14, 2))
    )
    np.testing.assert_allclose(found[np.isfinite(found)], 0.5, atol=1e-6)


@every_baseline
def test_the_values_of_a_held_out_patient_do_not_reach_its_replica(name, patients):
    """An unlabelled patient is held out by every replica and shows what each has learned."""
    x, labels = patients
    probe = np.append(labels, -1)
    features = np.vstack([x, x.mean(axis=0) + 0.1])
    replicas = make_replicas("loo", probe)[2:7]
    changed = features.copy()
    changed[4] = 100.0
    before, after = (fit_baseline(name, f, probe, replicas)[:, -1] for f in (features, changed))
    np.testing.assert_array_equal(before[2], after[2])
    if name not in ("majority", "decision_tree", "random_forest", "gradient_boosting"):
        assert (before[[0, 1, 3, 4]] != after[[0, 1, 3, 4]]).all()


@every_baseline
def test_probabilities_add_up_and_repeat(name, patients):
    x, labels = patients
    replicas = make_replicas(4, labels, n_seeds=2)[1::3]  # of both seeds
    found = fit_baseline(name, x, labels, replicas)
    np.testing.assert_allclose(found[replicas.test].sum(axis=-1), 1)
    np.testing.assert_array_equal(found, fit_baseline(name, x, labels, replicas))


def test_pseudobulk_and_composition_are_means_over_the_cells_of_a_bag(make_bags):
    bags = make_bags()
    for i in range(bags.n_bags):
        np.testing.assert_allclose(bags.pseudobulk[i], bags.x[bags.bag(i)].astype(float).mean(axis=0), rtol=1e-9)
    groups = np.random.default_rng(0).choice(["T", "B", "NK"], len(bags.x))
    share = composition(bags, groups)
    rows = bags.order[bags.bag(3)]
    np.testing.assert_allclose(share[3], [np.mean(groups[rows] == g) for g in ("B", "NK", "T")])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lasso", 0.0, r"baseline='lasso' is not known; choose from"),
        ("svc", np.nan, r"features hold 1 NaN or infinite"),
    ],
)
def test_bad_input_is_named(patients, name, value, message):
    x, labels = patients
    x = x.copy()
    x[0, 0] = value
    with pytest.raises(ValueError, match=message):
        fit_baseline(name, x, labels, make_replicas("loo", labels))


def test_covariates_that_are_not_finite_are_named(patients):
    x, labels = patients
    with pytest.raises(ValueError, match=r"covariates hold 14 NaN or infinite"):
        fit_baseline("svc", x, labels, make_replicas("loo", labels), np.full((14, 1), np.nan))
