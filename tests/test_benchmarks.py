"""The scripts that measure: that ``make bench`` finds them."""

import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def test_every_script_that_is_listed_is_there_and_the_other_way_round():
    if not FOLDER.exists():
        pytest.skip("the benchmarks are not part of this installation")
    listed = runpy.run_path(str(FOLDER / "run.py"))["SCRIPTS"]
    there = {path.stem for path in FOLDER.glob("[!_]*.py")} - {"run"}
    assert set(listed) == there
