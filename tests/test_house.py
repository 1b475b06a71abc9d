"""The house: who may import whom, and how large and how repetitive files may be."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import tcellmil as tm

SOURCE = Path(tm.__file__).parent
TESTS = Path(__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

#: Modules that every package may import.
GROUND = {"_keys", "_checks", "_devices", "_docs", "_folders", "_isolation", "_log", "_params", "_matrix", "_order"}
GROUND |= {"_provenance"}
ARRAYS = {"nn", "stats", "metrics", "cv", "outcomes", "fitted", "training", "comparison"}
#: What each package may import beside itself and :data:`GROUND`; the order is that of the layers.
MAY_IMPORT = {
    "nn": set(),
    "stats": set(),
    "metrics": set(),
    "cv": set(),
    "regulons": set(),
    "c2s": {"stats"},
    "outcomes": {"nn", "stats"},
    "_results": {"outcomes"},
    "_verbs": {"_results"},
    "data": {"cv", "c2s", "outcomes"},
    "fitted": {"nn", "cv", "outcomes", "data"},
    "training": {"nn", "cv", "stats", "outcomes", "data", "fitted"},
    "comparison": {"nn", "cv", "stats", "outcomes", "data", "fitted", "training"},
    "model": {"nn", "cv", "c2s", "outcomes", "data", "fitted", "training"},
    "io": {"regulons", "outcomes", "_results"},
    "datasets": {"regulons"},
    "pp": {"regulons", "c2s", "_verbs"},
    "external": {"outcomes", "data"},
    "tl": ARRAYS | {"regulons", "c2s", "data", "model", "io", "_results", "_verbs"},
    "get": {"stats", "c2s", "outcomes", "data", "model", "pp", "_results"},
    "pl": {"get", "outcomes", "_results"},
    "demo": {"datasets", "pp", "tl", "get", "pl"},
}
#: Packages that work on arrays and tables, and the one module of ``data`` that they see.
NO_ANNDATA = {"nn", "stats", "metrics", "cv", "regulons", "c2s", "outcomes", "fitted", "training", "comparison"}
SCVERSE = {"anndata", "scanpy", "mudata"}


def package_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports_of(path, *, types=False):
    """Modules that a file imports anywhere in it; those for type hints only with ``types``."""
    tree = ast.parse(path.read_text())
    hints = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    here = ["tcellmil", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(tree):
        if node in hints and not types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names) if module == "tcellmil" else [module]


def own_packages(path):
    found = {name.split(".")[1] for name in imports_of(path) if name.startswith("tcellmil.")}
    return found - GROUND - {package_of(path)}


@pytest.mark.parametrize("package", sorted({package_of(path) for path in FILES} - GROUND - {"__init__"}))
def test_imports_run_one_way(package):
    for path in FILES:
        if package_of(path) == package:
            assert own_packages(path) <= MAY_IMPORT[package], path


def test_the_layers_have_no_circle():
    done = set()
    for package, below in MAY_IMPORT.items():
        assert below <= done, package
        done.add(package)


@pytest.mark.parametrize("package", sorted(NO_ANNDATA))
def test_array_layers_know_no_anndata(package):
    for path in (SOURCE / package).rglob("*.py"):
        names = set(imports_of(path))
        assert not {name.split(".")[0] for name in names} & SCVERSE, path
        assert {name for name in names if name.startswith("tcellmil.data")} <= {"tcellmil.data._bags"}, path


def test_pictures_compute_nothing():
    for path in (SOURCE / "pl").rglob("*.py"):
        assert not {name.split(".")[0] for name in imports_of(path)} & {"torch", "statsmodels", "shap"}, path


def test_nothing_ends_the_process_of_the_caller():
    for path in FILES:
        if package_of(path) != "demo":
            nodes = ast.walk(ast.parse(path.read_text()))
            names = {ast.unparse(node) for node in nodes if isinstance(node, ast.Name | ast.Attribute)}
            ends = {"SystemExit", "sys.exit", "exit", "quit"}
            holds = path.name == "_verbs.py"  # Ctrl-C back, while it writes
            assert not names & (ends if holds else ends | {"signal.signal"}), path
            own_process = path.name in ("_grn_worker.py", "_run_multimil.py")
            assert "os._exit" not in names or own_process, path


def test_no_file_is_over_400_lines():
    long = {str(path): n for path in FILES if (n := len(path.read_text().splitlines())) > 400}
    assert not long


def test_no_folder_is_over_1800_lines():
    lines = Counter()
    for path in FILES:
        lines[path.parent] += len(path.read_text().splitlines())
    assert {str(folder): n for folder, n in lines.items() if n > 1800} == {}


def test_only_outcomes_branch_on_the_kind_of_outcome():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            equality = ast.Eq | ast.NotEq | ast.In | ast.NotIn
            by_value = isinstance(node, ast.Compare) and isinstance(node.ops[0], equality)
            if by_value and package_of(path) != "outcomes":
                compared = [ast.unparse(part) for part in (node.left, *node.comparators)]
                assert not [text for text in compared if re.search(r"\boutcome(\.kind)?$", text)], path


def test_no_two_places_share_ten_lines():
    seen, twice = {}, []
    for path in FILES:
        lines = list(code_lines(path))
        for start in range(len(lines) - 9):
            run = tuple(text for _, text in lines[start : start + 10])
            place = f"{path.relative_to(SOURCE)}:{lines[start][0]}"
            if run in seen:
                twice.append((seen[run], place))
            seen.setdefault(run, place)
    assert not twice


def code_lines(path):
    """Number and text of the lines of code: no docstring, comment, import, blank line or lone bracket."""
    source = path.read_text()
    left_out = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, node.end_lineno + 1))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            left_out |= set(range(node.lineno, node.end_lineno + 1))
    for number, line in enumerate(source.splitlines(), start=1):
        text = line.strip()
        if number not in left_out and len(text) > 2 and not text.startswith("#"):
            yield number, text


def test_names_of_tests_are_at_most_70_characters():
    names = [
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert len(names) > 500
    assert [name for name in names if len(name) > 70] == []


def test_every_table_has_a_picture_of_its_name():
    objects = {"model", "patients", "shap_explanation", "cell_sentences", "cell_sentence_dataset"}
    objects |= {"annotation_metrics", "generated_profiles"}  # in the pictures confusion and generated
    objects |= {"paired_change"}  # in the picture predictions
    assert set(tm.get.__all__) - objects <= set(tm.pl.__all__)
