"""Robust templates: where each feature of each user's typings lies, and how much it moves.

A row is compared with a user's template feature by feature, and the comparisons are added with
weights that are the same for all users. So a new user needs a template and nothing else.
"""

from typing import Self

import numpy as np

from keystroke_training.calibration import learn_weights, more_typings
from keystroke_training.features import narrowed, timing_names

DEGREES = 2.0  # of freedom of the Student-t density: hesitations are common
PRIOR_TYPINGS = 0.3  # how many typings the population counts for in a user's centre
STEADINESS_SHARE = 1.1  # how much of a user's general steadiness is believed
OWN_SHARE = 0.5  # how much of what is particular to one feature is
SPREADS = 0.2, 4.0  # the least and the most of a user, in expected ones
LEAST_SPREAD = 1e-3  # of a feature that nobody varies
PRIOR_USERS = 5
# Features of nearly the same weight share it: their logarithms are one, of a product, and
# logarithms are half the work. More than three factors could leave the range of float32.
TOGETHER = 3
RIDGE = 0.1
START = 0.15
MOST = 4.0  # times what the ridge leaves: few typings, all recognised, would ask for ever more
STEPS = 5  # towards a centre; what is left is below a hundredth of a spread

WEIGHT_FOLDS = 4
MAX_LEARNING_ROWS = 1_000
MAX_LEARNING_SIZE = 25_000_000  # numbers: 200 MB, and four times that while learning


class Templates:
    """Templates of users, from `timings` rows.

    For user u and feature f, from n typings:

    - centre: the location of a Student-t distribution, found by reweighting from the median
      on, drawn towards the population's median as if that were PRIOR_TYPINGS more typings;
    - expected spread: the population's mean absolute deviation times exp(slope × distance of
      the centre from the population's): for most times, who is slower varies more;
    - spread: the expected one, times the user's unsteadiness (the mean over features of the
      logarithm of own by expected deviation), times what is particular to the feature. Both are
      believed in part, by n / (n + 1).

    evidence(row, u) = sum over f of weight[f] × ln t(row[f]; centre, spread). The weights are
    not negative, and learned by a conditional logit in which each row's own user has a template
    without that row; then scaled, so that softmax of the evidence is the posterior.
    """

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> Self:
        """Fit on rows [n, features] and class indices [n], of which every one occurs.

        Afterwards `held_out_rows` are the indices of rows of users with several, at most
        MAX_LEARNING_ROWS, and `held_out_evidence` [those, classes] what their evidence is when
        their user's template lacks them.
        """
        values = expand(rows)
        users = [values[targets == user] for user in range(targets.max() + 1)]
        self._fit_population(values, users)
        self.centres, self.spreads = self.templates(users)
        self.held_out_rows = spread_out(
            np.flatnonzero(np.bincount(targets)[targets] > 1),
            min(MAX_LEARNING_ROWS, MAX_LEARNING_SIZE // self.centres.size),
        )
        densities = self._held_out_densities(values, targets)
        held_out = targets[self.held_out_rows]
        self.weights = _learn(densities, held_out)
        # By weights that were learned without the row and its user's others: 110 weights fit
        # themselves to their rows.
        self.held_out_evidence = np.zeros(densities.shape[:2])
        for part in range(WEIGHT_FOLDS):
            out = held_out % WEIGHT_FOLDS == part
            self.held_out_evidence[out] = densities[out] @ _learn(densities[~out], held_out[~out])
        # The ridge makes the weights smaller than they should be for an honest posterior.
        if len(held_out) > 0:
            scale = min(learn_weights(self.held_out_evidence[..., np.newaxis], held_out)[0], MOST)
            self.weights = scale * self.weights
            self.held_out_evidence *= scale
        self.weights = more_typings(targets) * self.weights
        return self

    def evidence(self, rows: np.ndarray) -> np.ndarray:
        """Return the evidence [n, classes]; softmax of it is the posterior."""
        return self.compare(expand(rows), self.centres, self.spreads)

    def compare(self, values: np.ndarray, centres: np.ndarray, spreads: np.ndarray) -> np.ndarray:
        """Return the evidence [n, users] of expanded rows [n, features] for users with templates
        of these centres and spreads [users, features], whether or not the model was fitted on them.
        """
        # A row at a time takes densities of all users: few rows stay in the cache.
        parts = np.array_split(values, 1 + len(values) // 16)
        return np.concatenate(
            [self._densities(part, centres, spreads) @ self.weights for part in parts]
        )

    def templates(self, users: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return centres and spreads [users, features] of users with some expanded rows each."""
        centres, spreads = zip(*map(self.template, users), strict=True)
        # As they are stored: a centre's last bits matter where a spread is small.
        return narrowed(np.array(centres)), narrowed(np.array(spreads))

    def template(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return centre and spread [features] of a user's expanded rows [n, features]."""
        count = len(values)
        location = self._location(values)
        centre = (count * location + PRIOR_TYPINGS * self.median) / (count + PRIOR_TYPINGS)
        expected = self.expected_spread(centre)
        if count == 1:
            return centre, expected
        ratios = np.log(np.clip(deviation(values, location) / expected, *SPREADS))
        general = ratios.mean()
        believed = STEADINESS_SHARE * general + OWN_SHARE * (ratios - general)
        return centre, expected * np.exp(count / (count + 1) * believed)

    def expected_spread(self, centre: np.ndarray) -> np.ndarray:
        """Return the spread [features] that the population leads to expect at a centre."""
        return self.deviation * np.exp(self.slope * (centre - self.middle))

    def _fit_population(self, values: np.ndarray, users: list[np.ndarray]) -> None:
        self.median = np.median(values, axis=0)
        several = [own for own in users if len(own) > 1]
        medians = np.array([np.median(own, axis=0) for own in several])
        deviations = np.array(
            [deviation(own, median) for own, median in zip(several, medians, strict=True)]
        )
        if len(several) == 0:  # nobody shows how much a user varies: say, a third as users do
            medians = self.median[np.newaxis]
            deviations = deviation(values, self.median)[np.newaxis] / 3
        self.middle = medians.mean(axis=0)
        self.deviation = np.maximum(deviations.mean(axis=0), LEAST_SPREAD)
        # The regression of ln deviation on the median, drawn to 0 as if by PRIOR_USERS.
        distance = medians - self.middle
        ratio = np.log(np.maximum(deviations / self.deviation, 0.1))
        squares = (distance**2).sum(axis=0) + PRIOR_USERS * distance.var(axis=0)
        products = (distance * (ratio - ratio.mean(axis=0))).sum(axis=0)
        slope = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0)
        self.slope = np.clip(slope, -1, 1)

    def _location(self, values: np.ndarray) -> np.ndarray:
        location = np.median(values, axis=0)
        if len(values) < 3:
            return location
        for _ in range(STEPS):
            distance = (values - location) / self.deviation
            weights = 1 / (1 + distance**2 / DEGREES)
            location = (weights * values).sum(axis=0) / weights.sum(axis=0)
        return location

    def _held_out_densities(self, values: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Densities [rows, users, features] of the rows held out of their user's template."""
        densities = self._densities(values[self.held_out_rows], self.centres, self.spreads)
        for place, row in enumerate(self.held_out_rows):
            others = targets == targets[row]
            others[row] = False
            centre, spread = self.templates([values[others]])
            densities[place, targets[row]] = self._densities(values[[row]], centre, spread)[0, 0]
        return densities

    def _densities(
        self, values: np.ndarray, centres: np.ndarray, spreads: np.ndarray
    ) -> np.ndarray:
        """Logarithm of Student's t, without its constant, [rows, users, features]."""
        distance = (values[:, np.newaxis] - centres) / spreads
        return -(DEGREES + 1) / 2 * np.log1p(distance**2 / DEGREES) - np.log(spreads)


def expand(rows: np.ndarray) -> np.ndarray:
    """Return `timings` rows [n, 6 × keys - 2] with the changes from key to key of logHT, logPPT
    and asinhRPT behind, [n, 9 × keys - 7].

    A sum of features can't say that two neighbours moved against each other.
    """
    return rows @ expansion(rows.shape[1])


def expansion(width: int) -> np.ndarray:
    """Return the matrix [6 × keys - 2, 9 × keys - 7] of 0, 1 and −1 that `expand` applies."""
    names = timing_names((width + 2) // 6)
    changes = [
        (names.index(f"{name}[{key}]"), place)
        for name in ("logHT", "logPPT", "asinhRPT")
        for key in range((width + 2) // 6)
        for place, following in enumerate(names)
        if following == f"{name}[{key + 1}]"
    ]
    matrix = np.zeros((width, width + len(changes)))
    matrix[:, :width] = np.eye(width)
    for column, (key, following) in enumerate(changes, start=width):
        matrix[[key, following], column] = -1, 1
    return matrix


def alike(weights: np.ndarray) -> list[np.ndarray]:
    """Return the indices of the features with a weight, by weight from the greatest on, in
    groups of TOGETHER (the last may have fewer).
    """
    order = np.argsort(-weights, kind="stable")[: (weights > 0).sum()]
    return [order[start : start + TOGETHER] for start in range(0, len(order), TOGETHER)]


def _learn(densities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    # Users with one typing each teach nothing: all features count alike.
    if len(targets) == 0:
        return np.full(densities.shape[2], START)
    weights = learn_weights(densities, targets, RIDGE, START)
    if not weights.any():  # users whom nothing tells apart
        return np.full_like(weights, START)
    for group in alike(weights):
        weights[group] = weights[group].mean()
    return weights


def deviation(values: np.ndarray, location: np.ndarray) -> np.ndarray:
    """Return the mean absolute deviation [features], without the bias of few rows."""
    return np.abs(values - location).sum(axis=0) / (len(values) - 1)


def spread_out(indices: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many of the indices, evenly."""
    if len(indices) == 0:
        return indices
    count = max(1, min(len(indices), most))
    return indices[np.linspace(0, len(indices) - 1, count).astype(np.int64)]
