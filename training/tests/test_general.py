"""What is expected of users of any text, against loops over features and users."""

import numpy as np
import pytest

from keystroke_training import general
from keystroke_training.features import narrowed, timing_names
from keystroke_training.general import (
    KINDS,
    General,
    fit_general,
    kinds,
    of_window,
    stretched,
    windows,
)
from keystroke_training.synthesis import made_up_times
from keystroke_training.templates import Templates, deviation, expand


def expanded_names(keys):
    """Names of the features of an expanded row, the changes from key to key behind."""
    names = timing_names(keys)
    changes = [
        f"change of {name}[{key}]"
        for name in ("logHT", "logPPT", "asinhRPT")
        for key in range(keys)
        if f"{name}[{key + 1}]" in names
    ]
    return [*names, *changes]


@pytest.fixture(scope="module")
def typed():
    """Press and release times, and class indices, of 20 users × 5 typings of 9 keys."""
    press, release = made_up_times(20, 5, 9, seed=2)
    return press.reshape(100, 9), release.reshape(100, 9), np.repeat(np.arange(20), 5)


@pytest.fixture(scope="module")
def fitted(typed):
    return fit_general(*typed)


@pytest.mark.parametrize("keys", [2, 3, 8, 13])
def test_every_feature_has_its_kind(keys):
    names = [KINDS[kind] for kind in kinds(keys)]
    assert names == [name.partition("[")[0] for name in expanded_names(keys)]


def test_a_feature_stands_for_one_of_its_kind_at_about_its_place():
    names, of = expanded_names(5), expanded_names(13)
    found = dict(zip(names, [of[place] for place in stretched(5, 13)], strict=True))
    assert [found[f"logHT[{key}]"] for key in range(5)] == [
        f"logHT[{key}]" for key in (0, 3, 6, 9, 12)
    ]
    # Of 4 and 12 of the kind: 0, 3 + 2/3, 7 + 1/3 and 11.
    assert [found[f"logPPT[{key}]"] for key in range(4)] == [
        f"logPPT[{key}]" for key in (0, 4, 7, 11)
    ]
    assert found["medianHT"] == "medianHT"
    assert found["change of asinhRPT[2]"] == "change of asinhRPT[10]"


def test_halves_are_rounded_up_and_an_only_one_stands_for_the_first():
    names, of = expanded_names(3), expanded_names(4)
    found = dict(zip(names, [of[place] for place in stretched(3, 4)], strict=True))
    assert found["logHT[1]"] == "logHT[2]"  # of 1.5
    assert found["change of logPPT[0]"] == "change of logPPT[0]"


@pytest.mark.parametrize("keys", [3, 6, 13])
def test_a_text_as_long_as_the_populations_stands_for_itself(keys):
    assert stretched(keys, keys).tolist() == list(range(9 * keys - 7))


def test_shorter_texts_are_cut_out_at_both_ends():
    assert windows(13) == [(0, 13), (0, 5), (8, 13), (0, 8), (5, 13)]
    assert windows(8) == [(0, 8), (0, 5), (3, 8)]
    assert windows(4) == [(0, 4)]


def test_what_is_expected_is_pooled_over_the_places_of_a_text(typed, fitted):
    press, release, targets = typed
    values = of_window(press, release, (0, 9))
    for kind in range(len(KINDS)):
        columns = np.flatnonzero(kinds(9) == kind)
        medians, deviations = [], []
        for user in range(20):
            for column in columns:
                own = values[targets == user, column]
                medians.append(np.median(own))
                deviations.append(np.abs(own - np.median(own)).sum() / 4)
        medians, deviations = np.array(medians), np.array(deviations)
        assert fitted.median[kind] == pytest.approx(np.median(values[:, columns]))
        assert fitted.middle[kind] == pytest.approx(medians.mean())
        assert fitted.deviation[kind] == pytest.approx(deviations.mean())
        distance = medians - medians.mean()
        ratio = np.log(np.maximum(deviations / deviations.mean(), 0.1))
        squares = (distance**2).sum() + 5 * len(columns) * distance.var()
        slope = (distance * (ratio - ratio.mean())).sum() / squares
        assert fitted.slope[kind] == pytest.approx(np.clip(slope, -1, 1))


def test_weights_are_of_kinds_and_not_negative(fitted):
    assert fitted.weights.shape == (11,)
    assert (fitted.weights >= 0).all()
    assert (fitted.weights > 0).sum() > 3


def test_weights_are_learned_from_so_many_rows_as_fit_into_memory(typed, monkeypatch):
    seen = []
    learn = general.learn_weights

    def witness(densities, targets, *rest):
        seen.append((densities.shape, targets.tolist()))
        return learn(densities, targets, *rest)

    monkeypatch.setattr(general, "learn_weights", witness)
    monkeypatch.setattr(general, "MAX_LEARNING_SIZE", 10 * 5 * 20 * 11)
    fit_general(*typed)
    ((shape, targets),) = seen
    # Ten rows, of five texts.
    assert shape == (50, 20, 11)
    assert targets[:10] == targets[40:]
    assert len(set(targets)) == 10


def test_a_row_is_held_out_of_its_users_template(typed, monkeypatch):
    press, release, targets = typed
    seen = []
    monkeypatch.setattr(
        general, "learn_weights", lambda densities, *_: seen.append(densities) or np.ones(11)
    )
    found = fit_general(press, release, targets)
    text = found.text(9, [], population_of(typed))
    values = of_window(press, release, (0, 9))
    others = targets == 7
    others[37] = False
    own = text.compare(values[[37]], *text.templates([values[others]]))[0, 0]
    assert seen[0][37, 7].sum() == pytest.approx(own)
    rival = text.compare(values[[37]], *text.templates([values[targets == 3]]))[0, 0]
    assert seen[0][37, 3].sum() == pytest.approx(rival)


def population_of(typed):
    press, release, targets = typed
    return Templates().fit(of_window(press, release, (0, 9))[:, : 6 * 9 - 2], targets)


def test_nothing_but_what_is_general_is_expected_where_nobody_is_enrolled(typed, fitted):
    text = fitted.text(6, [], population_of(typed))
    for name in ("median", "middle", "deviation", "slope", "weights"):
        np.testing.assert_array_equal(getattr(text, name), getattr(fitted, name)[kinds(6)])


def test_users_who_enrol_tell_what_is_usual_in_a_text(typed, fitted):
    press, release = made_up_times(3, 4, 6, seed=9)
    users = [of_window(down, up, (0, 6)) for down, up in zip(press, release, strict=True)]
    users[2] = users[2][:1]  # tells nothing of how much a user varies
    text = fitted.text(6, users, population_of(typed))
    medians = [np.median(own, axis=0) for own in users]
    for name in ("median", "middle"):
        expected = (5 * getattr(fitted, name)[kinds(6)] + sum(medians)) / 8
        np.testing.assert_allclose(getattr(text, name), expected)
    deviations = [deviation(own, np.median(own, axis=0)) for own in users[:2]]
    expected = (5 * fitted.deviation[kinds(6)] + sum(deviations)) / 7
    np.testing.assert_allclose(text.deviation, expected)
    np.testing.assert_array_equal(text.slope, fitted.slope[kinds(6)])


def test_the_population_keeps_its_distance_from_what_is_usual(typed, fitted):
    population, place = population_of(typed), stretched(6, 9)
    press, release = made_up_times(2, 4, 6, seed=9)
    users = [of_window(down, up, (0, 6)) for down, up in zip(press, release, strict=True)]
    text = fitted.text(6, users, population)
    assert text.centres.shape == (20, 9 * 6 - 7)
    np.testing.assert_allclose(
        text.centres - text.median, (population.centres - population.median)[:, place], atol=1e-6
    )
    np.testing.assert_allclose(
        text.spreads / text.deviation,
        (population.spreads / population.deviation)[:, place],
        rtol=1e-6,
    )
    np.testing.assert_array_equal(text.centres, narrowed(text.centres))


def test_a_feature_that_nobody_varies_has_a_least_deviation(fitted, typed):
    still = General(*(0 * part for part in vars(fitted).values()))
    press, release = made_up_times(2, 1, 6, seed=9)
    rows = [of_window(down, up, (0, 6)) for down, up in zip(press, release, strict=True)]
    text = still.text(6, [np.repeat(row, 2, axis=0) for row in rows], population_of(typed))
    assert (text.deviation == 1e-3).all()


def test_a_window_is_a_text_of_its_own(typed):
    press, release, _ = typed
    rows = of_window(press, release, (2, 6))
    assert rows.shape == (100, 9 * 4 - 7)
    later = of_window(press[:, 2:6] + 1000, release[:, 2:6] + 1000, (0, 4))
    np.testing.assert_array_equal(rows, later)
    np.testing.assert_array_equal(rows, expand(rows[:, : 6 * 4 - 2]))
