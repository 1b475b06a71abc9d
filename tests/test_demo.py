"""The main job as ``make demo`` runs it."""

import subprocess
import sys

import pytest
from anndata import read_h5ad

import tcellmil as tm
from tcellmil import demo

pytestmark = [pytest.mark.slow, pytest.mark.newest]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def printed(folder):
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        demo.main(folder, n_patients=8, n_cells=40, cv=2, training={"max_epochs": 2}, progress=False)
    return text.getvalue()


def test_writes_a_result_that_can_be_gone_on_with(folder, printed, assert_same):
    result = read_h5ad(folder / "result.h5ad")
    before = tm.get.perturb(result, regulons="IRF7(+)").reset_index()
    tm.tl.perturb(result)
    after = tm.get.perturb(result, regulons="IRF7(+)").reset_index()
    assert_same(before, after, check_dtype=False)


@pytest.mark.parametrize("name", ["attention", "roc", "prc", "perturb", "history"])
def test_writes_figure(folder, printed, name):
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_prints_every_metric_with_its_interval(folder, printed):
    for row in tm.get.metrics(read_h5ad(folder / "result.h5ad")).reset_index().itertuples():
        assert f"{row.metric} " in printed
    assert "ci_low ci_high" in " ".join(printed.split())


def test_says_how_near_it_comes_to_what_was_planted(printed):
    assert "Planted in CD8+ Cytotoxic T cells of responders: IRF7" in printed
    assert "of 59 regulons" in printed or "not among the regulons" in printed


def test_help_says_what_it_does_and_does_nothing(tmp_path):
    command = [sys.executable, "-m", "tcellmil.demo", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "usage: python -m tcellmil.demo" in done.stdout and "result.h5ad" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_the_only_argument(capsys):
    assert demo.read_arguments([]).folder == "demo"
    assert demo.read_arguments(["results"]).folder == "results"
    with pytest.raises(SystemExit) as ended:
        demo.read_arguments(["--folder"])
    assert ended.value.code == 2 and "unrecognized arguments: --folder" in capsys.readouterr().err
