"""The change of the prediction within patients who have samples of both classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil._provenance import verb_of
from tcellmil._results import outcome_of_fit
from tcellmil.get._mil import predictions

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

Part = Literal["test", "patients"]
LOGIT_OFFSET = 1e-6


@documented
def paired_change(adata: AnnData | MuData, part: Part = "test", *, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    r"""Does the prediction change within patients who have samples of both classes, such as before and after treatment?

    Of a fit with a ``group_key`` and two classes. The change of a patient is the out-of-fold
    :math:`\log((p + \epsilon) / (1 - p + \epsilon))` of the positive class, :math:`\epsilon = 10^{-6}`, mean over the
    patient's samples of that class less the mean over those of the other: above 0 where the model tells them the right
    way round. All samples of a patient are held out by the same networks (but with leave-pair-out), so that what makes
    patients or networks different does not enter. New patients, after :func:`tcellmil.tl.predict`, are predicted by all
    networks. Patients with one class are counted, and not part of the test.

    Parameters
    ----------
    %(adata_of_fit)s
    part
        ``"test"``: one row. ``"patients"``: one row per patient with both classes.
    %(key)s

    Returns
    -------
    ``"test"``: index ``change``, such as ``"before to after"``; ``n_patients`` (with both classes), ``n_samples`` (of
    these), ``n_alone`` (patients with one class), ``n_right`` (patients whose change is above 0), ``mean_change`` with
    Student's 95% interval ``ci_low``, ``ci_high``, ``statistic`` and ``p`` of Wilcoxon's signed-rank test over
    patients, exact up to 50. ``"patients"``: index ``group``; ``n_from``, ``n_to`` (samples of the other and of the
    positive class), ``logit_from``, ``logit_to``, ``change``.

    Raises
    ------
    %(no_result)s
    ValueError
        If there is no ``group_key``, the outcome is not of two classes, no patient has samples of both, or ``part`` is
        not known.

    Warns
    -----
    %(left_out)s

    References
    ----------
    Wilcoxon (1945), Biometrics Bulletin 1, 80.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> of_class = adata.obs.groupby("response", observed=True)["patient"].unique()
    >>> person = {sample: f"person {i}" for samples in of_class for i, sample in enumerate(samples)}
    >>> adata.obs["person"] = adata.obs["patient"].map(person).astype(str)
    >>> tm.tl.fit_mil(adata, "patient", "response", group_key="person", training={"max_epochs": 3}, progress=False)
    >>> tm.get.paired_change(adata)[["n_patients", "n_samples", "n_alone"]].to_dict("index")
    {'NR to R': {'n_patients': 4, 'n_samples': 8, 'n_alone': 0}}
    """
    from tcellmil.stats._paired_change import mean_change

    check_choice(part, get_args(Part), "part")
    outcome, table = outcome_of_fit(adata, key), predictions(adata, key=key)
    if not outcome.has_classes or len(outcome.outputs) != 2:
        what = f"there are {len(outcome.outputs)}" if outcome.has_classes else f"the outcome is {outcome.kind!r}"
        raise ValueError(f"a paired change is of two classes, {what}; see get.predictions, which has the groups")
    if "group" not in table:
        verb = verb_of(adata.uns[key])
        raise ValueError(
            f"{key!r} has no groups, so that no samples are known to be of one patient; name their column with "
            f"group_key=... of tl.{verb}"
        )
    first, last = outcome.outputs
    known = table[table[f"prob_{last}"].notna() & table["label"].isin(outcome.outputs)]
    p = known[f"prob_{last}"].to_numpy(dtype=float)
    logit = pd.Series(np.log((p + LOGIT_OFFSET) / (1 - p + LOGIT_OFFSET)), index=known.index)
    sides = {"to": known["label"] == last, "from": known["label"] == first}
    grouped = {side: logit[rows].groupby(known.loc[rows, "group"]) for side, rows in sides.items()}
    patients = pd.DataFrame({f"n_{side}": grouped[side].size() for side in ("from", "to")})
    patients = patients.join(pd.DataFrame({f"logit_{side}": grouped[side].mean() for side in ("from", "to")}))
    both = patients.dropna().astype({"n_from": int, "n_to": int}).rename_axis(index="group")
    if both.empty:
        raise ValueError(f"no patient of {key!r} has samples of both {first!r} and {last!r}; there is no change")
    both["change"] = both["logit_to"] - both["logit_from"]
    if part == "patients":
        return both
    counts = {
        "n_patients": len(both),
        "n_samples": int(both[["n_from", "n_to"]].to_numpy().sum()),
        "n_alone": len(patients) - len(both),
        "n_right": int((both["change"] > 0).sum()),
    }
    row = counts | mean_change(both["change"].to_numpy())
    return pd.DataFrame(row, index=pd.Index([f"{first} to {last}"], name="change", dtype=object))
