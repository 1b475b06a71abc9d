"""Patient-level prediction with honest evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil._checks import check_data, check_fields, some
from tcellmil._log import logger
from tcellmil.tl._patients._metrics import main_metric, measure_with_intervals

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def fit_mil(
    adata: AnnData | MuData,
    sample_key: str,
    label_key: str,
    batch_key: str | None = None,
    use_rep: str | Sequence[str] | Mapping[str, str | Sequence[str]] = "X_regulons",
    *,
    cv: str | int | Iterable[tuple[Sequence[str], Sequence[str]]] = "rebalanced_loo",
    n_seeds: int = 1,
    seed: int = 0,
    encoder: str = "per_fold",
    outcome: str = "classes",
    event_key: str | None = None,
    class_order: Sequence[str] | None = None,
    unlabelled: str = "error",
    positive_class: str | None = None,
    continuous_covariate_keys: Sequence[str] | None = None,
    categorical_covariate_keys: Sequence[str] | None = None,
    group_key: str | None = None,
    scaling: str | Sequence[str] = "auto",
    max_epochs: int | None = None,
    max_epochs_ae: int | None = None,
    lr: float | None = None,
    early_stopping: str | None = None,
    calibration: str | None = None,
    accelerator: str = "auto",
    devices: int | str = "auto",
    network: dict | None = None,
    training: dict | None = None,
    n_boot: int = 2000,
    progress: bool = True,
    key_added: str = _keys.TCELLMIL,
    copy: bool = False,
) -> AnnData | MuData | None:
    """Predict each patient's outcome from its cells, by networks that never saw the patient.

    One attention-based bag classifier (:class:`tcellmil.model.TcellMIL`) is trained for every fold and seed, all of
    them in one stack. Everything learned from data (scaling, compression, attention, classifier, early stopping)
    comes from a replica's own training patients; each patient is then judged by the replicas that held it out. What
    was computed before, such as regulons inferred on all cells, is outside of this guarantee; it sees no labels.

    Parameters
    ----------
    adata
        Cells of all patients; an AnnData, or a MuData whose modalities are read together. Columns are looked up in its
        ``obs``; in a MuData, ``"rna:patient"`` is a column of a modality's ``obs``.
    sample_key
        Column of ``obs`` with the patient.
    label_key
        Column of ``obs`` with the label, the same for all cells of a patient; two classes or more, or what ``outcome``
        says.
    batch_key
        Column of ``obs`` with the cohort.
    use_rep
        Key of ``obsm``: regulon activity, or any other representation. Of several keys, each representation has an
        encoder of its own, and the latent of a cell is their latents side by side. In a MuData, a mapping from
        modalities to a key of their ``obsm``, or ``"X"`` for their matrix: ``{"regulons": "X", "prot": "X_pca"}``. They
        must have the same cells.
    cv
        ``"rebalanced_loo"``: leave one patient out, and drop one random training patient of every other class, so
        that the class prior is the same in all folds. ``"loo"``: plain leave-one-out (the paper), biased in small
        cohorts: the training set always lacks one patient of the held-out class. ``"leave_pair_out"``: hold out one
        patient of each of two classes at a time; the AUROC is the share of pairs ranked rightly. A number:
        stratified folds. ``"cohort"``: leave one cohort out. Or your own: pairs of patient names ``(train, test)``,
        or a scikit-learn splitter. Where the outcome is a number, rebalancing is by weights of the training patients
        instead (:func:`tcellmil.cv.balancing_weights`), and folds are stratified by its ranges; of times to event
        nothing is rebalanced, and folds are stratified by events.
    n_seeds, seed
        Replicas of each fold, from the seeds ``seed, seed + 1, ...``; predictions are means over them.
    encoder
        What compresses the cells, principal components or an autoencoder, is fitted ``"per_fold"``: within each fold;
        or ``"shared"``: once a seed, on the cells of all labelled patients without their labels, as in the paper;
        faster, and not strictly out-of-fold.
    outcome
        What ``label_key`` holds: ``"classes"``; ``"ordered"``, classes with an order, by proportional odds;
        ``"continuous"``, a number, by squared error; ``"survival"``, a time to event, by the Cox partial likelihood.
    event_key
        For ``"survival"``: column of ``obs`` with 1 for an event at that time and 0 where it was censored.
    class_order
        For ``"ordered"``: the classes, lowest first; an ordered categorical column has its own.
    unlabelled
        ``"error"``, or ``"predict"``: patients without a label are predicted by all replicas, never trained on.
    positive_class
        The label that counts as positive; the last in alphabetical order by default.
    continuous_covariate_keys, categorical_covariate_keys
        Columns of ``obs`` with what else is known of each patient, such as age and sex. They stand beside the bag's
        embedding; numbers are in units of the training patients' standard deviation.
    group_key
        Column of ``obs`` that says which samples must stay together, such as the patient where ``sample_key`` is one of
        several samples: all of them are on one side of every split, and intervals are over groups.
    scaling
        How the representation comes to [-1, 1]; see :meth:`tcellmil.model.TcellMIL.setup_anndata`.
    max_epochs, max_epochs_ae, lr, early_stopping
        Training; ``None`` takes the defaults of :class:`tcellmil.cv.TrainingConfig`, which documents them.
        ``max_epochs_ae`` is read where there is an autoencoder: with 48 labelled patients or more, or with
        ``network={"compression": "autoencoder"}``. Smaller cohorts have principal components in its place.
    calibration
        ``"temperature"``: probabilities are softened or sharpened by a temperature that is fitted by cross-validation
        within each replica's training patients, at about three times the cost. The order of patients judged by one
        replica stays.
    accelerator, devices
        Where to train, as in :class:`lightning.Trainer`; a stack trains on one device.
    network, training
        Further options: fields of :class:`tcellmil.nn.NetworkConfig` and of :class:`tcellmil.cv.TrainingConfig`.
    n_boot
        Bootstrap resamples of patients for the intervals.
    progress
        Show the progress bar.
    key_added
        Name of the result.
    copy
        Return a changed copy instead of changing ``adata``.

    Returns
    -------
    ``None``, or the changed copy. Written, all or nothing:

    - ``obsm["X_tcellmil"]``: latent of each cell, ``(n_cells, n_latent)``, from the first replica that held its patient
      out; of several representations, their latents side by side. 48 columns each by default, and of principal
      components no more than features;
    - ``obs["tcellmil_attention"]``: attention of each cell, mean over the replicas that held its patient out; sums to 1
      within a patient (NaN where none did);
    - ``uns["tcellmil"]``: ``predictions`` (a row a patient), ``metrics`` (with 95% bootstrap intervals over patients),
      ``history``, ``weights`` and ``config`` (the fitted networks), ``splits``, ``params``.

    Metrics are those of :func:`tcellmil.stats.classification_metrics`, :func:`tcellmil.stats.ordinal_metrics`,
    :func:`tcellmil.stats.regression_metrics` or :func:`tcellmil.stats.survival_metrics`. A predicted number is in its
    own units; a risk is a log hazard, of which only differences mean something, 0 for the mean training patient.

    Raises
    ------
    KeyError, ValueError, TypeError
        If something is missing or cannot be trained on; ``adata`` is then unchanged.

    Warns
    -----
    UserWarning
        If options are of an autoencoder that there is not.

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
    >>> tm.tl.fit_mil(adata, "patient", "response", "cohort", cv=2, max_epochs=3, progress=False)
    >>> tm.get.metrics(adata).columns.tolist()
    ['metric', 'value', 'ci_low', 'ci_high', 'n']

    A number, such as the age of the patient, in place of classes:

    >>> age = {patient: 40 + 3 * i for i, patient in enumerate(adata.obs["patient"].unique())}
    >>> adata.obs["age"] = adata.obs["patient"].map(age).astype(float)
    >>> options = {"outcome": "continuous", "max_epochs": 3, "progress": False}
    >>> tm.tl.fit_mil(adata, "patient", "age", cv=2, key_added="of_age", **options)
    >>> tm.get.metrics(adata, key="of_age")["metric"].tolist()
    ['r2', 'pearson', 'spearman', 'mae', 'rmse']

    Two modalities of the same cells:

    >>> import anndata, mudata
    >>> prot = anndata.AnnData(adata.X[:, :12].toarray(), obs=adata.obs[[]])  # stands for measured proteins
    >>> with mudata.set_options(pull_on_update=False):
    ...     mdata = mudata.MuData({"rna": adata, "prot": prot})
    >>> fit = {"cv": 2, "max_epochs": 3, "progress": False}
    >>> tm.tl.fit_mil(mdata, "rna:patient", "rna:response", use_rep={"rna": "X_regulons", "prot": "X"}, **fit)
    >>> mdata.obsm["X_tcellmil"].shape, len(tm.get.predictions(mdata))
    ((320, 60), 8)
    """
    check_data(adata)
    from tcellmil.cv import TrainingConfig, pair_order, replica_probabilities
    from tcellmil.model import TcellMIL
    from tcellmil.model._representations import places
    from tcellmil.model._setup import only_what_is_read
    from tcellmil.model._tables import predictions_table
    from tcellmil.nn import NetworkConfig

    network, training = network or {}, training or {}
    check_fields(network, NetworkConfig, "network")
    check_fields(training, TrainingConfig, "training")
    if cv is None:
        raise ValueError("cv=None would hold out no patient; train a TcellMIL without cv for that")
    if devices not in ("auto", 1):
        raise ValueError(f"devices={devices!r}: a stack trains on one device; use devices=1")
    options = {"max_epochs": max_epochs, "max_epochs_ae": max_epochs_ae, "lr": lr, "early_stopping": early_stopping}
    options |= {"encoder": encoder, "accelerator": accelerator}
    twice = sorted(options.keys() & training.keys())
    if twice:
        raise ValueError(f"training holds {some(twice)}; pass them as arguments of fit_mil instead")
    options = {name: value for name, value in options.items() if value is not None} | training

    use_rep = places(adata, use_rep)
    if _keys.representation(key_added) in use_rep:
        overwritten = _keys.representation(key_added)
        raise ValueError(f"key_added={key_added!r} would overwrite use_rep={overwritten!r}; choose another key_added")
    covariates = (continuous_covariate_keys, categorical_covariate_keys)
    cells = only_what_is_read(adata, sample_key, label_key, batch_key, use_rep, *covariates, group_key, event_key)
    TcellMIL.setup_anndata(
        cells,
        sample_key,
        label_key,
        batch_key,
        use_rep,
        unlabelled=unlabelled,
        positive_class=positive_class,
        scaling=scaling,
        continuous_covariate_keys=continuous_covariate_keys,
        categorical_covariate_keys=categorical_covariate_keys,
        group_key=group_key,
        outcome=outcome,
        event_key=event_key,
        class_order=class_order,
    )
    model = TcellMIL(cells, **network)
    model.train(cv=cv, n_seeds=n_seeds, seed=seed, calibration=calibration, progress=progress, **options)
    bags, predicted = model.out_of_fold()
    predictions = predictions_table(model.setup, bags, predicted)
    order = None
    if model.training["cv"] == "leave_pair_out":
        order = pair_order(replica_probabilities(model.module, bags), model.module.replicas, bags.labels)
    metrics = measure_with_intervals(outcome, bags, predicted.probabilities, order, n_boot=n_boot, seed=seed)
    result = {
        **model.to_state(),
        "params": model.params(),
        "predictions": predictions,
        "metrics": metrics,
        "history": model.history_table,
    }

    adata = adata.copy() if copy else adata
    adata.obsm[_keys.representation(key_added)] = bags.to_input_order(predicted.latent)
    adata.obs[_keys.attention(key_added)] = bags.to_input_order(predicted.attention)
    adata.uns[key_added] = result
    shown, name = main_metric(outcome, metrics)
    row = metrics.set_index("metric").loc[shown]
    logger.info(
        f"fit_mil: {name} {row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}], "
        f"{int(row['n'])} patients, {len(model.module)} replicas, cv={model.training['cv']!r}"
    )
    return adata if copy else None
