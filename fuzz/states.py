"""Open damaged fitted models for some minutes; see ``_damage.py`` for what must become of them.

    python fuzz/states.py --seconds 300 --seed 0

Each round has a seed, which is printed; the same seed makes the same damage. Seeds that found something are kept in
``fuzz/states_seeds.txt`` and come first the next time. Memory is limited. Ends with 1 if something was found.
"""

import argparse
import itertools
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "fuzz"), str(ROOT / "tests")]

import hypothesis
from _damage import Damaged, Judge, damaged_folders, damaged_states, fits
from conftest import build_cohort

from tcellmil.model._files._folder import save_folder

KEPT = ROOT / "fuzz" / "states_seeds.txt"
SETTINGS = hypothesis.settings(
    max_examples=100, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)


def play(seed, name, judge, state, folder, scratch):
    """One round of damaged states and folders of a fit; raises what it finds."""

    @hypothesis.seed(seed)
    @SETTINGS
    @hypothesis.given(damaged_states(Damaged(state, name)))
    def states(damaged):
        judge.state(damaged)

    @hypothesis.seed(seed)
    @SETTINGS
    @hypothesis.given(damaged_folders(folder, scratch))
    def folders(damaged):
        judge.folder(damaged)

    states()
    folders()


def main():
    """Play rounds until the time is over."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=300)
    arguments.add_argument("--seed", type=int, default=0)
    arguments = arguments.parse_args()
    fitted = fits(build_cohort)
    judges = {name: Judge(*fit) for name, fit in fitted.items()}
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 10**9, used + 10**9))
    kept = [line.split() for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    new = ([name, arguments.seed + i] for i in itertools.count() for name in fitted)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        for name, (_, state) in fitted.items():
            save_folder(Path(scratch, name), state)
        for name, seed in itertools.chain(kept, new):
            if [name, seed] not in kept and time.monotonic() - start > arguments.seconds:
                break
            print(f"{time.monotonic() - start:5.0f} s: seed {seed}, {name}", flush=True)
            try:
                play(int(seed), name, judges[name], fitted[name][1], Path(scratch, name), scratch)
            except Exception:
                if [name, str(seed)] not in kept:
                    with open(KEPT, "a") as file:
                        file.write(f"{name} {seed}\n")
                print(f"found with seed {seed} of {name}, which is kept in {KEPT}", flush=True)
                raise
    for name, judge in judges.items():
        print(f"{name}: {judge.outcomes['same']} opened to the same numbers, {judge.outcomes['refused']} were refused")


if __name__ == "__main__":
    main()
