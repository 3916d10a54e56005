"""One decision tree, whoever trained it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tree:
    """A binary tree as arrays over its nodes, of which node 0 is the root.

    A row goes `left` when its value of `feature` passes the test against `threshold`. Leaves
    have −1 as `left` and `right`, and add `weight` to the class index `target`.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    target: np.ndarray
    weight: np.ndarray
