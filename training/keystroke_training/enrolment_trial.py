"""Enrols users whom the models do not know, with a few typings, as a service does at any time.

A split takes most users as the population, from whose typings all is learned that is learned,
and enrols others. Typings of these that they did not enrol with make a true claim, and a false
one to be each of the others. How people of the population fare who enrol is found out by
forgetting some of their typings first.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from keystroke_training.data import Dataset
from keystroke_training.decisions import Statistic, fuse
from keystroke_training.features import narrowed
from keystroke_training.general import fit_general, of_window, windows
from keystroke_training.templates import Templates, expand

SPLITS = 10
STARTS = 4  # choices of the typings that users enrol with
LEAST_USERS, LEAST_TYPINGS = 10, 4  # or nothing is measured
LEAST_KEYS = 3  # of fewer there is not one feature of every kind
MOST_TYPINGS = 8  # of a user in one choice, to enrol and to claim with
UNSEEN, UNSEEN_SHARE = 30, 3 / 11  # at most so many users enrol, such a share of all
MOST_ATTEMPTS = 3
FEW = 10  # users in the smaller gallery
# How many choices of that many users enrol for another text: about as many false claims by each.
GENERAL_GALLERIES = {2: 4, 5: 3, FEW: 2, UNSEEN: 1}
GENERAL_SAMPLES = 3, 5, 7
MEMBER_SAMPLES = 3, 5
_OF_MEMBERS = 3  # further typings: one to claim with, two to be known by

STATISTIC = Statistic(own=1.0, cohort=0.9, temperature=3.0)
CORRELATION = 0.6  # of attempts
MISTAKEN_SHARE = 0.05  # of the people of the population who enrol may go unrecognised

Choice = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Setting:
    """What claims are made in: whether what is expected of users is `general`, or that of the
    population's text; the `keys` of the text; how many users are `enrolled`, with how many
    `samples` each; and how many `attempts` are fused.
    """

    general: bool
    keys: int
    enrolled: int
    samples: int
    attempts: int = 1


@dataclass(frozen=True)
class Claims:
    """Statistics of claims in one setting, with the users (class indices) whose typings they are.

    `genuine` [g] are true claims, `found` [g] tells whether the typist has the most evidence of
    all enrolled; `impostor` [f] are false ones. `strange` [s] is the statistic of whoever has the
    most evidence for the typing of somebody who is not enrolled (or, where all are, of the others).
    """

    genuine: np.ndarray
    genuine_users: np.ndarray
    found: np.ndarray
    impostor: np.ndarray
    impostor_users: np.ndarray
    strange: np.ndarray


@dataclass(frozen=True)
class Enrolled:
    """The answers of one split: `claims` with their settings; `members`, by number of samples,
    the statistics of true claims by people of the population who enrol, and their users; and
    `same_user`, the least statistic by which somebody is taken for one of the population.
    """

    claims: list[tuple[Setting, Claims]]
    members: dict[int, tuple[np.ndarray, np.ndarray]]
    same_user: float


def splits(dataset: Dataset) -> list[np.ndarray]:
    """Return the mask [rows] of those who enrol, for every split; no splits for too few keys,
    users or typings.
    """
    enough = [user for user, rows in enumerate(_typings(dataset)) if _has_enough(dataset, rows)]
    if len(enough) < LEAST_USERS or dataset.press.shape[1] < LEAST_KEYS:
        return []
    count = min(UNSEEN, round(UNSEEN_SHARE * len(enough)))
    return [
        np.isin(dataset.targets, np.random.default_rng(split).permutation(enough)[:count])
        for split in range(SPLITS)
    ]


def enrol(dataset: Dataset, known: np.ndarray, unseen: np.ndarray, split: int) -> Enrolled:
    """Return the answers of a split: users of the rows `known` (indices) are the population,
    those of the rows `unseen` enrol.
    """
    rows = narrowed(dataset.features["timings"])
    users, targets = np.unique(dataset.targets[known], return_inverse=True)
    population = Templates().fit(rows[known], targets)
    typings = _typings(dataset)
    values = expand(rows)
    strangers = [typings[user] for user in np.unique(dataset.targets[unseen])]
    counts = np.array(dataset.repetition_counts)
    # Of whom there are some in every split.
    sizes = [n for n in MEMBER_SAMPLES if (counts >= n + _OF_MEMBERS).sum() > len(strangers)]
    same_user, members = _members(
        values, population, [typings[user] for user in users], users, sizes or [1]
    )
    random = np.random.default_rng(split)
    claims = [
        *_shipped_claims(dataset, values, population, strangers, same_user, random),
        *_general_claims(dataset, population, known, strangers, random),
    ]
    return Enrolled(claims, members, same_user)


def recognised(population: Templates, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return who of the population has the most evidence for each of the users' centres
    [users, features], taken as typings, and the statistic of it, [users].
    """
    evidence = population.compare(centres, population.centres, population.spreads)
    best = evidence.argmax(axis=1)
    return best, STATISTIC.of_all(evidence)[np.arange(len(best)), best]


def cohorts(population: Templates, centres: np.ndarray, same_user: float) -> np.ndarray:
    """Return the mask [users, known] of the cohorts of users with these centres: the population,
    less whoever of it the user is.
    """
    best, statistic = recognised(population, centres)
    same = np.arange(len(population.centres)) == best[:, np.newaxis]
    return ~(same & (statistic >= same_user)[:, np.newaxis])


def _typings(dataset: Dataset) -> list[np.ndarray]:
    """The rows of every user, as indices."""
    return [np.flatnonzero(dataset.targets == user) for user in range(len(dataset.classes))]


def _has_enough(dataset: Dataset, rows: np.ndarray) -> bool:
    """Whether a user has typings to enrol and to claim with, wherever one begins."""
    return len(rows) >= LEAST_TYPINGS and all(
        len(_choice(dataset, rows, start, LEAST_TYPINGS - 1)[1]) > 0 for start in range(STARTS)
    )


def _choice(dataset: Dataset, rows: np.ndarray, start: int, samples: int) -> Choice:
    """So many of a user's `rows` in a row to enrol with, and those to claim with: the next ones,
    of other sittings where there are several.
    """
    # Going round: the first ones, then from a quarter of the typings on, and so on.
    turned = np.roll(rows, -(len(rows) * start // STARTS))
    enrolled = turned[:samples]
    later = turned[~np.isin(dataset.units[turned], dataset.units[enrolled])]
    return enrolled, later[: MOST_TYPINGS - samples]


def _choices(
    dataset: Dataset,
    typings: list[np.ndarray],
    start: int,
    samples: int,
    random: np.random.Generator,
) -> list[Choice]:
    """Choices of all users, in an order by chance, with equally many rows to claim with; none
    where somebody has none.
    """
    choices = [_choice(dataset, rows, start, samples) for rows in typings]
    probes = min(len(later) for _, later in choices)
    order = random.permutation(len(choices)) if probes > 0 else []
    return [(choices[place][0], choices[place][1][:probes]) for place in order]


def _members(
    values: np.ndarray,
    population: Templates,
    typings: list[np.ndarray],
    users: np.ndarray,
    sizes: list[int],
) -> tuple[float, dict[int, tuple[np.ndarray, np.ndarray]]]:
    """`same_user` and `members` of Enrolled, for these numbers of samples; `typings` are the rows
    of the population's `users`.
    """
    trials = {
        samples: [_forget(values, population, typings, start, samples) for start in range(STARTS)]
        for samples in sizes
    }
    statistics = [recognised(known, centres)[1] for known, centres, *_ in trials[min(sizes)]]
    same_user = float(np.quantile(np.concatenate(statistics), MISTAKEN_SHARE))
    members = {}
    for samples, parts in trials.items():
        genuine = [
            STATISTIC.of_claim(
                known.compare(probes, centres, spreads),
                known.compare(probes, known.centres, known.spreads),
                cohorts(known, centres, same_user),
            ).diagonal()
            for known, centres, spreads, probes, _ in parts
        ]
        places = np.concatenate([places for *_, places in parts])
        members[samples] = np.concatenate(genuine), users[places]
    return same_user, members


def _forget(
    values: np.ndarray,
    population: Templates,
    typings: list[np.ndarray],
    start: int,
    samples: int,
) -> tuple[Templates, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The population, knowing its users by other typings than those that they enrol with and the
    one that they claim with; their centres and spreads, and rows to claim with, [users, features];
    and who they are, as places in the population.
    """
    places = np.array(
        [place for place, rows in enumerate(typings) if len(rows) >= samples + _OF_MEMBERS]
    )
    turned = [np.roll(typings[place], -(len(typings[place]) * start // STARTS)) for place in places]
    known = copy.copy(population)
    known.centres, known.spreads = population.centres.copy(), population.spreads.copy()
    known.centres[places], known.spreads[places] = population.templates(
        [values[rows[samples + 1 : MOST_TYPINGS]] for rows in turned]
    )
    own = population.templates([values[rows[:samples]] for rows in turned])
    return known, *own, values[[rows[samples] for rows in turned]], places


def _shipped_claims(
    dataset: Dataset,
    values: np.ndarray,
    population: Templates,
    typings: list[np.ndarray],
    same_user: float,
    random: np.random.Generator,
) -> Iterator[tuple[Setting, Claims]]:
    """Claims where the text is that of the population."""
    keys = dataset.press.shape[1]
    for samples in range(1, MOST_TYPINGS):
        for start in range(STARTS):
            choices = _choices(dataset, typings, start, samples, random)
            for enrolled in sorted({min(FEW, len(choices)), len(choices)} - {0}):
                setting = Setting(general=False, keys=keys, enrolled=enrolled, samples=samples)
                yield from _claims(setting, values, population, choices, dataset.targets, same_user)


def _general_claims(
    dataset: Dataset,
    population: Templates,
    known: np.ndarray,
    typings: list[np.ndarray],
    random: np.random.Generator,
) -> Iterator[tuple[Setting, Claims]]:
    """Claims where the text counts as one of which the population tells nothing but what is
    general, and where different numbers of users are enrolled.
    """
    _, targets = np.unique(dataset.targets[known], return_inverse=True)
    general = fit_general(dataset.press[known], dataset.release[known], targets)
    sizes: dict[int, int] = {}
    for enrolled, times in GENERAL_GALLERIES.items():
        sizes.setdefault(min(enrolled, len(typings)), times)
    for window in windows(dataset.press.shape[1]):
        values = of_window(dataset.press, dataset.release, window)
        for samples in GENERAL_SAMPLES:
            for enrolled, times in sizes.items():
                for start in range(times):
                    choices = _choices(dataset, typings, start, samples, random)
                    if not choices:
                        continue
                    keys = window[1] - window[0]
                    users = [values[own] for own, _ in choices[:enrolled]]
                    setting = Setting(general=True, keys=keys, enrolled=enrolled, samples=samples)
                    yield from _claims(
                        setting,
                        values,
                        general.text(keys, users, population),
                        choices,
                        dataset.targets,
                        np.inf,
                    )


def _claims(
    setting: Setting,
    values: np.ndarray,
    population: Templates,
    choices: list[Choice],
    targets: np.ndarray,
    same_user: float,
) -> Iterator[tuple[Setting, Claims]]:
    """Claims to be each of the first ones that `choices` are of, by all of them, with every number
    of attempts.
    """
    own = population.templates([values[rows] for rows, _ in choices[: setting.enrolled]])
    probes = np.array([rows for _, rows in choices])
    asked = values[probes.ravel()]
    evidence, cohort = (
        population.compare(asked, *templates).reshape(*probes.shape, -1)
        for templates in (own, (population.centres, population.spreads))
    )
    kept = cohorts(population, own[0], same_user)
    for attempts in range(1, min(MOST_ATTEMPTS, probes.shape[1]) + 1):
        fused, others = (_in_a_row(part, attempts) for part in (evidence, cohort))
        typist = np.repeat(np.arange(len(probes)), probes.shape[1] - attempts + 1)
        statistic = STATISTIC.of_claim(fused, others, kept)
        found = _told_apart(fused, statistic, typist, targets[probes[:, 0]])
        yield replace(setting, attempts=attempts), found


def _in_a_row(evidence: np.ndarray, attempts: int) -> np.ndarray:
    """Every so many attempts in a row of each user fused: [users × groups, claimed] of evidence
    [users, attempts, claimed].
    """
    groups = np.lib.stride_tricks.sliding_window_view(evidence, attempts, axis=1)
    return fuse(np.moveaxis(groups, -1, 2).reshape(-1, attempts, evidence.shape[2]), CORRELATION)


def _told_apart(
    evidence: np.ndarray, statistic: np.ndarray, typist: np.ndarray, users: np.ndarray
) -> Claims:
    """The claims of rows by `typist` [rows], as places among the `users`, the first of whom are
    those enrolled, [rows, enrolled].
    """
    own = typist[:, np.newaxis] == np.arange(evidence.shape[1])
    inside = own.any(axis=1)
    best = evidence.argmax(axis=1)
    others = np.where(own, -np.inf, evidence).argmax(axis=1)
    strange = statistic[np.arange(len(others)), others]
    return Claims(
        genuine=statistic[own],
        genuine_users=users[typist[inside]],
        found=(best == typist)[inside],
        impostor=statistic[~own],
        impostor_users=np.broadcast_to(users[typist][:, np.newaxis], own.shape)[~own],
        strange=strange if inside.all() else strange[~inside],
    )
