"""Texts of parameters that many functions share, each written once.

A docstring names a parameter alone on its line, ``%(copy)s``, and :func:`documented` puts the text there, indented as
the line is. A name that is not in :data:`PARAMETERS` is an error when the module is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable | type)

#: Parameter by name: its entry in the manner of numpydoc.
PARAMETERS = {
    "y_true": """y_true
    Class of each patient, ``(n_patients,)``, codes 0 to ``n_classes - 1``; class 1 of two is the positive one.""",
    "proba": """proba
    Probability of each class, ``(n_patients, n_classes)``; rows sum to 1.""",
    "proba_reference": """proba, reference
    Class probabilities of the two methods that are compared, ``(n_patients, n_classes)``; rows sum to 1.""",
    "n_boot": """n_boot
    Number of resamples, at least 1.""",
    "level": """level
    Nominal coverage of the intervals, in (0, 1).""",
    "bootstrap_seed": """seed
    Seed of the resamples.""",
    "bootstrap_groups": """groups
    ``(n_patients,)`` codes: rows that are drawn together, such as several samples of a patient.""",
    "absent": """absent
    What becomes of metrics that need patients of every class where one has none: ``"error"``, or ``"nan"``, in which
    case only those that are defined without it are given.""",
    "time": """time
    Time to the event or to the end of observation, ``(n_patients,)``, at least 0, in any unit.""",
    "event": """event
    Whether the event was observed (1 or True) or the patient was censored (0 or False), ``(n_patients,)``.""",
    "layer": """layer
    Layer to read; ``adata.X`` by default.""",
    "gene_symbols": """gene_symbols
    Column of ``adata.var`` with the symbols of the genes, where ``var_names`` are identifiers, as in scanpy; for files
    of CELLxGENE ``"feature_name"``. Genes that share a symbol are merged: counts are added up, of other values the
    highest in each cell is taken. A gene without a symbol keeps its ``var_name``.""",
    "gene_symbols_as_names": """gene_symbols
    Column of ``adata.var`` with the symbols of the genes, where ``var_names`` are identifiers, as in scanpy; for files
    of CELLxGENE ``"feature_name"``.""",
    "max_bytes": """max_bytes
    Most bytes that the file may expand to; by default 100 times its size on disk, and at least 64 MiB. Raise it for a
    file that is compressed more than that and comes from somebody you trust.""",
    "auc_threshold": """auc_threshold
    Share of the ranking of genes that counts, in (0, 1].""",
    "nes_threshold": """nes_threshold
    Lowest normalised enrichment score of a motif. Among ``n`` motifs it cannot exceed ``sqrt(n - 1)``, so that a
    small database finds nothing.""",
    "copy": """copy
    Return a changed copy instead of changing ``adata``.""",
    "key": """key
    Name of the fit: the ``key_added`` of :func:`tcellmil.tl.fit_mil`, or of :func:`tcellmil.tl.predict`.""",
    "model_that_predicted": """model
    Of predictions of :func:`tcellmil.tl.predict`, what it was given: the AnnData or MuData that
    :func:`tcellmil.tl.fit_mil` wrote to, or a fitted :class:`tcellmil.model.TcellMIL`. Not for a fit.""",
    "result_key": """result_key
    Name of the result: the ``key_added`` of the verb, where one was given. ``key`` is then not used.""",
    "own_result_key": """result_key
    Name of the result: the ``key_added`` of the verb, where one was given.""",
    "annotation_key": """key
    Name of the annotation: the ``key_added`` of :func:`tcellmil.tl.annotate_sentences`.""",
    "adata_of_fit": """adata
    AnnData or MuData with a result of :func:`tcellmil.tl.fit_mil`, or of :func:`tcellmil.tl.predict`.""",
    "only_regulons": """regulons
    Only this regulon, or these.""",
    "no_result": """KeyError
    If there is no such result. The message names the call that writes it.""",
    "left_out": """UserWarning
    If patients have been left out of the data since: the table is of all patients of the result.""",
    "no_skill": """UserWarning
    If the 95% interval of the model's main metric is not above that of no skill, such as an AUROC of 0.5: what is told
    is then of a model that may know nothing. ``attrs["no_skill"]`` of a table says so, and is empty otherwise. New
    patients count by their own metrics, where outcomes are known.""",
    "no_rows": """KeyError
    If there is no such result, or none of a name that was requested.""",
    "unknown_part": """ValueError
    If ``part`` is not known.""",
    "progress": """progress
    Show a progress bar.""",
    "ax": """ax
    Axes to draw on, one for each panel; a new figure is made without.""",
    "show": """show
    Show the figure; by default as ``scanpy.settings.autoshow`` says, and not when ``ax`` is given.""",
    "save": """save
    Path of a file to write the figure to, in the format of its ending, such as ``.png`` or ``.pdf``.""",
    "palette": """palette
    A list of colours in the order of the legend, a dict of name and colour for some of them, or the name of a colormap
    of matplotlib or seaborn. A picture of numbers takes a list or a name.""",
    "figsize": """figsize
    Width and height of a new figure in inches; by default as large as what it shows needs. In a small one, names of
    rows are shortened.""",
    "title": """title
    Title of the whole figure, as it is written; with ``ax``, of the first panel, in place of its own.""",
    "picture_errors": """ValueError
    If ``ax`` has not as many axes as there are panels, or ``save``, ``palette`` or ``figsize`` cannot be used.""",
    "benchmark_methods": """methods
    Which methods of a benchmark, on all of its representations; by default its reference and the best six others by
    AUROC.""",
    "keys_of_curves": """key
    Name of a fit, or of several with two classes each, to compare; or that of a result of
    :func:`tcellmil.tl.benchmark`, usually ``"benchmark"``, for curves of its methods.""",
    "real_generated": """real, generated
    Real and generated cells, ``(n_real, n_features)`` and ``(n_generated, n_features)``: an embedding, or expression;
    finite, dense or sparse.""",
    "pairs": """real, generated
    ``(n_samples, n_genes)``, finite, dense or sparse; row ``i`` of one belongs to row ``i`` of the other.""",
    "by_pairs": """by
    Condition of each pair, none missing: labels, or a table with several columns, of which each combination that occurs
    is a condition.""",
    "by_sets": """by
    ``(labels of the real cells, labels of the generated cells)``, none missing: the metric is computed within each
    condition. Labels may be tables with several columns, of which each combination that occurs is a condition. Both
    sets need the same conditions.""",
    "by_condition": """A :class:`~tcellmil.metrics.ByCondition`: the ``mean`` and the ``values`` of conditions.""",
    "with_by": """With ``by``, a :class:`~tcellmil.metrics.ByCondition` instead: ``mean`` over conditions, each of which
counts the same, and the ``values`` of each.""",
    "keys": """key
    Name of the fit, or of several, to compare: their ``key_added`` of :func:`tcellmil.tl.fit_mil`.""",
}

_PLACE = re.compile(r"^([ \t]*)%\((\w+)\)s[ \t]*$", flags=re.MULTILINE)


def documented(function: F) -> F:
    """Put the texts of :data:`PARAMETERS` into the docstring of a function or class.

    Raises
    ------
    KeyError
        If the docstring names a parameter that has no text.

    Examples
    --------
    >>> @documented
    ... def verb(copy):
    ...     '''Do it.
    ...
    ...     Parameters
    ...     ----------
    ...     %(copy)s
    ...     '''
    >>> print(verb.__doc__.splitlines()[4])
        copy
    """
    if function.__doc__ is not None:  # as it is under python -OO
        function.__doc__ = _PLACE.sub(_indented, function.__doc__)
    return function


def _indented(place: re.Match) -> str:
    indent, name = place.groups()
    if name not in PARAMETERS:
        raise KeyError(f"_docs.PARAMETERS has no text for {name!r}")
    return "\n".join(indent + line if line else line for line in PARAMETERS[name].splitlines())
