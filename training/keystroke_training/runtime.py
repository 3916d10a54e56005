"""Exported models as the service runs them."""

import numpy as np
import onnxruntime

from keystroke_training.export.graph import INPUT, LABEL, SCORES


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """Open an ONNX file's bytes with the service's session options: one thread, all graph
    optimisations.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Exported:
    """A model as the service answers with it: an ONNX file, or a weighted sum of the evidence
    of several.
    """

    def __init__(self, files: list[bytes], weights: list[float] | None = None) -> None:
        self.sessions = [open_session(file) for file in files]
        self.weights = weights

    def answer(self, rows: np.ndarray, batch: int = 64) -> tuple[np.ndarray, np.ndarray]:
        """Return labels [n] and scores [n, classes] for float32 rows [n, features]; labels of a
        sum are class indices.
        """
        answers = [answer(session, rows, batch) for session in self.sessions]
        if self.weights is None:
            return answers[0]
        scores = sum(
            weight * scores.astype(np.float64)
            for weight, (_, scores) in zip(self.weights, answers, strict=True)
        )
        return scores.argmax(axis=1), scores


def answer(
    session: onnxruntime.InferenceSession, rows: np.ndarray, batch: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels [n] and float32 scores [n, classes] for float32 rows [n, features].

    A row takes half a megabyte on its way through 110 classes: small batches stay in the cache.
    """
    parts = [
        session.run([LABEL, SCORES], {INPUT: rows[start : start + batch]})
        for start in range(0, len(rows), batch)
    ]
    labels, scores = zip(*parts, strict=True)
    return np.concatenate(labels), np.concatenate(scores)
