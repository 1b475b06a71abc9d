"""What is written about the package: examples run, and the reference is complete."""

import doctest
import importlib
import json
import re
from functools import partialmethod
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.decomposition import PCA

import tcellmil as tm

ROOT = Path(__file__).resolve().parents[1]
NAMESPACES = (
    *("c2s", "comparison", "cv", "data", "datasets", "external", "fitted", "get", "io", "metrics", "model", "nn"),
    *("outcomes", "pl", "pp", "regulons", "stats", "tl", "training"),
)
PUBLIC = [f"{namespace}.{name}" for namespace in NAMESPACES for name in getattr(tm, namespace).__all__]
SOURCE = ROOT / "src"
WITH_EXAMPLES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>>" in path.read_text()
]


def quiet(test):
    """Hide the warnings of examples; calls of theirs that are deprecated stay errors."""
    for shown in ("ignore::UserWarning", "ignore:From 0.4 .update:FutureWarning"):
        test = pytest.mark.filterwarnings(shown)(test)
    return test


def code_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def code_cells(notebook: Path) -> list[dict]:
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


def without_old_names(text: str) -> str:
    """The text without the first column of its tables that map old names to new ones."""
    tables = re.compile(r"^ *\| old \| new \|\n(?: *\|.*\n)*", flags=re.MULTILINE)
    return tables.sub(lambda table: re.sub(r"(?m)^( *\|)[^|\n]*\|", r"\1", table[0]), text)


class Plane(PCA):
    """Stands for UMAP: a plane on which cells lie."""

    def __init__(self, random_state=None, n_jobs=None):
        super().__init__(2, random_state=random_state)
        self.n_jobs = n_jobs

    def fit(self, X):
        self.embedding_ = self.fit_transform(X)
        return self


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Run what is written with a small cohort, two folds, few epochs and two steps, in an empty folder."""
    cohort, fit, train = tm.datasets.pbmc_cohort, tm.tl.fit_mil, tm.model.C2S.train

    def small_cohort(n_cohorts=2, effect=1.0, seed=0, **_):
        return cohort(n_patients=8, n_cells=30, n_cohorts=n_cohorts, effect=effect, seed=seed)

    def small_fit(adata, *keys, **arguments):
        training = {"max_epochs": 2, "max_epochs_ae": 2}
        fit(adata, *keys, **{**arguments, "cv": 2, "training": training, "n_boot": 50, "progress": False})

    monkeypatch.setattr(tm.datasets, "pbmc_cohort", small_cohort)
    monkeypatch.setattr(tm.tl, "fit_mil", small_fit)
    monkeypatch.setattr(tm.model.C2S, "train", partialmethod(train, max_steps=2))
    monkeypatch.setattr("umap.UMAP", Plane)  # which takes longest to compile
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    plt.close("all")


def test_every_namespace_is_covered():
    assert set(NAMESPACES) == set(tm.__all__) - {"__version__"}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_in_the_reference(name):
    listed = re.findall(r"^   (\w+\.\w+)$", (ROOT / "docs" / "api.md").read_text(), flags=re.MULTILINE)
    assert listed.count(name) == 1


def test_reference_lists_nothing_that_does_not_exist():
    listed = re.findall(r"^   (\w+\.\w+)$", (ROOT / "docs" / "api.md").read_text(), flags=re.MULTILINE)
    assert set(listed) <= set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_documented(name):
    namespace, _, attribute = name.partition(".")
    assert (getattr(getattr(tm, namespace), attribute).__doc__ or "").strip()


@pytest.fixture(scope="module")
def networks_once():
    """Dozens of examples infer the network of the same few cells: each is inferred once."""
    from tcellmil.regulons import _grn

    found, infer = {}, _grn.infer_edges

    def remembered(X, genes, factors, seed):
        dense = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        key = (dense.tobytes(), dense.shape, tuple(genes), tuple(factors), seed)
        if key not in found:
            found[key] = infer(X, genes, factors, seed)
        return found[key].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_grn, "infer_edges", remembered)
        yield


@quiet
@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_docstring_examples_run(module, tmp_path, monkeypatch, networks_once):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE)
    plt.close("all")
    assert result.attempted > 0
    assert result.failed == 0


@quiet
def test_example_of_the_readme_runs(small):
    example, sentences = code_blocks(ROOT / "README.md")
    names = {}
    exec(example, names)
    assert (small / "result.h5ad").stat().st_size > 0
    assert {"regulons", "tcellmil", "tcellmil_perturbation"} <= set(names["adata"].uns)
    exec(sentences, names)
    assert names["cells"].n_obs == 50 and {"c2s_annotation", "c2s_mil"} <= set(names["adata"].uns)


@quiet
def test_a_model_is_taken_to_another_cohort_as_the_page_says(small):
    (example,) = (block for block in code_blocks(ROOT / "docs" / "concepts.md") if "tl.predict(" in block)
    names = {}
    exec(example, names)
    assert (tm.get.metrics(names["new"])["n"] == 8).all()
    assert names["new"].uns["tcellmil"]["params"]["label_key"] == "outcome"
    assert tm.get.regulators(names["new"])["effect"].notna().any()


@quiet
def test_code_on_paired_designs_runs(small, capsys):
    (paired,) = (block for block in code_blocks(ROOT / "docs" / "concepts.md") if "paired_change" in block)
    names = {}
    exec(paired, names)
    assert "NR to R" in capsys.readouterr().out
    assert tm.get.permutation_test(names["adata"])["n_arrangements"].item() == 16


@pytest.mark.slow
@quiet
@pytest.mark.parametrize("path", sorted((ROOT / "tutorials").glob("*.ipynb")), ids=lambda path: path.stem)
def test_tutorial_runs(path, small):
    names = {}
    for number, cell in enumerate(code_cells(path)):
        exec(compile("".join(cell["source"]), f"{path.name}, code cell {number}", "exec"), names)
    assert {"tcellmil", "sentence_mil"} & set(names.get("patients", names["adata"]).uns)


@pytest.mark.parametrize("path", sorted((ROOT / "tutorials").glob("*.ipynb")), ids=lambda path: path.stem)
def test_tutorial_is_stored_with_its_outputs_and_small(path):
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert path.stat().st_size < 1_500_000


@pytest.mark.parametrize(
    "page", ["README.md", "CHANGELOG.md", "docs/concepts.md", "docs/installation.md", "docs/own_tasks.md"]
)
def test_functions_that_pages_name_exist(page):
    text = without_old_names((ROOT / page).read_text())
    named = set(re.findall(rf"\b((?:{'|'.join(NAMESPACES)})\.[a-zA-Z]\w+)", text))
    assert named
    assert named - {"model.json"} <= set(PUBLIC)
