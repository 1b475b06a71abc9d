"""What the perturbation of regulons, and of pairs of them, did to the predictions, as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

LOGIT_OFFSET = 1e-6


class Effects:
    """Predictions before and after each experiment, and what follows from them.

    Parameters
    ----------
    experiments
        What was shifted: a level for each column of the tables.
    patients
        Name of each bag.
    base
        ``(n_bags,)``.
    after
        ``(n_experiments, n_bags)``, NaN where the experiment could not be made.
    of_classes
        Predictions are probabilities, whose logits are tested. Otherwise they are numbers or log hazards, which are
        tested as they are.
    """

    def __init__(
        self,
        experiments: pd.MultiIndex,
        patients: np.ndarray,
        base: np.ndarray,
        after: np.ndarray,
        of_classes: bool = True,
    ):
        self.experiments, self.patients, self.base, self.after = experiments, patients, base, after
        self.name = "prob" if of_classes else "value"
        self.tested = "delta_logit" if of_classes else "delta"
        self.measures = {"delta": after - base}
        if of_classes:
            self.measures["delta_logit"] = _logit(after) - _logit(base)

    def add_epistasis(self, singles: Effects) -> None:
        """Of two regulons shifted together: the change minus the sum of the two changes alone."""
        one, other = (
            singles.experiments.get_indexer(self.experiments.droplevel(partner).set_names("regulon", level=0))
            for partner in ("regulon_2", "regulon_1")
        )
        for measure, alone in singles.measures.items():
            self.measures[measure.replace("delta", "epistasis")] = self.measures[measure] - (alone[one] + alone[other])
        self.tested = self.tested.replace("delta", "epistasis")

    def table(self) -> pd.DataFrame:
        """A row an experiment and patient that it could be made on."""
        e, i = np.nonzero(np.isfinite(self.after))
        keys = {name: self.experiments.get_level_values(name).to_numpy()[e] for name in self.experiments.names}
        values = {name: values[e, i] for name, values in self.measures.items()}
        patient = self.patients.astype(object)[i]
        predicted = {f"{self.name}_base": self.base[i], self.name: self.after[e, i]}
        return pd.DataFrame({"patient": patient, **keys, **predicted, **values})

    def statistics(self) -> pd.DataFrame:
        """A row an experiment, with a signed-rank test over patients of the measure that is tested."""
        from tcellmil.stats import benjamini_hochberg, signed_rank_by_column

        stats = pd.DataFrame(index=self.experiments)
        stats["n_patients"] = np.isfinite(self.after).sum(axis=1)
        for name, values in self.measures.items():
            over_patients = pd.DataFrame(values, index=self.experiments)
            stats[f"mean_{name}"] = over_patients.mean(axis=1)
            if not name.endswith("_logit"):
                stats[f"median_{name}"] = over_patients.median(axis=1)
        stats["statistic"], stats["p"] = signed_rank_by_column(self.measures[self.tested].T)
        stats["padj"] = benjamini_hochberg(stats["p"].to_numpy())
        stats["movable"] = stats["n_patients"] > 0
        return stats.reset_index()


def _logit(p: np.ndarray) -> np.ndarray:
    return np.log((p + LOGIT_OFFSET) / (1 - p + LOGIT_OFFSET))
