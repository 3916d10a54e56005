"""What is expected of users of any text, when nothing is known of it but how many keys it has.

A population that typed one text tells it by kind of feature: how long keys are held, how long
it takes from one to the next, and how much one person varies. What belongs to a key of that
text, or to a pair, is left out.
"""

from dataclasses import dataclass

import numpy as np

from keystroke_training.calibration import learn_weights
from keystroke_training.features import narrowed, timing_features, timing_names
from keystroke_training.templates import (
    LEAST_SPREAD,
    MAX_LEARNING_ROWS,
    MAX_LEARNING_SIZE,
    PRIOR_USERS,
    START,
    Templates,
    deviation,
    expand,
    spread_out,
)

_SERIES = ("logHT", "logPPT", "logRRT", "asinhRPT", "relativeHT", "relativePPT")
_CHANGES = ("logHT", "logPPT", "asinhRPT")
KINDS = (
    *_SERIES,
    "medianHT",
    "medianPPT",
    *(f"change of {name}" for name in _CHANGES),
)
PRIOR_ENROLLED = 5  # how many users the general expectation counts for in a text's own
TEXTS = 5, 8  # keys of shorter texts, cut out of the population's, that the weights are learned on
RIDGE = 0.01


@dataclass(frozen=True)
class General:
    """`median`, `middle`, `deviation`, `slope` and `weights` of a text's features by KINDS, [11],
    with the meaning they have in Templates.
    """

    median: np.ndarray
    middle: np.ndarray
    deviation: np.ndarray
    slope: np.ndarray
    weights: np.ndarray

    def text(self, keys: int, users: list[np.ndarray], population: Templates) -> Templates:
        """Return what is expected of users of a text of so many keys, with the population as its
        known users.

        `users` are those enrolled for it so far, by their expanded rows [n, features]: each
        counts as one, the general expectation as PRIOR_ENROLLED. The population's templates keep
        their distance from what is usual, at about the same place of the text.
        """
        kind = kinds(keys)
        medians = [np.median(own, axis=0) for own in users]
        deviations = [
            deviation(own, median)
            for own, median in zip(users, medians, strict=True)
            if len(own) > 1
        ]
        text = Templates()
        text.median = _drawn(self.median[kind], medians)
        text.middle = _drawn(self.middle[kind], medians)
        text.deviation = np.maximum(_drawn(self.deviation[kind], deviations), LEAST_SPREAD)
        text.slope, text.weights = self.slope[kind], self.weights[kind]
        place = stretched(keys, (len(population.median) + 7) // 9)
        text.centres = narrowed(
            population.centres[:, place] - population.median[place] + text.median
        )
        text.spreads = narrowed(
            population.spreads[:, place] * (text.deviation / population.deviation[place])
        )
        return text


def kinds(keys: int) -> np.ndarray:
    """Return the place in KINDS of every feature of an expanded row [9 × keys − 7]."""
    names = [name.partition("[")[0] for name in timing_names(keys)]
    counts = [names.count(name) for name in KINDS[: -len(_CHANGES)]]
    return np.repeat(np.arange(len(KINDS)), counts + [names.count(name) - 1 for name in _CHANGES])


def stretched(keys: int, of: int) -> np.ndarray:
    """Return for every feature of a text of so many keys [9 × keys − 7] which feature of a text
    of `of` keys is of its kind and at about its place: of n and m of the kind, the j-th,
    from 0, stands for the one at ⌊j × (m − 1) / (n − 1) + ½⌋, an only one for the first.
    """
    counts, others = (np.bincount(kinds(number), minlength=len(KINDS)) for number in (keys, of))
    starts = np.cumsum(others) - others
    return np.concatenate(
        [
            start + (2 * np.arange(n) * (m - 1) + n - 1) // max(2 * (n - 1), 1)
            for n, m, start in zip(counts, others, starts, strict=True)
        ]
    )


def windows(keys: int) -> list[tuple[int, int]]:
    """Return the texts, as (first key, key behind the last), that a text of so many keys stands
    for: itself, and the first and the last keys of it as TEXTS has them.
    """
    shorter = [count for count in TEXTS if count < keys]
    return [(0, keys), *(w for count in shorter for w in ((0, count), (keys - count, keys)))]


def of_window(press: np.ndarray, release: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Return the expanded rows of a window's keys, of times [rows, keys] in ms."""
    part = slice(*window)
    return expand(narrowed(timing_features(press[:, part], release[:, part])))


def fit_general(press: np.ndarray, release: np.ndarray, targets: np.ndarray) -> General:
    """Fit on times [rows, keys] in ms and class indices [rows], of which every one occurs.

    Everything but the weights is of the whole text. These are learned as those of Templates are,
    one for a kind, on all `windows` together: so evidence of a shorter text is honest, too.
    """
    keys = press.shape[1]
    values = of_window(press, release, (0, keys))
    users = [values[targets == user] for user in range(targets.max() + 1)]
    several = [own for own in users if len(own) > 1]
    population = _pooled(values, several, kinds(keys))
    texts = windows(keys)
    size = len(texts) * len(users) * len(KINDS)
    rows = spread_out(
        np.flatnonzero(np.bincount(targets)[targets] > 1),
        min(MAX_LEARNING_ROWS, MAX_LEARNING_SIZE // size),
    )
    densities = np.concatenate(
        [
            _held_out(population, of_window(press, release, window), targets, rows, window)
            for window in texts
        ]
    )
    learned = learn_weights(densities, np.tile(targets[rows], len(texts)), RIDGE, START)
    return General(*population[:4], learned)


def _drawn(general: np.ndarray, own: list[np.ndarray]) -> np.ndarray:
    return (PRIOR_ENROLLED * general + sum(own)) / (PRIOR_ENROLLED + len(own))


def _pooled(
    values: np.ndarray, users: list[np.ndarray], kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Median, middle, deviation and slope by kind, [11]: what Templates has by feature."""
    medians = np.array([np.median(own, axis=0) for own in users])
    deviations = np.array(
        [deviation(own, median) for own, median in zip(users, medians, strict=True)]
    )
    found = []
    for number in range(len(KINDS)):
        of_kind = kind == number
        middle = medians[:, of_kind].mean()
        expected = max(deviations[:, of_kind].mean(), LEAST_SPREAD)
        distance = medians[:, of_kind] - middle
        ratio = np.log(np.maximum(deviations[:, of_kind] / expected, 0.1))
        squares = (distance**2).sum() + PRIOR_USERS * of_kind.sum() * distance.var()
        products = (distance * (ratio - ratio.mean())).sum()
        slope = np.clip(products / squares, -1, 1) if squares > 0 else 0.0
        found.append((np.median(values[:, of_kind]), middle, expected, slope))
    return tuple(np.array(found).T)


def _held_out(
    population: tuple[np.ndarray, ...],
    values: np.ndarray,
    targets: np.ndarray,
    rows: np.ndarray,
    window: tuple[int, int],
) -> np.ndarray:
    """Densities [rows, users, kinds] of the rows held out of their user's template."""
    kind = kinds(window[1] - window[0])
    text = Templates()
    text.median, text.middle, text.deviation, text.slope = (part[kind] for part in population)
    text.weights = np.eye(len(KINDS))[kind]  # so that evidence comes by kind
    users = range(targets.max() + 1)
    centres, spreads = text.templates([values[targets == user] for user in users])
    densities = np.empty((len(rows), len(users), len(KINDS)))
    for place, row in enumerate(rows):
        densities[place] = text.compare(values[[row]], centres, spreads)[0]
        others = targets == targets[row]
        others[row] = False
        own = text.compare(values[[row]], *text.templates([values[others]]))
        densities[place, targets[row]] = own[0, 0]
    return densities
