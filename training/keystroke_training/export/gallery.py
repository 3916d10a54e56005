"""What compares rows with templates that are given to it: for users who are enrolled, not trained.

The evidence of `export.templates`, with everything that is a constant there an input here. So the
graph is the same for every text, and nothing is made anew when somebody is enrolled.
"""

import onnx
from onnx import TensorProto, helper

from keystroke_training.export.graph import IR_VERSION, OPSET, SCORES
from keystroke_training.templates import TOGETHER

FILE = "gallery.onnx"
ROWS = "rows"


def export_gallery() -> bytes:
    """Return the bytes of the ONNX file.

    Inputs, all float32: `rows` [batch, TOGETHER × groups], factor by factor; of each factor
    `centres_i` and `scales_i` [groups, columns]; `factors` [1, groups], `constants` [columns].
    Output `scores` [batch, columns]: constants + factors · ln Π_i (1 + ((row_i − centre_i) ×
    scale_i)²).
    """
    nodes: list[onnx.NodeProto] = []

    def add(operator: str, inputs: list[str], *outputs: str, **attributes) -> str:
        nodes.append(helper.make_node(operator, inputs, [*outputs], **attributes))
        return outputs[0]

    add("Split", [ROWS], *(f"row_{i}" for i in range(TOGETHER)), axis=1, num_outputs=TOGETHER)
    product = ""
    for i in range(TOGETHER):
        values = add("Unsqueeze", [f"row_{i}", "last_axis"], f"values_{i}")
        distance = add("Sub", [values, f"centres_{i}"], f"distance_{i}")
        scaled = add("Mul", [distance, f"scales_{i}"], f"scaled_{i}")
        squares = add("Mul", [scaled, scaled], f"squares_{i}")
        factor = add("Add", [squares, "one"], f"factor_{i}")
        product = add("Mul", [product, factor], f"product_{i}") if product else factor
    sums = add("MatMul", ["factors", add("Log", [product], "logarithms")], "sums_by_group")
    add("Add", [add("Squeeze", [sums, "group_axis"], "sums"), "constants"], SCORES)

    def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    inputs = [value(ROWS, "batch", "width")]
    for i in range(TOGETHER):
        inputs += [value(f"{part}_{i}", "groups", "columns") for part in ("centres", "scales")]
    inputs += [value("factors", 1, "groups"), value("constants", "columns")]
    constants = [
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("group_axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("last_axis", TensorProto.INT64, [1], [2]),
    ]
    graph = helper.make_graph(
        nodes, "gallery", inputs, [value(SCORES, "batch", "columns")], constants
    )
    model = helper.make_model(
        graph,
        producer_name="keystroke_training",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)
