"""Extremely randomised trees on raw timings, their votes turned into calibrated evidence."""

import warnings
from typing import Self

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from keystroke_training.calibration import learn_weights, more_typings

TREES = 250
FLOOR = 1 / (2 * TREES)  # half a tree's vote: no user is ever ruled out
EXPONENT = 1.5  # where there is nothing to learn it from
MAX_FOLDS = 8
MAX_FOLD_ROWS = 16_000  # in all folds: more rows make do with fewer folds


class Trees:
    """Extremely randomised trees (Geurts 2006) on `timings` rows.

    evidence(row, u) = exponent × ln max(mean vote of the trees for u, FLOOR). The exponent
    makes softmax of it the posterior, and is learned on rows that were held out.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> Self:
        """Fit on rows [n, features] and class indices [n], of which every one occurs.

        Afterwards `held_out_rows` are the indices of rows of users with several, and
        `held_out_evidence` [those, classes] their evidence by trees that were fitted without
        them: the k-th row of each user without all k-th rows.
        """
        self.forest = self._grow(rows, targets)
        fold_of = _folds(targets)
        self.held_out_rows = np.flatnonzero(fold_of >= 0)
        votes = np.zeros((len(rows), targets.max() + 1))
        for fold in range(fold_of.max() + 1):
            out = fold_of == fold
            votes[out] = self._grow(rows[~out], targets[~out]).predict_proba(rows[out])
        logarithms = _logarithms(votes[self.held_out_rows])
        self.exponent = EXPONENT
        if len(self.held_out_rows) > 0:
            held_out = targets[self.held_out_rows]
            self.exponent = learn_weights(logarithms[..., np.newaxis], held_out)[0]
        self.held_out_evidence = self.exponent * logarithms
        self.exponent *= more_typings(targets)
        return self

    def evidence(self, rows: np.ndarray) -> np.ndarray:
        """Return the evidence [n, classes]; softmax of it is the posterior."""
        return self.exponent * _logarithms(self.forest.predict_proba(rows))

    def _grow(self, rows: np.ndarray, targets: np.ndarray) -> ExtraTreesClassifier:
        forest = ExtraTreesClassifier(TREES, random_state=self.seed, n_jobs=1)
        with warnings.catch_warnings():  # two typings of each user look like a regression to it
            warnings.filterwarnings("ignore", "The number of unique classes")
            return forest.fit(rows, targets)


def _logarithms(votes: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(votes, FLOOR))


def _folds(targets: np.ndarray) -> np.ndarray:
    """Fold of each row, so that every fold leaves rows of every user; −1 for users' only rows."""
    place = np.zeros(len(targets), np.int64)
    most = int(np.clip(MAX_FOLD_ROWS // len(targets), 2, MAX_FOLDS))
    for user in range(targets.max() + 1):
        own = np.flatnonzero(targets == user)
        folds = min(len(own), most)
        place[own] = np.arange(len(own)) % folds if folds > 1 else -1
    return place
