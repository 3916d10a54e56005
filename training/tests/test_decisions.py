"""The arithmetic of decisions, against plain loops."""

import math

import numpy as np
import pytest

from keystroke_training.decisions import Statistic, confidence, fuse

WEIGHTS = [(1.0, 1.0, 1.0), (1.0, 0.8, 2.0), (0.7, 0.3, 0.5)]


def plainly(evidence, user, own, cohort, temperature):
    """The statistic of one user of one row."""
    others = np.delete(evidence, user)
    mean = sum(math.exp(other / temperature) for other in others) / len(others)
    return own * evidence[user] - cohort * temperature * math.log(mean)


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("users", [2, 3, 20])
def test_the_statistic_sets_a_user_against_the_mean_of_all_others(weights, users):
    evidence = np.random.default_rng(1).normal(0, 5, (30, users))
    found = Statistic(*weights).of_all(evidence)
    for row, statistics in zip(evidence, found, strict=True):
        expected = [plainly(row, user, *weights) for user in range(users)]
        assert statistics == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_the_statistic_of_an_unknown_user_has_all_known_ones_for_a_cohort(weights):
    random = np.random.default_rng(2)
    evidence, cohort = random.normal(0, 5, (10, 3)), random.normal(0, 5, (10, 6))
    found = Statistic(*weights).of_claim(evidence, cohort)
    for row in range(10):
        for user in range(3):
            together = np.append(cohort[row], evidence[row, user])
            assert found[row, user] == pytest.approx(plainly(together, 6, *weights), abs=1e-9)


def test_a_cohort_may_be_another_one_for_each_user():
    random = np.random.default_rng(2)
    evidence, cohort = random.normal(0, 5, (10, 3)), random.normal(0, 5, (10, 6))
    kept = np.ones((3, 6), bool)
    kept[1, 4] = kept[2, 0] = kept[2, 1] = False
    found = Statistic(1, 0.9, 3).of_claim(evidence, cohort, kept)
    for user in range(3):
        expected = Statistic(1, 0.9, 3).of_claim(evidence[:, [user]], cohort[:, kept[user]])
        assert found[:, [user]] == pytest.approx(expected)


def test_what_is_left_beside_a_best_user_far_ahead_is_not_lost():
    evidence = np.array([[800.0, 1.0, 2.0, 3.0]])
    expected = 800 - math.log((math.exp(1) + math.exp(2) + math.exp(3)) / 3)
    assert Statistic().of_all(evidence)[0, 0] == pytest.approx(expected, abs=1e-12)
    assert np.isfinite(Statistic().of_all(1e6 * evidence)).all()


def test_two_users_have_each_other_for_a_cohort():
    assert Statistic(1, 0.5, 3).of_all(np.array([[4.0, 1.0]])).tolist() == pytest.approx(
        np.array([[3.5, -1.0]])
    )


def test_equal_evidence_is_an_equal_statistic():
    found = Statistic().of_all(np.full((1, 5), 7.0))
    assert found[0] == pytest.approx([0] * 5)


def test_attempts_are_added_and_divided_by_how_alike_they_are():
    evidence = np.array([[[1.0, 2.0], [3.0, 5.0], [5.0, -1.0]]])
    assert fuse(evidence, 0.0).tolist() == [[9, 6]]
    assert fuse(evidence, 0.25).tolist() == [[6, 4]]
    assert fuse(evidence, 1.0).tolist() == [[3, 2]]
    assert fuse(evidence[:, :1], 0.9).tolist() == [[1, 2]]


def test_confidence_is_the_posterior_of_the_best_user():
    evidence = np.array([[1.0, 3.0, 2.0], [1e4, 0.0, 0.0]])
    expected = math.exp(3) / (math.exp(1) + math.exp(2) + math.exp(3))
    assert confidence(evidence) == pytest.approx([expected, 1])
