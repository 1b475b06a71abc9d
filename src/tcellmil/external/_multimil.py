"""MultiMIL, in this process or in an environment of its own."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import os
import random
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._checks import some

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil.data import Bags

#: The last version for environments of its own, and the first that shares one with tcellmil.
APART, TOGETHER = "0.3.2", "1.0"
INSTALL = (
    f"With Python 3.12 or later, MultiMIL {TOGETHER} shares the environment of tcellmil:\n"
    f"    pip install 'multimil>={TOGETHER}'\n"
    f"    tcellmil.external.multimil(...)\n"
    f"Version {APART} needs scvi-tools<1; give it an environment of its own with Python 3.10 or 3.11, and name its "
    "interpreter:\n"
    "    python3.11 -m venv multimil-env\n"
    f"    multimil-env/bin/pip install 'multimil=={APART}' 'setuptools<81'\n"
    "    tcellmil.external.multimil(..., python='multimil-env/bin/python')"
)
RUNNER, RESULT = Path(__file__).with_name("_run_multimil.py"), "probabilities.npz"
#: MultiMIL's own: cells of a sample in one bag, and the share of the cells that it does not keep for validation.
BAG, TRAIN_SIZE = 128, 0.9


def multimil(
    sample_key: str,
    label_key: str,
    use_rep: str = "X_regulons",
    *,
    python: str | os.PathLike | None = None,
    continuous_covariate_keys: Sequence[str] | None = None,
    categorical_covariate_keys: Sequence[str] | None = None,
    model: dict | None = None,
    training: dict | None = None,
) -> MultiMIL:
    """MultiMIL's bag classifier, as a method of your own for :func:`tcellmil.tl.benchmark`.

    With Python 3.12 or later, MultiMIL 1.0 is installed beside tcellmil and runs in the same process::

        pip install 'multimil>=1.0'

    MultiMIL 0.3.2 needs a scvi-tools that is too old for tcellmil. It is run by an interpreter of an environment of its
    own, ``python``, once a fold and seed; cells and probabilities are exchanged through files in a temporary folder, as
    plain arrays. Install it with Python 3.10 or 3.11::

        python3.11 -m venv multimil-env
        multimil-env/bin/pip install 'multimil==0.3.2' 'setuptools<81'

    What MultiMIL gets of a fold's held-out patients are cells, names and covariates. The cells of a patient are handed
    over side by side, whatever their order in the AnnData: where patients alternate, MultiMIL gives cells the results
    of others. It has its own defaults but for three: a bag is as many cells as the smallest training patient has, 128
    at most (MultiMIL drops patients with fewer cells than a bag); and where a tenth of the cells of the smallest
    training patient do not fill a bag, there are no cells to stop early by, and it trains for all epochs on all cells
    of the training patients; covariates are scaled by the range of the training patients (MultiMIL takes that of the
    patients that it predicts). A patient's probability is the mean over its cells' bags.

    In the same process, random states and settings of scvi-tools are as before after every call.

    Parameters
    ----------
    sample_key, label_key
        Columns of ``obs``, as given to :func:`tcellmil.tl.benchmark`.
    use_rep
        Key of ``obsm``; it must be one of the ``use_reps`` of the benchmark. MultiMIL's authors recommend an embedding
        that is free of batch effects.
    python
        Interpreter of another environment that has MultiMIL, a path or a command. By default MultiMIL runs in this
        process.
    continuous_covariate_keys, categorical_covariate_keys
        As in :func:`tcellmil.tl.fit_mil`; categories are those of a fold's training patients.
    model, training
        Options of MultiMIL: arguments of ``multimil.model.MILClassifier`` and of its ``train``, such as
        ``{"class_loss_coef": 0.1}`` and ``{"lr": 1e-3, "max_epochs": 100}``. They must be plain values.

    Returns
    -------
    A function ``(train, test, seed=0)`` that returns probabilities, one row per held-out patient and one column per
    class. The benchmark lists it under ``use_rep``.

    Raises
    ------
    ImportError
        If MultiMIL is not installed here and ``python`` is not given, or the other interpreter has no MultiMIL (at the
        first call).
    RuntimeError
        If MultiMIL fails in the other environment; the message holds its last words (at the call).
    FileNotFoundError, KeyError, ValueError, TypeError
        If there is no such interpreter, or a column, a representation or a value cannot be used.

    References
    ----------
    Litinetskaya et al. (2024), Multimodal weakly supervised learning to identify disease-specific changes in
    single-cell atlases, bioRxiv, doi:10.1101/2024.07.29.605625; https://multimil.readthedocs.io.

    Examples
    --------
    An interpreter without MultiMIL is found out when a fold is run:

    >>> import sys
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> options = {"python": sys.executable, "training": {"lr": 1e-3}}
    >>> method = tm.external.multimil("patient", "response", use_rep="X_pca", **options)
    >>> method.use_rep
    'X_pca'
    >>> custom = {"multimil": method}
    >>> tm.tl.benchmark(adata, "patient", "response", use_reps=["X_pca"], custom_methods=custom)  # doctest: +SKIP
    """
    from tcellmil.data._fields import column_names

    if python is None and importlib.util.find_spec("multimil") is None:
        raise ImportError(f"multimil is not installed here. {INSTALL}")
    found = None if python is None else shutil.which(os.fspath(python))
    if python is not None and found is None:
        raise FileNotFoundError(f"python={os.fspath(python)!r} is not an interpreter that can be run. {INSTALL}")
    model, training = dict(model or {}), dict(training or {})
    for name, options in (("model", model), ("training", training)):
        try:
            json.dumps(options)
        except TypeError as error:
            raise TypeError(f"{name} must hold plain values, which can be written as JSON: {error}") from error
    if "batch_size" in training:
        raise ValueError(
            "training holds 'batch_size', which MultiMIL needs to be two bags; set model={'sample_batch_size': ...}, "
            "the number of cells of a bag"
        )
    return MultiMIL(
        # The link and not what it points to: a virtual environment is known by the path of its interpreter.
        python=None if found is None else os.path.abspath(found),
        sample_key=sample_key,
        label_key=label_key,
        use_rep=use_rep,
        continuous=column_names(continuous_covariate_keys),
        categorical=column_names(categorical_covariate_keys),
        model=model,
        training=training,
    )


@dataclass(frozen=True)
class MultiMIL:
    """What :func:`multimil` returns: trains on some patients and predicts others.

    Parameters
    ----------
    python
        Path of the interpreter; ``None`` is this process.
    sample_key, label_key, use_rep, continuous, categorical, model, training
        As in :func:`multimil`.
    """

    python: str | None
    sample_key: str
    label_key: str
    use_rep: str
    continuous: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    model: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)

    @property
    def options(self) -> dict:
        """What :func:`tcellmil.tl.benchmark` records of it."""
        return {"package": "multimil", "model": self.model, "training": self.training}

    def __call__(self, train: AnnData, test: AnnData, seed: int = 0) -> pd.DataFrame:
        """Probabilities of the patients of ``test``, one row per patient and one column per class."""
        cells = self._cells(train, test)
        varies = np.ptp(cells["train"]["covariates"], axis=0) > 0  # MultiMIL divides by the range
        for arrays in cells.values():
            arrays["covariates"] = arrays["covariates"][:, varies]
        options = {"seed": int(seed), **self._options(np.unique(cells["train"]["sample"], return_counts=True)[1].min())}
        table = (self._here if self.python is None else self._elsewhere)(cells, options)
        wanted = np.unique(cells["test"]["sample"])
        known = table.index[np.isfinite(table.to_numpy()).all(axis=1)]
        if not np.isin(wanted, known).all():
            raise RuntimeError(
                f"MultiMIL gave no finite probabilities for patients {some(wanted[~np.isin(wanted, known)])}"
            )
        return table.loc[wanted]

    def _cells(self, train: AnnData, test: AnnData) -> dict[str, dict[str, np.ndarray]]:
        """Both as arrays, with the classes and categories of the training patients."""
        from tcellmil.data import Fields, Schema, read
        from tcellmil.outcomes import Classes

        covariates = {"continuous_covariate_keys": self.continuous, "categorical_covariate_keys": self.categorical}
        fields = Fields(self.sample_key, self.label_key, use_rep=self.use_rep, **covariates)
        cohort = read(train, fields)
        classes = Classes(self.label_key, tuple(sorted(cohort.patients["label"].unique())))
        schema = Schema.learn(cohort, fields, classes)
        bags = schema.encode(cohort)
        labels = np.array(classes.names)[bags.labels[bags.bag_of_cell]]
        new = schema.encode(read(test, fields, new=True), new=True)
        return {"train": {**_arrays(bags), "label": labels}, "test": _arrays(new)}

    def _options(self, fewest: int) -> dict:
        """Options of the model and its training, for training patients with at least so many cells."""
        bag = int(self.model.get("sample_batch_size", min(BAG, fewest)))
        training = {"batch_size": 2 * bag}
        if fewest * (1 - TRAIN_SIZE) < bag:
            training |= {"train_size": 1.0, "early_stopping": False, "save_best": False}
        return {"model": {**self.model, "sample_batch_size": bag}, "training": training | self.training}

    def _here(self, cells: dict[str, dict[str, np.ndarray]], options: dict) -> pd.DataFrame:
        from ._run_multimil import probabilities

        try:
            import multimil  # noqa: F401
        except ImportError as error:
            raise ImportError(f"the multimil that is installed here cannot be imported: {error}. {INSTALL}") from error
        training = options["training"]
        if training.get("train_size") == 1.0:  # Lightning 2 refuses the missing cells for validation
            options = {**options, "training": {"limit_val_batches": 0, **training}}
        with _undisturbed():
            return probabilities(cells["train"], cells["test"], options)

    def _elsewhere(self, cells: dict[str, dict[str, np.ndarray]], options: dict) -> pd.DataFrame:
        with tempfile.TemporaryDirectory(prefix="tcellmil_multimil_") as folder:
            for name, arrays in cells.items():
                np.savez(Path(folder) / f"{name}.npz", **arrays)
            (Path(folder) / "options.json").write_text(json.dumps(options))
            shutil.copy(RUNNER, folder)
            self._run(folder)
            with np.load(Path(folder) / RESULT) as file:
                return pd.DataFrame(file["values"], index=file["sample"], columns=file["classes"])

    def _run(self, folder: str) -> None:
        # What this interpreter has must not reach the other one.
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        with _open_while_here() as stdin:
            options = {"cwd": folder, "env": environment, "stdin": stdin, "capture_output": True, "text": True}
            done = subprocess.run([self.python, RUNNER.name], check=False, **options)
        if done.returncode == 0 and (Path(folder) / RESULT).exists():
            return
        words = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        if "ModuleNotFoundError: No module named 'multimil'" in words:
            raise ImportError(f"{self.python} has no multimil. {INSTALL}")
        if "ImportError" in words and "scvi" in words:
            raise ImportError(f"the multimil of {self.python} cannot be imported: {words}\n{INSTALL}")
        raise RuntimeError(f"MultiMIL failed ({self.python}, exit status {done.returncode}):\n{words}")


@contextmanager
def _open_while_here() -> Iterator[int]:
    """One end of a pipe, for a process that ends when this one does: it then closes, also after a SIGKILL."""
    ours, other = os.pipe()
    try:
        yield ours
    finally:
        os.close(ours)
        os.close(other)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put back what MultiMIL changes in a process: random states and settings. What it prints goes nowhere."""
    import torch
    from scvi import settings

    names = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "XLA_FLAGS")
    variables = {name: os.environ.get(name) for name in names}
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    seed, logging_dir = settings._seed, settings.logging_dir
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "scvi")]
    levels = [logger.level for logger in loggers]
    try:
        with tempfile.TemporaryDirectory(prefix="tcellmil_multimil_") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            settings.logging_dir = folder  # checkpoints
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            with redirect_stdout(io.StringIO()):
                yield
    finally:
        settings._seed, settings.logging_dir = seed, logging_dir
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        for name, value in variables.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def _arrays(bags: Bags) -> dict[str, np.ndarray]:
    """Plain arrays, one row per cell, the cells of a patient side by side."""
    covariates = np.zeros((bags.n_bags, 0), dtype=np.float32) if bags.covariates is None else bags.covariates
    return {"x": bags.x, "sample": bags.names[bags.bag_of_cell], "covariates": covariates[bags.bag_of_cell]}
