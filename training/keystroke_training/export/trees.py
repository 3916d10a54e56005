"""Extremely randomised trees as one `TreeEnsemble` in float32."""

import numpy as np
from onnx import TensorProto

from keystroke_training.export.graph import INPUT, SCORES, Classes, GraphBuilder
from keystroke_training.export.tree_ensemble import classification_trees, tree_ensemble
from keystroke_training.trees import Trees


def export_trees(estimator: Trees, classes: Classes) -> bytes:
    """Return the ONNX file of fitted trees: `scores` are the evidence, `label` the first
    maximum of it.

    scikit-learn narrows rows to float32 itself, and votes are counted, so float32 loses
    nothing but the last bits of a leaf that rows of different users share.
    """
    graph = GraphBuilder()
    trees = [
        tree for member in estimator.forest.estimators_ for tree in classification_trees(member)
    ]
    votes = tree_ensemble(graph, INPUT, trees, len(classes), TensorProto.FLOAT)
    # A table, not a logarithm: the operator's last bits hang on where in a batch a number stands.
    table = graph.constant("evidence_of_votes", estimator.evidence_of_votes.astype(np.float32))
    whole = graph.cast(graph.add("Round", [votes], "whole"), TensorProto.INT64, "votes")
    graph.add("Gather", [table, whole], SCORES)
    graph.answer_first_maximum(SCORES, classes)
    return graph.finish("trees", classes, width=estimator.forest.n_features_in_)
