"""The model class: a stack of attention-based bag classifiers on an AnnData or a MuData."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scvi.data import AnnDataManager
from scvi.model.base import BaseModelClass

from tcellmil._checks import (
    check_adata,
    check_choice,
    check_data,
    check_fields,
    check_mudata,
    check_obs_column,
    has_obs_column,
    is_mudata,
    some,
)
from tcellmil._log import warn
from tcellmil._outcome_kinds import CLASSES, OF_CLASSES, ORDERED
from tcellmil.cv._bags import Bags
from tcellmil.cv._calibration import fit_temperatures
from tcellmil.cv._config import TrainingConfig, options_without_effect
from tcellmil.cv._fit import fit_stack
from tcellmil.cv._fitted import FittedStack
from tcellmil.cv._out_of_fold import BagPredictions, predict_bags
from tcellmil.cv._outcomes import null_residuals, strata
from tcellmil.cv._splits import make_replicas
from tcellmil.nn._network import NetworkConfig

from ._registry import quiet_scvi, registry_fields, registry_without_data
from ._representations import numbered
from ._setup import make_setup, read_bags
from ._state import from_state, read_folder, to_state, write_folder
from ._tables import predictions_table, wide_history, with_named_stages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anndata import AnnData
    from mudata import MuData

    from ._representations import UseRep


class TcellMIL(BaseModelClass):
    """Attention-based multiple instance learning on cell representations (Tsui et al., 2025).

    Each cell is compressed, in a small cohort to principal components and else by an autoencoder; attention weighs the
    cells of a patient, and a linear classifier that knows the cohort predicts the patient's label. Of several
    representations of a cell, each has an encoder of its own. One object holds a *stack* of K >= 1 replicas (folds
    times seeds), trained together and fully independent of each other; an ordinary model is K = 1.

    Parameters
    ----------
    adata
        Set up with :meth:`setup_anndata` or :meth:`setup_mudata`.
    registry
        For a model without data (see :meth:`load`); the registry of the data that it was fitted on.
    **network
        Sizes and kinds: :class:`tcellmil.nn.NetworkConfig`.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> adata.obsm["X_pca"] = adata.X.toarray()[:, :20]
    >>> tm.model.TcellMIL.setup_anndata(adata, "patient", "response", use_rep="X_pca")
    >>> model = tm.model.TcellMIL(adata, attention="gated")
    >>> model.train(max_epochs=2, progress=False)
    >>> model.predict().shape
    (8, 7)
    """

    def __init__(self, adata: AnnData | MuData | None = None, registry: dict | None = None, **network):
        check_fields(network, NetworkConfig, "network")
        self.network = NetworkConfig(**network)
        super().__init__(adata, registry)
        arguments = dict(self.registry_["setup_args"])
        self.setup = make_setup(adata, **arguments) if adata is not None else None
        if self.setup is not None:
            if network.get("outcome", self.setup.outcome) != self.setup.outcome:
                raise ValueError(
                    f"outcome={network['outcome']!r}, but the data was set up for {self.setup.outcome!r}; "
                    "pass outcome to setup_anndata"
                )
            self.network = replace(self.network, outcome=self.setup.outcome)
        self.module: FittedStack | None = None
        self.training: dict = {}
        self._patients: np.ndarray | None = None
        self._asked = tuple(network)  # the options that the caller chose
        self._model_summary_string = f"TcellMIL with {self.network}"
        self.init_params_ = {"kwargs": {"network": self.network.as_dict()}, "non_kwargs": {}}

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        sample_key: str,
        label_key: str,
        batch_key: str | None = None,
        use_rep: str | Sequence[str] = "X_regulons",
        *,
        unlabelled: str = "error",
        positive_class: str | None = None,
        scaling: str | Sequence[str] = "auto",
        continuous_covariate_keys: Sequence[str] | None = None,
        categorical_covariate_keys: Sequence[str] | None = None,
        group_key: str | None = None,
        outcome: str = "classes",
        event_key: str | None = None,
        class_order: Sequence[str] | None = None,
    ) -> None:
        """Say which columns and representations the model reads.

        Parameters
        ----------
        adata
            Cells of all patients.
        sample_key
            Column of ``obs`` with the patient.
        label_key
            Column of ``obs`` with the label, the same for all cells of a patient. Two classes or more; or what
            ``outcome`` says.
        batch_key
            Column of ``obs`` with the cohort.
        use_rep
            Key of ``obsm`` with the representation of each cell; of several keys, each representation has an encoder of
            its own, and the latent of a cell is their latents side by side.
        unlabelled
            ``"error"``, or ``"predict"``: patients without a label are predicted and never trained on.
        positive_class
            The label that counts as positive; the last in alphabetical order by default.
        scaling
            How the representation comes to [-1, 1]: ``"unit_interval"`` (2x - 1, for scores in [0, 1]), ``"standard"``
            (mean and three standard deviations of the training patients' cells, clipped), or ``"auto"``: the first for
            AUCell scores of :func:`tcellmil.tl.regulons`, the second for all else. One for all representations, or a
            list with one for each.
        continuous_covariate_keys, categorical_covariate_keys
            Columns of ``obs`` with what else is known of each patient, such as age and sex; one value a patient. They
            stand beside the bag's embedding; numbers in units of the training patients' standard deviation.
        group_key
            Column of ``obs`` that says which samples must stay together in every split, such as the patient of several
            samples.
        outcome, event_key, class_order
            What the label is: classes, ordered classes, a number, or a time to event; see
            :func:`tcellmil.tl.fit_mil`.

        Raises
        ------
        KeyError, ValueError
            If columns, labels or values cannot be used; the message says which and what to do.
        """
        method = cls._get_setup_method_args(**locals())
        check_adata(adata)
        cls._register(adata, method)

    @classmethod
    def setup_mudata(
        cls,
        mdata: MuData,
        sample_key: str,
        label_key: str,
        batch_key: str | None = None,
        use_rep: UseRep = "X_regulons",
        *,
        unlabelled: str = "error",
        positive_class: str | None = None,
        scaling: str | Sequence[str] = "auto",
        continuous_covariate_keys: Sequence[str] | None = None,
        categorical_covariate_keys: Sequence[str] | None = None,
        group_key: str | None = None,
        outcome: str = "classes",
        event_key: str | None = None,
        class_order: Sequence[str] | None = None,
    ) -> None:
        """Say which columns and representations of which modalities the model reads.

        Each representation has an encoder of its own, and the latent of a cell is their latents side by side. All of
        the modalities that are read must have the same cells, in any order.

        Parameters
        ----------
        mdata
            Cells of all patients. Columns are looked up in ``mdata.obs``; a column of a modality's ``obs`` is
            ``"modality:column"``.
        use_rep
            Mapping from modalities to a key, or several, of their ``obsm``, or ``"X"`` for their matrix, such as
            ``{"regulons": "X", "prot": "X_pca"}``. A key of ``mdata.obsm`` is read from there. By default the modality
            that :func:`tcellmil.tl.regulons` adds.
        sample_key, label_key, batch_key, unlabelled, positive_class, scaling
            As in :meth:`setup_anndata`.
        continuous_covariate_keys, categorical_covariate_keys, group_key, outcome, event_key, class_order
            As in :meth:`setup_anndata`.

        Raises
        ------
        KeyError, TypeError, ValueError
            If modalities, columns, labels or values cannot be used; the message says which and what to do.

        Examples
        --------
        >>> import anndata, mudata, tcellmil as tm
        >>> rna = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
        >>> prot = anndata.AnnData(rna.X[:, :12].toarray(), obs=rna.obs[[]])  # stands for measured proteins
        >>> with mudata.set_options(pull_on_update=False):
        ...     mdata = mudata.MuData({"rna": rna, "prot": prot})
        >>> tm.tl.regulons(mdata)
        >>> use_rep = {"regulons": "X", "prot": "X"}
        >>> tm.model.TcellMIL.setup_mudata(mdata, "rna:patient", "rna:response", use_rep=use_rep)
        >>> model = tm.model.TcellMIL(mdata, compression="pca", n_latent=8)
        >>> model.train(max_epochs=2, progress=False)
        >>> model.get_latent_representation().shape
        (320, 16)
        """
        method = cls._get_setup_method_args(**locals())
        check_mudata(mdata)
        cls._register(mdata, method)

    @classmethod
    def _register(cls, data: AnnData | MuData, method: dict) -> None:
        """Check everything that is read, and tell scvi-tools about it; ``method`` is the call of the set-up."""
        setup = make_setup(data, **method["setup_args"])
        with quiet_scvi():
            manager = AnnDataManager(fields=registry_fields(data, setup), setup_method_args=method)
            manager.register_fields(data)
        cls.register_manager(manager)

    def train(
        self,
        *,
        cv: str | int | Iterable[tuple[Sequence[str], Sequence[str]]] | None = None,
        n_seeds: int = 1,
        seed: int = 0,
        calibration: str | None = None,
        progress: bool = True,
        **training,
    ) -> None:
        """Train a replica for every fold and seed, all of them at once.

        Parameters
        ----------
        cv
            Splits of patients, as in :func:`tcellmil.tl.fit_mil`; ``None`` trains on every labelled patient.
        n_seeds, seed
            Replicas of each fold, from the seeds ``seed, seed + 1, ...``.
        calibration
            ``"temperature"``: divide class scores by a temperature that is fitted by cross-validation within each
            replica's training patients (:func:`tcellmil.cv.fit_temperatures`), at about three times the cost.
        progress
            Show the progress bar.
        **training
            How to train: :class:`tcellmil.cv.TrainingConfig`.

        Raises
        ------
        TypeError
            If an option is not known.
        ValueError
            If an option is out of range, or patients cannot be split so.

        Warns
        -----
        UserWarning
            If options are of an autoencoder that this network has not.
        """
        check_fields(training, TrainingConfig, "training")
        check_choice(calibration, (None, "temperature"), "calibration")
        if calibration is not None and self.network.outcome not in OF_CLASSES:
            raise ValueError(
                f"calibration={calibration!r} is for probabilities of classes, the outcome is {self.network.outcome!r}"
            )
        bags = self.bags()
        config = TrainingConfig(**training).for_patients(bags.n_labelled_patients)
        replicas = make_replicas(
            cv,
            bags.labels,
            names=bags.names,
            cohorts=bags.cohorts,
            groups=bags.groups,
            residuals=null_residuals(bags, self.network.outcome),
            strata=strata(bags, self.network.outcome, cv),
            n_seeds=n_seeds,
            seed=seed,
        )
        self._tell_options_without_effect(bags, config, training)
        self.module, history = fit_stack(
            bags, replicas, self.network, config, unit_interval=self.setup.unit_interval, progress=progress
        )
        if calibration is not None:
            self.module.temperature = fit_temperatures(
                bags, replicas, self.network, config, unit_interval=self.setup.unit_interval, progress=progress
            )
        self._patients = bags.names
        self.training = {**config.as_dict(), "cv": cv_name(cv), "n_seeds": int(n_seeds), "seed": int(seed)}
        self.training["calibration"] = calibration or ""
        self._model_summary_string = f"TcellMIL with {self.module.config}"
        self.history_table = with_named_stages(history, self.setup.use_rep)
        self.history_ = wide_history(self.history_table, self.network.outcome)
        self.is_trained_ = True

    def predict(self, adata: AnnData | MuData | None = None) -> pd.DataFrame:
        """Class probabilities of patients, or their predicted number or risk.

        Parameters
        ----------
        adata
            New patients; every replica predicts them. Without it, the patients that the model was set up with, each by
            the replicas that held it out (by all replicas if the model was trained without held-out patients).

        Returns
        -------
        A row a patient: ``label`` (empty if unknown), ``predicted``, ``prob_<class>`` (mean over
        replicas), ``prob_sd`` (their standard deviation, of the positive class), ``n_cells``, ``n_replicas``, and
        ``cohort`` if cohorts are used. Where the outcome is a number: ``label``, ``predicted`` and ``predicted_sd``, in
        its units. Where it is a time to event: ``time``, ``event``, ``risk`` (the log hazard, 0 for the mean training
        patient) and ``risk_sd``.
        """
        bags, predictions = self._predict(adata)
        return predictions_table(self.setup, bags, predictions)

    def get_attention(self, adata: AnnData | MuData | None = None) -> pd.Series:
        """Attention of each cell, which sums to 1 within a patient, by the same replicas as :meth:`predict`."""
        bags, predictions = self._predict(adata)
        cells = (self.adata if adata is None else adata).obs_names
        return pd.Series(bags.to_input_order(predictions.attention), index=cells, name="attention")

    def get_latent_representation(self, adata: AnnData | MuData | None = None) -> np.ndarray:
        """Latent of each cell, ``(n_cells, n_latent)``, by the first of the replicas of :meth:`predict`.

        Of several representations, their latents side by side.
        """
        bags, predictions = self._predict(adata)
        return bags.to_input_order(predictions.latent)

    def to_state(self) -> dict:
        """The fitted model as arrays and JSON text: ``config``, ``weights``, ``splits``."""
        self._check_fitted()
        return to_state(self.module, self.setup, self._patients, self.training)

    @classmethod
    def from_state(cls, state: dict, adata: AnnData | MuData | None = None) -> TcellMIL:
        """Rebuild a fitted model from :meth:`to_state`, with the data that it was fitted on or without data."""
        module, setup, patients, training = from_state(state)
        network = module.config.as_dict()
        if adata is None:
            model = cls(registry=registry_without_data(setup, cls.__name__), **network)
        else:
            names = ("sample_key", "label_key", "batch_key", "use_rep")
            names += ("continuous_covariate_keys", "categorical_covariate_keys", "group_key", "outcome", "event_key")
            arguments = {name: getattr(setup, name) for name in names}
            (cls.setup_mudata if is_mudata(adata) else cls.setup_anndata)(
                adata,
                **arguments,
                unlabelled=setup.unlabelled,
                positive_class=setup.classes[-1] if setup.outcome == CLASSES else None,
                class_order=setup.classes if setup.outcome == ORDERED else None,
                scaling=["unit_interval" if unit else "standard" for unit in setup.unit_interval],
            )
            model = cls(adata, **network)
        model.module, model.setup, model.training, model._patients = module, setup, training, patients
        model._asked = ()
        if adata is not None:
            model._check_same_patients()
        model.is_trained_ = True
        return model

    def save(self, dir_path: str | Path, overwrite: bool = False, save_anndata: bool = False) -> None:
        """Write the fitted model into a folder: ``model.json``, ``arrays.npz`` and, if asked, the data.

        Parameters
        ----------
        dir_path
            The folder; it must not exist, unless ``overwrite``.
        overwrite
            Replace a folder of that name.
        save_anndata
            Also write the data that the model is set up with, as ``adata.h5ad`` or ``mdata.h5mu``.
        """
        path, state = Path(dir_path), self.to_state()
        if path.exists():
            if not overwrite:
                raise ValueError(f"{path} already exists; choose another folder or pass overwrite=True")
            shutil.rmtree(path)
        path.mkdir(parents=True)
        write_folder(state, path)
        if save_anndata:
            if self.adata is None:
                raise ValueError("this model holds no data to save; pass save_anndata=False")
            if is_mudata(self.adata):
                self.adata.write_h5mu(path / "mdata.h5mu")
            else:
                self.adata.write_h5ad(path / "adata.h5ad")

    @classmethod
    def load(cls, dir_path: str | Path, adata: AnnData | MuData | None = None) -> TcellMIL:
        """Read what :meth:`save` wrote. Only JSON and plain arrays are read; nothing in the folder is executed.

        Parameters
        ----------
        dir_path
            The folder.
        adata
            The data that the model was fitted on; without it, data saved in the folder is used, and a model without
            data predicts new patients only.
        """
        path = Path(dir_path)
        state = read_folder(path)
        if adata is None and (path / "adata.h5ad").exists():
            from anndata import read_h5ad

            adata = read_h5ad(path / "adata.h5ad")
        elif adata is None and (path / "mdata.h5mu").exists():
            from mudata import read_h5mu

            adata = read_h5mu(path / "mdata.h5mu")
        return cls.from_state(state, adata)

    @classmethod
    def load_registry(cls, dir_path: str | Path, prefix: str | None = None) -> dict:
        """The setup of a saved model, as a registry."""
        return cls.load(dir_path).registry_

    @classmethod
    def convert_legacy_save(cls, *args, **kwargs) -> None:
        """There is no older format."""
        raise NotImplementedError("TcellMIL has no older format to convert; save() writes arrays and JSON")

    def bags(self) -> Bags:
        """The data that the model is set up with, as arrays."""
        if self.adata is None:
            raise ValueError("this model holds no data; load it with the data that it was fitted on")
        return read_bags(self.adata, self.setup)

    def shown_to(self) -> np.ndarray:
        """Which replica judges which patient, ``(n_replicas, n_patients)`` bool: those that held it out, if any did."""
        self._check_fitted()
        held_out = self.module.replicas.test
        return held_out if held_out.any() else np.ones_like(held_out)

    def feature_names(self) -> np.ndarray:
        """Names of the representation's columns, ``(n_features,)``; numbered where it has none.

        Of several representations, each name comes after its representation's: ``"prot:CD8"``.
        """
        self._check_fitted()
        features = self.setup.features or numbered(self.setup.use_rep[0], self.module.n_features)
        return np.array(features, dtype=object)

    def class_code(self, target_class: str | None = None) -> int:
        """Position of a class among ``setup.outputs``; of the positive one, the last, by default."""
        classes = self.setup.outputs
        if target_class is None:
            return len(classes) - 1
        check_choice(target_class, classes, "target_class")
        return classes.index(target_class)

    def out_of_fold(self) -> tuple[Bags, BagPredictions]:
        """The model's own patients, each by the replicas of :meth:`shown_to`, as arrays."""
        bags = self.bags()
        return bags, predict_bags(self.module, bags, self.shown_to())

    def predict_new(self, adata: AnnData | MuData) -> tuple[Bags, BagPredictions]:
        """New patients by all replicas, as arrays."""
        self._check_fitted()
        check_data(adata)
        keys = [key for key in (self.setup.label_key, self.setup.event_key) if key is not None]
        bags = self._read_new(adata, labels=all(has_obs_column(adata, key) for key in keys))
        self._warn_of_known_patients(bags)
        return bags, predict_bags(self.module, bags)

    def params(self) -> dict:
        """What was read and how it was trained, as plain values that an h5ad file can hold."""
        setup, training = self.setup, self.training
        return {
            "sample_key": setup.sample_key,
            "label_key": setup.label_key,
            "batch_key": setup.batch_key or "",
            "use_rep": setup.use_rep[0] if len(setup.use_rep) == 1 else np.array(setup.use_rep, dtype=object),
            "classes": np.array(setup.outputs, dtype=object),
            "positive_class": setup.outputs[-1],
            "outcome": setup.outcome,
            "event_key": setup.event_key or "",
            **{name: training[name] for name in ("cv", "n_seeds", "seed", "encoder")},
        }

    def _tell_options_without_effect(self, bags: Bags, config: TrainingConfig, asked: Iterable[str]) -> None:
        compression = self.network.for_patients(bags.n_labelled_patients).compression
        idle = options_without_effect([*self._asked, *asked], compression, config.early_stopping)
        if idle:
            why = f", which is what 'auto' is for {bags.n_labelled_patients} labelled patients"
            warn(
                f"options {some(idle)} have no effect with compression={compression!r}"
                f"{why if self.network.compression == 'auto' else ''}; "
                "leave them out, or ask for compression='autoencoder'"
            )

    def _check_fitted(self) -> None:
        if self.module is None:
            raise ValueError("the model is not trained yet; call train() first")

    def _check_same_patients(self) -> None:
        names = np.unique(check_obs_column(self.adata, self.setup.sample_key, "sample_key").astype(str))
        if not np.array_equal(names, self._patients):
            raise ValueError(
                f"the model was fitted on patients {some(self._patients)}, the data has {some(names)}; "
                "give it the data that it was fitted on, or predict new patients with tl.predict"
            )

    def _predict(self, adata: AnnData | MuData | None) -> tuple[Bags, BagPredictions]:
        return self.out_of_fold() if adata is None else self.predict_new(adata)

    def _read_new(self, adata: AnnData | MuData, *, labels: bool) -> Bags:
        try:
            return read_bags(adata, self.setup, labels=labels, splits=False)
        except ValueError as error:
            if not labels:
                raise
            bags = read_bags(adata, self.setup, labels=False, splits=False)  # what else is wrong is raised here
            warn(f"outcomes of the new patients are left out: {error}")
            return bags

    def _warn_of_known_patients(self, bags: Bags) -> None:
        trained_on = self._patients[self.module.replicas.train.any(axis=0)]
        known = np.intersect1d(bags.names, trained_on)
        if len(known):
            warn(
                f"{len(known)} of the patients have the names of patients that the model was trained on; "
                "if they are the same, these predictions are not out-of-fold"
            )


def cv_name(cv: object) -> str:
    """How a split scheme is called in the record."""
    if cv is None:
        return "none"
    if isinstance(cv, str | int | np.integer):
        return str(cv)
    return type(cv).__name__ if hasattr(cv, "split") else "custom"
