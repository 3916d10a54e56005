"""Trees of scikit-learn as one `TreeEnsemble`.

The stock converter writes a weight for every class into every leaf (57 MB for a forest of
110 users). Here a leaf holds one (class, weight). A leaf shared by several classes, which only
rows with equal features of different users bring about, is spread over copies of its tree,
one class each.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from onnx import TensorProto, helper
from sklearn.tree import DecisionTreeClassifier

from keystroke_training.export.graph import GraphBuilder
from keystroke_training.export.tree import Tree

# Values of TreeEnsemble's attributes.
_LESS_OR_EQUAL = 0
_SUM = 1
_NO_TRANSFORM = 0


def classification_trees(member: DecisionTreeClassifier) -> Iterator[Tree]:
    """Yield the tree, then a copy for the second, third … class of its impure leaves."""
    tree = member.tree_
    leaves = np.flatnonzero(tree.children_left < 0)
    shares = tree.value[leaves, 0, :]
    copies = int((shares > 0).sum(axis=1).max())
    # Sorting all classes of all leaves takes minutes for thousands of users, and most forests
    # have only pure leaves.
    if copies == 1:
        by_share = shares.argmax(axis=1)[:, np.newaxis]
    else:
        by_share = np.argsort(-shares, axis=1, kind="stable")[:, :copies]
    weights = np.take_along_axis(shares, by_share, axis=1)
    for rank in range(copies):
        target, weight = np.zeros(tree.node_count, np.int64), np.zeros(tree.node_count)
        target[leaves], weight[leaves] = by_share[:, rank], weights[:, rank]
        yield _without_weightless_branches(
            Tree(
                feature=tree.feature,
                threshold=tree.threshold,
                left=tree.children_left,
                right=tree.children_right,
                target=target,
                weight=weight,
            )
        )


def _without_weightless_branches(tree: Tree) -> Tree:
    """The same sums from fewer nodes: a branch of zeros only becomes one leaf."""
    matters = tree.weight != 0
    for node in reversed(range(len(matters))):  # scikit-learn numbers parents before children
        if tree.left[node] >= 0:
            matters[node] = matters[tree.left[node]] or matters[tree.right[node]]
    return replace(
        tree,
        left=np.where(matters, tree.left, -1),
        right=np.where(matters, tree.right, -1),
    )


def tree_ensemble(
    graph: GraphBuilder, rows: str, trees: list[Tree], classes: int, data_type: int
) -> str:
    """Sums of the trees' weights by class [batch, classes], of rows [batch, features], in the
    TensorProto data type of both; rows with the threshold or less go left.
    """
    nodes = _Nodes()
    for tree in trees:
        nodes.append(tree)
    inner = len(nodes.splits)
    splits = nodes.splits if data_type == TensorProto.DOUBLE else _not_above(nodes.splits)
    return graph.add(
        "TreeEnsemble",
        [rows],
        "sums",
        n_targets=classes,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        tree_roots=nodes.roots,
        nodes_featureids=nodes.features,
        nodes_modes=_tensor("modes", TensorProto.UINT8, [_LESS_OR_EQUAL] * inner),
        nodes_splits=_tensor("splits", data_type, splits),
        nodes_truenodeids=[index for index, _ in nodes.passed],
        nodes_trueleafs=[is_leaf for _, is_leaf in nodes.passed],
        nodes_falsenodeids=[index for index, _ in nodes.failed],
        nodes_falseleafs=[is_leaf for _, is_leaf in nodes.failed],
        leaf_targetids=nodes.targets,
        leaf_weights=_tensor("weights", data_type, nodes.weights),
    )


def _not_above(thresholds: list[float]) -> list[float]:
    """The greatest float32 not above each threshold: it decides the same about a float32."""
    exact = np.array(thresholds)
    nearest = exact.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > exact, below, nearest).tolist()


def _tensor(name: str, data_type: int, values: list) -> TensorProto:
    return helper.make_tensor(name, data_type, [len(values)], values)


class _Nodes:
    """The tables of `TreeEnsemble`: inner nodes and leaves of all trees, numbered apart.

    `passed` and `failed` hold each inner node's children as (index, 1 for a leaf or else 0).
    """

    def __init__(self) -> None:
        self.roots: list[int] = []
        self.features: list[int] = []
        self.splits: list[float] = []
        self.passed: list[tuple[int, int]] = []
        self.failed: list[tuple[int, int]] = []
        self.targets: list[int] = []
        self.weights: list[float] = []

    def append(self, tree: Tree) -> None:
        """Add one tree, its inner nodes breadth first."""
        root = len(self.splits)
        self.roots.append(root)
        if tree.left[0] < 0:
            # The operator demands an inner node: one whose children are the same leaf.
            leaf = self._append_leaf(tree, 0)
            self._append_inner(0, 0.0, leaf, leaf)
            return
        inner = [0]

        def number(node: int) -> tuple[int, int]:
            if tree.left[node] < 0:
                return self._append_leaf(tree, node)
            inner.append(node)
            return root + len(inner) - 1, 0

        for node in inner:  # grows as children are numbered
            passed, failed = number(tree.left[node]), number(tree.right[node])
            self._append_inner(tree.feature[node], tree.threshold[node], passed, failed)

    def _append_inner(
        self, feature: int, split: float, passed: tuple[int, int], failed: tuple[int, int]
    ) -> None:
        self.features.append(int(feature))
        self.splits.append(float(split))
        self.passed.append(passed)
        self.failed.append(failed)

    def _append_leaf(self, tree: Tree, node: int) -> tuple[int, int]:
        self.targets.append(int(tree.target[node]))
        self.weights.append(float(tree.weight[node]))
        return len(self.targets) - 1, 1
