"""How well claims are verified: at operating points, and at every threshold."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context

import numpy as np

from keystroke_training.decisions import DEFAULT_FMR, FMR
from keystroke_training.measures import ErrorRates, interval, threshold_for


@dataclass(frozen=True)
class Scores:
    """Statistics with the user [n] whose typing it is and the fold [n] in which that is a
    stranger: `right` ones and those that must not pass, `false`. `found` [n] tells whether a
    right one is of the best candidate.
    """

    right: np.ndarray
    found: np.ndarray
    users: np.ndarray
    folds: np.ndarray
    false: np.ndarray
    false_users: np.ndarray
    false_folds: np.ndarray

    def passed(self, rate: float) -> tuple[np.ndarray, np.ndarray]:
        """Return which right and false ones pass the thresholds that let this rate of the false
        ones of all other folds pass.
        """
        right, false = np.zeros(len(self.right), bool), np.zeros(len(self.false), bool)
        for fold in np.unique(np.concatenate([self.folds, self.false_folds])):
            others = self.false[self.false_folds != fold]
            threshold = threshold_for(others if len(others) > 0 else self.false, rate)
            of_fold, of_false = self.folds == fold, self.false_folds == fold
            right[of_fold] = self.right[of_fold] >= threshold
            false[of_false] = self.false[of_false] >= threshold
        return right, false


def verify(
    scores: Scores, attempts: int, seed: int
) -> tuple[list[dict], dict, tuple[np.ndarray, np.ndarray]]:
    """Return the operating points for so many attempts, what they are measured to do, as the
    manifest has both, and FMR and FNMR at every threshold.
    """
    points, measured = [], []
    for fmr in supported(FMR, DEFAULT_FMR, len(scores.false)):
        share = None
        if len(scores.right) > 0:
            passed, accepted = scores.passed(fmr)
            share = rounded(1 - passed.mean())
            measured.append(
                {
                    "fmr": fmr,
                    "fnmr": share,
                    "fnmrInterval": rounded_interval(~passed, scores.users, seed),
                    "realisedFmr": rounded(accepted.mean()),
                }
            )
        points.append(
            {
                "attempts": attempts,
                "fmr": fmr,
                "threshold": significant(threshold_for(scores.false, fmr)),
                "fnmr": share,
            }
        )
    found = {"attempts": attempts, "genuine": len(scores.right), "impostor": len(scores.false)}
    trade_off = (np.zeros(0), np.zeros(0))
    if len(scores.right) > 0:
        by_user = ErrorRates(scores.right, scores.users, scores.false, scores.false_users)
        found["eer"] = rounded(by_user.equal())
        found["eerInterval"] = [rounded(bound) for bound in by_user.equal_interval(seed)]
        trade_off = by_user.trade_off()
    return points, {**found, "points": measured}, trade_off


def supported(rates: tuple[float, ...], default: float, false: int) -> list[float]:
    """Return the rates that so many false scores can tell, one of which would be passed; and that
    which holds where a request names none, whatever it is worth.
    """
    return [rate for rate in rates if rate * false >= 1 or rate == default]


def rounded_interval(values: np.ndarray, users: np.ndarray, seed: int) -> list[float]:
    """Return the interval of the mean of values [n] by users [n]."""
    return [rounded(bound) for bound in interval(values, users, seed)]


def rounded(value: float) -> float:
    """Return a rate as it is published."""
    return round(float(value), 4)


def significant(threshold: float) -> float:
    """Return the threshold in six digits, and not a bit lower: it is just above a score."""
    return float(Context(prec=6, rounding=ROUND_CEILING).create_decimal_from_float(threshold))
