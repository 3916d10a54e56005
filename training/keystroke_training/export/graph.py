"""The ONNX frame that every exported model shares.

A model takes `input`, float32 [batch, features], and answers `label`, int64 or string [batch],
then `scores`, float32 [batch, classes]. Only the operator domains `''` and `ai.onnx.ml` are
used, so that every build of ONNX Runtime can run it and the service can refuse the rest.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from keystroke_training.features import FEATURE_ORDER

INPUT = "input"
LABEL = "label"
SCORES = "scores"

OPSET = 18
# TreeEnsemble came with 5, which has no TreeEnsembleRegressor any more.
TREE_ENSEMBLE_OPSET = 5
TREE_ENSEMBLE_REGRESSOR_OPSET = 3
IR_VERSION = 10

Classes = Sequence[int] | Sequence[str]


class GraphBuilder:
    """Collects nodes and constants; every value is named by what it holds."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        """Store a tensor; returns its name."""
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def scalar(self, name: str, value: float) -> str:
        """Store a float64 scalar; returns its name."""
        self._constants.append(numpy_helper.from_array(np.array(value, np.float64), name))
        return name

    def axis(self, name: str, index: int) -> str:
        """Store the axes tensor of a reduction over one axis; returns its name."""
        return self.constant(name, np.array([index], np.int64))

    def add(self, operator: str, inputs: list[str], output: str, **attributes) -> str:
        """Append a node with one output; returns the output's name."""
        domain = "ai.onnx.ml" if operator.startswith("TreeEnsemble") else ""
        self._nodes.append(
            helper.make_node(operator, inputs, [output], domain=domain, **attributes)
        )
        return output

    def split(self, value: str, sizes: dict[str, int], axis: int) -> None:
        """Append a Split of a value into parts, given by their names with their sizes."""
        lengths = self.constant(f"{value}_sizes", np.array([*sizes.values()], np.int64))
        self._nodes.append(helper.make_node("Split", [value, lengths], [*sizes], axis=axis))

    def cast(self, value: str, data_type: int, output: str) -> str:
        """Append a Cast to a TensorProto data type; returns the output's name."""
        return self.add("Cast", [value], output, to=data_type)

    def answer_first_maximum(self, value: str, classes: Classes) -> None:
        """Answer as `label` the class of each row's greatest column in `value`
        [batch, classes]; the lowest class wins ties.
        """
        kind = np.int64 if _are_integers(classes) else object
        names = self.constant("classes", np.array(classes, dtype=kind))
        index = self.add("ArgMax", [value], "class_index", axis=1, keepdims=0)
        self.add("Gather", [names, index], LABEL)

    def finish(
        self,
        name: str,
        classes: Classes,
        ml_opset: int = TREE_ENSEMBLE_OPSET,
        width: int = len(FEATURE_ORDER),
    ) -> bytes:
        """Close and check the graph and return the bytes of the ONNX file.

        `ml_opset` is the version of ai.onnx.ml, `width` the number of features. Equal graphs
        give equal bytes. Raises an exception of `onnx.checker` or `onnx.shape_inference` when
        the graph is not valid.
        """
        label_type = TensorProto.INT64 if _are_integers(classes) else TensorProto.STRING
        graph = helper.make_graph(
            self._nodes,
            name,
            [_value(INPUT, TensorProto.FLOAT, "batch", width)],
            [
                _value(LABEL, label_type, "batch"),
                _value(SCORES, TensorProto.FLOAT, "batch", len(classes)),
            ],
            self._constants,
        )
        model = helper.make_model(
            graph,
            producer_name="keystroke_training",
            ir_version=IR_VERSION,
            opset_imports=[
                helper.make_opsetid("", OPSET),
                helper.make_opsetid("ai.onnx.ml", ml_opset),
            ],
        )
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)


def _are_integers(classes: Classes) -> bool:
    return isinstance(classes[0], int)


def _value(name: str, data_type: int, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, data_type, shape)
