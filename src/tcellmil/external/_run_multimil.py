"""Train MultiMIL and predict, on arrays; in another environment, ``python _run_multimil.py`` in a folder with them.

This file knows nothing of tcellmil, because another interpreter may run it. In a folder it reads ``train.npz`` (``x``,
``sample``, ``label``, ``covariates``; the cells of a sample side by side, which MultiMIL needs), ``test.npz`` (the same
without labels) and ``options.json``, and writes ``probabilities.npz``.
"""

import json
import os
import threading

import numpy as np
import pandas as pd

SAMPLE, LABEL = "sample", "label"


def main() -> None:
    """Read the folder that the interpreter was started in, train, predict and write."""
    with open("options.json") as file:
        options = json.load(file)
    table = probabilities(_read("train.npz"), _read("test.npz"), options)
    names = {"sample": table.index, "classes": table.columns}
    np.savez("probabilities.npz", values=table.to_numpy(), **{k: np.array(v, dtype=str) for k, v in names.items()})


def _end_with_caller() -> None:
    """The caller holds the other end of the standard input, which closes with it however it ends."""
    while os.read(0, 1):
        pass
    os._exit(1)


def probabilities(train: dict, test: dict, options: dict) -> pd.DataFrame:
    """Probabilities of the samples of ``test``, one row per sample and one column per class.

    Parameters
    ----------
    train, test
        Arrays by name, one row per cell; the cells of a sample side by side.
    options
        ``seed``, and arguments of the ``model`` and of its ``training``.
    """
    import multimil
    import scvi

    scvi.settings.seed = options["seed"]
    train, test = _cells(train), _cells(test)
    # The model wants the column; it is compared with the predictions, never read by them.
    test.obs[LABEL] = train.obs[LABEL].iloc[0]

    classifier = multimil.model.MILClassifier
    covariates = [name for name in train.obs if name not in (SAMPLE, LABEL)]
    classifier.setup_anndata(
        train, categorical_covariate_keys=[LABEL, SAMPLE], continuous_covariate_keys=covariates or None
    )
    model = classifier(train, sample_key=SAMPLE, classification=[LABEL], **options["model"])
    model.train(**options["training"])
    query = classifier.load_query_data(test, reference_model=model)
    for bound in ("min_cont_sample_cov", "max_cont_sample_cov"):
        # MultiMIL takes the range from the patients that it predicts, and divides by 0 where these are alike.
        setattr(query.module, bound, getattr(model.module, bound))
    query.get_model_output(test, batch_size=options["training"]["batch_size"])

    logits = test.obsm["full_predictions_" + LABEL]  # those of its bag, for each cell
    odds = np.exp(logits - logits.to_numpy().max(axis=1, keepdims=True))
    shares = odds.div(odds.sum(axis=1), axis=0)
    return shares.groupby(test.obs[SAMPLE].astype(str).to_numpy()).mean()


def _read(path):
    with np.load(path) as file:
        return dict(file)


def _cells(arrays):
    from anndata import AnnData

    _check_side_by_side(arrays[SAMPLE])
    obs = {name: arrays[name].astype(str) for name in (SAMPLE, LABEL) if name in arrays}
    covariates = {f"covariate {i}": column for i, column in enumerate(arrays["covariates"].T)}
    names = [f"cell {i}" for i in range(len(arrays["x"]))]
    return AnnData(arrays["x"], obs=pd.DataFrame({**obs, **covariates}, index=names))


def _check_side_by_side(sample):
    """Raise where the cells of a sample are not in one run: MultiMIL would give them the results of others."""
    starts = np.flatnonzero(sample[1:] != sample[:-1]).size + 1
    if starts != len(np.unique(sample)):
        raise ValueError("the cells of a sample must lie side by side")


if __name__ == "__main__":
    threading.Thread(target=_end_with_caller, daemon=True).start()
    main()
