"""Error rates and intervals, against answers found by hand or by going through all pairs."""

import numpy as np
import pytest

from keystroke_training.measures import (
    ErrorRates,
    area_under_curve,
    calibration_curve,
    calibration_error,
    cumulative_match,
    interval,
    resampled,
    threshold_for,
)


def error_rates(genuine, impostor, genuine_users=None, impostor_users=None):
    genuine, impostor = np.array(genuine, float), np.array(impostor, float)
    users = [
        np.zeros(len(scores), int) if given is None else np.array(given)
        for scores, given in ((genuine, genuine_users), (impostor, impostor_users))
    ]
    return ErrorRates(genuine, users[0], impostor, users[1])


@pytest.mark.parametrize(
    ("genuine", "impostor", "rate"),
    [
        ([3, 4], [1, 2], 0),
        ([1, 2], [3, 4], 1),
        ([3, 4, 5], [1, 2, 3.5], 1 / 3),  # anywhere above 3, up to 3.5
        ([1, 5, 6, 7], [2, 3, 4, 0], 1 / 4),  # anywhere above 4, up to 5
        ([2, 4], [1, 3, 3.5, 3.6], 1 / 2),
        ([1, 2, 3, 4], [0, 0.5, 0.6, 0.7, 1.5], 1 / 5),  # at 1, where FNMR jumps over it
        ([0, 0], [0, 0], 1 / 2),  # all or nobody: half-way
        ([1, 1, 2], [1, 0, 0], 2 / 9),  # on the line from FMR 1/3, FNMR 0 to FMR 0, FNMR 2/3
    ],
)
def test_the_equal_error_rate_is_where_the_rates_cross(genuine, impostor, rate):
    assert error_rates(genuine, impostor).equal() == pytest.approx(rate, abs=1e-12)


def test_the_equal_error_rate_of_many_is_that_of_a_walk_along_all_thresholds():
    random = np.random.default_rng(1)
    genuine, impostor = random.normal(2, 1, 2000), random.normal(0, 1, 3000)
    distance = [
        (abs((impostor >= threshold).mean() - (genuine < threshold).mean()), threshold)
        for threshold in np.sort(np.concatenate([genuine, impostor]))
    ]
    expected = (genuine < min(distance)[1]).mean()
    assert error_rates(genuine, impostor).equal() == pytest.approx(expected, abs=1e-3)


def test_the_trade_off_has_both_rates_at_every_genuine_score():
    fmr, fnmr = error_rates([4, 2, 2, 3], [1, 2, 2.5, 5]).trade_off()
    assert fmr.tolist() == [3 / 4, 1 / 4, 1 / 4, 0]
    assert fnmr.tolist() == [0, 2 / 4, 3 / 4, 1]


def test_a_user_drawn_twice_counts_twice():
    times = np.array([2, 0, 1])
    drawn = error_rates([1, 2, 3, 4], [0, 1.5, 2.5, 3.5], [0, 0, 7, 9], [0, 7, 7, 9])
    written_out = error_rates([1, 2, 1, 2, 4], [0, 0, 3.5])
    assert drawn.users == 3
    assert drawn.equal(times) == pytest.approx(written_out.equal())


def test_draws_without_anyone_genuine_do_not_count():
    rates = error_rates([2, 4], [1, 3, 5, 0], [0, 0], [0, 1, 1, 2])
    assert np.isnan(rates.equal(np.array([0, 1, 2])))
    low, high = rates.equal_interval(seed=1)
    assert 0 <= low <= rates.equal() <= high <= 1


def test_the_interval_covers_the_true_rate_as_often_as_it_says():
    covered = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        users = np.repeat(np.arange(30), 8)
        # Users differ, so intervals over typings would be far too narrow.
        chance = random.beta(2, 2, 30)
        values = random.random(240) < chance[users]
        low, high = interval(values, users, seed)
        covered += low <= 0.5 <= high
    assert covered >= 53


def test_the_interval_resamples_users_not_typings():
    users = np.repeat(np.arange(20), 50)
    together = users < 10  # ten users always, ten never
    apart = np.arange(1000) % 2 == 0  # every user every other time
    low, high = interval(together, users, seed=1)
    assert 0.2 < low < 0.4 < 0.6 < high < 0.8
    assert interval(apart, users, seed=1) == (0.5, 0.5)
    assert interval(together, users, seed=1) == (low, high)


def test_the_interval_does_not_ask_how_users_are_numbered():
    values, users = np.array([1, 0, 1, 1]), np.array([0, 0, 1, 2])
    assert interval(values, users, 1) == interval(values, 1000 + 7 * users, 1)


def test_a_resampled_measure_gets_how_often_each_user_was_drawn():
    seen = []

    def measure(times):
        seen.append(times)
        return float(times[0])

    low, high = resampled(measure, 5, seed=1, resamples=300)
    assert {len(times) for times in seen} == {5}
    assert {times.sum() for times in seen} == {5}
    assert len(seen) == 300
    assert (low, high) == (0, 3)  # binomial, of 5 with chance 1/5


def test_cumulative_match_counts_ranks_up_to_each():
    assert cumulative_match(np.array([1, 1, 3, 9]), 4).tolist() == [0.5, 0.5, 0.75, 0.75]


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order():
    random = np.random.default_rng(2)
    positive, negative = random.integers(0, 9, 40), random.integers(0, 7, 25)
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    assert area_under_curve(positive, negative) == pytest.approx(np.mean(pairs))


def test_calibration_is_read_off_ten_bins_of_equally_many():
    confidence = np.arange(20) / 20
    right = np.arange(20) >= 10
    curve = calibration_curve(confidence, right)
    assert [rows for *_, rows in curve] == [2] * 10
    assert [mean for mean, *_ in curve] == pytest.approx([0.025 + 0.1 * n for n in range(10)])
    assert [share for _, share, _ in curve] == [0] * 5 + [1] * 5
    expected = np.mean([0.025, 0.125, 0.225, 0.325, 0.425, 0.475, 0.375, 0.275, 0.175, 0.075])
    assert calibration_error(confidence, right) == pytest.approx(expected)


def test_fewer_rows_than_bins_are_a_bin_each():
    curve = calibration_curve(np.array([0.9, 0.5, 0.7]), np.array([True, False, True]))
    assert curve == [(0.5, 0.0, 1), (0.7, 1.0, 1), (0.9, 1.0, 1)]


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.1])
@pytest.mark.parametrize("count", [1, 7, 20, 100, 999, 1000])
def test_a_threshold_lets_its_rate_pass_and_no_lower_one_does(count, rate):
    scores = np.random.default_rng(count).normal(size=count)
    threshold = threshold_for(scores, rate)
    assert (scores >= threshold).mean() <= rate
    assert (scores >= np.nextafter(threshold, -np.inf)).mean() > rate


def test_of_equal_scores_all_stay_below_the_threshold():
    assert threshold_for(np.array([1.0, 1, 1, 0]), 0.5) == np.nextafter(1, 2)


def test_a_threshold_is_a_number_that_json_can_hold():
    for scores in (np.zeros(1), np.zeros(50), np.array([-1e300, 1e300])):
        assert np.isfinite(threshold_for(scores, 0.05))
