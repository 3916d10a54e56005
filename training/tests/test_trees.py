"""Extremely randomised trees and the evidence of their votes."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.ensemble import ExtraTreesClassifier

from keystroke_training import trees
from keystroke_training.calibration import log_softmax, more_typings
from keystroke_training.trees import EXPONENT, FLOOR, Trees, _folds

MANY = [str(user) for user in range(12)]


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(trees, "TREES", 20)


def fit(dataset, seed=1):
    return Trees(seed).fit(dataset.features["timings"], dataset.targets)


def grown(rows, targets, seed=1):
    return ExtraTreesClassifier(20, random_state=seed).fit(rows, targets)


def test_evidence_is_the_exponent_times_the_logarithm_of_the_votes(make_dataset):
    dataset = make_dataset(repetitions=[4, 5, 6])
    rows = dataset.features["timings"]
    model = fit(dataset)
    votes = np.mean([tree.predict_proba(rows) for tree in grown(rows, dataset.targets)], axis=0)
    expected = model.exponent * np.log(np.where(votes < FLOOR, FLOOR, votes))
    np.testing.assert_allclose(model.evidence(rows), expected, rtol=1e-6)
    assert (votes == 0).any()


def test_no_user_is_ever_ruled_out(make_dataset):
    model = fit(make_dataset(noise=1.0))
    evidence = model.evidence(np.full((1, 28), 1e9))
    assert np.isfinite(evidence).all()
    assert evidence.min() >= model.exponent * np.log(1 / 500)


def test_held_out_evidence_is_of_trees_that_never_saw_the_row(make_dataset):
    dataset = make_dataset(repetitions=[3, 4, 9], keys=4, noise=60.0)
    model, rows = fit(dataset), dataset.features["timings"]
    # The k-th typing of everybody is held out in fold k; the ninth goes with the first.
    fold = dataset.repetitions % np.minimum([3, 4, 8], 8)[dataset.targets]
    logarithms = np.zeros((16, 3))
    for number in range(8):
        out = fold == number
        votes = grown(rows[~out], dataset.targets[~out]).predict_proba(rows[out])
        logarithms[out] = np.log(np.maximum(votes, FLOOR))
    exponent = model.exponent / more_typings(dataset.targets)
    assert model.held_out_rows.tolist() == list(range(16))
    np.testing.assert_allclose(model.held_out_evidence, exponent * logarithms, rtol=1e-9)

    def loss(exponent):
        return -log_softmax(exponent * logarithms)[np.arange(16), dataset.targets].mean()

    best = minimize_scalar(loss, bounds=(0, 20), method="bounded", options={"xatol": 1e-9})
    assert exponent == pytest.approx(best.x, abs=1e-3)


def test_every_fold_leaves_typings_of_everyone():
    targets = np.repeat([0, 1, 2, 3], [1, 2, 3, 20])
    folds = _folds(targets)
    assert folds[0] == -1
    assert folds[1:6].tolist() == [0, 1, 0, 1, 2]
    assert folds.max() == 7
    for fold in range(8):
        assert set(targets[folds != fold]) == {0, 1, 2, 3}


@pytest.mark.parametrize(("most", "expected"), [(130, 5), (1, 2), (1000, 8)])
def test_more_rows_make_do_with_fewer_folds(monkeypatch, most, expected):
    monkeypatch.setattr(trees, "MAX_FOLD_ROWS", most)
    assert _folds(np.repeat([0, 1], 13)).max() + 1 == expected


def test_where_nobody_typed_twice_the_exponent_is_the_usual_one(make_dataset):
    dataset = make_dataset()
    first = dataset.repetitions == 0
    targets = dataset.targets[first]
    model = Trees(1).fit(dataset.features["timings"][first], targets)
    assert model.exponent == EXPONENT * more_typings(targets)
    assert model.held_out_rows.tolist() == []
    assert model.held_out_evidence.shape == (0, 3)


def test_two_typings_of_everyone_are_classes_and_no_regression(make_dataset):
    # scikit-learn warns of so many classes, and warnings are failures here.
    dataset = make_dataset(users=MANY, repetitions=[2] * 12)
    assert fit(dataset).evidence(dataset.features["timings"]).shape == (24, 12)


def test_typings_that_are_all_the_same_are_anybodys(make_dataset):
    rows = np.tile(make_dataset().features["timings"][:1], (6, 1))
    evidence = Trees(1).fit(rows, np.repeat([0, 1], 3)).evidence(rows)
    assert np.isfinite(evidence).all()
    np.testing.assert_allclose(evidence[:, 0], evidence[:, 1], rtol=0.5)


def test_fits_repeat_with_their_seed_only(make_dataset):
    dataset = make_dataset()
    rows = dataset.features["timings"] * 1.05
    first, second, other = (fit(dataset, seed).evidence(rows) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
