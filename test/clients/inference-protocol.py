"""Asks a running service by the clients of Triton and of KServe: URL, file of rows by model. Prints what they got."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

url, file = sys.argv[1:]
given = json.load(open(file, encoding="utf-8"))
TYPES = {"rf": ("FP32", np.float32), "best": ("FP64", np.float64)}


def cases():
    """One row and all of them, in bytes and in JSON, for each of the models."""
    for model, rows in given.items():
        datatype, dtype = TYPES[model]
        for count in (1, len(rows)):
            for binary in (True, False):
                yield model, datatype, np.array(rows[:count], dtype), binary


def by_triton():
    client = triton.InferenceServerClient(url.removeprefix("http://"))
    yield {
        "live": client.is_server_live(),
        "ready": client.is_server_ready() and client.is_model_ready("rf"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata("rf"),
    }
    version = client.get_model_metadata("rf")["versions"][0]
    for model, datatype, rows, binary in cases():
        tensor = triton.InferInput("input", list(rows.shape), datatype)
        tensor.set_data_from_numpy(rows, binary_data=binary)
        # Without outputs it asks for all in bytes.
        outputs = None if binary else [triton.InferRequestedOutput("label", binary_data=False)]
        at = version if model == "rf" else ""
        result = client.infer(model, [tensor], outputs=outputs, model_version=at)
        yield result.as_numpy("label").tolist()
    try:
        client.infer("nobody", [tensor])
    except InferenceServerException as error:
        yield [error.status(), error.message()]


async def by_kserve():
    async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=60)) as client:
        yield {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url) and await client.is_model_ready(url, "rf"),
        }
        for model, datatype, rows, binary in cases():
            tensor = InferInput("input", list(rows.shape), datatype)
            tensor.set_data_from_numpy(rows, binary_data=binary)
            request = InferRequest(
                model_name=model,
                infer_inputs=[tensor],
                request_outputs=[RequestedOutput("label", {"binary_data": binary})],
            )
            answer = await client.infer(url, request, model_name=model)
            yield answer.outputs[0].as_numpy().tolist()
        try:
            await client.infer(url, {"inputs": []}, model_name="rf")
        except Exception as error:  # an error of its HTTP library, which is no part of its interface
            yield str(error)


async def main():
    kserve = [found async for found in by_kserve()]
    print(json.dumps({"triton": [*by_triton()], "kserve": kserve}))


asyncio.run(main())
