"""The fitted model out of an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil._docs import documented
from tcellmil._results import fit_part

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.model import TcellMIL


@documented
def model(adata: AnnData | MuData, *, key: str = _keys.TCELLMIL) -> TcellMIL:
    """The model that :func:`tcellmil.tl.fit_mil` fitted, on the data that it was fitted on.

    Reads ``uns[key]`` and the representation and columns that the model was set up with; ``adata`` is not changed.
    Only arrays and JSON are read, so the model of a file from elsewhere can be opened safely.

    Parameters
    ----------
    %(adata_of_fit)s
    %(key)s

    Raises
    ------
    KeyError
        If there is no fitted model under ``key``, or what it reads is no longer there.
    ValueError
        If the patients are not those that the model was fitted on.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> len(tm.get.model(adata).module)  # replicas: two folds, three seeds
    6
    """
    from tcellmil.data._read import only_what_is_read
    from tcellmil.model import TcellMIL
    from tcellmil.model._open import stored_model

    fields = stored_model(adata, key).schema.fields
    found = TcellMIL.from_state(adata.uns[key], only_what_is_read(adata, fields))
    found.set_history(fit_part(adata, key, "history").copy())
    return found
