"""How the evidence of templates and of trees is added."""

import numpy as np
import pytest
from scipy.optimize import minimize

from keystroke_training.fusion import WEIGHTS, Fusion


class Member:
    """Stands for fitted templates or trees: evidence is made up, rows are its row numbers."""

    def __init__(self, evidence, held_out_rows, held_out_evidence):
        self._evidence = evidence
        self.held_out_rows = np.array(held_out_rows, int)
        self.held_out_evidence = held_out_evidence

    def evidence(self, rows):
        return self._evidence[rows]


@pytest.fixture
def members():
    random = np.random.default_rng(3)
    targets = random.integers(4, size=60)
    own = np.eye(4)[targets]
    evidence = [own * size + random.normal(size=(60, 4)) for size in (1.5, 0.7)]
    # Templates may have held out fewer rows than the trees have.
    rows = [np.arange(0, 60, 2), np.arange(3, 60)]
    return targets, [
        Member(values, held, values[held]) for values, held in zip(evidence, rows, strict=True)
    ]


def test_weights_make_the_held_out_rows_of_both_likeliest(members):
    targets, (templates, trees) = members
    both = [row for row in range(60) if row % 2 == 0 and row >= 3]

    def loss(weights):
        total = 0.0
        for row in both:
            sums = weights[0] * templates._evidence[row] + weights[1] * trees._evidence[row]
            total += np.logaddexp.reduce(sums) - sums[targets[row]]
        return total / len(both)

    found = minimize(loss, [1, 1], bounds=[(0, None)] * 2, options={"gtol": 1e-9, "ftol": 1e-15})
    fusion = Fusion(templates, trees).fit(targets)
    np.testing.assert_allclose(fusion.weights, found.x, atol=1e-3)


def test_evidence_is_the_weighted_sum(members):
    targets, (templates, trees) = members
    fusion = Fusion(templates, trees).fit(targets)
    rows = np.array([5, 7])
    expected = fusion.weights[0] * templates._evidence[rows]
    expected += fusion.weights[1] * trees._evidence[rows]
    np.testing.assert_allclose(fusion.evidence(rows), expected, rtol=1e-12)


def test_where_nothing_is_held_out_the_weights_are_the_usual_ones(members):
    targets, (templates, trees) = members
    templates.held_out_rows = np.array([], int)
    assert np.array_equal(Fusion(templates, trees).fit(targets).weights, WEIGHTS)
