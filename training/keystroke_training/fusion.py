"""`best`: the evidence of templates and of trees, added with learned weights."""

from typing import Self

import numpy as np

from keystroke_training.calibration import learn_weights
from keystroke_training.templates import Templates
from keystroke_training.trees import Trees

WEIGHTS = np.array([0.65, 0.65])  # where there is nothing to learn them from
MOST = 4.0  # a handful of typings, all recognised, would make them infinite


class Fusion:
    """evidence(row, u) = weights · (evidence of the templates, evidence of the trees)."""

    def __init__(self, templates: Templates, trees: Trees) -> None:
        self.members = (templates, trees)

    def fit(self, targets: np.ndarray) -> Self:
        """Learn the weights from what the fitted members hold out of their rows' `targets`."""
        templates, trees = self.members
        rows, of_templates, of_trees = np.intersect1d(
            templates.held_out_rows, trees.held_out_rows, return_indices=True
        )
        self.weights = WEIGHTS
        if len(rows) > 0:
            evidence = [
                templates.held_out_evidence[of_templates],
                trees.held_out_evidence[of_trees],
            ]
            learned = learn_weights(np.stack(evidence, axis=2), targets[rows])
            self.weights = np.minimum(learned, MOST)
        return self

    def evidence(self, rows: np.ndarray) -> np.ndarray:
        """Return the evidence [n, classes] of `timings` rows; softmax of it is the posterior."""
        evidence = [member.evidence(rows) for member in self.members]
        return np.stack(evidence, axis=2) @ self.weights
