"""golden.json: made up, exact and small."""

import json
from itertools import pairwise

import numpy as np
import pytest

from keystroke_training import golden as golden_module
from keystroke_training.features import features
from keystroke_training.golden import check_row, golden_json, known_answers, made_up_rows
from keystroke_training.models import REFERENCES, predict, score


@pytest.fixture
def fitted(make_dataset):
    dataset = make_dataset(keys=13)
    estimators = {
        reference.name: reference.fit(dataset.rows, dataset.targets, 1) for reference in REFERENCES
    }
    return dataset, estimators, json.loads(golden_json(known_answers(dataset, estimators, seed=1)))


def test_typings_have_their_features_bit_by_bit(fitted):
    for typing in fitted[2]["keystrokes"]:
        press, release = (
            np.array([[stroke[event] for stroke in typing["keystrokes"]]])
            for event in ("press", "release")
        )
        assert press.shape == (1, 13)
        assert (np.diff(press) >= 0).all()
        assert (release >= press).all()
        assert features(press, release)[0].tolist() == typing["features"]


def test_typings_hold_every_kind_of_difficulty(fitted):
    typings = fitted[2]["keystrokes"]
    strokes = [[(s["press"], s["release"]) for s in typing["keystrokes"]] for typing in typings]
    pairs = [pair for typing in strokes for pair in pairwise(typing)]
    assert len(typings) == 50
    assert any(release == press for typing in strokes for press, release in typing)
    assert any(after[0] < before[1] for before, after in pairs), "rollover"
    assert any(after[1] < before[1] for before, after in pairs), "a negative RRT"
    assert any(typing[0][0] > 1e12 for typing in strokes), "an epoch origin"
    assert any(typing[3][0] % 1 for typing in strokes), "fractions of a millisecond"


def test_rows_are_float32_and_answered_by_the_source_models(fitted):
    dataset, estimators, golden = fitted
    rows = np.array(golden["rows"])
    assert np.array_equal(rows, rows.astype(np.float32))
    for name, estimator in estimators.items():
        expected = [dataset.classes[target] for target in predict(estimator, rows)]
        assert golden["models"][name]["labels"] == expected
        assert np.array(golden["models"][name]["scores"]).shape == (len(rows), 3)
        assert len(set(expected)) > 1


def test_labels_of_the_training_rows_are_in_file_order(fitted):
    dataset, _, golden = fitted
    assert golden["training"]["sha256"] == dataset.sha256
    assert golden["training"]["rows"] == len(dataset.rows)
    assert golden["training"]["labels"]["rf"] == [
        dataset.classes[target] for target in dataset.targets
    ]


def test_made_up_rows_are_like_the_population_but_never_one_of_its_rows(make_dataset):
    rows = make_dataset(users=list("abcdefgh"), repetitions=[9] * 8, keys=9).rows
    made = made_up_rows(rows, classes=8, random=np.random.default_rng(1))
    assert len(made) == 200
    assert np.abs(made.mean(axis=0) - rows.mean(axis=0)).max() < rows.std(axis=0).max()
    assert (made[:, [0, 1, 3, 5, 7]] >= 0).all()
    whole = np.ones((5, 8))  # without any spread, what is made up equals the rows: left out
    assert len(made_up_rows(whole, classes=8, random=np.random.default_rng(1))) == 0


def test_many_classes_get_fewer_rows_so_that_the_file_stays_small(make_dataset):
    rows = make_dataset().rows
    assert len(made_up_rows(rows, classes=1000, random=np.random.default_rng(1))) == 22


def test_the_check_row_is_answered_by_the_source_model(fitted):
    dataset, estimators, golden = fitted
    for name, estimator in estimators.items():
        check = check_row(golden, name, dataset.classes)
        row = np.array([check["row"]])
        assert dataset.classes[predict(estimator, row)[0]] == check["user"]
        own = score(estimator, row)[0, dataset.classes.index(check["user"])]
        assert check["score"] == pytest.approx(own, abs=1e-6)


def test_rows_whose_answer_hangs_on_rounding_are_left_out(fitted, monkeypatch):
    dataset, estimators, golden = fitted

    def every_other_one(estimator, rows):
        return np.arange(len(rows)) % 2 == (1 if estimator is estimators["svm"] else 3)

    monkeypatch.setattr(golden_module, "borderline_rows", every_other_one)
    assert known_answers(dataset, estimators, seed=1)["rows"] == golden["rows"][::2]
