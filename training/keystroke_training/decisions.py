"""From evidence to decisions: the arithmetic that the service does, in the same order."""

from dataclasses import dataclass

import numpy as np

from keystroke_training.calibration import log_softmax

FPIR = (0.01, 0.05, 0.1)
FMR = (0.001, 0.01, 0.05)
DEFAULT_FPIR, DEFAULT_FMR = 0.05, 0.01  # as the service has them
MOST_ATTEMPTS = 4


@dataclass(frozen=True)
class Statistic:
    """own × e − cohort × temperature × ln mean(exp(others / temperature)), of the evidence e of a
    user and that of all others: the cohort (Auckenthaler 2000, with the mean taken softly).

    A temperature above 1 lets many middling rivals count beside the strongest.
    """

    own: float = 1.0
    cohort: float = 1.0
    temperature: float = 1.0

    def of_all(self, evidence: np.ndarray) -> np.ndarray:
        """Return the statistic [rows, users] of every user, of fused evidence [rows, users]."""
        cooled = evidence / self.temperature
        best = cooled.argmax(axis=1)[:, np.newaxis]
        most = np.take_along_axis(cooled, best, axis=1)
        rivals = cooled.copy()
        np.put_along_axis(rivals, best, -np.inf, axis=1)
        # What is left without the best is added up apart: subtracted from a sum that is nearly
        # all the best's, it would be lost in rounding.
        without_best = _log_sum(rivals)
        others = most + np.log1p(np.exp(without_best - most) - np.exp(rivals - most))
        np.put_along_axis(others, best, without_best, axis=1)
        count = evidence.shape[1] - 1
        means = self.temperature * (others - np.log(count))
        return self.own * evidence - self.cohort * means

    def of_claim(
        self, evidence: np.ndarray, cohort: np.ndarray, kept: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the statistic [rows, users] of evidence for users outside the cohort, whose
        own is [rows, cohort]; `kept` [users, cohort] is the part of it each user has (default all).
        """
        if kept is None:
            kept = np.ones((1, cohort.shape[1]), bool)
        cooled = cohort / self.temperature
        most = cooled.max(axis=1, keepdims=True)
        shares = kept / kept.sum(axis=1, keepdims=True)
        means = most + np.log(np.exp(cooled - most) @ shares.T)
        return self.own * evidence - self.cohort * self.temperature * means


def _log_sum(evidence: np.ndarray) -> np.ndarray:
    most = evidence.max(axis=1, keepdims=True)
    return most + np.log(np.exp(evidence - most).sum(axis=1, keepdims=True))


def fuse(evidence: np.ndarray, correlation: float) -> np.ndarray:
    """Return the fused evidence [rows, users] of attempts [rows, attempts, users].

    Attempts of one person resemble each other, and count for less than as many people would:
    evidence with an equal correlation between any two adds up to its sum / (1 + (attempts − 1)
    × correlation).
    """
    return evidence.sum(axis=1) / (1 + (evidence.shape[1] - 1) * correlation)


def confidence(evidence: np.ndarray) -> np.ndarray:
    """Return the posterior of the best user [rows], of fused evidence [rows, users]."""
    return np.exp(log_softmax(evidence).max(axis=1))
