"""A cohort of patients made of real cells, with a known answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil import _keys

if TYPE_CHECKING:
    from anndata import AnnData

TF = "IRF7"
# IRF7 is the master regulator of the type-I interferon response (Honda 2005). The targets are interferon-stimulated
# genes that the 765-gene panel holds and that go up at least 1.7-fold in blood cells under IFN-beta (Kang 2018; IRF7
# itself 10-fold). IRF1, IRF8, SP100 and SP110 would qualify, but are transcription factors themselves: one regulon is
# to carry the planted change.
TARGETS = (
    *("BST2", "CD47", "CTSC", "DYNLT1", "GBP2", "IFITM1", "IFITM2", "IFITM3"),
    *("ISG20", "LY6E", "MNDA", "OAS1", "PLAC8", "PSME2", "TNFSF13B", "TYMP"),
)
DRIVER = "CD8+ Cytotoxic T"

MIN_CELLS = 30
MIN_DRIVER_CELLS = 3
COMPOSITION = 30.0  # Dirichlet concentration: a type of 12% has a standard deviation of 6% over patients
SMOOTHING = 0.3  # part of a cell's rates that comes from the mean of its type
COHORT_SD, PATIENT_SD = 0.2, 0.2  # of the log factors of each gene
DEPTH_SD, PATIENT_DEPTH_SD = 0.25, 0.15  # of the log library size
RESPONSE_SD = 0.25  # of the log strength of the effect, over responders
ACTIVITY_SHAPE = 4.0  # gamma, mean 1: how far each driver cell has gone
INDUCIBLE, INDUCIBLE_TF = 1.0, 2.0  # counts; the least m_g: genes that are silent at rest gain something too


def pbmc_cohort(
    n_patients: int = 24,
    n_cells: int = 150,
    n_cohorts: int = 3,
    effect: float = 1.0,
    seed: int = 0,
    *,
    driver_share: float = 0.12,
) -> AnnData:
    r"""Cohort of simulated patients, built from real blood cells, with a planted effect in responders.

    The 700 cells that come with scanpy (:func:`scanpy.datasets.pbmc68k_reduced`) are converted back to counts. A
    patient has a composition of cell types, drawn around the overall one, and cells that are resampled from the real
    ones:

    .. math::

        y_{cg} \sim \mathrm{Poisson}(\lambda_{cg} \, d_c \, b_{k(c)g} \, p_{i(c)g}) + e_{cg}

    with :math:`\lambda` the counts of the drawn cell, shrunken towards its type, :math:`d` the depth, and log-normal
    factors of the cohort (:math:`b`, technical) and of the patient (:math:`p`). In the driver cells of responders a
    transcription factor and its targets gain :math:`e_{cg} \sim \mathrm{Poisson}(a_c (2^{effect} - 1) m_g d_c
    b_{k(c)g} p_{i(c)g})`, where :math:`m_g` is the gene's mean count (at least 1; 2 for the transcription factor) and
    :math:`a_c` the activity of the cell, with mean one. Driver cells are ``driver_share`` of a patient's
    cells on average, and at least three. Values are :math:`\log(1 + 10^4 y / \mathrm{library})`. Nothing is downloaded.

    Parameters
    ----------
    n_patients
        Number of patients, at least 6; half of them respond.
    n_cells
        Cells of each patient, at least 30.
    n_cohorts
        Number of cohorts, at most ``n_patients // 2``: each one has responders and non-responders.
    effect
        Log2 fold change of an average target in an average driver cell, at least 0. 2 is easy to find, 1 is
        moderate. 0 plants nothing: the response is then independent of every value, and ``is_driver`` is False
        everywhere.
    seed
        Seed of everything random. With one seed the same cells are drawn whatever the ``effect``; values differ
        in the driver cells of responders only, in the transcription factor and its targets.
    driver_share
        Mean share of the driver type among a patient's cells, between 0 and 1; it is 8% in the real data. Where it is
        small, the means over all of a patient's cells hardly move.

    Returns
    -------
    AnnData, ``n_patients * n_cells`` cells x 765 genes, ``X`` log-normalised expression (CSR, float32), with

    - ``obs["patient"]``, ``obs["response"]`` (``"R"``, ``"NR"``), ``obs["cohort"]``, ``obs["cell_type"]``,
    - ``obs["is_driver"]``: the cells that carry the planted change,
    - ``uns["truth"]``: ``tf``, ``targets``, ``driver_cell_type`` and ``effect``.

    Raises
    ------
    ValueError
        If a number is out of the ranges above.

    References
    ----------
    Zheng et al. (2017), Nature Communications 8, 14049: the cells. Honda et al. (2005), Nature 434, 772, and Kang et
    al. (2018), Nature Biotechnology 36, 89: the transcription factor and its targets.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=50)
    >>> adata.shape
    (300, 765)
    >>> adata.uns["truth"]["tf"], adata.uns["truth"]["driver_cell_type"]
    ('IRF7', 'CD8+ Cytotoxic T')
    >>> adata.obs.groupby("response", observed=True)["is_driver"].any().to_dict()
    {'NR': False, 'R': True}
    """
    from anndata import AnnData

    _check_arguments(n_patients, n_cells, n_cohorts, effect)
    if not 0 < driver_share < 1:
        raise ValueError(f"driver_share={driver_share!r} must be between 0 and 1")
    # Separate streams: what is planted changes neither the labels nor the cells.
    design_rng, cell_rng, plant_rng = np.random.default_rng(seed).spawn(3)
    real = _real_cells()
    patients = _patients(n_patients, n_cohorts, design_rng)
    cohort_factor = np.exp(design_rng.normal(0, COHORT_SD, (n_cohorts, len(real.genes))))
    gain = _gain(real, effect)

    blocks, obs = [], []
    for patient in patients.itertuples():
        cells = _draw_cells(real, n_cells, driver_share, cell_rng)
        cell_type = real.cell_type[cells]
        gene_factor = cohort_factor[patient.cohort] * np.exp(cell_rng.normal(0, PATIENT_SD, len(real.genes)))
        log_depth = cell_rng.normal(cell_rng.normal(0, PATIENT_DEPTH_SD), DEPTH_SD, n_cells)
        depth = np.exp(log_depth)[:, None]
        counts = cell_rng.poisson(real.rates[cells] * depth * gene_factor)

        is_driver = (cell_type == DRIVER) & (patient.response == "R") & (effect > 0)
        strength = np.exp(plant_rng.normal(0, RESPONSE_SD))
        activity = strength * plant_rng.gamma(ACTIVITY_SHAPE, 1 / ACTIVITY_SHAPE, (n_cells, 1))
        counts[is_driver] += plant_rng.poisson((activity * gain * depth * gene_factor)[is_driver])

        library = real.library[cells][:, None] * depth
        blocks.append(sparse.csr_matrix(np.log1p(1e4 * counts / library).astype(np.float32)))
        obs.append(
            pd.DataFrame(
                {
                    "patient": patient.Index,
                    "response": patient.response,
                    "cohort": f"C{patient.cohort + 1}",
                    "cell_type": cell_type,
                    "is_driver": is_driver,
                },
                index=[f"{patient.Index}-{cell + 1:04d}" for cell in range(n_cells)],
            )
        )

    table = pd.concat(obs)
    for column in ("patient", "response", "cohort", "cell_type"):
        table[column] = table[column].astype("category")
    adata = AnnData(sparse.vstack(blocks, format="csr"), obs=table, var=pd.DataFrame(index=real.genes))
    adata.uns[_keys.TRUTH] = {
        "tf": TF,
        "targets": np.array(TARGETS),
        "driver_cell_type": DRIVER,
        "effect": float(effect),
    }
    return adata


class _RealCells(NamedTuple):
    rates: np.ndarray  # (cell, gene), counts shrunken towards the mean of the cell's type
    mean: np.ndarray  # (gene,), mean counts
    library: np.ndarray  # (cell,), counts over all genes, not only those of the panel
    cell_type: np.ndarray
    genes: pd.Index


def _check_arguments(n_patients: int, n_cells: int, n_cohorts: int, effect: float) -> None:
    if n_patients < 6:
        raise ValueError(f"n_patients={n_patients} is too few; at least 6 give 3 patients per class")
    if n_cells < MIN_CELLS:
        raise ValueError(f"n_cells={n_cells} is too few; a patient needs at least {MIN_CELLS} cells")
    if not 1 <= n_cohorts <= n_patients // 2:
        raise ValueError(
            f"n_cohorts={n_cohorts} must be between 1 and n_patients // 2 = {n_patients // 2}, "
            "so that each cohort has responders and non-responders"
        )
    if not (np.isfinite(effect) and effect >= 0):
        raise ValueError(f"effect={effect} must be a log2 fold change of at least 0")


def _real_cells() -> _RealCells:
    from scanpy.datasets import pbmc68k_reduced

    bundled = pbmc68k_reduced()
    scaled = np.expm1(bundled.raw.X.toarray().astype(np.float64))
    # Each cell was scaled to 10,000 and its smallest value is one count: dividing by it gives the counts back.
    one_count = np.where(scaled > 0, scaled, np.inf).min(axis=1)
    counts = (scaled / one_count[:, None]).round()
    cell_type = bundled.obs["bulk_labels"].astype(str).to_numpy()
    type_mean = pd.DataFrame(counts).groupby(cell_type).transform("mean").to_numpy()
    return _RealCells(
        rates=(1 - SMOOTHING) * counts + SMOOTHING * type_mean,
        mean=counts.mean(axis=0),
        library=1e4 / one_count,
        cell_type=cell_type,
        genes=pd.Index(bundled.raw.var_names, name=None),
    )


def _patients(n_patients: int, n_cohorts: int, rng: np.random.Generator) -> pd.DataFrame:
    """Response and cohort of each patient: classes and cohorts of equal size, both classes in each cohort.

    Beyond that chance decides. A cohort with exactly half responders would bias evaluation by held-out patients:
    without the held-out one, its cohort always leans towards the other class.
    """
    response = rng.permutation(np.where(np.arange(n_patients) < n_patients // 2, "R", "NR"))
    responders, others = (rng.permutation(np.flatnonzero(response == label)) for label in ("R", "NR"))
    cohort = np.empty(n_patients, dtype=int)
    cohort[responders[:n_cohorts]] = cohort[others[:n_cohorts]] = np.arange(n_cohorts)
    rest = np.concatenate([responders[n_cohorts:], others[n_cohorts:]])
    cohort[rest] = rng.permutation(np.arange(len(rest)) % n_cohorts)
    width = max(2, len(str(n_patients)))
    names = [f"P{patient + 1:0{width}d}" for patient in range(n_patients)]
    return pd.DataFrame({"response": response, "cohort": cohort}, index=names)


def _draw_cells(real: _RealCells, n_cells: int, driver_share: float, rng: np.random.Generator) -> np.ndarray:
    """Rows of the real cells that a patient is made of, in random order."""
    types, size = np.unique(real.cell_type, return_counts=True)
    driver = int(np.flatnonzero(types == DRIVER)[0])
    share = (1 - driver_share) * size / (size.sum() - size[driver])
    share[driver] = driver_share
    n_of_type = rng.multinomial(n_cells, rng.dirichlet(COMPOSITION * share))
    missing = max(0, MIN_DRIVER_CELLS - n_of_type[driver])
    n_of_type[driver] += missing
    n_of_type[np.argmax(n_of_type)] -= missing
    drawn = [rng.choice(np.flatnonzero(real.cell_type == t), n) for t, n in zip(types, n_of_type, strict=True)]
    return rng.permutation(np.concatenate(drawn))


def _gain(real: _RealCells, effect: float) -> np.ndarray:
    """Counts of each gene that a driver cell of activity one gains at its own depth."""
    least = np.where(real.genes == TF, INDUCIBLE_TF, INDUCIBLE)
    planted = real.genes.isin([TF, *TARGETS])
    return np.where(planted, (2.0**effect - 1) * np.maximum(real.mean, least), 0.0)
