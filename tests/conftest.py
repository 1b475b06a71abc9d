"""Shared fixtures. Real data lies beside the checkout, or where TCELLMIL_TEST_DATA says."""

import os
from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")

DATA = Path(os.environ.get("TCELLMIL_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a real data file; the test skips, saying which file, where it is absent."""

    def path(name: str) -> Path:
        if not (DATA / name).exists():
            pytest.skip(f"{name} is not in {DATA}; set TCELLMIL_TEST_DATA to the folder that has it")
        return DATA / name

    return path
