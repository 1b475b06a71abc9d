"""A cohort as tl.fit_mil and tl.perturb leave it, without fitting anything."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tcellmil.stats import benjamini_hochberg, bootstrap_metrics, signed_rank_by_column


def make_cohort(
    n_patients=24,
    classes=("NR", "R"),
    n_regulons=40,
    n_replicas=None,
    cell_types=("CD14+ Monocyte", "CD4+ T", "CD8+ T", "NK", "B"),
    tail=1.0,
    n_unlabelled=0,
    validation=True,
    cells=(40, 120),
    signal=1.5,
    effect=0.6,
    unmovable=0,
    key="tcellmil",
    seed=0,
):
    """AnnData with every table of the two verbs; ``tail`` is the spread of the log attention."""
    rng = np.random.default_rng(seed)
    classes = np.array(classes, dtype=object)
    names = np.array([f"P{i:02d}" for i in range(n_patients)])
    code = np.arange(n_patients) % len(classes)
    n_cells = rng.integers(*cells, size=n_patients)

    obs = pd.DataFrame(
        {
            "patient": pd.Categorical(np.repeat(names, n_cells)),
            "cell_type": pd.Categorical(rng.choice(cell_types, size=n_cells.sum())),
        },
        index=[f"cell{i}" for i in range(n_cells.sum())],
    )
    driver = (obs["cell_type"] == cell_types[0]).to_numpy() & np.repeat(code == len(classes) - 1, n_cells)
    raw = np.exp(tail * rng.standard_normal(len(obs)) + 1.2 * driver)
    obs[f"{key}_attention"] = raw / pd.Series(raw).groupby(obs["patient"].to_numpy()).transform("sum").to_numpy()
    adata = ad.AnnData(rng.random((len(obs), 3), dtype=np.float32), obs=obs)
    centre = rng.normal(0, 5, (len(cell_types), 2))
    adata.obsm["X_umap"] = centre[obs["cell_type"].cat.codes] + rng.normal(size=(len(obs), 2))

    logits = rng.normal(size=(n_patients, len(classes)))
    logits[np.arange(n_patients), code] += signal
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labelled = np.arange(n_patients) < n_patients - n_unlabelled
    predictions = pd.DataFrame(
        {
            "label": np.where(labelled, classes[code], ""),
            "predicted": classes[proba.argmax(axis=1)],
            **{f"prob_{name}": proba[:, i] for i, name in enumerate(classes)},
            "prob_sd": rng.uniform(0, 0.1, n_patients),
            "n_cells": n_cells,
            "n_replicas": 1,
        },
        index=pd.Index(names, name="patient"),
    )
    n_replicas = n_patients if n_replicas is None else n_replicas
    adata.uns[key] = {
        "params": {
            "sample_key": "patient",
            "label_key": "response",
            "batch_key": "",
            "use_rep": "X_regulons",
            "cv": "rebalanced_loo",
            "encoder": "per_fold",
            "n_seeds": 1,
            "seed": 0,
            "classes": classes,
            "positive_class": classes[-1],
        },
        "predictions": predictions,
        "metrics": bootstrap_metrics(code[labelled], proba[labelled]),
        "history": _history(rng, n_replicas, validation),
    }
    _add_perturbation(adata, key, rng, names, proba[:, -1], classes, n_regulons, unmovable, effect)
    return adata


def _history(rng, n_replicas, validation):
    rows = []
    for stage, n_epochs, start, end in [("autoencoder", 60, 0.4, 0.02), ("mil", 40, 0.7, 0.2)]:
        for replica in range(n_replicas):
            epoch = np.arange(rng.integers(n_epochs // 2, n_epochs + 1))
            loss = end + (start - end) * np.exp(-epoch / 10) + rng.normal(0, 0.1 * end, len(epoch))
            rows.append(
                pd.DataFrame(
                    {
                        "replica": replica,
                        "seed": 0,
                        "fold": f"P{replica:02d}",
                        "stage": stage,
                        "epoch": epoch,
                        "train_loss": loss,
                        "validation_loss": loss * 1.3 + rng.normal(0, 0.1 * end, len(epoch)) if validation else np.nan,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def _add_perturbation(adata, key, rng, names, base, classes, n_regulons, unmovable, effect):
    regulons = np.array([f"TF{i:03d}(+)" for i in range(n_regulons)], dtype=object)
    if n_regulons > 3:
        regulons[0], regulons[1] = (
            "ZNF385D_extended_with_a_very_long_name_of_a_regulon(+)",
            "HLA-DRB1-associated-TBX21(+)",
        )
    effect = rng.normal(0, effect, n_regulons)
    tables, stats = [], []
    for direction, sign in [("up", 1), ("down", -1)]:
        logit = np.log(base / (1 - base))[:, None]
        moved = logit + sign * effect + rng.normal(0, 0.3, (len(names), n_regulons))
        moved[:, n_regulons - unmovable :] = logit
        prob = 1 / (1 + np.exp(-moved))
        delta = prob - base[:, None]
        statistic, p = signed_rank_by_column(moved - logit)
        movable = np.arange(n_regulons) < n_regulons - unmovable
        tables.append(
            pd.DataFrame(
                {
                    "patient": np.repeat(names, n_regulons),
                    "regulon": np.tile(regulons, len(names)),
                    "direction": direction,
                    "n_mad": 3.0,
                    "prob_base": np.repeat(base, n_regulons),
                    "prob": prob.ravel(),
                    "delta": delta.ravel(),
                    "delta_logit": (moved - logit).ravel(),
                }
            )
        )
        stats.append(
            pd.DataFrame(
                {
                    "regulon": regulons,
                    "direction": direction,
                    "n_mad": 3.0,
                    "n_patients": len(names),
                    "mean_delta": np.where(movable, delta.mean(axis=0), np.nan),
                    "median_delta": np.where(movable, np.median(delta, axis=0), np.nan),
                    "mean_delta_logit": np.where(movable, (moved - logit).mean(axis=0), np.nan),
                    "statistic": statistic,
                    "p": p,
                    "mad": np.where(movable, 0.05, 0.0),
                    "movable": movable,
                    "target_class": classes[-1],
                }
            )
        )
    stats = pd.concat(stats, ignore_index=True)
    stats.insert(9, "padj", benjamini_hochberg(stats["p"]))
    adata.uns[f"{key}_perturbation"] = {
        "patients": pd.concat(tables, ignore_index=True),
        "stats": stats,
        "params": {"target_class": classes[-1], "outcome": "classes"},
    }


@pytest.fixture(scope="session")
def cohort():
    """The builder; a test that changes an AnnData makes its own."""
    return make_cohort


@pytest.fixture(autouse=True)
def closed_figures():
    """Every test starts and ends without an open figure."""
    plt.close("all")
    yield
    plt.close("all")
