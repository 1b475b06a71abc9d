"""The model class: a stack of attention-based bag classifiers on an AnnData or a MuData."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import rich.pretty  # noqa: F401 (scvi-tools' view_anndata_setup uses it without importing it)
from scvi.data import AnnDataManager
from scvi.model.base import BaseModelClass

from tcellmil._checks import check_adata, check_fields, check_mudata, is_mudata, some
from tcellmil._isolation import isolated
from tcellmil.data._bags import Bags
from tcellmil.data._fields import Fields, takes_fields
from tcellmil.data._read import read, read_patients
from tcellmil.data._registry import quiet_scvi, registry_fields, registry_without_data
from tcellmil.data._schema import Schema
from tcellmil.fitted._ensemble import FittedEnsemble
from tcellmil.fitted._predict import BagPredictions
from tcellmil.nn._network import NetworkConfig

from ._files._data_file import read_data, write_data
from ._files._folder import check_target, read_folder, save_folder
from ._fitted_model import FittedModel, fit_model
from ._state import from_state, to_state
from ._tables import predictions_table, wide_history, with_named_stages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anndata import AnnData
    from mudata import MuData

    from tcellmil.cv._splitters import Scheme, Splitter


class TcellMIL(BaseModelClass):
    """Attention-based multiple instance learning on cell representations (Tsui et al., 2025).

    Each cell is compressed, in a small cohort to principal components and else by an autoencoder; attention weights the
    cells of a patient, and a linear classifier that knows the cohort predicts the patient's label. Of several
    representations of a cell, each has an encoder of its own. One object holds a *stack* of K >= 1 replicas (folds
    times seeds), trained together and fully independent of each other; an ordinary model is K = 1.

    Parameters
    ----------
    adata
        Set up with :meth:`setup_anndata` or :meth:`setup_mudata`, and unchanged since.
    registry
        For a model without data (see :meth:`load`); the registry of the data that it was fitted on.
    **network
        Sizes and kinds: :class:`tcellmil.nn.NetworkConfig`.

    Raises
    ------
    TypeError
        If an option of the network is not known.
    ValueError
        If an option is out of range, or columns of ``adata`` have changed since it was set up.

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
        self.schema: Schema | None = None if adata is None else self.adata_manager.schema
        self.fitted: FittedModel | None = None
        if adata is not None:
            self._check_unchanged(read_patients(adata, self.schema.fields)[1])
        self._given, self._auto = tuple(network), "auto"  # the options that the caller chose; what "auto" stands for
        self._model_summary_string = f"TcellMIL with {self.network}"
        self.init_params_ = {"kwargs": {"network": self.network.as_dict()}, "non_kwargs": {}}

    @classmethod
    @takes_fields()
    def setup_anndata(cls, adata: AnnData, fields: Fields) -> None:
        """Say which columns and representations the model reads.

        Parameters
        ----------
        adata
            Cells of all patients.
        %(fields)s

        Raises
        ------
        KeyError, TypeError, ValueError
            If columns, labels or values cannot be used; the message says which and what to do.
        """
        check_adata(adata)
        cls._set_up(adata, fields, cls._get_setup_method_args(cls=cls, adata=adata, **fields.as_dict()))

    @classmethod
    @takes_fields()
    def setup_mudata(cls, mdata: MuData, fields: Fields) -> None:
        """Say which columns and representations of which modalities the model reads.

        Each representation has an encoder of its own, and the latent of a cell is their latents side by side. All of
        the modalities that are read must have the same cells, in any order. By default the modality that
        :func:`tcellmil.tl.regulons` adds is read.

        Parameters
        ----------
        mdata
            Cells of all patients.
        %(fields)s

        Raises
        ------
        KeyError, TypeError, ValueError
            If modalities, columns, labels or values cannot be used; the message says which and what to do.

        Examples
        --------
        >>> import anndata, mudata, tcellmil as tm
        >>> rna = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
        >>> prot = anndata.AnnData(rna.X[:, :12].toarray(), obs=rna.obs[[]])  # stands for measured proteins
        >>> mdata = mudata.MuData({"rna": rna, "prot": prot})
        >>> tm.tl.regulons(mdata)
        >>> use_rep = {"regulons": "X", "prot": "X"}
        >>> tm.model.TcellMIL.setup_mudata(mdata, "rna:patient", "rna:response", use_rep=use_rep)
        >>> model = tm.model.TcellMIL(mdata, compression="pca", n_latent=8)
        >>> model.train(max_epochs=2, progress=False)
        >>> model.get_latent_representation().shape
        (320, 16)
        """
        check_mudata(mdata)
        cls._set_up(mdata, fields, cls._get_setup_method_args(cls=cls, mdata=mdata, **fields.as_dict()))

    @classmethod
    def _set_up(cls, data: AnnData | MuData, fields: Fields, method: dict) -> None:
        """Read and check the data; ``method`` is the call of the set-up."""
        cohort = read(data, fields)
        cls._register(data, Schema.learn(cohort, fields), cohort.patients, method)

    @classmethod
    def _register(cls, data: AnnData | MuData, schema: Schema, patients: pd.DataFrame, method: dict) -> None:
        """Tell scvi-tools about the data, and keep beside its registry what was learned of them."""
        with quiet_scvi():
            manager = AnnDataManager(fields=registry_fields(data, schema.fields), setup_method_args=method)
            manager.register_fields(data)
        manager.schema, manager.patients = schema, patients
        cls.register_manager(manager)

    @property
    def module(self) -> FittedEnsemble | None:
        """The fitted stack; ``None`` before :meth:`train`."""
        return None if self.fitted is None else self.fitted.stack

    @property
    def training(self) -> dict:
        """How the stack was trained; empty before :meth:`train`."""
        return {} if self.fitted is None else self.fitted.training

    @isolated
    def train(
        self,
        *,
        cv: Scheme | int | Splitter | Iterable[tuple[Sequence[str], Sequence[str]]] | None = None,
        n_seeds: int | None = None,
        seed: int = 0,
        ensemble: bool | Literal["auto", "best"] = "auto",
        calibration: Literal["temperature"] | None = None,
        progress: bool = True,
        **training,
    ) -> None:
        """Train a replica for every fold and seed, all of them at once.

        Parameters
        ----------
        cv
            Splits of patients, as in :func:`tcellmil.tl.fit_mil`; ``None`` trains on every labelled patient.
        n_seeds, seed
            Replicas of each fold, from the seeds ``seed, seed + 1, ...``; see :func:`tcellmil.tl.fit_mil`.
        ensemble, calibration
            As there.
        progress
            Show the progress bar.
        **training
            How to train: :class:`tcellmil.training.TrainingConfig`.

        Raises
        ------
        TypeError
            If an option is not known.
        ValueError
            If an option is out of range, patients cannot be split in this way, or columns of the data have changed
            since they were set up.

        Warns
        -----
        UserWarning
            If options concern an autoencoder that this network does not have.
        """
        self._check_data()
        cohort = read(self.adata, self.schema.fields)
        self._check_unchanged(cohort.patients)
        splits = {"cv": cv, "n_seeds": n_seeds, "seed": seed}
        options = {"calibration": calibration, "progress": progress, "training": training, "given": self._given}
        options["ensemble"] = self._auto if ensemble == "auto" else ensemble
        bags = self.schema.encode(cohort)
        self.fitted, history, _ = fit_model(bags, self.schema, self.network, **splits, **options)
        names = [network.words for network in self.module.networks]
        self._model_summary_string = f"TcellMIL with {' and '.join(map(str, self.module.networks))}"
        self.set_history(with_named_stages(history, self.schema.fields.use_rep, names))
        self.is_trained_ = True

    def set_history(self, table: pd.DataFrame) -> None:
        """Set ``history`` and ``history_table`` from one row per replica, stage and epoch."""
        self.history_table = table
        self.history_ = wide_history(table, self.schema.outcome)

    @isolated
    def predict(self, adata: AnnData | MuData | None = None) -> pd.DataFrame:
        """Class probabilities of patients, or their predicted number or risk.

        Parameters
        ----------
        adata
            New patients; every replica predicts them. Without it, the patients that the model was set up with, each by
            the replicas that held it out (by all replicas if the model was trained without held-out patients).

        Returns
        -------
        One row per patient: ``label`` (empty if unknown), ``predicted``, ``prob_<class>`` (mean over replicas),
        ``prob_sd`` (their standard deviation, of the positive class), ``n_cells``, ``n_replicas``, and ``cohort`` if
        cohorts are used. Where the outcome is a number: ``label``, ``predicted`` and ``predicted_sd``, in its units.
        Where it is a time to event: ``time``, ``event``, ``risk`` (the log hazard, 0 for the mean training patient) and
        ``risk_sd``.
        """
        bags, predictions = self._predict(adata)
        return predictions_table(self.schema, bags, predictions)

    @isolated
    def get_attention(self, adata: AnnData | MuData | None = None) -> pd.Series:
        """Attention of each cell, which sums to 1 within a patient, by the same replicas as :meth:`predict`."""
        bags, predictions = self._predict(adata)
        cells = (self.adata if adata is None else adata).obs_names
        return pd.Series(bags.to_input_order(predictions.attention), index=cells, name="attention")

    @isolated
    def get_latent_representation(self, adata: AnnData | MuData | None = None) -> np.ndarray:
        """Latent of each cell, ``(n_cells, n_latent)``, by the first of the replicas of :meth:`predict`.

        Of several representations, their latents side by side.
        """
        bags, predictions = self._predict(adata)
        return bags.to_input_order(predictions.latent)

    def to_state(self) -> dict:
        """The fitted model as JSON text and arrays: ``config``, ``weights``, ``splits``, and their ``checksum``."""
        return to_state(self._fitted())

    @classmethod
    def from_state(cls, state: dict, adata: AnnData | MuData | None = None) -> TcellMIL:
        """Rebuild a fitted model from :meth:`to_state`, with the data that it was fitted on or without data.

        Parameters
        ----------
        state
            What :meth:`to_state` returned, or ``uns["tcellmil"]`` of an AnnData.
        adata
            The data that the model was fitted on.

        Raises
        ------
        ValueError
            If the state is damaged, was changed by hand or has another format, which is found before anything is built
            from its numbers; or if the patients are not those that the model was fitted on.
        """
        fitted = from_state(state)
        schema, network = fitted.schema, fitted.stack.networks[fitted.stack.leading].as_dict()
        if adata is None:
            model = cls(registry=registry_without_data(schema.fields, cls.__name__), **network)
            model.schema = schema
        else:
            data = {"mdata" if is_mudata(adata) else "adata": adata}
            method = cls._get_setup_method_args(cls=cls, **data, **schema.fields.as_dict())
            patients = read_patients(adata, schema.fields)[1]
            fitted = fitted.of_patients(patients.index)
            cls._register(adata, schema, patients, method)
            model = cls(adata, **network)
        model.fitted, model._given = fitted, ()
        model._auto = {"average": True, "best": "best"}.get(fitted.training["ensemble"], False)
        model.is_trained_ = True
        return model

    def save(self, dir_path: str | Path, overwrite: bool = False, save_anndata: bool = False) -> None:
        """Write the fitted model into a folder: ``model.json``, ``arrays.npz`` and, on request, the data.

        Everything is written into a folder beside it, which then takes its place: a save that fails or is interrupted
        leaves what was there.

        Parameters
        ----------
        dir_path
            The folder; it must not exist, unless ``overwrite``.
        overwrite
            Replace a saved model of that name. A folder with anything else in it is never replaced.
        save_anndata
            Also write the data that the model is set up with, as ``adata.h5ad`` or ``mdata.h5mu``.

        Raises
        ------
        ValueError
            If the folder may not be replaced, the model is not trained or its weights are not finite, or there is no
            data to save.
        OSError
            If it cannot be written, such as on a full disk.
        """
        path, state = Path(dir_path).resolve(), self.to_state()
        if save_anndata and self.adata is None:
            raise ValueError("this model holds no data to save; pass save_anndata=False")
        check_target(path, overwrite)
        save_folder(path, state, (lambda folder: write_data(folder, self.adata)) if save_anndata else None)

    @classmethod
    def load(cls, dir_path: str | Path, adata: AnnData | MuData | None = None) -> TcellMIL:
        """Read what :meth:`save` wrote. Only JSON and plain arrays are read; nothing in the folder is executed.

        Parameters
        ----------
        dir_path
            The folder. Files that :meth:`save` does not write are not looked at.
        adata
            The data that the model was fitted on; without it, data saved in the folder is used, and a model without
            data predicts new patients only.

        Raises
        ------
        ValueError
            As :meth:`from_state`; also if a file is missing, damaged, or would take far more memory than its size.
        """
        path = Path(dir_path)
        return cls.from_state(read_folder(path), read_data(path) if adata is None else adata)

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
        self._check_data()
        return self.schema.encode(read(self.adata, self.schema.fields))

    def out_of_fold(self) -> tuple[Bags, BagPredictions]:
        """The model's own patients, each by the replicas that held it out, as arrays."""
        fitted = self._fitted()
        self._check_data()
        fitted, bags = fitted.read_again(self.adata)
        return bags, fitted.out_of_fold(bags)

    def _fitted(self) -> FittedModel:
        if self.fitted is None:
            raise ValueError("the model is not trained yet; call train() first")
        return self.fitted

    def _check_data(self) -> None:
        if self.adata is None:
            raise ValueError("this model holds no data; load it with the data that it was fitted on")

    def _check_unchanged(self, now: pd.DataFrame) -> None:
        """Raise where what is read of the patients is not what it was when the data were set up."""
        before = self.adata_manager.patients
        if not before.index.equals(now.index):
            other = before.index.symmetric_difference(now.index)
            raise ValueError(
                f"patients {some(other)} have come or gone since the data were set up; call the set-up method again"
            )
        for column in now:
            changed = now.index[(before[column] != now[column]) & (before[column].notna() | now[column].notna())]
            if len(changed):
                was, is_now = (some(table.loc[changed, column].unique(), 3) for table in (before, now))
                raise ValueError(
                    f"{column} of patients {some(changed)} was {was} when the data were set up and is {is_now} now; "
                    "call the set-up method again"
                )

    def _predict(self, adata: AnnData | MuData | None) -> tuple[Bags, BagPredictions]:
        return self.out_of_fold() if adata is None else self._fitted().predict_new(adata)
