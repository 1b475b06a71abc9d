"""Patient-level prediction with honest evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from tcellmil import _keys
from tcellmil._checks import check_fields
from tcellmil._docs import documented
from tcellmil._log import warn
from tcellmil._verbs import Result, verb
from tcellmil.data._fields import Fields, takes_fields
from tcellmil.tl._patients._evaluate import evaluate_with_intervals
from tcellmil.tl._patients._predicted import OF_CELLS, counted_in_words, of_cells, of_patients

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.cv._splitters import Scheme, Splitter


@documented
@verb(obsm=[""], obs=OF_CELLS)
@takes_fields()
def fit_mil(
    adata: AnnData | MuData,
    fields: Fields,
    *,
    cv: Scheme | int | Splitter | Iterable[tuple[Sequence[str], Sequence[str]]] = "rebalanced_loo",
    n_seeds: int | None = None,
    seed: int = 0,
    ensemble: bool | Literal["auto", "best"] = "auto",
    calibration: Literal["temperature"] | None = None,
    network: dict | None = None,
    training: dict | None = None,
    n_boot: int = 2000,
    progress: bool = True,
    key_added: str = _keys.TCELLMIL,
    copy: bool = False,
) -> Result:
    """Predict each patient's outcome from its cells, by networks that never saw the patient.

    One attention-based bag classifier (:class:`tcellmil.model.TcellMIL`) is trained for every fold and seed, all of
    them in one stack. Everything learned from data (scaling, compression, attention, classifier, early stopping)
    comes from a replica's own training patients; each patient is then predicted by the replicas that held it out. What
    was computed before, such as regulons inferred on all cells, is outside of this guarantee; it sees no labels.

    Parameters
    ----------
    adata
        Cells of all patients; an AnnData, or a MuData whose modalities are read together.
    %(fields)s
    cv
        ``"rebalanced_loo"``: leave one patient out, and drop one random training patient of every other class, so
        that the class prior is the same in all folds. ``"loo"``: plain leave-one-out (the paper), biased in small
        cohorts: the training set always lacks one patient of the held-out class. ``"leave_pair_out"``: hold out one
        patient of each of two classes at a time; the AUROC is the share of pairs ranked rightly. A number:
        stratified folds. ``"cohort"``: leave one cohort out. Or your own: pairs of patient names ``(train, test)``,
        a scikit-learn splitter, or a splitter of :mod:`tcellmil.cv`. Where the outcome is a number, rebalancing is by
        weights of the training patients instead (:func:`tcellmil.cv.balancing_weights`), and folds are stratified by
        its ranges; of times to event nothing is rebalanced, and folds are stratified by events.
    n_seeds, seed
        Replicas of each fold, from the seeds ``seed, seed + 1, ...``; predictions are means over them. ``None``: 3 for
        fewer than 48 labelled patients, in whom a single seed is a lottery, else 1.
    ensemble
        ``True``: two configurations are trained, attention on principal components, and the mean and standard
        deviation over all cells of each feature, standardised over patients. Attention leads: it always counts. Three
        more folds within the training patients of each fold decide whether the other counts too: where its loss there
        is not above that of attention, the scores of both, brought to the same spread, are averaged. ``"best"``: the
        one with the lower loss alone. ``False``: the one that ``network`` says. ``"auto"``: as ``True`` for fewer than
        48 labelled patients of two classes where ``network`` is left out, else as ``False``. Needs classes, and two
        training patients of each. :doc:`/real_cohorts` has what it gives. Options in ``network`` hold in both
        configurations.
    calibration
        ``"temperature"``: probabilities are softened or sharpened by a temperature that is fitted by cross-validation
        within each replica's training patients, at about three times the cost. The order of patients predicted by one
        replica stays.
    network, training
        Fields of :class:`tcellmil.nn.NetworkConfig` and of :class:`tcellmil.training.TrainingConfig`, which document
        them with their defaults: ``training={"max_epochs": 60, "encoder": "shared"}``. What is left open in them
        depends on the number of labelled patients: with fewer than 48, principal components stand in place of the
        autoencoder, and the classifier is trained for 120 epochs in place of 60.
    n_boot
        Bootstrap resamples of patients for the intervals.
    %(progress)s
    key_added
        Name of the result.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written, all or nothing:

    - ``obsm["X_tcellmil"]``: latent of each cell, ``(n_cells, n_latent)``, from the first replica that held its patient
      out; of several representations, their latents side by side. 48 columns each by default, and of principal
      components no more than features;
    - ``obs["tcellmil_attention"]``: attention of each cell, mean over the replicas that held its patient out; sums to 1
      within a patient (NaN where none did); ``obs["tcellmil_attention_relative"]``: the same times the patient's number
      of cells, 1 where all of them get the same, which compares between patients;
    - ``uns["tcellmil"]``: ``predictions`` (one row per patient; :func:`tcellmil.get.predictions` names the classes),
      ``embedding`` (mean features of each patient's cells by attention, :func:`tcellmil.get.patients`), ``metrics``
      (with 95% bootstrap intervals over patients), ``history``, ``weights`` and ``config`` (the fitted networks),
      ``configurations`` (one row per replica and configuration: ``weight``, and ``loss`` on held-out training
      patients), ``splits``, ``checksum``, ``params``; of classes with a cohort or covariates, ``metrics_alone``: what a
      logistic regression on these alone, without any cell, predicts on the same splits.

    Metrics are those of :func:`tcellmil.stats.classification_metrics`, :func:`tcellmil.stats.ordinal_metrics`,
    :func:`tcellmil.stats.regression_metrics` or :func:`tcellmil.stats.survival_metrics`. A predicted number is in its
    own units; a risk is a log hazard, of which only differences are meaningful, 0 for the mean training patient.

    Raises
    ------
    KeyError, ValueError, TypeError
        If something is missing or cannot be trained on; ``adata`` is then unchanged.

    Warns
    -----
    UserWarning
        If options concern an autoencoder that this network does not have; if the cohort or covariates alone predict the
        class nearly (AUROC of 0.9), or better than chance and as well as the model; if a column of ``obs`` says that
        samples share patients, and there is no ``group_key``.

    References
    ----------
    Tsui et al. (2025), tcellMIL, NeurIPS workshop AI4D3; Ilse, Tomczak and Welling (2018), ICML; Airola et al. (2011),
    Computational Statistics and Data Analysis 55, 1828 (leave-pair-out); McCullagh (1980), Journal of the Royal
    Statistical Society B 42, 109 (proportional odds); Cox (1975), Biometrika 62, 269 (partial likelihood).

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", "cohort", cv=2, training={"max_epochs": 3}, progress=False)
    >>> tm.get.metrics(adata).columns.tolist()
    ['value', 'ci_low', 'ci_high', 'n']

    A number, such as the age of the patient, in place of classes:

    >>> age = {patient: 40 + 3 * i for i, patient in enumerate(adata.obs["patient"].unique())}
    >>> adata.obs["age"] = adata.obs["patient"].map(age).astype(float)
    >>> options = {"outcome": "continuous", "training": {"max_epochs": 3}, "progress": False}
    >>> tm.tl.fit_mil(adata, "patient", "age", cv=2, key_added="of_age", **options)
    >>> tm.get.metrics(adata, key="of_age").index.tolist()
    ['r2', 'pearson', 'spearman', 'mae', 'rmse']

    Two modalities of the same cells:

    >>> import anndata, mudata
    >>> prot = anndata.AnnData(adata.X[:, :12].toarray(), obs=adata.obs[[]])  # stands for measured proteins
    >>> mdata = mudata.MuData({"rna": adata, "prot": prot})
    >>> fit = {"cv": 2, "training": {"max_epochs": 3}, "progress": False}
    >>> tm.tl.fit_mil(mdata, "rna:patient", "rna:response", use_rep={"rna": "X_regulons", "prot": "X"}, **fit)
    >>> mdata.obsm["X_tcellmil"].shape, len(tm.get.predictions(mdata))
    ((320, 60), 8)
    """
    from tcellmil.comparison._alone import alone_in_words, confounded, metrics_alone
    from tcellmil.data._read import read
    from tcellmil.data._schema import Schema
    from tcellmil.data._shared_patients import warn_of_shared_patients
    from tcellmil.fitted import pair_order, replica_probabilities
    from tcellmil.model._fitted_model import fit_model
    from tcellmil.model._state import to_state
    from tcellmil.model._tables import with_named_stages
    from tcellmil.nn import NetworkConfig

    check_fields(network := network or {}, NetworkConfig, "network")
    if cv is None:
        raise ValueError("cv=None would hold out no patient; train a TcellMIL without cv for that")
    overwritten = _keys.representation(key_added)
    cohort = read(adata, fields)
    if overwritten in cohort.places:
        raise ValueError(f"key_added={key_added!r} would overwrite use_rep={overwritten!r}; choose another key_added")
    schema = Schema.learn(cohort, fields)
    warn_of_shared_patients(adata, fields, cohort)
    bags = schema.encode(cohort)
    splits = {"cv": cv, "n_seeds": n_seeds, "seed": seed}
    options = {"ensemble": ensemble, "calibration": calibration, "training": training, "progress": progress}
    options["given"] = tuple(network)
    model, history, chosen = fit_model(bags, schema, NetworkConfig(**network), **splits, **options)
    predicted = model.out_of_fold(bags)
    order = None
    if model.in_pairs:
        order = pair_order(replica_probabilities(model.stack, bags), model.stack.replicas, bags.labels)
    metrics = evaluate_with_intervals(bags, predicted.probabilities, order, n_boot=n_boot, seed=seed)
    replicas = model.stack.replicas
    alone = metrics_alone(bags, replicas, in_pairs=model.in_pairs, n_boot=n_boot, seed=seed)
    state, configurations = to_state(model), [network.words for network in model.stack.networks]
    parts = {
        **state,
        **of_patients(model, bags, predicted, None if fields.group_key is None else cohort.patients["group"]),
        "metrics": metrics,
        "history": with_named_stages(history, schema.fields.use_rep, configurations),
        "configurations": chosen,
    } | ({} if alone is None else {"metrics_alone": alone})
    params = {**model.params(), "fit": state["checksum"]}
    shown, name = schema.outcome.metric_shown(list(metrics["metric"]))
    of_metric = metrics.set_index("metric")
    row = of_metric.loc[shown]
    if alone is not None and (doubt := confounded(alone, of_metric.loc["auroc", "value"])):
        warn(doubt)
    message = (
        f"{name} {row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}], "
        f"{counted_in_words(bags, int(row['n']))}, {len(model.stack)} replicas, cv={model.training['cv']!r}"
        + ("" if alone is None else f"; AUROC of the {alone_in_words(alone)}")
    )
    return Result(parts, message, params, *of_cells(bags, predicted))
