"""What a model reads: the user's keys, declared once."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, MISSING, asdict, dataclass, fields
from typing import Literal

from tcellmil._checks import check_choice, choices, some
from tcellmil.outcomes import OUTCOMES, Outcome

from ._representations import ScalingKind

Unlabelled = Literal["error", "predict"]
OutcomeKind = Literal[tuple(OUTCOMES)]


@dataclass(frozen=True)
class Fields:
    """Columns of ``obs`` and representations that a model reads.

    Each field is an argument of :func:`tcellmil.tl.fit_mil`, :meth:`tcellmil.model.TcellMIL.setup_anndata` and
    :meth:`~tcellmil.model.TcellMIL.setup_mudata`, with the text below (:func:`takes_fields`). A further key is one more
    field here.

    Parameters
    ----------
    sample_key
        Column of ``obs`` with the patient, or with the sample where patients have several. In a MuData, a column of a
        modality's ``obs`` is ``"modality:column"``, here and below.
    label_key
        Column of ``obs`` with the outcome, the same for all cells of a patient: two classes or more, or what
        ``outcome`` says.
    batch_key
        Column of ``obs`` with the cohort. The classifier is *given* it, one-hot beside the cells; it is not removed, as
        what scvi-tools calls by this name is. A cohort that goes with the label predicts it without any cell: of
        classes, how well it does alone is reported beside the metrics.
    use_rep
        Key of ``obsm``: regulon activity, or any other representation; ``"X"`` is ``adata.X`` itself. Of several keys,
        each representation has an encoder of its own, and the latent of a cell is their latents side by side. In a
        MuData, a mapping from modalities to a key of their ``obsm``, or several, or ``"X"`` for their matrix:
        ``{"regulons": "X", "prot": "X_pca"}``; these modalities must have the same cells.
    outcome
        What ``label_key`` holds: ``"classes"``; ``"ordinal"``, classes with an order, by proportional odds;
        ``"continuous"``, a number, by squared error; ``"survival"``, a time to event, by the Cox partial likelihood.
    event_key
        For ``"survival"``: column of ``obs`` with 1 for an event at that time and 0 where it was censored.
    class_order
        For ``"ordinal"``: the classes, lowest first; an ordered categorical column has its own.
    positive_class
        For ``"classes"``: the label that counts as positive; the last in alphabetical order by default.
    unlabelled
        ``"error"``, or ``"predict"``: patients without a label are predicted by all replicas, never trained on.
    group_key
        Column of ``obs`` that says which samples must stay together, such as the patient where ``sample_key`` is one of
        several samples: all of them are on one side of every split, and intervals are over groups.
    continuous_covariate_keys
        Columns of ``obs`` with numbers known of each patient, such as the age. They stand beside the embedding of the
        patient's cells, in units of the training patients' standard deviation.
    categorical_covariate_keys
        Columns of ``obs`` with categories known of each patient, such as the sex, one-hot beside the embedding.
    scaling
        How a representation comes to [-1, 1]: ``"unit_interval"`` (2x - 1, for scores in [0, 1]), ``"standard"`` (mean
        and three standard deviations of the training patients' cells, clipped), or ``"auto"``: the first for AUCell
        scores of :func:`tcellmil.tl.regulons`, the second for all else. One for all representations, or a list.

    Raises
    ------
    ValueError, TypeError
        If keys contradict each other.
    """

    sample_key: str
    label_key: str
    batch_key: str | None = None
    use_rep: str | Sequence[str] | Mapping[str, str | Sequence[str]] = "X_regulons"
    _: KW_ONLY
    outcome: OutcomeKind = "classes"
    event_key: str | None = None
    class_order: Sequence[str] | None = None
    positive_class: str | None = None
    unlabelled: Unlabelled = "error"
    group_key: str | None = None
    continuous_covariate_keys: Sequence[str] | None = None
    categorical_covariate_keys: Sequence[str] | None = None
    scaling: ScalingKind | Sequence[ScalingKind] = "auto"

    def __post_init__(self):
        check_choice(self.unlabelled, choices(Unlabelled), "unlabelled")
        check_choice(self.outcome, tuple(OUTCOMES), "outcome")  # those added since the import too
        for name in ("continuous_covariate_keys", "categorical_covariate_keys"):
            object.__setattr__(self, name, column_names(getattr(self, name)))
        for argument, key in self.columns():
            if not isinstance(key, str):
                raise TypeError(f"{argument} must be the name of a column of obs, got {key!r}")
        self.outcome_type.check_keys(asdict(self))
        self._check_different()

    @property
    def outcome_type(self) -> type[Outcome]:
        """The class behind ``outcome``."""
        return OUTCOMES[self.outcome]

    def columns(self) -> Iterator[tuple[str, str]]:
        """Every argument that names a column, and the column."""
        for name in ("sample_key", "label_key", "event_key", "batch_key", "group_key"):
            if getattr(self, name) is not None:
                yield name, getattr(self, name)
        for name in ("continuous_covariate_keys", "categorical_covariate_keys"):
            for key in getattr(self, name):
                yield name, key

    def given(self, without: Sequence[str] = ()) -> dict[str, object]:
        """The fields by name, for a record."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in without}

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> Fields:
        """Inverse of :meth:`as_dict`, after a trip through JSON."""
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})

    def _check_different(self) -> None:
        """Raise where one column is to be two things: a cohort that is the label would give the answer away."""
        named = [(argument, key) for argument, key in self.columns() if not argument.endswith("keys")]
        for i, (argument, key) in enumerate(named):
            for other, same in named[:i]:
                if key == same and "group_key" not in (argument, other):
                    raise ValueError(f"{other} and {argument} are both {key!r}; they must be different columns")
        continuous, categorical = self.continuous_covariate_keys, self.categorical_covariate_keys
        others = {key for argument, key in named if argument != "group_key"}
        twice = sorted({*continuous} & {*categorical} | {*continuous, *categorical} & others)
        if twice:
            raise ValueError(f"columns {some(twice)} are named twice: as covariates, and as something else")


def takes_fields(*, without: Sequence[str] = ()) -> Callable:
    """Give ``function(data, fields, ...)`` a signature in which each of the fields is an argument of its own.

    Parameters
    ----------
    without
        Fields that the function does not offer.

    Returns
    -------
    A decorator. ``%(fields)s`` in the docstring becomes the texts of the fields, which stand in :class:`Fields`.

    Examples
    --------
    >>> @takes_fields(without=["scaling"])
    ... def verb(adata, fields, *, copy=False):
    ...     return fields.label_key
    >>> verb("cells", "patient", label_key="response", copy=True)
    'response'
    """
    offered = [field for field in fields(Fields) if field.name not in without]

    def decorate(function: Callable) -> Callable:
        own = list(inspect.signature(function).parameters.values())
        place = [parameter.name for parameter in own].index("fields")
        keys = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY if field.kw_only else inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=field.type,
            )
            for field in offered
        ]
        in_order = [*own[:place], *keys, *own[place + 1 :]]
        in_order.sort(key=lambda parameter: parameter.kind)  # stable: keyword-only arguments come last
        signature = inspect.signature(function).replace(parameters=in_order)
        names = [field.name for field in offered]

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            if "layer" in kwargs and "layer" not in signature.parameters:
                raise TypeError(
                    f"{function.__name__} takes no layer; it reads representations: "
                    f"adata.obsm['X_layer'] = adata.layers[{kwargs['layer']!r}], then use_rep='X_layer'"
                )
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                unknown = [name for name in kwargs if name not in signature.parameters]
                hint = f"; options of the training go into training={{{unknown[0]!r}: ...}}" if unknown else ""
                raise TypeError(
                    f"{function.__name__} {error}{hint if 'training' in signature.parameters else ''}"
                ) from None
            given = {name: bound.arguments.pop(name) for name in names if name in bound.arguments}
            others = dict(bound.arguments)
            before = [others.pop(parameter.name) for parameter in own[:place]]
            return function(*before, Fields(**given), **others)

        wrapper.__signature__ = signature
        if wrapper.__doc__ is not None:
            wrapper.__doc__ = _with_texts(wrapper.__doc__, names)
        return wrapper

    return decorate


def _with_texts(docstring: str, names: Sequence[str]) -> str:
    """Put the texts of the fields where the docstring says ``%(fields)s``."""
    entries = _texts()

    def entry(place: re.Match) -> str:
        lines = "\n".join(entries[name] for name in names).splitlines()
        return "\n".join(place[1] + line if line else line for line in lines)

    return re.sub(r"^([ \t]*)%\(fields\)s[ \t]*$", entry, docstring, flags=re.MULTILINE)


def _texts() -> dict[str, str]:
    """Entry of each field, from the docstring of :class:`Fields`."""
    section = inspect.cleandoc(Fields.__doc__ or "").partition("Parameters\n----------\n")[2].partition("\n\nRaises")[0]
    entries = re.split(r"^(?=\w+$)", section, flags=re.MULTILINE)
    return {entry.partition("\n")[0]: entry.rstrip() for entry in entries if entry}


def column_names(keys: Sequence[str] | None) -> tuple[str, ...]:
    """Names of columns, each once: of one, of several, or of none."""
    return () if keys is None else (keys,) if isinstance(keys, str) else tuple(dict.fromkeys(keys))
