"""Recognises users by the eight numbers, far better than the reference models do.

1. The eight numbers are re-expressed. They pin down more than they show: the first and the last
   hold, the holds between them, and how strongly a hold goes with the press-press time before
   and the release-press time after it.
2. A template for every user, from a hierarchical normal model: users' centres are spread
   normally around the population's centre, a user's covariance resembles everyone's pooled one,
   and few typings move either only so far. A row's score is its log-density under each template.
3. A correction of those scores, because people are not normal: a kernel logistic regression on
   the row's city-block distances to all users' centres, learned on top of the scores that
   templates give to typings they were made without.
4. One factor that makes the softmax of the scores honest probabilities, learned from typings
   that everything before was made without.

Everything is learned by `fit` but the constants below, which are the same for all data. They were
chosen on the public data by leaving repetitions out; a choice by the training rows of a single
fold comes to nearly the same. Nothing is random.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular
from scipy.optimize import minimize, minimize_scalar

from keystroke_training.calibration import log_softmax
from keystroke_training.data import occurrences
from keystroke_training.features import FEATURE_ORDER

EXPRESSED = (
    "log PPT mean",
    "log PPT spread relative to the mean",
    "log mean of the inner holds",
    "log spread of the inner holds",
    "first hold",
    "last hold",
    "correlation of press-press with the hold in it",
    "correlation of release-press with the hold after it",
    "reciprocal of the PPT spread",
    "whether the first hold is a real one",
)

# The rest bend some of these once more, which straight templates need and the kernel doesn't.
STRAIGHT = 8

# Anything longer counts as this many ms, lest the squares of absurd numbers lose all digits.
LONGEST_TIME = 60_000.0
LONGEST_HOLD = 1000.0
# Floors in ms (ms² for a variance), far below what people do: they keep logarithms finite.
PPT_MEAN_FLOOR = 20.0
PPT_STD_FLOOR = 4.0
HOLD_MEAN_FLOOR = 10.0
HOLD_VARIANCE_FLOOR = 16.0
RECIPROCAL_FLOOR = 10.0
# A millisecond of clock: without it, the correlation of constants would be 0 / 0.
CLOCK_VARIANCE = 1.0
# Rounded or made-up numbers can imply an impossible one.
MOST_CORRELATION = 0.98
# Some clients report the first key as released at once; a hold of this many ms is a real one.
REAL_HOLD = 30.0
# Units of the features that are not logarithms, so that all vary by about as much.
FIRST_HOLD_UNIT = 40.0
LAST_HOLD_UNIT = 30.0
RECIPROCAL_UNIT = 20.0

# A deviation within users below this is not believed: features can be constant in training.
SMALLEST_DEVIATION = 0.02
# Before any typing is seen, users are taken to vary by this share of the whole variance, which
# counts as many typings as the second number. It matters only where there are hardly more.
PRIOR_SHARE = 0.25
PRIOR_TYPINGS = 10.0
# A user's own covariance counts as many typings as there are, everyone's as many as this.
POOLED_TYPINGS = 40.0
# The least variance between users, in units of the one within.
LEAST_BETWEEN = 1e-3
# Of the Student density: its tails forgive an odd typing.
DEGREES_OF_FREEDOM = 14.0

# The kernel falls by e over this distance, in deviations within users for each feature.
REACH = 4.0
RIDGE = 0.1
# Keeps the kernel matrix of the centres regular where two nearly coincide.
JITTER = 1e-3

MAX_FOLDS = 10
# Deviation of the logarithm of the calibrating factor that is expected beforehand, so that a
# handful of typings, all recognised, don't make it infinite.
FACTOR_DEVIATION = 0.5


def linear_forms(keys: int) -> np.ndarray:
    """Coefficients [8, 5]: eight numbers → first hold, last hold, mean of all holds but the
    last, of all but the first, and of all but both.

    They follow from the invariants of one typing, for instance PPT = HT + RPT key by key.
    """
    hold, _, press, _, release, _, gap, _ = np.eye(len(FEATURE_ORDER))
    pairs = keys - 1
    last = keys * hold - pairs * (press - gap)
    first = last - pairs * (release - press)
    leading = (keys * hold - last) / pairs
    trailing = (keys * hold - first) / pairs
    # Two keys have no inner hold; theirs is a constant 0.
    inner = (keys * hold - first - last) / max(keys - 2, 1)
    return np.stack([first, last, leading, trailing, inner], axis=1)


def square_forms(keys: int) -> np.ndarray:
    """Coefficients [13, 7]: squares of the eight numbers and the five of `linear_forms` →
    variance of the holds but the last, of PPT, of RPT, of the holds but the first, of the inner
    holds, and the covariances of PPT with its hold and of RPT with the hold after it.
    """
    squares = np.eye(len(FEATURE_ORDER) + 5)
    hold_mean, hold_std, _, press_std, _, release_std, _, gap_std = squares[:8]
    first, last, leading_mean, trailing_mean, inner_mean = squares[8:]
    pairs = keys - 1
    total = keys * (hold_std + hold_mean)
    leading = (total - last) / pairs - leading_mean
    trailing = (total - first) / pairs - trailing_mean
    inner = (total - first - last) / max(keys - 2, 1) - inner_mean
    # RPT = PPT − HT of the earlier key, RRT = RPT + HT of the later one.
    before = (press_std + leading - gap_std) / 2
    after = (release_std - gap_std - trailing) / 2
    return np.stack([leading, press_std, gap_std, trailing, inner, before, after], axis=1)


def express(rows: np.ndarray, keys: int) -> np.ndarray:
    """Re-express eight numbers [n, 8] of typings of `keys` keys as EXPRESSED [n, 10]."""
    rows = np.clip(rows, -LONGEST_TIME, LONGEST_TIME)
    linear = rows @ linear_forms(keys)
    values = np.concatenate([rows, linear], axis=1)
    squares = (values * values) @ square_forms(keys)
    leading, press, gap, trailing, inner, before, after = squares.T
    first, last = np.clip(linear[:, :2], 0, LONGEST_HOLD).T
    log_mean = np.log(np.maximum(rows[:, 2], PPT_MEAN_FLOOR))
    return np.stack(
        [
            log_mean,
            np.log(np.maximum(rows[:, 3], PPT_STD_FLOOR)) - log_mean,
            np.log(np.maximum(linear[:, 4], HOLD_MEAN_FLOOR)),
            np.log(np.maximum(inner, HOLD_VARIANCE_FLOOR)) / 2,
            first / FIRST_HOLD_UNIT,
            last / LAST_HOLD_UNIT,
            _fisher(before, press, leading),
            _fisher(after, gap, trailing),
            RECIPROCAL_UNIT / np.maximum(rows[:, 3], RECIPROCAL_FLOOR),
            np.minimum(first / REAL_HOLD, 1),
        ],
        axis=1,
    )


def _fisher(covariance: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Fisher's transformation of a correlation, whose deviation does not depend on its size."""
    variances = (np.maximum(one, 0) + CLOCK_VARIANCE) * (np.maximum(other, 0) + CLOCK_VARIANCE)
    correlation = covariance / np.sqrt(variances)
    bounded = np.clip(correlation, -MOST_CORRELATION, MOST_CORRELATION)
    return np.log((1 + bounded) / (1 - bounded)) / 2


@dataclass(frozen=True)
class Densities:
    """Every user's Student density of the features.

    A row less `origin` [10], times the user's of `projections` [users, 10, 10], less the user's
    of `centres` [users, 10] has unit covariance. `offsets` [users] are the log-densities at the
    centres, up to a constant; `factor` calibrates them. `deviations` [10] are those within users.
    """

    origin: np.ndarray
    projections: np.ndarray
    centres: np.ndarray
    offsets: np.ndarray
    deviations: np.ndarray
    factor: float = 1.0

    def score(self, expressed: np.ndarray) -> np.ndarray:
        """Log-density [n, users] of rows [n, 10] under every template, up to a constant and
        times the factor.
        """
        distances = np.empty((len(expressed), len(self.offsets)))
        for user, (projection, centre) in enumerate(
            zip(self.projections, self.centres, strict=True)
        ):
            apart = (expressed - self.origin) @ projection - centre
            distances[:, user] = (apart * apart).sum(axis=1)
        power = (DEGREES_OF_FREEDOM + len(self.origin)) / 2
        logs = self.offsets - power * np.log1p(distances / DEGREES_OF_FREEDOM)
        return self.factor * logs


def fit_templates(expressed: np.ndarray, targets: np.ndarray, users: int) -> Densities:
    """Templates of `users` users; one without a row gets the population's."""
    counts = np.bincount(targets, minlength=users)
    seen = counts > 0
    means = _means(expressed, targets, users)
    residuals = expressed - means[targets]

    prior = PRIOR_TYPINGS * PRIOR_SHARE * np.diag(expressed.var(axis=0))
    spread = len(expressed) - seen.sum() + PRIOR_TYPINGS
    within = (residuals.T @ residuals + prior) / spread
    within += SMALLEST_DEVIATION**2 * np.eye(len(within))
    origin = means[seen].mean(axis=0)
    shifts = means[seen] - origin
    between = shifts.T @ shifts / max(seen.sum() - 1, 1)
    # Axes in which the covariance within users is 1 and that between them is diagonal.
    variances, axes = eigh(between, within)
    # The means of few typings lie further apart than the users' centres.
    variances = np.maximum(variances - (1 / counts[seen]).mean(), LEAST_BETWEEN)

    weights = variances / (counts[:, np.newaxis] * variances + 1)
    centres = counts[:, np.newaxis] * weights * ((means - origin) @ axes)
    scatter = np.zeros((users, len(axes), len(axes)))
    turned = residuals @ axes
    np.add.at(scatter, targets, turned[:, :, np.newaxis] * turned[:, np.newaxis, :])
    strength = POOLED_TYPINGS + np.maximum(counts - 1, 0)
    covariances = POOLED_TYPINGS * np.eye(len(axes)) + scatter
    covariances /= strength[:, np.newaxis, np.newaxis]
    # The centre is uncertain too.
    covariances += weights[:, :, np.newaxis] * np.eye(len(axes))
    roots = np.linalg.cholesky(np.linalg.inv(covariances))
    return Densities(
        origin=origin,
        projections=axes @ roots,
        centres=(centres[:, np.newaxis] @ roots)[:, 0],
        offsets=np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1),
        deviations=np.sqrt(np.diag(within)),
    )


@dataclass(frozen=True)
class Correction:
    """What is added to the templates' scores: the kernel of the straight features' distances to
    `centres` [users, 8], in units of `deviations` [8], times `weights` [users, users].
    """

    deviations: np.ndarray
    centres: np.ndarray
    weights: np.ndarray

    def kernel(self, expressed: np.ndarray) -> np.ndarray:
        """exp(−mean distance / reach) of rows [n, 10] to every centre, [n, users]."""
        return _kernel(expressed[:, :STRAIGHT] / self.deviations, self.centres)

    def score(self, expressed: np.ndarray) -> np.ndarray:
        """What to add for rows [n, 10], [n, users]."""
        return self.kernel(expressed) @ self.weights


def fit_correction(
    expressed: np.ndarray, targets: np.ndarray, deviations: np.ndarray, scores: np.ndarray
) -> Correction:
    """Learn the correction to `scores` [n, users], which templates made without the row gave.

    It is a Gaussian process with that kernel around the scores, looked at through the users'
    centres: logistic regression, with a ridge, on inputs whose inner products are the kernel.
    """
    users = scores.shape[1]
    deviations = deviations[:STRAIGHT]
    standard = expressed[:, :STRAIGHT] / deviations
    centres = _means(standard, targets, users)
    root = cholesky(_kernel(centres, centres) + JITTER * np.eye(users), lower=True)
    inputs = solve_triangular(root, _kernel(standard, centres).T, lower=True).T
    wanted = np.eye(users)[targets]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(users, users)
        logs = log_softmax(scores + inputs @ weights)
        value = RIDGE / 2 * np.sum(weights * weights) - np.sum(logs * wanted)
        return value, (RIDGE * weights + inputs.T @ (np.exp(logs) - wanted)).ravel()

    # Convex, so the end does not depend on the way there.
    options = {"maxiter": 500, "gtol": 1e-3, "ftol": 1e-11}
    found = minimize(loss, np.zeros(users * users), jac=True, method="L-BFGS-B", options=options)
    weights = solve_triangular(root, found.x.reshape(users, users), lower=True, trans="T")
    return Correction(deviations, centres, weights)


class Summary:
    """Recognises users by eight numbers of typings of `keys` keys.

    `fit` sets `templates`, `correction` and `factor`.
    """

    def __init__(self, keys: int) -> None:
        self.keys = keys

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> Self:
        """Fit on rows [n, 8] and class indices [n]; every class must occur."""
        expressed = express(np.asarray(rows, np.float64), self.keys)
        users = int(targets.max()) + 1
        self.templates, self.correction = _fit_scores(expressed, targets, users)
        folds = _held_out(targets)
        self.factor = 1.0
        if len(folds) > 1:  # or nobody typed twice, and there is nothing to learn it from
            held_out = np.zeros((len(rows), users))
            for out in folds:
                parts = _fit_scores(expressed[~out], targets[~out], users)
                held_out[out] = _score(expressed[out], *parts)
            self.factor = calibrating_factor(held_out, targets)
        return self

    def evidence(self, rows: np.ndarray) -> np.ndarray:
        """Evidence for every class, float64 [n, classes], of rows [n, 8]: its softmax is the
        posterior probability.
        """
        expressed = express(np.asarray(rows, np.float64), self.keys)
        return self.factor * _score(expressed, self.templates, self.correction)

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Posterior probability of every class, float64 [n, classes]."""
        return np.exp(log_softmax(self.evidence(rows)))

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Class index [n] with most evidence, the lowest among equals."""
        return self.evidence(rows).argmax(axis=1)


def _fit_scores(
    expressed: np.ndarray, targets: np.ndarray, users: int
) -> tuple[Densities, Correction | None]:
    templates = fit_templates(expressed, targets, users)
    folds = _held_out(targets)
    if len(folds) == 1:
        return templates, None  # nobody typed twice: nothing to learn a correction from
    scores = np.zeros((len(targets), users))
    for out in folds:
        scores[out] = fit_templates(expressed[~out], targets[~out], users).score(expressed[out])
    factor = calibrating_factor(scores, targets)
    templates = replace(templates, factor=factor)
    return templates, fit_correction(expressed, targets, templates.deviations, factor * scores)


def _score(
    expressed: np.ndarray, templates: Densities, correction: Correction | None
) -> np.ndarray:
    scores = templates.score(expressed)
    return scores if correction is None else scores + correction.score(expressed)


def calibrating_factor(scores: np.ndarray, targets: np.ndarray) -> float:
    """Factor under which the softmax of held-out scores [n, users] is most likely."""

    def loss(log_factor: float) -> float:
        logs = log_softmax(np.exp(log_factor) * scores)
        own = np.take_along_axis(logs, targets[:, np.newaxis], axis=1)
        return (log_factor / FACTOR_DEVIATION) ** 2 / 2 - own.sum()

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def _held_out(targets: np.ndarray) -> list[np.ndarray]:
    """Which rows each fold holds out: one typing of every user who has as many, in file order;
    more where there are more typings than MAX_FOLDS.
    """
    folds = occurrences(targets) % MAX_FOLDS
    return [folds == fold for fold in range(folds.max() + 1)]


def _means(values: np.ndarray, targets: np.ndarray, users: int) -> np.ndarray:
    """Every user's mean [users, …]; 0 for one without a row."""
    sums = np.zeros((users, values.shape[1]))
    np.add.at(sums, targets, values)
    return sums / np.maximum(np.bincount(targets, minlength=users), 1)[:, np.newaxis]


def _kernel(standard: np.ndarray, centres: np.ndarray) -> np.ndarray:
    # Feature by feature, because [n, users, features] would be large.
    distances = np.zeros((len(standard), len(centres)))
    for column, centre in zip(standard.T, centres.T, strict=True):
        distances += np.abs(column[:, np.newaxis] - centre)
    return np.exp(-distances / (REACH * standard.shape[1]))
