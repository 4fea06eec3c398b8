"""Asks one coordinator everything that the field's own clients can ask, and writes what they got as one JSON object.

    python open_inference_client.py HOST:PORT MODEL

The clients are unmodified: tritonclient for the Open Inference Protocol, and gRPC's own for health and reflection. This
script judges nothing: the Rust test that runs it does. The packages are pinned in requirements.txt.
"""

import json
import queue
import sys

import grpc
import numpy as np
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.utils import InferenceServerException

PROMPT = "The capital of France is"
TOKENS = 8
# Seconds that any one answer may take on a busy machine.
PATIENCE = 60


def tensor(name, value, datatype):
    """An input of one element."""
    kind = np.bool_ if datatype == "BOOL" else np.object_
    made = triton.InferInput(name, [1], datatype)
    made.set_data_from_numpy(np.array([value], dtype=kind))
    return made


def inputs(stream, **more):
    """The prompt, and whether a reply is wanted for each token."""
    made = [tensor("text_input", PROMPT.encode(), "BYTES"), tensor("stream", stream, "BOOL")]
    for name, value in more.items():
        made.append(tensor(name, value, "BOOL" if isinstance(value, bool) else "BYTES"))
    return made


def read(result):
    """One reply: its text, its other outputs, whether it is the last."""
    response = result.get_response()
    outputs = {output.name: result.as_numpy(output.name)[0] for output in response.outputs}
    plain = {name: value.decode() if isinstance(value, bytes) else int(value) for name, value in outputs.items()}
    final = response.parameters["triton_final_response"].bool_param
    return {"id": response.id, "version": response.model_version, "outputs": plain, "final": final}


class Stream:
    """A stream of requests, one after the other."""

    def __init__(self, client, headers=None):
        self.client = client
        self.replies = queue.Queue()
        client.start_stream(lambda result, error: self.replies.put((result, error)), headers=headers)

    def ask(self, model, **options):
        """The replies to one request, until its last or its error."""
        self.client.async_stream_infer(model_name=model, **options)
        replies = []
        while True:
            result, error = self.replies.get(timeout=PATIENCE)
            if error is not None:
                return replies + [{"error": error.message(), "status": error.status()}]
            replies.append(read(result))
            if replies[-1]["final"]:
                return replies

    def close(self):
        self.client.stop_stream()


def refused(call):
    """The error that a call ends with."""
    try:
        call()
    except InferenceServerException as error:
        return {"error": error.message(), "status": error.status()}
    except grpc.RpcError as error:
        return {"error": error.details(), "status": str(error.code())}
    return None


def catalogue(client, model):
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(model),
        "server": client.get_server_metadata(as_json=True),
        "model": client.get_model_metadata(model, as_json=True),
        "index": client.get_model_repository_index(as_json=True),
        "unknown_model": refused(lambda: client.get_model_metadata("no-such-model")),
        "not_served": refused(lambda: client.get_model_config(model)),
    }


def unary(client, model):
    parameters = {"max_tokens": TOKENS, "temperature": 0.0}
    asked = inputs(False, return_finish_reason=True, return_num_output_tokens=True)
    sampling = json.dumps({"max_tokens": TOKENS, "temperature": 0}).encode()
    by_json = inputs(False, sampling_parameters=sampling)
    return {
        "reply": read(client.infer(model, asked, request_id="u-1", parameters=parameters, client_timeout=PATIENCE)),
        "by_json": read(client.infer(model, by_json, client_timeout=PATIENCE)),
        "bad": refused(lambda: client.infer(model, inputs(False), parameters={"temperature": -1})),
        "unknown": refused(lambda: client.infer(model, inputs(False), parameters={"beam_width": 2})),
        "unknown_model": refused(lambda: client.infer("no-such-model", inputs(False))),
    }


def streams(client, model):
    good = {"parameters": {"max_tokens": TOKENS}, "request_id": "s-1"}
    bad = {"parameters": {"beam_width": 2}, "request_id": "s-2"}
    plain = Stream(client)
    told = {
        "tokens": plain.ask(model, inputs=inputs(True), **good),
        "whole": plain.ask(model, inputs=inputs(False), **good),
        "empty_final": plain.ask(model, inputs=inputs(True), enable_empty_final_response=True, **good),
        "bad": plain.ask(model, inputs=inputs(True), **bad),
        "after_bad": plain.ask(model, inputs=inputs(False), **good),
    }
    plain.close()
    strict = Stream(client, headers={"triton_grpc_error": "true"})
    told["bad_with_status"] = strict.ask(model, inputs=inputs(True), **bad)
    strict.close()
    return told


def health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    name = health_pb2.HealthCheckResponse.ServingStatus.Name

    def check(service):
        request = health_pb2.HealthCheckRequest(service=service)
        return name(stub.Check(request, timeout=PATIENCE).status)

    def first_watched(service):
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
        status = name(next(watch).status)
        watch.cancel()
        return status

    return {
        "server": check(""),
        "service": check("inference.GRPCInferenceService"),
        "unknown": refused(lambda: check("no.such.Service")),
        "watch": first_watched("readiness"),
        "watch_unknown": first_watched("no.such.Service"),
    }


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    address, model = sys.argv[1:]
    client = triton.InferenceServerClient(address)
    told = {
        "catalogue": catalogue(client, model),
        "unary": unary(client, model),
        "streams": streams(client, model),
    }
    client.close()
    with grpc.insecure_channel(address) as channel:
        told["health"] = health(channel)
        told["reflection"] = sorted(ProtoReflectionDescriptorDatabase(channel).get_services())
    json.dump(told, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
