"""Genes that identify a patient rather than the state of the cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import check_adata, some
from tcellmil._docs import documented
from tcellmil._log import logger, warn
from tcellmil.regulons._symbols import gene_names

if TYPE_CHECKING:
    from anndata import AnnData

# V, D and J segments of human and mouse as IMGT names them: TRAV29/DV5, TRGJP1, TRBVB, TRBV20OR9-2. What follows the
# locus is spelled out so that TRADD, TRDN or TRGC1 stay.
TCR_SEGMENT = re.compile(r"TR(A[VJ]|B[VDJ]|G[VJ]|D[VDJ])(\d|P|OR|[AB]$|$)|TCR[ABGD]-[VDJ]\d", re.IGNORECASE)
# IGHVIII-44 and IGHV(III)-44 are clans of pseudogenes; IGLJCOR18 an orphon. IGHD alone is the delta constant gene,
# IGHD1-1 a D segment.
IG_SEGMENT = re.compile(r"IG([HKL][VJ](\d|[IV(]|C?OR|$)|HD\d)", re.IGNORECASE)

X_INACTIVATION = frozenset(["XIST", "TSIX", "Xist", "Tsix"])
# Genes and transcripts of the male-specific region (Skaletsky 2003 and HGNC; mouse: Soh 2014). The pseudoautosomal
# ones (CD99, CSF2RA, IL3RA, ...) are on both sex chromosomes and stay.
Y_HUMAN = frozenset(
    """
    AMELY ANOS2P BCORP1 BPY2 BPY2B BPY2C CDY1 CDY1B CDY2A CDY2B CYorf15A CYorf15B CYorf17 DAZ1 DAZ2 DAZ3 DAZ4 DDX3Y
    EIF1AY FAM224A FAM224B FAM41AY1 FAM41AY2 GOLGA2P2Y GOLGA2P3Y GYG2P1 HSFY1 HSFY2 KALP KDM5D LINC00278
    LINC00279 LINC00280 NLGN4Y NLGN4Y-AS1 PCDH11Y PRKY PRORY PRY PRY2 RPS4Y1 RPS4Y2 SMCY SRY TBL1Y TGIF2LY TMSB4Y
    TXLNG2P TXLNGY USP9Y UTY VCY VCY1B XKRY XKRY2 ZFY ZFY-AS1
    """.split()
)
Y_MOUSE = frozenset(
    """
    Ddx3y Eif2s3y Gm29650 H2al2y Jarid1d Kdm5d Prssly Rbmy Rbmy1a1 Sly Sry Srsy Ssty1 Ssty2 Teyorf1 Tspy-ps Uba1y Ube1y1
    Usp9y Uty Zfy1 Zfy2
    """.split()
)
# Families that are numbered. TSPYL1, TSPY26P, RBMX and DAZL are autosomal or X-linked and do not match.
Y_FAMILY = re.compile(r"(TTTY\d+[A-D]?|NCRNA00185|TSPY\d+|RBMY\d\w*|FAM197Y\d+P?|CSPG4P\d+Y)$")


@documented
def drop_nuisance_genes(
    adata: AnnData,
    tcr: bool = True,
    ig: bool = True,
    sex: bool = True,
    gene_symbols: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Remove clonotype and sex genes, by which a model could recognise a patient.

    Reads ``adata.var_names``, or a column of ``adata.var`` (gene symbols, human or mouse), removes genes in place and
    logs how many of each kind. Constant genes (``TRAC``, ``TRBC1``, ``IGHM``, ``IGKC``, ...) stay: they mark a cell
    type, not a clone.

    Parameters
    ----------
    adata
        Cells x genes.
    tcr
        Remove V, D and J segments of the T-cell receptor.
    ig
        Remove V, D and J segments of the immunoglobulins.
    sex
        Remove *XIST*, *TSIX* and the genes of the male-specific region of the Y chromosome.
    %(gene_symbols_as_names)s
    %(copy)s

    Returns
    -------
    None, or the changed copy with ``copy=True``.

    Raises
    ------
    KeyError
        If ``adata.var`` has no column ``gene_symbols``.
    ValueError
        If no gene would be left, or ``obs_names`` are those of the genes.

    References
    ----------
    Tsui et al. (2025), section 2.3; Lefranc et al. (2015), Nucleic Acids Research 43, D413 (names of segments);
    Skaletsky et al. (2003), Nature 423, 825 and Soh et al. (2014), Cell 159, 800 (Y chromosome).

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import tcellmil as tm
    >>> genes = pd.DataFrame(index=["TRBV20-1", "TRBC1", "IGHD", "IGHD1-1", "XIST", "CD8A"])
    >>> adata = ad.AnnData(np.ones((2, 6), dtype="float32"), var=genes)
    >>> tm.pp.drop_nuisance_genes(adata)
    >>> adata.var_names.tolist()
    ['TRBC1', 'IGHD', 'CD8A']
    """
    check_adata(adata)
    classes = {
        "T-cell receptor segments": (tcr, lambda gene: TCR_SEGMENT.match(gene) is not None),
        "immunoglobulin segments": (ig, lambda gene: IG_SEGMENT.match(gene) is not None),
        "sex genes": (sex, _is_sex_gene),
    }
    names = gene_names(adata.var, gene_symbols)
    masks = {what: np.array([is_member(g) for g in names]) for what, (wanted, is_member) in classes.items() if wanted}
    drop = np.logical_or.reduce([np.zeros(adata.n_vars, dtype=bool), *masks.values()])
    wanted_kinds = [is_member for wanted, is_member in classes.values() if wanted]
    if not drop.any() and any(is_member(cell) for is_member in wanted_kinds for cell in adata.obs_names):
        raise ValueError(
            "no gene is a clonotype or sex gene, but obs_names are: this is genes x cells; transpose it, "
            "adata = adata.T.copy()"
        )
    if drop.all():
        raise ValueError(f"none of the {adata.n_vars} genes would be left: {some(names)}")
    if names.str.match(r"ENS[A-Z]*G\d").mean() > 0.5:
        warn(
            f"the names look like Ensembl identifiers ({some(names, 3)}), but genes are found by symbol; name the "
            "column of adata.var with the symbols, gene_symbols=... ('feature_name' in files of CELLxGENE)",
        )

    adata = adata.copy() if copy else adata
    if drop.any():
        adata._inplace_subset_var(~drop)
    summary = ", ".join(f"{int(mask.sum())} {what}" for what, mask in masks.items())
    logger.info(f"drop_nuisance_genes: removed {int(drop.sum())} of {len(drop)} genes ({summary})")
    return adata if copy else None


def _is_sex_gene(gene: str) -> bool:
    return gene in X_INACTIVATION or gene in Y_HUMAN or gene in Y_MOUSE or Y_FAMILY.match(gene) is not None
