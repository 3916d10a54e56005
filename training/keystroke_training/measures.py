"""Error rates, in the terms of ISO/IEC 19795-1, and their intervals."""

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

RESAMPLES = 10_000
CALIBRATION_BINS = 10

Interval = tuple[float, float]


def interval(values: np.ndarray, users: np.ndarray, seed: int) -> Interval:
    """Return the 95 % percentile bootstrap interval of the mean of `values` [n], resampling
    `users` [n]: the typings of one user are not independent of each other.
    """
    _, users = np.unique(users, return_inverse=True)
    sums, sizes = np.bincount(users, weights=values), np.bincount(users)
    drawn = np.random.default_rng(seed).integers(len(sizes), size=(RESAMPLES, len(sizes)))
    return _percentiles(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))


def resampled(
    measure: Callable[[np.ndarray], float], users: int, seed: int, resamples: int = 500
) -> Interval:
    """Return the 95 % percentile bootstrap interval of `measure(times)`, where times [users] is
    how often each user was drawn. Draws that it has no number for (NaN) don't count.
    """
    random = np.random.default_rng(seed)
    drawn = random.integers(users, size=(resamples, users))
    return _percentiles(np.array([measure(np.bincount(row, minlength=users)) for row in drawn]))


def cumulative_match(ranks: np.ndarray, upto: int) -> np.ndarray:
    """The CMC curve: share of rows whose true user is at rank 1, 2, … `upto` or better."""
    return np.array([(ranks <= rank).mean() for rank in range(1, upto + 1)])


def calibration_curve(confidence: np.ndarray, right: np.ndarray) -> list[tuple[float, float, int]]:
    """Return (mean confidence, share that is right, rows) of CALIBRATION_BINS bins of equally
    many rows, by confidence.
    """
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, CALIBRATION_BINS) if len(part) > 0]
    return [(float(confidence[p].mean()), float(right[p].mean()), len(p)) for p in parts]


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error: the mean distance between the confidence and how
    often it is right, over the bins of `calibration_curve`.
    """
    curve = calibration_curve(confidence, right)
    return sum(abs(mean - share) * rows for mean, share, rows in curve) / len(confidence)


def area_under_curve(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return how often a positive value is above a negative one, ties counting half (AUROC)."""
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    least = len(positive) * (len(positive) + 1) / 2
    return float((ranks.sum() - least) / (len(positive) * len(negative)))


def threshold_for(false: np.ndarray, rate: float) -> float:
    """Return the least threshold that at most this share of `false` scores reaches: of
    impostors for a FMR, of strangers for a FPIR. There must be one, and `rate` be below 1.
    """
    ordered = np.sort(false)[::-1]
    return float(np.nextafter(ordered[int(rate * len(ordered))], np.inf))


class ErrorRates:
    """FMR and FNMR at every threshold, of scores [n] with the users [n] whose typings they are."""

    def __init__(
        self,
        genuine: np.ndarray,
        genuine_users: np.ndarray,
        impostor: np.ndarray,
        impostor_users: np.ndarray,
    ) -> None:
        self.genuine_order = np.argsort(genuine, kind="stable")
        self.impostor_order = np.argsort(impostor, kind="stable")
        drawn, places = np.unique(
            np.concatenate([genuine_users, impostor_users]), return_inverse=True
        )
        self.users = len(drawn)
        self.genuine_users = places[: len(genuine)][self.genuine_order]
        self.impostor_users = places[len(genuine) :][self.impostor_order]
        # FNMR changes at genuine scores only: FMR matters there, and just above.
        thresholds, self.missed_at = np.unique(genuine[self.genuine_order], return_index=True)
        self.refused_at, self.refused_above = (
            np.searchsorted(impostor[self.impostor_order], thresholds, side)
            for side in ("left", "right")
        )

    def trade_off(self, times: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return FMR and FNMR [thresholds + 1] at each genuine score as threshold, from the
        lowest, and beyond the highest (0 and 1): the DET curve. `times` [users] counts users so
        often.
        """
        return self._rates(*self._shares(times))

    def equal(self, times: np.ndarray | None = None) -> float:
        """Return the equal error rate, where FMR and FNMR cross; on the straight line where both
        change at the same score. NaN where `times` leave out everyone genuine, or every impostor.
        """
        if times is not None and not (
            times[self.genuine_users].any() and times[self.impostor_users].any()
        ):
            return np.nan
        missed, refused = self._shares(times)
        fmr, fnmr = self._rates(missed, refused)
        crossed = int(np.argmax(fnmr >= fmr))
        if crossed == 0:  # no impostor reaches any genuine score
            return 0.0
        just_above = 1 - refused[self.refused_above[crossed - 1]]
        if just_above >= fnmr[crossed]:
            return float(fnmr[crossed])
        excess = fmr[crossed - 1] - fnmr[crossed - 1]
        share = excess / (excess + fnmr[crossed] - just_above)
        return float(fnmr[crossed - 1] + share * (fnmr[crossed] - fnmr[crossed - 1]))

    def equal_interval(self, seed: int, resamples: int = 200) -> Interval:
        """Return the 95 % percentile bootstrap interval of `equal`, resampling users."""
        return resampled(self.equal, self.users, seed, resamples)

    def _rates(self, missed: np.ndarray, refused: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fmr, fnmr = 1 - refused[self.refused_at], missed[self.missed_at]
        return np.append(fmr, 0.0), np.append(fnmr, 1.0)

    def _shares(self, times: np.ndarray | None) -> list[np.ndarray]:
        """Shares of the genuine scores, and of the impostors', that the k lowest are."""
        times = np.ones(self.users) if times is None else times
        counts = [
            np.concatenate([[0.0], np.cumsum(times[users])])
            for users in (self.genuine_users, self.impostor_users)
        ]
        return [lowest / lowest[-1] for lowest in counts]


def _percentiles(values: np.ndarray) -> Interval:
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
