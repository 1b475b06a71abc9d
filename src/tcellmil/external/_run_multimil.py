"""Train MultiMIL and predict, in an environment that has it: ``python _run_multimil.py`` in a folder with the cells.

This file is run by another interpreter and knows nothing of tcellmil. It reads ``train.npz`` (``x``, ``sample``,
``label``, ``covariates``; the cells of a sample side by side, which MultiMIL needs), ``test.npz`` (the same without
labels) and ``options.json``, and writes ``probabilities.npz``.
"""

import json

import numpy as np
import pandas as pd

SAMPLE, LABEL = "sample", "label"


def main() -> None:
    """Read the folder that the interpreter was started in, train, predict and write."""
    import multimil
    import scvi

    with open("options.json") as file:
        options = json.load(file)
    scvi.settings.seed = options["seed"]
    train, test = _read("train.npz"), _read("test.npz")
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
    probabilities = odds.div(odds.sum(axis=1), axis=0)
    table = probabilities.groupby(test.obs[SAMPLE].astype(str).to_numpy()).mean()
    names = {"sample": table.index, "classes": table.columns}
    np.savez("probabilities.npz", values=table.to_numpy(), **{k: np.array(v, dtype=str) for k, v in names.items()})


def _read(path):
    from anndata import AnnData

    with np.load(path) as file:
        obs = {name: file[name].astype(str) for name in (SAMPLE, LABEL) if name in file}
        covariates = {f"covariate {i}": column for i, column in enumerate(file["covariates"].T)}
        x = file["x"]
    return AnnData(x, obs=pd.DataFrame({**obs, **covariates}, index=[f"cell {i}" for i in range(len(x))]))


if __name__ == "__main__":
    main()
