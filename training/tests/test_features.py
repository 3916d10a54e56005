"""The numbers a typing is recognised by: the eight, and one and more for each time."""

import math

import numpy as np
import pytest

from keystroke_training.features import (
    FEATURE_ORDER,
    FLOOR_MS,
    RPT_SCALE_MS,
    features,
    timing_features,
    timing_names,
    timing_series,
)


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


def named(press, release):
    """The raw features of one typing by name."""
    rows = timing_features(np.array([press], float), np.array([release], float))
    return dict(zip(timing_names(len(press)), rows[0], strict=True))


def test_raw_features_have_names_in_the_order_the_service_is_built_for():
    assert timing_names(2) == [
        *("logHT[0]", "logHT[1]", "logPPT[0]", "logRRT[0]", "asinhRPT[0]"),
        *("relativeHT[0]", "relativeHT[1]", "relativePPT[0]", "medianHT", "medianPPT"),
    ]
    assert len(timing_names(13)) == 76
    assert len(set(timing_names(13))) == 76


def test_raw_features_of_a_typing_with_rollover():
    found = named([0, 100, 150], [90, 210, 200])
    assert found == pytest.approx(
        {
            "logHT[0]": math.log(90),
            "logHT[1]": math.log(110),
            "logHT[2]": math.log(50),
            "logPPT[0]": math.log(100),
            "logPPT[1]": math.log(50),
            "logRRT[0]": math.log(120),
            "logRRT[1]": math.log(FLOOR_MS),  # −10 ms
            "asinhRPT[0]": math.asinh(10 / 40),
            "asinhRPT[1]": math.asinh(-60 / 40),
            "relativeHT[0]": 0,
            "relativeHT[1]": math.log(110 / 90),
            "relativeHT[2]": math.log(50 / 90),
            "relativePPT[0]": math.log(100 / 50) / 2,
            "relativePPT[1]": -math.log(100 / 50) / 2,
            "medianHT": math.log(90),
            "medianPPT": (math.log(100) + math.log(50)) / 2,
        }
    )


def test_times_that_no_clock_resolves_count_as_the_shortest_it_does():
    found = named([0, 0, 3], [0, FLOOR_MS, 2 * FLOOR_MS])
    for name in ("logHT[0]", "logHT[1]", "logPPT[0]", "logPPT[1]", "logRRT[0]", "medianPPT"):
        assert found[name] == math.log(FLOOR_MS), name


def test_raw_features_do_not_ask_when_the_typing_began(typings):
    press, release = typings
    moved = timing_features(press + 2.0**40, release + 2.0**40)
    assert np.array_equal(moved, timing_features(press, release))
    assert moved.shape == (500, 76)
    assert np.isfinite(moved).all()
    assert RPT_SCALE_MS == 40
