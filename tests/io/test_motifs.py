import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.io._motifs import tidy_motifs
from tcellmil.regulons import union_per_tf


@pytest.fixture(scope="module")
def real(shared_data):
    return tm.io.read_motifs(shared_data("pyscenic_motifs_GSE60361.csv.gz"))


def test_a_real_table_is_read_whole(real):
    assert len(real) == 10_760
    assert real.columns[0] == "TF"
    assert all(isinstance(context, frozenset) for context in real.Context)
    first = real.iloc[0]
    assert (first.TF, first.MotifID) == ("Arnt2", "cisbp__M5290")
    assert "weight>75.0%" in first.Context
    assert first.TargetGenes[0] == ("Fam134a", 0.4679974726788937)


@pytest.fixture
def pyscenic_transform(monkeypatch):
    """pySCENIC's own step from motifs to regulons, which asks numpy for an alias that is gone."""
    monkeypatch.setattr(np, "object", object, raising=False)
    return pytest.importorskip("pyscenic.transform", exc_type=ImportError)


def test_regulons_of_a_real_table_are_those_of_pyscenic(real, pyscenic_transform):
    some = real[real.TF.isin(real.TF.unique()[:25])]
    some = pd.concat(
        [some, some.head(20).assign(Context=[c - {"activating"} | {"repressing"} for c in some.Context[:20]])]
    )
    table = some.set_index(["TF", "MotifID"])
    expected = {r.name: dict(r.gene2weight) for r in pyscenic_transform.df2regulons(table)}
    ours = {
        name: dict(zip(rows.target, rows.weight, strict=True)) for name, rows in union_per_tf(some).groupby("regulon")
    }
    assert ours == expected
    assert any(name.endswith("(-)") for name in ours)


@pytest.mark.parametrize("name", ["motifs.csv", "motifs.csv.gz", "motifs.tsv"])
def test_motifs_survive_a_round_trip(tmp_path, real, name):
    some = real.iloc[::500].reset_index(drop=True)
    tm.io.write_motifs(some, tmp_path / name)
    pd.testing.assert_frame_equal(tm.io.read_motifs(tmp_path / name), some)


def test_what_is_written_is_what_pyscenic_reads(tmp_path, real, pyscenic_transform):
    from pyscenic.utils import load_motifs

    some = real.iloc[::2000].reset_index(drop=True)
    tm.io.write_motifs(some, tmp_path / "motifs.csv")
    theirs = load_motifs(str(tmp_path / "motifs.csv"))
    pd.testing.assert_frame_equal(tidy_motifs(theirs), some, check_dtype=False)


TABLE = (
    ",,Enrichment,Enrichment,Enrichment,Enrichment,Enrichment,Enrichment,Enrichment,Enrichment\n"
    ",,AUC,NES,MotifSimilarityQvalue,OrthologousIdentity,Annotation,Context,RankAtMax,TargetGenes\n"
    "TF,MotifID,,,,,,,,\n"
    'A,m1,0.1,3.5,0.0,1.0,direct,"{context}",100,"{targets}"\n'
)


def read(tmp_path, context="frozenset({'top50'})", targets="[('g1', 1.0)]"):
    (tmp_path / "x.csv").write_text(TABLE.format(context=context, targets=targets))
    return tm.io.read_motifs(tmp_path / "x.csv").iloc[0]


def test_weights_of_numpy_2_are_read(tmp_path):
    assert read(tmp_path, targets="[('g1', np.float64(1.5)), ('g2', np.float32(1e-05))]").TargetGenes == [
        ("g1", 1.5),
        ("g2", 1e-05),
    ]


def test_an_empty_context_is_read(tmp_path):
    assert read(tmp_path, context="frozenset()").Context == frozenset()


@pytest.mark.parametrize(
    "cell",
    ["__import__('os').system('touch hacked')", "[('g1', open('x'))]", "frozenset(print(1))", "[1, 2]", "nonsense("],
)
def test_code_in_a_cell_is_refused_not_run(tmp_path, monkeypatch, cell):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="not what pySCENIC writes there"):
        read(tmp_path, targets=cell)
    assert not (tmp_path / "hacked").exists()


def test_a_file_that_is_no_motif_table_is_named(tmp_path):
    (tmp_path / "x.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    with pytest.raises(ValueError, match="motif table"):
        tm.io.read_motifs(tmp_path / "x.csv")
    with pytest.raises(ValueError, match="needs the columns"):
        tm.io.write_motifs(pd.DataFrame({"TF": ["A"]}), tmp_path / "y.csv")
    assert not (tmp_path / "y.csv").exists()
