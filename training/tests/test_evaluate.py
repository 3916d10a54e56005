"""Leave one repetition out, ranks and intervals."""

import numpy as np
import pytest

from keystroke_training.evaluate import (
    Evaluation,
    cumulative_match,
    evaluate,
    fold_count,
    rank1_interval,
    rank_candidates,
)
from keystroke_training.models import REFERENCES


class Answers:
    """Stands for an estimator that answers fixed labels and scores."""

    def __init__(self, labels, scores):
        self.labels, self.scores = np.array(labels), np.array(scores)

    def predict(self, rows):
        return self.labels

    def predict_proba(self, rows):
        return self.scores


@pytest.mark.parametrize(
    ("label", "scores", "true", "rank"),
    [
        (2, [0.1, 0.2, 0.7], 2, 1),
        (2, [0.1, 0.2, 0.7], 1, 2),
        (2, [0.1, 0.2, 0.7], 0, 3),
        (0, [0.1, 0.2, 0.7], 0, 1),  # the label is first, whatever its score
        (0, [0.1, 0.2, 0.7], 2, 2),
        (0, [0.1, 0.2, 0.7], 1, 3),
        (2, [0.3, 0.3, 0.4], 0, 2),  # the lower class is first among equals
        (2, [0.3, 0.3, 0.4], 1, 3),
        (2, [0.3, 0.3 + 1e-12, 0.4], 0, 2),  # equal in the float32 that the service sees
    ],
)
def test_ranks_follow_the_services_order(label, scores, true, rank):
    predicted, ranks = rank_candidates(
        Answers([label], [scores]), np.ones((1, 8)), np.array([true])
    )
    assert predicted.tolist() == [label]
    assert ranks.tolist() == [rank]


def test_rows_are_narrowed_as_the_service_narrows_them():
    seen = []

    class Witness(Answers):
        def predict(self, rows):
            seen.append(rows)
            return super().predict(rows)

    rank_candidates(Witness([0], [[0.7, 0.3]]), np.full((1, 8), 0.1), np.array([0]))
    assert seen[0].tolist() == [[float(np.float32(0.1))] * 8]


def test_cumulative_match_counts_ranks_up_to_each():
    assert cumulative_match(np.array([1, 1, 3, 9]), 4).tolist() == [0.5, 0.5, 0.75, 0.75]


def test_the_interval_resamples_users_not_typings():
    targets = np.repeat(np.arange(20), 50)
    together = np.where(targets < 10, 1, 2)  # ten users always, ten never
    apart = np.where(np.arange(1000) % 2, 1, 2)  # every user every other time
    low, high = rank1_interval(together, targets, seed=1)
    assert 0.2 < low < 0.4 < 0.6 < high < 0.8
    assert rank1_interval(apart, targets, seed=1) == [0.5, 0.5]
    assert rank1_interval(together, targets, seed=1) == [low, high]


def test_folds_are_as_many_as_repetitions_but_ten_at_most(make_dataset):
    assert fold_count(make_dataset(repetitions=[2, 7, 3])) == 7
    assert fold_count(make_dataset(repetitions=[2, 14, 3])) == 10


def test_every_row_is_answered_once_by_models_that_never_saw_it(make_dataset):
    dataset = make_dataset(repetitions=[2, 12, 5], noise=5.0)
    fitted = {
        reference.name: reference.fit(dataset.rows, dataset.targets, 1) for reference in REFERENCES
    }
    found = evaluate(dataset, fitted, seed=1)
    fold_of = dataset.repetitions % 10
    for reference in REFERENCES:
        result = found[reference.name]
        assert result.folds == 10
        for fold in range(10):
            held = fold_of == fold
            estimator = reference.fit(dataset.rows[~held], dataset.targets[~held], 1)
            predicted, ranks = rank_candidates(estimator, dataset.rows[held], dataset.targets[held])
            assert np.array_equal(result.predicted[held], predicted)
            assert np.array_equal(result.ranks[held], ranks)


def test_figures_are_shares_of_held_out_and_of_training_rows():
    evaluation = Evaluation(
        folds=2,
        targets=np.array([0, 0, 1, 1]),
        predicted=np.array([0, 1, 1, 1]),
        ranks=np.array([1, 6, 1, 1]),
        training_ranks=np.array([1, 2, 1, 1]),
    )
    figures = evaluation.to_json(seed=1)
    assert (figures["n"], figures["rank1"], figures["rank5"]) == (4, 0.75, 0.75)
    assert figures["macroF1"] == pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-4)
    assert figures["training"] == {"n": 4, "rank1": 0.75, "rank5": 1.0}
