"""Does attention on regulons beat something simple, on these patients?"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_adata, check_fields, check_obs_column, some
from tcellmil._log import logger, warn
from tcellmil.tl._params import plain

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil.cv import Bags, Replicas
    from tcellmil.cv._comparison import Run
    from tcellmil.cv._methods import Method
    from tcellmil.model._setup import Setup

REFERENCE = "tcellmil"
DESCRIPTION = ("kind", "seconds", "encoders", "options")
#: Packages that are run in an environment of their own.
ELSEWHERE = {"multimil": "pass own={'multimil': tcellmil.external.multimil(python, ...)}, which says how to install it"}


def benchmark(
    adata: AnnData,
    sample_key: str,
    label_key: str,
    batch_key: str | None = None,
    methods: str | Sequence[str] = "all",
    reps: Sequence[str] = ("X_regulons", "X_pca"),
    *,
    ablations: bool = False,
    cell_type_key: str | None = None,
    own: Mapping[str, Callable[..., pd.DataFrame]] | None = None,
    cv: str | int | Iterable[tuple[Sequence[str], Sequence[str]]] = "rebalanced_loo",
    n_seeds: int = 1,
    seed: int = 0,
    positive_class: str | None = None,
    unlabelled: str = "error",
    continuous_covariate_keys: Sequence[str] | None = None,
    categorical_covariate_keys: Sequence[str] | None = None,
    group_key: str | None = None,
    network: dict | None = None,
    training: dict | None = None,
    n_boot: int = 2000,
    n_permutations: int = 2000,
    progress: bool = True,
    key_added: str = _keys.BENCHMARK,
    copy: bool = False,
) -> AnnData | None:
    """Compare methods on the same splits of the same patients.

    Every method is trained anew in every fold, on that fold's training patients, and predicts those that it held out.
    The mean over seeds is judged. Differences are to ``tcellmil`` on the first of ``reps`` (to the first row, where it
    is not among the methods), with a p-value over patients: DeLong's test for AUROC, McNemar's for accuracy,
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
    - with ``ablations``: ``autoencoder`` and ``pca_for_autoencoder``, one of which ``tcellmil`` is, by the number of
      patients; ``no_autoencoder`` (the features themselves) and ``embedding_for_autoencoder`` (a layer of 64 that is
      trained with the labels, under gated attention); ``latent_16`` and ``latent_96``; ``no_batch_encoding``, and
      ``film`` in place of concatenation.

    Parameters
    ----------
    adata
        Cells of all patients; any representation in ``obsm`` can be compared, those of foundation models too.
    sample_key, label_key, batch_key
        Columns of ``obs``, as in :func:`tcellmil.tl.fit_mil`.
    methods
        ``"all"``, ``"mil"``, ``"baselines"``, ``"ablations"``, or names as above.
    reps
        Keys of ``obsm``; every method but ``composition``, ``covariates`` and ``majority`` runs on each.
    ablations
        Add the ablations of ``tcellmil``.
    cell_type_key
        Column of ``obs`` for ``composition``; without it, that row is left out of ``"all"``.
    own
        Your own methods by name, or adapters to other packages (:func:`tcellmil.external.multimil`):
        ``function(train, test)`` gets the cells of a fold's training patients, and of its held-out patients without
        their labels (``obs``, ``X``, layers and ``reps``), and returns probabilities, a row a held-out patient and a
        column a class. Called once a fold and seed; a function with an argument ``seed`` is given it.
    cv, n_seeds, seed
        As in :func:`tcellmil.tl.fit_mil`.
    positive_class
        The label that counts as positive; the last in alphabetical order by default.
    continuous_covariate_keys, categorical_covariate_keys
        As in :func:`tcellmil.tl.fit_mil`. Every method but ``majority`` is told them: those of the engine beside the
        bag's embedding, the others as further columns beside the means or the shares; methods of your own find them in
        ``obs``.
    unlabelled, group_key
        As in :func:`tcellmil.tl.fit_mil`. With groups, resamples and exchanges are of groups, and an exchange takes the
        place of DeLong's and McNemar's tests, which count samples as independent.
    network, training
        Options for all methods of the engine: :class:`tcellmil.nn.NetworkConfig`,
        :class:`tcellmil.cv.TrainingConfig`. What defines a method takes precedence.
    n_boot, n_permutations
        Resamples for intervals; exchanges for p-values.
    progress
        Show progress bars.
    key_added
        Name of what is written.
    copy
        Return a changed copy instead of changing ``adata``.

    Returns
    -------
    ``None``, or the changed copy. Written to ``uns["benchmark"]``:

    - ``"metrics"``: one row per method, representation and metric: ``value``, ``ci_low``, ``ci_high``, ``n``;
      ``difference`` to the reference with its paired interval ``difference_ci_low``, ``difference_ci_high``; ``p`` and
      ``test``;
    - ``"methods"``: one row per method and representation: ``kind``, ``seconds``, ``encoders`` (whose fitted encoders
      were used again; these seconds are counted there), ``options`` (JSON; of the engine with the compression and the
      epochs that there were);
    - ``"predictions"``: one row per method, representation and patient;
    - ``"params"``: the arguments (of ``own`` the names), ``classes``, and the method that the others are compared with.

    Raises
    ------
    KeyError, ValueError, TypeError
        If something is missing or cannot be trained on; ``adata`` is then unchanged.

    References
    ----------
    Table 1 and appendices 6.2 to 6.4 and 7 of Tsui et al. (2025); Jeong et al. (2025), scMILD; Liu et al. (2024),
    PaSCient; DeLong et al. (1988); McNemar (1947).

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> methods = ["mil_linear", "logistic_regression", "majority"]
    >>> tm.tl.benchmark(adata, "patient", "response", methods=methods, reps=["X_regulons"], cv=2, progress=False)
    >>> tm.get.benchmark(adata, metric="auroc").index.unique("method").tolist()
    ['mil_linear', 'logistic_regression', 'majority']
    """
    check_adata(adata)
    from tcellmil.cv import TrainingConfig, composition, make_replicas
    from tcellmil.cv._comparison import run_engine, run_simple
    from tcellmil.cv._methods import COMPOSITION, COVARIATES, methods_by_name
    from tcellmil.model._setup import make_setup, only_what_is_read, read_bags
    from tcellmil.model._tcellmil import cv_name
    from tcellmil.nn import NetworkConfig

    for name, how in ELSEWHERE.items():
        if name in ([methods] if isinstance(methods, str) else methods):
            raise ImportError(f"methods has {name!r}, which cannot be imported beside tcellmil; {how}")
    network, training, own = network or {}, training or {}, dict(own or {})
    check_fields(network, NetworkConfig, "network")
    check_fields(training, TrainingConfig, "training")
    if cv is None:
        raise ValueError("cv=None would hold out no patient; there would be nothing to compare")
    chosen = methods_by_name([methods, "ablations"] if ablations and isinstance(methods, str) else methods)
    if ablations and not isinstance(methods, str):
        chosen = methods_by_name([*methods, "ablations"])
    reps = [reps] if isinstance(reps, str) else list(dict.fromkeys(reps))
    if not reps:
        raise ValueError("reps is empty; name keys of adata.obsm, such as 'X_regulons'")
    groups = _groups(adata, cell_type_key, chosen, methods)
    chosen = [method for method in chosen if method.name != COMPOSITION or groups is not None]
    covariates = {
        "continuous_covariate_keys": continuous_covariate_keys,
        "categorical_covariate_keys": categorical_covariate_keys,
    }
    if not any(covariates.values()):
        if COVARIATES in ([methods] if isinstance(methods, str) else methods):
            raise ValueError(
                "methods has 'covariates', which needs continuous_covariate_keys or categorical_covariate_keys, "
                "columns of obs"
            )
        chosen = [method for method in chosen if method.name != COVARIATES]
    same = [name for name in own if any(name == method.name for method in chosen)]
    if same:
        raise ValueError(f"own has methods of the names {some(same)}, which are taken; give them other names")

    bags = {}
    for rep in reps:
        cells = only_what_is_read(adata, sample_key, label_key, batch_key, rep, **covariates, group_key=group_key)
        setup = make_setup(
            cells,
            sample_key=sample_key,
            label_key=label_key,
            batch_key=batch_key,
            use_rep=rep,
            positive_class=positive_class,
            unlabelled=unlabelled,
            **covariates,
            group_key=group_key,
        )
        bags[rep] = setup, read_bags(cells, setup)
    setup, first = bags[reps[0]]
    chosen = _for_classes(chosen, len(setup.classes), methods)
    replicas = make_replicas(
        cv,
        first.labels,
        names=first.names,
        cohorts=first.cohorts,
        groups=first.groups,
        n_seeds=n_seeds,
        seed=seed,
    )

    runs = []
    mil = [method for method in chosen if method.kind == "mil"]
    _tell_options_without_effect(mil, first, network, training)
    for rep in reps:
        own_setup, own_bags = bags[rep]
        options = {"unit_interval": own_setup.unit_interval, "progress": progress}
        runs += run_engine(mil, rep, own_bags, replicas, network, training, **options)
        runs += [
            run_simple(method, rep, own_bags.pseudobulk, first, replicas)
            for method in chosen
            if method.kind == "pseudobulk"
        ]
    for method in chosen:
        if method.kind == "composition":
            runs.append(run_simple(method, "", composition(first, groups), first, replicas))
        elif method.kind == "covariates":
            runs.append(run_simple(method, "", np.zeros((first.n_bags, 0)), first, replicas))
        elif method.kind == "majority":
            runs.append(run_simple(method, "", np.zeros((first.n_bags, 1)), first, replicas))
    runs += [_run_own(name, function, adata, reps, setup, first, replicas) for name, function in own.items()]

    reference = next((run for run in runs if (run.method, run.rep) == (REFERENCE, reps[0])), runs[0])
    metrics = _metrics(runs, reference, first, replicas, cv, n_boot, n_permutations, seed)
    result = {
        "metrics": metrics,
        "methods": pd.DataFrame([{k: getattr(run, k) for k in ("method", "rep", *DESCRIPTION)} for run in runs]),
        "predictions": pd.concat([_predictions(run, setup, first) for run in runs], ignore_index=True),
        "params": {
            **plain(sample_key=sample_key, label_key=label_key, batch_key=batch_key, methods=methods, reps=reps),
            **plain(ablations=ablations, cell_type_key=cell_type_key, own=list(own), cv=cv_name(cv), n_seeds=n_seeds),
            **plain(seed=seed, positive_class=setup.classes[-1], unlabelled=unlabelled, group_key=group_key),
            **plain(network=network, training=training, n_boot=n_boot, n_permutations=n_permutations),
            **plain(continuous_covariate_keys=setup.continuous_covariate_keys),
            **plain(categorical_covariate_keys=setup.categorical_covariate_keys),
            "classes": np.array(setup.classes, dtype=object),
            "reference": reference.method,
            "reference_rep": reference.rep,
        },
    }
    adata = adata.copy() if copy else adata
    adata.uns[key_added] = result
    auroc = metrics[metrics["metric"] == "auroc"]
    best = auroc.loc[auroc["value"].idxmax()]
    logger.info(
        f"benchmark: {len(runs)} methods on {int(best['n'])} patients, cv={cv_name(cv)!r}; highest AUROC "
        f"{best['value']:.2f} [{best['ci_low']:.2f}, {best['ci_high']:.2f}] by {best['method']} {best['rep']}"
    )
    return adata if copy else None


def _groups(adata: AnnData, cell_type_key: str | None, chosen: list[Method], methods) -> np.ndarray | None:
    """The cell type of each cell, or ``None`` where composition is not compared."""
    from tcellmil.cv._methods import COMPOSITION

    if not any(method.name == COMPOSITION for method in chosen):
        return None
    if cell_type_key is None:
        if COMPOSITION in ([methods] if isinstance(methods, str) else methods):
            raise ValueError("methods has 'composition', which needs cell_type_key, a column of obs")
        logger.info("benchmark: no cell_type_key, so that 'composition' is left out")
        return None
    types = check_obs_column(adata, cell_type_key, "cell_type_key")
    if types.isna().any():
        raise ValueError(f"cell_type_key {cell_type_key!r} is missing for {int(types.isna().sum())} cells; fill it in")
    return types.astype(str).to_numpy()


def _for_classes(chosen: list[Method], n_classes: int, methods) -> list[Method]:
    """Without the methods that are for two classes, where there are more."""
    two_only = [method.name for method in chosen if method.network.get("instance_weight", 0) > 0]
    if n_classes == 2 or not two_only:
        return chosen
    named = [name for name in two_only if name in ([methods] if isinstance(methods, str) else methods)]
    if named:
        raise ValueError(f"methods {some(named)} are for two classes, there are {n_classes}; leave them out")
    logger.info(f"benchmark: {some(two_only)} are for two classes and left out")
    return [method for method in chosen if method.name not in two_only]


def _tell_options_without_effect(methods: list[Method], bags: Bags, network: dict, training: dict) -> None:
    from tcellmil.cv._comparison import idle_options

    idle = idle_options(methods, bags, network, training)
    if idle:
        warn(
            f"options {some(idle)} have no effect: none of the methods that are compared has an autoencoder; "
            "leave them out, or add network={'compression': 'autoencoder'}"
        )


def _run_own(name: str, function, adata: AnnData, reps: list[str], setup: Setup, bags: Bags, replicas: Replicas) -> Run:
    """A method from elsewhere: it is handed the training patients, and the held-out ones without their labels."""
    from tcellmil.cv._comparison import Run

    start = time.perf_counter()
    takes_seed = "seed" in _arguments(function)
    sample = adata.obs[setup.sample_key].astype(str)
    found = np.full((len(replicas), bags.n_bags, bags.n_classes), np.nan)
    for k in range(len(replicas)):
        patients = [bags.names[side[k]] for side in (replicas.train, replicas.test)]
        train, test = (_cells_of(adata, sample.isin(names), reps) for names in patients)
        del test.obs[setup.label_key]
        table = function(train, test, **({"seed": int(replicas.seed[k])} if takes_seed else {}))
        wanted = pd.Index(patients[1]), list(setup.classes)
        if (
            not isinstance(table, pd.DataFrame)
            or not set(wanted[1]) <= set(table)
            or not wanted[0].isin(table.index).all()
        ):
            raise ValueError(
                f"own method {name!r} must return a DataFrame with a row for each of the patients "
                f"{some(wanted[0])} and columns {some(wanted[1])}"
            )
        found[k, replicas.test[k]] = table.loc[wanted[0], wanted[1]].to_numpy()
    # An adapter says what it reads and how it was told to train.
    rep, options = getattr(function, "use_rep", ""), getattr(function, "options", {})
    return Run(name, rep, "own", found, time.perf_counter() - start, options=json.dumps(options))


def _arguments(function: Callable) -> Sequence[str]:
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:  # some functions that are not written in Python do not say
        return []


def _cells_of(adata: AnnData, mask: pd.Series, reps: list[str]) -> AnnData:
    """Some cells, their expression, ``obs`` and ``reps``: results of earlier fits, which saw labels, stay behind."""
    part = adata[mask.to_numpy()].copy()
    part.obs = part.obs.drop(columns=[c for key in adata.uns if (c := _keys.of_fit(key, _keys.ATTENTION)) in part.obs])
    for key in set(part.obsm) - set(reps):
        del part.obsm[key]
    part.uns.clear()
    return part


def _metrics(runs, reference, bags: Bags, replicas: Replicas, cv, n_boot, n_permutations, seed) -> pd.DataFrame:
    from tcellmil.cv import pair_order
    from tcellmil.stats import bootstrap_metrics, compare_predictions

    judged = (bags.labels >= 0) & np.isfinite(reference.mean).all(axis=1)
    y = bags.labels[judged]
    groups = None if bags.groups is None else bags.groups[judged]
    in_pairs = isinstance(cv, str) and cv == "leave_pair_out"
    tables = []
    for run in runs:
        order = pair_order(run.probabilities, replicas, bags.labels) if in_pairs else None
        table = bootstrap_metrics(y, run.mean[judged], n_boot=n_boot, seed=seed, pair_order=order, groups=groups)
        table.insert(0, "method", run.method)
        table.insert(1, "rep", run.rep)
        tables.append((table, run))
    base = next(table for table, run in tables if run is reference)
    options = {"n_boot": n_boot, "n_permutations": n_permutations, "seed": seed, "groups": groups}
    for table, run in tables:
        table["difference"] = table["value"] - base["value"]
        compared = compare_predictions(y, run.mean[judged], reference.mean[judged], in_pairs=in_pairs, **options)
        table[list(compared)] = compared
        if run is reference:
            table[["difference", "difference_ci_low", "difference_ci_high", "p"]] = np.nan
            table["test"] = ""
    return pd.concat([table for table, _ in tables], ignore_index=True)


def _predictions(run: Run, setup: Setup, bags: Bags) -> pd.DataFrame:
    classes = np.array(setup.classes, dtype=object)
    mean = run.mean
    known = np.isfinite(mean).all(axis=1)
    table = pd.DataFrame({"method": run.method, "rep": run.rep, "patient": bags.names.astype(object)})
    table["label"] = np.where(bags.labels >= 0, classes[bags.labels], "")
    table["predicted"] = np.where(known, classes[np.nan_to_num(mean).argmax(axis=1)], "")
    for c, name in enumerate(classes):
        table[f"prob_{name}"] = mean[:, c]
    return table
