"""Made-up typists: files that can be read, and people that can be told apart as real ones can."""

import hashlib

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from keystroke_training.data import folds, read_dataset
from keystroke_training.features import timing_features, timing_series
from keystroke_training.synthesis import synthesise


@pytest.fixture
def read(tmp_path):
    """A function that reads what `synthesise` makes of its arguments."""

    def read(*arguments, **options):
        path = tmp_path / "synthetic.csv"
        path.write_text(synthesise(*arguments, **options), "utf-8")
        return read_dataset(path)

    return read


@pytest.mark.parametrize("layout", ["own", "cmu"])
@pytest.mark.parametrize("sessions", [1, 3])
@pytest.mark.parametrize("keys", [2, 13])
def test_what_is_made_up_can_be_read(read, layout, sessions, keys):
    dataset = read(4, 5, keys, seed=1, sessions=sessions, layout=layout)
    assert len(dataset.classes) == 4
    assert dataset.repetition_counts == [5 * sessions] * 4
    assert dataset.press.shape == (20 * sessions, keys)
    assert (dataset.press[:, 0] == 0).all()
    assert dataset.has_sessions == (sessions > 1)


def test_both_layouts_say_the_same(read):
    own = read(4, 5, 6, seed=1, sessions=2)
    cmu = read(4, 5, 6, seed=1, sessions=2, layout="cmu")
    np.testing.assert_array_equal(own.press, cmu.press)
    np.testing.assert_array_equal(own.release, cmu.release)
    np.testing.assert_array_equal(own.sessions, cmu.sessions)


def test_a_seed_gives_the_same_bytes_on_every_machine():
    text = synthesise(20, 10, 13, seed=1, sessions=2)
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == "0c5ff8894dff035a9edd770b53a1a0c63bfa7130da1742dcf45bec1e1eeda9b0"
    )
    assert synthesise(20, 10, 13, seed=2, sessions=2) != text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"users": 1}, "1 users, at least 2 are needed"),
        ({"repetitions": 1}, "1 typings of each user, at least 2 are needed"),
        ({"sessions": 0}, "0 sessions, at least 1 are needed"),
        ({"keys": 1}, "1 keys, at least 2 are needed"),
    ],
)
def test_too_little_to_train_on_is_not_made_up(changes, reason):
    with pytest.raises(ValueError, match=reason):
        synthesise(**{"users": 2, "repetitions": 2, "keys": 2, "seed": 1} | changes)


def test_the_least_that_is_made_up_can_be_read(read):
    assert read(2, 1, 2, seed=1, sessions=2).repetition_counts == [2, 2]


def test_people_can_be_told_apart_about_as_well_as_real_ones(read):
    dataset = read(110, 8, 13, seed=1)
    rows, held_out_in = timing_features(dataset.press, dataset.release), folds(dataset)
    right = 0
    for fold in range(8):
        held_out = held_out_in == fold
        forest = ExtraTreesClassifier(100, random_state=0, n_jobs=-1)
        forest.fit(rows[~held_out], dataset.targets[~held_out])
        right += (forest.predict(rows[held_out]) == dataset.targets[held_out]).sum()
    # 0.82 of the real ones with 100 trees, 0.87 with 400.
    assert 0.80 <= right / len(rows) <= 0.92


def test_typings_look_as_real_ones_do(read):
    dataset = read(110, 8, 13, seed=1)
    series = timing_series(dataset.press, dataset.release)
    # Beside each, what the real ones have.
    assert 0.40 < (series["RPT"] < 0).any(axis=1).mean() < 0.60  # 0.47: keys overlap
    assert 75 < np.median(series["HT"]) < 95  # 86
    assert 165 < np.median(series["PPT"]) < 200  # 183
    assert 3 < np.percentile(series["PPT"], 99) / np.median(series["PPT"]) < 7  # 4.7: pauses


def test_users_have_clocks_of_1_and_of_8_ms(read):
    dataset = read(40, 8, 13, seed=1)
    coarse = [(dataset.release[dataset.targets == user] % 8 == 0).all() for user in range(40)]
    assert 0.25 < np.mean(coarse) < 0.75


def test_practice_makes_faster(read):
    dataset = read(60, 50, 13, seed=1)
    lengths = dataset.press[:, -1].reshape(60, 50)
    assert np.median(lengths[:, 40:]) < 0.95 * np.median(lengths[:, :5])


def test_sittings_differ_more_than_the_typings_of_one(read):
    dataset = read(60, 20, 13, seed=1, sessions=4)
    lengths = np.log(dataset.press[:, -1]).reshape(60, 4, 20)
    of_sittings = np.median(lengths, axis=2).std(axis=1).mean()
    one = read(60, 80, 13, seed=1)
    of_one = np.median(np.log(one.press[:, -1]).reshape(60, 4, 20), axis=2).std(axis=1).mean()
    assert of_sittings > 1.5 * of_one
