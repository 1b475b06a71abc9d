r"""What each feature of each cell adds to a prediction, against a background of training patients.

Expected gradients (Erion et al., Nat Mach Intell 2021), an average over background points :math:`b` of the integrated
gradients of Sundararajan et al. (ICML 2017),

.. math:: \phi_{jr} = \mathbb{E}_b \Big[ (x_{jr} - b_{jr}) \int_0^1
    \frac{\partial f}{\partial x_{jr}} \big(b + \alpha (x - b)\big) \, d\alpha \Big], \qquad
    \sum_{j,r} \phi_{jr} = f(x) - \mathbb{E}_b f(b)

approximate the Shapley values of SHAP (Lundberg and Lee, NeurIPS 2017) for a differentiable f. For single cells,
:class:`shap.GradientExplainer` draws :math:`b` and :math:`\alpha` at random. For a bag, whose output moves through the
attention of all cells at once, random draws leave an error of several percent; there the integral is taken by
Gauss-Legendre quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tcellmil.data._bags import Bags

from ._ensemble import FittedEnsemble, ensemble_of
from ._stack import FittedStack

OUTPUTS = ("probability", "logit", "value")

#: Quadrature is refined until a bag's values add up to within this share of what they should add up to ...
TOLERANCE = 0.005
#: ... or to this, where that is next to nothing (of a number or log hazard, times its spread) ...
MIN_TOLERANCE = 1e-4
#: ... by doubling the points of the quarter of the paths that are off most, at most this often.
MAX_DOUBLINGS = 20
#: No path gets more points; what is still off then is recorded and warned about.
MAX_STEPS = 2048

#: Points on paths are run together up to about this many values.
_CHUNK_VALUES = 4e6


@dataclass(frozen=True)
class Explanation:
    """Attributions of one patient's cells by one replica.

    Parameters
    ----------
    values
        ``(n_cells, n_classes, n_features)``.
    output
        What was explained: ``(n_cells, n_classes)`` per cell, ``(1, n_classes)`` for the whole bag.
    expected
        Mean output of the background, ``(n_classes,)``.
    """

    values: np.ndarray
    output: np.ndarray
    expected: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """Sum of the values minus the difference that they should add up to, in the shape of ``output``."""
        total = self.values.sum(axis=2)
        total = total if len(self.output) > 1 else total.sum(axis=0, keepdims=True)
        return total - (self.output - self.expected)


def explain_cells(
    stack: FittedStack | FittedEnsemble,
    bags: Bags,
    i: int,
    *,
    background: int,
    n_samples: int,
    output: str,
    seed: int,
    training: Bags | None = None,
) -> Explanation:
    """Each cell of a bag by itself, as a bag of one: attention is then 1 and explains nothing.

    Parameters
    ----------
    stack
        One replica.
    bags, i
        The data and the bag to explain.
    background
        Number of training cells, balanced by class and patient.
    n_samples
        Points on paths from random background cells, for each cell.
    output
        ``"probability"`` or ``"logit"``, the log-odds of a class against all others; ``"value"``, the number or the log
        hazard, where that is the outcome.
    seed
        For the background and the points.
    training
        The data that the replica was trained among, where a new patient is explained; ``bags`` by default.
    """
    import shap

    training = bags if training is None else training

    stack, rng = ensemble_of(stack), np.random.default_rng([seed, 3, i])
    network = _CellNetwork(stack, bags.bag_covariates[i], output)
    reference = stack.scale(training.x[background_cells(training, stack.replicas.train[0], background, rng)])[0]
    cells = stack.scale(bags.x[bags.bag(i)])[0]
    explainer = shap.GradientExplainer(network, reference, batch_size=n_samples)
    values = _without_global_seed(explainer.shap_values, cells, nsamples=n_samples, rseed=int(rng.integers(2**31)))
    values = values.reshape(*cells.shape, -1)  # a single output comes without its axis in some versions
    with torch.inference_mode():
        found, expected = network(cells).double().numpy(), network(reference).double().mean(dim=0).numpy()
    return Explanation(*_all_classes(values.transpose(0, 2, 1), found, expected, output))


def explain_bag(
    stack: FittedStack | FittedEnsemble,
    bags: Bags,
    i: int,
    *,
    background: int,
    n_steps: int,
    output: str,
    seed: int,
    training: Bags | None = None,
) -> Explanation:
    """The patient's prediction, attributed to its cells and features through the attention.

    Parameters
    ----------
    stack
        One replica.
    bags, i
        The data and the bag to explain.
    background
        Number of training cells, taken as bags of the size of this one, each from one patient, classes in turn.
    n_steps
        Points of the quadrature on each path to begin with; doubled where the values do not add up.
    output
        As in :func:`explain_cells`.
    seed
        For the background.
    training
        As in :func:`explain_cells`.
    """
    training = bags if training is None else training
    stack, rng = ensemble_of(stack), np.random.default_rng([seed, 4, i])
    cohort = bags.bag_covariates[i]
    cells = stack.scale(bags.x[bags.bag(i)])[0]
    picked = background_bags(training, stack.replicas.train[0], len(cells), background, rng)
    references = [stack.scale(training.x[rows])[0] for rows in picked]

    with torch.inference_mode():
        ends = [_output(stack.logits(x[None, None], cohort)[0], output)[0].double() for x in (cells, *references)]
    found, at_reference = ends[0], torch.stack(ends[1:])
    expected = at_reference.mean(dim=0)
    tolerance = (TOLERANCE * (found - expected).abs()).clamp(min=MIN_TOLERANCE * _unit(stack, ends, output))
    steps = [n_steps] * len(references)
    paths = [_integrate(stack, cells, reference, cohort, output, n_steps) for reference in references]
    for _ in range(MAX_DOUBLINGS):
        missing = torch.stack([path.sum(dim=(1, 2)) for path in paths]) - (found - at_reference)  # (path, class)
        off = missing.mean(dim=0).abs() > tolerance
        if not off.any():
            break
        size = missing[:, off].abs().amax(dim=1)
        for p in torch.nonzero(size >= size.quantile(0.75))[:, 0].tolist():
            if steps[p] >= MAX_STEPS:
                continue
            steps[p] *= 2
            paths[p] = _integrate(stack, cells, references[p], cohort, output, steps[p])
    values = torch.stack(paths).mean(dim=0).permute(1, 0, 2).numpy()
    return Explanation(*_all_classes(values, found[None].numpy(), expected.numpy(), output))


def _integrate(
    stack: FittedEnsemble, cells: Tensor, reference: Tensor, cohort: np.ndarray, output: str, n_steps: int
) -> Tensor:
    """Gradient along the straight path from ``reference`` to ``cells``, times the way: ``(class, cell, feature)``."""
    node, weight = np.polynomial.legendre.leggauss(n_steps)
    node, weight = torch.from_numpy((node + 1) / 2).float(), torch.from_numpy(weight / 2).float()
    size = max(1, int(_CHUNK_VALUES / cells.numel()))
    step = cells - reference
    total = 0
    for alpha, w in zip(node.split(size), weight.split(size), strict=True):
        points = (reference + alpha[:, None, None] * step)[None].requires_grad_()
        result = _output(stack.logits(points, cohort)[0], output)
        slopes = [
            torch.autograd.grad(result[:, c].sum(), points, retain_graph=True)[0][0] for c in range(result.shape[1])
        ]
        total = total + torch.einsum("p,cpjr->cjr", w, torch.stack(slopes)) * step
    return total.double()  # a float32 sum over a bag's many values would be off by more than the quadrature


def background_cells(bags: Bags, train: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """About ``n`` rows of ``bags.x``: the same number of each class and, within it, of each training patient.

    A patient with fewer cells than its share gives all of them, some of them again.
    """
    by_class = [np.flatnonzero(train & (bags.labels == c)) for c in np.unique(bags.labels[train])]
    rows = []
    for patients in by_class:
        share = max(1, round(n / (len(by_class) * len(patients))))
        rows += [_draw(bags, patient, share, rng) for patient in patients]
    return np.concatenate(rows)


def background_bags(bags: Bags, train: np.ndarray, n_cells: int, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of bags of ``n_cells``, about ``n`` cells in all, each from one training patient; equally many a class."""
    by_class = [rng.permutation(np.flatnonzero(train & (bags.labels == c))) for c in np.unique(bags.labels[train])]
    n_each = max(1, round(n / (n_cells * len(by_class))))
    patients = [np.resize(of_class, n_each) for of_class in by_class]
    return [_draw(bags, patient, n_cells, rng) for patient in np.concatenate(patients)]


def _draw(bags: Bags, patient: int, n: int, rng: np.random.Generator) -> np.ndarray:
    own = np.arange(bags.offsets[patient], bags.offsets[patient + 1])
    rounds = [rng.permutation(own) for _ in range(-(-n // len(own)))]
    return np.concatenate(rounds)[:n]


class _CellNetwork(torch.nn.Module):
    """One replica on cells ``(cell, feature)``, each a bag of its own: outputs ``(cell, class)``."""

    def __init__(self, stack: FittedEnsemble, cohort: np.ndarray, output: str):
        super().__init__()
        self._stack, self._cohort, self._kind = stack, cohort, output

    def forward(self, x: Tensor) -> Tensor:
        return _output(self._stack.logits(x[None, :, None], self._cohort)[0], self._kind)


def _output(logits: Tensor, output: str) -> Tensor:
    """What is explained, ``(row, class)``; of two classes only the last, the first being its mirror image."""
    if output == "value":
        return logits
    if output == "probability":
        values = logits.softmax(dim=-1)
    else:
        others = torch.stack(
            [torch.cat([logits[:, :c], logits[:, c + 1 :]], 1).logsumexp(1) for c in range(logits.shape[1])], 1
        )
        values = logits - others
    return values[:, 1:] if logits.shape[1] == 2 else values


def _unit(stack: FittedEnsemble, ends: list[Tensor], output: str) -> float:
    """What a small difference is measured by: 1, or the spread of the numbers, observed or predicted."""
    if output != "value":
        return 1.0
    scales = [float(member.classifier["head.scale"].max()) for member in stack.members]
    return max(*scales, float(max(ends) - min(ends)))


def _all_classes(values, found, expected, output):
    """Add the first of two classes: probabilities add up to 1 and log-odds to 0, attributions in both cases to 0."""
    if found.shape[1] > 1 or output == "value":
        return values.astype(np.float32), found, expected
    total = 1.0 if output == "probability" else 0.0
    return (
        np.concatenate([-values, values], axis=1).astype(np.float32),
        np.concatenate([total - found, found], axis=1),
        np.concatenate([total - expected, expected]),
    )


def _without_global_seed(call, *args, **kwargs):
    """Call a function that seeds NumPy's global generator, and leave the generator as it was."""
    state = np.random.get_state()
    try:
        return call(*args, **kwargs)
    finally:
        np.random.set_state(state)
