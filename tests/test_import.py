"""What importing costs, and the walls between the layers."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tcellmil as tm

SOURCE = Path(tm.__file__).parent
HEAVY = ["torch", "scvi", "lightning", "shap", "decoupler", "transformers", "rustscenic", "statsmodels"]
ARRAY_LAYERS = ["c2s", "regulons", "nn", "cv", "stats", "metrics"]
NAMESPACES = sorted(name for name in tm.__all__ if (SOURCE / name / "__init__.py").exists())
VERBS = ["datasets", "external", "get", "io", "pl", "pp", "tl"]
PUBLIC = [(space, name) for space in NAMESPACES for name in importlib.import_module(f"tcellmil.{space}").__all__]


def heavy_modules_after(code):
    """Which of the heavy packages a fresh interpreter holds after ``code``."""
    code += f"\nimport sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def imported(path):
    """Top-level packages, and modules of this package, that a file imports anywhere in it, type hints apart."""
    names = set()
    tree = ast.parse(path.read_text())
    for_types = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    package = ["tcellmil", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def test_import_loads_nothing_heavy():
    assert heavy_modules_after("import tcellmil") == []


def test_looking_at_the_verbs_loads_nothing_heavy():
    code = "import tcellmil as tm\nfor space in (tm.pp, tm.tl, tm.pl, tm.get):\n    dir(space)"
    assert heavy_modules_after(code) == []


def test_taking_hold_of_a_verb_loads_no_network_library():
    code = (
        "import tcellmil as tm\n"
        "for space in (tm.pp, tm.tl, tm.pl, tm.get):\n    [getattr(space, name) for name in dir(space)]"
    )
    assert heavy_modules_after(code) == []


def test_the_check_for_heavy_modules_sees_one():
    assert "torch" in heavy_modules_after("import tcellmil as tm; tm.nn.StackedLinear")


@pytest.mark.parametrize(("space", "name"), PUBLIC)
def test_every_public_name_is_there_and_documented(space, name):
    thing = getattr(getattr(tm, space), name)
    assert inspect.getdoc(thing), f"{space}.{name} has no docstring"
    assert thing.__module__.startswith("tcellmil.")


@pytest.mark.parametrize(("space", "name"), [p for p in PUBLIC if p[0] in VERBS])
def test_every_verb_shows_how_to_call_it(space, name):
    text = inspect.getdoc(getattr(getattr(tm, space), name))
    assert "\nExamples\n--------\n" in text and ">>> " in text
    assert "\nParameters\n----------\n" in text


@pytest.mark.parametrize("layer", ARRAY_LAYERS)
def test_array_layers_know_no_anndata_and_no_verb(layer):
    files = sorted((SOURCE / layer).rglob("*.py"))
    assert len(files) > 1
    forbidden = ("anndata", "scanpy", "mudata", *(f"tcellmil.{s}" for s in ("tl", "pp", "pl", "get", "model", "io")))
    for path in files:
        for name in imported(path):
            assert not any(name == f or name.startswith(f + ".") for f in forbidden), f"{path.name} imports {name}"


def test_networks_know_nothing_of_cross_validation():
    for path in (SOURCE / "nn").glob("*.py"):
        assert not [name for name in imported(path) if name.startswith("tcellmil.cv")]


def test_nothing_is_pickled():
    for path in SOURCE.rglob("*.py"):
        loaders = {name.split(".")[0] for name in imported(path)} & {
            "pickle",
            "cPickle",
            "dill",
            "cloudpickle",
            "joblib",
        }
        assert not loaders, f"{path.name} imports {loaders}"
        text = path.read_text()
        assert "allow_pickle=True" not in text and "torch.load" not in text and "torch.save" not in text
