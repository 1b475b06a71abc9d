"""Clonotype and sex genes go; what marks a cell type stays."""

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

TCR = """TRAV1-1 TRAV29DV5 TRAV29/DV5 TRAV38-2DV8 TRAJ1 TRAJ61 TRBV20-1 TRBV7-2 TRBVA TRBVB TRBV20OR9-2 TRBD1
TRBJ1-1 TRBJ2-2P TRGV9 TRGVA TRGVB TRGV5P TRGJ1 TRGJP TRGJP1 TRGJP2 TRDV1 TRDV3 TRDD1 TRDJ4 Trav6d-3
Trav14d-3-dv8 Trbv13-2 Trbj1-1 Trgv2 Trdv2-2 Trdj1 Trdd2 Tcrg-V4""".split()
IG = """IGHV1-2 IGHV3-23 IGHVIII-44 IGHV(III)-44-1 IGHVII-1-1 IGHV1OR15-9 IGHD1-1 IGHD3-10 IGHD1OR15-1A
IGHJ6 IGHJ3P IGKV3-20 IGKV1OR2-108 IGKV1D-39 IGKJ1 IGLV2-14 IGLVI-42 IGLVIV-66-1 IGLVVI-25-1 IGLJ3
IGLJCOR18 Ighv1-72 Ighd1-1 Ighj4 Igkv6-23 Igkj5 Iglv1 Iglj2""".split()
SEX = """XIST TSIX Xist Tsix SRY RPS4Y1 RPS4Y2 ZFY DDX3Y USP9Y UTY KDM5D EIF1AY NLGN4Y TMSB4Y PRKY TXLNGY
TTTY14 TTTY10 TTTY17A FAM197Y2P CSPG4P1Y LINC00278 NLGN4Y-AS1 TSPY1 TSPY10 RBMY1A1 DAZ1 CDY2A BCORP1
Ddx3y Eif2s3y Kdm5d Uty Zfy1 Sry""".split()
# Constant genes, neighbours in the alphabet, autosomal and X-linked relatives, pseudoautosomal genes.
KEPT = """TRAC TRBC1 TRBC2 TRDC TRGC1 TRGC2 Trac Trbc1 Trdc Trgc1 Tcrg-C1 TRADD TRAT1 TRAF1 TRDN TRDMT1
TRAPPC1 IGHM IGHD IGHG1 IGHA1 IGHE IGHMBP2 IGKC IGLC2 IGLL1 IGLL5 IGLON5 IGHEP1 JCHAIN Ighm Ighd
Ighg2c Igkc Iglc1 Jchain VPREB1 IGJ TSPY26P HSFY1P1 CD99 CSF2RA IL3RA P2RY8 SLC25A6 DHRSX ZBED1
VAMP7 ASMTL PLCXD1 AKAP17A XG TSPYL1 TSPYL2 RBMX DAZL DAZAP1 CDYL HSFX1 KDM5C DDX3X EIF1AX USP9X UTX
KDM6A ZFX RPS4X NLGN4X TMSB4X JPX FTX PRY1 CD8A IRF7 TBX21""".split()


def _genes(names: list[str]) -> ad.AnnData:
    values = np.arange(2 * len(names), dtype=np.float32).reshape(2, -1)
    return ad.AnnData(values, var=pd.DataFrame(index=list(names)))


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        ({}, [*TCR, *IG, *SEX]),
        ({"ig": False, "sex": False}, TCR),
        ({"tcr": False, "sex": False}, IG),
        ({"tcr": False, "ig": False}, SEX),
        ({"tcr": False, "ig": False, "sex": False}, []),
    ],
)
def test_exactly_the_genes_of_the_wanted_classes_go(arguments, gone):
    names = [*KEPT[:20], *TCR, *IG, *KEPT[20:], *SEX]
    adata = _genes(names)
    assert tm.pp.drop_nuisance_genes(adata, **arguments) is None
    assert adata.var_names.tolist() == [name for name in names if name not in gone]


def test_values_stay_with_their_genes():
    adata = _genes(["CD8A", "XIST", "IGKC", "TRBV9", "IRF7"])
    tm.pp.drop_nuisance_genes(adata)
    assert adata.var_names.tolist() == ["CD8A", "IGKC", "IRF7"]
    np.testing.assert_array_equal(adata.X, [[0, 2, 4], [5, 7, 9]])


def test_real_data_loses_only_its_sex_genes(shared_data):
    adata = ad.read_h5ad(shared_data("melanoma_icb.h5ad"))
    before = set(adata.var_names)
    tm.pp.drop_nuisance_genes(adata)
    assert before - set(adata.var_names) == {"DDX3Y", "RPS4Y1", "UTY", "XIST"}


def test_no_other_gene_of_the_genome_is_taken_for_a_segment(shared_data):
    # 22,284 genes of hg19, segments not among them
    genes = tm.io.read_rankings(shared_data("cistarget_hg19_5motifs.rankings.feather")).columns.tolist()
    adata = _genes([*genes, "TRBV9"])
    tm.pp.drop_nuisance_genes(adata, sex=False)
    assert adata.var_names.tolist() == genes


def test_copy_leaves_the_original_as_it_was():
    adata = _genes(["CD8A", "XIST"])
    changed = tm.pp.drop_nuisance_genes(adata, copy=True)
    assert changed.var_names.tolist() == ["CD8A"] and not changed.is_view
    assert adata.var_names.tolist() == ["CD8A", "XIST"]


def test_says_in_one_line_how_many_genes_of_each_class_went(caplog):
    with caplog.at_level(logging.INFO, logger="tcellmil"):
        tm.pp.drop_nuisance_genes(_genes(["CD8A", "XIST", "TRBV9", "TRBV2", "IGHV1-2"]))
    assert caplog.messages == [
        "drop_nuisance_genes: removed 4 of 5 genes (2 T-cell receptor segments, 1 immunoglobulin segments, 1 sex genes)"
    ]


def test_ensembl_identifiers_warn():
    adata = _genes(["ENSG00000229807", "ENSG00000153563"])
    with pytest.warns(UserWarning, match="look like Ensembl identifiers .*ENSG00000229807"):
        tm.pp.drop_nuisance_genes(adata)
    assert adata.n_vars == 2


def test_symbols_are_read_from_a_column():
    adata = _genes(["ENSG1", "ENSG2", "XIST"])
    adata.var["feature_name"] = pd.Categorical(["CD8A", "TRBV9", None])
    tm.pp.drop_nuisance_genes(adata, gene_symbols="feature_name")
    assert adata.var_names.tolist() == ["ENSG1"]  # a gene without a symbol keeps its name
    with pytest.raises(KeyError, match="gene_symbols='symbol' is not a column of adata.var"):
        tm.pp.drop_nuisance_genes(adata, gene_symbols="symbol")


def test_genes_by_cells_are_recognised():
    adata = _genes(["CD8A", "XIST"]).T.copy()
    with pytest.raises(ValueError, match="no gene is a clonotype or sex gene, but obs_names are: .* transpose it"):
        tm.pp.drop_nuisance_genes(adata)


def test_a_table_in_obsm_keeps_its_names():
    adata = _genes(["CD8A", "XIST"])
    adata.obsm["X_scores"] = pd.DataFrame({"A(+)": [1.0, 2.0]}, index=adata.obs_names)
    tm.pp.drop_nuisance_genes(adata)
    assert list(adata.obsm["X_scores"].columns) == ["A(+)"]


def test_no_gene_left_is_an_error_and_nothing_changes():
    adata = _genes(["XIST", "TRBV9"])
    with pytest.raises(ValueError, match="none of the 2 genes would be left"):
        tm.pp.drop_nuisance_genes(adata)
    assert adata.n_vars == 2


def test_a_view_is_refused():
    with pytest.raises(ValueError, match="view"):
        tm.pp.drop_nuisance_genes(_genes(["CD8A", "XIST"])[:1])
