"""Does attention on regulons beat something simple, on these patients?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_adata, check_fields, check_obs_column, some
from tcellmil._docs import documented
from tcellmil._log import logger, warn
from tcellmil._provenance import scores_of
from tcellmil._results import stored_predictions
from tcellmil._verbs import Result, verb
from tcellmil.data._fields import Fields, takes_fields

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil.comparison import Method, Problem, Run
    from tcellmil.cv._splitters import Scheme, Splitter

REFERENCE = "tcellmil"
#: Fields that a comparison of classifiers does not take.
NOT_OFFERED = ("use_rep", "scaling", "outcome", "event_key", "class_order")
#: Packages that have an adapter, and what to pass in place of their name.
ELSEWHERE = {"multimil": "custom_methods={'multimil': tcellmil.external.multimil(...)}, which says how to install it"}


@documented
@verb()
@takes_fields(without=NOT_OFFERED)
def benchmark(
    adata: AnnData,
    fields: Fields,
    methods: str | Sequence[str] = "all",
    use_reps: str | Sequence[str] = ("X_regulons", "X_pca"),
    *,
    ablations: bool = False,
    cell_type_key: str | None = None,
    custom_methods: Mapping[str, Callable[..., pd.DataFrame]] | None = None,
    cv: Scheme | int | Splitter | Iterable[tuple[Sequence[str], Sequence[str]]] = "rebalanced_loo",
    n_seeds: int | None = None,
    seed: int = 0,
    network: dict | None = None,
    training: dict | None = None,
    n_boot: int = 2000,
    n_permutations: int = 2000,
    progress: bool = True,
    key_added: str = _keys.BENCHMARK,
    copy: bool = False,
) -> Result:
    """Compare methods on the same splits of the same patients.

    Every method is trained anew in every fold, on that fold's training patients, and predicts those that it held out.
    The mean over seeds is evaluated. Differences are to ``tcellmil`` on the first of ``use_reps`` (to the first row,
    where it is not among the methods), with a p-value over patients: DeLong's test for AUROC, McNemar's for accuracy,
    an exchange of predictions within patients for the rest. They are not adjusted for the number of methods.

    Rows:

    - ``tcellmil``; as options of the same engine ``mil_gated`` (gated attention), ``mil_mean`` and ``mil_max`` pooling,
      ``mil_linear`` (a linear model of mean features), ``scmild`` (a bag teacher and a cell student) and ``pascient``
      (non-linear attention). The last two follow the published architectures on top of our encoders; they are not
      the authors' software;
    - on the mean over cells: ``logistic_regression``, ``svc``, ``decision_tree``, ``random_forest``, ``gaussian_nb``,
      ``gradient_boosting``; without cohorts, as in the paper;
    - ``composition``: logistic regression on the shares of cell types (with ``cell_type_key``); ``covariates``: on the
      covariates alone (with ``continuous_covariate_keys`` or ``categorical_covariate_keys``), which is what cells have
      to add to; ``majority``: the class prior;
    - with ``ablations``: ``ensemble`` (``tl.fit_mil(ensemble=True)``), which ``tcellmil`` is in a small cohort of two
      classes, and ``autoencoder``, which it is in a large one; ``pca_for_autoencoder`` (attention on principal
      components alone), ``no_autoencoder`` (on the features themselves) and ``embedding_for_autoencoder`` (a layer of
      64 that is trained with the labels, under gated attention); ``latent_16`` and ``latent_96``;
      ``no_batch_encoding``, and ``film`` in place of concatenation.

    Parameters
    ----------
    adata
        Cells of all patients; any representation in ``obsm`` can be compared, those of foundation models too.
    %(fields)s
    methods
        ``"all"``, ``"mil"``, ``"baselines"``, ``"ablations"``, or names as above.
    use_reps
        Keys of ``obsm``; every method but ``composition``, ``covariates`` and ``majority`` runs on each.
    ablations
        Add the ablations of ``tcellmil``.
    cell_type_key
        Column of ``obs`` for ``composition``; without it, that row is left out of ``"all"``.
    custom_methods
        Your own methods by name, or adapters to other packages (:func:`tcellmil.external.multimil`):
        ``function(train, test)`` gets the cells of a fold's training patients, and of its held-out patients without
        their labels (``obs``, ``X``, layers and ``use_reps``), and returns probabilities, one row per held-out patient
        and one column per class. Called once per fold and seed; a function with an argument ``seed`` gets it.
        Covariates are in ``obs``.
    cv, n_seeds, seed
        As in :func:`tcellmil.tl.fit_mil`.
    network, training
        Options for all methods of the engine: :class:`tcellmil.nn.NetworkConfig`,
        :class:`tcellmil.training.TrainingConfig`. What defines a method takes precedence.
    n_boot, n_permutations
        Resamples for intervals; exchanges for p-values.
    %(progress)s
    key_added
        Name of what is written.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written to ``uns["benchmark"]``:

    - ``"metrics"``: one row per method, representation and metric: ``value``, ``ci_low``, ``ci_high``, ``n``;
      ``difference`` to the reference with its paired interval ``difference_ci_low``, ``difference_ci_high``; ``p`` and
      ``test``. Of two classes and up to 400 pairs of patients, simple classifiers (but not the slow ones, of many
      trees) also have the metric ``auroc_pairs``, the share of pairs ranked rightly by a classifier that saw neither,
      which is 0.5 on average where there is no signal. Where ``auroc`` is lower, that is what pooling the predictions
      of different folds does to the row;
    - ``"methods"``: one row per method and representation: ``kind``, ``seconds``, ``encoders`` (whose fitted encoders
      were used again; these seconds are counted there), ``options`` (JSON; of the engine with the compression and the
      epochs that there were);
    - ``"predictions"``: one row per method, representation and patient;
    - with a cohort or covariates ``"metrics_alone"``: what a logistic regression on these alone, without any cell,
      predicts on the same splits, as of :func:`tcellmil.tl.fit_mil`;
    - ``"params"``: the arguments (of ``custom_methods`` the names), ``classes``, and the method that the others are
      compared with.

    Raises
    ------
    KeyError, ValueError, TypeError
        If something is missing or cannot be trained on; ``adata`` is then unchanged.

    Warns
    -----
    UserWarning
        If the cohort or covariates alone predict the class nearly, or as well as the best method; if samples seem to
        share patients, as of :func:`tcellmil.tl.fit_mil`.

    References
    ----------
    Table 1 and appendices 6.2 to 6.4 and 7 of Tsui et al. (2025); Jeong et al. (2025), scMILD; Liu et al. (2024),
    PaSCient; DeLong et al. (1988); McNemar (1947).

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> compared = {"methods": ["mil_linear", "logistic_regression", "majority"], "use_reps": ["X_regulons"], "cv": 2}
    >>> tm.tl.benchmark(adata, "patient", "response", **compared, n_boot=100, n_permutations=100, progress=False)
    >>> tm.get.benchmark(adata, metric="auroc").index.unique("method").tolist()
    ['mil_linear', 'logistic_regression', 'majority']
    """
    check_adata(adata)
    from tcellmil.comparison import Problem, composition, run_method
    from tcellmil.comparison._alone import alone_in_words, confounded, metrics_alone
    from tcellmil.comparison._methods import StackMethod
    from tcellmil.comparison._pairs import problem_of_pairs
    from tcellmil.comparison._runs import compare_runs, describe_runs, predictions_of_runs
    from tcellmil.cv._splitters import splitter_for
    from tcellmil.data._read import read
    from tcellmil.data._schema import Schema
    from tcellmil.data._shared_patients import warn_of_shared_patients
    from tcellmil.nn import NetworkConfig
    from tcellmil.tl._patients._custom_method import CustomMethod
    from tcellmil.training import TrainingConfig
    from tcellmil.training._selection._architecture import seeds_of_a_fold

    network, training, custom_methods = network or {}, training or {}, dict(custom_methods or {})
    check_fields(network, NetworkConfig, "network")
    check_fields(training, TrainingConfig, "training")
    if cv is None:
        raise ValueError("cv=None would hold out no patient; there would be nothing to compare")
    chosen = _chosen(methods, ablations, custom_methods)
    use_reps = [use_reps] if isinstance(use_reps, str) else list(dict.fromkeys(use_reps))
    if not use_reps:
        raise ValueError("use_reps is empty; name keys of adata.obsm, such as 'X_regulons'")
    types = _cell_types(adata, cell_type_key)
    cohort, bags = read(adata, replace(fields, use_rep=use_reps)), {}
    for rep in use_reps:
        own_cohort = cohort.only(rep)
        bags[rep] = Schema.learn(own_cohort, replace(fields, use_rep=rep)).encode(own_cohort)
    first = bags[use_reps[0]]
    warn_of_shared_patients(adata, fields, cohort)
    problem = Problem(
        bags,
        first.replicas(cv, n_seeds=seeds_of_a_fold(first, n_seeds), seed=seed),
        network,
        training,
        composition=None if types is None else composition(first, types),
        progress=progress,
    )
    chosen = _possible(chosen, problem, methods)
    networks = [method for method in chosen if isinstance(method, StackMethod)]
    _warn_of_idle_options(networks, problem)

    on_cells = [*networks, *(method for method in chosen if method.on_cells and method not in networks)]
    runs = [run_method(method, problem, rep) for rep in use_reps for method in on_cells]
    runs += [run_method(method, problem) for method in chosen if not method.on_cells]
    custom = [CustomMethod(name, function, adata, use_reps, fields) for name, function in custom_methods.items()]
    runs += [run_method(method, problem, method.rep) for method in custom]

    reference = next((run for run in runs if (run.method, run.rep) == (REFERENCE, use_reps[0])), runs[0])
    splitter = splitter_for(cv)
    sizes = {"n_boot": n_boot, "n_permutations": n_permutations, "seed": seed}
    of_pairs = _auroc_of_pairs(chosen, runs, problem_of_pairs(problem, splitter, seed), n_boot=n_boot, seed=seed)
    metrics = compare_runs(runs, reference, problem, in_pairs=splitter.in_pairs, of_pairs=of_pairs, **sizes)
    predictions = stored_predictions(predictions_of_runs(runs, problem), first.outcome)
    parts = {"metrics": metrics, "methods": describe_runs(runs), "predictions": predictions}
    alone = metrics_alone(first, problem.replicas, in_pairs=splitter.in_pairs, n_boot=n_boot, seed=seed)
    parts |= {} if alone is None else {"metrics_alone": alone}
    params = {
        **fields.given(without=NOT_OFFERED),
        "use_reps": use_reps,
        "custom_methods": list(custom_methods),
        "cv": splitter.name,
        "n_seeds": len(np.unique(problem.replicas.seed)),
        "network": network,
        "training": training,
        "classes": first.outcome.outputs,
        "outcome": first.outcome.kind,
        "reference": reference.method,
        "reference_rep": reference.rep,
        "scores": scores_of(adata, use_reps),
    }
    auroc = metrics[metrics["metric"] == "auroc"]
    best = auroc.loc[auroc["value"].idxmax()]
    message = (
        f"{len(runs)} methods on {int(best['n'])} patients, cv={splitter.name!r}; highest AUROC "
        f"{best['value']:.2f} [{best['ci_low']:.2f}, {best['ci_high']:.2f}] by {best['method']} {best['rep']}"
        + ("" if alone is None else f"; AUROC of the {alone_in_words(alone)}")
    )
    if alone is not None and (doubt := confounded(alone, best["value"])):
        warn(doubt)
    return Result(parts, message, params)


def _auroc_of_pairs(
    methods: Sequence[Method], runs: Sequence[Run], problem: Problem | None, **options
) -> dict[tuple[str, str], pd.DataFrame]:
    """AUROC over pairs of each run that is a simple method of ours, by method and representation."""
    from tcellmil.comparison._pairs import auroc_of_pairs

    if problem is None:
        return {}
    by_name = {method.name: method for method in methods}
    own = [run for run in runs if run.method in by_name]
    return {(run.method, run.rep): auroc_of_pairs(by_name[run.method], run.rep, problem, **options) for run in own}


def _chosen(methods: str | Sequence[str], ablations: bool, custom_methods: Mapping[str, Callable]) -> list[Method]:
    """The methods by name, or an error that says which names are taken or unknown."""
    from tcellmil.comparison._methods import methods_by_name

    names = [methods] if isinstance(methods, str) else list(methods)
    for name, how in ELSEWHERE.items():
        if name in names:
            raise ImportError(f"methods has {name!r}, which is a package of its own; pass {how}")
    chosen = methods_by_name([*names, "ablations"] if ablations else names)
    same = [name for name in custom_methods if any(name == method.name for method in chosen)]
    if same:
        raise ValueError(f"custom_methods has the names {some(same)}, which are taken; give them other names")
    return chosen


def _possible(chosen: list[Method], problem: Problem, methods: str | Sequence[str]) -> list[Method]:
    """Without the methods of a group that cannot be run here; those that were named raise."""
    possible = []
    for method in chosen:
        why = method.missing(problem)
        if why and method.name in ([methods] if isinstance(methods, str) else methods):
            raise ValueError(f"methods has {method.name!r}, which {why}")
        if why:
            logger.info(f"benchmark: {method.name!r} {why}, and is left out")
        else:
            possible.append(method)
    return possible


def _cell_types(adata: AnnData, cell_type_key: str | None) -> np.ndarray | None:
    """The type of each cell, where it is given."""
    if cell_type_key is None:
        return None
    types = check_obs_column(adata, cell_type_key, "cell_type_key")
    if types.isna().any():
        raise ValueError(f"cell_type_key {cell_type_key!r} is missing for {int(types.isna().sum())} cells; fill it in")
    return types.astype(str).to_numpy()


def _warn_of_idle_options(methods: Sequence[Method], problem: Problem) -> None:
    from tcellmil.comparison._methods import idle_options

    idle = idle_options(methods, problem.patients, problem.network, problem.training)
    if idle:
        warn(
            f"options {some(idle)} have no effect: none of the methods that are compared has an autoencoder; "
            "leave them out, or add network={'compression': 'autoencoder'}"
        )
