"""Who enrols with which typings, and what is made of the others."""

from dataclasses import replace

import numpy as np
import pytest

from keystroke_training import enrolment_trial
from keystroke_training.decisions import fuse
from keystroke_training.enrolment_trial import (
    CORRELATION,
    STATISTIC,
    Setting,
    cohorts,
    enrol,
    recognised,
    splits,
)
from keystroke_training.features import narrowed
from keystroke_training.general import fit_general, of_window
from keystroke_training.templates import Templates, expand

USERS = [f"u{number:02}" for number in range(14)]


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(users=USERS, repetitions=[6] * 12 + [3, 9], keys=6)


@pytest.fixture(scope="module")
def split(dataset):
    """The rows of the population and of those who enrol, of the first split."""
    unseen = splits(dataset)[0]
    return np.flatnonzero(~unseen), np.flatnonzero(unseen)


@pytest.fixture(scope="module")
def enrolled(dataset, split):
    return enrol(dataset, *split, 0)


@pytest.fixture(scope="module")
def population(dataset, split):
    rows = narrowed(dataset.features["timings"])[split[0]]
    return Templates().fit(rows, np.unique(dataset.targets[split[0]], return_inverse=True)[1])


def all_of(answers, /, **wanted):
    """The parts of claims in the settings that have what is wanted."""
    return [
        (setting, claims)
        for setting, claims in answers.claims
        if all(getattr(setting, name) == value for name, value in wanted.items())
    ]


def test_a_split_is_of_whole_users_with_typings_enough(dataset):
    found = splits(dataset)
    assert len(found) == 10
    assert len({unseen.tobytes() for unseen in found}) > 5
    for unseen in found:
        users = set(dataset.targets[unseen])
        assert len(users) == 4  # of 13, three elevenths
        assert 12 not in users  # has three typings
        assert not users & set(dataset.targets[~unseen])


def test_thirty_users_enrol_at_most(make_dataset):
    dataset = make_dataset(users=[str(n) for n in range(121)], repetitions=[4] * 121, keys=3)
    assert {len(set(dataset.targets[unseen])) for unseen in splits(dataset)} == {30}


@pytest.mark.parametrize(
    ("users", "repetitions", "keys", "count"),
    [(10, 4, 3, 10), (9, 8, 3, 0), (12, 3, 3, 0), (12, 8, 2, 0)],
)
def test_too_few_users_typings_or_keys_are_not_split(make_dataset, users, repetitions, keys, count):
    dataset = make_dataset(users=USERS[:users], repetitions=[repetitions] * users, keys=keys)
    assert len(splits(dataset)) == count


def test_users_whose_typings_are_of_one_sitting_do_not_enrol(make_dataset):
    dataset = make_dataset(users=USERS[:12], repetitions=[6] * 12, keys=3)
    sittings = np.where(dataset.targets < 11, 1 + dataset.repetitions // 3, 1)
    split = splits(replace(dataset, sessions=sittings))
    assert all(11 not in dataset.targets[unseen] for unseen in split)


@pytest.mark.parametrize("size", [None, 3, 5])
def test_typings_to_claim_with_are_the_next_ones_of_other_sittings(make_dataset, size):
    dataset = make_dataset(users=["1", "2"], repetitions=[18, 18])
    if size is not None:
        dataset = replace(dataset, sessions=1 + dataset.repetitions // size)
    rows = np.flatnonzero(dataset.targets == 1)
    for start, first in enumerate([0, 4, 9, 13]):
        own, later = enrolment_trial._choice(dataset, rows, start, 5)
        assert own.tolist() == [18 + (first + step) % 18 for step in range(5)]
        assert len(later) == 3
        assert not np.isin(dataset.units[later], dataset.units[own]).any()
        if size is None:
            assert later.tolist() == [18 + (first + step) % 18 for step in range(5, 8)]


def test_claims_are_made_by_all_and_to_be_each_of_those_enrolled(dataset, split, enrolled):
    users = set(dataset.targets[split[1]])
    for samples, probes in ((1, 5), (3, 3), (5, 1)):
        parts = all_of(enrolled, general=False, samples=samples, attempts=1)
        assert len(parts) == 4
        for setting, claims in parts:
            assert setting == Setting(False, 6, 4, samples, 1)
            assert len(claims.genuine) == len(claims.found) == len(claims.strange) == 4 * probes
            assert set(claims.genuine_users) == users
            assert len(claims.impostor) == len(claims.impostor_users) == 4 * 3 * probes
    assert not all_of(enrolled, samples=6)


def test_some_of_those_who_are_there_enrol_and_the_others_are_strangers(enrolled):
    parts = all_of(enrolled, general=True, enrolled=2, samples=3, attempts=1, keys=6)
    assert len(parts) == 4
    for _, claims in parts:
        assert len(claims.genuine) == 2 * 3
        assert len(claims.impostor) == (2 * 1 + 2 * 2) * 3
        assert len(claims.strange) == 2 * 3
    settings = {(s.keys, s.enrolled, s.samples) for s, _ in all_of(enrolled, general=True)}
    assert settings == {(k, n, s) for k in (5, 6) for n in (2, 4) for s in (3, 5)}


def test_attempts_in_a_row_are_fused(enrolled):
    by_attempts = {
        setting.attempts: len(claims.genuine)
        for setting, claims in all_of(enrolled, general=False, samples=2)
    }
    assert by_attempts == {1: 16, 2: 12, 3: 8}
    evidence = np.random.default_rng(1).normal(size=(2, 4, 3))
    found = enrolment_trial._in_a_row(evidence, 3)
    expected = [
        fuse(evidence[user, start : start + 3][np.newaxis], CORRELATION)[0]
        for user in range(2)
        for start in range(2)
    ]
    np.testing.assert_allclose(found, expected)


def test_a_claim_is_judged_by_a_template_of_the_samples_and_the_populations_cohort(
    dataset, split, enrolled, population
):
    values = expand(narrowed(dataset.features["timings"]))
    typings = [split[1][dataset.targets[split[1]] == user] for user in set(dataset.targets)]
    found, expected = [], []
    for _, claims in all_of(enrolled, general=False, samples=3, attempts=1):
        found += claims.genuine.tolist()
    for start in range(4):
        for rows in typings:
            if len(rows) == 0:
                continue
            turned = np.roll(rows, -(len(rows) * start // 4))
            centre, spread = population.templates([values[turned[:3]]])
            kept = cohorts(population, centre, enrolled.same_user)
            for row in turned[3:6]:
                cohort = population.compare(values[[row]], population.centres, population.spreads)
                own = population.compare(values[[row]], centre, spread)
                expected.append(STATISTIC.of_claim(own, cohort, kept)[0, 0])
    assert sorted(found) == pytest.approx(sorted(expected))


def test_users_of_another_text_are_judged_by_what_is_general(dataset, split, enrolled, population):
    known, unseen = split
    _, targets = np.unique(dataset.targets[known], return_inverse=True)
    general = fit_general(dataset.press[known], dataset.release[known], targets)
    values = of_window(dataset.press, dataset.release, (1, 6))
    users = np.unique(dataset.targets[unseen])
    rows = [np.flatnonzero(dataset.targets == user)[:8] for user in users]
    text = general.text(5, [values[own[:5]] for own in rows], population)
    centres, spreads = text.templates([values[own[:5]] for own in rows])
    expected = []
    for place, own in enumerate(rows):
        cohort = text.compare(values[own[5:6]], text.centres, text.spreads)
        evidence = text.compare(values[own[5:6]], centres, spreads)
        expected.append(STATISTIC.of_claim(evidence, cohort)[0, place])
    # Of all four, once with the first and once with the last five of the six keys.
    parts = all_of(enrolled, general=True, keys=5, enrolled=4, samples=5, attempts=1)
    found = [sorted(claims.genuine.tolist()) for _, claims in parts]
    assert any(one == pytest.approx(sorted(expected)) for one in found)


def test_strange_and_found_are_of_who_has_the_most_evidence():
    evidence = np.array([[5.0, 1.0], [4.0, 3.0], [2.0, 9.0]])
    statistic = 10 * evidence
    typist, users = np.array([0, 1, 2]), np.array([7, 8, 9])
    claims = enrolment_trial._told_apart(evidence, statistic, typist, users)
    assert claims.genuine.tolist() == [50, 30]
    assert claims.genuine_users.tolist() == [7, 8]
    assert claims.found.tolist() == [True, False]
    assert claims.impostor.tolist() == [10, 40, 20, 90]
    assert claims.impostor_users.tolist() == [7, 8, 9, 9]
    assert claims.strange.tolist() == [90]
    # Where nobody is a stranger: as if each were, to the others.
    claims = enrolment_trial._told_apart(evidence[:2], statistic[:2], typist[:2], users[:2])
    assert claims.strange.tolist() == [10, 40]


def test_who_is_of_the_population_is_left_out_of_the_own_cohort(population):
    best, statistic = recognised(population, population.centres)
    assert best.tolist() == list(range(10))
    kept = cohorts(population, population.centres, float(np.median(statistic)))
    assert kept.shape == (10, 10)
    assert (~kept).diagonal().tolist() == (statistic >= np.median(statistic)).tolist()
    assert kept.sum() == 100 - (statistic >= np.median(statistic)).sum()
    evidence = population.compare(population.centres, population.centres, population.spreads)
    assert statistic[3] == pytest.approx(STATISTIC.of_all(evidence)[3, 3])


def test_people_of_the_population_enrol_and_claim_with_typings_it_forgot(
    dataset, split, population, enrolled
):
    values = expand(narrowed(dataset.features["timings"]))
    users = np.unique(dataset.targets[split[0]])
    typings = [np.flatnonzero(dataset.targets == user) for user in users]
    known, centres, _, probes, places = enrolment_trial._forget(values, population, typings, 1, 3)
    assert users[places].tolist() == [user for user in users if user != 12]
    rows = np.roll(typings[places[0]], -1)
    np.testing.assert_array_equal(centres[:1], population.templates([values[rows[:3]]])[0])
    np.testing.assert_array_equal(probes[0], values[rows[3]])
    forgetful = population.templates([values[rows[4:]]])[0][0]
    np.testing.assert_array_equal(known.centres[places[0]], forgetful)
    (place,) = np.flatnonzero(users == 12)
    np.testing.assert_array_equal(known.centres[place], population.centres[place])
    genuine, claimants = enrolled.members[3]
    assert len(genuine) == 4 * len(places)
    assert set(claimants) == set(users[places])


def test_one_in_twenty_people_of_the_population_is_not_recognised_as_such(
    dataset, split, population, enrolled
):
    values = expand(narrowed(dataset.features["timings"]))
    typings = [
        np.flatnonzero(dataset.targets == user) for user in np.unique(dataset.targets[split[0]])
    ]
    statistics = []
    for start in range(4):
        known, centres, *_ = enrolment_trial._forget(values, population, typings, start, 3)
        statistics += recognised(known, centres)[1].tolist()
    assert enrolled.same_user == pytest.approx(np.quantile(statistics, 0.05))


def test_of_short_of_typings_people_enrol_with_one(make_dataset):
    dataset = make_dataset(users=USERS, repetitions=[4] * 14, keys=3)
    unseen = splits(dataset)[0]
    found = enrol(dataset, np.flatnonzero(~unseen), np.flatnonzero(unseen), 0)
    assert list(found.members) == [1]
    assert {(s.samples, s.attempts) for s, _ in found.claims if s.samples >= 3} == {(3, 1)}
