import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def toy():
    """What ``toy.py`` defines."""
    pytest.importorskip("transformers")
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("toy.py"))))
