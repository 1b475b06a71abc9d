"""Ctrl-C at random moments within verbs: what the caller gets, what is left in the AnnData, and what comes after.

    python fuzz/interrupts.py [--moments N] [--seconds S] [--seed SEED] [VERB ...]

For each verb and moment the interrupt must surface as KeyboardInterrupt within 2 seconds and leave the AnnData as it
was or, where it came while the result was written or later, with the whole result. The same call on the same AnnData
must then give the result of an undisturbed one, and Python's own handler of SIGINT must be in place. Prints one line
per verb and ends with status 1 if anything else happened.
"""

import argparse
import logging
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

import tcellmil as tm

#: Longest time from the interrupt to the caller, in seconds.
LIMIT = 2.0

FIT = {"cv": 2, "training": {"max_epochs": 40, "accelerator": "cpu"}, "n_boot": 50, "progress": False}
VERBS = {
    "grn": lambda adata: tm.tl.grn(adata, tf_names=["IRF7", "SPI1", "PAX5"]),
    "regulons": lambda adata: tm.tl.regulons(adata, net=adata.uns["regulons"]["targets"]),
    "fit_mil": lambda adata: tm.tl.fit_mil(adata, "patient", "response", **FIT),
    "perturb": lambda adata: tm.tl.perturb(adata, n_mad=[1, 2, 3], progress=False),
    "shap": lambda adata: tm.tl.shap(adata, level="bag", background=60, progress=False),
}


def cohort():
    """A few patients on whom everything before each verb has been run."""
    adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=40, effect=2)
    adata.layers["counts"] = adata.X.copy()
    adata.obsm["X_of_the_user"] = np.arange(2.0 * adata.n_obs).reshape(-1, 2)
    tm.tl.regulons(adata)
    VERBS["fit_mil"](adata)
    return adata


def leaves(value, where: str = "") -> dict:
    """Everything that an AnnData holds, by place: arrays, columns of tables, single values."""
    if isinstance(value, AnnData):
        names = ("X", "obs", "var", "uns", "obsm", "varm", "layers", "obsp", "varp")
        value = {name: getattr(value, name) for name in names}
    if isinstance(value, pd.DataFrame):
        value = {"index": value.index.to_series(), **{name: value[name] for name in value}}
    if not isinstance(value, Mapping):
        return {where: value}
    found = {f"{where} holds": sorted(map(str, value))}
    for key, part in value.items():
        if key != "time":  # of the call
            found |= leaves(part, f"{where}/{key}")
    return found


def differing(one: dict, other: dict) -> set[str]:
    """Places of what is not the same."""
    return {place for place in one.keys() | other.keys() if not same(one.get(place), other.get(place))}


def same(one, other) -> bool:
    """Whether two leaves have one type and the same values."""
    if type(one) is not type(other):
        return False
    if isinstance(one, pd.Series):
        return one.dtype == other.dtype and one.equals(other)
    if sparse.issparse(one):
        one, other = one.toarray(), other.toarray()
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return one is other or one == other


def interrupted(call, delay: float) -> tuple[str, float]:
    """How a call ended that is interrupted after ``delay`` seconds, and how long after the interrupt."""
    sent = [0.0]

    def send() -> None:
        sent[0] = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    timer, outcome = threading.Timer(delay, send), "nothing"
    try:
        timer.start()
        call()
        outcome = "lost"
        while not sent[0] or time.perf_counter() < sent[0] + 1:  # unless it was lost, it comes now, after the end
            time.sleep(0.01)
    except KeyboardInterrupt:
        outcome = "finished" if outcome == "lost" else "KeyboardInterrupt"
    except BaseException as error:  # noqa: BLE001 (whatever else comes is what is looked for)
        traceback.print_exc()
        outcome = f"{type(error).__name__}({error})"
    took = time.perf_counter() - sent[0]
    timer.join()
    return outcome, took


def moments(verb: str, before, rng: random.Random, n: int, until: float) -> tuple[int, int, float, list[str]]:
    """Moments tried, interrupts among them, the longest time until one surfaced, and faults."""
    call, undisturbed = VERBS[verb], []
    for _ in range(3):  # the first compiles and imports
        adata, start = before.copy(), time.perf_counter()
        call(adata)
        undisturbed.append(leaves(adata))
    duration, start, whole = time.perf_counter() - start, leaves(before), undisturbed[-1]
    differs_anyway = differing(*undisturbed[-2:])  # the time of a call, the name of a fit
    tried, n_interrupts, longest, faults = 0, 0, 0.0, []
    while tried < n and (tried == 0 or time.monotonic() < until):
        tried += 1
        adata, delay, found = before.copy(), rng.uniform(0, duration), []
        outcome, took = interrupted(lambda adata=adata: call(adata), delay)
        left = leaves(adata)
        if outcome == "KeyboardInterrupt":
            n_interrupts, longest = n_interrupts + 1, max(longest, took)
            if differing(start, left) and differing(whole, left) - differs_anyway:
                found.append(f"half a result: {sorted(differing(start, left))[:4]}")
            if took > LIMIT:
                found.append(f"{took:.1f} s until the interrupt surfaced")
        elif outcome != "finished":
            found.append(f"the interrupt ended as {outcome}")
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            found.append("the handler of SIGINT is another")
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if outcome not in ("finished", "lost"):
            call(adata)
        if other := differing(whole, leaves(adata)) - differs_anyway:
            found.append(f"the next call gives another result: {sorted(other)[:4]}")
        faults += [f"{verb} after {delay:.3f} of {duration:.3f} s: {fault}" for fault in found]
    return tried, n_interrupts, longest, faults


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verbs", nargs="*", metavar="VERB", help=f"of {', '.join(VERBS)}; all by default")
    parser.add_argument("--moments", type=int, default=30, help="interrupts per verb")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time for all verbs together")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    verbs = options.verbs or list(VERBS)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent that ignores it hands that on
    warnings.simplefilter("ignore")
    logging.getLogger("tcellmil").setLevel("WARNING")
    before, faults, start = cohort(), [], time.monotonic()
    for i, verb in enumerate(verbs, start=1):
        until = start + options.seconds * i / len(verbs)
        rng = random.Random(f"{options.seed} {verb}")
        tried, n_interrupts, longest, found = moments(verb, before, rng, options.moments, until)
        print(f"{verb}: {tried} moments, {n_interrupts} interrupts, at most {longest:.2f} s, {len(found)} faults")
        faults += found
    print(*faults, sep="\n")
    return min(len(faults), 1)


if __name__ == "__main__":
    sys.exit(main())
