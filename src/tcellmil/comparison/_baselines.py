"""Simple classifiers of patients, on the splits of the stack: the bar for attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import check_choice
from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

BASELINES = (
    "logistic_regression",
    "svc",
    "decision_tree",
    "random_forest",
    "gaussian_nb",
    "gradient_boosting",
    "majority",
)


def composition(bags: Bags, groups: np.ndarray) -> np.ndarray:
    """Share of each group among the cells of each bag, ``(n_bags, n_groups)``.

    Parameters
    ----------
    bags
        Patients as bags of cells.
    groups
        Group of each cell in the order of the input (as ``bags.order`` counts), such as the cell type.
    """
    names, code = np.unique(np.asarray(groups).astype(str)[bags.order], return_inverse=True)
    counts = np.zeros((bags.n_bags, len(names)))
    np.add.at(counts, (bags.bag_of_cell, code), 1)
    return counts / bags.sizes[:, None]


def fit_baseline(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    replicas: Replicas,
    covariates: np.ndarray | None = None,
) -> np.ndarray:
    """Train one scikit-learn classifier per replica, on that replica's training patients only.

    Features are standardised, by mean and standard deviation of the training patients, for all but trees, naive Bayes
    and the majority class, which do not depend on scale. Classes are weighted by ``class_weight="balanced"`` where the
    classifier has it. All other settings are scikit-learn's defaults. The probability of the support vector classifier
    is the logistic function of its decision value (softmax for more classes), which ranks as the classifier does and is
    not calibrated. Gradient boosting is XGBoost's where that is installed.

    Parameters
    ----------
    name
        One of ``BASELINES``.
    features
        ``(n_bags, n_features)``, such as the mean over the cells.
    labels
        ``(n_bags,)`` class codes, -1 where there is none.
    replicas
        Splits and seeds; the seed is the classifier's ``random_state``.
    covariates
        ``(n_bags, n_covariates)``: what else is known of each patient, as :class:`Bags` has it; further columns beside
        the features. Those that are the same for all training patients of a replica, such as a category that only a
        held-out patient has, are left out of that replica.

    Returns
    -------
    Class probabilities ``(n_replicas, n_bags, n_classes)``, NaN for bags that a replica does not hold out.

    Raises
    ------
    ValueError
        If the name is not known, or features or covariates are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.comparison import fit_baseline
    >>> from tcellmil.cv import make_replicas
    >>> labels = np.arange(8) % 2
    >>> x = labels[:, None] + np.random.default_rng(0).normal(0, 0.1, (8, 3))
    >>> p = fit_baseline("logistic_regression", x, labels, make_replicas("loo", labels))
    >>> np.nanmean(p, axis=0)[:, 1].round().tolist()
    [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    """
    fitted = fit_classifiers(name, features, labels, replicas, covariates)
    return fitted.predict(features, covariates, replicas.test)


@dataclass(frozen=True)
class Classifiers:
    """One fitted classifier per replica.

    Parameters
    ----------
    fitted
        The classifiers.
    covariates_read
        ``(n_replicas, n_covariates)`` bool: which covariates each reads beside the features.
    n_classes
        Number of classes.
    """

    fitted: Sequence[ClassifierMixin]
    covariates_read: np.ndarray
    n_classes: int

    def predict(self, features: np.ndarray, covariates: np.ndarray | None, test: np.ndarray) -> np.ndarray:
        """Class probabilities ``(n_replicas, n_bags, n_classes)`` where ``test`` ``(n_replicas, n_bags)``, else NaN."""
        found = np.full((*test.shape, self.n_classes), np.nan)
        for k, classifier in enumerate(self.fitted):
            x = _inputs(features, covariates, self.covariates_read[k])
            found[k, test[k]] = _probabilities(classifier, x[test[k]])
        return found


def fit_classifiers(
    name: str, features: np.ndarray, labels: np.ndarray, replicas: Replicas, covariates: np.ndarray | None = None
) -> Classifiers:
    """Train one classifier per replica; the arguments are those of :func:`fit_baseline`."""
    check_choice(name, BASELINES, "baseline")
    for what, values in (("features", features), ("covariates", covariates)):
        if values is not None and not np.isfinite(np.asarray(values, dtype=np.float64)).all():
            raise ValueError(f"{what} hold {int((~np.isfinite(values)).sum())} NaN or infinite values")
    labels = np.asarray(labels)
    given = np.zeros((len(labels), 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    read = np.array([np.ptp(given[train], axis=0) > 0 for train in replicas.train])
    fitted = []
    for k, train in enumerate(replicas.train):
        x = _inputs(features, covariates, read[k])
        fitted.append(make_baseline(name, int(replicas.seed[k])).fit(x[train], labels[train]))
    return Classifiers(fitted, read, int(labels.max()) + 1)


def _inputs(features: np.ndarray, covariates: np.ndarray | None, read: np.ndarray) -> np.ndarray:
    """Features and some of the covariates side by side, float64."""
    x = np.asarray(features, dtype=np.float64)
    if covariates is not None:
        x = np.hstack([x, np.asarray(covariates, dtype=np.float64)[:, read]])
    # Where nothing could tell patients apart: the classifier's answer without any feature.
    return x if x.shape[1] else np.zeros((len(x), 1))


def make_baseline(name: str, seed: int) -> ClassifierMixin:
    """The scikit-learn classifier behind a name, unfitted."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    balanced = {"class_weight": "balanced"}
    build: dict[str, Callable[[], ClassifierMixin]] = {
        "logistic_regression": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, **balanced)),
        "svc": lambda: make_pipeline(StandardScaler(), SVC(**balanced)),
        "decision_tree": lambda: DecisionTreeClassifier(random_state=seed, **balanced),
        "random_forest": lambda: RandomForestClassifier(random_state=seed, **balanced),
        "gaussian_nb": GaussianNB,
        "gradient_boosting": lambda: _boosting(seed),
        "majority": lambda: DummyClassifier(strategy="prior"),
    }
    return build[name]()


def boosting_library() -> str:
    """Which library gradient boosting comes from: ``"xgboost"`` where it is installed, else ``"scikit-learn"``."""
    from importlib.util import find_spec

    return "xgboost" if find_spec("xgboost") else "scikit-learn"


def _boosting(seed: int) -> ClassifierMixin:
    if boosting_library() == "xgboost":
        from xgboost import XGBClassifier

        return XGBClassifier(random_state=seed, n_jobs=1)
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(random_state=seed)


def _probabilities(classifier: ClassifierMixin, features: np.ndarray) -> np.ndarray:
    if hasattr(classifier, "predict_proba"):
        return classifier.predict_proba(features)
    from scipy.special import expit, softmax

    decision = classifier.decision_function(features)
    if decision.ndim == 2:
        return softmax(decision, axis=1)
    return np.column_stack([expit(-decision), expit(decision)])
