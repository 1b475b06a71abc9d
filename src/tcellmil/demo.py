"""The main job on the embedded cohort: ``python -m tcellmil.demo [folder]``, which is what ``make demo`` runs."""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import tcellmil as tm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


def main(folder: str | Path = "demo", n_patients: int = 24, n_cells: int = 150, **fit_options) -> AnnData:
    """Predict the patients of :func:`tcellmil.datasets.pbmc_cohort`, and say how near the planted truth is.

    Parameters
    ----------
    folder
        Where ``result.h5ad`` and the figures are written.
    n_patients, n_cells
        Size of the cohort.
    **fit_options
        Passed to :func:`tcellmil.tl.fit_mil`.

    Returns
    -------
    The cohort with all results.
    """
    start, folder = time.perf_counter(), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    adata = tm.datasets.pbmc_cohort(n_patients=n_patients, n_cells=n_cells)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="regulons are unpruned")  # on purpose: no motif database offline
        tm.tl.regulons(adata)
    tm.tl.fit_mil(adata, sample_key="patient", label_key="response", batch_key="cohort", **fit_options)
    tm.tl.perturb(adata)
    draw(adata, folder)
    adata.write_h5ad(folder / "result.h5ad")

    print_table("Out-of-fold metrics", tm.get.metrics(adata).reset_index())
    columns = ["regulon", "direction", "n_patients", "mean_delta", "mean_delta_logit", "padj"]
    print_table("Largest changes under perturbation", ranked_shifts(adata)[columns].head(6))
    print_truth(adata)
    print(f"\n{folder / 'result.h5ad'} and the figures beside it, after {time.perf_counter() - start:.0f} s")
    return adata


def draw(adata: AnnData, folder: Path) -> None:
    """Write every picture of :mod:`tcellmil.pl` into a folder."""
    import matplotlib
    import scanpy as sc

    matplotlib.use("Agg")
    sc.pp.neighbors(adata, use_rep="X_regulons")
    sc.tl.umap(adata)
    pictures = {
        "attention": tm.pl.attention(adata, basis="umap", groupby="cell_type", show=False)[0],
        "roc": tm.pl.roc(adata, show=False),
        "prc": tm.pl.prc(adata, show=False),
        "perturb": tm.pl.perturb(adata, show=False),
        "history": tm.pl.history(adata, show=False),
    }
    for name, axes in pictures.items():
        figure = axes.flat[0].figure if hasattr(axes, "flat") else axes.figure
        figure.savefig(folder / f"{name}.png", dpi=150, bbox_inches="tight")
        matplotlib.pyplot.close(figure)


def ranked_shifts(adata: AnnData) -> pd.DataFrame:
    """The tests of the perturbation, the largest mean change of the logit first."""
    stats = tm.get.perturb(adata, "stats").reset_index()
    return stats.sort_values("mean_delta_logit", key=abs, ascending=False, ignore_index=True)


def print_table(title: str, table: pd.DataFrame) -> None:
    """Print a table under its title."""
    print(f"\n{title}\n{table.to_string(index=False, float_format='{:.3g}'.format)}")


def print_truth(adata: AnnData) -> None:
    """Compare attention and perturbation with what was planted."""
    from sklearn.metrics import roc_auc_score

    truth = adata.uns["truth"]
    cells = tm.get.attention(adata)
    responders = (adata.obs["response"] == "R").to_numpy()
    found = roc_auc_score(adata.obs["is_driver"][responders], cells["relative"][responders])
    order = ranked_shifts(adata)["regulon"].drop_duplicates().tolist()
    planted = [name for name in order if name.removesuffix("(+)") == truth["tf"]]
    rank = f"place {order.index(planted[0]) + 1}" if planted else "not among the regulons,"
    print(
        f"\nPlanted in {truth['driver_cell_type']} cells of responders: {truth['tf']} and {len(truth['targets'])} of "
        f"its targets, up {2 ** truth['effect']:.3g}-fold\n"
        f"  attention finds these cells among all of a responder's with AUROC {found:.2f} (0.5 is chance)\n"
        f"  perturbing {truth['tf']} comes in {rank} of {len(order)} regulons by mean change of the logit"
    )


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says; it ends the program where this is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tcellmil.demo",
        description="Run the main job on simulated patients, offline: regulons, prediction, perturbation. "
        "It takes about a minute.",
    )
    parser.add_argument(
        "folder", nargs="?", default="demo", help="where result.h5ad and the figures are written (default: demo)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(**vars(read_arguments()))
