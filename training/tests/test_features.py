"""The eight numbers a typing is recognised by."""

import math

import numpy as np
import pytest

from keystroke_training.features import FEATURE_ORDER, features, timing_series


@pytest.fixture
def typings():
    """Typings [rows, keys] with rollover and zero holds."""
    random = np.random.default_rng(3)
    press = np.cumsum(random.integers(0, 200, (500, 13)), axis=1).astype(float)
    return press, press + random.integers(0, 250, press.shape)


def test_series_of_a_typing_with_rollover():
    series = timing_series(np.array([[0.0, 100.0, 150.0]]), np.array([[90.0, 210.0, 200.0]]))
    assert {name: values.tolist() for name, values in series.items()} == {
        "HT": [[90.0, 110.0, 50.0]],
        "PPT": [[100.0, 50.0]],
        "RRT": [[120.0, -10.0]],
        "RPT": [[10.0, -60.0]],
    }


def test_press_press_is_hold_plus_release_press(typings):
    series = timing_series(*typings)
    assert np.array_equal(series["PPT"], series["HT"][:, :-1] + series["RPT"])


def test_release_release_is_release_press_plus_the_next_hold(typings):
    series = timing_series(*typings)
    assert np.array_equal(series["RRT"], series["RPT"] + series["HT"][:, 1:])


def test_features_are_means_and_population_deviations_in_order(typings):
    found = dict(zip(FEATURE_ORDER, features(*typings).T, strict=True))
    for name, values in timing_series(*typings).items():
        assert found[f"{name}.Mean"] == pytest.approx(values.mean(axis=1))
        assert found[f"{name}.STD"] == pytest.approx(values.std(axis=1, ddof=0))


def test_the_order_is_the_one_the_service_is_built_for():
    expected = "HT.Mean HT.STD PPT.Mean PPT.STD RRT.Mean RRT.STD RPT.Mean RPT.STD"
    assert list(FEATURE_ORDER) == expected.split()


def test_sums_run_key_after_key_so_that_the_service_gets_the_same_bits():
    random = np.random.default_rng(4)
    press = np.cumsum(random.gamma(2.0, 80.0, (200, 40)), axis=1)
    release = press + random.gamma(2.0, 50.0, press.shape)
    expected = []
    for row in release - press:
        total = 0.0
        for value in row:
            total += value
        mean = total / len(row)
        squares = 0.0
        for value in row:
            squares += (value - mean) * (value - mean)
        expected.append((mean, math.sqrt(squares / len(row))))
    assert features(press, release)[:, :2].tolist() == [list(pair) for pair in expected]


def test_two_keys_have_no_spread_between_them():
    row = features(np.array([[0.0, 120.0]]), np.array([[80.0, 190.0]]))[0]
    assert row.tolist() == [75.0, 5.0, 120.0, 0.0, 110.0, 0.0, 40.0, 0.0]
