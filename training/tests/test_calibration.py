"""How evidence is weighed, against a general optimiser and by the conditions of a minimum."""

import numpy as np
import pytest
from scipy.optimize import minimize

from keystroke_training.calibration import STEP, learn_weights, log_softmax, more_typings


def loss(weights, evidence, targets, ridge=0.0):
    """The mean negative log-likelihood and the ridge, row by row."""
    total = 0.0
    for row, target in zip(evidence, targets, strict=True):
        sums = row @ weights
        total += np.logaddexp.reduce(sums) - sums[target]
    return total / len(targets) + ridge / 2 * np.sum(weights**2)


def gradient(weights, *problem, step=1e-5):
    """The slope of the loss along every weight."""
    return np.array(
        [
            (loss(weights + move, *problem) - loss(weights - move, *problem)) / (2 * step)
            for move in step * np.eye(len(weights))
        ]
    )


def made_up(seed, rows=120, users=7, kinds=6):
    """Evidence of which the first kinds are worth something, the last tells the opposite."""
    random = np.random.default_rng(seed)
    targets = random.integers(users, size=rows)
    worth = np.linspace(1.5, -0.5, kinds)
    own = np.eye(users)[targets][:, :, np.newaxis] * worth
    return own + random.normal(size=(rows, users, kinds)), targets


@pytest.mark.parametrize("ridge", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_those_of_a_general_optimiser(seed, ridge):
    evidence, targets = made_up(seed)
    found = minimize(
        loss,
        np.full(evidence.shape[2], 0.5),
        (evidence, targets, ridge),
        method="L-BFGS-B",
        bounds=[(0, None)] * evidence.shape[2],
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    weights = learn_weights(evidence, targets, ridge)
    np.testing.assert_allclose(weights, found.x, rtol=0, atol=5e-4)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
@pytest.mark.parametrize("start", [0.01, 1.0, 10.0])
def test_the_slope_is_none_along_weights_and_up_where_there_is_none(ridge, start):
    evidence, targets = made_up(5)
    weights = learn_weights(evidence, targets, ridge, start)
    slope = gradient(weights, evidence, targets, ridge)
    held = weights == 0
    assert 0 < held.sum() < len(weights)
    assert np.abs(slope[~held]).max() < 5e-4  # weights are rounded to multiples
    assert (slope[held] > 0).all()


def test_weights_are_whole_multiples_of_a_step():
    weights = learn_weights(*made_up(1))
    assert np.array_equal(weights, np.round(weights / STEP) * STEP)


def test_the_factor_of_evidence_is_found():
    random = np.random.default_rng(4)
    evidence = random.normal(0, 3, (6000, 6))
    # The greatest of evidence plus Gumbel noise is each user as often as its softmax says.
    targets = (0.5 * evidence + random.gumbel(size=evidence.shape)).argmax(axis=1)
    assert learn_weights(evidence[..., np.newaxis], targets)[0] == pytest.approx(0.5, abs=0.02)


def test_kinds_that_say_the_same_share_their_weight():
    evidence, targets = made_up(2, kinds=2)
    once = learn_weights(evidence[..., :1], targets)
    twice = learn_weights(np.repeat(evidence[..., :1], 2, axis=2), targets)
    np.testing.assert_allclose(twice, [once[0] / 2] * 2, rtol=0, atol=2 * STEP)


def test_a_ridge_alone_takes_weights_to_nothing():
    assert learn_weights(np.zeros((5, 3, 2)), np.zeros(5, int), ridge=0.1).tolist() == [0, 0]


def test_evidence_that_is_the_same_for_all_leaves_the_start():
    assert learn_weights(np.ones((5, 3, 1)), np.zeros(5, int), start=1.25).tolist() == [1.25]


def test_rows_that_were_all_recognised_have_a_finite_weight():
    weights = learn_weights(5 * np.eye(4)[..., np.newaxis], np.arange(4))
    assert 1 < weights[0] < 10


def test_evidence_of_any_size_is_weighed():
    evidence, targets = made_up(3, kinds=1)
    for size in (1e-3, 1e4):
        weights = learn_weights(size * evidence, targets, start=1 / size)
        assert np.isfinite(weights).all()
        assert loss(weights, size * evidence, targets) < np.log(7)


def test_a_posterior_adds_up_to_one_whatever_the_size():
    evidence = np.array([[1e5, 0, -1e5], [3, 3, 3], [-1e308, 0, 1]])
    logs = log_softmax(evidence)
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1)
    assert logs[0, 0] == 0
    assert logs[1] == pytest.approx(np.log([1 / 3] * 3))


def test_evidence_counts_for_more_by_half_a_typing():
    assert more_typings(np.array([0, 0, 1, 1])) == pytest.approx(1 + 1 / 4)
    assert more_typings(np.array([0, 0, 1, 1, 1, 1, 1, 1])) == pytest.approx(1 + 1 / 8)
