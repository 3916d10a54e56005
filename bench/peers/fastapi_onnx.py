"""FastAPI and ONNX Runtime, serving the very files that our service does.

python fastapi_onnx.py PORT MODEL_DIR
"""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

# Before ONNX Runtime is imported: it would report to its makers.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field


class ModelName(StrEnum):
    """Which model is asked."""

    SVM = "svm"
    RF = "rf"
    XGB = "xgb"


class Latency(BaseModel):
    """Mean and standard deviation of one kind of time, in ms."""

    Mean: float
    STD: Annotated[float, Field(ge=0)]


class Sample(BaseModel):
    """The summary of one typing."""

    HT: Latency
    PPT: Latency
    RRT: Latency
    RPT: Latency


class Answer(BaseModel):
    """Who typed it."""

    user: int
    model: ModelName


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Open an ONNX file with the session options of our service."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def make_app(models: Path) -> FastAPI:
    """Load the models and make the application that answers from them."""
    sessions = {name: open_session(models / f"{name}.onnx") for name in ModelName}
    # No pages of documentation and no hooks for OpenTelemetry: they would cost every request.
    telemetry = {"tracing": False, "metrics": False, "logs": False}
    app = FastAPI(openapi_url=None, telemetry=telemetry)

    # Not in a thread: on one core that would only add the handing over.
    @app.post("/predict/{model}")
    async def predict(model: ModelName, sample: Sample) -> Answer:
        ht, ppt, rrt, rpt = sample.HT, sample.PPT, sample.RRT, sample.RPT
        row = [ht.Mean, ht.STD, ppt.Mean, ppt.STD, rrt.Mean, rrt.STD, rpt.Mean, rpt.STD]
        inputs = {"input": np.array([row], dtype=np.float32)}
        (label,) = sessions[model].run(["label"], inputs)
        return Answer(user=label[0], model=model)

    return app


if __name__ == "__main__":
    uvicorn.run(
        make_app(Path(sys.argv[2])),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
