"""The figures stay small and the same for any number of users."""

import numpy as np
import pytest

from keystroke_training.evaluate import Evaluation
from keystroke_training.figures import cmc_figure, confusion_figure


class Users:
    """Stands for a dataset of so many users, eight typings each."""

    def __init__(self, count):
        self.classes = list(range(count))
        self.targets = np.repeat(np.arange(count), 8)


def evaluations(users):
    random = np.random.default_rng(1)
    targets = users.targets
    predicted = random.integers(len(users.classes), size=len(targets))
    ranks = np.where(predicted == targets, 1, 2)
    return {
        name: Evaluation(8, targets, predicted, ranks, np.ones_like(ranks))
        for name in ("svm", "rf", "xgb")
    }


@pytest.mark.parametrize("draw", [cmc_figure, confusion_figure])
@pytest.mark.parametrize("count", [2, 110, 1000])
def test_a_figure_is_small_and_the_same_every_time(draw, count):
    users = Users(count)
    figure = draw(evaluations(users), users)
    assert b"</svg>" in figure
    assert len(figure) < 500_000
    assert draw(evaluations(users), users) == figure
