"""The paper's shape: 64 patients x 600 cells x 154 regulons, 4 cohorts, leave-one-out, 150 + 60 epochs."""

import argparse
import resource
import time

from _simulated import simulated_cohort

import tcellmil as tm


def main(encoder: str, n_cells_bag: int | None) -> None:
    adata = simulated_cohort()
    start = time.perf_counter()
    tm.tl.fit_mil(
        adata,
        "patient",
        "response",
        "cohort",
        cv="loo",
        training={"encoder": encoder, "early_stopping": "none", "max_epochs": 60, "n_cells_bag": n_cells_bag},
        network={"compression": "autoencoder"},
        progress=False,
    )
    minutes = (time.perf_counter() - start) / 60
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"encoder={encoder!r}, n_cells_bag={n_cells_bag}: {minutes:.1f} minutes, peak {gigabytes:.1f} GB "
        "(limit for 'shared': 12 minutes)"
    )
    print(tm.get.metrics(adata).round(3).to_string())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="shared", choices=["shared", "per_fold"])
    parser.add_argument(
        "--n-cells-bag", type=int, help="cells of a patient in an epoch; all by default, as in the paper"
    )
    arguments = parser.parse_args()
    main(arguments.encoder, arguments.n_cells_bag)
