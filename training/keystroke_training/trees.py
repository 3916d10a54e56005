"""Extremely randomised trees on raw timings, their votes turned into calibrated evidence."""

import warnings
from typing import Self

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from keystroke_training.calibration import learn_weights, more_typings
from keystroke_training.data import occurrences
from keystroke_training.features import narrowed

TREES = 250
FLOOR = 1 / (2 * TREES)  # half a tree's vote: no user is ever ruled out
EXPONENT = 1.5  # where there is nothing to learn it from
MOST_EXPONENT = 8.0  # a handful of typings, all recognised, would make it infinite
MAX_FOLDS = 8
MAX_FOLD_ROWS = 16_000  # in all folds: more rows make do with fewer folds


class Trees:
    """Extremely randomised trees (Geurts 2006) on `timings` rows.

    evidence(row, u) = exponent × ln max(votes for u / TREES, FLOOR). The exponent makes softmax
    of it the posterior, and is learned on rows that were held out. Votes are whole numbers (a
    leaf that equal rows of several users share gives parts of one; sums are rounded), so users
    with as many have the same evidence to the last bit.
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
        votes = np.zeros((len(rows), targets.max() + 1), np.int64)
        for fold in range(fold_of.max() + 1):
            out = fold_of == fold
            votes[out] = _votes(self._grow(rows[~out], targets[~out]), rows[out])
        logarithms = _logarithms(votes[self.held_out_rows])
        self.exponent = EXPONENT
        if len(self.held_out_rows) > 0:
            held_out = targets[self.held_out_rows]
            learned = learn_weights(logarithms[..., np.newaxis], held_out)[0]
            self.exponent = min(learned, MOST_EXPONENT)
        self.held_out_evidence = self.exponent * logarithms
        self.exponent *= more_typings(targets)
        return self

    @property
    def evidence_of_votes(self) -> np.ndarray:
        """The evidence [TREES + 1] of 0, 1, … votes, as it is stored."""
        logarithms = _logarithms(np.arange(TREES + 1))
        return narrowed(self.exponent * logarithms)

    def evidence(self, rows: np.ndarray) -> np.ndarray:
        """Return the evidence [n, classes]; softmax of it is the posterior."""
        return self.evidence_of_votes[_votes(self.forest, rows)]

    def _grow(self, rows: np.ndarray, targets: np.ndarray) -> ExtraTreesClassifier:
        forest = ExtraTreesClassifier(TREES, random_state=self.seed, n_jobs=1)
        with warnings.catch_warnings():  # two typings of each user look like a regression to it
            warnings.filterwarnings("ignore", "The number of unique classes")
            return forest.fit(rows, targets)


def _votes(forest: ExtraTreesClassifier, rows: np.ndarray) -> np.ndarray:
    # Decimals first: halves must be halves when they are rounded.
    return np.rint(np.round(forest.predict_proba(rows) * TREES, 6)).astype(np.int64)


def _logarithms(votes: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(votes / TREES, FLOOR))


def _folds(targets: np.ndarray) -> np.ndarray:
    """Fold of each row, so that every fold leaves rows of every user; −1 for users' only rows."""
    most = int(np.clip(MAX_FOLD_ROWS // len(targets), 2, MAX_FOLDS))
    counts = np.bincount(targets)[targets]
    return np.where(counts > 1, occurrences(targets) % np.minimum(counts, most), -1)
