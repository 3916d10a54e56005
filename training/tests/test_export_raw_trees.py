"""The exported trees of raw timings against the fitted ones."""

import numpy as np
import pytest

from keystroke_training import trees
from keystroke_training.export.trees import export_trees
from keystroke_training.parity import perturbed_rows
from keystroke_training.runtime import answer, open_session
from keystroke_training.trees import Trees
from tests.test_export_trees import graph_value

MANY = [str(user) for user in range(25)]


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(trees, "TREES", 30)


def fit(rows, targets):
    return Trees(1).fit(rows, targets)


def assert_agrees(estimator, inputs, classes):
    """Votes and evidence are the same to the last bit, however many rows are asked at once."""
    model = export_trees(estimator, classes)
    wide = inputs.astype(np.float64)
    votes = np.rint(np.round(estimator.forest.predict_proba(wide) * trees.TREES, 6))
    assert np.array_equal(graph_value(model, "votes", inputs), votes)
    evidence = estimator.evidence(wide)
    for batch in (64, 1, 7):
        labels, scores = answer(open_session(model), inputs[: 40 * batch], batch)
        assert np.array_equal(scores, evidence[: 40 * batch])
        assert [classes[best] for best in scores.argmax(axis=1)] == labels.tolist()
    assert np.array_equal(votes.argmax(axis=1), evidence.argmax(axis=1))


@pytest.mark.parametrize(
    ("repetitions", "keys"),
    [((2, 2), 2), ((2, 9), 3), ((6, 6, 6), 13), ((2, 3, 4, 12), 5), ((5,) * 25, 8)],
    ids=str,
)
def test_the_file_gives_the_evidence_of_the_trees(make_dataset, repetitions, keys):
    users = MANY[: len(repetitions)]
    dataset = make_dataset(users=users, repetitions=repetitions, keys=keys)
    rows = dataset.features["timings"]
    inputs = np.concatenate([rows.astype(np.float32), perturbed_rows(rows, 3000, seed=3)])
    assert_agrees(fit(rows, dataset.targets), inputs, dataset.classes)


def test_string_classes_are_answered_as_they_are(make_dataset):
    dataset = make_dataset(users=["a", "amélie", "007x"])
    rows = dataset.features["timings"]
    assert_agrees(fit(rows, dataset.targets), rows.astype(np.float32), dataset.classes)


def test_a_row_on_a_threshold_goes_scikit_learns_way(make_dataset):
    dataset = make_dataset(repetitions=[20, 20, 20], keys=2)
    rows = dataset.features["timings"]
    estimator = fit(rows, dataset.targets)
    thresholds = [
        np.unique(
            np.concatenate(
                [
                    tree.tree_.threshold[(tree.tree_.feature == feature)]
                    for tree in estimator.forest.estimators_
                ]
            )
        )
        for feature in range(10)
    ]
    random = np.random.default_rng(1)
    assert sum(len(of) > 10 for of in thresholds) > 5
    nearest = np.column_stack(
        [random.choice(of, 3000) if len(of) > 0 else np.zeros(3000) for of in thresholds]
    ).astype(np.float32)
    # float32 holds few of the thresholds: the next to one may be on either side.
    wide = np.column_stack([np.isin(nearest[:, f], thresholds[f]) for f in range(10)])
    assert wide.mean() < 0.01
    beside = [np.nextafter(nearest, np.float32(side)) for side in (-np.inf, np.inf)]
    assert_agrees(estimator, np.concatenate([nearest, *beside]), dataset.classes)


def test_a_threshold_just_below_a_row_is_not_rounded_onto_it():
    # Two neighbouring float32: thresholds between them only float64 can hold.
    low = np.float32(4)
    high = np.nextafter(low, np.float32(np.inf))
    rows = np.repeat([[low] * 10, [high] * 10], 4, axis=0).astype(np.float64)
    estimator = fit(rows, np.repeat([0, 1], 4))
    inputs = np.array([[low] * 10, [high] * 10], np.float32)
    votes = estimator.forest.predict_proba(inputs.astype(np.float64))
    assert votes.argmax(axis=1).tolist() == [0, 1]
    assert_agrees(estimator, inputs, [7, 9])


def test_leaves_of_two_users_give_each_their_share(make_dataset):
    dataset = make_dataset(users=["1", "2", "3", "4"], repetitions=[4] * 4)
    rows = dataset.features["timings"]
    rows[dataset.targets == 1] = rows[dataset.targets == 0]  # nobody can tell them apart
    estimator = fit(rows, dataset.targets)
    leaves = [
        tree.tree_.value[tree.tree_.children_left < 0, 0] for tree in estimator.forest.estimators_
    ]
    assert any(((shares > 0).sum(axis=1) == 2).any() for shares in leaves)
    inputs = np.concatenate([rows.astype(np.float32), perturbed_rows(rows, 1000, seed=2)])
    assert_agrees(estimator, inputs, dataset.classes)
    labels, _ = answer(open_session(export_trees(estimator, dataset.classes)), inputs[:8])
    assert set(labels.tolist()) == {1}, "the lowest class wins a tie"


def test_trees_of_a_single_leaf_answer(make_dataset):
    rows = np.tile(make_dataset().features["timings"][:1], (9, 1))
    estimator = fit(rows, np.repeat([0, 1, 2], 3))
    assert {tree.tree_.node_count for tree in estimator.forest.estimators_} == {1}
    assert_agrees(estimator, perturbed_rows(rows, 100, seed=1), [1, 2, 3])


def test_rows_far_from_all_typings_agree(make_dataset):
    dataset = make_dataset()
    rows = dataset.features["timings"]
    far = (rows * np.array([[1e3], [-1e6], [1e30]] * 6)).astype(np.float32)
    assert_agrees(fit(rows, dataset.targets), far, dataset.classes)
