"""Thresholds, and who passes them."""

import numpy as np
import pytest

from keystroke_training.verification import Scores, significant


def test_known_users_of_a_part_without_strangers_are_not_called_missed():
    scores = Scores(
        right=np.array([5.0, 5.0, 0.0]),
        found=np.ones(3, bool),
        users=np.arange(3),
        folds=np.array([0, 1, 1]),
        false=np.array([1.0, 2.0]),
        false_users=np.array([3, 3]),
        false_folds=np.array([0, 0]),
    )
    right, false = scores.passed(0.05)
    assert right.tolist() == [True, True, False]
    assert false.tolist() == [False, False]


@pytest.mark.parametrize("score", [0.0, 1.0, 123456.49, -123456.51, 1 / 3, -1 / 3, 1e-9])
def test_a_published_threshold_is_not_rounded_down_onto_the_score_below(score):
    published = significant(np.nextafter(score, np.inf))
    assert published > score
    assert published == pytest.approx(score, rel=2e-5, abs=1e-12)
    assert published == float(f"{published:.6g}")
