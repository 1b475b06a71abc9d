"""A cohort as tl.fit_mil and tl.perturb leave it, without fitting anything."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil._results import OF_FIT, OWN
from tcellmil.stats import benjamini_hochberg, bootstrap_metrics, bootstrap_survival, signed_rank_by_column


def _real_cells():
    """Cells of the types, genes and embedding of the cohort, against which its own are drawn."""
    rng = np.random.default_rng(3)
    obs = pd.DataFrame({"cell_type": pd.Categorical(["B", "NK", "pDC"] * 8)}, index=[f"real{i}" for i in range(24)])
    return ad.AnnData(rng.random((24, 3)), obs=obs, obsm={"X_umap": rng.normal(size=(24, 2))})


REAL = {"adata": _real_cells(), "groupby": "cell_type"}
#: Picture, arguments, number of panels and a name that is coloured (None where numbers are).
PICTURES = {
    "roc": (tm.pl.roc, {}, 1, "tcellmil"),
    "prc": (tm.pl.prc, {}, 1, "tcellmil"),
    "calibration": (tm.pl.calibration, {}, 1, "tcellmil"),
    "predictions": (tm.pl.predictions, {}, 1, "R"),
    "predictions of times": (tm.pl.predictions, {"key": "survival"}, 1, "low risk"),
    "risk_groups": (tm.pl.risk_groups, {"key": "survival"}, 1, "low risk"),
    "metrics": (tm.pl.metrics, {}, 2, "higher is better"),
    "history": (tm.pl.history, {}, 2, "training"),
    "configurations": (tm.pl.configurations, {}, 2, "averaged"),
    "permutation_test": (tm.pl.permutation_test, {}, 1, "observed"),
    "benchmark": (tm.pl.benchmark, {}, 3, "X_pca"),
    "perturb": (tm.pl.perturb, {}, 2, "positive"),
    "perturb_dose": (tm.pl.perturb_dose, {"result_key": "doses", "regulons": ["TF004(+)"]}, 2, "TF004(+)"),
    "shap": (tm.pl.shap, {}, 1, "R"),
    "shap on embedding": (tm.pl.shap, {"basis": "umap"}, 3, None),
    "regulators": (tm.pl.regulators, {}, 1, "not significant"),
    "attention": (tm.pl.attention, {}, 1, "R"),
    "attention by group": (tm.pl.attention, {"groupby": "cell_type"}, 1, "R"),
    "attention on embedding": (tm.pl.attention, {"basis": "umap"}, 1, None),
    "attention, both": (tm.pl.attention, {"basis": "umap", "groupby": "cell_type"}, 2, "R"),
    "attention_correlation": (tm.pl.attention_correlation, {}, 1, "positive"),
    "attention_enrichment": (tm.pl.attention_enrichment, {}, 1, "R"),
    "attention_stability": (tm.pl.attention_stability, {}, 2, "positive"),
    "batch_effect": (tm.pl.batch_effect, {"basis": "umap"}, 2, "B"),
    "match_bulk": (tm.pl.match_bulk, {"groupby": "cell_type"}, 1, "NK"),
    "regulons": (tm.pl.regulons, {}, 1, "all cells"),
    "regulon_heatmap": (tm.pl.regulon_heatmap, {"groupby": "cell_type"}, 1, None),
    "grn": (tm.pl.grn, {}, 4, "correlated positively"),
    "prune": (tm.pl.prune, {}, 3, "annotated directly"),
    "rank_expression": (tm.pl.rank_expression, {}, 1, None),
    "confusion": (tm.pl.confusion, {"label_key": "cell_type", "key": "c2s_annotation"}, 1, None),
    "generated": (tm.pl.generated, REAL, 1, None),
    "generated on embedding": (tm.pl.generated, {**REAL, "basis": "umap"}, 2, "NK"),
}


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
    signal=4,
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
            **{f"prob_{i}": proba[:, i] for i in range(len(classes))},
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
            "outcome": "classes",
            "event_key": "",
            "verb": "fit_mil",
            "fit": key,
        },
        "predictions": predictions,
        "metrics": bootstrap_metrics(code[labelled], proba[labelled]),
        "history": _history(rng, n_replicas, validation),
    }
    adata.uns[key]["configurations"] = _configurations(np.random.default_rng(seed), n_replicas)
    _add_perturbation(adata, key, rng, names, proba[:, -1], classes, n_regulons, unmovable, effect)
    return adata


def _configurations(rng, n_replicas):
    """Both count alike in most replicas, and in every fourth the first alone."""
    alone = np.arange(n_replicas) % 4 == 3
    return pd.DataFrame(
        {
            "replica": np.repeat(np.arange(n_replicas), 2),
            "seed": 0,
            "fold": np.repeat([f"P{i:02d}" for i in range(n_replicas)], 2),
            "configuration": n_replicas * ["pca 48, attention", "features, mean with sd, standardised"],
            "weight": np.column_stack([0.5 + 0.5 * alone, 0.5 - 0.5 * alone]).ravel(),
            "loss": rng.normal(0.7, 0.05, 2 * n_replicas),
        }
    )


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
        "params": {"key": key, "target_class": classes[-1], "outcome": "classes", "verb": "perturb", "fit": key},
    }


@pytest.fixture(scope="session")
def cohort():
    """The builder; a test that changes an AnnData makes its own."""
    return make_cohort


@pytest.fixture(scope="session")
def complete():
    """Results of every verb in one AnnData, for every picture; a fit of times to event is under "survival"."""
    adata = make_cohort(n_patients=12, n_regulons=12, unmovable=2, cells=(20, 40))
    rng = np.random.default_rng(1)
    patients = adata.uns["tcellmil"]["predictions"].index.to_numpy()
    regulons = adata.uns["tcellmil_perturbation"]["stats"]["regulon"].unique()
    _add_survival(adata, rng, patients)
    _add_doses(adata)
    _add_shap(adata, rng, patients, regulons)
    _add_attention_tables(adata, rng, patients, regulons)
    _add_comparisons(adata, rng, patients)
    _add_scenic(adata, rng, regulons)
    _add_sentences(adata)
    for verb, name in OF_FIT.items():
        if (place := f"tcellmil_{name}") in adata.uns:
            adata.uns[place]["params"] |= {"verb": verb, "fit": "tcellmil", "key": "tcellmil"}
    for verb, place in OWN.items():
        adata.uns[place]["params"]["verb"] = verb
    return adata


def _add_survival(adata, rng, patients):
    risk = rng.normal(size=len(patients))
    time, event = rng.exponential(np.exp(-risk)) * 20, (rng.random(len(patients)) < 0.7).astype(float)
    columns = {"time": time, "event": event, "risk": risk, "risk_sd": 0.1, "n_cells": 30, "n_replicas": 1}
    adata.uns["survival"] = {
        "params": adata.uns["tcellmil"]["params"]
        | {
            "outcome": "survival",
            "label_key": "days",
            "event_key": "death",
            "classes": np.array(["risk"], dtype=object),
        },
        "predictions": pd.DataFrame(columns, index=pd.Index(patients, name="patient")),
        "metrics": bootstrap_survival(time, event, risk, n_boot=50),
    }


def _add_doses(adata):
    result = adata.uns["tcellmil_perturbation"]
    adata.uns["doses"] = result | {
        part: pd.concat([result[part].assign(n_mad=dose) for dose in (1.0, 3.0)], ignore_index=True)
        for part in ("patients", "stats")
    }


def _add_shap(adata, rng, patients, regulons):
    table = pd.MultiIndex.from_product([patients, regulons, ["R"]], names=["patient", "regulon", "class"])
    table = table.to_frame(index=False)
    for column in ("mean", "weighted_mean", "weighted_abs", "total"):
        table[column] = rng.normal(0, 0.01, len(table))
    stats = {"regulon": regulons, "n_patients": len(patients), "weighted_difference": rng.normal(size=len(regulons))}
    stats |= {"median_abs": rng.random(len(regulons)), "padj": rng.choice([0.001, 0.5], len(regulons))}
    adata.uns["tcellmil_shap"] = {
        "patients": table,
        "stats": pd.DataFrame(stats),
        "params": {"level": "cell", "target_class": "R", "output": "probability", "key": "tcellmil"},
    }
    adata.obsm["X_tcellmil_shap"] = rng.normal(0, 0.01, (adata.n_obs, len(regulons)))


def _add_attention_tables(adata, rng, patients, regulons):
    correlation = {"regulon": regulons, "n_patients": len(patients)}
    for name in ("tau", "rho", "tau_within", "rho_within"):
        correlation[name] = rng.normal(0, 0.2, len(regulons))
        correlation[f"{name}_padj"] = rng.choice([0.001, 0.5], len(regulons))
    adata.uns["tcellmil_attention_correlation"] = {"regulons": pd.DataFrame(correlation), "params": {}}

    groups = ["B", "NK"]
    table = pd.MultiIndex.from_product([patients, groups], names=["patient", "group"]).to_frame(index=False)
    table["label"] = adata.uns["tcellmil"]["predictions"]["label"].reindex(table["patient"]).to_numpy()
    table = table.assign(observed=rng.lognormal(size=len(table)), null=rng.lognormal(0, 0.1, len(table)), p=0.1)
    stats = {"group": groups, "n_patients": len(patients), "median_difference": [0.2, 0.1], "padj": [0.01, 0.5]}
    adata.uns["tcellmil_attention_enrichment"] = {
        "patients": table,
        "stats": pd.DataFrame(stats | {"n_enriched": 1}),
        "params": {},
    }
    summary = {"n_groups": 3, "spearman_mean": 0.6, "top_overlap": 0.5, "top_overlap_chance": 0.1, "n_top": 5}
    top = {"across": "seeds", "regulon": regulons[:5], "importance": [0.3, -0.2, 0.1, 0.05, -0.01], "sd": 0.02}
    adata.uns["tcellmil_attention_stability"] = {
        "attention": pd.DataFrame({"patient": patients, "across": "seeds", "spearman": rng.random(len(patients))}),
        "regulators": pd.DataFrame({"across": ["seeds"], **{name: [value] for name, value in summary.items()}}),
        "top": pd.DataFrame(top | {"share_top": 0.5, "sign_agreement": 1.0}),
        "params": {"key": "tcellmil", "n_top": 5, "target_class": "R"},
    }


def _add_comparisons(adata, rng, patients):
    metrics = adata.uns["tcellmil"]["metrics"]
    null = pd.DataFrame({"permutation": np.arange(40), "auroc": rng.normal(0.5, 0.1, 40)})
    test = {"metric": "auroc", "value": 0.8, "null_mean": 0.5, "null_sd": 0.1, "p": 1 / 41, "n_permutations": 40}
    adata.uns["tcellmil_permutation_test"] = {"null": null, "test": pd.DataFrame([test]), "params": {}}
    methods = [("tcellmil", "X_regulons"), ("logistic", "X_pca"), ("majority", "")]
    tables = [metrics.assign(method=method, rep=rep, p=0.2) for method, rep in methods]
    adata.uns["benchmark"] = {
        "metrics": pd.concat(tables, ignore_index=True),
        "methods": pd.DataFrame(methods, columns=["method", "rep"]),
        "params": {"reference": "tcellmil", "reference_rep": "X_regulons"},
    }
    use_reps = ["X_pca", "X_regulons"]
    ari = {"representation": np.repeat(use_reps, 8), "init": np.tile(np.arange(8), 2), "ari": rng.random(16) / 2}
    tests = {"reference": ["X_pca"], "representation": ["X_regulons"], "signed_rank_p": [0.01]}
    adata.uns["batch_effect"] = {
        "ari": pd.DataFrame(ari),
        "tests": pd.DataFrame(tests),
        "params": {"batch_key": "cell_type"},
    }
    conditions = pd.MultiIndex.from_product([patients, ["B", "NK"]], names=["patient", "cell_type"])
    conditions = conditions.to_frame(index=False).assign(n_cells=20)
    for column in ("similarity", "closer_bulks", "closer_cells", "foscttm"):
        conditions[column] = rng.random(len(conditions)) / 2
    params = {"groupby": np.array(["patient", "cell_type"], dtype=object)}
    adata.uns["match_bulk"] = {"conditions": conditions, "params": params}


def _add_scenic(adata, rng, regulons):
    adata.obsm["X_regulons"] = rng.random((adata.n_obs, len(regulons))).astype(np.float32)
    adata.uns["regulons"] = {"names": regulons, "params": {"method": "aucell"}}
    factors = ["IRF7", "TBX21", "SPI1", "KLF6", "HMGA1"]
    edges = pd.MultiIndex.from_product([factors, [f"GENE{i}" for i in range(15)]], names=["TF", "target"])
    edges = edges.to_frame(index=False)
    edges["importance"] = rng.exponential(5, len(edges)) * np.repeat([5, 4, 3, 2, 1], 15)
    edges["rho"] = rng.uniform(-1, 1, len(edges))
    edges = edges.sort_values("importance", ascending=False, ignore_index=True)
    adata.uns["grn"] = {"edges": edges, "params": {}}
    motifs = pd.DataFrame(
        {
            "TF": np.repeat(factors[:3], [14, 3, 2]),
            "MotifID": [f"cisbp__M{i % 12:04d}_transfac_pro" for i in range(19)],
            "NES": 3 + rng.exponential(1, 19),
            "Annotation": np.where(np.arange(19) % 3 == 0, "gene is orthologous", "gene is directly annotated"),
        }
    )
    targets = pd.DataFrame({"regulon": "IRF7(+)", "target": [f"GENE{i}" for i in range(9)], "weight": 1.0})
    adata.uns["prune"] = {"targets": targets, "motifs": motifs, "params": {"nes_threshold": 3.0}}


def _add_sentences(adata):
    rank, level = (part.ravel() for part in np.indices((20, 10)))
    density = {
        "rank_low": 1 + 5 * rank,
        "rank_high": 5 + 5 * rank,
        "value_low": level / 2,
        "value_high": (level + 1) / 2,
    }
    density |= {"n": 1 + rank * level, "share": (1 + level) / 55}
    line = {"slope": -1.5, "intercept": 4.0, "r2": 0.93, "pearson": 0.96, "spearman": 0.95}
    adata.uns["cell_sentence"] = {
        "density": pd.DataFrame(density),
        "line": line | {"n_cells": 300, "n_genes": 100},
        "params": {"verb": "cell_sentences", "values": "counts"},
    }
    types = adata.obs["cell_type"].cat.categories
    wrong = np.random.default_rng(4).random(adata.n_obs) < 0.3
    adata.obs["c2s_annotation"] = adata.obs["cell_type"].where(~wrong, types[0])
    adata.uns["c2s_annotation"] = {"labels": np.array(types, dtype=object), "params": {"verb": "annotate_sentences"}}


@pytest.fixture(autouse=True)
def closed_figures():
    """Every test starts and ends without an open figure."""
    plt.close("all")
    yield
    plt.close("all")


@pytest.fixture(params=PICTURES)
def name(request):
    """Of every picture in turn."""
    return request.param


@pytest.fixture(params=[name for name, (picture, *_) in PICTURES.items() if picture is not tm.pl.generated])
def name_of_result(request):
    """Of every picture that draws what a verb wrote."""
    return request.param


@pytest.fixture(scope="session")
def pictures():
    """By name: the function, its arguments, its number of panels and a name that is coloured."""
    return PICTURES


@pytest.fixture(scope="session")
def draw():
    """Draw a picture by its name, and give back the axes as an array."""

    def drawn(adata, name, **options):
        picture, arguments, _, _ = PICTURES[name]
        return np.ravel(picture(adata, **arguments, **options))

    return drawn
