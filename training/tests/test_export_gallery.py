"""The graph that compares with templates that are given to it."""

import numpy as np
import onnx
import pytest
from onnxruntime import InferenceSession

from keystroke_training.export.gallery import export_gallery
from keystroke_training.templates import TOGETHER


@pytest.mark.parametrize(("rows", "groups", "columns"), [(1, 1, 1), (3, 5, 7), (32, 36, 220)])
def test_scores_are_the_formula(rows, groups, columns):
    rng = np.random.default_rng(rows)

    def numbers(*shape):
        return rng.normal(size=shape).astype(np.float32)

    feeds = {
        "rows": numbers(rows, TOGETHER * groups),
        "factors": numbers(1, groups),
        "constants": numbers(columns),
    }
    for i in range(TOGETHER):
        feeds[f"centres_{i}"] = numbers(groups, columns)
        feeds[f"scales_{i}"] = numbers(groups, columns)
    (scores,) = InferenceSession(export_gallery()).run(["scores"], feeds)
    product = 1.0
    for i in range(TOGETHER):
        values = feeds["rows"][:, i * groups : (i + 1) * groups, np.newaxis].astype(np.float64)
        product = product * (1 + ((values - feeds[f"centres_{i}"]) * feeds[f"scales_{i}"]) ** 2)
    expected = feeds["constants"] + (feeds["factors"] @ np.log(product))[:, 0]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_it_is_plain_operators_and_the_same_each_time():
    content = export_gallery()
    assert content == export_gallery()
    model = onnx.load_from_string(content)
    assert {node.domain for node in model.graph.node} == {""}
    assert [opset.domain for opset in model.opset_import] == [""]
